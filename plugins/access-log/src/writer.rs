//! The thread that writes. A gateway has one for each target, however often the configuration is reloaded: two threads would rename each
//! other's files.

use crate::file::{CutShort, Limits, LogFile};
use crate::{PLUGIN, line};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tollgate_plugin_api::{Batch, Losses, OneEach, Outbox, OutboxLimits};

/// Lines that wait to be written; more are dropped. (A line has some 600 bytes.)
const LINES_QUEUED_MAX: u64 = 8192;
/// Lines are written together up to here.
const WRITE_BYTES_MAX: usize = 256 * 1024;
/// Lines of so much time are written together.
const GATHER: Duration = Duration::from_millis(10);
/// Lost lines are told of so often at most.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// The end of the process waits this long for what is queued.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(2);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    File(PathBuf),
}

/// See the module.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    /// What the thread writes to, until the first line starts it.
    unstarted: Mutex<Option<Box<dyn Out>>>,
    started: OnceLock<()>,
}

/// What the writer and its thread share.
struct Shared {
    lines: Outbox,
    /// As of the latest line: a reload changes them.
    rotate_bytes_max: AtomicU64,
    files_max: AtomicU32,
}

impl Shared {
    fn limits(&self) -> Limits {
        Limits {
            rotate_bytes_max: self.rotate_bytes_max.load(Ordering::Relaxed),
            files_max: self.files_max.load(Ordering::Relaxed),
        }
    }

    fn set_limits(&self, limits: Limits) {
        // Read by every line, and hardly ever written.
        if self.limits() != limits {
            self.rotate_bytes_max.store(limits.rotate_bytes_max, Ordering::Relaxed);
            self.files_max.store(limits.files_max, Ordering::Relaxed);
        }
    }
}

/// The writers there are.
pub(crate) type Writers = OneEach<Target, Writer>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in these is whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    /// A writer to a target. It starts with its first line.
    pub(crate) fn new(target: &Target, losses: Arc<dyn Losses>) -> Self {
        let out: Box<dyn Out> = match target {
            Target::Stdout => Box::new(io::stdout()),
            Target::File(path) => Box::new(LogFile::new(path.clone())),
        };
        Self::to(out, LINES_QUEUED_MAX, losses)
    }

    pub(crate) fn to(out: Box<dyn Out>, queued_max: u64, losses: Arc<dyn Losses>) -> Self {
        let limits = OutboxLimits {
            entries_max: queued_max,
            batch_entries_max: u64::MAX,
            batch_bytes_max: WRITE_BYTES_MAX,
            gather: GATHER,
        };
        let lines = Outbox::new(PLUGIN.name, limits, losses);
        let shared = Shared { lines, rotate_bytes_max: AtomicU64::default(), files_max: AtomicU32::default() };
        Self { shared: Arc::new(shared), unstarted: Mutex::new(Some(out)), started: OnceLock::new() }
    }

    /// Queues a line, which `line` appends, or drops it. Never waits.
    pub(crate) fn write(&self, line: impl FnOnce(&mut Vec<u8>), limits: Limits) {
        self.started.get_or_init(|| self.start());
        self.shared.set_limits(limits);
        self.shared.lines.put(line);
    }

    /// Waits until what is queued is written, for as long as is reasonable.
    pub(crate) fn flush(&self) {
        if self.started.get().is_some() {
            self.shared.lines.flush(FLUSH_WAIT_MAX);
        }
    }

    fn start(&self) {
        let Some(out) = locked(&self.unstarted).take() else { return };
        let thread = Thread { shared: self.shared.clone(), out, lost: 0, said_at: None, failing: false };
        let spawned = std::thread::Builder::new().name("access-log".into()).spawn(|| thread.run());
        if let Err(error) = spawned {
            self.shared.lines.close();
            tracing::error!("no access log: {error}");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lines.close();
    }
}

/// Something that lines are written to.
pub(crate) trait Out: Send {
    fn put(&mut self, lines: &[u8], limits: Limits) -> Result<(), CutShort>;
}

impl Out for io::Stdout {
    fn put(&mut self, lines: &[u8], _limits: Limits) -> Result<(), CutShort> {
        let mut out = self.lock();
        out.write_all(lines)?;
        Ok(out.flush()?)
    }
}

impl Out for LogFile {
    fn put(&mut self, lines: &[u8], limits: Limits) -> Result<(), CutShort> {
        self.append(lines, limits)
    }
}

/// The side that writes.
struct Thread {
    shared: Arc<Shared>,
    out: Box<dyn Out>,
    /// Lines that are not in the log, and nobody was told yet.
    lost: u64,
    said_at: Option<Instant>,
    failing: bool,
}

impl Thread {
    fn run(mut self) {
        let mut batch = Batch::default();
        while self.shared.lines.take(&mut batch) {
            self.lost += batch.dropped;
            self.say_lost(batch.count == 0);
            batch.pieces().for_each(|lines| self.put_all(lines));
        }
        self.lost += batch.dropped;
        self.say_lost(true);
    }

    /// Tells of lines that were lost, in the log itself and in the gateway's.
    fn say_lost(&mut self, now: bool) {
        let due = now || self.said_at.is_none_or(|at| at.elapsed() >= SAY_EVERY);
        if !due || self.lost == 0 {
            return;
        }
        self.said_at = Some(Instant::now());
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        tracing::warn!(dropped = self.lost, "the access log has lost lines: its output is too slow, or failed");
        let line = line::dropped(self.lost, now_ms);
        if self.put(line.as_bytes()) == line.len() {
            self.lost = 0;
        }
    }

    /// Writes lines, in pieces that fit into a file.
    fn put_all(&mut self, mut lines: &[u8]) {
        let bytes_max = usize::try_from(self.shared.limits().rotate_bytes_max).unwrap_or(usize::MAX);
        while !lines.is_empty() {
            let (piece, rest) = lines.split_at(whole_lines(lines, bytes_max));
            let unwritten = &piece[self.put(piece)..];
            // A line is lost if its end is.
            let count = unwritten.iter().filter(|byte| **byte == b'\n').count() as u64;
            if count > 0 {
                self.lost += count;
                self.shared.lines.undelivered(count);
            }
            lines = rest;
        }
    }

    /// So many of these bytes could be written.
    fn put(&mut self, lines: &[u8]) -> usize {
        let done = self.out.put(lines, self.shared.limits());
        match &done {
            Ok(()) if self.failing => tracing::warn!("the access log is written again"),
            Err(CutShort { error, .. }) if !self.failing => {
                tracing::error!("the access log cannot be written: {error}")
            }
            _ => {}
        }
        self.failing = done.is_err();
        done.map_or_else(|cut| cut.written_bytes, |()| lines.len())
    }
}

/// How many bytes of `lines` are whole lines and at most `bytes_max`; a line that is longer stands alone.
fn whole_lines(lines: &[u8], bytes_max: usize) -> usize {
    if lines.len() <= bytes_max {
        return lines.len();
    }
    let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n');
    let first = || lines.iter().position(|byte| *byte == b'\n').unwrap_or(lines.len() - 1);
    end(&lines[..bytes_max]).unwrap_or_else(first) + 1
}
