//! `[[upstream]]`

use super::base_url::{base_url, http_version};
use super::reader::{Section, kind};
use super::seal::{self, MasterKeys};
use super::shape::{GROUP_DEFAULT, Model, PRIORITY_DEFAULT, Server, Upstream, WEIGHT_DEFAULT};
use crate::dialect::request::MODEL_BYTES_MAX;
use crate::price::Multiplier;
use crate::provider::{AuthScheme, Provider, providers};
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;
use tollgate_plugin_api::{did_you_mean, join, one_of};
use toml::de::DeValue;

/// The most upstreams of one file.
pub(super) const UPSTREAMS_MAX: usize = 10_000;
/// The most models of one upstream.
const MODELS_MAX: usize = 10_000;
/// The most headers of one upstream.
const HEADERS_MAX: usize = 64;
/// The longest name of an upstream or a group, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// The largest weight.
pub(crate) const WEIGHT_MAX: u32 = 1_000_000;
/// The last tier.
const PRIORITY_MAX: u64 = 1_000;

/// How the message of a sealed value begins that nothing opens.
pub(super) const NO_MASTER_KEY: &str = "the value is sealed and there is no master key";

/// Header fields that are the gateway's own to set.
const HEADERS_RESERVED: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// All upstreams, those with errors left out.
pub(super) fn upstreams(top: &Section<'_>, keys: &KeyRing) -> Vec<Upstream> {
    let Some(value) = top.get("upstream") else { return Vec::new() };
    let items = match value.get_ref() {
        DeValue::Array(items) => items,
        DeValue::Table(_) => {
            top.wrong("upstream", "expected an array of tables: write `[[upstream]]` with two brackets");
            return Vec::new();
        }
        other => {
            top.wrong("upstream", format!("expected tables `[[upstream]]`, found {}", kind(other)));
            return Vec::new();
        }
    };
    if items.len() > UPSTREAMS_MAX {
        top.wrong("upstream", format!("too many upstreams, expected at most {UPSTREAMS_MAX}"));
        return Vec::new();
    }
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut read = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("upstream[{index}]");
        let DeValue::Table(table) = item.get_ref() else {
            top.reader.wrong(&path, format!("expected a table, found {}", kind(item.get_ref())));
            continue;
        };
        let section = Section::open(top.reader, path, Some(table));
        let upstream = upstream(&section, &mut names, index, keys);
        read.extend(upstream);
    }
    read
}

fn upstream(
    section: &Section<'_>,
    names: &mut HashMap<String, usize>,
    index: usize,
    keys: &KeyRing,
) -> Option<Upstream> {
    let name = name(section, names, index);
    let provider = provider(section);
    let api_key = api_key(section, provider, name.as_deref(), keys);
    let base_url = base_url(section, provider);
    let http_version = http_version(section, base_url.as_ref());
    let models = models(section);
    let weight = section.number("weight", 0..=WEIGHT_MAX.into(), WEIGHT_DEFAULT);
    let priority = section.number("priority", 0..=PRIORITY_MAX, PRIORITY_DEFAULT);
    let groups = groups(section);
    let headers = headers(section, provider.filter(|_| api_key.is_some()));
    let price_provider = section.text("price_provider");
    let price_multiplier = price_multiplier(section);
    Some(Upstream {
        name: name?,
        provider: provider?.name.clone(),
        api_key,
        base_url: base_url?,
        http_version,
        models: models?,
        weight,
        priority,
        groups,
        headers,
        price_provider,
        price_multiplier,
    })
}

fn name(section: &Section<'_>, names: &mut HashMap<String, usize>, index: usize) -> Option<String> {
    section.missing("name", "a name for this upstream");
    let name = section.text("name")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
        let expected = format!("expected at most {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`");
        section.wrong("name", format!("cannot be the name of an upstream, {expected}"));
        return None;
    }
    if let Some(first) = names.get(&name) {
        let line = section.reader.positions.line(&format!("upstream[{first}].name")).unwrap_or(0);
        section.wrong("name", format!("two upstreams have this name (the other one at line {line}), expected another"));
        return None;
    }
    names.insert(name.clone(), index);
    Some(name)
}

fn provider(section: &Section<'_>) -> Option<&'static Provider> {
    let known = || providers().keys().map(String::as_str);
    section.missing("provider", &one_of(known()));
    let name = section.text("provider")?;
    let found = providers().get(&name);
    if found.is_none() {
        let guess = did_you_mean(&name, known());
        section.wrong("provider", format!("unknown provider, expected {}{guess}", one_of(known())));
    }
    found
}

fn api_key(
    section: &Section<'_>,
    provider: Option<&Provider>,
    name: Option<&str>,
    keys: &KeyRing,
) -> Option<SecretString> {
    let Some(value) = section.get("api_key") else {
        if let Some(provider) = provider.filter(|row| !row.key_optional && row.auth != AuthScheme::None) {
            let variable = provider.env_names().next().unwrap_or("API_KEY");
            section.missing("api_key", &format!("a key for this provider, as in `\"${{{variable}}}\"`"));
        }
        return None;
    };
    if let DeValue::String(text) = value.get_ref()
        && text.starts_with(seal::PREFIX)
    {
        // Without a name there is an error already, and nothing to open it by.
        let opened = keys.open(text, name?)?;
        let read = opened.and_then(|text| Ok(read_key(text.expose_secret())?));
        return read.map_err(|message| section.wrong("api_key", message)).ok();
    }
    let text = section.reader.string(&section.key("api_key"), value.get_ref())?;
    if text.starts_with(seal::PREFIX) {
        section.wrong("api_key", "a sealed value cannot come from a variable, expected it in the file itself");
        return None;
    }
    read_key(&text).map_err(|message| section.wrong("api_key", message)).ok()
}

/// What opens sealed values.
pub(super) enum KeyRing {
    /// The master keys.
    Here(MasterKeys),
    /// There are none, or they cannot be read: why.
    Absent(String),
    /// There is an error at `server.master_key_file` already.
    Told,
}

impl KeyRing {
    /// A file that is named must be good, also if nothing is sealed yet.
    pub(super) fn find(top: &Section<'_>, server: &Server) -> Self {
        match MasterKeys::find(top.reader.env, server.master_key_file.as_deref()) {
            Ok(Some(keys)) => Self::Here(keys),
            Ok(None) => Self::Absent(format!(
                "{NO_MASTER_KEY}, expected it in {} or in the file of `server.master_key_file`",
                seal::VARIABLE
            )),
            Err(message) if (top.reader.env)(seal::VARIABLE).is_some() => Self::Absent(message),
            Err(message) => {
                top.reader.wrong("server.master_key_file", message);
                Self::Told
            }
        }
    }

    /// `None`: does not open, and that has been said.
    fn open(&self, sealed: &str, upstream: &str) -> Option<Result<SecretString, String>> {
        match self {
            Self::Here(keys) => Some(keys.open(sealed, upstream).map_err(str::to_owned)),
            Self::Absent(message) => Some(Err(message.clone())),
            Self::Told => None,
        }
    }
}

/// A provider's key. A line break at the end is what a key read from a file brings along.
pub(super) fn read_key(text: &str) -> Result<SecretString, &'static str> {
    let key = text.trim();
    if key.is_empty() {
        return Err("is empty, expected the provider's key");
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has characters that no header can carry, expected visible ASCII without spaces");
    }
    Ok(SecretString::from(key))
}

fn models(section: &Section<'_>) -> Option<Vec<Model>> {
    const EXPECTED: &str = "model names, as in `[\"gpt-4o\", { name = \"fast\", upstream_model = \"gpt-4o-mini\" }]`";
    section.missing("models", &format!("an array of {EXPECTED}"));
    let items = section.array("models", EXPECTED)?;
    if items.is_empty() || items.len() > MODELS_MAX {
        section.wrong("models", format!("expected 1 to {MODELS_MAX} models, found {}", items.len()));
        return None;
    }
    let mut models: Vec<Model> = Vec::new();
    let mut first: HashMap<String, usize> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let path = section.item("models", index);
        let Some(model) = model(section, &path, item.get_ref()) else { continue };
        if let Some(first) = first.get(&model.name) {
            let message = format!("this upstream has the model already, as models[{first}], expected another");
            section.reader.wrong(&path, message);
        }
        first.entry(model.name.clone()).or_insert(index);
        models.push(model);
    }
    Some(models)
}

fn model(section: &Section<'_>, path: &str, value: &DeValue<'_>) -> Option<Model> {
    let reader = section.reader;
    let checked = |path: &str, name: String| {
        let wrong = name.is_empty() || name.len() > MODEL_BYTES_MAX || name.trim() != name;
        if wrong || name.chars().any(char::is_control) {
            let expected = format!("expected 1 to {MODEL_BYTES_MAX} bytes without control characters and outer spaces");
            reader.wrong(path, format!("cannot be the name of a model, {expected}"));
            return None;
        }
        if name.contains('*') {
            // It would be taken for itself, and no client ever asks for that.
            reader.wrong(
                path,
                "cannot be the name of a model: a `*` is no pattern here, expected each model by its name",
            );
            return None;
        }
        Some(name)
    };
    match value {
        DeValue::String(_) => {
            let name = checked(path, reader.string(path, value)?)?;
            Some(Model { upstream_model: name.clone(), name })
        }
        DeValue::Table(table) => {
            let inner = Section::open(reader, path.to_string(), Some(table));
            inner.missing("name", "the name that clients ask for");
            let name = inner.text("name").and_then(|name| checked(&inner.key("name"), name));
            let upstream_model = match inner.get("upstream_model") {
                None => name.clone(),
                Some(_) => inner.text("upstream_model").and_then(|name| checked(&inner.key("upstream_model"), name)),
            };
            Some(Model { name: name?, upstream_model: upstream_model? })
        }
        other => {
            let expected = "expected a model's name or a table with `name` and `upstream_model`";
            reader.wrong(path, format!("{expected}, found {}", kind(other)));
            None
        }
    }
}

fn price_multiplier(section: &Section<'_>) -> Multiplier {
    const EXPECTED: &str = "expected a number such as `0.85`, with at most four decimals and at most 1000";
    let Some(value) = section.get("price_multiplier") else { return Multiplier::ONE };
    // The digits as they are written: exact.
    let text = match value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::String(_) => section.text("price_multiplier"),
        other => {
            section.wrong("price_multiplier", format!("{EXPECTED}, found {}", kind(other)));
            None
        }
    };
    let Some(text) = text else { return Multiplier::ONE };
    let read = Multiplier::parse(text.trim());
    read.map_err(|why| section.wrong("price_multiplier", format!("{why}, {EXPECTED}"))).unwrap_or_default()
}

fn groups(section: &Section<'_>) -> Vec<String> {
    let read = section.strings("groups", "group names, as in `[\"default\"]`", |text| {
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != ',';
        match text.len() {
            1..=NAME_BYTES_MAX if text.chars().all(plain) => Ok(text.to_string()),
            _ => Err(format!("cannot be a group, expected 1 to {NAME_BYTES_MAX} bytes without spaces and commas")),
        }
    });
    let Some(groups) = read else { return vec![GROUP_DEFAULT.into()] };
    if groups.is_empty() {
        section.wrong("groups", "is empty: no key could use this upstream, expected at least one group");
    }
    for (index, group) in groups.iter().enumerate() {
        if groups[..index].contains(group) {
            section.wrong("groups", "a group is there twice, expected each once");
        }
    }
    groups
}

/// `provider`: given if its key goes into a header of its own.
fn headers(section: &Section<'_>, provider: Option<&Provider>) -> Vec<(HeaderName, HeaderValue)> {
    let mut read: Vec<(HeaderName, HeaderValue)> = Vec::new();
    let key_header = provider.and_then(|provider| provider.auth.header_name());
    let table = section.table("headers");
    if table.is_some_and(|table| table.len() > HEADERS_MAX) {
        section.wrong("headers", format!("too many headers, expected at most {HEADERS_MAX}"));
        return read;
    }
    for (name, value) in table.into_iter().flatten() {
        let text: &str = AsRef::<str>::as_ref(name.get_ref());
        let path = join(&section.key("headers"), text);
        let Ok(name) = HeaderName::try_from(text) else {
            section.reader.wrong_key(&path, "cannot be the name of a header, expected letters, digits and `-`");
            continue;
        };
        if HEADERS_RESERVED.contains(&name.as_str()) {
            section.reader.wrong_key(&path, "the gateway sets this header itself, expected another");
            continue;
        }
        if key_header.as_ref() == Some(&name) {
            section.reader.wrong_key(&path, "the provider's key goes into this header, expected it in `api_key` alone");
            continue;
        }
        if read.iter().any(|(other, _)| *other == name) {
            section.reader.wrong_key(&path, "the header is there twice (case does not count), expected each once");
            continue;
        }
        let Some(value) = section.reader.string(&path, value.get_ref()) else { continue };
        match HeaderValue::try_from(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                read.push((name, value));
            }
            Err(_) => section.reader.wrong(&path, "has characters that no header can carry, expected visible ASCII"),
        }
    }
    read
}
