//! What the machine, or the container on it, has for this process, and what the process takes of it. Only Linux is asked; elsewhere
//! nothing is known, and nothing follows from it.

use crate::metrics::ProcessFigures;

/// Bytes that this process can have: the machine's, or what the narrowest of the control groups around it allows.
pub(crate) fn memory_bytes() -> Option<u64> {
    linux::memory_bytes()
}

/// Bytes that it has now.
pub(crate) fn resident_bytes() -> Option<u64> {
    linux::resident_bytes()
}

/// All that it takes.
pub(crate) fn process() -> Option<ProcessFigures> {
    linux::process()
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::metrics::ProcessFigures;
    use procfs::WithCurrentSystemInfo;
    use procfs::process::{LimitValue, Process};
    use rustix::time::{ClockId, clock_gettime};
    use std::path::Path;
    use std::sync::OnceLock;
    use std::time::UNIX_EPOCH;

    pub(super) fn memory_bytes() -> Option<u64> {
        // By the system call: who shows a process nothing but processes in /proc (systemd's ProcSubset) hides its page there.
        let machine = rustix::system::sysinfo();
        let machine_bytes = machine.totalram.checked_mul(u64::from(machine.mem_unit));
        machine_bytes.into_iter().chain(group_limit()).min()
    }

    pub(super) fn resident_bytes() -> Option<u64> {
        let pages = Process::myself().ok()?.statm().ok()?.resident;
        pages.checked_mul(procfs::page_size())
    }

    pub(super) fn process() -> Option<ProcessFigures> {
        let process = Process::myself().ok()?;
        let stat = process.stat().ok()?;
        let open_files_max = match process.limits().ok()?.max_open_files.soft_limit {
            LimitValue::Value(most) => Some(most),
            LimitValue::Unlimited => None,
        };
        Some(ProcessFigures {
            cpu_seconds: (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64,
            resident_bytes: stat.rss_bytes().get(),
            virtual_bytes: stat.vsize,
            open_files: process.fd_count().ok()? as u64,
            open_files_max,
            threads: u64::try_from(stat.num_threads).unwrap_or(0),
            started_at_s: started_at_s(stat.starttime / procfs::ticks_per_second()),
        })
    }

    /// `boot_s`: the same since the machine was booted. Once for all: the machine's time may be set meanwhile.
    fn started_at_s(boot_s: u64) -> u64 {
        static STARTED_AT_S: OnceLock<u64> = OnceLock::new();
        *STARTED_AT_S.get_or_init(|| {
            let since_boot_s = u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap_or(0);
            let now_s = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
            now_s.saturating_sub(since_boot_s.saturating_sub(boot_s))
        })
    }

    fn group_limit() -> Option<u64> {
        let groups = Process::myself().ok()?.cgroups().ok()?;
        let limits = groups.into_iter().filter_map(|group| match &*group.controllers {
            // Version 2 has one hierarchy for all.
            _ if group.hierarchy == 0 => narrowest(Path::new("/sys/fs/cgroup"), &group.pathname, "memory.max"),
            all if all.iter().any(|one| one == "memory") => {
                narrowest(Path::new("/sys/fs/cgroup/memory"), &group.pathname, "memory.limit_in_bytes")
            }
            _ => None,
        });
        limits.min()
    }

    /// The least that this file says in the group's folder and those above it, up to `root`. (In a container the path may be the
    /// host's, of which only the root is there.)
    pub(super) fn narrowest(root: &Path, group: &str, file: &str) -> Option<u64> {
        let folder = root.join(group.trim_start_matches('/'));
        let folders = folder.ancestors().take_while(|folder| folder.starts_with(root));
        // Without a limit it says `max`.
        folders.filter_map(|folder| std::fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()).min()
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    pub(super) fn memory_bytes() -> Option<u64> {
        None
    }

    pub(super) fn resident_bytes() -> Option<u64> {
        None
    }

    pub(super) fn process() -> Option<crate::metrics::ProcessFigures> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::path::Path;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_narrowest_group_counts_and_one_that_is_not_there_does_not() {
        let root = tempfile::tempdir().unwrap();
        let set = |group: &str, text: &str| {
            let folder = root.path().join(group);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("memory.max"), text).unwrap();
        };
        let limit = |group: &str| linux::narrowest(root.path(), group, "memory.max");
        assert_eq!(limit("/a/b"), None);
        set("a", "536870912\n");
        set("a/b", "max\n");
        assert_eq!(limit("/a/b"), Some(512 * MIB), "the one above");
        set("a/b", "1048576\n");
        assert_eq!(limit("/a/b"), Some(MIB));
        set("", "4096\n");
        assert_eq!((limit("/host/path"), limit("/")), (Some(4096), Some(4096)));
        std::fs::write(Path::new(root.path()).join("memory.max"), "many").unwrap();
        assert_eq!(limit("/"), None);
    }

    #[test]
    fn a_process_has_some_of_the_machines_memory() {
        let (all, own) = (memory_bytes().unwrap(), resident_bytes().unwrap());
        assert!(own > MIB && own < all, "{own} of {all}");
        let process = process().unwrap();
        assert!(process.resident_bytes > MIB && process.virtual_bytes > process.resident_bytes, "{process:?}");
        assert!(process.open_files > 2 && process.open_files_max.is_none_or(|most| most >= process.open_files));
        let now_s = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!(process.threads > 0 && now_s.abs_diff(process.started_at_s) < 24 * 3600, "{process:?}");
    }
}
