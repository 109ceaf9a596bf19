//! The time, the only place of this crate that reads it.

use std::time::SystemTime;

/// The time now.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock of a command-line tool; everything below takes the time from here"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
