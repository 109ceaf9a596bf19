//! The agent's configuration: `codedeployagent.yml`, the on-premises file, credentials.
//!
//! Keys, defaults and error texts are those of AG-054 and AS-137; the keys that Slipway adds are
//! `spec_signing_certificate`, `ca_bundle`, `hook_env_credentials`, `retain_cleanup`, `github_endpoint`,
//! `s3_credentials`, `sts_endpoint`, `archive_max_members`, `archive_max_ratio`, `reject_untrusted_links_in_destination`.

mod credentials;
mod onprem;
mod yaml;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use credentials::{CredentialError, CredentialSource, Keys};
pub use onprem::{HostIdentity, OnPremisesError, Renewal, SESSION, role_of_session};

use yaml::FlatMap;

/// Where the configuration file is looked for when none is named (AG-041).
pub const DEFAULT_CONFIG_FILES: [&str; 2] =
    ["/etc/codedeploy-agent/conf/codedeployagent.yml", "/opt/codedeploy-agent/conf/codedeployagent.yml"];

const MAX_STOP_WAIT: Duration = Duration::from_hours(24);
/// Keys of older agents that mean nothing here; named once in the log (AP-31).
const RETIRED: [&str; 8] = [
    "user",
    "group",
    "shared_dir",
    "instance_service_region",
    "instance_service_endpoint",
    "instance_service_port",
    "codedeploy_test_profile",
    "ssl_verify_peer",
];

/// Why the agent refuses its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// AG-053.
    #[error("The config file {} does not exist or is not readable", .0.display())]
    Unreadable(PathBuf),
    /// AG-053.
    #[error("An error occurred loading the CodeDeploy agent config file at {}. Error message: {cause}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The parser's words, or what is wrong with a value.
        cause: String,
    },
    /// AG-055. The text has always said `max_revision`.
    #[error("Invalid configuration :max_revision={0}")]
    MaxRevisions(String),
    /// AG-054.
    #[error("children can only be set to 1")]
    Children,
    /// AG-039.
    #[error("use_fips_mode can be set to true only in regions located in the USA")]
    Fips,
    /// AG-056.
    #[error("Please make sure the path of the {what} directory exists and is writable: {}", .path.display())]
    Directory {
        /// `log`, `PID` or `root`.
        what: &'static str,
        /// The directory.
        path: PathBuf,
    },
    /// The on-premises file is wrong.
    #[error(transparent)]
    OnPremises(#[from] OnPremisesError),
    /// Anything else, in a sentence.
    #[error("{0}")]
    Invalid(String),
}

/// Whose keys sign for S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Credentials {
    /// The host's own, with which it polls.
    Host,
    /// Those that any AWS client on this host would use: for bundles that are not in the control plane's own store.
    Usual,
}

/// Hardening switches (AP-30). On by default where no legitimate bundle breaks (D-17).
#[derive(Debug, Clone)]
pub struct Hardening {
    /// Hooks get the documented variables and PATH, HOME, USER only.
    pub restrict_hook_env_to_allowlist: bool,
    /// LD_PRELOAD, LD_LIBRARY_PATH and LD_AUDIT do not reach hooks.
    pub strip_loader_env_in_hooks: bool,
    /// The agent leaves no core file (it holds keys). Hooks are not affected.
    pub disable_core_dumps: bool,
    /// Mode 0700 on the root directory.
    pub restrict_agent_dir_permissions: bool,
    /// Mode 0700 on the log directory.
    pub restrict_log_dir_permissions: bool,
    /// A bundle with a member that leads out of it is refused.
    pub reject_path_traversal_in_bundle: bool,
    /// A bundle with a symbolic link is refused.
    pub reject_symlinks_in_bundle: bool,
    /// A permission on a symbolic link is refused.
    pub reject_symlink_permission_targets: bool,
    /// A label that lifts SELinux's confinement is refused.
    pub reject_unconfined_selinux_in_bundle: bool,
    /// A bundle with a setuid or setgid file is refused.
    pub reject_unsafe_permissions_in_bundle: bool,
    /// Owners recorded in the bundle are ignored.
    pub ignore_ownership_in_bundle: bool,
    /// No more bytes than this are unpacked.
    pub archive_max_extraction_size: Option<u64>,
    /// No more members than this are unpacked.
    pub archive_max_members: Option<u64>,
    /// A large bundle unpacks to no more than so many times its own size.
    pub archive_max_ratio: Option<u64>,
    /// Links of other users to directories that are not theirs are not followed on the way to a destination.
    pub reject_untrusted_links_in_destination: bool,
}

/// Everything that the configuration file says, with defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file itself.
    pub path: PathBuf,
    /// Directory of the agent log.
    pub log_dir: PathBuf,
    /// Directory of the PID file.
    pub pid_dir: PathBuf,
    /// Base name of log and PID file.
    pub program_name: String,
    /// `<root>`: revisions, markers, script logs (AG-071).
    pub root_dir: PathBuf,
    /// Debug lines in the agent log.
    pub verbose: bool,
    /// Least time between two polls that brought nothing (AP-33; AS-137 makes the default 1 s).
    pub wait_between_runs: Duration,
    /// An HTTP proxy for everything that the agent fetches.
    pub proxy_uri: Option<String>,
    /// Archives kept per deployment group (AG-083).
    pub max_revisions: usize,
    /// Where the on-premises file is.
    pub on_premises_config_file: PathBuf,
    /// How long the server may hold a poll (AP-04).
    pub http_read_timeout: Duration,
    /// Speak the `codedeploy-commands-secure` variant (AP-01).
    pub enable_auth_policy: bool,
    /// FIPS endpoints (AG-034).
    pub use_fips_mode: bool,
    /// URL of the command service.
    pub deploy_control_endpoint: Option<String>,
    /// URL of the S3 service.
    pub s3_endpoint_override: Option<String>,
    /// IMDSv1 is never spoken (AG-011).
    pub disable_imds_v1: bool,
    /// Whose keys sign for S3.
    pub s3_credentials: S3Credentials,
    /// URL of STS, for hosts that renew their own session.
    pub sts_endpoint: Option<String>,
    /// Whether an unpacked revision that is there already may be used again (AP-28).
    pub enable_archive_reuse: bool,
    /// Whether the deployments log is written (AG-074).
    pub enable_deployments_log: bool,
    /// Name of the tracking directory under `<root>` (AG-066).
    pub ongoing_deployment_tracking: String,
    /// How long a stop waits for running commands (AG-044).
    pub kill_agent_max_wait_time: Duration,
    /// Pause after a throttling answer.
    pub wait_after_throttle_error: Duration,
    /// The certificate that must have signed a specification (D-18).
    pub spec_signing_certificate: Option<PathBuf>,
    /// The roots that TLS trusts; the system's when absent.
    pub ca_bundle: Option<PathBuf>,
    /// Hooks see the user's keys as with the old agents (D-25).
    pub hook_env_credentials: bool,
    /// `:retain_cleanup: guide` (D-14).
    pub retain_cleanup_guide: bool,
    /// API of GitHub or a GitHub Enterprise server (D-35).
    pub github_endpoint: String,
    /// Hardening switches.
    pub hardening: Hardening,
    /// What to say once in the log about keys without effect.
    pub notices: Vec<String>,
}

impl Config {
    /// Reads the configuration file (AG-052..AG-056).
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|_| ConfigError::Unreadable(path.to_owned()))?;
        let map =
            FlatMap::parse(&text).map_err(|cause| ConfigError::Malformed { path: path.to_owned(), cause })?;
        Self::from_map(path, &map)
    }

    /// What holds on a machine without a configuration file: a local deployment needs none (DP-324).
    pub fn without_file() -> Result<Self, ConfigError> {
        Self::from_map(Path::new(DEFAULT_CONFIG_FILES[0]), &FlatMap::default())
    }

    fn from_map(path: &Path, map: &FlatMap) -> Result<Self, ConfigError> {
        let values = Values { path, map };
        if values.text("children").is_some_and(|children| children != "1") {
            return Err(ConfigError::Children);
        }
        let max_revisions = match values.text("max_revisions") {
            None => 5,
            Some(text) => match text.parse::<usize>() {
                Ok(number) if number >= 1 => number,
                _ => return Err(ConfigError::MaxRevisions(text.to_owned())),
            },
        };
        let program_name = values.text("program_name").unwrap_or("codedeploy-agent").to_owned();
        let tracking = values.text("ongoing_deployment_tracking").unwrap_or("ongoing-deployment").to_owned();
        for name in [&program_name, &tracking] {
            if name.contains('/') || name == "." || name == ".." {
                return Err(values.malformed(&format!("`{name}` must be a plain name without `/`")));
            }
        }
        let config = Self {
            path: path.to_owned(),
            log_dir: values.path("log_dir", "/var/log/aws/codedeploy-agent"),
            pid_dir: values.path("pid_dir", "/opt/codedeploy-agent/state/.pid"),
            root_dir: values.path("root_dir", "/opt/codedeploy-agent/deployment-root"),
            program_name,
            verbose: values.flag("verbose", false)?,
            wait_between_runs: values.seconds("wait_between_runs", 1)?,
            proxy_uri: values.text("proxy_uri").filter(|uri| !uri.trim().is_empty()).map(str::to_owned),
            max_revisions,
            on_premises_config_file: values.path("on_premises_config_file", HostIdentity::DEFAULT_FILE),
            http_read_timeout: values.seconds("http_read_timeout", 80)?,
            enable_auth_policy: values.flag("enable_auth_policy", false)?,
            use_fips_mode: values.flag("use_fips_mode", false)?,
            deploy_control_endpoint: values.text("deploy_control_endpoint").map(str::to_owned),
            s3_endpoint_override: values.text("s3_endpoint_override").map(str::to_owned),
            disable_imds_v1: values.flag("disable_imds_v1", false)?,
            s3_credentials: match values.text("s3_credentials") {
                None | Some("host") => S3Credentials::Host,
                Some("aws") => S3Credentials::Usual,
                Some(other) => {
                    return Err(
                        values.malformed(&format!("s3_credentials: `{other}` is neither host nor aws"))
                    );
                }
            },
            sts_endpoint: values.text("sts_endpoint").map(str::to_owned),
            enable_archive_reuse: values.flag("enable_archive_reuse", true)?,
            enable_deployments_log: values.flag("enable_deployments_log", true)?,
            ongoing_deployment_tracking: tracking,
            kill_agent_max_wait_time: values
                .seconds("kill_agent_max_wait_time_seconds", 7200)?
                .min(MAX_STOP_WAIT),
            wait_after_throttle_error: values.seconds("wait_after_throttle_error", 60)?,
            spec_signing_certificate: signing_certificate(path, &values)?,
            ca_bundle: values.text("ca_bundle").map(absolute),
            hook_env_credentials: values.flag("hook_env_credentials", false)?,
            retain_cleanup_guide: values.text("retain_cleanup") == Some("guide"),
            github_endpoint: values.text("github_endpoint").unwrap_or("https://api.github.com").to_owned(),
            hardening: Hardening {
                restrict_hook_env_to_allowlist: values.flag("restrict_hook_env_to_allowlist", false)?,
                strip_loader_env_in_hooks: values.flag("strip_loader_env_in_hooks", true)?,
                disable_core_dumps: values.flag("disable_core_dumps", true)?,
                restrict_agent_dir_permissions: values.flag("restrict_agent_dir_permissions", false)?,
                restrict_log_dir_permissions: values.flag("restrict_log_dir_permissions", false)?,
                reject_path_traversal_in_bundle: values.flag("reject_path_traversal_in_bundle", true)?,
                reject_symlinks_in_bundle: values.flag("reject_symlinks_in_bundle", false)?,
                reject_symlink_permission_targets: values.flag("reject_symlink_permission_targets", true)?,
                reject_unconfined_selinux_in_bundle: values
                    .flag("reject_unconfined_selinux_in_bundle", false)?,
                reject_unsafe_permissions_in_bundle: values
                    .flag("reject_unsafe_permissions_in_bundle", false)?,
                ignore_ownership_in_bundle: values.flag("ignore_ownership_in_bundle", false)?,
                archive_max_extraction_size: values.size("archive_max_extraction_size")?,
                archive_max_members: values.number("archive_max_members")?,
                archive_max_ratio: values.number("archive_max_ratio")?,
                reject_untrusted_links_in_destination: values
                    .flag("reject_untrusted_links_in_destination", true)?,
            },
            notices: notices(map),
        };
        Ok(config)
    }

    /// Makes the directories of logs, PID file and revisions, and proves that they can be written (AG-056).
    pub fn prepare_directories(&self) -> Result<(), ConfigError> {
        let wanted = [
            ("log", &self.log_dir, self.hardening.restrict_log_dir_permissions),
            ("PID", &self.pid_dir, false),
            ("root", &self.root_dir, self.hardening.restrict_agent_dir_permissions),
        ];
        for (what, path, restricted) in wanted {
            let failed = || ConfigError::Directory { what, path: path.clone() };
            std::fs::create_dir_all(path).map_err(|_| failed())?;
            rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
                .map_err(|_| failed())?;
            if restricted {
                use std::os::unix::fs::PermissionsExt as _;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
                    .map_err(|_| failed())?;
            }
        }
        Ok(())
    }

    /// What users who are not root could change: whoever does that decides what runs as root.
    pub fn open_to_others(&self) -> Vec<String> {
        use std::os::unix::fs::MetadataExt as _;
        const OTHERS_WRITE: u32 = 0o022;
        if !rustix::process::geteuid().is_root() {
            return Vec::new();
        }
        [&self.root_dir, &self.pid_dir, &self.log_dir, &self.path, &self.on_premises_config_file]
            .into_iter()
            .filter(|path| {
                std::fs::metadata(path)
                    .is_ok_and(|found| found.uid() != 0 || found.mode() & OTHERS_WRITE != 0)
            })
            .map(|path| {
                format!(
                    "{} can be changed by users other than root: they can run anything as root",
                    path.display()
                )
            })
            .collect()
    }

    /// The PID file (AG-043).
    pub fn pid_file(&self) -> PathBuf {
        self.pid_dir.join(format!("{}.pid", self.program_name))
    }

    /// The lock beside the PID file (AG-043).
    pub fn lock_file(&self) -> PathBuf {
        self.pid_dir.join(format!("{}.pid.lock", self.program_name))
    }
}

/// The named certificate must be there; the default one is used when it is (D-18).
fn signing_certificate(path: &Path, values: &Values<'_>) -> Result<Option<PathBuf>, ConfigError> {
    if let Some(named) = values.text("spec_signing_certificate") {
        let named = absolute(named);
        if std::fs::File::open(&named).is_err() {
            return Err(values.malformed(&format!(
                "spec_signing_certificate: {} does not exist or is not readable",
                named.display()
            )));
        }
        return Ok(Some(named));
    }
    let default = path.parent().unwrap_or(Path::new(".")).join("slipway-signing.pem");
    Ok(default.exists().then_some(default))
}

fn notices(map: &FlatMap) -> Vec<String> {
    let mut retired: Vec<&str> = map.keys().filter(|key| RETIRED.contains(key)).collect();
    retired.sort_unstable();
    let mut notices: Vec<String> =
        retired.iter().map(|key| format!("The setting :{key}: is retired and has no effect.")).collect();
    if map.get("log_aws_wire") == Some("true") {
        notices.push(
            "The setting :log_aws_wire: has no effect: this agent logs one line for each call.".to_owned(),
        );
    }
    notices
}

/// The daemon does not stay where it was started (AS-107).
fn absolute(path: &str) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path))
}

/// Typed access to the map.
struct Values<'a> {
    path: &'a Path,
    map: &'a FlatMap,
}

impl Values<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.map.get(key)
    }

    fn path(&self, key: &str, default: &str) -> PathBuf {
        absolute(self.text(key).unwrap_or(default))
    }

    fn malformed(&self, cause: &str) -> ConfigError {
        ConfigError::Malformed { path: self.path.to_owned(), cause: cause.to_owned() }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        match self.text(key).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true" | "yes" | "on") => Ok(true),
            Some("false" | "no" | "off") => Ok(false),
            Some(other) => Err(self.malformed(&format!("{key}: `{other}` is neither true nor false"))),
        }
    }

    fn seconds(&self, key: &str, default: u64) -> Result<Duration, ConfigError> {
        match self.text(key) {
            None => Ok(Duration::from_secs(default)),
            Some(text) => text
                .parse::<f64>()
                .ok()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .ok_or_else(|| self.malformed(&format!("{key}: `{text}` is not a number of seconds"))),
        }
    }

    /// A number of things, at least one.
    fn number(&self, key: &str) -> Result<Option<u64>, ConfigError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match text.parse::<u64>() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(self.malformed(&format!("{key}: `{text}` is not a number of at least 1"))),
        }
    }

    /// Bytes, or a number with a unit: `500MB`, `1GiB` (AP-30).
    fn size(&self, key: &str) -> Result<Option<u64>, ConfigError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
        let unit: u64 = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return Err(self.malformed(&format!("{key}: `{text}` is not a size"))),
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .map(Some)
            .ok_or_else(|| self.malformed(&format!("{key}: `{text}` is not a size")))
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, ConfigError};
    use std::path::Path;
    use std::time::Duration;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("codedeployagent.yml");
        std::fs::write(&path, text).expect("write");
        Config::load(&path)
    }

    #[test]
    fn a_missing_key_takes_the_documented_default() {
        let config = load("---\n:log_dir: '/tmp/log/'\n:wait_between_runs: 3\n").expect("AG-054");
        assert_eq!(config.log_dir, Path::new("/tmp/log"));
        assert_eq!(config.root_dir, Path::new("/opt/codedeploy-agent/deployment-root"));
        assert_eq!(config.wait_between_runs, Duration::from_secs(3));
        assert_eq!(config.max_revisions, 5);
        assert_eq!(config.http_read_timeout, Duration::from_secs(80));
        assert_eq!(config.kill_agent_max_wait_time, Duration::from_hours(2));
        assert!(config.enable_deployments_log && !config.verbose && config.proxy_uri.is_none());
        assert!(config.hardening.strip_loader_env_in_hooks, "D-17: on by default");
    }

    #[test]
    fn a_missing_file_and_a_broken_one_are_named_in_the_documented_words() {
        let missing = Config::load(Path::new("/nonexistent/a.yml")).expect_err("AG-053");
        assert_eq!(
            missing.to_string(),
            "The config file /nonexistent/a.yml does not exist or is not readable"
        );
        let broken = load(":a: [\n").expect_err("AG-053").to_string();
        assert!(
            broken.starts_with("An error occurred loading the CodeDeploy agent config file at /"),
            "{broken}"
        );
        assert!(broken.contains("codedeployagent.yml. Error message: "), "{broken}");
    }

    #[test]
    fn bad_values_stop_the_agent() {
        assert_eq!(
            load(":max_revisions: 0").expect_err("AG-055").to_string(),
            "Invalid configuration :max_revision=0"
        );
        assert_eq!(
            load(":max_revisions: many").expect_err("AG-055").to_string(),
            "Invalid configuration :max_revision=many"
        );
        assert_eq!(load(":children: 2").expect_err("AG-054").to_string(), "children can only be set to 1");
        assert!(load(":verbose: perhaps").is_err());
        assert!(load(":program_name: ../x").is_err());
        assert!(load(":spec_signing_certificate: /nonexistent.pem").is_err(), "D-18");
    }

    #[test]
    fn sizes_take_units_and_stop_waits_are_capped() {
        let config = load(":archive_max_extraction_size: 1GiB\n:kill_agent_max_wait_time_seconds: 999999\n");
        let config = config.expect("AP-30");
        assert_eq!(config.hardening.archive_max_extraction_size, Some(1 << 30));
        assert!(load(":archive_max_ratio: 0\n").is_err() && load(":archive_max_members: many\n").is_err());
        assert_eq!(config.kill_agent_max_wait_time, Duration::from_hours(24), "AP-31");
    }
}
