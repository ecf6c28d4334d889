//! The people of One API and new-api, and the codes that they redeem for quota.

use super::exact::{self, number, text};
use super::one_api::{NANOS_PER_USD, Row, Tables, is_enabled};
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
    is_deleted(row) || number(row, "status") == Ok(Some(DELETED))
}

/// Units of quota as an amount; `units` make a USD.
pub(super) fn nanos(quota: i64, units: i128) -> i64 {
    i64::try_from(i128::from(quota.max(0)) * NANOS_PER_USD / units).unwrap_or(i64::MAX)
}

/// Reads people: what they may still spend is theirs here.
pub(super) fn people(tables: &Tables, units: i128, found: &mut Found) {
    for row in &tables.users {
        match person(row, units) {
            Ok(person) => found.people.push(person),
            Err(why) => found.leave("user", text(row, "username").unwrap_or_default(), why),
        }
    }
    if !tables.users.is_empty() {
        found.leave("setting", format!("{} users", tables.users.len()), NOT_TAKEN);
    }
}

fn person(row: &Row, units: i128) -> Result<FoundPerson, String> {
    let name = text(row, "username")?;
    if name.is_empty() || is_gone(row) {
        return Err("it is deleted there, or has no name".into());
    }
    let rank = number(row, "role")?.unwrap_or(1);
    let &(_, role_there, role) = ROLES.iter().find(|(least, ..)| rank >= *least).unwrap_or(&ROLES[ROLES.len() - 1]);
    Ok(FoundPerson {
        name: name.to_owned(),
        role,
        role_there,
        enabled: is_enabled(row)?,
        quota_nanos: nanos(number(row, "quota")?.unwrap_or(0), units),
        used_nanos: nanos(number(row, "used_quota")?.unwrap_or(0), units),
    })
}

/// Reads codes that nobody has redeemed: whoever has one redeems the same here.
pub(super) fn codes(tables: &Tables, units: i128, now_ms: i64, found: &mut Found) {
    for row in &tables.redemptions {
        // Its text is what it is worth: it is not said.
        let id = number(row, "id").ok().flatten().unwrap_or(0);
        let name = format!("{} (code {id})", text(row, "name").unwrap_or_default());
        match code(row, name.trim(), units, now_ms) {
            Ok(code) => found.codes.push(code),
            Err(why) => found.leave("code", name.trim(), why),
        }
    }
}

fn code(row: &Row, name: &str, units: i128, now_ms: i64) -> Result<FoundCode, String> {
    let amount_nanos = nanos(number(row, "quota")?.unwrap_or(0), units);
    let expires_s = number(row, "expired_time")?.filter(|seconds| *seconds != 0);
    let expires_at_ms = expires_s.map(|seconds| exact::milliseconds("expired_time", seconds)).transpose()?;
    let key = text(row, "key")?;
    let why = match () {
        () if key.is_empty() => "it has no text",
        () if is_deleted(row) => "it is deleted there",
        () if !is_enabled(row)? => "it was redeemed there, or switched off",
        () if expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms) => "it has expired",
        () if amount_nanos == 0 => "it is worth nothing",
        () => return Ok(FoundCode { name: name.to_owned(), digest: digest_of(key), amount_nanos, expires_at_ms }),
    };
    Err(why.into())
}
