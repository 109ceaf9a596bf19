//! The command service: five operations in JSON 1.1, signed (AP-01..AP-17).

mod shapes;

use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use shapes::{AcknowledgementOutput, PollOutput, SpecificationOutput};
pub use shapes::{CommandStatus, Diagnostics, Envelope, HostCommand, code};

use crate::clock;
use crate::config::{CredentialError, CredentialSource};
use crate::http::{HttpClient, HttpError};
use crate::logs::AgentLog;
use crate::sign::{Scope, SignError, signed};

/// No answer of this service is longer.
const LARGEST_ANSWER: usize = 4 << 20;
const USER_AGENT: &str = concat!("slipway-agent/", env!("CARGO_PKG_VERSION"));

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No keys to sign with.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The request could not be made.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The service said no.
    #[error("{code} - {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The exception's name.
        code: String,
        /// Its message.
        message: String,
    },
    /// An answer that is not what the service may answer.
    #[error("the service's answer makes no sense: {0}")]
    Answer(String),
}

impl ClientError {
    /// Whether the service asks for less (AP-26).
    pub fn is_throttling(&self) -> bool {
        matches!(self, Self::Refused { status, code, .. }
            if *status == 429 || code.to_ascii_lowercase().contains("throttl") || code.contains("RateExceeded"))
    }

    /// Whether fresh keys may help (AP-34).
    pub fn is_authentication(&self) -> bool {
        match self {
            Self::Credentials(_) => true,
            Self::Refused { code, .. } => matches!(
                code.as_str(),
                "ExpiredToken"
                    | "ExpiredTokenException"
                    | "UnrecognizedClientException"
                    | "InvalidClientTokenId"
                    | "InvalidSignatureException"
                    | "SignatureDoesNotMatch"
                    | "RequestExpired"
            ),
            _ => false,
        }
    }

    /// Whether the same call may succeed later without anything here having changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http(_) | Self::Answer(_) => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 408 || self.is_throttling(),
            Self::Credentials(_) | Self::Sign(_) => false,
        }
    }
}

/// Where the service is and in whose name it is called.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The service's address.
    pub endpoint: Uri,
    /// The region to sign for.
    pub region: String,
    /// AP-01: another scope and another target prefix.
    pub secure: bool,
    /// What `x-amz-codedeploy-agent-version` says (AP-02).
    pub agent_version: String,
}

/// A client of the command service.
#[derive(Debug)]
pub struct CommandClient {
    http: HttpClient,
    settings: ClientSettings,
    credentials: CredentialSource,
    log: AgentLog,
}

/// An answer to an acknowledgement (AP-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// Run the command.
    Go,
    /// It is somebody else's: say nothing more about it.
    Skip,
    /// It was ended meanwhile.
    Ended,
}

impl CommandClient {
    /// A client.
    pub fn new(
        http: HttpClient,
        settings: ClientSettings,
        credentials: CredentialSource,
        log: AgentLog,
    ) -> Self {
        Self { http, settings, credentials, log }
    }

    /// Waits for a command. `None`: nothing to do.
    pub async fn poll(&self, host: &str) -> Result<Option<HostCommand>, ClientError> {
        let said = format!("poll_host_command(host_identifier:{host:?})");
        let output: PollOutput =
            self.call("PollHostCommand", &json!({ "HostIdentifier": host }), &said).await?;
        Ok(output.host_command)
    }

    /// The signed specification of a deployment (AG-059, AP-11).
    pub async fn specification(&self, host: &str, execution: &str) -> Result<Envelope, ClientError> {
        let said = format!(
            "get_deployment_specification(deployment_execution_id:{execution:?},host_identifier:{host:?})"
        );
        let input = json!({ "DeploymentExecutionId": execution, "HostIdentifier": host });
        let output: SpecificationOutput = self.call("GetDeploymentSpecification", &input, &said).await?;
        let refused = |message: String| ClientError::Refused {
            status: 200,
            code: "DeploymentSpecification".to_owned(),
            message,
        };
        match output.deployment_system.as_deref() {
            Some("CodeDeploy") => {}
            other => {
                return Err(refused(format!(
                    "Deployment System mismatch: CodeDeploy != {}",
                    other.unwrap_or_default()
                )));
            }
        }
        output
            .deployment_specification
            .and_then(|specification| specification.generic_envelope)
            .ok_or_else(|| refused("Deployment Specification missing".to_owned()))
    }

    /// Says that the command was received (AP-13).
    pub async fn acknowledge(&self, identifier: &str, noop: bool) -> Result<Acknowledged, ClientError> {
        let said = format!(
            "put_host_command_acknowledgement(diagnostics:{{is_command_noop:{noop}}},host_command_identifier:{identifier:?})"
        );
        let diagnostics =
            Envelope { format: "JSON".to_owned(), payload: json!({ "IsCommandNoop": noop }).to_string() };
        let input = json!({ "HostCommandIdentifier": identifier, "Diagnostics": diagnostics });
        let output: AcknowledgementOutput = self.call("PutHostCommandAcknowledgement", &input, &said).await?;
        Ok(match output.command_status.as_deref() {
            Some("Succeeded") => Acknowledged::Skip,
            Some("Failed") => Acknowledged::Ended,
            _ => Acknowledged::Go,
        })
    }

    /// Says how the command ended (AP-14).
    pub async fn complete(
        &self,
        identifier: &str,
        status: CommandStatus,
        diagnostics: &Diagnostics,
    ) -> Result<(), ClientError> {
        let said = format!(
            "put_host_command_complete(command_status:\"{status:?}\",diagnostics:{{error_code:{}}},host_command_identifier:{identifier:?})",
            diagnostics.error_code
        );
        let payload =
            serde_json::to_string(diagnostics).map_err(|error| ClientError::Answer(error.to_string()))?;
        let diagnostics = Envelope { format: "JSON".to_owned(), payload };
        let input = json!({ "HostCommandIdentifier": identifier, "CommandStatus": status, "Diagnostics": diagnostics });
        let _: serde::de::IgnoredAny = self.call("PutHostCommandComplete", &input, &said).await?;
        Ok(())
    }

    /// One call; `said` is how the log names it (AG-079).
    async fn call<O: DeserializeOwned>(
        &self,
        operation: &str,
        input: &impl Serialize,
        said: &str,
    ) -> Result<O, ClientError> {
        let started = Instant::now();
        let result = self.exchange(operation, input).await;
        let seconds = started.elapsed().as_secs_f64();
        match result {
            Ok(answer) => {
                let status = answer.status().as_u16();
                self.log.info(format_args!(
                    "[Aws::CodeDeployCommand::Client {status} {seconds:.6} 0 retries] {said}"
                ));
                parse(answer.body())
            }
            Err(error) => {
                let status = match &error {
                    ClientError::Refused { status, .. } => status.to_string(),
                    _ => String::new(),
                };
                self.log.info(format_args!(
                    "[Aws::CodeDeployCommand::Client {status} {seconds:.6} 0 retries] {said} {error}"
                ));
                if error.is_authentication() {
                    self.credentials.forget();
                }
                Err(error)
            }
        }
    }

    async fn exchange(
        &self,
        operation: &str,
        input: &impl Serialize,
    ) -> Result<Response<Bytes>, ClientError> {
        let keys = self.credentials.keys().await?;
        let body = serde_json::to_vec(input).map_err(|error| ClientError::Answer(error.to_string()))?;
        let (prefix, service) = if self.settings.secure {
            ("CodeDeployCommandService", "codedeploy-commands-secure")
        } else {
            ("CodeDeployCommandService_v20141006", "codedeploy-commands")
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.settings.endpoint)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("{prefix}.{operation}"))
            .header("x-amz-codedeploy-agent-version", &self.settings.agent_version)
            .header("user-agent", USER_AGENT)
            .body(())
            .map_err(|error| ClientError::Answer(error.to_string()))?;
        let scope = Scope { region: &self.settings.region, service };
        let request = signed(request, Bytes::from(body), &keys, scope, clock::now())?;
        let answer = self.http.fetch(request, LARGEST_ANSWER).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(&answer)) }
    }
}

/// An empty body means an empty object (AP-04).
fn parse<O: DeserializeOwned>(body: &[u8]) -> Result<O, ClientError> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| ClientError::Answer(error.to_string()))
}

/// Reads `__type` and `message`, or the header that carries the type.
fn refusal(answer: &Response<Bytes>) -> ClientError {
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let text = |names: &[&str]| {
        names.iter().find_map(|name| body.get(*name)).and_then(serde_json::Value::as_str).map(str::to_owned)
    };
    let header = answer.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let kind = text(&["__type", "code"]).or_else(|| header.map(str::to_owned)).unwrap_or_default();
    let kind = kind.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let status = answer.status();
    ClientError::Refused {
        status: status.as_u16(),
        code: if kind.is_empty() { format!("HTTP {}", status.as_u16()) } else { kind.to_owned() },
        message: text(&["message", "Message"])
            .unwrap_or_else(|| status.canonical_reason().unwrap_or("no message").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientError, PollOutput, parse, refusal};
    use bytes::Bytes;
    use http::Response;

    #[test]
    fn every_empty_answer_means_nothing_to_do_and_a_torn_one_is_an_error() {
        for body in ["{}", r#"{"HostCommand":null}"#, "", " \n", r#"{"Other":1}"#] {
            let output: PollOutput = parse(body.as_bytes()).expect("AP-04");
            assert!(output.host_command.is_none());
        }
        for body in [r#"{"HostCommand":{}}"#, "<html>"] {
            assert!(parse::<PollOutput>(body.as_bytes()).is_err(), "AP-04: {body}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_name_however_it_is_written() {
        let answer = |status: u16, body: &'static str| {
            Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).expect("an answer")
        };
        let error = refusal(&answer(400, r#"{"__type":"com.x#ThrottlingException","message":"slow down"}"#));
        assert_eq!(error.to_string(), "ThrottlingException - slow down");
        assert!(error.is_throttling() && error.is_transient());
        let error = refusal(&answer(503, "gone"));
        assert!(error.is_transient() && matches!(error, ClientError::Refused { status: 503, .. }));
        let error = refusal(&answer(400, r#"{"__type":"ExpiredTokenException"}"#));
        assert!(error.is_authentication() && !error.is_transient());
    }
}
