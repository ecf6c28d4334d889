//! The process before this one, as the one that takes over sees it.

use super::channel::{Channel, Silence};
use super::{FromNew, FromOld, Hello, PROTOCOL, Place, VERSION, is_to_take_over};
use crate::config::Config;
use crate::ledger::Ledger;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Until the first message, which is there already.
const HELLO_MAX: Duration = Duration::from_secs(10);

/// Until the old process has given its balances up. Its own limits are shorter.
const GO_MAX: Duration = Duration::from_secs(60);

/// See the module.
pub(in crate::serve) struct Predecessor {
    channel: Channel,
    place: Place,
    sockets: Vec<(SocketAddr, OwnedFd)>,
    /// Where a thread waits for the channel, to answer on it.
    answering: Option<mpsc::Sender<Channel>>,
}

impl Predecessor {
    /// The process that started this one to take over. `None`: this is an ordinary start.
    ///
    /// # Errors
    /// There is one, and it cannot be understood.
    pub(in crate::serve) fn of_this_process() -> Result<Option<Self>, String> {
        if !is_to_take_over() {
            return Ok(None);
        }
        let cannot = |error: &dyn std::fmt::Display| format!("the process that is to hand over: {error}");
        let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(|error| cannot(&error))?;
        // Nothing reads it, but whoever asks must not find a socket there.
        let nothing = File::open("/dev/null").map_err(|error| cannot(&error))?;
        rustix::stdio::dup2_stdin(&nothing).map_err(|error| cannot(&error))?;
        let mut channel = Channel::new(UnixStream::from(socket));
        let (hello, sockets): (Hello, _) = channel.receive_with(HELLO_MAX).map_err(|silence| cannot(&silence))?;
        if hello.protocol != PROTOCOL {
            let spoken = hello.protocol;
            return Err(cannot(&format!("it speaks protocol {spoken}, this one {PROTOCOL}; restart instead")));
        }
        let before = if hello.version.is_empty() { "one that does not say its own" } else { &hello.version };
        tracing::info!("this is version {VERSION}; it comes after {before}");
        let sockets = hello.listeners.into_iter().zip(sockets).collect();
        Ok(Some(Self { channel, place: hello.place, sockets, answering: None }))
    }

    /// The sockets that it listens on.
    pub(in crate::serve) fn take_sockets(&mut self) -> Vec<(SocketAddr, OwnedFd)> {
        std::mem::take(&mut self.sockets)
    }

    /// Whether what it has is what is configured here.
    ///
    /// # Errors
    /// What is not.
    pub(in crate::serve) fn check_place(&self, config: &Config) -> Result<(), String> {
        let place = Place::of(config);
        if place != self.place {
            let differing = if place.store == self.place.store { "ledger.journal_dir" } else { "store.url" };
            return Err(format!("{differing} is not what the running process has: that takes a restart"));
        }
        Ok(())
    }

    /// Nothing can fail any more but what it holds itself: waits until it gives that up, or has ended.
    ///
    /// # Errors
    /// It goes on.
    pub(in crate::serve) fn wait_to_open(&mut self) -> Result<(), String> {
        match self.exchange(&FromNew::Ready, Some(Instant::now() + GO_MAX)) {
            Ok(FromOld::Go) => Ok(()),
            // Killed, perhaps: what it left is recovered as at any start. If it lives, it has the lock, and this one ends.
            Err(Silence::Ended) => {
                tracing::warn!("the previous process ended before it handed over: this is an ordinary start");
                Ok(())
            }
            Ok(other) => Err(format!("the process that is to hand over said {other:?} too early")),
            Err(silence) => Err(format!("the process that is to hand over does not: {silence}")),
        }
    }

    /// The balances are here: waits until it knows, so that it does not take them back. One that has ended cannot.
    ///
    /// # Errors
    /// It may take them back.
    pub(in crate::serve) fn wait_to_begin(&mut self, ledger: Arc<Ledger>) -> Result<(), String> {
        // While there is a way back.
        self.prepare_to_answer(ledger)?;
        match self.exchange(&FromNew::Opened, None) {
            Ok(FromOld::Begin) | Err(Silence::Ended) => Ok(()),
            Ok(other) => Err(format!("the previous process said {other:?} too early")),
            Err(silence) => Err(format!("the previous process does not let this one begin: {silence}")),
        }
    }

    fn exchange(&mut self, message: &FromNew, deadline: Option<Instant>) -> Result<FromOld, Silence> {
        // Whether it has ended shows in what it says.
        let _ = self.channel.send(message);
        self.channel.receive(deadline, || false)
    }

    /// Tells it why this process does not take over.
    pub(in crate::serve) fn fail(&mut self, why: &str) {
        // If it does not hear that, it sees that this one has ended.
        let _ = self.channel.send(&FromNew::Failed(why.to_owned()));
    }

    fn prepare_to_answer(&mut self, ledger: Arc<Ledger>) -> Result<(), String> {
        let (begin, begun) = mpsc::channel::<Channel>();
        let answer = move || {
            let Ok(mut channel) = begun.recv() else { return };
            while let Ok(FromOld::Ask(ask)) = channel.receive(None, || false) {
                if channel.send(&FromNew::Answer(ledger.grant(ask))).is_err() {
                    break;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("predecessor".to_owned()).spawn(answer);
        spawned.map_err(|error| format!("no thread can be started: {error}"))?;
        self.answering = Some(begin);
        Ok(())
    }

    /// Answers what it asks, as long as it finishes what came to it.
    pub(in crate::serve) fn answer(self) {
        if let Some(answering) = self.answering {
            // The thread waits for nothing else.
            let _ = answering.send(self.channel);
        }
    }
}
