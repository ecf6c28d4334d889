//! Changing a price in the text.

use super::book;
use crate::price::{SEED, set_price};

const TEXT: &str = r#"# our prices
[[model]]
name = "a"          # the first
aliases = ["old", "A-1"]
context_tokens = 1000
input = 2.5         # since May
cached_input = 1    # too
output = 10

[[model]]
name = "b"
provider = "azure"
input = 1
output = 1

# the end
"#;

#[test]
fn a_row_is_changed_where_it_stands() {
    let edit = set_price(TEXT, None, "A", None, &[("input", "3.50"), ("output", "1e1"), ("reasoning", "12")]).unwrap();
    let expected = TEXT
        .replace("input = 2.5         # since May", "input = 3.5         # since May")
        .replace("output = 10\n", "output = 10\nreasoning = 12\n");
    assert_eq!(edit.text, expected);
    assert!(!edit.created);
    assert_eq!(edit.kept, ["cached_input"]);
}

#[test]
fn a_new_row_is_put_at_the_end() {
    let edit = set_price(TEXT, None, "c \"d\"", None, &[("input", "0.15"), ("output", "0.6")]).unwrap();
    assert_eq!(edit.text, format!("{TEXT}\n[[model]]\nname = 'c \"d\"'\ninput = 0.15\noutput = 0.6\n"));
    assert!(edit.created && edit.kept.is_empty());
    for (text, expected) in [
        ("", "[[model]]\nname = \"m\"\ninput = 1\noutput = 2\n"),
        ("# x", "# x\n\n[[model]]\nname = \"m\"\ninput = 1\noutput = 2\n"),
        ("# x\r\n", "# x\r\n\r\n[[model]]\r\nname = \"m\"\r\ninput = 1\r\noutput = 2\r\n"),
    ] {
        assert_eq!(set_price(text, None, "m", None, &[("input", "1"), ("output", "2")]).unwrap().text, expected);
    }
}

#[test]
fn the_row_of_a_provider_is_another_row() {
    let edit = set_price(TEXT, Some("azure"), "b", None, &[("input", "2")]).unwrap();
    assert_eq!(edit.text, TEXT.replace("input = 1\n", "input = 2\n"));
    let edit = set_price(TEXT, None, "b", None, &[("input", "2"), ("output", "3")]).unwrap();
    assert!(edit.created && edit.text.ends_with("[[model]]\nname = \"b\"\ninput = 2\noutput = 3\n"));
    let edit = set_price(TEXT, Some("azure"), "a", None, &[("input", "2"), ("output", "3")]).unwrap();
    assert!(
        edit.text.contains("name = \"a\"\nprovider = \"azure\"\ncontext_tokens = 1000\ninput = 2"),
        "{}",
        edit.text
    );
}

#[test]
fn fees_are_set_one_by_one() {
    let set = |text: &str, fees: &[(&str, &str)]| {
        let prices = [&[("input", "0"), ("output", "0")], fees].concat();
        set_price(text, None, "m", None, &prices)
    };
    let row = "[[model]]\nname = \"m\"\ninput = 0\noutput = 0\n";
    let edit = set("", &[("fees.image", "0.04"), ("fees.image_hd", "0.080")]).unwrap();
    assert_eq!(edit.text, format!("{row}fees = {{ image = 0.04, image_hd = 0.08 }}\n"));
    let edit = set(&edit.text, &[("fees.image_low", "0.02"), ("fees.image", "0.05"), ("per_request", "1")]).unwrap();
    let fees = "fees = { image = 0.05, image_hd = 0.08, image_low = 0.02 }";
    assert_eq!(edit.text, format!("{row}{fees}\nper_request = 1\n"));
    let table = format!("{row}[model.fees]\nimage = 0.04 # each\n");
    let edit = set(&table, &[("fees.image_hd", "0.08")]).unwrap();
    assert_eq!(edit.text, format!("{table}image_hd = 0.08\n"), "lines stay lines, and comments");
    for wrong in ["fees.Image", "fees.", "fees.a b", "fees"] {
        assert!(set("", &[(wrong, "1")]).is_err(), "{wrong}");
    }
}

#[test]
fn line_ends_stay_as_they_are() {
    let text = TEXT.replace('\n', "\r\n");
    let edit = set_price(&text, None, "a", None, &[("input", "3")]).unwrap();
    assert_eq!(edit.text, text.replace("input = 2.5", "input = 3"));
    let edit = set_price(&text, None, "new", None, &[("input", "3"), ("output", "3")]).unwrap();
    assert!(!edit.text.replace("\r\n", "").contains(['\r', '\n']), "{:?}", edit.text);
}

#[test]
fn an_alias_is_not_taken_out_of_its_row() {
    for (alias, expected) in
        [("old", "`old` is an alias of `a`"), ("a-1", "set the price of `a`"), ("OLD", "of its own")]
    {
        let error = set_price(TEXT, None, alias, None, &[("input", "7"), ("output", "8")]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    // At a provider it has no row yet, and the other one stays as it is.
    let edit = set_price(TEXT, Some("azure"), "old", None, &[("input", "7"), ("output", "8")]).unwrap();
    assert!(edit.created && edit.text.starts_with(TEXT), "{}", edit.text);
    assert_eq!(
        book(&edit.text).find("azure", "old", "").unwrap().limits(0).context_tokens,
        Some(1000),
        "limits go with the name"
    );
}

#[test]
fn what_cannot_be_done_is_said() {
    let two = "[[model]]\nname = \"m\"\ninput = 1\noutput = 1\n[[model]]\nname = \"m\"\nvalid_from = 2027-01-01\ninput = 2\noutput = 2\n";
    for (text, model, prices, expected) in [
        (TEXT, "new", &[("input", "1")][..], "`new` has no row yet: `output` is needed"),
        (TEXT, "a", &[("input", "-1")], "input: `-1` is negative"),
        (TEXT, "a", &[("input", "1.0000000001")], "input: `1.0000000001` is more than 9 decimals"),
        (TEXT, "a", &[("price", "1")], "`price` is not a price"),
        (TEXT, " ", &[("input", "1"), ("output", "1")], "the result would not parse: "),
        (two, "m", &[("input", "1")], "`m` has 2 rows with different `valid_from`"),
        ("[[model]]\nname = 1\ninput = 1\noutput = 1", "m", &[("input", "1")], "the price book does not parse: 2:8: "),
        ("model = [{ name = \"m\", input = 1, output = 1 }]", "m", &[("input", "2")], "the models are in one array"),
    ] {
        let error = set_price(text, None, model, None, prices).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn the_seed_can_be_changed() {
    let edit = set_price(SEED, None, "gpt-4o", None, &[("input", "2"), ("output", "9")]).unwrap();
    let changed = SEED.lines().zip(edit.text.lines()).filter(|(before, after)| before != after).count();
    assert_eq!((changed, edit.created), (2, false));
    assert_eq!(SEED.lines().count(), edit.text.lines().count());
    let edit = set_price(SEED, Some("qwen"), "new-model", None, &[("input", "2"), ("output", "9")]).unwrap();
    assert!(edit.text.starts_with(SEED), "only appended to");
}

#[test]
fn amounts_are_in_the_rows_own_currency() {
    let text = "[currency]\nCNY = 0.1389\n\n[[model]]\nname = \"m\"\ncurrency = \"CNY\" # list price\ninput = 2 # yuan\noutput = 8\n";
    let error = set_price(text, None, "m", None, &[("input", "3")]).unwrap_err();
    assert!(error.starts_with("the row of `m` is in CNY, expected amounts in CNY"), "{error}");
    let edit = set_price(text, None, "m", Some("CNY"), &[("input", "3")]).unwrap();
    assert_eq!(edit.text, text.replace("input = 2 #", "input = 3 #"));
    let edit = set_price(text, None, "new", Some("CNY"), &[("input", "3"), ("output", "4")]).unwrap();
    assert!(
        edit.text.ends_with("[[model]]\nname = \"new\"\ncurrency = \"CNY\"\ninput = 3\noutput = 4\n"),
        "{}",
        edit.text
    );
    let error = set_price(text, None, "new", Some("CNX"), &[("input", "3"), ("output", "4")]).unwrap_err();
    assert!(error.contains("`CNX` has no rate in [currency], did you mean `CNY`?"), "{error}");
    assert!(set_price(TEXT, None, "a", Some("CNY"), &[("input", "3")]).unwrap_err().contains("is in USD"));
}
