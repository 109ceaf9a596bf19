//! The staging directory: the only way in which members reach the disk.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::{Limits, UnpackError, write_error};
use crate::sys::files::{is_root, set_mode, set_modified, set_owner};
use crate::sys::within::resolve;

/// Set-user-id and set-group-id.
const UNSAFE_BITS: u32 = 0o6000;

/// The system takes no longer paths.
const MAX_PATH: usize = 4096;

/// A member's name as given, and where it belongs below the staging directory.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: String,
    path: PathBuf,
}

impl Member {
    pub(super) fn refused(&self, reason: impl Into<String>) -> UnpackError {
        UnpackError::Refused { member: self.name.clone(), reason: reason.into() }
    }
}

/// What an archive records about a member; absent values take the host's defaults.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attributes {
    pub(super) mode: Option<u32>,
    pub(super) owner: Option<(u32, u32)>,
    /// Seconds and nanoseconds.
    pub(super) modified: Option<(i64, u32)>,
}

/// Writes members, counts them, and checks them at the end.
pub(super) struct Stage<'a> {
    root: PathBuf,
    pub(super) limits: &'a Limits,
    bytes: u64,
    members: u64,
    /// Directories known to be real ones: nothing replaces a directory later.
    known: HashSet<PathBuf>,
    /// Applied last, because a read-only directory or an old time would not survive its content.
    directories: Vec<(PathBuf, Attributes)>,
    /// Checked last, because a link may be listed before its target.
    links: Vec<Member>,
    buffer: Box<[u8]>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(root: &Path, limits: &'a Limits) -> Self {
        Self {
            root: root.to_owned(),
            limits,
            bytes: 0,
            members: 0,
            known: HashSet::new(),
            directories: Vec::new(),
            links: Vec::new(),
            buffer: vec![0; 128 * 1024].into_boxed_slice(),
        }
    }

    /// Counts a member and finds its place; `None` is the top directory itself.
    pub(super) fn admit(&mut self, name: &[u8]) -> Result<Option<Member>, UnpackError> {
        self.members += 1;
        let display = String::from_utf8_lossy(name).into_owned();
        let path = self
            .place(name)
            .map_err(|reason| UnpackError::Refused { member: display.clone(), reason: reason.to_owned() })?;
        let member = Member { name: display, path };
        if self.members > self.limits.max_members {
            return Err(
                member.refused(format!("the bundle has more than {} members", self.limits.max_members))
            );
        }
        Ok((!member.path.as_os_str().is_empty()).then_some(member))
    }

    fn place(&self, name: &[u8]) -> Result<PathBuf, &'static str> {
        let strict = self.limits.reject_path_traversal;
        if name.len() > MAX_PATH {
            return Err("its path is too long");
        }
        if name.contains(&0) {
            return Err("its name holds a NUL character");
        }
        if strict && name.starts_with(b"/") {
            return Err("its path is absolute");
        }
        let mut path = PathBuf::new();
        for part in name.split(|byte| *byte == b'/') {
            match part {
                b".." if strict => return Err("its path leads out of the bundle"),
                b"" | b"." | b".." => {}
                part => path.push(OsStr::from_bytes(part)),
            }
        }
        Ok(path)
    }

    pub(super) fn directory(&mut self, member: &Member, attributes: Attributes) -> Result<(), UnpackError> {
        self.check_mode(member, attributes)?;
        self.make_directories(member, &member.path)?;
        self.directories.push((self.root.join(&member.path), attributes));
        Ok(())
    }

    /// Streams a file; `damaged` names the failure to read the archive.
    pub(super) fn file(
        &mut self,
        member: &Member,
        content: &mut dyn Read,
        attributes: Attributes,
        damaged: impl Fn(&io::Error) -> UnpackError,
    ) -> Result<(), UnpackError> {
        self.check_mode(member, attributes)?;
        let path = self.vacate(member)?;
        let failed = |error| write_error(&path, error);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if attributes.mode.is_some() { 0o600 } else { 0o666 })
            .open(&path)
            .map_err(failed)?;
        loop {
            let read = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(damaged(&error)),
            };
            self.bytes += read as u64;
            if self.bytes > self.limits.max_size {
                return Err(
                    member.refused(format!("the bundle unpacks to more than {} bytes", self.limits.max_size))
                );
            }
            file.write_all(&self.buffer[..read]).map_err(failed)?;
        }
        drop::<File>(file);
        apply(&path, attributes).map_err(failed)
    }

    pub(super) fn symlink(
        &mut self,
        member: &Member,
        target: &[u8],
        attributes: Attributes,
    ) -> Result<(), UnpackError> {
        if self.limits.reject_symlinks {
            return Err(member.refused("symbolic links are not allowed in bundles on this host"));
        }
        if target.is_empty() || target.contains(&0) {
            return Err(member.refused("it is a symbolic link to nowhere"));
        }
        let path = self.vacate(member)?;
        symlink(OsStr::from_bytes(target), &path).map_err(|error| write_error(&path, error))?;
        self.links.push(member.clone());
        apply(&path, Attributes { mode: None, ..attributes }).map_err(|error| write_error(&path, error))
    }

    /// Another name for an earlier member.
    pub(super) fn hard_link(&mut self, member: &Member, target: &[u8]) -> Result<(), UnpackError> {
        let target = self.place(target).map_err(|reason| member.refused(format!("as a link, {reason}")))?;
        let parent = target.parent().unwrap_or(Path::new(""));
        if !self.is_real_directory(parent) {
            return Err(member.refused("it is a link to a member that is not in the bundle"));
        }
        let original = self.root.join(&target);
        match fs::symlink_metadata(&original) {
            Ok(metadata) if !metadata.is_dir() => {}
            _ => return Err(member.refused("it is a link to a member that is not in the bundle")),
        }
        if target == member.path {
            return Ok(());
        }
        let path = self.vacate(member)?;
        fs::hard_link(&original, &path).map_err(|error| write_error(&path, error))?;
        if path.is_symlink() {
            self.links.push(member.clone());
        }
        Ok(())
    }

    fn check_mode(&self, member: &Member, attributes: Attributes) -> Result<(), UnpackError> {
        if self.limits.reject_unsafe_permissions
            && attributes.mode.is_some_and(|mode| mode & UNSAFE_BITS != 0)
        {
            return Err(
                member.refused("set-user-id and set-group-id are not allowed in bundles on this host")
            );
        }
        Ok(())
    }

    /// The free path of a member: parents exist, an earlier member of that name is gone.
    fn vacate(&mut self, member: &Member) -> Result<PathBuf, UnpackError> {
        if let Some(parent) = member.path.parent() {
            self.make_directories(member, parent)?;
        }
        let path = self.root.join(&member.path);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                Err(member.refused("another member made a directory of this name"))
            }
            Ok(_) => {
                self.links.retain(|link| link.path != member.path);
                fs::remove_file(&path).map_err(|error| write_error(&path, error))?;
                Ok(path)
            }
            Err(_) => Ok(path),
        }
    }

    /// Makes a directory and its parents; a link or file on the way is refused, never followed.
    fn make_directories(&mut self, member: &Member, path: &Path) -> Result<(), UnpackError> {
        if path.as_os_str().is_empty() || self.known.contains(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.make_directories(member, parent)?;
        }
        let full = self.root.join(path);
        match fs::symlink_metadata(&full) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) if metadata.is_symlink() => {
                return Err(member.refused("its path leads through a symbolic link of the bundle"));
            }
            Ok(_) => return Err(member.refused("its path leads through a file of the bundle")),
            Err(_) => {
                fs::DirBuilder::new().mode(0o755).create(&full).map_err(|error| write_error(&full, error))?;
            }
        }
        self.known.insert(path.to_owned());
        Ok(())
    }

    fn is_real_directory(&self, path: &Path) -> bool {
        path.ancestors().all(|ancestor| {
            ancestor.as_os_str().is_empty()
                || self.known.contains(ancestor)
                || fs::symlink_metadata(self.root.join(ancestor)).is_ok_and(|metadata| metadata.is_dir())
        })
    }

    /// Checks the links against the top directory that the bundle will have, and gives directories
    /// their attributes. Answers the number of members and of bytes.
    pub(super) fn finish(self, top: &Path) -> Result<(u64, u64), UnpackError> {
        if self.limits.reject_path_traversal {
            for link in &self.links {
                let path = self.root.join(&link.path);
                let below = path.strip_prefix(top).unwrap_or(&link.path);
                resolve(top, Path::new(""), below).map_err(|escape| {
                    let target = fs::read_link(&path).unwrap_or_default().into_os_string().into_vec();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    link.refused(format!("it is a symbolic link to {target}; {escape}"))
                })?;
            }
        }
        for (path, attributes) in self.directories.iter().rev() {
            // The agent itself must be able to read and remove what it unpacked.
            let mode = attributes.mode.map(|mode| mode | 0o700);
            apply(path, Attributes { mode, ..*attributes }).map_err(|error| write_error(path, error))?;
        }
        Ok((self.members, self.bytes))
    }
}

/// Owner before mode: giving a file away clears set-user-id (AMB-9).
fn apply(path: &Path, attributes: Attributes) -> io::Result<()> {
    if let Some((uid, gid)) = attributes.owner
        && is_root()
    {
        set_owner(path, Some(uid), Some(gid))?;
    }
    if let Some(mode) = attributes.mode {
        set_mode(path, mode & 0o7777)?;
    }
    if let Some((seconds, nanoseconds)) = attributes.modified {
        set_modified(path, seconds, nanoseconds)?;
    }
    Ok(())
}
