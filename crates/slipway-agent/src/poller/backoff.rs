//! How long to wait before the next call (AG-067, AP-05, AP-33).

use std::time::Duration;

/// Even a server that answers at once is not asked more often than this.
const LEAST: Duration = Duration::from_millis(100);

/// After the `errors`th failed poll in a row: the documented cycle, less the time that the call took, and
/// `wait_between_runs`; spread by `jitter` in 0..1, so that a fleet does not come back all at once.
pub(super) fn after_error(errors: u32, took: Duration, wait_between_runs: Duration, jitter: f64) -> Duration {
    let errors = errors.clamp(1, 10);
    let cycle = (1.2675_f64.powi(errors.cast_signed()) * 90.0 / 1.2675_f64.powi(10)).floor();
    let pause = Duration::from_secs_f64(cycle).saturating_sub(took) + wait_between_runs;
    pause.max(LEAST).mul_f64(1.0 + jitter * 0.25)
}

/// After a poll that brought nothing. A long poll that ran its time is repeated at once; an answer that came
/// back too early must not make us spin.
pub(super) fn after_nothing(took: Duration, wait_between_runs: Duration) -> Duration {
    wait_between_runs.max(LEAST).saturating_sub(took)
}

/// Before repeat number `attempt` (from 0) of a call that is worth repeating (AP-34).
pub(super) fn before_repeat(attempt: u32, most: Duration, jitter: f64) -> Duration {
    let pause = Duration::from_millis(300) * 2_u32.saturating_pow(attempt.min(16));
    pause.min(most).mul_f64(1.0 + jitter * 0.25)
}

/// A number in 0..1 that differs from host to host.
pub(super) fn jitter() -> f64 {
    let mut bytes = [0; 2];
    // Without randomness the fleet only comes back a little more in step.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::{after_error, after_nothing, before_repeat, jitter};
    use std::time::Duration;

    #[test]
    fn errors_back_off_as_measured() {
        let seconds: Vec<u64> =
            (1..=12).map(|n| after_error(n, Duration::ZERO, Duration::ZERO, 0.0).as_secs()).collect();
        assert_eq!(seconds, [10, 13, 17, 21, 27, 34, 44, 56, 71, 90, 90, 90], "AG-067");
    }

    #[test]
    fn the_time_of_the_call_counts_and_jitter_is_bounded() {
        let wait = Duration::from_secs(1);
        assert_eq!(after_error(1, Duration::from_secs(4), wait, 0.0), Duration::from_secs(7));
        assert_eq!(after_error(1, Duration::from_secs(40), wait, 0.0), wait);
        assert_eq!(after_error(1, Duration::ZERO, Duration::ZERO, 1.0), Duration::from_millis(12_500));
        assert!((0.0..=1.0).contains(&jitter()));
    }

    #[test]
    fn a_full_long_poll_is_repeated_at_once_and_a_fast_answer_never_makes_us_spin() {
        let wait = Duration::from_secs(1);
        assert_eq!(after_nothing(Duration::from_secs(45), wait), Duration::ZERO);
        assert_eq!(after_nothing(Duration::from_millis(200), wait), Duration::from_millis(800));
        assert!(after_nothing(Duration::ZERO, Duration::ZERO) >= Duration::from_millis(100));
    }

    #[test]
    fn repeats_start_fast_and_grow_to_a_limit() {
        let most = Duration::from_secs(30);
        let pauses: Vec<u128> = (0..9).map(|n| before_repeat(n, most, 0.0).as_millis()).collect();
        assert_eq!(pauses, [300, 600, 1200, 2400, 4800, 9600, 19200, 30000, 30000]);
        assert_eq!(before_repeat(u32::MAX, most, 0.0), most);
    }
}
