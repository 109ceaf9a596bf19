//! Opening the file: who may, what is in it, and bringing its schema up to date.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// Migrations in order; the schema version is the number of the last one. Never change one that was released.
const MIGRATIONS: &[&str] =
    &[include_str!("migrations/0001_initial.sql"), include_str!("migrations/0002_revision_times.sql")];

/// The schema version that this build writes.
pub(super) const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Marks a file as ours (`PRAGMA application_id`): "SLPW".
const APPLICATION_ID: i64 = 0x534c_5057;

/// How long to wait for a lock that another program (a backup, the `sqlite3` shell) holds on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// After this many pages in the write-ahead log they are copied into the database.
const CHECKPOINT_PAGES: i64 = 4000;

/// The write-ahead log is cut to this size when it has grown beyond it.
const LOG_BYTES_KEPT: i64 = 64 << 20;

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works on it.
    #[error(
        "the database {} is in use by another process: stop that one first, or use another data directory",
        path.display()
    )]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// A newer release has written it.
    #[error(
        "the database {} has schema version {found}, but this release knows versions up to {known} only: \
         run the newer release that wrote it, or restore the backup that was made before the upgrade",
        path.display()
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this build knows.
        known: i64,
    },
    /// The file belongs to another program.
    #[error("{} is a database of another program: choose another path", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be created, opened or locked, or a thread not be started.
    #[error("cannot open the database {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refuses the file.
    #[error("cannot open the database {}: {source}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Takes the file for this process until the returned handle is dropped.
///
/// SQLite's own locks would let two control planes write in turns, each with its own idea of who is leased what.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let file =
        private_file(&lock_path).map_err(|source| OpenError::Io { path: lock_path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path: lock_path, source }),
    }
}

/// Opens the file, or creates it readable for its owner only: it holds secrets. SQLite gives its log the same mode.
fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Opens the connection of the writer, with the schema up to date.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    private_file(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    check(&connection, path)?;
    prepare_writer(&connection).map_err(sqlite)?;
    migrate(&mut connection).map_err(sqlite)?;
    Ok(connection)
}

/// Opens a connection that can only read.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })
}

/// Refuses a file that is not ours or that is newer than we are, before anything in it is changed.
fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let application: i64 = pragma(connection, "application_id").map_err(sqlite)?;
    let found: i64 = pragma(connection, "user_version").map_err(sqlite)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sqlite)?;
    let fresh = application == 0 && found == 0 && tables == 0;
    if application != APPLICATION_ID && !fresh {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found > SCHEMA_VERSION {
        return Err(OpenError::NewerSchema { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn prepare_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // With WAL, FULL syncs the log at every commit: what was acknowledged survives power loss.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_KEPT, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Runs the migrations that the file has not seen, each in its own transaction together with its version number.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let found = pragma(connection, "user_version")?;
    for (version, sql) in (1..).zip(MIGRATIONS) {
        if version <= found {
            continue;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
        tracing::info!(version, "database schema brought up to date");
    }
    Ok(())
}
