//! What scripts find in their environment (AP-21, AS-104, AS-105, D-25).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::config::{CredentialSource, Hardening, HostIdentity};
use crate::spec::{DeploymentSpec, Revision};

/// Never handed on: the agent ignores them itself (AG-032), stale ones would mislead a script, raw secrets are not for
/// scripts (D-25), and what a service manager tells the agent is about the agent.
const REMOVED: &[&str] = &[
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CREDENTIAL_FILE",
    "AWS_CREDENTIALS_FILE",
    "LIFECYCLE_EVENT",
    "DEPLOYMENT_ID",
    "APPLICATION_NAME",
    "DEPLOYMENT_GROUP_NAME",
    "DEPLOYMENT_GROUP_ID",
    "BUNDLE_BUCKET",
    "BUNDLE_KEY",
    "BUNDLE_VERSION",
    "BUNDLE_ETAG",
    "BUNDLE_COMMIT",
    "CREDENTIALS_DIRECTORY",
    "FDSTORE",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "MAINPID",
    "NOTIFY_SOCKET",
    "SYSTEMD_EXEC_PID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];
const LOADER: [&str; 3] = ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"];
const ALLOWED: [&str; 3] = ["PATH", "HOME", "USER"];

/// The part of the environment that is the same for every script of this agent.
#[derive(Debug, Clone, Default)]
pub struct BaseEnvironment {
    variables: BTreeMap<OsString, OsString>,
    /// Whose keys scripts see, when they see any.
    keys: Option<CredentialSource>,
}

impl BaseEnvironment {
    /// From the agent's own environment (`inherited`), the switches of AP-30, and who this host is; a local
    /// deployment needs no identity (AG-113).
    pub fn new(
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
        hardening: &Hardening,
        host: Option<&HostIdentity>,
        pass_keys: bool,
    ) -> Self {
        let among = |names: &[&str], name: &OsStr| names.iter().any(|other| OsStr::new(other) == name);
        let mut variables: BTreeMap<OsString, OsString> = inherited
            .into_iter()
            .filter(|(name, _)| !among(REMOVED, name))
            .filter(|(name, _)| !(hardening.strip_loader_env_in_hooks && among(&LOADER, name)))
            .filter(|(name, _)| !hardening.restrict_hook_env_to_allowlist || among(&ALLOWED, name))
            .collect();
        if let Some(host) = host {
            let mut set = |name: &str, value: &OsStr| variables.insert(name.into(), value.to_owned());
            set("AWS_REGION", host.region.as_ref());
            set("AWS_HOST_IDENTIFIER", host.host_identifier.as_ref());
            if let Some(path) = host.credentials.path() {
                set("AWS_CREDENTIALS_FILE", path.as_os_str());
            }
        }
        let keys = host.filter(|_| pass_keys).map(|host| host.credentials.clone());
        Self { variables, keys }
    }

    /// The environment of one event's scripts. Bundle variables are the current deployment's, also when the
    /// script is of an older revision (AS-105); what does not apply is unset, not empty.
    pub fn for_event(&self, spec: &DeploymentSpec, event: &str) -> BTreeMap<OsString, OsString> {
        let mut variables = self.variables.clone();
        let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
        // The old agents' names (AG-031), only when asked for (D-25).
        if let Some(keys) = self.keys.as_ref().and_then(CredentialSource::lasting_keys) {
            set("AWS_ACCESS_KEY", &keys.access_key_id);
            set("AWS_SECRET_KEY", &keys.secret_access_key);
        }
        set("LIFECYCLE_EVENT", event);
        set("DEPLOYMENT_ID", &spec.deployment_id);
        set("APPLICATION_NAME", &spec.application_name);
        set("DEPLOYMENT_GROUP_NAME", &spec.group_name);
        set("DEPLOYMENT_GROUP_ID", &spec.group_id);
        match &spec.revision {
            Revision::S3 { bucket, key, version, etag, .. } => {
                set("BUNDLE_BUCKET", bucket);
                set("BUNDLE_KEY", key);
                if let Some(version) = version {
                    set("BUNDLE_VERSION", version);
                }
                if let Some(etag) = etag {
                    set("BUNDLE_ETAG", etag);
                }
            }
            Revision::GitHub { commit_id, .. } => drop(set("BUNDLE_COMMIT", commit_id)),
            Revision::Local { .. } => {}
        }
        variables
    }
}
