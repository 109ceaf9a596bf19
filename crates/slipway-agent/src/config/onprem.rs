//! The on-premises file: who this host is, and with which keys it signs (AG-028..AG-030).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::credentials::{CredentialSource, Keys};
use super::yaml::FlatMap;

/// Why an on-premises file is refused (AG-030).
#[derive(Debug, thiserror::Error)]
pub enum OnPremisesError {
    /// A key that its ARN needs is missing.
    #[error("'{field}' key is required when '{with}' is provided.")]
    Missing {
        /// The missing key.
        field: &'static str,
        /// The ARN key that asks for it.
        with: &'static str,
    },
    /// Both identities at once.
    #[error("On Premises config cannot contain both 'iam_user_arn' and 'iam_session_arn' keys.")]
    Both,
    /// A key of ours that cannot be obeyed.
    #[error("the key '{key}' of the on-premises configuration file is not usable: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Not YAML.
    #[error("The deployment failed because the format of the following on-premises configuration file is invalid: {}", .0.display())]
    Invalid(PathBuf),
}

/// Who this host is.
#[derive(Debug)]
pub struct HostIdentity {
    /// The ARN that the host polls as (AP-06).
    pub host_identifier: String,
    /// Its region.
    pub region: String,
    /// Where its keys are.
    pub credentials: CredentialSource,
    /// Where the services of its partition are, when the instance metadata service told it (AG-034).
    pub domain: Option<String>,
    /// How its session is kept alive, when that is the agent's own business.
    pub renewal: Option<Renewal>,
}

/// A session that the agent itself opens again before it ends (AG-169, AG-173).
#[derive(Debug, Clone)]
pub struct Renewal {
    /// The role that is assumed.
    pub role_arn: String,
    /// The session's name: the host's.
    pub session_name: String,
    /// The keys that may assume the role.
    pub source: CredentialSource,
    /// Where the session's keys are written.
    pub file: PathBuf,
    /// How long a session lasts.
    pub duration: Duration,
}

/// As long as sessions last unless the file says otherwise, and the shortest and the longest that it may say (AG-173).
pub const SESSION: Duration = Duration::from_hours(1);
const SHORTEST_SESSION: Duration = Duration::from_mins(15);
const LONGEST_SESSION: Duration = Duration::from_hours(12);

impl HostIdentity {
    /// Where the file is unless the configuration says otherwise (AG-176).
    pub const DEFAULT_FILE: &str = "/etc/codedeploy-agent/conf/codedeploy.onpremises.yml";

    /// Reads the file. `None` when there is none, or none that names an identity (AG-029, AG-030).
    pub fn load(path: &Path) -> Result<Option<Self>, OnPremisesError> {
        let Ok(text) = std::fs::read_to_string(path) else { return Ok(None) };
        let map = FlatMap::parse(&text).map_err(|_| OnPremisesError::Invalid(path.to_owned()))?;
        let value = |key: &str| map.get(key).map(str::to_owned).filter(|value| !value.is_empty());
        let require = |field: &'static str, with: &'static str| {
            value(field).ok_or(OnPremisesError::Missing { field, with })
        };
        let identity = |host_identifier, region, credentials, renewal| Self {
            host_identifier,
            region,
            credentials,
            domain: None,
            renewal,
        };
        match (value("iam_user_arn"), value("iam_session_arn")) {
            (Some(_), Some(_)) => Err(OnPremisesError::Both),
            (None, None) => Ok(None),
            (Some(arn), None) => {
                let region = require("region", "iam_user_arn")?;
                let keys = Keys {
                    access_key_id: require("aws_access_key_id", "iam_user_arn")?,
                    secret_access_key: require("aws_secret_access_key", "iam_user_arn")?,
                    session_token: None,
                };
                let user = arn.clone();
                let read = Box::new(move |text: &str| key_of_user(text, &user));
                Ok(Some(identity(arn, region, CredentialSource::user(path.to_owned(), keys, read), None)))
            }
            (None, Some(arn)) => {
                let region = require("region", "iam_session_arn")?;
                let file = PathBuf::from(require("aws_credentials_file", "iam_session_arn")?);
                let renewal = renewal(&arn, &file, &value)?;
                Ok(Some(identity(arn, region, CredentialSource::file(file), renewal)))
            }
        }
    }
}

/// The key in a file that still is this user's: who the host is does not change while the agent runs.
fn key_of_user(text: &str, user: &str) -> Option<Keys> {
    let map = FlatMap::parse(text).ok()?;
    let value = |key: &str| map.get(key).filter(|value| !value.is_empty()).map(str::to_owned);
    value("iam_user_arn").filter(|arn| arn == user)?;
    Some(Keys {
        access_key_id: value("aws_access_key_id")?,
        secret_access_key: value("aws_secret_access_key")?,
        session_token: None,
    })
}

/// Our own keys, which other agents ignore: with `session_source_credentials_file` the agent renews its session.
fn renewal(
    session_arn: &str,
    file: &Path,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Renewal>, OnPremisesError> {
    let Some(source) = value("session_source_credentials_file") else { return Ok(None) };
    let wrong = |key, reason: &str| OnPremisesError::Value { key, reason: reason.to_owned() };
    let (role, session_name) = role_of_session(session_arn)
        .ok_or_else(|| wrong("iam_session_arn", "it is not the ARN of an assumed role's session"))?;
    let duration = match value("session_duration_seconds") {
        None => SESSION,
        Some(text) => text
            .parse()
            .ok()
            .map(Duration::from_secs)
            .filter(|duration| (SHORTEST_SESSION..=LONGEST_SESSION).contains(duration))
            .ok_or_else(|| {
                wrong("session_duration_seconds", "it must be a number of seconds, 900 to 43200")
            })?,
    };
    Ok(Some(Renewal {
        role_arn: value("session_role_arn").unwrap_or(role),
        session_name,
        source: CredentialSource::file(source.into()),
        file: file.to_owned(),
        duration,
    }))
}

/// The role and the session name of `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION` (AG-165). The ARN does not tell
/// the role's path; a role that has one must be named.
pub fn role_of_session(arn: &str) -> Option<(String, String)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "sts", _, account, resource] = parts.as_slice() else { return None };
    let (role, session) = resource.strip_prefix("assumed-role/")?.split_once('/')?;
    let whole = !role.is_empty() && !session.is_empty() && !session.contains('/');
    whole.then(|| (format!("arn:{partition}:iam::{account}:role/{role}"), session.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{HostIdentity, role_of_session};
    use std::time::Duration;

    fn load(text: &str) -> Result<Option<HostIdentity>, String> {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("codedeploy.onpremises.yml");
        std::fs::write(&path, text).expect("write");
        HostIdentity::load(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_users_new_key_is_taken_without_a_restart_and_another_users_is_not() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("codedeploy.onpremises.yml");
        let write = |user: &str, key: &str| {
            let text = format!(
                "region: r\niam_user_arn: {user}\naws_access_key_id: {key}\naws_secret_access_key: of-{key}\n"
            );
            std::fs::write(path.with_extension("new"), text).expect("write");
            std::fs::rename(path.with_extension("new"), &path).expect("replace");
        };
        write("arn:aws:iam::1:user/box", "FIRST");
        let host = HostIdentity::load(&path).expect("AG-030").expect("an identity");
        let key = || host.credentials.lasting_keys().expect("a key").access_key_id;
        assert_eq!(key(), "FIRST");
        write("arn:aws:iam::1:user/box", "SECOND");
        assert_eq!(key(), "SECOND");
        write("arn:aws:iam::1:user/other", "THIRD");
        assert_eq!(key(), "SECOND");
        std::fs::write(&path, "half a fi").expect("write");
        assert_eq!(key(), "SECOND");
        std::fs::remove_file(&path).expect("remove");
        assert_eq!(key(), "SECOND");
    }

    #[test]
    fn the_file_that_register_writes_is_read() {
        let text = "---\nregion: us-east-1\niam_user_arn: arn:aws:iam::1:user/box\n\
                    aws_access_key_id: AKID\naws_secret_access_key: s3cret\n";
        let host = load(text).expect("AG-030").expect("an identity");
        assert_eq!(host.host_identifier, "arn:aws:iam::1:user/box");
        assert_eq!(host.region, "us-east-1");
        assert_eq!(host.credentials.lasting_keys().expect("keys").access_key_id, "AKID");
    }

    #[test]
    fn missing_and_contradicting_keys_are_named() {
        assert_eq!(
            load("iam_user_arn: a\n").expect_err("AG-030"),
            "'region' key is required when 'iam_user_arn' is provided."
        );
        assert_eq!(
            load("iam_session_arn: a\nregion: b\n").expect_err("AG-030"),
            "'aws_credentials_file' key is required when 'iam_session_arn' is provided."
        );
        assert_eq!(
            load("iam_user_arn: a\niam_session_arn: b\n").expect_err("AG-030"),
            "On Premises config cannot contain both 'iam_user_arn' and 'iam_session_arn' keys."
        );
        assert!(load("a: [").expect_err("AG-030").starts_with("The deployment failed because the format"));
        assert!(load("region: b\n").expect("AG-030: ignored").is_none());
    }
    #[test]
    fn a_session_is_renewed_when_the_file_names_the_keys_for_it() {
        let arn = "arn:aws:sts::000000000001:assumed-role/Hosts/web-1";
        let text = format!("region: r\niam_session_arn: {arn}\naws_credentials_file: /c\n");
        assert!(
            load(&text).expect("AG-030").expect("an identity").renewal.is_none(),
            "somebody else's business"
        );
        let text = format!("{text}session_source_credentials_file: /s\nsession_duration_seconds: 900\n");
        let renewal = load(&text).expect("AG-173").expect("an identity").renewal.expect("AG-173");
        assert_eq!(renewal.role_arn, "arn:aws:iam::000000000001:role/Hosts");
        assert_eq!((renewal.session_name.as_str(), renewal.duration), ("web-1", Duration::from_mins(15)));
        let error = load(&format!("{text}session_duration_seconds: 60\n")).expect_err("too short");
        assert!(error.contains("session_duration_seconds"), "{error}");
    }

    #[test]
    fn only_the_arn_of_a_session_names_a_role() {
        for bad in
            ["arn:aws:iam::1:user/x", "arn:sts:iam::1:assumed-role/a/b", "arn:aws:sts::1:assumed-role/a", ""]
        {
            assert_eq!(role_of_session(bad), None, "{bad}");
        }
    }
}
