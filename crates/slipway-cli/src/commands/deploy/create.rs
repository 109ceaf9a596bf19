//! `slipway deploy create`.

use std::io::Write as _;

use slipway_wire::codedeploy::{
    CreateDeploymentInput, CreateDeploymentOutput, GitHubLocation, Operation, S3Location,
};

use super::{Outcome, watch};
use crate::aws::Client;
use crate::location::{git_hub_revision, parse_git_hub_location, parse_s3_location, s3_revision};

/// Start a deployment
///
/// Prints the deployment's id. With `--watch`, follows it to its end; the exit code then tells how it ended.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Application to deploy
    #[arg(long, value_name = "NAME")]
    application_name: String,
    /// Deployment group to deploy to
    #[arg(long, value_name = "NAME")]
    deployment_group_name: String,
    #[command(flatten)]
    revision: Revision,
    /// Comment about the deployment
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Deployment configuration [default: that of the group]
    #[arg(long, value_name = "NAME")]
    deployment_config_name: Option<String>,
    /// What happens to a file that is at a destination already but not from an earlier deployment
    #[arg(long, value_name = "BEHAVIOR", value_parser = ["DISALLOW", "OVERWRITE", "RETAIN"])]
    file_exists_behavior: Option<String>,
    /// Go on with hosts whose ApplicationStop scripts fail
    #[arg(long)]
    ignore_application_stop_failures: bool,
    /// Follow the deployment to its end
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Revision {
    /// Bundle in S3: bucket=B,key=K,bundleType=zip|tar|tgz[,eTag=E][,version=V]
    #[arg(long, value_name = "LOCATION", value_parser = parse_s3_location)]
    s3_location: Option<S3Location>,
    /// Commit on GitHub: repository=OWNER/NAME,commitId=SHA
    #[arg(long, value_name = "LOCATION", value_parser = parse_git_hub_location)]
    github_location: Option<GitHubLocation>,
}

pub(super) async fn run(client: &Client, args: Args) -> anyhow::Result<Outcome> {
    let revision = args.revision.s3_location.map(s3_revision);
    let input = CreateDeploymentInput {
        application_name: Some(args.application_name),
        deployment_group_name: Some(args.deployment_group_name),
        revision: revision.or_else(|| args.revision.github_location.map(git_hub_revision)),
        description: args.description,
        deployment_config_name: args.deployment_config_name,
        file_exists_behavior: args.file_exists_behavior,
        ignore_application_stop_failures: args.ignore_application_stop_failures.then_some(true),
        ..CreateDeploymentInput::default()
    };
    let output: CreateDeploymentOutput = client.codedeploy(Operation::CreateDeployment, &input).await?;
    let id = output.deployment_id.unwrap_or_default();
    writeln!(std::io::stdout(), "{id}")?;
    if args.watch { watch::run(client, &id).await } else { Ok(Outcome::Done) }
}
