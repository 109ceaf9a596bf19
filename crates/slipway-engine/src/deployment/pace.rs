//! How many targets may be started, and when enough have failed (CF-030..CF-039).

use serde::{Deserialize, Serialize};

use super::{Counters, Pacing};

/// The counters of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fleet {
    /// T: all targets.
    pub(super) total: u32,
    /// How many of them, the first ones, were Unhealthy.
    pub(super) unhealthy: u32,
    /// M: fixed at the start (CF-022).
    pub(super) minimum: u32,
    /// The lowest ordinal that was neither started nor given up.
    pub(super) next: u32,
    pub(super) in_flight: u32,
    pub(super) succeeded: u32,
    pub(super) failed: u32,
    pub(super) skipped: u32,
}

/// What the counters say about the deployment as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    GoesOn,
    Succeeded,
    TooManyFailed,
}

impl Fleet {
    pub(super) const NONE: Self = Self {
        total: 0,
        unhealthy: 0,
        minimum: 0,
        next: 0,
        in_flight: 0,
        succeeded: 0,
        failed: 0,
        skipped: 0,
    };

    pub(super) const fn counters(&self) -> Counters {
        let known = self.in_flight.saturating_add(self.succeeded).saturating_add(self.failed);
        Counters {
            pending: self.total.saturating_sub(known.saturating_add(self.skipped)),
            in_progress: self.in_flight,
            succeeded: self.succeeded,
            failed: self.failed,
            skipped: self.skipped,
        }
    }

    /// `T − F`. A target that was started and then skipped counts like a failed one: nobody knows what it would have
    /// become.
    const fn not_lost(&self) -> u32 {
        self.total.saturating_sub(self.failed.saturating_add(self.skipped))
    }

    /// CF-032.
    const fn capacity(&self) -> u32 {
        self.not_lost().saturating_sub(self.minimum).saturating_sub(self.in_flight)
    }

    /// The first ordinal behind the current phase (CF-034).
    const fn phase_end(&self) -> u32 {
        let unhealthy_ended =
            self.next > self.unhealthy || (self.next == self.unhealthy && self.in_flight == 0);
        if unhealthy_ended { self.total } else { self.unhealthy }
    }

    /// Takes as many targets as may be started now: the first ordinal and how many.
    pub(super) fn take(&mut self, pacing: Pacing) -> Option<(u32, u32)> {
        if pacing == Pacing::Batch && self.in_flight > 0 {
            return None;
        }
        let count = self.capacity().min(self.phase_end().saturating_sub(self.next));
        if count == 0 {
            return None;
        }
        let first = self.next;
        self.next += count;
        self.in_flight += count;
        Some((first, count))
    }

    /// Gives up on all targets that were not started; the lowest ordinal of them.
    pub(super) fn skip_waiting(&mut self) -> Option<u32> {
        if self.next >= self.total {
            return None;
        }
        let first = self.next;
        self.skipped = self.skipped.saturating_add(self.total - first);
        self.next = self.total;
        Some(first)
    }

    /// To be asked after each completion.
    pub(super) fn verdict(&self) -> Verdict {
        if self.next < self.total {
            // CF-036; with targets left, reaching the minimum is enough.
            return if self.not_lost() <= self.minimum { Verdict::TooManyFailed } else { Verdict::GoesOn };
        }
        // CF-037, CF-038: the last ones may bring it down to the minimum, but not below, nor to nothing.
        match (self.in_flight, self.succeeded >= self.minimum.max(1)) {
            (1.., _) => Verdict::GoesOn,
            (0, true) => Verdict::Succeeded,
            (0, false) => Verdict::TooManyFailed,
        }
    }
}
