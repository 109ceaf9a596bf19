//! The part of a bundle that has come so far: a file beside the destination that a broken connection does not lose.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use md5::{Digest as _, Md5};
use tempfile::TempPath;
use tokio::sync::mpsc;

use super::DownloadError;
use crate::sys::files::{LEAVE_FREE, LOOK_EVERY, free_space, is_disk_full};

/// So many pieces wait for the disk; each is at most what the connection reads at once (400 kB).
const WAITING: usize = 8;

/// What has come of one bundle.
#[derive(Debug)]
pub(super) struct Part {
    destination: PathBuf,
    /// Deleted by itself on every way out but [`Part::finish`].
    path: TempPath,
    file: File,
    length: u64,
    /// Of what has come, when somebody wants to know.
    digest: Option<Md5>,
}

impl Part {
    /// An empty part beside `destination`; what an earlier attempt left there is lost.
    pub(super) fn create(destination: &Path) -> Result<Self, DownloadError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(destination.file_name().unwrap_or_default());
        name.push(".part");
        let path = destination.with_file_name(name);
        let failed = |error| failure(destination, error);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let path = TempPath::try_from_path(path).map_err(failed)?;
        Ok(Self { destination: destination.to_owned(), path, file, length: 0, digest: None })
    }

    /// Bytes that have come.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Forgets what has come. `digest`: whether [`Part::digest`] will be asked for.
    pub(super) fn restart(&mut self, digest: bool) -> Result<(), DownloadError> {
        self.length = 0;
        self.digest = digest.then(Md5::new);
        let emptied = self.file.set_len(0).and_then(|()| io::Seek::rewind(&mut self.file));
        emptied.map_err(|error| failure(&self.destination, error))
    }

    /// The MD5 of what has come.
    pub(super) fn digest(&self) -> Option<String> {
        self.digest.clone().map(|digest| hex::encode(digest.finalize()))
    }

    fn append(&mut self, data: &[u8]) -> io::Result<()> {
        if self.length / LOOK_EVERY != (self.length + data.len() as u64) / LOOK_EVERY
            && free_space(&self.file).is_some_and(|free| free < LEAVE_FREE)
        {
            // A body without end must not take the last block from the rest of the host.
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all(data)?;
        if let Some(digest) = &mut self.digest {
            digest.update(data);
        }
        self.length += data.len() as u64;
        Ok(())
    }

    /// Appends a body. What has come stays, whatever happens to the rest. Writing and the digest have a thread of their
    /// own: the connection is read meanwhile.
    pub(super) async fn receive(
        self,
        mut body: Incoming,
        idle: Duration,
    ) -> (Self, Result<(), DownloadError>) {
        if let Err(error) = self.check_space(body.size_hint().lower()) {
            return (self, Err(error));
        }
        let destination = self.destination.clone();
        let (pieces, waiting) = mpsc::channel::<Bytes>(WAITING);
        let writer = tokio::task::spawn_blocking(move || write(self, waiting));
        let outcome = loop {
            let frame = match tokio::time::timeout(idle, body.frame()).await {
                Err(_) => {
                    let seconds = idle.as_secs();
                    break Err(DownloadError::Interrupted(format!("nothing came for {seconds} seconds")));
                }
                Ok(None) => break Ok(()),
                Ok(Some(Err(error))) => break Err(DownloadError::Interrupted(error.to_string())),
                Ok(Some(Ok(frame))) => frame,
            };
            if let Ok(data) = frame.into_data()
                && pieces.send(data).await.is_err()
            {
                // The writer has failed and tells why.
                break Ok(());
            }
        };
        drop(pieces);
        match writer.await {
            Ok((part, Ok(()))) => (part, outcome),
            Ok((part, Err(error))) => (part, Err(failure(&destination, error))),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// A bundle that cannot fit is refused before its first byte (AG-017).
    fn check_space(&self, expected: u64) -> Result<(), DownloadError> {
        // A file system that does not tell its size shows when it is full.
        match free_space(&self.file) {
            Some(free) if expected > free => Err(DownloadError::DiskFull(self.destination.clone())),
            _ => Ok(()),
        }
    }

    /// Takes everything of a local file, inside the system where that can do it.
    pub(super) fn copy_from(&self, input: &mut File) -> Result<(), DownloadError> {
        io::copy(input, &mut &self.file).map(drop).map_err(|error| failure(&self.destination, error))
    }

    /// Puts the bundle in its place.
    pub(super) fn finish(self) -> Result<(), DownloadError> {
        let Self { destination, path, .. } = self;
        path.persist(&destination).map_err(|error| failure(&destination, error.error))
    }
}

fn write(mut part: Part, mut pieces: mpsc::Receiver<Bytes>) -> (Part, io::Result<()>) {
    while let Some(piece) = pieces.blocking_recv() {
        if let Err(error) = part.append(&piece) {
            return (part, Err(error));
        }
    }
    (part, Ok(()))
}

/// Tells a full disk from other failures to write.
pub(super) fn failure(destination: &Path, error: io::Error) -> DownloadError {
    if is_disk_full(&error) {
        DownloadError::DiskFull(destination.to_owned())
    } else {
        DownloadError::Write { path: destination.to_owned(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::Part;

    #[test]
    fn a_part_is_gone_with_its_download_and_a_finished_one_is_in_place() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let bundle = directory.path().join("bundle.tar");
        let names = || std::fs::read_dir(directory.path()).expect("the directory").count();
        std::fs::write(directory.path().join(".bundle.tar.part"), "of a crash").expect("write");
        let mut part = Part::create(&bundle).expect("a part");
        part.restart(true).expect("empty");
        part.append(b"wrong").expect("append");
        part.restart(true).expect("empty");
        part.append(b"abc").expect("append");
        assert_eq!(part.digest().as_deref(), Some("900150983cd24fb0d6963f7d28e17f72"));
        drop(part);
        assert_eq!(names(), 0);
        let mut part = Part::create(&bundle).expect("a part");
        part.append(b"abc").expect("append");
        part.finish().expect("in place");
        assert_eq!((std::fs::read(&bundle).expect("read"), names()), (b"abc".to_vec(), 1));
    }
}
