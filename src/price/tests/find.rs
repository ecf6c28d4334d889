//! Looking a price up.

use super::{book, tokens};
use crate::price::PriceBook;

const SELLERS: &str = r#"
[[model]]
name = "gpt-x"
aliases = ["X-Latest", "x-2024-05-13"]
dated = true
input = 1
output = 1

[[model]]
name = "gpt-x"
provider = "azure"
input = 2
output = 2

[[model]]
name = "gpt-x-2024-05-13"
input = 5
output = 5

[[model]]
name = "plain"
input = 7
output = 7
"#;

fn dollars(book: &PriceBook, provider: &str, upstream: &str, client: &str) -> Option<i64> {
    let price = book.find(provider, upstream, client)?;
    Some(book.cost(Some(price), &tokens(1_000_000, 0), 0).nanos / 1_000_000_000)
}

#[test]
fn by_the_upstreams_name_then_by_the_clients() {
    let book = book(SELLERS);
    assert_eq!(dollars(&book, "openai", "gpt-x", "plain"), Some(1));
    assert_eq!(dollars(&book, "openai", "my-deployment", "plain"), Some(7));
    assert_eq!(dollars(&book, "openai", "plain", "gpt-x"), Some(7));
    assert_eq!(dollars(&book, "openai", "nothing", "known"), None);
    assert_eq!(dollars(&book, "openai", "", ""), None);
    assert!(PriceBook::empty().find("openai", "gpt-x", "gpt-x").is_none());
}

#[test]
fn the_providers_own_row_comes_first() {
    let book = book(SELLERS);
    assert_eq!(dollars(&book, "azure", "gpt-x", "gpt-x"), Some(2));
    assert_eq!(dollars(&book, "Azure", "GPT-X", "gpt-x"), Some(2));
    assert_eq!(dollars(&book, "azure", "x-latest", "plain"), Some(1));
    // But the upstream's name goes before the client's, whoever's row that is.
    assert_eq!(dollars(&book, "azure", "plain", "gpt-x"), Some(7));
}

#[test]
fn a_date_is_forgiven_where_the_row_says_so() {
    let book = book(SELLERS);
    let openai = |name| dollars(&book, "openai", name, "");
    for name in ["gpt-x-2026-01-31", "gpt-x-20260131", "gpt-x@20260131", "x-latest-20991231", "GPT-X-2026-01-31"] {
        assert_eq!(openai(name), Some(1), "{name}");
    }
    assert_eq!(openai("gpt-x-2024-05-13"), Some(5), "an exact row wins");
    let not_dates = [
        "gpt-x-2026-13-01",
        "gpt-x-2026-1-1",
        "gpt-x-2601",
        "gpt-x-mini",
        "gpt-x-20260132",
        "gpt-x-19990101",
        "gpt-x_20260131",
    ];
    for name in
        not_dates.into_iter().chain(["plain-20260131", "-20260131", "20260131", "gpt-x-", "gpt-x-２０２６-01-31"])
    {
        assert_eq!(openai(name), None, "{name}");
    }
    // Azure has a row of its own, which says nothing of dated names.
    assert_eq!(dollars(&book, "azure", "gpt-x-2026-01-31", ""), None);
}

#[test]
fn the_version_is_that_of_the_text() {
    assert_eq!(PriceBook::empty().version(), book("").version());
    assert_eq!(&**PriceBook::empty().version(), "e3b0c44298fc");
    assert_ne!(book("# a").version(), book("# b").version());
    assert_eq!(book(SELLERS).version(), book(SELLERS).version());
    assert!(book("# only a comment\n").is_empty());
}

/// Bedrock's ARNs: of models and of the inference profiles that Amazon has defined, which say the model, and of others.
#[test]
fn an_arn_has_the_price_of_the_model_that_it_says() {
    let book = book(
        r#"
[[model]]
name = "us.anthropic.claude-x-v1:0"
provider = "bedrock"
input = 3
output = 3

[[model]]
name = "anthropic.claude-x-v1:0"
provider = "bedrock"
input = 2
output = 2

[[model]]
name = "arn:aws:bedrock:eu-west-1:42:inference-profile/us.anthropic.claude-x-v1:0"
provider = "bedrock"
input = 9
output = 9

[[model]]
name = "abc123"
provider = "bedrock"
input = 8
output = 8
"#,
    );
    for (arn, expected) in [
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x-v1:0", Some(3)),
        ("ARN:aws:bedrock:us-east-1:123456789012:inference-profile/US.anthropic.Claude-X-v1:0", Some(3)),
        ("arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.claude-x-v1:0", Some(2)),
        ("arn:aws:bedrock:eu-west-1:42:inference-profile/us.anthropic.claude-x-v1:0", Some(9)),
        ("arn:aws:bedrock:us-east-1:42:inference-profile/eu.anthropic.claude-x-v1:0", None),
        ("arn:aws:bedrock:us-east-1:42:application-inference-profile/abc123", None),
        ("arn:aws:bedrock:us-east-1:42:provisioned-model/abc123", None),
        ("arn:aws:bedrock:us-east-1:42:inference-profile/", None),
        ("arn:aws:sagemaker:us-east-1:42:inference-profile/abc123", None),
        ("arn:aws:bedrock:inference-profile/abc123", None),
    ] {
        assert_eq!(dollars(&book, "bedrock", arn, ""), expected, "{arn}");
    }
    // A row for the name that clients use was there before ARNs were read: it stays what is charged.
    let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x-v1:0";
    assert_eq!(dollars(&book, "bedrock", arn, "abc123"), Some(8));
    // What the client calls it is still looked for.
    assert_eq!(
        dollars(&book, "bedrock", "arn:aws:bedrock:us-east-1:42:application-inference-profile/x", "abc123"),
        Some(8)
    );
}
