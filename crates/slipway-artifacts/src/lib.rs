//! Revisions: the embedded S3-compatible store.
