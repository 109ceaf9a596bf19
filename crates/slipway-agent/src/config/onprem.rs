//! The on-premises file: who this host is, and with which keys it signs (AG-028..AG-030).

use std::path::{Path, PathBuf};

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
    /// Not YAML.
    #[error("The deployment failed because the format of the following on-premises configuration file is invalid: {}", .0.display())]
    Invalid(PathBuf),
}

/// How the host proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// An IAM user's long-lived key.
    User,
    /// An assumed role's session, refreshed from outside.
    Session,
}

/// What the on-premises file says.
#[derive(Debug)]
pub struct OnPremises {
    /// The ARN that the host polls as (AP-06).
    pub host_identifier: String,
    /// Its region.
    pub region: String,
    /// Where its keys are.
    pub credentials: CredentialSource,
}

impl OnPremises {
    /// Reads the file. `None` when there is none, or none that names an identity (AG-029, AG-030).
    pub fn load(path: &Path) -> Result<Option<Self>, OnPremisesError> {
        let Ok(text) = std::fs::read_to_string(path) else { return Ok(None) };
        let map = FlatMap::parse(&text).map_err(|_| OnPremisesError::Invalid(path.to_owned()))?;
        let value = |key: &str| map.get(key).map(str::to_owned).filter(|value| !value.is_empty());
        let require = |field: &'static str, with: &'static str| {
            value(field).ok_or(OnPremisesError::Missing { field, with })
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
                Ok(Some(Self { host_identifier: arn, region, credentials: CredentialSource::fixed(keys) }))
            }
            (None, Some(arn)) => {
                let region = require("region", "iam_session_arn")?;
                let file = PathBuf::from(require("aws_credentials_file", "iam_session_arn")?);
                Ok(Some(Self { host_identifier: arn, region, credentials: CredentialSource::file(file) }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OnPremises;

    fn load(text: &str) -> Result<Option<OnPremises>, String> {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("codedeploy.onpremises.yml");
        std::fs::write(&path, text).expect("write");
        OnPremises::load(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn the_file_that_register_writes_is_read() {
        let text = "---\nregion: us-east-1\niam_user_arn: arn:aws:iam::1:user/box\n\
                    aws_access_key_id: AKID\naws_secret_access_key: s3cret\n";
        let on_premises = load(text).expect("AG-030").expect("an identity");
        assert_eq!(on_premises.host_identifier, "arn:aws:iam::1:user/box");
        assert_eq!(on_premises.region, "us-east-1");
        assert_eq!(on_premises.credentials.keys().expect("keys").access_key_id, "AKID");
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
}
