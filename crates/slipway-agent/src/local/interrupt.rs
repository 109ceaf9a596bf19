//! Ctrl-C and its like: the running script is told to end, and no further event begins.
//!
//! Scripts have process groups of their own, so a terminal's signal does not reach them by itself.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::explain;

/// Whether somebody wants this deployment to end.
pub(super) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on. The second one kills.
    pub(super) fn watch() -> std::io::Result<Self> {
        let (sender, requested) = watch::channel(false);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            let mut how = Signal::TERM;
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                sender.send_replace(true);
                explain("Interrupted: the running script is told to end; once more kills it");
                for child in children() {
                    // `runas` has no group of its own yet when it has only just begun.
                    if kill_process_group(child, how).is_err() {
                        let _ = kill_process(child, how);
                    }
                }
                how = Signal::KILL;
            }
        });
        Ok(Self(requested))
    }

    pub(super) fn requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody does.
    pub(super) async fn request(&self) {
        if self.0.clone().wait_for(|requested| *requested).await.is_err() {
            // Nobody is left to tell us.
            std::future::pending::<()>().await;
        }
    }
}

/// The processes that this one has started.
fn children() -> Vec<Pid> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .filter_map(Pid::from_raw)
        .collect()
}
