//! What the console keeps, in SQLite: each change one transaction, its audit row included.

use super::{SqliteStore, audit, codes, given, keys, person, session};
use crate::store::{
    Act, AuditRow, CodeRow, Images, KeyChange, KeyListing, KeyRef, NewKey, NewPerson, Page, People, Person,
    PersonChange, PersonListing, Result, SecretDigest, Session, StoreError, StoreErrorKind,
};
use rusqlite::{Connection, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use tollgate_plugin_api::CredentialDigest;

/// A key, if it is this person's.
fn key(connection: &Connection, id: i64, owner: Option<&str>) -> Result<KeyListing> {
    let found = keys::find(connection, &KeyRef::Id(id))?;
    let found = found.filter(|listing| owner.is_none_or(|owner| listing.key.user.as_deref() == Some(owner)));
    found.ok_or_else(|| StoreError::new(StoreErrorKind::NotFound, format!("there is no key {id}")))
}

/// Changes a key, with the audit row that shows it before and after.
fn change_key(
    transaction: &Transaction<'_>,
    (act, action): (&Act, &str),
    id: i64,
    owner: Option<&str>,
    change: impl FnOnce(&KeyListing) -> Result<()>,
) -> Result<Option<KeyListing>> {
    let before = key(transaction, id, owner)?;
    change(&before)?;
    let after = keys::find(transaction, &KeyRef::Id(id))?;
    let images = (Some(audit::key_image(&before)), after.as_ref().map(audit::key_image));
    audit::add_json(transaction, act, action, &format!("key {id}"), images)?;
    Ok(after)
}

fn gone(id: i64) -> StoreError {
    StoreError::new(StoreErrorKind::NotFound, format!("there is no key {id}"))
}

impl People for SqliteStore {
    fn has_password(&self) -> Result<bool> {
        self.read(|connection| person::has_password(connection))
    }

    fn person_first(&self, act: &Act, new: &NewPerson) -> Result<Option<PersonListing>> {
        person::check_new(new)?;
        self.write(|transaction| person::first(transaction, act, new))
    }

    fn person_create(&self, act: &Act, new: &NewPerson) -> Result<PersonListing> {
        person::check_new(new)?;
        self.write(|transaction| person::create(transaction, act, new))
    }

    fn person(&self, id: i64) -> Result<Option<PersonListing>> {
        self.read(|connection| person::find(connection, id))
    }

    fn persons(&self, page: Page) -> Result<Vec<PersonListing>> {
        self.read(|connection| person::list(connection, page))
    }

    fn persons_named_as_programs(&self, limit: u32) -> Result<Vec<String>> {
        self.read(|connection| person::named_as_programs(connection, limit))
    }

    fn person_change(&self, act: &Act, id: i64, change: &PersonChange) -> Result<PersonListing> {
        person::check_change(change)?;
        self.write(|transaction| person::change(transaction, act, id, change))
    }

    fn person_delete(&self, act: &Act, id: i64) -> Result<()> {
        self.write(|transaction| person::delete(transaction, act, id))
    }

    fn person_topup(&self, act: &Act, id: i64, amount_nanos: i64, note: &str) -> Result<PersonListing> {
        self.write(|transaction| person::topup(transaction, act, id, amount_nanos, note))
    }

    fn password_of(&self, name: &str) -> Result<Option<(Person, String)>> {
        self.read(|connection| session::password_of(connection, name))
    }

    fn session_begin(
        &self,
        act: &Act,
        id: i64,
        compared: &str,
        digest: &SecretDigest,
        instead_of: &[SecretDigest],
    ) -> Result<PersonListing> {
        self.write(|transaction| session::begin(transaction, act, id, compared, digest, instead_of))
    }

    fn password_change(&self, act: &Act, id: i64, compared: &str, hash: &str, digest: &SecretDigest) -> Result<()> {
        self.write(|transaction| session::password_change(transaction, act, id, compared, hash, digest))
    }

    fn session_find(&self, digests: &[SecretDigest], now_ms: i64, idle_ms_max: i64) -> Result<Option<Session>> {
        self.read(|connection| session::find(connection, digests, now_ms, idle_ms_max))
    }

    fn sessions_used(&self, used_at_ms: &[(SecretDigest, i64)], now_ms: i64, idle_ms_max: i64) -> Result<()> {
        self.write(|transaction| session::used(transaction, used_at_ms, now_ms, idle_ms_max))
    }

    fn session_end(&self, act: &Act, digest: &SecretDigest) -> Result<()> {
        self.write(|transaction| session::end_by(transaction, act, digest))
    }

    fn codes_create(
        &self,
        act: &Act,
        amount_nanos: i64,
        expires_at_ms: Option<i64>,
        digests: &[SecretDigest],
    ) -> Result<Vec<CodeRow>> {
        self.write(|transaction| codes::create(transaction, act, amount_nanos, expires_at_ms, digests))
    }

    fn codes(&self, page: Page) -> Result<Vec<CodeRow>> {
        self.read(|connection| codes::list(connection, page))
    }

    fn code_delete(&self, act: &Act, id: i64) -> Result<()> {
        self.write(|transaction| codes::delete(transaction, act, id))
    }

    fn code_redeem(&self, act: &Act, digest: &SecretDigest, person_id: i64) -> Result<(i64, PersonListing)> {
        self.write(|transaction| codes::redeem(transaction, act, digest, person_id))
    }

    fn keys_of(&self, user: Option<&str>, page: Page) -> Result<Vec<KeyListing>> {
        self.read(|connection| person::keys_of(connection, user, page))
    }

    fn keys_by_group(&self, user: Option<&str>) -> Result<BTreeMap<String, u64>> {
        self.read(|connection| person::keys_by_group(connection, user))
    }

    fn groups_given(&self, user: &str, at_ms: i64) -> Result<BTreeSet<String>> {
        self.read(|connection| given::groups(connection, user, at_ms))
    }

    fn key_create_by(&self, act: &Act, new: &NewKey, digest: &CredentialDigest) -> Result<KeyListing> {
        keys::check_new(new)?;
        self.write(|transaction| {
            let id = keys::create(transaction, new, digest, act.at_ms)?.key.id;
            let listing = key(transaction, id, None)?;
            let images = (None, Some(audit::key_image(&listing)));
            audit::add_json(transaction, act, "key.create", &format!("key {id}"), images)?;
            Ok(listing)
        })
    }

    fn key_change_by(&self, act: &Act, id: i64, owner: Option<&str>, change: &KeyChange) -> Result<KeyListing> {
        keys::check_change(change)?;
        self.write(|transaction| {
            let done = |before: &KeyListing| {
                owner.map_or(Ok(()), |owner| given::check_change(transaction, owner, &before.key, change))?;
                // A page sends the name along, too, whatever is changed; who types it means it.
                let is_meant = |name: &&str| act.is_programs() || **name != *before.key.name;
                let identity = change.name.as_deref().filter(is_meant).map(|name| owner.is_none().then_some(name));
                keys::change(transaction, id, change, identity).map(drop)
            };
            change_key(transaction, (act, "key.change"), id, owner, done)?.ok_or_else(|| gone(id))
        })
    }

    fn key_rotate_by(&self, act: &Act, id: i64, owner: Option<&str>, digest: &CredentialDigest) -> Result<KeyListing> {
        self.write(|transaction| {
            let done = |_: &KeyListing| keys::rotate(transaction, id, digest).map(drop);
            change_key(transaction, (act, "key.rotate"), id, owner, done)?.ok_or_else(|| gone(id))
        })
    }

    fn key_delete_by(&self, act: &Act, id: i64, owner: Option<&str>) -> Result<()> {
        self.write(|transaction| {
            let done = |_: &KeyListing| keys::delete(transaction, id, act.at_ms);
            change_key(transaction, (act, "key.delete"), id, owner, done).map(drop)
        })
    }

    fn weights(&self) -> Result<BTreeMap<String, u32>> {
        self.read(|connection| audit::weights(connection))
    }

    fn weight_set(&self, act: &Act, upstream: &str, weight: Option<u32>) -> Result<()> {
        self.write(|transaction| audit::weight_set(transaction, act, upstream, weight))
    }

    fn note(&self, act: &Act, action: &str, object: &str, before: Option<&str>, after: Option<&str>) -> Result<()> {
        self.write(|transaction| audit::add(transaction, act, action, object, before, after))
    }

    fn note_made(
        &self,
        act: &Act,
        action: &str,
        object: &str,
        make: &mut dyn FnMut(Option<AuditRow>) -> Result<Option<Images>>,
    ) -> Result<bool> {
        self.write(|transaction| {
            let last = audit::rows(transaction, Page { after: None, limit: 1 }, Some(object))?.pop();
            let Some((before, after)) = make(last)? else { return Ok(false) };
            audit::add(transaction, act, action, object, before.as_deref(), after.as_deref())?;
            Ok(true)
        })
    }

    fn audit_rows(&self, page: Page, object: Option<&str>) -> Result<Vec<AuditRow>> {
        self.read(|connection| audit::rows(connection, page, object))
    }
}
