//! Making a machine a host of a control plane, and undoing it (AG-160, AG-187..AG-191, AG-198).
//!
//! * [`enroll`] and [`withdraw`]: what happens at the control plane. Also `slipway host` uses them.
//! * `place`: what happens on the host: the on-premises file, the pinned certificates, the settings, the service.
//! * [`command`]: `slipway-agent register|deregister|uninstall|session`.
//!
//! Whatever fails in the middle is taken back: a second attempt must not find the remains of the first.

pub mod command;
mod iam;
mod options;
mod place;
mod service;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::api::{Api, ApiError};
use crate::config::Keys;
use crate::session;

pub use iam::delete_user;

/// IAM names are shorter than names of hosts (AG-191).
const LONGEST_USER: usize = 64;
const MOST_TAGS: usize = 10;
/// The role that hosts with sessions share, unless another one is named (AG-171).
pub const DEFAULT_ROLE: &str = "CodeDeployInstanceRole";

/// Why a host is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// A call.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// AG-191.
    #[error(
        "the IAM user or session of a host has the host's name, which therefore cannot be longer than {LONGEST_USER} characters; with --iam-user-arn it can"
    )]
    LongName,
    /// AG-186.
    #[error("{0}")]
    Input(String),
    /// A file.
    #[error("{}: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: std::io::Error,
    },
    /// The host is registered, but something after that failed.
    #[error("{name} is registered, but without its tags: {error}")]
    Tags {
        /// The host.
        name: String,
        /// Why.
        error: ApiError,
    },
    /// Anything else that stands in the way.
    #[error("{0}")]
    Refused(String),
}

/// Key and value.
pub type Tag = (String, String);

/// How the host will prove who it is (AG-160).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// An IAM user of its own, made here, with a key that does not end.
    NewUser,
    /// An IAM user that is there; who made it writes the host's file, too.
    User(String),
    /// Sessions of a role, which the agent opens with a key that can do nothing else. `None`: the default role, made if
    /// it is not there.
    Session(Option<String>),
}

/// What the host needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// An IAM user with its key.
    User {
        /// Its ARN.
        arn: String,
        /// Its key; not known of a user that was there before.
        keys: Option<Keys>,
    },
    /// Sessions of a role.
    Session {
        /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/HOST`.
        arn: String,
        /// The role, which may have a path that the session's ARN does not tell.
        role_arn: String,
        /// The key that may open the session.
        source: Keys,
    },
}

impl Identity {
    /// What the host is registered as.
    pub fn arn(&self) -> &str {
        match self {
            Self::User { arn, .. } | Self::Session { arn, .. } => arn,
        }
    }

    /// `codedeploy.onpremises.yml`, keys in the order of the AWS CLI (AG-174, AG-188). `files`: where the host keeps the
    /// session's keys and those that open it. `None`: the host's file is the business of who made the user.
    pub fn on_premises_file(&self, region: &str, files: &SessionFiles) -> Option<String> {
        match self {
            Self::User { keys: None, .. } => None,
            Self::User { arn, keys: Some(keys) } => Some(format!(
                "---\nregion: {region}\niam_user_arn: {arn}\naws_access_key_id: {}\naws_secret_access_key: {}\n",
                keys.access_key_id, keys.secret_access_key
            )),
            Self::Session { arn, role_arn, .. } => Some(format!(
                "---\nregion: {region}\niam_session_arn: {arn}\naws_credentials_file: {}\nsession_source_credentials_file: {}\nsession_role_arn: {role_arn}\n",
                files.session.display(),
                files.source.display()
            )),
        }
    }
}

impl Identity {
    /// The credentials file with the key that opens sessions.
    pub fn source_file(&self) -> Option<String> {
        match self {
            Self::Session { source, .. } => Some(session::credentials_file(source)),
            Self::User { .. } => None,
        }
    }
}

/// Where a host with sessions keeps keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFiles {
    /// Of the session (AG-033).
    pub session: PathBuf,
    /// That open it.
    pub source: PathBuf,
}

impl SessionFiles {
    /// Beside the on-premises file.
    pub fn in_directory(directory: &std::path::Path) -> Self {
        Self {
            session: directory.join("session.credentials"),
            source: directory.join("session-source.credentials"),
        }
    }
}

/// What was made so far, to be taken back.
#[derive(Debug, Default)]
pub struct Undo(Vec<Step>);

#[derive(Debug)]
enum Step {
    User(String),
    Role(String),
    Instance(String),
}

impl Undo {
    /// Takes everything back, the last first. What cannot be taken back is told.
    pub async fn run(self, api: &Api) -> Vec<String> {
        let mut left = Vec::new();
        for step in self.0.into_iter().rev() {
            let (what, undone) = match step {
                Step::User(name) => (format!("the IAM user {name}"), delete_user(api, &name).await.map(drop)),
                Step::Role(name) => (format!("the role {name}"), iam::delete_role(api, &name).await),
                Step::Instance(name) => {
                    let input = json!({ "instanceName": name });
                    (
                        format!("the registration of {name}"),
                        api.codedeploy("DeregisterOnPremisesInstance", &input).await.map(drop),
                    )
                }
            };
            if let Err(error) = undone {
                left.push(format!("{what} could not be removed again: {error}"));
            }
        }
        left
    }
}

/// Makes the host's identity and registers it. Everything that is made is noted in `undo`, also when this fails.
pub async fn enroll(
    api: &Api,
    name: &str,
    method: &Method,
    tags: &[Tag],
    undo: &mut Undo,
) -> Result<Identity, RegistrationError> {
    check_tags(tags)?;
    if !matches!(method, Method::User(_)) && name.len() > LONGEST_USER {
        return Err(RegistrationError::LongName);
    }
    let identity = match method {
        Method::User(arn) => Identity::User { arn: arn.clone(), keys: None },
        Method::NewUser => iam::new_user(api, name, undo).await?,
        Method::Session(role) => iam::new_session(api, name, role.as_deref(), undo).await?,
    };
    let member = match identity {
        Identity::User { .. } => "iamUserArn",
        Identity::Session { .. } => "iamSessionArn",
    };
    api.codedeploy("RegisterOnPremisesInstance", &json!({ "instanceName": name, member: identity.arn() }))
        .await?;
    undo.0.push(Step::Instance(name.to_owned()));
    add_tags(api, name, tags).await?;
    Ok(identity)
}

/// Tags a registered host.
pub async fn add_tags(api: &Api, name: &str, tags: &[Tag]) -> Result<(), RegistrationError> {
    if tags.is_empty() {
        return Ok(());
    }
    let input = json!({ "instanceNames": [name], "tags": tags_json(tags) });
    let added = api.codedeploy("AddTagsToOnPremisesInstances", &input).await;
    added.map(drop).map_err(|error| RegistrationError::Tags { name: name.to_owned(), error })
}

fn tags_json(tags: &[Tag]) -> Value {
    tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

/// What was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// The IAM user that the host had, and whether it was there to be deleted; `None`: it was to be kept, or there is
    /// no user of the host.
    pub user: Option<(String, bool)>,
}

/// Removes the tags and the registration of a host and, unless it is to be kept, its IAM user: also the one that only
/// opens its sessions (AG-198, AG-199).
pub async fn withdraw(api: &Api, name: &str, delete_user_too: bool) -> Result<Withdrawn, RegistrationError> {
    let info = look_up(api, name).await?;
    if info.tags.as_array().is_some_and(|tags| !tags.is_empty()) {
        let input = json!({ "instanceNames": [name], "tags": info.tags });
        api.codedeploy("RemoveTagsFromOnPremisesInstances", &input).await?;
    }
    api.codedeploy("DeregisterOnPremisesInstance", &json!({ "instanceName": name })).await?;
    let user = match (&info.user_arn, &info.session_arn) {
        (Some(arn), _) => Some(arn.rsplit('/').next().unwrap_or(arn).to_owned()),
        // A session has no user of its own but the one that `enroll` made for it, which has the host's name.
        (None, Some(_)) if iam::opens_sessions(api, name).await? => Some(name.to_owned()),
        _ => None,
    };
    match user.filter(|_| delete_user_too) {
        None => Ok(Withdrawn { user: None }),
        Some(user) => {
            let was_there = delete_user(api, &user).await?;
            Ok(Withdrawn { user: Some((user, was_there)) })
        }
    }
}

/// A registration as the control plane knows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registered {
    /// Of a host with an IAM user.
    pub user_arn: Option<String>,
    /// Of a host with sessions.
    pub session_arn: Option<String>,
    /// Tags, as they came.
    pub tags: Value,
    /// Whether the host was deregistered meanwhile.
    pub deregistered: bool,
}

/// Asks for a registration; `None`: there is none of this name.
pub async fn registered(api: &Api, name: &str) -> Result<Option<Registered>, ApiError> {
    match look_up(api, name).await {
        Err(error) if error.code() == Some("InstanceNotRegisteredException") => Ok(None),
        other => other.map(Some),
    }
}

async fn look_up(api: &Api, name: &str) -> Result<Registered, ApiError> {
    let answer = api.codedeploy("GetOnPremisesInstance", &json!({ "instanceName": name })).await?;
    let info = &answer["instanceInfo"];
    let text = |member: &str| info[member].as_str().map(str::to_owned);
    Ok(Registered {
        user_arn: text("iamUserArn"),
        session_arn: text("iamSessionArn"),
        tags: info["tags"].clone(),
        deregistered: !info["deregisterTime"].is_null(),
    })
}

/// The name of a host, checked as the AWS CLI does (AG-186).
pub fn check_name(text: &str) -> Result<(), RegistrationError> {
    let wrong = |text: &str| Err(RegistrationError::Input(text.to_owned()));
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c)) {
        return wrong("Instance name contains invalid characters.");
    }
    if text.starts_with("i-") {
        return wrong("Instance name cannot start with 'i-'.");
    }
    if text.len() > 100 {
        return wrong("Instance name cannot be longer than 100 characters.");
    }
    Ok(())
}

/// AG-186: `arn:aws:iam::<12 digits>:user/…`.
pub fn check_user_arn(text: &str) -> Result<(), RegistrationError> {
    let account_and_user = text.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(":user/"));
    let valid = account_and_user.is_some_and(|(account, user)| {
        account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && !user.is_empty()
    });
    if valid { Ok(()) } else { Err(RegistrationError::Input("Invalid IAM user ARN.".to_owned())) }
}

/// AG-186.
fn check_tags(tags: &[Tag]) -> Result<(), RegistrationError> {
    let wrong = |text: &str| Err(RegistrationError::Input(text.to_owned()));
    if tags.len() > MOST_TAGS {
        return wrong("Instances can only have a maximum of 10 tags.");
    }
    if tags.iter().any(|(key, _)| key.chars().count() > 128) {
        return wrong("Tag Key cannot be longer than 128 characters.");
    }
    if tags.iter().any(|(_, value)| value.chars().count() > 256) {
        return wrong("Tag Value cannot be longer than 256 characters.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Identity, SessionFiles, check_name, check_tags, check_user_arn};
    use crate::config::Keys;

    fn keys() -> Keys {
        Keys { access_key_id: "AKIA".into(), secret_access_key: "s/+=".into(), session_token: None }
    }

    #[test]
    fn names_arns_and_tags_are_checked_before_any_call() {
        assert!(check_name("web-1.example_A@x").is_ok(), "AG-186");
        for bad in ["i-123", "a b", "", "a:b", &"x".repeat(101)] {
            assert!(check_name(bad).is_err(), "AG-186: {bad}");
        }
        assert!(check_user_arn("arn:aws:iam::000000000001:user/AWS/CodeDeploy/web-1").is_ok());
        for bad in [
            "arn:aws:iam::1:user/x",
            "arn:aws:iam::000000000001:user/",
            "arn:aws:sts::000000000001:assumed-role/a/b",
            "",
        ] {
            assert_eq!(
                check_user_arn(bad).expect_err("AG-186").to_string(),
                "Invalid IAM user ARN.",
                "{bad}"
            );
        }
        let tag = || ("k".to_owned(), "v".to_owned());
        assert!(check_tags(&vec![tag(); 10]).is_ok());
        assert!(check_tags(&vec![tag(); 11]).is_err(), "AG-186");
        assert!(check_tags(&[("k".repeat(129), String::new())]).is_err(), "AG-186");
    }

    #[test]
    fn the_hosts_file_has_the_keys_of_the_aws_cli_in_its_order() {
        let files = SessionFiles::in_directory(Path::new("/etc/codedeploy-agent/conf"));
        let user = Identity::User { arn: "arn:x".into(), keys: Some(keys()) };
        assert_eq!(
            user.on_premises_file("us-east-1", &files).expect("AG-188"),
            "---\nregion: us-east-1\niam_user_arn: arn:x\naws_access_key_id: AKIA\naws_secret_access_key: s/+=\n"
        );
        let session = Identity::Session { arn: "arn:s".into(), role_arn: "arn:r".into(), source: keys() };
        let text = session.on_premises_file("us-east-1", &files).expect("AG-174");
        assert!(text.contains(
            "\niam_session_arn: arn:s\naws_credentials_file: /etc/codedeploy-agent/conf/session.credentials\n"
        ));
        assert!(!text.contains("AKIA"), "the key that opens sessions has a file of its own");
        let other = Identity::User { arn: "arn:x".into(), keys: None };
        assert_eq!(other.on_premises_file("us-east-1", &files), None, "AG-189");
    }
}
