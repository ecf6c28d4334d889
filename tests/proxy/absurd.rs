//! Numbers that no honest provider reports, in every place of every wire where usage stands: never a credit, never more
//! than was held without a flag, and never the end of anything.

use crate::calls::{TOKENS, Wire, number, serving_keys};
use crate::support::gateway::Setup;
use crate::support::provider::Provider;
use crate::support::script::Answer;
use bytes::Bytes;

/// What stands where a count should.
const NUMBERS: [&str; 18] = [
    "-1",
    "-0",
    "-9223372036854775808",
    "1.5",
    "1e308",
    "-1e308",
    "1e9",
    "1000000000",
    "1000000001",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999999999999999999999",
    "\"12\"",
    "null",
    "true",
    "[{\"prompt_tokens\":1}]",
];

fn fields(wire: Wire) -> &'static [&'static str] {
    match wire {
        Wire::Chat => &["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens"],
        Wire::Responses => &["input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens"],
        Wire::Messages => &["input_tokens", "output_tokens"],
        Wire::GeminiEvents | Wire::GeminiArray => &["promptTokenCount", "candidatesTokenCount", "totalTokenCount"],
    }
}

/// The text with this number as the value of every field of that name.
fn with(text: &str, field: &str, number: &str) -> String {
    let name = format!("\"{field}\":");
    let mut parts = text.split(&name);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += &name;
        out += number;
        out += part.trim_start_matches(|character: char| character.is_ascii_digit());
    }
    out
}

/// Every case of a wire: whether a stream is asked for, what it is about, and the answer.
fn cases(wire: Wire) -> Vec<(bool, String, Answer)> {
    let mut cases = Vec::new();
    for field in fields(wire) {
        for number in NUMBERS {
            let about = |stream: bool| format!("{wire:?} {field} {number}, stream: {stream}");
            let document = with(&wire.document("Hello there.").to_string(), field, number);
            cases.push((false, about(false), Answer::new(200, "application/json", document)));
            let pieces = wire.pieces(&TOKENS).into_iter();
            let pieces = pieces.map(|piece| Bytes::from(with(&String::from_utf8_lossy(&piece), field, number)));
            cases.push((true, about(true), wire.stream_of(pieces.collect())));
        }
    }
    cases
}

#[test]
fn there_are_enough_of_them() {
    assert!(Wire::ALL.into_iter().map(|wire| cases(wire).len()).sum::<usize>() >= 200);
    assert_eq!(with("{\"a\":12,\"b\":{\"a\":3}}", "a", "-1"), "{\"a\":-1,\"b\":{\"a\":-1}}");
}

#[tokio::test]
async fn no_number_makes_a_credit_or_goes_unflagged_beyond_the_hold() {
    for done in Wire::ALL.map(|wire| tokio::spawn(each_number(wire))) {
        done.await.expect("no assertion fails");
    }
}

async fn each_number(wire: Wire) {
    let cases = cases(wire);
    let provider = Provider::sequence(cases.iter().map(|(_, _, answer)| answer.clone()).collect()).await;
    let setup = Setup::new([wire.upstream("u", &provider)]).set("routing.attempts_max", "1");
    // Believed to the last, a thousand million tokens cost 2,000 USD.
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "9000000"])]).await;
    for (stream, about, _) in &cases {
        let answer = gateway.send(&wire.request(*stream).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{about}: {}", answer.text());
    }
    let records = gateway.wait_records(cases.len()).await;
    let mut records = records.into_iter().map(|record| (record["request_id"].to_string(), record)).collect::<Vec<_>>();
    // Ids are made of the time: in this order they were sent.
    records.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut spent = 0;
    for ((_, about, _), (_, record)) in cases.iter().zip(&records) {
        let (cost, held) = (number(record, "cost_nanos"), number(record, "held_nanos"));
        assert!(held > 0 && cost > 0, "{about}: {record}");
        assert!(cost <= held || record["overshoot"] == true, "{about}: {record}");
        for field in ["input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"] {
            assert!((0..=1_000_000_000).contains(&number(record, field)), "{about}: {record}");
        }
        assert!(number(record, "cached_input_tokens") <= number(record, "input_tokens"), "{about}: {record}");
        let is_flagged = record["disbelieved"] == true || record["usage_source"] == "estimated";
        let is_count = about.contains(" 1000000000,")
            || about.contains(" 1e9,")
            || about.contains("null")
            || about.contains("total");
        let is_optional = about.contains("cached_tokens") || about.contains("reasoning_tokens");
        assert!(is_flagged || is_count || is_optional, "taken for a count: {about}: {record}");
        spent += cost;
    }
    assert_eq!(number(&gateway.key_row("k"), "spent_nanos"), spent);
    assert!(!gateway.said().contains("panicked"), "{}", gateway.said());
    gateway.finish(&[&key]).await;
}
