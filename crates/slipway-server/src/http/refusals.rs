//! How often the log tells that somebody was not who they said.
//!
//! Anybody who reaches the port can fail to authenticate, as often as they like: one line each would let them fill
//! the disk and bury everything else. So in each window the first failure of an access key from an address is told at
//! once, the others are counted, and one line says how many they were. Whatever is invented by the caller is bounded:
//! keys per address, addresses, lengths. The metric counts every one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(10);
/// Access keys of one address that are told apart in a window.
const KEYS: usize = 8;
/// Addresses that are told apart in a window.
const ADDRESSES: usize = 64;
/// Characters of an access key's id that are logged; real ones have 16 to 128.
const LONGEST_KEY: usize = 128;

/// Failures of the present window.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<HashMap<Option<IpAddr>, Address>>>);

/// Failures of an address, or of all that are not told apart: after the first of each key.
#[derive(Debug, Default)]
struct Address {
    more: HashMap<String, u64>,
    /// With further keys.
    others: u64,
}

/// Failures that were counted instead of told.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    /// `None`: of many.
    source: Option<IpAddr>,
    /// `None`: several.
    access_key_id: Option<String>,
    times: u64,
}

impl Refusals {
    /// Counts a failure; whether it is to be told at once. What is counted is told at the end of the window.
    pub(super) fn tell(&self, source: IpAddr, access_key_id: &str) -> bool {
        let (tell, first) = self.count(source, access_key_id);
        if first {
            let refusals = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(WINDOW).await;
                refusals.end_of_window().iter().for_each(Summary::log);
            });
        }
        tell
    }

    /// Whether to tell, and whether a window begins.
    fn count(&self, source: IpAddr, access_key_id: &str) -> (bool, bool) {
        let mut addresses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = addresses.is_empty();
        let known = addresses.len() < ADDRESSES || addresses.contains_key(&Some(source));
        let address = addresses.entry(known.then_some(source)).or_default();
        let key: String = access_key_id.chars().take(LONGEST_KEY).collect();
        let tell = if let Some(more) = address.more.get_mut(&key) {
            *more += 1;
            false
        } else if known && address.more.len() < KEYS {
            address.more.insert(key, 0);
            true
        } else {
            address.others += 1;
            false
        };
        (tell, begins)
    }

    fn end_of_window(&self) -> Vec<Summary> {
        let addresses = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut summaries = Vec::new();
        for (source, address) in addresses {
            let others = (address.others > 0).then_some((None, address.others));
            let keys = address.more.into_iter().map(|(key, times)| (Some(key), times));
            summaries.extend(
                keys.filter(|(_, times)| *times > 0).chain(others).map(|(access_key_id, times)| Summary {
                    source,
                    access_key_id,
                    times,
                }),
            );
        }
        summaries
    }
}

impl Summary {
    fn log(&self) {
        tracing::warn!(
            target: "audit",
            access_key_id = self.access_key_id.as_deref().unwrap_or("several"),
            source = %self.source.map_or_else(|| "several".to_owned(), |source| source.to_string()),
            times = self.times,
            seconds = WINDOW.as_secs(),
            "authentication failed again"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + number).to_be_bytes())
    }

    #[test]
    fn the_first_failure_is_told_at_once_and_the_others_in_one_line() {
        let refusals = Refusals::default();
        let told: Vec<bool> = (0..1000).map(|_| refusals.count(address(1), "AKIAONE").0).collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        assert!(
            told[0] && refusals.count(address(1), "AKIATWO").0 && refusals.count(address(2), "AKIAONE").0
        );
        let expected =
            Summary { source: Some(address(1)), access_key_id: Some("AKIAONE".to_owned()), times: 999 };
        assert_eq!(refusals.end_of_window(), [expected]);
        assert_eq!(refusals.count(address(1), "AKIAONE"), (true, true), "a new window");
    }

    #[test]
    fn invented_keys_and_addresses_are_bounded_and_each_is_counted() {
        let refusals = Refusals::default();
        let mut told = 0;
        for number in 0..200 {
            for key in 0..50 {
                told += u64::from(refusals.count(address(number), &format!("{key}{}", "x".repeat(500))).0);
            }
        }
        assert_eq!(told, (ADDRESSES * KEYS) as u64);
        let held = refusals.0.lock().unwrap();
        assert_eq!(held.len(), ADDRESSES + 1);
        assert!(held.values().all(|address| address.more.keys().all(|key| key.len() == LONGEST_KEY)));
        drop(held);
        let summaries = refusals.end_of_window();
        assert_eq!(summaries.iter().map(|summary| summary.times).sum::<u64>() + told, 200 * 50);
        assert!(summaries.len() <= ADDRESSES * (KEYS + 1) + 1);
    }
}
