//! Reading a deployment configuration from a call (CF-025, CF-063, CF-128..CF-132).

use slipway_model::Timestamp;
use slipway_model::config::{ComputePlatform, DeploymentConfig, MinimumHealthyHosts, TrafficRouting};
use slipway_model::zones::ZonalConfig;
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::applications;
use crate::error::api;

/// Most minutes between the first and the last shift of traffic (Q17, D-40).
const LONGEST_SHIFT: u32 = 2880;

/// A configuration with everything that was given for it, checked.
pub(super) fn read(
    name: &str,
    input: &wire::CreateDeploymentConfigInput,
    created: Timestamp,
) -> Result<DeploymentConfig, ApiError> {
    let platform = applications::platform(input.compute_platform.as_deref())?;
    let zonal = match platform {
        ComputePlatform::Server => zones(input.zonal_config.as_ref())?,
        ComputePlatform::Lambda | ComputePlatform::ECS => None,
    };
    let (minimum_healthy_hosts, traffic_routing) = match platform {
        ComputePlatform::Server => {
            if input.traffic_routing_config.is_some() {
                return bad_routing("trafficRoutingConfig is for the compute platforms Lambda and ECS.");
            }
            let minimum = minimum_healthy_hosts(input.minimum_healthy_hosts.as_ref())?;
            (Some(minimum), None)
        }
        ComputePlatform::Lambda | ComputePlatform::ECS => {
            if input.minimum_healthy_hosts.is_some() {
                return bad_minimum("minimumHealthyHosts is for the compute platform Server.");
            }
            if input.zonal_config.is_some() {
                return bad_zones("zonalConfig is for the compute platform Server.");
            }
            (None, Some(traffic_routing(input.traffic_routing_config.as_ref())?))
        }
    };
    Ok(DeploymentConfig {
        id: uuid::Uuid::new_v4().to_string(),
        name: name.to_owned(),
        platform,
        minimum_healthy_hosts,
        traffic_routing,
        zonal,
        created,
    })
}

fn bad_minimum<T>(message: impl Into<String>) -> Result<T, ApiError> {
    api(ErrorKind::InvalidMinimumHealthyHostValueException, message)
}

fn bad_routing<T>(message: impl Into<String>) -> Result<T, ApiError> {
    api(ErrorKind::InvalidTrafficRoutingConfigurationException, message)
}

fn bad_zones<T>(message: impl Into<String>) -> Result<T, ApiError> {
    api(ErrorKind::InvalidZonalDeploymentConfigurationException, message)
}

/// CF-025, A-25: whether a number of hosts fits a fleet shows when it is deployed to.
fn minimum_healthy_hosts(given: Option<&wire::MinimumHealthyHosts>) -> Result<MinimumHealthyHosts, ApiError> {
    let Some(given) = given else { return bad_minimum("minimum healthy hosts argument is missing") };
    let Some(value) = given.value else { return bad_minimum("minimumHealthyHosts.value is required.") };
    let count = u32::try_from(value);
    match (given.r#type.as_deref(), count) {
        (Some("HOST_COUNT"), Ok(count)) => Ok(MinimumHealthyHosts::HostCount(count)),
        (Some("HOST_COUNT"), Err(_)) => {
            bad_minimum(format!("minimumHealthyHosts.value {value} is negative."))
        }
        (Some("FLEET_PERCENT"), Ok(percent @ 0..=99)) => Ok(MinimumHealthyHosts::FleetPercent(percent)),
        (Some("FLEET_PERCENT"), _) => {
            bad_minimum(format!("minimumHealthyHosts.value {value} is not from 0 to 99 percent."))
        }
        (Some(other), _) => bad_minimum(format!(
            "minimumHealthyHosts.type {other:?} is neither HOST_COUNT nor FLEET_PERCENT."
        )),
        (None, _) => bad_minimum("minimumHealthyHosts.type is required: HOST_COUNT or FLEET_PERCENT."),
    }
}

/// CF-050, CF-051, CF-063.
fn zones(given: Option<&wire::ZonalConfig>) -> Result<Option<ZonalConfig>, ApiError> {
    let Some(given) = given else { return Ok(None) };
    let seconds = |member: &str, seconds: Option<i64>| match seconds.map(u32::try_from) {
        None => Ok(None),
        Some(Ok(seconds)) => Ok(Some(seconds)),
        Some(Err(_)) => bad_zones(format!("{member} must be from 0 to {} seconds.", u32::MAX)),
    };
    let minimum_per_zone = match &given.minimum_healthy_hosts_per_zone {
        None => None,
        Some(minimum) => match (minimum.r#type.as_deref(), minimum.value.map(u32::try_from)) {
            (Some("HOST_COUNT"), Some(Ok(count))) => Some(MinimumHealthyHosts::HostCount(count)),
            (Some("FLEET_PERCENT"), Some(Ok(percent @ 0..=99))) => {
                Some(MinimumHealthyHosts::FleetPercent(percent))
            }
            _ => {
                return bad_zones(
                    "minimumHealthyHostsPerZone must be of type HOST_COUNT with a value from 0, or FLEET_PERCENT with a value from 0 to 99.",
                );
            }
        },
    };
    Ok(Some(ZonalConfig {
        monitor_seconds: seconds("monitorDurationInSeconds", given.monitor_duration_in_seconds)?,
        first_zone_monitor_seconds: seconds(
            "firstZoneMonitorDurationInSeconds",
            given.first_zone_monitor_duration_in_seconds,
        )?,
        minimum_per_zone,
    }))
}

/// CF-122..CF-132.
fn traffic_routing(given: Option<&wire::TrafficRoutingConfig>) -> Result<TrafficRouting, ApiError> {
    let Some(given) = given else {
        return bad_routing("trafficRoutingConfig is required for the compute platforms Lambda and ECS.");
    };
    let canary =
        given.time_based_canary.as_ref().map(|canary| (canary.canary_percentage, canary.canary_interval));
    let linear =
        given.time_based_linear.as_ref().map(|linear| (linear.linear_percentage, linear.linear_interval));
    match (given.r#type.as_deref(), canary, linear) {
        (Some("AllAtOnce"), None, None) => Ok(TrafficRouting::AllAtOnce),
        (Some("TimeBasedCanary"), Some(canary), None) => {
            let (percentage, interval) = shift("timeBasedCanary", canary, |_| LONGEST_SHIFT)?;
            Ok(TrafficRouting::Canary { percentage, interval })
        }
        (Some("TimeBasedLinear"), None, Some(linear)) => {
            // As many intervals as shifts must fit (CF-128).
            let longest = |percentage: u32| LONGEST_SHIFT / 100_u32.div_ceil(percentage);
            let (percentage, interval) = shift("timeBasedLinear", linear, longest)?;
            Ok(TrafficRouting::Linear { percentage, interval })
        }
        (Some(kind @ ("AllAtOnce" | "TimeBasedCanary" | "TimeBasedLinear")), _, _) => bad_routing(format!(
            "trafficRoutingConfig of type {kind} must have {}.",
            match kind {
                "TimeBasedCanary" => "timeBasedCanary and not timeBasedLinear",
                "TimeBasedLinear" => "timeBasedLinear and not timeBasedCanary",
                _ => "neither timeBasedCanary nor timeBasedLinear",
            }
        )),
        (Some(other), _, _) => bad_routing(format!(
            "trafficRoutingConfig.type {other:?} is none of TimeBasedCanary, TimeBasedLinear, AllAtOnce."
        )),
        (None, _, _) => bad_routing("trafficRoutingConfig.type is required."),
    }
}

/// Percentage and interval of a step-wise shift; `longest` tells the greatest interval for a percentage.
fn shift(
    member: &str,
    (percentage, interval): (Option<i32>, Option<i32>),
    longest: impl Fn(u32) -> u32,
) -> Result<(u32, u32), ApiError> {
    let Some(percentage @ 1..=99) = percentage.and_then(|percentage| u32::try_from(percentage).ok()) else {
        return bad_routing(format!("The percentage of {member} must be from 1 to 99."));
    };
    let most = longest(percentage);
    match interval.and_then(|interval| u32::try_from(interval).ok()) {
        Some(interval) if (1..=most).contains(&interval) => Ok((percentage, interval)),
        _ => bad_routing(format!("The interval of {member} must be from 1 to {most} minutes.")),
    }
}
