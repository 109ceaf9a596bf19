//! Health and metrics: what an orchestrator asks and what Prometheus scrapes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use slipway_model::AccountId;
use slipway_store::{Kind, Partition, ReadError, Store};

/// Whether the control plane can do its work: the store answers.
pub async fn check(store: &dyn Store, account: &AccountId) -> Result<(), ReadError> {
    store.count_documents(&Partition::Account(account.clone()), Kind::IamRole, "").await.map(drop)
}

/// Upper bounds of the buckets of request durations, in milliseconds; held polls end in the last ones.
const BUCKETS_MS: [u64; 8] = [1, 5, 25, 100, 500, 2_500, 10_000, 60_000];

/// Counters of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    connections: AtomicI64,
    accepted: AtomicU64,
    handshakes_failed: AtomicU64,
    panics: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    durations: Mutex<BTreeMap<&'static str, Durations>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Durations {
    buckets: [u64; BUCKETS_MS.len()],
    count: u64,
    sum_ms: u64,
}

/// Counts a connection for as long as it lives.
#[derive(Debug)]
pub(crate) struct ConnectionGuard<'a>(&'a Metrics);

impl Drop for ConnectionGuard<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn connection(&self) -> ConnectionGuard<'_> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        ConnectionGuard(self)
    }

    pub(crate) fn handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that failed authentication with this code.
    pub(crate) fn refused(&self, code: &'static str) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    pub(crate) fn answered(&self, service: &'static str, status: u16, took: Duration) {
        *self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((service, status))
            .or_default() += 1;
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = durations.entry(service).or_default();
        entry.count += 1;
        entry.sum_ms = entry.sum_ms.saturating_add(took);
        for (bucket, bound) in entry.buckets.iter_mut().zip(BUCKETS_MS) {
            *bucket += u64::from(took <= bound);
        }
    }

    /// All counters in Prometheus' text form.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let mut simple = |name: &str, kind: &str, help: &str, value: String| {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        };
        let counter = |value: &AtomicU64| value.load(Ordering::Relaxed).to_string();
        simple(
            "slipway_connections",
            "gauge",
            "Open connections.",
            self.connections.load(Ordering::Relaxed).to_string(),
        );
        simple(
            "slipway_connections_accepted_total",
            "counter",
            "Connections accepted.",
            counter(&self.accepted),
        );
        simple(
            "slipway_tls_failures_total",
            "counter",
            "TLS handshakes that failed.",
            counter(&self.handshakes_failed),
        );
        simple("slipway_panics_total", "counter", "Requests that ended in a panic.", counter(&self.panics));
        let _ =
            writeln!(out, "# HELP slipway_authentication_failures_total Requests refused unauthenticated.");
        let _ = writeln!(out, "# TYPE slipway_authentication_failures_total counter");
        for (code, count) in self.refused.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = writeln!(out, "slipway_authentication_failures_total{{code=\"{code}\"}} {count}");
        }
        let _ = writeln!(
            out,
            "# HELP slipway_requests_total Requests answered.\n# TYPE slipway_requests_total counter"
        );
        for ((service, status), count) in self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter()
        {
            let _ =
                writeln!(out, "slipway_requests_total{{service=\"{service}\",status=\"{status}\"}} {count}");
        }
        let _ = writeln!(
            out,
            "# HELP slipway_request_duration_seconds Time to the answer.\n# TYPE slipway_request_duration_seconds histogram"
        );
        for (service, durations) in self.durations.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let name = "slipway_request_duration_seconds";
            for (count, bound) in durations.buckets.iter().zip(BUCKETS_MS) {
                let bound = bound as f64 / 1000.0;
                let _ = writeln!(out, "{name}_bucket{{service=\"{service}\",le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(out, "{name}_bucket{{service=\"{service}\",le=\"+Inf\"}} {}", durations.count);
            let sum = durations.sum_ms as f64 / 1000.0;
            let _ = writeln!(out, "{name}_sum{{service=\"{service}\"}} {sum}");
            let _ = writeln!(out, "{name}_count{{service=\"{service}\"}} {}", durations.count);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_prometheus_text() {
        let metrics = Metrics::default();
        let guard = metrics.connection();
        metrics.answered("iam", 200, Duration::from_millis(3));
        metrics.answered("iam", 200, Duration::from_millis(300));
        metrics.refused("InvalidSignatureException");
        let text = metrics.render();
        for line in [
            "slipway_connections 1",
            "slipway_requests_total{service=\"iam\",status=\"200\"} 2",
            "slipway_request_duration_seconds_bucket{service=\"iam\",le=\"0.005\"} 1",
            "slipway_request_duration_seconds_bucket{service=\"iam\",le=\"+Inf\"} 2",
            "slipway_authentication_failures_total{code=\"InvalidSignatureException\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        drop(guard);
        assert!(metrics.render().contains("slipway_connections 0"));
    }
}
