//! A request body on its way to a service and back, as a server sends it.

use slipway_wire::codec::Protocol;
use slipway_wire::commands::{
    GetDeploymentSpecificationInput, GetDeploymentSpecificationOutput, HostCommandInstance, Operation,
    PollHostCommandInput, PollHostCommandOutput, PostHostCommandUpdateInput, PostHostCommandUpdateOutput,
    PutHostCommandAcknowledgementInput, PutHostCommandAcknowledgementOutput, PutHostCommandCompleteInput,
    Service, dispatch,
};
use slipway_wire::{ApiError, ErrorKind};

struct OneCommand;

impl Service for OneCommand {
    type Context = String;

    async fn get_deployment_specification(
        &self,
        _: &String,
        _: GetDeploymentSpecificationInput,
    ) -> Result<GetDeploymentSpecificationOutput, ApiError> {
        Err(ApiError::new(ErrorKind::ClientException, "no such deployment"))
    }

    async fn poll_host_command(
        &self,
        caller: &String,
        input: PollHostCommandInput,
    ) -> Result<PollHostCommandOutput, ApiError> {
        let host_command = (input.host_identifier.as_ref() == Some(caller)).then(|| HostCommandInstance {
            command_name: Some("BeforeInstall".to_owned()),
            host_identifier: input.host_identifier,
            nonce: Some(7),
            ..HostCommandInstance::default()
        });
        Ok(PollHostCommandOutput { host_command })
    }

    async fn post_host_command_update(
        &self,
        _: &String,
        _: PostHostCommandUpdateInput,
    ) -> Result<PostHostCommandUpdateOutput, ApiError> {
        Ok(PostHostCommandUpdateOutput::default())
    }

    async fn put_host_command_acknowledgement(
        &self,
        _: &String,
        _: PutHostCommandAcknowledgementInput,
    ) -> Result<PutHostCommandAcknowledgementOutput, ApiError> {
        Ok(PutHostCommandAcknowledgementOutput { command_status: Some("InProgress".to_owned()) })
    }

    async fn put_host_command_complete(
        &self,
        _: &String,
        _: PutHostCommandCompleteInput,
    ) -> Result<(), ApiError> {
        Ok(())
    }
}

/// Runs the call on another task, as servers do: the future must be `Send` and own nothing that is not.
async fn call(operation: Operation, body: &'static str) -> Result<String, ApiError> {
    let answer = tokio::spawn(async move {
        dispatch(&OneCommand, &"host".to_owned(), Protocol::Json, operation, body.as_bytes()).await
    })
    .await
    .expect("the service does not panic")?;
    Ok(String::from_utf8(answer).expect("JSON is UTF-8"))
}

#[tokio::test]
async fn a_request_reaches_its_operation_with_the_caller() {
    let answer = call(Operation::PollHostCommand, r#"{"HostIdentifier": "host"}"#).await;
    let expected = r#"{"HostCommand":{"HostIdentifier":"host","CommandName":"BeforeInstall","Nonce":7}}"#;
    assert_eq!(answer.as_deref(), Ok(expected));
}

/// AP-04: the 2.0 agent wants JSON even where there is nothing to say.
#[tokio::test]
async fn an_output_without_members_is_an_empty_object() {
    assert_eq!(call(Operation::PollHostCommand, r#"{"HostIdentifier": "other"}"#).await.as_deref(), Ok("{}"));
}

#[tokio::test]
async fn an_operation_without_output_answers_with_an_empty_body() {
    assert_eq!(call(Operation::PutHostCommandComplete, "{}").await.as_deref(), Ok(""));
}

#[tokio::test]
async fn an_empty_request_is_the_input_without_members() {
    assert_eq!(call(Operation::PutHostCommandComplete, "").await.as_deref(), Ok(""));
}

#[tokio::test]
async fn errors_of_service_and_codec_come_back_typed() {
    let refused = call(Operation::GetDeploymentSpecification, "{}").await;
    assert_eq!(refused, Err(ApiError::new(ErrorKind::ClientException, "no such deployment")));
    let garbled = call(Operation::PollHostCommand, "{").await;
    assert_eq!(garbled.map_err(|error| error.kind), Err(ErrorKind::SerializationException));
}
