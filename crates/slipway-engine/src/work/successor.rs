//! The deployments that the control plane starts itself: what they take from the one that they follow.

use slipway_model::deployment::{Course, DeploymentRecord};
use slipway_model::{DeploymentId, Timestamp};

/// Creator of an automatic rollback (DP-202).
const ROLLBACK: &str = "codeDeployRollback";
/// Creator of a deployment that updates the hosts which joined the group meanwhile (CF-303).
const FOLLOW_ON: &str = "CodeDeployAutoUpdate";

/// Deploys what `good` deployed, to the hosts and with the configuration of the one that failed (DP-220..DP-222, D-13),
/// but not zone by zone (CF-061).
pub(super) fn rollback(
    failed: &DeploymentRecord,
    good: &DeploymentRecord,
    id: DeploymentId,
    now: Timestamp,
) -> DeploymentRecord {
    DeploymentRecord {
        id,
        creator: ROLLBACK.to_owned(),
        created: now,
        description: None,
        revision: good.revision.clone(),
        previous_revision: Some(good.revision.clone()),
        file_exists_behavior: good.file_exists_behavior,
        update_outdated_instances_only: false,
        course: Course {
            rollback_of: Some(failed.id.clone()),
            update_outdated_afterwards: failed.course.update_outdated_afterwards,
            ..Course::default()
        },
        ..failed.clone()
    }
}

/// Deploys the same again, to the hosts that do not run it yet. Its failure is not rolled back: there is nothing else
/// to roll back to than what it deploys.
pub(super) fn follow_on(done: &DeploymentRecord, id: DeploymentId, now: Timestamp) -> DeploymentRecord {
    let root = done.course.follow_on_of.clone().unwrap_or_else(|| done.id.clone());
    DeploymentRecord {
        id,
        creator: FOLLOW_ON.to_owned(),
        created: now,
        description: None,
        previous_revision: Some(done.revision.clone()),
        update_outdated_instances_only: true,
        auto_rollback: None,
        course: Course { rollback_of: None, follow_on_of: Some(root), ..done.course.clone() },
        ..done.clone()
    }
}
