//! A directory of this host as a bundle: the same rules as for archives.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::UnpackError;
use super::stage::{Attributes, Stage};
use crate::sys::files::open_without_following;

/// Takes everything below `source`. Directories of `except` may lie below it (an application that holds the agent's own
/// root directory): they are left out.
pub(super) fn copy(source: &Path, stage: &mut Stage<'_>, except: &[&Path]) -> Result<(), UnpackError> {
    let except: Vec<(u64, u64)> = except
        .iter()
        .filter_map(|path| fs::symlink_metadata(path).ok())
        .map(|metadata| (metadata.dev(), metadata.ino()))
        .collect();
    tree(source, Path::new(""), stage, &except)
}

fn tree(
    source: &Path,
    below: &Path,
    stage: &mut Stage<'_>,
    except: &[(u64, u64)],
) -> Result<(), UnpackError> {
    let directory = source.join(below);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| UnpackError::Io { path, error }
    };
    let mut names: Vec<OsString> = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed(&directory))? {
        names.push(entry.map_err(failed(&directory))?.file_name());
    }
    names.sort();
    for name in names {
        let below = below.join(name);
        let path = source.join(&below);
        let metadata = fs::symlink_metadata(&path).map_err(failed(&path))?;
        if except.contains(&(metadata.dev(), metadata.ino())) {
            continue;
        }
        entry(source, &below, &path, &metadata, stage, except)?;
    }
    Ok(())
}

fn entry(
    source: &Path,
    below: &Path,
    path: &Path,
    metadata: &Metadata,
    stage: &mut Stage<'_>,
    except: &[(u64, u64)],
) -> Result<(), UnpackError> {
    let Some(member) = stage.admit(below.as_os_str().as_bytes())? else { return Ok(()) };
    let attributes = attributes(metadata, stage.limits.ignore_ownership);
    let failed = |error| UnpackError::Io { path: path.to_owned(), error };
    if metadata.is_dir() {
        stage.directory(&member, attributes)?;
        tree(source, below, stage, except)
    } else if metadata.is_symlink() {
        let target: PathBuf = fs::read_link(path).map_err(failed)?;
        stage.symlink(&member, target.as_os_str().as_bytes(), attributes)
    } else if metadata.is_file() {
        let mut file = open_without_following(path).map_err(failed)?;
        let copied = stage.file(&member, &mut file, attributes, |error| UnpackError::Io {
            path: path.to_owned(),
            error: std::io::Error::new(error.kind(), error.to_string()),
        });
        copied.map(drop)
    } else {
        Err(member.refused("devices and pipes are not allowed in bundles"))
    }
}

fn attributes(metadata: &Metadata, ignore_ownership: bool) -> Attributes {
    Attributes {
        mode: Some(metadata.mode() & 0o7777),
        owner: (!ignore_ownership).then(|| (metadata.uid(), metadata.gid())),
        modified: Some((metadata.mtime(), metadata.mtime_nsec() as u32)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use crate::unpack::{BundleType, Limits, UnpackError, unpack};

    #[test]
    fn a_directory_is_taken_as_it_is_and_without_the_place_that_it_is_taken_to() {
        let home = tempfile::tempdir().expect("scratch directory");
        let (source, target) = (home.path().join("app"), home.path().join("app/root/archive"));
        fs::create_dir_all(source.join("only/empty")).expect("mkdir");
        fs::create_dir_all(source.join("root")).expect("mkdir");
        fs::write(source.join("only/appspec.yml"), "x").expect("write");
        fs::set_permissions(source.join("only/appspec.yml"), fs::Permissions::from_mode(0o640))
            .expect("chmod");
        symlink("appspec.yml", source.join("only/link")).expect("symlink");
        for _ in 0..2 {
            let unpacked =
                unpack(&source, BundleType::Directory, &target, &Limits::default()).expect("a copy");
            assert_eq!(unpacked.stripped, None, "AS-008 is about archives");
            assert_eq!(
                fs::read_link(target.join("only/link")).expect("a link").to_str(),
                Some("appspec.yml")
            );
            assert!(target.join("only/empty").is_dir() && !target.join("root/archive").exists());
            let mode = fs::metadata(target.join("only/appspec.yml")).expect("metadata").permissions().mode();
            assert_eq!(mode & 0o7777, 0o640);
        }
        assert!(source.join("only/appspec.yml").exists());
    }

    #[test]
    fn the_rules_for_archives_hold_for_directories() {
        let home = tempfile::tempdir().expect("scratch directory");
        let (source, target) = (home.path().join("app"), home.path().join("archive"));
        fs::create_dir(&source).expect("mkdir");
        symlink("/etc/passwd", source.join("out")).expect("symlink");
        let refused = unpack(&source, BundleType::Directory, &target, &Limits::default());
        assert!(matches!(refused, Err(UnpackError::Refused { .. })), "D-17: {refused:?}");
        assert!(!target.exists());
    }
}
