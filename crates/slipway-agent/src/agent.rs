//! The whole agent, put together from its configuration.

use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;
use tokio::sync::watch;

use crate::api::{Api, Endpoints};
use crate::client::{ClientSettings, CommandClient};
use crate::config::{Config, ConfigError, CredentialSource, HostIdentity, OnPremisesError, S3Credentials};
use crate::download::{Downloader, GitHubSettings, S3Settings, aws_domain, is_aws};
use crate::executor::Executor;
use crate::hooks::{BaseEnvironment, HookRunner};
use crate::http::{HttpClient, HttpSetupError, Trust};
use crate::identity;
use crate::install::Switches;
use crate::layout::Layout;
use crate::logs::{AgentLog, DeploymentsLog};
use crate::poller::{Poller, Timing, Worker};
use crate::session::Renewer;
use crate::spec::{PinError, SignerPin};
use crate::tracking::Tracker;
use crate::unpack::Limits;
use crate::version::agent_version;

/// AG-039.
const FIPS_REGIONS: [&str; 6] =
    ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-west-1", "us-gov-east-1"];

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The on-premises file.
    #[error(transparent)]
    OnPremises(#[from] OnPremisesError),
    /// TLS or proxy.
    #[error(transparent)]
    Http(#[from] HttpSetupError),
    /// The pinned signer.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// No identity.
    #[error(
        "On Premises config file does not exist or not readable, or names no identity: {}. Register this host first ({reason}).",
        .file.display()
    )]
    NoIdentity {
        /// The on-premises file.
        file: PathBuf,
        /// Why this is no EC2 instance either.
        reason: String,
    },
    /// The address of the command service.
    #[error("deploy_control_endpoint {0} is not usable: {1}")]
    Endpoint(String, String),
    /// A log.
    #[error("{}: {error}", .path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// Why it cannot be written.
        error: std::io::Error,
    },
}

/// An agent, ready to run.
#[derive(Debug)]
pub struct Agent {
    worker: Arc<Worker>,
    timing: Timing,
    renewer: Option<Renewer>,
    stop: watch::Receiver<bool>,
}

impl Agent {
    /// Builds everything for this host; connects to nothing yet. `launcher` is this program, `stop` ends
    /// [`run`](Self::run).
    pub fn new(
        config: &Config,
        host: HostIdentity,
        launcher: PathBuf,
        log: &AgentLog,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, StartError> {
        for notice in &config.notices {
            log.warn(notice);
        }
        if config.use_fips_mode && !FIPS_REGIONS.contains(&host.region.as_str()) {
            return Err(ConfigError::Fips.into());
        }
        let endpoint = command_endpoint(config, &host, log)?;
        let layout = Layout::new(&config.root_dir, &config.ongoing_deployment_tracking);
        let trust = Trust::resolve(config.ca_bundle.as_deref());
        let proxy = config.proxy_uri.as_deref();
        let http = HttpClient::new(&trust, proxy, config.http_read_timeout)?;
        let settings = ClientSettings {
            endpoint,
            region: host.region.clone(),
            secure: config.enable_auth_policy,
            agent_version: agent_version(&config.root_dir, log),
        };
        let downloader = Downloader {
            http: http.clone(),
            credentials: match config.s3_credentials {
                S3Credentials::Host => host.credentials.clone(),
                S3Credentials::Usual => {
                    CredentialSource::usual(&identity::variable, identity::metadata_service(config, log)?)
                }
            },
            s3: S3Settings::resolve(
                config.s3_endpoint_override.as_deref(),
                config.deploy_control_endpoint.as_deref(),
                &host.region,
                host.domain.as_deref(),
                config.use_fips_mode,
            ),
            github: GitHubSettings::new(&config.github_endpoint, &trust, proxy),
            log: log.clone(),
        };
        let executor = executor(config, &layout, downloader, Some(&host), launcher, log)?;
        let renewer = renewer(config, &host, &http, log);
        let worker = Worker {
            host: host.host_identifier,
            client: CommandClient::new(http, settings, host.credentials, log.clone()),
            executor,
            tracker: Tracker::new(&layout),
            pin: signer_pin(config, &layout, log)?,
            log: log.clone(),
            stop: stop.clone(),
        };
        let timing = Timing {
            wait_between_runs: config.wait_between_runs,
            wait_after_throttle_error: config.wait_after_throttle_error,
            stop_wait: config.kill_agent_max_wait_time,
        };
        Ok(Self { worker: Arc::new(worker), timing, renewer, stop })
    }

    /// Polls and works until told to stop and everything in work has ended.
    pub async fn run(self) {
        if let Some(renewer) = self.renewer {
            renewer.begin().await;
            tokio::spawn(renewer.run(self.stop.clone()));
        }
        Poller::new(self.worker, self.timing, self.stop).run().await;
    }
}

/// What carries out commands, by the configuration. A local deployment needs no `host` (AG-113).
pub(crate) fn executor(
    config: &Config,
    layout: &Layout,
    downloader: Downloader,
    host: Option<&HostIdentity>,
    launcher: PathBuf,
    log: &AgentLog,
) -> Result<Executor, StartError> {
    let environment =
        BaseEnvironment::new(std::env::vars_os(), &config.hardening, host, config.hook_env_credentials);
    Ok(Executor {
        layout: layout.clone(),
        max_revisions: config.max_revisions,
        downloader,
        limits: limits(config),
        hooks: HookRunner::new(environment, deployments_log(config, layout)?, launcher, log.clone()),
        switches: Switches {
            reject_path_traversal: config.hardening.reject_path_traversal_in_bundle,
            reject_symlink_permission_targets: config.hardening.reject_symlink_permission_targets,
            reject_unconfined_selinux: config.hardening.reject_unconfined_selinux_in_bundle,
            reject_untrusted_links: config.hardening.reject_untrusted_links_in_destination,
        },
        retain_cleanup_guide: config.retain_cleanup_guide,
        reuse_archives: config.enable_archive_reuse,
        log: log.clone(),
    })
}

/// The configured address, else AWS's of the region (AG-034, AP-32).
fn command_endpoint(config: &Config, host: &HostIdentity, log: &AgentLog) -> Result<Uri, StartError> {
    let text = config.deploy_control_endpoint.clone().unwrap_or_else(|| {
        let region = host.region.as_str();
        let domain = host.domain.as_deref().unwrap_or_else(|| aws_domain(region));
        let secure = if config.enable_auth_policy { "-secure" } else { "" };
        let fips = if config.use_fips_mode { "-fips" } else { "" };
        format!("https://codedeploy-commands{secure}{fips}.{region}.{domain}")
    });
    let wrong = |reason: &str| StartError::Endpoint(text.clone(), reason.to_owned());
    let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") => log
            .warn(format_args!("{text} is not encrypted: commands and keys' signatures travel in the clear")),
        _ => return Err(wrong("it must start with https:// or http://")),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("it names no host"));
    }
    Ok(uri)
}

/// Keeps the host's session alive, if that is our business. STS is the control plane itself unless that is AWS.
fn renewer(config: &Config, host: &HostIdentity, http: &HttpClient, log: &AgentLog) -> Option<Renewer> {
    let renewal = host.renewal.clone()?;
    let mut endpoints = match config.deploy_control_endpoint.as_deref().filter(|endpoint| !is_aws(endpoint)) {
        Some(endpoint) => Endpoints::one(endpoint),
        None => Endpoints::aws(&host.region),
    };
    if let Some(sts) = &config.sts_endpoint {
        sts.trim_end_matches('/').clone_into(&mut endpoints.sts);
    }
    let api = Api::new(http.clone(), renewal.source.clone(), &host.region, endpoints);
    Some(Renewer::new(renewal, api, host.credentials.clone(), log.clone()))
}

fn deployments_log(config: &Config, layout: &Layout) -> Result<DeploymentsLog, StartError> {
    if !config.enable_deployments_log {
        return Ok(DeploymentsLog::disabled());
    }
    let path = layout.deployment_logs();
    DeploymentsLog::open(&path).map_err(|error| StartError::Log { path, error })
}

fn signer_pin(config: &Config, layout: &Layout, log: &AgentLog) -> Result<SignerPin, PinError> {
    match &config.spec_signing_certificate {
        Some(path) => SignerPin::configured(path, log.clone()),
        None => SignerPin::on_first_use(&layout.state().join("spec-signer.pem"), log.clone()),
    }
}

fn limits(config: &Config) -> Limits {
    let switches = &config.hardening;
    let defaults = Limits::default();
    Limits {
        max_size: switches.archive_max_extraction_size.unwrap_or(defaults.max_size),
        max_members: switches.archive_max_members.unwrap_or(defaults.max_members),
        max_ratio: switches.archive_max_ratio.unwrap_or(defaults.max_ratio),
        reject_symlinks: switches.reject_symlinks_in_bundle,
        reject_path_traversal: switches.reject_path_traversal_in_bundle,
        reject_unsafe_permissions: switches.reject_unsafe_permissions_in_bundle,
        ignore_ownership: switches.ignore_ownership_in_bundle,
        left_out: Some(config.root_dir.clone()),
        ..defaults
    }
}
