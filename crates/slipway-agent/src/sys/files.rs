//! Owner, mode and times of files; programs by absolute path; what counts as a full disk.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};

/// Whether this process may give files away.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the error says that a file system or a quota is full.
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Opens a file for reading unless it is a link; opening a pipe does not wait.
pub fn open_without_following(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
}

/// Changes owner and group of the object itself, links included.
pub fn set_owner(path: &Path, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    lchown(path, uid, gid)
}

/// Changes the mode of a file or directory; a link in its place is an error, not followed.
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    let permissions = Permissions::from_mode(mode);
    match open_without_following(path) {
        Ok(file) => file.set_permissions(permissions),
        // Not ours to read, but perhaps ours to change; only an agent without root's rights gets here.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !path.is_symlink() => {
            std::fs::set_permissions(path, permissions)
        }
        Err(error) => Err(error),
    }
}

/// Changes the time of last modification of the object itself, links included.
pub fn set_modified(path: &Path, seconds: i64, nanoseconds: u32) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
    };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Writes everything that the file system below `path` still holds in memory.
pub fn sync_filesystem(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(path)?)?)
}

/// While a file grows, the free space is looked at each time that so much was written …
pub const LOOK_EVERY: u64 = 64 << 20;
/// … and so much is left to the rest of the host.
pub const LEAVE_FREE: u64 = 32 << 20;

/// How many bytes this process may still write to the file system of an open file or directory; `None` where that
/// cannot be told.
pub fn free_space(place: impl AsFd) -> Option<u64> {
    let space = rustix::fs::fstatvfs(place).ok().filter(|space| space.f_blocks > 0)?;
    // Some blocks are kept for root.
    let blocks = if is_root() { space.f_bfree } else { space.f_bavail };
    Some(blocks.saturating_mul(space.f_frsize))
}

/// The absolute path of a system program; never the caller's `PATH`.
pub fn program(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn a_mode_is_never_set_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "x").unwrap();
        symlink(&file, &link).unwrap();
        set_mode(&file, 0o640).unwrap();
        assert!(set_mode(&link, 0o777).is_err());
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
    }

    #[test]
    fn times_are_set_on_the_link_itself() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "x").unwrap();
        symlink(&file, &link).unwrap();
        set_modified(&file, 1000, 5).unwrap();
        set_modified(&link, 2000, 0).unwrap();
        let file = std::fs::metadata(&file).unwrap();
        assert_eq!((file.mtime(), file.mtime_nsec()), (1000, 5));
        assert_eq!(std::fs::symlink_metadata(&link).unwrap().mtime(), 2000);
    }
}
