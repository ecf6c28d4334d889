//! S1: no request is two, and nobody gets another's answer, whatever a client writes on an HTTP/1.1 connection.

use crate::corpus::{Case, Expected, POISON, SAYS, Writer};
use crate::stage::{Stage, chat, repeated, said};
use crate::support::client::{Answer, Client};
use crate::support::gateway::Setup;
use crate::support::provider::Received;
use crate::support::script;
use crate::support::wire::Framing;
use std::time::Duration;

/// The gate of this promise.
const CASES_MIN: usize = 400;
/// A case that is waited for longer is not answered.
const CASE_TIME_MAX: Duration = Duration::from_secs(15);

#[tokio::test]
async fn no_request_is_two_and_no_answer_is_anothers() {
    let _alone = crate::alone().await;
    let (stage, recorder) = Stage::recorded().await;
    let cases = Writer { key: &stage.key.key }.cases();
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let played = tokio::time::timeout(CASE_TIME_MAX, play(&stage, number, case)).await;
        if let Err(what) = played.unwrap_or_else(|_| Err("no answer".to_owned())) {
            wrong.push(format!("{} ({:?}): {what}", case.name, case.expected));
        }
    }
    eprintln!("{} cases, {} wrong", cases.len(), wrong.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let refused = cases.iter().filter(|case| case.expected == Expected::Refused).count() as u64;
    let counted = stage.gateway.metric("tollgate_rejected_total", &[]).await as u64;
    assert!(counted >= refused, "{counted} of {refused} refusals are counted");
    let received = stage.provider.received();
    received.iter().for_each(assert_clean);
    recorder.assert_others_read(&received).await;
    stage.finish().await;
}

#[tokio::test]
async fn a_refused_head_is_told_in_the_callers_dialect_counted_and_logged_once() {
    let _alone = crate::alone().await;
    let access = |setup: Setup| {
        let setup = setup.set("plugins.access-log.output", "\"file\"");
        setup.set("plugins.access-log.path", "\"access.log\"")
    };
    let stage = Stage::new(|_, _| script::Answer::new(200, "text/plain", ""), access).await;
    let heads = [
        ("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", "code"),
        ("POST /v1/messages HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "type"),
        ("POST /v1/messages HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n", "type"),
        ("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nexpect: more\r\n\r\n", "code"),
        ("POST /v1beta/models/m:generateContent HTTP/1.1\r\nhost: a\nx: y\r\n\r\n", "status"),
        ("no HTTP at all\r\n\r\n", "code"),
    ];
    let before = stage.gateway.metric("tollgate_rejected_total", &["INVALID_REQUEST"]).await as u64;
    for (head, shape) in heads {
        let mut client = Client::connect(stage.gateway.address).await.expect("the gateway listens");
        client.write(head.as_bytes()).await.expect("an open connection");
        let answer = client.receive().await;
        assert_eq!((answer.status, answer.field("connection")), (400, Some("close")), "{head:?}");
        assert!(answer.json()["error"][shape].is_string(), "{head:?}: {}", answer.text());
    }
    let counted = stage.gateway.metric("tollgate_rejected_total", &["INVALID_REQUEST"]).await as u64 - before;
    assert_eq!(counted, heads.len() as u64);
    let lines = || {
        let log = stage.gateway.read("access.log");
        log.lines().filter(|line| line.contains("INVALID_REQUEST")).count()
    };
    // What is no HTTP has no method and no path to log.
    crate::support::until("the access log", || (lines() >= heads.len() - 1).then_some(())).await;
    assert_eq!(lines(), heads.len() - 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_told_so_however_much_too_large_it_is() {
    let _alone = crate::alone().await;
    let stage = Stage::repeating().await;
    let before = stage.gateway.metric("tollgate_rejected_total", &["REQUEST_TOO_LARGE"]).await as u64;
    let field = |bytes: usize| format!("x: {}\r\n", "y".repeat(bytes));
    let heads = [
        ("GET /v1/models HTTP/1.1\r\n".to_owned(), field(1).repeat(101), "100 fields"),
        ("GET /v1/models HTTP/1.1\r\n".to_owned(), field(1).repeat(300), "100 fields"),
        ("GET /v1/models HTTP/1.1\r\n".to_owned(), field(70_000), "65536 bytes"),
        ("GET /v1/models HTTP/1.1\r\n".to_owned(), field(20_000).repeat(60), "65536 bytes"),
        (format!("GET /v1/models?{} HTTP/1.1\r\n", "y".repeat(60_000)), field(6_000), "65536 bytes"),
        (format!("GET /v1/models?{} HTTP/1.1\r\n", "y".repeat(70_000)), String::new(), "65536 bytes"),
    ];
    for (line, fields, limit) in &heads {
        let mut client = Client::connect(stage.gateway.address).await.expect("the gateway listens");
        // It may be refused before all of it is sent.
        let _ = client.write(format!("{line}host: a\r\n{fields}\r\n").as_bytes()).await;
        let answer = client.receive().await;
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (413, "REQUEST_TOO_LARGE"),
            "{limit}: {}",
            answer.text()
        );
        assert!(answer.text().contains(limit), "{limit}: {}", answer.text());
    }
    let counted = stage.gateway.metric("tollgate_rejected_total", &["REQUEST_TOO_LARGE"]).await as u64 - before;
    assert_eq!(counted, heads.len() as u64);
    stage.finish().await;
}

/// What goes upstream has one length and nothing of the client's way to say it.
fn assert_clean(request: &Received) {
    let count = |name: &str| request.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count();
    assert_eq!((count("content-length"), count("transfer-encoding"), count("host")), (1, 0, 1), "{request:?}");
    assert_eq!(request.framing, Framing::Length(request.body_bytes), "{request:?}");
    for (name, value) in &request.fields {
        assert!(!name.contains('_') && !name.chars().any(char::is_whitespace), "{name:?}");
        assert!(!value.chars().any(|c| c.is_control() && c != '\t'), "{name}: {value:?}");
    }
}

async fn play(stage: &Stage, number: usize, case: &Case) -> Result<(), String> {
    let (says, follows) = (format!("case-{number:04}"), format!("next-{number:04}"));
    let bytes = replaced(&case.bytes, SAYS, &says);
    let mut client = Client::connect(stage.gateway.address).await.expect("the gateway listens");
    let before = stage.provider.received().len();
    client.write(&bytes).await.map_err(|error| error.to_string())?;
    if case.expected == Expected::Cut {
        client.half_close().await;
    }
    let (answer, client) = client.answered().await.rest().await;
    let next = follow(stage, client, &follows).await;
    let arrived: Vec<_> = stage.provider.received()[before..].iter().map(|request| said(&request.body)).collect();
    judge(case, &answer, &says)?;
    let mut expected = Vec::new();
    if case.expected == Expected::One {
        expected.push(Some(says));
    }
    if let Some(next) = &next {
        if case.expected == Expected::Refused {
            return Err(format!("the connection goes on: {} {}", next.status, next.text()));
        }
        if repeated(next).as_deref() != Some(&follows) {
            return Err(format!("the next request got {} {}", next.status, next.text()));
        }
        expected.push(Some(follows));
    }
    if arrived != expected || arrived.iter().flatten().any(|said| said == POISON) {
        return Err(format!("{arrived:?} arrived upstream ({} {})", answer.status, answer.text()));
    }
    Ok(())
}

fn judge(case: &Case, answer: &Answer, says: &str) -> Result<(), String> {
    let is_right = match case.expected {
        Expected::One => answer.status == 200 && repeated(answer).as_deref() == Some(says),
        Expected::Refused | Expected::Denied => (400..500).contains(&answer.status),
        Expected::Cut => answer.status == 0 || (400..500).contains(&answer.status),
    };
    if !is_right {
        return Err(format!("answered {} {}", answer.status, answer.text()));
    }
    let shaped = answer.status < 400 || serde_json::from_slice::<serde_json::Value>(&answer.body()).is_ok();
    if !shaped || (answer.status != 0 && answer.field("x-request-id").is_none()) {
        return Err(format!("not in our shape: {} {:?}", answer.status, answer.text()));
    }
    Ok(())
}

/// Another request on the same connection; `None`: it is closed.
async fn follow(stage: &Stage, mut client: Client, follows: &str) -> Option<Answer> {
    let writer = Writer { key: &stage.key.key };
    let body = chat(follows);
    client.write(&writer.with(format!("content-length: {}\r\n", body.len()), body)).await.ok()?;
    let answer = client.receive().await;
    (answer.status != 0).then_some(answer)
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(from.len() - 1) {
        if bytes[at..].starts_with(from.as_bytes()) {
            out[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    out
}
