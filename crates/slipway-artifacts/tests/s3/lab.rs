//! A store in a temporary directory and clients that sign their requests as the AWS SDKs do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use slipway_artifacts::{
    Artifacts, Authorize, Body, Caller, CredentialError, Credentials, Denied, ResolvedCaller, S3Endpoint,
    SecretKey,
};

pub(crate) const ALICE: Key = Key { id: "AKIAALICE", secret: "alice-secret", token: None };
pub(crate) const BOB: Key = Key { id: "AKIABOB", secret: "bob-secret", token: None };
/// A temporary key of Alice's account.
pub(crate) const SESSION: Key =
    Key { id: "ASIASESSION", secret: "session-secret", token: Some("the/token+of=it") };
/// May read objects and nothing else.
pub(crate) const READER: Key = Key { id: "AKIAREADER", secret: "reader-secret", token: None };

pub(crate) const HOST: &str = "localhost:8443";

#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) token: Option<&'static str>,
}

struct Keys;

#[async_trait]
impl Credentials for Keys {
    async fn secret(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
    ) -> Result<Option<ResolvedCaller>, CredentialError> {
        let keys = [
            (ALICE, "111111111111"),
            (SESSION, "111111111111"),
            (READER, "111111111111"),
            (BOB, "222222222222"),
        ];
        let Some((key, account)) = keys.iter().find(|(key, _)| key.id == access_key_id) else {
            return Ok(None);
        };
        if key.token != session_token {
            return Err(CredentialError::InvalidToken);
        }
        let caller = Caller {
            access_key_id: key.id.to_owned(),
            principal_arn: format!("arn:aws:iam::{account}:user/{}", key.id),
            account: (*account).to_owned(),
            identity: Arc::new(()),
        };
        Ok(Some(ResolvedCaller { secret: SecretKey::from(key.secret), caller }))
    }
}

/// Everything in one's own account; the reader may only get objects.
struct OwnAccount;

#[async_trait]
impl Authorize for OwnAccount {
    async fn check(
        &self,
        caller: &Caller,
        action: &str,
        resource_arn: &str,
        bucket_owner: Option<&str>,
    ) -> Result<(), Denied> {
        let own = bucket_owner.is_none_or(|owner| owner == caller.account);
        let reads = caller.access_key_id != READER.id || action == "s3:GetObject";
        if own && reads {
            return Ok(());
        }
        let message =
            format!("{} is not authorized to perform: {action} on {resource_arn}", caller.principal_arn);
        Err(Denied { message })
    }
}

pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Artifacts,
    pub s3: S3Endpoint,
    pub(crate) clock: Arc<AtomicI64>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    fn in_dir(dir: tempfile::TempDir) -> Self {
        let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
        let now = Arc::clone(&clock);
        let store =
            Artifacts::open(&dir.path().join("s3"), Arc::new(move || now.load(Ordering::Relaxed))).unwrap();
        let s3 = store.service(Arc::new(Keys), Arc::new(OwnAccount));
        Self { dir, store, s3, clock }
    }

    /// Ends the store and opens its directory again, as a restart does.
    pub(crate) fn reopen(self) -> Self {
        let Self { dir, store, s3, .. } = self;
        drop((store, s3));
        Self::in_dir(dir)
    }

    /// The same store, also reachable as `bucket.domain`.
    pub(crate) fn with_base_domain(mut self, domain: &str) -> Self {
        self.store = self.store.with_base_domain(domain);
        self.s3 = self.store.service(Arc::new(Keys), Arc::new(OwnAccount));
        self
    }

    /// With a bucket of Alice's.
    pub(crate) async fn with_bucket(bucket: &str) -> Self {
        let lab = Self::new();
        lab.as_alice(Method::PUT, &format!("/{bucket}")).await.expect(StatusCode::OK);
        lab
    }

    pub(crate) async fn as_alice(&self, method: Method, uri: &str) -> Answer {
        self.send(Call::new(method, uri)).await
    }

    pub(crate) async fn put(&self, uri: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Call::new(Method::PUT, uri).body(body)).await
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.as_alice(Method::GET, uri).await
    }

    pub(crate) async fn versioning(&self, bucket: &str, status: &str) {
        let xml = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
        self.put(&format!("/{bucket}?versioning"), xml).await.expect(StatusCode::OK);
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        let body = call.body.clone();
        self.send_body(&call, Body::http_body(Full::new(body))).await
    }

    pub(crate) async fn send_body(&self, call: &Call, body: Body) -> Answer {
        let response = self.s3.handle(call.request(body)).await;
        let (parts, body) = response.into_parts();
        let body = BodyExt::collect(body).await.expect("a complete response body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Content files of the store.
    pub(crate) fn blobs(&self) -> Vec<PathBuf> {
        files(&self.dir.path().join("s3/objects"))
    }

    /// Files of uploads under way.
    pub(crate) fn scratch(&self) -> Vec<PathBuf> {
        files(&self.dir.path().join("s3/tmp"))
    }
}

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    #[track_caller]
    pub(crate) fn expect_error(self, status: StatusCode, code: &str) -> Self {
        assert_eq!((self.status, self.tag("Code").as_str()), (status, code), "{}", self.text());
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn version(&self) -> String {
        self.header("x-amz-version-id").expect("a version id").to_owned()
    }

    /// The text of every `<name>` element.
    pub(crate) fn tags(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let text = self.text();
        text.split(&open)
            .skip(1)
            .filter_map(|rest| rest.split_once(&close))
            .map(|(value, _)| value.replace("&quot;", "\""))
            .collect()
    }

    pub(crate) fn tag(&self, name: &str) -> String {
        self.tags(name).into_iter().next().unwrap_or_default()
    }
}

/// A request to be signed.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) unsigned_headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) key: Option<Key>,
    pub(crate) age: Duration,
    pub(crate) presigned: bool,
    pub(crate) payload: Option<SignableBody<'static>>,
    pub(crate) host: String,
    pub(crate) service: &'static str,
}

impl Call {
    pub(crate) fn new(method: Method, uri: &str) -> Self {
        Self {
            method,
            uri: uri.to_owned(),
            headers: Vec::new(),
            unsigned_headers: Vec::new(),
            body: Bytes::new(),
            key: Some(ALICE),
            age: Duration::ZERO,
            presigned: false,
            payload: None,
            host: HOST.to_owned(),
            service: "s3",
        }
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    pub(crate) fn request(&self, body: Body) -> Request<Body> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("https://{}{}", self.host, self.uri))
            .header("host", &self.host);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let length = http_body::Body::size_hint(&body).exact();
        if let Some(length) =
            length.filter(|_| !self.headers.iter().any(|(name, _)| name == "content-length"))
        {
            request = request.header("content-length", length);
        }
        let mut request = request.body(body).unwrap();
        if let Some(key) = self.key {
            self.sign(&mut request, key);
        }
        for (name, value) in &self.unsigned_headers {
            request
                .headers_mut()
                .append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        // A server sees the path only.
        let path = request.uri().path_and_query().unwrap().as_str().parse().unwrap();
        *request.uri_mut() = path;
        request
    }

    fn sign(&self, request: &mut Request<Body>, key: Key) {
        #[expect(clippy::disallowed_methods, reason = "signatures are checked against the machine's clock")]
        let now = SystemTime::now();
        let identity = aws_credential_types::Credentials::new(
            key.id,
            key.secret,
            key.token.map(str::to_owned),
            None,
            "test",
        )
        .into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        if self.presigned {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
            settings.expires_in = Some(Duration::from_mins(5));
        }
        let params = aws_sigv4::sign::v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(self.service)
            .time(now - self.age)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let payload = self.payload.clone().unwrap_or(if self.presigned {
            SignableBody::UnsignedPayload
        } else {
            SignableBody::Bytes(&self.body)
        });
        let headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(n, v)| (n.as_str().to_owned(), v.to_str().unwrap().to_owned()))
            .collect();
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.uri().to_string(),
            headers.iter().map(|(n, v)| (n.as_str(), v.as_str())),
            payload,
        )
        .unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        instructions.apply_to_request_http1x(request);
    }
}

/// A body that breaks off after its chunks, as a lost connection does.
pub(crate) fn torn_body(chunks: Vec<Bytes>) -> Body {
    let chunks = futures::stream::iter(chunks).map(|c| Ok(http_body::Frame::data(c)));
    let end = futures::stream::once(async { Err(std::io::Error::other("connection reset")) });
    Body::http_body(StreamBody::new(chunks.chain(end)))
}
