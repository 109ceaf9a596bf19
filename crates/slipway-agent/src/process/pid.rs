//! Who is running: the PID file and the lock beside it (AG-042, AG-043).

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::process::{Pid, test_kill_process};

use crate::config::Config;
use crate::layout::write_for_all;

/// Held for the life of the agent; the system releases it whatever happens.
#[derive(Debug)]
pub(super) struct Running {
    _lock: File,
    _root: File,
    pid_file: std::path::PathBuf,
}

impl Running {
    /// Takes the lock. `None`: somebody else has it.
    pub(super) fn take(config: &Config) -> io::Result<Option<Self>> {
        // `status` looks at it, in whosever name.
        let lock = open(&config.lock_file(), 0o644)?;
        match lock.try_lock() {
            Ok(()) => {
                let root = take_root(&config.root_dir)?;
                // A number that an agent before us left may be another process's by now: while we hold the lock, `stop`
                // would take it for ours.
                let _ = std::fs::remove_file(config.pid_file());
                Ok(Some(Self { _lock: lock, _root: root, pid_file: config.pid_file() }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Writes our PID.
    pub(super) fn announce(&self) -> io::Result<()> {
        write_for_all(&self.pid_file, std::process::id().to_string().as_bytes())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.pid_file);
    }
}

/// Two agents in one root directory, with other PID directories, would report each other's commands as left behind.
fn take_root(root: &Path) -> io::Result<File> {
    let directory = root.join("agent-state");
    std::fs::create_dir_all(&directory)?;
    let lock = open(&directory.join("lock"), 0o600)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::other(format!("another agent works in the root directory {}", root.display())))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn open(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(mode).open(path)
}

/// The PID of the running agent. A PID file of nobody is deleted, and said so (AG-042).
pub(super) fn running(config: &Config) -> Option<Pid> {
    let path = config.pid_file();
    let text = std::fs::read_to_string(&path).ok()?;
    let pid = text.trim().parse::<i32>().ok().and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|pid| is_alive(*pid) && is_agent(config, *pid)) {
        return Some(pid);
    }
    println!("Pidfile {} present but no matching process running - cleaning up", path.display());
    let _ = std::fs::remove_file(path);
    None
}

/// Whether the process exists, be it ours to signal or not.
pub(super) fn is_alive(pid: Pid) -> bool {
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)) && !is_zombie(pid)
}

/// A daemon whose parent does not wait for it has ended all the same.
fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('Z')))
}

/// Numbers are used again: the lock must be held, or the process called like an agent (of another make).
fn is_agent(config: &Config, pid: Pid) -> bool {
    is_locked(&config.lock_file())
        || std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).is_ok_and(|line| {
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("codedeploy-agent") || line.contains("slipway-agent")
        })
}

fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::{Running, running};
    use crate::config::Config;

    #[test]
    fn two_agents_do_not_share_a_root_directory() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let config = |name: &str| {
            let file = directory.path().join(format!("{name}.yml"));
            let path = directory.path().display();
            std::fs::create_dir(directory.path().join(name)).expect("mkdir");
            std::fs::write(&file, format!(":pid_dir: {path}/{name}\n:root_dir: {path}\n")).expect("write");
            Config::load(&file).expect("AG-054")
        };
        let (first, second) = (config("first"), config("second"));
        let running = Running::take(&first).expect("AG-043").expect("the lock is free");
        let error = Running::take(&second).expect_err("the first works there");
        assert!(error.to_string().contains("another agent works in the root directory"), "{error}");
        drop(running);
        assert!(Running::take(&second).expect("AG-043").is_some());
    }

    #[test]
    fn a_number_left_by_a_crash_is_nobody_to_stop_while_the_next_agent_starts() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let file = directory.path().join("codedeployagent.yml");
        let path = directory.path().display();
        std::fs::write(&file, format!(":pid_dir: {path}\n:log_dir: {path}\n:root_dir: {path}\n"))
            .expect("write");
        let config = Config::load(&file).expect("AG-054");
        // This process stands for one that has nothing to do with the agent.
        std::fs::write(config.pid_file(), std::process::id().to_string()).expect("write");
        let next = Running::take(&config).expect("AG-043").expect("the lock is free");
        assert!(running(&config).is_none(), "AG-042");
        next.announce().expect("AG-043");
        assert!(running(&config).is_some(), "AG-042");
    }
}
