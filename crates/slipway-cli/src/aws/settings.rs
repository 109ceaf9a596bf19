//! Which control plane, and as whom: flags, then the environment, then the shared files, as with every AWS client.

use std::fmt;
use std::path::{Path, PathBuf};

use http::Uri;

use super::profiles::{self, Profile};

/// The flags of every command that talks to a control plane.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// Address of the control plane [default: $AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) endpoint_url: Option<String>,
    /// Region [default: $AWS_REGION, $AWS_DEFAULT_REGION, or that of the profile]
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) region: Option<String>,
    /// Profile of the shared credentials file [default: $AWS_PROFILE, or `default`]
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) profile: Option<String>,
    /// PEM file of the certificates to trust [default: $AWS_CA_BUNDLE, or those of the system]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) ca_bundle: Option<PathBuf>,
}

/// An access key, with a token when it belongs to a session.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The services that this client calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    CodeDeploy,
    Iam,
    S3,
}

impl Service {
    /// The name in the credential scope.
    pub(crate) fn signing_name(self) -> &'static str {
        match self {
            Self::CodeDeploy => "codedeploy",
            Self::Iam => "iam",
            Self::S3 => "s3",
        }
    }
}

/// Everything that a call needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) region: String,
    pub(crate) keys: Keys,
    pub(crate) ca_bundle: Option<PathBuf>,
    codedeploy: String,
    iam: String,
    s3: String,
}

/// Settings that are missing or wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error(
        "{missing}; run `eval \"$(slipway env --data-dir DIR)\"` first, where DIR is the data directory of the control plane"
    )]
    Missing { missing: &'static str },
    #[error("the address of the control plane, {0:?}, is not of the form https://HOST:PORT")]
    Endpoint(String),
    #[error("there is no profile {profile:?} in {}", .path.display())]
    Profile { profile: String, path: PathBuf },
    #[error("profile {profile:?} in {} has no {key}", .path.display())]
    ProfileKey { profile: String, path: PathBuf, key: &'static str },
    #[error("cannot read {}: {source}", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
}

impl Settings {
    /// Settings of the process: flags, environment, shared files.
    pub(crate) fn of_process(connection: &Connection) -> Result<Self, SettingsError> {
        Self::resolve(connection, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// Settings for a control plane whose address and key are known, where every service has the same address.
    pub(crate) fn known(endpoint: &str, region: &str, keys: Keys, ca_bundle: PathBuf) -> Self {
        Self {
            region: region.to_owned(),
            keys,
            ca_bundle: Some(ca_bundle),
            codedeploy: endpoint.to_owned(),
            iam: endpoint.to_owned(),
            s3: endpoint.to_owned(),
        }
    }

    fn resolve(
        connection: &Connection,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let profile = connection.profile.clone().or_else(|| variable("AWS_PROFILE"));
        let config = config_profile(profile.as_deref().unwrap_or("default"), variable);
        let in_config = |key: &str| config.as_ref().and_then(|profile| profile.get(key)).cloned();
        let endpoint = |service: &str| {
            connection
                .endpoint_url
                .clone()
                .or_else(|| variable(&format!("AWS_ENDPOINT_URL_{service}")))
                .or_else(|| variable("AWS_ENDPOINT_URL"))
                .or_else(|| in_config("endpoint_url"))
                .ok_or(SettingsError::Missing { missing: "it is not known where the control plane is" })
                .and_then(|text| check_endpoint(&text))
        };
        let region = connection
            .region
            .clone()
            .or_else(|| variable("AWS_REGION"))
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .or_else(|| in_config("region"));
        Ok(Self {
            codedeploy: endpoint("CODEDEPLOY")?,
            iam: endpoint("IAM")?,
            s3: endpoint("S3")?,
            region: region.ok_or(SettingsError::Missing { missing: "no region is set" })?,
            keys: keys(connection, profile.as_deref(), variable)?,
            ca_bundle: connection
                .ca_bundle
                .clone()
                .or_else(|| variable("AWS_CA_BUNDLE").map(PathBuf::from))
                .or_else(|| in_config("ca_bundle").map(PathBuf::from)),
        })
    }

    /// Address of a service, without a slash at the end.
    pub(crate) fn endpoint(&self, service: Service) -> &str {
        match service {
            Service::CodeDeploy => &self.codedeploy,
            Service::Iam => &self.iam,
            Service::S3 => &self.s3,
        }
    }
}

fn check_endpoint(text: &str) -> Result<String, SettingsError> {
    let wrong = || SettingsError::Endpoint(text.to_owned());
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let known = matches!(uri.scheme_str(), Some("https" | "http"));
    if !known || uri.host().is_none() || uri.query().is_some() {
        return Err(wrong());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A profile that is named by a flag beats keys in the environment, one that is named by a variable does not.
fn keys(
    connection: &Connection,
    profile: Option<&str>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Keys, SettingsError> {
    let of_environment = || {
        Some(Keys {
            id: variable("AWS_ACCESS_KEY_ID")?,
            secret: variable("AWS_SECRET_ACCESS_KEY")?,
            token: variable("AWS_SESSION_TOKEN"),
        })
    };
    if connection.profile.is_none()
        && let Some(keys) = of_environment()
    {
        return Ok(keys);
    }
    let named = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
    let path = named.clone().or_else(|| Some(PathBuf::from(variable("HOME")?).join(".aws/credentials")));
    let missing = SettingsError::Missing { missing: "no access key is set" };
    let Some(path) = path.filter(|path| named.is_some() || path.exists()) else { return Err(missing) };
    keys_of_file(&path, profile.unwrap_or("default"))
}

/// The key of a profile in a shared credentials file.
pub(crate) fn keys_of_file(path: &Path, profile: &str) -> Result<Keys, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    let values = profiles::read(&text, profile)
        .ok_or_else(|| SettingsError::Profile { profile: profile.to_owned(), path: path.to_owned() })?;
    let take =
        |key: &'static str| {
            values.get(key).filter(|value| !value.is_empty()).cloned().ok_or_else(|| {
                SettingsError::ProfileKey { profile: profile.to_owned(), path: path.to_owned(), key }
            })
        };
    Ok(Keys {
        id: take("aws_access_key_id")?,
        secret: take("aws_secret_access_key")?,
        token: values.get("aws_session_token").cloned(),
    })
}

fn config_profile(name: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<Profile> {
    let path = variable("AWS_CONFIG_FILE")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".aws/config")))?;
    profiles::read(&std::fs::read_to_string(path).ok()?, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(connection: &Connection, variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::resolve(connection, &|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
        .map_err(|error| error.to_string())
    }

    const ALL: [(&str, &str); 4] = [
        ("AWS_ENDPOINT_URL", "https://127.0.0.1:8443/"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];

    #[test]
    fn the_environment_is_enough_and_flags_beat_it() {
        let settings = resolve(&Connection::default(), &ALL).unwrap();
        assert_eq!(settings.endpoint(Service::S3), "https://127.0.0.1:8443");
        assert_eq!((settings.region.as_str(), settings.keys.id.as_str()), ("us-east-1", "AKIA"));
        let flags = Connection {
            endpoint_url: Some("https://other:1".into()),
            region: Some("eu-west-1".into()),
            ..Connection::default()
        };
        let settings = resolve(&flags, &ALL).unwrap();
        assert_eq!(
            (settings.endpoint(Service::Iam), settings.region.as_str()),
            ("https://other:1", "eu-west-1")
        );
    }

    #[test]
    fn one_service_may_live_elsewhere() {
        let mut variables = ALL.to_vec();
        variables.push(("AWS_ENDPOINT_URL_S3", "https://store:9000"));
        let settings = resolve(&Connection::default(), &variables).unwrap();
        assert_eq!(settings.endpoint(Service::S3), "https://store:9000");
        assert_eq!(settings.endpoint(Service::CodeDeploy), "https://127.0.0.1:8443");
    }

    #[test]
    fn what_is_missing_is_named_with_the_way_to_get_it() {
        for (left_out, words) in [
            ("AWS_ENDPOINT_URL", "it is not known where the control plane is"),
            ("AWS_REGION", "no region is set"),
            ("AWS_ACCESS_KEY_ID", "no access key is set"),
        ] {
            let variables: Vec<_> = ALL.into_iter().filter(|(name, _)| *name != left_out).collect();
            let error = resolve(&Connection::default(), &variables).unwrap_err();
            assert!(error.starts_with(words) && error.contains("slipway env"), "{error}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for bad in ["127.0.0.1:8443", "ftp://host", "https://", "not an address"] {
            let mut variables = ALL.to_vec();
            variables[0].1 = bad;
            assert!(resolve(&Connection::default(), &variables).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_profile_named_by_flag_beats_keys_in_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        std::fs::write(
            &path,
            "[ops]\naws_access_key_id = OPS\naws_secret_access_key = s\n[half]\naws_access_key_id = X\n",
        )
        .unwrap();
        let mut variables = ALL.to_vec();
        let text = path.display().to_string();
        variables.push(("AWS_SHARED_CREDENTIALS_FILE", &text));
        let with = |profile: &str| Connection { profile: Some(profile.into()), ..Connection::default() };
        assert_eq!(resolve(&with("ops"), &variables).unwrap().keys.id, "OPS");
        assert_eq!(resolve(&Connection::default(), &variables).unwrap().keys.id, "AKIA");
        assert!(resolve(&with("none"), &variables).unwrap_err().contains("no profile \"none\""));
        assert!(resolve(&with("half"), &variables).unwrap_err().contains("has no aws_secret_access_key"));
    }

    #[test]
    fn the_secret_is_never_printed() {
        let settings = resolve(&Connection::default(), &ALL).unwrap();
        assert!(!format!("{settings:?}").contains("secret\""));
    }
}
