//! The agent log (AG-077, AG-078): one line per call and per decision, rotated at midnight.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Zoned;
use jiff::civil::Date;

use crate::clock;

use super::{open_log, plain};

const KEPT_DAYS: usize = 7;
/// An answer that makes no sense may be megabytes long, and comes again with each poll.
const LONGEST: usize = 8192;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// With `:verbose: true` only.
    Debug,
    /// Normal running.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// Padded as the log line wants it.
    fn padded(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO ",
            Self::Warn => "WARN ",
            Self::Error => "ERROR",
        }
    }
}

/// The agent log. Cloning shares it.
#[derive(Debug, Clone)]
pub struct AgentLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    verbose: bool,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Stderr,
    File(Mutex<DailyFile>),
    #[cfg(test)]
    Memory(Mutex<Vec<String>>),
}

impl AgentLog {
    /// For `run`: lines go to standard error.
    pub fn to_stderr(verbose: bool) -> Self {
        Self(Arc::new(Inner { verbose, sink: Sink::Stderr }))
    }

    /// For the daemon: `<log_dir>/<program>.log`.
    pub fn to_file(directory: &Path, program: &str, verbose: bool) -> std::io::Result<Self> {
        let file = DailyFile::open(directory, program, today())?;
        Ok(Self(Arc::new(Inner { verbose, sink: Sink::File(Mutex::new(file)) })))
    }

    /// Writes a debug line.
    pub fn debug(&self, message: impl fmt::Display) {
        self.write(Level::Debug, &message);
    }

    /// Writes an information line.
    pub fn info(&self, message: impl fmt::Display) {
        self.write(Level::Info, &message);
    }

    /// Writes a warning.
    pub fn warn(&self, message: impl fmt::Display) {
        self.write(Level::Warn, &message);
    }

    /// Writes an error.
    pub fn error(&self, message: impl fmt::Display) {
        self.write(Level::Error, &message);
    }

    fn write(&self, level: Level, message: &dyn fmt::Display) {
        if level == Level::Debug && !self.0.verbose {
            return;
        }
        let now = clock::local(clock::now());
        let line = format_line(&now, level, std::process::id(), message);
        // A log that cannot be written must not stop a deployment.
        match &self.0.sink {
            Sink::Stderr => drop(std::io::stderr().lock().write_all(line.as_bytes())),
            Sink::File(file) => {
                drop(file.lock().unwrap_or_else(PoisonError::into_inner).append(now.date(), &line));
            }
            #[cfg(test)]
            Sink::Memory(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).push(line),
        }
    }

    /// A log that tests can read.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self(Arc::new(Inner { verbose: true, sink: Sink::Memory(Mutex::default()) }))
    }

    /// What was written to a log in memory.
    #[cfg(test)]
    pub(crate) fn lines(&self) -> Vec<String> {
        match &self.0.sink {
            Sink::Memory(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            _ => Vec::new(),
        }
    }
}

fn today() -> Date {
    clock::local(clock::now()).date()
}

/// `YYYY-MM-DDTHH:MM:SS LEVEL [codedeploy-agent(<pid>)]: <message>`; a message keeps to one line and tells terminals
/// nothing, so that no answer of a server and no name in a bundle can forge another.
fn format_line(now: &Zoned, level: Level, pid: u32, message: &dyn fmt::Display) -> String {
    let mut message = plain(&message.to_string().replace(['\n', '\r'], " "));
    if let Some((cut, _)) = message.char_indices().nth(LONGEST) {
        message.truncate(cut);
    }
    format!("{} {} [codedeploy-agent({pid})]: {message}\n", now.strftime("%Y-%m-%dT%H:%M:%S"), level.padded())
}

/// A file of one day; yesterday's moves to `<program>.YYYYMMDD.log`, named after the day that it holds.
#[derive(Debug)]
struct DailyFile {
    directory: PathBuf,
    program: String,
    file: File,
    day: Date,
}

impl DailyFile {
    fn open(directory: &Path, program: &str, today: Date) -> std::io::Result<Self> {
        let path = directory.join(format!("{program}.log"));
        let written = std::fs::metadata(&path).ok().and_then(|metadata| metadata.modified().ok());
        let file = open_log(&path)?;
        let day = written.map_or(today, |time| clock::local(time).date());
        Ok(Self { directory: directory.to_owned(), program: program.to_owned(), file, day })
    }

    fn path(&self) -> PathBuf {
        self.directory.join(format!("{}.log", self.program))
    }

    fn append(&mut self, today: Date, line: &str) -> std::io::Result<()> {
        if today != self.day {
            self.rotate()?;
            self.reopen(today)?;
            self.delete_old();
        } else if !self.path().exists() {
            self.reopen(today)?;
        }
        self.file.write_all(line.as_bytes())
    }

    /// A clock that was set back and forth comes to the same day twice: nothing of either is lost.
    fn rotate(&self) -> std::io::Result<()> {
        let name = format!("{}.{}.log", self.program, self.day.strftime("%Y%m%d"));
        let rotated = self.directory.join(name);
        if rotated.exists() {
            std::io::copy(&mut File::open(self.path())?, &mut open_log(&rotated)?)?;
            return std::fs::remove_file(self.path());
        }
        std::fs::rename(self.path(), rotated)
    }

    fn reopen(&mut self, today: Date) -> std::io::Result<()> {
        self.file = open_log(&self.path())?;
        self.day = today;
        Ok(())
    }

    fn delete_old(&self) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        let mut rotated: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| {
                name.strip_prefix(&format!("{}.", self.program))
                    .and_then(|rest| rest.strip_suffix(".log"))
                    .is_some_and(|day| day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit()))
            })
            .collect();
        rotated.sort_unstable();
        let surplus = rotated.len().saturating_sub(KEPT_DAYS);
        for name in &rotated[..surplus] {
            drop(std::fs::remove_file(self.directory.join(name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AgentLog, DailyFile, Level, format_line};
    use jiff::civil::date;

    #[test]
    fn a_line_has_the_documented_form_and_stays_one_line() {
        let now = date(2026, 3, 4).at(5, 6, 7, 0).in_tz("UTC").expect("a time");
        let line = format_line(&now, Level::Info, 42, &"first\nERROR forged");
        assert_eq!(line, "2026-03-04T05:06:07 INFO  [codedeploy-agent(42)]: first ERROR forged\n");
    }

    #[test]
    fn a_message_cannot_reach_the_terminal_of_whoever_reads_it() {
        let now = date(2026, 3, 4).at(5, 6, 7, 0).in_tz("UTC").expect("a time");
        let line = format_line(&now, Level::Info, 42, &"member \u{1b}]0;owned\u{7}\u{1b}[2Jx");
        assert!(line.ends_with(": member x\n"), "AP-31: {line:?}");
        assert!(format_line(&now, Level::Info, 42, &"x".repeat(1 << 20)).len() < 9000);
    }

    #[test]
    fn a_day_that_comes_twice_keeps_both_logs() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let (first, later) = (date(2026, 1, 28), date(2030, 1, 1));
        let mut file = DailyFile::open(directory.path(), "a", first).expect("open");
        for (day, line) in [(first, "one\n"), (later, "two\n"), (first, "three\n"), (later, "four\n")] {
            file.append(day, line).expect("append");
        }
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).ok();
        assert_eq!(read("a.20260128.log").as_deref(), Some("one\nthree\n"));
        assert_eq!(read("a.log").as_deref(), Some("four\n"));
    }

    #[test]
    fn midnight_moves_the_file_to_the_day_it_holds_and_a_week_is_kept() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let mut day = date(2026, 1, 28);
        let mut file = DailyFile::open(directory.path(), "codedeploy-agent", day).expect("open");
        for number in 0..10 {
            file.append(day, &format!("{number}\n")).expect("append");
            day = day.tomorrow().expect("a day");
        }
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).ok();
        assert_eq!(read("codedeploy-agent.log").as_deref(), Some("9\n"));
        assert_eq!(read("codedeploy-agent.20260205.log").as_deref(), Some("8\n"), "A-20");
        assert_eq!(read("codedeploy-agent.20260130.log").as_deref(), Some("2\n"));
        assert_eq!(read("codedeploy-agent.20260129.log"), None, "AG-078: seven are kept");
    }

    #[test]
    fn debug_lines_need_verbose() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let log = AgentLog::to_file(directory.path(), "p", false).expect("open");
        log.debug("hidden");
        log.warn("shown");
        let text = std::fs::read_to_string(directory.path().join("p.log")).expect("read");
        assert!(text.contains(" WARN  [codedeploy-agent(") && !text.contains("hidden"), "AG-013");
    }
}
