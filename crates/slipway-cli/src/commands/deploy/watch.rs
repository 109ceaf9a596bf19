//! `slipway deploy watch`.

use super::Outcome;
use crate::aws::Client;
use crate::progress;

/// Follow a deployment to its end
///
/// On a terminal, shows each host and its lifecycle events live; in a pipe, prints one line `HH:MM:SS HOST EVENT STATUS`
/// for each change. A failed event is told with its script, its message and the end of its log. Leaving with Ctrl-C does
/// not stop the deployment.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Deployment to follow
    pub(super) deployment_id: String,
}

/// Follows a deployment that somebody names. Patience is for a control plane that was there: one that does not answer
/// at all is the wrong one, or not started.
pub(super) async fn begin(client: &Client, id: &str) -> anyhow::Result<Outcome> {
    progress::get_deployment(client, id).await?;
    run(client, id).await
}

pub(super) async fn run(client: &Client, id: &str) -> anyhow::Result<Outcome> {
    let info = progress::follow(client, id, &mut *progress::display()).await?;
    Ok(match info.status.as_deref() {
        Some("Succeeded") => Outcome::Done,
        Some("Stopped") => Outcome::Stopped,
        _ => Outcome::No,
    })
}
