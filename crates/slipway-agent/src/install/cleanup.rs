//! The replay of a cleanup file: what the group's last deployment made goes away (AS-040).

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::record::{CONTEXT_MARK, cleanup_file, remove_if_present, unfinished};
use super::{InstallError, check_group_id, labels};

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

/// Undoes the group's last Install and forgets it; a group without a record has nothing to undo.
pub fn cleanup(instructions_dir: &Path, group_id: &str) -> Result<Cleaned, InstallError> {
    check_group_id(group_id)?;
    fs::create_dir_all(instructions_dir).map_err(|error| InstallError::io(instructions_dir, error))?;
    let record = cleanup_file(instructions_dir, group_id);
    let lines = match fs::read(&record) {
        Ok(lines) => lines,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(InstallError::io(&record, error)),
    };
    let mut cleaned = Cleaned::default();
    // A last line without its end was cut by a crash; half a path can be another path.
    let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    for line in lines[..whole].split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty()) {
        if let Some(path) = line.strip_prefix(CONTEXT_MARK) {
            if let Err(note) = labels::forget_context(Path::new(OsStr::from_bytes(path))) {
                cleaned.notes.push(note);
            }
        } else {
            undo(Path::new(OsStr::from_bytes(line)), &record, &mut cleaned)?;
        }
    }
    // The instructions describe files that are gone now (AS-039).
    remove_if_present(&instructions_dir.join(format!("{group_id}-install.json")))?;
    remove_if_present(&record)?;
    Ok(cleaned)
}

fn undo(path: &Path, record: &Path, cleaned: &mut Cleaned) -> Result<(), InstallError> {
    if !path.is_absolute() {
        cleaned.notes.push(format!("{} is not an absolute path and was left alone", path.display()));
        return Ok(());
    }
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if is_gone(&error) => return remove_unfinished(record, path),
        Err(error) => return Err(InstallError::io(path, error)),
    };
    if !metadata.is_dir() {
        match fs::remove_file(path) {
            Ok(()) => cleaned.files += 1,
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(InstallError::io(path, error)),
        }
        return remove_unfinished(record, path);
    }
    match fs::remove_dir(path) {
        Ok(()) => cleaned.directories += 1,
        Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
        // A mount point, a directory that somebody protects: it does not stand in the way of the next
        // deployment, which takes existing directories as they are.
        Err(error) => cleaned.notes.push(format!("{error} - {}", path.display())),
    }
    Ok(())
}

/// The path is not there, or a file has taken the place of a directory on the way to it.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn remove_unfinished(record: &Path, path: &Path) -> Result<(), InstallError> {
    let unfinished = unfinished(record, path);
    match fs::remove_file(&unfinished) {
        Err(error) if !is_gone(&error) => Err(InstallError::io(&unfinished, error)),
        _ => Ok(()),
    }
}
