//! Another program's SQLite database, read as it is and never written.

use super::{Result, StoreError, StoreErrorKind};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Rows of one table that are read at most.
const ROWS_MAX: usize = 1_000_000;

/// See the module.
pub struct ForeignDatabase(Connection);

impl ForeignDatabase {
    /// Opens it.
    ///
    /// # Errors
    /// There is none, or it is no database.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok(Self(connection))
    }

    /// Makes one, for tests.
    #[cfg(test)]
    pub(crate) fn make(path: &Path, sql: &str) {
        Connection::open(path).and_then(|made| made.execute_batch(sql)).expect("a database");
    }

    /// The rows of a table by column, in its order; none: there is no such table.
    ///
    /// # Errors
    /// It cannot be read, or has too many rows.
    pub fn rows(&self, table: &str) -> Result<Option<Vec<BTreeMap<String, Value>>>> {
        let is_there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?)";
        if !self.0.query_row(is_there, [table], |row| row.get::<_, bool>(0))? {
            return Ok(None);
        }
        let mut statement = self.0.prepare(&format!("SELECT * FROM \"{}\"", table.replace('"', "\"\"")))?;
        let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            if found.len() == ROWS_MAX {
                let message = format!("table {table} has more than {ROWS_MAX} rows");
                return Err(StoreError::new(StoreErrorKind::Invalid, message));
            }
            let mut values = BTreeMap::new();
            for (at, column) in columns.iter().enumerate() {
                let value = match row.get_ref(at)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => number.into(),
                    ValueRef::Real(number) => number.into(),
                    // What copies databases keeps text as bytes now and then. Bytes that are none stay bytes.
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                        std::str::from_utf8(bytes).map_or_else(|_| bytes.to_vec().into(), Value::from)
                    }
                };
                values.insert(column.clone(), value);
            }
            found.push(values);
        }
        Ok(Some(found))
    }
}
