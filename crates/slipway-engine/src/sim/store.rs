//! A store in memory with the contract of the real ones, proven by the same suite; and with the faults that the contract
//! allows: it can be slow, refuse, and leave a caller in the dark about whether a commit happened.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use slipway_model::{AccountId, DeploymentId, Timestamp};
use slipway_store::{
    ChangeSet, CommitError, DeploymentQuery, DeploymentRow, Document, DocumentKey, EventRow, HealthRow, Kind,
    Notice, Partition, ReadError, RevisionQuery, Store, TargetKey, TargetQuery, TargetRow, Wakeup, WakeupKey,
};
use tokio::sync::broadcast;

use super::tables::{Changed, Tables};

/// Notices that a listener may lag behind.
const NOTICES: usize = 4096;

/// What goes wrong with a question or a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It fails, and nothing happened.
    Fails,
    /// It happens, but the caller hears that the store is unavailable. Questions fail.
    Unknown,
}

/// Decides what goes wrong.
pub type Faults = Box<dyn FnMut() -> Fault + Send>;

/// The model store.
pub struct ModelStore {
    tables: Mutex<Tables>,
    notices: broadcast::Sender<Notice>,
    faults: Mutex<Option<Faults>>,
    /// Whether whoever asks is interrupted before and after: the points at which a node may be stopped.
    interrupts: bool,
}

impl ModelStore {
    /// An empty store that answers at once.
    pub fn new() -> Self {
        Self {
            tables: Mutex::default(),
            notices: broadcast::Sender::new(NOTICES),
            faults: Mutex::default(),
            interrupts: false,
        }
    }

    /// An empty store that lets others run before and after each commit and before each answer, and remembers what
    /// each commit changed.
    pub fn interrupting() -> Self {
        let store = Self { interrupts: true, ..Self::new() };
        store.tables().keep_history();
        store
    }

    /// From now on `faults` is asked before every question and commit.
    pub fn break_by(&self, faults: Option<Faults>) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// What has been changed since this was asked last.
    pub(crate) fn take_history(&self) -> Vec<Changed> {
        self.tables().take_history()
    }

    /// Looks at the tables, without a question's delays and faults.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        look(&self.tables())
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self) -> Fault {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.as_mut().map_or(Fault::None, |decide| decide())
    }

    async fn interrupt(&self) {
        if self.interrupts {
            Interrupt(false).await;
        }
    }

    async fn read<T>(&self, question: impl FnOnce(&Tables) -> T) -> Result<T, ReadError> {
        self.interrupt().await;
        match self.fault() {
            Fault::None => Ok(question(&self.tables())),
            Fault::Fails | Fault::Unknown => Err(ReadError::Unavailable("simulated".to_owned())),
        }
    }
}

impl Default for ModelStore {
    fn default() -> Self {
        Self::new()
    }
}

/// Lets the scheduler decide when this goes on, if it does.
pub(crate) struct Interrupt(pub(crate) bool);

impl Future for Interrupt {
    type Output = ();

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        if std::mem::replace(&mut self.0, true) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    }
}

#[async_trait]
impl Store for ModelStore {
    async fn commit(&self, change: ChangeSet) -> Result<(), CommitError> {
        self.interrupt().await;
        let fault = self.fault();
        if fault == Fault::Fails {
            return Err(CommitError::DiskFull("simulated".to_owned()));
        }
        {
            let mut tables = self.tables();
            let before = tables.next_due();
            tables.commit(&change.writes)?;
            let after = tables.next_due();
            drop(tables);
            for notice in change.notices {
                // Fails when nobody listens.
                let _ = self.notices.send(notice);
            }
            if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
                let _ = self.notices.send(Notice::WorkDue);
            }
        }
        self.interrupt().await;
        match fault {
            Fault::Unknown => Err(CommitError::Unavailable("simulated".to_owned())),
            Fault::None | Fault::Fails => Ok(()),
        }
    }

    async fn document(&self, key: &DocumentKey) -> Result<Option<Document>, ReadError> {
        self.read(|t| t.documents.get(key).cloned()).await
    }

    async fn documents(
        &self,
        partition: &Partition,
        kind: Kind,
        parent: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Document>, ReadError> {
        self.read(|t| {
            t.children(partition, kind, parent)
                .filter(|d| after.is_none_or(|after| d.key.name.as_str() > after))
                .take(limit as usize)
                .cloned()
                .collect()
        })
        .await
    }

    async fn revisions(&self, query: &RevisionQuery) -> Result<Vec<Document>, ReadError> {
        self.read(|t| t.list_revisions(query)).await
    }

    async fn count_documents(
        &self,
        partition: &Partition,
        kind: Kind,
        parent: &str,
    ) -> Result<u64, ReadError> {
        self.read(|t| t.children(partition, kind, parent).count() as u64).await
    }

    async fn deployment(&self, id: &DeploymentId) -> Result<Option<DeploymentRow>, ReadError> {
        self.read(|t| t.deployments.get(id).cloned()).await
    }

    async fn deployments(&self, query: &DeploymentQuery) -> Result<Vec<DeploymentRow>, ReadError> {
        self.read(|t| t.list_deployments(query)).await
    }

    async fn count_active_deployments(&self, account: &AccountId) -> Result<u64, ReadError> {
        self.read(|t| {
            let active = |row: &&DeploymentRow| row.scope.account == *account && !row.status.is_terminal();
            t.deployments.values().filter(active).count() as u64
        })
        .await
    }

    async fn target(&self, key: &TargetKey) -> Result<Option<TargetRow>, ReadError> {
        self.read(|t| t.target(key).cloned()).await
    }

    async fn target_by_name(
        &self,
        deployment: &DeploymentId,
        name: &str,
    ) -> Result<Option<TargetRow>, ReadError> {
        self.read(|t| t.of_deployment(deployment, 0).find(|row| row.name == name).cloned()).await
    }

    async fn target_by_host(
        &self,
        deployment: &DeploymentId,
        host: &str,
    ) -> Result<Option<TargetRow>, ReadError> {
        self.read(|t| t.of_deployment(deployment, 0).find(|row| row.host == host).cloned()).await
    }

    async fn targets(&self, query: &TargetQuery) -> Result<Vec<TargetRow>, ReadError> {
        self.read(|t| {
            t.of_deployment(&query.deployment, query.from)
                .filter(|row| query.statuses.is_empty() || query.statuses.contains(&row.status))
                .take(query.limit as usize)
                .cloned()
                .collect()
        })
        .await
    }

    async fn uncounted_targets(
        &self,
        deployment: &DeploymentId,
        limit: u32,
    ) -> Result<Vec<TargetRow>, ReadError> {
        self.read(|t| t.uncounted(deployment, limit as usize)).await
    }

    async fn next_command(&self, host: &str, now: Timestamp) -> Result<Option<TargetRow>, ReadError> {
        self.read(|t| t.next_command(host, now)).await
    }

    async fn outstanding_commands(&self, host: &str) -> Result<u32, ReadError> {
        self.read(|t| t.outstanding.get(host).copied().unwrap_or(0)).await
    }

    async fn host_health(&self, group_id: &str) -> Result<Vec<HealthRow>, ReadError> {
        self.read(|t| t.health_of(group_id).cloned().collect()).await
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Wakeup>, CommitError> {
        self.interrupt().await;
        let fault = self.fault();
        if fault == Fault::Fails {
            return Err(CommitError::Unavailable("simulated".to_owned()));
        }
        let claimed = self.tables().claim(now, lease_until, limit as usize);
        match fault {
            Fault::Unknown => Err(CommitError::Unavailable("simulated".to_owned())),
            Fault::None | Fault::Fails => Ok(claimed),
        }
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, ReadError> {
        self.read(Tables::next_due).await
    }

    async fn latest_moment(&self) -> Result<Option<Timestamp>, ReadError> {
        self.read(Tables::latest_moment).await
    }

    async fn events(&self, after: i64, limit: u32) -> Result<Vec<EventRow>, ReadError> {
        self.read(|t| t.events.iter().filter(|e| e.seq > after).take(limit as usize).cloned().collect()).await
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }
}

/// Whether a wake-up of `key` is there, due or claimed; a question of the checker.
pub(crate) fn has_wakeup(store: &ModelStore, key: &WakeupKey) -> bool {
    store.look(|t| t.has_wakeup(key))
}

#[cfg(test)]
mod tests {
    use super::ModelStore;

    slipway_store::contract_tests!(((), ModelStore::new()));
}
