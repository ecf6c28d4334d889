//! S1 over HTTP/2: what HTTP/1 would read as something else never becomes HTTP/1 upstream.

use crate::flood::{Frames, flags, frame};
use crate::stage::{Stage, chat, said};

/// One header list, field by field, and the data frames behind it.
struct Case {
    name: &'static str,
    change: Change,
}

enum Change {
    /// This field more, behind the others.
    Add(&'static str, &'static str),
    /// This field before all others.
    First(&'static str, &'static str),
    /// The field of that name has this value.
    Set(&'static str, &'static str),
    /// The field of that name is not there.
    Drop(&'static str),
}

use Change::{Add, Drop, First, Set};

const fn case(name: &'static str, change: Change) -> Case {
    Case { name, change }
}

#[rustfmt::skip]
const REFUSED: [Case; 44] = [
    case("connection", Add("connection", "close")),
    case("connection that names", Add("connection", "content-length")),
    case("keep-alive", Add("keep-alive", "timeout=5")),
    case("proxy-connection", Add("proxy-connection", "keep-alive")),
    case("upgrade", Add("upgrade", "h2c")),
    case("transfer-encoding", Add("transfer-encoding", "chunked")),
    case("transfer-encoding, identity", Add("transfer-encoding", "identity")),
    case("te of more than trailers", Add("te", "chunked")),
    case("a name in capitals", Add("X-Capital", "1")),
    case("content-length in capitals", Add("Content-Length", "0")),
    case("a name with a space", Add("x y", "1")),
    case("a name with a colon", Add("x:y", "1")),
    case("a name with a line end", Add("x\r\nx-injected", "1")),
    case("a name with LF", Add("x\nx-injected", "1")),
    case("a name with NUL", Add("x\0", "1")),
    case("a name that is none", Add("", "1")),
    case("a value with CR LF", Add("x", "1\r\nx-injected: 1")),
    case("a value with CR", Add("x", "1\rx-injected: 1")),
    case("a value with LF", Add("x", "1\nx-injected: 1")),
    case("a value with NUL", Add("x", "1\0")),
    case("a value with a request", Add("x", "1\r\n\r\nGET / HTTP/1.1\r\n\r\n")),
    case("a length with a sign", Add("content-length", "+5")),
    case("a negative length", Add("content-length", "-5")),
    case("a length that is too short", Add("content-length", "5")),
    case("a length of nothing", Add("content-length", "0")),
    case("a length that is too long", Add("content-length", "5000")),
    case("a length in words", Add("content-length", "many")),
    case("two lengths in one", Add("content-length", "5, 6")),
    case("a path without a slash", Set(":path", "v1/chat/completions")),
    case("an empty path", Set(":path", "")),
    case("a path with a space", Set(":path", "/v1/chat/completions HTTP/1.1")),
    case("a path with a line end", Set(":path", "/v1/chat/completions HTTP/1.1\r\nx: y")),
    case("a path with NUL", Set(":path", "/v1/chat/completions\0")),
    case("an absolute path", Set(":path", "http://evil.example/v1/chat/completions")),
    case("a method with a space", Set(":method", "POST /x HTTP/1.1\r\nx: ")),
    case("no method", Drop(":method")),
    case("no path", Drop(":path")),
    case("no scheme", Drop(":scheme")),
    case("an authority with userinfo", Set(":authority", "a@evil.example")),
    case("an authority with a line end", Set(":authority", "a\r\nx: y")),
    case("another host than the authority", Add("host", "evil.example")),
    case("a pseudo-field behind others", Add(":path", "/v1/models")),
    case("an unknown pseudo-field", First(":custom", "1")),
    case("an answer's pseudo-field", First(":status", "200")),
];

#[rustfmt::skip]
const TAKEN: [Case; 8] = [
    case("as it should be", Add("x", "1")),
    case("te: trailers", Add("te", "trailers")),
    case("an underscore", Add("content_length", "0")),
    case("obs-text", Add("x", "\u{e4}")),
    case("the same host", Add("host", "gateway.test")),
    case("http as scheme", Set(":scheme", "http")),
    case("a cookie in crumbs", Add("cookie", "a=b")),
    case("an empty value", Add("x", "")),
];

fn fields(change: &Change, key: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/chat/completions"),
        (":authority", "gateway.test"),
        ("content-type", "application/json"),
        ("authorization", key),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    match change {
        Add(name, value) => fields.push(((*name).to_owned(), (*value).to_owned())),
        First(name, value) => fields.insert(0, ((*name).to_owned(), (*value).to_owned())),
        Set(name, value) => {
            fields.iter_mut().filter(|(known, _)| known == name).for_each(|field| field.1 = (*value).to_owned())
        }
        Drop(name) => fields.retain(|(known, _)| known != name),
    }
    fields
}

#[tokio::test]
async fn no_http2_request_becomes_another_one_upstream() {
    let _alone = crate::alone().await;
    let (stage, recorder) = Stage::recorded().await;
    let bearer = format!("Bearer {}", stage.key.key);
    let (taken, refused) = (TAKEN.iter().map(|case| (case, true)), REFUSED.iter().map(|case| (case, false)));
    let mut wrong = Vec::new();
    for (number, (case, is_taken)) in taken.chain(refused).enumerate() {
        let says = format!("case-{number:04}");
        let before = stage.provider.received().len();
        let mut frames = Frames::open(stage.gateway.address).await;
        frames.send(&frame(1, flags::END_HEADERS, 1, &crate::flood::block(&fields(&case.change, &bearer)))).await;
        frames.send(&frame(0, flags::END_STREAM, 1, chat(&says).as_bytes())).await;
        let status = frames.status_of(1).await;
        let arrived: Vec<_> = stage.provider.received()[before..].iter().map(|request| said(&request.body)).collect();
        let is_right = if is_taken {
            status == Some(200) && arrived == [Some(says)]
        } else {
            status.is_none_or(|status| (400..500).contains(&status)) && arrived.is_empty()
        };
        if !is_right {
            wrong.push(format!("{}: {status:?}, {arrived:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let received = stage.provider.received();
    for request in &received {
        assert!(request.fields.iter().all(|(name, _)| !name.contains('_') && name != "te"), "{request:?}");
    }
    recorder.assert_others_read(&received).await;
    stage.finish().await;
}
