//! Getting the bundle: streamed to `bundle.tar`, whatever its type (AG-072, AG-090, AG-091).

mod github;
mod s3;

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use md5::{Digest as _, Md5};
use tokio::io::AsyncWriteExt as _;

use crate::config::CredentialSource;
use crate::http::{HttpClient, HttpError, HttpSetupError};
use crate::logs::AgentLog;
use crate::sign::SignError;
use crate::spec::{DeploymentSpec, Revision};
use crate::sys::files::is_disk_full;
use crate::unpack::BundleType;

pub use github::GitHubSettings;
pub use s3::S3Settings;
pub(crate) use s3::domain as aws_domain;

/// Why a bundle could not be fetched. The text is reported to the control plane (code 5).
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// What S3 says (AG-090, AS-178).
    #[error("{message} (S3 error {code}, HTTP status {status}, s3://{bucket}/{key})")]
    S3 {
        /// HTTP status.
        status: u16,
        /// S3's code.
        code: String,
        /// S3's message.
        message: String,
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// Another object than the one that was registered (AG-090).
    #[error("Expected deployment artifact bundle etag {expected} but was actually {actual}")]
    ETag {
        /// What the specification says.
        expected: String,
        /// What came.
        actual: String,
    },
    /// No connection to S3 (AG-040).
    #[error("{0}. Try using s3 endpoint override.")]
    S3Unreachable(HttpError),
    /// No connection.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A client for GitHub cannot be made.
    #[error(transparent)]
    Setup(#[from] HttpSetupError),
    /// The connection broke in the middle.
    #[error("The download of the bundle broke off: {0}")]
    Interrupted(String),
    /// No keys.
    #[error(transparent)]
    Credentials(#[from] crate::config::CredentialError),
    /// The request cannot be made.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// AG-091.
    #[error("Could not download bundle at '{url}' after {retries} retries. Server returned codes: {codes}.")]
    GitHub {
        /// What was asked for.
        url: String,
        /// How often it was tried again.
        retries: usize,
        /// The status of each attempt.
        codes: String,
    },
    /// No space left.
    #[error("The disk is (or was) full during download of the bundle to {}.", .0.display())]
    DiskFull(PathBuf),
    /// The bundle cannot be written.
    #[error("The bundle cannot be written to {}: {error}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// `Local File`, `Local Directory`.
    #[error("Revisions of type {0} belong to local deployments and are not accepted from a control plane.")]
    Local(String),
    /// An address that is none.
    #[error("Invalid download address {0}")]
    Address(String),
}

/// Fetches bundles.
#[derive(Debug)]
pub struct Downloader {
    /// The client of the control plane, which often is the S3 service too.
    pub http: HttpClient,
    /// Keys for S3.
    pub credentials: CredentialSource,
    /// Where S3 is.
    pub s3: S3Settings,
    /// Where GitHub is.
    pub github: GitHubSettings,
    /// The agent log.
    pub log: AgentLog,
}

impl Downloader {
    /// Fetches the bundle of `spec` to `destination`; an earlier file stays until the new one is complete.
    pub async fn fetch(
        &self,
        spec: &DeploymentSpec,
        destination: &Path,
    ) -> Result<BundleType, DownloadError> {
        match &spec.revision {
            Revision::S3 { bucket, key, bundle_type, version, etag } => {
                let object = s3::Object { bucket, key, version: version.as_deref(), etag: etag.as_deref() };
                self.fetch_s3(&object, destination).await?;
                Ok(BundleType::from_name(bundle_type))
            }
            Revision::GitHub { account, repository, commit_id, bundle_type, token } => {
                let zip = bundle_type.as_deref() == Some("zip");
                let commit = github::Commit { account, repository, id: commit_id, zip };
                let token = token.as_ref().map(|token| token.0.as_str());
                self.fetch_github(&commit, token, destination).await?;
                // A tarball of GitHub is compressed.
                Ok(if zip { BundleType::Zip } else { BundleType::Tgz })
            }
            Revision::Local(kind) => Err(DownloadError::Local(kind.clone())),
        }
    }
}

/// Writes a body to a file beside `destination`, proves it with `check`, and then puts it in place.
async fn store(
    mut body: Incoming,
    destination: &Path,
    idle: Duration,
    check: impl FnOnce(&str) -> Result<(), DownloadError>,
) -> Result<(), DownloadError> {
    let failed = |error: std::io::Error| {
        if is_disk_full(&error) {
            DownloadError::DiskFull(destination.to_owned())
        } else {
            DownloadError::Write { path: destination.to_owned(), error }
        }
    };
    let directory = destination.parent().unwrap_or(Path::new("."));
    // Deleted by itself on every way out but the last.
    let part =
        tempfile::Builder::new().prefix(".bundle-").tempfile_in(directory).map_err(failed)?.into_temp_path();
    let mut file = tokio::fs::File::create(&part).await.map_err(failed)?;
    let mut digest = Md5::new();
    loop {
        let frame = tokio::time::timeout(idle, body.frame()).await.map_err(|_| {
            DownloadError::Interrupted(format!("nothing came for {} seconds", idle.as_secs()))
        })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| DownloadError::Interrupted(error.to_string()))?;
        if let Ok(data) = frame.into_data() {
            digest.update(&data);
            file.write_all(&data).await.map_err(failed)?;
        }
    }
    file.flush().await.map_err(failed)?;
    drop(file);
    check(&hex::encode(digest.finalize()))?;
    part.persist(destination).map_err(|error| failed(error.error))
}
