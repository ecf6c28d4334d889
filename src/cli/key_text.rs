//! How keys are shown.

use super::amount::usd;
use super::terminal::plain;
use super::time::short;
use crate::store::KeyListing;

/// The columns of [`row`].
pub(super) const HEAD: &[&str] = &["id", "name", "group", "state", "spent", "quota", "expires", "last used"];

/// Those of them with numbers.
pub(super) const RIGHT: &[usize] = &[0, 4, 5];

/// A key as a row of a table.
pub(super) fn row(listing: &KeyListing, now_ms: i64) -> Vec<String> {
    let key = &listing.key;
    vec![
        key.id.to_string(),
        plain(&key.name),
        plain(&key.group),
        state(listing, now_ms).into(),
        usd(listing.spent_nanos),
        key.quota_nanos.map_or_else(|| "unlimited".into(), usd),
        key.expires_at_ms.map_or_else(|| "never".into(), short),
        listing.accessed_at_ms.map_or_else(|| "-".into(), short),
    ]
}

/// A key in full.
pub(super) fn pairs(listing: &KeyListing, now_ms: i64) -> Vec<(&'static str, String)> {
    let key = &listing.key;
    let limit = |limit: Option<u64>| limit.map_or_else(|| "no limit".into(), |limit| limit.to_string());
    let models = if key.models.is_empty() { "all of its group".into() } else { plain(&key.models.join(", ")) };
    vec![
        ("id", key.id.to_string()),
        ("name", plain(&key.name)),
        ("found by name", found_by_name(listing)),
        ("user", key.user.as_deref().map(plain).unwrap_or_default()),
        ("state", state(listing, now_ms).into()),
        ("group", plain(&key.group)),
        ("models", models),
        ("quota", key.quota_nanos.map_or_else(|| "unlimited".into(), usd)),
        ("spent", usd(listing.spent_nanos)),
        ("held", usd(listing.held_nanos)),
        ("left", key.quota_nanos.map(|quota| usd(left(quota, listing))).unwrap_or_default()),
        ("requests a minute", limit(key.rpm)),
        ("tokens a minute", limit(key.tpm)),
        ("requests at once", limit(key.concurrency)),
        ("expires", key.expires_at_ms.map_or_else(|| "never".into(), |ms| short(ms) + " UTC")),
        ("last used", listing.accessed_at_ms.map_or_else(|| "never".into(), |ms| short(ms) + " UTC")),
        ("created", short(listing.created_at_ms) + " UTC"),
    ]
}

/// Whether a token or a wallet finds it so.
fn found_by_name(listing: &KeyListing) -> String {
    let word =
        if listing.key.named_by_operator { "yes" } else { "no: `tollgate key set NAME --name NAME` confirms the name" };
    word.into()
}

fn left(quota_nanos: i64, listing: &KeyListing) -> i64 {
    quota_nanos.saturating_sub(listing.spent_nanos).saturating_sub(listing.held_nanos)
}

fn state(listing: &KeyListing, now_ms: i64) -> &'static str {
    let key = &listing.key;
    match () {
        () if !key.enabled => "disabled",
        () if key.expires_at_ms.is_some_and(|at| at <= now_ms) => "expired",
        () if key.quota_nanos.is_some_and(|quota| left(quota, listing) <= 0) => "used up",
        () => "active",
    }
}
