//! The listener: accepts connections, speaks TLS and HTTP, and drains on shutdown.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::entry::{Entry, Peer};
use super::inherit;
use super::patience::Patient;
use crate::config::{Config, PlainHttp};

/// Idle connections live at least 100 s, so that no client reuses one that is being closed (AP-42). hyper counts the
/// wait for the next request's head into this time. No longer may a client take to say which HTTP it speaks, or to read
/// on in an answer.
const IDLE: Duration = Duration::from_mins(2);
const HANDSHAKE: Duration = Duration::from_secs(15);
const DRAIN: Duration = Duration::from_secs(30);
/// Enough for the largest head that an SDK sends (a session token of a few kilobytes) and for uploads to flow; the
/// default of 400 kB would be held by each of thousands of agents.
const BUFFER: usize = 64 * 1024;
const BACKLOG: u32 = 4096;

/// An address that cannot be served on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It cannot be bound.
    #[error("cannot listen on {address}: {source}{}", what_to_do(source))]
    Bind {
        /// As configured.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The socket of the service manager.
    #[error("the listening socket that was passed in is not usable: {0}")]
    Inherited(io::Error),
    /// Plain HTTP on an address that others can reach (D-03).
    #[error(
        "{address} can be reached from other machines and plain_http is on: requests would travel in the clear. Use a \
         loopback address, or plain_http = \"force\" behind a proxy that speaks TLS"
    )]
    InTheClear {
        /// The address.
        address: SocketAddr,
    },
}

/// What the system's words do not say.
fn what_to_do(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program, or another control plane, has this port: stop it, or choose another port (--listen)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; this machine has no such address: 0.0.0.0 stands for all of its own (--listen)"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 are for root and for programs with CAP_NET_BIND_SERVICE: choose another one (--listen)"
        }
        _ => "",
    }
}

/// Binds the configured address, or takes the socket that was passed in.
pub(crate) async fn bind(config: &Config) -> Result<(TcpListener, SocketAddr), ListenError> {
    let fail = |source| ListenError::Bind { address: config.listen.clone(), source };
    let listener = match inherit::listener().map_err(ListenError::Inherited)? {
        Some(inherited) => TcpListener::from_std(inherited).map_err(ListenError::Inherited)?,
        None => bind_first(&config.listen).await.map_err(fail)?,
    };
    let address = listener.local_addr().map_err(fail)?;
    if config.plain_http == PlainHttp::Loopback && !address.ip().to_canonical().is_loopback() {
        return Err(ListenError::InTheClear { address });
    }
    Ok((listener, address))
}

/// The first of a name's addresses that can be bound.
async fn bind_first(listen: &str) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host(listen).await? {
        let attempt = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        match attempt() {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Serves until `shutdown` turns true, then lets requests that are under way finish, for a bounded time.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    entry: Arc<Entry>,
    max_connections: u32,
    mut shutdown: watch::Receiver<bool>,
) {
    let tls = tls.map(TlsAcceptor::from);
    let places = Arc::new(Semaphore::new(max_connections as usize));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = shutdown.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, address, place)) => {
                let connection = Connection {
                    peer: Peer { address, secure: tls.is_some() },
                    entry: Arc::clone(&entry),
                    watcher: graceful.watcher(),
                    shutdown: shutdown.clone(),
                    _place: place,
                };
                tokio::spawn(connection.serve(stream, tls.clone()));
            }
            Err(error) => {
                // Out of descriptors, most likely: the ones in use must end first. Refusing to accept for a moment
                // costs less than a loop that burns the processor.
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            seconds = DRAIN.as_secs(),
            "some requests had not ended when the time to drain was over"
        );
    }
}

/// Waits for a place, then for a connection: beyond the limit, clients wait in the backlog.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, place))
}

/// One accepted connection.
struct Connection {
    peer: Peer,
    entry: Arc<Entry>,
    watcher: Watcher,
    shutdown: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let entry = Arc::clone(&self.entry);
        let _counted = entry.metrics().connection();
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let Some(tls) = tls else { return self.http(stream).await };
        let handshake = tokio::time::timeout(HANDSHAKE, tls.accept(stream));
        let handshake = tokio::select! {
            handshake = handshake => handshake,
            _ = self.shutdown.wait_for(|stop| *stop) => return,
        };
        match handshake {
            Ok(Ok(stream)) => self.http(stream).await,
            Ok(Err(error)) => {
                entry.metrics().handshake_failed();
                tracing::debug!(peer = %self.peer.address, %error, "no TLS");
            }
            Err(_) => {
                entry.metrics().handshake_failed();
                tracing::debug!(peer = %self.peer.address, "TLS handshake took too long");
            }
        }
    }

    async fn http<S>(self, stream: S)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let Self { peer, entry, watcher, .. } = self;
        let service = service_fn(move |request: http::Request<Incoming>| {
            let entry = Arc::clone(&entry);
            async move { Ok::<_, Infallible>(entry.answer(request, peer).await) }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(BUFFER);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(IDLE / 2)
            .keep_alive_timeout(Duration::from_secs(20))
            .max_concurrent_streams(256)
            .max_header_list_size(BUFFER as u32);
        let stream = TokioIo::new(Patient::new(stream, IDLE));
        let connection = builder.serve_connection(stream, service);
        // A client that goes away in the middle of something is its own affair.
        if let Err(error) = watcher.watch(connection.into_owned()).await {
            tracing::debug!(peer = %peer.address, %error, "a connection ended early");
        }
    }
}
