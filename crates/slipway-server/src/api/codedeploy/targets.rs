//! Targets of deployments, in both generations of the API: targets and instances (DP-107, CF-005, CF-006).

use slipway_model::DeploymentId;
use slipway_model::deployment::DeploymentRecord;
use slipway_model::names::is_valid_resource_name;
use slipway_model::status::{DeploymentStatus, TargetStatus};
use slipway_store::{DeploymentRow, TargetQuery, TargetRow};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{BATCH, PAGE, batch, deployment_id, required};
use super::{convert, deployments};
use crate::access::RequestContext;
use crate::error::{self, api};
use crate::work::target::machine_of;

async fn load(
    context: &RequestContext,
    action: &str,
    id: &DeploymentId,
) -> Result<(DeploymentRow, DeploymentRecord), ApiError> {
    let (row, record) = deployments::load(context, action, id).await?;
    if row.status == DeploymentStatus::Created {
        return api(
            ErrorKind::DeploymentNotStartedException,
            format!("Deployment {id} has not started yet: its targets are not known."),
        );
    }
    Ok((row, record))
}

pub(super) async fn list(
    context: &RequestContext,
    input: wire::ListDeploymentTargetsInput,
) -> Result<wire::ListDeploymentTargetsOutput, ApiError> {
    let id = deployment_id(input.deployment_id.as_deref())?;
    load(context, "ListDeploymentTargets", &id).await?;
    let mut statuses = Vec::new();
    for (filter, values) in input.target_filters.iter().flatten() {
        match filter.as_str() {
            "TargetStatus" => statuses.extend(read_statuses(values)?),
            "ServerInstanceLabel" => {
                if let Some(bad) = values.iter().find(|v| !["Blue", "Green"].contains(&v.as_str())) {
                    return api(
                        ErrorKind::InvalidDeploymentInstanceTypeException,
                        format!("ServerInstanceLabel {bad:?} is neither Blue nor Green."),
                    );
                }
                // Labels belong to blue/green deployments: nothing of a deployment in place carries one.
                return Ok(wire::ListDeploymentTargetsOutput {
                    target_ids: Some(Vec::new()),
                    next_token: None,
                });
            }
            other => {
                return api(
                    ErrorKind::InvalidTargetFilterNameException,
                    format!("Target filter {other:?} is neither TargetStatus nor ServerInstanceLabel."),
                );
            }
        }
    }
    let (names, next_token) =
        page(context, "ListDeploymentTargets", &id, statuses, input.next_token.as_deref()).await?;
    Ok(wire::ListDeploymentTargetsOutput { target_ids: Some(names), next_token })
}

pub(super) async fn list_instances(
    context: &RequestContext,
    input: wire::ListDeploymentInstancesInput,
) -> Result<wire::ListDeploymentInstancesOutput, ApiError> {
    let id = deployment_id(input.deployment_id.as_deref())?;
    load(context, "ListDeploymentInstances", &id).await?;
    let statuses = read_statuses(input.instance_status_filter.as_deref().unwrap_or_default())?;
    if let Some(kinds) = input.instance_type_filter.as_deref().filter(|k| !k.is_empty()) {
        if let Some(bad) = kinds.iter().find(|k| !["Blue", "Green"].contains(&k.as_str())) {
            return api(
                ErrorKind::InvalidInstanceTypeException,
                format!("instanceTypeFilter {bad:?} is neither Blue nor Green."),
            );
        }
        return Ok(wire::ListDeploymentInstancesOutput {
            instances_list: Some(Vec::new()),
            next_token: None,
        });
    }
    let (names, next_token) =
        page(context, "ListDeploymentInstances", &id, statuses, input.next_token.as_deref()).await?;
    Ok(wire::ListDeploymentInstancesOutput { instances_list: Some(names), next_token })
}

fn read_statuses(texts: &[String]) -> Result<Vec<TargetStatus>, ApiError> {
    texts
        .iter()
        .map(|text| {
            TargetStatus::parse(text).ok_or_else(|| {
                ApiError::new(
                    ErrorKind::InvalidInstanceStatusException,
                    format!("{text:?} is not a status of a target."),
                )
            })
        })
        .collect()
}

async fn page(
    context: &RequestContext,
    list: &str,
    id: &DeploymentId,
    statuses: Vec<TargetStatus>,
    token: Option<&str>,
) -> Result<(Vec<String>, Option<String>), ApiError> {
    let list = format!("{list}/{id}");
    let from = context.read_page_token(&list, token)?.and_then(|place| place.parse().ok()).unwrap_or(0);
    let limit = u32::try_from(PAGE + 1).unwrap_or(u32::MAX);
    let query = TargetQuery { deployment: id.clone(), statuses, from, limit };
    let mut rows = context.control.store.targets(&query).await.map_err(error::read)?;
    let next_token = (rows.len() > PAGE)
        .then(|| rows.pop())
        .flatten()
        .map(|first_of_next| context.page_token(&list, &first_of_next.key.ordinal.to_string()));
    Ok((rows.into_iter().map(|row| row.name).collect(), next_token))
}

pub(super) async fn get(
    context: &RequestContext,
    input: wire::GetDeploymentTargetInput,
) -> Result<wire::GetDeploymentTargetOutput, ApiError> {
    let id = deployment_id(input.deployment_id.as_deref())?;
    let target =
        required(input.target_id.as_deref(), ErrorKind::DeploymentTargetIdRequiredException, "targetId")?;
    well_formed(target, ErrorKind::InvalidDeploymentTargetIdException, "targetId")?;
    load(context, "GetDeploymentTarget", &id).await?;
    let row = find(context, &id, target).await?;
    Ok(wire::GetDeploymentTargetOutput { deployment_target: Some(to_target(&row)?) })
}

pub(super) async fn batch_get(
    context: &RequestContext,
    input: wire::BatchGetDeploymentTargetsInput,
) -> Result<wire::BatchGetDeploymentTargetsOutput, ApiError> {
    let id = deployment_id(input.deployment_id.as_deref())?;
    let names = input.target_ids.unwrap_or_default();
    if names.is_empty() {
        return api(ErrorKind::DeploymentTargetIdRequiredException, "targetIds needs at least one id.");
    }
    if names.len() > BATCH {
        return api(
            ErrorKind::DeploymentTargetListSizeExceededException,
            format!("{} target ids were given; the limit is {BATCH}.", names.len()),
        );
    }
    for name in &names {
        well_formed(name, ErrorKind::InvalidDeploymentTargetIdException, "targetIds")?;
    }
    load(context, "BatchGetDeploymentTargets", &id).await?;
    let mut targets = Vec::with_capacity(names.len());
    for name in &names {
        targets.push(to_target(&find(context, &id, name).await?)?);
    }
    Ok(wire::BatchGetDeploymentTargetsOutput { deployment_targets: Some(targets) })
}

/// Whether this can be the id of an instance: of EC2, or the name of an on-premises one.
fn well_formed(name: &str, invalid: ErrorKind, member: &str) -> Result<(), ApiError> {
    if is_valid_resource_name(name) {
        return Ok(());
    }
    api(
        invalid,
        format!(
            "{member}: {name:?} is not valid: use 1 to 100 characters from letters, digits and + = , . @ _ -"
        ),
    )
}

async fn find(context: &RequestContext, id: &DeploymentId, name: &str) -> Result<TargetRow, ApiError> {
    match context.control.store.target_by_name(id, name).await.map_err(error::read)? {
        Some(row) => Ok(row),
        None => api(
            ErrorKind::DeploymentTargetDoesNotExistException,
            format!("Deployment {id} has no target {name}"),
        ),
    }
}

pub(super) async fn get_instance(
    context: &RequestContext,
    input: wire::GetDeploymentInstanceInput,
) -> Result<wire::GetDeploymentInstanceOutput, ApiError> {
    let id = deployment_id(input.deployment_id.as_deref())?;
    let name = required(input.instance_id.as_deref(), ErrorKind::InstanceIdRequiredException, "instanceId")?;
    well_formed(name, ErrorKind::InvalidInstanceNameException, "instanceId")?;
    load(context, "GetDeploymentInstance", &id).await?;
    let Some(row) = context.control.store.target_by_name(&id, name).await.map_err(error::read)? else {
        return api(
            ErrorKind::InstanceDoesNotExistException,
            format!("Deployment {id} has no instance {name}"),
        );
    };
    Ok(wire::GetDeploymentInstanceOutput { instance_summary: Some(to_summary(&row)?) })
}

/// Instances that there are; the others are named in the message. Before its start a deployment has none.
pub(super) async fn batch_get_instances(
    context: &RequestContext,
    input: wire::BatchGetDeploymentInstancesInput,
) -> Result<wire::BatchGetDeploymentInstancesOutput, ApiError> {
    let id = deployment_id(input.deployment_id.as_deref())?;
    let names = batch(input.instance_ids, ErrorKind::InstanceIdRequiredException, "instanceIds", BATCH)?;
    for name in &names {
        well_formed(name, ErrorKind::InvalidInstanceNameException, "instanceIds")?;
    }
    deployments::load(context, "BatchGetDeploymentInstances", &id).await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        match context.control.store.target_by_name(&id, &name).await.map_err(error::read)? {
            Some(row) => found.push(to_summary(&row)?),
            None => missing.push(name),
        }
    }
    Ok(wire::BatchGetDeploymentInstancesOutput {
        instances_summary: Some(found),
        error_message: (!missing.is_empty())
            .then(|| format!("Deployment {id} has no instances {}", missing.join(", "))),
    })
}

fn to_summary(row: &TargetRow) -> Result<wire::InstanceSummary, ApiError> {
    Ok(wire::InstanceSummary {
        deployment_id: Some(row.key.deployment.to_string()),
        instance_id: Some(row.host.clone()),
        status: Some(row.status.as_str().to_owned()),
        last_updated_at: Some(convert::time(row.updated)),
        lifecycle_events: Some(events(row)?),
        instance_type: None,
    })
}

fn to_target(row: &TargetRow) -> Result<wire::DeploymentTarget, ApiError> {
    Ok(wire::DeploymentTarget {
        deployment_target_type: Some("InstanceTarget".to_owned()),
        instance_target: Some(wire::InstanceTarget {
            deployment_id: Some(row.key.deployment.to_string()),
            target_id: Some(row.name.clone()),
            target_arn: Some(row.host.clone()),
            status: Some(row.status.as_str().to_owned()),
            last_updated_at: Some(convert::time(row.updated)),
            lifecycle_events: Some(events(row)?),
            instance_label: None,
        }),
        ..wire::DeploymentTarget::default()
    })
}

fn events(row: &TargetRow) -> Result<Vec<wire::LifecycleEvent>, ApiError> {
    let machine = machine_of(row).map_err(error::internal)?;
    Ok(machine.events().iter().map(convert::event_to_wire).collect())
}
