//! The two files that remember an Install: its instructions, and what the next clean-up removes.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::InstallError;
use super::plan::Instruction;
use crate::layout::{sync_directory, write_atomically, write_streamed};

/// Marks a line of the cleanup file that names a SELinux rule (AG-101).
pub(super) const CONTEXT_MARK: &[u8] = b"semanage\0";

/// The cleanup file of a group.
pub(super) fn cleanup_file(instructions_dir: &Path, group_id: &str) -> PathBuf {
    instructions_dir.join(format!("{group_id}-cleanup"))
}

/// Where a file is completed before it takes its place. The name follows from the place and from the record that
/// announces it: a clean-up finds what a crash left, and two deployments, or two agents, that install into one
/// directory never write to the same file.
pub(super) fn unfinished(record: &Path, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    // FNV-1a: the same in every version of the agent, and short where the name itself may be too long.
    let hash = [record.as_os_str(), name]
        .into_iter()
        .flat_map(|part| part.as_bytes().iter().copied().chain([0]))
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    path.with_file_name(format!(".slipway-{hash:016x}.new"))
}

/// Writes `<group>-install.json` (AG-102).
pub(super) fn write_instructions(path: &Path, instructions: &[Instruction]) -> Result<(), InstallError> {
    // One by one: all of them at once are many times as large in memory as in the file.
    write_streamed(path, |file| {
        file.write_all(b"{\"instructions\":[")?;
        for (number, instruction) in instructions.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(file, "{comma}{}", to_json(instruction))?;
        }
        file.write_all(b"]}")
    })
    .map_err(|error| InstallError::io(path, error))
}

fn to_json(instruction: &Instruction) -> Value {
    match instruction {
        Instruction::Copy { source, destination, .. } => {
            json!({ "type": "copy", "source": text(source), "destination": text(destination) })
        }
        Instruction::MakeDirectory { path, .. } => json!({ "type": "mkdir", "directory": text(path) }),
        Instruction::ChangeMode { mode, path } => {
            json!({ "type": "chmod", "mode": mode.to_string(), "file": text(path) })
        }
        Instruction::SetAcl { entries, path } => {
            let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
            json!({ "type": "setfacl", "acl": entries, "file": text(path) })
        }
        Instruction::SetContext { context, path } => json!({
            "type": "semanage",
            "context": { "user": context.user, "role": null, "type": context.kind, "range": context.range },
            "file": text(path),
        }),
        Instruction::ChangeOwner { owner, group, path } => json!({
            "type": "chown",
            "owner": owner.as_ref().map(|owner| &owner.name),
            "group": group.as_ref().map(|group| &group.name),
            "file": text(path),
        }),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The cleanup file while it is being written (AS-041).
pub(super) struct CleanupRecord {
    path: PathBuf,
    file: File,
    length: u64,
}

impl CleanupRecord {
    pub(super) fn create(instructions_dir: &Path, group_id: &str) -> Result<Self, InstallError> {
        let path = cleanup_file(instructions_dir, group_id);
        let failed = |error| InstallError::io(&path, error);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        sync_directory(instructions_dir).map_err(failed)?;
        Ok(Self { path, file, length: 0 })
    }

    /// Makes the paths durable before anything is done to them.
    pub(super) fn announce<'a>(&mut self, paths: impl Iterator<Item = &'a Path>) -> Result<(), InstallError> {
        self.append(&lines(paths))
    }

    /// Notes a SELinux rule before it is made (AS-071).
    pub(super) fn announce_context(&mut self, path: &Path) -> Result<(), InstallError> {
        let mut line = CONTEXT_MARK.to_vec();
        line.extend_from_slice(path.as_os_str().as_bytes());
        line.push(b'\n');
        self.append(&line)
    }

    /// Takes back what was announced since `length`, but for `made`: the next clean-up must not touch what somebody
    /// else puts there (D-14). A crash leaves the one record or the other.
    pub(super) fn retract_to<'a>(
        &mut self,
        length: u64,
        made: impl Iterator<Item = &'a Path>,
    ) -> Result<(), InstallError> {
        let failed = |error| InstallError::io(&self.path, error);
        let mut content = Vec::new();
        let mut file = File::open(&self.path).map_err(failed)?.take(length);
        file.read_to_end(&mut content).map_err(failed)?;
        content.extend(lines(made));
        write_atomically(&self.path, &content).map_err(failed)?;
        self.file = OpenOptions::new().append(true).open(&self.path).map_err(failed)?;
        self.length = content.len() as u64;
        Ok(())
    }

    /// The file itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), InstallError> {
        if lines.is_empty() {
            return Ok(());
        }
        let failed = |error| InstallError::io(&self.path, error);
        self.file.write_all(lines).map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        self.length += lines.len() as u64;
        Ok(())
    }
}

fn lines<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<u8> {
    let mut lines = Vec::new();
    for path in paths {
        lines.extend_from_slice(path.as_os_str().as_bytes());
        lines.push(b'\n');
    }
    lines
}

/// Removes a file that may be absent.
pub(super) fn remove_if_present(path: &Path) -> Result<(), InstallError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(InstallError::io(path, error)),
        _ => Ok(()),
    }
}
