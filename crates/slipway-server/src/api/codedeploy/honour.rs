//! What deployments of this version cannot honour. It is kept and shown with the group, and no deployment is created
//! that would ignore it; docs/compatibility.md lists it.

use slipway_model::config::ComputePlatform;
use slipway_model::group::{AlarmConfiguration, DeploymentOption, DeploymentType};
use slipway_model::resources::DeploymentGroup;
use slipway_wire::{ApiError, ErrorKind};

use crate::error::api;

/// Refuses a deployment of this group, with the settings that would be in force for it.
pub(super) fn check(
    platform: ComputePlatform,
    group: &DeploymentGroup,
    alarms: Option<&AlarmConfiguration>,
) -> Result<(), ApiError> {
    if platform != ComputePlatform::Server {
        return api(
            ErrorKind::InvalidComputePlatformException,
            format!(
                "Deployments to the compute platform {} are not available in this version of Slipway.",
                platform.as_str()
            ),
        );
    }
    let refuse = |kind: ErrorKind, what: &str, way_out: &str| {
        api(
            kind,
            format!(
                "Deployment group {} {what}, which deployments of this version of Slipway cannot honour. {way_out}",
                group.name
            ),
        )
    };
    let settings = &group.settings;
    if settings.style.kind == DeploymentType::BlueGreen {
        return refuse(
            ErrorKind::InvalidInputException,
            "has deploymentType BLUE_GREEN",
            "Change it to IN_PLACE.",
        );
    }
    if settings.style.option == DeploymentOption::WithTrafficControl {
        return refuse(
            ErrorKind::InvalidLoadBalancerInfoException,
            "has deploymentOption WITH_TRAFFIC_CONTROL",
            "Change it to WITHOUT_TRAFFIC_CONTROL.",
        );
    }
    if !settings.auto_scaling_groups.is_empty() {
        return refuse(
            ErrorKind::InvalidAutoScalingGroupException,
            "names Auto Scaling groups",
            "Take them out.",
        );
    }
    if settings.ec2.is_some() {
        return refuse(
            ErrorKind::InvalidInputException,
            "selects EC2 instances by tags",
            "Take ec2TagFilters and ec2TagSet out.",
        );
    }
    if !settings.triggers.is_empty() {
        return refuse(ErrorKind::InvalidInputException, "has triggers", "Take triggerConfigurations out.");
    }
    if alarms.is_some_and(|alarms| alarms.enabled) {
        return refuse(
            ErrorKind::InvalidAlarmConfigException,
            "or this deployment has alarms",
            "Give overrideAlarmConfiguration with enabled false.",
        );
    }
    Ok(())
}
