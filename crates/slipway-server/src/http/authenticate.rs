//! From a signature to a caller (D-05, AS-146).

use std::net::IpAddr;

use http::request::Parts;
use slipway_auth::sigv4::{Body, DerivedKeyCache, RequestView, SignedRequest};
use slipway_auth::{AuthError, Dialect};
use slipway_model::{AccountId, Region, Scope};
use slipway_wire::{ApiError, ErrorKind};

use super::credentials::{Credentials, find_credentials};
use super::entry::Peer;
use super::refusals::Refusals;
use crate::access::Caller;
use crate::control::ControlPlane;
use crate::error;
use crate::health::Metrics;

/// Header that agents tell their version in (AP-02).
const AGENT_VERSION: &str = "x-amz-codedeploy-agent-version";

/// Proves who sends requests.
#[derive(Debug)]
pub(super) struct Authenticator {
    derived: DerivedKeyCache,
    refusals: Refusals,
}

/// A request that is not accepted as coming from anyone.
#[derive(Debug)]
enum Failure {
    /// The signature's fault.
    Refused(AuthError),
    /// Signed for another service.
    WrongService(ApiError),
    /// Ours.
    Internal(ApiError),
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        Self::Refused(error)
    }
}

/// What is asked for, as far as authentication is concerned.
pub(super) struct Claim<'a> {
    /// Head of the request.
    pub(super) parts: &'a Parts,
    /// Whole body.
    pub(super) body: &'a [u8],
    /// Other end of the connection.
    pub(super) peer: Peer,
    /// Id of the request.
    pub(super) request_id: &'a str,
    /// Service that the credential must be scoped to.
    pub(super) service: &'static str,
}

/// Whose request is refused.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    access_key_id: String,
    source: IpAddr,
    request_id: &'a str,
    service: &'static str,
}

impl<'a> Refusal<'a> {
    /// Of a request with this head.
    pub(super) fn of(parts: &Parts, peer: Peer, request_id: &'a str, service: &'static str) -> Self {
        let signed = SignedRequest::parse(&view(parts));
        Self {
            access_key_id: signed.map_or_else(|_| "-".to_owned(), |signed| signed.access_key_id().to_owned()),
            source: peer.address.ip(),
            request_id,
            service,
        }
    }
}

impl Authenticator {
    pub(super) fn new() -> Self {
        Self { derived: DerivedKeyCache::new(20_000), refusals: Refusals::default() }
    }

    /// The caller, or the error to answer; refusals are counted and written to the audit log.
    pub(super) async fn authenticate(
        &self,
        control: &ControlPlane,
        metrics: &Metrics,
        claim: &Claim<'_>,
    ) -> Result<Caller, ApiError> {
        let signed = SignedRequest::parse(&view(claim.parts));
        let outcome = match &signed {
            Ok(signed) => self.verify(control, claim, signed).await,
            Err(error) => Err(error.clone().into()),
        };
        let error = match outcome {
            Ok(caller) => return Ok(caller),
            Err(Failure::Internal(error)) => return Err(error),
            Err(Failure::WrongService(error)) => error,
            Err(Failure::Refused(error)) => {
                let kind = ErrorKind::parse(error.code(Dialect::Json))
                    .unwrap_or(ErrorKind::InvalidSignatureException);
                ApiError::new(kind, error.to_string())
            }
        };
        metrics.refused(error.kind.as_str());
        let refusal = Refusal::of(claim.parts, claim.peer, claim.request_id, claim.service);
        self.tell(&refusal, error.kind.as_str());
        Err(error)
    }

    /// Writes to the audit log, within limits, that a request is not accepted as coming from anyone.
    pub(super) fn tell(&self, refusal: &Refusal<'_>, code: &str) {
        let Refusal { access_key_id, source, request_id, service } = refusal;
        if self.refusals.tell(*source, access_key_id) {
            tracing::warn!(
                target: "audit",
                request_id, access_key_id, %source, service, code, "authentication failed"
            );
        }
    }

    async fn verify(
        &self,
        control: &ControlPlane,
        claim: &Claim<'_>,
        signed: &SignedRequest,
    ) -> Result<Caller, Failure> {
        check_service(signed, claim.service)?;
        let region = Region::new(signed.scope().region.as_str()).map_err(|_| {
            AuthError::InvalidSignature("Credential should be scoped to a valid region.".to_owned())
        })?;
        let now_ms = control.clock.now().0;
        let found = credentials(control, signed, now_ms).await?;
        signed.verify(&found.secret, Body::Bytes(claim.body), now_ms, &self.derived)?;
        let account = AccountId::new(found.principal.account.as_str())
            .map_err(|cause| Failure::Internal(error::internal(cause)))?;
        control.key_usage.used(signed.access_key_id(), now_ms, &signed.scope().service, region.as_str());
        let header = |name| claim.parts.headers.get(name).and_then(|value| value.to_str().ok());
        Ok(Caller {
            principal: found.principal,
            scope: Scope { account, region },
            request_id: claim.request_id.to_owned(),
            source_ip: Some(claim.peer.address.ip()),
            agent_version: header(AGENT_VERSION).map(str::to_owned),
            user_agent: header("user-agent").map(str::to_owned),
            access_key_id: signed.access_key_id().to_owned(),
            secure_transport: claim.peer.secure,
            signing_service: signed.scope().service.clone(),
            session: found.session,
        })
    }
}

fn view(parts: &Parts) -> RequestView<'_> {
    RequestView {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        authority: parts.uri.authority().map(http::uri::Authority::as_str),
    }
}

/// A credential for one service must not open another. The two services of the agents answer a swapped pair of scope
/// and target as AWS does (AP-01).
fn check_service(signed: &SignedRequest, wanted: &str) -> Result<(), Failure> {
    let scope = signed.scope().service.as_str();
    if scope == wanted {
        return Ok(());
    }
    let agents = [super::route::COMMANDS, super::route::COMMANDS_SECURE];
    if agents.contains(&scope) && agents.contains(&wanted) {
        return Err(Failure::WrongService(ApiError::new(
            ErrorKind::UnknownOperationException,
            format!("The service {scope} has no operation of this target."),
        )));
    }
    Err(AuthError::InvalidSignature(format!("Credential should be scoped to correct service: '{wanted}'."))
        .into())
}

async fn credentials(
    control: &ControlPlane,
    signed: &SignedRequest,
    now_ms: i64,
) -> Result<Credentials, Failure> {
    find_credentials(control, signed.access_key_id(), signed.session_token(), now_ms)
        .await
        .map_err(|cause| Failure::Internal(error::internal(cause)))?
        .map_err(Failure::Refused)
}

/// Whether the head of the request has all that a signature needs, right or wrong.
pub(super) fn is_signed(parts: &Parts) -> bool {
    SignedRequest::parse(&view(parts)).is_ok()
}

/// The region in the scope that a request claims.
pub(super) fn claimed_region(parts: &Parts) -> Option<Region> {
    Region::new(SignedRequest::parse(&view(parts)).ok()?.scope().region.as_str()).ok()
}
