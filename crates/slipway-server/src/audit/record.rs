//! From a call to its record (DP-432).

use serde::Serialize;
use serde_json::{Value, json};
use slipway_auth::identity::{Principal, PrincipalKind};
use slipway_model::Timestamp;
use slipway_wire::query::Form;

use super::call::{Answered, Call, Format, Kept};
use super::{redact, xml};
use crate::access::Caller;

/// Version of CloudTrail's record format.
const EVENT_VERSION: &str = "1.02";
/// Names in place of one that is no operation's.
const UNKNOWN: &str = "Unknown";

/// A record of CloudTrail's, with its members in CloudTrail's order.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    event_version: &'static str,
    user_identity: Value,
    pub(super) event_time: String,
    event_source: String,
    event_name: String,
    aws_region: String,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: String,
    user_agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    request_parameters: Value,
    response_elements: Value,
    #[serde(rename = "requestID")]
    request_id: String,
    #[serde(rename = "eventID")]
    event_id: String,
    event_type: &'static str,
    recipient_account_id: String,
}

/// Error of a call whose end nobody waited for.
const UNANSWERED: &str = "Unanswered";
const CUT_OFF: &str = "The call ended before it was answered; it may have been carried out.";

/// The record of a call.
pub(super) fn of(call: Call) -> Record {
    let Call { at_ms, caller, service, operation, format, request, answered } = call;
    let (name, parameters) = match &request {
        Kept::Length(length) => (None, json!({ "omitted": format!("{length} bytes") })),
        Kept::Whole(body) => read(format, body),
    };
    let name = operation.map(str::to_owned).or(name).unwrap_or_else(|| UNKNOWN.to_owned());
    let (error_code, error_message, response_elements) = match answered {
        Answered::Refused { code, message } => (Some(code), Some(message), Value::Null),
        Answered::Never => (Some(UNANSWERED.to_owned()), Some(CUT_OFF.to_owned()), Value::Null),
        Answered::Done(_) if is_read_only(&name) => (None, None, Value::Null),
        Answered::Done(body) => (None, None, answer(format, &body)),
    };
    Record {
        event_version: EVENT_VERSION,
        user_identity: identity(&caller),
        event_time: time(at_ms),
        event_source: format!("{service}.amazonaws.com"),
        event_name: name,
        aws_region: caller.scope.region.to_string(),
        source_ip_address: caller.source_ip.map_or_else(String::new, |ip| ip.to_canonical().to_string()),
        user_agent: caller.user_agent.unwrap_or_default(),
        error_code,
        error_message,
        request_parameters: parameters,
        response_elements,
        request_id: caller.request_id,
        event_id: uuid::Uuid::new_v4().to_string(),
        event_type: "AwsApiCall",
        recipient_account_id: caller.scope.account.to_string(),
    }
}

/// Calls that change nothing: their answers are not recorded.
fn is_read_only(operation: &str) -> bool {
    ["Get", "List", "BatchGet"].iter().any(|prefix| operation.starts_with(prefix))
        // Of these Gets one makes something.
        && operation != "GetSessionToken"
}

/// The operation, where the body tells it, and the parameters.
fn read(format: Format, body: &[u8]) -> (Option<String>, Value) {
    match format {
        Format::Rpc(protocol) => {
            let value = if body.is_empty() { None } else { protocol.show(body) };
            (None, value.map_or(Value::Null, redact::parameters))
        }
        Format::Query => match Form::parse(body) {
            Ok(form) => {
                let name = form.action().ok().filter(|name| is_name(name)).map(str::to_owned);
                (name, redact::parameters(redact::lists(redact::of_form(&form))))
            }
            Err(_) => (None, Value::Null),
        },
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn answer(format: Format, body: &[u8]) -> Value {
    let value = match format {
        Format::Rpc(protocol) => protocol.show(body),
        Format::Query => std::str::from_utf8(body).ok().and_then(xml::result),
    };
    value.map_or(Value::Null, redact::answer)
}

fn identity(caller: &Caller) -> Value {
    let Principal { account, arn, kind } = &caller.principal;
    let mut identity = json!({
        "type": match kind {
            PrincipalKind::User { .. } => "IAMUser",
            PrincipalKind::AssumedRole { .. } => "AssumedRole",
        },
        "principalId": caller.principal.user_id(),
        "arn": arn,
        "accountId": account,
        "accessKeyId": caller.access_key_id,
    });
    if let PrincipalKind::User { name, .. } = kind {
        identity["userName"] = json!(name);
    }
    if let Some(session) = &caller.session {
        identity["sessionContext"] = json!({
            "attributes": { "mfaAuthenticated": "false", "creationDate": time(session.issued_ms) },
        });
        if let PrincipalKind::AssumedRole { role_name, role_id, .. } = kind {
            identity["sessionContext"]["sessionIssuer"] = json!({
                "type": "Role",
                "principalId": role_id,
                "arn": caller.principal.policy_arn(),
                "accountId": account,
                "userName": role_name,
            });
        }
        if let Some(source) = &session.source_identity {
            identity["sessionContext"]["sourceIdentity"] = json!(source);
        }
    }
    identity
}

/// Whole seconds, as CloudTrail writes them.
pub(super) fn time(ms: i64) -> String {
    slipway_wire::Timestamp::from_millis(Timestamp(ms).0 - ms.rem_euclid(1000)).to_iso8601()
}
