//! Content on disk: immutable files named by the SHA-256 of what they hold.
//!
//! A blob comes into being by a rename of a synced temporary file and goes when nothing refers to it. Both happen under
//! the index's write lock, so "is it referenced" cannot change between the question and the act. Readers take no lock:
//! they *pin* what they read, and a blob that loses its last reference while pinned is unlinked by the last reader.

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use crate::error::ArtifactError;

/// SHA-256 of a blob's content, which is also its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BlobId(pub(crate) [u8; 32]);

impl BlobId {
    fn hex(self) -> String {
        hex::encode(self.0)
    }
}

/// A blob or a part of one in the order of an object's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) blob: BlobId,
    pub(crate) size: u64,
}

/// Content received, hashed and synced, but not yet part of the store; dropping it deletes it.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) file: NamedTempFile,
    pub(crate) id: BlobId,
}

#[derive(Debug, Default)]
struct Pin {
    readers: usize,
    doomed: bool,
}

/// The directory of blobs.
#[derive(Debug)]
pub(crate) struct Blobs {
    root: PathBuf,
    objects: PathBuf,
    scratch: PathBuf,
    pins: Mutex<HashMap<BlobId, Pin>>,
}

impl Blobs {
    /// Opens the directory, making it if needed, and throws away what an interrupted process left half-written.
    pub(crate) fn open(root: &Path) -> Result<Self, ArtifactError> {
        let objects = root.join("objects");
        let scratch = root.join("tmp");
        for dir in [&objects, &scratch] {
            make_dir(dir)?;
        }
        // All fan-out directories exist from the start, so placing a blob syncs exactly one directory.
        for byte in 0..=u8::MAX {
            make_dir(&objects.join(hex::encode([byte])))?;
        }
        sync_dir(&objects)?;
        sync_dir(root)?;
        for entry in read_dir(&scratch)? {
            fs::remove_file(&entry).map_err(|e| ArtifactError::io("remove", &entry, e))?;
        }
        Ok(Self { root: root.to_path_buf(), objects, scratch, pins: Mutex::default() })
    }

    /// The store's directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, id: BlobId) -> PathBuf {
        let hex = id.hex();
        self.objects.join(&hex[..2]).join(&hex[2..])
    }

    /// An empty temporary file on the same file system as the blobs.
    pub(crate) fn scratch(&self) -> Result<NamedTempFile, ArtifactError> {
        NamedTempFile::new_in(&self.scratch)
            .map_err(|e| ArtifactError::io("create a file in", &self.scratch.join("upload"), e))
    }

    fn pins(&self) -> MutexGuard<'_, HashMap<BlobId, Pin>> {
        // Every critical section leaves the map consistent, so a panic elsewhere does not spoil it.
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes staged content a blob. The caller holds the index's write lock. Returns whether the blob is new.
    pub(crate) fn place(&self, staged: Staged) -> Result<bool, ArtifactError> {
        let path = self.path(staged.id);
        let mut pins = self.pins();
        if let Some(pin) = pins.get_mut(&staged.id) {
            pin.doomed = false;
        }
        if path.exists() {
            return Ok(false);
        }
        drop(pins);
        staged.file.persist_noclobber(&path).map_err(|e| ArtifactError::io("create", &path, e.error))?;
        if let Err(error) = path.parent().map_or(Ok(()), sync_dir) {
            self.discard(&[staged.id]);
            return Err(error);
        }
        Ok(true)
    }

    /// Unlinks blobs that nothing refers to. The caller holds the index's write lock.
    pub(crate) fn discard(&self, ids: &[BlobId]) {
        for id in ids {
            let mut pins = self.pins();
            match pins.get_mut(id) {
                Some(pin) => pin.doomed = true,
                None => self.unlink(*id),
            }
        }
    }

    fn unlink(&self, id: BlobId) {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Wasted space, not lost data: the next start tries again.
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot remove an unreferenced blob");
            }
        }
    }

    /// Keeps blobs on disk while someone reads them.
    pub(crate) fn pin(self: &Arc<Self>, segments: &[Segment]) -> PinGuard {
        let ids: Vec<BlobId> = segments.iter().map(|s| s.blob).collect();
        let mut pins = self.pins();
        for id in &ids {
            pins.entry(*id).or_default().readers += 1;
        }
        drop(pins);
        PinGuard { blobs: Arc::clone(self), ids }
    }

    fn unpin(&self, ids: &[BlobId]) {
        let mut pins = self.pins();
        for id in ids {
            let Some(pin) = pins.get_mut(id) else { continue };
            pin.readers -= 1;
            if pin.readers == 0 {
                let doomed = pin.doomed;
                pins.remove(id);
                if doomed {
                    self.unlink(*id);
                }
            }
        }
    }

    /// Removes every blob that is not in `keep`: leftovers of a crash between placing and committing. Reports the
    /// referenced blobs that are missing, which only damage from outside can cause.
    pub(crate) fn sweep(&self, keep: &HashSet<BlobId>) -> Result<(), ArtifactError> {
        let mut found = HashSet::with_capacity(keep.len());
        for dir in read_dir(&self.objects)? {
            for path in read_dir(&dir)? {
                match blob_of_path(&path) {
                    Some(id) if keep.contains(&id) => {
                        found.insert(id);
                    }
                    Some(id) => self.unlink(id),
                    None => tracing::warn!(path = %path.display(), "not a file of the artifact store"),
                }
            }
        }
        for lost in keep.difference(&found) {
            tracing::error!(path = %self.path(*lost).display(), "the content of an object is missing");
        }
        Ok(())
    }
}

fn blob_of_path(path: &Path) -> Option<BlobId> {
    let dir = path.parent()?.file_name()?.to_str()?;
    let name = path.file_name()?.to_str()?;
    let mut id = [0; 32];
    hex::decode_to_slice(format!("{dir}{name}"), &mut id).ok()?;
    Some(BlobId(id))
}

/// Pinned blobs; see [`Blobs::pin`].
#[derive(Debug)]
pub(crate) struct PinGuard {
    blobs: Arc<Blobs>,
    ids: Vec<BlobId>,
}

impl Drop for PinGuard {
    fn drop(&mut self) {
        let (blobs, ids) = (Arc::clone(&self.blobs), std::mem::take(&mut self.ids));
        // The last reader of a deleted object unlinks it, and a large unlink takes its time.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || blobs.unpin(&ids))),
            Err(_) => blobs.unpin(&ids),
        }
    }
}

pub(crate) fn make_dir(dir: &Path) -> Result<(), ArtifactError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| ArtifactError::io("create the directory", dir, e))
}

pub(crate) fn sync_dir(dir: &Path) -> Result<(), ArtifactError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| ArtifactError::io("sync the directory", dir, e))
}

fn read_dir(dir: &Path) -> Result<Vec<PathBuf>, ArtifactError> {
    fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect())
        .map_err(|e| ArtifactError::io("list the directory", dir, e))
}
