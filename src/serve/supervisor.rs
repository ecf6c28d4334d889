//! What systemd is told (`sd_notify(3)`): datagrams to the socket that it names in the environment. Elsewhere nothing.

use std::io;
use std::os::unix::net::UnixDatagram;

/// systemd's name for it.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";

/// Requests are served.
pub(super) fn ready() {
    tell("READY=1");
}

/// Another process is the one to look after from now on.
pub(super) fn main_process(process: u32) {
    tell(&format!("MAINPID={process}"));
}

/// True: there is somebody who starts it again.
pub(super) fn is_there() -> bool {
    socket().is_some()
}

fn socket() -> Option<String> {
    std::env::var(SOCKET_VARIABLE).ok().filter(|socket| !socket.is_empty())
}

fn tell(state: &str) {
    let Some(socket) = socket() else { return };
    if let Err(error) = send(&socket, state) {
        tracing::warn!("systemd cannot be told {state}: {error}");
    }
}

fn send(socket: &str, state: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = socket.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return sender.send_to_addr(state.as_bytes(), &address).map(drop);
    }
    sender.send_to(state.as_bytes(), socket).map(drop)
}
