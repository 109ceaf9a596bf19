//! Sending signed requests.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use slipway_wire::Json;
use slipway_wire::codec::Codec as _;
use slipway_wire::codedeploy::{Operation, TARGET_PREFIX};

use super::settings::Service;
use super::sign::sign_request;
use super::{CallError, Settings};
use crate::clock;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Long enough for 6 MiB over a slow line.
const CALL_TIMEOUT: Duration = Duration::from_mins(5);
/// No answer to any of our calls is near this size.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;

/// A client of one control plane, with one identity. Cloning shares the connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    settings: Arc<Settings>,
}

impl Client {
    /// A client with these settings. Does not connect yet.
    pub(crate) fn new(settings: Settings) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS cannot be set up")?
            .with_root_certificates(roots(&settings)?)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(https);
        Ok(Self { pool, settings: Arc::new(settings) })
    }

    /// What this client was made with.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Calls an operation of CodeDeploy; one without output answers `()`, too.
    pub(crate) async fn codedeploy<I: Serialize, O: DeserializeOwned>(
        &self,
        operation: Operation,
        input: &I,
    ) -> Result<O, CallError> {
        let name = operation.name();
        let body = Json::encode(input).map_err(|error| CallError::request(name, &error.message))?;
        let request = Request::post(format!("{}/", self.settings.endpoint(Service::CodeDeploy)))
            .header("content-type", Json::CONTENT_TYPE)
            .header("x-amz-target", format!("{TARGET_PREFIX}.{name}"))
            .body(())
            .map_err(|error| CallError::request(name, &error))?;
        let response = self.send(name, Service::CodeDeploy, request, body.into()).await?;
        let (status, body) = (response.status(), response.into_body());
        if status.is_success() {
            return Json::decode(&body).map_err(|error| CallError::answer(name, &error.message));
        }
        let error: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let member = |name: &str| error.get(name).and_then(serde_json::Value::as_str);
        let Some(code) = member("__type") else {
            return Err(CallError::answer(
                name,
                &format_args!("HTTP status {status} without an error's name"),
            ));
        };
        Err(CallError::Refused {
            operation: name.to_owned(),
            status: status.as_u16(),
            // A namespace may stand before the name.
            code: code.rsplit('#').next().unwrap_or(code).to_owned(),
            message: member("message").or_else(|| member("Message")).unwrap_or("(no message)").to_owned(),
        })
    }

    /// Signs and sends a request; the whole answer, whatever its status.
    pub(super) async fn send(
        &self,
        operation: &str,
        service: Service,
        mut request: Request<()>,
        body: Bytes,
    ) -> Result<Response<Bytes>, CallError> {
        let Settings { keys, region, .. } = &*self.settings;
        sign_request(&mut request, &body, keys, region, service, clock::now())
            .map_err(|problem| CallError::request(operation, &problem))?;
        let endpoint = self.settings.endpoint(service);
        let exchange = async {
            let response = self
                .pool
                .request(request.map(|()| Full::new(body)))
                .await
                .map_err(|error| CallError::unreachable(operation, endpoint, &error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER)
                .collect()
                .await
                .map_err(|error| CallError::unreachable(operation, endpoint, &*error))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        tokio::time::timeout(CALL_TIMEOUT, exchange)
            .await
            .map_err(|_| CallError::timeout(operation, endpoint, CALL_TIMEOUT))?
    }
}

fn roots(settings: &Settings) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match &settings.ca_bundle {
        Some(path) => {
            let unusable = || format!("the certificates in {} cannot be used", path.display());
            for certificate in CertificateDer::pem_file_iter(path).with_context(unusable)? {
                roots.add(certificate.with_context(unusable)?).with_context(unusable)?;
            }
            anyhow::ensure!(!roots.is_empty(), "{} holds no certificate", path.display());
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}
