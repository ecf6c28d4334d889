//! A client that speaks HTTP/2 with prior knowledge, without TLS.

use super::PATIENCE;
use super::client::{Answer, Body, Ended, Request};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::net::TcpStream;

/// Sends one request on a connection of its own; of the ways to send a body there are `Length`, with a `content-length`,
/// and `Chunked`, without.
///
/// # Panics
/// If the connection cannot be made, or nothing comes for longer than any test should take.
pub(crate) async fn send(address: SocketAddr, request: &Request) -> Answer {
    tokio::time::timeout(PATIENCE, exchange(address, request))
        .await
        .expect("an answer in time")
        .expect("an HTTP/2 answer")
}

async fn exchange(address: SocketAddr, request: &Request) -> Result<Answer, h2::Error> {
    let stream = TcpStream::connect(address).await.expect("the gateway listens");
    let (client, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(connection);
    let mut client = client.ready().await?;
    let started = Instant::now();
    let mut builder =
        http::Request::builder().method(request.method.as_str()).uri(format!("http://gateway.test{}", request.target));
    for (name, value) in request.fields.iter().filter(|(name, _)| name != "host") {
        builder = builder.header(name, value);
    }
    let body = match &request.body {
        Body::Length(body) => {
            builder = builder.header("content-length", body.len());
            Some(body.clone())
        }
        Body::Chunked(body, _) => Some(body.clone()),
        _ => None,
    };
    let (response, mut sink) = client.send_request(builder.body(()).expect("a valid request"), body.is_none())?;
    if let Some(body) = body {
        tokio::spawn(async move { send_body(&mut sink, body).await });
    }
    let (head, mut body) = response.await?.into_parts();
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut answer = Answer {
        informational: Vec::new(),
        status: head.status.as_u16(),
        fields: head.headers.iter().map(field).collect(),
        pieces: Vec::new(),
        ended: Ended::Whole,
    };
    while let Some(piece) = body.data().await {
        match piece {
            Ok(piece) => {
                body.flow_control().release_capacity(piece.len())?;
                answer.pieces.push((started.elapsed(), piece));
            }
            Err(_) => {
                answer.ended = Ended::Broken;
                break;
            }
        }
    }
    Ok(answer)
}

/// Sends as the window allows. A peer that answers early may reset the stream: that is not our error.
async fn send_body(sink: &mut h2::SendStream<Bytes>, mut body: Bytes) -> Option<()> {
    while !body.is_empty() {
        sink.reserve_capacity(body.len());
        let room = std::future::poll_fn(|cx| sink.poll_capacity(cx)).await?.ok()?;
        let part = body.split_to(room.min(body.len()));
        sink.send_data(part, false).ok()?;
    }
    sink.send_data(Bytes::new(), true).ok()
}
