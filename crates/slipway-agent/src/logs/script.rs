//! What scripts print: to `scripts.log`, to the deployments log, and the tail that is reported (AG-064).

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock;

use super::rotate::RotatingFile;

/// The newest entries stay below this many characters (AG-064).
const TAIL: usize = 2048;

/// The newest log entries of one event.
#[derive(Debug, Default)]
pub struct LogTail {
    entries: VecDeque<(usize, String)>,
    total: usize,
}

impl LogTail {
    /// Adds an entry and drops whole old ones until the total is below the limit.
    pub fn push(&mut self, entry: &str) {
        let length = entry.chars().count() + 1;
        self.entries.push_back((length, format!("{entry}\n")));
        self.total += length;
        while self.total >= TAIL {
            let Some((dropped, _)) = self.entries.pop_front() else { break };
            self.total -= dropped;
        }
    }

    /// The tail as it is reported.
    pub fn text(&self) -> String {
        self.entries.iter().map(|(_, entry)| entry.as_str()).collect()
    }
}

/// `<root>/deployment-logs/codedeploy-agent-deployments.log`; shared by all commands in work.
#[derive(Debug, Clone)]
pub struct DeploymentsLog(Option<Arc<Mutex<RotatingFile>>>);

impl DeploymentsLog {
    /// Opens the log.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let file = RotatingFile::open(&directory.join("codedeploy-agent-deployments.log"))?;
        Ok(Self(Some(Arc::new(Mutex::new(file)))))
    }

    /// `enable_deployments_log: false`.
    pub fn disabled() -> Self {
        Self(None)
    }
}

/// The script log of one deployment, for the length of one event.
#[derive(Debug)]
pub struct ScriptLog {
    deployment_id: String,
    file: RotatingFile,
    deployments: DeploymentsLog,
    tail: LogTail,
}

impl ScriptLog {
    /// Opens `<deployment>/logs/scripts.log`.
    pub fn open(logs_dir: &Path, deployment_id: &str, deployments: DeploymentsLog) -> io::Result<Self> {
        Ok(Self {
            deployment_id: deployment_id.to_owned(),
            file: RotatingFile::open(&logs_dir.join("scripts.log"))?,
            deployments,
            tail: LogTail::default(),
        })
    }

    /// Appends entries to both logs and to the tail.
    pub fn write<S: AsRef<str>>(&mut self, entries: &[S]) {
        if entries.is_empty() {
            return;
        }
        let now = clock::local(clock::now());
        let (seconds, millis) =
            (now.strftime("%Y-%m-%d %H:%M:%S").to_string(), now.strftime("%Y-%m-%d %H:%M:%S%.3f"));
        let prefix = format!("[{millis}] [{}]", self.deployment_id);
        let (mut own, mut shared) = (String::new(), String::new());
        for entry in entries {
            let entry = entry.as_ref();
            let _ = writeln!(own, "{seconds} {entry}");
            let _ = writeln!(shared, "{prefix}{entry}");
            self.tail.push(entry);
        }
        // A full disk must not turn a good script into a failed one.
        let _ = self.file.append(&own);
        if let Some(file) = &self.deployments.0 {
            let _ = file.lock().unwrap_or_else(PoisonError::into_inner).append(&shared);
        }
    }

    /// What a failure reports as `log`.
    pub fn tail(&self) -> String {
        self.tail.text()
    }
}

#[cfg(test)]
mod tests {
    use super::{DeploymentsLog, LogTail, ScriptLog};

    #[test]
    fn the_tail_drops_whole_old_entries_and_one_huge_entry_empties_it() {
        let mut tail = LogTail::default();
        tail.push(&"a".repeat(1000));
        tail.push(&"b".repeat(1000));
        assert_eq!(tail.text().chars().count(), 2002);
        tail.push(&"c".repeat(100));
        assert!(tail.text().starts_with('b') && tail.text().ends_with("c\n"), "AG-064");
        tail.push(&"d".repeat(2047));
        assert_eq!(tail.text(), "", "AG-064: a single entry of 2048 characters");
        tail.push("[stdout]after");
        assert_eq!(tail.text(), "[stdout]after\n");
    }

    #[test]
    fn both_logs_get_every_entry_in_their_own_form() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let deployments = DeploymentsLog::open(&directory.path().join("all")).expect("open");
        let mut log = ScriptLog::open(&directory.path().join("logs"), "d-1", deployments).expect("open");
        log.write(&["LifecycleEvent - BeforeInstall", "[stdout]hello"]);
        let own = std::fs::read_to_string(directory.path().join("logs/scripts.log")).expect("read");
        let lines: Vec<&str> = own.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(&lines[0][19..], " LifecycleEvent - BeforeInstall", "AG-073");
        let shared = std::fs::read_to_string(directory.path().join("all/codedeploy-agent-deployments.log"))
            .expect("read");
        let last = shared.lines().last().expect("a line");
        assert_eq!(&last[24..], "] [d-1][stdout]hello", "AG-074");
        assert_eq!((&last[..1], &last[20..21]), ("[", "."), "milliseconds");
    }
}
