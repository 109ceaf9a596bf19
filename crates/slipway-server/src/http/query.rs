//! The query services: IAM and STS.

use slipway_wire::query::{
    Form, IAM_NAMESPACE, IAM_VERSION, QueryError, QueryErrorKind, STS_NAMESPACE, STS_VERSION,
};

use super::answer::{self, Answer};
use crate::access::RequestContext;
use crate::api::{iam, sts};

/// One call of IAM.
pub(super) async fn iam(context: &RequestContext, body: &[u8]) -> Answer {
    let outcome = match read(context, body, "iam", IAM_VERSION) {
        Ok(form) => iam::dispatch(context, &form).await,
        Err(error) => Err(error),
    };
    finish(outcome, IAM_NAMESPACE, context)
}

/// One call of STS.
pub(super) async fn sts(context: &RequestContext, body: &[u8]) -> Answer {
    let outcome = match read(context, body, "sts", STS_VERSION) {
        Ok(form) => sts::dispatch(context, &form).await,
        Err(error) => Err(error),
    };
    finish(outcome, STS_NAMESPACE, context)
}

/// An action's name as it may stand in a log.
fn loggable(action: &str) -> &str {
    let plain = action.len() <= 64 && action.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { action } else { "-" }
}

/// The parameters of a request, or of a presigned one, if its sender is not too fast.
fn read(context: &RequestContext, body: &[u8], service: &str, version: &str) -> Result<Form, QueryError> {
    let form = Form::parse(body)?;
    let action = loggable(form.action()?);
    tracing::Span::current().record("operation", action);
    context.admit(service, action)?;
    if form.version() != Some(version) {
        return Err(form.unknown_action());
    }
    Ok(form)
}

fn finish(outcome: Result<String, QueryError>, namespace: &'static str, context: &RequestContext) -> Answer {
    let request_id = &context.caller.request_id;
    match outcome {
        Ok(body) => answer::xml(body),
        Err(error) => {
            if error.kind == QueryErrorKind::InternalFailure {
                tracing::error!(request_id, "an IAM or STS call failed");
            }
            answer::query_error(namespace, &error, request_id)
        }
    }
}
