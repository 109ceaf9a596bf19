//! Deployment groups (CF-180..CF-206, CF-311..CF-317).

use slipway_auth::resource::Call;
use slipway_model::arn;
use slipway_model::config::{
    ComputePlatform, DEFAULT_ECS_CONFIG, DEFAULT_LAMBDA_CONFIG, DEFAULT_SERVER_CONFIG,
};
use slipway_model::group::GroupSettings;
use slipway_model::resources::{Application, DeploymentGroup, GroupHistory};
use slipway_store::{ChangeSet, CommitError, Kind, Write};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{MOST_TRIES, Stored, application_name, batch, document, group_name, required, too_busy};
use super::configs::Found;
use super::group_settings::Given;
use super::{claims, conditions, configs, group_rules, group_wire, renames, tags};
use crate::access::{PassRoleError, RequestContext};
use crate::error::{self, api};

pub(super) async fn create(
    context: &RequestContext,
    mut input: wire::CreateDeploymentGroupInput,
) -> Result<wire::CreateDeploymentGroupOutput, ApiError> {
    let application_name = application_name(input.application_name.as_deref())?.to_owned();
    let name = group_name(input.deployment_group_name.as_deref())?.to_owned();
    let call = Call {
        application: Some(&application_name),
        group: Some(&name),
        ..context.call("CreateDeploymentGroup")
    };
    context.permit_with(call, &conditions::setting(input.tags.as_deref())).await?;
    let role =
        required(input.service_role_arn.as_deref(), ErrorKind::RoleRequiredException, "serviceRoleArn")?
            .to_owned();
    // Before the settings: what is wrong about them is not worth telling if there is nothing to make them for.
    context.application(&application_name).await?;
    let tags = tags::at_creation(input.tags.take())?;
    // A style that is not given is one of which nothing is given: it has the platform's defaults.
    input.deployment_style.get_or_insert_default();
    let given = Given::from(input);
    let mut group = DeploymentGroup {
        id: uuid::Uuid::new_v4().to_string(),
        name,
        application_id: String::new(),
        deployment_config_name: String::new(),
        service_role_arn: role,
        on_premises: None,
        auto_rollback: None,
        outdated_instances_strategy: "UPDATE".to_owned(),
        settings: GroupSettings::default(),
        created: context.now(),
        tags,
    };
    for _ in 0..MOST_TRIES {
        let application = context.application(&application_name).await?;
        group.application_id.clone_from(&application.value.id);
        let config = settle(context, &application.value, &given, &mut group).await?;
        check_role(context, &group.service_role_arn, &application_name, &group.name).await?;
        let key = context.key(Kind::DeploymentGroup, &group.application_id, &group.name);
        if context.control.store.document(&key).await.map_err(error::read)?.is_some() {
            return taken(Some(&key), &group, &application_name);
        }
        check_limit(context, &application.value).await?;
        let mut change = ChangeSet::new()
            // The application must still be there: a group never outlives it.
            .with(Write::Require { key: application.key, version: application.version })
            .with(Write::Insert(document(key, &group, 0)))
            .with(Write::Insert(document(
                context.key(Kind::GroupHistory, &group.application_id, &group.id),
                &GroupHistory::default(),
                0,
            )));
        claims::make(context, &mut change, None, &group, &config);
        match context.control.store.commit(change).await {
            Ok(()) => return Ok(wire::CreateDeploymentGroupOutput { deployment_group_id: Some(group.id) }),
            Err(CommitError::Exists { key, .. }) => return taken(key.as_ref(), &group, &application_name),
            // The application or the configuration was changed or deleted: look again.
            Err(CommitError::Conflict { .. }) => {}
            Err(other) => return Err(error::commit(other)),
        }
    }
    too_busy(&format!("Application {application_name}"))
}

/// A key that is taken, as the error that names what has it.
fn taken<T>(
    key: Option<&slipway_store::DocumentKey>,
    group: &DeploymentGroup,
    application_name: &str,
) -> Result<T, ApiError> {
    if let Some(key) = key.filter(|key| key.kind == Kind::EcsServiceClaim) {
        return api(
            ErrorKind::ECSServiceMappingLimitExceededException,
            format!("The ECS service {} (cluster:service) belongs to another deployment group.", key.name),
        );
    }
    api(
        ErrorKind::DeploymentGroupAlreadyExistsException,
        format!(
            "Deployment group already exists with the name: {} in application {application_name}",
            group.name
        ),
    )
}

/// Writes what was given over a group and checks the result; returns the configuration that it has then.
async fn settle(
    context: &RequestContext,
    application: &Application,
    given: &Given,
    group: &mut DeploymentGroup,
) -> Result<Found, ApiError> {
    let config_name = match &given.deployment_config_name {
        Some(name) => name.as_str(),
        None if group.deployment_config_name.is_empty() => default_config(application.platform),
        None => &group.deployment_config_name,
    };
    let config = configs::find(context, config_name).await?;
    group.deployment_config_name.clone_from(&config.value.name);
    given.apply(&context.control.settings.quotas, application.platform, group)?;
    group_rules::check(application.platform, group, &config.value)?;
    Ok(config)
}

/// CF-101, CF-102.
pub(super) const fn default_config(platform: ComputePlatform) -> &'static str {
    match platform {
        ComputePlatform::Server => DEFAULT_SERVER_CONFIG,
        ComputePlatform::Lambda => DEFAULT_LAMBDA_CONFIG,
        ComputePlatform::ECS => DEFAULT_ECS_CONFIG,
    }
}

/// Changes what is given and keeps the rest (CF-313, CF-314).
pub(super) async fn update(
    context: &RequestContext,
    mut input: wire::UpdateDeploymentGroupInput,
) -> Result<wire::UpdateDeploymentGroupOutput, ApiError> {
    let application_name = application_name(input.application_name.as_deref())?.to_owned();
    let current = group_name(input.current_deployment_group_name.as_deref())?.to_owned();
    let new = input.new_deployment_group_name.take();
    let new = new.as_deref().map(|name| group_name(Some(name))).transpose()?.filter(|new| *new != current);
    context
        .permit(Call {
            application: Some(&application_name),
            group: Some(&current),
            new_group: new,
            ..context.call("UpdateDeploymentGroup")
        })
        .await?;
    let given = Given::from(input);
    for _ in 0..MOST_TRIES {
        let application = context.application(&application_name).await?;
        let group = context.group(&application.value, &current).await?;
        let mut changed = group.value.clone();
        if let Some(new) = new {
            new.clone_into(&mut changed.name);
        }
        let config = settle(context, &application.value, &given, &mut changed).await?;
        if let Some(role) = &given.service_role_arn {
            check_role(context, role, &application_name, &changed.name).await?;
            changed.service_role_arn.clone_from(role);
        }
        let mut change =
            ChangeSet::new().with(Write::Require { key: application.key, version: application.version });
        if new.is_some() {
            let key = context.key(Kind::DeploymentGroup, &changed.application_id, &changed.name);
            change.push(Write::Delete { key: group.key.clone(), version: Some(group.version) });
            change.push(Write::Insert(document(key, &changed, 0)));
            let (id, name) = (changed.id.clone(), changed.name.clone());
            renames::note(context, &mut change, &changed.application_id, |names| {
                names.groups.insert(id, name);
            })
            .await?;
        } else {
            change.push(Write::Replace(document(group.key.clone(), &changed, group.version)));
        }
        claims::make(context, &mut change, Some(&group.value), &changed, &config);
        match context.control.store.commit(change).await {
            // Slipway installs no hooks in Auto Scaling groups, so none is left behind.
            Ok(()) => {
                return Ok(wire::UpdateDeploymentGroupOutput { hooks_not_cleaned_up: Some(Vec::new()) });
            }
            Err(CommitError::Exists { key: Some(key), .. }) if key.kind == Kind::PresentNames => {}
            Err(CommitError::Exists { key, .. }) => return taken(key.as_ref(), &changed, &application_name),
            Err(CommitError::Conflict { .. }) => {}
            Err(other) => return Err(error::commit(other)),
        }
    }
    too_busy(&format!("Deployment group {current}"))
}

/// The role exists, CodeDeploy may assume it for this group, and the caller may hand it over (D-30).
async fn check_role(
    context: &RequestContext,
    role: &str,
    application: &str,
    group: &str,
) -> Result<(), ApiError> {
    let invalid = |message: String| api(ErrorKind::InvalidRoleException, message);
    let source = arn::deployment_group(&context.caller.scope, application, group);
    match context.check_pass_role(role, &source).await {
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
    let history = history(context, &group).await?;
    Ok(wire::GetDeploymentGroupOutput {
        deployment_group_info: Some(group_wire::to_wire(&application, &group, &history)),
    })
}

async fn history(context: &RequestContext, group: &DeploymentGroup) -> Result<GroupHistory, ApiError> {
    let key = context.key(Kind::GroupHistory, &group.application_id, &group.id);
    Ok(context.load::<GroupHistory>(key).await?.map(|history| history.value).unwrap_or_default())
}

/// Groups that there are; the others are named in the message (CF-317).
pub(super) async fn batch_get(
    context: &RequestContext,
    input: wire::BatchGetDeploymentGroupsInput,
) -> Result<wire::BatchGetDeploymentGroupsOutput, ApiError> {
    let application_name = application_name(input.application_name.as_deref())?;
    let names = batch(
        input.deployment_group_names,
        ErrorKind::DeploymentGroupNameRequiredException,
        "deploymentGroupNames",
        context.batch_of_names(),
    )?;
    let names = names.iter().map(|name| group_name(Some(name))).collect::<Result<Vec<_>, _>>()?;
    let groups: Vec<(&str, &str)> = names.iter().map(|name| (application_name, *name)).collect();
    context.permit(Call { groups: &groups, ..context.call("BatchGetDeploymentGroups") }).await?;
    let application = context.application(application_name).await?.value;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        let key = context.key(Kind::DeploymentGroup, &application.id, name);
        match context.load::<DeploymentGroup>(key).await? {
            Some(group) => {
                let history = history(context, &group.value).await?;
                found.push(group_wire::to_wire(&application, &group.value, &history));
            }
            None => missing.push(name),
        }
    }
    Ok(wire::BatchGetDeploymentGroupsOutput {
        deployment_groups_info: Some(found),
        error_message: (!missing.is_empty()).then(|| {
            format!(
                "No Deployment Group found for name: {} in application {application_name}",
                missing.join(", ")
            )
        }),
    })
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
    for _ in 0..MOST_TRIES {
        let key = context.key(Kind::Application, "", application_name);
        let Some(application) = context.load::<Application>(key).await? else { return Ok(done) };
        let key = context.key(Kind::DeploymentGroup, &application.value.id, name);
        let Some(group) = context.load::<DeploymentGroup>(key).await? else { return Ok(done) };
        let mut change = ChangeSet::new();
        forget(context, &mut change, &group);
        renames::forget_group(context, &mut change, &group.value.application_id, &group.value.id).await?;
        match context.control.store.commit(change).await {
            Ok(()) => return Ok(done),
            // It, or a name in its application, was changed at the same moment: look again.
            Err(CommitError::Conflict { .. }) => {}
            Err(other) => return Err(error::commit(other)),
        }
    }
    too_busy(&format!("Deployment group {name}"))
}

/// Adds the end of a group, as it was read, and of everything that belongs to it alone. Hosts keep what is on them;
/// commands that are out are answered as unknown.
pub(super) fn forget(context: &RequestContext, change: &mut ChangeSet, group: &Stored<DeploymentGroup>) {
    change.push(Write::Delete { key: group.key.clone(), version: Some(group.version) });
    change.push(Write::Delete {
        key: context.key(Kind::GroupHistory, &group.value.application_id, &group.value.id),
        version: None,
    });
    claims::release(context, change, &group.value);
    change.push(Write::ForgetGroup { group_id: group.value.id.clone() });
}
