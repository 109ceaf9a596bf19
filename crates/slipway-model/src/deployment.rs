//! The frozen copy of everything that a deployment needs: later changes to its group change nothing here.

use serde::{Deserialize, Serialize};

use crate::config::MinimumHealthyHosts;
use crate::group::AlarmConfiguration;
use crate::ids::{DeploymentId, Scope};
use crate::lifecycle::EventName;
use crate::revision::{FileExistsBehavior, Revision};
use crate::tags::TagSelection;
use crate::zones::ZonalConfig;
use crate::{Timestamp, lifecycle};

/// What a deployment was created with, after overrides and defaults (step 1 of the way of a deployment).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentRecord {
    /// Id.
    pub id: DeploymentId,
    /// Account and region.
    pub scope: Scope,
    /// Application id.
    pub application_id: String,
    /// Application name at creation.
    pub application_name: String,
    /// Group id.
    pub group_id: String,
    /// Group name at creation.
    pub group_name: String,
    /// Configuration name.
    pub config_name: String,
    /// Its minimum.
    pub minimum_healthy_hosts: MinimumHealthyHosts,
    /// What is deployed.
    pub revision: Revision,
    /// Revision of the group's last successful deployment before this one.
    pub previous_revision: Option<Revision>,
    /// Free text.
    pub description: Option<String>,
    /// Who started it: `user`, `codeDeployRollback` ….
    pub creator: String,
    /// When it was created.
    pub created: Timestamp,
    /// DP-009.
    pub ignore_application_stop_failures: bool,
    /// DP-012.
    pub update_outdated_instances_only: bool,
    /// AS-037.
    pub file_exists_behavior: FileExistsBehavior,
    /// Which hosts belong to the group; resolved when the deployment starts.
    pub on_premises: Option<TagSelection>,
    /// When a failure is rolled back.
    pub auto_rollback: Option<AutoRollback>,
    /// Alarms that replace those of the group (DP-003).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_alarms: Option<AlarmConfiguration>,
    /// What it follows from, and what may follow from it.
    #[serde(default)]
    pub course: Course,
    /// Role that the control plane acts as.
    pub service_role_arn: String,
    /// Limit of its targets (Q15).
    pub max_instances: u32,
    /// Pick-up limit, in milliseconds (Q18).
    pub pick_up_limit_ms: i64,
    /// Limit of one event, in milliseconds, without the grace of D-22 (Q23).
    pub event_limit_ms: i64,
    /// Limit of the whole deployment, in milliseconds (Q10).
    pub run_limit_ms: i64,
}

/// What sets a deployment apart from a plain one of a user; nothing does by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Course {
    /// One zone after the other (CF-050).
    pub zonal: Option<ZonalConfig>,
    /// The deployment that it rolls back (DP-202).
    pub rollback_of: Option<DeploymentId>,
    /// The deployment after which it updates the hosts that joined the group meanwhile, the first of them (CF-303).
    pub follow_on_of: Option<DeploymentId>,
    /// Whether its success is followed by such a deployment, if one is needed (CF-302).
    pub update_outdated_afterwards: bool,
}

impl DeploymentRecord {
    /// The lifecycle events that each of its hosts walks through (AS-225).
    pub fn events(&self) -> &'static [EventName] {
        lifecycle::IN_PLACE
    }
}

/// Automatic rollback settings (DP-210).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoRollback {
    /// Whether they are in force.
    pub enabled: bool,
    /// What triggers a rollback.
    pub events: Vec<AutoRollbackEvent>,
}

/// What triggers an automatic rollback (DP-211).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AutoRollbackEvent {
    /// The deployment failed.
    DeploymentFailure,
    /// An alarm stopped it.
    DeploymentStopOnAlarm,
    /// A user stopped it.
    DeploymentStopOnRequest,
}

impl AutoRollbackEvent {
    /// The wire form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeploymentFailure => "DEPLOYMENT_FAILURE",
            Self::DeploymentStopOnAlarm => "DEPLOYMENT_STOP_ON_ALARM",
            Self::DeploymentStopOnRequest => "DEPLOYMENT_STOP_ON_REQUEST",
        }
    }

    /// Reads the wire form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::DeploymentFailure, Self::DeploymentStopOnAlarm, Self::DeploymentStopOnRequest]
            .into_iter()
            .find(|e| e.as_str() == text)
    }
}
