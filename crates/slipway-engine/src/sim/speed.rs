//! Whole deployments without faults and delays, for measuring what they cost.

use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use slipway_model::config::MinimumHealthyHosts;
use slipway_model::lifecycle::{Diagnostics, IN_PLACE};
use slipway_model::{DeploymentId, Timestamp};
use slipway_store::{ChangeSet, Store, TargetKey};

use super::host::arn;
use super::random::Random;
use super::scenario::{DeployPlan, HostPlan, Limits, Scenario};
use super::store::ModelStore;
use super::user;
use crate::deployment::Pacing;
use crate::target::{Report, TargetEvent, TargetLimits, TargetMachine};
use crate::work::target::{step, take};
use crate::work::{LEASE_MS, Records, Site, carry_out, create};

/// Hosts that end before the deployment's worker comes round again.
const BETWEEN_STEPS: usize = 500;

const LIMITS: TargetLimits = TargetLimits {
    pick_up_ms: 300_000,
    first_pick_up_ms: 300_000,
    event_ms: 3_600_000,
    grace_ms: 60_000,
    ignore_stop_failures: false,
};

/// What a deployment was made of.
#[derive(Debug, Clone, Copy)]
pub struct Deployed {
    /// Its hosts.
    pub hosts: u32,
    /// Steps of its targets and of itself, each with its commit.
    pub steps: u64,
    /// Bytes of a stored target that waits, and of one that has ended.
    pub bytes: (usize, usize),
}

struct Plain {
    store: ModelStore,
    now: AtomicI64,
    random: Mutex<Random>,
    records: Records,
}

impl Site for Plain {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    fn started(&self) -> Timestamp {
        Timestamp(-1_000_000_000)
    }

    fn random(&self) -> [u8; 16] {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).bytes()
    }

    fn pacing(&self) -> Pacing {
        Pacing::RollingWindow
    }

    fn records(&self) -> &Records {
        &self.records
    }
}

/// The model store never lets anybody wait here.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a store that does not interrupt answers at once"),
    }
}

const DONE: &str = "the store does not fail here, and nothing happens twice";

/// Deploys to so many hosts, half at a time, with all the steps and commits of the control plane.
pub fn whole_deployment(hosts: u32) -> Deployed {
    let site = Plain {
        store: ModelStore::new(),
        now: AtomicI64::new(1_000_000),
        random: Mutex::new(Random::stream(1, 1)),
        records: Records::default(),
    };
    let mut scenario = Scenario::of_seed(0);
    scenario.hosts = vec![HostPlan::PLAIN; hosts as usize];
    now(site.store.commit(user::furniture(&scenario))).expect(DONE);
    let plan = DeployPlan { minimum: MinimumHealthyHosts::FleetPercent(50), ..DeployPlan::PLAIN };
    let id = DeploymentId::from_random([1; 9]);
    let limits = Limits { pick_up: 300_000, event: 3_600_000, run: 43_200_000 };
    let record = user::record(&plan, &id, limits, site.now(), None);
    let mut change = ChangeSet::new();
    create::deployment(&mut change, &record, site.pacing());
    now(site.store.commit(change)).expect(DONE);

    let mut steps = work(&site);
    let waiting = bytes(&site, &id, hosts - 1);
    let mut left: Vec<usize> = (0..hosts as usize).collect();
    while !left.is_empty() {
        let before = left.len();
        let mut ended = 0;
        left.retain(|host| {
            let walked = walk(&site, &arn(*host));
            steps += walked;
            ended += usize::from(walked > 0);
            if ended >= BETWEEN_STEPS {
                ended = 0;
                steps += work(&site);
            }
            walked == 0
        });
        steps += work(&site);
        assert!(left.len() < before, "the deployment stands still");
    }
    let ended = bytes(&site, &id, 0);
    let status = site.store.look(|t| t.deployments.get(&id).map(|row| row.status));
    assert_eq!(status, Some(slipway_model::status::DeploymentStatus::Succeeded));
    Deployed { hosts, steps, bytes: (waiting, ended) }
}

fn bytes(site: &Plain, id: &DeploymentId, ordinal: u32) -> usize {
    let key = TargetKey { deployment: id.clone(), ordinal };
    site.store.look(|t| t.target(&key).map_or(0, |row| row.machine.len()))
}

/// Does what is due.
fn work(site: &Plain) -> u64 {
    let mut steps = 0;
    loop {
        let at = site.now();
        let due = now(site.store.claim_due(at, at.plus_millis(LEASE_MS), 32)).expect(DONE);
        if due.is_empty() {
            return steps;
        }
        for wakeup in due {
            now(carry_out(site, &wakeup)).expect(DONE);
            steps += 1;
        }
    }
}

/// Walks a host through all its events, if it is its turn; how many steps that took.
fn walk(site: &Plain, host: &str) -> u64 {
    let mut steps = 0;
    // A millisecond a host: whoever waits for its turn must not be given up meanwhile.
    site.now.fetch_add(1, Ordering::Relaxed);
    while let Some((row, command, _)) = now(take(site, host)).expect(DONE) {
        for event in [TargetEvent::Acknowledge(command), TargetEvent::Complete { command, report: report() }]
        {
            now(step(site, &row.key, &event)).expect(DONE);
        }
        steps += 3;
    }
    steps
}

fn report() -> Report {
    Report { succeeded: true, diagnostics: Diagnostics::unknown_error("Succeeded: ") }
}

/// Walks so many targets through their events in memory; how many transitions that took. With `stored`, each one reads
/// and writes the stored form.
pub fn transitions(targets: u32, stored: bool) -> u64 {
    let mut count = 0;
    for number in 0..targets {
        let mut machine = TargetMachine::new(IN_PLACE, LIMITS);
        let mut at = Timestamp(i64::from(number));
        let mut apply = |machine: &mut TargetMachine, event: TargetEvent| {
            at = at.plus_millis(10);
            count += 1;
            let step = machine.apply(event, at).expect(DONE);
            if stored {
                let json = serde_json::to_string(machine).expect("plain data");
                *machine = serde_json::from_str(&json).expect("what was written");
            }
            step
        };
        apply(&mut machine, TargetEvent::Start);
        while machine.offer().is_some() {
            let step = apply(&mut machine, TargetEvent::HandOut { nonce: u64::from(number) });
            let Some((command, _)) = step.handed_out else { unreachable!("{DONE}") };
            apply(&mut machine, TargetEvent::Acknowledge(command));
            apply(&mut machine, TargetEvent::Complete { command, report: report() });
        }
    }
    count
}
