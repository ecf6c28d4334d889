//! One call to the collector, and what it says of it: OTLP over HTTP as protobuf (opentelemetry.io/docs/specs/otlp).

use crate::addresses::Addresses;
use crate::export::Target;
use crate::protobuf::{Message, key};
use prost::Message as _;
use std::io::Read;
use std::time::Duration;
use tollgate_plugin_api::Batch;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;

/// Buffers of a call, made and emptied for each: the answer is short, and a call goes out in pieces of this size.
const ANSWER_BUFFER_BYTES: usize = 8 * 1024;
const CALL_BUFFER_BYTES: usize = 64 * 1024;
/// An answer is read up to here. One that is read to its end leaves a connection that serves the next call, too.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// Of a collector's own words this much is told.
const WORDS_MAX: usize = 200;

/// What came of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The collector has them.
    Taken,
    /// It has taken the call, and so many of its spans not, for this reason; if none, it has something to say about them.
    Partly { rejected: u64, why: String },
    /// Not now: the same call may succeed later, when this time has passed if the collector says one (in seconds: a date is
    /// not read).
    Again { why: String, after: Option<Duration> },
    /// Not ever.
    Refused(String),
}

/// `ExportTraceServiceResponse` (opentelemetry-proto's trace_service.proto).
#[derive(prost::Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`.
#[derive(prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// Where calls are made from: keeps the connection.
pub(crate) struct Caller {
    target: Target,
    agent: ureq::Agent,
    /// The agent's.
    addresses: Addresses,
}

impl Caller {
    /// No connection is made before the first call.
    pub(crate) fn new(target: Target) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(target.timeout))
            .http_status_as_error(false)
            // The fields that the operator gives for the collector go nowhere else.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .input_buffer_size(ANSWER_BUFFER_BYTES)
            .output_buffer_size(CALL_BUFFER_BYTES);
        let addresses = Addresses::of(DefaultResolver::default());
        let agent = ureq::Agent::with_parts(config.build(), DefaultConnector::default(), addresses.clone());
        Self { target, agent, addresses }
    }

    /// Sends spans, each a member of its scope's list.
    pub(crate) fn call(&self, spans: &Batch) -> Outcome {
        let head = head(&self.target.service_name, spans.bytes());
        let mut request = self.agent.post(&self.target.url).header("content-type", "application/x-protobuf");
        for (name, value) in &self.target.headers {
            request = request.header(name, value);
        }
        // The body is sent as it lies, in its parts.
        let mut body = head.chain(spans.reader());
        let request = request.header("content-length", head.len() + spans.bytes());
        match request.send(ureq::SendBody::from_reader(&mut body)) {
            Ok(response) => answered(response),
            Err(error) => {
                self.addresses.forget();
                Outcome::Again { why: error.to_string(), after: None }
            }
        }
    }
}

fn answered(response: http::Response<ureq::Body>) -> Outcome {
    let status = response.status();
    let field = response.headers().get(http::header::RETRY_AFTER);
    let after = field.and_then(|value| value.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
    // What is too long, or breaks off, has nothing to tell.
    let body = response.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec().unwrap_or_default();
    let why = || format!("the collector answers with status {}", status.as_u16());
    match status.as_u16() {
        200..300 => taken(&body),
        // The specification's list of those that may be tried again.
        429 | 502..=504 => Outcome::Again { why: why(), after },
        _ => Outcome::Refused(why()),
    }
}

/// What stands in the answer to a call that was taken. (What is no such answer says nothing.)
fn taken(body: &[u8]) -> Outcome {
    let partial = Response::decode(body).ok().and_then(|response| response.partial_success).unwrap_or_default();
    let rejected = u64::try_from(partial.rejected_spans).unwrap_or(0);
    let words: String = partial.error_message.chars().filter(|char| !char.is_control()).take(WORDS_MAX).collect();
    match (rejected, words.is_empty()) {
        (0, true) => Outcome::Taken,
        (0, false) => Outcome::Partly { rejected, why: format!("the collector warns: {words:?}") },
        _ => Outcome::Partly { rejected, why: format!("the collector rejects them: {words:?}") },
    }
}

/// Fields of `ExportTraceServiceRequest`, `ResourceSpans`, `Resource`, `ScopeSpans` and `InstrumentationScope`.
mod field {
    pub(super) const RESOURCE_SPANS: u8 = 1;
    pub(super) const RESOURCE: u8 = 1;
    pub(super) const RESOURCE_ATTRIBUTES: u8 = 1;
    pub(super) const SCOPE_SPANS: u8 = 2;
    pub(super) const SCOPE: u8 = 1;
    pub(super) const SCOPE_NAME: u8 = 1;
    pub(super) const SCOPE_VERSION: u8 = 2;
}

/// What stands before the spans, which are the last members of all that they stand in.
fn head(service_name: &str, spans_bytes: usize) -> Vec<u8> {
    let mut scope = Vec::new();
    Message::behind(&mut scope).message(field::SCOPE, |scope| {
        scope.bytes(field::SCOPE_NAME, b"tollgate");
        scope.bytes(field::SCOPE_VERSION, env!("CARGO_PKG_VERSION").as_bytes());
    });
    let mut resource = Vec::new();
    let mut message = Message::behind(&mut resource);
    message.message(field::RESOURCE, |resource| {
        resource.text_attribute(field::RESOURCE_ATTRIBUTES, key!("service.name"), service_name);
    });
    message.begin(field::SCOPE_SPANS, scope.len() + spans_bytes);
    let mut head = Vec::new();
    Message::behind(&mut head).begin(field::RESOURCE_SPANS, resource.len() + scope.len() + spans_bytes);
    head.extend_from_slice(&resource);
    head.extend_from_slice(&scope);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    #[test]
    fn where_the_collector_is_stays_known_until_it_cannot_be_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let timeout = Duration::from_secs(60);
        let caller =
            Caller::new(Target { url, headers: Vec::new(), timeout, service_name: "t".to_owned(), captures: false });
        let collector = std::thread::spawn(move || {
            let mut connection = BufReader::new(listener.accept().unwrap().0);
            let (mut line, mut body_bytes) = (String::new(), 0);
            while connection.read_line(&mut line).unwrap() > 2 {
                let length = line.strip_prefix("content-length: ");
                body_bytes = length.map_or(body_bytes, |length| length.trim().parse().unwrap());
                line.clear();
            }
            connection.read_exact(&mut vec![0; body_bytes]).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            connection.get_mut().write_all(answer).unwrap();
        });
        assert_eq!(caller.call(&Batch::default()), Outcome::Taken);
        assert!(caller.addresses.are_known());
        collector.join().unwrap();
        assert!(matches!(caller.call(&Batch::default()), Outcome::Again { .. }), "nobody listens any more");
        assert!(!caller.addresses.are_known());
    }

    fn answer(rejected_spans: i64, error_message: &str) -> Vec<u8> {
        let partial = ExportTracePartialSuccess { rejected_spans, error_message: error_message.to_owned() };
        ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    }

    #[test]
    fn what_a_collector_rejects_is_read_from_its_answer_and_anything_else_is_not_taken_for_it() {
        let outcome = taken(&answer(3, "no\nroom"));
        assert_eq!(outcome, Outcome::Partly { rejected: 3, why: "the collector rejects them: \"noroom\"".to_owned() });
        let warning = Outcome::Partly { rejected: 0, why: "the collector warns: \"slow\"".to_owned() };
        assert_eq!(taken(&answer(0, "slow")), warning);
        // A number that cannot be, and what is no protobuf.
        for other in [answer(-1, ""), answer(0, ""), Vec::new(), b"{}".to_vec(), vec![0xff; 40]] {
            assert_eq!(taken(&other), Outcome::Taken, "{other:?}");
        }
    }
}
