//! Paths walked name by name, by descriptor: for links that need a judgement, and for kernels without `openat2`.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::directory::UntrustedLink;

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;
const HOLD: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

enum Step {
    Down(OsString),
    Up,
    /// Back to the top: the target of a link is absolute.
    Top,
    /// The directory reached now must belong to the owner of this link.
    Judge(UntrustedLink),
}

/// The directory at the absolute `path`, along trusted links only.
pub(super) fn trusted(path: &Path) -> io::Result<OwnedFd> {
    let agent = rustix::process::geteuid().as_raw();
    Walk::new(Path::new("/"), None, path)?.run(OFlags::DIRECTORY, |link, at| {
        (agent == 0 && link.st_uid != 0).then_some(UntrustedLink { path: at, owner: link.st_uid })
    })
}

/// The object at `path` below `root`, along links that stay inside.
pub(super) fn inside(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Walk::new(Path::new(""), Some(root), path)?.run(flags, |_, _| None)
}

struct Walk {
    /// The directories from the top to here, each below the one before.
    open: Vec<(OwnedFd, PathBuf)>,
    ahead: VecDeque<Step>,
    links: usize,
    confined: bool,
}

impl Walk {
    fn new(top: &Path, root: Option<BorrowedFd<'_>>, path: &Path) -> io::Result<Self> {
        let fd = match root {
            Some(root) => root.try_clone_to_owned()?,
            None => rustix::fs::open(top, HOLD, Mode::empty())?,
        };
        let mut walk = Self {
            open: vec![(fd, top.to_owned())],
            ahead: VecDeque::new(),
            links: 0,
            confined: root.is_some(),
        };
        walk.go_first(path)?;
        Ok(walk)
    }

    fn go_first(&mut self, path: &Path) -> io::Result<()> {
        for component in path.components().rev() {
            self.ahead.push_front(match component {
                Component::Normal(name) => Step::Down(name.to_owned()),
                Component::ParentDir => Step::Up,
                Component::CurDir => continue,
                Component::RootDir | Component::Prefix(_) if self.confined => return Err(Errno::XDEV.into()),
                Component::RootDir | Component::Prefix(_) => Step::Top,
            });
        }
        Ok(())
    }

    /// Goes the whole way and opens the end with `flags`; `judge` names the links that need a look at where they
    /// lead.
    fn run(
        mut self,
        flags: OFlags,
        judge: impl Fn(&Stat, PathBuf) -> Option<UntrustedLink>,
    ) -> io::Result<OwnedFd> {
        while let Some(step) = self.ahead.pop_front() {
            match step {
                Step::Top => self.open.truncate(1),
                Step::Up if self.open.len() > 1 => drop(self.open.pop()),
                Step::Up if self.confined => return Err(Errno::XDEV.into()),
                Step::Up => {}
                Step::Judge(link) => {
                    if rustix::fs::fstat(&self.here().0)?.st_uid != link.owner {
                        return Err(io::Error::new(io::ErrorKind::PermissionDenied, link));
                    }
                }
                Step::Down(name) => {
                    let last = self.ahead.is_empty();
                    let (here, at) = self.here();
                    let at = at.join(&name);
                    let next = rustix::fs::openat(here, &name, HOLD, Mode::empty())?;
                    let stat = rustix::fs::fstat(&next)?;
                    let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
                    if last && flags.contains(OFlags::NOFOLLOW) {
                        return Ok(rustix::fs::openat(here, &name, flags, Mode::empty())?);
                    }
                    if is_link {
                        self.follow(&next, judge(&stat, at))?;
                    } else {
                        self.open.push((next, at));
                    }
                }
            }
        }
        let end = &self.here().0;
        if FileType::from_raw_mode(rustix::fs::fstat(end)?.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR.into());
        }
        end.try_clone()
    }

    fn follow(&mut self, link: &OwnedFd, doubt: Option<UntrustedLink>) -> io::Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = rustix::fs::readlinkat(link, "", Vec::new())?;
        if let Some(doubt) = doubt {
            self.ahead.push_front(Step::Judge(doubt));
        }
        self.go_first(Path::new(OsStr::from_bytes(target.as_bytes())))
    }

    fn here(&self) -> &(OwnedFd, PathBuf) {
        self.open.last().expect("the top is never popped")
    }
}
