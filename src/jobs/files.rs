//! The files that a configuration consists of, as they were before they were read: whether they have changed since, and whether
//! what is there now is whole.

use super::writers::{Word, Writers};
use crate::config::Config;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Looks in each of which a file is another one, until what its writers say is enough: they replace it as a whole, again and again.
const RESTLESS_LOOKS_MAX: u32 = 4;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    bytes: u64,
    /// Device and number.
    file: (u64, u64),
    /// Of permissions, and of a time that was set back, only this tells: seconds and nanoseconds.
    changed: (i64, i64),
}

impl Stamp {
    /// `None`: there is no such file, or it cannot be seen.
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(path).ok()?;
        let (changed, modified) = ((file.ctime(), file.ctime_nsec()), file.modified().ok()?);
        Some(Self { modified, bytes: file.len(), file: (file.dev(), file.ino()), changed })
    }
}

/// How the files are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As they were read.
    AsRead,
    /// Changed, and as far as is known nobody is in the middle of it: the next look tells whether there is more to come. Whether
    /// those who wrote have said so.
    Settling(bool),
    /// Changed, and whole.
    Settled,
    /// Somebody is writing this one.
    Writing(PathBuf),
}

/// See the module.
pub struct Seen {
    config_file: Option<PathBuf>,
    named: Vec<PathBuf>,
    /// In that order, of each, before it was read.
    stamps: Vec<Option<Stamp>>,
    writers: Writers,
    /// As they were at the last look, if they have changed, and how many looks ago that began.
    pending: Option<(Vec<Option<Stamp>>, u32)>,
    /// They are to be read, whether they have changed or not.
    is_due: bool,
}

impl Seen {
    /// To be made before prices and certificate are read. A configuration file that has changed since it was read itself
    /// counts as changed.
    pub fn of(config_file: Option<&Path>, config: &Config) -> Self {
        let mut seen = Self::with(config_file, named_by(config), Writers::default());
        let is_what_was_read = |path: &Path| std::fs::read_to_string(path).is_ok_and(|text| config.is_read_from(&text));
        seen.is_due = !config_file.is_none_or(is_what_was_read);
        seen
    }

    fn with(config_file: Option<&Path>, named: Vec<PathBuf>, writers: Writers) -> Self {
        let config_file = config_file.map(Path::to_owned);
        let mut seen = Self { config_file, named, stamps: Vec::new(), writers, pending: None, is_due: false };
        seen.begin();
        seen
    }

    /// They are read now.
    pub(super) fn begin(&mut self) {
        self.hear();
        self.stamps = self.now();
        self.writers.forget();
        (self.pending, self.is_due) = (None, false);
    }

    /// The configuration that was just read names these. False: there are new ones among them, which nobody has looked at.
    pub(super) fn name(&mut self, config: &Config) -> bool {
        let known: HashMap<PathBuf, Option<Stamp>> =
            self.files().map(Path::to_owned).zip(self.stamps.iter().copied()).collect();
        self.named = named_by(config);
        self.hear();
        let stamp = |file: &Path| known.get(file).copied().unwrap_or_else(|| Stamp::of(file));
        let stamps = self.files().map(stamp).collect();
        self.stamps = stamps;
        self.files().all(|file| known.contains_key(file))
    }

    /// Whether something was done to them since they began to be read.
    pub(super) fn has_moved(&mut self) -> bool {
        self.hear();
        self.now() != self.stamps || self.files().any(|file| self.writers.word(file) != Word::Nothing)
    }

    /// They have to be read again, from the next look on.
    pub(super) fn is_to_be_read(&mut self) {
        self.pending = Some((self.now(), 1));
        self.is_due = true;
    }

    /// How they are: to be asked again and again.
    pub(super) fn look(&mut self) -> State {
        self.hear();
        let now = self.now();
        let written_to = self.files().find(|file| self.writers.word(file) == Word::Writing).map(Path::to_owned);
        if let Some(file) = written_to {
            self.pending = None;
            return State::Writing(file);
        }
        let is_changed = |(at, stamp): (usize, &Option<Stamp>)| self.stamps.get(at) != Some(stamp);
        let changed: Vec<bool> = now.iter().enumerate().map(is_changed).collect();
        if !self.is_due && !changed.contains(&true) {
            self.pending = None;
            return State::AsRead;
        }
        let looks = self.pending.as_ref().map_or(0, |(_, looks)| *looks);
        let is_said =
            self.files().zip(&changed).all(|(file, changed)| !changed || self.writers.word(file) == Word::Written);
        if self.pending.as_ref().is_some_and(|(before, _)| *before == now) || is_said && looks >= RESTLESS_LOOKS_MAX {
            return State::Settled;
        }
        self.pending = Some((now, looks + 1));
        State::Settling(is_said && !self.is_due)
    }

    fn hear(&mut self) {
        let Self { config_file, named, writers, .. } = self;
        writers.hear(config_file.iter().chain(&*named).map(PathBuf::as_path));
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        self.config_file.iter().chain(&self.named).map(PathBuf::as_path)
    }

    fn now(&self) -> Vec<Option<Stamp>> {
        self.files().map(Stamp::of).collect()
    }
}

/// The files that a configuration names and that are read with it.
fn named_by(config: &Config) -> Vec<PathBuf> {
    let tls = config.server.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
    tls.chain([&config.pricing.file]).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Write;

    /// A folder with a file that is looked at.
    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().expect("a folder"));
            place.put("a", "old");
            place
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn put(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).expect("a writable folder");
        }

        fn seen(&self, writers: Writers) -> Seen {
            Seen::with(Some(&self.path("a")), vec![self.path("b")], writers)
        }
    }

    fn write(file: &mut File, text: &str) {
        file.write_all(text.as_bytes()).expect("our file");
    }

    /// What is there is whole at the next look, and can be read.
    fn settles(seen: &mut Seen) {
        assert_eq!((seen.look(), seen.has_moved()), (State::Settled, true));
        seen.begin();
        assert_eq!((seen.look(), seen.has_moved()), (State::AsRead, false));
    }

    #[test]
    fn a_file_waits_for_whoever_writes_it() {
        let place = Place::new();
        let mut seen = place.seen(Writers::default());
        assert_eq!(seen.look(), State::AsRead);
        let is_written = |seen: &mut Seen, name: &str| {
            for _ in 0..10 {
                assert_eq!(seen.look(), State::Writing(place.path(name)), "it may take as long as it likes");
            }
        };
        for (name, done) in [("a", "b"), ("b", "a")] {
            // In place; it need not be the first time that there is one.
            let mut file = File::create(place.path(name)).expect("a writable folder");
            is_written(&mut seen, name);
            write(&mut file, "half");
            is_written(&mut seen, name);
            place.put(done, "whole");
            is_written(&mut seen, name);
            drop(file);
            assert_eq!(seen.look(), State::Settling(true));
            settles(&mut seen);
        }
        // Under another name, which it leaves before it is whole.
        let mut file = File::create(place.path("next")).expect("a writable folder");
        write(&mut file, "half");
        assert_eq!(seen.look(), State::AsRead);
        fs::rename(place.path("next"), place.path("a")).expect("a writable folder");
        is_written(&mut seen, "a");
        drop(file);
        assert_eq!(seen.look(), State::Settling(true));
        settles(&mut seen);
        // What had this name before may be written on.
        let mut lost = File::create(place.path("a")).expect("our file");
        is_written(&mut seen, "a");
        place.put("next", "whole");
        fs::rename(place.path("next"), place.path("a")).expect("a writable folder");
        write(&mut lost, "half");
        assert_eq!(seen.look(), State::Settling(true));
        settles(&mut seen);
        // Appended to.
        let mut file = fs::OpenOptions::new().append(true).open(place.path("a")).expect("our file");
        write(&mut file, "more");
        is_written(&mut seen, "a");
        drop(file);
        assert_eq!(seen.look(), State::Settling(true));
        settles(&mut seen);
    }

    #[test]
    fn what_comes_whole_waits_for_nobody_and_what_is_gone_is_a_change() {
        let place = Place::new();
        let mut seen = place.seen(Writers::default());
        place.put("next", "new");
        place.put("linked", "new");
        let steps: [&dyn Fn() -> std::io::Result<()>; 5] = [
            &|| fs::rename(place.path("next"), place.path("a")),
            &|| fs::remove_file(place.path("a")),
            &|| fs::hard_link(place.path("linked"), place.path("a")),
            &|| fs::rename(place.path("a"), place.path("aside")),
            &|| std::os::unix::fs::symlink(place.path("aside"), place.path("a")),
        ];
        for (nth, step) in steps.into_iter().enumerate() {
            step().expect("a writable folder");
            assert!(matches!(seen.look(), State::Settling(_)), "{nth}");
            settles(&mut seen);
        }
        // Behind the link it is the file that is written.
        let file = File::create(place.path("aside")).expect("our file");
        assert_eq!(seen.look(), State::Writing(place.path("a")));
        drop(file);
        assert_eq!(seen.look(), State::Settling(true));
        settles(&mut seen);
        // Another folder in the place of this one.
        fs::create_dir(place.path("folder")).expect("a writable folder");
        place.put("folder/c", "c");
        let mut seen = Seen::with(None, vec![place.path("folder/c")], Writers::default());
        fs::rename(place.path("folder"), place.path("gone")).expect("a writable folder");
        fs::create_dir(place.path("folder")).expect("a writable folder");
        assert_eq!(seen.look(), State::Settling(false));
        let file = File::create(place.path("folder/c")).expect("a writable folder");
        assert_eq!(seen.look(), State::Writing(place.path("folder/c")));
        drop(file);
    }

    #[test]
    fn where_nobody_says_who_writes_a_file_must_be_the_same_at_two_looks() {
        let place = Place::new();
        let mut seen = place.seen(Writers::deaf());
        for text in ["a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg"] {
            place.put("a", text);
            assert_eq!(seen.look(), State::Settling(false), "{text}");
        }
        settles(&mut seen);
    }

    #[test]
    fn what_is_replaced_again_and_again_comes_into_force_all_the_same() {
        let place = Place::new();
        let mut seen = place.seen(Writers::default());
        let look = |nth: usize, seen: &mut Seen| {
            place.put("next", &"x".repeat(nth));
            fs::rename(place.path("next"), place.path("a")).expect("a writable folder");
            seen.look()
        };
        let states: Vec<State> = (10..20).map(|nth| look(nth, &mut seen)).collect();
        assert!(states.contains(&State::Settled), "{states:?}");
    }

    #[test]
    fn what_is_done_while_it_is_read_is_noticed_and_permissions_are_a_change() {
        let place = Place::new();
        let mut seen = place.seen(Writers::default());
        place.put("a", "new");
        assert_eq!(seen.look(), State::Settling(true));
        assert_eq!(seen.look(), State::Settled);
        seen.begin();
        let file = File::create(place.path("a")).expect("our file");
        assert!(seen.has_moved());
        drop(file);
        seen.is_to_be_read();
        settles(&mut seen);
        let modified = fs::metadata(place.path("a")).and_then(|file| file.modified()).expect("a file");
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o604);
        fs::set_permissions(place.path("a"), permissions).expect("our file");
        assert_eq!(fs::metadata(place.path("a")).and_then(|file| file.modified()).expect("a file"), modified);
        assert_eq!(seen.look(), State::Settling(false));
        settles(&mut seen);
    }
}
