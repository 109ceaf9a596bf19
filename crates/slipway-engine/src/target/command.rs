//! The ids of a command: every hand-out has a new one, the first one acknowledged owns the command (AP-37, D-23).

use serde::{Deserialize, Serialize};

use super::{Refusal, TargetMachine};

/// What a command id carries beside deployment and ordinal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CommandRef {
    /// Place of the lifecycle event in the target's list.
    pub event_index: u16,
    /// Which hand-out of the command it is, from 1.
    pub hand_out: u32,
    /// Random, the same for all hand-outs of the command.
    pub nonce: u64,
}

/// What is known of a command that was handed out. One nonce for all hand-outs keeps it small however often an answer
/// cannot be written; the ids of one command need no secret from the only host that may use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Command {
    pub(super) event: u16,
    pub(super) nonce: u64,
    /// How many hand-outs there were; the newest one has this number.
    pub(super) hand_outs: u32,
    /// The hand-out that was acknowledged first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<u32>,
    /// Whether a limit or a stop ended it: what is left of it must not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) withdrawn: bool,
}

impl TargetMachine {
    /// Position of the command that the id belongs to.
    pub(super) fn find(&self, id: CommandRef) -> Result<usize, Refusal> {
        self.commands
            .iter()
            .position(|c| {
                c.event == id.event_index && c.nonce == id.nonce && (1..=c.hand_outs).contains(&id.hand_out)
            })
            .ok_or(Refusal::ForeignCommand)
    }

    pub(super) fn command_of(&mut self, event: u16) -> Option<&mut Command> {
        self.commands.iter_mut().find(|c| c.event == event)
    }
}
