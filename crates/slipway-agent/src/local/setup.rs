//! From the command line to everything that a deployment needs (DP-324, DP-325, DP-333..DP-337).

use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_appspec::FileExistsBehavior;

use super::options::Options;
use super::{PROGRAM, events, location};
use crate::agent;
use crate::config::{
    Config, ConfigError, CredentialSource, DEFAULT_CONFIG_FILES, HostIdentity, S3Credentials,
};
use crate::download::{Downloader, GitHubSettings, S3Settings};
use crate::executor::Executor;
use crate::http::{HttpClient, Trust};
use crate::identity::{self, variable};
use crate::layout::{Layout, is_group_id, is_plain_name};
use crate::logs::AgentLog;
use crate::spec::{DeploymentSpec, Revision};
use crate::sys::process::isolate;

const DEFAULT_GROUP: &str = "default-local-deployment-group";
const DEFAULT_GROUP_NAME: &str = "LocalFleet";
/// What S3 is asked with when nothing names a region; a service that is not AWS takes any.
const DEFAULT_REGION: &str = "us-east-1";

/// A deployment that can begin.
pub(super) struct Setup {
    pub(super) events: Vec<String>,
    pub(super) spec: DeploymentSpec,
    pub(super) executor: Executor,
    pub(super) log: AgentLog,
    pub(super) log_file: PathBuf,
    /// Named when keys are missing.
    pub(super) on_premises_file: PathBuf,
}

impl Setup {
    /// The error is the text behind `ERROR:`; nothing has been changed then.
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        let current = std::env::current_dir().map_err(|error| format!("the current directory: {error}"))?;
        let config = configuration(options.config_file.as_deref())?;
        let location = options.bundle_location.as_deref();
        let kind = options.bundle_type.as_deref();
        let revision = location::revision(location, kind, &current, &config.github_endpoint).map_err(text)?;
        let appspec = options.appspec_filename.as_deref();
        if let Some(name) = appspec.filter(|name| !is_plain_name(name)) {
            return Err(format!("{name} is not the name of a file in the bundle's root directory"));
        }
        let appspec_filename = location::appspec(&revision, appspec).map_err(text)?;
        let events = events::plan(options.events.as_deref()).map_err(text)?;
        let group = options.deployment_group.as_deref().unwrap_or(DEFAULT_GROUP);
        if !is_group_id(group) {
            return Err(format!("deployment group {group} cannot be the name of a directory"));
        }
        let shown = location.map_or_else(|| current.display().to_string(), str::to_owned);
        let spec = DeploymentSpec {
            deployment_id: deployment_id().map_err(text)?,
            group_id: group.to_owned(),
            group_name: options.deployment_group_name.as_deref().unwrap_or(DEFAULT_GROUP_NAME).to_owned(),
            application_name: options.application_name.clone().unwrap_or(shown),
            creator: "user".to_owned(),
            deployment_type: "IN_PLACE".to_owned(),
            appspec_filename,
            file_exists_behavior: behavior(options.file_exists_behavior.as_deref())?,
            all_possible_events: Some(events::possible(&events)),
            reuse_archive_from: None,
            revision,
        };
        Self::on_this_host(&config, spec, events)
    }

    fn on_this_host(config: &Config, spec: DeploymentSpec, events: Vec<String>) -> Result<Self, String> {
        isolate();
        if config.hardening.disable_core_dumps {
            // The process may hold keys. The attribute ends at exec, so scripts keep their own limits (AP-30).
            let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        }
        let layout = Layout::new(&config.root_dir, &config.ongoing_deployment_tracking);
        for directory in [&config.log_dir, &config.root_dir] {
            writable(directory)?;
        }
        let log_file = config.log_dir.join(format!("{PROGRAM}.log"));
        let log = AgentLog::to_file(&config.log_dir, PROGRAM, config.verbose)
            .map_err(|error| format!("{error} - {}", log_file.display()))?;
        let host = HostIdentity::load(&config.on_premises_config_file).map_err(text)?;
        let downloader = downloader(config, &spec.revision, host.as_ref(), &log)?;
        let launcher = PathBuf::from("/proc/self/exe");
        let executor =
            agent::executor(config, &layout, downloader, host.as_ref(), launcher, &log).map_err(text)?;
        let on_premises_file = config.on_premises_config_file.clone();
        Ok(Self { events, spec, executor, log, log_file, on_premises_file })
    }
}

pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The named file, else the agent's, else what holds without any (DP-324, DP-336).
fn configuration(named: Option<&Path>) -> Result<Config, String> {
    let usual = || DEFAULT_CONFIG_FILES.map(PathBuf::from).into_iter().find(|path| path.exists());
    let loaded = match named.map(Path::to_owned).or_else(usual) {
        Some(path) => Config::load(&path),
        None => Config::without_file(),
    };
    loaded.map_err(|error| match error {
        ConfigError::Unreadable(path) => {
            format!("configuration file {} does not exist or is not readable", path.display())
        }
        other => other.to_string(),
    })
}

/// A word that is none would only be noticed at the first conflict (AS-037).
fn behavior(given: Option<&str>) -> Result<String, String> {
    let word = given.unwrap_or(FileExistsBehavior::default().as_str()).to_ascii_uppercase();
    match word.parse::<FileExistsBehavior>() {
        Ok(behavior) => Ok(behavior.as_str().to_owned()),
        Err(()) => Err(crate::install::InstallError::UnknownBehavior(word).to_string()),
    }
}

/// Makes a directory, or tells why whoever calls us cannot write there (DP-324, DP-365).
fn writable(directory: &Path) -> Result<(), String> {
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    let made = std::fs::create_dir_all(directory)
        .and_then(|()| rustix::fs::access(directory, access).map_err(std::io::Error::from));
    made.map_err(|error| {
        let advice = if rustix::process::geteuid().is_root() {
            ""
        } else {
            ". Run the command as root (sudo), or name a configuration file with directories of your own: -c FILE"
        };
        format!("{error} - {}{advice}", directory.display())
    })
}

/// `d-` and nine letters and digits and `-local` (DP-334, A-22).
fn deployment_id() -> Result<String, aws_lc_rs::error::Unspecified> {
    const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut random = [0_u8; 9];
    aws_lc_rs::rand::fill(&mut random)?;
    let name: String =
        random.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
    Ok(format!("d-{name}-local"))
}

/// Local content needs neither keys nor certificates.
fn downloader(
    config: &Config,
    revision: &Revision,
    host: Option<&HostIdentity>,
    log: &AgentLog,
) -> Result<Downloader, String> {
    let trust = Trust::resolve(config.ca_bundle.as_deref());
    let proxy = config.proxy_uri.as_deref();
    let http = match revision {
        Revision::Local { .. } => HttpClient::plain(config.http_read_timeout),
        Revision::S3 { .. } | Revision::GitHub { .. } => {
            HttpClient::new(&trust, proxy, config.http_read_timeout)
        }
    };
    let credentials = match host {
        Some(host) if config.s3_credentials == S3Credentials::Host => host.credentials.clone(),
        _ => {
            let service = match revision {
                Revision::S3 { .. } => identity::metadata_service(config, log).map_err(text)?,
                Revision::Local { .. } | Revision::GitHub { .. } => None,
            };
            CredentialSource::usual(&variable, service)
        }
    };
    let region = host
        .map(|host| host.region.clone())
        .or_else(|| variable("AWS_REGION"))
        .or_else(|| variable("AWS_DEFAULT_REGION"))
        .unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let from_environment = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
    let configured = config.s3_endpoint_override.as_deref();
    Ok(Downloader {
        http: http.map_err(text)?,
        credentials,
        s3: S3Settings::resolve(
            configured.or(from_environment.as_deref().filter(|_| config.deploy_control_endpoint.is_none())),
            config.deploy_control_endpoint.as_deref(),
            &region,
            host.and_then(|host| host.domain.as_deref()),
            config.use_fips_mode,
        ),
        github: GitHubSettings::new(&config.github_endpoint, &trust, proxy),
        log: log.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::{behavior, deployment_id};

    #[test]
    fn dp_334_ids_are_of_the_documented_form_and_not_guessed_twice() {
        let ids: std::collections::HashSet<String> =
            (0..100).map(|_| deployment_id().expect("random")).collect();
        assert_eq!(ids.len(), 100);
        for id in ids {
            let middle = id.strip_prefix("d-").and_then(|rest| rest.strip_suffix("-local")).expect("DP-334");
            assert!(
                middle.len() == 9 && middle.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            );
        }
    }

    #[test]
    fn dp_333_the_behavior_is_a_word_in_any_case() {
        assert_eq!(behavior(None).as_deref(), Ok("DISALLOW"));
        assert_eq!(behavior(Some("overwrite")).as_deref(), Ok("OVERWRITE"));
        assert_eq!(
            behavior(Some("keep")).expect_err("AS-037"),
            "The deployment failed because an invalid option was specified for fileExistsBehavior: KEEP. Valid options include OVERWRITE, RETAIN, and DISALLOW."
        );
    }
}
