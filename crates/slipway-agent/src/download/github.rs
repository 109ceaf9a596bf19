//! A commit of a GitHub repository as an archive (AG-091, D-35).

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;

use super::part::Part;
use super::{DownloadError, Downloader};
use crate::http::{HttpClient, Trust, host_of};

const REDIRECTS: usize = 5;

/// Where GitHub is, and how patiently it is asked.
#[derive(Debug, Clone)]
pub struct GitHubSettings {
    /// Base of the REST interface.
    pub endpoint: String,
    /// Whom TLS trusts: GitHub's certificate is not the control plane's.
    pub trust: Trust,
    /// `:proxy_uri:`.
    pub proxy: Option<String>,
    /// Pauses before each further attempt (AG-091).
    pub pauses: Vec<Duration>,
}

impl GitHubSettings {
    /// The documented pauses.
    pub fn new(endpoint: &str, trust: &Trust, proxy: Option<&str>) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            trust: Trust { system_too: true, ..trust.clone() },
            proxy: proxy.map(str::to_owned),
            pauses: [10, 30, 90].map(Duration::from_secs).to_vec(),
        }
    }
}

/// What to fetch.
pub(super) struct Commit<'a> {
    pub(super) account: &'a str,
    pub(super) repository: &'a str,
    pub(super) id: &'a str,
    pub(super) zip: bool,
}

impl Downloader {
    pub(super) async fn fetch_github(
        &self,
        commit: &Commit<'_>,
        token: Option<&str>,
        destination: &Path,
    ) -> Result<(), DownloadError> {
        let format = if commit.zip { "zipball" } else { "tarball" };
        let url = format!(
            "{}/repos/{}/{}/{format}/{}",
            self.github.endpoint, commit.account, commit.repository, commit.id
        );
        // Made for this download only: the roots of the whole world are too big to keep while idle.
        let http =
            HttpClient::new(&self.github.trust, self.github.proxy.as_deref(), self.http.read_timeout())?;
        let mut codes = Vec::new();
        let mut pauses = self.github.pauses.iter();
        loop {
            match follow(&http, &url, token).await {
                Ok(answer) if answer.status().is_success() => {
                    // GitHub packs each archive anew: there is no rest to ask for after a break.
                    let part = Part::create(destination)?;
                    match part.receive(answer.into_body(), http.read_timeout()).await {
                        (part, Ok(())) => return part.finish(),
                        (_, Err(error @ DownloadError::Interrupted(_))) => codes.push(error.to_string()),
                        (_, Err(error)) => return Err(error),
                    }
                }
                Ok(answer) => codes.push(answer.status().as_u16().to_string()),
                Err(error) => codes.push(error.to_string()),
            }
            let Some(pause) = pauses.next() else {
                return Err(DownloadError::GitHub {
                    url,
                    retries: self.github.pauses.len(),
                    codes: codes.join(", "),
                });
            };
            self.log.warn(format_args!("Download of {url} failed ({}); trying again", codes.join(", ")));
            tokio::time::sleep(*pause).await;
        }
    }
}

/// Follows redirects; the token goes to the first host only, and never in the clear.
async fn follow(
    http: &HttpClient,
    url: &str,
    token: Option<&str>,
) -> Result<Response<Incoming>, DownloadError> {
    let address = |url: &str| url.parse::<Uri>().map_err(|_| DownloadError::Address(url.to_owned()));
    let first = address(url)?;
    let mut uri = first.clone();
    for _ in 0..=REDIRECTS {
        let mut request = Request::get(&uri)
            .header(header::USER_AGENT, concat!("slipway-agent/", env!("CARGO_PKG_VERSION")));
        let secret_is_safe = host_of(&uri) == host_of(&first) && uri.scheme_str() == Some("https");
        if let Some(token) = token.filter(|_| secret_is_safe) {
            request = request.header(header::AUTHORIZATION, format!("token {token}"));
        }
        let request =
            request.body(Full::<Bytes>::default()).map_err(|_| DownloadError::Address(uri.to_string()))?;
        let answer = http.send(request).await?;
        let location = answer.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        match (answer.status(), location) {
            (
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT,
                Some(location),
            ) => uri = resolve(&uri, location).ok_or_else(|| DownloadError::Address(location.to_owned()))?,
            _ => return Ok(answer),
        }
    }
    Err(DownloadError::Interrupted(format!("more than {REDIRECTS} redirects")))
}

/// An absolute address, or a path on the same host.
fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    if let Some(path) = location.strip_prefix('/').filter(|path| !path.starts_with('/')) {
        return format!("{}://{}/{path}", base.scheme_str()?, base.authority()?).parse().ok();
    }
    location.parse::<Uri>().ok().filter(|uri| uri.host().is_some() && uri.scheme_str() == base.scheme_str())
}
