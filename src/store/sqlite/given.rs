//! What others gave to whom it belongs, by the audit: keys, and limits of keys.

use super::keys::invalid;
use crate::store::{KeyChange, Result};
use rusqlite::Connection;
use std::collections::BTreeSet;
use tollgate_plugin_api::Key;

/// [`People::groups_given`](crate::store::People::groups_given). A key of which the audit does not say who made it was there before it.
pub(super) fn groups(connection: &Connection, user: &str, at_ms: i64) -> Result<BTreeSet<String>> {
    const SQL: &str = "SELECT DISTINCT group_name FROM key \
         WHERE user = ?1 AND deleted_at_ms IS NULL AND enabled AND (expires_at_ms IS NULL OR expires_at_ms > ?2) \
         AND NOT EXISTS (SELECT 1 FROM audit WHERE object = 'key ' || key.id AND action = 'key.create' AND actor = ?1)";
    let mut statement = connection.prepare_cached(SQL)?;
    let rows = statement.query_map((user, at_ms), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether the limits of a key are all its owner's: they made it, here or at the gateway that they brought it along from, and nobody else
/// has changed any. In One API and new-api people make their keys themselves, and only for themselves (`/api/token` of both; an import that
/// does not say from where is of one of them, or of before it was said); LiteLLM's are made with its master key
/// (<https://docs.litellm.ai/docs/proxy/virtual_keys>), so their limits are given.
fn are_their_own(connection: &Connection, owner: &str, id: i64) -> Result<bool> {
    const SQL: &str = "SELECT coalesce(sum(action = 'key.create' AND (actor = ?2 \
             OR actor GLOB 'tollgate import*' AND actor NOT GLOB 'tollgate import litellm*')), 0) > 0 \
         AND coalesce(sum(action = 'key.change' AND actor <> ?2 AND actor NOT GLOB 'tollgate import*' \
             AND json_remove(before, '$.name', '$.found_by_name', '$.enabled', '$.user') \
             IS NOT json_remove(after, '$.name', '$.found_by_name', '$.enabled', '$.user')), 0) = 0 \
         FROM audit WHERE object = 'key ' || ?1";
    Ok(connection.prepare_cached(SQL)?.query_row((id, owner), |row| row.get(0))?)
}

/// What a user makes of a key of theirs: where somebody else has set its limits, they stay, or get narrower.
///
/// # Errors
/// One would get wider; the store.
pub(super) fn check_change(connection: &Connection, owner: &str, key: &Key, change: &KeyChange) -> Result<()> {
    match wider(key, change) {
        Some(field) if !are_their_own(connection, owner, key.id)? => Err(invalid(format!(
            "{field}: this key was given by somebody else, so its user can only make its limits narrower"
        ))),
        _ => Ok(()),
    }
}

/// The first limit that gets wider.
fn wider(key: &Key, change: &KeyChange) -> Option<&'static str> {
    let models_wider = change.models.as_ref().is_some_and(|models| {
        let is_within = !models.is_empty() && models.iter().all(|model| key.models.contains(model));
        !key.models.is_empty() && !is_within
    });
    [
        ("group", change.group.as_ref().is_some_and(|group| **group != *key.group)),
        ("models", models_wider),
        ("quota_nanos", is_wider(key.quota_nanos, change.quota_nanos)),
        ("expires_at", is_wider(key.expires_at_ms, change.expires_at_ms)),
        ("rpm", is_wider(key.rpm, change.rpm)),
        ("tpm", is_wider(key.tpm, change.tpm)),
        ("concurrency", is_wider(key.concurrency, change.concurrency)),
    ]
    .into_iter()
    .find_map(|(field, wider)| wider.then_some(field))
}

/// Whether a limit (none is the widest) is changed to a wider one.
fn is_wider<N: PartialOrd>(limit: Option<N>, change: Option<Option<N>>) -> bool {
    match (limit, change) {
        (Some(limit), Some(next)) => next.is_none_or(|next| next > limit),
        _ => false,
    }
}
