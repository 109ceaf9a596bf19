//! Deployment configurations: the rules by which a deployment moves through its targets.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::zones::ZonalConfig;

/// Destination of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ComputePlatform {
    /// EC2 and on-premises hosts.
    #[default]
    Server,
    /// AWS Lambda.
    Lambda,
    /// Amazon ECS.
    ECS,
}

impl ComputePlatform {
    /// The wire form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Lambda => "Lambda",
            Self::ECS => "ECS",
        }
    }

    /// Reads the wire form.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "Server" => Some(Self::Server),
            "Lambda" => Some(Self::Lambda),
            "ECS" => Some(Self::ECS),
            _ => None,
        }
    }
}

/// How many hosts must stay healthy (CF-020, CF-043).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MinimumHealthyHosts {
    /// A number of hosts.
    HostCount(u32),
    /// A percentage of the fleet, rounded up (CF-022).
    FleetPercent(u32),
    /// At most this many hosts in flight; only `CodeDeployDefault.OneAtATime` has it (CF-043).
    MostConcurrency(u32),
}

impl MinimumHealthyHosts {
    /// The minimum as a number of hosts of a fleet of `total`, fixed at the start of the deployment (CF-022, CF-043).
    pub const fn for_fleet(self, total: u32) -> u32 {
        match self {
            Self::HostCount(count) => count,
            // u64: a fleet of 2^32 / 100 hosts must not overflow; integers because 100 * 0.07 is not 7 in floats.
            Self::FleetPercent(percent) => ((total as u64 * percent as u64).div_ceil(100)) as u32,
            Self::MostConcurrency(at_once) => total.saturating_sub(at_once),
        }
    }

    /// The `type` member on the wire.
    pub const fn wire_type(self) -> &'static str {
        match self {
            Self::HostCount(_) => "HOST_COUNT",
            Self::FleetPercent(_) => "FLEET_PERCENT",
            Self::MostConcurrency(_) => "MOST_CONCURRENCY",
        }
    }

    /// The `value` member on the wire.
    pub const fn value(self) -> u32 {
        match self {
            Self::HostCount(v) | Self::FleetPercent(v) | Self::MostConcurrency(v) => v,
        }
    }
}

/// How traffic moves on Lambda and ECS (CF-120..CF-124).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TrafficRouting {
    /// Everything in one step.
    AllAtOnce,
    /// `percentage` first, the rest after `interval` minutes.
    Canary {
        /// Percent of the first shift.
        percentage: u32,
        /// Minutes until the second shift.
        interval: u32,
    },
    /// `percentage` every `interval` minutes.
    Linear {
        /// Percent of each shift.
        percentage: u32,
        /// Minutes between shifts.
        interval: u32,
    },
}

/// A deployment configuration: a named, immutable set of rules for one platform (CF-100).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentConfig {
    /// UUID.
    pub id: String,
    /// Name, unique per account and region across platforms (CF-106).
    pub name: String,
    /// The platform that the rules are for.
    pub platform: ComputePlatform,
    /// Server only.
    pub minimum_healthy_hosts: Option<MinimumHealthyHosts>,
    /// Lambda and ECS only.
    pub traffic_routing: Option<TrafficRouting>,
    /// Server only: one zone after the other (CF-050).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zonal: Option<ZonalConfig>,
    /// When it was created; the epoch for predefined ones.
    pub created: Timestamp,
}

/// The configuration that a Server group has when none is named (CF-101).
pub const DEFAULT_SERVER_CONFIG: &str = "CodeDeployDefault.OneAtATime";

/// The configuration that a Lambda group has when none is named (CF-102).
pub const DEFAULT_LAMBDA_CONFIG: &str = "CodeDeployDefault.LambdaAllAtOnce";

/// The configuration that an ECS group has when none is named (CF-102).
pub const DEFAULT_ECS_CONFIG: &str = "CodeDeployDefault.ECSAllAtOnce";

/// Prefix of the predefined names; nobody else may use it (CF-105).
pub const PREDEFINED_PREFIX: &str = "CodeDeployDefault.";

enum Rule {
    Hosts(MinimumHealthyHosts),
    Traffic(ComputePlatform, TrafficRouting),
}

use ComputePlatform::{ECS, Lambda};
use Rule::{Hosts, Traffic};
use TrafficRouting::{AllAtOnce, Canary, Linear};

/// The 17 predefined configurations, in the order in which lists show them (CF-110..CF-121).
const PREDEFINED: [(&str, Rule); 17] = [
    ("AllAtOnce", Hosts(MinimumHealthyHosts::FleetPercent(0))),
    ("ECSAllAtOnce", Traffic(ECS, AllAtOnce)),
    ("ECSCanary10Percent15Minutes", Traffic(ECS, Canary { percentage: 10, interval: 15 })),
    ("ECSCanary10Percent5Minutes", Traffic(ECS, Canary { percentage: 10, interval: 5 })),
    ("ECSLinear10PercentEvery1Minutes", Traffic(ECS, Linear { percentage: 10, interval: 1 })),
    ("ECSLinear10PercentEvery3Minutes", Traffic(ECS, Linear { percentage: 10, interval: 3 })),
    ("HalfAtATime", Hosts(MinimumHealthyHosts::FleetPercent(50))),
    ("LambdaAllAtOnce", Traffic(Lambda, AllAtOnce)),
    ("LambdaCanary10Percent10Minutes", Traffic(Lambda, Canary { percentage: 10, interval: 10 })),
    ("LambdaCanary10Percent15Minutes", Traffic(Lambda, Canary { percentage: 10, interval: 15 })),
    ("LambdaCanary10Percent30Minutes", Traffic(Lambda, Canary { percentage: 10, interval: 30 })),
    ("LambdaCanary10Percent5Minutes", Traffic(Lambda, Canary { percentage: 10, interval: 5 })),
    ("LambdaLinear10PercentEvery10Minutes", Traffic(Lambda, Linear { percentage: 10, interval: 10 })),
    ("LambdaLinear10PercentEvery1Minute", Traffic(Lambda, Linear { percentage: 10, interval: 1 })),
    ("LambdaLinear10PercentEvery2Minutes", Traffic(Lambda, Linear { percentage: 10, interval: 2 })),
    ("LambdaLinear10PercentEvery3Minutes", Traffic(Lambda, Linear { percentage: 10, interval: 3 })),
    ("OneAtATime", Hosts(MinimumHealthyHosts::MostConcurrency(1))),
];

impl DeploymentConfig {
    /// The predefined configuration called `name`, or `None`.
    pub fn predefined(name: &str) -> Option<Self> {
        let short = name.strip_prefix(PREDEFINED_PREFIX)?;
        let index = PREDEFINED.iter().position(|(n, _)| *n == short)?;
        let (platform, hosts, traffic) = match PREDEFINED[index].1 {
            Hosts(minimum) => (ComputePlatform::Server, Some(minimum), None),
            Traffic(platform, routing) => (platform, None, Some(routing)),
        };
        Some(Self {
            // Fixed ids: the same in every account and after every restart (CF-103).
            id: format!("00000000-0000-0000-0000-{:012}", index + 1),
            name: name.to_owned(),
            platform,
            minimum_healthy_hosts: hosts,
            traffic_routing: traffic,
            zonal: None,
            created: Timestamp(0),
        })
    }

    /// The names of all predefined configurations, sorted.
    pub fn predefined_names() -> impl Iterator<Item = String> {
        PREDEFINED.iter().map(|(short, _)| format!("{PREDEFINED_PREFIX}{short}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_rounds_up_in_integers_cf_022() {
        for (total, percent, hosts) in [
            (100, 7, 7),
            (100, 29, 29),
            (100, 57, 57),
            (10, 95, 10),
            (9, 50, 5),
            (3, 33, 1),
            (3, 34, 2),
            (99, 99, 99),
            (101, 99, 100),
            (u32::MAX, 99, 4_252_017_623),
        ] {
            assert_eq!(
                MinimumHealthyHosts::FleetPercent(percent).for_fleet(total),
                hosts,
                "{percent} % of {total}"
            );
        }
    }

    #[test]
    fn one_at_a_time_is_one_in_flight_cf_043() {
        let minimum = MinimumHealthyHosts::MostConcurrency(1);
        assert_eq!([1, 2, 9].map(|t| minimum.for_fleet(t)), [0, 1, 8]);
    }

    #[test]
    fn the_predefined_set_is_complete_and_sorted_cf_103() {
        let names: Vec<String> = DeploymentConfig::predefined_names().collect();
        assert_eq!(names.len(), 17);
        assert!(names.is_sorted());
        assert!(names.iter().all(|n| DeploymentConfig::predefined(n).is_some()));
        assert_eq!(DeploymentConfig::predefined("OneAtATime"), None);
        assert_eq!(DeploymentConfig::predefined("CodeDeployDefault.Nope"), None);
    }
}
