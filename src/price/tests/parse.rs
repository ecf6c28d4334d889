//! What a text may say, and what is said about one that may not.

use super::{book, errors, with};
use crate::price::{PriceBook, SEED};

/// The rest of a row, and how the one error of the text begins.
const MISTAKES: &[(&str, &str)] = &[
    ("input = -1\noutput = 1", "3:9: m.input: `-1` is negative, expected USD per million tokens"),
    ("input = 0.0000000001\noutput = 1", "3:9: m.input: `0.0000000001` is more than 9 decimals"),
    ("input = 1e-10\noutput = 1", "3:9: m.input: `1e-10` is more than 9 decimals"),
    ("input = nan\noutput = 1", "3:9: m.input: `nan` is not a decimal number"),
    ("input = inf\noutput = 1", "3:9: m.input: `inf` is not a decimal number"),
    ("input = 0x10\noutput = 1", "3:9: m.input: expected USD per million tokens"),
    ("input = \"$2\"\noutput = 1", "3:9: m.input: `$2` is not a decimal number"),
    (
        "input = true\noutput = 1",
        "3:9: m.input: expected USD per million tokens as 2.5 or \"2.5\", with at most nine decimals, found a boolean",
    ),
    ("input = 2000000000\noutput = 1", "3:9: m.input: `2000000000` is too large"),
    ("input = 1", "1:1: m: no `output`, expected USD per million tokens"),
    ("output = 1", "1:1: m: no `input`, expected"),
    ("input = 1\noutput = 1\ncached_inptu = 1", "5:1: m.cached_inptu: unknown key, did you mean `cached_input`?"),
    ("input = 1\noutput = 1\ncached = 1", "5:1: m.cached: unknown key, did you mean `cached_input`?"),
    (
        "input = 1\noutput = 1\nmax-output-tokens = 1",
        "5:1: m.max-output-tokens: unknown key, did you mean `max_output_tokens`?",
    ),
    ("input = 1\noutput = 1\nzzz = 1", "5:1: m.zzz: unknown key, expected one of name, provider"),
    ("input = 1\noutput = 1\ninput = 2", "5:1: model[0].input: the key is there twice, expected each once"),
    ("input = 1\noutput = \n", "4:10: model[0].output: not a TOML value, expected a string in double quotes, a number"),
    (
        "input = 1\noutput = 1\ncontext_tokens = 0",
        "5:18: m.context_tokens: expected a whole number of tokens, at least 1",
    ),
    ("input = 1\noutput = 1\nmax_output_tokens = 1.5", "5:21: m.max_output_tokens: expected a whole number of tokens"),
    ("input = 1\noutput = 1\ndated = 1", "5:9: m.dated: expected true or false, found an integer"),
    (
        "input = 1\noutput = 1\nreads_elsewhere = \"x\"",
        "5:19: m.reads_elsewhere: expected true or false, found a string",
    ),
    ("input = 1\noutput = 1\nprovider = \"\"", "5:12: m.provider: expected a provider's name"),
    ("input = 1\noutput = 1\naliases = \"x\"", "5:11: m.aliases: expected an array of names, found a string"),
    ("input = 1\noutput = 1\naliases = [1]", "5:12: m.aliases: expected a model's name, found an integer"),
    ("input = 1\noutput = 1\naliases = [\"x\", \"X\"]", "5:17: m.aliases: `X` already has a price since line 5"),
    ("input = 1\noutput = 1\naliases = [\"M\"]", "5:12: m.aliases: `M` already has a price since line 1"),
    ("input = 1\noutput = 1\nvalid_from = 2026", "5:14: m.valid_from: expected a date as 2026-12-01"),
    ("input = 1\noutput = 1\nvalid_from = 2026-12-01T00:00:00", "5:14: m.valid_from: expected a date as 2026-12-01"),
    ("input = 1\noutput = 1\nvalid_from = \"soon\"", "5:14: m.valid_from: expected a date as 2026-12-01"),
    (
        "input = 1\noutput = 1\nbatch = 0.55555",
        "5:9: m.batch: `0.55555` is more than 4 decimals, expected a multiplier",
    ),
    ("input = 1\noutput = 1\nbatch = 1001", "5:9: m.batch: `1001` is too large"),
    ("input = 1\noutput = 1\nbatch = {}", "5:9: m.batch: no price, expected a multiplier or at least one price"),
    ("input = 1\noutput = 1\nbatch = { multiplier = 2, input = 1 }", "5:11: m.batch.multiplier: unknown key"),
    ("input = 1\noutput = 1\nper_request = -1", "5:15: m.per_request: `-1` is negative, expected USD per request"),
    ("input = 1\noutput = 1\ntiers = [{ input = 1 }]", "5:10: m.tiers: no `above_prompt_tokens`"),
    ("input = 1\noutput = 1\ntiers = [{ above_prompt_tokens = 5 }]", "5:10: m.tiers: no price, expected at least one"),
    (
        "input = 1\noutput = 1\ntiers = [{ above_prompt_tokens = 5, inputs = 1, input = 2 }]",
        "5:37: m.tiers.inputs: unknown key, did you mean `input`?",
    ),
    (
        "input = 1\noutput = 1\ntiers = [{ above_prompt_tokens = 5, input = 1 }, { above_prompt_tokens = 5, input = 2 }]",
        "5:74: m.tiers.above_prompt_tokens: two tiers begin there",
    ),
    (
        "input = 1\noutput = 1\ntiers = [{ above_prompt_tokens = 5, input = 2 }]\nbatch = { input = 1 }",
        "6:9: m.batch: prices without `tiers` in a row that has some",
    ),
    ("input = 1\noutput = 1\nwindows = [{ multiplier = 2 }]", "5:12: m.windows: no `time_zone`"),
    ("input = 1\noutput = 1\nwindows = [{ time_zone = \"UTC\" }]", "5:12: m.windows: no price"),
    (
        "input = 1\noutput = 1\nwindows = [{ time_zone = \"Moon\", multiplier = 2 }]",
        "5:26: m.windows.time_zone: unknown time zone `Moon`",
    ),
    (
        "input = 1\noutput = 1\nwindows = [{ time_zone = \"UTC\", multiplier = 2, input = 1 }]",
        "5:49: m.windows.input: beside a `multiplier`",
    ),
    (
        "input = 1\noutput = 1\nwindows = [{ time_zone = \"UTC\", multiplier = 2, from = \"09:00\" }]",
        "5:12: m.windows: only one of `from` and `to`",
    ),
    (
        "input = 1\noutput = 1\nwindows = [{ time_zone = \"UTC\", multiplier = 2, from = \"9\", to = \"10:00\" }]",
        "5:56: m.windows.from: expected a time of day",
    ),
    (
        "input = 1\noutput = 1\nwindows = [{ time_zone = \"UTC\", multiplier = 2, from = \"09:00\", to = \"09:00\" }]",
        "5:12: m.windows: an empty window",
    ),
    (
        "input = 1\noutput = 1\nwindows = [{ time_zone = \"UTC\", multiplier = 2, days = [\"monday\"] }]",
        "5:57: m.windows.days: expected days out of mon, tue",
    ),
    (
        "input = 1\noutput = 1\nwindows = [{ time_zone = \"UTC\", multiplier = 2, days = [] }]",
        "5:56: m.windows.days: no day",
    ),
    (
        "input = 1\noutput = 1\nflex = { input = 2 }\nwindows = [{ time_zone = \"UTC\", input = 3 }]",
        "1:1: m: both `windows` and a service tier name prices",
    ),
    ("input = 1\noutput = 1\ninference_geo = 1.1", "5:17: m.inference_geo: expected a table of places"),
    ("input = 1\noutput = 1\ninference_geo = { global = 1.1 }", "5:19: m.inference_geo.global: no place"),
    ("input = 1\noutput = 1\ninference_geo = { us = -1 }", "5:24: m.inference_geo.us: `-1` is negative"),
];

#[test]
fn every_mistake_has_its_place_and_says_what_was_expected() {
    for (rest, expected) in MISTAKES {
        let found = errors(&format!("[[model]]\nname = \"m\"\n{rest}\n"));
        assert!(found.starts_with(expected), "{rest}\nexpected: {expected}\nfound:    {found}");
        assert_eq!(found.lines().count(), 1, "{rest}\n{found}");
    }
}

#[test]
fn what_is_not_a_row_is_said_so() {
    for (text, expected) in [
        ("[[models]]\nname = \"m\"", "1:3: models: unknown key, did you mean `model`?"),
        ("[model]\nname = \"m\"", "1:1: model: expected rows that begin with [[model]], found a table"),
        ("model = [1]", "1:10: model 1: expected a row that begins with [[model]], found an integer"),
        ("[[model]]\ninput = 1\noutput = 1", "1:1: model 1: no `name`, expected"),
        (
            "[[model]]\nname = \" m\"\ninput = 1\noutput = 1",
            "2:8: model 1.name: expected the model's name, without spaces",
        ),
    ] {
        let found = errors(text);
        assert!(found.starts_with(expected), "expected: {expected}\nfound:    {found}");
    }
}

#[test]
fn all_mistakes_at_once_in_the_order_of_the_text() {
    let found =
        errors("[[model]]\nname = \"a\"\noutput = 1\nbatch = x\n\n[[model]]\nname = \"b\"\ninput = -1\nout = 1\n");
    assert!(found.starts_with("4:9: "), "a syntax error hides the rest: {found}");
    let found = errors(
        "[[model]]\nname = \"a\"\nwrong = 1\noutput = 1\n\n[[model]]\nname = \"b\"\ninput = -1\noutput = 1\n[more]\n",
    );
    let places: Vec<&str> = found.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(places, ["1:1:", "3:1:", "8:9:", "10:2:"], "{found}");
    let many = "[[model]]\nname = \"m\"\n".repeat(500);
    assert_eq!(PriceBook::parse(&many).unwrap_err().len(), 100);
}

#[test]
fn a_name_has_one_price_per_provider() {
    let row = |head: &str| format!("[[model]]\n{head}\ninput = 1\noutput = 1\n");
    let twice = row("name = \"m\"") + &row("name = \"M\"");
    assert_eq!(
        errors(&twice),
        "5:1: M: already has a price since line 1, expected one row, or a `valid_from` of its own for each\n"
    );
    let alias = row("name = \"m\"") + &row("name = \"n\"\naliases = [\"m\"]");
    assert_eq!(errors(&alias), "7:12: n.aliases: `m` already has a price since line 1, expected a name of its own\n");
    let earlier = row("name = \"n\"\naliases = [\"m\"]") + &row("name = \"m\"");
    assert_eq!(errors(&earlier), "3:12: n.aliases: `m` already has a price since line 6, expected a name of its own\n");
    let elsewhere = row("name = \"m\"")
        + &row("name = \"m\"\nprovider = \"p\"")
        + &row("name = \"n\"\nprovider = \"q\"\naliases = [\"m\"]");
    assert_eq!(book(&elsewhere).iter().count(), 3);
    let same_day =
        row("name = \"m\"\nvalid_from = 2026-12-01") + &row("name = \"m\"\nvalid_from = \"2026-12-01T00:00:00Z\"");
    assert!(errors(&same_day).starts_with("6:1: m: already has a price since line 1"));
}

#[test]
fn numbers_may_be_written_in_any_way_that_is_exact() {
    for number in ["2.5", "\"2.5\"", "2.50", "25e-1", "+2.5", "\"2.500000000000\"", "0.25e1", "\" 2.5 \""] {
        let book = with(&format!("input = {number}\noutput = 0\n"));
        assert_eq!(super::only(&book).rates_usd(0)[0], ("input", "2.5".to_owned()), "{number}");
    }
    for number in ["2_500.5", "1_000"] {
        with(&format!("input = {number}\noutput = 0\n"));
    }
}

#[test]
fn a_half_saved_file_is_an_error_with_its_place() {
    let whole = "[[model]]\nname = \"gpt-4o\"\ninput = 2.5\noutput = 10\n";
    for end in 1..whole.len() - 1 {
        let cut = &whole[..end];
        if let Ok(book) = PriceBook::parse(cut) {
            // Cut within the last number: what is left of it is a number, too.
            assert!(cut.ends_with("output = 1"), "{cut:?}");
            assert_eq!(book.iter().count(), 1);
        }
    }
    let cut: usize = SEED.len() * 2 / 3;
    let cut = (0..cut).rev().find(|at| SEED[..*at].ends_with("input =")).unwrap();
    let errors = PriceBook::parse(&SEED[..cut]).unwrap_err();
    assert_eq!(errors[0].line, SEED[..cut].lines().count());
}

#[test]
fn an_empty_text_is_a_book_without_prices() {
    for text in ["", "\n", "# nothing yet\n", "\u{feff}", "model = []"] {
        assert!(book(text).is_empty(), "{text:?}");
    }
}

#[test]
fn no_text_panics() {
    // Every prefix of a text with everything in it, and single characters taken out or doubled.
    let text = "[[model]]\nname = \"é\"\naliases = [\"b\"]\ndated = true\nvalid_from = 2026-12-01\ninput = 1\noutput = \"2\"\n\
        tiers = [{ above_prompt_tokens = 9, input = 2 }]\nbatch = 0.5\nwindows = [{ time_zone = \"UTC\", multiplier = 2 }]\n";
    for (at, c) in text.char_indices() {
        let _ = PriceBook::parse(&text[..at]);
        let _ = PriceBook::parse(&format!("{}{}", &text[..at], &text[at + c.len_utf8()..]));
        let _ = PriceBook::parse(&format!("{}{c}{}", &text[..at], &text[at..]));
    }
}

#[test]
fn currencies_that_are_wrong_are_named() {
    let row = |currency: &str| format!("[[model]]\nname = \"m\"\ncurrency = {currency}\ninput = 1\noutput = 1\n");
    let with = |rates: &str, currency: &str| format!("[currency]\n{rates}\n{}", row(currency));
    for (text, expected) in [
        (
            row("\"CNY\""),
            "3:12: m.currency: `CNY` has no rate in [currency], expected one of USD, or a line as `CNY = ",
        ),
        (with("CNY = 0.1389", "\"CNX\""), "5:12: m.currency: `CNX` has no rate in [currency], did you mean `CNY`?"),
        (with("CNY = 0.1389", "\"cny\""), "5:12: m.currency: `cny` has no rate in [currency], did you mean `CNY`?"),
        (
            with("CNY = 0.1389", "1"),
            "5:12: m.currency: expected a currency with a rate in [currency], found an integer",
        ),
        (with("CNY = 0", "\"USD\""), "2:7: currency.CNY: `0` would make it free, expected USD for one unit"),
        (with("CNY = -1", "\"USD\""), "2:7: currency.CNY: `-1` is negative, expected USD for one unit"),
        (with("CNY = 0.0000000001", "\"USD\""), "2:7: currency.CNY: `0.0000000001` is more than 9 decimals"),
        (with("USD = 1", "\"USD\""), "2:1: currency.USD: USD is what the others are converted to"),
        (with("\"C-Y\" = 1", "\"USD\""), "2:1: currency.C-Y: expected at most 16 letters and digits"),
        (format!("currency = 1\n{}", row("\"USD\"")), "1:12: currency: expected a table `[currency]` of rates"),
        (
            with("BIG = 1000", "\"BIG\"").replace("input = 1", "input = 1000001"),
            "6:9: m.input: `1000001` is too large, expected BIG per million",
        ),
    ] {
        let said = errors(&text);
        assert!(said.starts_with(expected), "{said}\nexpected {expected}");
    }
    assert_eq!(book(&with("CNY = 0.1389", "\"USD\"")).iter().count(), 1);
}
