//! `tollgate user …`: the way back into the console for whoever has lost the password.

use super::args::{Command, UserPassword};
use super::open_to_change;
use super::terminal::{Failure, Outcome, Terminal, json_line, plain};
use crate::admin;
use crate::store::{Page, Person, Store};
use secrecy::ExposeSecret;
use serde::Serialize;
use tollgate_plugin_api::{did_you_mean, one_of};

/// What the audit says it was.
const COMMAND: &str = "user";

/// Names that a refusal lists.
const NAMES_MAX: usize = 12;

/// A new password as `--json` shows it.
#[derive(Serialize)]
struct PasswordJson<'a> {
    id: i64,
    name: &'a str,
    password: &'a str,
}

/// Gives somebody a password that is made up, and shows it.
pub(super) fn password(arguments: &UserPassword, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let config = command.places(terminal)?;
    let Some(store) = open_to_change(&config, terminal)? else {
        return Err(Failure::Runtime("there is nobody yet: the first `tollgate serve` makes an admin".into()));
    };
    let person = find(&*store, &arguments.name)?;
    let act = terminal.act(COMMAND);
    let password = admin::reset_password(&*store, &act, person.id)?;
    let (name, password) = (plain(&person.name), password.expose_secret());
    let lost = || format!("{name} has a password that nobody saw; `tollgate user password {name}` makes another one");
    if arguments.json {
        let shown = PasswordJson { id: person.id, name: &person.name, password };
        terminal.reveal(&json_line(&shown)?, lost)?;
    } else {
        terminal.reveal(password, lost)?;
        terminal.remark(&format!(
            "This is the password of {name}, shown this once; the old one and all sessions of {name} have ended."
        ))?;
    }
    if !person.enabled {
        terminal.remark(&format!("Note: {name} is disabled, and cannot sign in until an admin changes that."))?;
    }
    Ok(())
}

/// The person, or who was probably meant.
fn find(store: &dyn Store, name: &str) -> Result<Person, Failure> {
    let everybody = store.people().persons(Page { after: None, limit: u32::MAX })?;
    let names = || everybody.iter().map(|listing| &*listing.person.name);
    if let Some(found) = everybody.iter().find(|listing| listing.person.name == name) {
        return Ok(found.person.clone());
    }
    let guess = did_you_mean(name, names());
    let known: Vec<String> = names().take(NAMES_MAX).map(plain).collect();
    let known = if known.is_empty() {
        ": there is nobody yet".to_owned()
    } else {
        let more = names().count() - known.len();
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        format!(": there is {}{more}", one_of(known.iter().map(String::as_str)))
    };
    Err(Failure::Runtime(format!("nobody is called `{}`{guess}{known}", plain(name))))
}
