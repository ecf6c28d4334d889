//! What the ledger writes: batches of its journal, and who writes them.

use super::called::{self, Called};
use super::rollup::{self, Rollup};
use super::{claims, row};
use crate::ledger::{LedgerRecord, row_hash};
use crate::store::{Applied, Batch, ClosedHold, OpenHold, Position, Result, Writer};
use rusqlite::{Connection, OptionalExtension, Row, Statement, ToSql, Transaction, ffi, params, params_from_iter};
use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;
use uuid::Uuid;

/// Rows that one statement adds: what a statement costs by itself is as much as a row.
const ROWS_MAX: usize = 32;

static INSERT_ROW: LazyLock<String> = LazyLock::new(|| insert(1));
static INSERT_ROWS: LazyLock<String> = LazyLock::new(|| insert(ROWS_MAX));

fn insert(rows: usize) -> String {
    let row = format!("({})", vec!["?"; row::COLUMNS_COUNT].join(", "));
    format!("INSERT INTO ledger ({}) VALUES {}", row::COLUMNS, vec![row; rows].join(", "))
}

/// [`Store::apply`](crate::store::Store::apply).
pub(super) fn apply(transaction: &Transaction<'_>, batch: &Batch) -> Result<Applied> {
    let applied = add_rows(transaction, batch)?;
    change_open_holds(transaction, batch)?;
    claims::change(transaction, batch)?;
    add_trails(transaction, &batch.trails)?;
    let Position { segment, offset, sequence } = batch.position;
    transaction
        .prepare_cached("UPDATE writer SET segment = ?, byte_offset = ?, sequence = ? WHERE id = ?")?
        .execute(params![segment, offset, sequence, batch.writer_id.as_bytes()])?;
    Ok(applied)
}

/// Adds the rows that are not there yet to the chain, and their costs to the balances.
fn add_rows<'b>(transaction: &Transaction<'_>, batch: &'b Batch) -> Result<Applied> {
    let mut applied = Applied::default();
    if batch.settled.is_empty() {
        return Ok(applied);
    }
    let of_head = |row: &Row<'_>| Ok((Chain { sequence: row.get(0)?, hash: row.get(1)? }, row.get(2)?, row.get(3)?));
    let head = "SELECT sequence, hash, rolled_up, called FROM chain_head";
    let (mut chain, rolled_up, called): (Chain, i64, i64) = transaction.prepare_cached(head)?.query_row([], of_head)?;
    if rolled_up.min(called) != chain.sequence {
        // A gateway of a version before added rows.
        catch_up(transaction)?;
    }
    let (mut rollup, mut called) = (Rollup::default(), Called::default());
    let mut spent = BTreeMap::<i64, i64>::new();
    let mut spend = |record: &'b LedgerRecord| {
        rollup.add(record);
        called.add(record);
        let nanos = spent.entry(record.key_id).or_default();
        *nanos = nanos.saturating_add(record.cost_nanos);
    };
    let mut many = transaction.prepare_cached(&INSERT_ROWS)?;
    let mut one = transaction.prepare_cached(&INSERT_ROW)?;
    for records in batch.settled.chunks(ROWS_MAX) {
        if records.len() == ROWS_MAX && chain.add(records, &mut many)? {
            applied.rows += records.len();
            records.iter().for_each(&mut spend);
            continue;
        }
        // The last ones, or there is one among them that is there already.
        for record in records {
            if chain.add(std::slice::from_ref(record), &mut one)? {
                applied.rows += 1;
                spend(record);
            } else {
                applied.duplicates += 1;
            }
        }
    }
    let Chain { sequence, hash } = chain;
    transaction
        .prepare_cached(
            "UPDATE chain_head SET sequence = ?1, hash = ?2, rolled_up = ?1, \
             called = CASE called WHEN sequence THEN ?1 ELSE called END",
        )?
        .execute(params![sequence, hash])?;
    rollup.write(transaction)?;
    called.write(transaction)?;
    book(transaction, "account", "key_id", spent)?;
    Ok(applied)
}

/// True: another version added rows without what is kept beside them, and not all are caught up with.
pub(super) fn is_behind(connection: &Connection) -> Result<bool> {
    let behind = "SELECT min(rolled_up, called) <> sequence FROM chain_head";
    Ok(connection.prepare_cached(behind)?.query_row([], |row| row.get(0))?)
}

/// Brings what is kept beside the rows up to date, where another version added rows without it.
pub(super) fn catch_up(transaction: &Transaction<'_>) -> Result<()> {
    rollup::catch_up(transaction)?;
    called::catch_up(transaction)
}

/// Adds expenses to a table of balances.
pub(super) fn book(
    transaction: &Transaction<'_>,
    table: &str,
    id: &str,
    spent: BTreeMap<impl ToSql, i64>,
) -> Result<()> {
    // At the end of the range it stays there, as it does in memory: a batch must never be refused for what is in it.
    let mut statement = transaction.prepare_cached(&format!(
        "INSERT INTO {table} ({id}, spent_nanos) VALUES (?, ?) ON CONFLICT ({id}) DO UPDATE SET spent_nanos = \
         CASE WHEN spent_nanos > ?3 - excluded.spent_nanos THEN ?3 ELSE spent_nanos + excluded.spent_nanos END"
    ))?;
    for (id, nanos) in spent {
        statement.execute(params![id, nanos, i64::MAX])?;
    }
    Ok(())
}

/// The last row of the ledger.
#[derive(Clone, Copy)]
struct Chain {
    sequence: i64,
    hash: [u8; 32],
}

impl Chain {
    /// Adds rows, all or none. False: one of them is there already.
    fn add(&mut self, records: &[LedgerRecord], statement: &mut Statement<'_>) -> Result<bool> {
        let mut next = *self;
        for (nth, record) in records.iter().enumerate() {
            next.hash = row_hash(&next.hash, next.sequence + 1, record);
            next.sequence += 1;
            row::bind(statement, nth, next.sequence, record, &next.hash)?;
        }
        match statement.raw_execute() {
            Ok(_) => {
                *self = next;
                Ok(true)
            }
            Err(error) if is_there(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// A row with such a value that must be unique (a request id, a digest) exists; a sequence that does is another matter.
pub(super) fn is_there(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}

fn add_trails(transaction: &Transaction<'_>, trails: &[(Uuid, String)]) -> Result<()> {
    if trails.is_empty() {
        return Ok(());
    }
    let mut add =
        transaction.prepare_cached("INSERT INTO trail (request_id, trail) VALUES (?, ?) ON CONFLICT DO NOTHING")?;
    for (request_id, trail) in trails {
        add.execute(params![request_id.as_bytes(), trail])?;
    }
    Ok(())
}

fn change_open_holds(transaction: &Transaction<'_>, batch: &Batch) -> Result<()> {
    let writer_id = batch.writer_id.as_bytes();
    // First: a request whose hold of an earlier stretch was voided may be held again in this one.
    let mut close = transaction.prepare_cached("DELETE FROM open_hold WHERE request_id = ?")?;
    for request_id in &batch.closed {
        close.execute([request_id.as_bytes()])?;
    }
    let mut open = transaction.prepare_cached(
        "INSERT INTO open_hold (request_id, writer_id, key_id, held_nanos, opening, progress) \
         VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (request_id) DO NOTHING",
    )?;
    for OpenHold { opening, held_nanos, progress } in &batch.opened {
        let progress = progress.as_ref().map(row::json).transpose()?;
        let id = opening.request_id.as_bytes();
        open.execute(params![id, writer_id, opening.key_id, held_nanos, row::json(opening)?, progress])?;
    }
    let mut advance = transaction.prepare_cached("UPDATE open_hold SET progress = ? WHERE request_id = ?")?;
    for (request_id, progress) in &batch.progressed {
        advance.execute(params![row::json(progress)?, request_id.as_bytes()])?;
    }
    Ok(())
}

// === writers ===

/// [`Store::writer_open`](crate::store::Store::writer_open).
pub(super) fn writer_open(transaction: &Transaction<'_>, writer: &Writer) -> Result<()> {
    let Position { segment, offset, sequence } = writer.position;
    transaction.execute(
        "INSERT INTO writer (id, journal_dir, segment, byte_offset, sequence) VALUES (?, ?, ?, ?, ?)",
        params![writer.id.as_bytes(), writer.journal_dir, segment, offset, sequence],
    )?;
    Ok(())
}

/// [`Store::writer_close`](crate::store::Store::writer_close).
pub(super) fn writer_close(transaction: &Transaction<'_>, id: Uuid) -> Result<()> {
    transaction.execute("DELETE FROM writer WHERE id = ?", [id.as_bytes()])?;
    Ok(())
}

/// [`Store::writers`](crate::store::Store::writers).
pub(super) fn writers(connection: &Connection) -> Result<Vec<Writer>> {
    // Every version has had it as it is.
    if !connection.table_exists(None, "writer")? {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare("SELECT id, journal_dir, segment, byte_offset, sequence FROM writer ORDER BY id")?;
    let writers = statement.query_map([], |row| {
        let position = Position { segment: row.get(2)?, offset: row.get(3)?, sequence: row.get(4)? };
        Ok(Writer { id: Uuid::from_bytes(row.get(0)?), journal_dir: row.get(1)?, position })
    })?;
    Ok(writers.collect::<rusqlite::Result<_>>()?)
}

// === open holds ===

/// The columns that [`open_hold_of`] reads.
pub(super) const OPEN_HOLD_COLUMNS: &str = "request_id, writer_id, key_id, held_nanos, opening, progress";

/// An open hold with its writer.
pub(super) fn open_hold_of(row: &Row<'_>) -> rusqlite::Result<(Uuid, OpenHold)> {
    let parse_error = |column| move |error: serde_json::Error| row::unreadable(column, error);
    let opening: String = row.get(4)?;
    let progress: Option<String> = row.get(5)?;
    let hold = OpenHold {
        opening: serde_json::from_str(&opening).map_err(parse_error(4))?,
        held_nanos: row.get(3)?,
        progress: progress.map(|progress| serde_json::from_str(&progress)).transpose().map_err(parse_error(5))?,
    };
    let (request_id, key_id): ([u8; 16], i64) = (row.get(0)?, row.get(2)?);
    if (Uuid::from_bytes(request_id), key_id) != (hold.opening.request_id, hold.opening.key_id) {
        return Err(row::unreadable(4, "it is of another request"));
    }
    Ok((Uuid::from_bytes(row.get(1)?), hold))
}

/// [`Store::open_holds`](crate::store::Store::open_holds).
pub(super) fn open_holds(connection: &Connection, writer_id: Uuid, limit: usize) -> Result<Vec<OpenHold>> {
    let sql = format!("SELECT {OPEN_HOLD_COLUMNS} FROM open_hold WHERE writer_id = ? ORDER BY request_id LIMIT ?");
    let mut statement = connection.prepare(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let holds = statement.query_map(params![writer_id.as_bytes(), limit], |row| Ok(open_hold_of(row)?.1))?;
    Ok(holds.collect::<rusqlite::Result<_>>()?)
}

/// Number of the ledger's last row.
pub(super) fn head_sequence(connection: &Connection) -> Result<i64> {
    Ok(connection.query_row("SELECT sequence FROM chain_head", [], |row| row.get(0))?)
}

/// The holds of [`Store::balances_since`](crate::store::Store::balances_since).
pub(super) fn every_open_hold(connection: &Connection, each: &mut dyn FnMut(Uuid, OpenHold)) -> Result<()> {
    let mut statement = connection.prepare(&format!("SELECT {OPEN_HOLD_COLUMNS} FROM open_hold"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (writer_id, hold) = open_hold_of(row)?;
        each(writer_id, hold);
    }
    Ok(())
}

/// [`Store::closed_holds`](crate::store::Store::closed_holds).
pub(super) fn closed_holds(
    connection: &mut Connection,
    writers: &[Uuid],
    request_ids: &[Uuid],
) -> Result<Vec<ClosedHold>> {
    if request_ids.is_empty() {
        return Ok(Vec::new());
    }
    // One transaction: a hold and its record change together.
    let transaction = connection.transaction()?;
    let open = open_request_ids(&transaction, writers)?;
    let mut record =
        transaction.prepare_cached("SELECT cost_nanos, outcome, status FROM ledger WHERE request_id = ?")?;
    let mut closed = Vec::new();
    for request_id in request_ids.iter().filter(|request_id| !open.contains(*request_id)) {
        let of_record = |row: &Row<'_>| Ok((row.get(0)?, claims::is_served(row, 0)?));
        let said: Option<(i64, bool)> = record.query_row([request_id.as_bytes()], of_record).optional()?;
        closed.push(ClosedHold {
            request_id: *request_id,
            cost_nanos: said.map(|(cost_nanos, _)| cost_nanos),
            served: said.is_some_and(|(_, served)| served),
        });
    }
    Ok(closed)
}

/// The requests whose holds are open in the journals of these writers.
fn open_request_ids(connection: &Connection, writers: &[Uuid]) -> Result<HashSet<Uuid>> {
    let places = vec!["?"; writers.len()].join(", ");
    let sql = format!("SELECT request_id FROM open_hold WHERE writer_id IN ({places})");
    let mut statement = connection.prepare_cached(&sql)?;
    let ids = statement.query_map(params_from_iter(writers.iter().map(|id| *id.as_bytes())), |row| {
        Ok(Uuid::from_bytes(row.get(0)?))
    })?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}
