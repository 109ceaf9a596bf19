//! One local deployment from its first event to its last line (DP-345..DP-352, DP-360..DP-365).

use std::path::PathBuf;

use slipway_appspec::bundle::check_bundle;

use super::interrupt::Interrupt;
use super::setup::Setup;
use super::{explain, say};
use crate::client::Diagnostics;
use crate::download::DownloadError;
use crate::executor::{BundleError, Plan};
use crate::layout::Deployment;
use crate::spec::Revision;

/// Runs the events; `true` when all of them succeeded. The error is the text behind `ERROR:`.
pub(super) async fn run(setup: Setup) -> Result<bool, String> {
    let interrupt = Interrupt::watch().map_err(|error| format!("signals: {error}"))?;
    let spec = &setup.spec;
    let deployment = setup.executor.layout.deployment(&spec.group_id, &spec.deployment_id);
    let folder = deployment.directory().display().to_string();
    say(format_args!("Starting to execute deployment from within folder {folder}"));
    setup.log.info(format_args!(
        "Starting {} in {folder}: {}",
        spec.application_name,
        setup.events.join(", ")
    ));
    let run = Run { setup: &setup, deployment: &deployment, interrupt: &interrupt };
    let mut failure = None;
    for event in &setup.events {
        let outcome =
            if interrupt.requested() { Err(Failure::interrupted()) } else { run.event(event).await };
        if let Err(failed) = outcome {
            failure = Some((event, failed));
            break;
        }
    }
    if let Some((event, failed)) = &failure {
        setup.log.error(format_args!("{event}: {}", failed.diagnostics.message));
        run.explain(event, failed);
    }
    say(format_args!("See the deployment log at {folder}/logs/scripts.log for more details"));
    match failure {
        None => {
            setup.log.info("Succeeded");
            say("AppSpec file valid. Local deployment successful");
            Ok(true)
        }
        Some((_, Failure { script: Some(script), .. })) => {
            say(format_args!(
                "Your local deployment failed while trying to execute your script at {}",
                script.path.display()
            ));
            Ok(false)
        }
        Some((_, failed)) => Err(failed.diagnostics.message),
    }
}

/// An event that failed.
struct Failure {
    diagnostics: Diagnostics,
    script: Option<FailedScript>,
}

struct FailedScript {
    path: PathBuf,
    /// The AppSpec file that names it, and where.
    named: Option<(PathBuf, usize)>,
}

impl Failure {
    fn interrupted() -> Self {
        Self { diagnostics: Diagnostics::failure("Interrupted by a signal".to_owned()), script: None }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self { diagnostics, script: None }
    }
}

struct Run<'a> {
    setup: &'a Setup,
    deployment: &'a Deployment,
    interrupt: &'a Interrupt,
}

impl Run<'_> {
    async fn event(&self, event: &str) -> Result<(), Failure> {
        let Setup { executor, spec, log, .. } = self.setup;
        log.info(format_args!("{event}"));
        let plan = executor.prepare(event, spec)?;
        let named = match &plan {
            Plan::DownloadBundle => {
                self.download().await?;
                self.warn();
                return Ok(());
            }
            Plan::Hook { scripts, archive, .. } => Some((scripts.clone(), archive.clone())),
            Plan::Install | Plan::Unsupported(_) => None,
        };
        executor.execute(plan, spec).await.map_err(|diagnostics| {
            let script = named.filter(|_| !diagnostics.script_name.is_empty()).map(|(scripts, archive)| {
                let location = &diagnostics.script_name;
                let line =
                    scripts.iter().find(|script| script.location == *location).map(|script| script.line);
                let appspec = crate::executor::find_appspec(&archive, &spec.appspec_filename);
                let below = slipway_appspec::bundle::source_path(location, slipway_appspec::Os::host());
                FailedScript { path: archive.join(below), named: appspec.zip(line) }
            });
            Failure { diagnostics, script }
        })
    }

    async fn download(&self) -> Result<(), Failure> {
        let Setup { executor, spec, log_file, .. } = self.setup;
        if !matches!(spec.revision, Revision::Local { .. }) {
            // Failed attempts are repeated after minutes (DP-351): silence would look like a hang.
            explain(format_args!(
                "Downloading the bundle; attempts that fail are told in {}",
                log_file.display()
            ));
        }
        tokio::select! {
            done = executor.download_bundle(spec, self.deployment) => {
                done.map_err(|error| Diagnostics::failure(self.told(&error)).into())
            }
            () = self.interrupt.request() => Err(Failure::interrupted()),
        }
    }

    /// DP-365: keys have a text of their own.
    fn told(&self, error: &BundleError) -> String {
        match error {
            BundleError::Download(download) if is_about_keys(download) => format!(
                "We were unable to download content from the Amazon S3 bucket due to missing or invalid credentials. Give them in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), in ~/.aws/credentials, in {}, or by the role of the instance. {error}",
                self.setup.on_premises_file.display()
            ),
            other => other.to_string(),
        }
    }

    /// What an author should know of a bundle that is unpacked now; what is refused is told when it is its turn.
    fn warn(&self) {
        let archive = self.deployment.archive();
        let Ok((app_spec, name)) = self.setup.executor.read_appspec(&archive, &self.setup.spec) else {
            return;
        };
        for problem in app_spec.warnings.iter().chain(&check_bundle(&archive, &app_spec)) {
            explain(format_args!("{name}:{problem}"));
        }
    }

    /// Names file, line, script, exit code and the logs to read.
    fn explain(&self, event: &str, failed: &Failure) {
        let Failure { diagnostics, script } = failed;
        explain(format_args!("{event} failed: {}", diagnostics.message));
        if let Some(FailedScript { path, named }) = script {
            explain(format_args!("  script: {}", path.display()));
            if let Some((appspec, line)) = named {
                explain(format_args!("  named in: {} line {line}", appspec.display()));
            }
            explain(format_args!("  script log: {}", self.deployment.logs().join("scripts.log").display()));
        }
        if !diagnostics.log.is_empty() {
            explain(if script.is_some() {
                "  its last lines:"
            } else {
                "  all that is wrong with the file:"
            });
            diagnostics.log.lines().for_each(|line| explain(format_args!("    {line}")));
        }
        explain(format_args!("  log of this command: {}", self.setup.log_file.display()));
    }
}

/// Whether S3 was not asked for want of keys, or does not know those that it got.
fn is_about_keys(error: &DownloadError) -> bool {
    const CODES: [&str; 6] = [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    ];
    match error {
        DownloadError::Credentials(_) => true,
        DownloadError::S3 { code, .. } => CODES.contains(&code.as_str()),
        _ => false,
    }
}
