//! Acknowledgements and completions, and what agents put into them (AP-13..AP-17).

use serde_json::Value;
use slipway_engine::target::{CommandAnswer, Report, TargetEvent};
use slipway_model::lifecycle::{Diagnostics, LOG_TAIL_CHARS, LifecycleErrorCode};
use slipway_wire::ApiError;
use slipway_wire::commands::{
    Envelope, PostHostCommandUpdateInput, PutHostCommandAcknowledgementInput, PutHostCommandCompleteInput,
};

use super::host::Host;
use super::{client, id, step_error};
use crate::access::RequestContext;
use crate::error;
use crate::work::target;

/// Longest diagnostics payload that is accepted, in bytes (D-24, AP-16).
const LONGEST_PAYLOAD: usize = 64 * 1024;
/// Longest message and script name that are kept, in characters: they are written with every step of the target.
const LONGEST_MESSAGE: usize = 4096;

/// An agent says that it begins, and learns whether it may.
pub(super) async fn acknowledge(
    context: &RequestContext,
    host: &Host,
    input: PutHostCommandAcknowledgementInput,
) -> Result<CommandAnswer, ApiError> {
    payload(input.diagnostics.as_ref())?;
    let (key, command) = command_of(context, host, input.host_command_identifier.as_deref()).await?;
    let (_, step) =
        target::step(&context.control, &key, &TargetEvent::Acknowledge(command)).await.map_err(step_error)?;
    Ok(step.answer.unwrap_or(CommandAnswer::InProgress))
}

/// An agent says that it is still busy.
pub(super) async fn heartbeat(
    context: &RequestContext,
    host: &Host,
    input: PostHostCommandUpdateInput,
) -> Result<CommandAnswer, ApiError> {
    payload(input.diagnostics.as_ref())?;
    let (key, command) = command_of(context, host, input.host_command_identifier.as_deref()).await?;
    let (_, step) =
        target::step(&context.control, &key, &TargetEvent::Heartbeat(command)).await.map_err(step_error)?;
    Ok(step.answer.unwrap_or(CommandAnswer::InProgress))
}

/// An agent says how it ended. A repeated or late report is accepted and changes nothing (AP-15).
pub(super) async fn complete(
    context: &RequestContext,
    host: &Host,
    input: PutHostCommandCompleteInput,
) -> Result<(), ApiError> {
    let succeeded = match input.command_status.as_deref() {
        Some("Succeeded") => true,
        Some("Failed") => false,
        Some(other) => {
            return Err(client(format!(
                "CommandStatus {other:?} does not end a command: use Succeeded or Failed."
            )));
        }
        None => return Err(client("CommandStatus is required: Succeeded or Failed.")),
    };
    let diagnostics = read_diagnostics(payload(input.diagnostics.as_ref())?, succeeded);
    let (key, command) = command_of(context, host, input.host_command_identifier.as_deref()).await?;
    let event = TargetEvent::Complete { command, report: Report { succeeded, diagnostics } };
    target::step(&context.control, &key, &event).await.map_err(step_error)?;
    Ok(())
}

/// The command that an identifier names, if it is this host's.
async fn command_of(
    context: &RequestContext,
    host: &Host,
    identifier: Option<&str>,
) -> Result<(slipway_store::TargetKey, slipway_engine::target::CommandRef), ApiError> {
    let Some(identifier) = identifier else {
        return Err(client("HostCommandIdentifier is required."));
    };
    let Some((key, command)) = id::decode(identifier) else {
        return Err(client("HostCommandIdentifier is not one that this service has given out."));
    };
    let row = context.control.store.target(&key).await.map_err(error::read)?;
    match row {
        Some(row) if row.host == host.key => Ok((key, command)),
        other => {
            tracing::warn!(
                target: "audit",
                caller = %host.identifier,
                deployment = %key.deployment,
                known = other.is_some(),
                "a report for another host's command was refused"
            );
            Err(client("There is no such command for this host."))
        }
    }
}

fn payload(envelope: Option<&Envelope>) -> Result<Option<&str>, ApiError> {
    let payload = envelope.and_then(|e| e.payload.as_deref());
    match payload {
        Some(text) if text.len() > LONGEST_PAYLOAD => Err(client(format!(
            "Diagnostics.Payload is {} bytes long; at most {LONGEST_PAYLOAD} are accepted.",
            text.len()
        ))),
        other => Ok(other),
    }
}

/// Reads an agent's diagnostics; whatever cannot be read costs its detail, never the report (AP-14).
fn read_diagnostics(payload: Option<&str>, succeeded: bool) -> Diagnostics {
    let fields: Value = payload.and_then(|p| serde_json::from_str(p).ok()).unwrap_or(Value::Null);
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let short = |name: &str| text(name).chars().take(LONGEST_MESSAGE).collect();
    let error_code = if succeeded {
        LifecycleErrorCode::Success
    } else {
        // A failure that calls itself a success, or gives its code as text, is an unknown error.
        match fields.get("error_code").and_then(Value::as_i64) {
            None | Some(0) => LifecycleErrorCode::UnknownError,
            Some(code) => LifecycleErrorCode::from_agent(code),
        }
    };
    Diagnostics {
        error_code,
        script_name: short("script_name"),
        message: short("message"),
        log_tail: tail(text("log"), LOG_TAIL_CHARS),
    }
}

fn tail(text: &str, most: usize) -> String {
    let skip = text.chars().count().saturating_sub(most);
    text.chars().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_official_agent_sends_is_understood_ap_14() {
        let failed = r#"{"error_code":4,"script_name":"scripts/bad.sh","message":"Script at specified location: scripts/bad.sh failed with exit code 3","log":"[stderr]to stderr\n"}"#;
        let diagnostics = read_diagnostics(Some(failed), false);
        assert_eq!(diagnostics.error_code, LifecycleErrorCode::ScriptFailed);
        assert_eq!(diagnostics.script_name, "scripts/bad.sh");
        assert_eq!(diagnostics.log_tail, "[stderr]to stderr\n");

        let odd = r#"{"error_code":"Unknown","message":"Attempting minimal diagnostics"}"#;
        assert_eq!(read_diagnostics(Some(odd), false).error_code, LifecycleErrorCode::UnknownError);
        assert_eq!(read_diagnostics(Some("not json"), false).error_code, LifecycleErrorCode::UnknownError);
        assert_eq!(read_diagnostics(None, true).error_code, LifecycleErrorCode::Success);
    }

    #[test]
    fn logs_are_cut_to_their_last_2048_characters_ap_16() {
        let log = "é".repeat(5000);
        let payload = serde_json::json!({"error_code": 4, "log": log}).to_string();
        assert_eq!(read_diagnostics(Some(&payload), false).log_tail.chars().count(), 2048);
    }

    #[test]
    fn nothing_that_an_agent_says_is_kept_at_any_length_d_24() {
        let long = "x".repeat(60_000);
        let payload = serde_json::json!({"error_code": 4, "script_name": long, "message": long}).to_string();
        let diagnostics = read_diagnostics(Some(&payload), false);
        assert_eq!((diagnostics.script_name.len(), diagnostics.message.len()), (4096, 4096));
    }
}
