//! HTTP/1.1 over TLS, directly or through a proxy; the only door of this crate to the network.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than any server keeps a connection (AP-42), so that we never write into one that is being closed.
const IDLE: Duration = Duration::from_mins(1);

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Connecting, sending or receiving failed.
    #[error("Network error: {0}")]
    Network(String),
    /// The server's certificate was refused (AG-068).
    #[error("Network error: {0}. Failed to execute the command. Your certificates might have been deleted")]
    Certificate(String),
    /// No answer in time.
    #[error("Network error: no answer within {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// More bytes than any honest answer has.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
}

/// The TLS or proxy settings cannot be honoured.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The file of trusted roots.
    #[error("the CA bundle {} cannot be used: {reason}", .path.display())]
    CaBundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No root certificate anywhere.
    #[error(
        "this host has no trusted root certificates; name a file of them as :ca_bundle: or in SSL_CERT_FILE"
    )]
    NoRoots,
    /// `:proxy_uri:`.
    #[error("the setting :proxy_uri: cannot be honoured: {0}")]
    Proxy(String),
    /// The TLS library.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Whom TLS trusts.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// A file of PEM certificates, which then are the only roots.
    pub bundle: Option<PathBuf>,
    /// The system's roots as well (for GitHub beside a private control plane).
    pub system_too: bool,
}

impl Trust {
    /// The configured bundle, else the one that the environment names, else the system's roots (AG-036, AG-037).
    pub fn resolve(configured: Option<&Path>) -> Self {
        let named =
            |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file());
        let bundle = configured
            .map(Path::to_owned)
            .or_else(|| named("SSL_CERT_FILE"))
            .or_else(|| named("AWS_CA_BUNDLE"))
            .or_else(|| named("AWS_SSL_CA_BUNDLE"));
        Self { bundle, system_too: false }
    }

    fn roots(&self) -> Result<RootCertStore, HttpSetupError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.bundle {
            let wrong = |reason: String| HttpSetupError::CaBundle { path: path.clone(), reason };
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?
            {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(wrong("it holds no certificate".to_owned()));
            }
        }
        if self.bundle.is_none() || self.system_too {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() { Err(HttpSetupError::NoRoots) } else { Ok(roots) }
    }
}

type Direct = HttpsConnector<HttpConnector>;
type Proxied = HttpsConnector<Tunnel<Direct>>;

/// An HTTP client with pooled connections. Cloning shares the pool.
#[derive(Debug, Clone)]
pub struct HttpClient {
    kind: Kind,
    read_timeout: Duration,
}

#[derive(Debug, Clone)]
enum Kind {
    Direct(Box<Client<Direct, Full<Bytes>>>),
    Proxied(Box<Client<Proxied, Full<Bytes>>>),
}

impl HttpClient {
    /// A client that trusts `trust`, goes through `proxy` if there is one, and waits `read_timeout` for answers.
    pub fn new(trust: &Trust, proxy: Option<&str>, read_timeout: Duration) -> Result<Self, HttpSetupError> {
        Self::with_roots(trust.roots()?, proxy, read_timeout)
    }

    fn with_roots(
        roots: RootCertStore,
        proxy: Option<&str>,
        read_timeout: Duration,
    ) -> Result<Self, HttpSetupError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        // A long poll is silent: only keep-alive probes notice that the peer has vanished.
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http().enable_http1();
        let direct = https.wrap_connector(tcp);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE).pool_max_idle_per_host(4).pool_timer(TokioTimer::new());
        let kind = match proxy {
            None => Kind::Direct(Box::new(builder.build(direct))),
            Some(proxy) => {
                let (address, auth) = parse_proxy(proxy).map_err(HttpSetupError::Proxy)?;
                let mut tunnel = Tunnel::new(address, direct);
                if let Some(auth) = auth {
                    tunnel = tunnel.with_auth(auth);
                }
                let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
                Kind::Proxied(Box::new(builder.build(https.wrap_connector(tunnel))))
            }
        };
        Ok(Self { kind, read_timeout })
    }

    /// A client for a service on this machine that speaks plain HTTP: without roots, and never through a proxy.
    pub fn plain(timeout: Duration) -> Result<Self, HttpSetupError> {
        Self::with_roots(RootCertStore::empty(), None, timeout)
    }

    /// Sends a request; the answer's body is still to be read.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, HttpError> {
        let server = host_of(request.uri()).unwrap_or_default();
        let answer = async {
            match &self.kind {
                Kind::Direct(client) => client.request(request).await,
                Kind::Proxied(client) => client.request(request).await,
            }
        };
        tokio::time::timeout(self.read_timeout, answer)
            .await
            .map_err(|_| HttpError::Timeout(self.read_timeout))?
            .map_err(|error| classify(&server, &error))
    }

    /// Sends a request and reads an answer of at most `limit` bytes; the time limit is on the whole exchange.
    pub async fn fetch(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Response<Bytes>, HttpError> {
        let exchange = async {
            let (parts, body) = self.send(request).await?.into_parts();
            let body = Limited::new(body, limit).collect().await.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    HttpError::TooLarge(limit)
                } else {
                    HttpError::Network(chain(&*error))
                }
            })?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        tokio::time::timeout(self.read_timeout, exchange)
            .await
            .map_err(|_| HttpError::Timeout(self.read_timeout))?
    }

    /// How long this client waits for an answer.
    pub fn read_timeout(&self) -> Duration {
        self.read_timeout
    }
}

/// The `Host` header of a URI: without the port that the scheme implies, as it is signed and sent.
pub fn host_of(uri: &Uri) -> Option<String> {
    let host = uri.host()?;
    let implied = match uri.scheme_str() {
        Some("http") => 80,
        _ => 443,
    };
    match uri.port_u16() {
        Some(port) if port != implied => Some(format!("{host}:{port}")),
        _ => Some(host.to_owned()),
    }
}

/// Splits `scheme://user:password@host:port/...` into the address and the header (AS-137). Every request goes
/// through a CONNECT tunnel, so path and query of the proxy mean nothing.
fn parse_proxy(text: &str) -> Result<(Uri, Option<HeaderValue>), String> {
    let uri: Uri = text.parse().map_err(|error| format!("it is not a URI ({error})"))?;
    let scheme = uri.scheme_str().ok_or("it needs a scheme, http:// or https://")?;
    if !matches!(scheme, "http" | "https") {
        return Err(format!("the scheme `{scheme}` is not supported; http and https are"));
    }
    let authority = uri.authority().ok_or("it names no host")?.as_str();
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if host.is_empty() {
        return Err("it names no host".to_owned());
    }
    let address = format!("{scheme}://{host}").parse().map_err(|error| format!("{host}: {error}"))?;
    let auth = match user {
        None => None,
        Some(user) => {
            let plain: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
            let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain));
            Some(HeaderValue::try_from(value).map_err(|error| error.to_string())?)
        }
    };
    Ok((address, auth))
}

/// Names the server: who reads it must know which of the addresses of a host is the one that does not answer.
fn classify(server: &str, error: &(dyn StdError + 'static)) -> HttpError {
    let told = format!("{server}: {}", chain(error));
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = current.downcast_ref() {
            return HttpError::Certificate(told);
        }
        // What an I/O error wraps is not its source, and TLS errors arrive wrapped twice.
        cause = match current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    HttpError::Network(told)
}

/// An error with its causes, in one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let words = current.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = current.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{HttpClient, Trust, host_of, parse_proxy};
    use std::time::Duration;

    #[test]
    fn a_proxy_keeps_its_credentials_out_of_the_address() {
        let (address, auth) = parse_proxy("https://user:p%40ss@my.proxy:443/path?query").expect("AS-137");
        assert_eq!(address, "https://my.proxy:443");
        assert_eq!(auth.expect("credentials"), "Basic dXNlcjpwQHNz");
        let (address, auth) = parse_proxy("http://proxy:3128").expect("AS-137");
        assert_eq!((address.port_u16(), auth), (Some(3128), None));
    }

    #[test]
    fn a_proxy_that_cannot_be_honoured_is_refused_at_start() {
        for bad in ["proxy:3128", "socks5://proxy", "http://", "not a uri"] {
            assert!(parse_proxy(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bundle_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("scratch file");
        let trust = Trust { bundle: Some(file.path().to_owned()), system_too: false };
        let error = HttpClient::new(&trust, None, Duration::from_secs(1)).expect_err("no roots");
        assert!(error.to_string().ends_with("it holds no certificate"), "{error}");
    }

    #[test]
    fn the_host_header_omits_the_implied_port() {
        let host = |uri: &str| host_of(&uri.parse().expect("a URI")).expect("a host");
        assert_eq!(host("https://a.example:443/x"), "a.example");
        assert_eq!(host("https://a.example:8443/x"), "a.example:8443");
        assert_eq!(host("http://a.example:443/"), "a.example:443");
    }
}
