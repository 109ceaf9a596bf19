//! What users and hook functions tell a running deployment: go on, do not wait, the hook has ended (DP-108, DP-109).
//!
//! All of it belongs to blue/green, Lambda and ECS deployments. There are none of these, so every deployment that
//! exists answers as AWS does for one in place.

use slipway_model::DeploymentId;
use slipway_model::status::DeploymentStatus;
use slipway_store::DeploymentRow;
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::deployment_id;
use super::deployments;
use crate::access::RequestContext;
use crate::error::api;

/// Longest id of a hook execution, in characters: ours are far shorter.
const LONGEST_EXECUTION_ID: usize = 1024;

pub(super) async fn continue_deployment(
    context: &RequestContext,
    input: wire::ContinueDeploymentInput,
) -> Result<(), ApiError> {
    let id = deployment_id(input.deployment_id.as_deref())?;
    let (row, _) = deployments::load(context, "ContinueDeployment", &id).await?;
    match input.deployment_wait_type.as_deref() {
        None | Some("READY_WAIT" | "TERMINATION_WAIT") => {}
        Some(other) => {
            return api(
                ErrorKind::InvalidDeploymentWaitTypeException,
                format!("deploymentWaitType {other:?} is neither READY_WAIT nor TERMINATION_WAIT."),
            );
        }
    }
    check_under_way(&row)?;
    in_place(&id, "It waits neither for rerouting nor for terminating instances.")
}

pub(super) async fn skip_termination_wait(
    context: &RequestContext,
    input: wire::SkipWaitTimeForInstanceTerminationInput,
) -> Result<(), ApiError> {
    let id = deployment_id(input.deployment_id.as_deref())?;
    let (row, _) = deployments::load(context, "SkipWaitTimeForInstanceTermination", &id).await?;
    check_under_way(&row)?;
    if row.status == DeploymentStatus::Created {
        return api(
            ErrorKind::DeploymentNotStartedException,
            format!("Deployment {id} has not started yet."),
        );
    }
    in_place(&id, "It terminates no instances.")
}

pub(super) async fn put_hook_status(
    context: &RequestContext,
    input: wire::PutLifecycleEventHookExecutionStatusInput,
) -> Result<wire::PutLifecycleEventHookExecutionStatusOutput, ApiError> {
    let id = deployment_id(input.deployment_id.as_deref())?;
    context.permit(context.call("PutLifecycleEventHookExecutionStatus")).await?;
    let execution = input.lifecycle_event_hook_execution_id.as_deref().unwrap_or_default();
    if execution.is_empty() || execution.chars().count() > LONGEST_EXECUTION_ID {
        return api(
            ErrorKind::InvalidLifecycleEventHookExecutionIdException,
            "lifecycleEventHookExecutionId must be the one that the hook function was called with.",
        );
    }
    match input.status.as_deref() {
        Some("Succeeded" | "Failed") => {}
        other => {
            return api(
                ErrorKind::InvalidLifecycleEventHookExecutionStatusException,
                format!("status {:?} is neither Succeeded nor Failed.", other.unwrap_or_default()),
            );
        }
    }
    deployments::find(context, &id).await?;
    in_place(&id, "It calls no hook functions.")
}

fn check_under_way(row: &DeploymentRow) -> Result<(), ApiError> {
    if row.status.is_terminal() {
        return api(
            ErrorKind::DeploymentAlreadyCompletedException,
            format!("Deployment {} has ended already: {}", row.id, row.status),
        );
    }
    Ok(())
}

fn in_place<T>(id: &DeploymentId, consequence: &str) -> Result<T, ApiError> {
    api(
        ErrorKind::UnsupportedActionForDeploymentTypeException,
        format!("Deployment {id} is in place. {consequence}"),
    )
}
