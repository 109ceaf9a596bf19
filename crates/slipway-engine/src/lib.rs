//! The deployment state machines: pure functions from event and time to state and effects; and [`work`], which makes
//! their steps durable.
//!
//! The machines know no I/O, no clock, no randomness: `now` and seeds are parameters, so the same code runs in production, in a
//! property test and in a simulated data centre. Two levels of machine:
//!
//! | module | what is in it |
//! |---|---|
//! | [`target`] | one host of one deployment on its way through the lifecycle events |
//! | [`deployment`] | one deployment: counters, pace, stop rules; never a list of its targets |
//! | [`schedule`] | the order in which the hosts of a deployment are taken (CF-012, CF-013) |
//! | [`health`] | what a deployment did to the health of a host (CF-010..CF-017) |
//! | [`text`] | the sentences that users see when something failed |
//! | [`work`] | the steps of both, made durable in a [`slipway_store::Store`] |
//!
//! Both machines have an `apply(event, now)`. It is total: an event that makes no sense in a state is either a typed
//! refusal, which leaves the machine as it was, or a no-op, chosen on purpose and said where the event is documented.
//! Both are stored as JSON with a format version; a reader that does not know the version refuses the document.
//!
//! ```
//! use slipway_engine::deployment::{
//!     DeploymentEffect, DeploymentEvent, DeploymentMachine, DeploymentSettings, FollowUp, Pacing, ZoneHosts,
//! };
//! use slipway_model::{Timestamp, config::MinimumHealthyHosts};
//!
//! let mut machine = DeploymentMachine::new(DeploymentSettings {
//!     minimum: MinimumHealthyHosts::HostCount(3),
//!     pacing: Pacing::RollingWindow,
//!     run_limit_ms: 12 * 3_600_000,
//!     max_targets: 1000,
//!     group_name: "production".into(),
//!     zonal: None,
//!     follow_up: FollowUp::default(),
//! });
//! machine.apply(DeploymentEvent::Start, Timestamp(0))?;
//! let fleet = vec![ZoneHosts { unhealthy: 0, healthy: 10, current: 0 }];
//! let effects = machine.apply(DeploymentEvent::FleetResolved(fleet), Timestamp(5))?;
//! assert_eq!(effects, [DeploymentEffect::StartTargets { first: 0, count: 7 }]);
//! # Ok::<(), slipway_engine::deployment::DeploymentRefusal>(())
//! ```

pub mod deployment;
pub mod health;
pub mod schedule;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod target;
pub mod text;
pub mod work;

#[cfg(test)]
mod diagram;
mod format;
