//! How long a client may keep us waiting in places where hyper knows no limit.
//!
//! hyper bounds the time that the head of an HTTP/1 request takes, but not the bytes by which the version of HTTP is
//! told, and not a client that does not read its answer. Either would hold a place among the connections for ever.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What a client of HTTP/2 says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A limit on waiting without any progress.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Duration,
    /// Set while something is waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Passes on what was polled. `None` when it has been pending for the whole limit since it was last ready.
    pub(super) fn poll<T>(&mut self, cx: &mut Context<'_>, polled: Poll<T>) -> Poll<Option<T>> {
        if let Poll::Ready(value) = polled {
            self.timer = None;
            return Poll::Ready(Some(value));
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(None)
    }

    fn poll_io<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.poll(cx, polled).map(|value| value.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())))
    }
}

/// A connection that must say which HTTP it speaks, and must take what is sent to it.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    /// Until the version is known.
    opening: Option<Opening>,
    writing: Patience,
}

#[derive(Debug)]
struct Opening {
    patience: Patience,
    /// So much of the preface has come.
    preface: usize,
}

impl Opening {
    /// Whether the version is known when these bytes have come, too.
    fn over(&mut self, bytes: &[u8]) -> bool {
        let rest = &PREFACE[self.preface..];
        let same = bytes.iter().zip(rest).take_while(|(a, b)| a == b).count();
        self.preface += same;
        same < bytes.len() || self.preface == PREFACE.len()
    }
}

impl<S> Patient<S> {
    /// `limit` is for each wait, the one for the whole opening and every one for the client to read on.
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        let opening = Opening { patience: Patience::new(limit), preface: 0 };
        Self { stream, opening: Some(opening), writing: Patience::new(limit) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let Some(opening) = &mut this.opening else { return polled };
        if polled.is_ready() {
            let bytes = &buffer.filled()[before..];
            if bytes.is_empty() || opening.over(bytes) {
                this.opening = None;
            }
            return polled;
        }
        opening.patience.poll_io(cx, polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.writing.poll_io(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.writing.poll_io(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.writing.poll_io(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.writing.poll_io(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    fn pair() -> (DuplexStream, Patient<DuplexStream>) {
        let (client, server) = duplex(64);
        (client, Patient::new(server, SOON))
    }

    async fn read(server: &mut Patient<DuplexStream>) -> io::Result<usize> {
        server.read(&mut [0; 64]).await
    }

    #[tokio::test]
    async fn a_client_that_never_says_which_http_it_speaks_is_given_up() {
        let (_client, mut server) = pair();
        assert_eq!(read(&mut server).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let (mut client, mut server) = pair();
        client.write_all(b"PRI * HT").await.unwrap();
        assert_eq!(read(&mut server).await.unwrap(), 8);
        assert_eq!(read(&mut server).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_follows_the_opening_is_not_hurried() {
        for opening in [&b"POST"[..], b"G", PREFACE, b"PRIx"] {
            let (mut client, mut server) = pair();
            client.write_all(opening).await.unwrap();
            assert_eq!(read(&mut server).await.unwrap(), opening.len());
            let waited = tokio::time::timeout(SOON * 4, read(&mut server)).await;
            assert!(waited.is_err(), "{opening:?}");
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answer_is_given_up() {
        let (_client, mut server) = pair();
        let written = server.write_all(&[0; 65]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn slow_reading_is_progress() {
        let (mut client, mut server) = pair();
        let reader = async {
            for _ in 0..8 {
                tokio::time::sleep(SOON / 2).await;
                client.read_exact(&mut [0; 64]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(server.write_all(&[0; 8 * 64]), reader);
        written.unwrap();
    }
}
