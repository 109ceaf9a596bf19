//! Following a deployment to its end.
//!
//! [`follow`] asks the control plane, [`tracker`] finds what has changed since the last time, a [`Display`] shows it:
//! [`live`] on a terminal, [`plain`] in a pipe. [`report`] is how failures are told, the same in both.

mod live;
mod plain;
mod report;
mod tracker;

use std::io::IsTerminal as _;
use std::time::Duration;

use slipway_wire::codedeploy::{
    BatchGetDeploymentTargetsInput, BatchGetDeploymentTargetsOutput, DeploymentInfo, DeploymentTarget,
    GetDeploymentInput, GetDeploymentOutput, ListDeploymentTargetsInput, ListDeploymentTargetsOutput,
    Operation,
};
use tokio::time::Instant;

use crate::aws::{CallError, Client};
use tracker::{Change, Tracker};

/// How often the control plane is asked; longer when an answer about a large fleet takes its time.
const PAUSE: Duration = Duration::from_millis(300);
/// How long a control plane may be away (a restart) before following it is given up.
const PATIENCE: Duration = Duration::from_mins(2);
/// Most targets in one BatchGetDeploymentTargets (DP-107).
const BATCH: usize = 25;
/// Everything but `Pending`: of a large fleet only few hosts are at work at a time.
const TOUCHED: [&str; 6] = ["InProgress", "Succeeded", "Failed", "Skipped", "Unknown", "Ready"];

/// Where a deployment is shown while it goes on.
pub(crate) trait Display {
    /// What has changed since the last call, in order of time.
    fn changes(
        &mut self,
        info: &DeploymentInfo,
        tracker: &Tracker,
        changes: &[Change],
    ) -> std::io::Result<()>;

    /// The control plane does not answer; it is asked again.
    fn away(&mut self, error: &CallError) -> std::io::Result<()>;

    /// The deployment has ended.
    fn end(&mut self, info: &DeploymentInfo, tracker: &Tracker) -> std::io::Result<()>;
}

/// The display for the process's output: live on a terminal, lines otherwise.
pub(crate) fn display() -> Box<dyn Display> {
    if std::io::stdout().is_terminal() { Box::new(live::Live::new()) } else { Box::new(plain::Plain::new()) }
}

/// Follows a deployment to its end and shows it; what it was in the end.
pub(crate) async fn follow(
    client: &Client,
    id: &str,
    display: &mut dyn Display,
) -> anyhow::Result<DeploymentInfo> {
    let mut tracker = Tracker::default();
    let mut away_since: Option<Instant> = None;
    loop {
        let asked = Instant::now();
        match round(client, id, &tracker).await {
            Ok((info, targets)) => {
                away_since = None;
                let mut changes: Vec<Change> =
                    targets.iter().flat_map(|target| tracker.absorb(target)).collect();
                changes.sort_by_key(|change| change.time);
                display.changes(&info, &tracker, &changes)?;
                if is_final(info.status.as_deref().unwrap_or_default()) {
                    display.end(&info, &tracker)?;
                    return Ok(info);
                }
            }
            Err(error) if error.is_temporary() && away_since.unwrap_or(asked).elapsed() < PATIENCE => {
                if away_since.is_none() {
                    display.away(&error)?;
                }
                away_since.get_or_insert(asked);
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(PAUSE.max(asked.elapsed() * 2)).await;
    }
}

/// Whether a deployment in this status has ended.
pub(crate) fn is_final(status: &str) -> bool {
    matches!(status, "Succeeded" | "Failed" | "Stopped")
}

/// The deployment, then its targets: targets are never older than the status that they are shown with.
async fn round(
    client: &Client,
    id: &str,
    tracker: &Tracker,
) -> Result<(DeploymentInfo, Vec<DeploymentTarget>), CallError> {
    let info = get_deployment(client, id).await?;
    let mut targets = Vec::new();
    let mut page = ListDeploymentTargetsInput {
        deployment_id: Some(id.to_owned()),
        target_filters: Some([("TargetStatus".to_owned(), TOUCHED.map(str::to_owned).to_vec())].into()),
        ..Default::default()
    };
    loop {
        let listed: Result<ListDeploymentTargetsOutput, _> =
            client.codedeploy(Operation::ListDeploymentTargets, &page).await;
        let listed = match listed {
            // Its targets are not known before it starts.
            Err(error) if error.code() == Some("DeploymentNotStartedException") => {
                return Ok((info, targets));
            }
            other => other?,
        };
        let open: Vec<String> =
            listed.target_ids.unwrap_or_default().into_iter().filter(|id| !tracker.has_ended(id)).collect();
        for batch in open.chunks(BATCH) {
            let input = BatchGetDeploymentTargetsInput {
                deployment_id: Some(id.to_owned()),
                target_ids: Some(batch.to_vec()),
            };
            let output: BatchGetDeploymentTargetsOutput =
                client.codedeploy(Operation::BatchGetDeploymentTargets, &input).await?;
            targets.extend(output.deployment_targets.unwrap_or_default());
        }
        page.next_token = listed.next_token;
        if page.next_token.is_none() {
            return Ok((info, targets));
        }
    }
}

/// One deployment.
pub(crate) async fn get_deployment(client: &Client, id: &str) -> Result<DeploymentInfo, CallError> {
    let input = GetDeploymentInput { deployment_id: Some(id.to_owned()) };
    let output: GetDeploymentOutput = client.codedeploy(Operation::GetDeployment, &input).await?;
    Ok(output.deployment_info.unwrap_or_default())
}
