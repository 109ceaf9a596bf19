//! Reading content: from a version in the index to a stream of bytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};

use crate::blob::{BlobId, Blobs, PinGuard, Segment};
use crate::error::ArtifactError;
use crate::index::rows::VersionRow;
use crate::index::{Index, objects};

/// Bytes read from disk at a time.
const CHUNK: u64 = 256 * 1024;

/// A version whose content stays on disk while this lives.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) row: VersionRow,
    pub(crate) segments: Vec<Segment>,
    blobs: Arc<Blobs>,
    pin: PinGuard,
}

/// Finds a version and pins its content.
pub(crate) async fn open(
    index: &Index,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<Opened, ArtifactError> {
    loop {
        let (bucket, key, version) = (bucket.to_owned(), key.to_owned(), version.map(str::to_owned));
        let (row, segments) = index
            .read(move |sql| {
                let row = objects::get(sql, &bucket, &key, version.as_deref())?;
                let segments = objects::segments(sql, row.id)?;
                Ok((row, segments))
            })
            .await?;
        let pin = index.blobs().pin(&segments);
        // Deleted between the look-up and the pin, the content may be gone. Still there after the pin, it stays: whoever
        // deletes from now on sees the pin.
        let id = row.id;
        if index.read(move |sql| objects::exists(sql, id)).await? {
            return Ok(Opened { row, segments, blobs: Arc::clone(index.blobs()), pin });
        }
    }
}

impl Opened {
    /// The bytes of `range`, which lies within the object.
    pub(crate) fn stream(self, range: Range<u64>) -> Content {
        let remaining = range.end - range.start;
        let reader =
            Reader { pieces: pieces(&self.segments, range), blobs: self.blobs, open: None, _pin: self.pin };
        let inner = futures::stream::try_unfold(reader, |mut reader| async move {
            let (reader, chunk) = tokio::task::spawn_blocking(move || {
                let chunk = reader.next_chunk();
                (reader, chunk)
            })
            .await?;
            Ok::<_, StdError>(chunk?.map(|bytes| (bytes, reader)))
        });
        Content { inner: Box::pin(inner), remaining }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    blob: BlobId,
    offset: u64,
    len: u64,
}

fn pieces(segments: &[Segment], range: Range<u64>) -> VecDeque<Piece> {
    let mut pieces = VecDeque::new();
    let mut begin = 0;
    for segment in segments {
        let end = begin + segment.size;
        let (from, to) = (range.start.max(begin), range.end.min(end));
        if from < to {
            pieces.push_back(Piece { blob: segment.blob, offset: from - begin, len: to - from });
        }
        begin = end;
    }
    pieces
}

struct Reader {
    pieces: VecDeque<Piece>,
    blobs: Arc<Blobs>,
    open: Option<(BlobId, File)>,
    _pin: PinGuard,
}

impl Reader {
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let Some(piece) = self.pieces.front_mut() else { return Ok(None) };
        if self.open.as_ref().is_none_or(|(id, _)| *id != piece.blob) {
            self.open = Some((piece.blob, File::open(self.blobs.path(piece.blob))?));
        }
        let Some((_, file)) = &self.open else { return Ok(None) };
        let mut buffer = vec![0; piece.len.min(CHUNK) as usize];
        file.read_exact_at(&mut buffer, piece.offset)?;
        piece.offset += buffer.len() as u64;
        piece.len -= buffer.len() as u64;
        if piece.len == 0 {
            self.pieces.pop_front();
        }
        Ok(Some(buffer.into()))
    }
}

/// A response body of known length.
pub(crate) struct Content {
    inner: Pin<Box<dyn Stream<Item = Result<Bytes, StdError>> + Send + Sync>>,
    remaining: u64,
}

impl Stream for Content {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.inner.as_mut().poll_next(cx);
        match &next {
            Poll::Ready(Some(Ok(bytes))) => {
                self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
            }
            Poll::Ready(Some(Err(error))) => tracing::error!(%error, "reading the content of an object"),
            _ => {}
        }
        next
    }
}

impl ByteStream for Content {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.remaining)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_over_segments_takes_exactly_its_bytes() {
        let (a, b) = (BlobId([1; 32]), BlobId([2; 32]));
        let segments = [Segment { blob: a, size: 10 }, Segment { blob: b, size: 10 }];
        let want = [Piece { blob: a, offset: 8, len: 2 }, Piece { blob: b, offset: 0, len: 3 }];
        assert_eq!(pieces(&segments, 8..13), want);
        assert_eq!(pieces(&segments, 10..20), [Piece { blob: b, offset: 0, len: 10 }]);
        assert!(pieces(&segments, 5..5).is_empty());
    }
}
