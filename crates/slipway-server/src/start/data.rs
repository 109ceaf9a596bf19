//! The data directory: who owns it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use crate::config::Config;
use crate::files::{self, FileError};
use rustix::fs::{FlockOperation, flock};

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
    /// The master key is given from outside, and there is no new one to replace it with.
    #[error(
        "the master key is given by {variable}: set it to the new key, a comma and the old key, 64 hexadecimal digits each, \
         run this again, and then set it to the new key alone"
    )]
    NoNewKey {
        /// The variable.
        variable: &'static str,
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

#[cfg(test)]
mod tests {
    use std::path::Path;

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
}
