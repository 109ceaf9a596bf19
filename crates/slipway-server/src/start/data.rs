//! The data directory: who owns it, and the master key.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use slipway_auth::Zeroizing;
use slipway_auth::token::Sealer;

use crate::clock::random;
use crate::config::Config;
use crate::files::{self, FileError};

const MASTER_KEY_FILE: &str = "master.key";

/// A data directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file in it.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another server runs on it.
    #[error(
        "the data directory {directory} is in use by another slipway server{by}. Stop that one first, or give this one a \
         directory of its own with --data-dir"
    )]
    InUse {
        /// The directory.
        directory: String,
        /// ` (process N)`, where known.
        by: String,
    },
    /// The key that every secret in the database is sealed with is gone.
    #[error(
        "{database} exists, but not the master key {key} that its secrets are sealed with. Restore the key from a backup; \
         without it the access keys in the database cannot be read"
    )]
    KeyMissing {
        /// The database.
        database: String,
        /// Where the key should be.
        key: String,
    },
    /// The key has not the form that we write.
    #[error("{key} is no master key: it must hold 64 hexadecimal digits")]
    KeyDamaged {
        /// The file.
        key: String,
    },
}

/// Ownership of a data directory.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Makes the data directory where it is missing and takes it. It is free again when the lock is dropped, or the process
/// ends in any way.
pub(super) fn open(config: &Config) -> Result<Lock, DataError> {
    files::private_directory(&config.data_dir)?;
    files::private_directory(&config.private_dir())?;
    let path = config.data_dir.join("lock");
    let fail = |source| FileError::new("lock", &path, source);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(files::SECRET)
        .open(&path)
        .map_err(fail)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(fail(error.into()).into());
        }
        let mut owner = String::new();
        // Only for the message.
        let _ = file.read_to_string(&mut owner);
        let owner = owner.trim();
        let by = if owner.is_empty() { String::new() } else { format!(" (process {owner})") };
        return Err(DataError::InUse { directory: config.data_dir.display().to_string(), by });
    }
    let mut note = || -> io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note().map_err(fail)?;
    Ok(Lock { _file: file })
}

/// The sealer with the installation's master key, which is made when there is neither a key nor a database.
pub(super) fn sealer(private: &Path, database: &Path) -> Result<Sealer, DataError> {
    let path: PathBuf = private.join(MASTER_KEY_FILE);
    if let Some(text) = files::read_text(&path)?.map(Zeroizing::new) {
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), key.as_mut_slice())
            .map_err(|_| DataError::KeyDamaged { key: path.display().to_string() })?;
        return Ok(Sealer::new(&key));
    }
    if database.exists() {
        return Err(DataError::KeyMissing {
            database: database.display().to_string(),
            key: path.display().to_string(),
        });
    }
    let key = Zeroizing::new(random::<32>());
    let text = Zeroizing::new(format!("{}\n", hex::encode(key.as_slice())));
    files::write_atomic(&path, text.as_bytes(), files::SECRET)?;
    Ok(Sealer::new(&key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn config(dir: &Path) -> Config {
        let flags = vec![("data_dir".to_owned(), dir.display().to_string())];
        Config::load(&Sources { flags, ..Sources::default() }).unwrap()
    }

    #[test]
    fn a_second_server_on_the_same_directory_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(&config(dir.path())).unwrap();
        let error = open(&config(dir.path())).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        drop(first);
        assert!(open(&config(dir.path())).is_ok());
    }

    #[test]
    fn a_lost_master_key_is_never_replaced_under_a_database() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("slipway.db");
        let sealed = sealer(dir.path(), &database).unwrap().seal(b"x", b"");
        std::fs::write(&database, "").unwrap();
        assert!(sealer(dir.path(), &database).unwrap().open(&sealed, b"").is_some());
        let key = dir.path().join(MASTER_KEY_FILE);
        std::fs::write(&key, "abc").unwrap();
        assert!(matches!(sealer(dir.path(), &database), Err(DataError::KeyDamaged { .. })));
        std::fs::remove_file(&key).unwrap();
        assert!(matches!(sealer(dir.path(), &database), Err(DataError::KeyMissing { .. })));
    }
}
