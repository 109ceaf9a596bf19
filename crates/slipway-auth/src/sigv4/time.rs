//! The two spellings of a request's date.

use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// `yyyyMMddTHHmmssZ` of a time in milliseconds.
pub(super) fn basic(ms: i64) -> String {
    let at = Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_millis(ms));
    // Adding an absolute duration cannot fail, only saturate.
    at.map_or_else(|_| String::new(), |at| at.strftime("%Y%m%dT%H%M%SZ").to_string())
}

/// Milliseconds of `yyyyMMddTHHmmssZ`.
pub(super) fn parse_basic(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 16
        && bytes[8] == b'T'
        && bytes[15] == b'Z'
        && bytes[..15].iter().enumerate().all(|(at, b)| at == 8 || b.is_ascii_digit());
    if !shaped {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i16>().ok();
    let small = |from: usize| text[from..from + 2].parse::<i8>().ok();
    let civil =
        DateTime::new(number(0, 4)?, small(4)?, small(6)?, small(9)?, small(11)?, small(13)?, 0).ok()?;
    Some(Offset::UTC.to_timestamp(civil).ok()?.as_millisecond())
}

/// Milliseconds of an HTTP `Date` header.
pub(super) fn parse_http(text: &str) -> Option<i64> {
    Some(rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_same_instant() {
        let ms = 1_440_938_160_000;
        assert_eq!(parse_basic("20150830T123600Z"), Some(ms));
        assert_eq!(parse_http("Sun, 30 Aug 2015 12:36:00 GMT"), Some(ms));
        assert_eq!(basic(ms), "20150830T123600Z");
    }

    #[test]
    fn dates_that_are_not_dates_are_refused() {
        for bad in [
            "",
            "20150830T123600",
            "20150830 123600Z",
            "20151330T123600Z",
            "20150830T126000Z",
            "é0150830T12360Z",
        ] {
            assert_eq!(parse_basic(bad), None, "{bad}");
        }
        assert_eq!(parse_http("yesterday"), None);
    }
}
