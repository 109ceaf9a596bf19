//! Why an operation on the store failed, and what an S3 client is told about it.

use std::io;
use std::path::{Path, PathBuf};

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

/// Everything that can go wrong in the artifact store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// No bucket of this name exists.
    #[error("The specified bucket does not exist")]
    NoSuchBucket {
        /// The bucket asked for.
        bucket: String,
    },
    /// The name is not a legal bucket name.
    #[error("The specified bucket is not valid: {bucket}")]
    InvalidBucketName {
        /// The offending name.
        bucket: String,
    },
    /// The bucket exists and belongs to another account; names are unique over the installation.
    #[error(
        "The requested bucket name is not available. The bucket namespace is shared by all accounts of the installation."
    )]
    BucketAlreadyExists,
    /// The bucket exists already and belongs to the caller.
    #[error("Your previous request to create the named bucket succeeded and you already own it.")]
    BucketAlreadyOwnedByYou,
    /// Only an empty bucket can be deleted.
    #[error("The bucket you tried to delete is not empty")]
    BucketNotEmpty,
    /// No object has this key.
    #[error("The specified key does not exist.")]
    NoSuchKey,
    /// The object has no such version.
    #[error("The specified version does not exist.")]
    NoSuchVersion,
    /// The version named is a delete marker, which has no content.
    #[error("The specified method is not allowed against this resource.")]
    IsDeleteMarker {
        /// Version id of the marker.
        version_id: String,
    },
    /// The key leads to a delete marker: the object does not exist any more.
    #[error("The specified key does not exist.")]
    Deleted {
        /// Version id of the marker.
        version_id: String,
    },
    /// The multipart upload does not exist, was aborted or completed.
    #[error(
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )]
    NoSuchUpload,
    /// A condition of the request (`If-Match`, `If-None-Match` …) does not hold.
    #[error("At least one of the pre-conditions you specified did not hold")]
    PreconditionFailed,
    /// The client already has this content.
    #[error("Not Modified")]
    NotModified,
    /// A refusal with its own S3 error code.
    #[error("{message}")]
    Refused {
        /// S3 error code as the client sees it.
        code: S3ErrorCode,
        /// Explanation for the user.
        message: String,
    },
    /// The disk under the store has no room left.
    #[error("There is no space left in the artifact store's directory {}", dir.display())]
    Full {
        /// Directory that is full.
        dir: PathBuf,
    },
    /// Another process has this directory open.
    #[error("The artifact store's directory {} is in use by another process", dir.display())]
    InUse {
        /// The contested directory.
        dir: PathBuf,
    },
    /// The index was written by a newer release.
    #[error("The artifact store's index has version {found}, this release knows up to {known}")]
    TooNew {
        /// Version in the file.
        found: i64,
        /// Newest version understood.
        known: i64,
    },
    /// A file of the store could not be read or written.
    #[error("The artifact store could not {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The index database failed.
    #[error("The artifact store's index failed: {0}")]
    Index(#[source] rusqlite::Error),
    /// The request body ended early or broke its signature or framing.
    #[error("The request body could not be read: {0}")]
    Body(#[source] s3s::StdError),
    /// A background thread died.
    #[error("The artifact store's worker failed: {0}")]
    Worker(#[from] tokio::task::JoinError),
}

impl ArtifactError {
    /// A refusal with an S3 code and a message.
    pub(crate) fn refused(code: S3ErrorCode, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    /// A failed system call; a full disk is told apart, because the user can do something about it.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            let dir = path.parent().unwrap_or(path);
            return Self::Full { dir: dir.to_path_buf() };
        }
        Self::Io { doing, path: path.to_path_buf(), source }
    }
}

impl From<rusqlite::Error> for ArtifactError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error)
    }
}

impl From<ArtifactError> for S3Error {
    fn from(error: ArtifactError) -> Self {
        use ArtifactError as E;
        let code = match &error {
            E::NoSuchBucket { .. } => S3ErrorCode::NoSuchBucket,
            E::InvalidBucketName { .. } => S3ErrorCode::InvalidBucketName,
            E::BucketAlreadyExists => S3ErrorCode::BucketAlreadyExists,
            E::BucketAlreadyOwnedByYou => S3ErrorCode::BucketAlreadyOwnedByYou,
            E::BucketNotEmpty => S3ErrorCode::BucketNotEmpty,
            E::NoSuchKey | E::Deleted { .. } => S3ErrorCode::NoSuchKey,
            E::NoSuchVersion => S3ErrorCode::NoSuchVersion,
            E::IsDeleteMarker { .. } => S3ErrorCode::MethodNotAllowed,
            E::NoSuchUpload => S3ErrorCode::NoSuchUpload,
            E::PreconditionFailed => S3ErrorCode::PreconditionFailed,
            E::NotModified => S3ErrorCode::NotModified,
            E::Refused { code, .. } => code.clone(),
            E::Body(_) => S3ErrorCode::IncompleteBody,
            E::Full { .. } => S3ErrorCode::Custom("InsufficientStorage".into()),
            E::InUse { .. } | E::TooNew { .. } | E::Io { .. } | E::Index(_) | E::Worker(_) => {
                S3ErrorCode::InternalError
            }
        };
        // Paths and database messages are for the operator's log; the client only learns that it was us.
        let message = match &error {
            E::Full { .. } => "There is no space left in the artifact store.".to_owned(),
            _ if code == S3ErrorCode::InternalError => {
                tracing::error!(%error, "artifact store");
                "We encountered an internal error. Please try again.".to_owned()
            }
            _ => error.to_string(),
        };
        let mut answer = S3Error::with_message(code, message);
        match &error {
            // Not one of the codes that SDKs retry: a full disk does not empty itself between two attempts.
            E::Full { dir } => {
                tracing::error!(dir = %dir.display(), "the artifact store's disk is full");
                answer.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
            }
            E::Refused { code: S3ErrorCode::Custom(_), .. } => {
                answer.set_status_code(StatusCode::BAD_REQUEST);
            }
            E::IsDeleteMarker { version_id } | E::Deleted { version_id } => {
                answer.set_headers(delete_marker_headers(version_id));
            }
            _ => {}
        }
        answer
    }
}

fn delete_marker_headers(version_id: &str) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    // `set_headers` replaces the ones of the XML answer, so the content type is repeated.
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/xml"));
    headers.insert("x-amz-delete-marker", http::HeaderValue::from_static("true"));
    if let Ok(value) = http::HeaderValue::from_str(version_id) {
        headers.insert("x-amz-version-id", value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_do_not_learn_where_the_store_lies() {
        let path = Path::new("/srv/data/s3/tmp/x");
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied] {
            let answer = S3Error::from(ArtifactError::io("write", path, kind.into()));
            let message = answer.message().unwrap_or_default();
            assert!(!message.is_empty() && !message.contains("/srv"), "{message}");
        }
    }
}
