//! Request bodies, bounded in size and time.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use slipway_wire::{ApiError, ErrorKind};

use super::lent::Lent;

/// The longest body of a request that is not an upload.
const LIMIT: usize = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads the whole body.
pub(super) async fn read(headers: &HeaderMap, body: Lent) -> Result<Bytes, ApiError> {
    if headers.contains_key(http::header::CONTENT_ENCODING) {
        return Err(encoded());
    }
    // Nothing is kept of what is known to be too long.
    if body.size_hint().lower() > LIMIT as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(TIMEOUT, Limited::new(body, LIMIT).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(ApiError::new(
            ErrorKind::SerializationException,
            format!("The body of the request ended early: {error}"),
        )),
        Err(_) => Err(ApiError::new(
            ErrorKind::RequestTimeout,
            format!("The body of the request did not arrive within {} seconds.", TIMEOUT.as_secs()),
        )),
    }
}

fn too_large() -> ApiError {
    ApiError::new(
        ErrorKind::RequestEntityTooLarge,
        format!("The body of the request is longer than {LIMIT} bytes."),
    )
}

fn encoded() -> ApiError {
    ApiError::new(ErrorKind::SerializationException, "A compressed body is not accepted.")
}
