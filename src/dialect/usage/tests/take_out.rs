//! Taking the usage chunk out of a stream.

use bytes::Bytes;
use proptest::prelude::*;

use super::{CHAT, COMPLETION, Case, MESSAGES, cut_up};

const USAGE: &str = r#""usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}"#;

fn asked(case: Case) -> Case {
    Case { take_out: true, ..case }
}

fn content(text: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}],\"usage\":null}}\n\n"
    )
}

fn usage_chunk() -> String {
    format!("data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[],{USAGE}}}\n\n")
}

const STOP: &str =
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// Asserts what comes out, at every cut, in single bytes, with every kind of line end.
fn comes_out(text: &str, wanted: &str) {
    for (from, to) in [("\n", "\n"), ("\n", "\r\n"), ("\n", "\r")] {
        let (text, wanted) = (text.replace(from, to), wanted.replace(from, to));
        let whole = asked(CHAT).scan([text.as_bytes()]);
        assert_eq!(String::from_utf8_lossy(&whole.1), wanted);
        for cut in 0..=text.len() {
            let (left, right) = text.as_bytes().split_at(cut);
            let (scanner, out) = asked(CHAT).scan([left, right]);
            assert_eq!(String::from_utf8_lossy(&out), wanted, "cut at {cut} of {text:?}");
            assert_eq!(super::said(&scanner), super::said(&whole.0), "cut at {cut} of {text:?}");
        }
        let (_, out) = asked(CHAT).scan(text.as_bytes().chunks(1));
        assert_eq!(String::from_utf8_lossy(&out), wanted, "byte by byte");
    }
}

#[test]
fn the_usage_chunk_goes_with_its_blank_line() {
    let (before, after) = (content("Hi") + STOP, DONE);
    comes_out(&(before.clone() + &usage_chunk() + after), &(before.clone() + after));
    comes_out(&(usage_chunk() + &before), &before);
    comes_out(&(before.clone() + &usage_chunk()), &before);
    let named = format!("id: 7\nevent: x\n{}", usage_chunk());
    comes_out(&(before.clone() + &named + after), &(before.clone() + after));
    let commented = format!(": ping\n{}: ping\n\n", usage_chunk());
    comes_out(&(before.clone() + &commented + after), &(before.clone() + ": ping\n: ping\n\n" + after));
    let spaced = usage_chunk().replace("\"choices\":[]", "\"choices\" : [ ]").replace("data: ", "data:");
    comes_out(&(before.clone() + &spaced + after), &(before.clone() + after));
    let null = usage_chunk().replace("\"choices\":[]", "\"choices\": null");
    comes_out(&(before.clone() + &null + after), &(before.clone() + after));
    let reversed = format!("data: {{{USAGE},\"choices\":[]}}\n\n");
    comes_out(&(before.clone() + &reversed + after), &(before.clone() + after));
    let in_lines = format!("data: {{\"choices\":[],\ndata: {USAGE}}}\n\n");
    comes_out(&(before.clone() + &in_lines + after), &(before + after));
}

#[test]
fn a_stream_that_ends_within_the_usage_chunk() {
    let text = content("Hi") + usage_chunk().trim_end();
    let (scanner, out) = asked(CHAT).scan([text.as_bytes()]);
    assert_eq!(out, content("Hi").as_bytes(), "it is complete but for its line end");
    assert!(scanner.metered().is_some());
    let cut = &text[..text.len() - 1];
    let (scanner, out) = asked(CHAT).scan([cut.as_bytes()]);
    assert_eq!(out, cut.as_bytes(), "it never became one");
    assert!(scanner.metered().is_none());
}

#[test]
fn everything_else_stays() {
    for kept in [
        "data: {\"id\":\"\",\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n".to_owned(),
        "data: {\"choices\":[],\"usage\":null}\n\n".to_owned(),
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"\"}},\"finish_reason\":\"stop\"}}],{USAGE}}}\n\n"
        ),
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{}}}}],{USAGE}}}\n\n"),
        format!("data: {{\"choices\":[{{}}],\"x_groq\":{{{USAGE}}}}}\n\n"),
        format!("data: {{\"choices\":[],\"x_groq\":{{{USAGE}}}}}\n\n"),
        format!("data: {{\"choices\":[],{USAGE},\"error\":{{\"message\":\"m\"}}}}\n\n"),
        format!("data: {{\"id\":\"no choices\",{USAGE}}}\n\n"),
        format!("data: {{\"choices\":{{}},{USAGE}}}\n\n"),
        content("\\\"choices\\\":[],\\\"usage\\\":{\\\"prompt_tokens\\\":1}"),
        "data: {\"nested\":{\"choices\":[],\"usage\":{\"prompt_tokens\":1}}}\n\n".to_owned(),
        "event: error\ndata: {\"error\":{\"message\":\"m\"}}\n\n".to_owned(),
        ": OPENROUTER PROCESSING\n\n".to_owned(),
        "retry: 5\n\n\n\n".to_owned(),
        "data: plain\n\n".to_owned(),
        "data: {\"choices\":[\n\n".to_owned(),
    ] {
        let text = content("Hi") + &kept + DONE;
        comes_out(&text, &text);
    }
}

#[test]
fn a_usage_object_of_any_kind_is_taken_out() {
    for usage in ["{}", "{\"prompt_tokens\":-1}", "{\"cost\":1}"] {
        let chunk = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
        comes_out(&(content("a") + &chunk + DONE), &(content("a") + DONE));
    }
}

#[test]
fn nothing_is_taken_out_where_it_was_not_asked_for() {
    let text = content("Hi") + STOP + &usage_chunk() + DONE;
    assert_eq!(CHAT.scan([text.as_bytes()]).1, text.as_bytes());
    assert_eq!(asked(MESSAGES).scan([text.as_bytes()]).1, text.as_bytes(), "no other dialect has such a chunk");
    let taken = text.replace(&usage_chunk(), "");
    assert_eq!(asked(COMPLETION).scan([text.as_bytes()]).1, taken.as_bytes());
}

#[test]
fn the_very_same_bytes_when_nothing_is_held() {
    let mut scanner = asked(CHAT).scanner();
    for _ in 0..3 {
        let piece = Bytes::from(content("Hi"));
        let out = scanner.push(piece.clone());
        assert_eq!((out.as_ptr(), out.len()), (piece.as_ptr(), piece.len()));
    }
}

#[test]
fn a_cut_event_waits_only_while_it_may_be_the_usage_chunk() {
    for (piece, waits) in [
        ("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",", true),
        ("data: {\"id\":\"c\",\"choices\":[", true),
        ("data: {\"id\":\"c\",\"choices\":[{", false),
        ("data: {\"id\":\"c\",\"choices\":[],\"us", true),
        ("data: {\"choices\" : [ {\"delta\"", false),
        ("data: [DO", false),
        ("event: message\n", true),
        ("event: error\ndata: {\"m", false),
        (": PROC", false),
        ("data: ok", false),
    ] {
        let mut scanner = asked(CHAT).scanner();
        let text = content("Hi") + piece;
        let out = scanner.push(Bytes::from(text.clone()));
        assert_eq!(text.len() - out.len(), if waits { piece.len() } else { 0 }, "{piece}");
    }
}

#[test]
fn what_is_held_is_bounded() {
    let mut scanner = asked(CHAT).scanner();
    let (mut sent, mut passed) = (0, 0);
    for _ in 0..100 {
        let piece = if sent == 0 { "data: {\"id\":\"".to_owned() } else { "x".repeat(1000) };
        sent += piece.len();
        passed += scanner.push(Bytes::from(piece)).len();
        assert!(sent - passed <= 17 * 1024, "{sent} - {passed}");
    }
    assert_eq!(passed, sent);
}

proptest! {
    #[test]
    fn any_cuts_of_any_mixture(
        events in prop::collection::vec(0usize..7, 1..8),
        cuts in prop::collection::vec(1usize..60, 1..60),
        ends in 0usize..3,
    ) {
        let kinds = [content("a"), usage_chunk(), STOP.to_owned(), ": c\n".to_owned(), "id: 1\n".to_owned(),
            content("\u{4e2d}"), format!("data: {{\"choices\":[],\ndata: {USAGE}}}\n\n")];
        let text: String = events.iter().map(|&kind| kinds[kind].as_str()).collect();
        let text = text.replace('\n', ["\n", "\r\n", "\r"][ends]);
        let (whole, out) = asked(CHAT).scan([text.as_bytes()]);
        let (cut, cut_out) = asked(CHAT).scan(cut_up(&text, &cuts));
        prop_assert_eq!(cut_out, out);
        prop_assert_eq!(super::said(&cut), super::said(&whole));
    }
}
