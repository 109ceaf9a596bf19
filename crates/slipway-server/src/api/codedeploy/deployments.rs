//! Deployments: create, get, list, stop (DP-001..DP-013, DP-100..DP-124).

use slipway_auth::resource::Call;
use slipway_engine::deployment::DeploymentEvent;
use slipway_engine::work::create;
use slipway_model::config::ComputePlatform;
use slipway_model::deployment::{Course, DeploymentRecord};
use slipway_model::resources::{
    Application, DeploymentGroup, GroupHistory, PastDeployment, RegisteredRevision,
};
use slipway_model::revision::{FileExistsBehavior, Revision};
use slipway_model::status::DeploymentStatus;
use slipway_model::{DeploymentId, Timestamp};
use slipway_store::{ChangeSet, CommitError, DeploymentQuery, DeploymentRow, Kind, Write};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{
    BATCH, MOST_TRIES, PAGE, Stored, application_name, batch, deployment_id, document, group_name, required,
    too_busy,
};
use super::locations::{self, Inline};
use super::{configs, convert, group_rules, group_settings, group_wire, honour, lineage, renames, revisions};
use crate::access::RequestContext;
use crate::clock::random;
use crate::error::{self, api};
use crate::work::Site as _;
use crate::work::deployment::{DeploymentStepError, machine_of, record_of, step};

/// The strategy by which hosts that joined during a deployment are updated after it (CF-300).
const UPDATE: &str = "UPDATE";

pub(super) async fn create(
    context: &RequestContext,
    input: wire::CreateDeploymentInput,
) -> Result<wire::CreateDeploymentOutput, ApiError> {
    for _ in 0..MOST_TRIES {
        if let Some(id) = attempt(context, &input).await? {
            return Ok(wire::CreateDeploymentOutput { deployment_id: Some(id.to_string()) });
        }
    }
    too_busy("The deployment group")
}

/// Creates the deployment from everything as it is now; `None` if some of it was changed at the same moment.
async fn attempt(
    context: &RequestContext,
    input: &wire::CreateDeploymentInput,
) -> Result<Option<DeploymentId>, ApiError> {
    let application_name = application_name(input.application_name.as_deref())?;
    let group_name = group_name(input.deployment_group_name.as_deref())?;
    // Before anything is read: whoever may not deploy learns nothing from which error comes first.
    context.authorize_group("CreateDeployment", application_name, group_name).await?;
    let application = context.application(application_name).await?;
    let group = context.group(&application.value, group_name).await?;
    let given_config = input.deployment_config_name.as_deref().filter(|n| !n.is_empty());
    let config_name = given_config.unwrap_or(&group.value.deployment_config_name);
    context
        .permit(Call {
            application: Some(application_name),
            group: Some(group_name),
            config: Some(config_name),
            overrides_alarms: input.override_alarm_configuration.is_some(),
            ..context.call("CreateDeployment")
        })
        .await?;
    let description = revisions::description(input.description.clone())?;
    refuse_later_features(input)?;
    let revision = locations::read(application.value.platform, input.revision.as_ref(), Inline::Content)?;
    check_revision(context, &revision).await?;
    let file_exists_behavior = file_exists_behavior(input.file_exists_behavior.as_deref())?;
    check_limit(context).await?;

    let quotas = &context.control.settings.quotas;
    let config = configs::find(context, config_name).await?.value;
    group_rules::check(application.value.platform, &group.value, &config)?;
    let history = load_history(context, &application.value, &group.value).await?;
    let auto_rollback = match &input.auto_rollback_configuration {
        Some(given) => Some(convert::auto_rollback(given)?),
        None => group.value.auto_rollback.clone(),
    };
    let given_alarms = input.override_alarm_configuration.as_ref();
    let override_alarms = given_alarms.map(|given| group_settings::read_alarms(given, quotas)).transpose()?;
    let alarms = override_alarms.as_ref().or(group.value.settings.alarms.as_ref());
    honour::check(application.value.platform, &group.value, alarms)?;
    let minimum = config.minimum_healthy_hosts.ok_or_else(|| {
        error::internal(format_args!("deployment configuration {} has no minimum", config.name))
    })?;
    if config.zonal.is_some() && context.control.settings.strict {
        // CF-059: on AWS zones are for EC2 instances.
        return api(
            ErrorKind::InvalidInputException,
            format!(
                "Deployment configuration {} goes zone by zone, which is for EC2 instances; compat is strict.",
                config.name
            ),
        );
    }
    let record = DeploymentRecord {
        id: DeploymentId::from_random(random()),
        scope: context.caller.scope.clone(),
        application_id: application.value.id.clone(),
        application_name: application.value.name.clone(),
        group_id: group.value.id.clone(),
        group_name: group.value.name.clone(),
        config_name: config.name,
        minimum_healthy_hosts: minimum,
        revision,
        previous_revision: history.value.target_revision.clone(),
        description,
        creator: "user".to_owned(),
        created: context.now(),
        ignore_application_stop_failures: input.ignore_application_stop_failures.unwrap_or(false),
        update_outdated_instances_only: input.update_outdated_instances_only.unwrap_or(false),
        file_exists_behavior,
        on_premises: group.value.on_premises.clone(),
        auto_rollback,
        override_alarms,
        course: Course {
            zonal: config.zonal,
            update_outdated_afterwards: group.value.outdated_instances_strategy == UPDATE,
            ..Course::default()
        },
        service_role_arn: group.value.service_role_arn.clone(),
        max_instances: quotas.instances_per_deployment,
        pick_up_limit_ms: i64::from(quotas.pick_up_minutes) * 60_000,
        event_limit_ms: i64::from(quotas.event_seconds) * 1000,
        run_limit_ms: i64::from(quotas.in_place_hours) * 3_600_000,
    };
    insert(context, &application.value, &group, history, record).await
}

/// Makes the deployment durable, with its first wake-up and what its group and revision remember of it.
async fn insert(
    context: &RequestContext,
    application: &Application,
    group: &Stored<DeploymentGroup>,
    mut history: Stored<GroupHistory>,
    record: DeploymentRecord,
) -> Result<Option<DeploymentId>, ApiError> {
    history.value.last_attempted = Some(PastDeployment {
        id: record.id.clone(),
        status: DeploymentStatus::Created,
        created: record.created,
        ended: None,
    });
    let mut change = ChangeSet::new().with(Write::Require { key: group.key.clone(), version: group.version });
    create::deployment(&mut change, &record, context.control.pacing());
    change.push(Write::Replace(document(history.key.clone(), &history.value, history.version)));
    change.push(use_of_revision(context, application, &record).await?);
    match context.control.store.commit(change).await {
        Ok(()) => Ok(Some(record.id)),
        Err(CommitError::GroupBusy { active }) => api(
            ErrorKind::DeploymentLimitExceededException,
            format!(
                "The Deployment Group '{}' already has an active Deployment '{active}'",
                record.group_name
            ),
        ),
        // The group was changed, its deployment just ended, or the revision was registered or used.
        Err(CommitError::Conflict { .. } | CommitError::Exists { .. }) => Ok(None),
        Err(other) => Err(error::commit(other)),
    }
}

async fn load_history(
    context: &RequestContext,
    application: &Application,
    group: &DeploymentGroup,
) -> Result<Stored<GroupHistory>, ApiError> {
    let key = context.key(Kind::GroupHistory, &application.id, &group.id);
    match context.load(key).await? {
        Some(history) => Ok(history),
        None => api(
            ErrorKind::DeploymentGroupDoesNotExistException,
            format!("Deployment group {} was deleted meanwhile.", group.name),
        ),
    }
}

/// A revision that is deployed without registration is registered by that (CF-364).
async fn use_of_revision(
    context: &RequestContext,
    application: &Application,
    record: &DeploymentRecord,
) -> Result<Write, ApiError> {
    let key = revisions::key_of(context, application, &record.revision);
    let now = record.created;
    let used = |mut revision: RegisteredRevision| {
        revision.first_used = revision.first_used.or(Some(now));
        revision.last_used = Some(now);
        revision
    };
    Ok(match context.load::<RegisteredRevision>(key.clone()).await? {
        Some(stored) => Write::Replace(document(key, &used(stored.value), stored.version)),
        None => Write::Insert(document(
            key,
            &used(revisions::new_revision(record.revision.clone(), None, now)),
            0,
        )),
    })
}

fn refuse_later_features(input: &wire::CreateDeploymentInput) -> Result<(), ApiError> {
    let later = |kind: ErrorKind, what: &str| {
        api(kind, format!("{what} is not available in this version of Slipway; leave it out."))
    };
    if input.target_instances.is_some() {
        return api(
            ErrorKind::InvalidTargetInstancesException,
            "targetInstances is for blue/green deployments; this deployment group deploys in place.",
        );
    }
    if input.ec2_deployment_options.is_some() {
        return later(ErrorKind::InvalidAutoScalingGroupProcessToSuspendException, "ec2DeploymentOptions");
    }
    match input.deployment_mode.as_deref() {
        None | Some("STANDARD") => Ok(()),
        Some("RESTART") => later(ErrorKind::InvalidInputException, "deploymentMode RESTART"),
        Some(other) => api(
            ErrorKind::InvalidInputException,
            format!("deploymentMode {other:?} is neither STANDARD nor RESTART."),
        ),
    }
}

/// An object in our own store must be there; buckets elsewhere are the host's business.
async fn check_revision(context: &RequestContext, revision: &Revision) -> Result<(), ApiError> {
    let Revision::S3 { bucket, key, version, .. } = revision else { return Ok(()) };
    let found =
        context.control.artifacts.head(bucket, key, version.as_deref()).await.map_err(error::internal)?;
    if found.is_none() && version.is_some() {
        return api(
            ErrorKind::RevisionDoesNotExistException,
            format!("There is no such version of s3://{bucket}/{key} in the revision store."),
        );
    }
    Ok(())
}

fn file_exists_behavior(given: Option<&str>) -> Result<FileExistsBehavior, ApiError> {
    match given {
        None => Ok(FileExistsBehavior::default()),
        Some(text) => FileExistsBehavior::parse(text).ok_or_else(|| {
            ApiError::new(
                ErrorKind::InvalidFileExistsBehaviorException,
                format!("fileExistsBehavior {text:?} is none of DISALLOW, OVERWRITE, RETAIN."),
            )
        }),
    }
}

async fn check_limit(context: &RequestContext) -> Result<(), ApiError> {
    let limit = context.control.settings.quotas.concurrent_deployments;
    let account = &context.caller.scope.account;
    let count = context.control.store.count_active_deployments(account).await.map_err(error::read)?;
    if count >= u64::from(limit) {
        return api(
            ErrorKind::DeploymentLimitExceededException,
            format!("The account has {count} deployments under way; the limit is {limit}."),
        );
    }
    Ok(())
}

/// A deployment of the caller's account and region, authorised on its group (DP-741).
pub(super) async fn load(
    context: &RequestContext,
    action: &str,
    id: &DeploymentId,
) -> Result<(DeploymentRow, DeploymentRecord), ApiError> {
    let found = find(context, id).await;
    match &found {
        Ok((_, record)) => {
            context.authorize_group(action, &record.application_name, &record.group_name).await?;
        }
        // Whoever may see no deployment at all learns nothing from this answer either.
        Err(error) if error.kind == ErrorKind::DeploymentDoesNotExistException => {
            context.authorize_group(action, "*", "*").await?;
        }
        Err(_) => {}
    }
    found
}

/// A deployment of the caller's account and region, under the names that its application and group have now.
pub(super) async fn find(
    context: &RequestContext,
    id: &DeploymentId,
) -> Result<(DeploymentRow, DeploymentRecord), ApiError> {
    let row = context.control.store.deployment(id).await.map_err(error::read)?;
    let Some(row) = row.filter(|row| row.scope == context.caller.scope) else {
        return api(
            ErrorKind::DeploymentDoesNotExistException,
            format!("The deployment {id} could not be found"),
        );
    };
    let mut record = record_of(&row).map_err(error::internal)?;
    renames::bring_up_to_date(context, &mut record).await?;
    Ok((row, record))
}

pub(super) async fn get(
    context: &RequestContext,
    input: wire::GetDeploymentInput,
) -> Result<wire::GetDeploymentOutput, ApiError> {
    let id = deployment_id(input.deployment_id.as_deref())?;
    let (row, record) = load(context, "GetDeployment", &id).await?;
    Ok(wire::GetDeploymentOutput { deployment_info: Some(to_wire(context, &row, record).await?) })
}

/// Deployments that there are; an id that there is not is left out, since the model has no error for it (DP-101).
pub(super) async fn batch_get(
    context: &RequestContext,
    input: wire::BatchGetDeploymentsInput,
) -> Result<wire::BatchGetDeploymentsOutput, ApiError> {
    let ids = batch(input.deployment_ids, ErrorKind::DeploymentIdRequiredException, "deploymentIds", BATCH)?;
    let ids = ids.iter().map(|id| deployment_id(Some(id))).collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::with_capacity(ids.len());
    for id in &ids {
        match find(context, id).await {
            Ok(deployment) => found.push(deployment),
            Err(error) if error.kind == ErrorKind::DeploymentDoesNotExistException => {}
            Err(error) => return Err(error),
        }
    }
    let mut groups: Vec<(&str, &str)> = found
        .iter()
        .map(|(_, record)| (record.application_name.as_str(), record.group_name.as_str()))
        .collect();
    if groups.is_empty() {
        // As for a single one: whoever may see no deployment at all learns nothing from the answer.
        groups.push(("*", "*"));
    }
    context.permit(Call { groups: &groups, ..context.call("BatchGetDeployments") }).await?;
    let mut infos = Vec::with_capacity(found.len());
    for (row, record) in found {
        infos.push(to_wire(context, &row, record).await?);
    }
    Ok(wire::BatchGetDeploymentsOutput { deployments_info: Some(infos) })
}

async fn to_wire(
    context: &RequestContext,
    row: &DeploymentRow,
    record: DeploymentRecord,
) -> Result<wire::DeploymentInfo, ApiError> {
    let machine = machine_of(row).map_err(error::internal)?;
    let rollback_info = lineage::rollback_info(&record, &machine);
    let related_deployments = lineage::related(context, &record, &machine).await?;
    let counters = machine.counters();
    let error_information = machine.error().map(|e| wire::ErrorInformation {
        code: Some(e.code.as_str().to_owned()),
        message: Some(e.message.clone()),
    });
    Ok(wire::DeploymentInfo {
        application_name: Some(record.application_name),
        deployment_group_name: Some(record.group_name),
        deployment_config_name: Some(record.config_name),
        deployment_id: Some(row.id.to_string()),
        previous_revision: record.previous_revision.as_ref().map(locations::to_wire),
        revision: Some(locations::to_wire(&record.revision)),
        status: Some(machine.status().as_str().to_owned()),
        error_information,
        create_time: Some(convert::time(record.created)),
        start_time: machine.started().map(convert::time),
        complete_time: machine.completed().map(convert::time),
        deployment_overview: Some(wire::DeploymentOverview {
            pending: Some(i64::from(counters.pending)),
            in_progress: Some(i64::from(counters.in_progress)),
            succeeded: Some(i64::from(counters.succeeded)),
            failed: Some(i64::from(counters.failed)),
            skipped: Some(i64::from(counters.skipped)),
            ready: Some(0),
        }),
        description: record.description,
        creator: Some(record.creator),
        ignore_application_stop_failures: Some(record.ignore_application_stop_failures),
        auto_rollback_configuration: record.auto_rollback.as_ref().map(convert::auto_rollback_to_wire),
        update_outdated_instances_only: Some(record.update_outdated_instances_only),
        rollback_info,
        related_deployments,
        deployment_style: Some(convert::in_place_style()),
        instance_termination_wait_time_started: Some(false),
        file_exists_behavior: Some(record.file_exists_behavior.as_str().to_owned()),
        override_alarm_configuration: record.override_alarms.as_ref().map(group_wire::alarms),
        deployment_mode: Some("STANDARD".to_owned()),
        deployment_status_messages: Some(Vec::new()),
        compute_platform: Some(ComputePlatform::Server.as_str().to_owned()),
        ..wire::DeploymentInfo::default()
    })
}

/// Newest first (TU-05).
pub(super) async fn list(
    context: &RequestContext,
    input: wire::ListDeploymentsInput,
) -> Result<wire::ListDeploymentsOutput, ApiError> {
    let (application_id, group_id) = list_filter(context, &input).await?;
    let list = format!("ListDeployments/{application_id:?}/{group_id:?}");
    let statuses = input
        .include_only_statuses
        .iter()
        .flatten()
        .map(|text| {
            DeploymentStatus::parse(text).ok_or_else(|| {
                ApiError::new(
                    ErrorKind::InvalidDeploymentStatusException,
                    format!("includeOnlyStatuses: {text:?} is not a deployment status."),
                )
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let range = input.create_time_range.unwrap_or_default();
    let bound = |t: Option<slipway_wire::Timestamp>| t.map(|t| Timestamp(t.as_millis()));
    let (from, to) = (bound(range.start), bound(range.end));
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return api(ErrorKind::InvalidTimeRangeException, "createTimeRange: start is later than end.");
    }
    let after = context.read_page_token(&list, input.next_token.as_deref())?;
    match input.external_id.as_deref() {
        None => {}
        Some("") => {
            return api(ErrorKind::InvalidExternalIdException, "externalId must not be empty.");
        }
        // Only CloudFormation gives deployments such an id (DP-082), and there are none of these.
        Some(_) => {
            return Ok(wire::ListDeploymentsOutput { deployments: Some(Vec::new()), next_token: None });
        }
    }
    let query = DeploymentQuery {
        scope: context.caller.scope.clone(),
        application_id,
        group_id,
        statuses,
        created_from: from,
        created_to: to,
        after: after.as_deref().and_then(read_place),
        limit: u32::try_from(PAGE + 1).unwrap_or(u32::MAX),
    };
    let mut rows = context.control.store.deployments(&query).await.map_err(error::read)?;
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let next_token = match rows.last() {
        Some(last) if more => Some(context.page_token(&list, &format!("{}/{}", last.created.0, last.id))),
        _ => None,
    };
    let deployments = rows.into_iter().map(|row| row.id.to_string()).collect();
    Ok(wire::ListDeploymentsOutput { deployments: Some(deployments), next_token })
}

fn read_place(place: &str) -> Option<(Timestamp, DeploymentId)> {
    let (created, id) = place.split_once('/')?;
    Some((Timestamp(created.parse().ok()?), DeploymentId::new(id).ok()?))
}

/// Application and group: both or neither (DP-102).
async fn list_filter(
    context: &RequestContext,
    input: &wire::ListDeploymentsInput,
) -> Result<(Option<String>, Option<String>), ApiError> {
    match (input.application_name.as_deref(), input.deployment_group_name.as_deref()) {
        (None, None) => {
            context.permit(context.call("ListDeployments")).await?;
            Ok((None, None))
        }
        (None, Some(_)) => required(None, ErrorKind::ApplicationNameRequiredException, "applicationName")
            .map(|_| (None, None)),
        (Some(_), None) => {
            required(None, ErrorKind::DeploymentGroupNameRequiredException, "deploymentGroupName")
                .map(|_| (None, None))
        }
        (Some(application), Some(group)) => {
            let application = application_name(Some(application))?;
            let group = group_name(Some(group))?;
            context.authorize_group("ListDeployments", application, group).await?;
            let application = context.application(application).await?.value;
            let group = context.group(&application, group).await?.value;
            Ok((Some(application.id), Some(group.id)))
        }
    }
}

pub(super) async fn stop(
    context: &RequestContext,
    input: wire::StopDeploymentInput,
) -> Result<wire::StopDeploymentOutput, ApiError> {
    let id = deployment_id(input.deployment_id.as_deref())?;
    let (row, _) = load(context, "StopDeployment", &id).await?;
    match row.status {
        DeploymentStatus::Stopped => return Ok(stopped()),
        DeploymentStatus::Succeeded | DeploymentStatus::Failed => {
            return api(
                ErrorKind::DeploymentAlreadyCompletedException,
                format!("Deployment {id} has ended already: {}", row.status),
            );
        }
        _ => {}
    }
    let stop = DeploymentEvent::Stop {
        requested_by: context.caller.principal.arn.clone(),
        roll_back: input.auto_rollback_enabled,
    };
    match step(&context.control, &id, &stop).await {
        Ok(machine) if machine.status() == DeploymentStatus::Stopped => Ok(stopped()),
        Ok(_) => Ok(wire::StopDeploymentOutput {
            status: Some("Pending".to_owned()),
            status_message: Some(
                "No more commands will be scheduled for execution in the deployment instances".to_owned(),
            ),
        }),
        Err(DeploymentStepError::NoDeployment) => {
            api(ErrorKind::DeploymentDoesNotExistException, format!("The deployment {id} could not be found"))
        }
        Err(DeploymentStepError::Refused(_)) => {
            api(ErrorKind::DeploymentAlreadyCompletedException, format!("Deployment {id} has ended already"))
        }
        Err(DeploymentStepError::Work(cause)) => Err(error::internal(cause)),
    }
}

fn stopped() -> wire::StopDeploymentOutput {
    wire::StopDeploymentOutput {
        status: Some("Succeeded".to_owned()),
        status_message: Some("The deployment is stopped; no more events will run.".to_owned()),
    }
}
