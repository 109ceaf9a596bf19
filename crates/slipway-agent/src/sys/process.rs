//! What a process hands on to the programs that it starts.

use std::fs;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::fs::Mode;
use rustix::io::{FdFlags, fcntl_setfd};

/// Makes this process a fit parent of scripts, whoever started it: descriptors that were passed in (locks, sockets,
/// pipes of a shell) end with it, and files and directories are writable for their owner only (AS-031).
///
/// Call it before anything else runs in this process.
pub fn isolate() {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    // Without /proc nothing is known about them, and little else works.
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        close_on_exec(descriptor);
    }
}

#[allow(
    unsafe_code,
    reason = "the standard library has no safe way to name a descriptor that is only a number"
)]
fn close_on_exec(descriptor: RawFd) {
    // SAFETY: the descriptor is only borrowed, for one call that neither closes nor uses it, and that fails where it is
    // not open any more (as the one that listed /proc/self/fd).
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
}
