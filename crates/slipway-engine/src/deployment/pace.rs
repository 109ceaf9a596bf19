//! How many targets may be started, and when enough have failed (CF-030..CF-039, and in zones CF-050..CF-058).

use serde::{Deserialize, Serialize};

use super::{Counters, Pacing, ZoneHosts};

/// The counters of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fleet {
    /// T: all hosts that count, those that run the revision already included.
    pub(super) total: u32,
    /// Hosts that run the revision already and are no targets (DP-012 ).
    #[serde(default)]
    pub(super) current: u32,
    /// How many targets, the first ones, were Unhealthy. Zones have numbers of their own.
    pub(super) unhealthy: u32,
    /// M: fixed at the start (CF-022).
    pub(super) minimum: u32,
    /// The lowest ordinal that was neither started nor given up.
    pub(super) next: u32,
    pub(super) in_flight: u32,
    pub(super) succeeded: u32,
    pub(super) failed: u32,
    pub(super) skipped: u32,
    /// The zones in their order; empty: the deployment knows none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) zones: Vec<Zone>,
    /// The zone that is being deployed to.
    #[serde(default)]
    pub(super) zone: u16,
    /// Hosts of this zone that failed, or were started and then skipped.
    #[serde(default)]
    pub(super) zone_lost: u32,
}

/// One zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Zone {
    /// Its lowest ordinal.
    pub(super) first: u32,
    /// How many targets.
    pub(super) targets: u32,
    /// How many of them, the first ones, were Unhealthy.
    pub(super) unhealthy: u32,
    /// Tz: all its hosts that count.
    pub(super) hosts: u32,
    /// Mz.
    pub(super) minimum: u32,
}

/// What the counters say about the deployment as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    GoesOn,
    /// Every host of the zone has been attempted, and other zones wait.
    ZoneEnded,
    Succeeded,
    TooManyFailed,
}

impl Fleet {
    pub(super) const NONE: Self = Self {
        total: 0,
        current: 0,
        unhealthy: 0,
        minimum: 0,
        next: 0,
        in_flight: 0,
        succeeded: 0,
        failed: 0,
        skipped: 0,
        zones: Vec::new(),
        zone: 0,
        zone_lost: 0,
    };

    /// Zones with their minimums, in the order in which they are deployed to; one without targets is passed over.
    pub(super) fn zones(hosts: &[ZoneHosts], minimum: impl Fn(u32) -> u32) -> Vec<Zone> {
        let mut first = 0;
        let mut zones = Vec::with_capacity(hosts.len());
        for zone in hosts.iter().filter(|zone| zone.targets() > 0) {
            let (targets, hosts) = (zone.targets(), zone.targets() + zone.current);
            zones.push(Zone { first, targets, unhealthy: zone.unhealthy, hosts, minimum: minimum(hosts) });
            first += targets;
        }
        zones
    }

    pub(super) const fn targets(&self) -> u32 {
        self.total.saturating_sub(self.current)
    }

    /// Without zones everything is one zone without a minimum of its own.
    fn zone(&self) -> Zone {
        self.zones.get(usize::from(self.zone)).copied().unwrap_or(Zone {
            first: 0,
            targets: self.targets(),
            unhealthy: self.unhealthy,
            hosts: self.total,
            minimum: 0,
        })
    }

    pub(super) const fn counters(&self) -> Counters {
        let known = self.in_flight.saturating_add(self.succeeded).saturating_add(self.failed);
        Counters {
            pending: self.targets().saturating_sub(known.saturating_add(self.skipped)),
            in_progress: self.in_flight,
            succeeded: self.succeeded,
            failed: self.failed,
            skipped: self.skipped,
        }
    }

    /// Counts targets that were in flight.
    pub(super) fn ended(&mut self, succeeded: u32, failed: u32, skipped: u32) {
        self.in_flight =
            self.in_flight.saturating_sub(succeeded.saturating_add(failed).saturating_add(skipped));
        self.succeeded = self.succeeded.saturating_add(succeeded);
        self.failed = self.failed.saturating_add(failed);
        self.skipped = self.skipped.saturating_add(skipped);
        // Zones follow one another strictly: what is in flight is of this zone.
        self.zone_lost = self.zone_lost.saturating_add(failed).saturating_add(skipped);
    }

    /// `T − F`. A target that was started and then skipped counts like a failed one: nobody knows what it would have
    /// become.
    const fn not_lost(&self) -> u32 {
        self.total.saturating_sub(self.failed.saturating_add(self.skipped))
    }

    /// `Tz − Fz`.
    fn zone_not_lost(&self) -> u32 {
        self.zone().hosts.saturating_sub(self.zone_lost)
    }

    /// Unhealthy hosts of later zones, while healthy ones are taken: without zones their phase would be over, and
    /// nothing that is healthy may be taken on their account (CF-039).
    fn not_healthy_yet(&self) -> u32 {
        let zone = self.zone();
        if self.next < zone.first + zone.unhealthy {
            return 0;
        }
        self.zones.iter().skip(usize::from(self.zone) + 1).map(|zone| zone.unhealthy).sum()
    }

    /// CF-032; with zones the lesser of A and B (CF-052).
    fn capacity(&self) -> u32 {
        let all = self.not_lost().saturating_sub(self.minimum).saturating_sub(self.not_healthy_yet());
        let zone = self.zone_not_lost().saturating_sub(self.zone().minimum);
        all.min(zone).saturating_sub(self.in_flight)
    }

    /// The first ordinal behind the current phase (CF-034), which is one of its zone.
    fn phase_end(&self) -> u32 {
        let zone = self.zone();
        let healthy_from = zone.first + zone.unhealthy;
        let unhealthy_ended = self.next > healthy_from || (self.next == healthy_from && self.in_flight == 0);
        if unhealthy_ended { zone.first + zone.targets } else { healthy_from }
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

    /// The next zone's turn.
    pub(super) fn enter_next_zone(&mut self) {
        self.zone = self.zone.saturating_add(1);
        self.zone_lost = 0;
    }

    /// Gives up on all targets that were not started; the lowest ordinal of them.
    pub(super) fn skip_waiting(&mut self) -> Option<u32> {
        if self.next >= self.targets() {
            return None;
        }
        let first = self.next;
        self.skipped = self.skipped.saturating_add(self.targets() - first);
        self.next = self.targets();
        Some(first)
    }

    /// To be asked after each completion.
    pub(super) fn verdict(&self) -> Verdict {
        let zone = self.zone();
        let zone_end = zone.first + zone.targets;
        if self.next < self.targets() {
            // CF-036, CF-057; with targets left in a scope, reaching its minimum is enough.
            let in_zone = self.next < zone_end && !self.zones.is_empty();
            let zone_failed = in_zone && self.zone_not_lost() <= zone.minimum;
            let too_few_healthy = in_zone && self.in_flight == 0 && self.capacity() == 0;
            return if self.not_lost() <= self.minimum || zone_failed || too_few_healthy {
                Verdict::TooManyFailed
            } else if self.next == zone_end && self.in_flight == 0 {
                Verdict::ZoneEnded
            } else {
                Verdict::GoesOn
            };
        }
        // CF-037, CF-038: the last ones may bring it down to the minimum, but not below, nor to nothing.
        let enough = self.succeeded > 0 && self.succeeded.saturating_add(self.current) >= self.minimum;
        match (self.in_flight, enough) {
            (1.., _) => Verdict::GoesOn,
            (0, true) => Verdict::Succeeded,
            (0, false) => Verdict::TooManyFailed,
        }
    }
}
