//! The workers: they carry out what is due.
//!
//! There is one loop. It takes due wake-ups, under a lease, from the store, and gives each to
//! [`slipway_engine::work`]: what a step does is there, where the simulator drives it too. Start-up needs nothing of
//! its own: what was under way when the server ended is due, or will be when its lease passes.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use slipway_engine::deployment::Pacing;
pub use slipway_engine::work::{LEASE_MS, Records, Site, WorkError, carry_out, deployment, target};
use slipway_model::Timestamp;
use slipway_store::{Notice, Store, Wakeup};
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::control::ControlPlane;

/// Wake-ups worked on at the same time.
const AT_ONCE: usize = 32;
/// Looked at the store without being told to, at least so often: the safety net below lost notices.
const SAFETY_NET: Duration = Duration::from_secs(5);

impl Site for ControlPlane {
    fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    fn now(&self) -> Timestamp {
        self.work_clock.now()
    }

    fn started(&self) -> Timestamp {
        self.started
    }

    fn random(&self) -> [u8; 16] {
        crate::clock::random()
    }

    fn pacing(&self) -> Pacing {
        if self.settings.batch_pacing { Pacing::Batch } else { Pacing::RollingWindow }
    }

    fn records(&self) -> &Records {
        &self.records
    }
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
        let now = control.work_clock.now();
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
            let millis = u64::try_from(due.millis_since(control.work_clock.now())).unwrap_or(0);
            Duration::from_millis(millis.max(1)).min(SAFETY_NET)
        }
        Ok(None) => {
            control.work_clock.follow();
            SAFETY_NET
        }
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
    if let Err(error) = carry_out(control, &wakeup).await {
        tracing::error!(wakeup = ?wakeup.key, %error, "a due step failed; it is repeated when its lease has passed");
    }
}
