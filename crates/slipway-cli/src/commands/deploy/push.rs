//! `slipway deploy push` (AG-201..AG-203).

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use slipway_wire::codedeploy::{Operation, RegisterApplicationRevisionInput, S3Location};

use super::Outcome;
use crate::aws::{Client, s3};
use crate::bundle::{self, archive, check};
use crate::clock;
use crate::location::{S3Url, s3_revision, shell_word, show_s3_location};

/// Bundle a directory, upload it to S3 and register the revision
///
/// Does what `aws deploy push` does. Before the upload it checks the AppSpec file, and that the bundle has every file
/// and script that the AppSpec file names; a bundle that cannot be deployed is not uploaded.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Args {
    /// Application that the revision belongs to
    #[arg(long, value_name = "NAME")]
    application_name: String,
    /// Where the bundle goes: s3://BUCKET/KEY
    #[arg(long, value_name = "URL")]
    s3_location: S3Url,
    /// Directory to bundle; appspec.yml lies at its root
    #[arg(long, value_name = "DIR", default_value = ".")]
    source: PathBuf,
    /// Leave out files and directories whose names begin with a dot
    #[arg(long)]
    ignore_hidden_files: bool,
    /// Bundle hidden files, too; this is the default
    #[arg(long, conflicts_with = "ignore_hidden_files")]
    no_ignore_hidden_files: bool,
    /// Comment about the revision [default: `Uploaded by slipway` and the time]
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

/// A revision to push.
pub(in crate::commands) struct Push<'a> {
    pub(in crate::commands) application: &'a str,
    pub(in crate::commands) to: &'a S3Url,
    pub(in crate::commands) source: &'a std::path::Path,
    pub(in crate::commands) ignore_hidden: bool,
    pub(in crate::commands) description: Option<String>,
}

pub(super) async fn run(client: &Client, args: &Args) -> anyhow::Result<Outcome> {
    let push = Push {
        application: &args.application_name,
        to: &args.s3_location,
        source: &args.source,
        ignore_hidden: args.ignore_hidden_files,
        description: args.description.clone(),
    };
    let Some(location) = push.run(client).await? else { return Ok(Outcome::No) };
    let revision = format!(
        "--application-name {} --s3-location {} --deployment-group-name <deployment-group-name>",
        shell_word(&args.application_name),
        shell_word(&show_s3_location(&location)),
    );
    let mut out = std::io::stdout().lock();
    writeln!(out, "To deploy with this revision, run:\nslipway deploy create {revision} --watch")?;
    writeln!(
        out,
        "or:\naws deploy create-deployment {revision} --deployment-config-name <deployment-config-name> --description <description>"
    )?;
    Ok(Outcome::Done)
}

impl Push<'_> {
    /// Checks, bundles, uploads, registers. `None`: the bundle has errors, which have been printed.
    pub(in crate::commands) async fn run(&self, client: &Client) -> anyhow::Result<Option<S3Location>> {
        let members = bundle::collect(self.source, self.ignore_hidden)?;
        let findings = check::upload(self.source, &members)
            .with_context(|| format!("cannot read {}", self.source.join(check::APPSPEC).display()))?;
        {
            let mut err = std::io::stderr().lock();
            write!(err, "{findings}")?;
            for notice in &members.notices {
                writeln!(err, "{notice}")?;
            }
            if findings.has_errors() {
                writeln!(err, "Nothing was uploaded: this bundle cannot be deployed.")?;
                return Ok(None);
            }
        }
        let mut archive = archive::write(&members)?;
        let S3Url { bucket, key } = self.to;
        let stored =
            s3::put(client, bucket, key, &mut archive.file, archive.size).await.with_context(|| {
                format!("Failed to upload '{}' to 's3://{bucket}/{key}'", self.source.display())
            })?;
        let location = S3Location {
            bucket: Some(bucket.clone()),
            key: Some(key.clone()),
            bundle_type: Some("zip".to_owned()),
            e_tag: Some(stored.e_tag),
            version: stored.version,
        };
        let input = RegisterApplicationRevisionInput {
            application_name: Some(self.application.to_owned()),
            description: Some(self.description.clone().unwrap_or_else(default_description)),
            revision: Some(s3_revision(location.clone())),
        };
        let _: serde_json::Value = client.codedeploy(Operation::RegisterApplicationRevision, &input).await?;
        Ok(Some(location))
    }
}

fn default_description() -> String {
    let now = jiff::Timestamp::try_from(clock::now()).unwrap_or_default();
    format!("Uploaded by slipway {} UTC", now.strftime("%Y-%m-%dT%H:%M:%S"))
}
