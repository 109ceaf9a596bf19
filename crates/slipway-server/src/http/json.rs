//! The JSON services: CodeDeploy and the agents' commands.

use slipway_wire::codec::Protocol;
use slipway_wire::{codedeploy, commands};

use super::answer::{self, Answer};
use crate::access::RequestContext;
use crate::api::codedeploy::CodeDeploy;
use crate::commands::Commands;

/// One call of the CodeDeploy API.
pub(super) async fn codedeploy(
    context: &RequestContext,
    operation: codedeploy::Operation,
    body: &[u8],
) -> Answer {
    match codedeploy::dispatch(&CodeDeploy, context, Protocol::Json, operation, body).await {
        Ok(body) => answer::json(body),
        Err(error) => answer::json_error(&error),
    }
}

/// One call of an agent.
pub(super) async fn commands(
    context: &RequestContext,
    operation: commands::Operation,
    body: &[u8],
) -> Answer {
    match commands::dispatch(&Commands, context, Protocol::Json, operation, body).await {
        Ok(body) => answer::json(body),
        Err(error) => answer::json_error(&error),
    }
}
