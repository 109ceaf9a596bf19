//! The store itself: opening it, and what the control plane asks of it directly.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::auth::{Authorize, Credentials};
use crate::blob::{self, Blobs, Segment};
use crate::error::ArtifactError;
use crate::index::objects::{NewObject, WriteCondition};
use crate::index::rows::{BucketRow, Meta, Versioning};
use crate::index::{Index, buckets, objects};
use crate::ingest::{self, Claims};
use crate::s3::Backend;
use crate::service::S3Endpoint;

/// The time in milliseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The region of a bucket that was created without a location.
pub(crate) const DEFAULT_REGION: &str = "us-east-1";

/// What the control plane needs to know about an object (CF-361, DP-021, DP-022).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// ETag without quotes.
    pub etag: String,
    /// Version id; `None` if the object was written while its bucket kept no versions.
    pub version_id: Option<String>,
    /// Length in bytes.
    pub size: u64,
    /// When it was written, in milliseconds since the epoch.
    pub last_modified: i64,
    /// Media type given by whoever uploaded it.
    pub content_type: Option<String>,
}

/// The embedded artifact store. Cheap to clone.
#[derive(Clone)]
pub struct Artifacts {
    index: Index,
    clock: Clock,
    base_domain: Option<String>,
    // Held for as long as the store is open; the lock goes with the file.
    _lock: Arc<File>,
}

impl fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifacts").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Artifacts {
    /// Opens the store in `dir` (usually `DATA_DIR/s3`), making it if there is none. Blocks; call it at start.
    ///
    /// Whatever a crash left half-done is removed. One process at a time may have a directory open.
    pub fn open(dir: &Path, clock: Clock) -> Result<Self, ArtifactError> {
        blob::make_dir(dir)?;
        let lock = lock(dir)?;
        let blobs = Arc::new(Blobs::open(dir)?);
        let index = Index::open(&dir.join("index.db"), blobs)?;
        blob::sync_dir(dir)?;
        Ok(Self { index, clock, base_domain: None, _lock: Arc::new(lock) })
    }

    /// Also accepts `bucket.DOMAIN` as the host of a request (virtual-hosted style). Path style always works.
    #[must_use]
    pub fn with_base_domain(mut self, domain: impl Into<String>) -> Self {
        self.base_domain = Some(domain.into());
        self
    }

    /// The S3 API on this store.
    pub fn service(&self, credentials: Arc<dyn Credentials>, authorize: Arc<dyn Authorize>) -> S3Endpoint {
        let backend = Backend::new(self.index.clone(), Arc::clone(&self.clock), authorize);
        S3Endpoint::new(backend, credentials, self.base_domain.clone())
    }

    /// Looks an object up, its newest version unless one is named. `None` if bucket, key or version do not exist or
    /// lead to a delete marker. No policy is asked: this is the control plane checking a revision.
    pub async fn head(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<ObjectInfo>, ArtifactError> {
        let (bucket, key, version) = (bucket.to_owned(), key.to_owned(), version.map(str::to_owned));
        let found = self.index.read(move |sql| {
            let row = objects::get(sql, &bucket, &key, version.as_deref())?;
            let versioned = buckets::get(sql, &bucket)?.versioning != Versioning::Never;
            Ok(ObjectInfo {
                etag: row.etag,
                version_id: versioned.then_some(row.version),
                size: row.size,
                last_modified: row.modified,
                content_type: row.meta.content_type,
            })
        });
        match found.await {
            Ok(info) => Ok(Some(info)),
            Err(
                ArtifactError::NoSuchBucket { .. }
                | ArtifactError::NoSuchKey
                | ArtifactError::NoSuchVersion
                | ArtifactError::Deleted { .. }
                | ArtifactError::IsDeleteMarker { .. },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an object. No policy is asked: this is the control plane delivering its own files (DP-434).
    pub async fn put(
        &self,
        bucket: &str,
        key: &str,
        content_type: &str,
        content: Bytes,
    ) -> Result<(), ArtifactError> {
        let body = futures::stream::iter([Ok(content)]);
        let received = ingest::receive(self.index.blobs(), body, Claims::default()).await?;
        let new = NewObject {
            condition: WriteCondition::default(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            size: received.size,
            etag: hex::encode(received.md5),
            modified: (self.clock)(),
            meta: Meta {
                content_type: Some(content_type.to_owned()),
                sums: received.sums,
                ..Meta::default()
            },
            segments: vec![Segment { blob: received.staged.id, size: received.size }],
        };
        self.index.write_staged(Some(received.staged), move |txn| objects::put(txn, &new)).await?;
        Ok(())
    }

    /// Account that owns a bucket, if the bucket exists.
    pub async fn bucket_owner(&self, bucket: &str) -> Result<Option<String>, ArtifactError> {
        let bucket = bucket.to_owned();
        self.index.read(move |sql| Ok(buckets::find(sql, &bucket)?.map(|row| row.account))).await
    }

    /// Makes a bucket for `account` unless that account has it already. Returns whether it is new.
    pub async fn ensure_bucket(
        &self,
        bucket: &str,
        account: &str,
        versioned: bool,
    ) -> Result<bool, ArtifactError> {
        if !s3s::path::check_bucket_name(bucket) {
            return Err(ArtifactError::InvalidBucketName { bucket: bucket.to_owned() });
        }
        let row = BucketRow {
            name: bucket.to_owned(),
            account: account.to_owned(),
            region: DEFAULT_REGION.to_owned(),
            created: (self.clock)(),
            versioning: if versioned { Versioning::Enabled } else { Versioning::Never },
        };
        match self.index.write(move |txn| buckets::create(txn, &row)).await {
            Ok(()) => Ok(true),
            Err(ArtifactError::BucketAlreadyOwnedByYou) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn lock(dir: &Path) -> Result<File, ArtifactError> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| ArtifactError::io("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ArtifactError::InUse { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(ArtifactError::io("lock", &path, error)),
    }
}
