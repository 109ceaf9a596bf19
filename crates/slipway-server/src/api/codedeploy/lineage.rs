//! What a deployment follows from and what followed from it: `rollbackInfo` and `relatedDeployments` (DP-202, DP-203,
//! CF-303).

use slipway_engine::deployment::{DeploymentMachine, Successor};
use slipway_engine::text;
use slipway_model::DeploymentId;
use slipway_model::deployment::DeploymentRecord;
use slipway_wire::ApiError;
use slipway_wire::codedeploy as wire;

use crate::access::RequestContext;
use crate::error;
use crate::work::deployment::machine_of;

/// Most deployments that are named as updates of hosts left behind; more than a few follow only where hosts join all
/// the time.
const MOST_FOLLOW_ONS: usize = 100;

/// What a deployment rolls back, or what became of its own rollback.
pub(super) fn rollback_info(
    record: &DeploymentRecord,
    machine: &DeploymentMachine,
) -> Option<wire::RollbackInfo> {
    let id = record.id.as_str();
    if let Some(rolled_back) = &record.course.rollback_of {
        return Some(wire::RollbackInfo {
            rollback_deployment_id: None,
            rollback_triggering_deployment_id: Some(rolled_back.to_string()),
            rollback_message: Some(text::rolls_back(id, rolled_back.as_str())),
        });
    }
    match machine.successor() {
        Successor::Rollback(rollback) => Some(wire::RollbackInfo {
            rollback_deployment_id: Some(rollback.to_string()),
            rollback_triggering_deployment_id: None,
            rollback_message: Some(text::rolled_back(id, rollback.as_str())),
        }),
        Successor::NothingToRollBackTo => Some(wire::RollbackInfo {
            rollback_message: Some(text::not_rolled_back(id)),
            ..wire::RollbackInfo::default()
        }),
        Successor::None | Successor::RollbackWanted | Successor::FollowOnWanted | Successor::FollowOn(_) => {
            None
        }
    }
}

/// The deployments that updated hosts left behind, and the one that they follow.
pub(super) async fn related(
    context: &RequestContext,
    record: &DeploymentRecord,
    machine: &DeploymentMachine,
) -> Result<Option<wire::RelatedDeployments>, ApiError> {
    if let Some(root) = &record.course.follow_on_of {
        return Ok(Some(wire::RelatedDeployments {
            auto_update_outdated_instances_root_deployment_id: Some(root.to_string()),
            auto_update_outdated_instances_deployment_ids: None,
        }));
    }
    let mut ids = Vec::new();
    let mut next = follow_on(machine);
    while let Some(id) = next.take().filter(|_| ids.len() < MOST_FOLLOW_ONS) {
        if let Some(row) = context.control.store.deployment(&id).await.map_err(error::read)? {
            next = follow_on(&machine_of(&row).map_err(error::internal)?);
        }
        ids.push(id.to_string());
    }
    Ok((!ids.is_empty()).then_some(wire::RelatedDeployments {
        auto_update_outdated_instances_root_deployment_id: None,
        auto_update_outdated_instances_deployment_ids: Some(ids),
    }))
}

fn follow_on(machine: &DeploymentMachine) -> Option<DeploymentId> {
    match machine.successor() {
        Successor::FollowOn(id) => Some(id.clone()),
        _ => None,
    }
}
