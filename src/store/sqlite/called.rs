//! Which records a key's name means: those of every key that has it, or had it when it was deleted, whatever they were called when
//! they came; and those that came under it, whatever their key is called since.

use crate::ledger::LedgerRecord;
use crate::store::Result;
use rusqlite::{Connection, Transaction, params};
use std::collections::BTreeSet;

/// The condition that a row is meant by a name, which is given twice.
pub(super) const IS_MEANT: &str = "(key_name = ? OR key_id IN (SELECT id FROM key WHERE name = ?))";

/// The names that a batch's records came under, each with its key.
#[derive(Default)]
pub(super) struct Called<'r>(BTreeSet<(i64, &'r str)>);

impl<'r> Called<'r> {
    /// Notes a record's.
    pub(super) fn add(&mut self, record: &'r LedgerRecord) {
        self.0.insert((record.key_id, &record.key_name));
    }

    /// Adds them to what is noted.
    pub(super) fn write(self, transaction: &Transaction<'_>) -> Result<()> {
        let mut add = transaction.prepare_cached("INSERT OR IGNORE INTO key_called (name, key_id) VALUES (?, ?)")?;
        for (key_id, name) in self.0 {
            add.execute(params![name, key_id])?;
        }
        Ok(())
    }
}

/// Rows whose names are noted at once where another version added them: a part of a second, in which nobody else can write.
const CAUGHT_UP_ROWS: i64 = if cfg!(test) { 5 } else { 200_000 };

/// Rows that are looked at, at most, for names that are not noted yet: as many as a page looks at otherwise.
const UNNOTED_ROWS_MAX: i64 = if cfg!(test) { 5 } else { 20_000 };

/// Notes the names of the first rows that another version added. Costs nothing where there are none.
pub(super) fn catch_up(transaction: &Transaction<'_>) -> Result<()> {
    let head = "SELECT called, sequence FROM chain_head";
    let (called, last): (i64, i64) =
        transaction.prepare_cached(head)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if called < last {
        let until = last.min(called.saturating_add(CAUGHT_UP_ROWS));
        let note = "INSERT OR IGNORE INTO key_called (name, key_id) SELECT DISTINCT key_name, key_id FROM ledger \
                    WHERE sequence > ? AND sequence <= ?";
        transaction.prepare_cached(note)?.execute([called, until])?;
        transaction.prepare_cached("UPDATE chain_head SET called = ?")?.execute([until])?;
    }
    Ok(())
}

/// Keys whose records a name means, each in order.
pub(super) struct Meant {
    /// Those that have it, or had it when they were deleted: all their records.
    pub(super) now: Vec<i64>,
    /// Those, and others that have records which came under it. None: it is not known yet, so that it takes a look at every record's
    /// name.
    pub(super) any: Option<Vec<i64>>,
}

/// Whose records this name means: a bounded search, however many rows there are whose names nobody has noted yet.
pub(super) fn meant(connection: &Connection, name: &str) -> Result<Meant> {
    let ids = |sql: &str| -> Result<Vec<i64>> {
        let mut statement = connection.prepare_cached(sql)?;
        let ids = statement.query_map([name], |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    };
    let now = ids("SELECT id FROM key WHERE name = ? ORDER BY id")?;
    let unnoted = "SELECT sequence - called FROM chain_head";
    if connection.prepare_cached(unnoted)?.query_row([], |row| row.get::<_, i64>(0))? > UNNOTED_ROWS_MAX {
        return Ok(Meant { now, any: None });
    }
    let then = ids("SELECT key_id FROM key_called WHERE name = ?1 UNION SELECT key_id FROM ledger \
         WHERE sequence > (SELECT called FROM chain_head) AND key_name = ?1")?;
    let mut any = [&*now, &*then].concat();
    any.sort_unstable();
    any.dedup();
    Ok(Meant { now, any: Some(any) })
}
