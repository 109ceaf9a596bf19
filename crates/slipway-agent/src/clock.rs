//! The one edge where this crate reads the clock; everything else takes the time from here.

use std::time::SystemTime;

use jiff::Zoned;
use jiff::tz::TimeZone;

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "the agent's single edge to the wall clock")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// `time` in the host's own time zone, as logs are written (AG-073, AG-077).
pub fn local(time: SystemTime) -> Zoned {
    let timestamp = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    timestamp.to_zoned(TimeZone::system())
}
