//! The files of the trail: one is written at a time, and is complete and never changed once it is sealed.
//!
//! A file is `{"Records":[`, one record on each line, `]}` (DP-431). Sealed files are entered in `chain.jsonl`, each
//! entry with the hash of its file and of the entry before, so that a file that was changed, removed or slipped in
//! later shows (DP-434).

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{self, SHA256};
use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};

/// Directory of the trail in the data directory.
pub(super) const DIRECTORY: &str = "audit";
/// The chain of sealed files.
pub(super) const CHAIN: &str = "chain.jsonl";
const HEAD: &[u8] = b"{\"Records\":[\n";
const TAIL: &[u8] = b"\n]}\n";
const NAME_PREFIX: &str = "slipway-audit-";
const NAME_SUFFIX: &str = ".json";

/// The trail cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The chain of sealed files cannot be read.
    #[error("line {line} of {path} is damaged: {source}")]
    Chain {
        /// Line, from 1.
        line: usize,
        /// The chain.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// When a file is sealed and the next one begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// When it is so old, in milliseconds.
    pub after_ms: i64,
    /// When it is so long, in bytes.
    pub after_bytes: u64,
}

/// One line of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link {
    /// Name of the file.
    pub(super) file: String,
    /// SHA-256 of its content, hexadecimal.
    pub(super) sha256: String,
    /// Number of its records.
    pub(super) records: u64,
    /// SHA-256 of the line before; empty in the first.
    pub(super) previous: String,
}

/// The trail on disk.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    rotation: Rotation,
    active: Option<Active>,
    next: u64,
    /// SHA-256 of the last line of the chain.
    last: String,
    unsynced: bool,
    news: bool,
}

#[derive(Debug)]
struct Active {
    file: File,
    path: PathBuf,
    opened_ms: i64,
    bytes: u64,
    records: u64,
}

impl Files {
    /// Opens the trail below a data directory. A file that a crash left open is sealed without its torn last line.
    pub(super) fn open(data_dir: &Path, rotation: Rotation) -> Result<Self, AuditError> {
        let directory = data_dir.join(DIRECTORY);
        files::private_directory(&directory)?;
        let links = chain(&directory)?;
        let names = names(&directory)?;
        let mut opened = Self {
            next: names.iter().filter_map(|name| number(name)).max().map_or(1, |last| last + 1),
            last: links.last().map_or_else(String::new, |(_, hash)| hash.clone()),
            directory,
            rotation,
            active: None,
            unsynced: false,
            news: true,
        };
        for name in names {
            if !links.iter().any(|(link, _)| link.file == name) {
                opened.adopt(&name)?;
            }
        }
        Ok(opened)
    }

    /// Appends records, one line each.
    pub(super) fn append(&mut self, lines: &[String], now_ms: i64) -> Result<(), AuditError> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.active.is_none() {
            self.active = Some(self.begin(now_ms)?);
        }
        let Some(active) = &mut self.active else { return Ok(()) };
        let mut text = Vec::with_capacity(lines.iter().map(|line| line.len() + 2).sum());
        for (index, line) in lines.iter().enumerate() {
            if index > 0 || active.records > 0 {
                text.extend_from_slice(b",\n");
            }
            text.extend_from_slice(line.as_bytes());
        }
        if let Err(source) = active.file.write_all(&text) {
            let error = FileError::new("write", &active.path, source);
            // A part of a record would spoil the file. Where it cannot be taken back, the file is left as a crash would
            // leave it, and the next record begins another one.
            if active.file.set_len(HEAD.len() as u64 + active.bytes).is_err() {
                self.active = None;
            }
            return Err(error.into());
        }
        active.bytes += text.len() as u64;
        active.records += lines.len() as u64;
        self.unsynced = true;
        Ok(())
    }

    /// Whether files have been sealed since this was last asked; at first always.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Makes what was appended durable.
    pub(super) fn sync(&mut self) -> Result<(), AuditError> {
        if let (true, Some(active)) = (self.unsynced, &self.active) {
            let synced = active.file.sync_data();
            synced.map_err(|source| FileError::new("sync", &active.path, source))?;
        }
        self.unsynced = false;
        Ok(())
    }

    /// Seals the file that is being written, if it is old or long enough.
    pub(super) fn rotate(&mut self, now_ms: i64) -> Result<(), AuditError> {
        let due = self.active.as_ref().is_some_and(|active| {
            now_ms - active.opened_ms >= self.rotation.after_ms || active.bytes >= self.rotation.after_bytes
        });
        if due { self.seal() } else { Ok(()) }
    }

    /// Seals the file that is being written.
    pub(super) fn seal(&mut self) -> Result<(), AuditError> {
        let Some(mut active) = self.active.take() else { return Ok(()) };
        self.unsynced = false;
        let written = active.file.write_all(TAIL).and_then(|()| active.file.sync_all());
        written.map_err(|source| FileError::new("write", &active.path, source))?;
        self.link(&active.path, active.records)
    }

    /// Names of sealed files behind `after`, in their order.
    pub(super) fn sealed_after(&self, after: &str) -> Result<Vec<String>, AuditError> {
        let links = chain(&self.directory)?.into_iter().map(|(link, _)| link.file);
        Ok(links.filter(|name| name.as_str() > after).collect())
    }

    /// Where a file of the trail is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn begin(&mut self, now_ms: i64) -> Result<Active, AuditError> {
        let stamp: String = super::record::time(now_ms).chars().filter(|c| !"-:".contains(*c)).collect();
        let path = self.directory.join(format!("{NAME_PREFIX}{:010}-{stamp}{NAME_SUFFIX}", self.next));
        let fail = |source| FileError::new("create", &path, source);
        let mut file =
            File::options().append(true).create_new(true).mode(files::SECRET).open(&path).map_err(fail)?;
        self.next += 1;
        file.write_all(HEAD).map_err(fail)?;
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(fail)?;
        Ok(Active { file, path, opened_ms: now_ms, bytes: 0, records: 0 })
    }

    /// Seals what a process that is gone was writing.
    fn adopt(&mut self, name: &str) -> Result<(), AuditError> {
        let path = self.directory.join(name);
        let fail = |source| FileError::new("repair", &path, source);
        let mut file = File::options().read(true).write(true).open(&path).map_err(fail)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(fail)?;
        let records = if let Some(lines) = text.strip_prefix(HEAD).and_then(|rest| rest.strip_suffix(TAIL)) {
            count(lines)
        } else {
            let (whole, records) = whole_lines(&text);
            let mut repaired = if records == 0 { HEAD.to_vec() } else { text[..whole].to_vec() };
            repaired.extend_from_slice(TAIL);
            file.seek(SeekFrom::Start(0)).map_err(fail)?;
            file.set_len(0).and_then(|()| file.write_all(&repaired)).map_err(fail)?;
            file.sync_all().map_err(fail)?;
            records
        };
        self.link(&path, records)
    }

    fn link(&mut self, path: &Path, records: u64) -> Result<(), AuditError> {
        let content = fs::read(path).map_err(|source| FileError::new("read", path, source))?;
        let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        self.news = true;
        let link = Link { file, sha256: sha256(&content), records, previous: self.last.clone() };
        let mut line = serde_json::to_string(&link).expect("texts and numbers always serialise");
        self.last = sha256(line.as_bytes());
        line.push('\n');
        let chain = self.directory.join(CHAIN);
        let write = || -> io::Result<()> {
            let mut file = File::options().append(true).create(true).mode(files::SECRET).open(&chain)?;
            file.write_all(line.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|source| FileError::new("write", &chain, source).into())
    }
}

/// How far a file that is still open consists of whole records, and how many.
fn whole_lines(text: &[u8]) -> (usize, u64) {
    let Some(rest) = text.strip_prefix(HEAD) else { return (0, 0) };
    let (mut end, mut at, mut records) = (HEAD.len(), HEAD.len(), 0);
    for line in rest.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let record = line.strip_suffix(b"\n").unwrap_or(line);
        let record = record.strip_suffix(b",").unwrap_or(record);
        if serde_json::from_slice::<serde::de::IgnoredAny>(record).is_err() {
            break;
        }
        end = at - (line.len() - record.len());
        records += 1;
    }
    (end, records)
}

fn count(lines: &[u8]) -> u64 {
    lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64
}

/// The chain with the hash of each line; a torn last line is not yet part of it and cut off.
pub(super) fn chain(directory: &Path) -> Result<Vec<(Link, String)>, AuditError> {
    let path = directory.join(CHAIN);
    let Some(text) = files::read_text(&path)? else { return Ok(Vec::new()) };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        files::write_atomic(&path, &text.as_bytes()[..whole], files::SECRET)?;
    }
    text[..whole]
        .lines()
        .enumerate()
        .map(|(index, line)| match serde_json::from_str(line) {
            Ok(link) => Ok((link, sha256(line.as_bytes()))),
            Err(source) => {
                Err(AuditError::Chain { line: index + 1, path: path.display().to_string(), source })
            }
        })
        .collect()
}

/// The files of the trail, oldest first.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, AuditError> {
    let fail = |source| FileError::new("read", directory, source);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        names.extend(name.to_str().filter(|name| number(name).is_some()).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

fn number(name: &str) -> Option<u64> {
    let rest = name.strip_prefix(NAME_PREFIX)?.strip_suffix(NAME_SUFFIX)?;
    rest.split_once('-')?.0.parse().ok()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&SHA256, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROTATION: Rotation = Rotation { after_ms: 1000, after_bytes: 1 << 20 };

    fn records(path: &Path) -> Vec<serde_json::Value> {
        let file: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        file["Records"].as_array().unwrap().clone()
    }

    fn append(files: &mut Files, from: u32, to: u32, now_ms: i64) {
        let lines: Vec<String> = (from..to).map(|n| format!("{{\"n\":{n}}}")).collect();
        files.append(&lines, now_ms).unwrap();
    }

    #[test]
    fn sealed_files_are_cloudtrails_and_form_a_chain_dp_431_dp_434() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::open(dir.path(), ROTATION).unwrap();
        append(&mut files, 0, 3, 5);
        files.rotate(500).unwrap();
        assert!(files.sealed_after("").unwrap().is_empty(), "it is not old enough");
        append(&mut files, 3, 4, 600);
        files.rotate(1005).unwrap();
        append(&mut files, 4, 5, 2000);
        files.seal().unwrap();
        let sealed = files.sealed_after("").unwrap();
        assert_eq!(sealed.len(), 2);
        assert_eq!(records(&files.path(&sealed[0])).len(), 4);
        let links = chain(&dir.path().join(DIRECTORY)).unwrap();
        assert_eq!(links[0].0.previous, "");
        assert_eq!(links[1].0.previous, links[0].1);
        assert_eq!(links[1].0.sha256, sha256(&fs::read(files.path(&sealed[1])).unwrap()));
        assert_eq!(files.sealed_after(&sealed[0]).unwrap(), sealed[1..]);
    }

    #[test]
    fn what_a_crash_left_open_is_sealed_without_its_torn_line() {
        for torn in ["", ",\n", ",\n{\"n\":", ",\n{\"n\":2}"] {
            let dir = tempfile::tempdir().unwrap();
            let mut files = Files::open(dir.path(), ROTATION).unwrap();
            append(&mut files, 0, 2, 5);
            let path = files.active.as_ref().unwrap().path.clone();
            drop(files);
            File::options().append(true).open(&path).unwrap().write_all(torn.as_bytes()).unwrap();
            let mut files = Files::open(dir.path(), ROTATION).unwrap();
            let whole = if torn.ends_with('}') { 3 } else { 2 };
            assert_eq!(records(&path).len(), whole, "{torn:?}");
            append(&mut files, 7, 8, 9);
            files.seal().unwrap();
            let links = chain(&dir.path().join(DIRECTORY)).unwrap();
            assert_eq!(links.iter().map(|(link, _)| link.records).sum::<u64>(), whole as u64 + 1);
        }
    }

    #[test]
    fn a_file_that_was_only_begun_is_sealed_empty() {
        for left in ["", "{\"Rec", "{\"Records\":[\n"] {
            let dir = tempfile::tempdir().unwrap();
            Files::open(dir.path(), ROTATION).unwrap();
            let path = dir.path().join(DIRECTORY).join("slipway-audit-0000000001-x.json");
            fs::write(&path, left).unwrap();
            let files = Files::open(dir.path(), ROTATION).unwrap();
            assert!(records(&path).is_empty(), "{left:?}");
            assert_eq!(files.next, 2);
        }
    }

    #[test]
    fn a_write_that_fails_leaves_the_file_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::open(dir.path(), ROTATION).unwrap();
        append(&mut files, 0, 2, 5);
        let path = files.active.as_ref().unwrap().path.clone();
        // A file that takes no writes stands in for a full disk.
        let writable =
            std::mem::replace(&mut files.active.as_mut().unwrap().file, File::open(&path).unwrap());
        assert!(files.append(&["{\"n\":9}".to_owned()], 6).is_err());
        if let Some(active) = &mut files.active {
            active.file = writable;
        }
        append(&mut files, 2, 3, 7);
        files.seal().unwrap();
        let mut files = Files::open(dir.path(), ROTATION).unwrap();
        assert!(files.take_news() && !files.take_news());
        let all: usize =
            files.sealed_after("").unwrap().iter().map(|name| records(&files.path(name)).len()).sum();
        assert_eq!(all, 3);
    }

    #[test]
    fn a_torn_line_of_the_chain_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::open(dir.path(), ROTATION).unwrap();
        append(&mut files, 0, 2, 5);
        files.seal().unwrap();
        let chain_path = dir.path().join(DIRECTORY).join(CHAIN);
        let whole = fs::read(&chain_path).unwrap();
        fs::write(&chain_path, &whole[..whole.len() / 2]).unwrap();
        Files::open(dir.path(), ROTATION).unwrap();
        assert_eq!(fs::read(&chain_path).unwrap(), whole);
    }
}
