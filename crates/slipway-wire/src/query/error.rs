//! Errors of IAM and STS. Their names and statuses differ from those of the JSON services.

use crate::values::wire_values;
use crate::{ApiError, ErrorKind};

wire_values! {
    /// The code of an error of IAM or STS.
    QueryErrorKind {
        /// The caller is known and may not do this.
        AccessDenied = "AccessDenied",
        /// Something still hangs on the entity that should go.
        DeleteConflict = "DeleteConflict",
        /// There is one of that name.
        EntityAlreadyExists = "EntityAlreadyExists",
        /// The session of the caller has ended.
        ExpiredToken = "ExpiredToken",
        /// The signature header lacks a part.
        IncompleteSignature = "IncompleteSignature",
        /// The service failed.
        InternalFailure = "InternalFailure",
        /// The service has no such action.
        InvalidAction = "InvalidAction",
        /// The access key is not known.
        InvalidClientTokenId = "InvalidClientTokenId",
        /// A parameter has a value that the action does not take.
        InvalidInput = "InvalidInput",
        /// A quota is used up.
        LimitExceeded = "LimitExceeded",
        /// The policy document is not one.
        MalformedPolicyDocument = "MalformedPolicyDocument",
        /// The body is not a form.
        MalformedQueryString = "MalformedQueryString",
        /// The request names no action.
        MissingAction = "MissingAction",
        /// The request is not signed.
        MissingAuthenticationToken = "MissingAuthenticationToken",
        /// There is none of that name.
        NoSuchEntity = "NoSuchEntity",
        /// The session policies are too large.
        PackedPolicyTooLarge = "PackedPolicyTooLarge",
        /// A service role's policy cannot be attached to what the request names.
        PolicyNotAttachable = "PolicyNotAttachable",
        /// The body is longer than the service reads.
        RequestEntityTooLarge = "RequestEntityTooLarge",
        /// The service cannot answer now; try again.
        ServiceUnavailable = "ServiceUnavailable",
        /// The signature does not match.
        SignatureDoesNotMatch = "SignatureDoesNotMatch",
        /// The caller sends faster than allowed.
        Throttling = "Throttling",
        /// Only the service itself may change the entity.
        UnmodifiableEntity = "UnmodifiableEntity",
        /// A parameter breaks a constraint.
        ValidationError = "ValidationError",
    }
}

impl QueryErrorKind {
    /// The HTTP status of an answer with this error (OW-30).
    pub const fn http_status(self) -> u16 {
        match self {
            Self::AccessDenied
            | Self::ExpiredToken
            | Self::InvalidClientTokenId
            | Self::MissingAuthenticationToken
            | Self::SignatureDoesNotMatch => 403,
            Self::NoSuchEntity => 404,
            Self::DeleteConflict | Self::EntityAlreadyExists | Self::LimitExceeded => 409,
            Self::RequestEntityTooLarge => 413,
            Self::InternalFailure => 500,
            Self::ServiceUnavailable => 503,
            _ => 400,
        }
    }
}

/// An error answer of IAM or STS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct QueryError {
    /// The error's code.
    pub kind: QueryErrorKind,
    /// What is wrong, in the client's terms.
    pub message: String,
}

impl QueryError {
    /// The error of that code with that message.
    pub fn new(kind: QueryErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The HTTP status of the answer.
    pub const fn http_status(&self) -> u16 {
        self.kind.http_status()
    }

    /// A parameter breaks a constraint, in the sentence that AWS uses for it.
    pub fn validation(parameter: &str, value: Option<&str>, constraint: &str) -> Self {
        let value = value.map_or_else(|| "null".to_owned(), |value| format!("'{value}'"));
        let mut name = parameter.to_owned();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        Self::new(
            QueryErrorKind::ValidationError,
            format!(
                "1 validation error detected: Value {value} at '{name}' failed to satisfy constraint: {constraint}"
            ),
        )
    }
}

/// What the door refuses (authentication, authorisation, throttling) it refuses by the JSON services' names; this is
/// the same refusal in the words of IAM and STS.
impl From<ApiError> for QueryError {
    fn from(error: ApiError) -> Self {
        let kind = match error.kind {
            ErrorKind::AccessDeniedException => QueryErrorKind::AccessDenied,
            ErrorKind::ExpiredTokenException => QueryErrorKind::ExpiredToken,
            ErrorKind::IncompleteSignatureException => QueryErrorKind::IncompleteSignature,
            ErrorKind::InvalidSignatureException => QueryErrorKind::SignatureDoesNotMatch,
            ErrorKind::MissingAuthenticationTokenException => QueryErrorKind::MissingAuthenticationToken,
            ErrorKind::RequestEntityTooLarge => QueryErrorKind::RequestEntityTooLarge,
            ErrorKind::SerializationException => QueryErrorKind::MalformedQueryString,
            ErrorKind::ServiceUnavailable => QueryErrorKind::ServiceUnavailable,
            ErrorKind::ThrottlingException => QueryErrorKind::Throttling,
            ErrorKind::UnknownOperationException => QueryErrorKind::InvalidAction,
            ErrorKind::UnrecognizedClientException => QueryErrorKind::InvalidClientTokenId,
            other if other.http_status() >= 500 => QueryErrorKind::InternalFailure,
            _ => QueryErrorKind::ValidationError,
        };
        Self::new(kind, error.message)
    }
}
