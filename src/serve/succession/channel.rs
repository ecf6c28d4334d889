//! Messages between two processes on one machine: JSON, one a line, and sockets with the first.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Most sockets that go with a message; the system's own limit is 253.
pub(super) const SOCKETS_MAX: usize = 250;

/// Longest message.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// How often a wait looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why there is no message.
#[derive(Debug)]
pub(super) enum Silence {
    /// The other process has closed its end: it has ended.
    Ended,
    /// It did not come in time.
    Late,
    /// The wait was given up.
    GivenUp,
    /// It cannot be read.
    Broken(io::Error),
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended => f.write_str("it has ended"),
            Self::Late => f.write_str("it did not answer in time"),
            Self::GivenUp => f.write_str("it was given up, because this process is to end"),
            Self::Broken(error) => write!(f, "it cannot be talked to: {error}"),
        }
    }
}

/// One end of the channel.
pub(super) struct Channel {
    socket: UnixStream,
    /// What was read and is not a whole message yet, or the beginning of the next.
    read: Vec<u8>,
}

impl Channel {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self { socket, read: Vec::new() }
    }

    /// Sends a message.
    pub(super) fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        self.socket.write_all(&line(message)?)
    }

    /// Sends a message, and sockets with it.
    pub(super) fn send_with(&mut self, message: &impl Serialize, sockets: &[OwnedFd]) -> io::Result<()> {
        let line = line(message)?;
        let sockets: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
            return Err(io::Error::other(format!("more than {SOCKETS_MAX} sockets")));
        }
        let sent = rustix::net::sendmsg(&self.socket, &[IoSlice::new(&line)], &mut control, SendFlags::empty())?;
        self.socket.write_all(&line[sent..])
    }

    /// Waits for a message until `deadline` (`None`: for as long as it takes), or until `is_given_up`.
    pub(super) fn receive<T: DeserializeOwned>(
        &mut self,
        deadline: Option<Instant>,
        is_given_up: impl Fn() -> bool,
    ) -> Result<T, Silence> {
        loop {
            if let Some(message) = self.whole_message() {
                return message;
            }
            if is_given_up() {
                return Err(Silence::GivenUp);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Silence::Late);
            }
            let slice = left.unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
            self.socket.set_read_timeout(Some(slice)).map_err(Silence::Broken)?;
            let mut piece = [0; 4096];
            match self.socket.read(&mut piece) {
                Ok(0) => return Err(Silence::Ended),
                Ok(bytes) => self.read.extend_from_slice(&piece[..bytes]),
                Err(error) if is_passing(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(Silence::Ended),
                Err(error) => return Err(Silence::Broken(error)),
            }
        }
    }

    /// Waits for the first message, with which sockets may come.
    pub(super) fn receive_with<T: DeserializeOwned>(&mut self, limit: Duration) -> Result<(T, Vec<OwnedFd>), Silence> {
        let mut sockets = Vec::new();
        self.socket.set_read_timeout(Some(limit)).map_err(Silence::Broken)?;
        loop {
            if let Some(message) = self.whole_message() {
                return message.map(|message| (message, sockets));
            }
            let mut piece = [0; 4096];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let into = &mut [IoSliceMut::new(&mut piece)];
            let received = rustix::net::recvmsg(&self.socket, into, &mut control, RecvFlags::CMSG_CLOEXEC);
            let bytes = received.map_err(|error| Silence::Broken(error.into()))?.bytes;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(more) = message {
                    sockets.extend(more);
                }
            }
            if bytes == 0 {
                return Err(Silence::Ended);
            }
            self.read.extend_from_slice(&piece[..bytes]);
        }
    }

    /// Takes the first whole message out of what was read.
    fn whole_message<T: DeserializeOwned>(&mut self) -> Option<Result<T, Silence>> {
        let Some(end) = memchr::memchr(b'\n', &self.read) else {
            let too_long = self.read.len() > MESSAGE_BYTES_MAX;
            return too_long.then(|| Err(Silence::Broken(io::Error::other("a message without an end"))));
        };
        let rest = self.read.split_off(end + 1);
        let line = std::mem::replace(&mut self.read, rest);
        Some(serde_json::from_slice(&line).map_err(|error| Silence::Broken(error.into())))
    }
}

/// Time is over for the moment, nothing more.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn line(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn pair() -> (Channel, Channel) {
        let (one, other) = UnixStream::pair().unwrap();
        (Channel::new(one), Channel::new(other))
    }

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn sockets_come_with_the_first_message_and_can_be_used() {
        let (mut one, mut other) = pair();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        one.send_with(&"x".repeat(10_000), &[listener.into()]).unwrap();
        one.send(&2).unwrap();
        let (first, mut sockets): (String, _) = other.receive_with(LIMIT).unwrap();
        assert_eq!((first.len(), sockets.len()), (10_000, 1));
        let listener = TcpListener::from(sockets.remove(0));
        let _client = TcpStream::connect(address).unwrap();
        listener.accept().unwrap();
        assert_eq!(other.receive::<u32>(None, || false).unwrap(), 2);
    }

    #[test]
    fn silence_is_told_apart() {
        let (mut one, mut other) = pair();
        let late = one.receive::<u32>(Some(Instant::now()), || false);
        assert!(matches!(late, Err(Silence::Late)), "{late:?}");
        let given_up = one.receive::<u32>(None, || true);
        assert!(matches!(given_up, Err(Silence::GivenUp)), "{given_up:?}");
        other.send(&"a word").unwrap();
        let broken = one.receive::<u32>(None, || false);
        assert!(matches!(broken, Err(Silence::Broken(_))), "{broken:?}");
        drop(other);
        let ended = one.receive::<u32>(None, || false);
        assert!(matches!(ended, Err(Silence::Ended)), "{ended:?}");
    }
}
