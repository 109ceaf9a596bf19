//! Deployment groups (CF-180..CF-206, CF-311..CF-315).

use slipway_model::config::{ComputePlatform, DEFAULT_SERVER_CONFIG};
use slipway_model::resources::{Application, DeploymentGroup, GroupHistory, PastDeployment};
use slipway_model::tags::{TagFilter, TagSelection};
use slipway_store::{ChangeSet, CommitError, Kind, Write};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{Stored, application_name, document, group_name, required};
use super::{configs, convert};
use crate::access::{PassRoleError, RequestContext};
use crate::error::{self, api};

pub(super) async fn create(
    context: &RequestContext,
    input: wire::CreateDeploymentGroupInput,
) -> Result<wire::CreateDeploymentGroupOutput, ApiError> {
    let application_name = application_name(input.application_name.as_deref())?;
    let name = group_name(input.deployment_group_name.as_deref())?;
    context.authorize_group("CreateDeploymentGroup", application_name, name).await?;
    let role =
        required(input.service_role_arn.as_deref(), ErrorKind::RoleRequiredException, "serviceRoleArn")?;
    let application = context.application(application_name).await?;
    refuse_later_features(&input)?;
    let group = read(context, &application.value, name, role, &input).await?;
    check_role(context, role).await?;
    check_limit(context, &application.value).await?;

    let change = ChangeSet::new()
        // The application must still be there: a group never outlives it.
        .with(Write::Require { key: application.key, version: application.version })
        .with(Write::Insert(document(
            context.key(Kind::DeploymentGroup, &application.value.id, name),
            &group,
            0,
        )))
        .with(Write::Insert(document(
            context.key(Kind::GroupHistory, &application.value.id, &group.id),
            &GroupHistory::default(),
            0,
        )));
    match context.control.store.commit(change).await {
        Ok(()) => Ok(wire::CreateDeploymentGroupOutput { deployment_group_id: Some(group.id) }),
        Err(CommitError::Exists { .. }) => api(
            ErrorKind::DeploymentGroupAlreadyExistsException,
            format!(
                "Deployment group already exists with the name: {name} in application {application_name}"
            ),
        ),
        Err(CommitError::Conflict { .. }) => api(
            ErrorKind::ApplicationDoesNotExistException,
            format!("Application {application_name} was deleted or changed meanwhile; nothing was created."),
        ),
        Err(other) => Err(error::commit(other)),
    }
}

/// Settings that this version cannot honour are refused, never ignored.
fn refuse_later_features(input: &wire::CreateDeploymentGroupInput) -> Result<(), ApiError> {
    let later = |kind: ErrorKind, what: &str| {
        api(kind, format!("{what} is not available in this version of Slipway; leave it out."))
    };
    if input.ec2_tag_filters.as_ref().is_some_and(|f| !f.is_empty()) {
        return later(ErrorKind::InvalidEC2TagException, "ec2TagFilters");
    }
    let ec2_set = input.ec2_tag_set.as_ref().and_then(|s| s.ec2_tag_set_list.as_ref());
    if ec2_set.is_some_and(|list| !list.is_empty()) {
        return later(ErrorKind::InvalidEC2TagException, "ec2TagSet");
    }
    if input.auto_scaling_groups.as_ref().is_some_and(|g| !g.is_empty()) {
        return later(ErrorKind::InvalidAutoScalingGroupException, "autoScalingGroups");
    }
    if input.termination_hook_enabled == Some(true) {
        return later(ErrorKind::InvalidAutoScalingGroupException, "terminationHookEnabled");
    }
    if input.ec2_deployment_options.is_some() {
        return later(ErrorKind::InvalidAutoScalingGroupProcessToSuspendException, "ec2DeploymentOptions");
    }
    if input.trigger_configurations.as_ref().is_some_and(|t| !t.is_empty()) {
        return later(ErrorKind::InvalidTriggerConfigException, "triggerConfigurations");
    }
    if input.alarm_configuration.as_ref().is_some_and(|a| a.enabled == Some(true)) {
        return later(ErrorKind::InvalidAlarmConfigException, "alarmConfiguration with enabled true");
    }
    if input.load_balancer_info.as_ref().is_some_and(names_a_load_balancer) {
        return later(ErrorKind::InvalidLoadBalancerInfoException, "loadBalancerInfo");
    }
    if input.blue_green_deployment_configuration.is_some() {
        return later(
            ErrorKind::InvalidBlueGreenDeploymentConfigurationException,
            "blueGreenDeploymentConfiguration",
        );
    }
    if input.ecs_services.as_ref().is_some_and(|s| !s.is_empty()) {
        return later(ErrorKind::InvalidECSServiceException, "ecsServices");
    }
    check_style(input.deployment_style.as_ref())
}

fn names_a_load_balancer(info: &wire::LoadBalancerInfo) -> bool {
    info.elb_info_list.as_ref().is_some_and(|l| !l.is_empty())
        || info.target_group_info_list.as_ref().is_some_and(|l| !l.is_empty())
        || info.target_group_pair_info_list.as_ref().is_some_and(|l| !l.is_empty())
}

fn check_style(style: Option<&wire::DeploymentStyle>) -> Result<(), ApiError> {
    let invalid = |message: String| api(ErrorKind::InvalidDeploymentStyleException, message);
    match style.and_then(|s| s.deployment_type.as_deref()) {
        None | Some("IN_PLACE") => {}
        Some("BLUE_GREEN") => {
            return invalid(
                "deploymentType BLUE_GREEN is not available in this version of Slipway; use IN_PLACE."
                    .to_owned(),
            );
        }
        Some(other) => {
            return invalid(format!("deploymentType {other:?} is neither IN_PLACE nor BLUE_GREEN."));
        }
    }
    match style.and_then(|s| s.deployment_option.as_deref()) {
        None | Some("WITHOUT_TRAFFIC_CONTROL") => Ok(()),
        Some("WITH_TRAFFIC_CONTROL") => invalid(
            "deploymentOption WITH_TRAFFIC_CONTROL needs load balancers, which are not available in this version of Slipway.".to_owned(),
        ),
        Some(other) => {
            invalid(format!("deploymentOption {other:?} is neither WITH_TRAFFIC_CONTROL nor WITHOUT_TRAFFIC_CONTROL."))
        }
    }
}

async fn read(
    context: &RequestContext,
    application: &Application,
    name: &str,
    role: &str,
    input: &wire::CreateDeploymentGroupInput,
) -> Result<DeploymentGroup, ApiError> {
    let config_name = match input.deployment_config_name.as_deref().filter(|n| !n.is_empty()) {
        None => DEFAULT_SERVER_CONFIG.to_owned(),
        Some(name) => {
            let config = configs::find(context, name).await?;
            if config.platform != ComputePlatform::Server {
                return api(
                    ErrorKind::InvalidDeploymentConfigNameException,
                    format!(
                        "Deployment configuration {name} is for the compute platform {}, the application is for {}.",
                        config.platform.as_str(),
                        application.platform.as_str()
                    ),
                );
            }
            config.name
        }
    };
    let strategy = match input.outdated_instances_strategy.as_deref() {
        None | Some("UPDATE") => "UPDATE",
        Some("IGNORE") => "IGNORE",
        Some(other) => {
            return api(
                ErrorKind::InvalidInputException,
                format!("outdatedInstancesStrategy {other:?} is neither UPDATE nor IGNORE."),
            );
        }
    };
    Ok(DeploymentGroup {
        id: uuid::Uuid::new_v4().to_string(),
        name: name.to_owned(),
        application_id: application.id.clone(),
        deployment_config_name: config_name,
        service_role_arn: role.to_owned(),
        on_premises: selection(context, input)?,
        auto_rollback: input.auto_rollback_configuration.as_ref().map(convert::auto_rollback).transpose()?,
        outdated_instances_strategy: strategy.to_owned(),
        settings: slipway_model::group::GroupSettings::default(),
        created: context.now(),
        tags: convert::tags(input.tags.as_deref().unwrap_or_default(), ErrorKind::InvalidTagsToAddException)?,
    })
}

/// Reads the on-premises tag filters or tag set (CF-200, CF-205, CF-206).
fn selection(
    context: &RequestContext,
    input: &wire::CreateDeploymentGroupInput,
) -> Result<Option<TagSelection>, ApiError> {
    let flat = input.on_premises_instance_tag_filters.as_deref().filter(|f| !f.is_empty());
    let groups = input.on_premises_tag_set.as_ref().and_then(|s| s.on_premises_tag_set_list.as_deref());
    let groups = groups.filter(|g| !g.is_empty());
    let read = |filters: &[wire::TagFilter]| -> Result<Vec<TagFilter>, ApiError> {
        let limit = context.control.settings.quotas.tags_per_tag_group;
        if filters.len() > limit as usize {
            return api(
                ErrorKind::InvalidTagException,
                format!("A tag group has {} tags; the limit is {limit}.", filters.len()),
            );
        }
        filters.iter().map(|f| convert::tag_filter(f, ErrorKind::InvalidTagException)).collect()
    };
    match (flat, groups) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => api(
            ErrorKind::InvalidOnPremisesTagCombinationException,
            "Give either onPremisesInstanceTagFilters or onPremisesTagSet, not both.",
        ),
        (Some(filters), None) => Ok(Some(TagSelection::Flat(read(filters)?))),
        (None, Some(groups)) => {
            let limit = context.control.settings.quotas.tag_groups;
            if groups.len() > limit as usize {
                return api(
                    ErrorKind::TagSetListLimitExceededException,
                    format!("The tag set has {} tag groups; the limit is {limit}.", groups.len()),
                );
            }
            if groups.iter().any(Vec::is_empty) {
                return api(ErrorKind::InvalidTagException, "A tag group of onPremisesTagSet has no tag.");
            }
            Ok(Some(TagSelection::Groups(groups.iter().map(|g| read(g)).collect::<Result<_, _>>()?)))
        }
    }
}

/// The role exists, CodeDeploy may assume it, and the caller may hand it over (D-30).
pub(super) async fn check_role(context: &RequestContext, role: &str) -> Result<(), ApiError> {
    let invalid = |message: String| api(ErrorKind::InvalidRoleException, message);
    match context.check_pass_role(role).await {
        Ok(()) => Ok(()),
        Err(PassRoleError::NotAllowed(message)) => api(ErrorKind::AccessDeniedException, message),
        Err(PassRoleError::NoSuchRole) => invalid(format!("The service role {role} does not exist.")),
        Err(PassRoleError::TrustDoesNotNameCodeDeploy) => invalid(format!(
            "The trust policy of the service role {role} does not let codedeploy.amazonaws.com assume it."
        )),
        Err(PassRoleError::Internal(error)) => Err(error),
    }
}

async fn check_limit(context: &RequestContext, application: &Application) -> Result<(), ApiError> {
    let limit = context.control.settings.quotas.deployment_groups_per_application;
    let count = context
        .control
        .store
        .count_documents(&context.partition(), Kind::DeploymentGroup, &application.id)
        .await
        .map_err(error::read)?;
    if count >= u64::from(limit) {
        return api(
            ErrorKind::DeploymentGroupLimitExceededException,
            format!("The application has {count} deployment groups; the limit is {limit}."),
        );
    }
    Ok(())
}

pub(super) async fn get(
    context: &RequestContext,
    input: wire::GetDeploymentGroupInput,
) -> Result<wire::GetDeploymentGroupOutput, ApiError> {
    let application_name = application_name(input.application_name.as_deref())?;
    let name = group_name(input.deployment_group_name.as_deref())?;
    context.authorize_group("GetDeploymentGroup", application_name, name).await?;
    let application = context.application(application_name).await?.value;
    let group = context.group(&application, name).await?.value;
    let history = context
        .load::<GroupHistory>(context.key(Kind::GroupHistory, &application.id, &group.id))
        .await?
        .map(|h| h.value)
        .unwrap_or_default();
    Ok(wire::GetDeploymentGroupOutput {
        deployment_group_info: Some(to_wire(&application, &group, &history)),
    })
}

fn to_wire(
    application: &Application,
    group: &DeploymentGroup,
    history: &GroupHistory,
) -> wire::DeploymentGroupInfo {
    let (filters, set) = group.on_premises.as_ref().map_or((None, None), convert::selection_to_wire);
    wire::DeploymentGroupInfo {
        application_name: Some(application.name.clone()),
        deployment_group_id: Some(group.id.clone()),
        deployment_group_name: Some(group.name.clone()),
        deployment_config_name: Some(group.deployment_config_name.clone()),
        ec2_tag_filters: Some(Vec::new()),
        on_premises_instance_tag_filters: Some(filters.unwrap_or_default()),
        on_premises_tag_set: set,
        auto_scaling_groups: Some(Vec::new()),
        service_role_arn: Some(group.service_role_arn.clone()),
        target_revision: history.target_revision.as_ref().map(convert::revision_to_wire),
        trigger_configurations: Some(Vec::new()),
        auto_rollback_configuration: group.auto_rollback.as_ref().map(convert::auto_rollback_to_wire),
        deployment_style: Some(convert::in_place_style()),
        outdated_instances_strategy: Some(group.outdated_instances_strategy.clone()),
        last_successful_deployment: history.last_successful.as_ref().map(past_to_wire),
        last_attempted_deployment: history.last_attempted.as_ref().map(past_to_wire),
        compute_platform: Some(application.platform.as_str().to_owned()),
        termination_hook_enabled: Some(false),
        ..wire::DeploymentGroupInfo::default()
    }
}

fn past_to_wire(past: &PastDeployment) -> wire::LastDeploymentInfo {
    wire::LastDeploymentInfo {
        deployment_id: Some(past.id.to_string()),
        status: Some(past.status.as_str().to_owned()),
        end_time: past.ended.map(convert::time),
        create_time: Some(convert::time(past.created)),
    }
}

pub(super) async fn list(
    context: &RequestContext,
    input: wire::ListDeploymentGroupsInput,
) -> Result<wire::ListDeploymentGroupsOutput, ApiError> {
    let name = application_name(input.application_name.as_deref())?;
    context.authorize_application("ListDeploymentGroups", name).await?;
    let application = context.application(name).await?.value;
    let (names, next_token) = context
        .page_of_names(
            &format!("ListDeploymentGroups/{}", application.id),
            Kind::DeploymentGroup,
            &application.id,
            input.next_token.as_deref(),
        )
        .await?;
    Ok(wire::ListDeploymentGroupsOutput {
        application_name: Some(application.name),
        deployment_groups: Some(names),
        next_token,
    })
}

/// Deletes a group with the details of its deployments (CF-315). One that is not there is no error.
pub(super) async fn delete(
    context: &RequestContext,
    input: wire::DeleteDeploymentGroupInput,
) -> Result<wire::DeleteDeploymentGroupOutput, ApiError> {
    let application_name = application_name(input.application_name.as_deref())?;
    let name = group_name(input.deployment_group_name.as_deref())?;
    context.authorize_group("DeleteDeploymentGroup", application_name, name).await?;
    let done = wire::DeleteDeploymentGroupOutput { hooks_not_cleaned_up: Some(Vec::new()) };
    let Some(application) =
        context.load::<Application>(context.key(Kind::Application, "", application_name)).await?
    else {
        return Ok(done);
    };
    let key = context.key(Kind::DeploymentGroup, &application.value.id, name);
    let Some(group) = context.load::<DeploymentGroup>(key).await? else { return Ok(done) };
    let mut change =
        ChangeSet::new().with(Write::Delete { key: group.key.clone(), version: Some(group.version) });
    forget(context, &mut change, &group);
    context.control.store.commit(change).await.map_err(error::commit)?;
    Ok(done)
}

/// Adds the end of everything that belongs to a group alone. Hosts keep what is on them; commands that are out are
/// answered as unknown.
pub(super) fn forget(context: &RequestContext, change: &mut ChangeSet, group: &Stored<DeploymentGroup>) {
    change.push(Write::Delete {
        key: context.key(Kind::GroupHistory, &group.value.application_id, &group.value.id),
        version: None,
    });
    change.push(Write::ForgetGroup { group_id: group.value.id.clone() });
}
