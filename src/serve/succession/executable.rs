//! The file that a new process is started from: what stands now at the path by which this one was started. That may be a link, which names
//! another version by then.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The path by which this process was started, links in it as they are. To be asked at the start: what stands there then must be this very
/// executable, for anything can be given out for the name of a program. `None`: that cannot be told.
pub(super) fn started_by() -> Option<PathBuf> {
    path_of(env::args_os().next()?.as_os_str(), env::var_os("PATH").as_deref(), Path::new("/proc/self/exe"))
}

/// The first place where a program of this name is found that is the same file as `running`.
fn path_of(program: &OsStr, path: Option<&OsStr>, running: &Path) -> Option<PathBuf> {
    let identity = |path: &Path| path.metadata().map(|file| (file.dev(), file.ino()));
    let running = identity(running).ok()?;
    let named = Path::new(program);
    let places: Vec<PathBuf> = if named.components().count() > 1 || named.is_absolute() {
        vec![named.to_owned()]
    } else {
        env::split_paths(path?).map(|folder| folder.join(named)).collect()
    };
    let found = places.into_iter().find(|place| identity(place).is_ok_and(|identity| identity == running))?;
    // The folder that it was started from may not be the one of later.
    std::path::absolute(found).ok()
}

/// Where this process's own executable is, or was before it was replaced.
pub(super) fn own() -> io::Result<PathBuf> {
    let path = env::current_exe()?;
    let replaced = path.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::path_of;
    use std::ffi::OsStr;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_program_is_where_its_name_leads_if_that_is_the_one_that_runs() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for place in ["v1", "other", "bin"] {
            std::fs::create_dir(at(place)).unwrap();
        }
        std::fs::write(at("v1/tollgate"), "one").unwrap();
        std::fs::write(at("other/tollgate"), "not it").unwrap();
        symlink(at("v1"), at("current")).unwrap();
        symlink(at("current/tollgate"), at("bin/tollgate")).unwrap();
        let running = at("v1/tollgate");
        let path = std::env::join_paths([at("other"), at("bin")]).unwrap();
        let found = |program: &OsStr| path_of(program, Some(&path), &running);
        assert_eq!(found(at("current/tollgate").as_os_str()), Some(at("current/tollgate")));
        assert_eq!(found(OsStr::new("tollgate")), Some(at("bin/tollgate")), "the first that is it");
        assert_eq!(found(at("other/tollgate").as_os_str()), None, "somebody else's name");
        assert_eq!(found(OsStr::new("another")), None);
        assert_eq!(path_of(OsStr::new("tollgate"), None, &running), None);
    }
}
