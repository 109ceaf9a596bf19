//! One request from arrival to answer.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt as _;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Version, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use slipway_artifacts::S3Endpoint;
use slipway_model::Region;
use slipway_wire::codec::Protocol;
use slipway_wire::query::{IAM_NAMESPACE, STS_NAMESPACE};
use slipway_wire::{ApiError, ErrorKind};
use tracing::{Instrument as _, Level, Span, field};

use super::answer::{self, Answer, Dialect};
use super::authenticate::{self, Authenticator, Claim, Refusal};
use super::lent::{self, Lent};
use super::route::{self, Route};
use super::{body, cbor, query, rpc};
use crate::access::RequestContext;
use crate::audit::{Call, Pending};
use crate::control::ControlPlane;
use crate::health::{self, Metrics};
use crate::s3::{ORIGIN, Origin};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// Whether the connection is TLS.
    pub(crate) secure: bool,
}

/// What requests are answered with.
pub(crate) struct Entry {
    control: Arc<ControlPlane>,
    s3: S3Endpoint,
    region: Region,
    authenticator: Authenticator,
    metrics: Metrics,
}

impl Entry {
    pub(crate) fn new(control: Arc<ControlPlane>, s3: S3Endpoint, region: Region) -> Self {
        Self { control, s3, region, authenticator: Authenticator::new(), metrics: Metrics::default() }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers one request. Every failure is an answer, a panic of a handler too.
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Answer {
        let started = Instant::now();
        let request_id = uuid::Uuid::new_v4().to_string();
        let (parts, body) = request.into_parts();
        let route = route::route(&parts);
        let span = tracing::info_span!(
            "request",
            request_id,
            service = route.service(),
            operation = route.operation(),
            caller = field::Empty,
        );
        let multiplexed = parts.version >= Version::HTTP_2;
        let (body, lender) = lent::lend(body, parts.headers.contains_key(header::EXPECT));
        let handled = self.handle(route, parts, body, peer, &request_id).instrument(span.clone());
        let mut answer = unless_panicked(handled).await.unwrap_or_else(|| {
            self.metrics.panicked();
            span.in_scope(|| tracing::error!("a handler panicked"));
            let error = ApiError::new(
                ErrorKind::InternalFailure,
                "The request could not be carried out because of an internal failure.",
            );
            answer::error(dialect(route), &error, &request_id)
        });
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            answer.headers_mut().insert(REQUEST_ID, value);
        }
        if !lender.settle().await && !multiplexed {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let took = started.elapsed();
        self.metrics.answered(route.service(), answer.status().as_u16(), took);
        let unproved = answer.extensions().get::<Unproved>().is_some();
        span.in_scope(|| log(route, answer.status(), unproved, took));
        answer
    }

    async fn handle(&self, route: Route, parts: Parts, body: Lent, peer: Peer, request_id: &str) -> Answer {
        match route {
            Route::Greeting => answer::text(StatusCode::OK, "Slipway\n"),
            Route::Health => self.health().await,
            Route::Metrics if is_local(&parts, peer) => answer::text(StatusCode::OK, self.metrics.render()),
            Route::Metrics | Route::NotFound => answer::not_found(),
            Route::NoOperation(protocol, reason) => {
                let error = ApiError::new(ErrorKind::UnknownOperationException, reason);
                answer::rpc_error(protocol, &error)
            }
            Route::S3 => {
                let proved = Arc::new(AtomicBool::new(false));
                let refusal = Refusal::of(&parts, peer, request_id, route.service());
                let origin = Origin {
                    proved: Arc::clone(&proved),
                    request_id: request_id.to_owned(),
                    source_ip: peer.address.ip(),
                    secure: peer.secure,
                    user_agent: parts
                        .headers
                        .get(header::USER_AGENT)
                        .and_then(|value| value.to_str().ok())
                        .map(str::to_owned),
                    region: authenticate::claimed_region(&parts).unwrap_or_else(|| self.region.clone()),
                };
                let handled = Box::pin(self.s3.handle(Request::from_parts(parts, body)));
                let answer = ORIGIN.scope(origin, handled).await;
                let mut answer = answer.map(|body| body.map_err(Into::into).boxed_unsync());
                if answer.status() == StatusCode::FORBIDDEN && !proved.load(Ordering::Relaxed) {
                    self.authenticator.tell(&refusal, ErrorKind::AccessDeniedException.as_str());
                    answer.extensions_mut().insert(Unproved);
                }
                answer
            }
            Route::CodeDeploy(..) | Route::Commands(..) | Route::Iam | Route::Sts => {
                match self.signed(route, &parts, body, peer, request_id).await {
                    Ok(answer) => answer,
                    Err(error) => answer::error(dialect(route), &error, request_id),
                }
            }
        }
    }

    /// A request that must be signed and whose body is read as a whole.
    async fn signed(
        &self,
        route: Route,
        parts: &Parts,
        body: Lent,
        peer: Peer,
        request_id: &str,
    ) -> Result<Answer, ApiError> {
        let is_form = matches!(route, Route::Iam | Route::Sts);
        // IAM and STS also take their parameters in the query of a GET, which is how calls are presigned.
        if parts.method != Method::POST && !(is_form && parts.method == Method::GET) {
            return Err(ApiError::new(
                ErrorKind::UnknownOperationException,
                "Operations are called with POST.",
            ));
        }
        // Nothing is kept of a body that nobody claims to have signed.
        let body = if authenticate::is_signed(parts) {
            body::read(body).await?
        } else {
            drop(body);
            body::Whole::default()
        };
        let claim = Claim { parts, body: &body, peer, request_id, service: route.service() };
        let caller = match self.authenticator.authenticate(&self.control, &self.metrics, &claim).await {
            Ok(caller) => caller,
            Err(error) => {
                let mut answer = answer::error(dialect(route), &error, request_id);
                answer.extensions_mut().insert(Unproved);
                return Ok(answer);
            }
        };
        Span::current().record("caller", caller.principal.arn.as_str());
        // Signed is what was sent; what it holds is looked at only once its sender is known.
        let body = body.content(&parts.headers)?;
        let context = RequestContext { control: Arc::clone(&self.control), caller };
        let form = if parts.method == Method::GET {
            Bytes::copy_from_slice(parts.uri.query().unwrap_or_default().as_bytes())
        } else {
            body.bytes()
        };
        let pending = note(route, &context, &form);
        let carried_out = carry_out(route, parts, &context, &form).await;
        let answer = carried_out.unwrap_or_else(|error| answer::error(dialect(route), &error, request_id));
        if let (Some(pending), Some(answer::Recorded(answered))) =
            (pending, answer.extensions().get().cloned())
        {
            pending.end(answered).await;
        }
        Ok(answer)
    }

    async fn health(&self) -> Answer {
        let control = &self.control;
        match health::check(control.store.as_ref(), &control.settings.account).await {
            Ok(()) => answer::text(StatusCode::OK, "ok\n"),
            Err(error) => {
                tracing::error!(%error, "the health check failed");
                answer::text(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n")
            }
        }
    }
}

/// Lets the service that the request is for carry it out.
async fn carry_out(
    route: Route,
    parts: &Parts,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, ApiError> {
    // Each in a box of its own size: a held poll must not cost what the largest operation does.
    Ok(match route {
        Route::CodeDeploy(protocol, operation) => {
            context.admit(route.service(), operation.as_str())?;
            if protocol == Protocol::Cbor {
                cbor::check(&parts.headers, body)?;
            }
            Box::pin(rpc::codedeploy(context, protocol, operation, body)).await
        }
        Route::Commands(operation, service) => {
            context.admit(service, operation.as_str())?;
            Box::pin(rpc::commands(context, operation, body)).await
        }
        Route::Iam => Box::pin(query::iam(context, body)).await,
        _ => Box::pin(query::sts(context, body)).await,
    })
}

/// Tells the audit trail of the call. What agents ask is not administration and not recorded (DP-430).
fn note(route: Route, context: &RequestContext, body: &Bytes) -> Option<Pending> {
    let RequestContext { control, caller } = context;
    let at_ms = control.clock.now().0;
    let call = match route {
        Route::CodeDeploy(protocol, operation) => {
            Call::rpc(at_ms, caller.clone(), protocol, operation.as_str(), body)
        }
        Route::Iam | Route::Sts => Call::query(at_ms, caller.clone(), route.service(), body),
        _ => return None,
    };
    Some(control.trail.begin(call))
}

/// What the future gives, or `None` if it panicked: one request must not take others with it. What a handler leaves
/// behind when it unwinds is guarded by its own types: locks that ignore poisoning, transactions that roll back.
async fn unless_panicked<T>(future: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(future).catch_unwind().await.ok()
}

fn dialect(route: Route) -> Dialect {
    match route {
        Route::Iam => Dialect::Query(IAM_NAMESPACE),
        Route::Sts => Dialect::Query(STS_NAMESPACE),
        Route::S3 => Dialect::S3,
        Route::CodeDeploy(protocol, _) | Route::NoOperation(protocol, _) => Dialect::Rpc(protocol),
        _ => Dialect::Rpc(Protocol::Json),
    }
}

/// Whether the request comes from this machine. A proxy on this machine speaks for others.
fn is_local(parts: &Parts, peer: Peer) -> bool {
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip"];
    peer.address.ip().to_canonical().is_loopback()
        && !forwarded.iter().any(|name| parts.headers.contains_key(*name))
}

/// Marks the answer to a request that nobody was proved to have sent.
#[derive(Debug, Clone, Copy)]
struct Unproved;

fn log(route: Route, status: StatusCode, unproved: bool, took: std::time::Duration) {
    let (level, status, ms) = (level(route, status, unproved), status.as_u16(), took.as_millis() as u64);
    match level {
        Level::ERROR => tracing::error!(status, ms, "answered"),
        Level::INFO => tracing::info!(status, ms, "answered"),
        _ => tracing::debug!(status, ms, "answered"),
    }
}

/// Polls of a fleet are thousands of lines a minute: they show only when asked for, or when they fail. That somebody
/// asks the object store for what it does not have is no failure of ours. What anybody can send as often as they like
/// is told by `refusals`, within limits.
fn level(route: Route, status: StatusCode, unproved: bool) -> Level {
    let quiet = unproved
        || matches!(
            route,
            Route::Commands(..) | Route::Greeting | Route::Health | Route::Metrics | Route::NotFound
        );
    match status {
        StatusCode::NOT_IMPLEMENTED => Level::INFO,
        _ if status.is_server_error() => Level::ERROR,
        _ if quiet => Level::DEBUG,
        _ => Level::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_request_only() {
        assert_eq!(unless_panicked(async { 7 }).await, Some(7));
        assert_eq!(unless_panicked(async { assert_eq!(1 + 1, 3, "a broken handler") }).await, None);
    }

    #[test]
    fn errors_in_the_log_are_ours() {
        for (route, status, expected) in [
            (Route::S3, 501, Level::INFO),
            (Route::S3, 507, Level::ERROR),
            (Route::S3, 403, Level::INFO),
            (Route::Health, 503, Level::ERROR),
            (Route::Health, 200, Level::DEBUG),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(level(route, status, false), expected, "{route:?} {status}");
            let unproved = if status.is_server_error() { expected } else { Level::DEBUG };
            assert_eq!(level(route, status, true), unproved, "{route:?} {status}");
        }
    }
}
