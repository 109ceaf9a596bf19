//! What the store keeps.

use std::fmt;

use slipway_model::status::{DeploymentStatus, TargetStatus};
use slipway_model::{AccountId, DeploymentId, Scope, Timestamp};

/// Where a document belongs; nothing is ever visible across partitions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Partition {
    /// An account and region: CodeDeploy resources.
    Regional(Scope),
    /// An account: IAM.
    Account(AccountId),
    /// The whole installation: access keys, which must be found before the account is known.
    Installation,
}

impl fmt::Display for Partition {
    /// The stored form; unambiguous because account ids and regions contain no `/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regional(scope) => write!(f, "{}/{}", scope.account, scope.region),
            Self::Account(account) => write!(f, "{account}/"),
            Self::Installation => f.write_str("/"),
        }
    }
}

/// Kinds of documents. The discriminants are stored: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Application; no parent.
    Application = 1,
    /// Deployment group; parent: application id.
    DeploymentGroup = 2,
    /// What deployments did to a group; parent: application id, name: group id.
    GroupHistory = 3,
    /// Registered revision; parent: application id, name: its identity.
    Revision = 4,
    /// On-premises instance; no parent.
    OnPremisesInstance = 5,
    /// Claim of an instance on the ARN that its agent signs with; name: the ARN, body: the instance's name.
    InstanceIdentity = 6,
    /// Custom deployment configuration; no parent.
    DeploymentConfig = 7,
    /// Names that an application and its groups have had since a rename; name: application id. Absent: none renamed.
    PresentNames = 8,
    /// Use of a custom configuration by a group; parent: configuration name, name: group id, body empty.
    ConfigUse = 9,
    /// Claim of a group on an ECS service (Q19); name: `cluster:service`, body: the group's id.
    EcsServiceClaim = 10,
    /// Stored GitHub connection; no parent.
    GitHubToken = 11,
    /// IAM user; no parent.
    IamUser = 20,
    /// IAM role; no parent.
    IamRole = 21,
    /// Customer-managed policy; no parent.
    IamPolicy = 22,
    /// Access key, in the installation's partition; name: the key id.
    AccessKey = 23,
    /// Access key of a user, in the account's partition; parent: user name, name: key id, body empty.
    UserAccessKey = 24,
    /// IAM group; no parent.
    IamGroup = 25,
    /// User of a group; parent: group name, name: user name, body empty.
    IamGroupMember = 26,
    /// IAM instance profile; no parent.
    IamInstanceProfile = 27,
    /// When an access key was last used, in the installation's partition; name: the key id.
    AccessKeyUse = 28,
    /// Installation settings that must survive a restart; name: what it is.
    Setting = 40,
}

/// Key of a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentKey {
    /// Where it belongs.
    pub partition: Partition,
    /// What it is.
    pub kind: Kind,
    /// What it is listed under; empty for none.
    pub parent: String,
    /// Unique under the parent.
    pub name: String,
}

/// A JSON body under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Key.
    pub key: DocumentKey,
    /// JSON text, opaque to the store.
    pub body: String,
    /// Version, set by the store: one more with each replacement, and never one that was read under this key before,
    /// also when the document was deleted and another one inserted since.
    pub version: i64,
}

/// Row of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentRow {
    /// Id, unique over the installation.
    pub id: DeploymentId,
    /// Account and region.
    pub scope: Scope,
    /// Application id.
    pub application_id: String,
    /// Group id.
    pub group_id: String,
    /// Status; while it is not terminal no other deployment of the group can be inserted.
    pub status: DeploymentStatus,
    /// When it was created.
    pub created: Timestamp,
    /// JSON of the frozen copy; never changes.
    pub record: String,
    /// JSON of the deployment machine.
    pub machine: String,
    /// Version, set by the store.
    pub version: i64,
}

/// Which deployments to list.
#[derive(Debug, Clone)]
pub struct DeploymentQuery {
    /// Account and region.
    pub scope: Scope,
    /// Only of this application.
    pub application_id: Option<String>,
    /// Only of this group.
    pub group_id: Option<String>,
    /// Only with one of these statuses; empty: any.
    pub statuses: Vec<DeploymentStatus>,
    /// Only created at or after this time.
    pub created_from: Option<Timestamp>,
    /// Only created at or before this time.
    pub created_to: Option<Timestamp>,
    /// Continue behind this one (creation time and id of the last one listed).
    pub after: Option<(Timestamp, DeploymentId)>,
    /// At most so many.
    pub limit: u32,
}

/// A time of a registered revision, to list by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevisionTime {
    /// When it was registered.
    Registered,
    /// When a deployment first used it; one never used counts as used at the beginning of time.
    FirstUsed,
    /// When a deployment last used it; likewise.
    LastUsed,
}

/// Which registered revisions to list, in the order of one of their times, ties by name.
#[derive(Debug, Clone)]
pub struct RevisionQuery {
    /// Where.
    pub partition: Partition,
    /// Of which application.
    pub application_id: String,
    /// By which time.
    pub by: RevisionTime,
    /// Latest first.
    pub descending: bool,
    /// Continue behind this one (time and name of the last one listed).
    pub after: Option<(Timestamp, String)>,
    /// At most so many.
    pub limit: u32,
}

/// Key of a target: its deployment and its place in the order of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetKey {
    /// Deployment.
    pub deployment: DeploymentId,
    /// Place in the order in which targets are started, from 0.
    pub ordinal: u32,
}

/// Row of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRow {
    /// Key.
    pub key: TargetKey,
    /// The host: the key that its polls are parked under. Unique per registration (the instance's ARN).
    pub host: String,
    /// The id that the public API shows.
    pub name: String,
    /// Status.
    pub status: TargetStatus,
    /// From when on its current command may be handed out; absent while there is nothing to hand out.
    pub offer_at: Option<Timestamp>,
    /// Whether a command is out and has not ended.
    pub outstanding: bool,
    /// Whether it has ended and its deployment does not know yet.
    pub uncounted: bool,
    /// When it last changed.
    pub updated: Timestamp,
    /// JSON of the target machine.
    pub machine: String,
    /// Version, set by the store.
    pub version: i64,
}

/// Which targets to list.
#[derive(Debug, Clone)]
pub struct TargetQuery {
    /// Deployment.
    pub deployment: DeploymentId,
    /// Only with one of these statuses; empty: any.
    pub statuses: Vec<TargetStatus>,
    /// From this ordinal on.
    pub from: u32,
    /// At most so many.
    pub limit: u32,
}

/// Health of a host as a deployment group sees it (CF-010, CF-011).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthRow {
    /// Group id.
    pub group_id: String,
    /// Host, as in [`TargetRow::host`].
    pub host: String,
    /// Whether the last attempt to deploy to it succeeded.
    pub healthy: bool,
    /// Identity of the revision that was last installed with success; absent: none.
    pub installed_revision: Option<String>,
}

/// What a wake-up is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WakeupKey {
    /// A deployment has something to do.
    Deployment(DeploymentId),
    /// A target's time limit has come.
    Target(TargetKey),
}

/// A claimed wake-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wakeup {
    /// What for.
    pub key: WakeupKey,
    /// Changes whenever someone asks for the wake-up again; [`crate::Write::Settle`] needs the one that was claimed.
    pub seq: i64,
    /// When it was due.
    pub due: Timestamp,
}

/// An entry of the event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Sequence number, set by the store, ascending in the order of commits.
    pub seq: i64,
    /// Account and region.
    pub scope: Scope,
    /// Deployment.
    pub deployment: DeploymentId,
    /// Name of the target, for what concerns one.
    pub target: Option<String>,
    /// When.
    pub at: Timestamp,
    /// JSON of what happened.
    pub what: String,
}

/// Told to everybody who listens, after a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A command is ready for this host.
    HostReady(String),
    /// A wake-up is due now or earlier than before.
    WorkDue,
    /// Something about this deployment changed that a watcher may want to see.
    DeploymentChanged(DeploymentId),
}
