//! The commands. Each reads the configuration and opens the store or the price book by itself, beside a running server:
//! it writes limits and rows, never balances. Exit status: 0 done, 1 it did not work out, 2 the command line or a file is
//! wrong.

mod amount;
mod args;
mod check;
mod demo;
mod explain;
mod first_request;
mod health;
mod import;
mod import_people;
mod import_upstreams;
mod key;
mod key_names;
mod key_owner;
mod key_text;
mod ledger;
mod log;
mod price;
mod price_file;
mod remarks;
mod secret;
mod serve;
mod terminal;
#[cfg(test)]
mod tests;
mod time;
mod upstream;
mod upstream_test;
mod usage;
mod user;
mod whose;

pub use terminal::Terminal;

use crate::clock::unix_ms;
use crate::config::Config;
use crate::ledger::{LedgerError, bring_up_to_date};
use crate::store::{self, Missing, Store};
use args::{Command, Verb};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use terminal::Failure;

/// The config file that is used when none is named and it is there.
const CONFIG_DEFAULT: &str = "tollgate.toml";

/// Of a store that this version cannot use yet: what to do.
const OLDER: &str = "an older tollgate made this database; `tollgate serve` brings it up to date when this version is started, \
                     after which there is no way back but a backup";

/// Runs the command line of this process; returns its exit status.
pub fn main() -> u8 {
    let mut terminal = Terminal {
        input: &mut io::stdin(),
        out: &mut io::BufWriter::new(io::stdout()),
        err: &mut io::stderr(),
        env: &|name| std::env::var(name).ok(),
        now_ms: unix_ms(),
        whose: whose::whose(),
        width: comfy_table::Table::new().width(),
    };
    run(std::env::args_os(), &mut terminal)
}

/// Runs a command line, the program's name first; returns the exit status.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>, terminal: &mut Terminal<'_>) -> u8 {
    let command = match Command::read(arguments, terminal.env) {
        Ok(command) => command,
        Err(error) => {
            let to: &mut dyn Write = if error.use_stderr() { terminal.err } else { terminal.out };
            // Nobody there to read it: nothing else to do.
            let _ = write!(to, "{}", error.render()).and_then(|()| to.flush());
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let outcome = dispatch(&command, terminal).and_then(|()| Ok(terminal.out.flush()?));
    let (status, lines) = match outcome {
        Ok(()) | Err(Failure::Closed) => return 0,
        Err(Failure::Runtime(message)) => (1, vec![format!("tollgate: {message}")]),
        Err(Failure::Usage(lines)) => (2, lines),
    };
    // What was written before the failure comes first.
    let _ = terminal.out.flush();
    for line in lines {
        let _ = writeln!(terminal.err, "{line}");
    }
    status
}

fn dispatch(command: &Command, terminal: &mut Terminal<'_>) -> terminal::Outcome {
    match &command.verb {
        Verb::Serve => serve::serve(command, terminal),
        Verb::Demo(demo) => demo::demo(demo, terminal),
        Verb::Check => check::check(command, terminal),
        Verb::Health(arguments) => health::health(arguments, command, terminal),
        Verb::Key(verb) => key::run(verb, command, terminal),
        Verb::Upstream(args::UpstreamVerb::List(listing)) => upstream::list(listing.json, command, terminal),
        Verb::Upstream(args::UpstreamVerb::Test(arguments)) => upstream_test::test(arguments, command, terminal),
        Verb::Price(verb) => price::run(verb, command, terminal),
        Verb::Log(args::LogVerb::List(list)) => log::list(list, command, terminal),
        Verb::Import(arguments) => import::run(arguments, command, terminal),
        Verb::Explain(arguments) => explain::run(arguments, command, terminal),
        Verb::Usage(arguments) => usage::run(arguments, command, terminal),
        Verb::User(args::UserVerb::Password(arguments)) => user::password(arguments, command, terminal),
        Verb::Secret(verb) => secret::run(verb, command, terminal),
        Verb::Ledger(args::LedgerVerb::Verify(listing)) => ledger::verify(listing.json, command, terminal),
    }
}

impl Command {
    /// The config file: the one that was named, else the default one if it is there.
    fn config_file(&self) -> Option<&Path> {
        let default = Path::new(CONFIG_DEFAULT);
        self.config.as_deref().or_else(|| default.exists().then_some(default))
    }

    /// The whole configuration.
    fn config(&self, terminal: &Terminal<'_>) -> Result<Config, Failure> {
        match self.config_file() {
            Some(file) => Ok(Config::load(file, terminal.env)?),
            None => Ok(Config::from_environment(terminal.env)),
        }
    }

    /// As much of it as a command needs that does not serve.
    fn places(&self, terminal: &Terminal<'_>) -> Result<Config, Failure> {
        match self.config_file() {
            Some(file) => Ok(Config::load_places(file, terminal.env)?),
            None => Ok(Config::from_environment(terminal.env)),
        }
    }
}

/// True: there is a store, of whatever version. An empty file is none yet.
fn is_there(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.len() > 0)
}

/// Opens the store for a command that changes it, making it if it is not there yet. One that an older version made is brought up to date,
/// unless a gateway serves from it, which would be that version.
fn open_store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let path = config.store.url.file();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::Runtime(format!("cannot make the folder {}: {error}", folder.display())))?;
    }
    let is_new = !is_there(path);
    let store = store::open_as_it_is(&config.store.url, config.ledger.durability, Missing::IsMade)?;
    if is_new || store.is_up_to_date()? {
        store.bring_up_to_date()?;
    } else {
        let older = |error: LedgerError| Failure::Runtime(format!("{}: {OLDER}; {error}", path.display()));
        bring_up_to_date(&*store, &config.ledger.journal_dir).map_err(older)?;
    }
    Ok(store)
}

/// Opens the store for a command that changes what is there. Not there yet: says so, and why, on standard error.
fn open_to_change(config: &Config, terminal: &mut Terminal<'_>) -> Result<Option<Arc<dyn Store>>, Failure> {
    let path = config.store.url.file();
    if is_there(path) { open_store(config).map(Some) } else { nothing_there(path, terminal) }
}

/// Opens the store for a command that only reads: one that an older version made stays as it is. Not there yet: says so, and why, on
/// standard error.
fn open_to_read(config: &Config, terminal: &mut Terminal<'_>) -> Result<Option<Arc<dyn Store>>, Failure> {
    let path = config.store.url.file();
    if !is_there(path) {
        return nothing_there(path, terminal);
    }
    let store = store::open_as_it_is(&config.store.url, config.ledger.durability, Missing::IsRefused)?;
    if !store.is_up_to_date()? {
        return Err(Failure::Runtime(format!(
            "{}: {OLDER}; until then, the one that made it reads it",
            path.display()
        )));
    }
    // Its tables are: this adds at most sums of rows that an older version has written since.
    store.bring_up_to_date()?;
    Ok(Some(store))
}

fn nothing_there(path: &Path, terminal: &mut Terminal<'_>) -> Result<Option<Arc<dyn Store>>, Failure> {
    terminal.remark(&format!(
        "There is no database at {} yet: `tollgate serve` and `tollgate key create NAME` make it. \
         (Another one is named by `-c FILE`.)",
        path.display()
    ))?;
    Ok(None)
}
