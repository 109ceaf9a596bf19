//! The public APIs that a host calls outside of deployments: CodeDeploy, IAM and STS, signed.
//!
//! [`crate::registration`] uses all three, [`crate::session`] STS alone.

mod endpoints;
mod xml;

use bytes::Bytes;
use http::{Method, Request, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::clock;
use crate::config::{CredentialError, CredentialSource};
use crate::http::{HttpClient, HttpError};
use crate::sign::{Scope, SignError, signed};

pub use endpoints::Endpoints;
pub(crate) use xml::{element, elements};

const LARGEST_ANSWER: usize = 16 << 20;
const IAM_VERSION: &str = "2010-05-08";
const STS_VERSION: &str = "2011-06-15";

/// A call that brought no success.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No keys to sign with.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The request could not be made.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Nobody answered.
    #[error("{operation}: {endpoint} cannot be reached: {error}")]
    Unreachable {
        /// What was called.
        operation: String,
        /// Where.
        endpoint: String,
        /// Why not.
        error: HttpError,
    },
    /// The service said no.
    #[error("{operation}: {code}: {message}")]
    Refused {
        /// What was called.
        operation: String,
        /// HTTP status.
        status: u16,
        /// Name of the error.
        code: String,
        /// Its message.
        message: String,
    },
    /// An answer that makes no sense.
    #[error("{operation}: the answer cannot be understood: {problem}")]
    Answer {
        /// What was called.
        operation: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl ApiError {
    /// The name of the error that the service answered, if it answered.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    pub(crate) fn answer(operation: &str, problem: impl std::fmt::Display) -> Self {
        Self::Answer { operation: operation.to_owned(), problem: problem.to_string() }
    }
}

/// The services that speak in forms and XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// Users, roles, keys.
    Iam,
    /// Sessions.
    Sts,
}

/// A signed client of the public APIs.
#[derive(Debug, Clone)]
pub struct Api {
    http: HttpClient,
    credentials: CredentialSource,
    region: String,
    endpoints: Endpoints,
}

impl Api {
    /// A client. It does not connect yet.
    pub fn new(http: HttpClient, credentials: CredentialSource, region: &str, endpoints: Endpoints) -> Self {
        Self { http, credentials, region: region.to_owned(), endpoints }
    }

    /// The same client in another's name.
    #[must_use]
    pub fn signing_with(self, credentials: CredentialSource) -> Self {
        Self { credentials, ..self }
    }

    /// The region that is signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Calls an operation of CodeDeploy.
    pub async fn codedeploy(&self, operation: &str, input: &Value) -> Result<Value, ApiError> {
        let request = Request::post(format!("{}/", self.endpoints.codedeploy))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("CodeDeploy_20141006.{operation}"));
        let scope = Scope { region: &self.region, service: "codedeploy" };
        let answer = self.send(operation, request, input.to_string().into(), scope).await?;
        let body: Result<Value, _> = match answer.body().as_ref() {
            b"" => Ok(Value::Null),
            body => serde_json::from_slice(body),
        };
        if answer.status().is_success() {
            return body.map_err(|error| ApiError::answer(operation, error));
        }
        let body = body.unwrap_or_default();
        let member = |names: [&str; 2]| names.iter().find_map(|name| body.get(*name)).and_then(Value::as_str);
        let Some(code) = member(["__type", "code"]) else { return Err(nameless(operation, &answer)) };
        Err(ApiError::Refused {
            operation: operation.to_owned(),
            status: answer.status().as_u16(),
            code: code.rsplit('#').next().unwrap_or(code).to_owned(),
            message: member(["message", "Message"]).unwrap_or("(no message)").to_owned(),
        })
    }

    /// Calls an action of IAM or STS; the XML that it answers.
    pub async fn query(
        &self,
        service: Query,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String, ApiError> {
        let (endpoint, version, name) = match service {
            Query::Iam => (&self.endpoints.iam, IAM_VERSION, "iam"),
            Query::Sts => (&self.endpoints.sts, STS_VERSION, "sts"),
        };
        let mut form = format!("Action={action}&Version={version}");
        for (name, value) in parameters {
            form.extend(["&", name, "="]);
            form.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        let request = Request::post(format!("{endpoint}/"))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        // AWS has one IAM for all regions of a partition, which signs as one of them.
        let region =
            if service == Query::Iam { self.endpoints.iam_region(&self.region) } else { &self.region };
        let scope = Scope { region, service: name };
        let answer = self.send(action, request, form.into(), scope).await?;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        if answer.status().is_success() {
            return Ok(text);
        }
        match element(&text, "Code") {
            Some(code) => Err(ApiError::Refused {
                operation: action.to_owned(),
                status: answer.status().as_u16(),
                code,
                message: element(&text, "Message").unwrap_or_else(|| "(no message)".to_owned()),
            }),
            None => Err(nameless(action, &answer)),
        }
    }

    async fn send(
        &self,
        operation: &str,
        request: http::request::Builder,
        body: Bytes,
        scope: Scope<'_>,
    ) -> Result<Response<Bytes>, ApiError> {
        let request = request
            .header("user-agent", concat!("slipway-agent/", env!("CARGO_PKG_VERSION")))
            .body(())
            .map_err(|error| ApiError::answer(operation, error))?;
        debug_assert_eq!(request.method(), Method::POST, "the APIs are called with POST");
        let endpoint = request.uri().to_string();
        let keys = self.credentials.keys().await?;
        let request = signed(request, body, &keys, scope, clock::now())?;
        self.http.fetch(request, LARGEST_ANSWER).await.map_err(|error| ApiError::Unreachable {
            operation: operation.to_owned(),
            endpoint,
            error,
        })
    }
}

fn nameless(operation: &str, answer: &Response<Bytes>) -> ApiError {
    ApiError::answer(operation, format_args!("HTTP status {} without an error's name", answer.status()))
}
