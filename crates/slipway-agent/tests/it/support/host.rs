//! A host: a scratch directory with everything that an agent reads and writes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use slipway_agent::agent::{Agent, StartError};
use slipway_agent::config::{Config, HostIdentity};
use slipway_agent::logs::AgentLog;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Stub;

/// Who the host is.
pub(crate) const ARN: &str = "arn:aws:iam::123456789012:user/box1";
const PROGRAM: &str = env!("CARGO_BIN_EXE_slipway-agent");

/// A host with its configuration.
pub(crate) struct Host {
    directory: TempDir,
    pub(crate) config: PathBuf,
}

/// An agent in this process.
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Tells it to stop and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }

    /// Tells it to stop.
    pub(crate) fn tell_to_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) {
        self.task.await.unwrap();
    }
}

impl Host {
    /// A host registered with the stub, which trusts its signer.
    pub(crate) fn new(stub: &Stub) -> Self {
        Self::with(stub, "")
    }

    /// As [`Host::new`], with more lines of configuration; a pin given there wins.
    pub(crate) fn with(stub: &Stub, more: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        // `runas nobody` must reach the scripts.
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(at("ca.pem"), &stub.ca_pem).unwrap();
        std::fs::write(at("signer.pem"), &stub.signer.pem).unwrap();
        std::fs::write(
            at("codedeploy.onpremises.yml"),
            format!(
                "---\nregion: us-east-1\niam_user_arn: {ARN}\naws_access_key_id: AKIDEXAMPLE\naws_secret_access_key: very-secret\n"
            ),
        )
        .unwrap();
        let pin = if more.contains("spec_signing_certificate") || more.contains("no pin") {
            String::new()
        } else {
            format!(":spec_signing_certificate: {}\n", at("signer.pem").display())
        };
        let path = directory.path().display();
        let config = at("codedeployagent.yml");
        std::fs::write(
            &config,
            format!(
                "---\n:log_dir: {path}/log\n:pid_dir: {path}/pid\n:root_dir: {path}/root\n:wait_between_runs: 1\n\
                 :on_premises_config_file: {path}/codedeploy.onpremises.yml\n:ca_bundle: {path}/ca.pem\n\
                 :deploy_control_endpoint: {}\n{pin}{more}\n",
                stub.endpoint()
            ),
        )
        .unwrap();
        Self { directory, config }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Gives the host a session instead of a user (AG-030).
    pub(crate) fn use_session(&self, access_key: &str) {
        self.refresh_session(access_key);
        let file = self.path("session");
        std::fs::write(
            self.path("codedeploy.onpremises.yml"),
            format!("region: us-east-1\niam_session_arn: {ARN}\naws_credentials_file: {}\n", file.display()),
        )
        .unwrap();
    }

    /// Replaces the session's credentials file, as a helper does it.
    pub(crate) fn refresh_session(&self, access_key: &str) {
        let text = format!(
            "[default]\naws_access_key_id = {access_key}\naws_secret_access_key = s\naws_session_token = token-of-{access_key}\n"
        );
        std::fs::write(self.path("session.new"), text).unwrap();
        std::fs::rename(self.path("session.new"), self.path("session")).unwrap();
    }

    /// Starts an agent in this process.
    pub(crate) fn start(&self) -> Running {
        self.try_start().unwrap()
    }

    pub(crate) fn try_start(&self) -> Result<Running, StartError> {
        let config = Config::load(&self.config)?;
        config.prepare_directories()?;
        let (stop, stopped) = watch::channel(false);
        let host = HostIdentity::load(&config.on_premises_config_file)?.expect("an identity");
        let agent = Agent::new(&config, host, PathBuf::from(PROGRAM), &AgentLog::to_stderr(true), stopped)?;
        Ok(Running { stop, task: tokio::spawn(agent.run()) })
    }

    /// The program itself, with this host's configuration.
    pub(crate) fn program(&self, command: &str) -> Command {
        let mut program = Command::new(PROGRAM);
        program.arg("--config-file").arg(&self.config).arg(command).stdin(Stdio::null());
        program
    }
}

/// A specification for deployment `id` with a zip bundle at `s3://bucket/key`.
pub(crate) fn spec(id: &str, key: &str, etag: Option<&str>) -> Value {
    json!({
        "DeploymentId": id, "DeploymentGroupId": "6f1e4b5a-group", "DeploymentGroupName": "prod",
        "ApplicationName": "web", "DeploymentCreator": "user", "DeploymentType": "IN_PLACE",
        "AppSpecFilename": "appspec.yml",
        "AgentActionOverrides": {"AgentOverrides": {"FileExistsBehavior": "DISALLOW"}},
        "Revision": {"RevisionType": "S3", "S3Revision":
            {"Bucket": "bucket", "Key": key, "BundleType": "zip", "ETag": etag}}
    })
}

/// The directory of a deployment below the root.
pub(crate) fn deployment_dir(id: &str) -> String {
    format!("root/6f1e4b5a-group/{id}")
}

/// Whether a path is there, for `until`.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
