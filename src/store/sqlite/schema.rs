//! The tables: how they came to be, and whether a file has them.

use crate::store::{Result, StoreError, StoreErrorKind};
use rusqlite::Connection;
use rusqlite_migration::{M, MigrationDefinitionError, Migrations};

/// How the tables came to be. Rows are only ever added at the end.
pub(super) const MIGRATIONS: Migrations<'_> = Migrations::from_slice(MIGRATION_ROWS);
const MIGRATION_ROWS: &[M<'_>] = &[
    M::up(include_str!("../../../db/sqlite/0001_init.sql")),
    M::up(include_str!("../../../db/sqlite/0002_claim.sql")),
    M::up(include_str!("../../../db/sqlite/0003_people.sql")),
    M::up(include_str!("../../../db/sqlite/0004_rollup.sql")),
    M::up(include_str!("../../../db/sqlite/0005_user_account.sql")),
    M::up(include_str!("../../../db/sqlite/0006_finer.sql")),
    M::up(include_str!("../../../db/sqlite/0007_image_tool.sql")),
    M::up(include_str!("../../../db/sqlite/0008_identity.sql")),
    M::up(include_str!("../../../db/sqlite/0009_key_called.sql")),
    M::up(include_str!("../../../db/sqlite/0010_audit_object.sql")),
];

/// SQLite's `application_id` of a file of ours; the first migration sets it.
pub(super) const APPLICATION_ID: i32 = 0x5447_4c47;

/// Makes sure that the file is ours, and not too new.
pub(super) fn check(connection: &Connection) -> Result<()> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application_id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if tables > 0 && application_id != APPLICATION_ID {
        return Err(StoreError::new(StoreErrorKind::Damaged, "this is another program's database"));
    }
    match MIGRATIONS.pending_migrations(connection) {
        Ok(pending) if pending < 0 => Err(too_new(connection)?),
        _ => Ok(()),
    }
}

fn too_new(connection: &Connection) -> Result<StoreError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let message = format!("a newer tollgate made this database (schema version {version})");
    Ok(StoreError::new(StoreErrorKind::TooNew, message))
}

/// Brings the tables up to date. Several processes may do so at the same time.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    match MIGRATIONS.to_latest(connection) {
        Ok(()) => Ok(()),
        Err(rusqlite_migration::Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead)) => {
            Err(too_new(connection)?)
        }
        // Another process was faster.
        Err(_) if MIGRATIONS.pending_migrations(connection).is_ok_and(|pending| pending == 0) => Ok(()),
        Err(rusqlite_migration::Error::RusqliteError { err, .. }) => Err(err.into()),
        Err(error) => Err(StoreError::new(StoreErrorKind::Damaged, error.to_string())),
    }
}
