//! Answers in the dialect of each protocol.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use slipway_wire::codec::Protocol;
use slipway_wire::query::{self, QueryError};
use slipway_wire::{ApiError, ErrorKind};

use super::cbor;
use crate::audit::Answered;

/// Error of a body that is sent while it is made.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// Body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, BodyError>;
/// An answer.
pub(super) type Answer = Response<Body>;

/// The error's name, for clients that read it before the body.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// What of an answer the audit trail may need; beside the answer, for its body is gone once it is sent.
#[derive(Debug, Clone)]
pub(super) struct Recorded(pub(super) Answered);

/// How a client reads errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// CodeDeploy and the agents' commands.
    Rpc(Protocol),
    /// XML of IAM or STS, with its namespace.
    Query(&'static str),
    /// XML of S3.
    S3,
}

/// An error that happened before or instead of the operation.
pub(super) fn error(dialect: Dialect, error: &ApiError, request_id: &str) -> Answer {
    match dialect {
        Dialect::Rpc(protocol) => rpc_error(protocol, error),
        Dialect::Query(namespace) => query_error(namespace, &error.clone().into(), request_id),
        Dialect::S3 => s3_error(error, request_id),
    }
}

/// Success of an operation. Without an output it has no body.
pub(super) fn rpc(protocol: Protocol, body: Vec<u8>) -> Answer {
    let is_empty = body.is_empty();
    let mut answer = new(StatusCode::OK, protocol.content_type(), body);
    if protocol == Protocol::Cbor {
        answer.headers_mut().insert(cbor::PROTOCOL_HEADER, cbor::PROTOCOL);
        if is_empty {
            answer.headers_mut().remove(header::CONTENT_TYPE);
        }
    }
    answer
}

/// Error of an operation.
pub(super) fn rpc_error(protocol: Protocol, error: &ApiError) -> Answer {
    let mut answer = rpc(protocol, protocol.encode_error(error));
    *answer.status_mut() = status(error.http_status());
    answer.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(error.kind.as_str()));
    refused(&mut answer, error.kind.as_str(), &error.message);
    answer
}

fn refused(answer: &mut Answer, code: &str, message: &str) {
    let (code, message) = (code.to_owned(), message.to_owned());
    answer.extensions_mut().insert(Recorded(Answered::Refused { code, message }));
}

/// Success of an IAM or STS action.
pub(super) fn xml(body: String) -> Answer {
    new(StatusCode::OK, query::CONTENT_TYPE, body.into_bytes())
}

/// Error of an IAM or STS action.
pub(super) fn query_error(namespace: &'static str, error: &QueryError, request_id: &str) -> Answer {
    let body = query::error(namespace, error, request_id);
    let mut answer = new(status(error.http_status()), query::CONTENT_TYPE, body.into_bytes());
    refused(&mut answer, error.kind.as_str(), &error.message);
    answer
}

/// Plain text.
pub(super) fn text(status: StatusCode, body: impl Into<String>) -> Answer {
    new(status, "text/plain; charset=utf-8", body.into().into_bytes())
}

/// There is nothing at this path.
pub(super) fn not_found() -> Answer {
    let body = br#"{"__type":"NotFound","message":"There is nothing here. AWS clients reach every API with a POST to / or with a signed S3 request."}"#;
    new(StatusCode::NOT_FOUND, "application/json", body.to_vec())
}

fn s3_error(error: &ApiError, request_id: &str) -> Answer {
    let code = match error.kind {
        ErrorKind::ServiceUnavailable => "ServiceUnavailable",
        kind if kind.http_status() >= 500 => "InternalError",
        _ => "InvalidRequest",
    };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>The request could not be \
         carried out.</Message><RequestId>{request_id}</RequestId></Error>"
    );
    new(status(error.http_status()), "application/xml", body.into_bytes())
}

fn new(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    let body = Bytes::from(body);
    let mut answer = Response::new(Full::new(body.clone()).map_err(|never| match never {}).boxed_unsync());
    answer.extensions_mut().insert(Recorded(Answered::Done(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
