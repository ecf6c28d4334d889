//! The queue and the thread behind it. One for each target, however often the configuration is reloaded: two threads would
//! rename each other's files.

use crate::file::{Limits, LogFile};
use crate::line;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Lines that wait to be written; more are dropped. (A line has some 600 bytes.)
const LINES_QUEUED_MAX: usize = 8192;
/// Lines are written together up to here.
const WRITE_BYTES_MAX: usize = 64 * 1024;
/// Lost lines are told of so often at most.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// The end of the process waits this long for what is queued.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(2);
/// Lines of so much time are written together.
const GATHER: Duration = Duration::from_millis(10);
const FLUSH_LOOK: Duration = Duration::from_millis(5);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    File(PathBuf),
}

enum Message {
    Line(String, Limits),
    /// Everything before it is to be written; then this is told.
    Flush(SyncSender<()>),
}

/// See the module.
pub(crate) struct Writer {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    /// Until the first line starts the thread.
    unstarted: Mutex<Option<Thread>>,
}

/// The writers there are.
static WRITERS: Mutex<Vec<(Target, Weak<Writer>)>> = Mutex::new(Vec::new());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in these is whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    /// The writer of a target. It starts with its first line.
    pub(crate) fn of(target: Target) -> Arc<Self> {
        let mut writers = locked(&WRITERS);
        writers.retain(|(_, writer)| writer.strong_count() > 0);
        let found = writers.iter().find(|(other, _)| *other == target);
        if let Some(writer) = found.and_then(|(_, writer)| writer.upgrade()) {
            return writer;
        }
        let out: Box<dyn Out> = match &target {
            Target::Stdout => Box::new(io::stdout()),
            Target::File(path) => Box::new(LogFile::new(path.clone())),
        };
        let writer = Arc::new(Self::to(out, LINES_QUEUED_MAX));
        writers.push((target, Arc::downgrade(&writer)));
        writer
    }

    pub(crate) fn to(out: Box<dyn Out>, queued_max: usize) -> Self {
        let (sender, receiver) = sync_channel(queued_max);
        let dropped = Arc::new(AtomicU64::new(0));
        let thread = Thread {
            receiver,
            out,
            dropped: dropped.clone(),
            lines: Vec::new(),
            count: 0,
            told: 0,
            limits: None,
            said_at: None,
            failing: false,
        };
        Self { sender, dropped, unstarted: Mutex::new(Some(thread)) }
    }

    /// Queues a line, or drops it. Never waits.
    pub(crate) fn write(&self, line: String, limits: Limits) {
        self.start();
        if self.sender.try_send(Message::Line(line, limits)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what is queued is written, for as long as is reasonable.
    pub(crate) fn flush(&self) {
        if locked(&self.unstarted).is_some() {
            return;
        }
        let until = Instant::now() + FLUSH_WAIT_MAX;
        let (done, is_done) = sync_channel(1);
        let mut message = Message::Flush(done);
        while Instant::now() < until {
            match self.sender.try_send(message) {
                Ok(()) => {
                    // Whoever does not answer in time has lost what was queued.
                    let _ = is_done.recv_timeout(until.saturating_duration_since(Instant::now()));
                    return;
                }
                Err(TrySendError::Full(unsent)) => message = unsent,
                Err(TrySendError::Disconnected(_)) => return,
            }
            std::thread::sleep(FLUSH_LOOK);
        }
    }

    fn start(&self) {
        let Some(thread) = locked(&self.unstarted).take() else { return };
        let spawned = std::thread::Builder::new().name("access-log".into()).spawn(|| thread.run());
        if let Err(error) = spawned {
            tracing::error!("no access log: {error}");
        }
    }
}

/// Something that lines are written to.
pub(crate) trait Out: Send {
    fn put(&mut self, lines: &[u8], limits: Limits) -> io::Result<()>;
}

impl Out for io::Stdout {
    fn put(&mut self, lines: &[u8], _limits: Limits) -> io::Result<()> {
        let mut out = self.lock();
        out.write_all(lines)?;
        out.flush()
    }
}

impl Out for LogFile {
    fn put(&mut self, lines: &[u8], limits: Limits) -> io::Result<()> {
        self.append(lines, limits)
    }
}

/// The side that writes.
struct Thread {
    receiver: Receiver<Message>,
    out: Box<dyn Out>,
    dropped: Arc<AtomicU64>,
    /// Not written yet.
    lines: Vec<u8>,
    count: u64,
    /// Lost lines that they tell of.
    told: u64,
    limits: Option<Limits>,
    said_at: Option<Instant>,
    failing: bool,
}

impl Thread {
    fn run(mut self) {
        loop {
            let message = match self.receiver.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.put();
                    // Asleep, not waiting: to be woken for each line costs more than the line.
                    std::thread::sleep(GATHER);
                    match self.receiver.recv() {
                        Ok(message) => message,
                        Err(_) => break,
                    }
                }
            };
            match message {
                Message::Line(line, limits) => self.take(&line, limits),
                Message::Flush(done) => {
                    self.say_dropped(true);
                    self.put();
                    // Whoever asked may not wait any more.
                    let _ = done.send(());
                }
            }
        }
        self.say_dropped(true);
        self.put();
    }

    fn take(&mut self, line: &str, limits: Limits) {
        let full = WRITE_BYTES_MAX.min(usize::try_from(limits.rotate_bytes_max).unwrap_or(usize::MAX));
        if self.lines.len() + line.len() > full {
            self.put();
        }
        self.limits = Some(limits);
        self.say_dropped(false);
        self.lines.extend_from_slice(line.as_bytes());
        self.count += 1;
    }

    /// Tells of lines that were lost, in the log itself and in the gateway's.
    fn say_dropped(&mut self, now: bool) {
        let due = now || self.said_at.is_none_or(|at| at.elapsed() >= SAY_EVERY);
        if !due || self.dropped.load(Ordering::Relaxed) == 0 {
            return;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        self.told += dropped;
        self.said_at = Some(Instant::now());
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        self.lines.extend_from_slice(line::dropped(dropped, now_ms).as_bytes());
        tracing::warn!(dropped, "the access log has lost lines: its output is too slow, or failed");
    }

    fn put(&mut self) {
        let Some(limits) = self.limits.filter(|_| !self.lines.is_empty()) else { return };
        match self.out.put(&self.lines, limits) {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::warn!("the access log is written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.dropped.fetch_add(self.count + self.told, Ordering::Relaxed);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!("the access log cannot be written: {error}");
                }
            }
        }
        self.lines.clear();
        (self.count, self.told) = (0, 0);
    }
}
