//! Upstreams as rows of the configuration, at the end of what is there, which stays as it is.

use super::{FoundSecret, FoundUpstream};
use secrecy::ExposeSecret;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, value};

/// Where upstreams' keys go.
pub(crate) enum Secrets<'s> {
    /// Into environment variables, which are named.
    Environment,
    /// Sealed, into the file: the key, the upstream's name; none: it is too long.
    Sealed(&'s dyn Fn(&str, &str) -> Option<String>),
}

/// Environment variables that a configuration needs: name and value, where it is known.
pub(crate) type Variables = Vec<(String, Option<String>)>;

/// The text with these upstreams at its end, and the environment variables that they need, each once: name and value, where it is
/// known. `is_taken`: whether a variable could be another's than the key with this value.
///
/// # Errors
/// The text cannot be added to, or a key cannot be sealed.
pub(crate) fn add_upstreams(
    text: &str,
    upstreams: &[&FoundUpstream],
    secrets: &Secrets<'_>,
    is_taken: &dyn Fn(&str, &str) -> bool,
) -> Result<(String, Variables), String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let rows = document.entry("upstream").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let rows = rows.as_array_of_tables_mut().ok_or("the upstreams are in one array, expected [[upstream]]")?;
    let mut variables = Variables::new();
    for upstream in upstreams {
        let mut row = Table::new();
        row["name"] = value(&upstream.name);
        row["provider"] = value(upstream.provider);
        match (&upstream.secret, secrets) {
            (FoundSecret::Nothing, _) => {}
            (FoundSecret::Environment(name), _) => {
                row["api_key"] = value(format!("${{{name}}}"));
                if !variables.iter().any(|(known, _)| known == name) {
                    variables.push((name.clone(), None));
                }
            }
            (FoundSecret::Value(secret), Secrets::Environment) => {
                let secret = secret.expose_secret();
                let is_taken = |name: &str| variables.iter().any(|(known, _)| known == name) || is_taken(name, secret);
                let name = variable(&upstream.name, is_taken);
                row["api_key"] = value(format!("${{{name}}}"));
                variables.push((name, Some(secret.to_owned())));
            }
            (FoundSecret::Value(secret), Secrets::Sealed(seal)) => {
                let sealed = seal(secret.expose_secret(), &upstream.name);
                row["api_key"] = value(sealed.ok_or_else(|| format!("the key of {} is too long", upstream.name))?);
            }
        }
        if let Some(base_url) = &upstream.base_url {
            row["base_url"] = value(plain(base_url));
        }
        let mut models = Array::new();
        for (name, upstream_model) in &upstream.models {
            if name == upstream_model {
                models.push(plain(name));
                continue;
            }
            let mut model = InlineTable::new();
            model.insert("name", plain(name).into());
            model.insert("upstream_model", plain(upstream_model).into());
            models.push(model);
        }
        row["models"] = value(models);
        if upstream.weight != 1 {
            row["weight"] = value(i64::from(upstream.weight));
        }
        if upstream.priority != 0 {
            row["priority"] = value(i64::from(upstream.priority));
        }
        if upstream.groups != ["default"] {
            row["groups"] = value(upstream.groups.iter().map(|group| plain(group)).collect::<Array>());
        }
        rows.push(row);
    }
    Ok((document.to_string(), variables))
}

/// A text of others: what looks like a variable in it is none.
fn plain(text: &str) -> String {
    text.replace("${", "$${")
}

/// An environment variable's name for an upstream.
fn variable(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    let wanted = format!("{}_API_KEY", letters.collect::<String>().trim_matches('_'));
    let wanted =
        if wanted.starts_with(|c: char| c.is_ascii_alphabetic()) { wanted } else { format!("UPSTREAM_{wanted}") };
    let numbered = (2..).map(|nth: u64| format!("{wanted}_{nth}"));
    std::iter::once(wanted.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(wanted)
}
