//! The Install command: what a revision says becomes files on the host (AG-100).
//!
//! 1. [`cleanup`] removes what the group's last deployment made, as its record tells, and the record.
//! 2. The planner turns the AppSpec file into instructions; every conflict is found here, before the first copy.
//! 3. The instructions are written to `<group>-install.json`.
//! 4. Each one is executed; its path is in `<group>-cleanup` before its file is on the disk, so the next
//!    deployment can remove what a crash left (AS-041).
//! 5. `<group>_last_successful_install` names the deployment.

mod cleanup;
mod error;
mod execute;
mod labels;
mod place;
mod plan;
mod record;
mod select;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use slipway_appspec::AppSpec;

pub use cleanup::{Cleaned, cleanup};
pub use error::InstallError;

use crate::layout::{is_group_id, write_atomically};
use crate::sys::directory::Follow;

/// What hosts may refuse beyond the documented rules (AP-30, D-17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    /// `reject_path_traversal_in_bundle`: sources and links that lead out of the revision.
    pub reject_path_traversal: bool,
    /// `reject_symlink_permission_targets`: an `object` that is a symbolic link.
    pub reject_symlink_permission_targets: bool,
    /// `reject_unconfined_selinux_in_bundle`: labels that lift SELinux's confinement.
    pub reject_unconfined_selinux: bool,
    /// `reject_untrusted_links_in_destination`: links of other users on the way to a destination, to directories that
    /// are not theirs.
    pub reject_untrusted_links: bool,
}

impl Switches {
    /// Which links on the way to a destination are followed: a user who owns a directory there must not lead the agent
    /// to directories that are not his.
    fn follow(self) -> Follow {
        if self.reject_untrusted_links { Follow::Trusted } else { Follow::Always }
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            reject_path_traversal: true,
            reject_symlink_permission_targets: true,
            reject_unconfined_selinux: false,
            reject_untrusted_links: true,
        }
    }
}

/// One Install command.
#[derive(Debug, Clone, Copy)]
pub struct InstallRequest<'a> {
    /// The unpacked revision.
    pub archive_dir: &'a Path,
    /// `<root>/deployment-instructions`.
    pub instructions_dir: &'a Path,
    /// The deployment group's id: files are tracked under it (AS-044).
    pub group_id: &'a str,
    /// `<root>/<group>/<deployment>`, for the marker.
    pub deployment_dir: &'a Path,
    /// The revision's AppSpec file.
    pub app_spec: &'a AppSpec,
    /// The name of that file, for messages.
    pub app_spec_name: &'a str,
    /// The deployment's own setting, as it came; checked when it is needed (AS-037).
    pub file_exists_behavior: &'a str,
    /// Whether the next clean-up also removes retained files (`:retain_cleanup: guide`, D-14).
    pub retain_cleanup_guide: bool,
    /// The host's switches.
    pub switches: Switches,
}

/// What an Install did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstallReport {
    /// What the clean-up of the last deployment removed.
    pub cleaned: Cleaned,
    /// Files and links installed.
    pub copied: usize,
    /// Directories made.
    pub directories: usize,
    /// Files that were there before and stayed (RETAIN).
    pub retained: Vec<PathBuf>,
}

/// Runs the Install command. Blocks; call it off the runtime.
pub fn install(request: &InstallRequest<'_>) -> Result<InstallReport, InstallError> {
    let cleaned = cleanup(request.instructions_dir, request.group_id, request.switches.follow())?;
    let plan = plan::plan(request)?;
    let instructions = request.instructions_dir.join(format!("{}-install.json", request.group_id));
    record::write_instructions(&instructions, &plan.instructions)?;
    let mut cleanup_record = record::CleanupRecord::create(request.instructions_dir, request.group_id)?;
    let (copied, directories) = execute::execute(request, &plan, &mut cleanup_record)?;
    if request.retain_cleanup_guide {
        cleanup_record.announce(plan.retained.iter().map(PathBuf::as_path))?;
    }
    let marker = request.instructions_dir.join(format!("{}_last_successful_install", request.group_id));
    write_atomically(&marker, request.deployment_dir.as_os_str().as_encoded_bytes())
        .map_err(|error| InstallError::io(&marker, error))?;
    Ok(InstallReport { cleaned, copied, directories, retained: plan.retained })
}

/// Group ids come from outside and become file names.
fn check_group_id(group_id: &str) -> Result<(), InstallError> {
    if is_group_id(group_id) { Ok(()) } else { Err(InstallError::GroupId(group_id.to_owned())) }
}
