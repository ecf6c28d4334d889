//! `tollgate import`: what another gateway has.

use super::args::{Command, ImportArgs, ImportFrom};
use super::import_upstreams::Plan;
use super::price_file::{default_prices, read_text};
use super::terminal::{Failure, Outcome, Terminal, plain};
use super::{import_people, open_store};
use crate::config::Config;
use crate::import::{self, Flavour, Found, FoundKey, Left, Tables};
use crate::price::import::Selection;
use crate::replace::Turn;
use crate::store::{Act, ForeignDatabase, KeyChange, KeyRef, NewKey, Store, StoreErrorKind};
use std::path::Path;

/// What the audit says it was. (By LiteLLM's the store knows whose the limits of its keys are.)
fn audited_as(from: ImportFrom) -> &'static str {
    match from {
        ImportFrom::OneApi => "import one-api",
        ImportFrom::NewApi => "import new-api",
        ImportFrom::Litellm => "import litellm",
    }
}

/// What was taken: its kind, its name, and what became of it.
pub(super) struct Taken {
    pub(super) what: &'static str,
    pub(super) name: String,
    pub(super) how: String,
}

pub(super) fn run(arguments: &ImportArgs, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let config = command.places(terminal)?;
    let mut found = find(arguments, terminal.now_ms)?;
    let mut plan = Plan::make(arguments, command, &found.upstreams, terminal)?;
    let writes = !arguments.dry_run;
    plan.write()?;
    let mut taken = std::mem::take(&mut plan.taken);
    found.left.append(&mut plan.left);
    prices(&mut found, &config, writes, &mut taken, terminal)?;
    let act = terminal.act(audited_as(arguments.from));
    import_people::take(&mut found, &config, writes, &mut taken, &act)?;
    keys(&mut found, &config, writes, &mut taken, &act)?;
    report(arguments, &taken, &found.left, &plan.variables, terminal)
}

pub(super) fn unwritten(file: &Path, error: &std::io::Error) -> Failure {
    Failure::Runtime(format!("{}: cannot be written: {error}", file.display()))
}

pub(super) fn left(what: &'static str, name: &str, why: impl Into<String>) -> Left {
    Left { what, name: name.to_owned(), why: why.into() }
}

/// Reads what the other gateway has.
fn find(arguments: &ImportArgs, now_ms: i64) -> Result<Found, Failure> {
    let wrong = |why: String| Failure::Usage(vec![format!("{}: {why}", plain(&arguments.source))]);
    let flavour = match arguments.from {
        ImportFrom::OneApi => Flavour::OneApi,
        ImportFrom::NewApi => Flavour::NewApi,
        ImportFrom::Litellm => {
            let yaml = read_text(Path::new(&arguments.source))?.ok_or_else(|| wrong("there is no such file".into()))?;
            let mut found = import::read_litellm(&yaml).map_err(wrong)?;
            if let Some(file) = &arguments.keys {
                let of_file = |why: String| Failure::Usage(vec![format!("{}: {why}", file.display())]);
                let rows = read_text(file)?.ok_or_else(|| of_file("there is no such file".into()))?;
                import::litellm_keys(&rows, &mut found).map_err(of_file)?;
            } else {
                found.left.push(left(
                    "key",
                    "all",
                    "they are in its database: give rows of LiteLLM_VerificationToken with --keys",
                ));
            }
            return Ok(found);
        }
    };
    let path = arguments.source.strip_prefix("sqlite:").unwrap_or(&arguments.source);
    if path.contains("://") {
        let why =
            "only its SQLite database is read (one-api.db); copy a MySQL or PostgreSQL one into such a file first";
        return Err(Failure::Usage(vec![why.into()]));
    }
    let database = ForeignDatabase::open(Path::new(path)).map_err(|error| wrong(error.message))?;
    let table = |name: &str| -> Result<_, Failure> { Ok(database.rows(name)?) };
    let channels =
        table("channels")?.ok_or_else(|| wrong("it has no table `channels`: it is none of One API's".into()))?;
    let tables = Tables {
        channels,
        tokens: table("tokens")?.unwrap_or_default(),
        users: table("users")?.unwrap_or_default(),
        redemptions: table("redemptions")?.unwrap_or_default(),
        options: table("options")?.unwrap_or_default(),
    };
    import::read_one_api(flavour, &tables, now_ms).map_err(wrong)
}

/// Prices go the way of `price import`.
fn prices(
    found: &mut Found,
    config: &Config,
    writes: bool,
    taken: &mut Vec<Taken>,
    terminal: &Terminal<'_>,
) -> Outcome {
    let Some(published) = found.prices.take() else { return Ok(()) };
    let file = &config.pricing.file;
    let turn = writes.then(|| Turn::take(file).map_err(|error| unwritten(file, &error))).transpose()?;
    let before = read_text(file)?;
    let text = before.as_deref().unwrap_or_else(|| default_prices(config));
    let today = jiff::Timestamp::from_millisecond(terminal.now_ms).unwrap_or_default().strftime("%F").to_string();
    let selection = Selection { format: Some("new-api"), models: &[], provider: None, today: &today };
    let import = match crate::price::import::import(text, &published, &selection) {
        Ok(import) => import,
        Err(why) => {
            found.left.push(left("price", "all", why));
            return Ok(());
        }
    };
    if let Some(turn) = turn.filter(|_| !import.rows.is_empty()) {
        turn.replace(&import.text).map_err(|error| unwritten(file, &error))?;
    }
    taken.extend(import.rows.iter().map(|row| {
        let keys: Vec<String> = row.keys.iter().map(|change| format!("{} {}", change.key, change.new)).collect();
        Taken { what: "price", name: row.model.clone(), how: keys.join(", ") }
    }));
    found.left.extend(import.unread.into_iter().map(|unread| Left {
        what: "price",
        name: unread.model,
        why: unread.why,
    }));
    Ok(())
}

fn keys(found: &mut Found, config: &Config, writes: bool, taken: &mut Vec<Taken>, act: &Act) -> Outcome {
    if found.keys.is_empty() {
        return Ok(());
    }
    let store = if writes { Some(open_store(config)?) } else { None };
    for key in std::mem::take(&mut found.keys) {
        let made = match &store {
            Some(store) => make(&key, &**store, act)?,
            None => Ok(()),
        };
        match made {
            Ok(()) => taken.push(of_key(&key)),
            Err(why) => found.left.push(left("key", &key.name, why)),
        }
    }
    Ok(())
}

fn of_key(key: &FoundKey) -> Taken {
    let quota = key.quota_nanos.map_or_else(|| "unlimited".to_owned(), super::amount::usd);
    let state = if key.enabled { "" } else { ", disabled" };
    let user = key.user.as_deref().map(|user| format!(" of {user}")).unwrap_or_default();
    let how = format!("the same key{user} goes on, group {}, {quota}{state}", key.group);
    Taken { what: "key", name: key.name.clone(), how }
}

/// Makes a key with the credential that its clients have. `Err`: it is not acceptable here.
fn make(key: &FoundKey, store: &dyn Store, act: &Act) -> Result<Result<(), String>, Failure> {
    if store.key_find(&KeyRef::Name(key.name.clone()))?.is_some() {
        return Ok(Err("there is one of that name".into()));
    }
    let new = NewKey {
        name: key.name.clone(),
        // Whoever that was over there.
        named_by_user: true,
        user: key.user.clone(),
        group: key.group.clone(),
        models: key.models.clone(),
        // One that is to be disabled admits nobody before it is, whatever happens in between.
        expires_at_ms: if key.enabled { key.expires_at_ms } else { Some(0) },
        quota_nanos: key.quota_nanos,
        rpm: key.rpm,
        tpm: key.tpm,
        concurrency: key.concurrency,
    };
    let made = match store.people().key_create_by(act, &new, &key.digest) {
        Ok(made) => made,
        Err(error) if error.kind == StoreErrorKind::Invalid => return Ok(Err(error.message)),
        // The same credential under another name.
        Err(error) if error.message.contains("UNIQUE") => return Ok(Err("there is a key with the same secret".into())),
        Err(error) => return Err(error.into()),
    };
    if !key.enabled {
        let expires_at_ms = Some(key.expires_at_ms);
        let disabled = KeyChange { enabled: Some(false), expires_at_ms, ..KeyChange::default() };
        store.people().key_change_by(act, made.key.id, None, &disabled)?;
    }
    Ok(Ok(()))
}

fn report(
    arguments: &ImportArgs,
    taken: &[Taken],
    left: &[Left],
    variables: &[(String, Option<String>)],
    terminal: &mut Terminal<'_>,
) -> Outcome {
    if arguments.json {
        for one in taken {
            terminal.json(&serde_json::json!({"what": one.what, "name": one.name, "taken": true, "how": one.how}))?;
        }
        for one in left {
            terminal.json(&serde_json::json!({"what": one.what, "name": one.name, "taken": false, "why": one.why}))?;
        }
        let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
        return terminal.json(&serde_json::json!({
            "what": "summary", "taken": taken.len(), "left": left.len(), "environment": names,
            "written": !arguments.dry_run,
        }));
    }
    let rows = taken.iter().map(|one| [one.what, &one.name, "taken", &one.how]);
    let rows = rows.chain(left.iter().map(|one| [one.what, &one.name, "LEFT", &one.why]));
    terminal.table(&["what", "name", "", ""], &[], rows.map(|row| row.map(plain).to_vec()))?;
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    if !names.is_empty() {
        let place = match &arguments.env_file {
            Some(file) if !arguments.dry_run => format!("; their values are in {}", file.display()),
            _ => "; --env-file FILE writes their values, --seal puts them sealed into the config file".to_owned(),
        };
        terminal.remark(&format!("The config file needs in the environment: {}{place}", names.join(" ")))?;
        terminal.remark("A gateway that runs without them keeps its configuration until it is started with them.")?;
    }
    match arguments.dry_run {
        true => terminal.remark("Nothing is written: it is a dry run."),
        false => terminal.remark("Done. `tollgate check` says whether the config file is whole."),
    }
}
