//! The process that is to take over, as the one that started it sees it.

use super::asker::{Asker, Nobody};
use super::channel::{Channel, SOCKETS_MAX, Silence};
use super::{FromNew, FromOld, Hello, PROTOCOL, Place, VARIABLE, VERSION, container, executable};
use crate::config::Config;
use crate::ledger::LedgerError;
use crate::proxy::Shared;
use crate::serve::sockets::Sockets;
use crate::serve::supervisor;
use parking_lot::Mutex;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Until the new process has prepared everything. Requests are served meanwhile.
const PREPARE_MAX: Duration = Duration::from_secs(60);

/// Until the store has what is journaled: before admission pauses, and then again.
const STORE_MAX: Duration = Duration::from_secs(5);

/// Until the new process has the balances. Requests wait meanwhile.
const OPEN_MAX: Duration = Duration::from_secs(10);

/// So long it is tried to take the balances back where only the folder is in the way; and the pause between.
const TAKE_BACK_MAX: Duration = Duration::from_secs(5);
const TAKE_BACK_EVERY: Duration = Duration::from_millis(100);

/// So many signals to end, after the hand-over, end what runs.
const ENDS_TO_STOP: u32 = 2;

/// What is handed over, and to whom: see [`super`].
pub(in crate::serve) struct Succession {
    pub(in crate::serve) shared: Arc<Shared>,
    pub(in crate::serve) sockets: Arc<Sockets>,
    /// True: connections are accepted.
    pub(in crate::serve) gate: watch::Sender<bool>,
    /// Why there is no handing over, if so.
    pub(in crate::serve) refused: Option<&'static str>,
    place: Place,
    /// What a new process is started from; `None`: from this one's own executable.
    started_by: Option<PathBuf>,
    /// This process is to end instead.
    given_up: AtomicBool,
    /// The other one may admit: there is no way back.
    begun: AtomicBool,
    /// Nobody is known to have the balances, and why.
    lost: Mutex<Option<String>>,
    /// The process that has taken over. It is left for whoever looks after processes to see how it ends.
    successor: Mutex<Option<Child>>,
    /// Signals to end since then.
    ends: AtomicU32,
}

impl Succession {
    /// Accepting is on.
    pub(in crate::serve) fn new(
        config: &Config,
        shared: Arc<Shared>,
        sockets: Arc<Sockets>,
        refused: Option<&'static str>,
    ) -> Arc<Self> {
        Arc::new(Self {
            shared,
            sockets,
            gate: watch::Sender::new(true),
            refused,
            place: Place::of(config),
            started_by: executable::started_by(),
            given_up: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            lost: Mutex::default(),
            successor: Mutex::default(),
            ends: AtomicU32::new(0),
        })
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
        container::check()?;
        let asker = Arc::new(Asker::new()?);
        let mut new = self.start()?;
        match self.hand_over_to(&mut new) {
            Ok(Whose::Theirs) => {
                supervisor::main_process(new.process.id());
                asker.begin(new.channel);
                self.shared.ledger.yield_to(asker);
                *self.successor.lock() = Some(new.process);
                Ok(())
            }
            Ok(Whose::NotOurs) => {
                self.shared.ledger.yield_to(Arc::new(Nobody));
                Ok(())
            }
            Err(why) => {
                new.end();
                Err(why)
            }
        }
    }

    /// A hand-over that broke off by a fault. True: that was behind the point of no return.
    pub(in crate::serve) fn is_over_all_the_same(&self) -> bool {
        let begun = self.begun.load(Ordering::Acquire);
        if begun {
            self.shared.ledger.yield_to(Arc::new(Nobody));
        }
        begun
    }

    /// # Errors
    /// This process has given its balances up, and nobody is known to have them.
    pub(in crate::serve) fn lost_balances(&self) -> Result<(), String> {
        self.lost.lock().clone().map_or(Ok(()), Err)
    }

    /// A signal to end, after the hand-over: what runs is being finished already. True: it ends at once now.
    pub(in crate::serve) fn told_to_end(&self) -> bool {
        self.ends.fetch_add(1, Ordering::AcqRel) + 1 >= ENDS_TO_STOP
    }

    /// Whether what runs is to be finished no longer: somebody insists, or waits for the end of this process to start another
    /// one, because the one that has taken over has failed. A supervisor does not see that by itself: it is not its child.
    pub(in crate::serve) fn is_to_stop(&self) -> bool {
        let ends = self.ends.load(Ordering::Acquire);
        ends >= ENDS_TO_STOP || ((ends > 0 || supervisor::is_there()) && self.successor_has_failed())
    }

    fn successor_has_failed(&self) -> bool {
        let successor = self.successor.lock();
        let Some(successor) = &*successor else { return false };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = waitid(WaitId::Pid(Pid::from_child(successor)), look);
        ended.is_ok_and(|ended| ended.is_some_and(|status| status.exit_status() != Some(0)))
    }

    fn start(&self) -> Result<New, String> {
        let cannot = |error: std::io::Error| format!("a new process cannot be started: {error}");
        let executable = self.started_by.clone().map_or_else(executable::own, Ok).map_err(cannot)?;
        let (ours, theirs) = UnixStream::pair().map_err(cannot)?;
        let mut command = Command::new(&executable);
        command.args(std::env::args_os().skip(1)).env(VARIABLE, "1").stdin(Stdio::from(OwnedFd::from(theirs)));
        let process =
            command.spawn().map_err(|error| format!("{} cannot be started: {error}", executable.display()))?;
        // Its copy of the other end goes with the command: so that the end of the process is the end of the channel.
        drop(command);
        let file = executable.canonicalize().unwrap_or(executable);
        tracing::info!("SIGQUIT: process {} ({}) is to take over", process.id(), file.display());
        Ok(New { process, channel: Channel::new(ours) })
    }

    fn hand_over_to(&self, new: &mut New) -> Result<Whose, String> {
        let (listeners, sockets): (Vec<_>, Vec<_>) =
            self.sockets.copies().map_err(|error| format!("the sockets: {error}"))?.into_iter().unzip();
        if sockets.len() > SOCKETS_MAX {
            return Err(format!("more than {SOCKETS_MAX} sockets cannot be handed over"));
        }
        let place = Place { store: self.place.store.clone(), journal_dir: self.place.journal_dir.clone() };
        let hello = Hello { protocol: PROTOCOL, listeners, place, version: VERSION.to_owned() };
        let unheard = |error: std::io::Error| format!("the new process cannot be told anything: {error}");
        new.channel.send_with(&hello, &sockets).map_err(unheard)?;
        drop(sockets);
        match self.hear(new, PREPARE_MAX) {
            Ok(FromNew::Ready) => {}
            other => return Err(unready("prepare", other)),
        }
        let ledger = &self.shared.ledger;
        let behind = || format!("the store did not take what is journaled within {STORE_MAX:?}");
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
        match &handed {
            Ok(Whose::Theirs) => {
                let (process, paused_ms) = (new.process.id(), paused.elapsed().as_millis());
                tracing::info!("process {process} has taken over after {paused_ms} ms; this one finishes what runs");
            }
            Ok(Whose::NotOurs) => {}
            Err(_) => {
                ledger.resume();
                self.gate.send_replace(true);
            }
        }
        handed
    }

    /// The only stretch in which the balances are nobody's or theirs; whatever goes wrong in it, they are taken back.
    fn give_up_to(&self, new: &mut New) -> Result<Whose, String> {
        self.shared.ledger.give_up();
        let opened = match new.channel.send(&FromOld::Go).map(|()| self.hear(new, OPEN_MAX)) {
            Ok(Ok(FromNew::Opened)) => {
                self.begun.store(true, Ordering::Release);
                new.channel.send(&FromOld::Begin).map_err(|error| error.to_string())
            }
            Ok(other) => Err(unready("open", other)),
            Err(error) => Err(error.to_string()),
        };
        let Err(why) = opened else { return Ok(Whose::Theirs) };
        // Before the channel is closed: one that finds it closed may think that it is alone, and begin.
        new.end();
        self.begun.store(false, Ordering::Release);
        match self.take_back() {
            Ok(()) => return Err(why),
            Err(LedgerError::FolderInUse { process, .. }) => {
                let process = process.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"));
                tracing::error!("{why}; and {process} has the balances by now: this one finishes what runs");
            }
            Err(error) => {
                let lost = format!("{why}; and the balances cannot be taken back: {error}");
                tracing::error!("{lost}; this process finishes what runs, and fails");
                *self.lost.lock() = Some(lost);
            }
        }
        Ok(Whose::NotOurs)
    }

    /// Takes the balances back from a process that has ended.
    fn take_back(&self) -> Result<(), LedgerError> {
        let until = Instant::now() + TAKE_BACK_MAX;
        let mut told = false;
        loop {
            match self.shared.ledger.take_back() {
                Err(error @ LedgerError::Io { .. }) if Instant::now() < until => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!("the balances cannot be taken back, trying again: {error}");
                    }
                    std::thread::sleep(TAKE_BACK_EVERY);
                }
                done => return done,
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
    /// One that came between has them, or nobody.
    NotOurs,
}

fn unready(what: &str, heard: Result<FromNew, Silence>) -> String {
    match heard {
        Ok(FromNew::Failed(why)) => format!("the new process was to {what}: {why}"),
        Ok(message) => format!("the new process was to {what}, and said {message:?}"),
        Err(silence) => format!("the new process was to {what}: {silence}; its own messages are above this one"),
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
