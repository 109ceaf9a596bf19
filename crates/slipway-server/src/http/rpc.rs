//! The services whose operations are called by name: CodeDeploy, in both its protocols, and the agents' commands.

use slipway_wire::codec::Protocol;
use slipway_wire::{codedeploy, commands};

use super::answer::{self, Answer};
use crate::access::RequestContext;
use crate::api::codedeploy::CodeDeploy;
use crate::commands::Commands;

/// One call of the CodeDeploy API (D-06).
pub(super) async fn codedeploy(
    context: &RequestContext,
    protocol: Protocol,
    operation: codedeploy::Operation,
    body: &[u8],
) -> Answer {
    match codedeploy::dispatch(&CodeDeploy, context, protocol, operation, body).await {
        Ok(body) => answer::rpc(protocol, body),
        Err(error) => answer::rpc_error(protocol, &error),
    }
}

/// One call of an agent. Agents speak JSON.
pub(super) async fn commands(
    context: &RequestContext,
    operation: commands::Operation,
    body: &[u8],
) -> Answer {
    match commands::dispatch(&Commands, context, Protocol::Json, operation, body).await {
        Ok(body) => answer::rpc(Protocol::Json, body),
        Err(error) => answer::rpc_error(Protocol::Json, &error),
    }
}
