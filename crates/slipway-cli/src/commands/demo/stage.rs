//! What runs during the demo, and how it is stopped.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;

use super::process::{Process, clean};

/// An agent in the middle of a script waits for it, at most so long (`agent_config` says the same).
pub(super) const AGENT_PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(15);

/// The places and programs of the demo.
pub(super) struct Stage {
    directory: PathBuf,
    pub(super) server: Option<Process>,
    pub(super) agent: Option<Process>,
    /// Whether there may be an application to stop.
    pub(super) deployed: bool,
}

impl Stage {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), server: None, agent: None, deployed: false }
    }

    /// A place below the demo's directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Waits until one of the programs ends, which none should.
    pub(super) async fn accident(&mut self) -> anyhow::Error {
        match (&mut self.server, &mut self.agent) {
            (Some(server), Some(agent)) => tokio::select! {
                error = server.ended_early() => error,
                error = agent.ended_early() => error,
            },
            (Some(only), None) | (None, Some(only)) => only.ended_early().await,
            (None, None) => std::future::pending().await,
        }
    }

    /// Shows what the programs have last said, for a demo that has failed.
    pub(super) fn show_logs(&self) -> io::Result<()> {
        let mut err = io::stderr().lock();
        for (name, tail) in [&self.server, &self.agent].into_iter().flatten().filter_map(Process::tail) {
            writeln!(err, "\nThe last words of {name}:\n{tail}\n")?;
        }
        Ok(())
    }

    /// Stops everything: first the agent, so that nothing new begins, then the application, then the control plane.
    pub(super) async fn strike(mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        if let Some(agent) = self.agent.take() {
            result = agent.stop(AGENT_PATIENCE + PATIENCE).await;
        }
        if self.deployed {
            result = result.and(self.stop_application().await);
        }
        if let Some(server) = self.server.take() {
            result = result.and(server.stop(PATIENCE).await);
        }
        result
    }

    /// The sample's own way: it knows its process.
    async fn stop_application(&self) -> anyhow::Result<()> {
        let script = self.path("bundle/scripts/application_stop.sh");
        let run = clean(Path::new("/bin/sh"))
            .arg(&script)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Another Ctrl-C must not reach it.
            .process_group(0)
            .kill_on_drop(true)
            .status();
        let status = tokio::time::timeout(Duration::from_secs(30), run)
            .await
            .context("the application does not stop")?
            .with_context(|| format!("cannot run {}", script.display()))?;
        anyhow::ensure!(status.success(), "the application could not be stopped ({status})");
        Ok(())
    }
}
