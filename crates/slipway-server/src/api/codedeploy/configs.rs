//! Deployment configurations (CF-100..CF-139).

use slipway_auth::resource::Call;
use slipway_model::config::{DeploymentConfig, TrafficRouting};
use slipway_store::Kind;
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{PAGE, config_name, required};
use super::convert;
use crate::access::RequestContext;
use crate::error::{self, api};

/// The configuration called `name`: predefined, or made in this account and region.
pub(super) async fn find(context: &RequestContext, name: &str) -> Result<DeploymentConfig, ApiError> {
    let name = config_name(name)?;
    if let Some(config) = DeploymentConfig::predefined(name) {
        // Predefined ones are as old as the installation.
        return Ok(DeploymentConfig { created: context.control.settings.installed, ..config });
    }
    match context.load(context.key(Kind::DeploymentConfig, "", name)).await? {
        Some(config) => Ok(config.value),
        None => api(
            ErrorKind::DeploymentConfigDoesNotExistException,
            format!("No deployment configuration found for name: {name}"),
        ),
    }
}

pub(super) async fn get(
    context: &RequestContext,
    input: wire::GetDeploymentConfigInput,
) -> Result<wire::GetDeploymentConfigOutput, ApiError> {
    let name = required(
        input.deployment_config_name.as_deref(),
        ErrorKind::DeploymentConfigNameRequiredException,
        "deploymentConfigName",
    )?;
    context.permit(Call { config: Some(name), ..context.call("GetDeploymentConfig") }).await?;
    let config = find(context, name).await?;
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
        zonal_config: None,
    }
}
