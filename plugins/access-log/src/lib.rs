//! One JSON line for each request, refused ones included: who, what, how it ended, what it cost. No credential, no header, no
//! query, no body. A request never waits for it: lines go through a bounded outbox to a writer thread. What does not fit is
//! dropped, counted and logged.

mod file;
mod line;
mod writer;

use async_trait::async_trait;
use file::Limits;
use std::path::PathBuf;
use std::sync::Arc;
use tollgate_plugin_api::{Mistakes, Phases, Plugin, PluginRow, Ports, Settings, Summary};
use writer::{Target, Writer, Writers};

/// The row for the list of built-in plugins.
pub const PLUGIN: PluginRow = PluginRow { name: "access-log", always: false, paths: &["path"], build };

const ROTATE_BYTES_DEFAULT: u64 = 100 * 1024 * 1024;
/// A file holds some lines at least.
const ROTATE_BYTES_MIN: u64 = 4096;
const FILES_DEFAULT: u64 = 5;
const FILES_MOST: u64 = 1000;

/// `[plugins.access-log]`
const KEYS: &[&str] = &[
    // `stdout` or `file`.
    "output",
    // Of the file; the gateway has made it absolute, or relative to where it runs.
    "path",
    // A file that would become larger is renamed to `PATH.1`, and that one to `PATH.2` …
    "rotate_bytes_max",
    // So many files are kept, the one that is written included.
    "files_max",
];
/// Those of them that concern a file alone.
const KEYS_OF_FILES: [&str; 3] = ["path", "rotate_bytes_max", "files_max"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Stdout,
    File,
}

/// Touches no file: a configuration is also built to be checked.
fn build(table: toml::Table, ports: &Ports) -> Result<Arc<dyn Plugin>, Mistakes> {
    let mistakes = Mistakes::default();
    let settings = Settings::open(&table, KEYS, &mistakes);
    let output = settings.choice("output", &[("stdout", Output::Stdout), ("file", Output::File)]);
    let output = match settings.get("output") {
        None => Some(Output::Stdout),
        // A wrong word: what follows from it is not known.
        Some(_) => output,
    };
    if output == Some(Output::Stdout) {
        for key in KEYS_OF_FILES.iter().filter(|key| settings.get(key).is_some()) {
            settings.wrong(key, "has no meaning without `output = \"file\"`, expected it there, or none");
        }
    }
    let target = if output == Some(Output::File) { file(&settings) } else { Target::Stdout };
    let limits = Limits {
        rotate_bytes_max: settings.number(
            "rotate_bytes_max",
            " of bytes",
            ROTATE_BYTES_MIN..=i64::MAX as u64,
            ROTATE_BYTES_DEFAULT,
        ),
        files_max: u32::try_from(settings.number("files_max", "", 1..=FILES_MOST, FILES_DEFAULT)).unwrap_or(1),
    };
    mistakes.into_result()?;
    let new = |target: &Target| Ok::<_, Mistakes>(Writer::new(target, ports.losses.clone()));
    Ok(Arc::new(AccessLog { writer: ports.memory.get::<Writers>().of(target, new)?, limits }))
}

fn file(settings: &Settings<'_>) -> Target {
    const EXPECTED: &str = "the path of a file";
    let path = PathBuf::from(settings.needed_text("path", EXPECTED));
    let is_given = !path.as_os_str().is_empty();
    if is_given && (path.is_dir() || path.file_name().is_none()) {
        settings.wrong("path", format!("{} is a folder, expected a file", path.display()));
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        settings.wrong("path", format!("there is no folder {}, expected one that is there", folder.display()));
    }
    Target::File(path)
}

struct AccessLog {
    writer: Arc<Writer>,
    limits: Limits,
}

#[async_trait]
impl Plugin for AccessLog {
    fn name(&self) -> &'static str {
        PLUGIN.name
    }

    fn phases(&self) -> Phases {
        Phases { logging: true, ..Phases::default() }
    }

    fn logging(&self, summary: &Summary<'_>) {
        self.writer.write(|line| line::write(line, summary), self.limits);
    }

    fn close(&self) {
        self.writer.flush();
    }
}

#[cfg(test)]
mod tests;
