//! The zip file of a revision.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::Members;

/// From this size on an entry needs the 64-bit form.
const LARGE: u64 = u32::MAX as u64;

/// An archive that cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("cannot read {}: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the archive in {}: {source}", .directory.display())]
    Write { directory: PathBuf, source: io::Error },
}

/// A written archive, at its beginning; its file has no name and goes with it.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) file: File,
    pub(crate) size: u64,
}

/// Writes the members into a temporary file, one after the other: the size of a bundle is bounded by the disk only.
pub(crate) fn write(members: &Members) -> Result<Archive, ArchiveError> {
    let directory = std::env::temp_dir();
    let failed = |source| ArchiveError::Write { directory: directory.clone(), source };
    let file = tempfile::tempfile().map_err(failed)?;
    let mut zip = ZipWriter::new(BufWriter::new(file));
    for member in &members.files {
        let unreadable = |source| ArchiveError::Read { path: member.path.clone(), source };
        let source = File::open(&member.path).map_err(unreadable)?;
        let metadata = source.metadata().map_err(unreadable)?;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(metadata.permissions().mode() & 0o7777)
            .last_modified_time(metadata.modified().ok().and_then(dos_time).unwrap_or_default())
            .large_file(metadata.len() >= LARGE);
        zip.start_file(&member.name, options).map_err(|error| failed(error.into()))?;
        copy(BufReader::new(source), &mut zip, &unreadable, &failed)?;
    }
    let mut file = zip
        .finish()
        .map_err(|error| failed(error.into()))?
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    let size = file.stream_position().map_err(failed)?;
    file.rewind().map_err(failed)?;
    Ok(Archive { file, size })
}

/// [`io::copy`] that tells which side has failed.
fn copy(
    mut from: impl io::BufRead,
    to: &mut impl io::Write,
    unreadable: &dyn Fn(io::Error) -> ArchiveError,
    failed: &dyn Fn(io::Error) -> ArchiveError,
) -> Result<(), ArchiveError> {
    loop {
        let buffer = match from.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(unreadable)?,
        };
        if buffer.is_empty() {
            return Ok(());
        }
        to.write_all(buffer).map_err(failed)?;
        let length = buffer.len();
        from.consume(length);
    }
}

/// Archives hold local time, in steps of two seconds, from 1980 on.
fn dos_time(time: std::time::SystemTime) -> Option<DateTime> {
    let time = jiff::Timestamp::try_from(time).ok()?.to_zoned(jiff::tz::TimeZone::system());
    let narrow = |number: i8| u8::try_from(number).ok();
    DateTime::from_date_and_time(
        u16::try_from(time.year()).ok()?,
        narrow(time.month())?,
        narrow(time.day())?,
        narrow(time.hour())?,
        narrow(time.minute())?,
        narrow(time.second())?,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;

    use super::*;
    use crate::bundle::collect;

    #[test]
    fn an_archive_holds_the_files_with_content_and_mode_and_no_directories() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("appspec.yml"), "version: 0.0\n").unwrap();
        fs::create_dir(dir.path().join("scripts")).unwrap();
        let script = dir.path().join("scripts/go.sh");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o750)).unwrap();

        let archive = write(&collect(dir.path(), false).unwrap()).unwrap();
        assert_eq!(archive.file.metadata().unwrap().len(), archive.size);
        let mut zip = zip::ZipArchive::new(archive.file).unwrap();
        assert_eq!(zip.file_names().collect::<Vec<_>>(), ["appspec.yml", "scripts/go.sh"]);
        let mut entry = zip.by_name("scripts/go.sh").unwrap();
        assert_eq!(entry.unix_mode().unwrap() & 0o7777, 0o750);
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert_eq!(text, "#!/bin/sh\n");
    }

    #[test]
    fn the_same_directory_makes_the_same_archive() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["appspec.yml", "z", "a"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let bytes = || {
            let mut bytes = Vec::new();
            write(&collect(dir.path(), false).unwrap()).unwrap().file.read_to_end(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(bytes(), bytes());
    }

    #[test]
    fn times_before_the_format_s_epoch_do_not_stop_the_archive() {
        assert!(dos_time(std::time::UNIX_EPOCH).is_none());
        assert!(dos_time(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000)).is_some());
    }
}
