//! Processes that the driver starts, and what the kernel says of them.

use crate::Failure;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Clock ticks a second in /proc, on every Linux that Rust runs on.
const TICKS_PER_SECOND: u64 = 100;
/// A process that has not begun to listen by then will not.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// What a process may take to end before it is killed.
const END_TIMEOUT: Duration = Duration::from_secs(8);
/// A process is quiet when it used at most one tick in this time.
const QUIET_FOR: Duration = Duration::from_millis(200);
/// Waiting for quiet gives up after this.
const QUIET_TIMEOUT: Duration = Duration::from_secs(120);
/// As much of a log as a failure shows.
const LOG_TAIL_BYTES: usize = 4000;

/// A process of ours; it ends when this is dropped.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a process with its output in a file. It ends with the driver, however that ends.
    pub(crate) fn start<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
        log: PathBuf,
    ) -> Result<Self, Failure> {
        Self::start_with(&[], program, arguments, log)
    }

    /// The same, with more in its environment.
    pub(crate) fn start_with<A: AsRef<OsStr>>(
        environment: &[(&str, PathBuf)],
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
        log: PathBuf,
    ) -> Result<Self, Failure> {
        let file = File::create(&log)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(&program).args(arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file);
        let child = command.spawn().map_err(|error| format!("setpriv (of util-linux): {error}"))?;
        Ok(Self { child, log })
    }

    /// Waits until it listens.
    pub(crate) fn wait_for(&mut self, address: SocketAddr) -> Result<(), Failure> {
        self.wait_until("it does not listen", || TcpStream::connect(address).is_ok().then_some(()))
    }

    /// Waits for the first line that it prints.
    pub(crate) fn first_line(&mut self) -> Result<String, Failure> {
        let log = self.log.clone();
        let line = move || Some(fs::read_to_string(&log).ok()?.split_once('\n')?.0.to_owned());
        self.wait_until("it prints nothing", line)
    }

    fn wait_until<T>(&mut self, otherwise: &str, mut found: impl FnMut() -> Option<T>) -> Result<T, Failure> {
        let give_up = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(found) = found() {
                return Ok(found);
            }
            if self.child.try_wait()?.is_some() {
                return Err(format!("it ended at once:\n{}", tail(&self.log)).into());
            }
            if Instant::now() > give_up {
                return Err(format!("{otherwise}:\n{}", tail(&self.log)).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// It, and the processes that it started.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let own = self.child.id();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let children = numbers.filter(|pid| stat(*pid).is_some_and(|fields| fields.get(1) == Some(&u64::from(own))));
        std::iter::once(own).chain(children).collect()
    }

    /// Processor time since the start, in microseconds, in steps of ten thousand.
    pub(crate) fn cpu_us(&self) -> u64 {
        let ticks = |pid| stat(pid).map_or(0, |fields| fields.get(11).unwrap_or(&0) + fields.get(12).unwrap_or(&0));
        self.pids().into_iter().map(ticks).sum::<u64>() * (1_000_000 / TICKS_PER_SECOND)
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let resident = |pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        self.pids().into_iter().filter_map(resident).sum()
    }

    /// Waits until it has done what it had put off.
    pub(crate) fn wait_for_quiet(&self) -> Result<(), Failure> {
        let give_up = Instant::now() + QUIET_TIMEOUT;
        let mut before = self.cpu_us();
        while Instant::now() < give_up {
            thread::sleep(QUIET_FOR);
            let now = self.cpu_us();
            if now - before <= 1_000_000 / TICKS_PER_SECOND {
                return Ok(());
            }
            before = now;
        }
        Err(format!("a proxy is still busy {} s after its load", QUIET_TIMEOUT.as_secs()).into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx ends its workers when it is asked to, not when it is killed. Every shell has `kill`.
        let ask = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        let give_up = Instant::now() + END_TIMEOUT;
        while ask.is_ok() && Instant::now() < give_up {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        // Already ended, or nothing more can be done.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The numbers of /proc/PID/stat behind the process's name: state (as 0), parent, …
fn stat(pid: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
}

/// An address that nobody listens on just now.
pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
