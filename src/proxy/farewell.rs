//! How a connection with HTTP/2 ends on which a client asks for nothing: the client is told first (GOAWAY; RFC 9113, section 6.8), so
//! that a request that is on its way just then is answered, and each later one is made on another connection. (Pingora closes one that
//! idles without a word, and the request on its way may have been worked on, for all its client knows.)

use super::frames::Written;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::server::ShutdownWatch;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A connection that has asked for nothing yet is told after this.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// One that has asked for something, when nothing was under way for so long.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// When a client was told, and for so long nothing was under way and nothing of an answer went out, the connection ends: what was sent
/// to it before it heard is here, and it has taken what it was going to take. (A client that says that it has heard ends it sooner.)
const LAST_MOMENT: Duration = Duration::from_secs(10);

/// Serves a connection that begins as HTTP/2, until its client ends it, asks for nothing for too long, or the server ends.
/// `last_written`: when something of an answer went out last; the ends of answers may wait in the connection.
pub(super) async fn serve<A>(
    app: &Arc<A>,
    stream: Stream,
    last_written: Written,
    shutdown: &ShutdownWatch,
) -> Option<Stream>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let requests = Arc::new(Requests::new());
    let counted = Arc::new(Counted { app: app.clone(), requests: requests.clone() });
    // Pingora says farewell when the server ends: for it, the server of this connection ends when it has idled.
    let (tell, told) = watch::channel(false);
    let mut ending = shutdown.clone();
    let farewell = pin!(async {
        tokio::select! {
            _ = ending.changed() => {}
            () = requests.quiet(None, |has_asked| if has_asked { IDLE_MAX } else { SILENCE_MAX }) => {}
        }
        tell.send_replace(true);
        requests.is_told();
        requests.quiet(Some(&last_written), |_| LAST_MOMENT).await;
    });
    tokio::select! { biased;
        ended = counted.process_new(stream, &told) => ended,
        () = farewell => None,
    }
}

/// The requests of a connection that are under way.
struct Requests(Mutex<UnderWay>);

struct UnderWay {
    count: usize,
    has_asked: bool,
    /// Since when there are none, if there are none.
    quiet_since: Instant,
}

impl Requests {
    fn new() -> Self {
        Self(Mutex::new(UnderWay { count: 0, has_asked: false, quiet_since: Instant::now() }))
    }

    fn begin(&self) -> Request<'_> {
        let mut requests = self.0.lock();
        requests.count += 1;
        requests.has_asked = true;
        Request(self)
    }

    /// The client was told: from now on it has its last moment.
    fn is_told(&self) {
        self.0.lock().quiet_since = Instant::now();
    }

    /// Waits until none has been under way for so long, which may depend on whether there has been one, and nothing was written either.
    async fn quiet(&self, last_written: Option<&Written>, limit: impl Fn(bool) -> Duration) {
        loop {
            let now = Instant::now();
            let due = {
                let requests = self.0.lock();
                let quiet_since = last_written.map_or(requests.quiet_since, |at| at.at().max(requests.quiet_since));
                let since = if requests.count > 0 { now } else { quiet_since };
                since + limit(requests.has_asked)
            };
            if now >= due {
                return;
            }
            tokio::time::sleep_until(due).await;
        }
    }
}

/// One of them.
struct Request<'r>(&'r Requests);

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let mut requests = self.0.0.lock();
        requests.count -= 1;
        requests.quiet_since = Instant::now();
    }
}

/// An application that counts the requests of one connection.
struct Counted<A> {
    app: Arc<A>,
    requests: Arc<Requests>,
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> HttpServerApp for Counted<A> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let _under_way = self.requests.begin();
        self.app.process_new_http(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.app.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.app.server_options()
    }
}

#[cfg(test)]
mod tests {
    use super::super::gathered::Gathered;
    use super::*;
    use bytes::Bytes;
    use pingora::http::ResponseHeader;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    const SECOND: Duration = Duration::from_secs(1);
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    /// `GET /` of `http://a` (RFC 7541, appendix A and section 6.2.2).
    const GET: &[u8] = b"\x82\x84\x86\x01\x01a";
    /// `:status: 200`.
    const OK: u8 = 0x88;

    /// Answers each request after so long, with so many bytes.
    struct After(Duration, HttpServerOptions, usize);

    #[async_trait]
    impl HttpServerApp for After {
        async fn process_new_http(
            self: &Arc<Self>,
            mut session: ServerSession,
            _: &ShutdownWatch,
        ) -> Option<ReusedHttpStream> {
            assert!(session.read_request().await.unwrap());
            tokio::time::sleep(self.0).await;
            session.write_response_header(Box::new(ResponseHeader::build(200, None).unwrap())).await.unwrap();
            let body = Bytes::from(vec![b'x'; self.2]);
            session.write_response_body(body, true).await.unwrap();
            session.finish().await.unwrap();
            None
        }

        fn server_options(&self) -> Option<&HttpServerOptions> {
            Some(&self.1)
        }
    }

    /// A client's connection, and what ends the server.
    async fn served(takes: Duration) -> (DuplexStream, watch::Sender<bool>) {
        served_with(takes, 0).await
    }

    /// Each answer has a body of so many bytes.
    async fn served_with(takes: Duration, body: usize) -> (DuplexStream, watch::Sender<bool>) {
        let (mut client, ours) = tokio::io::duplex(1024);
        let (end, shutdown) = watch::channel(false);
        tokio::spawn(async move {
            let mut options = HttpServerOptions::default();
            options.h2c = true;
            let stream = Gathered::http2(Box::new(ours));
            let last_written = stream.last_written();
            serve(&Arc::new(After(takes, options, body)), Box::new(stream), last_written, &shutdown).await
        });
        client
            .write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, b"")].concat())
            .await
            .unwrap();
        (client, end)
    }

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    fn ask(stream: u8) -> Vec<u8> {
        frame(HEADERS, 5, stream, GET)
    }

    /// The next frame of this kind, and after how many seconds; `None`: the connection ended. Nothing is said in return.
    async fn heard(client: &mut DuplexStream, kind: u8) -> (Option<Vec<u8>>, u64) {
        let since = Instant::now();
        loop {
            let mut head = [0; 9];
            if client.read_exact(&mut head).await.is_err() {
                return (None, since.elapsed().as_secs());
            }
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            client.read_exact(&mut payload).await.unwrap();
            if head[3] == kind {
                return (Some(payload), since.elapsed().as_secs());
            }
        }
    }

    /// All requests are still answered; no error.
    fn goaway() -> Option<Vec<u8>> {
        Some([0x7fff_ffff_u32.to_be_bytes(), [0; 4]].concat())
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_nothing_is_told_and_has_a_moment_and_what_was_on_its_way_is_answered() {
        let (mut client, _end) = served(SECOND).await;
        assert_eq!(heard(&mut client, GOAWAY).await, (goaway(), 60));
        assert_eq!(heard(&mut client, GOAWAY).await, (None, 10));
        let (mut client, _end) = served(20 * SECOND).await;
        assert_eq!(heard(&mut client, GOAWAY).await, (goaway(), 60));
        // As of a client that has not heard it yet.
        client.write_all(&ask(1)).await.unwrap();
        let (answer, after) = heard(&mut client, HEADERS).await;
        assert_eq!((answer.unwrap()[0], after), (OK, 20));
        assert_eq!(heard(&mut client, GOAWAY).await, (None, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_its_client_takes_slowly_goes_out_whole() {
        let (mut client, end) = served_with(SECOND, 40 * 1024).await;
        client.write_all(&ask(1)).await.unwrap();
        assert_eq!(heard(&mut client, HEADERS).await.0.unwrap()[0], OK);
        end.send_replace(true);
        let (mut taken, mut buffer) = (0, [0; 1024]);
        while taken < 40 * 1024 {
            tokio::time::sleep(4 * SECOND).await;
            let read = client.read(&mut buffer).await.unwrap();
            assert!(read > 0, "cut off after {taken} bytes");
            taken += read;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_has_longer_from_the_end_of_the_last_answer() {
        let (mut client, _end) = served(400 * SECOND).await;
        client.write_all(&ask(1)).await.unwrap();
        assert_eq!(heard(&mut client, HEADERS).await.1, 400, "an answer that takes long is none that idles");
        tokio::time::sleep(299 * SECOND).await;
        client.write_all(&ask(3)).await.unwrap();
        assert_eq!(heard(&mut client, HEADERS).await.1, 400);
        assert_eq!(heard(&mut client, GOAWAY).await, (goaway(), 300));
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_that_it_has_heard_is_not_waited_for_and_the_end_of_the_server_is_told_at_once() {
        let (mut client, end) = served(20 * SECOND).await;
        client.write_all(&ask(1)).await.unwrap();
        tokio::time::sleep(SECOND).await;
        end.send_replace(true);
        assert_eq!(heard(&mut client, GOAWAY).await, (goaway(), 0));
        let (ping, _) = heard(&mut client, PING).await;
        client.write_all(&frame(PING, 1, 0, &ping.unwrap())).await.unwrap();
        let (last, _) = heard(&mut client, GOAWAY).await;
        assert_eq!(last.unwrap(), [[0, 0, 0, 1], [0; 4]].concat());
        assert_eq!(heard(&mut client, HEADERS).await.0.unwrap()[0], OK);
        assert_eq!(heard(&mut client, GOAWAY).await, (None, 0));
    }
}
