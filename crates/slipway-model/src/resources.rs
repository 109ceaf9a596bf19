//! Applications, deployment groups, revisions and on-premises instances as they are stored.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::config::ComputePlatform;
use crate::deployment::AutoRollback;
use crate::group::GroupSettings;
use crate::revision::Revision;
use crate::tags::{Tag, TagSelection};

/// An application (CF-150).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// UUID; survives a rename.
    pub id: String,
    /// Name, unique per account and region.
    pub name: String,
    /// Where it is deployed to.
    pub platform: ComputePlatform,
    /// When it was created.
    pub created: Timestamp,
    /// Resource tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// A deployment group (CF-180).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentGroup {
    /// UUID; agents file everything under it, and a group made again under the same name has a new one (AS-044).
    pub id: String,
    /// Name, unique in its application.
    pub name: String,
    /// Id of the application.
    pub application_id: String,
    /// Configuration for deployments that name none.
    pub deployment_config_name: String,
    /// Role that the control plane acts as (D-30).
    pub service_role_arn: String,
    /// Which on-premises instances belong to it.
    pub on_premises: Option<TagSelection>,
    /// When a failed deployment is rolled back.
    pub auto_rollback: Option<AutoRollback>,
    /// Whether instances left on an older revision are updated afterwards; `UPDATE` or `IGNORE` (CF-300).
    pub outdated_instances_strategy: String,
    /// Everything else that it was given.
    #[serde(default)]
    pub settings: GroupSettings,
    /// When it was created.
    pub created: Timestamp,
    /// Resource tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// What an application and its groups are called since they were renamed. Deployments carry the names that they were
/// created with; only what was renamed stands here, so that most applications have no such record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentNames {
    /// Name of the application, if it was renamed.
    pub application: Option<String>,
    /// Names of renamed groups by their ids.
    #[serde(default)]
    pub groups: std::collections::BTreeMap<String, String>,
}

/// What deployments have done to a group; a record of its own, so that a finishing deployment and a changing user
/// never overwrite each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupHistory {
    /// The last deployment that ended `Succeeded`.
    pub last_successful: Option<PastDeployment>,
    /// The last deployment that ended, however it ended, or that is under way.
    pub last_attempted: Option<PastDeployment>,
    /// Revision of the last successful deployment (D-26).
    pub target_revision: Option<Revision>,
}

/// A deployment as a group remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastDeployment {
    /// Its id.
    pub id: crate::DeploymentId,
    /// How it stood when this was written.
    pub status: crate::status::DeploymentStatus,
    /// When it was created.
    pub created: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// A registered revision of an application (CF-360, CF-366).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredRevision {
    /// Where it is.
    pub revision: Revision,
    /// Free text.
    pub description: Option<String>,
    /// When it was registered, or first deployed without registration (CF-364).
    pub registered: Timestamp,
    /// When a deployment first used it.
    pub first_used: Option<Timestamp>,
    /// When a deployment last used it.
    pub last_used: Option<Timestamp>,
    /// Ids of the groups whose target revision it is or was.
    #[serde(default)]
    pub group_ids: Vec<String>,
}

/// A registered, or formerly registered, on-premises instance (AG-162..AG-211).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnPremisesInstance {
    /// Name.
    pub name: String,
    /// ARN of this registration; a new one each time the name is registered.
    pub arn: String,
    /// The identity that its agent signs with.
    pub identity: InstanceIdentity,
    /// When it was registered.
    pub registered: Timestamp,
    /// When it was deregistered; absent while it may be deployed to.
    pub deregistered: Option<Timestamp>,
    /// A set of pairs, sorted.
    pub tags: Vec<Tag>,
    /// The version that its agent last named (AP-02).
    #[serde(default)]
    pub agent_version: Option<String>,
}

/// How the agent of an on-premises instance signs (AP-06).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InstanceIdentity {
    /// With the key of an IAM user.
    User(String),
    /// With the credentials of an assumed-role session.
    Session(String),
}

impl InstanceIdentity {
    /// The ARN, which is also the host identifier that the agent polls with.
    pub fn arn(&self) -> &str {
        match self {
            Self::User(arn) | Self::Session(arn) => arn,
        }
    }
}
