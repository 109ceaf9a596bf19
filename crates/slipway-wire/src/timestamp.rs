//! Points in time on the wire.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

/// A point in time in milliseconds since 1970-01-01T00:00:00Z.
///
/// JSON carries it as a number of seconds with a fraction; decoding also takes an ISO 8601 string. CBOR puts the number
/// under tag 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// What marks a point in time for codecs that write it in a form of its own; others see the number alone.
pub(crate) const MARK: &str = "$slipway::Timestamp";

/// A string is not a point in time in ISO 8601.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a point in time in ISO 8601 with an offset: {0}")]
pub struct ParseTimestampError(String);

/// The years 1 to 9999, which every client can show. Inside, seconds as a double are exact to the millisecond.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

impl Timestamp {
    /// The point that many milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The point that many seconds after the epoch, to the nearest millisecond; `None` outside the years 1 to 9999.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let millis = (seconds * 1000.0).round();
        if !millis.is_finite() {
            return None;
        }
        // A double beyond i64 saturates in the conversion, which the range then refuses.
        Self::in_range(millis as i64)
    }

    /// Reads ISO 8601 as in RFC 3339: `2026-05-01T12:00:00.123Z`.
    pub fn parse_iso8601(text: &str) -> Result<Self, ParseTimestampError> {
        let parsed: jiff::Timestamp =
            text.parse().map_err(|error: jiff::Error| ParseTimestampError(error.to_string()))?;
        Self::in_range(parsed.as_millisecond())
            .ok_or_else(|| ParseTimestampError("year out of range".to_owned()))
    }

    /// ISO 8601 in UTC, as the XML protocols write it: `2026-05-01T12:00:00Z`, with a fraction where there is one.
    pub fn to_iso8601(self) -> String {
        let millis = self.0.clamp(*RANGE.start(), *RANGE.end());
        jiff::Timestamp::from_millisecond(millis)
            .expect("the clamped range lies inside jiff's, years -9999 to 9999")
            .to_string()
    }

    fn in_range(millis: i64) -> Option<Self> {
        RANGE.contains(&millis).then_some(Self(millis))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1000 == 0 {
            serializer.serialize_newtype_struct(MARK, &(self.0 / 1000))
        } else {
            serializer.serialize_newtype_struct(MARK, &(self.0 as f64 / 1000.0))
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimestampVisitor;

        impl<'de> Visitor<'de> for TimestampVisitor {
            type Value = Timestamp;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a point in time (seconds since 1970, or ISO 8601)")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Timestamp, D::Error> {
                inner.deserialize_any(self)
            }

            fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Timestamp, E> {
                seconds
                    .checked_mul(1000)
                    .and_then(Timestamp::in_range)
                    .ok_or_else(|| E::invalid_value(Unexpected::Signed(seconds), &self))
            }

            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Timestamp, E> {
                i64::try_from(seconds)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(seconds), &self))
                    .and_then(|seconds| self.visit_i64(seconds))
            }

            fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Timestamp, E> {
                Timestamp::from_seconds(seconds)
                    .ok_or_else(|| E::invalid_value(Unexpected::Float(seconds), &self))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse_iso8601(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_newtype_struct(MARK, TimestampVisitor)
    }
}
