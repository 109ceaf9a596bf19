//! The rules of SigV4 one by one, with AWS's own published examples as fixed points.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use aws_lc_rs::{digest, hmac};
use http::HeaderMap;
use slipway_auth::sigv4::{Body, DeclaredPayload, DerivedKeyCache, RequestView, SecretKey, SignedRequest};
use slipway_auth::{AuthError, Dialect};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const S3_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const AT: i64 = 1_440_938_160_000; // 2015-08-30T12:36:00Z
const S3_AT: i64 = 1_369_353_600_000; // 2013-05-24T00:00:00Z
const MINUTE: i64 = 60_000;

struct Request {
    method: &'static str,
    path: String,
    query: String,
    headers: HeaderMap,
}

impl Request {
    fn new(method: &'static str, path: &str, query: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Self { method, path: path.to_owned(), query: query.to_owned(), headers: map }
    }

    fn parse(&self) -> Result<SignedRequest, AuthError> {
        SignedRequest::parse(&RequestView {
            method: self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            authority: None,
        })
    }

    fn verify(&self, secret: &str, body: &[u8], now_ms: i64) -> Result<(), AuthError> {
        self.parse()?.verify(&SecretKey::new(secret), Body::Bytes(body), now_ms, &DerivedKeyCache::new(4))
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }
}

/// The example of the IAM documentation.
fn list_users() -> Request {
    Request::new(
        "GET",
        "/",
        "Action=ListUsers&Version=2010-05-08",
        &[
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, \
                 Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ],
    )
}

fn with_authorization(change: impl Fn(&str) -> String) -> Request {
    let request = list_users();
    let old = request.headers["authorization"].to_str().unwrap().to_owned();
    request.with("authorization", &change(&old))
}

/// Signs by the definition, for shapes that no SDK would produce.
fn sign(request: Request, canonical: &str, at: &str, service: &str, signed_headers: &str) -> Request {
    let scope = format!("{}/us-east-1/{service}/aws4_request", &at[..8]);
    let hash = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [&at[..8], "us-east-1", service, "aws4_request"] {
        key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{hash}");
    let signature = hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text.as_bytes()));
    let value = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={signed_headers}, Signature={signature}"
    );
    request.with("authorization", &value)
}

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn the_iam_example_of_the_documentation_verifies() {
    assert_eq!(list_users().verify(SECRET, b"", AT), Ok(()));
    let claim = list_users().parse().unwrap();
    assert_eq!((claim.access_key_id(), claim.session_token()), ("AKIDEXAMPLE", None));
    assert_eq!(claim.signed_headers(), ["content-type", "host", "x-amz-date"]);
    let tight = with_authorization(|a| a.replace(", ", ","));
    assert_eq!(tight.verify(SECRET, b"", AT), Ok(()), "separators need no space");
}

#[test]
fn the_s3_examples_of_the_documentation_verify() {
    let get = Request::new(
        "GET",
        "/test.txt",
        "",
        &[
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=\
                 host;range;x-amz-content-sha256;x-amz-date,Signature=\
                 f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
        ],
    );
    assert_eq!(get.verify(S3_SECRET, b"", S3_AT), Ok(()));
    let put = Request::new(
        "PUT",
        "/test%24file.text",
        "",
        &[
            ("host", "examplebucket.s3.amazonaws.com"),
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=\
                 date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,Signature=\
                 98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
        ],
    );
    assert_eq!(put.verify(S3_SECRET, b"Welcome to Amazon S3.", S3_AT), Ok(()));
    assert_eq!(put.verify(S3_SECRET, b"Welcome to Amazon S3!", S3_AT), Err(AuthError::PayloadMismatch));
}

fn presigned() -> Request {
    Request::new(
        "GET",
        "/test.txt",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3\
         %2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        &[("host", "examplebucket.s3.amazonaws.com")],
    )
}

/// Signed by botocore 1.43, the signer of the AWS CLI and boto3, at 2026-11-21T01:02:03Z.
#[test]
fn what_the_aws_cli_signs_is_accepted_and_changes_are_refused() {
    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        service: String,
        method: String,
        path: String,
        query: String,
        headers: std::collections::BTreeMap<String, String>,
        body: String,
        token: Option<String>,
    }
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors/botocore.json")).unwrap();
    assert_eq!(vectors.len(), 10);
    for vector in vectors {
        let headers: HeaderMap = vector
            .headers
            .iter()
            .map(|(name, value)| (http::HeaderName::try_from(name).unwrap(), value.parse().unwrap()))
            .collect();
        let verify = |path: &str| {
            let method = vector.method.as_str();
            let view = RequestView { method, path, query: &vector.query, headers: &headers, authority: None };
            let claim = SignedRequest::parse(&view)?;
            assert_eq!(
                (claim.session_token(), &claim.scope().service),
                (vector.token.as_deref(), &vector.service)
            );
            let body = Body::Bytes(vector.body.as_bytes());
            claim.verify(&SecretKey::new(SECRET), body, 1_795_222_923_000, &DerivedKeyCache::new(4))
        };
        assert_eq!(verify(&vector.path), Ok(()), "{}", vector.name);
        assert!(verify(&format!("{}x", vector.path)).is_err(), "{}", vector.name);
    }
}

#[test]
fn the_presigned_example_verifies_until_its_end() {
    let day = 86_400_000;
    assert_eq!(presigned().verify(S3_SECRET, b"", S3_AT), Ok(()));
    assert_eq!(presigned().verify(S3_SECRET, b"", S3_AT + day), Ok(()));
    let error = presigned().verify(S3_SECRET, b"", S3_AT + day + 1000).unwrap_err();
    assert_eq!(
        (error.code(Dialect::S3), error.to_string().as_str()),
        ("AccessDenied", "Request has expired")
    );
    let early = presigned().verify(S3_SECRET, b"", S3_AT - 16 * MINUTE).unwrap_err();
    assert!(early.to_string().starts_with("Signature not yet current"), "{early}");
}

#[test]
fn presigned_requests_live_seven_days_at_most() {
    let mut request = presigned();
    request.query = request.query.replace("X-Amz-Expires=86400", "X-Amz-Expires=604801");
    assert!(request.parse().unwrap_err().to_string().contains("604800 seconds"));
    for bad in ["-1", "+5", "1e3", ""] {
        let mut request = presigned();
        request.query = request.query.replace("X-Amz-Expires=86400", &format!("X-Amz-Expires={bad}"));
        assert!(matches!(request.parse(), Err(AuthError::IncompleteSignature(_))), "{bad}");
    }
}

#[test]
fn streamed_chunks_are_verified_one_by_one() {
    let put = Request::new(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        &[
            ("host", "s3.amazonaws.com"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("content-length", "66824"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=\
                 content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
                 x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
            ),
        ],
    );
    let claim = put.parse().unwrap();
    let (secret, cache) = (SecretKey::new(S3_SECRET), DerivedKeyCache::new(4));
    assert!(matches!(claim.payload(), DeclaredPayload::Streaming(_)));
    assert_eq!(claim.verify(&secret, Body::Unread, S3_AT, &cache), Ok(()));
    let chunks = [
        ("ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", vec![b'a'; 65536]),
        ("0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", vec![b'a'; 1024]),
        ("b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", vec![]),
    ];
    let mut chain = claim.chunk_chain(&secret, &cache).unwrap();
    for (signature, data) in &chunks {
        assert_eq!(chain.verify_chunk(signature, data), Ok(()));
    }
    let mut out_of_order = claim.chunk_chain(&secret, &cache).unwrap();
    assert!(out_of_order.verify_chunk(chunks[1].0, &chunks[1].1).is_err());
    assert!(list_users().parse().unwrap().chunk_chain(&secret, &cache).is_none());
}

#[test]
fn clocks_may_differ_by_fifteen_minutes_as_147() {
    for (now, expected) in [
        (AT + 15 * MINUTE, None),
        (AT - 15 * MINUTE, None),
        (
            AT + 15 * MINUTE + 1000,
            Some(
                "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)",
            ),
        ),
        (
            AT - 16 * MINUTE,
            Some(
                "Signature not yet current: 20150830T123600Z is still later than 20150830T123500Z (20150830T122000Z + 15 min.)",
            ),
        ),
    ] {
        let error = list_users().verify(SECRET, b"", now).err();
        assert_eq!(error.as_ref().map(ToString::to_string).as_deref(), expected);
        if let Some(error) = error {
            assert_eq!(
                (error.code(Dialect::Json), error.status(Dialect::Json)),
                ("InvalidSignatureException", 400)
            );
        }
    }
}

#[test]
fn missing_and_malformed_parts_are_named() {
    let cases = [
        (
            list_users().without("authorization"),
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ),
        (
            with_authorization(|_| "Basic dXNlcjpwYXNz".into()),
            "IncompleteSignatureException",
            "AWS4-HMAC-SHA256",
        ),
        (
            with_authorization(|_| "AWS4-HMAC-SHA256 Credential=a".into()),
            "IncompleteSignatureException",
            "requires 'SignedHeaders' parameter. Authorization header requires 'Signature'",
        ),
        (list_users().without("x-amz-date"), "IncompleteSignatureException", "'X-Amz-Date' or a 'Date'"),
        (list_users().with("x-amz-date", "yesterday"), "IncompleteSignatureException", "basic format"),
        (with_authorization(|a| a.replace("/iam/", "/")), "IncompleteSignatureException", "exactly 5"),
        (
            with_authorization(|a| a.replace("aws4_request", "aws4")),
            "InvalidSignatureException",
            "valid terminator",
        ),
        (
            with_authorization(|a| a.replace("/us-east-1/", "/US_EAST/")),
            "InvalidSignatureException",
            "valid Region",
        ),
        (
            with_authorization(|a| a.replace("20150830/", "20150829/")),
            "InvalidSignatureException",
            "'20150829' != '20150830'",
        ),
        (
            with_authorization(|a| a.replace("content-type;host;", "content-type;")),
            "InvalidSignatureException",
            "'Host' or ':authority'",
        ),
        (
            with_authorization(|a| a.replace(";host;x-amz-date", ";host")),
            "InvalidSignatureException",
            "'x-amz-date'",
        ),
        (
            with_authorization(|a| a.replace("content-type;host", "host;content-type")),
            "InvalidSignatureException",
            "ascending",
        ),
        (
            with_authorization(|a| a.replace("content-type;host", "Content-Type;host")),
            "InvalidSignatureException",
            "lower-case",
        ),
        (
            with_authorization(|a| format!("{a}, Signature=00")),
            "IncompleteSignatureException",
            "more than one 'Signature'",
        ),
        (
            list_users().without("content-type"),
            "InvalidSignatureException",
            "'content-type' is not in the request",
        ),
        (
            list_users().with("x-amz-target", "CodeDeploy_20141006.GetDeployment"),
            "InvalidSignatureException",
            "'x-amz-target'",
        ),
        (
            list_users().with("x-amz-security-token", "t"),
            "InvalidSignatureException",
            "'x-amz-security-token'",
        ),
        (
            list_users().with("x-amz-content-sha256", "abc"),
            "InvalidSignatureException",
            "must be a 'SignedHeader'",
        ),
    ];
    for (request, code, message) in cases {
        let error = request.parse().unwrap_err();
        assert_eq!(error.code(Dialect::Json), code, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn two_places_for_a_signature_are_one_too_many() {
    let mut request = list_users();
    request.query.push_str("&X-Amz-Signature=00");
    assert!(request.parse().unwrap_err().to_string().contains("Only one auth mechanism"));
    let mut request = list_users();
    request.headers.append("authorization", "AWS4-HMAC-SHA256 x".parse().unwrap());
    assert!(request.parse().unwrap_err().to_string().contains("more than once"));
    let mut request = presigned();
    request.query.push_str("&X-Amz-Date=20130524T000000Z");
    assert!(request.parse().unwrap_err().to_string().contains("more than once"));
}

#[test]
fn a_refusal_tells_neither_secret_nor_right_signature() {
    let request = with_authorization(|a| a.replace("Signature=5d", "Signature=00"));
    let error = request.verify(SECRET, b"", AT).unwrap_err();
    let shown = format!("{error} {error:?} {:?}", request.parse().unwrap());
    assert!(shown.contains("does not match the signature you provided"));
    assert!(!shown.contains("5d672d79") && !shown.contains("c15b1316") && !shown.contains(SECRET));
    for part in ["", "5d672d79", "5D672D79C15B13162D9279B0855CFBA6789A8EDB4C82C400E06B5924A6F2B5D7"] {
        let request =
            with_authorization(|a| format!("{}Signature={part}", a.split("Signature=").next().unwrap()));
        assert!(request.verify(SECRET, b"", AT).is_err(), "{part}");
    }
}

#[test]
fn the_date_header_serves_when_it_is_signed() {
    let base = || Request::new("GET", "/", "", &[("host", "h"), ("date", "Sun, 30 Aug 2015 12:36:00 GMT")]);
    let canonical = format!("GET\n/\n\ndate:Sun, 30 Aug 2015 12:36:00 GMT\nhost:h\n\ndate;host\n{EMPTY}");
    let request = sign(base(), &canonical, "20150830T123600Z", "iam", "date;host");
    assert_eq!(request.verify(SECRET, b"", AT), Ok(()));
    let canonical = format!("GET\n/\n\nhost:h\n\nhost\n{EMPTY}");
    let request = sign(base(), &canonical, "20150830T123600Z", "iam", "host");
    assert!(
        request.verify(SECRET, b"", AT).unwrap_err().to_string().contains("'Date' must be a 'SignedHeader'")
    );
}

#[test]
fn unsigned_payloads_are_for_s3_only() {
    let headers = "host:h\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20150830T123600Z\n";
    let names = "host;x-amz-content-sha256;x-amz-date";
    let canonical = format!("PUT\n/b/k\n\n{headers}\n{names}\nUNSIGNED-PAYLOAD");
    let request = |service| {
        let fields =
            [("host", "h"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), ("x-amz-date", "20150830T123600Z")];
        sign(Request::new("PUT", "/b/k", "", &fields), &canonical, "20150830T123600Z", service, names)
    };
    assert_eq!(request("s3").verify(SECRET, b"any", AT), Ok(()));
    let error = request("codedeploy").verify(SECRET, b"any", AT).unwrap_err();
    assert_eq!(error.code(Dialect::Json), "InvalidSignatureException");
}

#[test]
fn http2_authority_stands_in_for_the_host_header() {
    let canonical = format!("GET\n/\n\nhost:h:8443\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n{EMPTY}");
    let request = Request::new("GET", "/", "", &[("x-amz-date", "20150830T123600Z")]);
    let request = sign(request, &canonical, "20150830T123600Z", "iam", "host;x-amz-date");
    let verify = |authority| {
        let view = RequestView { method: "GET", path: "/", query: "", headers: &request.headers, authority };
        SignedRequest::parse(&view)?.verify(
            &SecretKey::new(SECRET),
            Body::Hashed(EMPTY),
            AT,
            &DerivedKeyCache::new(4),
        )
    };
    assert_eq!(verify(Some("h:8443")), Ok(()));
    assert!(verify(Some("evil")).is_err());
    assert!(verify(None).is_err());
}

#[test]
fn errors_carry_the_names_of_each_dialect() {
    for (error, json, query, s3) in [
        (
            AuthError::MissingAuthenticationToken,
            "MissingAuthenticationTokenException",
            ("MissingAuthenticationToken", 403),
            ("AccessDenied", 403),
        ),
        (
            AuthError::UnrecognizedClient,
            "UnrecognizedClientException",
            ("InvalidClientTokenId", 403),
            ("InvalidAccessKeyId", 403),
        ),
        (AuthError::ExpiredToken, "ExpiredTokenException", ("ExpiredToken", 403), ("ExpiredToken", 400)),
    ] {
        assert_eq!((error.code(Dialect::Json), error.status(Dialect::Json)), (json, 400), "AP-07");
        assert_eq!((error.code(Dialect::Query), error.status(Dialect::Query)), query);
        assert_eq!((error.code(Dialect::S3), error.status(Dialect::S3)), s3);
    }
    assert_eq!(
        AuthError::UnrecognizedClient.to_string(),
        "The security token included in the request is invalid."
    );
}

#[test]
fn everything_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<DerivedKeyCache>();
    shared::<SignedRequest>();
    shared::<slipway_auth::token::Sealer>();
    shared::<slipway_auth::policy::Policy>();
    shared::<slipway_auth::managed::ManagedPolicy>();
}
