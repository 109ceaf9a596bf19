//! The three logs: the agent's own (AG-077), each deployment's `scripts.log` (AG-073), and the
//! deployments log that collects them all (AG-074).

mod agent;
mod rotate;
mod script;

pub use agent::{AgentLog, Level};
pub use rotate::RotatingFile;
pub use script::{DeploymentsLog, LogTail, ScriptLog};
