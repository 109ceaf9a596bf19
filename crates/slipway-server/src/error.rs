//! How failures inside become errors that a client sees.

use slipway_store::{CommitError, ReadError};
use slipway_wire::{ApiError, ErrorKind};

/// An error that is our fault. The log has the cause; the client has the request id to find it by.
pub(crate) fn internal(cause: impl std::fmt::Display) -> ApiError {
    tracing::error!(%cause, "a request could not be carried out");
    ApiError::new(
        ErrorKind::InternalFailure,
        "The request could not be carried out because of an internal failure.",
    )
}

/// A read of the store failed.
pub(crate) fn read(error: ReadError) -> ApiError {
    internal(error)
}

/// A commit failed in a way that the operation has no error of its own for.
pub(crate) fn commit(error: CommitError) -> ApiError {
    match error {
        CommitError::DiskFull(_) => {
            tracing::error!(%error, "nothing can be written");
            ApiError::new(
                ErrorKind::InternalFailure,
                "The control plane's disk is full; nothing was changed. Free space in its data directory and try again.",
            )
        }
        other => internal(other),
    }
}

/// Shorthand for an error with its name and message.
pub(crate) fn api<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T, ApiError> {
    Err(ApiError::new(kind, message))
}
