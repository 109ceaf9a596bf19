//! `slipway host deregister` (AG-198..AG-200).

use std::io::Write as _;

use slipway_wire::codedeploy::{
    DeregisterOnPremisesInstanceInput, GetOnPremisesInstanceInput, GetOnPremisesInstanceOutput, Operation,
    RemoveTagsFromOnPremisesInstancesInput,
};

use super::{Outcome, parse_name};
use crate::aws::{Client, iam};

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
    let name = &args.name;
    let input = GetOnPremisesInstanceInput { instance_name: Some(name.clone()) };
    let output: GetOnPremisesInstanceOutput =
        client.codedeploy(Operation::GetOnPremisesInstance, &input).await?;
    let info = output.instance_info.unwrap_or_default();

    let tags = info.tags.filter(|tags| !tags.is_empty());
    if tags.is_some() {
        let input = RemoveTagsFromOnPremisesInstancesInput { tags, instance_names: Some(vec![name.clone()]) };
        let _: serde_json::Value =
            client.codedeploy(Operation::RemoveTagsFromOnPremisesInstances, &input).await?;
    }
    let input = DeregisterOnPremisesInstanceInput { instance_name: Some(name.clone()) };
    let _: serde_json::Value = client.codedeploy(Operation::DeregisterOnPremisesInstance, &input).await?;
    writeln!(std::io::stdout(), "Deregistered {name}.")?;

    // A session has no user of its own (AG-199).
    if let Some(arn) = info.iam_user_arn.filter(|_| !args.no_delete_iam_user) {
        let user = arn.rsplit('/').next().unwrap_or(&arn);
        let words = if iam::delete_user(client, user).await? {
            "Deleted the IAM user"
        } else {
            "There is no IAM user"
        };
        writeln!(std::io::stdout(), "{words} {user}.")?;
    }
    Ok(Outcome::Done)
}
