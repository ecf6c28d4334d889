//! Requests and answers of every wire format, so that a test can be written once for all of them.

use crate::support::answers;
use crate::support::client::{Answer as Got, Client, Ended, Request};
use crate::support::gateway::{Gateway, Key, Setup, Upstream};
use crate::support::provider::{Provider, Received};
use crate::support::script::{self, Steps};
use bytes::Bytes;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A wire format, and how its streams are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Chat,
    Responses,
    Messages,
    /// Gemini with `alt=sse`.
    GeminiEvents,
    /// Gemini without: one JSON array.
    GeminiArray,
}

/// Tokens of the answers below.
pub(crate) const INPUT: u64 = 10;
pub(crate) const OUTPUT: u64 = 5;
/// What they cost at the default prices.
pub(crate) const COST: i64 = 20_000;

impl Wire {
    pub(crate) const ALL: [Self; 5] =
        [Self::Chat, Self::Responses, Self::Messages, Self::GeminiEvents, Self::GeminiArray];

    pub(crate) fn dialect(self) -> &'static str {
        match self {
            Self::Chat => "openai",
            Self::Responses => "openai-responses",
            Self::Messages => "anthropic",
            Self::GeminiEvents | Self::GeminiArray => "gemini",
        }
    }

    /// A row of `providers.toml` that speaks it, and the path of its base URL.
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Chat | Self::Responses => ("openai", "/v1"),
            Self::Messages => ("anthropic", ""),
            Self::GeminiEvents | Self::GeminiArray => ("gemini", ""),
        }
    }

    pub(crate) fn row_name(self) -> &'static str {
        self.row().0
    }

    /// An upstream that serves `m` in it.
    pub(crate) fn upstream(self, name: &str, provider: &Provider) -> Upstream {
        let (row, path) = self.row();
        Upstream::new(name, row, provider.url(path))
    }

    /// An upstream that is nowhere.
    pub(crate) fn upstream_at(self, name: &str, address: SocketAddr) -> Upstream {
        let (row, path) = self.row();
        Upstream::new(name, row, format!("http://{address}{path}"))
    }

    pub(crate) fn target(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Self::Chat, _) => "/v1/chat/completions".to_owned(),
            (Self::Responses, _) => "/v1/responses".to_owned(),
            (Self::Messages, _) => "/v1/messages".to_owned(),
            (_, false) => format!("/v1beta/models/{model}:generateContent"),
            (Self::GeminiEvents, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            (Self::GeminiArray, true) => format!("/v1beta/models/{model}:streamGenerateContent"),
        }
    }

    /// A request's body. A chat asks for the usage chunk itself, so that its stream passes unchanged.
    pub(crate) fn body(self, model: &str, stream: bool) -> Value {
        let said = "Say something.";
        let mut body = match self {
            Self::Chat => json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": said}]}),
            Self::Responses => json!({"model": model, "max_output_tokens": 100, "input": said}),
            Self::Messages => {
                json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": said}]})
            }
            Self::GeminiEvents | Self::GeminiArray => {
                return json!({"contents": [{"role": "user", "parts": [{"text": said}]}],
                    "generationConfig": {"maxOutputTokens": 100}});
            }
        };
        if stream {
            body["stream"] = json!(true);
        }
        if stream && self == Self::Chat {
            body["stream_options"] = json!({"include_usage": true});
        }
        body
    }

    /// A request for the model `m`, without a credential.
    pub(crate) fn request(self, stream: bool) -> Request {
        self.request_for("m", stream)
    }

    pub(crate) fn request_for(self, model: &str, stream: bool) -> Request {
        Request::post(&self.target(model, stream), &self.body(model, stream))
    }

    /// The pieces of a stream with [`INPUT`] and [`OUTPUT`] tokens, one for each token of text.
    pub(crate) fn pieces(self, tokens: &[&str]) -> Vec<Bytes> {
        match self {
            Self::Chat => answers::chat_pieces(tokens, Some((INPUT, OUTPUT))),
            Self::Responses => answers::responses_pieces(tokens, INPUT, OUTPUT),
            Self::Messages => answers::message_pieces(tokens, INPUT, OUTPUT),
            Self::GeminiEvents => answers::gemini_pieces(tokens, INPUT),
            Self::GeminiArray => gemini_array(&gemini_values(tokens)),
        }
    }

    /// How many of these pieces are there when the first token is.
    pub(crate) fn pieces_to_first_token(self) -> usize {
        match self {
            Self::Chat | Self::Responses => 2,
            Self::Messages => 4,
            Self::GeminiEvents | Self::GeminiArray => 1,
        }
    }

    /// A stream as an answer.
    pub(crate) fn stream(self, tokens: &[&str]) -> script::Answer {
        self.stream_of(self.pieces(tokens))
    }

    /// These pieces as an answer.
    pub(crate) fn stream_of(self, pieces: Vec<Bytes>) -> script::Answer {
        let mut answer = script::Answer::stream(pieces);
        if self == Self::GeminiArray {
            answer.fields = vec![("content-type".to_owned(), "application/json; charset=UTF-8".to_owned())];
        }
        answer
    }

    /// One document with [`INPUT`] and [`OUTPUT`] tokens.
    pub(crate) fn document(self, text: &str) -> Value {
        match self {
            Self::Chat => answers::chat_body(text, INPUT, OUTPUT),
            Self::Responses => responses_body(text, INPUT, OUTPUT),
            Self::Messages => answers::message_body(text, INPUT, OUTPUT),
            Self::GeminiEvents | Self::GeminiArray => answers::gemini_body(text, INPUT, OUTPUT, true),
        }
    }

    /// The same as an answer.
    pub(crate) fn whole(self, text: &str) -> script::Answer {
        script::Answer::json(200, &self.document(text))
    }

    /// A whole answer to a request of either kind.
    pub(crate) fn answer(self, stream: bool) -> script::Answer {
        if stream { self.stream(&TOKENS) } else { self.whole("Hello there.") }
    }

    /// What this wire's streams end with when they are whole, if there is such a thing.
    pub(crate) fn terminal(self) -> Option<&'static str> {
        match self {
            Self::Chat => Some("data: [DONE]"),
            Self::Responses => Some("response.completed"),
            Self::Messages => Some("message_stop"),
            Self::GeminiEvents | Self::GeminiArray => None,
        }
    }

    /// The error in the last event of a stream that broke: it must be in this wire's shape, and the only one.
    pub(crate) fn error_at_end(self, body: &str) -> Value {
        let mut values = self.values(body);
        let last = values.pop().unwrap_or_else(|| panic!("{self:?}: no event at all in {body:?}"));
        for value in &values {
            let fine = value.get("error").is_none_or(Value::is_null) && value["type"] != "error";
            assert!(fine, "{self:?}: an error before the end of {body:?}");
        }
        let error = &last["error"];
        assert!(error["message"].is_string(), "{self:?}: no error at the end of {body:?}");
        match self {
            Self::Chat => assert!(error["type"].is_string() && error["code"].is_string(), "{last}"),
            Self::Responses => assert!(last["type"] == "error" && last["code"].is_string(), "{last}"),
            Self::Messages => assert!(last["type"] == "error" && error["type"].is_string(), "{last}"),
            Self::GeminiEvents | Self::GeminiArray => {
                assert!(error["code"].is_u64() && error["status"].is_string(), "{last}");
            }
        }
        last
    }

    /// Everything in a stream that its client would parse. Fails on what a client could not.
    pub(crate) fn values(self, body: &str) -> Vec<Value> {
        if self == Self::GeminiArray {
            let all: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body:?}"));
            return all.as_array().expect("an array").clone();
        }
        events(body)
            .into_iter()
            .filter(|(name, data)| data != "[DONE]" && !(name == "ping" && self == Self::Messages))
            .map(|(_, data)| serde_json::from_str(&data).unwrap_or_else(|e| panic!("{e}: {data:?} in {body:?}")))
            .collect()
    }
}

/// The text of most streams.
pub(crate) const TOKENS: [&str; 5] = ["Hello", " there", ",", " friend", "."];

/// Server-sent events as a browser reads them: name and data of each that has data.
pub(crate) fn events(body: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let (mut name, mut data) = (String::new(), Vec::new());
    for line in body.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                if !data.is_empty() {
                    out.push((std::mem::take(&mut name), std::mem::take(&mut data).join("\n")));
                }
                name.clear();
            }
            "event" => value.clone_into(&mut name),
            "data" => data.push(value.to_owned()),
            _ => {}
        }
    }
    assert!(data.is_empty(), "the last event is not ended: {body:?}");
    out
}

fn gemini_values(tokens: &[&str]) -> Vec<Value> {
    let last = tokens.len();
    let one = |(at, token): (usize, &&str)| answers::gemini_body(token, INPUT, at as u64 + 1, at + 1 == last);
    tokens.iter().enumerate().map(one).collect()
}

/// Values as Google streams them without `alt=sse`.
pub(crate) fn gemini_array(values: &[Value]) -> Vec<Bytes> {
    let mut pieces: Vec<Bytes> = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let before = if index == 0 { "[" } else { ",\r\n" };
        pieces.push(format!("{before}{value}\n").into());
    }
    pieces.push(Bytes::from_static(b"]"));
    pieces
}

/// A Responses object.
pub(crate) fn responses_body(text: &str, input: u64, output: u64) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 1_700_000_000, "status": "completed",
        "model": "upstream-model",
        "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}]}],
        "usage": {"input_tokens": input, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + output}})
}

/// Whether a request that arrived upstream asks for a stream. (The script is asked once before the body has come, too.)
pub(crate) fn wants_stream(request: &Received) -> bool {
    request.target.contains("stream") || String::from_utf8_lossy(&request.body).contains("\"stream\":true")
}

/// A chat request for `m` that does not ask for the usage chunk.
pub(crate) fn plain_chat(stream: bool) -> Request {
    let mut body = Wire::Chat.body("m", false);
    if stream {
        body["stream"] = json!(true);
    }
    Request::post("/v1/chat/completions", &body)
}

/// A provider, a gateway in front of it that serves `m` in this wire, and a key without a quota.
pub(crate) async fn one(
    wire: Wire,
    script: impl Fn(usize, &Received) -> script::Answer + Send + Sync + 'static,
) -> (Provider, Gateway, Key) {
    let provider = Provider::start(script).await;
    let (gateway, key) = serving(&Setup::new([wire.upstream("u", &provider)])).await;
    (provider, gateway, key)
}

/// A gateway, and a key without a quota.
pub(crate) async fn serving(setup: &Setup) -> (Gateway, Key) {
    let mut gateway = Gateway::prepare(setup);
    let key = gateway.key("tester", &[]).await;
    gateway.serve().await;
    (gateway, key)
}

/// The same with further keys, made before the start: name and arguments of each.
pub(crate) async fn serving_keys<const N: usize>(setup: &Setup, keys: [(&str, &[&str]); N]) -> (Gateway, [Key; N]) {
    let mut gateway = Gateway::prepare(setup);
    let mut made = Vec::new();
    for (name, arguments) in keys {
        made.push(gateway.key(name, arguments).await);
    }
    gateway.serve().await;
    let made = made.try_into().unwrap_or_else(|_| unreachable!("as many as were asked for"));
    (gateway, made)
}

/// One request after the other, on connections that are kept: `lanes` of them at a time. The answers, in order.
pub(crate) async fn send_all(gateway: &Gateway, requests: Vec<Request>, lanes: usize) -> Vec<Got> {
    in_lanes(gateway, requests, lanes, true).await
}

/// The same, each on a connection of its own: after a stream that broke off the gateway closes it.
pub(crate) async fn send_each(gateway: &Gateway, requests: Vec<Request>, lanes: usize) -> Vec<Got> {
    in_lanes(gateway, requests, lanes, false).await
}

async fn in_lanes(gateway: &Gateway, requests: Vec<Request>, lanes: usize, keeps: bool) -> Vec<Got> {
    let mut work: Vec<Vec<(usize, Request)>> = vec![Vec::new(); lanes];
    for (index, request) in requests.into_iter().enumerate() {
        work[index % lanes].push((index, request));
    }
    let address = gateway.address;
    let lanes: Vec<_> = work.into_iter().map(|requests| tokio::spawn(lane(address, requests, keeps))).collect();
    let mut answers = Vec::new();
    for lane in lanes {
        answers.extend(lane.await.expect("no lane panics"));
    }
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn lane(address: SocketAddr, requests: Vec<(usize, Request)>, keeps: bool) -> Vec<(usize, Got)> {
    let mut answers = Vec::with_capacity(requests.len());
    let mut kept: Option<Client> = None;
    for (index, request) in requests {
        let client = match kept.take() {
            Some(client) => client,
            None => Client::connect(address).await.expect("the gateway listens"),
        };
        let (answer, client) = client.send_and_keep(&request).await;
        let closes = answer.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        kept = (keeps && answer.ended == Ended::Whole && !closes).then_some(client);
        answers.push((index, answer));
    }
    answers
}

/// Cuts pieces anew: everything in pieces of so many bytes.
pub(crate) fn recut(pieces: &[Bytes], bytes: usize) -> Vec<Bytes> {
    pieces.concat().chunks(bytes).map(Bytes::copy_from_slice).collect()
}

/// An answer whose pieces wait for the test.
pub(crate) fn stepped(answer: script::Answer) -> (script::Answer, Steps) {
    let steps = Steps::new();
    (answer.stepped(&steps), steps)
}

/// A record's field as a number.
pub(crate) fn number(record: &Value, field: &str) -> i64 {
    record[field].as_i64().unwrap_or_else(|| panic!("{field} in {record}"))
}

/// Checks several fields of a record at once.
pub(crate) fn assert_record(record: &Value, expected: Value) {
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&record[field], value, "{field} in {record:#}");
    }
}

/// A provider that answers every dialect's calls, each in its own format.
pub(crate) async fn provider_of_all() -> Provider {
    Provider::start(|_, request| {
        if request.target.contains("/messages") {
            Wire::Messages.whole("x")
        } else if request.target.contains("models/") {
            Wire::GeminiEvents.whole("x")
        } else {
            Wire::Chat.whole("x")
        }
    })
    .await
}
