//! The people of One API and new-api, and the codes that they redeem for quota.

use super::one_api::{ENABLED, NANOS_PER_USD, Row, Tables, number, text};
use super::{Found, FoundCode, FoundPerson};
use crate::keyring::digest_of;
use crate::store::Role;

/// What a person is there, by number: the least of each role, the highest first. Their admins look after channels and people alike;
/// here they get the role that sets up nobody else, until an admin says more.
const ROLES: [(i64, &str, Role); 3] =
    [(100, "root", Role::Admin), (10, "admin", Role::Operator), (i64::MIN, "user", Role::User)];
/// What a person is there who was deleted and kept.
const DELETED: i64 = 3;
/// What is not asked of a row's other columns.
const NOT_TAKEN: &str = "passwords (they are bcrypt hashes there), e-mail addresses, other ways to sign in, access tokens and invitations \
                         are not taken, nor is what was used there in the ledger here";

/// Whether a row is there for its own program.
pub(super) fn is_deleted(row: &Row) -> bool {
    !row.get("deleted_at").is_none_or(serde_json::Value::is_null)
}

/// Whether a person is.
pub(super) fn is_gone(row: &Row) -> bool {
    is_deleted(row) || number(row, "status") == Some(DELETED)
}

/// Units of quota as an amount; `units` make a USD.
pub(super) fn nanos(quota: i64, units: i128) -> i64 {
    i64::try_from(i128::from(quota.max(0)) * NANOS_PER_USD / units).unwrap_or(i64::MAX)
}

/// Reads people: what they may still spend is theirs here.
pub(super) fn people(tables: &Tables, units: i128, found: &mut Found) {
    for row in &tables.users {
        let name = text(row, "username");
        if name.is_empty() || is_gone(row) {
            found.leave("user", name, "it is deleted there, or has no name");
            continue;
        }
        let rank = number(row, "role").unwrap_or(1);
        let &(_, role_there, role) = ROLES.iter().find(|(least, ..)| rank >= *least).unwrap_or(&ROLES[ROLES.len() - 1]);
        found.people.push(FoundPerson {
            name: name.to_owned(),
            role,
            role_there,
            enabled: number(row, "status").unwrap_or(ENABLED) == ENABLED,
            quota_nanos: nanos(number(row, "quota").unwrap_or(0), units),
            used_nanos: nanos(number(row, "used_quota").unwrap_or(0), units),
        });
    }
    if !tables.users.is_empty() {
        found.leave("setting", format!("{} users", tables.users.len()), NOT_TAKEN);
    }
}

/// Reads codes that nobody has redeemed: whoever has one redeems the same here.
pub(super) fn codes(tables: &Tables, units: i128, now_ms: i64, found: &mut Found) {
    for row in &tables.redemptions {
        // Its text is what it is worth: it is not said.
        let name = format!("{} (code {})", text(row, "name"), number(row, "id").unwrap_or(0));
        let name = name.trim();
        let amount_nanos = nanos(number(row, "quota").unwrap_or(0), units);
        let expires_at_ms =
            number(row, "expired_time").filter(|seconds| *seconds > 0).map(|seconds| seconds.saturating_mul(1000));
        let why = match text(row, "key") {
            "" => Some("it has no text"),
            _ if is_deleted(row) => Some("it is deleted there"),
            _ if number(row, "status").unwrap_or(ENABLED) != ENABLED => Some("it was redeemed there, or switched off"),
            _ if expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms) => Some("it has expired"),
            _ if amount_nanos == 0 => Some("it is worth nothing"),
            _ => None,
        };
        match why {
            Some(why) => found.leave("code", name, why),
            None => found.codes.push(FoundCode {
                name: name.to_owned(),
                digest: digest_of(text(row, "key")),
                amount_nanos,
                expires_at_ms,
            }),
        }
    }
}
