//! The staging directory: the only way in which members reach the disk.
//!
//! Everything is done relative to directories that are held open; no link is ever followed, neither one of the bundle nor
//! one that somebody else puts there.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::{Limits, UnpackError, write_error};
use crate::sys::directory::{Directory, Follow, modified};
use crate::sys::files::{LEAVE_FREE, LOOK_EVERY, free_space, is_root};
use crate::sys::within::resolve;

/// Set-user-id and set-group-id.
const UNSAFE_BITS: u32 = 0o6000;

/// The system takes no longer paths, and no longer names in them.
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;
/// Deeper trees serve only to exhaust whoever walks them.
const MAX_DEPTH: usize = 200;
/// Names of directories and links are kept until the end; no honest bundle has so many, or so long ones.
const MAX_KEPT: usize = 256 << 20;

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
    top: Directory,
    pub(super) limits: &'a Limits,
    /// The bundle's own size, where it is packed at all.
    packed: Option<u64>,
    bytes: u64,
    looked_at: u64,
    members: u64,
    /// Directories that no member stands for.
    implied: u64,
    /// Members come directory by directory: the last one stays open.
    last: Option<(PathBuf, Directory)>,
    /// Applied last, because a read-only directory or an old time would not survive its content.
    directories: Vec<(PathBuf, Attributes)>,
    /// With their names. Checked last, because a link may be listed before its target.
    links: BTreeMap<PathBuf, String>,
    kept: usize,
    buffer: Box<[u8]>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(root: &Path, limits: &'a Limits, packed: Option<u64>) -> Result<Self, UnpackError> {
        let top = Directory::open(root, Follow::Always).map_err(|error| write_error(root, error))?;
        Ok(Self {
            root: root.to_owned(),
            top,
            limits,
            packed,
            bytes: 0,
            looked_at: 0,
            members: 0,
            implied: 0,
            last: None,
            directories: Vec::new(),
            links: BTreeMap::new(),
            kept: 0,
            buffer: vec![0; 128 * 1024].into_boxed_slice(),
        })
    }

    /// Fails at once where it is known that there is too little space (AG-017).
    pub(super) fn check_space(&self, needed: u64) -> Result<(), UnpackError> {
        match free_space(&self.top) {
            Some(free) if free < needed => Err(UnpackError::DiskFull),
            _ => Ok(()),
        }
    }

    /// Counts a member and finds its place; `None` is the top directory itself.
    pub(super) fn admit(&mut self, name: &[u8]) -> Result<Option<Member>, UnpackError> {
        self.members += 1;
        let display = shown(name);
        let path = self
            .place(name)
            .map_err(|reason| UnpackError::Refused { member: display.clone(), reason: reason.to_owned() })?;
        let member = Member { name: display, path };
        self.check_members(&member)?;
        Ok((!member.path.as_os_str().is_empty()).then_some(member))
    }

    fn check_members(&self, member: &Member) -> Result<(), UnpackError> {
        if self.members + self.implied > self.limits.max_members {
            return Err(
                member.refused(format!("the bundle has more than {} members", self.limits.max_members))
            );
        }
        Ok(())
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
        let mut depth = 0;
        for part in name.split(|byte| *byte == b'/') {
            match part {
                b".." if strict => return Err("its path leads out of the bundle"),
                b"" | b"." | b".." => {}
                part if part.len() > MAX_NAME => return Err("a name in its path is too long"),
                part => {
                    depth += 1;
                    path.push(OsStr::from_bytes(part));
                }
            }
        }
        if depth > MAX_DEPTH { Err("its path is too deep") } else { Ok(path) }
    }

    pub(super) fn directory(&mut self, member: &Member, attributes: Attributes) -> Result<(), UnpackError> {
        self.check_mode(member, attributes)?;
        let before = self.implied;
        self.enter(member, &member.path)?;
        if self.implied > before {
            self.implied -= 1;
        }
        self.check_members(member)?;
        self.keep(member)?;
        self.directories.push((member.path.clone(), attributes));
        Ok(())
    }

    /// Streams a file and answers its length; `damaged` names the failure to read the archive.
    pub(super) fn file(
        &mut self,
        member: &Member,
        content: &mut dyn Read,
        attributes: Attributes,
        damaged: impl Fn(&io::Error) -> UnpackError,
    ) -> Result<u64, UnpackError> {
        self.check_mode(member, attributes)?;
        let name = self.vacate(member)?;
        let path = self.root.join(&member.path);
        let failed = |error| write_error(&path, error);
        let mode = if attributes.mode.is_some() { 0o600 } else { 0o666 };
        let mut file = self.here().create_file(name, mode).map_err(failed)?;
        let before = self.bytes;
        loop {
            let read = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(damaged(&error)),
            };
            self.count(member, read as u64, &file)?;
            file.write_all(&self.buffer[..read]).map_err(failed)?;
        }
        apply(&file, attributes).map_err(failed)?;
        Ok(self.bytes - before)
    }

    /// Refuses a member that says itself that it is too large.
    pub(super) fn announce(&self, member: &Member, size: u64) -> Result<(), UnpackError> {
        let max_size = self.limits.max_size;
        if self.bytes.saturating_add(size) > max_size {
            return Err(member.refused(format!("the bundle unpacks to more than {max_size} bytes")));
        }
        Ok(())
    }

    /// Bytes that are about to be written.
    fn count(&mut self, member: &Member, read: u64, file: &File) -> Result<(), UnpackError> {
        self.announce(member, read)?;
        self.bytes += read;
        let Limits { max_ratio, ratio_counts_from, .. } = self.limits;
        let plausible = self.packed.map(|packed| packed.saturating_mul(*max_ratio).max(*ratio_counts_from));
        if plausible.is_some_and(|plausible| self.bytes > plausible) {
            return Err(member.refused(format!("the bundle unpacks to more than {max_ratio} times its size")));
        }
        if self.bytes - self.looked_at >= LOOK_EVERY {
            self.looked_at = self.bytes;
            if free_space(file).is_some_and(|free| free < LEAVE_FREE) {
                return Err(UnpackError::DiskFull);
            }
        }
        Ok(())
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
        let name = self.vacate(member)?;
        self.keep(member)?;
        self.links.insert(member.path.clone(), member.name.clone());
        let here = self.here();
        here.make_symlink(Path::new(OsStr::from_bytes(target)), name)
            .and_then(|()| match attributes.owner.filter(|_| is_root()) {
                Some((uid, gid)) => here.set_owner(name, Some(uid), Some(gid)),
                None => Ok(()),
            })
            .and_then(|()| match attributes.modified {
                Some((seconds, nanoseconds)) => here.set_modified(name, seconds, nanoseconds),
                None => Ok(()),
            })
            .map_err(|error| write_error(&self.root.join(&member.path), error))
    }

    /// Another name for an earlier member.
    pub(super) fn hard_link(&mut self, member: &Member, target: &[u8]) -> Result<(), UnpackError> {
        let absent = || member.refused("it is a link to a member that is not in the bundle");
        let target = self.place(target).map_err(|reason| member.refused(format!("as a link, {reason}")))?;
        let (Some(parent), Some(original)) = (target.parent(), target.file_name()) else {
            return Err(absent());
        };
        let from = self.top.beneath(parent).map_err(|_| absent())?;
        let kind = match from.stat(original) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(_) => return Err(absent()),
        };
        if kind == FileType::Directory {
            return Err(absent());
        }
        if target == member.path {
            return Ok(());
        }
        let name = self.vacate(member)?;
        if kind == FileType::Symlink {
            self.keep(member)?;
            self.links.insert(member.path.clone(), member.name.clone());
        }
        self.here()
            .make_hard_link(&from, original, name)
            .map_err(|error| write_error(&self.root.join(&member.path), error))
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

    /// Counts what stays in memory to the end.
    fn keep(&mut self, member: &Member) -> Result<(), UnpackError> {
        self.kept += 128 + 2 * member.name.len();
        if self.kept > MAX_KEPT {
            return Err(member.refused("the bundle's directories and links have too many and too long names"));
        }
        Ok(())
    }

    /// The free name of a member in the directory that is now open: an earlier member of that name is gone.
    fn vacate<'m>(&mut self, member: &'m Member) -> Result<&'m OsStr, UnpackError> {
        let name = member.path.file_name().ok_or_else(|| member.refused("it has no name"))?;
        self.enter(member, member.path.parent().unwrap_or(Path::new("")))?;
        self.check_members(member)?;
        let here = self.here();
        match here.stat(name) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                return Err(member.refused("another member made a directory of this name"));
            }
            Ok(_) => {
                here.remove_file(name).map_err(|error| write_error(&self.root.join(&member.path), error))?;
                self.links.remove(&member.path);
            }
            Err(_) => {}
        }
        Ok(name)
    }

    /// The directory that was entered last.
    fn here(&self) -> &Directory {
        self.last.as_ref().map_or(&self.top, |(_, directory)| directory)
    }

    /// Opens a directory, which is made with its parents where it is missing; a link or file on the way is refused.
    fn enter(&mut self, member: &Member, path: &Path) -> Result<(), UnpackError> {
        if self.last.as_ref().is_some_and(|(open, _)| open == path) {
            return Ok(());
        }
        let directory = match self.top.beneath(path) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make_directories(member, path)?,
            Err(error) => return Err(self.blocked(member, path, error)),
        };
        self.last = Some((path.to_owned(), directory));
        Ok(())
    }

    fn make_directories(&mut self, member: &Member, path: &Path) -> Result<Directory, UnpackError> {
        let full = self.root.join(path);
        let failed = |error| write_error(&full, error);
        let mut here = self.top.beneath(Path::new("")).map_err(failed)?;
        for name in path {
            match here.make_directory(name, 0o755) {
                Ok(()) => self.implied += 1,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
            here = here.beneath(Path::new(name)).map_err(|error| self.blocked(member, path, error))?;
        }
        Ok(here)
    }

    /// Why a directory cannot be entered.
    fn blocked(&self, member: &Member, path: &Path, error: io::Error) -> UnpackError {
        for place in path.ancestors().filter(|place| !place.as_os_str().is_empty()) {
            match fs::symlink_metadata(self.root.join(place)) {
                Ok(metadata) if metadata.is_symlink() => {
                    return member.refused("its path leads through a symbolic link of the bundle");
                }
                Ok(metadata) if !metadata.is_dir() => {
                    return member.refused("its path leads through a file of the bundle");
                }
                _ => {}
            }
        }
        write_error(&self.root.join(path), error)
    }

    /// Checks the links against the top directory that the bundle will have, and gives directories
    /// their attributes. Answers the number of members and of bytes.
    pub(super) fn finish(mut self, top: &Path) -> Result<(u64, u64), UnpackError> {
        if self.limits.reject_path_traversal {
            for (link, name) in &self.links {
                let path = self.root.join(link);
                let below = path.strip_prefix(top).unwrap_or(link);
                resolve(top, Path::new(""), below).map_err(|escape| {
                    let target = fs::read_link(&path).unwrap_or_default().into_os_string().into_vec();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    UnpackError::Refused {
                        member: name.clone(),
                        reason: format!("it is a symbolic link to {target}; {escape}"),
                    }
                })?;
            }
        }
        // The deepest first: what is given away is not touched below any more. Of several entries for one directory the
        // last counts, as with tar.
        self.directories.sort_by_key(|(path, _)| Reverse(path.components().count()));
        for (path, attributes) in &self.directories {
            // The agent itself must be able to read and remove what it unpacked.
            let mode = attributes.mode.map(|mode| mode | 0o700);
            self.top
                .beneath(path)
                .and_then(|directory| directory.readable())
                .and_then(|directory| apply(&directory, Attributes { mode, ..*attributes }))
                .map_err(|error| write_error(&self.root.join(path), error))?;
        }
        Ok((self.members, self.bytes))
    }
}

/// A name as messages show it: a report has no room for one that goes on for pages.
fn shown(name: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(name);
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.into_owned(),
    }
}

/// Owner before mode: giving a file away clears set-user-id (AMB-9).
fn apply(file: &File, attributes: Attributes) -> io::Result<()> {
    if let Some((uid, gid)) = attributes.owner
        && is_root()
    {
        fchown(file, Some(uid), Some(gid))?;
    }
    if let Some(mode) = attributes.mode {
        file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some((seconds, nanoseconds)) = attributes.modified {
        rustix::fs::futimens(file, &modified(seconds, nanoseconds))?;
    }
    Ok(())
}
