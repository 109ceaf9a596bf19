//! Revisions: the embedded S3-compatible store.
//!
//! A deployment needs its bundle somewhere. This crate is that somewhere for an installation without S3: an
//! S3-compatible API over a directory, good for `aws deploy push` (CF-350…CF-355), `aws s3` and the agents' downloads
//! (AG-040, AG-090). What it acknowledges is on disk.
//!
//! - [`Artifacts`] opens the store and answers the control plane's own questions (DP-020…DP-022, CF-361).
//! - [`S3Endpoint`] is the S3 API as an HTTP service, on the same port as every other API (D-02).
//! - [`Credentials`] and [`Authorize`] are what the server implements: whose key is this, and may they? Unsigned
//!   requests are refused.
//!
//! Inside: `blob` holds content in files named by their SHA-256, `index` (SQLite) knows buckets, versions and uploads,
//! `ingest` and `read` move bytes between requests and blobs without holding a body in memory, `s3` says it in S3's
//! terms on top of [`s3s`], and `preflight` refuses what s3s would let through.
//!
//! ```
//! # async fn example() -> Result<(), slipway_artifacts::ArtifactError> {
//! use std::sync::Arc;
//! use slipway_artifacts::Artifacts;
//!
//! let dir = tempfile::tempdir().expect("a temporary directory");
//! let store = Artifacts::open(dir.path(), Arc::new(|| 1_700_000_000_000))?;
//! store.ensure_bucket("releases", "111122223333", true).await?;
//! assert_eq!(store.head("releases", "app.zip", None).await?, None);
//! # Ok(())
//! # }
//! ```

mod artifacts;
mod auth;
mod blob;
mod checksum;
mod error;
mod index;
mod ingest;
mod preflight;
mod read;
mod s3;
mod service;

pub use artifacts::{Artifacts, Clock, ObjectInfo};
pub use auth::{Authorize, Caller, CredentialError, Credentials, Denied, ResolvedCaller};
pub use error::ArtifactError;
pub use s3s::Body;
pub use s3s::auth::SecretKey;
pub use service::S3Endpoint;
