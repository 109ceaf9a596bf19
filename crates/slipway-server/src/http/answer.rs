//! Answers in the dialect of each protocol.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use slipway_wire::codec::Codec as _;
use slipway_wire::query::{self, QueryError};
use slipway_wire::{ApiError, ErrorKind, Json};

/// Error of a body that is sent while it is made.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// Body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, BodyError>;
/// An answer.
pub(super) type Answer = Response<Body>;

/// The error's name, for clients that read it before the body.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// How a client reads errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// AWS JSON 1.1.
    Json,
    /// XML of IAM or STS, with its namespace.
    Query(&'static str),
    /// Smithy RPC v2 CBOR.
    Cbor,
    /// XML of S3.
    S3,
}

/// An error that happened before or instead of the operation.
pub(super) fn error(dialect: Dialect, error: &ApiError, request_id: &str) -> Answer {
    match dialect {
        Dialect::Json => json_error(error),
        Dialect::Query(namespace) => query_error(namespace, &error.clone().into(), request_id),
        Dialect::Cbor => cbor_error(error),
        Dialect::S3 => s3_error(error, request_id),
    }
}

/// Success of a JSON operation.
pub(super) fn json(body: Vec<u8>) -> Answer {
    new(StatusCode::OK, Json::CONTENT_TYPE, body)
}

/// Error of a JSON operation.
pub(super) fn json_error(error: &ApiError) -> Answer {
    let mut answer = new(status(error.http_status()), Json::CONTENT_TYPE, Json::encode_error(error));
    answer.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(error.kind.as_str()));
    answer
}

/// Success of an IAM or STS action.
pub(super) fn xml(body: String) -> Answer {
    new(StatusCode::OK, query::CONTENT_TYPE, body.into_bytes())
}

/// Error of an IAM or STS action.
pub(super) fn query_error(namespace: &'static str, error: &QueryError, request_id: &str) -> Answer {
    let body = query::error(namespace, error, request_id);
    new(status(error.http_status()), query::CONTENT_TYPE, body.into_bytes())
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

/// An error that Smithy RPC v2 CBOR clients can read: a map of two texts, written by hand.
fn cbor_error(error: &ApiError) -> Answer {
    let mut body = vec![0xa2];
    for text in ["__type", error.kind.as_str(), "message", error.message.as_str()] {
        push_cbor_text(&mut body, text);
    }
    let mut answer = new(status(error.http_status()), "application/cbor", body);
    answer.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    answer.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(error.kind.as_str()));
    answer
}

fn push_cbor_text(out: &mut Vec<u8>, text: &str) {
    const TEXT: u8 = 0x60;
    match text.len() {
        short @ 0..=23 => out.push(TEXT | short as u8),
        medium @ 24..=255 => out.extend([TEXT | 0x18, medium as u8]),
        long => {
            out.push(TEXT | 0x1a);
            out.extend((long as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(text.as_bytes());
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
    let mut answer =
        Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cbor_texts_have_the_shortest_head_that_fits() {
        let head = |length: usize| {
            let mut out = Vec::new();
            push_cbor_text(&mut out, &"x".repeat(length));
            out.truncate(out.len() - length);
            out
        };
        assert_eq!(head(5), [0x65]);
        assert_eq!(head(24), [0x78, 24]);
        assert_eq!(head(300), [0x7a, 0, 0, 1, 44]);
    }
}
