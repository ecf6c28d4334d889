//! Tests of the whole module, by its public face.

use tollgate_plugin_api::{Metered, Usage};

use super::{Price, PriceBook};

mod cost;
mod edit;
mod find;
mod import;
mod oracle;
mod parse;
mod pieces;

/// A text that must parse.
fn book(text: &str) -> PriceBook {
    match PriceBook::parse(text) {
        Ok(book) => book,
        Err(errors) => panic!("{}", errors.iter().map(|error| format!("{error}\n")).collect::<String>()),
    }
}

/// The one model of a text that has the name `m`.
fn with(rest: &str) -> PriceBook {
    book(&format!("[[model]]\nname = \"m\"\n{rest}"))
}

fn only(book: &PriceBook) -> &Price {
    book.find("any", "m", "m").unwrap()
}

fn tokens(input_tokens: u64, output_tokens: u64) -> Metered {
    Metered { usage: Usage { input_tokens, output_tokens, ..Usage::default() }, ..Metered::default() }
}

/// The errors of a text, one a line.
fn errors(text: &str) -> String {
    let errors = PriceBook::parse(text).expect_err("parsed");
    errors.iter().map(|error| format!("{error}\n")).collect()
}
