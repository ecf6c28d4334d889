//! S1, as other servers see it: what the gateway writes to an upstream is kept byte for byte, and read again by servers with
//! unrelated parsers. Each must find the same requests in it.

use crate::stage::said;
use crate::support::provider::Received;
use crate::support::skipped;
use hyper::body::Body as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A server that does not end by then has not understood.
const READING_TIME_MAX: Duration = Duration::from_secs(30);

/// A request as a server has read it: method, target, and what its body says.
type Read = (String, String, Option<String>);

/// What of an exchange is compared.
fn read_of(request: &Received) -> Read {
    (request.method.clone(), request.target.clone(), said(&request.body))
}

/// Stands before a provider and keeps what each connection brings.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    connections: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    pub(crate) async fn before(provider: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let recorder = Self { address: listener.local_addr().expect("an address"), connections: Arc::default() };
        let connections = recorder.connections.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let connections = connections.clone();
                tokio::spawn(async move { drop(pass(client, provider, connections).await) });
            }
        });
        recorder
    }

    /// Other servers find the same requests in it as the provider did.
    pub(crate) async fn assert_others_read(&self, received: &[Received]) {
        let mut connections = self.connections.lock().expect("no test panics with the lock").clone();
        connections.retain(|bytes| !bytes.is_empty());
        let mut by_connection = BTreeMap::<usize, Vec<Read>>::new();
        received.iter().for_each(|request| by_connection.entry(request.connection).or_default().push(read_of(request)));
        let mut expected: Vec<_> = by_connection.into_values().collect();
        expected.sort();
        for other in Other::ALL {
            let mut read = Vec::new();
            for bytes in &connections {
                read.push(other.read(bytes).await);
            }
            let Some(mut read) = read.into_iter().collect::<Option<Vec<_>>>() else {
                skipped(&format!("{} is not here: nobody asks it", other.name()), "CI");
                continue;
            };
            read.sort();
            eprintln!("{}: {} requests on {} connections", other.name(), read.concat().len(), read.len());
            assert_eq!(read, expected, "{}", other.name());
        }
    }
}

async fn pass(client: TcpStream, provider: SocketAddr, kept: Arc<Mutex<Vec<Vec<u8>>>>) -> std::io::Result<()> {
    let server = TcpStream::connect(provider).await?;
    let number = {
        let mut kept = kept.lock().expect("no test panics with the lock");
        kept.push(Vec::new());
        kept.len() - 1
    };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let count = from_client.read(&mut bytes).await?;
        if count == 0 {
            return to_server.shutdown().await;
        }
        kept.lock().expect("no test panics with the lock")[number].extend_from_slice(&bytes[..count]);
        to_server.write_all(&bytes[..count]).await?;
    }
}

/// Somebody else's server.
enum Other {
    /// The Rust library that most servers in Rust are made of.
    Hyper,
    /// Node.js, whose parser is llhttp.
    Node,
}

impl Other {
    const ALL: [Self; 2] = [Self::Hyper, Self::Node];

    const fn name(&self) -> &'static str {
        match self {
            Self::Hyper => "hyper",
            Self::Node => "node",
        }
    }

    /// Has it read what came on one connection, as if the same came again. `None`: it is not there to be asked.
    async fn read(&self, bytes: &[u8]) -> Option<Vec<Read>> {
        let reading = async {
            match self {
                Self::Hyper => Some(hyper(bytes).await),
                Self::Node => node(bytes).await,
            }
        };
        timeout(READING_TIME_MAX, reading).await.unwrap_or_else(|_| panic!("{} does not end", self.name()))
    }
}

/// Sends everything, and waits until the server has ended the connection.
async fn send(address: SocketAddr, bytes: &[u8]) {
    let (mut answers, mut requests) = TcpStream::connect(address).await.expect("it listens").into_split();
    let reading = tokio::spawn(async move { answers.read_to_end(&mut Vec::new()).await });
    // A server that refuses what it reads may end the connection before.
    let _ = requests.write_all(bytes).await;
    let _ = requests.shutdown().await;
    let _ = reading.await.expect("reading does not panic");
}

async fn hyper(bytes: &[u8]) -> Vec<Read> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let read = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn({
        let read = read.clone();
        move |request: hyper::Request<hyper::body::Incoming>| {
            let read = read.clone();
            async move {
                let (head, mut body) = request.into_parts();
                let mut whole = Vec::new();
                while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                    whole.extend_from_slice(&frame?.into_data().unwrap_or_default());
                }
                let target = head.uri.to_string();
                read.lock().expect("no test panics with the lock").push((
                    head.method.to_string(),
                    target,
                    said(&whole),
                ));
                Ok::<_, hyper::Error>(hyper::Response::new(String::new()))
            }
        }
    });
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut server = hyper::server::conn::http1::Builder::new();
        let connection = server.half_close(true).serve_connection(TokioIo::new(stream), service);
        connection.await.map_err(|error| error.to_string())
    });
    send(address, bytes).await;
    let served = serving.await.expect("serving does not panic");
    let mut read = std::mem::take(&mut *read.lock().expect("no test panics with the lock"));
    read.extend(served.err().map(refused));
    read
}

/// What no request has been made of.
fn refused(why: String) -> Read {
    ("refused".to_owned(), why, None)
}

/// Says its port, and then each request, a line each.
const NODE: &str = "
const server = require('http').createServer((request, response) => {
  const pieces = [];
  request.on('data', piece => pieces.push(piece));
  request.on('end', () => {
    console.log(JSON.stringify([request.method, request.url, Buffer.concat(pieces).toString('latin1')]));
    response.end();
  });
});
server.on('clientError', (error, socket) => {
  console.log(JSON.stringify(['refused', String(error.code), '']));
  socket.destroy();
});
server.on('connection', socket => socket.on('close', () => server.close()));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
";

async fn node(bytes: &[u8]) -> Option<Vec<Read>> {
    let started = Command::new("node").args(["-e", NODE]).stdout(Stdio::piped()).spawn();
    let mut node = match started {
        Ok(node) => node,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => panic!("node: {error}"),
    };
    let mut lines = BufReader::new(node.stdout.take().expect("its output")).lines();
    let first = tokio::task::spawn_blocking(move || (lines.next(), lines));
    let (port, lines) = first.await.expect("reading does not panic");
    let port: u16 = port.expect("it goes on").expect("text").parse().expect("a port");
    send(([127, 0, 0, 1], port).into(), bytes).await;
    // The last connection's end is the server's.
    let rest = tokio::task::spawn_blocking(move || lines.map(|line| line.expect("text")).collect::<Vec<_>>());
    let rest = rest.await.expect("reading does not panic");
    node.wait().expect("it has ended");
    Some(rest.iter().map(|line| read_by_node(line)).collect())
}

fn read_by_node(line: &str) -> Read {
    let (method, target, body): (String, String, String) = serde_json::from_str(line).expect("a line of three texts");
    (method, target, said(body.as_bytes()))
}
