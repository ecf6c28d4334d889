//! The files that operators write.

use super::input::Input;
use std::path::Path;
use tollgate::config::Config;
use tollgate::price::PriceBook;
use tollgate::price::import::{Selection, import};

/// A file is taken, or something is said to be wrong with it.
pub(crate) fn config(input: &Input<'_>) {
    let Some(text) = input.text() else { return };
    const MASTER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let env = |name: &str| match name {
        "TOLLGATE_MASTER_KEY" => Some(MASTER_KEY.to_owned()),
        _ => name.len().is_multiple_of(2).then(|| "value".to_owned()),
    };
    if let Err(errors) = Config::parse(text, Path::new("/nowhere/tollgate.toml"), &env) {
        assert!(!errors.is_empty());
        errors.iter().for_each(|error| assert!(!error.message.is_empty(), "{error:?}"));
    }
}

/// A file is taken, or something is said to be wrong with it; and what is taken can be looked up.
pub(crate) fn prices(input: &Input<'_>) {
    let Some(text) = input.text() else { return };
    match PriceBook::parse(text) {
        Ok(book) => {
            let _ = book.find("openai", "gpt-5", "gpt-5");
            assert_eq!(book.is_empty(), book.iter().next().is_none());
        }
        Err(errors) => assert!(!errors.is_empty()),
    }
}

/// What is made of published prices is a price book.
pub(crate) fn published_prices(input: &Input<'_>) {
    const OURS: &str = "[[model]]\nname = \"gpt-5\"\nprovider = \"openai\"\ninput = \"1.25\"\noutput = \"10\"\n";
    let Some(text) = input.text() else { return };
    let provider = input.says(0).then_some("openai");
    let selection = Selection { format: None, models: &[], provider, today: "2026-11-21" };
    if let Ok(import) = import(OURS, text, &selection) {
        let book = PriceBook::parse(&import.text);
        assert!(book.is_ok(), "{:?}: {}", book.err(), import.text);
    }
}
