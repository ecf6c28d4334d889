//! The process that is to take over, as the one that started it sees it.

use super::channel::{Channel, SOCKETS_MAX, Silence};
use super::{FromNew, FromOld, Hello, PROTOCOL, Place, VARIABLE};
use crate::config::Config;
use crate::ledger::{Ask, Granting, Successor};
use crate::proxy::Shared;
use crate::serve::sockets::Sockets;
use crate::serve::supervisor;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Until the new process has prepared everything. Requests are served meanwhile.
const PREPARE_MAX: Duration = Duration::from_secs(60);

/// Until the store has what is journaled: before admission pauses, and then again.
const STORE_MAX: Duration = Duration::from_secs(5);

/// Until the new process has the balances. Requests wait meanwhile.
const OPEN_MAX: Duration = Duration::from_secs(10);

/// Until it says whether a request is admitted.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// What is handed over, and to whom: see [`super`].
pub(in crate::serve) struct Succession {
    pub(in crate::serve) shared: Arc<Shared>,
    pub(in crate::serve) sockets: Arc<Sockets>,
    /// True: connections are accepted.
    pub(in crate::serve) gate: watch::Sender<bool>,
    /// Why there is no handing over, if so.
    pub(in crate::serve) refused: Option<&'static str>,
    place: Place,
    /// This process is to end instead.
    given_up: AtomicBool,
}

impl Succession {
    /// Accepting is on.
    pub(in crate::serve) fn new(
        config: &Config,
        shared: Arc<Shared>,
        sockets: Arc<Sockets>,
        refused: Option<&'static str>,
    ) -> Arc<Self> {
        let (gate, given_up) = (watch::Sender::new(true), AtomicBool::new(false));
        Arc::new(Self { shared, sockets, gate, refused, place: Place::of(config), given_up })
    }

    /// Whoever is just taking over is sent away, if it is not too late.
    pub(in crate::serve) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// Starts a new process and hands over to it. It blocks.
    ///
    /// # Errors
    /// Why that did not come about; everything goes on here as before.
    pub(in crate::serve) fn hand_over(&self) -> Result<(), String> {
        if let Some(refused) = self.refused {
            return Err(refused.to_owned());
        }
        if std::process::id() == 1 {
            return Err("process 1 of a container cannot be succeeded: all others end with it".to_owned());
        }
        let mut new = self.start()?;
        match self.hand_over_to(&mut new) {
            Ok(Whose::Theirs) => {
                supervisor::main_process(new.process.id());
                self.shared.ledger.yield_to(Arc::new(Asker::start(new.channel)));
                Ok(())
            }
            Ok(Whose::AnotherOnes) => {
                self.shared.ledger.yield_to(Arc::new(Nobody));
                Ok(())
            }
            Err(why) => {
                new.end();
                Err(why)
            }
        }
    }

    fn start(&self) -> Result<New, String> {
        let cannot = |error: std::io::Error| format!("a new process cannot be started: {error}");
        let executable = executable().map_err(cannot)?;
        let (ours, theirs) = UnixStream::pair().map_err(cannot)?;
        let mut command = Command::new(&executable);
        command.args(std::env::args_os().skip(1)).env(VARIABLE, "1").stdin(Stdio::from(OwnedFd::from(theirs)));
        let process =
            command.spawn().map_err(|error| format!("{} cannot be started: {error}", executable.display()))?;
        // Its copy of the other end goes with the command: so that the end of the process is the end of the channel.
        drop(command);
        tracing::info!("SIGQUIT: process {} ({}) is to take over", process.id(), executable.display());
        Ok(New { process, channel: Channel::new(ours) })
    }

    fn hand_over_to(&self, new: &mut New) -> Result<Whose, String> {
        let (listeners, sockets): (Vec<_>, Vec<_>) =
            self.sockets.copies().map_err(|error| format!("the sockets: {error}"))?.into_iter().unzip();
        if sockets.len() > SOCKETS_MAX {
            return Err(format!("more than {SOCKETS_MAX} sockets cannot be handed over"));
        }
        let place = Place { store: self.place.store.clone(), journal_dir: self.place.journal_dir.clone() };
        let hello = Hello { protocol: PROTOCOL, listeners, place };
        let unheard = |error: std::io::Error| format!("the new process cannot be told anything: {error}");
        new.channel.send_with(&hello, &sockets).map_err(unheard)?;
        drop(sockets);
        match self.hear(new, PREPARE_MAX) {
            Ok(FromNew::Ready) => {}
            other => return Err(unready("prepare", other)),
        }
        let ledger = &self.shared.ledger;
        let behind = || format!("the store has not taken within {STORE_MAX:?} what is journaled");
        if !ledger.wait_for_store(STORE_MAX) {
            ledger.resume();
            return Err(behind());
        }
        // Requests wait from here on. What is connected already is answered over here.
        let paused = Instant::now();
        self.shared.set_lingering(true);
        self.gate.send_replace(false);
        ledger.pause();
        let handed = if ledger.wait_for_store(STORE_MAX) { self.give_up_to(new) } else { Err(behind()) };
        if handed.is_err() {
            ledger.resume();
            self.gate.send_replace(true);
        } else {
            let (process, paused_ms) = (new.process.id(), paused.elapsed().as_millis());
            tracing::info!("process {process} has taken over after {paused_ms} ms; this one finishes what runs");
        }
        handed
    }

    /// The only stretch in which the balances are nobody's or theirs; whatever goes wrong in it, they are taken back.
    fn give_up_to(&self, new: &mut New) -> Result<Whose, String> {
        self.shared.ledger.give_up();
        let opened = match new.channel.send(&FromOld::Go).map(|()| self.hear(new, OPEN_MAX)) {
            Ok(Ok(FromNew::Opened)) => new.channel.send(&FromOld::Begin).map_err(|error| error.to_string()),
            Ok(other) => Err(unready("open", other)),
            Err(error) => Err(error.to_string()),
        };
        let Err(why) = opened else { return Ok(Whose::Theirs) };
        // Before the channel is closed: one that finds it closed may think that it is alone, and begin.
        new.end();
        match self.shared.ledger.take_back() {
            Ok(()) => Err(why),
            Err(error) => {
                tracing::error!("{why}; and the balances are not here any more: {error}; this process ends");
                Ok(Whose::AnotherOnes)
            }
        }
    }

    fn hear(&self, new: &mut New, limit: Duration) -> Result<FromNew, Silence> {
        new.channel.receive(Some(Instant::now() + limit), || self.given_up.load(Ordering::Acquire))
    }
}

/// Who has the balances after all.
enum Whose {
    /// The process that was started to have them.
    Theirs,
    /// One that came between, or nobody.
    AnotherOnes,
}

/// The path of the executable, which may have been replaced since this process was started.
fn executable() -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let replaced = path.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(path))
}

fn unready(what: &str, heard: Result<FromNew, Silence>) -> String {
    match heard {
        Ok(FromNew::Failed(why)) => format!("the new process was to {what}: {why}"),
        Ok(message) => format!("the new process was to {what}, and said {message:?}"),
        Err(silence) => format!("the new process was to {what}: {silence}; its own messages stand before this one"),
    }
}

/// The process that was started.
struct New {
    process: Child,
    channel: Channel,
}

impl New {
    /// Ends it, whatever it does; returns when it has.
    fn end(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        if let Err(error) = self.process.wait() {
            tracing::warn!("the new process: {error}");
        }
    }
}

/// Asks the process that has taken over, one question at a time.
struct Asker(mpsc::Sender<(Ask, oneshot::Sender<Granting>)>);

impl Asker {
    fn start(mut channel: Channel) -> Self {
        let (questions, asked) = mpsc::channel::<(Ask, oneshot::Sender<Granting>)>();
        std::thread::spawn(move || {
            for (ask, reply) in asked {
                if channel.send(&FromOld::Ask(ask)).is_err() {
                    return;
                }
                match channel.receive(Some(Instant::now() + ANSWER_MAX), || false) {
                    // Who does not wait any more has voided the hold.
                    Ok(FromNew::Answer(granting)) => drop(reply.send(granting)),
                    // Of an answer that comes later nobody would know to which question.
                    _ => return,
                }
            }
        });
        Self(questions)
    }
}

impl Successor for Asker {
    fn ask(&self, ask: Ask) -> oneshot::Receiver<Granting> {
        let (reply, answer) = oneshot::channel();
        // If nobody asks any more, the reply is dropped: that is an answer, too.
        let _ = self.0.send((ask, reply));
        answer
    }
}

/// There is nobody to ask.
struct Nobody;

impl Successor for Nobody {
    fn ask(&self, _ask: Ask) -> oneshot::Receiver<Granting> {
        oneshot::channel().1
    }
}
