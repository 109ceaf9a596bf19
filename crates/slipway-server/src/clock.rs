//! Time and randomness: the only place of the control plane that reads either.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Instant;

use slipway_model::Timestamp;

/// Where the control plane takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// The time now, as clocks on walls show it: it can jump.
    fn now(&self) -> Timestamp;

    /// Milliseconds since some moment, passing at an even pace whatever is done to the time of day.
    fn passed_ms(&self) -> i64;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = std::time::SystemTime::now();
        let millis = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis());
        Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    fn passed_ms(&self) -> i64 {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        i64::try_from(START.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that stands still until it is moved; for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    shown: AtomicI64,
    passed: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { shown: AtomicI64::new(start.0), passed: AtomicI64::new(0) }
    }

    /// Lets time pass.
    pub fn advance_millis(&self, millis: i64) {
        self.shown.fetch_add(millis, Ordering::SeqCst);
        self.passed.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the clock forward or back, while no time passes.
    pub fn jump_millis(&self, millis: i64) {
        self.shown.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.shown.load(Ordering::SeqCst))
    }

    fn passed_ms(&self) -> i64 {
        self.passed.load(Ordering::SeqCst)
    }
}

/// The time of deployments: that of a clock, except that it does not follow when the clock is set, or a machine wakes
/// up, in the middle of them.
///
/// Limits, leases and wake-ups are moments in time. If the clock was set forward by an hour, every host would have
/// missed its limits at once; set back, whatever is due now would wait for an hour. So this time goes on evenly from
/// where it was, until [`WorkClock::follow`] finds that nothing is under way.
pub struct WorkClock {
    clock: Arc<dyn Clock>,
    /// A moment in this time and what [`Clock::passed_ms`] said then.
    base: Mutex<(Timestamp, i64)>,
}

/// What is taken for a correction of a clock that runs badly, as there are many every day, and is followed at once.
const CORRECTION_MS: u64 = 2_000;

impl WorkClock {
    /// The time that `clock` shows, or `reached` if that is later: the moment that the work under way had come to when
    /// the control plane was last stopped. A clock that was set back since would hold up what is due, and what is out
    /// on hosts would have begun in the future.
    pub fn new(clock: Arc<dyn Clock>, reached: Option<Timestamp>) -> Self {
        let shown = clock.now();
        let start = reached.map_or(shown, |reached| reached.max(shown));
        let behind_ms = start.millis_since(shown);
        if behind_ms.unsigned_abs() > CORRECTION_MS {
            tracing::warn!(
                behind_ms,
                "the machine's clock is behind the deployments under way: it was set back since they last moved; \
                 until they have ended, their time goes on from where it was"
            );
        }
        let base = Mutex::new((start, clock.passed_ms()));
        Self { clock, base }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let (shown, passed) = (self.clock.now(), self.clock.passed_ms());
        let even = base.0.plus_millis(passed - base.1);
        if shown.millis_since(even).unsigned_abs() > CORRECTION_MS {
            return even;
        }
        *base = (shown, passed);
        shown
    }

    /// Goes with the clock again, wherever it is now. For when nothing waits for a moment in this time.
    pub fn follow(&self) {
        let even = self.now();
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = self.clock.now();
        *base = (shown, self.clock.passed_ms());
        let jump_ms = shown.millis_since(even);
        if jump_ms.unsigned_abs() > CORRECTION_MS {
            tracing::warn!(jump_ms, "the machine's clock was set; no deployment was under way");
        }
    }
}

/// Bytes from the operating system's generator.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .expect("the operating system's random generator does not fail after start-up");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const START: Timestamp = Timestamp(1_780_000_000_000);

    #[test]
    fn time_of_work_goes_on_evenly_until_it_may_follow() {
        for jump in [HOUR, -HOUR] {
            let manual = Arc::new(ManualClock::new(START));
            let clock = WorkClock::new(manual.clone(), None);
            manual.jump_millis(jump);
            assert_eq!(clock.now(), START);
            manual.advance_millis(5);
            assert_eq!(clock.now(), START.plus_millis(5));
            clock.follow();
            assert_eq!(clock.now(), START.plus_millis(jump + 5));
        }
    }

    #[test]
    fn time_of_work_begins_where_it_had_come_to() {
        for (reached, begins) in [(None, 0), (Some(-HOUR), 0), (Some(HOUR), HOUR)] {
            let manual = Arc::new(ManualClock::new(START));
            let clock = WorkClock::new(manual.clone(), reached.map(|ms| START.plus_millis(ms)));
            manual.advance_millis(5);
            assert_eq!(clock.now(), START.plus_millis(begins + 5), "{reached:?}");
            clock.follow();
            assert_eq!(clock.now(), START.plus_millis(5), "{reached:?}");
        }
    }

    #[test]
    fn small_corrections_are_followed_and_do_not_add_up_to_a_jump() {
        let manual = Arc::new(ManualClock::new(START));
        let clock = WorkClock::new(manual.clone(), None);
        for _ in 0..10 {
            manual.jump_millis(1_500);
            assert_eq!(clock.now(), manual.now());
        }
    }
}
