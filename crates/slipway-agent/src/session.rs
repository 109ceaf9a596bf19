//! Sessions of a role: opened, written where an agent reads them, and opened again before they end (AG-033, AG-169,
//! AG-173). No job outside of the agent is needed.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::api::{Api, ApiError, Query, element};
use crate::clock;
use crate::config::{CredentialSource, Keys, Renewal};
use crate::layout::sync_directory;
use crate::logs::AgentLog;

/// After a failure, and between two renewals that the service asks for.
const PAUSE: Duration = Duration::from_secs(30);

/// A session that was opened.
#[derive(Debug)]
pub struct Session {
    /// Its keys.
    pub keys: Keys,
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME`: what a host is registered as.
    pub arn: String,
}

/// Opens a session.
pub async fn assume_role(
    api: &Api,
    role_arn: &str,
    name: &str,
    duration: Duration,
) -> Result<Session, ApiError> {
    let seconds = duration.as_secs().to_string();
    let parameters = [("RoleArn", role_arn), ("RoleSessionName", name), ("DurationSeconds", &seconds)];
    let answer = api.query(Query::Sts, "AssumeRole", &parameters).await?;
    let member = |name: &str| {
        element(&answer, name).ok_or_else(|| ApiError::answer("AssumeRole", format_args!("it has no {name}")))
    };
    Ok(Session {
        keys: Keys {
            access_key_id: member("AccessKeyId")?,
            secret_access_key: member("SecretAccessKey")?,
            session_token: Some(member("SessionToken")?),
        },
        arn: member("Arn")?,
    })
}

/// A credentials file: the profile `default` with the three keys (AG-033).
pub fn credentials_file(keys: &Keys) -> String {
    let mut text = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        keys.access_key_id, keys.secret_access_key
    );
    if let Some(token) = &keys.session_token {
        text.extend(["aws_session_token = ", token, "\n"]);
    }
    text
}

/// Replaces a credentials file, readable by its owner only.
pub fn write_credentials(path: &Path, keys: &Keys) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A temporary file is made with mode 0600.
    let mut file = tempfile::Builder::new().prefix(".credentials-").tempfile_in(directory)?;
    file.write_all(credentials_file(keys).as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)
}

/// Keeps the host's session alive.
#[derive(Debug)]
pub struct Renewer {
    renewal: Renewal,
    /// Signs with the keys that may assume the role.
    api: Api,
    /// What the rest of the agent signs with: tells when the service takes the keys for expired.
    credentials: CredentialSource,
    log: AgentLog,
}

impl Renewer {
    /// A renewer of the session in `renewal.file`, which `credentials` read.
    pub fn new(renewal: Renewal, api: Api, credentials: CredentialSource, log: AgentLog) -> Self {
        Self { renewal, api, credentials, log }
    }

    /// Opens the session if there is none or if half of its time is over; the agent then finds it at its first poll.
    pub async fn begin(&self) {
        if self.due(clock::now()).is_zero() {
            self.renew().await;
        }
    }

    /// Renews until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut pause = self.due(clock::now()).max(PAUSE);
        while !*stop.borrow() {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.credentials.expired() => {}
                _ = stop.changed() => continue,
            }
            pause = if self.renew().await { self.due(clock::now()).max(PAUSE) } else { PAUSE };
        }
    }

    /// How long until half of the session's time is over.
    fn due(&self, now: SystemTime) -> Duration {
        let written = std::fs::metadata(&self.renewal.file).and_then(|metadata| metadata.modified());
        let Ok(written) = written else { return Duration::ZERO };
        // A file of the future is of no known age.
        let age = now.duration_since(written).unwrap_or(Duration::MAX);
        (self.renewal.duration / 2).saturating_sub(age)
    }

    async fn renew(&self) -> bool {
        let Renewal { role_arn, session_name, file, duration, .. } = &self.renewal;
        let session = match assume_role(&self.api, role_arn, session_name, *duration).await {
            Ok(session) => session,
            Err(error) => {
                self.log.error(format_args!("The session of {role_arn} cannot be renewed: {error}"));
                return false;
            }
        };
        if let Err(error) = write_credentials(file, &session.keys) {
            self.log
                .error(format_args!("The session's keys cannot be written to {}: {error}", file.display()));
            return false;
        }
        self.log.info(format_args!("Opened the session {}", session.arn));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::write_credentials;
    use crate::config::{CredentialSource, Keys};

    #[tokio::test]
    async fn the_file_is_its_owners_and_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("session");
        let keys = |id: &str| Keys {
            access_key_id: id.to_owned(),
            secret_access_key: "s/+=".to_owned(),
            session_token: Some("t/+==".to_owned()),
        };
        let source = CredentialSource::file(path.clone());
        for id in ["one", "two"] {
            write_credentials(&path, &keys(id)).expect("AG-173");
            assert_eq!(source.keys().await.expect("AG-033"), keys(id));
        }
        let mode = std::fs::metadata(&path).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "AG-173");
    }
}
