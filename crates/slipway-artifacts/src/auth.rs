//! What the store asks its surroundings: whose access key is this, and may they?

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3ErrorCode, S3Result};

/// Who sent a request.
#[derive(Clone)]
pub struct Caller {
    /// The access key that signed the request.
    pub access_key_id: String,
    /// ARN of the user, role session or root.
    pub principal_arn: String,
    /// Account of the principal: the owner of the buckets that it creates.
    pub account: String,
    /// What the implementation of [`Credentials`] knows besides; handed back to [`Authorize`] untouched.
    pub identity: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("access_key_id", &self.access_key_id)
            .field("principal_arn", &self.principal_arn)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// A known access key.
#[derive(Debug, Clone)]
pub struct ResolvedCaller {
    /// The secret to verify the signature with; wiped from memory when dropped.
    pub secret: SecretKey,
    /// Who the key belongs to.
    pub caller: Caller,
}

/// Why a known access key is not good for this request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The session token is missing, wrong, or sent with a key that has none.
    #[error("The provided token is malformed or otherwise invalid.")]
    InvalidToken,
    /// The session is over.
    #[error("The provided token has expired.")]
    ExpiredToken,
    /// The key exists and was switched off.
    #[error("The AWS Access Key Id you provided is not active.")]
    Inactive,
    /// The question could not be answered.
    #[error("The credentials could not be checked: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Knows access keys.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// The secret of an access key and who it belongs to; `None` if there is no such key.
    ///
    /// `session_token` is what the request carries. The implementation must refuse a temporary key without exactly its
    /// token ([`CredentialError::InvalidToken`]): nobody else checks.
    async fn secret(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
    ) -> Result<Option<ResolvedCaller>, CredentialError>;
}

/// A refusal by policy.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Denied {
    /// Why, in words for the caller.
    pub message: String,
}

/// Decides who may do what.
#[async_trait]
pub trait Authorize: Send + Sync {
    /// Whether `caller` may do `action` (`s3:GetObject` …) to `resource_arn` (`arn:aws:s3:::bucket/key`).
    ///
    /// `bucket_owner` is the account that owns the bucket, `None` if the bucket does not exist or none is concerned.
    /// Without a policy that allows it, a caller of another account must be denied.
    async fn check(
        &self,
        caller: &Caller,
        action: &str,
        resource_arn: &str,
        bucket_owner: Option<&str>,
    ) -> Result<(), Denied>;
}

/// What is known of the sender while one request is served. s3s tells its authentication provider only the access key,
/// so the session token travels beside it, and the caller found comes back.
#[derive(Debug, Default)]
pub(crate) struct Sender {
    pub(crate) token: Option<String>,
    pub(crate) caller: OnceLock<Caller>,
}

tokio::task_local! {
    pub(crate) static SENDER: Arc<Sender>;
}

/// [`Credentials`] in the form that s3s wants.
pub(crate) struct Doorkeeper {
    pub(crate) credentials: Arc<dyn Credentials>,
}

#[async_trait]
impl S3Auth for Doorkeeper {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let sender = SENDER.try_with(Arc::clone).map_err(S3Error::internal_error)?;
        let found =
            self.credentials.secret(access_key, sender.token.as_deref()).await.map_err(|e| refusal(&e))?;
        let Some(ResolvedCaller { secret, caller }) = found else {
            return Err(S3Error::with_message(
                S3ErrorCode::InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records.",
            ));
        };
        // Only a request whose signature then proves right gets to see this.
        if sender.caller.set(caller).is_err() {
            return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, "The request is signed twice."));
        }
        Ok(secret)
    }
}

fn refusal(error: &CredentialError) -> S3Error {
    let code = match error {
        CredentialError::InvalidToken => S3ErrorCode::InvalidToken,
        CredentialError::ExpiredToken => S3ErrorCode::ExpiredToken,
        CredentialError::Inactive => S3ErrorCode::InvalidAccessKeyId,
        CredentialError::Unavailable(source) => {
            tracing::error!(error = %source, "cannot check S3 credentials");
            return S3Error::with_message(
                S3ErrorCode::ServiceUnavailable,
                "The credentials cannot be checked at the moment.",
            );
        }
    };
    S3Error::with_message(code, error.to_string())
}
