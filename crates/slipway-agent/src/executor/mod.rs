//! From a command to what it does: DownloadBundle, Install, or the scripts of an event (AG-060, AG-061).
//!
//! [`Executor::prepare`] decides before the acknowledgement (which says whether there is anything to do),
//! [`Executor::execute`] does it.

mod retention;
mod revision;

use std::path::{Path, PathBuf};

use slipway_appspec::bundle::check_scripts;
use slipway_appspec::{AppSpec, RESERVED_EVENTS, Script};

use crate::client::Diagnostics;
use crate::download::{DownloadError, Downloader};
use crate::hooks::HookRunner;
use crate::install::{InstallRequest, Switches, install};
use crate::layout::{Deployment, Layout};
use crate::logs::AgentLog;
use crate::spec::DeploymentSpec;
use crate::unpack::{BundleType, Limits, unpack};

pub use revision::find_appspec;

/// The lifecycle events whose scripts an agent runs (AP-18).
pub const HOOK_EVENTS: [&str; 9] = [
    "BeforeBlockTraffic",
    "AfterBlockTraffic",
    "ApplicationStop",
    "BeforeInstall",
    "AfterInstall",
    "ApplicationStart",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
    "ValidateService",
];

/// What a command will do.
#[derive(Debug)]
pub enum Plan {
    /// Fetch and unpack the bundle.
    DownloadBundle,
    /// Copy its files.
    Install,
    /// Run these scripts of this revision; none is a no-op.
    Hook {
        /// The event.
        event: String,
        /// Its scripts.
        scripts: Vec<Script>,
        /// The revision's directory.
        archive: PathBuf,
    },
    /// A command that this agent does not know (AP-18).
    Unsupported(String),
}

impl Plan {
    /// What the acknowledgement says (AP-13): DownloadBundle and Install are never no-ops.
    pub fn is_noop(&self) -> bool {
        match self {
            Self::DownloadBundle | Self::Install => false,
            Self::Hook { scripts, .. } => scripts.is_empty(),
            Self::Unsupported(_) => true,
        }
    }
}

/// Carries out commands.
#[derive(Debug)]
pub struct Executor {
    /// Where everything lies.
    pub layout: Layout,
    /// Archives kept per group (AG-083).
    pub max_revisions: usize,
    /// Fetches bundles.
    pub downloader: Downloader,
    /// What bundles may hold.
    pub limits: Limits,
    /// Runs scripts.
    pub hooks: HookRunner,
    /// What hosts may refuse beyond the documented rules (AP-30).
    pub switches: Switches,
    /// D-14.
    pub retain_cleanup_guide: bool,
    /// `enable_archive_reuse` (AP-28).
    pub reuse_archives: bool,
    /// The agent log.
    pub log: AgentLog,
}

impl Executor {
    /// Decides what `command` means for this deployment, now.
    pub fn prepare(&self, command: &str, spec: &DeploymentSpec) -> Result<Plan, Diagnostics> {
        match command {
            "DownloadBundle" => Ok(Plan::DownloadBundle),
            "Install" => Ok(Plan::Install),
            _ if HOOK_EVENTS.contains(&command) || is_custom(command, spec) => {
                self.prepare_hook(command.to_owned(), spec)
            }
            _ => Ok(Plan::Unsupported(command.to_owned())),
        }
    }

    fn prepare_hook(&self, event: String, spec: &DeploymentSpec) -> Result<Plan, Diagnostics> {
        let Some(deployment) = revision::for_event(&self.layout, spec, &event) else {
            return Ok(Plan::Hook { event, scripts: Vec::new(), archive: PathBuf::new() });
        };
        let archive = deployment.archive();
        let (app_spec, _) = self.read_appspec(&archive, spec)?;
        Ok(Plan::Hook { scripts: app_spec.scripts(&event).to_vec(), event, archive })
    }

    /// Carries out what was prepared.
    pub async fn execute(&self, plan: Plan, spec: &DeploymentSpec) -> Result<(), Diagnostics> {
        let deployment = self.layout.deployment(&spec.group_id, &spec.deployment_id);
        match plan {
            Plan::DownloadBundle => self
                .download_bundle(spec, &deployment)
                .await
                .map_err(|error| Diagnostics::failure(error.to_string())),
            Plan::Install => self.install(spec, deployment).await,
            Plan::Hook { event, scripts, archive } => {
                self.hooks.run(spec, &event, &scripts, &archive, &deployment.logs()).await
            }
            Plan::Unsupported(name) => {
                Err(Diagnostics::failure(format!("Unsupported command type: {name}.")))
            }
        }
    }

    /// Fetches and unpacks the bundle, after making room for it (AG-082).
    pub(crate) async fn download_bundle(
        &self,
        spec: &DeploymentSpec,
        deployment: &Deployment,
    ) -> Result<(), BundleError> {
        let (layout, group) = (self.layout.clone(), spec.group_id.clone());
        let (current, keep) = (deployment.clone(), self.max_revisions);
        let deleted = blocking(move || retention::delete_old(&layout, &group, &current, keep)).await?;
        for path in deleted {
            self.log.info(format_args!("Deleted the old revision {}", path.display()));
        }
        std::fs::create_dir_all(deployment.directory())
            .map_err(|error| BundleError::Host(format!("{}: {error}", deployment.directory().display())))?;
        if !self.reuse(spec, deployment).await {
            let fetched = self.downloader.fetch(spec, &deployment.bundle()).await?;
            let (archive, limits) = (deployment.archive(), self.limits.clone());
            let unpacked = blocking(move || unpack(&fetched.path, fetched.kind, &archive, &limits)).await?;
            self.log.debug(format_args!("Unpacked {} members, {} bytes", unpacked.members, unpacked.bytes));
        }
        self.layout
            .mark_most_recent(&spec.group_id, deployment)
            .map_err(|error| BundleError::Host(format!("_most_recent_install: {error}")))
    }

    /// Takes the revision from an earlier deployment, if the specification names one that is still here (AP-28).
    async fn reuse(&self, spec: &DeploymentSpec, deployment: &Deployment) -> bool {
        let Some(id) = spec.reuse_archive_from.as_ref().filter(|_| self.reuse_archives) else { return false };
        let earlier = self.layout.deployment(&spec.group_id, id);
        // Itself: then the bundle is meant to be fetched again.
        if earlier == *deployment || !earlier.archive().is_dir() {
            self.log.info(format_args!("The revision of {id} is not here; downloading it"));
            return false;
        }
        let (from, to, limits) = (earlier.archive(), deployment.archive(), self.limits.clone());
        match blocking(move || unpack(&from, BundleType::Directory, &to, &limits)).await {
            Ok(_) => {
                self.log.info(format_args!("Took the revision of {id}, which is the same"));
                true
            }
            Err(error) => {
                self.log.warn(format_args!(
                    "The revision of {id} cannot be taken ({}); downloading it",
                    error.message
                ));
                false
            }
        }
    }

    async fn install(&self, spec: &DeploymentSpec, deployment: Deployment) -> Result<(), Diagnostics> {
        let (app_spec, app_spec_name) = self.read_appspec(&deployment.archive(), spec)?;
        revision::check_events(&app_spec, &app_spec_name, spec).map_err(Diagnostics::failure)?;
        for problem in app_spec.warnings.iter().chain(&check_scripts(&deployment.archive(), &app_spec)) {
            self.log.warn(format_args!("{app_spec_name}:{problem} ({})", spec.deployment_id));
        }
        let (layout, spec) = (self.layout.clone(), spec.clone());
        let (retain_cleanup_guide, switches) = (self.retain_cleanup_guide, self.switches);
        let report = blocking(move || {
            install(&InstallRequest {
                archive_dir: &deployment.archive(),
                instructions_dir: &layout.instructions(),
                group_id: &spec.group_id,
                deployment_dir: deployment.directory(),
                app_spec: &app_spec,
                app_spec_name: &app_spec_name,
                file_exists_behavior: &spec.file_exists_behavior,
                retain_cleanup_guide,
                switches,
            })
        })
        .await?;
        self.log.debug(format_args!("Installed: {report:?}"));
        Ok(())
    }

    /// The AppSpec file of a revision, and its name.
    pub(crate) fn read_appspec(
        &self,
        archive: &Path,
        spec: &DeploymentSpec,
    ) -> Result<(AppSpec, String), Diagnostics> {
        let own_events = spec.all_possible_events.as_deref().unwrap_or_default();
        revision::read_appspec(archive, &spec.appspec_filename, self.limits.reject_path_traversal, own_events)
    }
}

/// Why a bundle is not on this host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    /// It could not be fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// It is refused, or the host has no place for it.
    #[error("{0}")]
    Host(String),
}

impl From<Diagnostics> for BundleError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Host(diagnostics.message)
    }
}

/// An event that only this deployment knows (AS-080, DP-348).
fn is_custom(event: &str, spec: &DeploymentSpec) -> bool {
    let possible = spec.all_possible_events.as_deref().unwrap_or_default();
    possible.iter().any(|name| name == event) && !RESERVED_EVENTS.contains(&event)
}

/// Runs something that blocks beside the loop that polls.
async fn blocking<T: Send + 'static, E: std::error::Error + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Diagnostics> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| Diagnostics::failure(error.to_string())),
        Err(error) => Err(Diagnostics::failure(format!("internal error: {error}"))),
    }
}
