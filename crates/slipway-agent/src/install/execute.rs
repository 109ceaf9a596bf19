//! The instructions, one after another, each on record before it changes the disk.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown, symlink};
use std::path::{Path, PathBuf};

use super::plan::{Account, Instruction, Plan};
use super::record::{CleanupRecord, remove_if_present, unfinished};
use super::{InstallError, labels};
use crate::layout::sync_directory;
use crate::sys::files::{is_root, open_without_following, set_mode, set_owner};

/// So many paths are recorded with one write to the disk.
const BATCH: usize = 128;

/// Executes the plan. Answers the number of files and of directories.
pub(super) fn execute(plan: &Plan, record: &mut CleanupRecord) -> Result<(usize, usize), InstallError> {
    let mut rest = plan.instructions.as_slice();
    let mut touched = BTreeSet::new();
    let (mut files, mut directories) = (0, 0);
    while let Some(first) = rest.first() {
        if path_made(first).is_none() {
            attribute(first, record)?;
            rest = &rest[1..];
            continue;
        }
        let (batch, later) = rest.split_at(batch_length(rest));
        let before = record.length();
        let ends = record.announce(batch.iter().filter_map(path_made))?;
        for (index, instruction) in batch.iter().enumerate() {
            if let Err(error) = make(instruction, record.path()) {
                // The failed object did not take its place: renaming is the last step.
                record.retract_to(index.checked_sub(1).map_or(before, |last| ends[last]))?;
                return Err(error);
            }
            match instruction {
                Instruction::MakeDirectory { .. } => directories += 1,
                _ => files += 1,
            }
            touched.extend(path_made(instruction).and_then(Path::parent).map(Path::to_owned));
        }
        rest = later;
    }
    for directory in touched {
        sync_directory(&directory).map_err(|error| InstallError::io(&directory, error))?;
    }
    Ok((files, directories))
}

/// What an instruction adds to the disk; `None` for those that change attributes.
fn path_made(instruction: &Instruction) -> Option<&Path> {
    match instruction {
        Instruction::Copy { destination, .. } => Some(destination),
        Instruction::MakeDirectory { path, .. } => Some(path),
        _ => None,
    }
}

/// How many instructions are recorded together. One that replaces a foreign object is recorded alone:
/// a crash must not condemn objects that were not replaced yet (D-14).
fn batch_length(instructions: &[Instruction]) -> usize {
    let replaces = |instruction: &Instruction| {
        matches!(
            instruction,
            Instruction::Copy { replaces: true, .. } | Instruction::MakeDirectory { replaces: true, .. }
        )
    };
    if replaces(&instructions[0]) {
        return 1;
    }
    instructions
        .iter()
        .take(BATCH)
        .take_while(|instruction| path_made(instruction).is_some() && !replaces(instruction))
        .count()
}

fn make(instruction: &Instruction, record: &Path) -> Result<(), InstallError> {
    match instruction {
        Instruction::Copy { source, destination, link, replaces } => {
            if *replaces && destination.is_dir() && !destination.is_symlink() {
                fs::remove_dir(destination).map_err(|error| InstallError::io(destination, error))?;
            }
            let unfinished = unfinished(record, destination);
            remove_if_present(&unfinished)?;
            let result = if *link {
                copy_link(source, destination, &unfinished)
            } else {
                copy_file(source, destination, &unfinished)
            };
            if result.is_err() {
                // What cannot be removed now is removed by the next clean-up.
                let _ = fs::remove_file(&unfinished);
            }
            result
        }
        Instruction::MakeDirectory { path, replaces } => {
            if *replaces {
                remove_if_present(path)?;
            }
            match fs::create_dir(path) {
                // Somebody was faster, which is as good.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
                result => result.map_err(|error| InstallError::io(path, error)),
            }
        }
        _ => Ok(()),
    }
}

/// Copies a file with mode, owner and times (AS-031): complete and durable before it takes its place.
fn copy_file(source: &Path, destination: &Path, unfinished: &Path) -> Result<(), InstallError> {
    let from_source = |error| InstallError::io(source, error);
    let to_destination = |error| InstallError::io(destination, error);
    let mut input = open_without_following(source).map_err(from_source)?;
    let metadata = input.metadata().map_err(from_source)?;
    if !metadata.is_file() {
        return Err(InstallError::NotAFile(source.to_owned()));
    }
    let mut output = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(unfinished)
        .map_err(to_destination)?;
    io::copy(&mut input, &mut output).map_err(to_destination)?;
    preserve(&output, &metadata).map_err(to_destination)?;
    output.sync_all().map_err(to_destination)?;
    drop(output);
    fs::rename(unfinished, destination).map_err(to_destination)
}

fn preserve(file: &File, like: &fs::Metadata) -> io::Result<()> {
    let mut mode = like.mode() & 0o7777;
    if is_root() {
        fchown(file, Some(like.uid()), Some(like.gid()))?;
    } else if fchown(file, Some(like.uid()), Some(like.gid())).is_err() {
        // The file stays the agent's own: then it must not run with the agent's rights either.
        mode &= 0o1777;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    file.set_times(FileTimes::new().set_accessed(like.accessed()?).set_modified(like.modified()?))
}

/// Recreates a link with the same text (AS-033).
fn copy_link(source: &Path, destination: &Path, unfinished: &Path) -> Result<(), InstallError> {
    let from_source = |error| InstallError::io(source, error);
    let to_destination = |error| InstallError::io(destination, error);
    let target: PathBuf = fs::read_link(source).map_err(from_source)?;
    let metadata = fs::symlink_metadata(source).map_err(from_source)?;
    symlink(target, unfinished).map_err(to_destination)?;
    if is_root() {
        set_owner(unfinished, Some(metadata.uid()), Some(metadata.gid())).map_err(to_destination)?;
    }
    fs::rename(unfinished, destination).map_err(to_destination)
}

fn attribute(instruction: &Instruction, record: &mut CleanupRecord) -> Result<(), InstallError> {
    match instruction {
        Instruction::ChangeOwner { owner, group, path } => {
            change_owner(path, owner.as_ref(), group.as_ref()).map_err(|error| InstallError::io(path, error))
        }
        Instruction::ChangeMode { mode, path } => {
            let target = real_path(path)?;
            set_mode(&target, mode.bits()).map_err(|error| InstallError::io(path, error))
        }
        Instruction::SetAcl { entries, path } => labels::set_acl(path, entries),
        Instruction::SetContext { context, path } => {
            let real = real_path(path)?;
            record.announce_context(&real)?;
            labels::set_context(&real, context)
        }
        Instruction::Copy { .. } | Instruction::MakeDirectory { .. } => Ok(()),
    }
}

/// The path without links. A link gets here only when the host allows links as targets of permissions.
fn real_path(path: &Path) -> Result<PathBuf, InstallError> {
    fs::canonicalize(path).map_err(|error| InstallError::io(path, error))
}

/// The system clears set-user-id when a file is given away; absent attributes stay as they are (AS-072).
fn change_owner(path: &Path, owner: Option<&Account>, group: Option<&Account>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    set_owner(path, owner.map(|owner| owner.id), group.map(|group| group.id))?;
    let mode = metadata.mode() & 0o7777;
    if metadata.is_file() && mode & 0o6000 != 0 {
        set_mode(path, mode)?;
    }
    Ok(())
}
