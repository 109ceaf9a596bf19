//! The agent's service under systemd. Other service managers are the operator's business: what is to be done is told.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::sys::files::program;

const UNIT: &str = "codedeploy-agent.service";

/// Whether systemd runs this machine and knows the agent's unit.
pub(super) fn is_managed() -> bool {
    Path::new("/run/systemd/system").is_dir()
        && program("systemctl").is_some_and(|systemctl| succeeds(&systemctl, &["cat", UNIT]))
}

/// Starts the service now and at every boot; one that runs reads its new files.
pub(super) fn start() -> Result<(), String> {
    run(&["enable", UNIT])?;
    run(&["restart", UNIT])
}

/// Stops the service, for now and for the next boot; one that does not run is as good. A deployment in progress refuses
/// it (AG-044).
pub(super) fn stop() -> Result<(), String> {
    run(&["stop", UNIT])?;
    run(&["disable", UNIT])
}

/// Removes the package of the agent; `false`: it was not installed as one.
pub(super) fn remove_package() -> Result<bool, String> {
    let Some(dpkg) = program("dpkg") else { return Ok(false) };
    let query = program("dpkg-query").ok_or("dpkg-query is missing")?;
    if !succeeds(&query, &["--status", "codedeploy-agent"]) {
        return Ok(false);
    }
    execute(&dpkg, &["--remove", "codedeploy-agent"]).map(|()| true)
}

fn run(arguments: &[&str]) -> Result<(), String> {
    let systemctl = program("systemctl").ok_or("systemctl is missing")?;
    execute(&systemctl, arguments)
}

fn execute(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let said = format!("{} {}", program.display(), arguments.join(" "));
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{said}` failed ({status})")),
        Err(error) => Err(format!("`{said}`: {error}")),
    }
}

fn succeeds(program: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status: io::Result<_> = command.status();
    status.is_ok_and(|status| status.success())
}
