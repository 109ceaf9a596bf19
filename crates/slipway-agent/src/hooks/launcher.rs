//! `runas` without a shell: this program starts itself anew, becomes the user, and turns into the script.
//!
//! The hidden sub-command is `__launch USER SCRIPT`. Setting ids in the child by `Command::uid` would make
//! the standard library fork the whole agent, which costs tens of milliseconds; and `su -c` would hand the
//! path to a shell. The environment is kept as `su` keeps it: only HOME, USER and LOGNAME change.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Gid, Uid};

use crate::sys::accounts::{self, User};
use crate::sys::files::program;

/// The hidden sub-command.
pub const LAUNCH: &str = "__launch";

/// What `su` answers when it cannot become the user.
const REFUSED: u8 = 1;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Becomes the user and the program; returns an exit code only when that failed.
pub fn launch(user: &str, script: &OsStr) -> u8 {
    let Some(account) = accounts::user(user) else {
        eprintln!(
            "su: user {user} does not exist or the user entry does not contain all the required fields"
        );
        return REFUSED;
    };
    // A session of its own: no terminal of the agent is within the user's reach. The script's group has this process's
    // number, as every script's has.
    let _ = rustix::process::setsid();
    if let Err(error) = become_user(user, &account) {
        eprintln!("su: cannot run as user {user}: {error}");
        return REFUSED;
    }
    let start = |mut command: Command| {
        command.env("HOME", &account.home);
        if account.uid != 0 {
            command.env("USER", user).env("LOGNAME", user);
        }
        command.exec()
    };
    let mut error = start(Command::new(script));
    if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) {
        // A script without `#!` is the shell's business (AS-094).
        let mut shell = Command::new("/bin/sh");
        shell.arg(script);
        error = start(shell);
    }
    eprintln!("su: {}: {error}", Path::new(script).display());
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE }
}

/// Groups first, then the group, then the user: the other order would lack the right to do it.
fn become_user(user: &str, account: &User) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    if rustix::process::geteuid() == uid && !uid.is_root() {
        return Ok(());
    }
    let groups: Vec<Gid> = groups_of(user, account.gid).into_iter().map(Gid::from_raw).collect();
    // This process has a single thread, so the thread's ids are the process's.
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// All groups of the user, its own first; `id` knows those of the name service too.
fn groups_of(user: &str, own: u32) -> Vec<u32> {
    let mut groups = vec![own];
    let known = ask_id(user)
        .unwrap_or_else(|| parse_groups(&std::fs::read_to_string("/etc/group").unwrap_or_default(), user));
    groups.extend(known.into_iter().filter(|id| *id != own));
    groups
}

fn parse_groups(groups: &str, user: &str) -> Vec<u32> {
    groups
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [_, _, gid, members] = fields[..] else { return None };
            members.split(',').any(|member| member == user).then(|| gid.parse().ok())?
        })
        .collect()
}

fn ask_id(user: &str) -> Option<Vec<u32>> {
    let output = Command::new(program("id")?).args(["-G", "--", user]).env_clear().output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::parse_groups;

    #[test]
    fn supplementary_groups_are_read_from_the_system_file() {
        assert_eq!(parse_groups("a:x:1:\nb:x:2:other,app\nc:x:3:app\nd:x:4:apple\n", "app"), [2, 3]);
    }
}
