//! The workers: they carry out what is due.
//!
//! There is one loop. It takes due wake-ups, under a lease, from the store, and gives each to the step of its machine:
//! [`deployment`] or [`target`]. Start-up needs nothing of its own: what was under way when the server ended is due, or
//! will be when its lease passes.

pub mod deployment;
mod fleet;
pub mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use slipway_store::{Notice, Wakeup, WakeupKey, Write};
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::control::ControlPlane;

/// How long a claimed wake-up belongs to this node. A step takes milliseconds; a node that died is replaced after this,
/// and one that was only slow loses to the version of the row.
const LEASE_MS: i64 = 10_000;
/// Wake-ups worked on at the same time.
const AT_ONCE: usize = 32;
/// Looked at the store without being told to, at least so often: the safety net below lost notices.
const SAFETY_NET: Duration = Duration::from_secs(5);

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

/// Starts the workers and the notice dispatcher. They end when `shutdown` becomes true; steps under way are finished.
pub fn spawn(control: Arc<ControlPlane>, shutdown: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let dispatcher = tokio::spawn(dispatch_notices(Arc::clone(&control), shutdown.clone()));
        run(control, shutdown).await;
        dispatcher.abort();
    })
}

async fn run(control: Arc<ControlPlane>, mut shutdown: watch::Receiver<bool>) {
    let mut notices = control.store.notices();
    let mut steps = JoinSet::new();
    while !*shutdown.borrow() {
        while steps.len() >= AT_ONCE {
            steps.join_next().await;
        }
        let free = u32::try_from(AT_ONCE - steps.len()).unwrap_or(1);
        let now = control.clock.now();
        match control.store.claim_due(now, now.plus_millis(LEASE_MS), free).await {
            Ok(due) if !due.is_empty() => {
                for wakeup in due {
                    let control = Arc::clone(&control);
                    steps.spawn(async move { work_on(&control, wakeup).await });
                }
                continue;
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "due work cannot be claimed"),
        }
        let idle = until_next_due(&control).await;
        tokio::select! {
            () = wait_for_work(&mut notices) => {}
            () = tokio::time::sleep(idle) => {}
            Some(_) = steps.join_next() => {}
            _ = shutdown.changed() => {}
        }
    }
    while steps.join_next().await.is_some() {}
}

async fn until_next_due(control: &ControlPlane) -> Duration {
    match control.store.next_due().await {
        Ok(Some(due)) => {
            let millis = u64::try_from(due.millis_since(control.clock.now())).unwrap_or(0);
            Duration::from_millis(millis.max(1)).min(SAFETY_NET)
        }
        Ok(None) => SAFETY_NET,
        Err(error) => {
            tracing::error!(%error, "the next due time cannot be read");
            Duration::from_secs(1)
        }
    }
}

async fn wait_for_work(notices: &mut broadcast::Receiver<Notice>) {
    loop {
        match notices.recv().await {
            Ok(Notice::WorkDue) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Ok(_) => {}
            // The store is gone; the loop notices by itself.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

async fn dispatch_notices(control: Arc<ControlPlane>, mut shutdown: watch::Receiver<bool>) {
    let mut notices = control.store.notices();
    loop {
        let notice = tokio::select! {
            notice = notices.recv() => notice,
            _ = shutdown.changed() => return,
        };
        match notice {
            Ok(Notice::HostReady(host)) => control.hub.wake(&host),
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => control.hub.wake_all(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

async fn work_on(control: &ControlPlane, wakeup: Wakeup) {
    let result = match &wakeup.key {
        WakeupKey::Deployment(id) => deployment::work(control, id, &wakeup).await,
        WakeupKey::Target(key) => target::tick(control, key, &wakeup).await,
    };
    if let Err(error) = result {
        tracing::error!(wakeup = ?wakeup.key, %error, "a due step failed; it is repeated when its lease has passed");
    }
}

/// The end of the lease of `wakeup`, as a write.
fn settle(wakeup: &Wakeup, next: Option<slipway_model::Timestamp>) -> Write {
    Write::Settle { key: wakeup.key.clone(), seq: wakeup.seq, next }
}
