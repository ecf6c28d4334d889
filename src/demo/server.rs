//! HTTP for the simulated provider: the table of routes, and the connection loop.

use super::call::{Call, Fault, FaultKind, Reply};
use super::lists::Shape;
use super::{anthropic, completions, gemini, gemini_embed, lists, openai, openai_media, responses};
use crate::clock::unix_unsigned_ms;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// Largest request body it reads.
const BODY_BYTES_MAX: usize = 64 << 20;
/// An answer that is not streamed takes the time of this many tokens at most.
const WHOLE_ANSWER_TOKENS_MAX: u64 = 20;
/// Pieces of a stream that may wait for a slow reader.
const PIECES_WAITING_MAX: usize = 4;

type Answer = fn(&Call<'_>) -> Result<Reply, Fault>;
type FaultBody = fn(&Fault, &Call<'_>) -> Value;

/// How a route's request body is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Nothing,
    Json,
    Form,
}

/// What `*` stands for in a path: Gemini's API versions. Newer SDKs of Google's ask for `v1`, older ones for `v1beta`.
const VERSIONS: [&str; 2] = ["/v1beta", "/v1"];

/// One row of the table: method, path (`{}` stands for one segment or a part of it), body, who answers, and how a
/// refusal looks.
struct Route(Method, &'static str, Reads, Answer, FaultBody);

const ROUTES: &[Route] = &[
    Route(Method::POST, "/v1/chat/completions", Reads::Json, openai::chat, openai::fault),
    Route(Method::POST, "/v1/completions", Reads::Json, completions::completions, openai::fault),
    Route(Method::POST, "/v1/responses", Reads::Json, responses::responses, openai::fault),
    Route(Method::POST, "/v1/responses/input_tokens", Reads::Json, responses::count_tokens, openai::fault),
    Route(Method::POST, "/v1/embeddings", Reads::Json, openai_media::embeddings, openai::fault),
    Route(Method::POST, "/v1/moderations", Reads::Json, openai_media::moderations, openai::fault),
    Route(Method::POST, "/v1/images/generations", Reads::Json, openai_media::images, openai::fault),
    Route(Method::POST, "/v1/images/edits", Reads::Form, openai_media::image_edits, openai::fault),
    Route(Method::POST, "/v1/audio/speech", Reads::Json, openai_media::speech, openai::fault),
    Route(Method::POST, "/v1/audio/transcriptions", Reads::Form, openai_media::transcriptions, openai::fault),
    Route(Method::POST, "/v1/audio/translations", Reads::Form, openai_media::transcriptions, openai::fault),
    Route(Method::GET, "/v1/models", Reads::Nothing, lists::models, lists::fault),
    Route(Method::GET, "/v1/models/{}", Reads::Nothing, lists::one_model, lists::fault),
    Route(Method::POST, "/v1/messages", Reads::Json, anthropic::messages, anthropic::fault),
    Route(Method::POST, "/v1/messages/count_tokens", Reads::Json, anthropic::count_tokens, anthropic::fault),
    Route(Method::POST, "*/models/{}:generateContent", Reads::Json, gemini::generate, gemini::fault),
    Route(Method::POST, "*/models/{}:streamGenerateContent", Reads::Json, gemini::stream, gemini::fault),
    Route(Method::POST, "*/models/{}:countTokens", Reads::Json, gemini::count_tokens, gemini::fault),
    Route(Method::POST, "*/models/{}:embedContent", Reads::Json, gemini_embed::one, gemini::fault),
    Route(Method::POST, "*/models/{}:batchEmbedContents", Reads::Json, gemini_embed::batch, gemini::fault),
    Route(Method::GET, "/v1beta/models", Reads::Nothing, lists::gemini_models, gemini::fault),
    Route(Method::GET, "/v1beta/models/{}", Reads::Nothing, lists::gemini_model, gemini::fault),
];

/// The row for a request, and what stands for `{}` in its path.
fn route<'a>(method: &Method, path: &'a str) -> Option<(&'static Route, &'a str)> {
    ROUTES.iter().filter(|row| row.0 == *method).find_map(|row| capture(row.1, path).map(|found| (row, found)))
}

fn capture<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    if let Some(pattern) = pattern.strip_prefix('*') {
        return VERSIONS.iter().find_map(|version| capture(pattern, path.strip_prefix(version)?));
    }
    let Some((before, after)) = pattern.split_once("{}") else {
        return (pattern == path).then_some("");
    };
    let found = path.strip_prefix(before)?.strip_suffix(after)?;
    (!found.is_empty() && !found.contains(['/', ':'])).then_some(found)
}

/// Accepts connections until it is told to stop.
pub(super) async fn run(listener: TcpListener, mut shutdown: watch::Receiver<bool>, token_delay: Duration) {
    let mut connections = tokio::task::JoinSet::new();
    // `wait_for` fails when the sender is gone: that too is the end.
    let mut stopped = pin!(async move { drop(shutdown.wait_for(|stop| *stop).await) });
    loop {
        tokio::select! {
            () = &mut stopped => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(connection(stream, token_delay)); }
                // Out of file descriptors, say: those in use come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, token_delay: Duration) {
    let service =
        hyper::service::service_fn(
            move |request| async move { Ok::<_, Infallible>(respond(request, token_delay).await) },
        );
    // An error here is a client that left or does not speak HTTP: nothing to be done.
    let _ = stream.set_nodelay(true);
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(request: Request<Incoming>, token_delay: Duration) -> Response<Outgoing> {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    static START: OnceLock<u64> = OnceLock::new();
    let now_ms = unix_unsigned_ms();
    let (head, body) = request.into_parts();
    let body = collect(body).await;
    let nothing = Bytes::new();
    let (answer, fault_body, reads, capture): (Answer, FaultBody, _, _) = match route(&head.method, head.uri.path()) {
        Some((row, capture)) => (row.3, row.4, row.2, capture),
        None => (no_path, fault_shape(head.uri.path(), &head.headers), Reads::Nothing, ""),
    };
    let mut call = Call {
        capture,
        query: head.uri.query().unwrap_or(""),
        headers: &head.headers,
        body: body.as_ref().unwrap_or(&nothing),
        json: Value::Null,
        serial: START
            .get_or_init(|| now_ms.wrapping_mul(1_000_000))
            .wrapping_add(SERIAL.fetch_add(1, Ordering::Relaxed)),
        now_s: now_ms / 1000,
    };
    let refused = |kind, message: &str| Fault { kind, message: message.to_owned(), param: None };
    let outcome = if body.is_none() {
        Err(refused(FaultKind::TooLarge, "The request body is too large."))
    } else if reads == Reads::Json {
        match serde_json::from_slice(call.body) {
            Ok(json) => {
                call.json = json;
                answer(&call)
            }
            Err(error) => Err(refused(FaultKind::Invalid, &format!("The body is not valid JSON: {error}"))),
        }
    } else {
        answer(&call)
    };
    let id = call.id("req_");
    let builder =
        Response::builder().header("request-id", &id).header("x-request-id", &id).header("server", "tollgate-demo");
    match outcome {
        Ok(reply) => send(builder, reply, token_delay).await,
        Err(fault) => {
            let body = Bytes::from(fault_body(&fault, &call).to_string());
            let builder = builder.status(fault.status()).header("content-type", "application/json");
            finish(builder, Outgoing::Whole(Some(body)))
        }
    }
}

fn no_path(_: &Call<'_>) -> Result<Reply, Fault> {
    Err(Fault { kind: FaultKind::NoPath, message: "Unknown request URL.".to_owned(), param: None })
}

/// The dialect of somebody who asked for something that is not there.
fn fault_shape(path: &str, headers: &HeaderMap) -> FaultBody {
    match Shape::of(headers) {
        Shape::Gemini => gemini::fault,
        Shape::OpenAi if path.starts_with("/v1beta/") => gemini::fault,
        Shape::OpenAi => openai::fault,
        Shape::Anthropic => anthropic::fault,
    }
}

/// The whole body; `None`: too large, or the client broke off.
async fn collect(body: Incoming) -> Option<Bytes> {
    let mut body = pin!(body);
    let mut out = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(piece) = frame.ok()?.into_data() {
            if out.len() + piece.len() > BODY_BYTES_MAX {
                return None;
            }
            out.extend_from_slice(&piece);
        }
    }
    Some(out.freeze())
}

async fn send(builder: http::response::Builder, reply: Reply, token_delay: Duration) -> Response<Outgoing> {
    match reply {
        Reply::Whole { content_type, body, tokens } => {
            tokio::time::sleep(token_delay * tokens.min(WHOLE_ANSWER_TOKENS_MAX) as u32).await;
            finish(builder.header("content-type", content_type), Outgoing::Whole(Some(body)))
        }
        Reply::Pieces { content_type, pieces } => {
            let (sender, receiver) = mpsc::channel(PIECES_WAITING_MAX);
            tokio::spawn(async move {
                for piece in pieces {
                    if sender.send(piece).await.is_err() {
                        return; // the client is gone
                    }
                    tokio::time::sleep(token_delay).await;
                }
            });
            let builder = builder.header("content-type", content_type).header("cache-control", "no-cache");
            finish(builder, Outgoing::Pieces(receiver))
        }
    }
}

fn finish(builder: http::response::Builder, body: Outgoing) -> Response<Outgoing> {
    // Every header is a constant or an id of ours, so building cannot fail; an empty 200 would be the answer.
    builder.body(body).unwrap_or_else(|_| Response::new(Outgoing::Whole(None)))
}

/// The body of an answer.
enum Outgoing {
    Whole(Option<Bytes>),
    Pieces(mpsc::Receiver<Bytes>),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Poll::Ready(body.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(receiver) => receiver.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_its_row_and_its_model() {
        let found = |method: Method, path| route(&method, path).map(|(row, model)| (row.1, model));
        assert_eq!(found(Method::POST, "/v1/messages"), Some(("/v1/messages", "")));
        assert_eq!(found(Method::GET, "/v1/models/demo-gpt"), Some(("/v1/models/{}", "demo-gpt")));
        let stream = "*/models/{}:streamGenerateContent";
        assert_eq!(found(Method::POST, "/v1beta/models/m-1:streamGenerateContent"), Some((stream, "m-1")));
        assert_eq!(found(Method::GET, "/v1beta/models/m-1:countTokens"), None);
        assert_eq!(found(Method::GET, "/v1/models/"), None);
        assert_eq!(found(Method::GET, "/v1/models/a/b"), None);
        assert_eq!(found(Method::POST, "/v1/message"), None);
    }
}
