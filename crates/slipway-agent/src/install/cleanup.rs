//! The replay of a cleanup file: what the group's last deployment made goes away (AS-040).

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::FileType;

use super::place::Places;
use super::record::{CONTEXT_MARK, cleanup_file, remove_if_present, unfinished};
use super::{InstallError, check_group_id, labels};
use crate::sys::directory::{Directory, Follow, is_untrusted_link};

/// What a clean-up removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// Files and links.
    pub files: usize,
    /// Directories that were empty.
    pub directories: usize,
    /// What could not be undone and does not stand in the way.
    pub notes: Vec<String>,
}

/// Undoes the group's last Install and forgets it; a group without a record has nothing to undo. `follow` is as it was
/// when the group's files were installed.
pub fn cleanup(instructions_dir: &Path, group_id: &str, follow: Follow) -> Result<Cleaned, InstallError> {
    check_group_id(group_id)?;
    fs::create_dir_all(instructions_dir).map_err(|error| InstallError::io(instructions_dir, error))?;
    let record = cleanup_file(instructions_dir, group_id);
    let lines = match fs::read(&record) {
        Ok(lines) => lines,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(InstallError::io(&record, error)),
    };
    let mut undoing = Undoing { record: &record, places: Places::new(follow), cleaned: Cleaned::default() };
    // A last line without its end was cut by a crash; half a path can be another path.
    let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    for line in lines[..whole].split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty()) {
        if let Some(path) = line.strip_prefix(CONTEXT_MARK) {
            if let Err(note) = labels::forget_context(Path::new(OsStr::from_bytes(path))) {
                undoing.cleaned.notes.push(note);
            }
        } else {
            undoing.undo(Path::new(OsStr::from_bytes(line)))?;
        }
    }
    // The instructions describe files that are gone now (AS-039).
    remove_if_present(&instructions_dir.join(format!("{group_id}-install.json")))?;
    remove_if_present(&record)?;
    Ok(undoing.cleaned)
}

struct Undoing<'a> {
    record: &'a Path,
    places: Places,
    cleaned: Cleaned,
}

impl Undoing<'_> {
    fn undo(&mut self, path: &Path) -> Result<(), InstallError> {
        if !path.is_absolute() {
            self.cleaned.notes.push(format!("{} is not an absolute path and was left alone", path.display()));
            return Ok(());
        }
        let failed = |error| InstallError::io(path, error);
        let (directory, name) = match self.places.of(path) {
            Ok(place) => place,
            Err(error) if is_gone(&error) => return Ok(()),
            // The path leads elsewhere since it was installed; what is there now is not ours to delete (D-14).
            Err(error) if is_untrusted_link(&error) => {
                self.cleaned.notes.push(format!("{} was left alone: {error}", path.display()));
                return Ok(());
            }
            Err(error) => return Err(failed(error)),
        };
        let unfinished = unfinished(self.record, path);
        let unfinished = unfinished.file_name().unwrap_or(name);
        let is_directory = match directory.stat(name) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
            Err(error) if is_gone(&error) => return remove(directory, unfinished).map(drop).map_err(failed),
            Err(error) => return Err(failed(error)),
        };
        if !is_directory {
            self.cleaned.files += usize::from(remove(directory, name).map_err(failed)?);
            return remove(directory, unfinished).map(drop).map_err(failed);
        }
        match directory.remove_directory(name) {
            Ok(()) => self.cleaned.directories += 1,
            Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            // A mount point, a directory that somebody protects: it does not stand in the way of the next
            // deployment, which takes existing directories as they are.
            Err(error) => self.cleaned.notes.push(format!("{error} - {}", path.display())),
        }
        Ok(())
    }
}

/// The path is not there, or a file has taken the place of a directory on the way to it.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether there was something to remove.
fn remove(directory: &Directory, name: &OsStr) -> io::Result<bool> {
    match directory.remove_file(name) {
        Ok(()) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
