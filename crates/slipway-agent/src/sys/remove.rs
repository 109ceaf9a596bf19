//! Removing a tree that somebody else may have built, or may be building on.
//!
//! The standard library's removal holds a descriptor for each level: a tree of a few thousand levels cannot be removed
//! at all, and the disk space behind it is lost. Here nested directories are moved up and emptied there, so depth costs
//! time only. No link is followed, wherever the tree is moved meanwhile.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::directory::{Directory, Follow};

/// Names read at a time: a directory may have more than memory is there for.
const BATCH: usize = 4096;
/// A tree that grows as fast as it is removed is given up.
const MOST_BATCHES: usize = 200_000;

/// Removes a file, a link or a whole tree. What is not there is as good as removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = match Directory::open(path.parent().unwrap_or(Path::new("/")), Follow::Always) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        parent => parent?,
    };
    if remove_simple(&parent, name)? {
        return Ok(());
    }
    let top = parent.beneath(Path::new(name))?;
    let mut moved = 0;
    for _ in 0..MOST_BATCHES {
        let names = top.names(BATCH)?;
        if names.is_empty() {
            return parent.remove_directory(name);
        }
        for name in names {
            if !remove_simple(&top, &name)? {
                empty_into(&top, &name, &mut moved)?;
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "the directory grows while it is being removed"))
}

/// Removes what is not a directory with content; `false` if it is one.
fn remove_simple(parent: &Directory, name: &OsStr) -> io::Result<bool> {
    match parent.remove_file(name) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {}
        Err(error) => return Err(error),
    }
    match parent.remove_directory(name) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the files of a directory of `top` and moves its directories up into `top`; then removes it.
fn empty_into(top: &Directory, name: &OsStr, moved: &mut u64) -> io::Result<()> {
    let directory = top.beneath(Path::new(name))?;
    for _ in 0..MOST_BATCHES {
        let names = directory.names(BATCH)?;
        if names.is_empty() {
            break;
        }
        for name in names {
            if !remove_simple(&directory, &name)? {
                move_up(&directory, &name, top, moved)?;
            }
        }
    }
    remove_simple(top, name).map(drop)
}

fn move_up(from: &Directory, name: &OsStr, top: &Directory, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        let free = OsString::from(format!(".slipway-removing-{moved}"));
        match from.rename_new(name, top, &free) {
            Err(error) if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::remove_tree;
    use crate::sys::directory::{Directory, Follow};
    use std::ffi::OsStr;
    use std::path::Path;

    #[test]
    fn a_tree_deeper_than_descriptors_and_paths_allow_is_removed() {
        let scratch = tempfile::tempdir().expect("scratch directory");
        let tree = scratch.path().join("tree");
        std::fs::create_dir(&tree).expect("mkdir");
        let mut here = Directory::open(&tree, Follow::Always).expect("open");
        // Deeper than any path can name: a user of the host builds it step by step.
        for _ in 0..5000 {
            here.make_directory(OsStr::new("d"), 0o755).expect("mkdir");
            here.create_file(OsStr::new("f"), 0o644).expect("create");
            here = here.beneath(Path::new("d")).expect("open");
        }
        drop(here);
        remove_tree(&tree).expect("AG-084");
        assert!(!tree.exists());
    }

    #[test]
    fn links_are_removed_and_what_they_name_stays() {
        let scratch = tempfile::tempdir().expect("scratch directory");
        let at = |name: &str| scratch.path().join(name);
        std::fs::create_dir_all(at("tree/sub")).expect("mkdir");
        std::fs::create_dir(at("other")).expect("mkdir");
        std::fs::write(at("other/file"), "x").expect("write");
        std::os::unix::fs::symlink(at("other"), at("tree/sub/link")).expect("symlink");
        std::os::unix::fs::symlink(at("tree"), at("top")).expect("symlink");
        remove_tree(&at("top")).expect("only the link");
        assert!(at("tree/sub").exists());
        remove_tree(&at("tree")).expect("the tree");
        assert!(!at("tree").exists() && at("other/file").exists());
        remove_tree(&at("tree")).expect("what is gone is as good as removed");
    }

    #[test]
    fn more_files_than_one_batch_are_removed() {
        let scratch = tempfile::tempdir().expect("scratch directory");
        let tree = scratch.path().join("tree");
        for directory in ["", "a", "a/b"] {
            std::fs::create_dir_all(tree.join(directory)).expect("mkdir");
            for number in 0..super::BATCH + 10 {
                std::fs::write(tree.join(directory).join(number.to_string()), "").expect("write");
            }
        }
        remove_tree(&tree).expect("removed");
        assert!(!tree.exists());
    }
}
