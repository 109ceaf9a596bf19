//! Parked long polls: who waits for commands, and how they are woken.
//!
//! A poll registers first, then looks for a command, then waits; so a command that becomes ready in between is never
//! missed. One host may hold several polls (two agents started by mistake, a reconnect): the newest wins, older ones
//! are sent home with an empty answer. A poll whose client has gone is dropped with its future and leaves no trace.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All parked polls of this node.
#[derive(Debug, Default)]
pub struct Hub {
    waiting: Mutex<HashMap<String, Arc<Place>>>,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Place {
    notify: Notify,
    go_home: AtomicBool,
}

/// Why a parked poll was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Look for a command again.
    Look,
    /// A newer poll of the same host has taken the place, or the server stops: answer empty.
    GoHome,
}

/// A poll's place in the hub; leaving it frees the place.
#[derive(Debug)]
pub struct Parking<'a> {
    hub: &'a Hub,
    host: String,
    place: Arc<Place>,
}

impl Hub {
    /// A hub without waiters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parks a poll of `host`, sending an older one of the same host home.
    pub fn park(&self, host: &str) -> Parking<'_> {
        let place = Arc::new(Place::default());
        let older = self.lock().insert(host.to_owned(), Arc::clone(&place));
        if let Some(older) = older {
            older.send_home();
        }
        // Asked when the place is taken: whoever closes before finds this out, and whoever closes after finds the place.
        if self.closed.load(Ordering::SeqCst) {
            place.send_home();
        }
        Parking { hub: self, host: host.to_owned(), place }
    }

    /// Makes the poll of `host`, if one is parked here, look for a command.
    pub fn wake(&self, host: &str) {
        if let Some(place) = self.lock().get(host) {
            place.notify.notify_one();
        }
    }

    /// Makes every parked poll look; for when notices may have been missed.
    pub fn wake_all(&self) {
        for place in self.lock().values() {
            place.notify.notify_one();
        }
    }

    /// Sends everybody home, now and from now on (graceful stop).
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for place in self.lock().values() {
            place.send_home();
        }
    }

    /// How many polls are parked here.
    pub fn parked(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Place>>> {
        // Nothing that holds the lock can leave the map half-changed, so a poisoned lock is a sound one.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn send_home(&self) {
        self.go_home.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }
}

impl Parking<'_> {
    /// Waits until there is a reason to look or to go home. A wake-up that came since the last call is not lost.
    pub async fn woken(&self) -> Woken {
        if !self.must_go_home() {
            self.place.notify.notified().await;
        }
        if self.must_go_home() { Woken::GoHome } else { Woken::Look }
    }

    /// Whether the poll should answer empty without waiting.
    pub fn must_go_home(&self) -> bool {
        self.place.go_home.load(Ordering::SeqCst)
    }
}

impl Drop for Parking<'_> {
    fn drop(&mut self) {
        let mut waiting = self.hub.lock();
        if waiting.get(&self.host).is_some_and(|place| Arc::ptr_eq(place, &self.place)) {
            waiting.remove(&self.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_up_between_looking_and_waiting_is_not_lost() {
        let hub = Hub::new();
        let parking = hub.park("h");
        hub.wake("h");
        assert_eq!(parking.woken().await, Woken::Look);
    }

    #[tokio::test]
    async fn the_newest_poll_of_a_host_wins() {
        let hub = Hub::new();
        let older = hub.park("h");
        let newer = hub.park("h");
        assert_eq!(older.woken().await, Woken::GoHome);
        drop(older);
        assert_eq!(hub.parked(), 1, "the older one leaves the newer one's place alone");
        hub.wake("h");
        assert_eq!(newer.woken().await, Woken::Look);
        drop(newer);
        assert_eq!(hub.parked(), 0);
    }

    #[tokio::test]
    async fn closing_sends_present_and_future_polls_home() {
        let hub = Hub::new();
        let before = hub.park("a");
        hub.close();
        assert_eq!(before.woken().await, Woken::GoHome);
        assert_eq!(hub.park("b").woken().await, Woken::GoHome);
    }

    #[test]
    fn a_poll_that_comes_while_the_hub_closes_goes_home() {
        for _ in 0..2000 {
            let hub = Hub::new();
            std::thread::scope(|scope| {
                let closing = scope.spawn(|| hub.close());
                let parking = hub.park("a");
                closing.join().unwrap();
                assert!(parking.must_go_home());
            });
        }
    }
}
