//! Request bodies, bounded in size and time.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use slipway_wire::{ApiError, ErrorKind};

/// The longest body of a request that is not an upload.
const LIMIT: usize = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);
/// As much of a refused body is read and dropped.
const DISCARDED: usize = 8 * LIMIT;

/// Reads the whole body.
pub(super) async fn read(headers: &HeaderMap, mut body: Incoming) -> Result<Bytes, ApiError> {
    if headers.contains_key(http::header::CONTENT_ENCODING) {
        discard(&mut body).await;
        return Err(encoded());
    }
    // Nothing is kept of what is known to be too long.
    if body.size_hint().lower() > LIMIT as u64 {
        discard(&mut body).await;
        return Err(too_large());
    }
    match tokio::time::timeout(TIMEOUT, Limited::new(&mut body, LIMIT).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(&mut body).await;
            Err(too_large())
        }
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

/// Reads on after a refusal, without keeping anything: a client that is still sending when the connection is closed
/// finds a broken pipe instead of the answer. Whoever sends far too much gets just that.
async fn discard(body: &mut Incoming) {
    let reading = async {
        let mut left = DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Late or not, the answer follows.
    let _ = tokio::time::timeout(TIMEOUT, reading).await;
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
