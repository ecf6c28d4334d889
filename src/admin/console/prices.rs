//! The price book: what is in force, and the file that it is read from.

use super::access::{ADMIN, OPERATOR, USER};
use super::extract::{Listed, Part, Sent};
use super::query::{Asked, Both};
use super::refusal::{Code, Refusal};
use super::routes::{Route, Verb};
use super::session::Caller;
use super::{Desk, times};
use crate::config::Config;
use crate::price::{Price, PriceBook, PriceError};
use crate::proxy::unix_ms;
use crate::replace::write_atomically;
use crate::shown::rfc3339;
use crate::store::AuditRow;
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use tollgate_plugin_api::{Metered, ServiceTier, Usage, UsageDetail, UsageSource};
use utoipa::ToSchema;

/// How the audit calls a new text of the file.
const PUT: &str = "prices.put";

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/api/prices", USER, |verb| on(verb, list), "The price book in force.")
        .asks::<Both<PricesAsked, Part>>()
        .lists::<PriceJson>(),
    Route::new(Verb::Get, "/api/prices/file", OPERATOR, |verb| on(verb, file), "The pricing file's text.")
        .gives::<FileJson>(),
    Route::new(Verb::Put, "/api/prices/file", ADMIN, |verb| on(verb, put), "Replaces the pricing file's text.")
        .takes::<FilePut>()
        .gives::<FileJson>()
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
    Route::new(Verb::Post, "/api/prices/explain", USER, |verb| on(verb, explain), "The arithmetic of a cost.")
        .takes::<Explain>()
        .gives::<Explained>()
        .refuses(&[Code::NotFound]),
    Route::new(
        Verb::Get,
        "/api/prices/history",
        OPERATOR,
        |verb| on(verb, history),
        "Versions that came by way of the console, the latest first.",
    )
    .asks::<Part>()
    .lists::<VersionJson>(),
];

/// Which prices.
#[derive(Deserialize, ToSchema)]
struct PricesAsked {
    /// A part of a model's name, or of an alias.
    q: Option<String>,
}

/// A price.
#[derive(Serialize, ToSchema)]
struct PriceJson {
    model: String,
    provider: Option<String>,
    /// By class: USD per million tokens, as decimal numbers.
    classes: BTreeMap<&'static str, String>,
    aliases: Vec<String>,
    context_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    /// Who has the last word on it: the file.
    owner: &'static str,
}

impl PriceJson {
    fn of(price: &Price) -> Self {
        Self {
            model: price.model.to_string(),
            provider: price.provider.as_ref().map(ToString::to_string),
            classes: rates(price, unix_ms()),
            aliases: price.aliases.iter().map(ToString::to_string).collect(),
            context_tokens: price.context_tokens,
            max_output_tokens: price.output_tokens_max,
            owner: "file",
        }
    }
}

/// USD per million tokens, by class.
pub(super) fn rates(price: &Price, at_ms: i64) -> BTreeMap<&'static str, String> {
    price.rates_usd(at_ms).into_iter().collect()
}

async fn list(
    State(desk): State<Arc<Desk>>,
    Asked(Both(PricesAsked { q }, part)): Asked<Both<PricesAsked, Part>>,
) -> Result<Json<Listed<PriceJson>>, Refusal> {
    let page = part.page();
    let book = desk.shared.snapshot.load().prices.clone();
    let wanted = q.unwrap_or_default().to_lowercase();
    let is_wanted = |price: &Price| {
        let mut names = [&price.model].into_iter().chain(price.aliases.iter());
        names.any(|name| name.to_lowercase().contains(&wanted))
    };
    // In the order of the file; a row's place is its cursor.
    let from = usize::try_from(page.after.unwrap_or(0)).unwrap_or(0);
    let numbered = (1_i64..).zip(book.iter()).skip(from).filter(|(_, price)| is_wanted(price));
    let rows: Vec<_> = numbered.take(page.limit as usize).collect();
    Ok(Json(Listed::of(rows, page.limit, |(place, _)| *place, |(_, price)| PriceJson::of(price))))
}

/// The pricing file.
#[derive(Serialize, ToSchema)]
struct FileJson {
    text: String,
    /// Of this text.
    version: String,
    path: String,
}

/// The file's text, or of what stands in for it.
fn read(config: &Config, default_prices: &str) -> Result<FileJson, Refusal> {
    let path = &config.pricing.file;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => default_prices.to_owned(),
        Err(error) => return Err(Refusal::new(Code::Unavailable, format!("the file cannot be read: {error}"))),
    };
    let version = PriceBook::version_of(&text).to_string();
    Ok(FileJson { text, version, path: path.display().to_string() })
}

async fn blocking<T: Send + 'static>(run: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(run).await;
    done.map_err(|error| Refusal::new(Code::Unavailable, error.to_string()))?
}

async fn file(State(desk): State<Arc<Desk>>) -> Result<Json<FileJson>, Refusal> {
    let (config, default_prices) = (desk.shared.snapshot.load().config.clone(), desk.default_prices);
    blocking(move || read(&config, default_prices)).await.map(Json)
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

async fn put(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Sent(FilePut { text, version }): Sent<FilePut>,
) -> Result<Json<FileJson>, Refusal> {
    let _turn = desk.pricing.lock().await;
    let (config, default_prices) = (desk.shared.snapshot.load().config.clone(), desk.default_prices);
    let book = check(&text, &config)?;
    let before = blocking({
        let config = config.clone();
        move || read(&config, default_prices)
    })
    .await?;
    if before.version != version {
        return Err(Refusal::conflict("version", format!("the file has the version {} by now", before.version)));
    }
    let (act, after) = (Desk::act(&caller), book.version().to_string());
    let image = |version: &str| json!({ "version": version }).to_string();
    let (then, now) = (image(&before.version), image(&after));
    desk.ask(move |store| store.people().note(&act, PUT, "prices", Some(&then), Some(&now))).await?;
    let path = config.pricing.file.clone();
    let written = text.clone();
    blocking(move || {
        let unwritable = |error| Refusal::new(Code::Unavailable, format!("the file cannot be written: {error}"));
        write_atomically(&path, &written).map_err(unwritable)
    })
    .await?;
    // Whoever watches the file would see it, too; this way it is in force with the answer.
    let _ = desk.shared.reload().await;
    Ok(Json(FileJson { text, version: after, path: before.path }))
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
    let book = check(&text, &config)?;
    Ok(Json(Valid { version: book.version().to_string(), prices: book.iter().count() }))
}

/// What is to be priced; what is left out is 0.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Explain {
    model: String,
    /// Whose price; none: that of all who have none of their own.
    provider: Option<String>,
    /// When; none: now.
    at: Option<String>,
    /// standard, batch, flex or priority
    tier: Option<String>,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_tokens: u64,
    cache_write_1h_tokens: u64,
    input_audio_tokens: u64,
    cached_audio_tokens: u64,
    input_image_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    output_audio_tokens: u64,
    output_image_tokens: u64,
    web_searches: u64,
}

impl Explain {
    fn metered(&self) -> Result<Metered, Refusal> {
        let tiers = [
            ("standard", ServiceTier::Standard),
            ("batch", ServiceTier::Batch),
            ("flex", ServiceTier::Flex),
            ("priority", ServiceTier::Priority),
        ];
        let word = self.tier.as_deref().unwrap_or("standard");
        let tier = tiers.iter().find(|(name, _)| *name == word).map(|(_, tier)| *tier);
        Ok(Metered {
            usage: Usage {
                input_tokens: self.input_tokens,
                cached_input_tokens: self.cached_input_tokens,
                cache_write_tokens: self.cache_write_tokens,
                output_tokens: self.output_tokens,
                reasoning_tokens: self.reasoning_tokens,
            },
            tier: tier.ok_or_else(|| Refusal::field("tier", "expected standard, batch, flex or priority"))?,
            detail: UsageDetail {
                cache_write_1h_tokens: self.cache_write_1h_tokens,
                input_audio_tokens: self.input_audio_tokens,
                cached_audio_tokens: self.cached_audio_tokens,
                input_image_tokens: self.input_image_tokens,
                output_audio_tokens: self.output_audio_tokens,
                output_image_tokens: self.output_image_tokens,
                web_searches: self.web_searches,
            },
            source: UsageSource::Reported,
            ..Metered::default()
        })
    }

    /// Parts are not more than what they are parts of.
    fn check(&self) -> Result<(), Refusal> {
        let fits = |whole: u64, parts: &[u64]| {
            parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part)).is_some_and(|sum| sum <= whole)
        };
        let cached =
            &[self.cached_input_tokens, self.cache_write_tokens, self.input_audio_tokens, self.input_image_tokens];
        let made = &[self.reasoning_tokens, self.output_audio_tokens, self.output_image_tokens];
        for (field, whole, parts) in [
            ("input_tokens", self.input_tokens, &cached[..]),
            ("cached_input_tokens", self.cached_input_tokens, &[self.cached_audio_tokens]),
            ("cache_write_tokens", self.cache_write_tokens, &[self.cache_write_1h_tokens]),
            ("output_tokens", self.output_tokens, made),
        ] {
            if !fits(whole, parts) {
                return Err(Refusal::field(field, "expected all of them, those included that are counted by kind"));
            }
        }
        Ok(())
    }
}

/// The arithmetic of a cost.
#[derive(Serialize, ToSchema)]
struct Explained {
    lines: Vec<LineJson>,
    cost_nanos: i64,
    price_version: String,
}

/// A line of a bill.
#[derive(Serialize, ToSchema)]
pub(super) struct LineJson {
    /// What it is for.
    what: String,
    /// The factors.
    how: String,
    /// The product, exactly.
    usd: String,
}

impl LineJson {
    /// A line of the book's.
    pub(super) fn of(line: &crate::price::ExplainLine) -> Self {
        Self { what: line.what.clone(), how: line.how.clone(), usd: line.usd() }
    }
}

async fn explain(State(desk): State<Arc<Desk>>, Sent(asked): Sent<Explain>) -> Result<Json<Explained>, Refusal> {
    asked.check()?;
    let metered = asked.metered()?;
    let at_ms = asked.at.as_deref().map_or_else(|| Ok(unix_ms()), |text| times::parse("at", text))?;
    let book = desk.shared.snapshot.load().prices.clone();
    let price = book.find(asked.provider.as_deref().unwrap_or(""), &asked.model, &asked.model);
    let price = price.ok_or_else(|| Refusal::new(Code::NotFound, "this model has no price there"))?;
    let lines = book.explain(Some(price), &metered, at_ms).iter().map(LineJson::of).collect();
    let cost_nanos = book.cost(Some(price), &metered, at_ms).nanos;
    Ok(Json(Explained { lines, cost_nanos, price_version: book.version().to_string() }))
}

/// A version of the file.
#[derive(Serialize, ToSchema)]
struct VersionJson {
    version: String,
    /// The one that it replaced.
    before: String,
    at: String,
    actor: String,
}

impl VersionJson {
    fn of(row: AuditRow) -> Self {
        let version = |text: Option<String>| {
            let image: Value = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            image["version"].as_str().unwrap_or_default().to_owned()
        };
        Self { version: version(row.after), before: version(row.before), at: rfc3339(row.at_ms), actor: row.actor }
    }
}

async fn history(
    State(desk): State<Arc<Desk>>,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<VersionJson>>, Refusal> {
    let page = part.page();
    let rows = desk.ask(move |store| store.people().audit_rows(page, Some(PUT))).await?;
    Ok(Json(Listed::of(rows, page.limit, |row| row.id, VersionJson::of)))
}
