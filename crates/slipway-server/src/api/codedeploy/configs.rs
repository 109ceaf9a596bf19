//! Deployment configurations (CF-100..CF-139).

use slipway_auth::resource::Call;
use slipway_model::DeploymentId;
use slipway_model::config::{DeploymentConfig, PREDEFINED_PREFIX, TrafficRouting};
use slipway_model::status::DeploymentStatus;
use slipway_store::{ChangeSet, CommitError, DeploymentQuery, DocumentKey, Kind, Write};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{PAGE, config_name, document, required};
use super::{config_rules, convert};
use crate::access::RequestContext;
use crate::error::{self, api};
use crate::work::deployment::record_of;

/// A configuration, and where it is stored if it is not a predefined one.
pub(super) struct Found {
    pub(super) value: DeploymentConfig,
    pub(super) stored: Option<(DocumentKey, i64)>,
}

/// The configuration called `name`: predefined, or made in this account and region.
pub(super) async fn find(context: &RequestContext, name: &str) -> Result<Found, ApiError> {
    let name = config_name(name)?;
    if let Some(config) = DeploymentConfig::predefined(name) {
        // Predefined ones are as old as the installation.
        let value = DeploymentConfig { created: context.control.settings.installed, ..config };
        return Ok(Found { value, stored: None });
    }
    match context.load(context.key(Kind::DeploymentConfig, "", name)).await? {
        Some(config) => Ok(Found { value: config.value, stored: Some((config.key, config.version)) }),
        None => api(
            ErrorKind::DeploymentConfigDoesNotExistException,
            format!("No deployment configuration found for name: {name}"),
        ),
    }
}

/// Makes a configuration of the account's own (CF-130).
pub(super) async fn create(
    context: &RequestContext,
    input: wire::CreateDeploymentConfigInput,
) -> Result<wire::CreateDeploymentConfigOutput, ApiError> {
    let name = given_name(input.deployment_config_name.as_deref())?;
    context.permit(Call { config: Some(name), ..context.call("CreateDeploymentConfig") }).await?;
    config_name(name)?;
    if name.starts_with(PREDEFINED_PREFIX) {
        return api(
            ErrorKind::InvalidDeploymentConfigNameException,
            format!("deploymentConfigName {name:?} begins with {PREDEFINED_PREFIX}, which is reserved."),
        );
    }
    let config = config_rules::read(name, &input, context.now())?;
    let key = context.key(Kind::DeploymentConfig, "", name);
    let exists = || {
        api(
            ErrorKind::DeploymentConfigAlreadyExistsException,
            format!("Deployment configuration already exists with the name: {name}"),
        )
    };
    let store = &context.control.store;
    if store.document(&key).await.map_err(error::read)?.is_some() {
        return exists();
    }
    let limit = context.control.settings.quotas.deployment_configs;
    let count =
        store.count_documents(&context.partition(), Kind::DeploymentConfig, "").await.map_err(error::read)?;
    if count >= u64::from(limit) {
        return api(
            ErrorKind::DeploymentConfigLimitExceededException,
            format!(
                "The account has {count} deployment configurations of its own in this region; the limit is {limit}."
            ),
        );
    }
    match store.commit(ChangeSet::new().with(Write::Insert(document(key, &config, 0)))).await {
        Ok(()) => Ok(wire::CreateDeploymentConfigOutput { deployment_config_id: Some(config.id) }),
        Err(CommitError::Exists { .. }) => exists(),
        Err(other) => Err(error::commit(other)),
    }
}

/// Deletes a configuration that nothing uses (CF-139). One that is not there is no error: the model lists none.
pub(super) async fn delete(
    context: &RequestContext,
    input: wire::DeleteDeploymentConfigInput,
) -> Result<(), ApiError> {
    let name = given_name(input.deployment_config_name.as_deref())?;
    context.permit(Call { config: Some(name), ..context.call("DeleteDeploymentConfig") }).await?;
    config_name(name)?;
    if name.starts_with(PREDEFINED_PREFIX) {
        return api(
            ErrorKind::InvalidOperationException,
            format!("{name} is a predefined deployment configuration and cannot be deleted."),
        );
    }
    let key = context.key(Kind::DeploymentConfig, "", name);
    let Some(config) = context.load::<DeploymentConfig>(key).await? else { return Ok(()) };
    let in_use = |by: String| {
        api(
            ErrorKind::DeploymentConfigInUseException,
            format!("Deployment configuration {name} is used by {by}."),
        )
    };
    if let Some(deployment) = running_with(context, name).await? {
        return in_use(format!("deployment {deployment}, which is under way"));
    }
    let change = ChangeSet::new()
        .with(Write::RequireNone {
            partition: context.partition(),
            kind: Kind::ConfigUse,
            parent: name.to_owned(),
        })
        .with(Write::Delete { key: config.key, version: Some(config.version) });
    match context.control.store.commit(change).await {
        Ok(()) => Ok(()),
        // A configuration never changes: what is in the way is a group, or somebody who deleted it just now.
        Err(CommitError::Conflict { .. }) => {
            let partition = context.partition();
            let store = &context.control.store;
            match store.count_documents(&partition, Kind::ConfigUse, name).await.map_err(error::read)? {
                0 => Ok(()),
                count => in_use(format!("{count} deployment groups")),
            }
        }
        Err(other) => Err(error::commit(other)),
    }
}

/// A deployment that runs with this configuration.
async fn running_with(context: &RequestContext, name: &str) -> Result<Option<DeploymentId>, ApiError> {
    let mut after = None;
    loop {
        let query = DeploymentQuery {
            scope: context.caller.scope.clone(),
            application_id: None,
            group_id: None,
            statuses: DeploymentStatus::ALL.iter().copied().filter(|status| !status.is_terminal()).collect(),
            created_from: None,
            created_to: None,
            after: after.take(),
            limit: 100,
        };
        let page = context.control.store.deployments(&query).await.map_err(error::read)?;
        for row in &page {
            if record_of(row).map_err(error::internal)?.config_name == name {
                return Ok(Some(row.id.clone()));
            }
        }
        match page.last() {
            Some(last) => after = Some((last.created, last.id.clone())),
            None => return Ok(None),
        }
    }
}

fn given_name(name: Option<&str>) -> Result<&str, ApiError> {
    required(name, ErrorKind::DeploymentConfigNameRequiredException, "deploymentConfigName")
}

pub(super) async fn get(
    context: &RequestContext,
    input: wire::GetDeploymentConfigInput,
) -> Result<wire::GetDeploymentConfigOutput, ApiError> {
    let name = given_name(input.deployment_config_name.as_deref())?;
    context.permit(Call { config: Some(name), ..context.call("GetDeploymentConfig") }).await?;
    let config = find(context, name).await?.value;
    Ok(wire::GetDeploymentConfigOutput { deployment_config_info: Some(to_wire(&config)) })
}

/// Predefined names first, then the account's own, each sorted.
pub(super) async fn list(
    context: &RequestContext,
    input: wire::ListDeploymentConfigsInput,
) -> Result<wire::ListDeploymentConfigsOutput, ApiError> {
    const LIST: &str = "ListDeploymentConfigs";
    context.permit(context.call("ListDeploymentConfigs")).await?;
    let after = context.read_page_token(LIST, input.next_token.as_deref())?;
    let mut names: Vec<String> =
        if after.is_none() { DeploymentConfig::predefined_names().collect() } else { Vec::new() };
    let room = PAGE - names.len();
    let page = context
        .control
        .store
        .documents(
            &context.partition(),
            Kind::DeploymentConfig,
            "",
            after.as_deref(),
            u32::try_from(room + 1).unwrap_or(u32::MAX),
        )
        .await
        .map_err(error::read)?;
    let more = page.len() > room;
    names.extend(page.into_iter().take(room).map(|d| d.key.name));
    let next_token = if more { names.last().map(|last| context.page_token(LIST, last)) } else { None };
    Ok(wire::ListDeploymentConfigsOutput { deployment_configs_list: Some(names), next_token })
}

fn to_wire(config: &DeploymentConfig) -> wire::DeploymentConfigInfo {
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    wire::DeploymentConfigInfo {
        deployment_config_id: Some(config.id.clone()),
        deployment_config_name: Some(config.name.clone()),
        minimum_healthy_hosts: config.minimum_healthy_hosts.map(|minimum| wire::MinimumHealthyHosts {
            r#type: Some(minimum.wire_type().to_owned()),
            value: Some(count(minimum.value())),
        }),
        create_time: Some(convert::time(config.created)),
        compute_platform: Some(config.platform.as_str().to_owned()),
        traffic_routing_config: config.traffic_routing.map(|routing| match routing {
            TrafficRouting::AllAtOnce => wire::TrafficRoutingConfig {
                r#type: Some("AllAtOnce".to_owned()),
                ..wire::TrafficRoutingConfig::default()
            },
            TrafficRouting::Canary { percentage, interval } => wire::TrafficRoutingConfig {
                r#type: Some("TimeBasedCanary".to_owned()),
                time_based_canary: Some(wire::TimeBasedCanary {
                    canary_percentage: Some(count(percentage)),
                    canary_interval: Some(count(interval)),
                }),
                time_based_linear: None,
            },
            TrafficRouting::Linear { percentage, interval } => wire::TrafficRoutingConfig {
                r#type: Some("TimeBasedLinear".to_owned()),
                time_based_canary: None,
                time_based_linear: Some(wire::TimeBasedLinear {
                    linear_percentage: Some(count(percentage)),
                    linear_interval: Some(count(interval)),
                }),
            },
        }),
        zonal_config: config.zonal.map(|zonal| wire::ZonalConfig {
            monitor_duration_in_seconds: zonal.monitor_seconds.map(i64::from),
            first_zone_monitor_duration_in_seconds: zonal.first_zone_monitor_seconds.map(i64::from),
            minimum_healthy_hosts_per_zone: zonal.minimum_per_zone.map(|minimum| {
                wire::MinimumHealthyHostsPerZone {
                    r#type: Some(minimum.wire_type().to_owned()),
                    value: Some(count(minimum.value())),
                }
            }),
        }),
    }
}
