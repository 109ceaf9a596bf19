//! Which service a request is for (D-02): told by `X-Amz-Target`, by the Smithy path, or by the service in the
//! credential scope.

use http::request::Parts;
use http::{HeaderMap, Method, header};
use slipway_wire::codec::Protocol;
use slipway_wire::{codedeploy, commands};

use super::cbor;

/// Target prefix of the agents' service with `enable_auth_policy` (AP-01).
const SECURE_PREFIX: &str = "CodeDeployCommandService";
/// Service of the credential scope of the agents' calls.
pub(super) const COMMANDS: &str = "codedeploy-commands";
/// Service of the credential scope of the agents' calls with `enable_auth_policy`.
pub(super) const COMMANDS_SECURE: &str = "codedeploy-commands-secure";

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// `GET /` without a signature: what agents ask before their first poll (AP-03).
    Greeting,
    /// `GET /healthz`.
    Health,
    /// `GET /metrics`.
    Metrics,
    /// The CodeDeploy API.
    CodeDeploy(Protocol, codedeploy::Operation),
    /// The agents' command API; the scope's service that goes with the target's prefix.
    Commands(commands::Operation, &'static str),
    /// IAM.
    Iam,
    /// STS.
    Sts,
    /// The object store.
    S3,
    /// No operation that anybody serves, and why.
    NoOperation(Protocol, &'static str),
    /// Nothing.
    NotFound,
}

impl Route {
    /// Name in logs and metrics.
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::Greeting | Self::Health | Self::Metrics => "health",
            Self::CodeDeploy(..) => "codedeploy",
            Self::Commands(_, scope) => scope,
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::S3 => "s3",
            Self::NoOperation(..) | Self::NotFound => "none",
        }
    }

    /// Name of the operation, where the route tells it.
    pub(super) fn operation(self) -> Option<&'static str> {
        match self {
            Self::CodeDeploy(_, operation) => Some(operation.as_str()),
            Self::Commands(operation, _) => Some(operation.as_str()),
            _ => None,
        }
    }
}

const UNKNOWN: Route = Route::NoOperation(Protocol::Json, "There is no such operation.");

/// Finds the route. Nothing that is read here is trusted: authentication checks the scope again.
pub(super) fn route(parts: &Parts) -> Route {
    let service = claimed_service(parts);
    let service = service.as_deref();
    if let Some(route) = cbor::route(parts, service.is_none_or(|service| service == codedeploy::SIGNING_NAME))
    {
        return route;
    }
    if let Some(target) = parts.headers.get("x-amz-target") {
        return target.to_str().ok().and_then(of_target).unwrap_or(UNKNOWN);
    }
    match service {
        Some("s3") => Route::S3,
        Some("iam") => Route::Iam,
        Some("sts") => Route::Sts,
        Some(_) => UNKNOWN,
        None => unsigned(parts, parts.uri.path()),
    }
}

fn of_target(target: &str) -> Option<Route> {
    if let Some(operation) = codedeploy::Operation::from_target(target) {
        return Some(Route::CodeDeploy(Protocol::Json, operation));
    }
    if let Some(operation) = commands::Operation::from_target(target) {
        return Some(Route::Commands(operation, COMMANDS));
    }
    let (prefix, name) = target.split_once('.')?;
    let operation = commands::Operation::parse(name).filter(|_| prefix == SECURE_PREFIX)?;
    Some(Route::Commands(operation, COMMANDS_SECURE))
}

/// The service in the credential scope of the `Authorization` header or of a presigned query. The signatures of before
/// SigV4 name none; only S3 has clients that still send them, and it tells them what to send instead.
fn claimed_service(parts: &Parts) -> Option<String> {
    let service = |credential: &str| credential.rsplit('/').nth(1).map(str::to_owned);
    if let Some(authorization) = parts.headers.get(header::AUTHORIZATION) {
        let text = authorization.to_str().ok()?;
        if text.starts_with("AWS ") {
            return Some("s3".to_owned());
        }
        let credential = text.split_once("Credential=")?.1;
        return service(credential.split([',', ' ']).next()?);
    }
    let query = parts.uri.query()?;
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    if let Some(credential) = parameter("X-Amz-Credential") {
        return service(&percent_encoding::percent_decode_str(credential).decode_utf8_lossy());
    }
    let old = ["AWSAccessKeyId", "Signature", "Expires"].iter().all(|name| parameter(name).is_some());
    old.then(|| "s3".to_owned())
}

fn unsigned(parts: &Parts, path: &str) -> Route {
    let reading = parts.method == Method::GET || parts.method == Method::HEAD;
    match path {
        "/" if reading => Route::Greeting,
        "/healthz" if reading => Route::Health,
        "/metrics" if reading => Route::Metrics,
        // A form is IAM's or STS's way to ask; without a signature the answer is the same for both.
        "/" if parts.method == Method::POST && is_form(&parts.headers) => Route::Iam,
        _ => Route::NotFound,
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, uri: &str, headers: &[(&str, &str)]) -> Route {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        route(&request.body(()).unwrap().into_parts().0)
    }

    fn signed(service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIA1/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
        )
    }

    #[test]
    fn the_target_names_service_and_operation_ap_01() {
        let target = |text| of("POST", "/", &[("x-amz-target", text)]);
        assert_eq!(
            target("CodeDeploy_20141006.ListApplications"),
            Route::CodeDeploy(Protocol::Json, codedeploy::Operation::ListApplications)
        );
        assert_eq!(
            target("CodeDeployCommandService_v20141006.PollHostCommand"),
            Route::Commands(commands::Operation::PollHostCommand, COMMANDS)
        );
        assert_eq!(
            target("CodeDeployCommandService.PollHostCommand"),
            Route::Commands(commands::Operation::PollHostCommand, COMMANDS_SECURE)
        );
        for unknown in [
            "CodeDeploy_20141006.Fly",
            "Other.ListApplications",
            "",
            "CodeDeployCommandService_v2.PollHostCommand",
        ] {
            assert_eq!(target(unknown), UNKNOWN, "{unknown}");
        }
    }

    #[test]
    fn without_a_target_the_credential_scope_tells_the_service_d_02() {
        for (service, route) in
            [("s3", Route::S3), ("iam", Route::Iam), ("sts", Route::Sts), ("opsworks", UNKNOWN)]
        {
            assert_eq!(of("POST", "/", &[("authorization", &signed(service))]), route, "{service}");
        }
        let presigned = "/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA1%2F20260101%2Feu-west-1%2Fs3%2Faws4_request";
        assert_eq!(of("GET", presigned, &[]), Route::S3);
        assert_eq!(of("GET", "/", &[("authorization", &signed("s3"))]), Route::S3);
    }

    #[test]
    fn signatures_of_before_sigv4_are_the_object_stores_to_refuse() {
        let presigned = "/bucket/key?AWSAccessKeyId=AKIA1&Signature=abc%3D&Expires=1795219200";
        assert_eq!(of("GET", presigned, &[]), Route::S3);
        assert_eq!(of("PUT", "/bucket/key", &[("authorization", "AWS AKIA1:abc=")]), Route::S3);
        assert_eq!(of("GET", "/bucket/key?Signature=abc&Expires=1", &[]), Route::NotFound);
        assert_eq!(of("PUT", "/bucket/key", &[("authorization", "Basic YTpi")]), Route::NotFound);
    }

    #[test]
    fn unsigned_requests_reach_health_only_ap_03() {
        assert_eq!(of("GET", "/", &[]), Route::Greeting);
        assert_eq!(of("GET", "/healthz", &[]), Route::Health);
        assert_eq!(of("GET", "/metrics", &[]), Route::Metrics);
        assert_eq!(of("GET", "/bucket/key", &[]), Route::NotFound);
        assert_eq!(
            of("POST", "/", &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")]),
            Route::Iam
        );
        assert_eq!(of("POST", "/healthz", &[]), Route::NotFound);
    }

    #[test]
    fn cbor_requests_are_claimed_by_their_header_d_06() {
        let path = "/service/CodeDeploy_20141006/operation/ListApplications";
        let cbor = ("smithy-protocol", "rpc-v2-cbor");
        let target = ("x-amz-target", "CodeDeploy_20141006.DeleteApplication");
        let scope = signed("codedeploy");
        let scope = ("authorization", scope.as_str());
        let served = Route::CodeDeploy(Protocol::Cbor, codedeploy::Operation::ListApplications);
        assert_eq!(of("POST", path, &[cbor, scope]), served);
        assert_eq!(of("POST", path, &[cbor]), served);
        for (path, headers) in [
            ("/", &[cbor, scope][..]),
            ("/service/CodeDeploy_20141006/operation/Fly", &[cbor, scope]),
            ("/service/CodeDeployCommandService_v20141006/operation/PollHostCommand", &[cbor, scope]),
            (path, &[cbor, scope, target]),
            (path, &[cbor, scope, ("x-amzn-target", "x")]),
            ("/", &[cbor, scope, target]),
            (path, &[("smithy-protocol", "rpc-v2-json"), scope]),
            (path, &[cbor, ("smithy-protocol", "rpc-v2-json"), scope]),
            (path, &[scope]),
            (path, &[]),
            ("/", &[("content-type", "application/cbor"), scope]),
        ] {
            let route = of("POST", path, headers);
            assert!(matches!(route, Route::NoOperation(Protocol::Cbor, _)), "{path} {headers:?}: {route:?}");
        }
    }

    #[test]
    fn objects_of_any_name_and_type_stay_the_stores() {
        let scope = signed("s3");
        let scope = ("authorization", scope.as_str());
        let cbor = ("content-type", "application/cbor");
        for path in ["/service/CodeDeploy_20141006/operation/ListApplications", "/bucket/key"] {
            for method in ["GET", "PUT", "POST"] {
                assert_eq!(of(method, path, &[cbor, scope]), Route::S3, "{method} {path}");
            }
        }
        let target = ("x-amz-target", "CodeDeploy_20141006.ListApplications");
        assert!(matches!(of("POST", "/", &[cbor, target]), Route::CodeDeploy(Protocol::Json, _)));
    }
}
