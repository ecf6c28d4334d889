//! Who still writes: the kernel says when a file is written to, and when whoever wrote it has closed it (inotify). It does so for
//! folders, so that nothing is missed of a file that comes anew. What it says nothing of (a file system that is written to from
//! another machine, a folder that was not listened to yet) is not known, and who asks goes by how the file looks.

/// What is known of a file since [`Writers::forget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Somebody has written to it and has not closed it.
    Writing,
    /// It was written, or put into its place, and is whole.
    Written,
    /// Nothing.
    Nothing,
}

#[cfg(not(target_os = "linux"))]
#[derive(Default)]
pub(super) struct Writers;

#[cfg(not(target_os = "linux"))]
impl Writers {
    #[cfg(test)]
    pub(super) fn deaf() -> Self {
        Self
    }

    pub(super) fn hear<'p>(&mut self, _files: impl Iterator<Item = &'p std::path::Path>) {}

    pub(super) fn word(&self, _file: &std::path::Path) -> Word {
        Word::Nothing
    }

    pub(super) fn forget(&mut self) {}
}

#[cfg(target_os = "linux")]
pub(super) use linux::Writers;

#[cfg(target_os = "linux")]
mod linux {
    use super::Word;
    use rustix::fs::inotify::{CreateFlags, Event, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};
    use rustix::io::Errno;
    use std::collections::{HashMap, HashSet};
    use std::ffi::{OsStr, OsString};
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};

    /// Events that are heard in one look. More than that are not believed.
    const EVENTS_MAX: usize = 65_536;
    /// Files in these folders that are open at once and are kept in mind. With more of them nothing is known.
    const OPEN_MAX: usize = 4_096;
    /// What is read at a time, in bytes.
    const BUFFER_BYTES: usize = 16 * 1024;

    /// A file: the watch of its folder, and its name there.
    type Place = (i32, OsString);

    /// See the module.
    pub(in super::super) struct Writers {
        /// None: the system has none for us, or it has failed.
        inotify: Option<OwnedFd>,
        folders: HashMap<i32, PathBuf>,
        /// Written to, and not closed.
        open: HashSet<Place>,
        /// Closed, or put into place.
        written: HashSet<Place>,
        /// Watches of folders that are elsewhere now.
        strayed: Vec<i32>,
        /// Files that have left their names and have no new ones yet, by the kernel's mark: whether they were open.
        moving: HashMap<u32, bool>,
    }

    impl Default for Writers {
        fn default() -> Self {
            let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
            if let Err(error) = &inotify {
                tracing::warn!(
                    "the system cannot tell who writes files ({error}): they are read once they stop changing"
                );
            }
            Self { inotify: inotify.ok(), ..Self::deaf() }
        }
    }

    impl Writers {
        /// One that hears nothing.
        pub(in super::super) fn deaf() -> Self {
            let (folders, moving, strayed) = (HashMap::new(), HashMap::new(), Vec::new());
            Self { inotify: None, folders, open: HashSet::new(), written: HashSet::new(), strayed, moving }
        }

        /// Hears what was done until now, and from now on listens in the folders of these files alone.
        pub(in super::super) fn hear<'p>(&mut self, files: impl Iterator<Item = &'p Path>) {
            let Some(inotify) = self.inotify.take() else { return };
            let is_whole = self.read(&inotify);
            let wanted: HashSet<PathBuf> = files.filter_map(|file| Some(place_of(file)?.0)).collect();
            let unwanted = self.folders.iter().filter(|(_, folder)| !wanted.contains(*folder)).map(|(watch, _)| *watch);
            let unwanted: Vec<i32> = unwanted.chain(std::mem::take(&mut self.strayed)).collect();
            for watch in unwanted {
                // It may have gone by itself.
                let _ = remove_watch(&inotify, watch);
                self.lose(watch);
            }
            for folder in wanted {
                if self.folders.values().any(|known| *known == folder) {
                    continue;
                }
                let events = WatchFlags::CREATE
                    | WatchFlags::MODIFY
                    | WatchFlags::CLOSE_WRITE
                    | WatchFlags::MOVE
                    | WatchFlags::DELETE
                    | WatchFlags::DELETE_SELF
                    | WatchFlags::MOVE_SELF
                    | WatchFlags::ONLYDIR
                    // What is done to a file that has lost its name is not done to the one that has it now.
                    | WatchFlags::EXCL_UNLINK;
                // A folder that cannot be listened to is one of which nothing is known.
                if let Ok(watch) = add_watch(&inotify, &folder, events) {
                    self.folders.insert(watch, folder);
                }
            }
            self.inotify = is_whole.then_some(inotify);
        }

        /// What is known of a file.
        pub(in super::super) fn word(&self, file: &Path) -> Word {
            let Some((folder, name)) = place_of(file) else { return Word::Nothing };
            let Some((watch, _)) = self.folders.iter().find(|(_, known)| **known == folder) else {
                return Word::Nothing;
            };
            let place = (*watch, name);
            match (self.open.contains(&place), self.written.contains(&place)) {
                (true, _) => Word::Writing,
                (false, true) => Word::Written,
                (false, false) => Word::Nothing,
            }
        }

        /// Files are read now: what was written is no news any more.
        pub(in super::super) fn forget(&mut self) {
            self.written.clear();
        }

        /// Reads what there is. False: nothing more will come.
        fn read(&mut self, inotify: &OwnedFd) -> bool {
            let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
            let mut events = Reader::new(inotify, &mut buffer);
            for _ in 0..EVENTS_MAX {
                match events.next() {
                    Ok(event) => self.note(&event),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return true,
                    Err(error) => {
                        tracing::warn!("the system can no longer tell who writes files: {error}");
                        self.lose_all();
                        return false;
                    }
                }
            }
            self.lose_all();
            true
        }

        fn note(&mut self, event: &Event<'_>) {
            let (watch, what) = (event.wd(), event.events());
            if what.contains(ReadFlags::QUEUE_OVERFLOW) || self.open.len() > OPEN_MAX {
                self.lose_all();
            }
            // The folder is another's by now, or nobody's.
            if what.intersects(ReadFlags::IGNORED | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT)
            {
                self.strayed.extend(self.folders.contains_key(&watch).then_some(watch));
                self.lose(watch);
                return;
            }
            let (Some(folder), Some(name)) = (self.folders.get(&watch), event.file_name()) else { return };
            let name = OsStr::from_bytes(name.to_bytes());
            let place = (watch, name.to_owned());
            // One that is new and has nothing in it yet was made to be written to; a link to one that has is whole.
            let is_begun = || folder.join(name).symlink_metadata().is_ok_and(|file| file.is_file() && file.len() == 0);
            if what.contains(ReadFlags::MODIFY) || what.contains(ReadFlags::CREATE) && is_begun() {
                self.open.insert(place);
            } else if what.contains(ReadFlags::MOVED_TO) {
                self.open.remove(&place);
                if self.moving.remove(&event.cookie()) == Some(true) {
                    self.open.insert(place.clone());
                }
                self.written.insert(place);
            } else if what.contains(ReadFlags::CLOSE_WRITE) {
                self.open.remove(&place);
                self.written.insert(place);
            } else if what.intersects(ReadFlags::MOVED_FROM | ReadFlags::DELETE) {
                self.written.remove(&place);
                let was_open = self.open.remove(&place);
                // Those that leave the folder for good have no second half.
                if self.moving.len() > OPEN_MAX {
                    self.moving.clear();
                }
                if what.contains(ReadFlags::MOVED_FROM) {
                    self.moving.insert(event.cookie(), was_open);
                }
            }
        }

        /// A folder is not listened to any more.
        fn lose(&mut self, watch: i32) {
            self.folders.remove(&watch);
            self.open.retain(|(of, _)| *of != watch);
            self.written.retain(|(of, _)| *of != watch);
        }

        /// Something was missed: nothing is known.
        fn lose_all(&mut self) {
            self.open.clear();
            self.written.clear();
            self.moving.clear();
        }
    }

    /// The folder and the name that a file has behind all links. `None`: there is not even a folder.
    fn place_of(file: &Path) -> Option<(PathBuf, OsString)> {
        let whole = file.canonicalize().ok().or_else(|| {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(folder.canonicalize().ok()?.join(file.file_name()?))
        })?;
        Some((whole.parent()?.to_owned(), whole.file_name()?.to_owned()))
    }
}
