//! The people who use the console.

use super::{audit, keys};
use crate::store::{
    Act, Budget, KeyListing, NewPerson, Page, Period, Person, PersonChange, PersonListing, Result, Role, StoreError,
    StoreErrorKind,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use std::collections::BTreeMap;

/// What is kept of a person, without the password.
pub(super) const COLUMNS: &str = "person.id, person.name, person.role, person.enabled, person.quota_nanos, \
     person.created_at_ms, person.last_login_at_ms";

/// Reads [`COLUMNS`].
pub(super) fn person_of(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person {
        id: row.get(0)?,
        name: row.get(1)?,
        role: word(row, 2, Role::parse)?,
        enabled: row.get(3)?,
        quota_nanos: row.get(4)?,
        created_at_ms: row.get(5)?,
        last_login_at_ms: row.get(6)?,
    })
}

fn word<T>(row: &Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| super::row::unreadable(column, format!("unknown word `{text}`")))
}

/// Reads amount, period and time zone, from this column on.
pub(super) fn budget_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Budget>> {
    let Some(amount_nanos) = row.get(column)? else { return Ok(None) };
    let (period, time_zone) = (word(row, column + 1, Period::parse)?, row.get(column + 2)?);
    Ok(Some(Budget { amount_nanos, period, time_zone }))
}

fn listing_of(row: &Row<'_>) -> rusqlite::Result<PersonListing> {
    let budget = budget_of(row, 7)?;
    let (spent_nanos, held_nanos, has_password) = (row.get(10)?, row.get(11)?, row.get(12)?);
    Ok(PersonListing { person: person_of(row)?, budget, spent_nanos, held_nanos, has_password })
}

fn listing_sql(condition: &str) -> String {
    format!(
        "SELECT {COLUMNS}, budget.amount_nanos, budget.period, budget.time_zone, \
         coalesce((SELECT spent_nanos FROM user_account WHERE user = person.name), 0), \
         (SELECT coalesce(sum(open_hold.held_nanos), 0) FROM open_hold JOIN key ON key.id = open_hold.key_id \
          WHERE key.user = person.name), person.password IS NOT NULL \
         FROM person LEFT JOIN budget ON budget.person_id = person.id \
         WHERE person.deleted_at_ms IS NULL AND {condition}"
    )
}

/// [`People::person`](crate::store::People::person).
pub(super) fn find(connection: &Connection, id: i64) -> Result<Option<PersonListing>> {
    let mut statement = connection.prepare_cached(&listing_sql("person.id = ?"))?;
    Ok(statement.query_row([id], listing_of).optional()?)
}

/// [`People::persons`](crate::store::People::persons).
pub(super) fn list(connection: &Connection, page: Page) -> Result<Vec<PersonListing>> {
    let mut statement = connection.prepare_cached(&listing_sql("person.id > ? ORDER BY person.id LIMIT ?"))?;
    let rows = statement.query_map(params![page.after.unwrap_or(0), page.limit], listing_of)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// [`People::persons_named_as_programs`](crate::store::People::persons_named_as_programs).
pub(super) fn named_as_programs(connection: &Connection, limit: u32) -> Result<Vec<String>> {
    let sql = "SELECT name FROM person WHERE deleted_at_ms IS NULL AND substr(name, 1, length(?1)) = ?1 \
               ORDER BY id LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![Act::PROGRAM, limit], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Nobody has that id.
pub(super) fn nobody(id: i64) -> StoreError {
    StoreError::new(StoreErrorKind::NotFound, format!("there is no person {id}"))
}

fn existing(connection: &Connection, id: i64) -> Result<PersonListing> {
    find(connection, id)?.ok_or_else(|| nobody(id))
}

fn object(id: i64) -> String {
    format!("person {id}")
}

/// The limits of [`NewPerson`].
pub(super) fn check_new(new: &NewPerson) -> Result<()> {
    keys::check_word("name", &new.name)?;
    if new.name.starts_with(Act::PROGRAM) {
        let message =
            format!("name {:?}: names that begin with `{}` stand for the program in the audit", new.name, Act::PROGRAM);
        return Err(StoreError::new(StoreErrorKind::Invalid, message));
    }
    keys::check_quota(new.quota_nanos)?;
    keys::check_quota(new.budget.as_ref().map(|budget| budget.amount_nanos))
}

/// The same for what is changed.
pub(super) fn check_change(change: &PersonChange) -> Result<()> {
    keys::check_quota(change.quota_nanos.flatten())?;
    keys::check_quota(change.budget.iter().flatten().map(|budget| budget.amount_nanos).next())
}

/// [`People::person_first`](crate::store::People::person_first).
pub(super) fn first(transaction: &Transaction<'_>, act: &Act, new: &NewPerson) -> Result<Option<PersonListing>> {
    if has_password(transaction)? {
        return Ok(None);
    }
    let mut nth = 1_u64;
    let mut named = new.clone();
    loop {
        match create(transaction, act, &named) {
            Err(error) if error.kind == StoreErrorKind::NameTaken => nth += 1,
            made => return made.map(Some),
        }
        named.name = format!("{}-{nth}", new.name);
    }
}

/// [`People::has_password`](crate::store::People::has_password).
pub(super) fn has_password(connection: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM person WHERE password IS NOT NULL)";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// [`People::person_create`](crate::store::People::person_create).
pub(super) fn create(transaction: &Transaction<'_>, act: &Act, new: &NewPerson) -> Result<PersonListing> {
    let taken: bool =
        transaction.query_row("SELECT EXISTS (SELECT 1 FROM person WHERE name = ?)", [&new.name], |row| row.get(0))?;
    if taken {
        let message = format!("the name {:?} is taken, or was", new.name);
        return Err(StoreError::new(StoreErrorKind::NameTaken, message));
    }
    transaction.execute(
        "INSERT INTO person (name, role, enabled, password, quota_nanos, created_at_ms) VALUES (?, ?, ?, ?, ?, ?)",
        params![new.name, new.role.as_str(), new.enabled, new.password_hash, new.quota_nanos, act.at_ms],
    )?;
    let id = transaction.last_insert_rowid();
    if let Some(budget) = &new.budget {
        set_budget(transaction, id, Some(budget))?;
    }
    let listing = existing(transaction, id)?;
    audit::add_json(transaction, act, "person.create", &object(id), (None, Some(audit::person_image(&listing))))?;
    Ok(listing)
}

fn set_budget(transaction: &Transaction<'_>, id: i64, budget: Option<&Budget>) -> Result<()> {
    transaction.execute("DELETE FROM budget WHERE person_id = ?", [id])?;
    if let Some(budget) = budget {
        transaction.execute(
            "INSERT INTO budget (person_id, amount_nanos, period, time_zone) VALUES (?, ?, ?, ?)",
            params![id, budget.amount_nanos, budget.period.as_str(), budget.time_zone],
        )?;
    }
    Ok(())
}

/// [`People::person_change`](crate::store::People::person_change).
pub(super) fn change(
    transaction: &Transaction<'_>,
    act: &Act,
    id: i64,
    change: &PersonChange,
) -> Result<PersonListing> {
    let before = existing(transaction, id)?;
    let PersonChange { role, enabled, quota_nanos, budget, password_hash } = change;
    if let Some(role) = role {
        transaction.execute("UPDATE person SET role = ? WHERE id = ?", params![role.as_str(), id])?;
    }
    if let Some(enabled) = enabled {
        transaction.execute("UPDATE person SET enabled = ? WHERE id = ?", params![enabled, id])?;
    }
    if let Some(quota_nanos) = quota_nanos {
        transaction.execute("UPDATE person SET quota_nanos = ? WHERE id = ?", params![quota_nanos, id])?;
    }
    if let Some(budget) = budget {
        set_budget(transaction, id, budget.as_ref())?;
    }
    if let Some(hash) = password_hash {
        transaction.execute("UPDATE person SET password = ? WHERE id = ?", params![hash, id])?;
    }
    if *enabled == Some(false) || password_hash.is_some() {
        transaction.execute("DELETE FROM session WHERE person_id = ?", [id])?;
    }
    check_admin_left(transaction)?;
    let after = existing(transaction, id)?;
    let mut image = audit::person_image(&after);
    if password_hash.is_some() {
        image["password"] = "changed".into();
    }
    let images = (Some(audit::person_image(&before)), Some(image));
    audit::add_json(transaction, act, "person.change", &object(id), images)?;
    Ok(after)
}

fn check_admin_left(transaction: &Transaction<'_>) -> Result<()> {
    let sql = "SELECT EXISTS (SELECT 1 FROM person WHERE role = 'admin' AND enabled = 1 \
               AND password IS NOT NULL AND deleted_at_ms IS NULL)";
    match transaction.query_row(sql, [], |row| row.get(0))? {
        true => Ok(()),
        false => Err(StoreError::new(StoreErrorKind::Conflict, "no enabled admin with a password would be left")),
    }
}

/// [`People::person_delete`](crate::store::People::person_delete).
pub(super) fn delete(transaction: &Transaction<'_>, act: &Act, id: i64) -> Result<()> {
    let before = existing(transaction, id)?;
    let of_them = keys_of(transaction, Some(&before.person.name), Page { after: None, limit: u32::MAX })?;
    for listing in of_them {
        keys::delete(transaction, listing.key.id, act.at_ms)?;
        let images = (Some(audit::key_image(&listing)), None);
        audit::add_json(transaction, act, "key.delete", &format!("key {}", listing.key.id), images)?;
    }
    transaction.execute("DELETE FROM session WHERE person_id = ?", [id])?;
    transaction.execute("DELETE FROM budget WHERE person_id = ?", [id])?;
    transaction.execute(
        "UPDATE person SET deleted_at_ms = ?, password = NULL, enabled = 0 WHERE id = ?",
        params![act.at_ms, id],
    )?;
    check_admin_left(transaction)?;
    audit::add_json(transaction, act, "person.delete", &object(id), (Some(audit::person_image(&before)), None))
}

/// [`People::person_topup`](crate::store::People::person_topup).
pub(super) fn topup(
    transaction: &Transaction<'_>,
    act: &Act,
    id: i64,
    amount_nanos: i64,
    note: &str,
) -> Result<PersonListing> {
    let (before, after) = add_quota(transaction, id, amount_nanos)?;
    let mut image = audit::person_image(&after);
    image["note"] = note.into();
    let images = (Some(audit::person_image(&before)), Some(image));
    audit::add_json(transaction, act, "person.topup", &object(id), images)?;
    Ok(after)
}

/// Adds to a quota; the person before and after.
pub(super) fn add_quota(
    transaction: &Transaction<'_>,
    id: i64,
    amount_nanos: i64,
) -> Result<(PersonListing, PersonListing)> {
    let before = existing(transaction, id)?;
    let conflict = |message: &str| StoreError::new(StoreErrorKind::Conflict, message);
    let unlimited = match before.budget {
        Some(_) => "this person has a budget and no quota; only a quota can be topped up",
        None => "nothing limits what this person may spend",
    };
    let quota = before.person.quota_nanos.ok_or_else(|| conflict(unlimited))?;
    let quota = quota.checked_add(amount_nanos).filter(|quota| *quota >= 0);
    let quota = quota.ok_or_else(|| conflict("the quota would be negative, or larger than any amount"))?;
    transaction.execute("UPDATE person SET quota_nanos = ? WHERE id = ?", params![quota, id])?;
    let after = existing(transaction, id)?;
    Ok((before, after))
}

/// [`People::keys_of`](crate::store::People::keys_of).
pub(super) fn keys_of(connection: &Connection, user: Option<&str>, page: Page) -> Result<Vec<KeyListing>> {
    let after = page.after.unwrap_or(0);
    let order = "key.id > ?1 ORDER BY key.id LIMIT ?2";
    let rows = match user {
        Some(user) => {
            let mut statement = connection.prepare_cached(&keys::listing_sql(&format!("key.user = ?3 AND {order}")))?;
            let rows = statement.query_map(params![after, page.limit, user], keys::listing_of)?;
            rows.collect::<rusqlite::Result<_>>()?
        }
        None => {
            let mut statement = connection.prepare_cached(&keys::listing_sql(order))?;
            let rows = statement.query_map(params![after, page.limit], keys::listing_of)?;
            rows.collect::<rusqlite::Result<_>>()?
        }
    };
    Ok(rows)
}

/// [`People::keys_by_group`](crate::store::People::keys_by_group).
pub(super) fn keys_by_group(connection: &Connection, user: Option<&str>) -> Result<BTreeMap<String, u64>> {
    let sql = match user {
        Some(_) => "SELECT group_name, count(*) FROM key WHERE deleted_at_ms IS NULL AND user = ?1 GROUP BY 1",
        None => "SELECT group_name, count(*) FROM key WHERE deleted_at_ms IS NULL AND ?1 IS NULL GROUP BY 1",
    };
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([user], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
