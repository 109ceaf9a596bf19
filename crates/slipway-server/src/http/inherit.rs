//! The listening socket that a service manager passes in, so that a restart refuses no connection (AP-41).

use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd as _, RawFd};

/// The first socket that was passed in (`LISTEN_FDS`), if there is one. Once: the variables are removed.
pub(super) fn listener() -> io::Result<Option<TcpListener>> {
    // Sets close-on-exec, and fails if the descriptor is not open.
    let Some(descriptor) = sd_notify::listen_fds()?.next() else { return Ok(None) };
    let listener = take(descriptor);
    // Fails for what is no TCP socket.
    listener.local_addr()?;
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

#[allow(
    unsafe_code,
    reason = "the standard library has no safe way to own a descriptor that is only a number"
)]
fn take(descriptor: RawFd) -> TcpListener {
    // SAFETY: the protocol of LISTEN_FDS hands the descriptor over to this process, `listen_fds` has checked that the
    // variables are meant for it and that the descriptor is open, and has removed the variables, so nobody takes it twice.
    unsafe { TcpListener::from_raw_fd(descriptor) }
}
