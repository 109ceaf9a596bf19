//! The keys that sign requests: fixed, or from a file that something else keeps fresh (AG-033, A-05).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

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

/// The credentials file cannot be used (AG-033).
#[derive(Debug, Clone, thiserror::Error)]
#[error("Failed to load credentials from path {}", .0.display())]
pub struct CredentialError(pub PathBuf);

/// Where keys come from. Cloning shares the cache.
#[derive(Debug, Clone)]
pub struct CredentialSource(Arc<Source>);

#[derive(Debug)]
enum Source {
    Fixed(Keys),
    File { path: PathBuf, cache: Mutex<Option<(Stamp, Keys)>> },
}

/// What tells one version of a file from the next: a replaced file has another inode, a rewritten one another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(Option<SystemTime>, u64, u64);

impl CredentialSource {
    /// An IAM user's key.
    pub fn fixed(keys: Keys) -> Self {
        Self(Arc::new(Source::Fixed(keys)))
    }

    /// A session's credentials file.
    pub fn file(path: PathBuf) -> Self {
        Self(Arc::new(Source::File { path, cache: Mutex::new(None) }))
    }

    /// The credentials file, if there is one; hooks are told its name (D-25).
    pub fn path(&self) -> Option<&Path> {
        match &*self.0 {
            Source::Fixed(_) => None,
            Source::File { path, .. } => Some(path),
        }
    }

    /// The keys to sign with now: the file is read again whenever it has changed, so no restart is needed.
    pub fn keys(&self) -> Result<Keys, CredentialError> {
        match &*self.0 {
            Source::Fixed(keys) => Ok(keys.clone()),
            Source::File { path, cache } => {
                let failed = || CredentialError(path.clone());
                let stamp = stamp(path).map_err(|_| failed())?;
                let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((seen, keys)) = &*cache
                    && *seen == stamp
                {
                    return Ok(keys.clone());
                }
                let text = std::fs::read_to_string(path).map_err(|_| failed())?;
                let keys = parse_profile(&text).ok_or_else(failed)?;
                *cache = Some((stamp, keys.clone()));
                Ok(keys)
            }
        }
    }

    /// Forgets what was read: the server says that the keys have expired (AP-34).
    pub fn forget(&self) {
        if let Source::File { cache, .. } = &*self.0 {
            *cache.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path)?;
    Ok(Stamp(metadata.modified().ok(), metadata.ino(), metadata.len()))
}

/// The `[default]` profile of an INI file.
fn parse_profile(text: &str) -> Option<Keys> {
    let mut in_default = false;
    let (mut id, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            in_default = section.trim() == "default";
        } else if in_default
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

#[cfg(test)]
mod tests {
    use super::CredentialSource;

    #[test]
    fn a_replaced_credentials_file_is_read_again_without_a_restart() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("credentials");
        let source = CredentialSource::file(path.clone());
        assert_eq!(
            source.keys().expect_err("AG-033").to_string(),
            format!("Failed to load credentials from path {}", path.display())
        );

        let profile = |id: &str| {
            format!(
                "[other]\naws_access_key_id = X\n[default]\naws_access_key_id = {id}\naws_secret_access_key=s\naws_session_token = t=\n"
            )
        };
        std::fs::write(&path, profile("first")).expect("write");
        let keys = source.keys().expect("A-05");
        assert_eq!((keys.access_key_id.as_str(), keys.session_token.as_deref()), ("first", Some("t=")));
        assert!(!format!("{keys:?}").contains("\"s\""), "AG-015: the secret is not printed");

        std::fs::write(directory.path().join("new"), profile("second")).expect("write");
        std::fs::rename(directory.path().join("new"), &path).expect("replace");
        assert_eq!(source.keys().expect("A-05").access_key_id, "second");
    }

    #[test]
    fn a_file_without_a_default_profile_is_no_credentials() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("credentials");
        std::fs::write(&path, "[other]\naws_access_key_id = X\naws_secret_access_key = Y\n").expect("write");
        assert!(CredentialSource::file(path).keys().is_err(), "AG-033");
    }
}
