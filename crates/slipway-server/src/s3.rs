//! What the embedded object store asks us: whose access key is this, and may they?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use slipway_artifacts::{
    self as artifacts, Authorize, CredentialError, Credentials, Denied, ResolvedCaller, SecretKey,
};
use slipway_auth::AuthError;
use slipway_model::{AccountId, Region, Scope};

use crate::access::{Caller, RequestContext};
use crate::control::ControlPlane;
use crate::http::credentials::find_credentials;

/// What is known of an S3 request before its signature is proved; the store knows nothing of it.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Id of the request.
    pub(crate) request_id: String,
    /// The other end of the connection.
    pub(crate) source_ip: std::net::IpAddr,
    /// Whether the connection is TLS.
    pub(crate) secure: bool,
    /// What the client calls itself.
    pub(crate) user_agent: Option<String>,
    /// Region of the credential scope.
    pub(crate) region: Region,
    /// Whether it has been proved who sent it.
    pub(crate) proved: Arc<AtomicBool>,
}

tokio::task_local! {
    /// The S3 request that the current task answers.
    pub(crate) static ORIGIN: Origin;
}

/// Answers the store's questions from the installation's users, roles and policies.
pub(crate) struct S3Access {
    control: Arc<ControlPlane>,
}

impl S3Access {
    pub(crate) fn new(control: Arc<ControlPlane>) -> Self {
        Self { control }
    }
}

#[async_trait]
impl Credentials for S3Access {
    async fn secret(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
    ) -> Result<Option<ResolvedCaller>, CredentialError> {
        let unavailable =
            |error: Box<dyn std::error::Error + Send + Sync>| CredentialError::Unavailable(error);
        let now_ms = self.control.clock.now().0;
        let found = find_credentials(&self.control, access_key_id, session_token, now_ms)
            .await
            .map_err(|error| unavailable(error.into()))?;
        let found = match found {
            Ok(found) => found,
            Err(AuthError::ExpiredToken) => return Err(CredentialError::ExpiredToken),
            Err(_) if session_token.is_some() => return Err(CredentialError::InvalidToken),
            Err(_) => return Ok(None),
        };
        let origin = ORIGIN.try_with(Clone::clone).map_err(|error| unavailable(error.into()))?;
        let account =
            AccountId::new(found.principal.account.as_str()).map_err(|error| unavailable(error.into()))?;
        let caller = Caller {
            scope: Scope { account: account.clone(), region: origin.region },
            request_id: origin.request_id,
            source_ip: Some(origin.source_ip),
            agent_version: None,
            user_agent: origin.user_agent,
            access_key_id: access_key_id.to_owned(),
            secure_transport: origin.secure,
            signing_service: "s3".to_owned(),
            session: found.session,
            principal: found.principal,
        };
        Ok(Some(ResolvedCaller {
            secret: SecretKey::from(found.secret.expose()),
            caller: artifacts::Caller {
                access_key_id: access_key_id.to_owned(),
                principal_arn: caller.principal.arn.clone(),
                account: account.to_string(),
                identity: Arc::new(caller),
            },
        }))
    }
}

#[async_trait]
impl Authorize for S3Access {
    async fn check(
        &self,
        caller: &artifacts::Caller,
        action: &str,
        resource_arn: &str,
        bucket_owner: Option<&str>,
    ) -> Result<(), Denied> {
        // The store asks this of proved callers only. Outside of a request there is nobody to tell.
        let _ = ORIGIN.try_with(|origin| origin.proved.store(true, Ordering::Relaxed));
        let denied = |reason: &str| Denied {
            message: format!(
                "User: {} is not authorized to perform: {action} on resource: \"{resource_arn}\" {reason}",
                caller.principal_arn
            ),
        };
        // Another account needs the consent of the bucket's owner, which only a bucket policy could give.
        if bucket_owner.is_some_and(|owner| owner != caller.account) {
            return Err(denied("because no resource-based policy allows it"));
        }
        let Some(identity) = caller.identity.downcast_ref::<Caller>() else {
            return Err(denied("because the caller is not known"));
        };
        let region = identity.scope.region.as_str();
        self.control.key_usage.used(&identity.access_key_id, self.control.clock.now().0, "s3", region);
        let context = RequestContext { control: Arc::clone(&self.control), caller: identity.clone() };
        context.authorize(action, resource_arn).await.map_err(|error| Denied { message: error.message })
    }
}
