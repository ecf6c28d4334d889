//! How long a client may take over what it has begun: whoever says nothing, or a byte now and then, holds no connection.

use super::gathered::Hearing;
use super::timer::within;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType, Result};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

/// A new connection may say nothing for this long.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Between two requests. Longer than load balancers keep theirs (ten minutes at most), so that it is they who close.
const IDLE_MAX: Duration = Duration::from_secs(620);
/// A head that has begun is whole within one to two of these.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// A body may come as slowly as it likes for this long, and then at [`BODY_BYTES_PER_S_MIN`] on the whole.
const BODY_GRACE: Duration = Duration::from_secs(60);
const BODY_BYTES_PER_S_MIN: u64 = 1024;
/// A client that sends nothing of a body for this long is given up. Pingora has no time-out for HTTP/2 bodies.
const PIECE_TIME_MAX: Duration = Duration::from_secs(60);

/// What HTTP/2 with prior knowledge begins with. No method that anybody serves has its first three bytes.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a connection begins as HTTP/2; `None`: it does not begin in time, or it ends. (Pingora waits for as many bytes as
/// the preface has, for any time.)
pub(super) async fn begins_as_http2(stream: &mut Stream) -> Option<bool> {
    let mut first = [0; 3];
    if !within(SILENCE_MAX, pin!(stream.try_peek(&mut first))).await.ok()?.ok()? {
        return Some(false);
    }
    if first != PREFACE[..3] {
        return Some(false);
    }
    let mut whole = [0; PREFACE.len()];
    within(HEAD_TIME_MAX, pin!(stream.try_peek(&mut whole))).await.ok()?.ok()?;
    Some(whole == *PREFACE)
}

/// Reads the head of the next request. False: there is none.
///
/// # Errors
/// It is not in order, or takes too long.
pub(super) async fn head(session: &mut ServerSession) -> Result<bool> {
    let hearing = Hearing::of(session);
    let mut reading = pin!(session.read_request());
    if let Poll::Ready(read) = futures::poll!(&mut reading) {
        return read;
    }
    let (since, mut begun) = (Instant::now(), false);
    while since.elapsed() < IDLE_MAX {
        // Pingora's own: every connection waits here between two requests, and a timer of tokio's wakes its driver for that.
        match pingora::time::timeout(HEAD_TIME_MAX, reading.as_mut()).await {
            Ok(read) => return read,
            Err(_) if begun => return Error::e_explain(ErrorType::ReadTimedout, "a head that does not end"),
            Err(_) => begun = hearing.as_ref().is_some_and(Hearing::has_heard),
        }
    }
    Ok(false)
}

/// Waits for the next piece of a body that began to be read at `since`, and of which so many bytes are there; `None`: it takes
/// too long.
pub(super) async fn piece<T>(since: Instant, bytes: usize, mut coming: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    if let Poll::Ready(piece) = futures::poll!(&mut coming) {
        return Some(piece);
    }
    let limit = body_time_max(bytes).saturating_sub(since.elapsed()).min(PIECE_TIME_MAX);
    tokio::time::timeout(limit, coming).await.ok()
}

/// So many bytes of a body are there after this at the latest.
fn body_time_max(bytes: usize) -> Duration {
    BODY_GRACE + Duration::from_secs(bytes as u64 / BODY_BYTES_PER_S_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_be_slow_at_first_and_then_has_a_least_rate() {
        assert_eq!(body_time_max(0), BODY_GRACE);
        assert_eq!(body_time_max(100 * 1024), BODY_GRACE + Duration::from_secs(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_though_each_piece_comes_soon() {
        let began = Instant::now().checked_sub(BODY_GRACE).expect("a machine that runs for a minute");
        assert_eq!(piece(began, 5, pin!(std::future::pending::<()>())).await, None, "a byte now and then");
        let soon = tokio::time::sleep(Duration::from_secs(1));
        assert_eq!(piece(began, 5 * 1024, pin!(soon)).await, Some(()), "five seconds are left for what came");
    }
}
