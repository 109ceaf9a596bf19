//! A fleet without hosts: plays a deployment machine against a list of hosts that fail or do not, and checks after
//! every step what must hold whatever the vector, the pacing and the order.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeSet;

use slipway_engine::deployment::{
    Counters, DeploymentEffect, DeploymentEvent, DeploymentMachine, DeploymentSettings, FollowUp, Pacing,
    ZoneHosts,
};
use slipway_model::Timestamp;
use slipway_model::config::MinimumHealthyHosts;
use slipway_model::status::{DeploymentStatus, ErrorCode};

pub(crate) const PACINGS: [Pacing; 2] = [Pacing::RollingWindow, Pacing::Batch];

/// A fleet without zones.
pub(crate) fn resolved(unhealthy: u32, healthy: u32) -> DeploymentEvent {
    DeploymentEvent::FleetResolved(vec![ZoneHosts { unhealthy, healthy, current: 0 }])
}

pub(crate) const RUN_LIMIT_MS: i64 = 12 * 3_600_000;

pub(crate) fn settings(minimum: MinimumHealthyHosts, pacing: Pacing) -> DeploymentSettings {
    DeploymentSettings {
        minimum,
        pacing,
        run_limit_ms: RUN_LIMIT_MS,
        max_targets: 100_000,
        group_name: "the-group".into(),
        zonal: None,
        follow_up: FollowUp::default(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    WaitsUnhealthy,
    WaitsHealthy,
    InFlight,
    Succeeded,
    Failed,
    Skipped,
}

/// How a deployment ended: what must not depend on pacing or order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) status: DeploymentStatus,
    pub(crate) code: Option<ErrorCode>,
    pub(crate) hosts: Vec<Host>,
}

impl Ending {
    pub(crate) fn count(&self, what: Host) -> usize {
        self.hosts.iter().filter(|h| **h == what).count()
    }

    /// The notation of the vectors: `OK s/f` or `FAIL a/s/f/k`.
    pub(crate) fn notation(&self) -> String {
        let (s, f, k) = (self.count(Host::Succeeded), self.count(Host::Failed), self.count(Host::Skipped));
        match self.code {
            None => format!("OK {s}/{f}"),
            Some(ErrorCode::HealthConstraints) => format!("FAIL {}/{s}/{f}/{k}", s + f),
            Some(ErrorCode::HealthConstraintsInvalid) => format!("FAIL at start {s}/{f}"),
            Some(other) => format!("FAIL {}", other.as_str()),
        }
    }
}

pub(crate) struct Fleet {
    pub(crate) machine: DeploymentMachine,
    pub(crate) hosts: Vec<Host>,
    /// Sizes of the groups of hosts that were started in one step.
    pub(crate) starts: Vec<u32>,
    pub(crate) peak: usize,
    pub(crate) ending: Option<(DeploymentStatus, Option<ErrorCode>)>,
    /// How long each finished zone was watched, in seconds.
    pub(crate) watched: Vec<i64>,
    zones: Vec<Zone>,
    current: usize,
    minimum: usize,
    pub(crate) now: Timestamp,
}

/// A zone: its hosts, and how many of them must stay healthy.
#[derive(Debug, Clone)]
struct Zone {
    hosts: std::ops::Range<usize>,
    unhealthy: usize,
    current: usize,
    minimum: usize,
}

impl Fleet {
    /// A deployment whose fleet has just been resolved.
    pub(crate) fn begin(unhealthy: u32, healthy: u32, minimum: MinimumHealthyHosts, pacing: Pacing) -> Self {
        Self::begin_with(&settings(minimum, pacing), &[ZoneHosts { unhealthy, healthy, current: 0 }])
    }

    /// The same, zone by zone if the settings say so.
    pub(crate) fn begin_with(settings: &DeploymentSettings, hosts: &[ZoneHosts]) -> Self {
        let mut machine = DeploymentMachine::new(settings.clone());
        machine.apply(DeploymentEvent::Start, Timestamp(0)).expect("a new deployment starts");
        let mut fleet = Self {
            machine,
            hosts: Vec::new(),
            starts: Vec::new(),
            peak: 0,
            ending: None,
            watched: Vec::new(),
            zones: Vec::new(),
            current: 0,
            minimum: 0,
            now: Timestamp(1),
        };
        for zone in hosts {
            let first = fleet.hosts.len();
            fleet.hosts.resize(first + zone.unhealthy as usize, Host::WaitsUnhealthy);
            fleet.hosts.resize(first + zone.targets() as usize, Host::WaitsHealthy);
            fleet.current += zone.current as usize;
            fleet.zones.push(Zone {
                hosts: first..fleet.hosts.len(),
                unhealthy: zone.unhealthy as usize,
                current: zone.current as usize,
                minimum: settings
                    .zonal
                    .map_or(0, |zonal| zonal.minimum_for_zone(zone.targets() + zone.current) as usize),
            });
        }
        fleet.minimum = settings.minimum.for_fleet((fleet.hosts.len() + fleet.current) as u32) as usize;
        fleet.step(DeploymentEvent::FleetResolved(hosts.to_vec()));
        fleet
    }

    /// While a zone that has ended is watched: lets the time pass.
    fn watch(&mut self) {
        while self.ending.is_none() && self.count(Host::InFlight) == 0 {
            let until =
                self.machine.deadline().expect("nothing in flight and nothing due: nobody would wake it");
            self.watched.push(until.millis_since(self.now) / 1000);
            // A moment before, nothing happens.
            self.now = until.plus_millis(-2);
            assert_eq!(self.step(DeploymentEvent::Tick), []);
            self.now = until;
            self.step(DeploymentEvent::Tick);
        }
    }

    pub(crate) fn count(&self, what: Host) -> usize {
        self.hosts.iter().filter(|h| **h == what).count()
    }

    pub(crate) fn in_flight(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|i| self.hosts[*i] == Host::InFlight).collect()
    }

    /// Ends hosts together and returns the ordinals that were started because of it.
    pub(crate) fn end(&mut self, hosts: &[usize], fails: &BTreeSet<usize>) -> Vec<usize> {
        let failed = hosts.iter().filter(|h| fails.contains(h)).count();
        for host in hosts {
            assert_eq!(self.hosts[*host], Host::InFlight);
            self.hosts[*host] = if fails.contains(host) { Host::Failed } else { Host::Succeeded };
        }
        let before = self.in_flight();
        self.step(DeploymentEvent::TargetsEnded {
            succeeded: (hosts.len() - failed) as u32,
            failed: failed as u32,
            skipped: 0,
        });
        self.in_flight().into_iter().filter(|h| !before.contains(h)).collect()
    }

    pub(crate) fn step(&mut self, event: DeploymentEvent) -> Vec<DeploymentEffect> {
        self.now = self.now.plus_millis(1);
        // A crash at each step: what was stored must go on exactly as what was in memory.
        let stored = serde_json::to_string(&self.machine).expect("a machine is written");
        let mut restored: DeploymentMachine = serde_json::from_str(&stored).expect("and read");
        assert_eq!(restored, self.machine);
        let effects = self.machine.apply(event.clone(), self.now).expect("the fleet plays by the rules");
        assert_eq!(restored.apply(event, self.now).as_ref(), Ok(&effects));
        self.machine = restored;
        for effect in &effects {
            self.carry_out(effect);
        }
        self.check();
        effects
    }

    fn carry_out(&mut self, effect: &DeploymentEffect) {
        assert_eq!(self.ending, None, "{effect:?} after the end");
        match effect {
            DeploymentEffect::StartTargets { first, count } => {
                assert!(*count > 0);
                self.starts.push(*count);
                for host in *first as usize..(first + count) as usize {
                    self.take(host);
                }
            }
            DeploymentEffect::SkipWaiting { first } => {
                for host in &mut self.hosts[*first as usize..] {
                    assert!(
                        matches!(host, Host::WaitsUnhealthy | Host::WaitsHealthy),
                        "skipped a {host:?} host"
                    );
                    *host = Host::Skipped;
                }
            }
            DeploymentEffect::Finished { status, error } => {
                self.ending = Some((*status, error.as_ref().map(|e| e.code)));
            }
            DeploymentEffect::StatusChanged(status) => assert_eq!(*status, self.machine.status()),
            DeploymentEffect::AbortActive(_) => assert!(self.count(Host::InFlight) > 0),
            DeploymentEffect::ResolveFleet => panic!("the fleet is resolved"),
            DeploymentEffect::StartRollback | DeploymentEffect::StartFollowOn => {
                panic!("nothing was asked to follow")
            }
        }
    }

    fn take(&mut self, host: usize) {
        let healthy = self.count(Host::WaitsHealthy) + self.count(Host::Succeeded) + self.current;
        let zone = self.zones.iter().find(|zone| zone.hosts.contains(&host)).expect("a zone").clone();
        let of_zone = |what: Host| self.hosts[zone.hosts.clone()].iter().filter(|h| **h == what).count();
        match self.hosts[host] {
            Host::WaitsUnhealthy => {}
            Host::WaitsHealthy => {
                assert!(
                    healthy > self.minimum,
                    "CF-032: took a healthy host at {healthy} <= {}",
                    self.minimum
                );
                let in_zone = of_zone(Host::WaitsHealthy) + of_zone(Host::Succeeded) + zone.current;
                assert!(in_zone > zone.minimum, "CF-052: took a healthy host of a zone at its minimum");
                let phase = zone.hosts.start..zone.hosts.start + zone.unhealthy;
                assert!(
                    self.hosts[phase].iter().all(|h| matches!(h, Host::Succeeded | Host::Failed)),
                    "CF-034: took a healthy host before the unhealthy ones had ended"
                );
            }
            other => panic!("started a {other:?} host"),
        }
        assert!(
            self.hosts[..host].iter().all(|h| !matches!(h, Host::WaitsUnhealthy | Host::WaitsHealthy)),
            "out of order"
        );
        assert!(
            self.hosts[..zone.hosts.start].iter().all(|h| *h != Host::InFlight),
            "CF-053: a zone before the one before it has ended"
        );
        let zone_lost = of_zone(Host::Failed);
        self.hosts[host] = Host::InFlight;
        let in_flight = self.count(Host::InFlight);
        self.peak = self.peak.max(in_flight);
        let cap = self.hosts.len() + self.current - self.minimum - self.count(Host::Failed);
        assert!(in_flight <= cap, "CF-032: {in_flight} in flight, cap {cap}");
        let cap = zone.hosts.len() + zone.current - zone.minimum - zone_lost;
        assert!(in_flight <= cap, "CF-052: {in_flight} in flight, cap of the zone {cap}");
    }

    fn check(&self) {
        let waiting = self.count(Host::WaitsUnhealthy) + self.count(Host::WaitsHealthy);
        let recount = Counters {
            pending: waiting as u32,
            in_progress: self.count(Host::InFlight) as u32,
            succeeded: self.count(Host::Succeeded) as u32,
            failed: self.count(Host::Failed) as u32,
            skipped: self.count(Host::Skipped) as u32,
        };
        assert_eq!(self.machine.counters(), recount, "counters equal a recount");
        match self.ending {
            Some((status, code)) => {
                assert_eq!(recount.in_progress + recount.pending, 0, "ended with work left");
                assert_eq!(self.machine.status(), status);
                assert_eq!(self.machine.error().map(|e| e.code), code);
                assert!(self.machine.completed().is_some() && self.machine.deadline().is_none());
            }
            None => {
                assert!(
                    recount.in_progress > 0 || self.zones.len() > 1,
                    "nothing in flight and not finished: nobody would wake it"
                );
            }
        }
    }

    pub(crate) fn ending(&self) -> Ending {
        let (status, code) = self.ending.expect("the deployment has ended");
        Ending { status, code, hosts: self.hosts.clone() }
    }

    /// Lets hosts end one by one in the order in which they were started.
    pub(crate) fn finish_in_order(mut self, fails: &BTreeSet<usize>) -> Self {
        while let Some(first) = self.in_flight().first().copied() {
            self.end(&[first], fails);
            self.watch();
        }
        self
    }

    /// Lets all hosts in flight end together, and again.
    pub(crate) fn finish_in_batches(mut self, fails: &BTreeSet<usize>) -> Self {
        loop {
            let all = self.in_flight();
            if all.is_empty() {
                return self;
            }
            self.end(&all, fails);
            self.watch();
        }
    }
}
