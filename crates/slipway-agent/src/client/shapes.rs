//! The structures of the command service (AP-09..AP-17), as they are on the wire.

use serde::{Deserialize, Serialize};

use crate::logs::plain_lines;

/// How a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandStatus {
    /// Not taken yet.
    Pending,
    /// Being worked on.
    InProgress,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
}

/// A format and a text in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Envelope {
    /// `JSON`, `PKCS7/JSON`.
    pub format: String,
    /// The text.
    pub payload: String,
}

/// One command for this host (AP-10).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostCommand {
    /// Opaque; another one for every hand-out.
    pub host_command_identifier: String,
    /// Whom the command is for.
    pub host_identifier: String,
    /// What to ask the specification of.
    pub deployment_execution_id: String,
    /// The lifecycle event.
    pub command_name: String,
}

/// The answer to a poll.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PollOutput {
    #[serde(default)]
    pub(super) host_command: Option<HostCommand>,
}

/// The answer to a question for a specification.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SpecificationOutput {
    #[serde(default)]
    pub(super) deployment_system: Option<String>,
    #[serde(default)]
    pub(super) deployment_specification: Option<Specification>,
}

/// The specification in its envelope.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Specification {
    #[serde(default)]
    pub(super) generic_envelope: Option<Envelope>,
}

/// The answer to an acknowledgement; unknown words let the command go on (AP-13).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AcknowledgementOutput {
    #[serde(default)]
    pub(super) command_status: Option<String>,
}

/// Why a command ended as it did (AG-062, AG-063).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// 0 success … 7 failed after a restart.
    pub error_code: u8,
    /// The script, as the AppSpec file names it.
    pub script_name: String,
    /// What happened.
    pub message: String,
    /// The newest lines of the script log.
    pub log: String,
}

/// The codes of [`Diagnostics::error_code`] (AG-063).
pub mod code {
    /// Succeeded.
    pub const SUCCESS: u8 = 0;
    /// The script is not there.
    pub const SCRIPT_MISSING: u8 = 1;
    /// The script cannot be made executable.
    pub const SCRIPT_NOT_EXECUTABLE: u8 = 2;
    /// The script did not end in time.
    pub const SCRIPT_TIMED_OUT: u8 = 3;
    /// The script ended with an error.
    pub const SCRIPT_FAILED: u8 = 4;
    /// Anything that is not about a script.
    pub const UNKNOWN_ERROR: u8 = 5;
    /// The script ended, a child of it holds its output.
    pub const OUTPUTS_LEFT_OPEN: u8 = 6;
    /// The agent was restarted meanwhile.
    pub const FAILED_AFTER_RESTART: u8 = 7;
}

/// The documents allow 8,192 characters in a payload (AP-16); the log has its share of 2,048.
const LONGEST_MESSAGE: usize = 4096;

impl Diagnostics {
    /// A success carries an empty log (AG-062).
    pub fn success() -> Self {
        Self {
            error_code: code::SUCCESS,
            script_name: String::new(),
            message: "Succeeded: ".to_owned(),
            log: String::new(),
        }
    }

    /// A failure that no script caused (AG-063).
    pub fn failure(message: impl Into<String>) -> Self {
        // Names in bundles and answers of servers get into messages; consoles show them (AP-31).
        let mut message = plain_lines(&message.into());
        if let Some((cut, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
            message.truncate(cut);
        }
        Self { error_code: code::UNKNOWN_ERROR, script_name: String::new(), message, log: String::new() }
    }

    /// The command of an agent that died under it (AG-066).
    pub fn after_restart() -> Self {
        Self {
            error_code: code::FAILED_AFTER_RESTART,
            ..Self::failure("Failed: Failing in-progress lifecycle event after an agent restart.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Diagnostics;

    #[test]
    fn diagnostics_have_the_observed_form() {
        assert_eq!(
            serde_json::to_string(&Diagnostics::success()).expect("JSON"),
            r#"{"error_code":0,"script_name":"","message":"Succeeded: ","log":""}"#,
            "AG-062"
        );
        assert_eq!(Diagnostics::failure("a\u{1b}[31m\nb\u{7}").message, "a\nb", "AP-31");
        assert_eq!(Diagnostics::failure("é".repeat(9000)).message.chars().count(), 4096, "AP-16");
    }
}
