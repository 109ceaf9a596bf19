//! Getting the bundle: streamed to `bundle.tar`, whatever its type (AG-072, AG-090, AG-091).
//!
//! Nothing is ever in memory as a whole. What has come of an S3 object survives a broken connection: the rest is asked
//! for by range, and only of the same object (`If-Match`).

mod github;
mod part;
mod s3;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::CredentialSource;
use crate::http::{HttpClient, HttpError, HttpSetupError};
use crate::logs::AgentLog;
use crate::sign::SignError;
use crate::spec::{DeploymentSpec, Revision};
use crate::unpack::BundleType;

pub use github::GitHubSettings;
use part::Part;
pub use s3::S3Settings;
pub(crate) use s3::{domain as aws_domain, is_aws_url as is_aws};

/// The control plane has given up the event by then (D-22).
const LONGEST: Duration = Duration::from_hours(1);

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
    #[error("{error}. {advice}")]
    S3Unreachable {
        /// Why not.
        error: HttpError,
        /// What may help.
        advice: String,
    },
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
    /// A local bundle cannot be read.
    #[error("The bundle {} cannot be read: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// An address that is none.
    #[error("Invalid download address {0}")]
    Address(String),
}

/// A bundle that is on this host now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where it is: the destination, or the directory that is deployed.
    pub path: PathBuf,
    /// What it is.
    pub kind: BundleType,
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
    /// Fetches the bundle of `spec` to `destination`; an earlier file stays until the new one is complete. A directory
    /// of this host is not copied: unpacking it is.
    pub async fn fetch(&self, spec: &DeploymentSpec, destination: &Path) -> Result<Fetched, DownloadError> {
        self.fetch_within(LONGEST, spec, destination).await
    }

    /// A body that brings a byte now and then would hold one of the agent's places for commands for ever.
    async fn fetch_within(
        &self,
        limit: Duration,
        spec: &DeploymentSpec,
        destination: &Path,
    ) -> Result<Fetched, DownloadError> {
        let fetched = tokio::time::timeout(limit, self.fetch_all(spec, destination)).await;
        fetched.unwrap_or_else(|_| {
            Err(DownloadError::Interrupted(format!("it took longer than {} seconds", limit.as_secs())))
        })
    }

    async fn fetch_all(&self, spec: &DeploymentSpec, destination: &Path) -> Result<Fetched, DownloadError> {
        let kind = match &spec.revision {
            Revision::S3 { bucket, key, bundle_type, version, etag } => {
                let object = s3::Object { bucket, key, version: version.as_deref(), etag: etag.as_deref() };
                self.fetch_s3(&object, destination).await?;
                BundleType::from_name(bundle_type)
            }
            Revision::GitHub { account, repository, commit_id, bundle_type, token } => {
                let zip = bundle_type.as_deref() == Some("zip");
                let commit = github::Commit { account, repository, id: commit_id, zip };
                let token = token.as_ref().map(|token| token.0.as_str());
                self.fetch_github(&commit, token, destination).await?;
                // A tarball of GitHub is compressed.
                if zip { BundleType::Zip } else { BundleType::Tgz }
            }
            Revision::Local { location, bundle_type } if bundle_type == "directory" => {
                return Ok(Fetched { path: location.clone(), kind: BundleType::Directory });
            }
            Revision::Local { location, bundle_type } => {
                copy_local(location.clone(), destination.to_owned()).await?;
                BundleType::from_name(bundle_type)
            }
        };
        Ok(Fetched { path: destination.to_owned(), kind })
    }
}

/// A local archive is kept as a downloaded one is (AG-072).
async fn copy_local(location: PathBuf, destination: PathBuf) -> Result<(), DownloadError> {
    let copied = tokio::task::spawn_blocking(move || {
        let unreadable = |error| DownloadError::Read { path: location.clone(), error };
        let mut input = std::fs::File::open(&location).map_err(unreadable)?;
        let part = Part::create(&destination)?;
        part.copy_from(&mut input)?;
        part.finish()
    });
    copied.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::{DownloadError, Downloader, GitHubSettings, S3Settings};
    use crate::config::{CredentialSource, Keys};
    use crate::http::{HttpClient, Trust};
    use crate::logs::AgentLog;
    use crate::spec::DeploymentSpec;

    /// A store that answers with this head, and then with a byte now and then.
    async fn dripping(head: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(head.as_bytes()).await;
                    while stream.write_all(b"x").await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                });
            }
        });
        format!("http://{address}")
    }

    async fn fetch(endpoint: &str, patience: Duration, limit: Duration) -> (DownloadError, usize) {
        let directory = tempfile::tempdir().expect("scratch directory");
        let key = rcgen::KeyPair::generate().expect("a key");
        let root = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate");
        std::fs::write(directory.path().join("ca.pem"), root.pem()).expect("write");
        let trust = Trust { bundle: Some(directory.path().join("ca.pem")), system_too: false };
        let keys =
            Keys { access_key_id: "AKID".to_owned(), secret_access_key: "s".to_owned(), session_token: None };
        let downloader = Downloader {
            http: HttpClient::new(&trust, None, patience).expect("a client"),
            credentials: CredentialSource::fixed(keys),
            s3: S3Settings::resolve(Some(endpoint), None, "us-east-1", None, false),
            github: GitHubSettings::new("https://api.github.test", &trust, None),
            log: AgentLog::in_memory(),
        };
        let spec = json!({
            "DeploymentId": "d", "DeploymentGroupId": "g", "DeploymentGroupName": "n", "ApplicationName": "a",
            "Revision": {"RevisionType": "S3", "S3Revision": {"Bucket": "b", "Key": "k", "BundleType": "zip"}}
        });
        let spec = DeploymentSpec::parse(spec.to_string().as_bytes()).expect("a specification");
        let target = directory.path().join("revision");
        std::fs::create_dir(&target).expect("mkdir");
        let error = downloader.fetch_within(limit, &spec, &target.join("bundle.tar")).await;
        (error.expect_err("no bundle"), std::fs::read_dir(&target).expect("read").count())
    }

    #[tokio::test]
    async fn a_bundle_that_never_ends_is_given_up() {
        let store = dripping("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await;
        let (error, _) = fetch(&store, Duration::from_secs(50), Duration::from_secs(1)).await;
        assert!(error.to_string().contains("it took longer than 1 seconds"), "{error}");
    }

    #[tokio::test]
    async fn a_refusal_whose_words_never_end_is_a_refusal() {
        let store = dripping("HTTP/1.1 404 Not Found\r\ncontent-length: 1000000\r\n\r\n").await;
        let (error, left) = fetch(&store, Duration::from_secs(1), Duration::from_secs(50)).await;
        assert!(matches!(error, DownloadError::S3 { status: 404, .. }), "{error}");
        assert_eq!(left, 0, "nothing stays");
    }
}
