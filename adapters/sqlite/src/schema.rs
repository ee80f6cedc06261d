//! The database file: its settings and its migrations (`migrations/`).

use std::path::Path;

use refinery::Target;
use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{OpenError, Synchronous, folder::private_file};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Opens the file for writing, made where there is none.
pub(crate) fn open(path: &Path, synchronous: Synchronous) -> Result<Connection, OpenError> {
    private_file(path).map_err(|error| OpenError::Folder {
        path: path.into(),
        error,
    })?;
    let connection = Connection::open(path)?;
    refuse_foreign(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(
        None,
        "synchronous",
        match synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Off => "OFF",
        },
    )?;
    // Long enough to amortise the checkpoint's own sync, short enough that no
    // single commit pays for many pages: p99 was several times worse at 4,000.
    connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens the file for reading beside the writer.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "cache_size", -2048)?;
    // A plan for all values: otherwise a statement that an index over some of the rows
    // might serve is prepared again each time it is given other values.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Brings the schema up to date.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    migrate_to(connection, Target::Latest)
}

pub(crate) fn migrate_to(connection: &mut Connection, target: Target) -> Result<(), OpenError> {
    let report = embedded::migrations::runner()
        .set_target(target)
        .run(connection)
        .map_err(|error| OpenError::Damaged(error.to_string()))?;
    for migration in report.applied_migrations() {
        tracing::info!(migration = %migration, "schema migrated");
    }
    Ok(())
}

/// Refuses what a newer version or another program has written; only reads.
fn refuse_foreign(connection: &Connection) -> Result<(), OpenError> {
    let tables = "SELECT count(*), coalesce(sum(name = 'refinery_schema_history'), 0)
                  FROM sqlite_schema";
    let counts = connection.query_row(tables, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match counts {
        (0, _) => return Ok(()),
        (_, 0) => return Err(OpenError::Damaged("it is another program's".into())),
        (_, _) => {}
    }
    let query = "SELECT coalesce(max(version), 0) FROM refinery_schema_history";
    let found: i64 = connection.query_row(query, [], |row| row.get(0))?;
    let migrations = embedded::migrations::runner();
    let known = migrations
        .get_migrations()
        .iter()
        .map(|migration| i64::from(migration.version()))
        .max();
    let known = known.unwrap_or_default();
    if found > known {
        Err(OpenError::Newer { found, known })
    } else {
        Ok(())
    }
}

/// What SQLite would do for `sql`, a step a line.
#[cfg(test)]
pub(crate) fn plan(connection: &Connection, sql: &str) -> String {
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let count = statement.parameter_count();
    let values = rusqlite::params_from_iter(std::iter::repeat_n(1, count));
    let steps = statement
        .query_map(values, |row| row.get::<_, String>(3))
        .unwrap();
    steps.map(|step| step.unwrap() + "\n").collect()
}
