//! Where an issuer's public keys come from. A thread of its own reads them, again and again: no request waits for it. What was
//! read last stays when a read fails.

use crate::PLUGIN;
use crate::set::{KeySet, SET_BYTES_MAX};
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tollgate_plugin_api::Memory;

/// One read takes no longer.
const READ_TIME_MAX: Duration = Duration::from_secs(10);
/// Between two reads that unknown keys ask for: whoever invents names of keys makes no load over there.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// After a read that failed.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Before the first: a configuration that is only checked asks nobody.
const FIRST_AFTER: Duration = Duration::from_millis(100);

/// Where the set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Url { url: String, is_loopback: bool },
    File(PathBuf),
}

impl Place {
    /// # Errors
    /// It is no address that can be trusted: keys that come in the clear are anybody's.
    pub(crate) fn url(url: String) -> Result<Self, String> {
        // Not the address itself: it may have a secret in it.
        let wrong = || "expected https://host/path (http for a loopback address alone), without a user".to_owned();
        let uri: http::Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().map(|host| host.trim_matches(['[', ']'])).filter(|host| !host.is_empty());
        let host = host.ok_or_else(wrong)?;
        let is_loopback =
            host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let is_safe = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => is_loopback,
            _ => false,
        };
        let names_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if is_safe && !names_user { Ok(Self::Url { url, is_loopback }) } else { Err(wrong()) }
    }

    /// The key of the configuration that names it.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Url { .. } => "jwks_url",
            Self::File(_) => "jwks_file",
        }
    }

    /// # Errors
    /// Nobody answers, or what is there is no set.
    pub(crate) fn read(&self) -> Result<KeySet, String> {
        let json = match self {
            Self::Url { url, is_loopback } => fetched(url, *is_loopback)?,
            Self::File(path) => {
                let mut json = Vec::new();
                let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
                // One more shows that it is too long.
                file.take(SET_BYTES_MAX as u64 + 1).read_to_end(&mut json).map_err(|error| error.to_string())?;
                json
            }
        };
        KeySet::read(&json)
    }
}

/// Without following anybody anywhere: where the operator says they are, or nowhere.
fn fetched(url: &str, is_loopback: bool) -> Result<Vec<u8>, String> {
    let mut config = ureq::Agent::config_builder()
        .timeout_global(Some(READ_TIME_MAX))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .https_only(!is_loopback);
    if is_loopback {
        config = config.proxy(None);
    }
    let agent: ureq::Agent = config.build().into();
    let mut response = agent.get(url).header("accept", "application/json").call().map_err(|error| error.to_string())?;
    if response.status() != 200 {
        return Err(format!("status {}, expected 200", response.status().as_u16()));
    }
    let body = response.body_mut().with_config().limit(SET_BYTES_MAX as u64);
    body.read_to_vec().map_err(|error| error.to_string())
}

/// The set that was read last, for the next configuration: a reload must not make sound tokens fail.
#[derive(Default)]
struct Kept(Mutex<Option<(Place, Arc<KeySet>)>>);

/// The near end. Dropped, the thread ends.
pub(crate) struct Source(Arc<State>);

struct State {
    place: Place,
    refresh: Duration,
    set: RwLock<Option<Arc<KeySet>>>,
    wish: Mutex<Wish>,
    changed: Condvar,
    kept: Arc<Kept>,
}

/// What the thread is to do.
#[derive(Default)]
struct Wish {
    ends: bool,
    asked: bool,
    /// When it last read because it was asked to.
    asked_at: Option<Instant>,
}

impl Source {
    /// # Errors
    /// A file that has no set in it, or the thread does not start.
    pub(crate) fn start(place: Place, refresh: Duration, memory: &Memory) -> Result<Self, String> {
        let kept = memory.get::<Kept>();
        let known = locked(&kept.0).as_ref().filter(|(from, _)| *from == place).map(|(_, set)| set.clone());
        let set = match &place {
            // It is there, or the configuration is wrong.
            Place::File(path) => {
                let read = place.read().map_err(|error| format!("jwks_file: {}: {error}", path.display()))?;
                Some(Arc::new(read))
            }
            Place::Url { .. } => known,
        };
        let (wish, changed) = Default::default();
        let state = Arc::new(State { place, refresh, set: RwLock::new(set), wish, changed, kept });
        let thread = state.clone();
        std::thread::Builder::new()
            .name(PLUGIN.name.to_owned())
            .spawn(move || thread.run())
            .map_err(|error| format!("its thread does not start: {error}"))?;
        Ok(Self(state))
    }

    /// The keys; `None`: they were never there.
    pub(crate) fn set(&self) -> Option<Arc<KeySet>> {
        self.0.set.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A key is not in the set: it may be newer than the set is.
    pub(crate) fn ask(&self) {
        locked(&self.0.wish).asked = true;
        self.0.changed.notify_one();
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        locked(&self.0.wish).ends = true;
        self.0.changed.notify_one();
    }
}

impl State {
    fn run(&self) {
        let mut next_read = Instant::now() + FIRST_AFTER;
        // What was said last: once is enough while it stays so.
        let mut said = None;
        while self.wait(next_read) {
            let refreshed = self.place.read();
            next_read = Instant::now() + if refreshed.is_ok() { self.refresh } else { self.refresh.min(RETRY_AFTER) };
            let key = self.place.key();
            match refreshed {
                Ok(set) => {
                    self.publish(Arc::new(set));
                    if said.take().is_some() {
                        tracing::info!("auth-jwt: the keys at `{key}` can be read again");
                    }
                }
                Err(error) if said.as_ref() != Some(&error) => {
                    tracing::warn!("auth-jwt: the keys at `{key}` cannot be read, those that are known stay: {error}");
                    said = Some(error);
                }
                Err(_) => {}
            }
        }
    }

    fn publish(&self, set: Arc<KeySet>) {
        *locked(&self.kept.0) = Some((self.place.clone(), set.clone()));
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Some(set);
    }

    /// Until it is time to read. False: nobody needs it any more.
    fn wait(&self, next_read: Instant) -> bool {
        let mut wish = locked(&self.wish);
        loop {
            let now = Instant::now();
            let may_be_asked = wish.asked_at.map_or(now, |at| at + ASK_EVERY);
            let wake = if wish.asked { next_read.min(may_be_asked) } else { next_read };
            if wish.ends {
                return false;
            }
            if now >= wake {
                if std::mem::take(&mut wish.asked) {
                    wish.asked_at = Some(now);
                }
                return true;
            }
            let waited = self.changed.wait_timeout(wish, wake - now);
            wish = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A value under its lock: none is left half changed by a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
