//! The embedded store: one SQLite file, one process, one writer thread that commits in groups, and a few readers.
//!
//! | module | what is in it |
//! |---|---|
//! | `schema` | opening the file, the lock, settings, migrations |
//! | `writer` | the thread that commits in groups |
//! | `apply` | one write after the other, as SQL |
//! | `wakeups` | asking for, claiming and settling wake-ups |
//! | `readers` | the threads that answer questions |
//! | `read` | the questions, as SQL |

mod apply;
mod read;
mod readers;
mod schema;
#[cfg(test)]
mod tests;
mod wakeups;
mod writer;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use slipway_model::{AccountId, DeploymentId, Timestamp};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::change::{ChangeSet, CommitError};
use crate::rows::{
    DeploymentQuery, DeploymentRow, Document, DocumentKey, EventRow, HealthRow, Kind, Notice, Partition,
    RevisionQuery, TargetKey, TargetQuery, TargetRow, Wakeup,
};
use crate::{ReadError, Store};
use apply::Memory;
use readers::Readers;
pub use schema::OpenError;
use wakeups::Sequence;
use writer::{Counters, Earliest, Request, Writer};

/// Change sets that may wait for the writer before callers have to.
const QUEUE: usize = 1024;

/// Notices that a listener may lag behind.
const NOTICES: usize = 4096;

/// What the writer of a store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions that were made durable.
    pub transactions: u64,
    /// Change sets and claims that were in them.
    pub requests: u64,
}

/// State in one SQLite file.
///
/// Dropping the future of [`Store::commit`] does not take the change back: it may still happen.
///
/// ```
/// use slipway_store::{ChangeSet, Document, DocumentKey, Kind, Partition, Store, Write, sqlite::SqliteStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let store = SqliteStore::open(&directory.path().join("slipway.db"))?;
/// let key = DocumentKey {
///     partition: Partition::Installation,
///     kind: Kind::Setting,
///     parent: String::new(),
///     name: "colour".to_owned(),
/// };
/// let setting = Document { key: key.clone(), body: "\"green\"".to_owned(), version: 0 };
/// store.commit(ChangeSet::new().with(Write::Insert(setting))).await?;
/// assert_eq!(store.document(&key).await?.map(|found| found.version), Some(1));
/// store.close().await;
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    requests: mpsc::Sender<Request>,
    readers: Arc<Readers>,
    earliest: Earliest,
    notices: broadcast::Sender<Notice>,
    counters: Arc<Counters>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens the database, creating it (readable for its owner only) or bringing its schema up to date. The process
    /// owns it until [`SqliteStore::close`] or the end of the store.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = schema::lock(path)?;
        let db = schema::open_writer(path)?;
        let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
        wakeups::end_leases(&db).map_err(sqlite)?;
        let memory = Memory { sequence: Sequence::load(&db).map_err(sqlite)?, deleted_versions: 0 };
        let earliest = Earliest::load(&db).map_err(sqlite)?;
        let readers = Arc::new(Readers::start(path)?);
        let (notices, _) = broadcast::channel(NOTICES);
        let (requests, queue) = mpsc::channel(QUEUE);
        let counters = Arc::new(Counters::default());
        let writer = Writer {
            db,
            memory,
            earliest: earliest.clone(),
            notices: notices.clone(),
            counters: Arc::clone(&counters),
            lock,
        };
        let thread = thread::Builder::new()
            .name("store-write".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Ok(Self { requests, readers, earliest, notices, counters, writer: Mutex::new(Some(thread)) })
    }

    /// Finishes everything that has been asked for, closes the file and gives it free. Whatever is asked for from now
    /// on is refused as unavailable. Does nothing the second time.
    pub async fn close(&self) {
        // Refused when the store is closed already.
        let _ = self.requests.send(Request::Close).await;
        let readers = Arc::clone(&self.readers);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let joined = tokio::task::spawn_blocking(move || {
            // The readers first: the connection that is closed last tidies up the log, and readers cannot.
            readers.stop();
            writer.map(JoinHandle::join)
        });
        if !matches!(joined.await, Ok(None | Some(Ok(())))) {
            tracing::error!("the writer of the store has panicked");
        }
    }

    /// What the writer has done so far: its load, and how well commits are grouped.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            transactions: self.counters.transactions.load(Ordering::Relaxed),
            requests: self.counters.requests.load(Ordering::Relaxed),
        }
    }

    async fn request<T>(
        &self,
        request: Request,
        answer: oneshot::Receiver<Result<T, CommitError>>,
    ) -> Result<T, CommitError> {
        let closed = || CommitError::Unavailable("it is closed".to_owned());
        self.requests.send(request).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }
}

impl Drop for SqliteStore {
    /// As [`SqliteStore::close`], but blocking; whoever opens the same file next finds it free.
    fn drop(&mut self) {
        self.readers.stop();
        let (unconnected, _) = mpsc::channel(1);
        // The writer ends when nobody can ask any more.
        drop(std::mem::replace(&mut self.requests, unconnected));
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, change: ChangeSet) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Commit { change, reply }, answer).await
    }

    async fn document(&self, key: &DocumentKey) -> Result<Option<Document>, ReadError> {
        let key = key.clone();
        self.readers.ask(|db| read::document(db, key)).await
    }

    async fn documents(
        &self,
        partition: &Partition,
        kind: Kind,
        parent: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Document>, ReadError> {
        let (partition, parent, after) = (partition.clone(), parent.to_owned(), after.map(str::to_owned));
        self.readers
            .ask(move |db| read::documents(db, &partition, kind, &parent, after.as_deref(), limit))
            .await
    }

    async fn count_documents(
        &self,
        partition: &Partition,
        kind: Kind,
        parent: &str,
    ) -> Result<u64, ReadError> {
        let (partition, parent) = (partition.clone(), parent.to_owned());
        self.readers.ask(move |db| read::count_documents(db, &partition, kind, &parent)).await
    }

    async fn revisions(&self, query: &RevisionQuery) -> Result<Vec<Document>, ReadError> {
        let query = query.clone();
        self.readers.ask(move |db| read::revisions(db, &query)).await
    }

    async fn deployment(&self, id: &DeploymentId) -> Result<Option<DeploymentRow>, ReadError> {
        let id = id.clone();
        self.readers.ask(move |db| read::deployment(db, &id)).await
    }

    async fn deployments(&self, query: &DeploymentQuery) -> Result<Vec<DeploymentRow>, ReadError> {
        let query = query.clone();
        self.readers.ask(move |db| read::deployments(db, &query)).await
    }

    async fn count_active_deployments(&self, account: &AccountId) -> Result<u64, ReadError> {
        let account = account.clone();
        self.readers.ask(move |db| read::count_active_deployments(db, &account)).await
    }

    async fn target(&self, key: &TargetKey) -> Result<Option<TargetRow>, ReadError> {
        let key = key.clone();
        self.readers.ask(move |db| read::target(db, &key)).await
    }

    async fn target_by_name(
        &self,
        deployment: &DeploymentId,
        name: &str,
    ) -> Result<Option<TargetRow>, ReadError> {
        let (deployment, name) = (deployment.clone(), name.to_owned());
        self.readers.ask(move |db| read::target_by_name(db, &deployment, &name)).await
    }

    async fn target_by_host(
        &self,
        deployment: &DeploymentId,
        host: &str,
    ) -> Result<Option<TargetRow>, ReadError> {
        let (deployment, host) = (deployment.clone(), host.to_owned());
        self.readers.ask(move |db| read::target_by_host(db, &deployment, &host)).await
    }

    async fn targets(&self, query: &TargetQuery) -> Result<Vec<TargetRow>, ReadError> {
        let query = query.clone();
        self.readers.ask(move |db| read::targets(db, &query)).await
    }

    async fn uncounted_targets(
        &self,
        deployment: &DeploymentId,
        limit: u32,
    ) -> Result<Vec<TargetRow>, ReadError> {
        let deployment = deployment.clone();
        self.readers.ask(move |db| read::uncounted_targets(db, &deployment, limit)).await
    }

    async fn next_command(&self, host: &str, now: Timestamp) -> Result<Option<TargetRow>, ReadError> {
        let host = host.to_owned();
        self.readers.ask(move |db| read::next_command(db, &host, now)).await
    }

    async fn outstanding_commands(&self, host: &str) -> Result<u32, ReadError> {
        let host = host.to_owned();
        self.readers.ask(move |db| read::outstanding_commands(db, &host)).await
    }

    async fn host_health(&self, group_id: &str) -> Result<Vec<HealthRow>, ReadError> {
        let group_id = group_id.to_owned();
        self.readers.ask(move |db| read::host_health(db, &group_id)).await
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Wakeup>, CommitError> {
        if self.earliest.get().is_none_or(|first| first > now) && !self.is_closed() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.request(Request::Claim { now, lease_until, limit, reply }, answer).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, ReadError> {
        if self.is_closed() {
            return Err(ReadError::Unavailable("it is closed".to_owned()));
        }
        Ok(self.earliest.get())
    }

    async fn latest_moment(&self) -> Result<Option<Timestamp>, ReadError> {
        self.readers.ask(read::latest_moment).await
    }

    async fn events(&self, after: i64, limit: u32) -> Result<Vec<EventRow>, ReadError> {
        self.readers.ask(move |db| read::events(db, after, limit)).await
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }
}
