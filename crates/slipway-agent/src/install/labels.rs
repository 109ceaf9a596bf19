//! Access control lists and SELinux labels, through the system's own tools: absolute paths, no shell.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::FileType;
use slipway_appspec::{AclEntry, AclQualifier, SecurityContext};

use super::InstallError;
use crate::sys::directory::Object;
use crate::sys::files::program;

/// What a shell answers for a command that is not there.
const NOT_FOUND: i32 = 127;

/// A command that did not succeed.
struct Failed {
    command: String,
    status: i32,
}

/// Replaces the list of an object (AS-070). The tool gets the object itself as its standard input: the path may lead
/// elsewhere meanwhile.
pub(super) fn set_acl(path: &Path, object: Object, entries: &[AclEntry]) -> Result<(), InstallError> {
    let is_link = object.kind() == FileType::Symlink;
    let mode = if is_link {
        fs::metadata(path).map_err(|error| InstallError::io(path, error))?.permissions().mode()
    } else {
        object.mode()
    };
    let list = complete(entries, mode).join(",");
    let arguments = [OsStr::new("--set"), OsStr::new(&list)];
    // A link gets here only when the host allows links as targets of permissions.
    let (input, place) = if is_link {
        (Stdio::null(), path.as_os_str())
    } else {
        (Stdio::from(object.into_fd()), OsStr::new("/proc/self/fd/0"))
    };
    run_on("setfacl", &arguments, path, place, input)
        .map_err(|Failed { command, status }| InstallError::Acl { path: path.to_owned(), command, status })
}

/// The entries with the base ones that `setfacl --set` needs: from the mode for the object, and the same
/// for the default list where there is one.
pub(super) fn complete(entries: &[AclEntry], mode: u32) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for default in [false, true] {
        let mine: Vec<&AclEntry> = entries.iter().filter(|entry| entry.default == default).collect();
        if default && mine.is_empty() {
            continue;
        }
        let base = |qualifier, shift: u32| AclEntry {
            default,
            qualifier,
            name: String::new(),
            bits: (mode >> shift & 7) as u8,
        };
        for (qualifier, shift) in
            [(AclQualifier::User, 6), (AclQualifier::Group, 3), (AclQualifier::Other, 0)]
        {
            if !mine.iter().any(|entry| entry.qualifier == qualifier && entry.name.is_empty()) {
                list.push(base(qualifier, shift).to_string());
            }
        }
        list.extend(mine.iter().map(ToString::to_string));
        let named = mine.iter().any(|entry| !entry.name.is_empty());
        if named && !mine.iter().any(|entry| entry.qualifier == AclQualifier::Mask) {
            list.push(base(AclQualifier::Mask, 3).to_string());
        }
    }
    list
}

/// Makes the rule for a label and applies it (AS-071). `path` is the real path.
pub(super) fn set_context(path: &Path, context: &SecurityContext) -> Result<(), InstallError> {
    let mut arguments = vec![OsStr::new("fcontext"), OsStr::new("-a")];
    if let Some(user) = &context.user {
        arguments.extend([OsStr::new("-s"), OsStr::new(user)]);
    }
    arguments.extend([OsStr::new("-t"), OsStr::new(&context.kind)]);
    if let Some(range) = &context.range {
        arguments.extend([OsStr::new("-r"), OsStr::new(range)]);
    }
    let failed = |Failed { command, status }| InstallError::Context { command, status };
    run("semanage", &arguments, path).map_err(failed)?;
    run("restorecon", &[OsStr::new("-v")], path).map_err(failed)
}

/// Removes the rule for a label; a rule that is gone already is worth a note, not a failed deployment.
pub(super) fn forget_context(path: &Path) -> Result<(), String> {
    run("semanage", &[OsStr::new("fcontext"), OsStr::new("-d")], path)
        .map_err(|Failed { command, status }| format!("{command} ended with exit code {status}"))
}

fn run(name: &str, arguments: &[&OsStr], path: &Path) -> Result<(), Failed> {
    run_on(name, arguments, path, path.as_os_str(), Stdio::null())
}

/// Runs a tool on `place`; a failure tells the command with `path`, as one would type it.
fn run_on(name: &str, arguments: &[&OsStr], path: &Path, place: &OsStr, input: Stdio) -> Result<(), Failed> {
    let status = match program(name) {
        None => NOT_FOUND,
        Some(tool) => Command::new(tool)
            .args(arguments)
            .arg(place)
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_or(NOT_FOUND, |status| status.code().unwrap_or(-1)),
    };
    if status == 0 {
        return Ok(());
    }
    let mut command = OsString::from(name);
    for argument in arguments.iter().copied().chain([path.as_os_str()]) {
        command.push(" ");
        command.push(argument);
    }
    Err(Failed { command: command.to_string_lossy().into_owned(), status })
}
