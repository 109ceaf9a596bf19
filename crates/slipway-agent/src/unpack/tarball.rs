//! Tar archives, plain or gzipped.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::GzDecoder;
use tar::{Archive, Entry, EntryType};

use super::UnpackError;
use super::stage::{Attributes, Member, Stage};
use crate::sys::accounts::local_id;

/// The headers before one member (long names, extended attributes) may take this much; the archive
/// library keeps them in memory.
const MAX_HEADERS: u64 = 4 << 20;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// The highest id means "leave unchanged" to the system call.
const MAX_ID: u64 = u32::MAX as u64 - 1;

pub(super) fn extract(bundle: &Path, stage: &mut Stage<'_>) -> Result<(), UnpackError> {
    let opened = |error| UnpackError::Io { path: bundle.to_owned(), error };
    let mut file = BufReader::with_capacity(128 * 1024, File::open(bundle).map_err(opened)?);
    // As tar itself does it: the content says whether it is compressed, not the name.
    let gzipped = file.fill_buf().map_err(opened)?.starts_with(GZIP_MAGIC);
    // What is packed takes at least its own size, headers aside.
    let size = file.get_ref().metadata().map_err(opened)?.len();
    stage.check_space(if gzipped { size } else { size / 2 })?;
    if gzipped { extract_stream(Gunzip::new(file), stage) } else { extract_stream(file, stage) }
}

fn extract_stream(stream: impl Read, stage: &mut Stage<'_>) -> Result<(), UnpackError> {
    let budget = Rc::new(Cell::new(MAX_HEADERS));
    let mut archive = Archive::new(Metered { stream, budget: Rc::clone(&budget) });
    let mut owners = Owners::default();
    {
        let mut entries = archive.entries().map_err(|error| damaged(&error))?;
        loop {
            budget.set(MAX_HEADERS);
            let Some(entry) = entries.next() else { break };
            let mut entry = entry.map_err(|error| damaged(&error))?;
            budget.set(u64::MAX);
            extract_entry(&mut entry, stage, &mut owners)?;
            // Content that was not asked for must not count as headers of the next member.
            io::copy(&mut entry, &mut io::sink()).map_err(|error| damaged(&error))?;
        }
    }
    // Read to the end: only there does gzip tell that its content is whole.
    budget.set(stage.limits.max_size);
    let after = io::copy(&mut archive.into_inner(), &mut io::sink());
    match after {
        Err(_) if budget.get() == 0 => {
            Err(UnpackError::Tar("what follows its last member never ends".to_owned()))
        }
        result => result.map(drop).map_err(|error| damaged(&error)),
    }
}

fn damaged(error: &io::Error) -> UnpackError {
    let text = error.to_string();
    // What the library adds is the header itself, which need not be text.
    UnpackError::Tar(text.split(" when getting ").next().unwrap_or_default().to_owned())
}

fn extract_entry<R: Read>(
    entry: &mut Entry<'_, R>,
    stage: &mut Stage<'_>,
    owners: &mut Owners,
) -> Result<(), UnpackError> {
    let kind = entry.header().entry_type();
    // Remarks about the archive, not members: GitHub's tarballs begin with one.
    if kind.is_pax_global_extensions() || matches!(kind.as_byte(), b'V' | b'M' | b'N') {
        return Ok(());
    }
    let name = entry.path_bytes().into_owned();
    let Some(member) = stage.admit(&name)? else { return Ok(()) };
    let mut attributes = attributes(entry, &member, owners)?;
    if stage.limits.ignore_ownership {
        attributes.owner = None;
    }
    match kind {
        EntryType::Directory => stage.directory(&member, attributes),
        EntryType::Symlink => stage.symlink(&member, &link_target(entry, &member)?, attributes),
        EntryType::Link => stage.hard_link(&member, &link_target(entry, &member)?),
        EntryType::Char | EntryType::Block | EntryType::Fifo => {
            Err(member.refused("devices and pipes are not allowed in bundles"))
        }
        // The oldest archives mark directories by the name alone.
        _ if name.ends_with(b"/") => stage.directory(&member, attributes),
        _ => {
            let declared = entry.size();
            let mut counted = Counted { inner: entry, read: 0 };
            stage.file(&member, &mut counted, attributes, damaged)?;
            if !kind.is_gnu_sparse() && counted.read < declared {
                return Err(UnpackError::Tar(format!("unexpected end of the archive in {}", member.name)));
            }
            Ok(())
        }
    }
}

fn link_target<R: Read>(entry: &Entry<'_, R>, member: &Member) -> Result<Vec<u8>, UnpackError> {
    entry
        .link_name_bytes()
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| member.refused("it is a link to nowhere"))
}

fn attributes<R: Read>(
    entry: &mut Entry<'_, R>,
    member: &Member,
    owners: &mut Owners,
) -> Result<Attributes, UnpackError> {
    let mut precise = None;
    if let Some(extensions) = entry.pax_extensions().map_err(|error| damaged(&error))? {
        for extension in extensions {
            let extension = extension.map_err(|error| damaged(&error))?;
            // Only tar itself knows how to fill in the holes; read as plain bytes it would be garbage.
            if extension.key_bytes().starts_with(b"GNU.sparse.") {
                return Err(member.refused("sparse files of this format are not supported"));
            }
            if extension.key_bytes() == b"mtime" {
                precise = extension.value().ok().and_then(pax_time);
            }
        }
    }
    let header = entry.header();
    let id = |id: io::Result<u64>| id.unwrap_or(0).min(MAX_ID) as u32;
    let uid = owners.user(header.username_bytes()).unwrap_or_else(|| id(header.uid()));
    let gid = owners.group(header.groupname_bytes()).unwrap_or_else(|| id(header.gid()));
    let seconds = header.mtime().ok().map(|mtime| (mtime.cast_signed(), 0));
    Ok(Attributes {
        mode: header.mode().ok().map(|mode| mode & 0o7777),
        owner: Some((uid, gid)),
        modified: precise.or(seconds).filter(|(seconds, _)| seconds.unsigned_abs() < 1 << 40),
    })
}

/// Seconds with a decimal fraction.
fn pax_time(text: &str) -> Option<(i64, u32)> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    // Before 1970 the fraction counts the other way; whole seconds are good enough there.
    if seconds < 0 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some((seconds, 0));
    }
    let nanoseconds = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    Some((seconds, nanoseconds.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))))
}

/// Owners by name, each looked up once: names beat numbers where this host knows them, as in tar.
#[derive(Default)]
struct Owners {
    users: HashMap<Vec<u8>, Option<u32>>,
    groups: HashMap<Vec<u8>, Option<u32>>,
}

impl Owners {
    fn user(&mut self, name: Option<&[u8]>) -> Option<u32> {
        look_up(&mut self.users, "/etc/passwd", name)
    }

    fn group(&mut self, name: Option<&[u8]>) -> Option<u32> {
        look_up(&mut self.groups, "/etc/group", name)
    }
}

fn look_up(known: &mut HashMap<Vec<u8>, Option<u32>>, file: &str, name: Option<&[u8]>) -> Option<u32> {
    let name = name.filter(|name| !name.is_empty())?;
    if let Some(id) = known.get(name) {
        return *id;
    }
    let id = std::str::from_utf8(name).ok().and_then(|name| local_id(file, name));
    known.insert(name.to_owned(), id);
    id
}

/// Counts what was read of a member.
struct Counted<'a, R> {
    inner: &'a mut R,
    read: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

/// Stops a stream that goes on where only headers may be.
struct Metered<R> {
    stream: R,
    budget: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let budget = self.budget.get();
        if budget == 0 && !buffer.is_empty() {
            return Err(io::Error::other("the headers of a member never end"));
        }
        let most = usize::try_from(budget).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.stream.read(&mut buffer[..most])?;
        self.budget.set(budget - read as u64);
        Ok(read)
    }
}

/// Gzip members one after another; bytes after the last one are ignored, as gzip ignores them.
struct Gunzip<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Gunzip<R> {
    fn new(stream: R) -> Self {
        Self(Some(GzDecoder::new(stream)))
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut member) = self.0.take() {
            let read = member.read(buffer);
            if !matches!(read, Ok(0)) || buffer.is_empty() {
                self.0 = Some(member);
                return read;
            }
            let mut stream = member.into_inner();
            if stream.fill_buf()?.starts_with(GZIP_MAGIC) {
                self.0 = Some(GzDecoder::new(stream));
            }
        }
        Ok(0)
    }
}
