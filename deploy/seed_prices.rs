//! Writes the generated rows of `pricing.toml`: `cargo run --example seed_prices`, or with `-- --check` only says whether
//! they are up to date (exit 1 if not).
//!
//! The prices are those of the crate `genai-prices` (MIT, a development dependency): its bundled `data/prices.json` is
//! read as it was published, and every name that a row gets is put to the crate's own matching first. Rows outside the two
//! markers are never touched, and where one of them has the same provider and name, it takes the place of the generated
//! one.

#[path = "seed_prices/by_hand.rs"]
mod by_hand;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, UNIX_EPOCH};

use by_hand::{
    ANY_PROFILE, FEES, FURTHER_LINES, FURTHER_NAMES, OUTPUT_TOKENS_MAX, PASSED_ON, PROFILES, PassedOn, SAME_OUTPUT,
    WEEKDAY_WINDOWS,
};
use genai_prices::{PriceRequest, Usage};
use serde_json::Value;
use toml_edit::{Array, DocumentMut, Item};
// Names of providers, prices and service tiers: `price import` reads the same data.
use tollgate::price::import::genai_prices::{CLASSES, FEES as FEES_OF_CRATE, SELLERS, SERVICES};

const BEGIN: &str = "# >>> generated rows";
const END: &str = "# <<< generated rows";

/// The day whose prices are taken, midnight UTC; changes that are known for later become rows with a `valid_from`.
const AS_OF: &str = "2026-11-21";
const AS_OF_UNIX: u64 = 1_795_219_200;

/// What images and sounds cost.
const MEDIA: [&str; 5] = ["input_audio", "cached_audio", "input_image", "output_audio", "output_image"];
const SEARCHES: &str = "web_search_per_thousand";

/// Models that are free of charge; where the crate has no price at all, that alone does not say so.
fn is_free(name: &str) -> bool {
    name.ends_with(":free") || name == "moderation"
}

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("seed_prices: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode, Failure> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pricing.toml");
    let before = std::fs::read_to_string(&path)?;
    let (head, tail) = split(&before)?;
    let (version, sellers) = published()?;
    let mut taken = names_of(head)?;
    taken.extend(names_of(tail)?);
    let mut block = format!(
        "{BEGIN}: genai-prices {version} (MIT, https://github.com/pydantic/genai-prices), prices of {AS_OF}.\n\
         # Made by `cargo run --example seed_prices`, which writes everything down to the closing marker anew.\n"
    );
    let mut count = 0;
    for seller in SELLERS {
        // The maker's price holds at every provider that has no row of its own.
        let provider = (!seller.maker).then_some(seller.ours);
        let seller = seller.theirs;
        let found =
            sellers.iter().find(|found| found["id"] == seller).ok_or_else(|| format!("no provider {seller}"))?;
        count += seller_rows(found, (seller, &sellers), provider, &mut taken, &mut block)?;
    }
    let after = format!("{head}{block}\n{END}\n{tail}");
    if std::env::args().skip(1).any(|argument| argument == "--check") {
        if after == before {
            println!("{} is up to date: {count} generated rows", path.display());
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("{} is out of date: run `cargo run --example seed_prices`", path.display());
        return Ok(ExitCode::FAILURE);
    }
    std::fs::write(&path, after)?;
    println!("{}: {count} generated rows", path.display());
    Ok(ExitCode::SUCCESS)
}

/// What stands before and after the generated rows.
fn split(text: &str) -> Result<(&str, &str), Failure> {
    let Some(begin) = text.find(BEGIN) else { return Ok((text, "")) };
    let end = text[begin..].find(END).ok_or("the closing marker is missing")? + begin;
    let after = text[end..].find('\n').map_or(text.len(), |line| end + line + 1);
    Ok((&text[..begin], &text[after..]))
}

/// The version of the crate that this build uses, and its providers.
fn published() -> Result<(String, Vec<Value>), Failure> {
    let tool = |name: &str| std::env::var(name.to_uppercase()).unwrap_or_else(|_| name.into());
    // For this platform only: crates of other platforms need not be on this machine.
    let about = printed(Command::new(tool("rustc")).arg("-vV"))?;
    let about = String::from_utf8(about)?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc does not say its host")?;
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let arguments =
        ["metadata", "--format-version", "1", "--offline", "--filter-platform", host, "--manifest-path", manifest];
    let metadata: Value = serde_json::from_slice(&printed(Command::new(tool("cargo")).args(arguments))?)?;
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let package = packages.iter().find(|package| package["name"] == "genai-prices").ok_or("no genai-prices")?;
    let manifest = PathBuf::from(package["manifest_path"].as_str().ok_or("no path")?);
    let prices = std::fs::read(manifest.with_file_name("data").join("prices.json"))?;
    Ok((package["version"].as_str().unwrap_or_default().into(), serde_json::from_slice(&prices)?))
}

fn printed(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let output = command.output()?;
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

/// Provider (empty: all) and lower-case name of every row written by hand.
fn names_of(text: &str) -> Result<BTreeSet<(String, String)>, Failure> {
    let document: DocumentMut = text.parse()?;
    let mut names = BTreeSet::new();
    for row in document.get("model").and_then(Item::as_array_of_tables).into_iter().flat_map(|rows| rows.iter()) {
        let provider = row.get("provider").and_then(Item::as_str).unwrap_or("").to_lowercase();
        let aliases = row.get("aliases").and_then(Item::as_array).into_iter().flat_map(Array::iter);
        let aliases = aliases.filter_map(toml_edit::Value::as_str);
        for name in row.get("name").and_then(Item::as_str).into_iter().chain(aliases) {
            names.insert((provider.clone(), name.to_lowercase()));
        }
    }
    Ok(names)
}

fn seller_rows(
    found: &Value,
    (seller, sellers): (&str, &[Value]),
    provider: Option<&str>,
    taken: &mut BTreeSet<(String, String)>,
    block: &mut String,
) -> Result<usize, Failure> {
    let mut rows = String::new();
    let mut count = 0;
    for model in found["models"].as_array().ok_or("no models")? {
        let id = model["id"].as_str().ok_or("a model without an id")?;
        let mut tariffs = tariffs(model)?;
        for (date, tariff) in &mut tariffs {
            tariff.take_over(seller, id, sellers, date.as_deref().unwrap_or(AS_OF))?;
            tariff.forget_what_is_by_hand(seller, id);
        }
        let priced = tariffs[0].1.prices.contains_key("input");
        if !priced && !is_free(id) {
            continue;
        }
        let names =
            row_names(model, seller, id, |name| taken.insert((provider.unwrap_or("").into(), name.to_lowercase())));
        let Some((name, aliases)) = names.split_first() else { continue };
        for (valid_from, tariff) in &tariffs {
            count += 1;
            write!(rows, "\n[[model]]\nname = {}\n", quoted(name))?;
            if let Some(provider) = provider {
                writeln!(rows, "provider = {}", quoted(provider))?;
            }
            if !aliases.is_empty() {
                writeln!(
                    rows,
                    "aliases = [{}]",
                    aliases.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
                )?;
            }
            if is_dated(seller, id, &names) {
                rows.push_str("dated = true\n");
            }
            if let Some(date) = valid_from {
                writeln!(rows, "valid_from = {date}")?;
            }
            if let Some(tokens) = model["context_window"].as_u64() {
                writeln!(rows, "context_tokens = {tokens}")?;
            }
            if let Some(tokens) = output_tokens_max(seller, id) {
                writeln!(rows, "max_output_tokens = {tokens}")?;
            }
            rows.push_str(&tariff.rows());
            for (_, line, _) in FURTHER_LINES.iter().filter(|(of, _, names)| *of == seller && is_one_of(id, names)) {
                writeln!(rows, "{line}")?;
            }
            let mut fees = tariff.fees.clone();
            let known = FEES.iter().filter(|(of, _, _, names)| *of == seller && is_one_of(id, names));
            fees.extend(known.map(|(_, done, price, _)| (*done, *price)));
            if !fees.is_empty() {
                let fees = fees.iter().map(|(done, price)| format!("{done} = {}", decimal(*price, 9)));
                writeln!(rows, "fees = {{ {} }}", fees.collect::<Vec<_>>().join(", "))?;
            }
        }
    }
    let title = found["name"].as_str().unwrap_or(seller);
    let sources = found["pricing_urls"].as_array().and_then(|urls| urls.first()).and_then(Value::as_str).unwrap_or("");
    write!(block, "\n# --- {title}: {sources}\n{rows}")?;
    Ok(count)
}

/// The names that are written out in the crate's match rules (and in [`FURTHER_NAMES`]) and that really match this model;
/// `free` takes a name and says whether it was still free.
fn row_names(model: &Value, seller: &str, id: &str, mut free: impl FnMut(&str) -> bool) -> Vec<String> {
    let mut candidates = vec![id.to_owned()];
    literals(&model["match"], &mut candidates);
    let further = FURTHER_NAMES.iter().filter(|(of, _)| *of == seller).flat_map(|(_, names)| names.split_whitespace());
    candidates.extend(further.map(str::to_owned));
    if seller == "aws" {
        let bare = PROFILES.iter().chain([&ANY_PROFILE]).find_map(|profile| id.strip_prefix(profile)).unwrap_or(id);
        candidates.extend([""].iter().chain(&PROFILES).map(|profile| format!("{profile}{bare}")));
    }
    let mut seen = BTreeSet::new();
    candidates.retain(|name| {
        let whole = name.ends_with(|last: char| last.is_ascii_alphanumeric());
        // Fine-tuned models have names of their own; Claude at Google costs what Anthropic says.
        let skipped =
            name.starts_with("ft:") || name.contains(".ft-") || (seller == "google" && name.contains("claude"));
        // OpenRouter's models have the maker's name in front; the crate keeps some without it, from before.
        let skipped = skipped || (seller == "openrouter" && !name.contains('/')) || name.starts_with(ANY_PROFILE);
        whole
            && !skipped
            && seen.insert(name.to_lowercase())
            && matched(seller, name).as_deref() == Some(id)
            && free(name)
    });
    candidates
}

/// Every literal of a match rule that a whole name can be.
fn literals(rule: &Value, names: &mut Vec<String>) {
    for (operator, value) in rule.as_object().into_iter().flatten() {
        match value {
            Value::Array(rules) => rules.iter().for_each(|rule| literals(rule, names)),
            Value::String(text) if operator != "regex" => names.push(text.clone()),
            _ => {}
        }
    }
}

/// Which model the crate takes a name for.
fn matched(seller: &str, name: &str) -> Option<String> {
    let usage = Usage::new();
    let request = PriceRequest::new(name, &usage).with_provider_id(seller);
    let request = request.with_timestamp(UNIX_EPOCH + Duration::from_secs(AS_OF_UNIX));
    genai_prices::calculate(&request).ok().map(|price| price.model_id)
}

/// Whether a date behind the first name still means this model, and behind none of the names another.
fn is_dated(seller: &str, id: &str, names: &[String]) -> bool {
    let with_dates =
        |name: &String| ["-2099-01-01", "-20990101", "@20990101"].map(|date| matched(seller, &format!("{name}{date}")));
    let first = with_dates(&names[0]).iter().flatten().any(|found| found == id);
    first && names.iter().flat_map(with_dates).flatten().all(|found| found == id)
}

fn output_tokens_max(seller: &str, id: &str) -> Option<u64> {
    let of = |name: &str| OUTPUT_TOKENS_MAX.iter().find(|(_, families)| is_one_of(name, families)).map(|row| row.0);
    if SELLERS.iter().any(|row| row.theirs == seller && row.maker) {
        return of(id);
    }
    of(&passed_on(seller, id)?.1)
}

/// Whose model a seller passes on under this name, and what it is called there.
fn passed_on(seller: &str, id: &str) -> Option<(&'static PassedOn, String)> {
    let rows = PASSED_ON.iter().filter(|row| row.seller == seller);
    let (row, name) = rows.into_iter().find_map(|row| Some((row, id.strip_prefix(row.begin)?)))?;
    let name = SAME_OUTPUT.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    // Anthropic's own names have no dots.
    Some((row, if row.maker == "anthropic" { name.replace('.', "-") } else { name.to_owned() }))
}

/// Whether a name is one of these, of which a `*` stands for the rest.
fn is_one_of(id: &str, families: &str) -> bool {
    let fits = |family: &str| family.strip_suffix('*').map_or(id == family, |start| id.starts_with(start));
    families.split_whitespace().any(fits)
}

/// A price, and what it is for prompts above some lengths; in nano-USD.
#[derive(Clone, Debug, Default, PartialEq)]
struct Stepped {
    base: u64,
    tiers: BTreeMap<u64, u64>,
}

impl Stepped {
    fn at(&self, above: u64) -> u64 {
        self.tiers.range(..=above).next_back().map_or(self.base, |(_, price)| *price)
    }
}

/// Prices by our keys.
type Prices = BTreeMap<&'static str, Stepped>;

/// What one row says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tariff {
    prices: Prices,
    /// `per_request` and `web_search_per_thousand`.
    once: BTreeMap<&'static str, u64>,
    /// What is billed by the time.
    fees: BTreeMap<&'static str, u64>,
    service_tiers: Vec<(&'static str, Prices)>,
    windows: Vec<(String, String, Prices)>,
    weekdays: bool,
    /// Keys of the crate that cannot be said.
    unsaid: BTreeSet<String>,
}

/// What is valid on [`AS_OF`], and what is known to become valid later.
fn tariffs(model: &Value) -> Result<Vec<(Option<String>, Tariff)>, Failure> {
    let mut dates = BTreeSet::new();
    start_dates(&model["prices"], &mut dates);
    start_dates(&model["price_variants"], &mut dates);
    let mut tariffs = vec![(None, tariff(model, AS_OF)?)];
    for date in dates.into_iter().filter(|date| date.as_str() > AS_OF) {
        let next = tariff(model, &date)?;
        if tariffs.last().is_some_and(|(_, last)| *last != next) {
            tariffs.push((Some(date), next));
        }
    }
    Ok(tariffs)
}

fn start_dates(list: &Value, dates: &mut BTreeSet<String>) {
    let starts = list.as_array().into_iter().flatten().filter_map(|entry| entry["constraint"]["start_date"].as_str());
    dates.extend(starts.map(str::to_owned));
}

/// What is valid on `date`.
fn tariff(model: &Value, date: &str) -> Result<Tariff, Failure> {
    let begun = |entry: &&Value| entry["constraint"]["start_date"].as_str().is_none_or(|start| start <= date);
    let daily = |entry: &&Value| entry["constraint"]["start_time"].is_string();
    let entries: Vec<&Value> = match &model["prices"] {
        Value::Array(list) => list.iter().collect(),
        _ => Vec::new(),
    };
    let standard = entries
        .iter()
        .rev()
        .find(|entry| begun(entry) && !daily(entry))
        .map_or(&model["prices"], |entry| &entry["prices"]);
    let mut tariff = Tariff::default();
    (tariff.prices, tariff.once) = read_prices(standard, &mut tariff.unsaid)?;
    for (theirs, kind) in FEES_OF_CRATE {
        if let Some(price) = standard.get(theirs) {
            tariff.unsaid.remove(theirs);
            tariff.fees.insert(kind, nanos(price)? / 1000);
        }
    }
    for window in entries.into_iter().filter(daily) {
        let time = |key: &str| {
            window["constraint"][key].as_str().and_then(|time| time.strip_suffix(":00Z")).map(str::to_owned)
        };
        let (start, end) = (time("start_time").ok_or("an odd time")?, time("end_time").ok_or("an odd time")?);
        tariff.windows.push((start, end, read_prices(&window["prices"], &mut BTreeSet::new())?.0));
    }
    tariff.weekdays = model["id"].as_str().is_some_and(|id| WEEKDAY_WINDOWS.contains(&id));
    for (key, value, service) in SERVICES {
        let mut merged = Prices::new();
        let own = |variant: &&Value| {
            variant["when"].as_object().is_some_and(|when| when.len() == 1) && variant["when"][key] == value
        };
        for variant in model["price_variants"].as_array().into_iter().flatten().filter(own).filter(begun) {
            for (class, price) in read_prices(&variant["prices"], &mut BTreeSet::new())?.0 {
                merged.entry(class).or_insert(price);
            }
        }
        if !merged.is_empty() {
            tariff.service_tiers.push((service, merged));
        }
    }
    Ok(tariff)
}

fn read_prices(
    prices: &Value,
    unsaid: &mut BTreeSet<String>,
) -> Result<(Prices, BTreeMap<&'static str, u64>), Failure> {
    let (mut classes, mut once) = (Prices::new(), BTreeMap::new());
    for (key, value) in prices.as_object().into_iter().flatten() {
        if let Some((_, class)) = CLASSES.iter().find(|(theirs, _)| theirs == key) {
            let mut price = Stepped { base: nanos(value.get("base").unwrap_or(value))?, tiers: BTreeMap::new() };
            for tier in value["tiers"].as_array().into_iter().flatten() {
                price.tiers.insert(tier["start"].as_u64().ok_or("an odd tier")?, nanos(&tier["price"])?);
            }
            classes.insert(class, price);
            continue;
        }
        match key.as_str() {
            "requests_kcount" => once.insert("per_request", nanos(value)? / 1000),
            "web_searches_kcount" => once.insert("web_search_per_thousand", nanos(value)?),
            _ => unsaid.insert(key.clone()).then_some(0),
        };
    }
    Ok((classes, once))
}

/// A price of the data as nano-USD, read off its shortest decimal text; digits behind the ninth are rounded.
fn nanos(value: &Value) -> Result<u64, Failure> {
    let text = format!("{}", value.as_f64().ok_or("not a number")?);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let kept = &fraction[..fraction.len().min(9)];
    let up = fraction.as_bytes().get(9).is_some_and(|digit| *digit >= b'5');
    Ok(format!("{whole}{kept:0<9}").parse::<u64>()? + u64::from(up))
}

fn decimal(nanos: u64, decimals: usize) -> String {
    let digits = format!("{nanos:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.into() } else { format!("{whole}.{fraction}") }
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

impl Tariff {
    /// What the crate does not know of a model that is passed on at its maker's prices: those of images and sounds, and of searches.
    fn take_over(&mut self, seller: &str, id: &str, sellers: &[Value], date: &str) -> Result<(), Failure> {
        let Some((row, name)) = passed_on(seller, id) else { return Ok(()) };
        let Some(id) = matched(row.maker, &name) else { return Ok(()) };
        let models = sellers.iter().find(|one| one["id"] == row.maker).and_then(|maker| maker["models"].as_array());
        let Some(model) = models.into_iter().flatten().find(|model| model["id"] == *id) else { return Ok(()) };
        let maker = tariff(model, date)?;
        if ["input", "output"].iter().any(|class| self.prices.get(class) != maker.prices.get(class)) {
            return Ok(());
        }
        for class in MEDIA {
            if let Some(price) = maker.prices.get(class) {
                self.prices.entry(class).or_insert_with(|| price.clone());
            }
        }
        if let Some(price) = maker.once.get(SEARCHES).filter(|_| row.searches) {
            self.once.entry(SEARCHES).or_insert(*price);
        }
        Ok(())
    }

    /// What cannot be said of its prices, but is among the fees that are by hand.
    fn forget_what_is_by_hand(&mut self, seller: &str, id: &str) {
        let is_by_hour =
            FEES.iter().any(|(of, done, _, names)| *of == seller && *done == "audio_hour" && is_one_of(id, names));
        self.unsaid.retain(|key| !(is_by_hour && key.ends_with("audio_hours")));
    }

    /// The lines of a row from its prices on.
    fn rows(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        let zero = Stepped::default();
        for (_, class) in CLASSES {
            let always = matches!(class, "input" | "output").then_some(&zero);
            if let Some(price) = self.prices.get(class).or(always) {
                lines.push(format!("{class} = {}", decimal(price.base, 9)));
            }
        }
        lines.extend(self.once.iter().map(|(key, price)| format!("{key} = {}", decimal(*price, 9))));
        let tiers = tiers(&self.prices);
        if !tiers.is_empty() {
            lines.push(format!("tiers = [{}]", tiers.join(", ")));
        }
        for (service, own) in &self.service_tiers {
            match self.multiplier(own) {
                // What is meant to be dearer and is not has to be said: without a price it is none.
                Some(10_000) if *service != "priority" => {}
                Some(multiplier) => lines.push(format!("{service} = {}", decimal(multiplier, 4))),
                None => lines.push(format!("{service} = {{ {} }}", self.change(own))),
            }
        }
        if !self.windows.is_empty() {
            lines.push("windows = [".into());
            let days = if self.weekdays { r#"days = ["mon", "tue", "wed", "thu", "fri"], "# } else { "" };
            for (from, to, own) in &self.windows {
                let change = self
                    .multiplier(own)
                    .map_or_else(|| self.change(own), |times| format!("multiplier = {}", decimal(times, 4)));
                lines.push(format!(r#"    {{ {days}from = "{from}", to = "{to}", time_zone = "UTC", {change} }},"#));
            }
            lines.push("]".into());
        }
        if !self.unsaid.is_empty() {
            let unsaid: Vec<&str> = self.unsaid.iter().map(String::as_str).collect();
            lines.push(format!("# not in this price: {}", unsaid.join(", ")));
        }
        lines.join("\n") + "\n"
    }

    /// These prices where there are any, the row's elsewhere.
    fn over(&self, own: &Prices) -> Prices {
        self.prices
            .iter()
            .map(|(class, price)| (*class, own.get(class).unwrap_or(price).clone()))
            .chain(own.clone())
            .collect()
    }

    /// By what one number all prices of the row are multiplied, if there is one with four decimals.
    fn multiplier(&self, own: &Prices) -> Option<u64> {
        let own = self.over(own);
        let pairs: Vec<(u64, u64)> = own
            .iter()
            .flat_map(|(class, price)| {
                let standard = self.prices.get(class).cloned().unwrap_or_default();
                let lengths: Vec<u64> = standard.tiers.keys().chain(price.tiers.keys()).copied().chain([0]).collect();
                lengths.into_iter().map(move |above| (standard.at(above), price.at(above))).collect::<Vec<_>>()
            })
            .collect();
        let (first, changed) = pairs.iter().find(|(standard, _)| *standard > 0)?;
        let multiplier = changed * 10_000 / first;
        pairs.iter().all(|(standard, own)| standard * multiplier == own * 10_000).then_some(multiplier)
    }

    /// The inside of a table that names prices.
    fn change(&self, own: &Prices) -> String {
        let own = self.over(own);
        let differs = |class: &str| {
            own.get(class).filter(|price| self.prices.get(class).map(|standard| standard.base) != Some(price.base))
        };
        let mut parts: Vec<String> = CLASSES
            .iter()
            .filter_map(|(_, class)| Some(format!("{class} = {}", decimal(differs(class)?.base, 9))))
            .collect();
        if !tiers(&self.prices).is_empty() || !tiers(&own).is_empty() {
            parts.push(format!("tiers = [{}]", tiers(&own).join(", ")));
        }
        parts.join(", ")
    }
}

/// The tiers of some prices: each with every price that it changes.
fn tiers(prices: &Prices) -> Vec<String> {
    let lengths: BTreeSet<u64> = prices.values().flat_map(|price| price.tiers.keys().copied()).collect();
    let tier = |above: u64| {
        let changed = CLASSES.iter().filter_map(|(_, class)| {
            let price = prices.get(class)?;
            (price.at(above) != price.base).then(|| format!(", {class} = {}", decimal(price.at(above), 9)))
        });
        let changed: String = changed.collect();
        (!changed.is_empty()).then(|| format!("{{ above_prompt_tokens = {above}{changed} }}"))
    };
    lengths.into_iter().filter_map(tier).collect()
}
