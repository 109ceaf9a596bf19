//! Why a request is not accepted as coming from anyone: AWS's authentication errors.

use thiserror::Error;

/// The wire family that an error is answered in. The same refusal has another name and HTTP status in each of
/// them, and clients match on those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// AWS JSON 1.1 and Smithy RPC: CodeDeploy and the agent commands. Every client error is a 400 (AP-07).
    Json,
    /// Form-encoded query with XML answers: IAM and STS.
    Query,
    /// S3's REST dialect.
    S3,
}

/// A request that could not be authenticated (D-05, AS-146).
///
/// No message holds a secret or the signature that would have been right: an error must not become an oracle.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// Neither an `Authorization` header nor `X-Amz-Signature` parameters.
    #[error("Missing Authentication Token")]
    MissingAuthenticationToken,
    /// The signature's parts are absent or malformed.
    #[error("{0}")]
    IncompleteSignature(String),
    /// The parts are all there and do not fit the request, the secret or the time.
    #[error("{0}")]
    InvalidSignature(String),
    /// The signature is not of this time: outside the 15 minutes of allowed skew, or past the end of a presigned
    /// request (AS-147).
    #[error("{0}")]
    SignatureExpired(String),
    /// A presigned S3 request past its end.
    #[error("Request has expired")]
    PresignedExpired,
    /// The body is not the one whose hash was signed.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    PayloadMismatch,
    /// No such access key, an inactive one, or a session token that we did not issue for it.
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
    /// The session has ended (AG-169).
    #[error("The security token included in the request is expired")]
    ExpiredToken,
}

impl AuthError {
    /// The error code as the dialect's clients know it.
    pub fn code(&self, dialect: Dialect) -> &'static str {
        let [json, query, s3] = match self {
            Self::MissingAuthenticationToken => {
                ["MissingAuthenticationTokenException", "MissingAuthenticationToken", "AccessDenied"]
            }
            Self::IncompleteSignature(_) => {
                ["IncompleteSignatureException", "IncompleteSignature", "AuthorizationHeaderMalformed"]
            }
            Self::InvalidSignature(_) => {
                ["InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch"]
            }
            Self::SignatureExpired(_) => {
                ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"]
            }
            Self::PresignedExpired => ["InvalidSignatureException", "SignatureDoesNotMatch", "AccessDenied"],
            Self::PayloadMismatch => {
                ["InvalidSignatureException", "SignatureDoesNotMatch", "XAmzContentSHA256Mismatch"]
            }
            Self::UnrecognizedClient => {
                ["UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"]
            }
            Self::ExpiredToken => ["ExpiredTokenException", "ExpiredToken", "ExpiredToken"],
        };
        match dialect {
            Dialect::Json => json,
            Dialect::Query => query,
            Dialect::S3 => s3,
        }
    }

    /// The HTTP status that goes with [`AuthError::code`].
    pub fn status(&self, dialect: Dialect) -> u16 {
        match (dialect, self) {
            (Dialect::Json, _)
            | (Dialect::Query, Self::IncompleteSignature(_))
            | (Dialect::S3, Self::IncompleteSignature(_) | Self::PayloadMismatch | Self::ExpiredToken) => 400,
            (Dialect::Query | Dialect::S3, _) => 403,
        }
    }
}
