//! Bundles: from an archive file to the deployment's archive directory.
//!
//! A bundle is unpacked into a staging directory beside the destination and renamed there in one step,
//! so a destination that exists is complete. Members are streamed; whatever leads out of the directory,
//! needs a device or never ends is refused with its name (D-17). Any failure leaves nothing behind.
//! A directory of this host is a bundle as well, copied by the same rules.

mod directory;
mod stage;
mod tarball;
#[cfg(test)]
mod tests;
mod zipfile;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::layout::sync_directory;
use crate::sys::files::{is_disk_full, sync_filesystem};
use crate::sys::remove::remove_tree;
use stage::Stage;

/// The kinds of bundles of a Server deployment (AS-007).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleType {
    /// A tar archive.
    Tar,
    /// A tar archive compressed with gzip.
    Tgz,
    /// A zip archive.
    Zip,
    /// A directory of this host (local deployments, and revisions that are there already, AP-28).
    Directory,
}

impl BundleType {
    /// The kind named by a deployment spec; an unknown name means tar (AG-092).
    pub fn from_name(name: &str) -> Self {
        match name {
            "zip" => Self::Zip,
            "tgz" => Self::Tgz,
            _ => Self::Tar,
        }
    }
}

/// What a bundle may hold. The defaults break no legitimate bundle (D-17).
#[derive(Debug, Clone)]
pub struct Limits {
    /// No more bytes than this are unpacked (`archive_max_extraction_size`).
    pub max_size: u64,
    /// No more members than this are unpacked, directories on the way to them included (`archive_max_members`).
    pub max_members: u64,
    /// A packed bundle unpacks to no more than so many times its own size (`archive_max_ratio`) …
    pub max_ratio: u64,
    /// … or to so many bytes: small bundles may unpack to any multiple of their size.
    pub ratio_counts_from: u64,
    /// Refuse every symbolic link (`reject_symlinks_in_bundle`).
    pub reject_symlinks: bool,
    /// Refuse members and links that lead out (`reject_path_traversal_in_bundle`); without it a member
    /// still lands inside, as `tar` and `unzip` do it.
    pub reject_path_traversal: bool,
    /// Refuse set-user-id and set-group-id members (`reject_unsafe_permissions_in_bundle`).
    pub reject_unsafe_permissions: bool,
    /// Do not apply the owners recorded in a tar archive (`ignore_ownership_in_bundle`).
    pub ignore_ownership: bool,
    /// The agent's own root directory, which is no part of a directory around it that is deployed.
    pub left_out: Option<PathBuf>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_size: 100 << 30,
            max_members: 2_000_000,
            max_ratio: 250,
            ratio_counts_from: 1 << 30,
            reject_symlinks: false,
            reject_path_traversal: true,
            reject_unsafe_permissions: false,
            ignore_ownership: false,
            left_out: None,
        }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// Files, directories and links in the bundle.
    pub members: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// The leading directory that was removed (AS-008).
    pub stripped: Option<String>,
}

/// Why a bundle was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// AG-098, AG-017.
    #[error("The disk is (or was) full during extraction.")]
    DiskFull,
    /// A member that must not be unpacked (D-17).
    #[error("The bundle was refused because of its member {member}: {reason}")]
    Refused {
        /// The member as named in the bundle.
        member: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A damaged tar archive (AG-092).
    #[error("Error extracting tar archive: {0}")]
    Tar(String),
    /// A damaged zip archive.
    #[error("Error extracting zip archive: {0}")]
    Zip(String),
    /// The host's file system failed.
    #[error("{error} - {path}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
}

/// Tells a full disk from other failures to write.
pub(crate) fn write_error(path: &Path, error: io::Error) -> UnpackError {
    if is_disk_full(&error) {
        UnpackError::DiskFull
    } else {
        UnpackError::Io { path: path.to_owned(), error }
    }
}

/// Unpacks `bundle` so that `destination` holds it and nothing else. Blocks; call it off the runtime.
pub fn unpack(
    bundle: &Path,
    kind: BundleType,
    destination: &Path,
    limits: &Limits,
) -> Result<Unpacked, UnpackError> {
    let staging = staging_beside(destination);
    // The old archive goes first: it also gives back the space that the new one needs (AG-092).
    remove(destination)?;
    remove(&staging)?;
    let result = fill(bundle, kind, &staging, destination, limits);
    if result.is_err() {
        // The first error is the one to report; what cannot be removed now is removed by the next try.
        let _ = remove(&staging);
    }
    result
}

/// The note for a missing AppSpec file when the bundle was packed by the macOS Finder (AS-173).
pub fn macosx_note(archive: &Path) -> Option<String> {
    archive.join("__MACOSX").is_dir().then(|| {
        "The revision holds a __MACOSX directory beside its content, so its single top-level directory was not removed; pack it without that directory (zip -X, or ditto --norsrc)."
            .to_owned()
    })
}

fn staging_beside(destination: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(destination.file_name().unwrap_or_default());
    name.push(".unpacking");
    destination.with_file_name(name)
}

fn remove(path: &Path) -> Result<(), UnpackError> {
    remove_tree(path).map_err(|error| UnpackError::Io { path: path.to_owned(), error })
}

fn fill(
    bundle: &Path,
    kind: BundleType,
    staging: &Path,
    destination: &Path,
    limits: &Limits,
) -> Result<Unpacked, UnpackError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| write_error(&path, error)
    };
    if let Some(parent) = staging.parent() {
        fs::create_dir_all(parent).map_err(io(parent))?;
    }
    // Nobody else enters before everything has its owner: a user who got a directory first could exchange what is in it.
    fs::DirBuilder::new().mode(0o700).create(staging).map_err(io(staging))?;
    let packed = match kind {
        BundleType::Directory => None,
        _ => Some(fs::metadata(bundle).map_err(io(bundle))?.len()),
    };
    let mut stage = Stage::new(staging, limits, packed)?;
    match kind {
        BundleType::Zip => zipfile::extract(bundle, &mut stage)?,
        BundleType::Tar | BundleType::Tgz => tarball::extract(bundle, &mut stage)?,
        BundleType::Directory => {
            let left_out = limits.left_out.as_deref().unwrap_or(staging);
            directory::copy(bundle, &mut stage, &[staging, destination, left_out])?;
        }
    }
    let stripped = match kind {
        // Whoever names a directory means that one.
        BundleType::Directory => None,
        _ => leading_directory(staging).map_err(io(staging))?,
    };
    let root = stripped.as_ref().map_or_else(|| staging.to_owned(), |name| staging.join(name));
    let (members, bytes) = stage.finish(&root)?;
    if stripped.is_none() {
        // Scripts of other users (`runas`) are in there.
        fs::set_permissions(staging, fs::Permissions::from_mode(0o755)).map_err(io(staging))?;
    }
    sync_filesystem(staging).map_err(io(staging))?;
    fs::rename(&root, destination).map_err(io(destination))?;
    if stripped.is_some() {
        fs::remove_dir(staging).map_err(io(staging))?;
    }
    if let Some(parent) = destination.parent() {
        sync_directory(parent).map_err(io(parent))?;
    }
    let stripped = stripped.map(|name| name.to_string_lossy().into_owned());
    Ok(Unpacked { members, bytes, stripped })
}

/// The only top-level entry, when it is a directory that holds an entry named like an AppSpec file
/// (AS-008, AG-099).
fn leading_directory(staging: &Path) -> io::Result<Option<std::ffi::OsString>> {
    let mut entries = fs::read_dir(staging)?;
    let (Some(only), None) = (entries.next().transpose()?, entries.next()) else { return Ok(None) };
    if !only.file_type()?.is_dir() {
        return Ok(None);
    }
    for entry in fs::read_dir(only.path())? {
        if entry?.file_name().to_string_lossy().to_ascii_lowercase().contains("appspec") {
            return Ok(Some(only.file_name()));
        }
    }
    Ok(None)
}
