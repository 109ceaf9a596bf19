//! The SDK's own signer signs, we verify (AS-146); and nothing that was changed on the way gets through.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use proptest::prelude::*;
use slipway_auth::AuthError;
use slipway_auth::identity::Principal;
use slipway_auth::sigv4::{Body, DerivedKeyCache, RequestView, SecretKey, SignedRequest};
use slipway_auth::token::{Sealer, SessionRandom, SessionToken};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const NOW_MS: i64 = 1_440_938_160_000;

#[derive(Clone, Debug)]
struct Case {
    service: &'static str,
    region: String,
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    token: Option<String>,
    presigned: bool,
}

/// Text, percent-encoded as SDKs do it.
fn encoded(pattern: &str) -> impl Strategy<Value = String> + use<> {
    proptest::string::string_regex(pattern).unwrap().prop_map(|text| {
        text.bytes()
            .map(|b| match b {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    char::from(b).to_string()
                }
                b => format!("%{b:02X}"),
            })
            .collect()
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let path = prop::collection::vec(encoded("[a-zA-Z0-9 $+:é_~-]{1,6}"), 0..4)
        .prop_map(|segments| format!("/{}", segments.join("/")));
    let query = prop::collection::vec((encoded("[a-zA-Z é/]{1,4}"), encoded("[a-z0-9 /=&+é]{0,5}")), 0..4)
        .prop_map(|pairs| pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("&"));
    let target = prop::option::of("[A-Za-z_]{1,20}\\.[A-Za-z]{1,20}");
    let meta = prop::option::of("[a-z]{1,4}( {1,3}[a-z]{1,4}){0,3}");
    (
        prop::sample::select(vec!["codedeploy", "codedeploy-commands", "iam", "sts", "s3"]),
        prop::sample::select(vec!["us-east-1", "eu-west-3", "moon-base-7"]),
        prop::sample::select(vec!["GET", "POST", "PUT", "DELETE"]),
        (path, query),
        (target, meta),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::option::of("[A-Za-z0-9/+=]{1,60}"),
        any::<bool>(),
    )
        .prop_map(|(service, region, method, (path, query), (target, meta), body, token, presigned)| {
            let mut headers = vec![("content-type", "application/x-amz-json-1.1".to_owned())];
            headers.extend(target.map(|t| ("x-amz-target", t)));
            headers.extend(meta.map(|m| ("x-amz-meta-note", m)));
            Case { service, region: region.to_owned(), method, path, query, headers, body, token, presigned }
        })
}

fn signed(case: &Case) -> http::Request<Vec<u8>> {
    signed_by(KEY, SECRET, case)
}

fn signed_by(key: &str, secret: &str, case: &Case) -> http::Request<Vec<u8>> {
    let identity = Credentials::new(key, secret, case.token.clone(), None, "test").into();
    let mut settings = SigningSettings::default();
    if case.service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    if case.presigned {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_hours(1));
    }
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&case.region)
        .name(case.service)
        .time(SystemTime::UNIX_EPOCH + Duration::from_millis(NOW_MS as u64))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let mut uri = format!("https://slipway.test:8443{}", case.path);
    if !case.query.is_empty() {
        uri = format!("{uri}?{}", case.query);
    }
    let body = match (case.service, case.presigned) {
        ("s3", true) => SignableBody::UnsignedPayload,
        _ => SignableBody::Bytes(&case.body),
    };
    let headers = case.headers.iter().map(|(n, v)| (*n, v.as_str()));
    let signable = SignableRequest::new(case.method, &uri, headers, body).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let mut request =
        http::Request::builder().method(case.method).uri(&uri).header("host", "slipway.test:8443");
    for (name, value) in &case.headers {
        request = request.header(*name, value);
    }
    let mut request = request.body(case.body.clone()).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    request
}

fn verify_parts(
    request: &http::Request<Vec<u8>>,
    path: &str,
    query: &str,
    body: &[u8],
    now_ms: i64,
) -> Result<SignedRequest, AuthError> {
    let view = RequestView {
        method: request.method().as_str(),
        path,
        query,
        headers: request.headers(),
        authority: None,
    };
    let claim = SignedRequest::parse(&view)?;
    // The key id is not under the signature: another one means another secret, or none.
    if claim.access_key_id() != KEY {
        return Err(AuthError::UnrecognizedClient);
    }
    claim.verify(&SecretKey::new(SECRET), Body::Bytes(body), now_ms, &DerivedKeyCache::new(4))?;
    Ok(claim)
}

fn verify(request: &http::Request<Vec<u8>>, now_ms: i64) -> Result<SignedRequest, AuthError> {
    let query = request.uri().query().unwrap_or_default();
    verify_parts(request, request.uri().path(), query, request.body(), now_ms)
}

/// Another byte in its place, never one that only spells the same text differently.
fn changed(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = match bytes[at] {
        b'z' => b'a',
        b'Z' => b'A',
        b'9' => b'0',
        b if b.is_ascii_alphanumeric() => b + 1,
        _ => b'x',
    };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_session_signs_with_its_token_and_only_so() {
    let sealer = Sealer::new(&[1; 32]);
    let host = Principal::assumed_role("444455556666", "/", "Fleet", "AROA1", "web1");
    let session = SessionToken::issue(host, NOW_MS, 900, &SessionRandom { id: [1; 10], secret: [2; 30] });
    let case = |token: Option<String>| Case {
        service: "codedeploy-commands",
        region: "us-east-1".to_owned(),
        method: "POST",
        path: "/".to_owned(),
        query: String::new(),
        headers: vec![("x-amz-target", "CodeDeployCommandService_v20141006.PollHostCommand".to_owned())],
        body: b"{}".to_vec(),
        token,
        presigned: false,
    };
    let authenticate = |key: &str, token: Option<String>, now_ms| {
        let request = signed_by(key, session.secret.expose(), &case(token));
        let view =
            RequestView { method: "POST", path: "/", query: "", headers: request.headers(), authority: None };
        let claim = SignedRequest::parse(&view)?;
        let found = SessionToken::of(&claim, &sealer, now_ms)?;
        let secret = found.as_ref().map_or_else(|| session.secret.clone(), |s| s.secret.clone());
        claim.verify(&secret, Body::Bytes(b"{}"), now_ms, &DerivedKeyCache::default())?;
        Ok(found.map(|s| s.principal.arn))
    };
    let (key, token) = (session.access_key_id.as_str(), Some(session.seal(&sealer)));
    let arn = "arn:aws:sts::444455556666:assumed-role/Fleet/web1".to_owned();
    assert_eq!(authenticate(key, token.clone(), NOW_MS), Ok(Some(arn)));
    assert_eq!(authenticate(key, token.clone(), NOW_MS + 900_000), Err(AuthError::ExpiredToken));
    assert_eq!(authenticate(key, None, NOW_MS), Err(AuthError::UnrecognizedClient));
    assert_eq!(authenticate(key, Some("forged".to_owned()), NOW_MS), Err(AuthError::UnrecognizedClient));
    assert_eq!(authenticate("ASIAANOTHERKEY", token.clone(), NOW_MS), Err(AuthError::UnrecognizedClient));
    assert_eq!(authenticate(KEY, token, NOW_MS), Err(AuthError::UnrecognizedClient));
    assert_eq!(authenticate(KEY, None, NOW_MS), Ok(None));
}

proptest! {
    #[test]
    fn what_the_sdk_signs_is_accepted(case in cases()) {
        let request = signed(&case);
        let claim = verify(&request, NOW_MS).unwrap_or_else(|e| panic!("{e}: {request:?}"));
        prop_assert_eq!(claim.access_key_id(), KEY);
        prop_assert_eq!(&claim.scope().service, case.service);
        prop_assert_eq!(&claim.scope().region, &case.region);
        prop_assert_eq!(claim.session_token(), case.token.as_deref());
        prop_assert_eq!(claim.presigned_seconds(), case.presigned.then_some(3600));
    }

    #[test]
    fn one_changed_byte_anywhere_is_refused(case in cases(), seed in any::<prop::sample::Index>()) {
        let request = signed(&case);
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let body = request.body();
        if path.len() > 1 {
            let other = changed(path, 1 + seed.index(path.len() - 1));
            prop_assert!(verify_parts(&request, &other, query, body, NOW_MS).is_err(), "path {}", other);
        }
        if !query.is_empty() {
            let other = changed(query, seed.index(query.len()));
            prop_assert!(verify_parts(&request, path, &other, body, NOW_MS).is_err(), "query {}", other);
        }
        let payload_is_signed = !(case.service == "s3" && case.presigned);
        if payload_is_signed {
            let mut other = body.clone();
            if other.is_empty() { other.push(0) } else { let at = seed.index(body.len()); other[at] ^= 1 }
            prop_assert!(verify_parts(&request, path, query, &other, NOW_MS).is_err());
        }
        for (name, value) in request.headers() {
            let value = value.to_str().unwrap();
            let at = seed.index(value.len());
            // One space more or less between words means the same.
            if value.as_bytes()[at] == b' ' {
                continue;
            }
            let mut other = request.clone();
            other.headers_mut().insert(name, changed(value, at).parse().unwrap());
            prop_assert!(verify(&other, NOW_MS).is_err(), "{} {}", name, changed(value, at));
        }
    }

    #[test]
    fn another_secret_or_method_is_refused(case in cases()) {
        let request = signed(&case);
        let view = RequestView {
            method: "PATCH",
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
            headers: request.headers(),
            authority: None,
        };
        let cache = DerivedKeyCache::new(4);
        let verify = |view: &RequestView<'_>, secret: &str| {
            let claim = SignedRequest::parse(view).unwrap();
            claim.verify(&SecretKey::new(secret), Body::Bytes(request.body()), NOW_MS, &cache)
        };
        prop_assert!(verify(&view, SECRET).is_err());
        let view = RequestView { method: case.method, ..view };
        prop_assert!(verify(&view, SECRET).is_ok());
        prop_assert!(verify(&view, "another").is_err());
    }

    #[test]
    fn no_request_makes_the_parser_panic(
        path in ".{0,20}", query in "(X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature)=|[ -~é&]){0,30}",
        authorization in "(AWS4-HMAC-SHA256 )?[ -~]{0,60}", date in "[0-9TZ]{0,17}",
    ) {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", authorization.parse().unwrap());
        headers.insert("x-amz-date", date.parse().unwrap());
        for headers in [headers, http::HeaderMap::new()] {
            let view = RequestView { method: "GET", path: &path, query: &query, headers: &headers, authority: None };
            let _ = SignedRequest::parse(&view);
        }
    }
}
