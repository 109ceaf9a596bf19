//! Files of the data directory: written whole or not at all, secrets readable by the owner only.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Mode of files that hold secrets.
pub(crate) const SECRET: u32 = 0o600;
/// The bit that marks directories in which everybody may make files of their own.
const STICKY: u32 = 0o1000;
/// All bits of those who are not the owner.
const OTHERS: u32 = 0o077;
/// All bits of those who are neither the owner nor of the group.
const STRANGERS: u32 = 0o007;
/// Mode of files that everybody may read.
pub(crate) const PUBLIC: u32 = 0o644;

/// A file of the data directory that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}", path = .path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// `action` as in "cannot `read` PATH".
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }

    /// The system's error.
    pub fn io(&self) -> &io::Error {
        &self.source
    }
}

/// Replaces `path` with `contents`: after a crash at any point it is the old file or the new one, never a part.
pub(crate) fn write_atomic(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let fail = |source| FileError::new("write", path, source);
    let name = path.file_name().ok_or_else(|| fail(io::ErrorKind::InvalidInput.into()))?;
    let directory = path.parent().ok_or_else(|| fail(io::ErrorKind::InvalidInput.into()))?;
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(".new");
    let temporary = directory.join(temporary_name);
    // What a crash left behind may have another mode: it is never written into.
    match fs::remove_file(&temporary) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
    }
    let write = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        // The umask may have taken bits away that others need to read a public file.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        fs::File::open(directory)?.sync_all()
    };
    write().map_err(fail)
}

/// The contents of `path`, `None` when there is no such file.
pub(crate) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::new("read", path, error)),
    }
}

/// [`read_optional`] for text.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, FileError> {
    read_optional(path)?
        .map(|bytes| {
            String::from_utf8(bytes).map_err(|error| {
                FileError::new("read", path, io::Error::new(io::ErrorKind::InvalidData, error))
            })
        })
        .transpose()
}

/// Makes a directory that only its owner can enter, with its parents; one that exists is closed to others.
///
/// A directory that everybody shares (`/tmp`) is refused: closing it would take it away from all others. One of another
/// user, as volumes of containers are, stays as it is if it is closed to strangers.
pub(crate) fn private_directory(path: &Path) -> Result<(), FileError> {
    let fail = |source| FileError::new("create", path, source);
    let unusable = |why: &str| FileError::new("use", path, io::Error::other(why.to_owned()));
    if path.exists() && !path.is_dir() {
        return Err(unusable("it is a file; name a directory"));
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail)?;
    let mode = fs::metadata(path).map_err(fail)?.permissions().mode();
    if mode & STICKY != 0 {
        return Err(unusable("it is shared by all users of this machine; name a directory in it instead"));
    }
    if mode & OTHERS == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, fs::Permissions::from_mode(0o700)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && mode & STRANGERS == 0 => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(unusable("it belongs to another user and is open to all; close it with chmod o-rwx"))
        }
        done => done.map_err(fail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leftover_of_a_crash_never_lends_its_mode_to_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".key.new"), "half").unwrap();
        let path = dir.path().join("key");
        write_atomic(&path, b"whole", SECRET).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!dir.path().join(".key.new").exists());
    }

    #[test]
    fn an_open_directory_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/inner");
        private_directory(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        private_directory(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_directory_that_everybody_shares_is_never_closed_to_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tmp");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o1777)).unwrap();
        let error = private_directory(&path).unwrap_err().to_string();
        assert!(error.contains("shared by all users"), "{error}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o1777);
    }
}
