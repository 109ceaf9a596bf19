//! The index: which buckets, objects, versions and uploads exist and which blobs hold their content.
//!
//! One SQLite file, one writer and a few readers, all on blocking threads. A transaction that fails for any reason,
//! including a refusal by a rule, changes nothing.

pub(crate) mod buckets;
pub(crate) mod listing;
pub(crate) mod objects;
pub(crate) mod rows;
pub(crate) mod uploads;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

use crate::blob::{BlobId, Blobs, Staged};
use crate::error::ArtifactError;

const SCHEMA: &str = include_str!("schema.sql");
const SCHEMA_VERSION: i64 = 1;
const READERS: usize = 4;

/// A write transaction with the blobs that lost a reference in it.
pub(crate) struct Txn<'a> {
    pub(crate) sql: Transaction<'a>,
    released: HashSet<BlobId>,
}

impl Txn<'_> {
    /// Notes that a row that referred to this blob is gone.
    pub(crate) fn release(&mut self, blob: BlobId) {
        self.released.insert(blob);
    }

    fn unreferenced(&self) -> rusqlite::Result<Vec<BlobId>> {
        let mut query = self.sql.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM segments WHERE blob = ?1) OR EXISTS (SELECT 1 FROM parts WHERE blob = ?1)",
        )?;
        let mut gone = Vec::new();
        for blob in &self.released {
            let referenced: bool = query.query_row([&blob.0[..]], |row| row.get(0))?;
            if !referenced {
                gone.push(*blob);
            }
        }
        Ok(gone)
    }
}

/// The open index together with the blobs that it refers to.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    blobs: Arc<Blobs>,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    reading: Semaphore,
}

impl Index {
    /// Opens or creates the index and removes the blobs that nothing refers to.
    pub(crate) fn open(path: &Path, blobs: Arc<Blobs>) -> Result<Self, ArtifactError> {
        let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        migrate(&mut writer)?;
        blobs.sweep(&all_blobs(&writer)?)?;
        let readers = (0..READERS)
            .map(|_| connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY))
            .collect::<Result<Vec<_>, _>>()?;
        let shared = Shared {
            blobs,
            writer: Mutex::new(writer),
            readers: Mutex::new(readers),
            reading: Semaphore::new(READERS),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub(crate) fn blobs(&self) -> &Arc<Blobs> {
        &self.shared.blobs
    }

    /// Runs `query` on a reader.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, ArtifactError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, ArtifactError> + Send + 'static,
    {
        let _permit = self.shared.reading.acquire().await.expect("the semaphore is never closed");
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || {
            let reader = shared.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            // A cancelled request gives its permit back while its query still runs: then there may be none left.
            let Some(reader) = reader else {
                let writer = shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
                return query(&writer);
            };
            let result = query(&reader);
            shared.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            result
        })
        .await?
    }

    /// Runs `change` in a transaction that is durable when this returns.
    pub(crate) async fn write<T, F>(&self, change: F) -> Result<T, ArtifactError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Txn<'_>) -> Result<T, ArtifactError> + Send + 'static,
    {
        self.write_staged(None, change).await
    }

    /// Like [`Index::write`], and makes `staged` a blob in the same step: afterwards there is either both the rows and
    /// the content, or neither.
    pub(crate) async fn write_staged<T, F>(
        &self,
        staged: Option<Staged>,
        change: F,
    ) -> Result<T, ArtifactError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Txn<'_>) -> Result<T, ArtifactError> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || shared.commit(staged, change)).await?
    }
}

impl Shared {
    fn commit<T>(
        &self,
        staged: Option<Staged>,
        change: impl FnOnce(&mut Txn<'_>) -> Result<T, ArtifactError>,
    ) -> Result<T, ArtifactError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|e| self.full_or_failed(e))?;
        let mut txn = Txn { sql, released: HashSet::new() };
        let result = change(&mut txn).map_err(|e| self.name_the_full_disk(e))?;
        let gone = txn.unreferenced().map_err(|e| self.full_or_failed(e))?;
        let mut placed = Vec::new();
        if let Some(staged) = staged {
            let id = staged.id;
            if self.blobs.place(staged)? {
                placed.push(id);
            }
        }
        if let Err(error) = txn.sql.commit() {
            self.blobs.discard(&placed);
            return Err(self.full_or_failed(error));
        }
        self.blobs.discard(&gone);
        Ok(result)
    }

    fn name_the_full_disk(&self, error: ArtifactError) -> ArtifactError {
        match error {
            ArtifactError::Index(error) => self.full_or_failed(error),
            other => other,
        }
    }

    fn full_or_failed(&self, error: rusqlite::Error) -> ArtifactError {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) {
            return ArtifactError::Full { dir: self.blobs.root().to_path_buf() };
        }
        ArtifactError::Index(error)
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, ArtifactError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // FULL: the log is synced at every commit, so what was acknowledged survives a power cut.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn migrate(writer: &mut Connection) -> Result<(), ArtifactError> {
    let sql = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = sql.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        0 => {
            sql.execute_batch(SCHEMA)?;
            sql.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        SCHEMA_VERSION => {}
        found => return Err(ArtifactError::TooNew { found, known: SCHEMA_VERSION }),
    }
    Ok(sql.commit()?)
}

fn all_blobs(connection: &Connection) -> rusqlite::Result<HashSet<BlobId>> {
    let mut query = connection.prepare("SELECT blob FROM segments UNION SELECT blob FROM parts")?;
    query.query_map([], |row| row.get(0).map(BlobId))?.collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::blob::Segment;
    use crate::index::objects::{NewObject, WriteCondition};
    use crate::index::rows::{BucketRow, Meta, Versioning};

    fn new_object(id: BlobId) -> NewObject {
        let long = "x".repeat(200_000);
        NewObject {
            bucket: "releases".to_owned(),
            key: "app.zip".to_owned(),
            size: 7,
            etag: "e".to_owned(),
            modified: 0,
            meta: Meta { user: [("long".to_owned(), long)].into(), ..Meta::default() },
            segments: vec![Segment { blob: id, size: 7 }],
            condition: WriteCondition::default(),
        }
    }

    fn stage(blobs: &Blobs) -> Staged {
        let mut file = blobs.scratch().unwrap();
        file.write_all(b"content").unwrap();
        Staged { file, id: BlobId([7; 32]) }
    }

    async fn index(dir: &Path) -> Index {
        let index = Index::open(&dir.join("index.db"), Arc::new(Blobs::open(dir).unwrap())).unwrap();
        let bucket = BucketRow {
            name: "releases".to_owned(),
            account: "111111111111".to_owned(),
            region: "us-east-1".to_owned(),
            created: 0,
            versioning: Versioning::Never,
        };
        index.write(move |txn| buckets::create(txn, &bucket)).await.unwrap();
        index
    }

    #[tokio::test]
    async fn full_disk_under_the_index_is_named_and_leaves_no_content_behind() {
        let dir = tempfile::tempdir().unwrap();
        let index = index(dir.path()).await;
        {
            let writer = index.shared.writer.lock().unwrap();
            let pages: i64 = writer.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
            writer.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        }
        let staged = stage(index.blobs());
        let (id, scratch) = (staged.id, staged.file.path().to_path_buf());
        let new = new_object(id);
        let error = index.write_staged(Some(staged), move |txn| objects::put(txn, &new)).await.unwrap_err();
        assert!(matches!(&error, ArtifactError::Full { dir: full } if full == dir.path()), "{error:?}");
        assert!(!index.blobs().path(id).exists() && !scratch.exists());
    }

    #[tokio::test]
    async fn commit_that_fails_takes_its_blob_back() {
        let dir = tempfile::tempdir().unwrap();
        let index = index(dir.path()).await;
        let staged = stage(index.blobs());
        let id = staged.id;
        let failed = index
            .write_staged(Some(staged), |txn| {
                // A broken reference that SQLite finds when the transaction commits.
                txn.sql.execute_batch(
                    "PRAGMA defer_foreign_keys = ON; \
                     INSERT INTO uploads VALUES ('id', 'no-such-bucket', 'key', 'me', 0, '{}')",
                )?;
                Ok(())
            })
            .await;
        assert!(matches!(failed, Err(ArtifactError::Index(_))), "{failed:?}");
        assert!(!index.blobs().path(id).exists());

        // And one that takes over existing content leaves that alone.
        let (staged, new) = (stage(index.blobs()), new_object(id));
        index.write_staged(Some(staged), move |txn| objects::put(txn, &new)).await.unwrap();
        let again = stage(index.blobs());
        let refused = index
            .write_staged(Some(again), |txn| {
                txn.sql.execute_batch(
                    "PRAGMA defer_foreign_keys = ON; \
                     INSERT INTO uploads VALUES ('id', 'no-such-bucket', 'key', 'me', 0, '{}')",
                )?;
                Ok(())
            })
            .await;
        assert!(refused.is_err());
        assert!(index.blobs().path(id).exists());
    }
}
