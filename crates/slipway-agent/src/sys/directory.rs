//! Directories and objects by descriptor: whatever somebody renames or links meanwhile, an operation acts on what
//! was looked at.
//!
//! The kernel's `openat2` finds a directory without links in one call. Where it is missing (before Linux 5.6, some
//! containers) the path is walked name by name with the same outcome.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Stat, Timespec, Timestamps,
    UTIME_OMIT, Uid,
};
use rustix::io::Errno;

use super::walk;

const OPEN_DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const NO_LINKS: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);

/// Which symbolic links on the way to a directory are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Those that give nobody a right that he has not: root's, the agent's own, and links to a directory of the
    /// link's owner. Another user's link to somebody else's directory is refused with [`UntrustedLink`].
    Trusted,
    /// All.
    Always,
}

/// A link of somebody who may not decide where the agent writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is a symbolic link of user {owner} to a directory of another user, which is not followed", .path.display()
)]
pub struct UntrustedLink {
    /// The link.
    pub path: PathBuf,
    /// Whose it is.
    pub owner: u32,
}

/// Whether an error is an [`UntrustedLink`].
pub fn is_untrusted_link(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<UntrustedLink>()).is_some()
}

/// A directory that stays the same one, whatever happens to its path.
#[derive(Debug)]
pub struct Directory(OwnedFd);

/// Which object it is, whatever its name.
pub type Identity = (u64, u64);

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Directory {
    /// Opens the directory at `path`.
    pub fn open(path: &Path, follow: Follow) -> io::Result<Self> {
        if follow == Follow::Always {
            return Ok(Self(rustix::fs::openat(CWD, path, OPEN_DIRECTORY, Mode::empty())?));
        }
        match rustix::fs::openat2(CWD, path, OPEN_DIRECTORY, Mode::empty(), NO_LINKS) {
            Ok(directory) => Ok(Self(directory)),
            Err(error) if error == Errno::LOOP || is_unsupported(error) => {
                walk::trusted(&std::path::absolute(path)?).map(Self)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a directory below this one; no link is followed on the way.
    pub fn beneath(&self, path: &Path) -> io::Result<Self> {
        self.beneath_with(path, true)
    }

    fn beneath_with(&self, path: &Path, try_kernel: bool) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if try_kernel {
            let resolve = NO_LINKS | ResolveFlags::BENEATH;
            match rustix::fs::openat2(self, path, OPEN_DIRECTORY, Mode::empty(), resolve) {
                Err(error) if is_unsupported(error) => {}
                result => return Ok(Self(result?)),
            }
        }
        let mut directory = Self(self.0.try_clone()?);
        for component in path.components() {
            match component {
                Component::CurDir => {}
                Component::Normal(name) => {
                    let flags = OPEN_DIRECTORY | OFlags::NOFOLLOW;
                    directory = Self(rustix::fs::openat(&directory, name, flags, Mode::empty())?);
                }
                _ => return Err(Errno::XDEV.into()),
            }
        }
        Ok(directory)
    }

    /// Opens a file below this directory for reading. Links on the way are followed as long as they stay inside;
    /// the file itself must not be one. Opening a pipe does not wait.
    pub fn open_inside(&self, path: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        self.inside(path, flags).map(File::from)
    }

    /// Where the link at `path` below this directory points; links on the way are followed inside only.
    pub fn read_link_inside(&self, path: &Path) -> io::Result<(PathBuf, Stat)> {
        let link = self.inside(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
        let target = rustix::fs::readlinkat(&link, "", Vec::new())?;
        Ok((PathBuf::from(OsStr::from_bytes(target.as_bytes())), rustix::fs::fstat(&link)?))
    }

    fn inside(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(self, path, flags, Mode::empty(), resolve) {
            Err(error) if is_unsupported(error) => walk::inside(self.as_fd(), path, flags),
            result => Ok(result?),
        }
    }

    /// Makes a file of this name for writing; whatever has the name already is an error.
    pub fn create_file(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(self, name, flags, Mode::from_raw_mode(mode))?))
    }

    /// Makes a directory of this name.
    pub fn make_directory(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(self, name, Mode::from_raw_mode(mode))?)
    }

    /// Makes a symbolic link.
    pub fn make_symlink(&self, target: &Path, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, self, name)?)
    }

    /// Gives the object `original` of another directory a further name here; a link is not followed.
    pub fn make_hard_link(&self, from: &Self, original: &OsStr, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::linkat(from, original, self, name, AtFlags::empty())?)
    }

    /// Removes what is not a directory.
    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name, AtFlags::REMOVEDIR)?)
    }

    /// Renames an object to a name here or in another directory, over whatever is there.
    pub fn rename(&self, from: &OsStr, directory: &Self, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(self, from, directory, to)?)
    }

    /// Renames an object to a name that is free; if it is not, the error says that it exists.
    pub fn rename_new(&self, from: &OsStr, directory: &Self, to: &OsStr) -> io::Result<()> {
        match rustix::fs::renameat_with(self, from, directory, to, RenameFlags::NOREPLACE) {
            // File systems that cannot do it in one step.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                match rustix::fs::statat(directory, to, AtFlags::SYMLINK_NOFOLLOW) {
                    Err(Errno::NOENT) => self.rename(from, directory, to),
                    Ok(_) => Err(Errno::EXIST.into()),
                    Err(error) => Err(error.into()),
                }
            }
            result => Ok(result?),
        }
    }

    /// What is known about an object; a link is not followed.
    pub fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Changes owner and group of the object itself, links included.
    pub fn set_owner(&self, name: &OsStr, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        Ok(rustix::fs::chownat(self, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Changes the time of last modification of the object itself, links included.
    pub fn set_modified(&self, name: &OsStr, seconds: i64, nanoseconds: u32) -> io::Result<()> {
        let times = modified(seconds, nanoseconds);
        Ok(rustix::fs::utimensat(self, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Takes hold of an object without opening it; a link is not followed.
    pub fn object(&self, name: &OsStr) -> io::Result<Object> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        Ok(Object { fd, stat })
    }

    /// This directory for reading and syncing.
    pub fn readable(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(self, ".", flags, Mode::empty())?))
    }

    /// Makes the names in this directory durable.
    pub fn sync(&self) -> io::Result<()> {
        self.readable()?.sync_all()
    }

    /// Writes out everything that the file system of this directory still holds in memory.
    pub fn sync_filesystem(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(self.readable()?)?)
    }

    /// Up to `most` names of this directory.
    pub fn names(&self, most: usize) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::new(OwnedFd::from(self.readable()?))? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                names.push(name);
                if names.len() == most {
                    break;
                }
            }
        }
        Ok(names)
    }

    /// Which directory it is.
    pub fn identity(&self) -> io::Result<Identity> {
        Ok(identity(&rustix::fs::fstat(self)?))
    }
}

/// Times that leave the last access as it is.
pub fn modified(seconds: i64, nanoseconds: u32) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
    }
}

/// An object that stays the same one, whatever happens to its name.
#[derive(Debug)]
pub struct Object {
    fd: OwnedFd,
    stat: Stat,
}

impl Object {
    /// Which object it is.
    pub fn identity(&self) -> Identity {
        identity(&self.stat)
    }

    /// Its kind.
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Its permission bits when it was taken hold of.
    pub fn mode(&self) -> u32 {
        self.stat.st_mode & 0o7777
    }

    /// Changes owner and group.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        Ok(rustix::fs::chownat(&self.fd, "", uid, gid, AtFlags::EMPTY_PATH)?)
    }

    /// Changes the mode of a file or directory; for a link it is an error.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        if self.kind() == FileType::Symlink {
            return Err(Errno::LOOP.into());
        }
        // The descriptor was not opened for anything, so `fchmod` refuses it; its name in /proc leads to the object
        // itself and not along its path.
        std::fs::set_permissions(self.path(), std::fs::Permissions::from_mode(mode))
    }

    /// A path that leads to this very object, for this process.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }

    /// For handing the object to another program, as its standard input.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

/// Which object a `stat` is about.
pub fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// The system call is not there, or a container forbids it.
fn is_unsupported(error: Errno) -> bool {
    matches!(error, Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, lchown, symlink};

    use super::*;
    use crate::sys::files::is_root;

    fn opened(path: &Path, follow: Follow) -> Result<Identity, io::Error> {
        Directory::open(path, follow)?.identity()
    }

    fn known(path: &Path) -> Identity {
        let metadata = fs::metadata(path).unwrap();
        (metadata.dev(), metadata.ino())
    }

    #[test]
    fn links_of_root_and_of_the_agent_are_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/sub")).unwrap();
        symlink("real", root.join("relative")).unwrap();
        symlink(root.join("relative/../real"), root.join("absolute")).unwrap();
        for path in ["real/sub", "relative/sub", "absolute/sub", "real/sub/../sub/."] {
            assert_eq!(opened(&root.join(path), Follow::Trusted).unwrap(), known(&root.join("real/sub")));
        }
        symlink("me", root.join("me")).unwrap();
        assert!(opened(&root.join("me"), Follow::Trusted).is_err(), "a circle ends");
        fs::write(root.join("file"), "").unwrap();
        let error = opened(&root.join("file"), Follow::Trusted).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        assert_eq!(opened(&root.join("no"), Follow::Trusted).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_link_of_another_user_leads_to_his_own_directories_only() {
        if !is_root() {
            // Only root can make links of others; an agent without root's rights trusts every link.
            return;
        }
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        for name in ["his", "his/own", "ours"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        for name in ["his", "his/own"] {
            lchown(root.join(name), Some(4321), None).unwrap();
        }
        for (link, target) in
            [("his/good", "own"), ("his/bad", "../ours"), ("his/etc", "/etc"), ("his/two", "bad")]
        {
            symlink(target, root.join(link)).unwrap();
            lchown(root.join(link), Some(4321), None).unwrap();
        }
        let own = known(&root.join("his/own"));
        assert_eq!(opened(&root.join("his/good"), Follow::Trusted).unwrap(), own);
        for bad in ["his/bad", "his/etc", "his/two"] {
            let error = opened(&root.join(bad), Follow::Trusted).unwrap_err();
            assert!(is_untrusted_link(&error), "{bad}: {error}");
            assert!(error.to_string().contains("symbolic link of user 4321"), "{error}");
            assert!(opened(&root.join(bad), Follow::Always).is_ok());
        }
    }

    #[test]
    fn below_a_directory_nothing_leads_out_with_and_without_the_kernels_help() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        fs::create_dir_all(root.join("in/a/b")).unwrap();
        fs::create_dir(root.join("out")).unwrap();
        symlink("../../out", root.join("in/a/out")).unwrap();
        symlink("b", root.join("in/a/inside")).unwrap();
        let top = Directory::open(&root.join("in"), Follow::Always).unwrap();
        for kernel in [true, false] {
            let open = |path: &str| top.beneath_with(Path::new(path), kernel);
            assert_eq!(open("a/b").unwrap().identity().unwrap(), known(&root.join("in/a/b")));
            assert_eq!(open("").unwrap().identity().unwrap(), known(&root.join("in")));
            for bad in ["a/out", "a/inside", "..", "a/../../out", "/etc"] {
                assert!(open(bad).is_err(), "{bad} {kernel}");
            }
        }
    }

    #[test]
    fn files_are_read_inside_only_with_and_without_the_kernels_help() {
        use std::io::Read as _;
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        fs::create_dir_all(root.join("in/a")).unwrap();
        fs::write(root.join("in/a/file"), "content").unwrap();
        fs::write(root.join("secret"), "secret").unwrap();
        symlink("a", root.join("in/link")).unwrap();
        symlink("../a/.", root.join("in/a/link")).unwrap();
        symlink("..", root.join("in/out")).unwrap();
        symlink("/etc", root.join("in/etc")).unwrap();
        symlink("file", root.join("in/a/alias")).unwrap();
        let top = Directory::open(&root.join("in"), Follow::Always).unwrap();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for kernel in [true, false] {
            let open = |path: &str| {
                if kernel {
                    return top.open_inside(Path::new(path));
                }
                walk::inside(top.as_fd(), Path::new(path), flags).map(File::from)
            };
            for good in ["a/file", "link/file", "a/link/file"] {
                let mut text = String::new();
                open(good).unwrap().read_to_string(&mut text).unwrap();
                assert_eq!(text, "content", "{good}");
            }
            for bad in ["out/secret", "etc/passwd", "a/alias", "../secret", "a/none"] {
                assert!(open(bad).is_err(), "{bad}");
            }
        }
        let (target, _) = top.read_link_inside(Path::new("link/alias")).unwrap();
        assert_eq!(target, Path::new("file"));
    }

    #[test]
    fn an_object_is_changed_even_if_its_name_now_belongs_to_another() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::write(at("file"), "").unwrap();
        fs::write(at("victim"), "").unwrap();
        fs::set_permissions(at("victim"), fs::Permissions::from_mode(0o600)).unwrap();
        let directory = Directory::open(scratch.path(), Follow::Always).unwrap();
        let object = directory.object(OsStr::new("file")).unwrap();
        fs::rename(at("file"), at("moved")).unwrap();
        symlink("victim", at("file")).unwrap();
        object.set_mode(0o640).unwrap();
        assert_eq!(fs::metadata(at("moved")).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::metadata(at("victim")).unwrap().mode() & 0o7777, 0o600);
        let link = directory.object(OsStr::new("file")).unwrap();
        assert!(link.set_mode(0o777).is_err(), "a link has no mode");
        assert_ne!(link.identity(), object.identity());
    }

    #[test]
    fn a_new_name_never_replaces_anything() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("a"), "a").unwrap();
        fs::write(scratch.path().join("b"), "b").unwrap();
        let directory = Directory::open(scratch.path(), Follow::Always).unwrap();
        let error = directory.rename_new(OsStr::new("a"), &directory, OsStr::new("b")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(scratch.path().join("b")).unwrap(), "b");
    }
}
