//! A directory of this host as a bundle: the same rules as for archives.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{FileType, Stat};

use super::UnpackError;
use super::stage::{Attributes, Stage};
use crate::sys::directory::{Directory, Follow, Identity, identity};

/// Takes everything below `source`. Directories of `except` may lie below it (an application that holds the agent's own
/// root directory): they are left out.
///
/// Everything is read relative to directories that are held open: users of the host may own some of them.
pub(super) fn copy(source: &Path, stage: &mut Stage<'_>, except: &[&Path]) -> Result<(), UnpackError> {
    let except: Vec<Identity> = except
        .iter()
        .filter_map(|path| fs::symlink_metadata(path).ok())
        .map(|metadata| (metadata.dev(), metadata.ino()))
        .collect();
    let top = Directory::open(source, Follow::Always)
        .map_err(|error| UnpackError::Io { path: source.to_owned(), error })?;
    Copying { source, stage, except: &except }.tree(&top, Path::new(""))
}

struct Copying<'a, 'b> {
    source: &'a Path,
    stage: &'a mut Stage<'b>,
    except: &'a [Identity],
}

impl Copying<'_, '_> {
    fn tree(&mut self, directory: &Directory, below: &Path) -> Result<(), UnpackError> {
        let failed = |error| UnpackError::Io { path: self.source.join(below), error };
        let mut names = directory.names(usize::MAX).map_err(failed)?;
        names.sort();
        for name in names {
            let stat = directory.stat(&name).map_err(failed)?;
            if !self.except.contains(&identity(&stat)) {
                self.entry(directory, &below.join(&name), Path::new(&name), &stat)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        directory: &Directory,
        below: &Path,
        name: &Path,
        stat: &Stat,
    ) -> Result<(), UnpackError> {
        let Some(member) = self.stage.admit(below.as_os_str().as_bytes())? else { return Ok(()) };
        let attributes = attributes(stat, self.stage.limits.ignore_ownership);
        let path = self.source.join(below);
        let failed = |error| UnpackError::Io { path: path.clone(), error };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.stage.directory(&member, attributes)?;
                self.tree(&directory.beneath(name).map_err(failed)?, below)
            }
            FileType::Symlink => {
                let (target, _) = directory.read_link_inside(name).map_err(failed)?;
                self.stage.symlink(&member, target.as_os_str().as_bytes(), attributes)
            }
            FileType::RegularFile => {
                let mut file = directory.open_inside(name).map_err(failed)?;
                let copied = self.stage.file(&member, &mut file, attributes, |error| UnpackError::Io {
                    path: path.clone(),
                    error: std::io::Error::new(error.kind(), error.to_string()),
                });
                copied.map(drop)
            }
            _ => Err(member.refused("devices and pipes are not allowed in bundles")),
        }
    }
}

fn attributes(stat: &Stat, ignore_ownership: bool) -> Attributes {
    Attributes {
        mode: Some(stat.st_mode & 0o7777),
        owner: (!ignore_ownership).then_some((stat.st_uid, stat.st_gid)),
        modified: Some((stat.st_mtime, stat.st_mtime_nsec as u32)),
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
    fn a_file_that_was_exchanged_for_a_link_gives_nothing_from_outside() {
        use super::{Copying, Directory, Follow, Path, Stage};
        let home = tempfile::tempdir().expect("scratch directory");
        let (source, target) = (home.path().join("app"), home.path().join("target"));
        fs::create_dir_all(source.join("sub")).expect("mkdir");
        fs::create_dir(&target).expect("mkdir");
        fs::write(source.join("sub/secret"), "harmless").expect("write");
        fs::write(home.path().join("secret"), "secret").expect("write");
        let limits = Limits::default();
        let mut stage = Stage::new(&target, &limits, None).expect("a stage");
        let top = Directory::open(&source, Follow::Always).expect("open");
        let sub = top.beneath(Path::new("sub")).expect("open");
        let stat = sub.stat("secret".as_ref()).expect("stat");
        // Between the look and the copy.
        fs::rename(source.join("sub"), source.join("away")).expect("rename");
        symlink("..", source.join("sub")).expect("symlink");
        let mut copying = Copying { source: &source, stage: &mut stage, except: &[] };
        copying.entry(&sub, Path::new("sub/secret"), Path::new("secret"), &stat).expect("a copy");
        assert_eq!(fs::read_to_string(target.join("sub/secret")).expect("read"), "harmless");
        fs::remove_file(source.join("away/secret")).expect("remove");
        symlink("../../secret", source.join("away/secret")).expect("symlink");
        copying
            .entry(&sub, Path::new("sub/other"), Path::new("secret"), &stat)
            .expect_err("not through a link");
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
