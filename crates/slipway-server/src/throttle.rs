//! How fast each caller may ask: a token bucket for each principal and operation.
//!
//! Every client library of AWS waits and tries again after `ThrottlingException` (`Throttling` of IAM and STS), so a
//! client that runs wild slows down and takes nothing from others.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use slipway_wire::{ApiError, ErrorKind};

/// Buckets that are held. Those that are full again are forgotten first; if that is not enough, all of them: a caller
/// then gets a full bucket too early, never too late.
const CAPACITY: usize = 65_536;

/// What a bucket is filled with, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Requests per second; 0: no limit.
    pub per_second: u32,
    /// Requests at once after a rest.
    pub burst: u32,
}

/// The buckets of all callers.
#[derive(Debug)]
pub struct Throttle {
    limit: Limit,
    hasher: RandomState,
    /// By the hash of principal and operation, under a secret of the process: nobody can aim at another's bucket.
    buckets: Mutex<HashMap<u64, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at_ms: i64,
}

impl Throttle {
    /// Full buckets for everybody.
    pub fn new(limit: Limit) -> Self {
        Self { limit, hasher: RandomState::new(), buckets: Mutex::default() }
    }

    /// Takes a token for `operation` of `service`; the error is the one to answer when there is none.
    pub fn admit(
        &self,
        principal: &str,
        service: &str,
        operation: &str,
        now_ms: i64,
    ) -> Result<(), ApiError> {
        if self.limit.per_second == 0 || self.take(principal, service, operation, now_ms) {
            return Ok(());
        }
        Err(ApiError::new(ErrorKind::ThrottlingException, "Rate exceeded"))
    }

    fn take(&self, principal: &str, service: &str, operation: &str, now_ms: i64) -> bool {
        let key = self.hasher.hash_one((principal, service, operation));
        let (rate, burst) = (f64::from(self.limit.per_second), f64::from(self.limit.burst.max(1)));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= CAPACITY && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| bucket.filled(now_ms, rate, burst) < burst);
            if buckets.len() >= CAPACITY {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: burst, at_ms: now_ms });
        bucket.tokens = bucket.filled(now_ms, rate, burst);
        bucket.at_ms = bucket.at_ms.max(now_ms);
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

impl Bucket {
    /// The tokens at `now_ms`; a clock that was set back fills nothing.
    fn filled(&self, now_ms: i64, rate: f64, burst: f64) -> f64 {
        let passed = (now_ms - self.at_ms).max(0) as f64;
        (self.tokens + passed * rate / 1000.0).min(burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(per_second: u32, burst: u32) -> Throttle {
        Throttle::new(Limit { per_second, burst })
    }

    #[test]
    fn a_burst_passes_and_then_as_much_as_the_rate() {
        let throttle = throttle(10, 3);
        let admitted = |now_ms| throttle.admit("bob", "codedeploy", "GetDeployment", now_ms).is_ok();
        assert_eq!([0, 0, 0, 0].map(admitted), [true, true, true, false]);
        assert!(!admitted(99));
        assert!(admitted(100));
        assert!(!admitted(100));
        assert_eq!([60_000, 60_000, 60_000, 60_000].map(admitted), [true, true, true, false]);
        assert!(!admitted(0), "a clock that is set back fills nothing");
    }

    #[test]
    fn callers_and_operations_have_buckets_of_their_own() {
        let throttle = throttle(1, 1);
        let ask = |who, service, operation| throttle.admit(who, service, operation, 0).map_err(|e| e.kind);
        assert_eq!(ask("bob", "iam", "GetUser"), Ok(()));
        assert_eq!(ask("bob", "iam", "GetUser"), Err(ErrorKind::ThrottlingException));
        assert_eq!(ask("eve", "iam", "GetUser"), Ok(()));
        assert_eq!(ask("bob", "iam", "GetRole"), Ok(()));
        assert_eq!(ask("bob", "sts", "GetUser"), Ok(()));
    }

    #[test]
    fn zero_is_no_limit() {
        let throttle = throttle(0, 0);
        assert!((0..1000).all(|_| throttle.admit("bob", "iam", "GetUser", 0).is_ok()));
        assert!(throttle.buckets.lock().unwrap().is_empty());
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let throttle = throttle(1, 2);
        for caller in 0..CAPACITY * 2 {
            throttle.admit(&caller.to_string(), "iam", "GetUser", 0).unwrap();
        }
        assert!(throttle.buckets.lock().unwrap().len() <= CAPACITY);
        for caller in 0..CAPACITY {
            let _ = throttle.admit(&caller.to_string(), "iam", "GetUser", 60_000);
        }
        assert!(throttle.buckets.lock().unwrap().len() <= CAPACITY);
    }
}
