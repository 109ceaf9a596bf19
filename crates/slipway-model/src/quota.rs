//! The documented limits, as configuration with the documented defaults (D-40, section 12 of file 06).

use serde::{Deserialize, Serialize};

/// Limits of an installation. An unknown key in a configuration file is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Applications per account and region (Q2).
    pub applications: u32,
    /// Deployment groups per application (Q8).
    pub deployment_groups_per_application: u32,
    /// Own deployment configurations per account and region (Q7).
    pub deployment_configs: u32,
    /// Alarms of one deployment group (Q3).
    pub alarms: u32,
    /// Triggers of one deployment group (Q11).
    pub triggers: u32,
    /// Auto Scaling groups of one deployment group (Q4).
    pub auto_scaling_groups: u32,
    /// Deployments under way per account (Q5).
    pub concurrent_deployments: u32,
    /// Targets of one deployment (Q15).
    pub instances_per_deployment: u32,
    /// Tag filters in one tag group (Q27).
    pub tags_per_tag_group: u32,
    /// Tag groups of one deployment group (Q27).
    pub tag_groups: u32,
    /// Tags of one on-premises instance (AG-208).
    pub tags_per_instance: u32,
    /// Names in one batch call (Q20).
    pub batch_size: u32,
    /// Hours that an in-place deployment may run (Q10).
    pub in_place_hours: u32,
    /// Minutes until an event that no agent picks up fails (Q18).
    pub pick_up_minutes: u32,
    /// Seconds that one lifecycle event may run (Q23).
    pub event_seconds: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            applications: 1000,
            deployment_groups_per_application: 1000,
            deployment_configs: 50,
            alarms: 10,
            triggers: 10,
            auto_scaling_groups: 10,
            concurrent_deployments: 1000,
            instances_per_deployment: 1000,
            tags_per_tag_group: 10,
            tag_groups: 3,
            tags_per_instance: 10,
            batch_size: 100,
            in_place_hours: 12,
            pick_up_minutes: 5,
            event_seconds: 3600,
        }
    }
}
