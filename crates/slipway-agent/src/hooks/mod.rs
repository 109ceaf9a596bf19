//! Hook scripts: which run, in what environment, and what is said about them (AG-105..AG-108).

mod environment;
pub mod launcher;
mod output;
mod script;

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use slipway_appspec::Script;

pub use environment::BaseEnvironment;

use crate::client::Diagnostics;
use crate::logs::{AgentLog, DeploymentsLog, ScriptLog};
use crate::spec::DeploymentSpec;

/// Runs the scripts of lifecycle events.
#[derive(Debug, Clone)]
pub struct HookRunner {
    /// What every script inherits.
    pub environment: BaseEnvironment,
    /// The log of all deployments.
    pub deployments_log: DeploymentsLog,
    /// This program, which `runas` starts anew.
    pub launcher: PathBuf,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// The agent log.
    pub log: AgentLog,
}

impl HookRunner {
    /// A runner with the documented grace (D-27).
    pub fn new(
        environment: BaseEnvironment,
        deployments_log: DeploymentsLog,
        launcher: PathBuf,
        log: AgentLog,
    ) -> Self {
        Self { environment, deployments_log, launcher, grace: script::GRACE, log }
    }

    /// Runs the scripts of one event in order; the first failure ends it (AS-086).
    ///
    /// `archive` is the revision that the scripts are of, `logs` the directory of the *current* deployment's
    /// `scripts.log` (AG-073).
    pub async fn run(
        &self,
        spec: &DeploymentSpec,
        event: &str,
        scripts: &[Script],
        archive: &Path,
        logs: &Path,
    ) -> Result<(), Diagnostics> {
        if scripts.is_empty() {
            return Ok(());
        }
        let mut script_log = ScriptLog::open(logs, &spec.deployment_id, self.deployments_log.clone())
            .map_err(|error| {
                Diagnostics::failure(format!("{}: {error}", logs.join("scripts.log").display()))
            })?;
        let environment = self.environment.for_event(spec, event);
        script_log.write(&[format!("LifecycleEvent - {event}")]);
        for entry in scripts {
            script_log.write(&[format!("Script - {}", entry.location)]);
            let path = locate(archive, &entry.location).map_err(|message| Diagnostics {
                script_name: entry.location.clone(),
                ..Diagnostics::failure(format!("{message} (line {} of the AppSpec file)", entry.line))
            })?;
            let script = script::Script {
                location: &entry.location,
                path,
                timeout: entry.timeout,
                runas: entry.runas.as_deref(),
                sudo: entry.sudo,
                environment: &environment,
                launcher: &self.launcher,
                grace: self.grace,
            };
            self.log.debug(format_args!("Running {} of {event} for {}", entry.location, spec.deployment_id));
            if let Err(failure) = script.run(&mut script_log).await {
                self.log.error(format_args!("{event} of {}: {}", spec.deployment_id, failure.message));
                return Err(Diagnostics {
                    error_code: failure.code,
                    script_name: entry.location.clone(),
                    message: failure.message,
                    log: script_log.tail(),
                });
            }
        }
        Ok(())
    }
}

/// Where a script is. Locations are relative to the revision's root, also with a leading slash (AS-074); one
/// that leads out of the revision is refused (D-17).
fn locate(archive: &Path, location: &str) -> Result<PathBuf, String> {
    let outside =
        || format!("The deployment failed because the script location {location} leads out of the revision");
    let relative = Path::new(location.trim_start_matches('/'));
    if relative.components().any(|component| matches!(component, Component::ParentDir)) {
        return Err(outside());
    }
    let path = archive.join(relative);
    match (path.canonicalize(), archive.canonicalize()) {
        (Ok(real), Ok(root)) if !real.starts_with(&root) => Err(outside()),
        // What does not exist is the business of code 1 (AS-093).
        _ => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::locate;

    #[test]
    fn scripts_are_found_inside_the_revision_only() {
        let archive = tempfile::tempdir().expect("scratch directory");
        let root = archive.path();
        std::fs::create_dir(root.join("scripts")).expect("mkdir");
        std::fs::write(root.join("scripts/a.sh"), "").expect("write");
        std::os::unix::fs::symlink("a.sh", root.join("scripts/inside")).expect("symlink");
        std::os::unix::fs::symlink("/bin/sh", root.join("scripts/outside")).expect("symlink");
        assert_eq!(locate(root, "/scripts/a.sh"), Ok(root.join("scripts/a.sh")), "AS-074");
        assert!(locate(root, "scripts/inside").is_ok(), "D-17: a link inside is fine");
        assert!(locate(root, "scripts/outside").is_err(), "D-17");
        assert!(locate(root, "scripts/../../x").is_err(), "D-17");
        assert!(locate(root, "missing").is_ok(), "AS-093 reports it");
    }
}
