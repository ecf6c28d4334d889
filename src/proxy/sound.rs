//! What the head of a request must be, beyond what the HTTP server asks of it: one reading only, whoever stands before or
//! behind us. A server that guesses where a request ends answers one client with another's answer.

use super::http1::connection_options;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Method, Version};
use memchr::memchr_iter;
use pingora::Error;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use tollgate_plugin_api::{Reject, RejectCode};

/// A head is no larger: the target, and the fields with what separates them on the wire. (A body has a limit in the
/// configuration; heads are all of a size.)
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// A head has no more fields.
const HEAD_FIELDS_MAX: usize = 100;
/// No longer target is read: with a host, such a head has more bytes than may be.
const TARGET_BYTES_READ_MAX: usize = u16::MAX as usize - 1;
/// `Connection` names no more options.
const NOMINATIONS_MAX: usize = 9;
/// A length has no more digits: it is a number of bytes.
const LENGTH_DIGITS_MAX: usize = 18;

/// Whether the head can be read in one way only.
///
/// # Errors
/// `INVALID_REQUEST`, which names what is wrong; `REQUEST_TOO_LARGE`.
pub(super) fn check(session: &ServerSession) -> Result<(), Reject> {
    let request = session.req_header();
    check_size(request)?;
    // What was taken out of the fields for its contradiction stands in the bytes still.
    let raw = session.as_http1().map(|session| session.get_headers_raw_bytes());
    let wrong = raw.and_then(|raw| wrong_on_the_wire(&raw)).or_else(|| wrong_in_fields(request));
    wrong.map_or(Ok(()), |wrong| Err(refusal(wrong)))
}

/// A head that is not what it must be.
pub(super) fn refusal(wrong: &str) -> Reject {
    Reject::new(RejectCode::InvalidRequest).message(format!("The head of the request: {wrong}"))
}

/// The refusal of a head that the HTTP server could not read, by what that says of it. It has limits of its own, all of them above
/// ours.
pub(super) fn unread(error: &Error) -> Reject {
    let cause = error.cause.as_ref().map(ToString::to_string).unwrap_or_default();
    let context = error.context.as_ref().map_or("", |context| context.as_str());
    let is_long_target =
        context.strip_prefix("invalid uri ").is_some_and(|target| target.len() > TARGET_BYTES_READ_MAX);
    match cause.as_str() {
        "too many headers" => too_many_fields(),
        _ if is_long_target || context.starts_with("Request header larger than ") => too_many_bytes(),
        _ => refusal("it is no HTTP"),
    }
}

fn too_large(limit: &str) -> Reject {
    Reject::new(RejectCode::RequestTooLarge).message(format!("The head of the request has more than {limit}"))
}

fn too_many_fields() -> Reject {
    too_large(&format!("{HEAD_FIELDS_MAX} fields"))
}

fn too_many_bytes() -> Reject {
    too_large(&format!("{HEAD_BYTES_MAX} bytes"))
}

fn check_size(request: &RequestHeader) -> Result<(), Reject> {
    let headers = &request.headers;
    if headers.len() > HEAD_FIELDS_MAX {
        return Err(too_many_fields());
    }
    let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
    // `: ` and the line's end.
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if target + fields > HEAD_BYTES_MAX { Err(too_many_bytes()) } else { Ok(()) }
}

/// What is wrong with the bytes of an HTTP/1 head, its last line's end included.
fn wrong_on_the_wire(raw: &[u8]) -> Option<&'static str> {
    // An empty line that an old client put behind its last body.
    let head = raw.strip_prefix(b"\r\n").unwrap_or(raw);
    let mut lines = lines(head).map(|line| line.strip_suffix(b"\r\n"));
    let Some(Some(request_line)) = lines.next() else { return Some("a line does not end in CR LF") };
    if let Some(wrong) = wrong_with_request_line(request_line) {
        return Some(wrong);
    }
    let (mut lengths, mut codings) = (0, 0);
    for line in lines {
        let Some(line) = line else { return Some("a line does not end in CR LF") };
        // Without a way out at the first, many bytes are looked at in one step.
        let is_control = |byte: u8| ((byte < b' ') & (byte != b'\t')) | (byte == 127);
        if line.iter().fold(false, |any, &byte| any | is_control(byte)) {
            return Some("a control character in a field");
        }
        lengths += usize::from(is_named(line, b"content-length"));
        codings += usize::from(is_named(line, b"transfer-encoding"));
    }
    (lengths + codings > 1).then_some("the body's length is said more than once")
}

/// The lines with their ends; what follows the last end is one, too.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    let ends = memchr_iter(b'\n', head).map(|at| at + 1).chain((!head.ends_with(b"\n")).then_some(head.len()));
    ends.map(move |end| &head[std::mem::replace(&mut from, end)..end])
}

/// Whether a field's line begins with this name, and with nothing more before its colon.
fn is_named(line: &[u8], name: &[u8]) -> bool {
    line.get(name.len()).is_none_or(|&byte| byte == b':')
        && line.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
}

fn wrong_with_request_line(line: &[u8]) -> Option<&'static str> {
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, _version) = (words.next()?, words.next(), words.next());
    let visible = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
    if words.next().is_some() || !visible(method) || !target.is_some_and(visible) {
        return Some("the request line is not a method, a target and a version");
    }
    target.is_some_and(|target| target.contains(&b'#')).then_some("a fragment in the target")
}

/// What is wrong with a head's fields, of any version.
fn wrong_in_fields(request: &RequestHeader) -> Option<&'static str> {
    let headers = &request.headers;
    if request.method == Method::CONNECT {
        return Some("CONNECT is not supported");
    }
    if request.version == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
        return Some("there must be one host");
    }
    let is_length =
        |value: &[u8]| (1..=LENGTH_DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    if !at_most_one(headers, &CONTENT_LENGTH, is_length) {
        return Some("`content-length` is no number of bytes");
    }
    if !at_most_one(headers, &TRANSFER_ENCODING, |value| value.eq_ignore_ascii_case(b"chunked")) {
        return Some("`transfer-encoding` must be `chunked`");
    }
    if !at_most_one(headers, &EXPECT, |value| value.eq_ignore_ascii_case(b"100-continue")) {
        return Some("`expect` must be `100-continue`");
    }
    None
}

fn at_most_one(headers: &HeaderMap, name: &HeaderName, is_sound: impl Fn(&[u8]) -> bool) -> bool {
    let mut values = headers.get_all(name).iter();
    values.next().is_none_or(|value| is_sound(value.as_bytes())) && values.next().is_none()
}

/// `Connection` may name fields, which then end here; some of them no client may end.
///
/// # Errors
/// `INVALID_REQUEST`.
pub(super) fn check_nominations(headers: &HeaderMap) -> Result<(), Reject> {
    for (count, name) in connection_options(headers).enumerate() {
        let name = HeaderName::from_bytes(name).ok().filter(|_| count < NOMINATIONS_MAX);
        if name.is_none_or(|name| name == HOST || name.as_str().starts_with("x-forwarded-")) {
            return Err(Reject::new(RejectCode::InvalidRequest)
                .message("The `Connection` field names too many fields, or one that it must not name"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::wrong_on_the_wire;

    #[test]
    fn bytes_that_two_servers_could_read_differently_are_refused() {
        let sound: [&[u8]; 3] = [
            b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            b"\r\nGET /?a=%20 HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n",
            b"POST / HTTP/1.1\r\nx: \xe4\tb\r\ntransfer-encoding: chunked\r\n\r\n",
        ];
        for head in sound {
            assert_eq!(wrong_on_the_wire(head), None, "{}", head.escape_ascii());
        }
        let unsound: [&[u8]; 11] = [
            b"",
            b"GET / HTTP/1.1\nhost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\rx: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\0\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET /a b HTTP/1.1\r\n\r\n",
            b"GET /\xe4 HTTP/1.1\r\n\r\n",
            b"GET /#a HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\ncontent-length: 1\r\nContent-Length: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\ncontent-length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ];
        for head in unsound {
            assert!(wrong_on_the_wire(head).is_some(), "{}", head.escape_ascii());
        }
    }
}
