//! The three logs: the agent's own (AG-077), each deployment's `scripts.log` (AG-073), and the
//! deployments log that collects them all (AG-074).

mod agent;
mod rotate;
mod script;
mod text;

pub use agent::{AgentLog, Level};
pub use rotate::RotatingFile;
pub use script::{DeploymentsLog, LogTail, ScriptLog};
pub use text::{plain, plain_lines};

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Opens a log: what scripts print may be secret, so other users do not read it.
fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}
