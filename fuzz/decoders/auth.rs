//! Signatures and policies.

use http::{HeaderMap, HeaderName, HeaderValue};
use slipway_auth::Dialect;
use slipway_auth::identity::Principal;
use slipway_auth::policy::{Context, Policy, Request, TrustCaller, evaluate, evaluate_trust};
use slipway_auth::sigv4::{Body, DerivedKeyCache, RequestView, SecretKey, SignedRequest};
use std::sync::Arc;

/// 2026-01-01T00:00:00Z.
const NOW_MS: i64 = 1_767_225_600_000;
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const ACCOUNT: &str = "000000000001";

/// A signed request: method and target, header lines, an empty line, the body.
pub(crate) fn sigv4(input: &[u8]) -> String {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let first = str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let (method, target) = first.split_once(' ').unwrap_or((first, "/"));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut rest = lines.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    let view = RequestView { method, path, query, headers: &headers, authority: None };
    let verified = SignedRequest::parse(&view).and_then(|signed| {
        signed.verify(&SecretKey::new(SECRET), Body::Bytes(rest), NOW_MS, &DerivedKeyCache::new(1))
    });
    match verified {
        Ok(()) => "ok".to_owned(),
        Err(error) => {
            assert!(!error.to_string().contains(SECRET));
            error.code(Dialect::Json).to_owned()
        }
    }
}

/// A policy document, as an identity's and as a role's. What is accepted can be asked.
pub(crate) fn policy(input: &[u8]) -> String {
    let Ok(document) = str::from_utf8(input) else { return "not-text".to_owned() };
    let caller = Principal::user(ACCOUNT, "/", "alice", "AIDAEXAMPLE");
    let context = Context::for_principal(&caller).with_request(NOW_MS, None, true, "us-east-1");
    let resource = "arn:aws:codedeploy:us-east-1:000000000001:deploymentgroup:app/group";
    let request = Request { action: "codedeploy:CreateDeployment", resource, context: &context };
    let identity = Policy::parse("fuzz", document).map(|policy| {
        evaluate(&[Arc::new(policy)], &request);
    });
    let trust = Policy::parse_trust("fuzz", document).map(|policy| {
        let caller = TrustCaller::Principal(&caller);
        evaluate_trust(&policy, ACCOUNT, caller, "sts:AssumeRole", &context);
    });
    match (identity, trust) {
        (Ok(()), Ok(())) => "both",
        (Ok(()), Err(_)) => "identity",
        (Err(_), Ok(())) => "trust",
        (Err(_), Err(_)) => "malformed",
    }
    .to_owned()
}
