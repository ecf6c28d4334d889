//! Who is signed in.

use super::{audit, person};
use crate::store::{Act, Person, PersonListing, Result, SESSION_AGE_MS_MAX, SecretDigest, Session};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// The time of last use is written no more often, in milliseconds: a page asks for many things at once.
const USE_STEP_MS: i64 = 60_000;
/// Sessions of one person; the one that was used the longest ago gives way to the next.
const SESSIONS_MAX: u32 = 100;

/// [`People::password_of`](crate::store::People::password_of).
pub(super) fn password_of(connection: &Connection, name: &str) -> Result<Option<(Person, String)>> {
    let sql = format!(
        "SELECT {}, password FROM person WHERE name = ? AND enabled = 1 AND password IS NOT NULL \
         AND deleted_at_ms IS NULL",
        person::COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([name], |row| Ok((person::person_of(row)?, row.get(7)?))).optional()?)
}

/// [`People::session_begin`](crate::store::People::session_begin).
pub(super) fn begin(
    transaction: &Transaction<'_>,
    act: &Act,
    id: i64,
    compared: &str,
    digest: &SecretDigest,
    instead_of: &[SecretDigest],
) -> Result<PersonListing> {
    let changed = transaction.execute(
        "UPDATE person SET last_login_at_ms = ?1 \
         WHERE id = ?2 AND password = ?3 AND enabled = 1 AND deleted_at_ms IS NULL",
        params![act.at_ms, id, compared],
    )?;
    if changed == 0 {
        return Err(person::nobody(id));
    }
    for digest in instead_of {
        end(transaction, digest)?;
    }
    insert(transaction, act, id, digest)?;
    audit::add(transaction, act, "session.begin", &format!("person {id}"), None, None)?;
    person::find(transaction, id)?.ok_or_else(|| person::nobody(id))
}

fn insert(transaction: &Transaction<'_>, act: &Act, id: i64, digest: &SecretDigest) -> Result<()> {
    transaction.execute(
        "INSERT INTO session (digest, person_id, created_at_ms, used_at_ms) VALUES (?1, ?2, ?3, ?3)",
        params![digest, id, act.at_ms],
    )?;
    transaction.execute(
        "DELETE FROM session WHERE person_id = ?1 AND digest NOT IN \
         (SELECT digest FROM session WHERE person_id = ?1 ORDER BY used_at_ms DESC LIMIT ?2)",
        params![id, SESSIONS_MAX],
    )?;
    Ok(())
}

/// [`People::password_change`](crate::store::People::password_change).
pub(super) fn password_change(
    transaction: &Transaction<'_>,
    act: &Act,
    id: i64,
    compared: &str,
    hash: &str,
    digest: &SecretDigest,
) -> Result<()> {
    let changed = transaction.execute(
        "UPDATE person SET password = ?1 WHERE id = ?2 AND password = ?3 AND enabled = 1 AND deleted_at_ms IS NULL",
        params![hash, id, compared],
    )?;
    if changed == 0 {
        return Err(person::nobody(id));
    }
    transaction.execute("DELETE FROM session WHERE person_id = ?", [id])?;
    insert(transaction, act, id, digest)?;
    audit::add(transaction, act, "person.password", &format!("person {id}"), None, None)
}

/// [`People::session_find`](crate::store::People::session_find).
pub(super) fn find(
    connection: &Connection,
    digests: &[SecretDigest],
    now_ms: i64,
    idle_ms_max: i64,
) -> Result<Option<Session>> {
    let sql = format!(
        "SELECT {}, session.used_at_ms FROM session JOIN person ON person.id = session.person_id \
         WHERE session.digest = ?1 AND person.enabled = 1 AND person.deleted_at_ms IS NULL \
         AND abs(?2 - session.used_at_ms) <= ?3 AND abs(?2 - session.created_at_ms) <= ?4",
        person::COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    for digest in digests {
        let found = statement.query_row(params![digest, now_ms, idle_ms_max, age_ms_max(idle_ms_max)], |row| {
            Ok(Session { person: person::person_of(row)?, digest: *digest, is_use_news: is_news(row.get(7)?, now_ms) })
        });
        if let Some(session) = found.optional()? {
            return Ok(Some(session));
        }
    }
    Ok(None)
}

/// How long ago a session may have begun. As with its use, not further ahead either: how long ago that was nobody knows, where the
/// clock was ahead and was put right since.
fn age_ms_max(idle_ms_max: i64) -> i64 {
    SESSION_AGE_MS_MAX.max(idle_ms_max)
}

/// Whether a use at this time is to be written, of a session that was used at another.
fn is_news(used_at_ms: i64, now_ms: i64) -> bool {
    now_ms < used_at_ms || now_ms.saturating_sub(used_at_ms) >= USE_STEP_MS
}

/// [`People::sessions_used`](crate::store::People::sessions_used).
pub(super) fn used(
    transaction: &Transaction<'_>,
    used_at_ms: &[(SecretDigest, i64)],
    now_ms: i64,
    idle_ms_max: i64,
) -> Result<()> {
    let mut statement = transaction.prepare_cached("UPDATE session SET used_at_ms = ? WHERE digest = ?")?;
    for (digest, used_at_ms) in used_at_ms {
        statement.execute(params![used_at_ms, digest])?;
    }
    transaction.execute(
        "DELETE FROM session WHERE abs(?1 - used_at_ms) > ?2 OR abs(?1 - created_at_ms) > ?3",
        [now_ms, idle_ms_max, age_ms_max(idle_ms_max)],
    )?;
    Ok(())
}

/// [`People::session_end`](crate::store::People::session_end).
pub(super) fn end_by(transaction: &Transaction<'_>, act: &Act, digest: &SecretDigest) -> Result<()> {
    let sql = "SELECT person_id FROM session WHERE digest = ?";
    let person: Option<i64> = transaction.query_row(sql, [digest], |row| row.get(0)).optional()?;
    let Some(person) = person else { return Ok(()) };
    end(transaction, digest)?;
    audit::add(transaction, act, "session.end", &format!("person {person}"), None, None)
}

fn end(transaction: &Transaction<'_>, digest: &SecretDigest) -> Result<()> {
    transaction.execute("DELETE FROM session WHERE digest = ?", [digest])?;
    Ok(())
}
