//! Zip archives.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use jiff::civil;
use jiff::tz::TimeZone;
use zip::extra_fields::ExtraField;
use zip::read::ZipFile;
use zip::{CompressionMethod, ZipArchive};

use super::UnpackError;
use super::stage::{Attributes, Stage};

/// The bits of a Unix mode that tell the kind of a file.
const KIND: u32 = 0o170_000;
const SYMLINK: u32 = 0o120_000;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
/// A path longer than this cannot be a link's target.
const MAX_TARGET: u64 = 4096;

pub(super) fn extract(bundle: &Path, stage: &mut Stage<'_>) -> Result<(), UnpackError> {
    let file = File::open(bundle).map_err(|error| UnpackError::Io { path: bundle.to_owned(), error })?;
    // The library reads the whole directory of the archive into memory.
    if let Some(members) = declared_members(&file).map_err(|error| damaged(&error))?
        && members > stage.limits.max_members
    {
        return Err(UnpackError::Zip(format!(
            "the archive has {members} members; more than {} are not accepted",
            stage.limits.max_members
        )));
    }
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(&error))?;
    let size = archive.decompressed_size().map_or(0, |size| u64::try_from(size).unwrap_or(u64::MAX));
    stage.check_space(size.min(stage.limits.max_size))?;
    for index in 0..archive.len() {
        let raw = archive.by_index_raw(index).map_err(|error| damaged(&error))?;
        let name = raw.name_raw().to_owned();
        check_readable(&raw)?;
        drop(raw);
        let entry = archive.by_index(index).map_err(|error| damaged(&error))?;
        extract_entry(entry, &name, stage)?;
    }
    Ok(())
}

/// What the end of the archive says about the number of members.
fn declared_members(file: &File) -> io::Result<Option<u64>> {
    const END: &[u8] = b"PK\x05\x06";
    const LOCATOR: &[u8] = b"PK\x06\x07";
    const END_64: &[u8] = b"PK\x06\x06";
    /// The end itself, a comment of any length, and the locator of the long form.
    const TAIL: u64 = 22 + 65_535 + 20;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL);
    let mut tail = vec![0; usize::try_from(length - start).unwrap_or_default()];
    file.read_exact_at(&mut tail, start)?;
    let number = |bytes: &[u8], at: usize, size: usize| {
        let bytes = bytes.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    // Something in the comment may look like an end too: the highest number counts.
    let mut most = None;
    for at in (0..tail.len().saturating_sub(3)).filter(|at| tail[*at..].starts_with(END)) {
        let mut members = number(&tail, at + 10, 2);
        if let Some(locator) = at.checked_sub(20)
            && tail[locator..].starts_with(LOCATOR)
            && let Some(place) = number(&tail, locator + 8, 8)
        {
            let mut long = [0; 40];
            if file.read_exact_at(&mut long, place).is_ok() && long.starts_with(END_64) {
                members = number(&long, 32, 8);
            }
        }
        most = most.max(members);
    }
    Ok(most)
}

fn damaged(error: &impl std::fmt::Display) -> UnpackError {
    UnpackError::Zip(error.to_string())
}

fn check_readable<R: io::Read>(entry: &ZipFile<'_, R>) -> Result<(), UnpackError> {
    let refused = |reason: String| UnpackError::Refused { member: entry.name().to_owned(), reason };
    if entry.encrypted() {
        return Err(refused("it is encrypted".to_owned()));
    }
    match entry.compression() {
        CompressionMethod::Stored | CompressionMethod::Deflated => Ok(()),
        other => Err(refused(format!("its compression ({other}) is not supported"))),
    }
}

fn extract_entry<R: io::Read>(
    mut entry: ZipFile<'_, R>,
    name: &[u8],
    stage: &mut Stage<'_>,
) -> Result<(), UnpackError> {
    // Names in the old DOS alphabet are translated; UTF-8 and everything else stays as it is.
    let name =
        if std::str::from_utf8(name).is_ok() { name.to_owned() } else { entry.name().as_bytes().to_owned() };
    let Some(member) = stage.admit(&name)? else { return Ok(()) };
    let mode = entry.unix_mode().unwrap_or(0);
    let attributes = attributes(&entry);
    if name.ends_with(b"/") || mode & KIND == DIRECTORY {
        return stage.directory(&member, attributes);
    }
    match mode & KIND {
        SYMLINK => {
            let mut target = Vec::new();
            entry.by_ref().take(MAX_TARGET + 1).read_to_end(&mut target).map_err(|error| damaged(&error))?;
            if target.len() as u64 > MAX_TARGET {
                return Err(member.refused("it is a symbolic link to nowhere"));
            }
            stage.symlink(&member, &target, attributes)
        }
        0 | REGULAR => {
            let name = member.name.clone();
            let declared = entry.size();
            stage.announce(&member, declared)?;
            let read = stage.file(&member, &mut entry, attributes, |error| {
                UnpackError::Zip(format!("{error} in {name}"))
            })?;
            if read != declared {
                // Whoever looked at the archive saw something else than what is in it.
                return Err(member.refused(format!("it has {read} bytes and says {declared}")));
            }
            Ok(())
        }
        _ => Err(member.refused("devices and pipes are not allowed in bundles")),
    }
}

fn attributes<R: io::Read>(entry: &ZipFile<'_, R>) -> Attributes {
    // Set-user-id and its like are dropped, as unzip drops them; a mode without any bit is the mark of
    // a tool that does not know about modes.
    let mode = entry.unix_mode().map(|mode| mode & 0o777).filter(|mode| *mode != 0);
    Attributes { mode, owner: None, modified: modified(entry).map(|seconds| (seconds, 0)) }
}

/// The time of the extended field, else the DOS time, which is local time.
fn modified<R: io::Read>(entry: &ZipFile<'_, R>) -> Option<i64> {
    for field in entry.extra_data_fields() {
        if let ExtraField::ExtendedTimestamp(times) = field
            && let Some(seconds) = times.mod_time()
        {
            return Some(i64::from(seconds));
        }
    }
    let time = entry.last_modified()?;
    let date = civil::DateTime::new(
        i16::try_from(time.year()).ok()?,
        i8::try_from(time.month()).ok()?,
        i8::try_from(time.day()).ok()?,
        i8::try_from(time.hour()).ok()?,
        i8::try_from(time.minute()).ok()?,
        i8::try_from(time.second()).ok()?,
        0,
    )
    .ok()?;
    Some(TimeZone::system().to_timestamp(date).ok()?.as_second())
}
