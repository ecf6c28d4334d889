//! `tollgate health`: for a container's health check, which has no curl.

use super::args::{Command, Health};
use super::serve::reachable;
use super::terminal::{Failure, Outcome, Terminal, plain};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A gateway that does not answer for so long is not well.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

pub(super) fn health(arguments: &Health, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    // The variables of the upstreams' keys need not be set here: what is wrong elsewhere in the file is the server's.
    let server = command.places(terminal)?.server;
    // The metrics' port has the same pages, and never TLS.
    let address = match (server.tls.is_some(), server.metrics_listen) {
        (true, Some(metrics)) => metrics,
        (true, None) => {
            return Err(Failure::Runtime(
                "with server.tls, health is asked at server.metrics_listen, which is off".into(),
            ));
        }
        (false, _) => *server.listen.first().ok_or_else(|| Failure::Runtime("server.listen is empty".into()))?,
    };
    let address = reachable(address);
    let path = if arguments.ready { "/health/readiness" } else { "/health" };
    let answer = ask(address, path).map_err(|error| Failure::Runtime(format!("{address} does not answer: {error}")))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or("no status");
    if status == "200" {
        return Ok(writeln!(terminal.out, "{}", plain(body.trim()))?);
    }
    Err(Failure::Runtime(format!("{address} is not well: {status} {}", plain(body.trim()))))
}

fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}
