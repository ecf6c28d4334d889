//! Our own key in what an upstream says: it is masked in errors, however they are cut, while all else passes as it is and in
//! time.

use crate::calls::{Wire, serving, stepped};
use crate::support::answers::event;
use crate::support::client::{Answer as Got, Ended};
use crate::support::gateway::{Gateway, Key, PROVIDER_KEY, Setup};
use crate::support::provider::Provider;
use crate::support::script::{Answer, Break, Delimited, Steps};
use bytes::Bytes;
use serde_json::json;

/// An error that echoes our key, in the forms in which one comes in a stream: what says that it is one before the key, or behind it.
fn errors(wire: Wire) -> Vec<String> {
    let members = format!(r#""message":"No {PROVIDER_KEY}!","code":"x""#);
    let first = format!(r#"{{"error":{{{members}}}}}"#);
    let last = format!(r#"{{{members},"error":{{"message":"No"}}}}"#);
    match wire {
        Wire::GeminiArray => vec![format!("{first}]"), format!("{last}]")],
        Wire::Messages => vec![
            format!("event: error\ndata: {{\"type\":\"error\",\"error\":{{{members}}}}}\n\n"),
            format!("event: error\ndata: {{{members},\"type\":\"error\"}}\n\n"),
        ],
        _ => vec![
            format!("data: {first}\n\n"),
            format!("data: {last}\n\n"),
            format!("event: error\ndata: {{{members}}}\n\n"),
        ],
    }
}

/// A provider that answers so, one after the other, and a gateway that does not mind its errors.
async fn patient(wire: Wire, answers: Vec<Answer>) -> (Provider, Gateway, Key) {
    let provider = Provider::sequence(answers).await;
    let setup = Setup::new([wire.upstream("u", &provider)]).set("breaker.failures_to_open", "200");
    let (gateway, key) = serving(&setup).await;
    (provider, gateway, key)
}

fn stars(text: &str) -> String {
    text.replace(PROVIDER_KEY, &"*".repeat(PROVIDER_KEY.len()))
}

fn assert_masked(answer: &Got, sent: &str) {
    assert_eq!((answer.status, answer.ended), (200, Ended::Whole));
    assert_eq!(answer.text(), stars(sent));
}

/// Before our key, behind it, in its middle, and in the middle of what says that it is an error.
fn cuts(text: &str) -> Vec<usize> {
    let key = text.find(PROVIDER_KEY).expect("it has our key");
    let error = text.find("error").expect("it is one");
    let mut cuts = vec![key, key + PROVIDER_KEY.len() / 2, key + PROVIDER_KEY.len(), error + 2];
    cuts.sort_unstable();
    cuts
}

#[tokio::test]
async fn our_key_is_masked_in_an_error_event_that_comes_in_pieces() {
    for wire in Wire::ALL {
        let mut begun = wire.pieces(&["One", " two", " three"]);
        begun.truncate(wire.pieces_to_first_token() + 1);
        let separator = if wire == Wire::GeminiArray { "," } else { "" };
        let mut streams = Vec::new();
        for error in errors(wire) {
            let rest = format!("{separator}{error}");
            let begin = if wire == Wire::GeminiArray { "[" } else { "" };
            // In the middle of a stream, and where its first token should be.
            streams.push((begun.clone(), rest));
            streams.push((Vec::new(), format!("{begin}{error}")));
        }
        let answers: Vec<Answer> = streams
            .iter()
            .map(|(begun, rest)| {
                let ends = cuts(rest).into_iter().chain([rest.len()]);
                let mut from = 0;
                let parts =
                    ends.map(|end| Bytes::copy_from_slice(&rest.as_bytes()[std::mem::replace(&mut from, end)..end]));
                wire.stream_of(begun.iter().cloned().chain(parts).collect()).pieces_every_ms(20)
            })
            .collect();
        let (_provider, gateway, key) = patient(wire, answers).await;
        for (begun, rest) in &streams {
            let answer = gateway.send(&wire.request(true).key(&key.key)).await;
            let sent = [String::from_utf8(begun.concat()).expect("text"), rest.clone()].concat();
            assert_masked(&answer, &sent);
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn our_key_is_masked_in_an_error_that_comes_as_a_document_in_pieces() {
    let [blanks, error] = ["\n".repeat(300 * 1024), json!({"error": {"message": PROVIDER_KEY, "code": 1}}).to_string()];
    let documents = [error.clone(), format!("{blanks}{error}")];
    let answers: Vec<Answer> = documents
        .iter()
        .flat_map(|document| {
            cuts(document).into_iter().map(|cut| {
                let mut answer = Answer::new(200, "application/json", "").pieces_every_ms(20);
                let (one, other) = document.split_at(cut);
                answer.pieces = [one, other].map(|part| Bytes::copy_from_slice(part.as_bytes())).into();
                answer
            })
        })
        .collect();
    let count = answers.len();
    let (_provider, gateway, key) = patient(Wire::Chat, answers).await;
    for number in 0..count {
        let answer = gateway.send(&Wire::Chat.request(false).key(&key.key)).await;
        assert_masked(&answer, &documents[number * documents.len() / count]);
    }
    gateway.finish(&[&key]).await;
}

/// A stream of Responses' that ends in the middle of its last event, which has an `error` as all of them, and as no error.
fn deltas_and_half_an_end() -> (Bytes, Vec<Bytes>, Bytes) {
    let mut pieces = Wire::Responses.pieces(&["One"; 41]);
    pieces.pop();
    let end = json!({"type": "response.completed", "response": {"status": "completed", "error": null, "output": []}});
    let end = event(&end);
    (pieces[..2].concat().into(), pieces[2..].to_vec(), end.slice(..end.len() - 20))
}

#[tokio::test]
async fn complete_events_do_not_wait_for_one_that_may_be_an_error_nor_are_they_lost_with_it() {
    for how in [Break::Rst, Break::Fin] {
        let (begin, deltas, half) = deltas_and_half_an_end();
        let piece = Bytes::from([&deltas.concat()[..], &half].concat());
        let sent = [&begin[..], &piece].concat();
        let answer = Wire::Responses.stream_of(vec![begin.clone(), piece, "x".into()]).cut(sent.len(), how);
        let (answer, steps) = stepped(answer);
        let (_provider, gateway, key) = patient(Wire::Responses, vec![answer]).await;
        steps.go(1);
        let mut exchange = gateway.open(&Wire::Responses.request(true).key(&key.key)).await;
        exchange.until_bytes(begin.len()).await;
        steps.go(1);
        exchange.until_bytes(begin.len() + deltas.concat().len()).await;
        steps.go(1);
        let (answer, _) = exchange.rest().await;
        assert_eq!((answer.status, answer.ended), (200, Ended::Whole));
        assert!(answer.body().starts_with(&sent), "{}", answer.text());
        Wire::Responses.error_at_end(&answer.text());
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn nothing_is_lost_of_what_waits_when_a_stream_ends() {
    let ways: [fn(Answer, usize) -> Answer; 4] = [
        |answer, length| answer.cut(length, Break::Rst),
        |answer, length| answer.cut(length, Break::Fin),
        |answer, length| answer.delimited(Delimited::Length).cut(length, Break::Fin),
        |answer, _| answer,
    ];
    let whole = Wire::Chat.pieces(&["One", " two"]);
    let (steps, mut answers) = (Steps::new(), Vec::new());
    // The beginning of our key, and all of it: what waits for more, and for the end of its event, which never comes.
    for open in [&PROVIDER_KEY[..6], PROVIDER_KEY, "\"error\""] {
        for (begun, is_broken) in [(&whole[..], false), (&whole[..2], true)] {
            let sent = [begun, &[format!(": {open}").into()]].concat();
            let length = sent.concat().len();
            answers.extend(ways.map(|way| {
                // More than is sent, so that a length is a promise that is not kept.
                let answer = way(Wire::Chat.stream_of([&sent[..], &["x".into()]].concat()), length);
                let answer = if answer.cut.is_none() { Wire::Chat.stream_of(sent.clone()) } else { answer };
                (answer.stepped(&steps), sent.clone(), is_broken)
            }));
        }
    }
    let script: Vec<Answer> = answers.iter().map(|(answer, ..)| answer.clone()).collect();
    let (_provider, gateway, key) = patient(Wire::Chat, script).await;
    for (_, sent, is_broken) in &answers {
        let text = String::from_utf8(sent.concat()).expect("text");
        steps.go(sent.len());
        let mut exchange = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
        exchange.until_bytes(text.rfind(": ").expect("a comment")).await;
        steps.go(1);
        let (answer, _) = exchange.rest().await;
        assert_eq!(answer.ended, Ended::Whole);
        assert!(answer.text().starts_with(&stars(&text)), "{}", answer.text());
        assert_eq!(answer.text().contains("UPSTREAM_BROKE_OFF"), *is_broken, "{}", answer.text());
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_last_event_that_ends_with_the_body_passes_as_it_came() {
    let last = json!({"choices": [{"index": 0, "delta": {"content": PROVIDER_KEY}, "finish_reason": "stop"}]});
    let streams = ["", "\n", "\r\n"].map(|end| {
        let last = Bytes::from(format!("data: {last}{end}"));
        [&Wire::Chat.pieces(&["One"])[..1], &[last.slice(..30), last.slice(30..)]].concat()
    });
    let answers = streams.iter().map(|pieces| Wire::Chat.stream_of(pieces.clone()).pieces_every_ms(20)).collect();
    let (_provider, gateway, key) = patient(Wire::Chat, answers).await;
    for sent in &streams {
        let answer = gateway.send(&Wire::Chat.request(true).key(&key.key)).await;
        assert_eq!((answer.status, answer.ended), (200, Ended::Whole));
        assert_eq!(answer.text().as_bytes(), sent.concat(), "not masked: it is no error");
        assert_eq!(gateway.record_of(&answer).await["outcome"], "ok");
    }
    gateway.finish(&[&key]).await;
}
