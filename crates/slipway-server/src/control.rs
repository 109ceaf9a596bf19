//! What every request and worker needs.

use std::sync::Arc;

use slipway_model::quota::Quotas;
use slipway_model::{AccountId, Timestamp};
use slipway_store::Store;

use crate::clock::{Clock, WorkClock};

/// Behaviour of the installation that requests and workers ask for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The account that first start created.
    pub account: AccountId,
    /// When the installation was made, and with it what is predefined.
    pub installed: Timestamp,
    /// Limits (D-40).
    pub quotas: Quotas,
    /// Strict batches instead of the rolling window (D-10).
    pub batch_pacing: bool,
    /// What AWS would refuse is refused (D-07).
    pub strict: bool,
    /// Longest time that an empty long poll is held, in milliseconds (45 to 55 s less jitter).
    pub poll_hold_ms: u64,
}

/// The control plane, shared by all requests and workers.
pub struct ControlPlane {
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// The time of day: signatures, sessions and objects go by it.
    pub clock: Arc<dyn Clock>,
    /// The time of deployments: their records and limits go by it.
    pub work_clock: WorkClock,
    /// When this process began to serve, in the time of deployments.
    pub started: Timestamp,
    /// Behaviour.
    pub settings: Settings,
    /// Seals secrets at rest and session tokens.
    pub sealer: slipway_auth::token::Sealer,
    /// Users, roles, access keys and their compiled policies.
    pub identities: crate::identities::Identities,
    /// When each access key was last used.
    pub key_usage: crate::identities::usage::KeyUsage,
    /// How fast each caller may ask.
    pub throttle: crate::throttle::Throttle,
    /// Where calls are recorded.
    pub(crate) trail: crate::audit::Trail,
    /// Frozen copies of deployments.
    pub records: crate::work::Records,
    /// Parked long polls.
    pub hub: crate::hub::Hub,
    /// Signs deployment specifications.
    pub signer: crate::spec::SpecSigner,
    /// The embedded object store.
    pub artifacts: slipway_artifacts::Artifacts,
}
