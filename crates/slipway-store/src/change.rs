//! Change sets: what is written together.

use slipway_model::status::{DeploymentStatus, TargetStatus};
use slipway_model::{DeploymentId, Timestamp};

use crate::rows::{
    DeploymentRow, Document, DocumentKey, EventRow, HealthRow, Kind, Notice, Partition, TargetKey, TargetRow,
    WakeupKey,
};

/// One conditional write.
#[derive(Debug, Clone)]
pub enum Write {
    /// Adds a document; its `version` is ignored. Fails with [`CommitError::Exists`] when the key is taken.
    Insert(Document),
    /// Replaces the body of a document whose version is still the given one.
    Replace(Document),
    /// Inserts the document, or replaces it whatever its version.
    Put(Document),
    /// Removes a document, only at `version` if one is given. Removing what is not there is no error without version.
    Delete {
        /// Which.
        key: DocumentKey,
        /// Only at this version.
        version: Option<i64>,
    },
    /// Removes all documents of a kind under a parent.
    DeleteChildren {
        /// Where.
        partition: Partition,
        /// What.
        kind: Kind,
        /// Under what.
        parent: String,
    },
    /// Changes nothing; fails with [`CommitError::Conflict`] unless the document is there at this version.
    Require {
        /// Which.
        key: DocumentKey,
        /// At this version.
        version: i64,
    },
    /// Changes nothing; fails with [`CommitError::Conflict`] if there is a document of the kind under the parent.
    RequireNone {
        /// Where.
        partition: Partition,
        /// What.
        kind: Kind,
        /// Under what.
        parent: String,
    },
    /// Adds a deployment. Fails with [`CommitError::GroupBusy`] while another one of its group has not ended, and with
    /// [`CommitError::Exists`] when the id is taken.
    InsertDeployment(Box<DeploymentRow>),
    /// Writes status and machine of a deployment whose version is still the given one.
    UpdateDeployment {
        /// Which.
        id: DeploymentId,
        /// Only at this version.
        version: i64,
        /// New status.
        status: DeploymentStatus,
        /// New machine.
        machine: String,
    },
    /// Removes the deployments of a group with their targets, wake-ups and health (the event log stays).
    ForgetGroup {
        /// Group id.
        group_id: String,
    },
    /// Adds targets; their versions are ignored.
    InsertTargets(Vec<TargetRow>),
    /// Writes everything that may change about a target whose version is still the one in the row.
    UpdateTarget(Box<TargetRow>),
    /// Gives every target of the deployment with an ordinal of at least `first` and status `Pending` this status and
    /// machine, counted. For targets that will never be started.
    SkipPending {
        /// Deployment.
        deployment: DeploymentId,
        /// First ordinal.
        first: u32,
        /// New status.
        status: TargetStatus,
        /// New machine.
        machine: String,
        /// When.
        at: Timestamp,
    },
    /// Takes the "ended, not counted" mark from targets. Fails with [`CommitError::Conflict`] when one had none.
    MarkCounted {
        /// Deployment.
        deployment: DeploymentId,
        /// Ordinals.
        ordinals: Vec<u32>,
    },
    /// Writes the health of a host.
    PutHealth(HealthRow),
    /// Makes a host unhealthy; what was last installed on it with success stays (CF-016).
    FailHealth {
        /// Group.
        group_id: String,
        /// Host.
        host: String,
    },
    /// Forgets what is installed on the hosts on which `deployment` failed, where it is `revision` (CF-014).
    ForgetInstalled {
        /// Group.
        group_id: String,
        /// Deployment.
        deployment: DeploymentId,
        /// Identity of the revision.
        revision: String,
    },
    /// Asks for a wake-up at `due` or earlier; one that is already asked for earlier stays as it is.
    Wake {
        /// What for.
        key: WakeupKey,
        /// When.
        due: Timestamp,
    },
    /// Sets the only wake-up of `key` to exactly `due`, or takes it away. For timers of a row that the same change set
    /// guards by its version.
    SetTimer {
        /// What for.
        key: WakeupKey,
        /// When; `None`: not at all.
        due: Option<Timestamp>,
    },
    /// Ends the lease of a claimed wake-up: sets it to `next`, or takes it away; unless someone has asked for it again
    /// since it was claimed (its `seq` moved): then it stays due at the earlier of the two.
    Settle {
        /// What was claimed.
        key: WakeupKey,
        /// The sequence number that was claimed.
        seq: i64,
        /// When it is due next.
        next: Option<Timestamp>,
    },
    /// Appends to the event log; its `seq` is ignored.
    Event(EventRow),
}

/// Writes that happen together or not at all, and what is told to listeners afterwards.
#[derive(Debug, Clone, Default)]
pub struct ChangeSet {
    /// In this order.
    pub writes: Vec<Write>,
    /// Sent after the commit, in this order. A [`Notice::WorkDue`] is added for wake-ups by the store itself.
    pub notices: Vec<Notice>,
}

impl ChangeSet {
    /// An empty change set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write.
    #[must_use]
    pub fn with(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    /// Adds a write.
    pub fn push(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Adds a notice.
    pub fn notify(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}

/// Why a change set was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A row or document is not at the version that was read: read again and decide again.
    #[error("{what} was changed by someone else")]
    Conflict {
        /// Which row.
        what: String,
    },
    /// The key of an insert is taken.
    #[error("{what} exists already")]
    Exists {
        /// Which key.
        what: String,
        /// The document key, when it was a document.
        key: Option<DocumentKey>,
    },
    /// The deployment group has a deployment that has not ended (CF-370).
    #[error("deployment {active} of the same deployment group has not ended")]
    GroupBusy {
        /// The other deployment.
        active: DeploymentId,
    },
    /// The disk is full; nothing was written.
    #[error("the disk of the database is full: {0}")]
    DiskFull(String),
    /// The store cannot be reached or is shutting down; it is not known whether the change happened.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

/// A target key as it stands in error messages and wake-up keys.
impl std::fmt::Display for TargetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.deployment, self.ordinal)
    }
}
