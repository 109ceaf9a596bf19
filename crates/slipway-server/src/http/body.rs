//! Request bodies, compressed or not (D-06), bounded in size and time, and in memory all together: whoever sends one need
//! not have proved anything yet.

use std::io::Read as _;
use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http::{HeaderMap, header};
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
    place: Option<SemaphorePermit<'static>>,
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Whole {
    /// The bytes, shared.
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// What the body holds: itself, or what was compressed.
    pub(super) fn content(self, headers: &HeaderMap) -> Result<Self, ApiError> {
        Ok(Self { bytes: content(headers, self.bytes)?, place: self.place })
    }
}

/// Reads the whole body.
pub(super) async fn read(body: Lent) -> Result<Whole, ApiError> {
    // Nothing is kept of what is known to be too long.
    if body.size_hint().lower() > LIMIT as u64 {
        return Err(too_large());
    }
    let small = body.size_hint().upper().is_some_and(|most| most <= SMALL as u64);
    let reading = async {
        // Never closed.
        let place = if small { None } else { LARGE.acquire().await.ok() };
        let bytes = Limited::new(body, LIMIT).collect().await?.to_bytes();
        Ok::<_, BodyError>(Whole { bytes, place })
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

/// What the body holds: itself, or what was compressed. The limit is for that, too.
fn content(headers: &HeaderMap, body: Bytes) -> Result<Bytes, ApiError> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let encodings = encodings.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let encodings: Vec<_> = encodings
        .map(|encoding| encoding.trim_ascii().to_ascii_lowercase())
        .filter(|encoding| !matches!(&**encoding, b"" | b"identity"))
        .collect();
    match &*encodings {
        [] => Ok(body),
        [only] if !matches!(&**only, b"gzip" | b"x-gzip") => Err(unknown_encoding()),
        [_] if body.is_empty() => Ok(body),
        [_] => inflate(&body),
        _ => Err(unknown_encoding()),
    }
}

fn unknown_encoding() -> ApiError {
    ApiError::new(
        ErrorKind::UnsupportedMediaTypeException,
        "Of the content encodings, gzip is accepted, once.",
    )
}

/// Stops where the limit is passed: a megabyte of gzip can hold a gigabyte.
fn inflate(body: &[u8]) -> Result<Bytes, ApiError> {
    let mut content = Vec::new();
    let read = MultiGzDecoder::new(body).take(LIMIT as u64 + 1).read_to_end(&mut content);
    if content.len() > LIMIT {
        return Err(too_large());
    }
    match read {
        Ok(_) => Ok(content.into()),
        Err(error) => {
            let message = format!("The body of the request is not what gzip writes: {error}");
            Err(ApiError::new(ErrorKind::SerializationException, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn content_of(encodings: &[&'static str], body: impl Into<Bytes>) -> Result<Bytes, ErrorKind> {
        let mut headers = HeaderMap::new();
        for encoding in encodings {
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        content(&headers, body.into()).map_err(|error| error.kind)
    }

    #[test]
    fn bodies_are_inflated() {
        let sent = gzip(b"{}");
        for encodings in [&["gzip"][..], &["GZip"], &["x-gzip"], &["identity, gzip"], &["identity", "gzip"]] {
            assert_eq!(content_of(encodings, sent.clone()), Ok(Bytes::from_static(b"{}")), "{encodings:?}");
        }
        let members = [gzip(b"{"), gzip(b""), gzip(b"}")].concat();
        assert_eq!(content_of(&["gzip"], members), Ok(Bytes::from_static(b"{}")));
        for encodings in [&[][..], &["identity"], &[""]] {
            assert_eq!(content_of(encodings, "{}"), Ok(Bytes::from_static(b"{}")), "{encodings:?}");
        }
        assert_eq!(content_of(&["gzip"], ""), Ok(Bytes::new()));
    }

    #[test]
    fn other_encodings_are_refused() {
        for encodings in
            [&["br"][..], &["deflate"], &["zstd"], &["aws-chunked"], &["gzip, gzip"], &["gzip", "gzip"]]
        {
            let refused = content_of(encodings, gzip(b"{}"));
            assert_eq!(refused, Err(ErrorKind::UnsupportedMediaTypeException), "{encodings:?}");
        }
    }

    #[test]
    fn the_limit_is_for_what_is_inside() {
        let whole = vec![b' '; LIMIT];
        assert_eq!(content_of(&["gzip"], gzip(&whole)).map(|content| content.len()), Ok(LIMIT));
        let bomb = gzip(&vec![0; 64 * LIMIT]);
        assert!(bomb.len() < 100_000);
        assert_eq!(content_of(&["gzip"], bomb.clone()), Err(ErrorKind::RequestEntityTooLarge));
        assert_eq!(content_of(&["gzip"], bomb[..50_000].to_vec()), Err(ErrorKind::RequestEntityTooLarge));
    }

    #[test]
    fn damaged_gzip_is_refused() {
        let whole = gzip(b"{}");
        let mut wrong_sum = whole.clone();
        let sum = wrong_sum.len() - 8;
        wrong_sum[sum] ^= 1;
        let short = whole[..whole.len() - 1].to_vec();
        for body in [b"{}".to_vec(), short, wrong_sum, [&whole[..], b"{}"].concat()] {
            assert_eq!(
                content_of(&["gzip"], body.clone()),
                Err(ErrorKind::SerializationException),
                "{body:?}"
            );
        }
    }
}
