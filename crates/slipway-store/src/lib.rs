//! Durable state behind one trait.
//!
//! [`Store`] has one way to write, [`Store::commit`], which takes a [`ChangeSet`]: a list of conditional [`Write`]s that
//! happen together or not at all. Reads are plain questions. Whoever changes something reads it, decides, and commits
//! the result *where the version is still what was read*; a [`CommitError::Conflict`] means that someone else did the
//! work: read again and decide again. There is no other path, neither for start-up nor for recovery.
//!
//! **Durability promise:** when `commit` returns `Ok`, the change survives `kill -9` and power loss. When it returns an
//! error other than [`CommitError::Unavailable`], nothing of it happened. After `Unavailable` it may have happened:
//! every write is conditional, so repeating the change set is safe.
//!
//! What is stored:
//! - **documents** ([`Document`]): applications, groups, revisions, instances, users, roles, keys …: JSON bodies under a
//!   key with an optimistic version; claims on unique values are documents too;
//! - **deployments** and **targets**, the rows of the two state machines of the engine, with what must be found quickly
//!   beside the serialised machine;
//! - **wake-ups** ([`Wakeup`]): what is due when;
//! - **host health** per deployment group, and the **event log**.
//!
//! | module | what is in it |
//! |---|---|
//! | [`rows`] | the rows and keys |
//! | [`change`] | change sets and their errors |
//! | `sqlite` | (feature `sqlite`) the embedded store |
//! | `contract` | (feature `contract`) the promises as tests, for every store to pass |

pub mod change;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod rows;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use async_trait::async_trait;
use slipway_model::{AccountId, DeploymentId, Timestamp};
use tokio::sync::broadcast;

pub use change::{ChangeSet, CommitError, Write};
pub use rows::{
    DeploymentQuery, DeploymentRow, Document, DocumentKey, EventRow, HealthRow, Kind, Notice, Partition,
    RevisionQuery, RevisionTime, TargetKey, TargetQuery, TargetRow, Wakeup, WakeupKey,
};

/// A read that could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database is closed, locked for too long, or damaged; the message says which.
    #[error("the store cannot be read: {0}")]
    Unavailable(String),
}

/// Durable state. See the crate's page for the promises.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes all writes of `change` durable, or none.
    async fn commit(&self, change: ChangeSet) -> Result<(), CommitError>;

    /// The document under `key`.
    async fn document(&self, key: &DocumentKey) -> Result<Option<Document>, ReadError>;

    /// Documents of one kind under one parent, by name, after `after`, at most `limit`.
    async fn documents(
        &self,
        partition: &Partition,
        kind: Kind,
        parent: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Document>, ReadError>;

    /// How many documents of one kind there are under one parent.
    async fn count_documents(
        &self,
        partition: &Partition,
        kind: Kind,
        parent: &str,
    ) -> Result<u64, ReadError>;

    /// Registered revisions of an application by one of their times. The one question that looks into a body: it must
    /// be that of a `RegisteredRevision`.
    async fn revisions(&self, query: &RevisionQuery) -> Result<Vec<Document>, ReadError>;

    /// A deployment.
    async fn deployment(&self, id: &DeploymentId) -> Result<Option<DeploymentRow>, ReadError>;

    /// Deployments, newest first (by creation time, then id).
    async fn deployments(&self, query: &DeploymentQuery) -> Result<Vec<DeploymentRow>, ReadError>;

    /// How many deployments of an account have not ended.
    async fn count_active_deployments(&self, account: &AccountId) -> Result<u64, ReadError>;

    /// One target.
    async fn target(&self, key: &TargetKey) -> Result<Option<TargetRow>, ReadError>;

    /// The target of a deployment that has this name (the id that the public API shows).
    async fn target_by_name(
        &self,
        deployment: &DeploymentId,
        name: &str,
    ) -> Result<Option<TargetRow>, ReadError>;

    /// The target of a deployment that is this host.
    async fn target_by_host(
        &self,
        deployment: &DeploymentId,
        host: &str,
    ) -> Result<Option<TargetRow>, ReadError>;

    /// Targets of a deployment in the order of their ordinals.
    async fn targets(&self, query: &TargetQuery) -> Result<Vec<TargetRow>, ReadError>;

    /// Targets that ended and whose deployment has not counted them yet, at most `limit`.
    async fn uncounted_targets(
        &self,
        deployment: &DeploymentId,
        limit: u32,
    ) -> Result<Vec<TargetRow>, ReadError>;

    /// The target of this host, of any deployment, whose command has waited longest and may be handed out at `now`.
    async fn next_command(&self, host: &str, now: Timestamp) -> Result<Option<TargetRow>, ReadError>;

    /// How many commands this host has been given and not finished (AP-38: never more than 16).
    async fn outstanding_commands(&self, host: &str) -> Result<u32, ReadError>;

    /// Health of every host that deployments of this group have touched.
    async fn host_health(&self, group_id: &str) -> Result<Vec<HealthRow>, ReadError>;

    /// Takes wake-ups that are due at `now` and not leased, at most `limit`, and leases them until `lease_until`.
    async fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Wakeup>, CommitError>;

    /// When the next wake-up is due or its lease ends, whichever is later; `None` when there is none.
    async fn next_due(&self) -> Result<Option<Timestamp>, ReadError>;

    /// The latest moment that a deployment that has not ended remembers: its creation, or the last change of one of its
    /// targets. `None` when nothing is under way.
    async fn latest_moment(&self) -> Result<Option<Timestamp>, ReadError>;

    /// Entries of the event log with a sequence number above `after`, at most `limit`.
    async fn events(&self, after: i64, limit: u32) -> Result<Vec<EventRow>, ReadError>;

    /// Notices of commits, of this node and of others, from now on. Lossy on purpose: a receiver that lags must look
    /// at the store itself.
    fn notices(&self) -> broadcast::Receiver<Notice>;
}
