//! The file that the price book is read from: its text, what replaces it, and what it was before.

use super::Desk;
use super::access::{ADMIN, OPERATOR};
use super::extract::{Listed, Part, Sent};
use super::query::Asked;
use super::refusal::{Code, Refusal};
use super::routes::{Route, Verb};
use super::session::Caller;
use crate::config::Config;
use crate::price::{PriceBook, PriceError};
use crate::replace::Turn;
use crate::revision::{Edition, Line, OBJECT, Revision};
use crate::serve::price_text;
use crate::shown::rfc3339;
use crate::store::{Act, AuditRow, Store, StoreError, StoreErrorKind};
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use utoipa::ToSchema;

/// How the audit calls a new text of the file.
const PUT: &str = "prices.put";

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/api/prices/file", OPERATOR, |verb| on(verb, file), "The pricing file's text.")
        .gives::<FileJson>(),
    Route::new(Verb::Put, "/api/prices/file", ADMIN, |verb| on(verb, put), "Replaces the pricing file's text.")
        .takes::<FilePut>()
        .gives::<Replaced>()
        .refuses(&[Code::Conflict]),
    Route::new(
        Verb::Post,
        "/api/prices/validate",
        OPERATOR,
        |verb| on(verb, validate),
        "Whether a text is a price book.",
    )
    .takes::<Text>()
    .gives::<Valid>(),
    Route::new(
        Verb::Get,
        "/api/prices/history",
        OPERATOR,
        |verb| on(verb, history),
        "Every version that was in force, the latest first: who, when, and the lines that differ.",
    )
    .asks::<Part>()
    .lists::<VersionJson>(),
];

/// The pricing file.
#[derive(Serialize, ToSchema)]
struct FileJson {
    text: String,
    /// Of this text.
    version: String,
    path: String,
}

impl FileJson {
    fn of(text: String, config: &Config) -> Self {
        let version = PriceBook::version_of(&text).to_string();
        Self { text, version, path: config.pricing.file.display().to_string() }
    }

    fn edition(&self) -> Edition<'_> {
        Edition { version: &self.version, text: Some(&self.text) }
    }
}

/// The file's text, or of what stands in for it.
fn read(config: &Config, default_prices: &str) -> Result<FileJson, Refusal> {
    let unreadable = |why| Refusal::new(Code::Unavailable, why);
    price_text(config, default_prices).map(|text| FileJson::of(text, config)).map_err(unreadable)
}

async fn file(State(desk): State<Arc<Desk>>) -> Result<Json<FileJson>, Refusal> {
    let (config, default_prices) = (desk.shared.snapshot.load().config.clone(), desk.default_prices);
    desk.beside(move || read(&config, default_prices)).await?.map(Json)
}

/// A new text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FilePut {
    text: String,
    /// Of the text that it replaces: what is in the file now.
    version: String,
}

/// Whether it is a price book that fits the configuration.
fn check(text: &str, config: &Config) -> Result<PriceBook, Refusal> {
    let invalid = |errors: Vec<Value>| Refusal::field("text", "this is no price book").errors(errors.into());
    let of_text = |error: &PriceError| json!({"line": error.line, "column": error.column, "key": error.key, "message": error.message});
    let book = PriceBook::parse(text).map_err(|errors| invalid(errors.iter().map(of_text).collect()))?;
    let misfits = config.price_errors(&book);
    let of_config = |error: &crate::config::ConfigError| json!({"line": 0, "column": 0, "key": error.key, "message": error.message});
    match misfits.is_empty() {
        true => Ok(book),
        false => Err(invalid(misfits.iter().map(of_config).collect())),
    }
}

/// What came of a new text.
#[derive(Serialize, ToSchema)]
struct Replaced {
    text: String,
    /// Of this text.
    version: String,
    path: String,
    /// False: the file is replaced, but it cannot be read again for now, and the old prices stay in force.
    in_force: bool,
    /// Why not.
    errors: Vec<String>,
}

async fn put(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Sent(FilePut { text, version }): Sent<FilePut>,
) -> Result<Json<Replaced>, Refusal> {
    let _turn = desk.pricing.lock().await;
    let (config, default_prices) = (desk.shared.snapshot.load().config.clone(), desk.default_prices);
    let (act, store) = (Desk::act(&caller), desk.store.clone());
    let replaced = move || {
        check(&text, &config)?;
        replace(&*store, &act, &config, default_prices, &version, text)
    };
    let FileJson { text, version, path } = desk.beside(replaced).await??;
    // Whoever watches the file would see it, too; this way it is in force with the answer.
    let errors = match desk.shared.reload().await {
        Some(Err(wrong)) => wrong.lines().map(str::to_owned).collect(),
        Some(Ok(_)) | None => Vec::new(),
    };
    let in_force = **desk.shared.snapshot.load().prices.version() == *version;
    Ok(Json(Replaced { text, version, path, in_force, errors }))
}

/// Replaces the file, if and only if the audit has a row of it: the file is read, compared and renamed into its place inside the row's
/// transaction, which is given up if that fails. What cannot be committed behind it is taken back.
///
/// If the process ends before the file has its new name, there is the old file and no row. If it ends between that and the commit,
/// or a loss of power takes the commit back (`durability = "process"`), there is the new file and no row: at its next start, the
/// gateway notes the version that it finds in force (`jobs`'s `prices`), without who put it there.
fn replace(
    store: &dyn Store,
    act: &Act,
    config: &Config,
    default_prices: &str,
    version: &str,
    text: String,
) -> Result<FileJson, Refusal> {
    let path = &config.pricing.file;
    let unwritable = |error| Refusal::new(Code::Unavailable, format!("the file cannot be written: {error}"));
    // Before the transaction, as everybody does who changes the file and notes it.
    let turn = Turn::take(path).map_err(unwritable)?;
    let (mut refused, mut replaced) = (None, None);
    let mut make = || {
        let before = read(config, default_prices)?;
        if before.version != version {
            let message = format!("the file has been changed: it is now at version {}", before.version);
            return Err(Refusal::conflict("version", message));
        }
        let after = Edition { version: &PriceBook::version_of(&text), text: Some(&text) };
        if before.version == after.version {
            return Ok(None);
        }
        let images = Revision::between(Some(before.edition()), after).images();
        let was_there = path.exists();
        turn.replace(&text).map_err(unwritable)?;
        replaced = Some((was_there, before.text));
        Ok(Some(images))
    };
    let noted = store.people().note_made(act, PUT, OBJECT, &mut |_| {
        make().map_err(|refusal| {
            refused = Some(refusal);
            StoreError::new(StoreErrorKind::Conflict, "the pricing file stays as it is")
        })
    });
    match (noted, refused) {
        (Ok(_), _) => Ok(FileJson::of(text, config)),
        (Err(_), Some(refusal)) => Err(refusal),
        (Err(error), None) => {
            if let Some((was_there, text)) = replaced {
                put_back(&turn, path, was_there.then_some(&*text));
            }
            Err(error.into())
        }
    }
}

/// Gives the file its text again; `None`: there was none.
fn put_back(turn: &Turn, path: &Path, text: Option<&str>) {
    let undone = text.map_or_else(|| std::fs::remove_file(path), |text| turn.replace(text));
    if let Err(error) = undone {
        tracing::error!("{}: replaced without a row in the audit: {error}", path.display());
    }
}

/// A text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

/// A text that is a price book.
#[derive(Serialize, ToSchema)]
struct Valid {
    version: String,
    prices: usize,
}

async fn validate(State(desk): State<Arc<Desk>>, Sent(Text { text }): Sent<Text>) -> Result<Json<Valid>, Refusal> {
    let config = desk.shared.snapshot.load().config.clone();
    // A long text takes long.
    let book = desk.beside(move || check(&text, &config)).await??;
    Ok(Json(Valid { version: book.version().to_string(), prices: book.iter().count() }))
}

/// A version of the file.
#[derive(Serialize, ToSchema)]
struct VersionJson {
    version: String,
    /// The one that it replaced; null: it is the first that is known.
    before: Option<String>,
    at: String,
    actor: String,
    /// console; or found: it was in the file, put there by an editor, the command line, or a change that was cut short.
    source: &'static str,
    /// The lines that were removed and added, in the order of the text; null: they are not known.
    lines: Option<Vec<ChangedLine>>,
    /// How many more there are, at the end of either.
    lines_left_out: usize,
}

/// A line that one of two texts has.
#[derive(Serialize, ToSchema)]
struct ChangedLine {
    /// removed or added
    change: &'static str,
    /// In the text that has it.
    number: usize,
    text: String,
}

impl ChangedLine {
    fn of(Line { is_added, number, text }: Line<'_>) -> Self {
        Self { change: if is_added { "added" } else { "removed" }, number, text: text.to_owned() }
    }
}

impl VersionJson {
    fn of(row: AuditRow) -> Self {
        let revision = Revision::read(row.before.as_deref(), row.after.as_deref());
        let lines = revision.lines().map(|lines| lines.into_iter().map(ChangedLine::of).collect());
        let lines_left_out = revision.left_out();
        Self {
            version: revision.after.version,
            before: revision.before.map(|before| before.version),
            at: rfc3339(row.at_ms),
            actor: row.actor,
            source: if row.action == PUT { "console" } else { "found" },
            lines,
            lines_left_out,
        }
    }
}

async fn history(
    State(desk): State<Arc<Desk>>,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<VersionJson>>, Refusal> {
    let page = part.page();
    let rows = desk.ask(move |store| store.people().audit_rows(page, Some(OBJECT))).await?;
    Ok(Json(Listed::of(rows, page, |row| row.id, VersionJson::of)))
}
