//! A file that is rotated by size: `name`, `name.0` (newest) … `name.6` (AG-074, AP-31).

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::open_log;

const LIMIT: u64 = 64 << 20;
const ROTATED: u32 = 7;

/// An append-only log file with bounded size.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

impl RotatingFile {
    /// Opens or makes the file, with its directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, LIMIT)
    }

    fn with_limit(path: &Path, limit: u64) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = open_log(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, limit })
    }

    /// Appends whole lines. A file that somebody deleted is made again (AMB-23).
    pub fn append(&mut self, lines: &str) -> io::Result<()> {
        if !self.path.exists() {
            *self = Self::with_limit(&self.path, self.limit)?;
        }
        if self.size > 0 && self.size + lines.len() as u64 > self.limit {
            self.rotate()?;
        }
        self.file.write_all(lines.as_bytes())?;
        self.size += lines.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (0..ROTATED - 1).rev() {
            if numbered(number).exists() {
                std::fs::rename(numbered(number), numbered(number + 1))?;
            }
        }
        std::fs::rename(&self.path, numbered(0))?;
        *self = Self::with_limit(&self.path, self.limit)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::RotatingFile;

    #[test]
    fn a_full_file_moves_aside_and_the_oldest_is_dropped() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("deep/er.log");
        let mut log = RotatingFile::with_limit(&path, 10).expect("AG-074");
        for number in 0..12 {
            log.append(&format!("line {number:02}\n")).expect("append");
        }
        let read = |name: &str| std::fs::read_to_string(path.with_file_name(name)).ok();
        assert_eq!(read("er.log").as_deref(), Some("line 11\n"));
        assert_eq!(read("er.log.0").as_deref(), Some("line 10\n"));
        assert_eq!(read("er.log.6").as_deref(), Some("line 04\n"));
        assert_eq!(read("er.log.7"), None, "eight files in all");
    }

    #[test]
    fn a_deleted_file_is_made_again() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("a.log");
        let mut log = RotatingFile::open(&path).expect("open");
        log.append("one\n").expect("append");
        std::fs::remove_file(&path).expect("remove");
        log.append("two\n").expect("AMB-23");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "two\n");
    }
}
