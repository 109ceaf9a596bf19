//! Where objects are installed: directories by descriptor, so that whoever owns one on the way cannot lead the agent
//! elsewhere between two steps.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::sys::directory::{Directory, Follow};

/// Finds the directories of objects. Objects come directory by directory, so the last one stays open.
#[derive(Debug)]
pub(super) struct Places {
    follow: Follow,
    last: Option<(PathBuf, Directory)>,
}

impl Places {
    pub(super) fn new(follow: Follow) -> Self {
        Self { follow, last: None }
    }

    /// The directory of an object, and its name there.
    pub(super) fn of<'p>(&mut self, path: &'p Path) -> io::Result<(&Directory, &'p OsStr)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if self.last.as_ref().is_none_or(|(open, _)| open != parent) {
            self.last = Some((parent.to_owned(), Directory::open(parent, self.follow)?));
        }
        let (_, directory) = self.last.as_ref().expect("it was opened just now");
        Ok((directory, name))
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync(&self, directory: &Path) -> io::Result<()> {
        Directory::open(directory, self.follow)?.sync()
    }
}
