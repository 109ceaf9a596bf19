//! Request bodies, bounded in size and time, and in memory all together: whoever sends one need not have proved anything
//! yet.

use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use slipway_wire::{ApiError, ErrorKind};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::answer::BodyError;
use super::lent::Lent;

/// The longest body of a request that is not an upload.
const LIMIT: usize = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Polls, reports and most calls are not longer than this, and thousands of them may be under way.
const SMALL: usize = 16 * 1024;
/// Bodies that are not small and are held at the same time; others wait for their turn.
const LARGE_AT_ONCE: usize = 128;

static LARGE: Semaphore = Semaphore::const_new(LARGE_AT_ONCE);

/// A body that was read, with its place among the large ones.
#[derive(Debug, Default)]
pub(super) struct Whole {
    bytes: Bytes,
    _place: Option<SemaphorePermit<'static>>,
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the whole body.
pub(super) async fn read(headers: &HeaderMap, body: Lent) -> Result<Whole, ApiError> {
    if headers.contains_key(http::header::CONTENT_ENCODING) {
        return Err(encoded());
    }
    // Nothing is kept of what is known to be too long.
    if body.size_hint().lower() > LIMIT as u64 {
        return Err(too_large());
    }
    let small = body.size_hint().upper().is_some_and(|most| most <= SMALL as u64);
    let reading = async {
        // Never closed.
        let place = if small { None } else { LARGE.acquire().await.ok() };
        let bytes = Limited::new(body, LIMIT).collect().await?.to_bytes();
        Ok::<_, BodyError>(Whole { bytes, _place: place })
    };
    match tokio::time::timeout(TIMEOUT, reading).await {
        Ok(Ok(whole)) => Ok(whole),
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
