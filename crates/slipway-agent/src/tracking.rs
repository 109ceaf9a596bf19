//! Crash recovery: which commands were running when the agent died (AG-066, AP-19), and which reports the
//! server has not taken yet (AP-41).

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::client::{CommandStatus, Diagnostics};
use crate::layout::{Layout, sync_directory, write_atomically};

/// Older entries belong to deployments that ended long ago (AG-066).
const STALE: Duration = Duration::from_hours(24);

/// The tracking directory and the directory of unsent reports.
#[derive(Debug, Clone)]
pub struct Tracker {
    directory: PathBuf,
    reports: PathBuf,
}

/// An outcome that is known but not yet told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The command.
    pub identifier: String,
    /// How it ended.
    pub status: CommandStatus,
    /// Why.
    pub diagnostics: Diagnostics,
}

/// A command that an earlier run of the agent left behind.
#[derive(Debug, Clone)]
pub struct Unfinished {
    /// Its deployment: the key of its files.
    pub deployment_id: String,
    /// Its identifier.
    pub identifier: String,
    /// Its outcome, when it had ended but could not be reported.
    pub report: Option<Report>,
}

impl Tracker {
    /// The tracker of this layout.
    pub fn new(layout: &Layout) -> Self {
        Self { directory: layout.tracking(), reports: layout.state().join("reports") }
    }

    /// Notes a command before its work starts. `durable`: also a power cut must not lose it.
    pub fn begin(&self, deployment_id: &str, identifier: &str, durable: bool) -> io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let path = self.directory.join(deployment_id);
        if durable {
            return write_atomically(&path, identifier.as_bytes());
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(identifier.as_bytes())
    }

    /// Keeps an outcome that the server could not be told: a restart must not turn it into a failure.
    pub fn keep_report(&self, deployment_id: &str, report: &Report) -> io::Result<()> {
        std::fs::create_dir_all(&self.reports)?;
        let text = serde_json::to_vec(report)?;
        write_atomically(&self.reports.join(deployment_id), &text)
    }

    /// Forgets a command whose report was taken. The next command of the same deployment may be there already:
    /// the server hands it out while its answer to our report is still on the way.
    pub fn end(&self, deployment_id: &str, identifier: &str) {
        // Absence is what we want, and a leftover costs one refused report after the next start.
        let path = self.directory.join(deployment_id);
        if std::fs::read_to_string(&path).is_ok_and(|tracked| tracked.trim_end() == identifier) {
            let _ = std::fs::remove_file(path);
        }
        if self.report(deployment_id).is_some_and(|report| report.identifier == identifier) {
            let _ = std::fs::remove_file(self.reports.join(deployment_id));
        }
    }

    fn report(&self, deployment_id: &str) -> Option<Report> {
        serde_json::from_slice(&std::fs::read(self.reports.join(deployment_id)).ok()?).ok()
    }

    /// Whether a command is being worked on (AG-044).
    pub fn in_progress(&self, now: SystemTime) -> bool {
        self.entries(now).next().is_some()
    }

    /// Every command that an earlier run left unfinished; stale entries are deleted (AG-066).
    pub fn unfinished(&self, now: SystemTime) -> Vec<Unfinished> {
        let mut found: Vec<(SystemTime, Unfinished)> = self
            .entries(now)
            .filter_map(|(deployment_id, modified)| {
                let identifier = std::fs::read_to_string(self.directory.join(&deployment_id)).ok()?;
                let identifier = identifier.trim_end().to_owned();
                let report = self.report(&deployment_id).filter(|report| report.identifier == identifier);
                Some((modified, Unfinished { deployment_id, identifier, report }))
            })
            .collect();
        found.sort_by_key(|(modified, _)| *modified);
        self.delete_stale(now);
        found.into_iter().map(|(_, unfinished)| unfinished).collect()
    }

    /// Fresh entries with their times.
    fn entries(&self, now: SystemTime) -> impl Iterator<Item = (String, SystemTime)> {
        std::fs::read_dir(&self.directory).into_iter().flatten().flatten().filter_map(move |entry| {
            let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'))?;
            let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            let modified = metadata.modified().ok()?;
            let fresh = now.duration_since(modified).is_ok_and(|age| age < STALE) || modified >= now;
            fresh.then_some((name, modified))
        })
    }

    fn delete_stale(&self, now: SystemTime) {
        let fresh: Vec<String> = self.entries(now).map(|(name, _)| name).collect();
        for directory in [&self.directory, &self.reports] {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.file_name().to_str().is_none_or(|name| !fresh.iter().any(|kept| kept == name)) {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
            let _ = sync_directory(directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, Tracker};
    use crate::client::{CommandStatus, Diagnostics};
    use crate::clock;
    use crate::layout::Layout;
    use std::time::Duration;

    #[test]
    fn commands_of_two_deployments_are_both_remembered() {
        let root = tempfile::tempdir().expect("scratch directory");
        let tracker = Tracker::new(&Layout::new(root.path(), "ongoing-deployment"));
        assert!(!tracker.in_progress(clock::now()));
        tracker.begin("d-1", "first", true).expect("AP-19");
        tracker.begin("d-2", "second", false).expect("AP-19");
        assert_eq!(
            std::fs::read_to_string(root.path().join("ongoing-deployment/d-1")).expect("AG-066"),
            "first"
        );
        let mut found: Vec<String> =
            tracker.unfinished(clock::now()).into_iter().map(|left| left.identifier).collect();
        found.sort();
        assert_eq!(found, ["first", "second"]);
        tracker.end("d-1", "of another command");
        tracker.end("d-1", "first");
        assert!(tracker.in_progress(clock::now()));
        assert!(root.path().join("ongoing-deployment/d-2").exists());
        tracker.end("d-2", "second");
        assert!(!tracker.in_progress(clock::now()), "AG-044");
    }

    #[test]
    fn entries_of_yesterday_are_deleted_unreported() {
        let root = tempfile::tempdir().expect("scratch directory");
        let tracker = Tracker::new(&Layout::new(root.path(), "ongoing-deployment"));
        tracker.begin("d-1", "first", true).expect("begin");
        let tomorrow = clock::now() + Duration::from_secs(86_401);
        assert!(!tracker.in_progress(tomorrow));
        assert!(tracker.unfinished(tomorrow).is_empty());
        assert!(!root.path().join("ongoing-deployment/d-1").exists(), "AG-066");
    }

    #[test]
    fn a_kept_report_is_found_only_with_its_own_command() {
        let root = tempfile::tempdir().expect("scratch directory");
        let tracker = Tracker::new(&Layout::new(root.path(), "ongoing-deployment"));
        tracker.begin("d-1", "first", true).expect("begin");
        let report = Report {
            identifier: "first".to_owned(),
            status: CommandStatus::Succeeded,
            diagnostics: Diagnostics::success(),
        };
        tracker.keep_report("d-1", &report).expect("AP-41");
        let found = tracker.unfinished(clock::now());
        let kept = found[0].report.as_ref().expect("AP-41");
        assert_eq!(kept.status, CommandStatus::Succeeded);
        tracker.begin("d-1", "another", true).expect("begin");
        assert!(tracker.unfinished(clock::now())[0].report.is_none());
    }
}
