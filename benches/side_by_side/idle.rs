//! Streams that stay silent after their first token: what each of them keeps resident in the proxy.

use crate::Failure;
use crate::answer::{Reader, Until};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The first token must be there by then.
const FIRST_TOKEN_TIMEOUT: Duration = Duration::from_secs(20);
/// After the last first token, before memory is read.
const REST: Duration = Duration::from_secs(2);

/// Opens streams, waits, and says what `measure` says while they are open.
pub(crate) fn hold<T>(
    address: SocketAddr,
    request: &[u8],
    first: &[u8],
    streams: usize,
    measure: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut open = Vec::with_capacity(streams);
        for _ in 0..streams {
            open.push(
                tokio::time::timeout(FIRST_TOKEN_TIMEOUT, begin(address, request, first))
                    .await
                    .map_err(|_| format!("no first token after {} open streams", open.len()))??,
            );
        }
        tokio::time::sleep(REST).await;
        let measured = measure()?;
        drop(open);
        Ok(measured)
    })
}

async fn begin(address: SocketAddr, request: &[u8], first: &[u8]) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    Reader::new().read(&mut stream, first, Until::Expected).await?;
    Ok(stream)
}
