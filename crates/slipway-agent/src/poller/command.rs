//! One command from its specification to its report (AP-09, AP-13, AP-35, AP-41).

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::backoff;
use crate::client::{Acknowledged, ClientError, CommandClient, CommandStatus, Diagnostics, HostCommand};
use crate::clock;
use crate::executor::{Executor, Plan};
use crate::logs::AgentLog;
use crate::spec::{DeploymentSpec, SignerPin};
use crate::tracking::{Report, Tracker, Unfinished};

/// The server gives up a command that nobody takes up within five minutes (AS-164).
const PICK_UP: Duration = Duration::from_mins(5);
/// The server waits this long for the report of an event (D-22).
const REPORT: Duration = Duration::from_mins(61);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// AG-066.
const TRACKING_PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];

/// Works on commands.
#[derive(Debug)]
pub struct Worker {
    /// Who we are (AP-06).
    pub host: String,
    /// The command service.
    pub client: CommandClient,
    /// Does the work.
    pub executor: Executor,
    /// Survives crashes.
    pub tracker: Tracker,
    /// Whose specifications are obeyed.
    pub pin: SignerPin,
    /// The agent log.
    pub log: AgentLog,
    /// Becomes true when the agent is told to stop.
    pub stop: watch::Receiver<bool>,
}

/// Why a command is not carried out.
enum Refusal {
    /// Tell the server (AP-35).
    Report(Diagnostics),
    /// The server cannot be told anything; it will hand the command out again.
    Drop,
}

impl Worker {
    /// Carries out one command.
    pub(super) async fn handle(self: Arc<Self>, command: HostCommand) {
        let identifier = command.host_command_identifier.as_str();
        self.log.info(format_args!("Command {} received: {identifier}", command.command_name));
        match Self::try_handle(&self, &command).await {
            Ok(()) => {}
            Err(Refusal::Report(diagnostics)) => {
                self.log.error(format_args!("{}: {}", command.command_name, diagnostics.message));
                self.report(None, identifier, CommandStatus::Failed, diagnostics).await;
            }
            Err(Refusal::Drop) => {
                self.log.error(format_args!("Giving up {} ({identifier}): no answer", command.command_name));
            }
        }
    }

    /// Reports a command that a fault of this program ended.
    pub(super) async fn lost(&self, identifier: &str, panic: &str) {
        self.log.error(format_args!("Command {identifier} was ended by a fault of the agent: {panic}"));
        let tracked = self.tracker.unfinished(clock::now());
        let tracked = tracked.iter().find(|left| left.identifier == identifier);
        let deployment_id = tracked.map(|left| left.deployment_id.as_str());
        let diagnostics = Diagnostics::failure(format!("internal error: {panic}"));
        self.report(deployment_id, identifier, CommandStatus::Failed, diagnostics).await;
    }

    async fn try_handle(self: &Arc<Self>, command: &HostCommand) -> Result<(), Refusal> {
        let identifier = command.host_command_identifier.as_str();
        let envelope = self
            .persist("specification", || {
                self.client.specification(&self.host, &command.deployment_execution_id)
            })
            .await?;
        let spec = DeploymentSpec::from_envelope(&envelope, &self.pin)
            .map_err(|error| Refusal::Report(Diagnostics::failure(error.to_string())))?;
        let (plan, spec) = self.prepare(&command.command_name, spec).await?;
        let noop = plan.is_noop();
        match self.persist("acknowledgement", || self.client.acknowledge(identifier, noop)).await? {
            Acknowledged::Go => {}
            Acknowledged::Skip => {
                self.log.info(format_args!("Command {identifier} is not ours to run; skipped"));
                return Ok(());
            }
            Acknowledged::Ended => {
                self.log.info(format_args!("Command {identifier} was ended by the server; skipped"));
                if noop {
                    // AP-13: what the old agents say, and what changes nothing.
                    let message = "Succeeded: CompletedNoopCommand".to_owned();
                    let diagnostics = Diagnostics { message, ..Diagnostics::success() };
                    self.report(None, identifier, CommandStatus::Succeeded, diagnostics).await;
                }
                return Ok(());
            }
        }
        self.track(&spec.deployment_id, identifier, !noop).await.map_err(|error| {
            Refusal::Report(Diagnostics::failure(format!("the tracking file cannot be written: {error}")))
        })?;
        let outcome = self.executor.execute(plan, &spec).await;
        let (status, diagnostics) = match outcome {
            Ok(()) => (CommandStatus::Succeeded, Diagnostics::success()),
            Err(diagnostics) => {
                self.log.error(format_args!("{}: {}", command.command_name, diagnostics.message));
                (CommandStatus::Failed, diagnostics)
            }
        };
        self.report(Some(&spec.deployment_id), identifier, status, diagnostics).await;
        Ok(())
    }

    /// Reads the AppSpec file, beside the loop that polls: it may be large.
    async fn prepare(
        self: &Arc<Self>,
        command: &str,
        spec: DeploymentSpec,
    ) -> Result<(Plan, DeploymentSpec), Refusal> {
        let (worker, command) = (Arc::clone(self), command.to_owned());
        let prepared = tokio::task::spawn_blocking(move || {
            let plan = worker.executor.prepare(&command, &spec);
            plan.map(|plan| (plan, spec))
        });
        match prepared.await {
            Ok(prepared) => prepared.map_err(Refusal::Report),
            Err(error) => Err(Refusal::Report(Diagnostics::failure(format!("internal error: {error}")))),
        }
    }

    /// Reports a command of an earlier run: its outcome if that is known, else a failure (AP-19, AP-41).
    pub(super) async fn recover(&self, left: Unfinished) {
        let (status, diagnostics) = match left.report {
            Some(report) => (report.status, report.diagnostics),
            None => (CommandStatus::Failed, Diagnostics::after_restart()),
        };
        self.log.warn(format_args!(
            "Deployment {} was left unfinished by an earlier run: {}",
            left.deployment_id, diagnostics.message
        ));
        self.report(Some(&left.deployment_id), &left.identifier, status, diagnostics).await;
    }

    async fn track(&self, deployment_id: &str, identifier: &str, durable: bool) -> io::Result<()> {
        let mut pauses = TRACKING_PAUSES.into_iter();
        loop {
            match self.tracker.begin(deployment_id, identifier, durable) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
                other => return other,
            }
        }
    }

    /// Repeats a call that has no effect of its own until it is answered or the command is stale (AP-34, AP-36).
    async fn persist<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        what: &str,
        call: impl Fn() -> F,
    ) -> Result<T, Refusal> {
        let started = Instant::now();
        for attempt in 0.. {
            let error = match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !(error.is_transient() || error.is_authentication()) {
                return Err(Refusal::Report(Diagnostics::failure(error.to_string())));
            }
            let pause = backoff::before_repeat(attempt, LONGEST_PAUSE, backoff::jitter());
            self.log.warn(format_args!("No {what}: {error}"));
            if started.elapsed() + pause > PICK_UP || self.stops_within(pause).await {
                break;
            }
        }
        Err(Refusal::Drop)
    }

    /// Tells the server how the command ended, until it has heard (AP-15, AP-41). At a stop the outcome stays on
    /// the disk and the next run tells it.
    async fn report(
        &self,
        deployment_id: Option<&str>,
        identifier: &str,
        status: CommandStatus,
        diagnostics: Diagnostics,
    ) {
        let started = Instant::now();
        for attempt in 0.. {
            let Err(error) = self.client.complete(identifier, status, &diagnostics).await else { break };
            if !(error.is_transient() || error.is_authentication()) {
                self.log.error(format_args!("The report of {identifier} was refused: {error}"));
                break;
            }
            if attempt == 0 {
                self.keep(deployment_id, identifier, status, &diagnostics);
            }
            let pause = backoff::before_repeat(attempt, LONGEST_PAUSE, backoff::jitter());
            self.log.warn(format_args!("The report of {identifier} was not taken: {error}; trying again"));
            if started.elapsed() + pause > REPORT {
                self.log.error(format_args!("The report of {identifier} is given up"));
                break;
            }
            if self.stops_within(pause).await {
                return;
            }
        }
        if let Some(deployment_id) = deployment_id {
            self.tracker.end(deployment_id, identifier);
        }
    }

    fn keep(
        &self,
        deployment_id: Option<&str>,
        identifier: &str,
        status: CommandStatus,
        diagnostics: &Diagnostics,
    ) {
        let Some(deployment_id) = deployment_id else { return };
        let report = Report { identifier: identifier.to_owned(), status, diagnostics: diagnostics.clone() };
        if let Err(error) = self.tracker.keep_report(deployment_id, &report) {
            self.log.warn(format_args!("The report of {identifier} cannot be kept on the disk: {error}"));
        }
    }

    /// Waits; `true` when the agent is told to stop meanwhile.
    async fn stops_within(&self, pause: Duration) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => false,
            // A sender that is gone means that nobody will tell us: then only the pause counts.
            Ok(_) = stop.wait_for(|stop| *stop) => true,
            else => false,
        }
    }
}
