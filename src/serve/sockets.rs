//! The listening sockets. They are ours from the start to the end, or come from the process before this one; Pingora accepts
//! on copies. So accepting can pause, and go on in another process, while new connections wait in the kernel.

use parking_lot::Mutex;
use pingora::server::{Fds, ListenFds};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::Arc;

/// Connections that may wait to be accepted, if the system lets so many.
const BACKLOG: i32 = 65_535;

/// See the module.
pub(super) struct Sockets(Mutex<Vec<(SocketAddr, OwnedFd)>>);

impl Sockets {
    /// Takes each address from `handed`, or binds it. Of `handed`, what is not asked for is closed here.
    ///
    /// # Errors
    /// Which address cannot be had, and why.
    pub(super) fn bind(
        addresses: impl Iterator<Item = SocketAddr>,
        mut handed: Vec<(SocketAddr, OwnedFd)>,
    ) -> Result<Arc<Self>, String> {
        let mut sockets = Vec::new();
        for address in addresses {
            let socket = match handed.iter().position(|(other, _)| *other == address) {
                Some(at) => handed.swap_remove(at).1,
                None => bind(address).map_err(|error| cannot_listen(address, &error))?,
            };
            sockets.push((address, socket));
        }
        Ok(Arc::new(Self(Mutex::new(sockets))))
    }

    /// From here on connections are taken in, to be accepted.
    ///
    /// # Errors
    /// Which address cannot be had, and why.
    pub(super) fn listen(&self) -> Result<(), String> {
        for (address, socket) in &*self.0.lock() {
            rustix::net::listen(socket, BACKLOG).map_err(|error| cannot_listen(*address, &error.into()))?;
        }
        Ok(())
    }

    /// Copies of all, to be handed on.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn copies(&self) -> io::Result<Vec<(SocketAddr, OwnedFd)>> {
        self.0.lock().iter().map(|(address, socket)| Ok((*address, socket.try_clone()?))).collect()
    }

    /// Copies of these, in the form in which Pingora takes them over.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn for_pingora(&self, addresses: &[SocketAddr]) -> io::Result<ListenFds> {
        let mut fds = Fds::new();
        for (address, socket) in self.copies()?.into_iter().filter(|(address, _)| addresses.contains(address)) {
            // Pingora closes what it has taken.
            fds.add(address.to_string(), socket.into_raw_fd());
        }
        Ok(Arc::new(Mutex::new(fds)))
    }

    /// Closes these: connections to them are refused, unless another process has them, too.
    pub(super) fn close(&self, addresses: &[SocketAddr]) {
        self.0.lock().retain(|(address, _)| !addresses.contains(address));
    }
}

fn bind(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    // Pingora takes over only what does not block.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// Pingora panics when it cannot listen; this says it better.
fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    format!("cannot listen on {address}: {error}")
}
