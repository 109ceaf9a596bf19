//! The vocabulary of Slipway: what the control plane, the engine, the store and the agent talk about.
//!
//! No I/O, no async, no clock. Everything that is stored or sent has `serde` forms; times are [`Timestamp`],
//! milliseconds since the epoch, and always a parameter.
//!
//! | module | what is in it |
//! |---|---|
//! | [`ids`] | account, region, deployment and other ids, [`ids::Scope`] |
//! | [`names`] | the rules for names and tags that users choose |
//! | [`arn`] | ARNs of CodeDeploy, IAM and STS |
//! | [`config`] | deployment configurations, the predefined set, minimum healthy hosts |
//! | [`lifecycle`] | lifecycle events, their orders, statuses and diagnostics |
//! | [`status`] | statuses of deployments and targets, deployment error codes |
//! | [`revision`] | where a revision is |
//! | [`tags`] | tags, tag filters and tag sets |
//! | [`resources`] | applications, deployment groups, on-premises instances as they are stored |
//! | [`group`] | what deployment groups may be given beyond the least |
//! | [`deployment`] | the frozen copy of everything that a deployment needs |
//! | [`zones`] | one zone after the other |
//! | [`quota`] | the documented limits, as configuration |
//!
//! ```
//! use slipway_model::config::{DeploymentConfig, MinimumHealthyHosts};
//! let half = DeploymentConfig::predefined("CodeDeployDefault.HalfAtATime").expect("a predefined name");
//! assert_eq!(half.minimum_healthy_hosts, Some(MinimumHealthyHosts::FleetPercent(50)));
//! ```

pub mod arn;
pub mod config;
pub mod deployment;
pub mod group;
pub mod ids;
pub mod lifecycle;
pub mod names;
pub mod quota;
pub mod resources;
pub mod revision;
pub mod status;
pub mod tags;
mod time;
pub mod zones;

pub use ids::{AccountId, DeploymentId, Region, Scope};
pub use time::Timestamp;
