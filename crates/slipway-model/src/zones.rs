//! One zone after the other (CF-050..CF-063, D-11).

use serde::{Deserialize, Serialize};

use crate::config::MinimumHealthyHosts;
use crate::tags::Tag;

/// The tag that puts an on-premises host into a zone.
pub const ZONE_TAG: &str = "slipway:zone";

/// The zonal part of a deployment configuration; what was not given stays absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ZonalConfig {
    /// How long to watch after a zone before the next one begins.
    pub monitor_seconds: Option<u32>,
    /// The same after the first zone.
    pub first_zone_monitor_seconds: Option<u32>,
    /// How many hosts of each zone must stay healthy.
    pub minimum_per_zone: Option<MinimumHealthyHosts>,
}

impl ZonalConfig {
    /// How many hosts of a zone of `hosts` must stay healthy (CF-051).
    pub const fn minimum_for_zone(&self, hosts: u32) -> u32 {
        match self.minimum_per_zone {
            None => 0,
            Some(minimum) => minimum.for_fleet(hosts),
        }
    }

    /// How long to watch after the zone with this place, from 0, in milliseconds (CF-054). After the last zone nobody
    /// asks.
    pub fn monitor_ms(&self, zone: usize) -> i64 {
        let later = self.monitor_seconds.unwrap_or(0);
        let seconds = if zone == 0 { self.first_zone_monitor_seconds.unwrap_or(later) } else { later };
        i64::from(seconds) * 1000
    }
}

/// The zone of a host with these tags; with several such tags the first one by name.
pub fn zone_of(tags: &[Tag]) -> Option<&str> {
    tags.iter().filter(|tag| tag.key == ZONE_TAG && !tag.value.is_empty()).map(|tag| tag.value.as_str()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_zone_may_be_watched_differently_cf_054() {
        let waits = |first, later| {
            let config = ZonalConfig {
                monitor_seconds: later,
                first_zone_monitor_seconds: first,
                minimum_per_zone: None,
            };
            [0, 1, 2].map(|zone| config.monitor_ms(zone) / 1000)
        };
        // Z-20..Z-23.
        assert_eq!(waits(Some(7200), Some(600)), [7200, 600, 600]);
        assert_eq!(waits(None, Some(3600)), [3600, 3600, 3600]);
        assert_eq!(waits(Some(300), None), [300, 0, 0]);
        assert_eq!(waits(None, None), [0, 0, 0]);
    }

    #[test]
    fn a_tag_names_the_zone_d_11() {
        let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
        assert_eq!(zone_of(&[tag("a", "b")]), None);
        assert_eq!(zone_of(&[tag(ZONE_TAG, "")]), None);
        assert_eq!(zone_of(&[tag(ZONE_TAG, "2"), tag(ZONE_TAG, "1"), tag("a", "0")]), Some("1"));
    }
}
