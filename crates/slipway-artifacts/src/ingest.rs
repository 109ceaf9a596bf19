//! From a request body to staged content: streamed to a temporary file, hashed on the way, checked at the end, synced.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5, Sha256};
use s3s::{S3ErrorCode, StdError, TrailingHeaders};
use tempfile::NamedTempFile;

use crate::blob::{BlobId, Blobs, Staged};
use crate::checksum::{self, Algorithm, Checksums};
use crate::error::ArtifactError;

/// Bytes collected before they are handed to a blocking thread: large enough to make the hand-over cheap, small enough
/// that a thousand uploads fit into memory.
const BATCH: usize = 256 * 1024;

/// What the client says about the body it sends.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Length after decoding of `aws-chunked`.
    pub(crate) length: Option<u64>,
    /// `Content-MD5`, base64.
    pub(crate) md5: Option<String>,
    /// `x-amz-checksum-*` headers.
    pub(crate) sums: Checksums,
    /// Algorithms whose value follows in the trailer (`x-amz-trailer`).
    pub(crate) trailing: Vec<Algorithm>,
    /// The trailer, readable once the body is consumed.
    pub(crate) trailer: Option<TrailingHeaders>,
    /// An algorithm to compute although the client claims nothing (the one of a multipart upload).
    pub(crate) wanted: Option<Algorithm>,
}

/// Content that is staged, with all that is known about it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) staged: Staged,
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) sums: Checksums,
}

struct Sink {
    file: NamedTempFile,
    sha256: Sha256,
    md5: Md5,
    sums: ChecksumHasher,
    size: u64,
}

impl Sink {
    fn write(&mut self, batch: &[Bytes]) -> Result<(), ArtifactError> {
        for chunk in batch {
            let written = self.file.as_file_mut().write_all(chunk);
            written.map_err(|e| ArtifactError::io("write", self.file.path(), e))?;
            self.sha256.update(chunk);
            self.md5.update(chunk);
            self.sums.update(chunk);
            self.size += chunk.len() as u64;
        }
        Ok(())
    }

    fn finish(self) -> Result<Received, ArtifactError> {
        self.file.as_file().sync_all().map_err(|e| ArtifactError::io("sync", self.file.path(), e))?;
        Ok(Received {
            staged: Staged { file: self.file, id: BlobId(self.sha256.finalize()) },
            size: self.size,
            md5: self.md5.finalize(),
            sums: Checksums::from_dto(self.sums.finalize()),
        })
    }
}

/// Receives a body. Whatever fails, the temporary file goes with the error.
pub(crate) async fn receive<S>(blobs: &Arc<Blobs>, body: S, claims: Claims) -> Result<Received, ArtifactError>
where
    S: Stream<Item = Result<Bytes, StdError>> + Send,
{
    let algorithms: Vec<Algorithm> =
        claims.sums.algorithms().chain(claims.trailing.iter().copied()).chain(claims.wanted).collect();
    let store = Arc::clone(blobs);
    let mut sink = tokio::task::spawn_blocking(move || {
        Ok::<_, ArtifactError>(Sink {
            file: store.scratch()?,
            sha256: Sha256::new(),
            md5: Md5::new(),
            sums: checksum::hasher(algorithms.into_iter()),
            size: 0,
        })
    })
    .await??;

    let mut body = std::pin::pin!(body);
    let (mut batch, mut filled) = (Vec::new(), 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(body_error)?;
        filled += chunk.len();
        batch.push(chunk);
        if filled >= BATCH {
            let full = std::mem::take(&mut batch);
            filled = 0;
            sink = tokio::task::spawn_blocking(move || sink.write(&full).map(|()| sink)).await??;
        }
    }
    let received = tokio::task::spawn_blocking(move || {
        sink.write(&batch)?;
        check_length(&claims, sink.size)?;
        let received = sink.finish()?;
        check_content(&claims, &received)?;
        Ok::<_, ArtifactError>(received)
    })
    .await??;
    Ok(received)
}

fn check_length(claims: &Claims, size: u64) -> Result<(), ArtifactError> {
    match claims.length {
        Some(length) if length != size => Err(ArtifactError::refused(
            S3ErrorCode::IncompleteBody,
            "You did not provide the number of bytes specified by the Content-Length HTTP header",
        )),
        _ => Ok(()),
    }
}

fn check_content(claims: &Claims, received: &Received) -> Result<(), ArtifactError> {
    use base64::Engine as _;
    if let Some(claimed) = &claims.md5 {
        let Ok(claimed) = base64::engine::general_purpose::STANDARD.decode(claimed) else {
            return Err(ArtifactError::refused(
                S3ErrorCode::InvalidDigest,
                "The Content-MD5 you specified was invalid.",
            ));
        };
        if claimed != received.md5 {
            return Err(ArtifactError::refused(
                S3ErrorCode::BadDigest,
                "The Content-MD5 you specified did not match what we received.",
            ));
        }
    }
    received.sums.verify_claims(&claims.sums)?;
    received.sums.verify_claims(&trailing_claims(claims)?)
}

/// The checksums that came behind the body. One that was announced and did not come is an error: an unsigned body whose
/// end was cut off would otherwise pass unchecked.
fn trailing_claims(claims: &Claims) -> Result<Checksums, ArtifactError> {
    let headers = claims.trailer.as_ref().and_then(TrailingHeaders::take);
    let mut sums = Checksums::default();
    for algorithm in &claims.trailing {
        let value = headers.as_ref().and_then(|h| h.get(algorithm.header())).and_then(|v| v.to_str().ok());
        let Some(value) = value else {
            return Err(ArtifactError::refused(
                S3ErrorCode::Custom("MalformedTrailerError".into()),
                format!("The request announced the trailer {} but did not send it.", algorithm.header()),
            ));
        };
        sums.set(*algorithm, value.trim().to_owned());
    }
    Ok(sums)
}

/// s3s reports a broken body as one of its private errors; its text tells a forged body from a torn one.
fn body_error(error: StdError) -> ArtifactError {
    let text = error.to_string();
    if text.contains("SignatureMismatch") {
        return ArtifactError::refused(
            S3ErrorCode::SignatureDoesNotMatch,
            "The signature of a chunk of the request body does not match.",
        );
    }
    if text.contains("Sha256Mismatch") {
        return ArtifactError::refused(
            S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
    }
    ArtifactError::Body(error)
}
