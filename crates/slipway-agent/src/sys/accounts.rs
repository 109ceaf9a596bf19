//! Users and groups by name.
//!
//! The system's own resolver (`getpwnam`) loads plug-ins into the process. The local files answer
//! nearly always; whatever else is configured (LDAP, SSSD) is asked through `getent`.

use std::fs;
use std::process::{Command, Stdio};

use super::files::program;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The user's id.
    pub uid: u32,
    /// The id of the user's primary group.
    pub gid: u32,
    /// The home directory.
    pub home: String,
}

/// The user of this name.
pub fn user(name: &str) -> Option<User> {
    let line = entry("/etc/passwd", "passwd", name)?;
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
    Some(User {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: (*home).to_owned(),
    })
}

/// The id for `owner`: a name, or a number where no user has that name (AS-055).
pub fn owner_id(owner: &str) -> Option<u32> {
    user(owner).map(|user| user.uid).or_else(|| number(owner))
}

/// The id for `group`: a name, or a number where no group has that name (AS-055).
pub fn group_id(group: &str) -> Option<u32> {
    entry("/etc/group", "group", group)
        .and_then(|line| line.split(':').nth(2)?.parse().ok())
        .or_else(|| number(group))
}

/// Ids as recorded in archives: names of the local files only, because a bundle must not cause a
/// network request per member.
pub(crate) fn local_id(file: &str, name: &str) -> Option<u32> {
    find(&fs::read_to_string(file).ok()?, name)?.split(':').nth(2)?.parse().ok()
}

fn number(text: &str) -> Option<u32> {
    // The highest id means "leave unchanged" to the system call.
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok().filter(|id| *id != u32::MAX)
    } else {
        None
    }
}

fn entry(file: &str, database: &str, name: &str) -> Option<String> {
    if name.is_empty() || name.contains([':', '\n', '\0']) {
        return None;
    }
    if let Ok(text) = fs::read_to_string(file)
        && let Some(line) = find(&text, name)
    {
        return Some(line.to_owned());
    }
    let output = Command::new(program("getent")?)
        .args([database, "--", name])
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    // A number asks getent by id; only an entry of this very name counts here.
    find(&String::from_utf8(output.stdout).ok()?, name).map(str::to_owned)
}

fn find<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find(|line| line.split(':').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_by_name_and_by_number() {
        let root = user("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(owner_id("root"), Some(0));
        assert_eq!(owner_id("54321"), Some(54321));
        assert_eq!(group_id("root"), Some(0));
    }

    #[test]
    fn unknown_names_and_the_reserved_id_are_nobody() {
        for name in ["", "no-such-user-here", "--help", "ro:ot", "-1", "4294967295"] {
            assert_eq!(owner_id(name), None, "{name:?}");
            assert_eq!(group_id(name), None, "{name:?}");
        }
    }
}
