//! From a directory to a revision.
//!
//! [`collect`] finds the files that belong into it, [`check`] finds what would fail on a host, [`archive`] writes the
//! zip file.

pub(crate) mod archive;
pub(crate) mod check;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Path in the revision, with slashes.
    pub(crate) name: String,
    /// Where it is now.
    pub(crate) path: PathBuf,
}

/// Everything that goes into a revision.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// The files, sorted by name, so that the same directory makes the same archive.
    pub(crate) files: Vec<Member>,
    /// What is left out although one might expect it, in sentences.
    pub(crate) notices: Vec<String>,
}

/// A directory that no revision can be made of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    #[error("cannot read {}: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the name of {} is not UTF-8", .0.display())]
    Name(PathBuf),
    #[error("{} was not found", .0.display())]
    NoAppSpec(PathBuf),
}

/// Finds the files below `source` (AG-202). A hidden file or directory is one whose name begins with a dot. Links to
/// files are followed, links to directories are left out, as the AWS CLI does.
pub(crate) fn collect(source: &Path, ignore_hidden: bool) -> Result<Members, CollectError> {
    let root = std::path::absolute(source)
        .map_err(|error| CollectError::Read { path: source.to_owned(), source: error })?;
    let mut members = Members::default();
    let mut directories = vec![(root.clone(), String::new())];
    while let Some((directory, prefix)) = directories.pop() {
        let read = |source| CollectError::Read { path: directory.clone(), source };
        for entry in fs::read_dir(&directory).map_err(read)? {
            let entry = entry.map_err(read)?;
            let path = entry.path();
            let name = entry.file_name().into_string().map_err(|_| CollectError::Name(path.clone()))?;
            if ignore_hidden && name.starts_with('.') {
                continue;
            }
            let read = |source| CollectError::Read { path: path.clone(), source };
            let is_link = entry.file_type().map_err(read)?.is_symlink();
            let kind = fs::metadata(&path).map_err(read)?.file_type();
            let name = format!("{prefix}{name}");
            if kind.is_dir() && is_link {
                members.notices.push(format!("{name} is a link to a directory and is left out"));
            } else if kind.is_dir() {
                directories.push((path, format!("{name}/")));
            } else if kind.is_file() {
                members.files.push(Member { name, path });
            } else {
                members.notices.push(format!("{name} is neither a file nor a directory and is left out"));
            }
        }
    }
    members.files.sort_by(|a, b| a.name.cmp(&b.name));
    members.notices.sort();
    if members.files.iter().any(|member| member.name == check::APPSPEC) {
        Ok(members)
    } else {
        Err(CollectError::NoAppSpec(root.join(check::APPSPEC)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(members: &Members) -> Vec<&str> {
        members.files.iter().map(|member| member.name.as_str()).collect()
    }

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        dir
    }

    /// AG-202.
    #[test]
    fn hidden_directories_are_left_out_with_all_that_is_in_them_on_request_only() {
        let dir = tree(&["appspec.yml", "b/x", "a", ".git/config", ".env", "b/.hidden"]);
        assert_eq!(names(&collect(dir.path(), true).unwrap()), ["a", "appspec.yml", "b/x"]);
        assert_eq!(
            names(&collect(dir.path(), false).unwrap()),
            [".env", ".git/config", "a", "appspec.yml", "b/.hidden", "b/x"]
        );
    }

    /// AG-202.
    #[test]
    fn the_appspec_file_must_be_at_the_root_and_have_its_name() {
        let dir = tree(&["appspec.yaml", "sub/appspec.yml"]);
        let error = collect(dir.path(), false).unwrap_err().to_string();
        assert_eq!(error, format!("{} was not found", dir.path().join("appspec.yml").display()));
    }

    #[test]
    fn links_to_files_are_files_and_links_to_directories_are_named() {
        let dir = tree(&["appspec.yml", "real/file"]);
        std::os::unix::fs::symlink(dir.path().join("real/file"), dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        let members = collect(dir.path(), false).unwrap();
        assert_eq!(names(&members), ["appspec.yml", "link", "real/file"]);
        assert_eq!(members.notices, ["loop is a link to a directory and is left out"]);
        std::os::unix::fs::symlink("nowhere", dir.path().join("broken")).unwrap();
        assert!(collect(dir.path(), false).unwrap_err().to_string().contains("broken"));
    }
}
