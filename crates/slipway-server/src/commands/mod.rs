//! The agent command service: the five operations of AP-01..AP-19.
//!
//! | module | what is in it |
//! |---|---|
//! | [`id`] | command identifiers: opaque to agents, tell us the row |
//! | `host` | who polls: the signing identity and the host it may speak for (AP-07) |
//! | `poll` | the long poll: take a command, or wait for one |
//! | `report` | acknowledgements and completions, and what agents put into them |
//! | `specification` | the signed deployment specification |

mod host;
pub(crate) use host::IdentityClaim;
pub mod id;
mod poll;
mod report;
mod specification;

use slipway_engine::target::{CommandAnswer, Refusal};
use slipway_wire::commands::{
    GetDeploymentSpecificationInput, GetDeploymentSpecificationOutput, PollHostCommandInput,
    PollHostCommandOutput, PostHostCommandUpdateInput, PostHostCommandUpdateOutput,
    PutHostCommandAcknowledgementInput, PutHostCommandAcknowledgementOutput, PutHostCommandCompleteInput,
    Service,
};
use slipway_wire::{ApiError, ErrorKind};

use crate::access::RequestContext;
use crate::work::target::TargetStepError;

/// The service.
#[derive(Debug, Clone, Copy, Default)]
pub struct Commands;

impl Service for Commands {
    type Context = RequestContext;

    async fn poll_host_command(
        &self,
        context: &RequestContext,
        input: PollHostCommandInput,
    ) -> Result<PollHostCommandOutput, ApiError> {
        let host = host::of_request(context, input.host_identifier.as_deref(), "PollHostCommand").await?;
        poll::poll(context, &host).await
    }

    async fn get_deployment_specification(
        &self,
        context: &RequestContext,
        input: GetDeploymentSpecificationInput,
    ) -> Result<GetDeploymentSpecificationOutput, ApiError> {
        let host =
            host::of_request(context, input.host_identifier.as_deref(), "GetDeploymentSpecification").await?;
        specification::get(context, &host, input.deployment_execution_id.as_deref()).await
    }

    async fn put_host_command_acknowledgement(
        &self,
        context: &RequestContext,
        input: PutHostCommandAcknowledgementInput,
    ) -> Result<PutHostCommandAcknowledgementOutput, ApiError> {
        let host = host::of_caller(context, "PutHostCommandAcknowledgement").await?;
        let answer = report::acknowledge(context, &host, input).await?;
        Ok(PutHostCommandAcknowledgementOutput { command_status: Some(status_text(answer)) })
    }

    async fn put_host_command_complete(
        &self,
        context: &RequestContext,
        input: PutHostCommandCompleteInput,
    ) -> Result<(), ApiError> {
        let host = host::of_caller(context, "PutHostCommandComplete").await?;
        report::complete(context, &host, input).await
    }

    async fn post_host_command_update(
        &self,
        context: &RequestContext,
        input: PostHostCommandUpdateInput,
    ) -> Result<PostHostCommandUpdateOutput, ApiError> {
        let host = host::of_caller(context, "PostHostCommandUpdate").await?;
        let answer = report::heartbeat(context, &host, input).await?;
        Ok(PostHostCommandUpdateOutput { command_status: Some(status_text(answer)) })
    }
}

fn status_text(answer: CommandAnswer) -> String {
    match answer {
        CommandAnswer::InProgress => "InProgress",
        CommandAnswer::Succeeded => "Succeeded",
        CommandAnswer::Failed => "Failed",
    }
    .to_owned()
}

fn client(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::ClientException, message)
}

/// What a refused step means on the wire.
fn step_error(error: TargetStepError) -> ApiError {
    match error {
        TargetStepError::NoTarget => client("There is no such command for this host."),
        TargetStepError::Refused(refusal @ Refusal::ForeignCommand) => client(refusal.to_string()),
        other => {
            let _ = crate::error::internal(&other);
            ApiError::new(ErrorKind::ServerException, "The report could not be stored. Send it again.")
        }
    }
}
