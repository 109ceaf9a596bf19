//! Statuses of deployments and targets, and why deployments fail.

use serde::{Deserialize, Serialize};

use crate::lifecycle::text_enum;

text_enum! {
    /// Status of a deployment.
    DeploymentStatus {
        /// Accepted and stored.
        Created,
        /// Waits for its turn.
        Queued,
        /// Targets are being worked on.
        InProgress,
        /// Waits after a traffic shift (in the API model; not used ).
        Baking,
        /// Ended well.
        Succeeded,
        /// Ended badly.
        Failed,
        /// Ended on request or by an alarm.
        Stopped,
        /// Blue/green: waits for a decision to reroute.
        Ready,
    }
}

impl DeploymentStatus {
    /// Whether the deployment has ended.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Stopped)
    }
}

text_enum! {
    /// Status of one target of a deployment.
    TargetStatus {
        /// Waits for its turn.
        Pending,
        /// Walks through its lifecycle events.
        InProgress,
        /// All events ended well.
        Succeeded,
        /// An event failed.
        Failed,
        /// Will not be attempted.
        Skipped,
        /// Nobody knows.
        Unknown,
        /// Blue/green: waits for traffic.
        Ready,
    }
}

impl TargetStatus {
    /// Whether the target has ended.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped)
    }
}

/// Deployment-level error codes (AS-214); grows with the features that raise them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// An agent cannot be used.
    AgentIssue,
    /// An alarm stopped it (DP-224).
    AlarmActive,
    /// The application was deleted between creation and start.
    ApplicationMissing,
    /// The group was deleted between creation and start.
    DeploymentGroupMissing,
    /// Too many targets failed (CF-036, CF-038).
    HealthConstraints,
    /// The minimum leaves nothing to deploy to (CF-030).
    HealthConstraintsInvalid,
    /// The service role does not exist any more.
    IamRoleMissing,
    /// The service role may not do what is needed.
    IamRolePermissions,
    /// Our fault.
    InternalError,
    /// The revision cannot be used.
    InvalidRevision,
    /// Stopped by StopDeployment.
    ManualStop,
    /// The group selects nothing (CF-031).
    NoInstances,
    /// More targets than the quota allows (Q15).
    OverMaxInstances,
    /// The revision is gone.
    RevisionMissing,
    /// The deployment ran too long (AS-167).
    Timeout,
}

impl ErrorCode {
    /// The wire form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentIssue => "AGENT_ISSUE",
            Self::AlarmActive => "ALARM_ACTIVE",
            Self::ApplicationMissing => "APPLICATION_MISSING",
            Self::DeploymentGroupMissing => "DEPLOYMENT_GROUP_MISSING",
            Self::HealthConstraints => "HEALTH_CONSTRAINTS",
            Self::HealthConstraintsInvalid => "HEALTH_CONSTRAINTS_INVALID",
            Self::IamRoleMissing => "IAM_ROLE_MISSING",
            Self::IamRolePermissions => "IAM_ROLE_PERMISSIONS",
            Self::InternalError => "INTERNAL_ERROR",
            Self::InvalidRevision => "INVALID_REVISION",
            Self::ManualStop => "MANUAL_STOP",
            Self::NoInstances => "NO_INSTANCES",
            Self::OverMaxInstances => "OVER_MAX_INSTANCES",
            Self::RevisionMissing => "REVISION_MISSING",
            Self::Timeout => "TIMEOUT",
        }
    }
}

/// Why a deployment did not succeed; `errorInformation` of the public API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInformation {
    /// Class.
    pub code: ErrorCode,
    /// The documented text, with what is particular to this deployment.
    pub message: String,
}
