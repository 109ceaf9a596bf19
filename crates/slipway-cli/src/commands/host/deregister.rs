//! `slipway host deregister` (AG-198..AG-200).

use std::io::Write as _;

use slipway_agent::registration::withdraw;

use super::{Outcome, api, parse_name};
use crate::aws::Client;

/// Deregister a host and delete its IAM user
///
/// Does what `aws deploy deregister` does, but fails when it fails, and also takes hosts that were registered with an
/// IAM session. The host keeps its files; stop its agent there.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the host
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,
    /// Keep the IAM user that the host was registered under
    #[arg(long)]
    no_delete_iam_user: bool,
    /// Delete the IAM user; this is the default
    #[arg(long, conflicts_with = "no_delete_iam_user")]
    delete_iam_user: bool,
}

pub(super) async fn run(client: &Client, args: &Args) -> anyhow::Result<Outcome> {
    let withdrawn = withdraw(&api(client)?, &args.name, !args.no_delete_iam_user).await?;
    writeln!(std::io::stdout(), "Deregistered {}.", args.name)?;
    if let Some((user, was_there)) = withdrawn.user {
        let words = if was_there { "Deleted the IAM user" } else { "There is no IAM user" };
        writeln!(std::io::stdout(), "{words} {user}.")?;
    }
    Ok(Outcome::Done)
}
