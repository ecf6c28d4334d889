//! LiteLLM's keys: rows of its table `LiteLLM_VerificationToken`.

use super::exact::{self, Columns};
use super::{Found, FoundKey, free_name};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// What means every model there: among a key's models, or instead of them.
const EVERY_MODEL: [&str; 2] = ["all-proxy-models", "*"];
/// What means the models that somebody else has.
const OTHERS_MODELS: [&str; 2] = ["all-team-models", "no-default-models"];

/// Limits of a key that keys here do not have: the column, or what stands in one; and what allows as much as keys here may do, beside
/// nothing at all.
const LIMITS_THERE: &[(&[&str], &[&str])] = &[
    (&["model_max_budget"], &[]),
    (&["budget_id"], &[]),
    (&["allowed_routes"], &["llm_api_routes"]),
    (&["permissions"], &[]),
    (&["aliases"], &[]),
    (&["object_permission_id"], &[]),
    (&["metadata", "model_rpm_limit"], &[]),
    (&["metadata", "model_tpm_limit"], &[]),
    (&["team_id"], &[]),
    (&["organization_id"], &[]),
    (&["project_id"], &[]),
];
/// What does not come along and narrows nothing.
const DIFFERENT_HERE: &[(&str, &str)] = &[(
    "budget_duration",
    "what is left of its budget is its quota, which does not begin anew: see `tollgate key set`",
)];

type Row = Map<String, Value>;

/// Reads the rows: one JSON array, or an object a line. Keys stand there as their SHA-256, as they do here.
///
/// # Errors
/// It is none of both.
pub(crate) fn keys(text: &str, found: &mut Found) -> Result<(), String> {
    let expected = |error: serde_json::Error| format!("expected rows of LiteLLM_VerificationToken as JSON: {error}");
    let rows: Vec<Row> = match serde_json::from_str(text) {
        Ok(Value::Array(rows)) => serde_json::from_value(Value::Array(rows)).map_err(expected)?,
        Ok(Value::Object(row)) => vec![row],
        _ => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            lines.map(serde_json::from_str).collect::<Result<_, _>>().map_err(expected)?
        }
    };
    let mut users = HashSet::new();
    for row in &rows {
        let label = ["key_alias", "key_name"].map(|name| exact::text(row, name).unwrap_or_default());
        let label = label.into_iter().find(|label| !label.is_empty()).unwrap_or_default();
        let name = free_name(label, |name| found.keys.iter().any(|key| key.name == name));
        match key(row, name.clone()) {
            Ok(mut key) => {
                key.enabled &= !name_limits(row, &name, found);
                users.extend(exact::text(row, "user_id").ok().filter(|user| !user.is_empty()));
                found.keys.push(key);
            }
            Err(why) => found.leave("key", name, why),
        }
    }
    if !users.is_empty() {
        let why =
            "what limits them there (budget, models, rates) is not in these rows: give them a quota in the console";
        found.leave("setting", format!("{} users", users.len()), why);
    }
    Ok(())
}

fn key(row: &Row, name: String) -> Result<FoundKey, String> {
    let digest = hex_digest(exact::text(row, "token")?).ok_or("its token is no SHA-256")?;
    let spent_nanos = exact::usd(row, "spend")?.unwrap_or(0);
    let quota_nanos = exact::usd(row, "max_budget")?.map(|budget| budget.saturating_sub(spent_nanos).max(0));
    let users = [exact::text(row, "user_id")?, exact::text(row, "team_id")?];
    Ok(FoundKey {
        name,
        digest,
        user: users.into_iter().find(|name| !name.is_empty()).map(str::to_owned),
        group: "default".to_owned(),
        models: models(row)?,
        enabled: exact::flag(row, "blocked")? != Some(true),
        expires_at_ms: exact::time(row, "expires")?,
        quota_nanos,
        rpm: exact::limit(row, "rpm_limit")?,
        tpm: exact::limit(row, "tpm_limit")?,
        concurrency: exact::limit(row, "max_parallel_requests")?,
    })
}

/// The models it may use; none: every one.
fn models(row: &Row) -> Result<Vec<String>, String> {
    const NAME_THEM: &str = "name the models in its row";
    let wrong = |found: &Value| exact::wrong("models", found, "an array of names");
    let named: Vec<&str> = match exact::value(row, "models") {
        None => Vec::new(),
        Some(Value::Array(models)) => {
            let names = models.iter().map(|model| model.as_str().ok_or_else(|| wrong(model)));
            names.collect::<Result<_, _>>()?
        }
        Some(other) => return Err(wrong(other)),
    };
    if named.is_empty() && !exact::text(row, "team_id")?.is_empty() {
        return Err(format!("its `models` are those of its team, which are not in these rows: {NAME_THEM}"));
    }
    if let Some(others) = named.iter().find(|name| OTHERS_MODELS.contains(name)) {
        return Err(format!("its `models` are `{others}`, which are not in these rows: {NAME_THEM}"));
    }
    if named.iter().any(|name| EVERY_MODEL.contains(name)) {
        return Ok(Vec::new());
    }
    match named.iter().find(|name| name.contains('*')) {
        Some(pattern) => {
            Err(format!("its `models` have the pattern `{pattern}`, which has no counterpart: {NAME_THEM}"))
        }
        None => Ok(named.into_iter().map(str::to_owned).collect()),
    }
}

/// Names what does not come along. Whether something of it is a limit, so that the key may do more here than there.
fn name_limits(row: &Row, name: &str, found: &mut Found) -> bool {
    for (column, why) in DIFFERENT_HERE.iter().filter(|(column, _)| is_set(exact::value(row, column), &[])) {
        found.leave("setting", format!("{name}: {column}"), *why);
    }
    let mut is_limited = false;
    for (path, harmless) in LIMITS_THERE {
        let first = row.column(path[0]);
        let inside = path[1..].iter().try_fold(first, |value, part| value.map(|value| value.get(part)));
        if is_set(inside.flatten(), harmless) {
            is_limited = true;
            let why = "this limit is not imported, so the key is disabled: `tollgate key enable` enables it without the limit";
            found.leave("setting", format!("{name}: {}", path.join(".")), why);
        }
    }
    is_limited
}

/// Whether there is something in it, beside what is harmless. JSON may stand as text.
fn is_set(value: Option<&Value>, harmless: &[&str]) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => {
            items.iter().any(|item| !item.as_str().is_some_and(|item| harmless.contains(&item)))
        }
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(Value::String(text)) => !matches!(text.trim(), "" | "{}" | "[]" | "null"),
        Some(_) => true,
    }
}

fn hex_digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).ok().map(|()| digest)
}
