//! A control plane in a scratch directory, and a client that signs as the SDKs do.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses a part of this")]

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use slipway_model::Timestamp;
use slipway_server::clock::{Clock as _, ManualClock};
use slipway_server::config::{Config, Sources};
use slipway_server::start::{Running, start};

/// When tests happen.
pub const START: Timestamp = Timestamp(1_780_000_000_000);
pub const ACCOUNT: &str = "000000000001";

/// An access key.
#[derive(Debug, Clone)]
pub struct Key {
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
}

/// A control plane with its clock.
pub struct Server {
    pub dir: Arc<tempfile::TempDir>,
    pub clock: Arc<ManualClock>,
    pub running: Running,
    pub admin: Key,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The error's name in a JSON answer.
    pub fn error_type(&self) -> String {
        let name = self.json()["__type"].as_str().unwrap_or_default().to_owned();
        assert_eq!(self.header("x-amzn-errortype"), name, "header and body agree");
        name
    }

    /// The text of the first XML element of this name.
    pub fn xml(&self, element: &str) -> String {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let rest = self.body.split_once(&open).unwrap_or_else(|| panic!("no {element}: {self:?}")).1;
        rest.split_once(&close).expect("closed").0.to_owned()
    }

    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }
}

/// A request to be signed.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: &'static str,
    pub path: String,
    pub service: &'static str,
    pub region: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Sent instead of the body that is signed.
    pub tampered: Option<Vec<u8>>,
    /// How far the client's clock is ahead.
    pub skew_seconds: i64,
}

pub fn codedeploy(operation: &str, body: &str) -> Call {
    json("codedeploy", &format!("CodeDeploy_20141006.{operation}"), body)
}

pub fn json(service: &'static str, target: &str, body: &str) -> Call {
    Call {
        method: "POST",
        path: "/".to_owned(),
        service,
        region: "us-east-1",
        headers: vec![
            ("x-amz-target", target.to_owned()),
            ("content-type", "application/x-amz-json-1.1".to_owned()),
        ],
        body: body.as_bytes().to_vec(),
        tampered: None,
        skew_seconds: 0,
    }
}

pub fn iam(action: &str, parameters: &[(&str, &str)]) -> Call {
    query("iam", "2010-05-08", action, parameters)
}

pub fn sts(action: &str, parameters: &[(&str, &str)]) -> Call {
    query("sts", "2011-06-15", action, parameters)
}

fn query(service: &'static str, version: &str, action: &str, parameters: &[(&str, &str)]) -> Call {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let mut body = format!("Action={action}&Version={version}");
    for (name, value) in parameters {
        body.extend(["&", name, "=", &encode(value)]);
    }
    let content_type = "application/x-www-form-urlencoded; charset=utf-8".to_owned();
    Call { headers: vec![("content-type", content_type)], ..json(service, "", &body) }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_in(
            Arc::new(tempfile::tempdir().expect("a directory")),
            Arc::new(ManualClock::new(START)),
            &[],
        )
        .await
    }

    pub async fn start_in(
        dir: Arc<tempfile::TempDir>,
        clock: Arc<ManualClock>,
        flags: &[(&str, &str)],
    ) -> Self {
        let config = config(dir.path(), flags);
        let running = start(config, clock.clone()).await.expect("it starts");
        let credentials = std::fs::read_to_string(dir.path().join("data/credentials")).expect("credentials");
        let value = |name: &str| {
            let line = credentials.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.trim_start_matches(" = ").to_owned()
        };
        let admin =
            Key { id: value("aws_access_key_id"), secret: value("aws_secret_access_key"), token: None };
        Self { dir, clock, running, admin }
    }

    /// Stops it and starts another one on the same directory.
    pub async fn restart(self) -> Self {
        let Self { dir, clock, running, .. } = self;
        running.stop().await;
        Self::start_in(dir, clock, &[]).await
    }

    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("data").join(name)
    }

    pub async fn admin(&self, call: Call) -> Answer {
        let key = self.admin.clone();
        self.call(&key, call).await
    }

    pub async fn call(&self, key: &Key, call: Call) -> Answer {
        let request = self.sign(key, &call);
        self.send(request).await
    }

    pub fn sign(&self, key: &Key, call: &Call) -> http::Request<Full<Bytes>> {
        let uri = format!("{}{}", self.running.url(), call.path);
        let identity = Credentials::new(&key.id, &key.secret, key.token.clone(), None, "test").into();
        let at = self.clock.now().plus_seconds(call.skew_seconds).0;
        let time = UNIX_EPOCH + Duration::from_millis(u64::try_from(at).expect("after 1970"));
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(call.region)
            .name(call.service)
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .expect("complete")
            .into();
        let headers = call.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new(
            call.method,
            &uri,
            headers.filter(|(_, v)| !v.is_empty()),
            SignableBody::Bytes(&call.body),
        );
        let (instructions, _) = sign(signable.expect("signable"), &params).expect("signed").into_parts();
        let mut request = http::Request::builder().method(call.method).uri(&uri);
        for (name, value) in call.headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, value);
        }
        let body = call.tampered.clone().unwrap_or_else(|| call.body.clone());
        let mut request = request.body(Full::new(Bytes::from(body))).expect("a request");
        instructions.apply_to_request_http1x(&mut request);
        request
    }

    pub async fn get(&self, path: &str) -> Answer {
        let uri = format!("{}{path}", self.running.url());
        self.send(http::Request::get(uri).body(Full::default()).expect("a request")).await
    }

    /// Sends over TLS, trusting the installation's CA and nothing else.
    pub async fn send(&self, request: http::Request<Full<Bytes>>) -> Answer {
        self.client().send(request).await
    }

    pub fn client(&self) -> TlsClient {
        let mut roots = rustls::RootCertStore::empty();
        let pem = std::fs::read(self.file("ca.pem")).expect("a CA");
        roots.add(CertificateDer::from_pem_slice(&pem).expect("a certificate")).expect("a CA");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        TlsClient(Client::builder(TokioExecutor::new()).build(connector))
    }
}

/// A client that trusts one installation.
pub struct TlsClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl TlsClient {
    pub async fn send(&self, request: http::Request<Full<Bytes>>) -> Answer {
        let (parts, body) = self.0.request(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

pub fn config(dir: &std::path::Path, flags: &[(&str, &str)]) -> Config {
    let mut pairs = vec![
        ("listen".to_owned(), "127.0.0.1:0".to_owned()),
        ("data_dir".to_owned(), dir.join("data").display().to_string()),
    ];
    pairs.extend(flags.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())));
    Config::load(&Sources { flags: pairs, ..Sources::default() }).expect("a configuration")
}

/// The key in an answer to `CreateAccessKey`, `AssumeRole` or `GetSessionToken`.
pub fn key_of(answer: &Answer) -> Key {
    Key {
        id: answer.xml("AccessKeyId"),
        secret: answer.xml("SecretAccessKey"),
        token: answer.body.contains("<SessionToken>").then(|| answer.xml("SessionToken")),
    }
}
