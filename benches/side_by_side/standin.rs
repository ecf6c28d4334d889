//! The stand-in provider: HTTP/1.1 with keep-alive on one thread, canned answers, as little work as can be.

use crate::Failure;
use crate::wire::{self, Asked};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Most requests fit into this; the largest it takes is a call with spans.
const REQUEST_BYTES: usize = 64 * 1024;
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// Listens on a free port, prints the port, and answers until the driver is gone.
pub(crate) fn run() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // What ends a connection is the proxy's business: the driver checks every answer.
            tokio::spawn(async move { drop(connection(stream).await) });
        }
    })
}

async fn connection(mut stream: TcpStream) -> Result<(), Failure> {
    let mut buffer = vec![0; REQUEST_BYTES];
    let mut filled = 0;
    loop {
        let (body, end) = loop {
            if let Some(request) = whole(&buffer[..filled])? {
                break request;
            }
            if filled == buffer.len() {
                if filled >= REQUEST_BYTES_MAX {
                    return Err("a request is too large".into());
                }
                buffer.resize(2 * filled, 0);
            }
            match stream.read(&mut buffer[filled..]).await? {
                0 => return Ok(()),
                read => filled += read,
            }
        };
        let asked = wire::asked(&buffer[body..end]);
        buffer.copy_within(end..filled, 0);
        filled -= end;
        if asked == Asked::Slow {
            tokio::time::sleep(wire::THINKING).await;
        }
        for piece in wire::answer(asked) {
            stream.write_all(piece).await?;
            if matches!(asked, Asked::Stream { pieces: true, .. }) {
                tokio::task::yield_now().await;
            }
        }
        if asked == Asked::Idle {
            // Nothing more, until the other side leaves.
            drop(buffer);
            return stream.read_u8().await.map(drop).map_err(Failure::from);
        }
    }
}

/// Where the body of the first request begins and ends, once all of it is there.
fn whole(bytes: &[u8]) -> Result<Option<(usize, usize)>, Failure> {
    let Some(head) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let body = head + 4;
    let length = content_length(&bytes[..head])?.ok_or("a request without a content-length")?;
    Ok((bytes.len() >= body + length).then_some((body, body + length)))
}

/// The content-length that a head names.
pub(crate) fn content_length(head: &[u8]) -> Result<Option<usize>, Failure> {
    const NAME: &[u8] = b"content-length:";
    for line in head.split(|byte| *byte == b'\n') {
        if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            return Ok(Some(std::str::from_utf8(&line[NAME.len()..])?.trim().parse()?));
        }
    }
    Ok(None)
}
