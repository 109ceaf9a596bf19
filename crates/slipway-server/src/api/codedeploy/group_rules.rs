//! Rules about a deployment group as a whole: what its platform and its deployment type allow (CF-125, CF-156,
//! CF-241, OV-021).

use slipway_model::config::{ComputePlatform, DeploymentConfig, TrafficRouting};
use slipway_model::group::{DeploymentOption, DeploymentStyle, DeploymentType, GreenFleetAction};
use slipway_model::resources::DeploymentGroup;
use slipway_wire::{ApiError, ErrorKind};

use super::load_balancers;
use crate::error::api;

/// Whether a group may be as it is, with this configuration.
pub(super) fn check(
    platform: ComputePlatform,
    group: &DeploymentGroup,
    config: &DeploymentConfig,
) -> Result<(), ApiError> {
    check_config(platform, config)?;
    if config.zonal.is_some() && group.settings.style.kind == DeploymentType::BlueGreen {
        // 04 A-08.
        return api(
            ErrorKind::InvalidInputException,
            format!(
                "Deployment configuration {} has a zonalConfig, which works with deploymentType IN_PLACE only.",
                config.name
            ),
        );
    }
    match platform {
        ComputePlatform::Server => check_server(group),
        ComputePlatform::Lambda | ComputePlatform::ECS => {
            check_has_no_hosts(platform, group)?;
            if platform == ComputePlatform::ECS { check_ecs(group, config) } else { check_lambda(group) }
        }
    }
}

/// 04 A-24.
pub(super) fn check_config(platform: ComputePlatform, config: &DeploymentConfig) -> Result<(), ApiError> {
    if config.platform == platform {
        return Ok(());
    }
    api(
        ErrorKind::InvalidDeploymentConfigNameException,
        format!(
            "Deployment configuration {} is for the compute platform {}, the application is for {}.",
            config.name,
            config.platform.as_str(),
            platform.as_str()
        ),
    )
}

fn check_server(group: &DeploymentGroup) -> Result<(), ApiError> {
    let settings = &group.settings;
    if !settings.ecs_services.is_empty() {
        return api(ErrorKind::InvalidECSServiceException, "ecsServices is for ECS applications.");
    }
    let load_balancers = settings.load_balancers.as_ref();
    if load_balancers.is_some_and(|named| !named.pairs.is_empty()) {
        return api(
            ErrorKind::InvalidLoadBalancerInfoException,
            "targetGroupPairInfoList is for ECS applications; give elbInfoList or targetGroupInfoList.",
        );
    }
    if settings.style.option == DeploymentOption::WithTrafficControl && load_balancers.is_none() {
        return api(
            ErrorKind::InvalidLoadBalancerInfoException,
            "deploymentOption WITH_TRAFFIC_CONTROL needs loadBalancerInfo with at least one load balancer or target group.",
        );
    }
    match settings.style.kind {
        DeploymentType::BlueGreen => check_blue_green(group)?,
        DeploymentType::InPlace if settings.blue_green.is_some() => {
            return api(
                ErrorKind::InvalidBlueGreenDeploymentConfigurationException,
                "blueGreenDeploymentConfiguration needs deploymentType BLUE_GREEN.",
            );
        }
        DeploymentType::InPlace => {}
    }
    let suspends = settings.processes_to_suspend.as_ref().is_some_and(|processes| !processes.is_empty());
    if suspends
        && (settings.auto_scaling_groups.is_empty() || settings.style.kind == DeploymentType::BlueGreen)
    {
        return api(
            ErrorKind::InvalidAutoScalingGroupProcessToSuspendException,
            "autoScalingGroupProcessesToSuspend needs deploymentType IN_PLACE and an Auto Scaling group.",
        );
    }
    Ok(())
}

fn check_blue_green(group: &DeploymentGroup) -> Result<(), ApiError> {
    let settings = &group.settings;
    if group.on_premises.is_some() {
        return api(
            ErrorKind::InvalidDeploymentStyleException,
            "On-premises instances cannot be deployed to with deploymentType BLUE_GREEN.",
        );
    }
    if settings.style.option != DeploymentOption::WithTrafficControl {
        return api(
            ErrorKind::InvalidDeploymentStyleException,
            "deploymentType BLUE_GREEN needs deploymentOption WITH_TRAFFIC_CONTROL.",
        );
    }
    let copies = settings
        .blue_green
        .is_some_and(|blue_green| blue_green.green_fleet == Some(GreenFleetAction::CopyAutoScalingGroup));
    if copies && settings.auto_scaling_groups.is_empty() {
        return api(
            ErrorKind::InvalidBlueGreenDeploymentConfigurationException,
            "greenFleetProvisioningOption COPY_AUTO_SCALING_GROUP needs an Auto Scaling group to copy.",
        );
    }
    Ok(())
}

/// Lambda and ECS know no hosts, and nothing but blue/green.
fn check_has_no_hosts(platform: ComputePlatform, group: &DeploymentGroup) -> Result<(), ApiError> {
    let settings = &group.settings;
    let refuse = |kind: ErrorKind, member: &str| {
        api(kind, format!("{member} is for Server applications; this one is for {}.", platform.as_str()))
    };
    if settings.ec2.is_some() {
        return refuse(ErrorKind::InvalidEC2TagException, "Selecting EC2 instances by tags");
    }
    if group.on_premises.is_some() {
        return refuse(ErrorKind::InvalidTagException, "Selecting on-premises instances by tags");
    }
    if !settings.auto_scaling_groups.is_empty() {
        return refuse(ErrorKind::InvalidAutoScalingGroupException, "autoScalingGroups");
    }
    if settings.termination_hook_enabled {
        return refuse(ErrorKind::InvalidAutoScalingGroupException, "terminationHookEnabled");
    }
    if settings.processes_to_suspend.is_some() {
        return refuse(ErrorKind::InvalidAutoScalingGroupProcessToSuspendException, "ec2DeploymentOptions");
    }
    if settings.style != DeploymentStyle::SHIFTING {
        return api(
            ErrorKind::InvalidDeploymentStyleException,
            format!(
                "The compute platform {} takes only deploymentType BLUE_GREEN with deploymentOption WITH_TRAFFIC_CONTROL.",
                platform.as_str()
            ),
        );
    }
    Ok(())
}

fn check_lambda(group: &DeploymentGroup) -> Result<(), ApiError> {
    let settings = &group.settings;
    if !settings.ecs_services.is_empty() {
        return api(ErrorKind::InvalidECSServiceException, "ecsServices is for ECS applications.");
    }
    if settings.load_balancers.is_some() {
        return api(
            ErrorKind::InvalidLoadBalancerInfoException,
            "loadBalancerInfo is for Server and ECS applications.",
        );
    }
    if settings.blue_green.is_some() {
        return api(
            ErrorKind::InvalidBlueGreenDeploymentConfigurationException,
            "blueGreenDeploymentConfiguration is for Server and ECS applications.",
        );
    }
    Ok(())
}

fn check_ecs(group: &DeploymentGroup, config: &DeploymentConfig) -> Result<(), ApiError> {
    let settings = &group.settings;
    if settings.ecs_services.is_empty() {
        return api(
            ErrorKind::InvalidECSServiceException,
            "A deployment group of an ECS application needs ecsServices with one service.",
        );
    }
    let pairs = match &settings.load_balancers {
        Some(named) if named.classic.is_empty() && named.target_groups.is_empty() => named.pairs.as_slice(),
        _ => &[],
    };
    let [pair] = pairs else {
        return api(
            ErrorKind::InvalidLoadBalancerInfoException,
            "A deployment group of an ECS application needs loadBalancerInfo with one targetGroupPairInfoList entry, and nothing else in it.",
        );
    };
    if settings.blue_green.is_some_and(|blue_green| blue_green.green_fleet.is_some()) {
        return api(
            ErrorKind::InvalidBlueGreenDeploymentConfigurationException,
            "greenFleetProvisioningOption is for Server applications.",
        );
    }
    if load_balancers::is_behind_network_load_balancer(pair)
        && config.traffic_routing != Some(TrafficRouting::AllAtOnce)
    {
        // The sentence of CF-125.
        return api(
            ErrorKind::InvalidTrafficRoutingConfigurationException,
            "Only ALB supports gradual traffic routing, use AllAtOnce Traffic routing instead when you create/update Deployment group.",
        );
    }
    Ok(())
}
