//! The keys that sign requests: fixed, from files that something else keeps fresh, of the instance's role, or the first
//! of these that is there (AG-032, AG-033, A-05).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use crate::clock;
use crate::imds::{Imds, ImdsError};

/// Temporary credentials are got anew so long before they end.
const EARLY: Duration = Duration::from_mins(5);

/// An access key, with a token when it belongs to a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The public half.
    pub access_key_id: String,
    /// The secret half; never logged (AG-015).
    pub secret_access_key: String,
    /// Of temporary credentials.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// There are no keys to sign with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CredentialError {
    /// AG-033.
    #[error("Failed to load credentials from path {}", .0.display())]
    File(PathBuf),
    /// Of an instance without a role, or of no instance.
    #[error(transparent)]
    Instance(#[from] ImdsError),
    /// Nothing of the usual chain has any.
    #[error("there are no AWS credentials: none in the environment, in {files}, or of an instance profile")]
    Nowhere {
        /// The files that were looked into.
        files: String,
    },
}

/// Where keys come from. Cloning shares the cache.
#[derive(Debug, Clone)]
pub struct CredentialSource(Arc<Source>);

#[derive(Debug)]
enum Source {
    Fixed(Keys),
    User(UserFile),
    File(ProfileFile),
    Role(Role),
    Usual { environment: Option<Keys>, files: Vec<ProfileFile>, role: Option<Role> },
}

impl CredentialSource {
    /// An IAM user's key.
    pub fn fixed(keys: Keys) -> Self {
        Self(Arc::new(Source::Fixed(keys)))
    }

    /// An IAM user's key out of a file that may get another one; `read` finds it there. As long as it does not, the
    /// last one stays.
    pub(super) fn user(path: PathBuf, keys: Keys, read: Box<ReadUser>) -> Self {
        Self(Arc::new(Source::User(UserFile { path, read, last: Mutex::new((None, keys)) })))
    }

    /// A session's credentials file.
    pub fn file(path: PathBuf) -> Self {
        Self(Arc::new(Source::File(ProfileFile::new(path, &["default"]))))
    }

    /// The role of this instance.
    pub fn role(imds: Arc<Imds>) -> Self {
        Self(Arc::new(Source::Role(Role::new(imds))))
    }

    /// What every AWS client does: the environment, the shared files, the instance's role; the first that is there.
    pub fn usual(variable: &dyn Fn(&str) -> Option<String>, imds: Option<Arc<Imds>>) -> Self {
        let environment = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY")).map(
            |(access_key_id, secret_access_key)| Keys {
                access_key_id,
                secret_access_key,
                session_token: variable("AWS_SESSION_TOKEN"),
            },
        );
        let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
        let home = variable("HOME").map(PathBuf::from);
        let file = |named: &str, usual: &str| {
            variable(named).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(usual)))
        };
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
        let config = file("AWS_CONFIG_FILE", ".aws/config");
        // The configuration file calls every profile but the default one `profile NAME`.
        let in_config = format!("profile {profile}");
        let files = [
            credentials.map(|path| ProfileFile::new(path, &[&profile])),
            config.map(|path| {
                let names: &[&str] =
                    if profile == "default" { &[&profile, &in_config] } else { &[&in_config] };
                ProfileFile::new(path, names)
            }),
        ];
        Self(Arc::new(Source::Usual {
            environment,
            files: files.into_iter().flatten().collect(),
            role: imds.map(Role::new),
        }))
    }

    /// The credentials file, if there is one; hooks are told its name (D-25).
    pub fn path(&self) -> Option<&Path> {
        match &*self.0 {
            Source::File(file) => Some(&file.path),
            Source::Fixed(_) | Source::User(_) | Source::Role(_) | Source::Usual { .. } => None,
        }
    }

    /// The key of a user, which is good until somebody replaces it.
    pub fn lasting_keys(&self) -> Option<Keys> {
        match &*self.0 {
            Source::Fixed(keys) => Some(keys.clone()),
            Source::User(file) => Some(file.keys()),
            Source::File(_) | Source::Role(_) | Source::Usual { .. } => None,
        }
    }

    /// The keys to sign with now: a file is read again whenever it has changed, so no restart is needed.
    pub async fn keys(&self) -> Result<Keys, CredentialError> {
        match &*self.0 {
            Source::Fixed(keys) | Source::Usual { environment: Some(keys), .. } => Ok(keys.clone()),
            Source::User(file) => Ok(file.keys()),
            Source::File(file) => file.keys(),
            Source::Role(role) => Ok(role.keys().await?),
            Source::Usual { environment: None, files, role } => {
                if let Some(keys) = files.iter().find_map(|file| file.keys().ok()) {
                    return Ok(keys);
                }
                let nowhere = || {
                    let files = files.iter().map(|file| file.path.display().to_string()).collect::<Vec<_>>();
                    CredentialError::Nowhere { files: files.join(", ") }
                };
                match role {
                    None => Err(nowhere()),
                    Some(role) => role.keys().await.map_err(|_| nowhere()),
                }
            }
        }
    }

    /// Waits until the service takes a session's keys for expired; for ever with keys of another kind.
    pub async fn expired(&self) {
        match &*self.0 {
            Source::File(file) => file.expired.notified().await,
            Source::Fixed(_) | Source::User(_) | Source::Role(_) | Source::Usual { .. } => {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Forgets what was read: the server says that the keys have expired (AP-34).
    pub fn forget(&self) {
        match &*self.0 {
            Source::Fixed(_) => {}
            Source::User(file) => file.forget(),
            Source::File(file) => {
                file.forget();
                file.expired.notify_one();
            }
            Source::Role(role) => role.forget(),
            Source::Usual { files, role, .. } => {
                files.iter().for_each(ProfileFile::forget);
                role.iter().for_each(Role::forget);
            }
        }
    }
}

/// Finds a user's key in the text of a file.
pub(super) type ReadUser = dyn Fn(&str) -> Option<Keys> + Send + Sync;

/// A file with the key of one user.
struct UserFile {
    path: PathBuf,
    read: Box<ReadUser>,
    last: Mutex<(Option<Stamp>, Keys)>,
}

impl std::fmt::Debug for UserFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl UserFile {
    fn keys(&self) -> Keys {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that is gone or half written is looked at again the next time.
        if let Ok(stamp) = stamp(&self.path)
            && last.0 != Some(stamp)
            && let Ok(text) = std::fs::read_to_string(&self.path)
            && let Some(keys) = (self.read)(&text)
        {
            *last = (Some(stamp), keys);
        }
        last.1.clone()
    }

    fn forget(&self) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }
}

/// One profile of an INI file, read again when the file has changed.
#[derive(Debug)]
struct ProfileFile {
    path: PathBuf,
    /// What the profile may be called.
    profiles: Vec<String>,
    cache: Mutex<Option<(Stamp, Keys)>>,
    /// The service says that the keys have expired.
    expired: Notify,
}

/// What tells one version of a file from the next: a replaced file has another inode, a rewritten one another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(Option<SystemTime>, u64, u64);

impl ProfileFile {
    fn new(path: PathBuf, profiles: &[&str]) -> Self {
        Self {
            path,
            profiles: profiles.iter().map(|name| (*name).to_owned()).collect(),
            cache: Mutex::default(),
            expired: Notify::new(),
        }
    }

    fn keys(&self) -> Result<Keys, CredentialError> {
        let failed = || CredentialError::File(self.path.clone());
        let stamp = stamp(&self.path).map_err(|_| failed())?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, keys)) = &*cache
            && *seen == stamp
        {
            return Ok(keys.clone());
        }
        let text = std::fs::read_to_string(&self.path).map_err(|_| failed())?;
        let keys = parse_profile(&text, &self.profiles).ok_or_else(failed)?;
        *cache = Some((stamp, keys.clone()));
        Ok(keys)
    }

    fn forget(&self) {
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path)?;
    Ok(Stamp(metadata.modified().ok(), metadata.ino(), metadata.len()))
}

/// The first section of an INI file with one of these names.
fn parse_profile(text: &str, profiles: &[String]) -> Option<Keys> {
    let mut inside = false;
    let (mut id, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = profiles.iter().any(|name| section.trim() == name);
        } else if inside
            && !line.starts_with(['#', ';'])
            && let Some((name, value)) = line.split_once('=')
        {
            let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
            match name.trim() {
                "aws_access_key_id" => id = value,
                "aws_secret_access_key" => secret = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
    }
    Some(Keys { access_key_id: id?, secret_access_key: secret?, session_token: token })
}

/// The role of this instance, asked for again before its credentials end.
#[derive(Debug)]
struct Role {
    imds: Arc<Imds>,
    cache: Mutex<Option<(SystemTime, Keys)>>,
}

impl Role {
    fn new(imds: Arc<Imds>) -> Self {
        Self { imds, cache: Mutex::default() }
    }

    async fn keys(&self) -> Result<Keys, ImdsError> {
        let known = self.cache.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = clock::now();
        if let Some((end, keys)) = &known
            && *end > now + EARLY
        {
            return Ok(keys.clone());
        }
        match self.imds.role_credentials().await {
            Ok((keys, end)) => {
                *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = Some((end, keys.clone()));
                Ok(keys)
            }
            // What has not ended yet still does.
            Err(error) => known.filter(|(end, _)| *end > now).map(|(_, keys)| keys).ok_or(error),
        }
    }

    fn forget(&self) {
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::CredentialSource;

    #[tokio::test]
    async fn a_replaced_credentials_file_is_read_again_without_a_restart() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("credentials");
        let source = CredentialSource::file(path.clone());
        assert_eq!(
            source.keys().await.expect_err("AG-033").to_string(),
            format!("Failed to load credentials from path {}", path.display())
        );

        let profile = |id: &str| {
            format!(
                "[other]\naws_access_key_id = X\n[default]\naws_access_key_id = {id}\naws_secret_access_key=s\naws_session_token = t=\n"
            )
        };
        std::fs::write(&path, profile("first")).expect("write");
        let keys = source.keys().await.expect("A-05");
        assert_eq!((keys.access_key_id.as_str(), keys.session_token.as_deref()), ("first", Some("t=")));
        assert!(!format!("{keys:?}").contains("\"s\""), "AG-015: the secret is not printed");

        std::fs::write(directory.path().join("new"), profile("second")).expect("write");
        std::fs::rename(directory.path().join("new"), &path).expect("replace");
        assert_eq!(source.keys().await.expect("A-05").access_key_id, "second");
    }

    #[tokio::test]
    async fn a_file_without_a_default_profile_is_no_credentials() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("credentials");
        std::fs::write(&path, "[other]\naws_access_key_id = X\naws_secret_access_key = Y\n").expect("write");
        assert!(CredentialSource::file(path).keys().await.is_err(), "AG-033");
    }

    #[tokio::test]
    async fn the_usual_chain_takes_the_first_that_is_there() {
        let home = tempfile::tempdir().expect("scratch directory");
        let aws = home.path().join(".aws");
        std::fs::create_dir(&aws).expect("mkdir");
        let directory = home.path().to_str().expect("text").to_owned();
        let id = |more: &[(&str, &str)]| {
            let mut variables = vec![("HOME".to_owned(), directory.clone())];
            variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            let source = CredentialSource::usual(
                &|name| variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()),
                None,
            );
            async move { source.keys().await.map(|keys| keys.access_key_id).map_err(|error| error.to_string()) }
        };
        let nothing = id(&[]).await.expect_err("nothing is there yet");
        assert!(nothing.contains(".aws/credentials, ") && nothing.contains("instance profile"), "{nothing}");
        let keys = |id: &str| format!("aws_access_key_id={id}\naws_secret_access_key=s\n");
        std::fs::write(
            aws.join("config"),
            format!("[default]\n{}[profile x]\n{}", keys("CONFIG"), keys("CONFIG-X")),
        )
        .expect("write");
        assert_eq!(id(&[]).await, Ok("CONFIG".to_owned()));
        assert_eq!(id(&[("AWS_PROFILE", "x")]).await, Ok("CONFIG-X".to_owned()));
        std::fs::write(aws.join("credentials"), format!("[default]\n{}", keys("FILE"))).expect("write");
        assert_eq!(id(&[]).await, Ok("FILE".to_owned()));
        let environment = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
        assert_eq!(id(&environment).await, Ok("ENV".to_owned()));
        assert_eq!(id(&environment[..1]).await, Ok("FILE".to_owned()), "half a key is none");
    }
}
