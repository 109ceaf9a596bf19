//! One script: started in its own process group, watched, stopped in time (AG-105..AG-107, AS-093..AS-097, D-27).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::client::code;
use crate::logs::ScriptLog;

use super::launcher::LAUNCH;
use super::output::Lines;

/// Between SIGTERM and SIGKILL (D-27).
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// A script to run.
#[derive(Debug)]
pub(super) struct Script<'a> {
    /// As the AppSpec file names it.
    pub(super) location: &'a str,
    /// Where it is.
    pub(super) path: PathBuf,
    pub(super) timeout: Duration,
    pub(super) runas: Option<&'a str>,
    pub(super) sudo: bool,
    pub(super) environment: &'a BTreeMap<OsString, OsString>,
    /// This program, for `runas`.
    pub(super) launcher: &'a Path,
    pub(super) grace: Duration,
}

/// Why a script failed, with its code and the documented words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScriptFailure {
    pub(super) code: u8,
    pub(super) message: String,
}

/// How far a script has come.
struct Watch<R1, R2> {
    status: Option<ExitStatus>,
    stdout: Stream<R1>,
    stderr: Stream<R2>,
}

/// One output of the script.
struct Stream<R> {
    /// `None` once it was closed.
    reader: Option<R>,
    lines: Lines,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Stream<R> {
    fn new(reader: Option<R>, prefix: &'static str) -> Self {
        Self { reader, lines: Lines::new(prefix), buffer: Vec::new() }
    }

    /// Waits for bytes, 0 at the end; never ends once the stream is closed.
    async fn read(&mut self) -> usize {
        match &mut self.reader {
            Some(reader) => {
                self.buffer.resize(8192, 0);
                // A pipe that cannot be read has nothing more to say.
                reader.read(&mut self.buffer).await.unwrap_or(0)
            }
            None => std::future::pending().await,
        }
    }

    fn take(&mut self, count: usize, log: &mut ScriptLog) {
        let mut entries = Vec::new();
        if count > 0 {
            self.lines.feed(&self.buffer[..count], &mut entries);
        } else {
            self.reader = None;
            self.lines.finish(&mut entries);
        }
        log.write(&entries);
    }
}

impl Script<'_> {
    /// Runs the script to its end, or to its time limit.
    pub(super) async fn run(&self, log: &mut ScriptLog) -> Result<(), ScriptFailure> {
        self.make_executable()?;
        if let Some(user) = self.runas.filter(|user| user.is_empty() || user.starts_with('-')) {
            // `su` would read it as an option.
            log.write(&[format!("[stderr]su: user {user} does not exist")]);
            return self.judge(Some(ExitStatus::from_raw(1 << 8)));
        }
        let mut child = self.spawn().map_err(|error| self.not_started(&error))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let mut watch = Watch {
            status: None,
            stdout: Stream::new(child.stdout.take(), "[stdout]"),
            stderr: Stream::new(child.stderr.take(), "[stderr]"),
        };
        let deadline = Instant::now() + self.timeout;
        if watch.until(&mut child, deadline, log).await {
            return self.judge(watch.status);
        }
        let failure = self.overdue(&watch);
        self.stop(&mut child, group, &mut watch, log).await;
        Err(failure)
    }

    /// AS-093: executable scripts are taken as they are, others are made so.
    fn make_executable(&self) -> Result<(), ScriptFailure> {
        let missing = || ScriptFailure {
            code: code::SCRIPT_MISSING,
            message: format!("Script does not exist at specified location: {}", self.path.display()),
        };
        let metadata = std::fs::metadata(&self.path).map_err(|_| missing())?;
        let mode = metadata.permissions().mode();
        if mode & 0o111 != 0 {
            return Ok(());
        }
        let executable = std::fs::Permissions::from_mode(mode & 0o7777 | 0o111);
        std::fs::set_permissions(&self.path, executable).map_err(|_| ScriptFailure {
            code: code::SCRIPT_NOT_EXECUTABLE,
            message: format!("Unable to set script at specified location: {} as executable", self.location),
        })
    }

    fn spawn(&self) -> io::Result<Child> {
        let noexec = rustix::io::Errno::NOEXEC.raw_os_error();
        match self.command(self.arguments()).spawn() {
            // A script without `#!` is the shell's business (AS-094).
            Err(error) if error.raw_os_error() == Some(noexec) => {
                self.command(vec!["/bin/sh".into(), self.path.clone().into()]).spawn()
            }
            other => other,
        }
    }

    /// Program and arguments (AG-105). A root agent needs neither `su` nor `sudo`.
    fn arguments(&self) -> Vec<OsString> {
        let path = self.path.clone().into_os_string();
        let root = rustix::process::geteuid().is_root();
        match (self.sudo && !root, self.runas) {
            (false, None) => vec![path],
            (false, Some(user)) => vec![self.launcher.into(), LAUNCH.into(), user.into(), path],
            (true, None) => vec!["/usr/bin/sudo".into(), "--".into(), path],
            (true, Some(user)) => vec![
                "/usr/bin/sudo".into(),
                "--".into(),
                "su".into(),
                user.into(),
                "-c".into(),
                shell_quoted(&path),
            ],
        }
    }

    fn command(&self, arguments: Vec<OsString>) -> Command {
        let mut arguments = arguments.into_iter();
        let program = arguments.next().unwrap_or_default();
        let launched = program == self.launcher;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !launched {
            // The launcher makes a session, which a leader of a group cannot do.
            command.process_group(0);
        }
        command
    }

    /// AS-094, in the reference's words.
    fn not_started(&self, error: &io::Error) -> ScriptFailure {
        let (class, text) = match error.kind() {
            io::ErrorKind::NotFound => ("Errno::ENOENT", "No such file or directory"),
            io::ErrorKind::PermissionDenied => ("Errno::EACCES", "Permission denied"),
            _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
                ("Errno::ENOEXEC", "Exec format error")
            }
            _ => {
                return ScriptFailure {
                    code: code::SCRIPT_FAILED,
                    message: format!(
                        "Script at specified location: {} failed with error SystemCallError with message {error}",
                        self.location
                    ),
                };
            }
        };
        ScriptFailure {
            code: code::SCRIPT_FAILED,
            message: format!(
                "Script at specified location: {} failed with error {class} with message {text} - {}",
                self.location,
                self.path.display()
            ),
        }
    }

    /// AS-095.
    fn judge(&self, status: Option<ExitStatus>) -> Result<(), ScriptFailure> {
        let Some(status) = status else { return Ok(()) };
        if status.success() {
            return Ok(());
        }
        let user = self.runas.map_or_else(String::new, |user| format!(" run as user {user}"));
        let how = match (status.code(), status.signal()) {
            (Some(number), _) => number.to_string(),
            (None, Some(signal)) => format!("signal {signal}{}", signal_name(signal)),
            (None, None) => String::new(),
        };
        Err(ScriptFailure {
            code: code::SCRIPT_FAILED,
            message: format!(
                "Script at specified location: {}{user} failed with exit code {how}",
                self.location
            ),
        })
    }

    /// AS-096 when the script itself is late, AS-097 when only a child holds its output.
    fn overdue<R1, R2>(&self, watch: &Watch<R1, R2>) -> ScriptFailure {
        let at = format!("Script at specified location: {}", self.location);
        if watch.status.is_none() {
            let message = format!("{at} failed to complete in {} seconds", self.timeout.as_secs());
            return ScriptFailure { code: code::SCRIPT_TIMED_OUT, message };
        }
        let stream = if watch.stdout.reader.is_some() { "STDOUT" } else { "STDERR" };
        ScriptFailure { code: code::OUTPUTS_LEFT_OPEN, message: format!("{at} failed to close {stream}") }
    }

    /// SIGTERM to the group, the grace, SIGKILL, and a bounded wait (D-27).
    async fn stop<R1, R2>(
        &self,
        child: &mut Child,
        group: Option<Pid>,
        watch: &mut Watch<R1, R2>,
        log: &mut ScriptLog,
    ) where
        R1: AsyncRead + Unpin,
        R2: AsyncRead + Unpin,
    {
        for signal in [Signal::TERM, Signal::KILL] {
            // Once the group is empty its number may be given to another: a held pipe or an unreaped leader
            // proves that it is not.
            if let Some(group) = group
                && !watch.ended()
            {
                // Before the launcher has made its group there is only the launcher.
                if kill_process_group(group, signal).is_err() && watch.status.is_none() {
                    let _ = kill_process(group, signal);
                }
            }
            if watch.until(child, Instant::now() + self.grace, log).await {
                return;
            }
        }
    }
}

impl<R1: AsyncRead + Unpin, R2: AsyncRead + Unpin> Watch<R1, R2> {
    fn ended(&self) -> bool {
        self.status.is_some() && self.stdout.reader.is_none() && self.stderr.reader.is_none()
    }

    /// Follows the script until it has ended and closed its outputs (`true`) or the deadline passes.
    async fn until(&mut self, child: &mut Child, deadline: Instant, log: &mut ScriptLog) -> bool {
        while !self.ended() {
            // A script that prints without end must not talk its way past the deadline.
            if Instant::now() >= deadline {
                return false;
            }
            tokio::select! {
                // Output first: what a script has printed is logged even if it ends at the same moment.
                biased;
                count = self.stdout.read() => self.stdout.take(count, log),
                count = self.stderr.read() => self.stderr.take(count, log),
                status = child.wait(), if self.status.is_none() => {
                    // Waiting for our own child fails only if somebody else reaped it: no success without a proof.
                    self.status = Some(status.unwrap_or_else(|_| ExitStatus::from_raw(255 << 8)));
                }
                () = tokio::time::sleep_until(deadline) => return false,
            }
        }
        true
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

/// For `su -c`, which hands its argument to a shell.
fn shell_quoted(text: &OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let mut quoted = vec![b'\''];
    for byte in text.as_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            other => quoted.push(*other),
        }
    }
    quoted.push(b'\'');
    OsString::from_vec(quoted)
}
