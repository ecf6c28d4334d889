//! `tollgate key …`

use super::args::{Command, KeyCreate, KeyNamed, KeySet, KeyVerb, Limit};
use super::key_names::{Named, remark_on_names};
use super::key_owner;
use super::key_text::{HEAD, RIGHT, pairs, row};
use super::terminal::{Failure, Outcome, Terminal, json_line, plain};
use super::{open_store, open_to_change, open_to_read};
use crate::config::Config;
use crate::keyring::{Credential, new_credential};
use crate::shown::KeyJson;
use crate::store::{KeyChange, KeyListing, KeyRef, NewKey, Store};
use secrecy::ExposeSecret;
use serde::Serialize;
use tollgate_plugin_api::did_you_mean;

/// What the audit says it was.
const COMMAND: &str = "key";

pub(super) fn run(verb: &KeyVerb, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let config = command.places(terminal)?;
    if let KeyVerb::List(listing) = verb {
        return list(listing.json, &config, terminal);
    }
    if let KeyVerb::Create(arguments) = verb {
        return create(arguments, &config, open_store(&config)?.as_ref(), terminal);
    }
    let open = if matches!(verb, KeyVerb::Show(_)) { open_to_read } else { open_to_change };
    let Some(store) = open(&config, terminal)? else {
        return Err(Failure::Runtime("there are no keys yet".into()));
    };
    let store = store.as_ref();
    match verb {
        // Both are done above.
        KeyVerb::List(_) | KeyVerb::Create(_) => Ok(()),
        KeyVerb::Show(named) => show(&find(store, &named.key)?, named.json, store, terminal),
        KeyVerb::Set(arguments) => set(arguments, &config, store, terminal),
        KeyVerb::Disable(named) => enable(named, false, store, terminal),
        KeyVerb::Enable(named) => enable(named, true, store, terminal),
        KeyVerb::Rotate(named) => rotate(named, store, terminal),
        KeyVerb::Delete(named) => delete(named, store, terminal),
    }
}

fn list(json: bool, config: &Config, terminal: &mut Terminal<'_>) -> Outcome {
    let Some(store) = open_to_read(config, terminal)? else { return Ok(()) };
    if json {
        let mut outcome = Ok(());
        store.key_list(&mut |listing| {
            if outcome.is_ok() {
                outcome = terminal.json(&KeyJson::of(listing.clone()));
            }
        })?;
        return outcome;
    }
    let mut rows = Vec::new();
    let now_ms = terminal.now_ms;
    store.key_list(&mut |listing| rows.push(row(&listing, now_ms)))?;
    if rows.is_empty() {
        return terminal.remark("There are no keys yet. Make one: tollgate key create NAME");
    }
    terminal.table(HEAD, RIGHT, rows.into_iter())
}

fn create(arguments: &KeyCreate, config: &Config, store: &dyn Store, terminal: &mut Terminal<'_>) -> Outcome {
    let limit = |limit: Option<Limit>| limit.and_then(|Limit(limit)| limit);
    let new = NewKey {
        name: arguments.name.clone(),
        named_by_user: false,
        user: arguments.user.clone(),
        group: arguments.group.clone(),
        models: names(&arguments.models)?,
        expires_at_ms: arguments.limits.expires.and_then(|expiry| expiry.resolve(terminal.now_ms)),
        quota_nanos: arguments.quota_usd,
        rpm: limit(arguments.limits.rpm),
        tpm: limit(arguments.limits.tpm),
        concurrency: limit(arguments.limits.concurrency),
    };
    let credential = new_credential();
    let made = store.people().key_create_by(&terminal.act(COMMAND), &new, &credential.digest)?;
    reveal(made.key.id, &made.key.name, &credential, arguments.json, terminal)?;
    let key = made.key;
    let named = Named { group: Some(&key.group), models: &key.models, user: key.user.as_deref() };
    remark_on_names(&named, config, store, terminal)
}

/// Shows a secret, this once.
fn reveal(id: i64, name: &str, credential: &Credential, json: bool, terminal: &mut Terminal<'_>) -> Outcome {
    #[derive(Serialize)]
    struct Revealed<'a> {
        id: i64,
        name: &'a str,
        key: &'a str,
    }
    let key = credential.secret.expose_secret();
    let shown = plain(name);
    let lost = || {
        format!(
            "key {shown} (id {id}) has a secret that nobody saw; `tollgate key rotate {shown}` gives it another one"
        )
    };
    if json {
        return terminal.reveal(&json_line(&Revealed { id, name, key })?, lost);
    }
    terminal.reveal(key, lost)?;
    terminal.remark(&format!("This is the secret of key {shown} (id {id}). It is shown this once."))
}

fn show(listing: &KeyListing, json: bool, store: &dyn Store, terminal: &mut Terminal<'_>) -> Outcome {
    if json {
        return terminal.json(&KeyJson::of(listing.clone()));
    }
    let mut shown = pairs(listing, terminal.now_ms);
    shown.extend(key_owner::pairs(listing, store, terminal.now_ms)?);
    terminal.pairs(&shown)
}

fn set(arguments: &KeySet, config: &Config, store: &dyn Store, terminal: &mut Terminal<'_>) -> Outcome {
    let limit = |limit: Option<Limit>| limit.map(|Limit(limit)| limit);
    let change = KeyChange {
        name: arguments.name.clone(),
        user: arguments.user.clone().map(Some).or(arguments.no_user.then_some(None)),
        group: arguments.group.clone(),
        models: match &arguments.models {
            Some(models) => Some(names(models)?),
            None => arguments.all_models.then(Vec::new),
        },
        enabled: None,
        expires_at_ms: arguments.limits.expires.map(|expiry| expiry.resolve(terminal.now_ms)),
        quota_nanos: arguments.quota_usd.map(Some).or(arguments.unlimited.then_some(None)),
        rpm: limit(arguments.limits.rpm),
        tpm: limit(arguments.limits.tpm),
        concurrency: limit(arguments.limits.concurrency),
    };
    if change == KeyChange::default() {
        let message =
            "tollgate: nothing to change: give --quota-usd, --expires, --models … (`tollgate key set --help`)";
        return Err(Failure::Usage(vec![message.into()]));
    }
    let id = find(store, &arguments.key)?.key.id;
    let listing = store.people().key_change_by(&terminal.act(COMMAND), id, None, &change)?;
    show(&listing, arguments.json, store, terminal)?;
    let models = change.models.as_deref().unwrap_or_default();
    let named = Named { group: arguments.group.as_deref(), models, user: arguments.user.as_deref() };
    remark_on_names(&named, config, store, terminal)
}

fn enable(named: &KeyNamed, enabled: bool, store: &dyn Store, terminal: &mut Terminal<'_>) -> Outcome {
    let id = find(store, &named.key)?.key.id;
    let change = KeyChange { enabled: Some(enabled), ..KeyChange::default() };
    let listing = store.people().key_change_by(&terminal.act(COMMAND), id, None, &change)?;
    if named.json {
        return terminal.json(&KeyJson::of(listing));
    }
    let now = if enabled { "accepted" } else { "refused" };
    Ok(writeln!(terminal.out, "Key {} (id {id}) is {now} from now on.", plain(&listing.key.name))?)
}

fn rotate(named: &KeyNamed, store: &dyn Store, terminal: &mut Terminal<'_>) -> Outcome {
    let id = find(store, &named.key)?.key.id;
    let credential = new_credential();
    let listing = store.people().key_rotate_by(&terminal.act(COMMAND), id, None, &credential.digest)?;
    reveal(id, &listing.key.name, &credential, named.json, terminal)
}

fn delete(named: &KeyNamed, store: &dyn Store, terminal: &mut Terminal<'_>) -> Outcome {
    let listing = find(store, &named.key)?;
    let id = listing.key.id;
    store.people().key_delete_by(&terminal.act(COMMAND), id, None)?;
    if named.json {
        return terminal.json(&KeyJson::of(listing.clone()));
    }
    let name = plain(&listing.key.name);
    Ok(writeln!(terminal.out, "Key {name} (id {id}) is deleted; its records stay in the ledger.")?)
}

/// The key, or which one was probably meant.
fn find(store: &dyn Store, text: &str) -> Result<KeyListing, Failure> {
    if let Some(listing) = store.key_find(&KeyRef::parse(text))? {
        return Ok(listing);
    }
    let mut known = Vec::new();
    store.key_list(&mut |listing| known.push(listing.key.name))?;
    let guess = did_you_mean(text, known.iter().map(|name| &**name));
    let hint = if guess.is_empty() { " (`tollgate key list` shows them all)" } else { "" };
    Err(Failure::Runtime(format!("there is no key `{}`{guess}{hint}", plain(text))))
}

/// Model names as they were given with commas between.
fn names(models: &[String]) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    for model in models.iter().map(|model| model.trim()) {
        if model.is_empty() {
            return Err(Failure::Usage(vec![
                "tollgate: --models: expected names with commas between, as in `a,b`".into(),
            ]));
        }
        if !names.iter().any(|name| name == model) {
            names.push(model.to_string());
        }
    }
    Ok(names)
}
