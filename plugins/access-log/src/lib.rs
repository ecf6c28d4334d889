//! One JSON line for each request, those that the gateway refuses included: who, what, how it ended, what it cost. No
//! credential, no header, no query, no body. A request never waits for it: lines go through a bounded outbox to a thread that
//! writes, and what does not fit is dropped, counted and said.

mod file;
mod line;
mod writer;

use async_trait::async_trait;
use file::Limits;
use std::path::PathBuf;
use std::sync::Arc;
use tollgate_plugin_api::{Phases, Plugin, PluginRow, Ports, Summary};
use writer::{Target, Writer};

/// The row for the list of built-in plugins.
pub const PLUGIN: PluginRow = PluginRow { name: "access-log", always: false, build };

const ROTATE_BYTES_DEFAULT: u64 = 100 * 1024 * 1024;
/// A file holds some lines at least.
const ROTATE_BYTES_MIN: u64 = 4096;
const FILES_DEFAULT: u32 = 5;
const FILES_MOST: u32 = 1000;

/// `[plugins.access-log]`
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// `stdout` or `file`.
    #[serde(default)]
    output: Output,
    /// Of the file; the gateway has made it absolute, or relative to where it runs.
    path: Option<PathBuf>,
    /// A file that would become larger is renamed to `PATH.1`, and that one to `PATH.2` …
    rotate_bytes_max: Option<u64>,
    /// So many files are kept, the one that is written included.
    files_max: Option<u32>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Output {
    #[default]
    Stdout,
    File,
}

/// Touches no file: a configuration is also built to be checked.
fn build(table: toml::Table, ports: &Ports) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let target = target(&settings)?;
    let limits = Limits {
        rotate_bytes_max: settings.rotate_bytes_max.unwrap_or(ROTATE_BYTES_DEFAULT),
        files_max: settings.files_max.unwrap_or(FILES_DEFAULT),
    };
    if limits.rotate_bytes_max < ROTATE_BYTES_MIN {
        return Err(format!("rotate_bytes_max: the number is too small, expected at least {ROTATE_BYTES_MIN}"));
    }
    if !(1..=FILES_MOST).contains(&limits.files_max) {
        return Err(format!("files_max: expected a whole number from 1 to {FILES_MOST}"));
    }
    Ok(Arc::new(AccessLog { writer: Writer::of(target, ports.losses.clone()), limits }))
}

fn target(settings: &Settings) -> Result<Target, String> {
    if settings.output == Output::Stdout {
        let of_files = [
            ("path", settings.path.is_some()),
            ("rotate_bytes_max", settings.rotate_bytes_max.is_some()),
            ("files_max", settings.files_max.is_some()),
        ];
        return match of_files.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(format!("{key}: has no meaning without `output = \"file\"`")),
            None => Ok(Target::Stdout),
        };
    }
    let path = settings.path.clone().ok_or("path: is missing, expected the path of a file")?;
    if path.is_dir() || path.file_name().is_none() {
        return Err(format!("path: {} is a folder, expected a file", path.display()));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(format!("path: there is no folder {}", folder.display()))
        }
        _ => Ok(Target::File(path)),
    }
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
        self.writer.write(line::line(summary).as_str(), self.limits);
    }

    fn close(&self) {
        self.writer.flush();
    }
}

#[cfg(test)]
mod tests;
