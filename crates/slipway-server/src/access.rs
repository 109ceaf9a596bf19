//! Who sent a request and what they may do: the part of a request that every handler gets beside its input.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use slipway_auth::identity::Principal;
use slipway_auth::policy::{
    Context, Decision, Grants, Policy, Request, TrustCaller, evaluate_grants, evaluate_trust,
};
use slipway_model::{Scope, arn};
use slipway_wire::{ApiError, ErrorKind};

use crate::control::ControlPlane;
use crate::error;
use crate::identities::{self, records};

/// The service principal that a service role must trust (D-30).
pub const SERVICE_PRINCIPAL: &str = "codedeploy.amazonaws.com";

/// An authenticated caller and how the request came.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// The caller's account and the region of the credential scope (D-04).
    pub scope: Scope,
    /// Id of this request, in the answer and in every log line about it.
    pub request_id: String,
    /// The other end of the connection.
    pub source_ip: Option<IpAddr>,
    /// `x-amz-codedeploy-agent-version` (AP-02).
    pub agent_version: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The access key that signed the request.
    pub access_key_id: String,
    /// Whether the connection is TLS.
    pub secure_transport: bool,
    /// Service of the credential scope.
    pub signing_service: String,
    /// Set for temporary credentials.
    pub session: Option<Arc<Session>>,
}

/// What a session's token says about it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The policy that the session was narrowed with.
    pub policy: Option<String>,
    /// Managed policies that the session was narrowed with.
    pub policy_arns: Vec<String>,
    /// When it was opened, milliseconds since the epoch.
    pub issued_ms: i64,
    /// Its tags; they stand before those of the role.
    pub tags: BTreeMap<String, String>,
    /// Keys of the tags that sessions opened by this one inherit.
    pub transitive_tags: Vec<String>,
    /// Who the session was first opened for.
    pub source_identity: Option<String>,
}

/// What a handler needs beside its input.
#[derive(Clone)]
pub struct RequestContext {
    /// The control plane.
    pub control: Arc<ControlPlane>,
    /// Who calls.
    pub caller: Caller,
}

impl std::fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestContext").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// Why a role cannot be given to CodeDeploy (D-30).
#[derive(Debug, thiserror::Error)]
pub enum PassRoleError {
    /// The caller may not pass it; AWS's sentence.
    #[error("{0}")]
    NotAllowed(String),
    /// There is no such role in the caller's account.
    #[error("the role does not exist")]
    NoSuchRole,
    /// Its trust policy does not name the service.
    #[error("the role does not trust {SERVICE_PRINCIPAL}")]
    TrustDoesNotNameCodeDeploy,
    /// The question cannot be answered now.
    #[error(transparent)]
    Internal(ApiError),
}

impl RequestContext {
    /// Whether the caller may call this operation once more just now; the error is `ThrottlingException`.
    pub fn admit(&self, service: &str, operation: &str) -> Result<(), ApiError> {
        let (control, principal) = (&self.control, &self.caller.principal.arn);
        control.throttle.admit(principal, service, operation, control.clock.now().0)
    }

    /// Whether the caller may do `action` (`codedeploy:CreateApplication`) to `resource` (an ARN, or `*`); the error
    /// is AWS's `AccessDeniedException`.
    pub async fn authorize(&self, action: &str, resource: &str) -> Result<(), ApiError> {
        self.authorize_with(action, resource, &[]).await
    }

    /// [`RequestContext::authorize`] with condition keys of the service.
    pub async fn authorize_with(
        &self,
        action: &str,
        resource: &str,
        keys: &[(&str, &str)],
    ) -> Result<(), ApiError> {
        let decision = self.decide(action, resource, keys).await?;
        match decision.denial_message(&self.caller.principal.arn, action, resource) {
            None => Ok(()),
            Some(message) => {
                tracing::warn!(
                    target: "audit",
                    caller = self.caller.principal.arn,
                    action,
                    resource,
                    reason = %decision,
                    "denied"
                );
                Err(ApiError::new(ErrorKind::AccessDeniedException, message))
            }
        }
    }

    /// What the caller's policies say.
    pub async fn decide(
        &self,
        action: &str,
        resource: &str,
        keys: &[(&str, &str)],
    ) -> Result<Decision, ApiError> {
        let permissions = self.permissions().await?;
        let session = match &self.caller.session {
            Some(session) => self
                .control
                .identities
                .session_policies(
                    self.control.store.as_ref(),
                    &self.caller.principal.arn,
                    session.policy.as_deref(),
                    &session.policy_arns,
                )
                .await
                .map_err(error::internal)?,
            None => None,
        };
        let grants = Grants {
            identity: &permissions.identity,
            boundary: permissions.boundary.as_deref(),
            session: session.as_ref().map(|policies| policies.as_slice()),
        };
        let context = self.keys(&permissions, keys);
        Ok(evaluate_grants(&grants, &Request { action, resource, context: &context }))
    }

    async fn permissions(&self) -> Result<Arc<identities::Permissions>, ApiError> {
        self.control
            .identities
            .permissions(self.control.store.as_ref(), &self.caller.principal)
            .await
            .map_err(error::internal)?
            // Deleted since the request was authenticated.
            .ok_or_else(|| {
                ApiError::new(
                    ErrorKind::UnrecognizedClientException,
                    "The security token included in the request is invalid.",
                )
            })
    }

    /// The condition keys of this request; a key that is given several times has all of the values.
    pub async fn condition_keys(&self, keys: &[(&str, &str)]) -> Result<Context, ApiError> {
        Ok(self.keys(&*self.permissions().await?, keys))
    }

    fn keys(&self, permissions: &identities::Permissions, keys: &[(&str, &str)]) -> Context {
        let caller = &self.caller;
        let mut context = Context::for_principal(&caller.principal)
            .with_request(
                self.control.clock.now().0,
                caller.source_ip,
                caller.secure_transport,
                caller.scope.region.as_str(),
            )
            .with_principal_tags(&permissions.tags);
        if let Some(agent) = &caller.user_agent {
            context = context.with("aws:UserAgent", agent.as_str());
        }
        if let Some(session) = &caller.session {
            context = context
                .with_principal_tags(&session.tags)
                .with_time("aws:TokenIssueTime", session.issued_ms)
                // There is no MFA here.
                .with("aws:MultiFactorAuthPresent", "false");
            if let Some(identity) = &session.source_identity {
                context = context.with("aws:SourceIdentity", identity.as_str());
            }
        }
        // Keys are compared without regard to case, those of tags are not: `Env` must not hide what `env` is.
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in keys {
            values.entry(key.to_ascii_lowercase()).or_default().push((*value).to_owned());
        }
        values.into_iter().fold(context, |context, (key, values)| context.with_all(&key, values))
    }

    /// Whether the caller may give this role to CodeDeploy and CodeDeploy may use it for `source_arn`, the deployment
    /// group (D-30, DP-633, DP-634).
    pub async fn check_pass_role(&self, role_arn: &str, source_arn: &str) -> Result<(), PassRoleError> {
        let keys = [("iam:PassedToService", SERVICE_PRINCIPAL)];
        self.authorize_with("iam:PassRole", role_arn, &keys).await.map_err(|error| match error.kind {
            ErrorKind::AccessDeniedException => PassRoleError::NotAllowed(error.message),
            _ => PassRoleError::Internal(error),
        })?;
        let account = self.caller.scope.account.as_str();
        let (_, path_and_name) = arn::parse_iam_role(role_arn)
            .filter(|(owner, _)| *owner == account)
            .ok_or(PassRoleError::NoSuchRole)?;
        let name = path_and_name.rsplit('/').next().unwrap_or(path_and_name);
        let role = records::role(self.control.store.as_ref(), account, name)
            .await
            .map_err(|cause| PassRoleError::Internal(error::internal(cause)))?
            .map(|found| found.value)
            .filter(|role| role.arn == role_arn)
            .ok_or(PassRoleError::NoSuchRole)?;
        let trust = Policy::parse_trust(&role.arn, &role.trust_policy)
            .map_err(|cause| PassRoleError::Internal(error::internal(cause)))?;
        let service =
            TrustCaller::Service { name: SERVICE_PRINCIPAL, region: self.caller.scope.region.as_str() };
        let context = Context::new()
            .with("aws:SourceArn", source_arn)
            .with("aws:SourceAccount", account)
            .with("aws:PrincipalServiceName", SERVICE_PRINCIPAL)
            .with("aws:PrincipalIsAWSService", "true");
        let trusted = evaluate_trust(&trust, account, service, "sts:AssumeRole", &context);
        if trusted.decision.is_allowed() { Ok(()) } else { Err(PassRoleError::TrustDoesNotNameCodeDeploy) }
    }
}
