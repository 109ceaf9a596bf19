//! One step, durably: load a row, let its machine decide, commit what follows *where the version is still what was
//! read*; a conflict means that someone else did the work.
//!
//! The machines of this crate are pure; here they meet a [`Store`], whichever it is, at a [`Site`]. The control plane
//! drives these functions from its workers and its command service, the simulator drives the very same ones, with a
//! model store, and stops them between any two of their questions.
//!
//! | module | what would make you open it |
//! |---|---|
//! | [`create`] | how a deployment comes into being |
//! | [`deployment`] | what a deployment does next |
//! | [`target`] | what an agent, a timer or a stop does to a target; what a poll may take |
//! | `records` | frozen copies of deployments, kept in memory |
//! | `fleet` | which hosts a deployment goes to |
//! | `successor` | rollbacks, and updates of hosts that joined meanwhile |

pub mod create;
pub mod deployment;
mod fleet;
mod records;
mod successor;
pub mod target;

use std::sync::Arc;

use slipway_model::Timestamp;
use slipway_store::{Store, Wakeup, WakeupKey, Write};

use crate::deployment::Pacing;
pub use records::Records;

/// Where steps are carried out: a node of a control plane, or of a simulated one.
pub trait Site: Send + Sync {
    /// Durable state.
    fn store(&self) -> &dyn Store;

    /// The time now, as this node sees it.
    fn now(&self) -> Timestamp;

    /// When this node began to serve.
    fn started(&self) -> Timestamp;

    /// Unpredictable bytes, others at each call.
    fn random(&self) -> [u8; 16];

    /// In which steps new deployments start their targets (D-10).
    fn pacing(&self) -> Pacing;

    /// Frozen copies that this node has read.
    fn records(&self) -> &Records;
}

impl<S: Site + ?Sized> Site for Arc<S> {
    fn store(&self) -> &dyn Store {
        (**self).store()
    }

    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn started(&self) -> Timestamp {
        (**self).started()
    }

    fn random(&self) -> [u8; 16] {
        (**self).random()
    }

    fn pacing(&self) -> Pacing {
        (**self).pacing()
    }

    fn records(&self) -> &Records {
        (**self).records()
    }
}

/// How long a claimed wake-up belongs to a node. A step takes milliseconds; a node that died is replaced after this,
/// and one that was only slow loses to the version of the row.
pub const LEASE_MS: i64 = 10_000;

/// Why a step could not be done. The wake-up stays leased and comes again.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] slipway_store::ReadError),
    /// Writing failed, or lost against others again and again.
    #[error(transparent)]
    Commit(#[from] slipway_store::CommitError),
    /// A stored machine or record cannot be read.
    #[error("{what} cannot be read: {cause}")]
    Damaged {
        /// Which row.
        what: String,
        /// Why.
        cause: serde_json::Error,
    },
    /// A machine refused an event that its row says it must take.
    #[error("{what} refused a step: {cause}")]
    Refused {
        /// Which row.
        what: String,
        /// Why.
        cause: String,
    },
}

/// Does what a claimed wake-up is for.
pub async fn carry_out(site: &impl Site, wakeup: &Wakeup) -> Result<(), WorkError> {
    match &wakeup.key {
        WakeupKey::Deployment(id) => deployment::work(site, id, wakeup).await,
        WakeupKey::Target(key) => target::tick(site, key, wakeup).await,
    }
}

/// The end of the lease of `wakeup`, as a write.
fn settle(wakeup: &Wakeup, next: Option<Timestamp>) -> Write {
    Write::Settle { key: wakeup.key.clone(), seq: wakeup.seq, next }
}
