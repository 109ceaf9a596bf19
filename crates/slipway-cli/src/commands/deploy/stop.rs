//! `slipway deploy stop`.

use std::io::Write as _;

use slipway_wire::codedeploy::{Operation, StopDeploymentInput, StopDeploymentOutput};

use super::Outcome;
use crate::aws::Client;

/// Stop a deployment
///
/// Hosts that have not begun are skipped; scripts that are running are not interrupted.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Deployment to stop
    deployment_id: String,
    /// Deploy the last good revision again, if the group is set up for rollbacks on stop
    #[arg(long)]
    auto_rollback_enabled: bool,
}

pub(super) async fn run(client: &Client, args: Args) -> anyhow::Result<Outcome> {
    let input = StopDeploymentInput {
        deployment_id: Some(args.deployment_id),
        auto_rollback_enabled: args.auto_rollback_enabled.then_some(true),
    };
    let output: StopDeploymentOutput = client.codedeploy(Operation::StopDeployment, &input).await?;
    let status = output.status.unwrap_or_default();
    let separator = if output.status_message.is_some() { ": " } else { "" };
    writeln!(std::io::stdout(), "{status}{separator}{}", output.status_message.unwrap_or_default())?;
    Ok(Outcome::Done)
}
