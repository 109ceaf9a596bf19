//! The settings of a deployment group beyond name, role and on-premises hosts (CF-180..CF-306).
//!
//! Everything is kept as it was given, with the documented defaults filled in. Whether a deployment can honour it is
//! asked when one is created.

use serde::{Deserialize, Serialize};

use crate::config::ComputePlatform;
use crate::tags::TagSelection;

/// Makes an enum whose variants have one wire form each.
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The wire form.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Reads the wire form.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }
    };
}

wire_enum! {
    /// How hosts are replaced.
    DeploymentType {
        /// On the hosts themselves.
        InPlace = "IN_PLACE",
        /// By other hosts, functions or tasks.
        BlueGreen = "BLUE_GREEN",
    }
}

wire_enum! {
    /// Whether load balancers take part.
    DeploymentOption {
        /// They do.
        WithTrafficControl = "WITH_TRAFFIC_CONTROL",
        /// They do not.
        WithoutTrafficControl = "WITHOUT_TRAFFIC_CONTROL",
    }
}

wire_enum! {
    /// What a trigger tells about (DP-502).
    TriggerEvent {
        /// A deployment was created.
        DeploymentStart = "DeploymentStart",
        /// It succeeded.
        DeploymentSuccess = "DeploymentSuccess",
        /// It failed.
        DeploymentFailure = "DeploymentFailure",
        /// It was stopped.
        DeploymentStop = "DeploymentStop",
        /// It is being rolled back.
        DeploymentRollback = "DeploymentRollback",
        /// Its replacement hosts are ready.
        DeploymentReady = "DeploymentReady",
        /// A host was started on.
        InstanceStart = "InstanceStart",
        /// A host succeeded.
        InstanceSuccess = "InstanceSuccess",
        /// A host failed.
        InstanceFailure = "InstanceFailure",
        /// A replacement host is ready.
        InstanceReady = "InstanceReady",
    }
}

wire_enum! {
    /// What becomes of the originals of a blue/green deployment (CF-238).
    InstanceAction {
        /// They go.
        Terminate = "TERMINATE",
        /// They stay.
        KeepAlive = "KEEP_ALIVE",
    }
}

wire_enum! {
    /// What happens when replacement hosts are ready (CF-235, CF-236).
    ReadyAction {
        /// Traffic is rerouted at once.
        Continue = "CONTINUE_DEPLOYMENT",
        /// Someone has to say so within the wait, or the deployment is stopped.
        Stop = "STOP_DEPLOYMENT",
    }
}

wire_enum! {
    /// Where replacement hosts come from (CF-230).
    GreenFleetAction {
        /// They exist and are named when a deployment is created.
        DiscoverExisting = "DISCOVER_EXISTING",
        /// A copy of the Auto Scaling group is made.
        CopyAutoScalingGroup = "COPY_AUTO_SCALING_GROUP",
    }
}

wire_enum! {
    /// An Auto Scaling process that may be suspended during a deployment (DP-015).
    AutoScalingProcess {
        /// `Terminate`.
        Terminate = "Terminate",
        /// `AZRebalance`.
        AzRebalance = "AZRebalance",
        /// `InstanceRefresh`.
        InstanceRefresh = "InstanceRefresh",
        /// `ScheduledActions`.
        ScheduledActions = "ScheduledActions",
    }
}

/// Type and traffic option (CF-226).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentStyle {
    /// How hosts are replaced.
    pub kind: DeploymentType,
    /// Whether load balancers take part.
    pub option: DeploymentOption,
}

impl DeploymentStyle {
    /// In place, without load balancers: the style of a Server group that names neither.
    pub const PLAIN: Self =
        Self { kind: DeploymentType::InPlace, option: DeploymentOption::WithoutTrafficControl };

    /// The only style of Lambda and ECS (OV-021).
    pub const SHIFTING: Self =
        Self { kind: DeploymentType::BlueGreen, option: DeploymentOption::WithTrafficControl };

    /// What a group of this platform has when it says nothing; naming load balancers enables them (CF-226).
    pub const fn default_of(platform: ComputePlatform, names_load_balancers: bool) -> Self {
        match (platform, names_load_balancers) {
            (ComputePlatform::Server, false) => Self::PLAIN,
            (ComputePlatform::Server, true) => {
                Self { kind: DeploymentType::InPlace, option: DeploymentOption::WithTrafficControl }
            }
            (ComputePlatform::Lambda | ComputePlatform::ECS, _) => Self::SHIFTING,
        }
    }
}

impl Default for DeploymentStyle {
    fn default() -> Self {
        Self::PLAIN
    }
}

/// Where events of deployments are told (DP-501).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Name, unique in its group.
    pub name: String,
    /// Topic.
    pub target_arn: String,
    /// What is told.
    pub events: Vec<TriggerEvent>,
}

/// Alarms that stop a deployment (CF-292, DP-406).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmConfiguration {
    /// Whether they are looked at; the list stays when they are not (CF-293).
    pub enabled: bool,
    /// Whether a deployment goes on when their state cannot be read (CF-294).
    pub ignore_poll_alarm_failure: bool,
    /// Their names.
    pub alarms: Vec<String>,
}

/// Load balancers of a Server group, by name (CF-280), or of an ECS group (CF-251).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancers {
    /// Classic Load Balancers.
    pub classic: Vec<String>,
    /// Target groups.
    pub target_groups: Vec<String>,
    /// Target group pairs; ECS only.
    #[serde(default)]
    pub pairs: Vec<TargetGroupPair>,
}

impl LoadBalancers {
    /// Whether none is named.
    pub fn is_empty(&self) -> bool {
        self.classic.is_empty() && self.target_groups.is_empty() && self.pairs.is_empty()
    }
}

/// The two target groups of an ECS service and the listeners in front of them (CF-251, CF-252).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroupPair {
    /// Names of the two target groups.
    pub target_groups: Vec<String>,
    /// ARNs of the production listeners.
    pub production_listeners: Vec<String>,
    /// ARNs of the test listeners; absent: no test traffic.
    pub test_listeners: Option<Vec<String>>,
}

/// Blue/green settings (CF-230..CF-240); what was not given stays absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlueGreen {
    /// What becomes of the originals, and after how many minutes.
    pub terminate: Option<(InstanceAction, u32)>,
    /// What happens when the replacements are ready, and how many minutes it may wait.
    pub ready: Option<(ReadyAction, u32)>,
    /// Where the replacements come from.
    pub green_fleet: Option<GreenFleetAction>,
}

/// An ECS service (CF-250).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EcsService {
    /// Its name.
    pub service: String,
    /// Its cluster.
    pub cluster: String,
}

impl EcsService {
    /// The id of its target, and the name under which it is claimed (DP-107).
    pub fn target_id(&self) -> String {
        format!("{}:{}", self.cluster, self.service)
    }
}

/// What a group of any platform may be given beside name, role, configuration and on-premises hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupSettings {
    /// Type and traffic option.
    pub style: DeploymentStyle,
    /// Which EC2 instances belong to it.
    pub ec2: Option<TagSelection>,
    /// Auto Scaling groups whose instances belong to it.
    pub auto_scaling_groups: Vec<String>,
    /// Processes of those that are suspended during a deployment; absent: the option was not given.
    pub processes_to_suspend: Option<Vec<AutoScalingProcess>>,
    /// Whether scale-in runs a termination deployment (CF-221).
    pub termination_hook_enabled: bool,
    /// Who is told about events.
    pub triggers: Vec<Trigger>,
    /// Alarms that stop a deployment; absent: never given.
    pub alarms: Option<AlarmConfiguration>,
    /// Load balancers; absent: none given.
    pub load_balancers: Option<LoadBalancers>,
    /// Blue/green settings; absent: none given.
    pub blue_green: Option<BlueGreen>,
    /// ECS services; ECS only.
    pub ecs_services: Vec<EcsService>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_was_stored_before_these_settings_existed_is_a_plain_one() {
        let settings: GroupSettings = serde_json::from_str("{}").expect("readable");
        assert_eq!(settings, GroupSettings::default());
        assert_eq!(settings.style, DeploymentStyle::PLAIN);
    }

    #[test]
    fn settings_are_stored_in_their_wire_words() {
        for event in TriggerEvent::ALL {
            assert_eq!(serde_json::to_value(event).expect("JSON"), event.as_str());
            assert_eq!(TriggerEvent::parse(event.as_str()), Some(*event));
        }
        assert_eq!(DeploymentType::parse("in_place"), None, "case matters");
    }
}
