//! A program that runs in the background, with its output in a file.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;

/// The variables that a program gets. The others could lead it elsewhere: to another control plane, through a proxy.
const PASSED_ON: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR"];
/// How much of its output is shown when it fails.
const TAIL: usize = 15;

/// A program in the background. It ends with its `Process` at the latest.
pub(super) struct Process {
    name: &'static str,
    pid: Pid,
    log: PathBuf,
    ended: watch::Receiver<Option<ExitStatus>>,
}

/// A program to start.
pub(super) struct Program<'a> {
    /// What it is called in messages.
    pub(super) name: &'static str,
    pub(super) path: &'a Path,
    pub(super) arguments: &'a [&'a OsStr],
    /// Where its output goes.
    pub(super) log: PathBuf,
    /// Whether its stdout is wanted instead.
    pub(super) pipe: bool,
}

impl Process {
    /// Starts a program, in a process group of its own: Ctrl-C is for us, and we stop it in our order.
    pub(super) fn spawn(program: Program<'_>) -> anyhow::Result<(Self, Option<ChildStdout>)> {
        let Program { name, path, arguments, log, pipe } = program;
        let cannot = || format!("cannot start {name} ({})", path.display());
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = clean(path)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(if pipe { Stdio::piped() } else { output.try_clone().with_context(cannot)?.into() })
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(cannot)?;
        let stdout = child.stdout.take();
        let pid =
            child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).with_context(cannot)?;
        let (tell, ended) = watch::channel(None);
        tokio::spawn(wait(child, tell));
        Ok((Self { name, pid, log, ended }, stdout))
    }

    /// Waits until the program ends by itself, which it should not; the error says so.
    pub(super) async fn ended_early(&mut self) -> anyhow::Error {
        let status = self.wait().await;
        anyhow::anyhow!("{} ended by itself ({status})", self.name)
    }

    /// The end of its output.
    pub(super) fn tail(&self) -> Option<(&'static str, String)> {
        let text = std::fs::read(&self.log).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        (!tail.is_empty()).then_some((self.name, tail))
    }

    /// Asks the program to end; kills it when it does not in time.
    pub(super) async fn stop(mut self, patience: Duration) -> anyhow::Result<()> {
        if self.ended.borrow().is_some() {
            return Ok(());
        }
        self.signal(Signal::TERM);
        if tokio::time::timeout(patience, self.wait()).await.is_ok() {
            return Ok(());
        }
        self.signal(Signal::KILL);
        self.wait().await;
        anyhow::bail!("{} did not end within {} s of SIGTERM and was killed", self.name, patience.as_secs())
    }

    /// The process is not waited for before `ended` says so: its id cannot be somebody else's.
    fn signal(&self, signal: Signal) {
        if self.ended.borrow().is_none() {
            // Fails only if it has just ended, which is what is wanted.
            let _ = kill_process(self.pid, signal);
        }
    }

    async fn wait(&mut self) -> String {
        match self.ended.wait_for(Option::is_some).await.ok().and_then(|status| *status) {
            Some(status) => status.to_string(),
            None => "status unknown".to_owned(),
        }
    }
}

async fn wait(mut child: Child, tell: watch::Sender<Option<ExitStatus>>) {
    if let Ok(status) = child.wait().await {
        // Nobody may be interested any more.
        let _ = tell.send(Some(status));
    }
}

/// A command with nothing in its environment that could lead it elsewhere.
pub(super) fn clean(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear();
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(directory: &Path, script: &str) -> Process {
        let program = Program {
            name: "the shell",
            path: Path::new("/bin/sh"),
            arguments: &[OsStr::new("-c"), OsStr::new(script)],
            log: directory.join("log"),
            pipe: false,
        };
        Process::spawn(program).unwrap().0
    }

    #[tokio::test]
    async fn a_program_that_ends_by_itself_is_noticed_with_its_output() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell(dir.path(), "echo out; echo err >&2; exit 7");
        let error = process.ended_early().await.to_string();
        assert_eq!(error, "the shell ended by itself (exit status: 7)");
        assert_eq!(process.tail().unwrap().1, "out\nerr");
        process.stop(Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_ignores_sigterm_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let process = shell(dir.path(), "trap '' TERM; echo up; while :; do read x; done </dev/zero");
        while process.tail().is_none() {
            tokio::task::yield_now().await;
        }
        let error = process.stop(Duration::from_millis(50)).await.unwrap_err().to_string();
        assert!(error.contains("was killed"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_listens_to_sigterm_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        shell(dir.path(), "exec sleep 600").stop(Duration::from_secs(10)).await.unwrap();
    }
}
