//! `tollgate import`: upstreams, as rows of the config file. What the file would be is checked as `check` checks it before it is
//! anywhere, and what would not load is left.

use super::args::{Command, ImportArgs};
use super::check;
use super::import::{Taken, left, unwritten};
use super::price_file::read_text;
use super::terminal::{Failure, Outcome, Terminal};
use super::{CONFIG_DEFAULT, secret};
use crate::config::{Config, ConfigError, FILE_BYTES_MAX, upstream_names, variable_uses};
use crate::import::{self, FoundSecret, FoundUpstream, Left, Secrets, Variables};
use crate::provider::providers;
use crate::replace::{Turn, write_private_atomically};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What stands for a variable's value that is known to its own process alone.
const UNKNOWN_VALUE: &str = "unknown";

/// What there is to be written, and what came of each upstream.
pub(super) struct Plan {
    /// Nobody else changes the file meanwhile. Without it nothing is written.
    turn: Option<Turn>,
    file: PathBuf,
    /// The config file's new text; none: it stays as it is.
    text: Option<String>,
    /// The file of variables and its new text.
    env_file: Option<(PathBuf, String)>,
    pub(super) variables: Variables,
    pub(super) taken: Vec<Taken>,
    pub(super) left: Vec<Left>,
}

impl Plan {
    /// Nothing is written here.
    pub(super) fn make(
        arguments: &ImportArgs,
        command: &Command,
        found: &[FoundUpstream],
        terminal: &Terminal<'_>,
    ) -> Result<Self, Failure> {
        let file = command.config_file().map_or_else(|| PathBuf::from(CONFIG_DEFAULT), Path::to_path_buf);
        let turn =
            (!arguments.dry_run).then(|| Turn::take(&file)).transpose().map_err(|error| unwritten(&file, &error))?;
        let before = read_text(&file)?.unwrap_or_default();
        let env_before = arguments.env_file.as_deref().map(read_text).transpose()?.flatten().unwrap_or_default();
        let mut plan =
            Self { turn, file, text: None, env_file: None, variables: Vec::new(), taken: Vec::new(), left: Vec::new() };
        let names = upstream_names(&before);
        let (known, mut new): (Vec<_>, Vec<_>) = found.iter().partition(|upstream| names.contains(&upstream.name));
        plan.left.extend(known.into_iter().map(|known| left("upstream", &known.name, "there is one of that name")));
        if new.is_empty() {
            return Ok(plan);
        }
        let present = Present { file: &plan.file, text: &before, env_text: &env_before, env: terminal.env };
        let wrong = present.wrong_with(&before, &Vec::new());
        if !wrong.is_empty() {
            return Err(refused(&wrong, "the config file is wrong already"));
        }
        new.retain(|upstream| {
            let why = present.foreign_key(upstream);
            plan.left.extend(why.clone().map(|why| left("upstream", &upstream.name, why)));
            why.is_none()
        });
        let master_keys = arguments.seal.then(|| secret::master_keys(command, terminal)).transpose()?;
        let seal = |key: &str, name: &str| master_keys.as_ref().and_then(|keys| keys.seal(key, name));
        let secrets = if arguments.seal { Secrets::Sealed(&seal) } else { Secrets::Environment };
        let named: BTreeSet<&str> = found.iter().filter_map(FoundUpstream::variable).collect();
        let (text, variables) = present.with(&mut new, &secrets, &named, names.len(), &mut plan.left)?;
        plan.taken = new.iter().map(|upstream| of_upstream(upstream)).collect();
        plan.env_file = arguments.env_file.clone().map(|file| (file, with_variables(&env_before, &variables)));
        plan.variables = variables;
        plan.text = (!new.is_empty()).then_some(text);
        Ok(plan)
    }

    /// The variables come first: a key that the config file does not name yet is none too many, one that it names and that is
    /// nowhere is lost.
    pub(super) fn write(&mut self) -> Outcome {
        // It ends here: prices, which may be in the same folder, have one of their own.
        let turn = self.turn.take();
        let (Some(turn), Some(text)) = (turn, &self.text) else { return Ok(()) };
        if let Some((file, text)) = &self.env_file {
            write_private_atomically(file, text).map_err(|error| unwritten(file, &error))?;
        }
        turn.replace(text).map_err(|error| unwritten(&self.file, &error))
    }
}

/// What there is before.
struct Present<'p> {
    file: &'p Path,
    text: &'p str,
    /// The file of variables.
    env_text: &'p str,
    env: &'p dyn Fn(&str) -> Option<String>,
}

impl Present<'_> {
    /// What is wrong with a text of the config file, but for what is set where it is served.
    fn wrong_with(&self, text: &str, variables: &Variables) -> Vec<ConfigError> {
        let known = |name: &str| {
            let known = || variables.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.clone());
            (self.env)(name).or_else(known)
        };
        let here = Config::parse(text, self.file, &known).err().unwrap_or_default();
        let elsewhere: Vec<String> =
            here.into_iter().filter(ConfigError::is_of_environment).map(|error| error.key).collect();
        let needed = variable_uses(text);
        let stand_in = |name: &str| needed.iter().any(|one| one.name == name).then(|| UNKNOWN_VALUE.to_owned());
        let mut errors = match Config::parse(text, self.file, &|name| known(name).or_else(|| stand_in(name))) {
            Ok(config) => check::errors(&config),
            Err(errors) => errors,
        };
        // What stands in is no address and no number.
        let follows = |error: &ConfigError| {
            elsewhere.iter().any(|key| error.key.starts_with(key.as_str()) || key.starts_with(&error.key))
        };
        errors.retain(|error| !error.is_of_environment() && !follows(error));
        errors
    }

    /// Why an upstream cannot have its key from the variable that the other gateway names: here that is another's.
    fn foreign_key(&self, upstream: &FoundUpstream) -> Option<String> {
        let variable = upstream.variable()?;
        let host = host(upstream.provider, upstream.base_url.as_deref());
        let uses = variable_uses(self.text).into_iter().filter(|one| one.name == variable);
        let whose = uses.map(|one| one.upstream).find_map(|row| match row {
            Some(row) if host.is_some() && self::host(&row.provider, row.base_url.as_deref()) == host => None,
            Some(row) => Some(format!("that of {}, at another host", row.name)),
            None => Some("that of no upstream".to_owned()),
        })?;
        Some(format!("its key is in {variable} there, which is here {whose}: set it by hand"))
    }

    /// Whether a variable that is made for a key could be another's: the file names it, a found upstream does, or it has another
    /// value already.
    fn is_taken(&self, named: &BTreeSet<&str>, name: &str, value: &str) -> bool {
        let line = env_line(name, value);
        let sets_it = |other: &str| {
            let other = other.trim_start();
            let other = other.strip_prefix("export ").unwrap_or(other).trim_start();
            other.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        self.text.contains(&format!("${{{name}}}"))
            || named.contains(name)
            || (self.env)(name).is_some_and(|other| other != value)
            || self.env_text.lines().any(|other| sets_it(other) && other != line)
    }

    /// The text with those of these upstreams that load; the others are left.
    fn with(
        &self,
        new: &mut Vec<&FoundUpstream>,
        secrets: &Secrets<'_>,
        named: &BTreeSet<&str>,
        rows_before: usize,
        left_out: &mut Vec<Left>,
    ) -> Result<(String, Variables), Failure> {
        loop {
            let is_taken = |name: &str, value: &str| self.is_taken(named, name, value);
            let (text, variables) = import::add_upstreams(self.text, new, secrets, &is_taken)
                .map_err(|why| Failure::Usage(vec![format!("{}: {why}", self.file.display())]))?;
            if text.len() as u64 > FILE_BYTES_MAX {
                let why = format!("{} would be larger than {FILE_BYTES_MAX} bytes", self.file.display());
                return Err(Failure::Usage(vec![why]));
            }
            let mut others = Vec::new();
            let mut wrong = vec![Vec::new(); new.len()];
            for error in self.wrong_with(&text, &variables) {
                match row_of(&error, rows_before).and_then(|(at, key)| Some((wrong.get_mut(at)?, key))) {
                    Some((of_row, key)) => of_row.push(format!("{key}: {}", error.message)),
                    None => others.push(error),
                }
            }
            if !others.is_empty() {
                return Err(refused(&others, "the config file would not load"));
            }
            if wrong.iter().all(Vec::is_empty) {
                return Ok((text, variables));
            }
            let mut wrong = wrong.into_iter();
            new.retain(|upstream| {
                let why = wrong.next().unwrap_or_default();
                if !why.is_empty() {
                    left_out.push(left("upstream", &upstream.name, why.join("; ")));
                }
                why.is_empty()
            });
        }
    }
}

/// The host that a row's key goes to.
fn host(provider: &str, base_url: Option<&str>) -> Option<String> {
    let own = || providers().get(provider).and_then(|row| row.base_url.clone());
    let url: http::Uri = base_url.map(str::to_owned).or_else(own)?.parse().ok()?;
    url.authority().map(|authority| authority.as_str().to_ascii_lowercase())
}

fn refused(errors: &[ConfigError], why: &str) -> Failure {
    let lines = errors.iter().map(ConfigError::to_string);
    Failure::Usage(lines.chain([format!("tollgate: {why}: nothing was imported")]).collect())
}

/// Which of the rows behind so many others an error is about, and the key there.
fn row_of(error: &ConfigError, rows_before: usize) -> Option<(usize, &str)> {
    let (index, key) = error.key.strip_prefix("upstream[")?.split_once(']')?;
    Some((index.parse::<usize>().ok()?.checked_sub(rows_before)?, key.trim_start_matches('.')))
}

fn of_upstream(upstream: &FoundUpstream) -> Taken {
    let place = upstream.base_url.as_deref().unwrap_or("its own base URL");
    let count = upstream.models.len();
    let there = Some(&upstream.name_there).filter(|there| **there != upstream.name);
    let there = there.map(|there| format!(" (there: {there})")).unwrap_or_default();
    let how = format!(
        "{}{there}, {count} models, weight {}, priority {}, {place}",
        upstream.provider, upstream.weight, upstream.priority
    );
    Taken { what: "upstream", name: upstream.name.clone(), how }
}

/// A line of a file of variables.
fn env_line(name: &str, value: &str) -> String {
    format!("{name}='{}'", value.replace('\'', "'\\''"))
}

/// The file of variables with those at its end that it does not have.
fn with_variables(before: &str, variables: &Variables) -> String {
    let mut text = before.to_owned();
    for (name, value) in variables {
        let Some(line) = value.as_deref().map(|value| env_line(name, value)) else { continue };
        if text.lines().any(|other| other == line) {
            continue;
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text += &line;
        text.push('\n');
    }
    text
}

impl FoundUpstream {
    /// The variable that the other gateway has its key in.
    fn variable(&self) -> Option<&str> {
        match &self.secret {
            FoundSecret::Environment(variable) => Some(variable),
            FoundSecret::Value(_) | FoundSecret::Nothing => None,
        }
    }
}
