//! The scheduler: one task at a time, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use slipway_model::Timestamp;
use slipway_model::deployment::DeploymentRecord;
use slipway_store::{Notice, Store as _};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::check::{Checker, Ending};
use super::core::{Actor, Blow, Core, Owner, Wait};
use super::host::{Host, Verdicts};
use super::node::Node;
use super::random::Random;
use super::scenario::{Action, Life, Scenario};
use super::store::{Fault, ModelStore};
use super::user;

/// Something that must never happen did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When, in virtual time.
    pub at: Timestamp,
    /// What.
    pub what: String,
}

/// What became of a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The first thing that must never happen, if one did.
    pub violation: Option<Violation>,
    /// What happened, if it was to be told.
    pub story: Vec<(Timestamp, String)>,
    /// How often something was scheduled.
    pub steps: u64,
    /// Questions and commits.
    pub store_steps: u64,
    /// How each deployment ended.
    pub endings: Vec<Ending>,
    /// How much virtual time passed.
    pub lasted: Timestamp,
}

/// What disturbs a run beside its scenario; the generic proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// Nothing.
    None,
    /// Every step of every worker and every request of every host is done twice.
    Twice,
    /// The store's answer number so many.
    FailAt(u64, Fault),
    /// All nodes die at the store's answer number so many, and come back after a second.
    CrashAt(u64),
}

/// So long after everything has ended late reports may still come.
const AFTERMATH_MS: i64 = 200_000;
const LONGEST_RUN_MS: i64 = 200_000_000;
const MOST_STEPS: u64 = 3_000_000;

struct World {
    core: Core,
    store: Arc<ModelStore>,
    nodes: Vec<Arc<Node>>,
    hosts: Vec<Arc<Host>>,
    checker: Checker,
    random: Random,
    scenario: Scenario,
    notices: Receiver<Notice>,
    tasks: BTreeMap<u64, Task>,
    heap: BinaryHeap<Reverse<(Timestamp, u64, u64)>>,
    waiting_hosts: BTreeMap<String, BTreeSet<u64>>,
    waiting_nodes: BTreeSet<u64>,
    sequence: u64,
    steps: u64,
}

struct Task {
    owner: Owner,
    actor: Actor,
    /// The entry of the heap that counts.
    due: u64,
}

/// Runs a scenario to its end, or to the first violation.
pub fn run(scenario: &Scenario, disturbance: Disturbance, tell: bool) -> Run {
    let core = Core::default();
    if tell {
        core.keep_story();
    }
    let store = Arc::new(ModelStore::interrupting());
    at_once(&store, user::furniture(scenario));
    let store_steps = disturb(scenario, disturbance, &core, &store);
    let mut world = World::new(scenario.clone(), disturbance == Disturbance::Twice, core, store);
    let violation = world.run().err().map(|what| Violation { at: world.core.now(), what });
    world.store.break_by(None);
    Run {
        violation,
        story: world.core.story(),
        steps: world.steps,
        store_steps: store_steps.load(Ordering::Relaxed),
        endings: world.checker.endings(),
        lasted: world.core.now(),
    }
}

/// Commits without a scheduler.
fn at_once(store: &ModelStore, change: slipway_store::ChangeSet) {
    let mut commit = pin!(store.commit(change));
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = commit.as_mut().poll(&mut context) {
            done.expect("an empty store takes what a run begins with");
            store.take_history();
            return;
        }
    }
}

/// Plans the faults of the store; the counter says how many answers it has given.
fn disturb(scenario: &Scenario, disturbance: Disturbance, core: &Core, store: &ModelStore) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let (counter, core, nodes) = (Arc::clone(&count), core.clone(), scenario.nodes);
    let mut random = Random::stream(scenario.seed, 0xfa17);
    let faults = scenario.faults;
    store.break_by(Some(Box::new(move || {
        let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
        match disturbance {
            Disturbance::FailAt(at, fault) if at == number => return fault,
            Disturbance::CrashAt(at) if at == number => {
                for node in 0..nodes {
                    core.strike(Blow::KillNode(node));
                    let again = core.clone();
                    core.start(Owner::Fate, async move {
                        again.wait(Wait::Millis(1000)).await;
                        again.strike(Blow::StartNode(node));
                    });
                }
            }
            _ => {}
        }
        if random.chance(faults.store_fails) {
            Fault::Fails
        } else if random.chance(faults.store_unknown) {
            Fault::Unknown
        } else {
            Fault::None
        }
    })));
    count
}

/// Whether a script fails depends on nothing but the run's seed, the host, the revision and the event: whatever else
/// goes wrong, the same hosts fail.
fn verdicts(scenario: &Scenario, store: &Arc<ModelStore>) -> Verdicts {
    let store = Arc::clone(store);
    let seed = scenario.seed;
    let of_hosts: Vec<u32> = scenario.hosts.iter().map(|host| host.fails).collect();
    let of_revisions: BTreeMap<u8, u32> = scenario
        .actions
        .iter()
        .filter_map(|(_, action)| match action {
            Action::Deploy(plan) => Some((plan.revision, plan.fails)),
            _ => None,
        })
        .collect();
    Arc::new(move |key, host, event| {
        let record = store.look(|t| t.deployments.get(&key.deployment).map(|row| row.record.clone()));
        let record: Option<DeploymentRecord> = record.and_then(|record| serde_json::from_str(&record).ok());
        let revision = record.map_or(0, |record| user::revision_number(&record.revision));
        let place = (host as u64) << 16 | u64::from(revision) << 8 | event as u64;
        let mut random = Random::stream(seed, 0xbad0_0000_0000 | place);
        random.chance(of_hosts[host]) | random.chance(of_revisions.get(&revision).copied().unwrap_or(0))
    })
}

impl World {
    fn new(scenario: Scenario, twice: bool, core: Core, store: Arc<ModelStore>) -> Self {
        let seed = scenario.seed;
        let nodes: Vec<_> = (0..scenario.nodes)
            .map(|number| {
                let random = Random::stream(seed, 1000 + u64::from(number));
                let (core, store) = (core.clone(), Arc::clone(&store));
                Arc::new(Node::new(number, core, store, random, scenario.pacing, twice))
            })
            .collect();
        let skewed = |(_, action): &(i64, Action)| matches!(action, Action::Skew { .. });
        let clocks_agree = !scenario.actions.iter().any(skewed);
        let verdicts = verdicts(&scenario, &store);
        let hosts = (0..)
            .zip(scenario.hosts.clone())
            .map(|(number, plan)| {
                let random = Random::stream(seed, 2000 + number as u64);
                let (core, nodes, verdicts) = (core.clone(), nodes.clone(), Arc::clone(&verdicts));
                Arc::new(Host::new(number, plan, core, nodes, scenario.faults, verdicts, random, twice))
            })
            .collect();
        Self {
            notices: store.notices(),
            core,
            store,
            nodes,
            hosts,
            checker: Checker::new(scenario.hosts.iter().map(|host| host.zone).collect(), clocks_agree),
            random: Random::stream(seed, 1),
            scenario,
            tasks: BTreeMap::new(),
            heap: BinaryHeap::new(),
            waiting_hosts: BTreeMap::new(),
            waiting_nodes: BTreeSet::new(),
            sequence: 0,
            steps: 0,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        for node in &self.nodes {
            node.start();
        }
        for host in self.hosts.clone() {
            self.live(&host);
        }
        let users = user::act(self.core.clone(), self.nodes.clone(), self.scenario.clone());
        self.core.start(Owner::Fate, users);
        self.adopt();
        let mut quiet_since: Option<Timestamp> = None;
        while let Some(Reverse((at, due, id))) = self.heap.pop() {
            if self.tasks.get(&id).is_none_or(|task| task.due != due) {
                continue;
            }
            let now = self.core.now().max(at);
            self.core.set_now(now);
            // A wake-up that a slow node leaves behind for what has ended must dissolve by itself.
            let busy = self.store.look(|t| t.any_active() || t.next_due().is_some());
            let quiet = self.core.is_all_done() && !busy;
            quiet_since = if quiet { quiet_since.or(Some(now)) } else { None };
            if quiet_since.is_some_and(|since| now.millis_since(since) > AFTERMATH_MS) {
                return self.checker.at_the_end(&self.store);
            }
            if now.0 > LONGEST_RUN_MS || self.steps > MOST_STEPS {
                return Err("the run does not come to an end".into());
            }
            self.step(id)?;
        }
        Err("nothing is left to do, and users are not done".into())
    }

    /// Starts a host, and what ends it.
    fn live(&mut self, host: &Arc<Host>) {
        let (core, number) = (self.core.clone(), host.number);
        match host.plan.life {
            Life::Steady => host.start(),
            Life::PoweredOff => {}
            Life::Dies { at, back_after } => {
                host.start();
                self.core.start(Owner::Fate, async move {
                    core.wait(Wait::Millis(at)).await;
                    core.strike(Blow::KillHost(number));
                    if let Some(back_after) = back_after {
                        core.wait(Wait::Millis(back_after)).await;
                        core.strike(Blow::StartHost(number));
                    }
                });
            }
            Life::Flaps { every } => {
                host.start();
                self.core.start(Owner::Fate, async move {
                    loop {
                        core.wait(Wait::Millis(every)).await;
                        core.strike(Blow::KillHost(number));
                        core.wait(Wait::Millis(every)).await;
                        core.strike(Blow::StartHost(number));
                    }
                });
            }
        }
    }

    fn step(&mut self, id: u64) -> Result<(), String> {
        let Some(task) = self.tasks.get_mut(&id) else { return Ok(()) };
        if let Owner::Node(number) = task.owner {
            let paused = self.nodes[usize::from(number)].paused_until.load(Ordering::Relaxed);
            if paused > self.core.now().0 {
                self.schedule(id, Timestamp(paused));
                return Ok(());
            }
        }
        self.steps += 1;
        self.waiting_nodes.remove(&id);
        let polled = task.actor.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let wait = self.core.take_wait();
        match (polled, wait) {
            (Poll::Ready(()), _) => drop(self.tasks.remove(&id)),
            (Poll::Pending, None) => {
                let takes = self.random.range(0, self.scenario.faults.latency_ms + 1);
                self.schedule(id, self.core.now().plus_millis(takes));
            }
            (Poll::Pending, Some(wait)) => self.park(id, wait),
        }
        self.checker.committed(&self.store, self.core.now(), self.store.take_history())?;
        for seen in self.core.take_seen() {
            self.checker.saw(&self.store, seen)?;
        }
        self.hear();
        for blow in self.core.take_blows() {
            self.strike(blow);
        }
        self.adopt();
        Ok(())
    }

    fn schedule(&mut self, id: u64, at: Timestamp) {
        self.sequence += 1;
        if let Some(task) = self.tasks.get_mut(&id) {
            task.due = self.sequence;
            self.heap.push(Reverse((at, self.sequence, id)));
        }
    }

    fn park(&mut self, id: u64, wait: Wait) {
        let millis = match wait {
            Wait::Millis(millis) => millis,
            Wait::Command(host, millis) => {
                self.waiting_hosts.entry(host).or_default().insert(id);
                millis
            }
            Wait::Work(millis) => {
                self.waiting_nodes.insert(id);
                millis
            }
        };
        self.schedule(id, self.core.now().plus_millis(millis.max(0)));
    }

    /// New tasks take their turn.
    fn adopt(&mut self) {
        for (owner, actor) in self.core.take_started() {
            self.sequence += 1;
            let id = self.sequence;
            self.tasks.insert(id, Task { owner, actor, due: 0 });
            self.schedule(id, self.core.now());
        }
    }

    /// Notices are told, or lost: whoever listens must look for himself now and then.
    fn hear(&mut self) {
        loop {
            match self.notices.try_recv() {
                Ok(_) if self.random.chance(self.scenario.faults.lost_notices) => {}
                Ok(Notice::HostReady(host)) => {
                    for id in self.waiting_hosts.remove(&host).unwrap_or_default() {
                        self.schedule(id, self.core.now());
                    }
                }
                Ok(Notice::WorkDue) => {
                    for id in std::mem::take(&mut self.waiting_nodes) {
                        self.schedule(id, self.core.now());
                    }
                }
                Ok(Notice::DeploymentChanged(_)) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn strike(&mut self, blow: Blow) {
        self.core.tell(|| format!("{blow:?}"));
        let owner = match blow {
            Blow::KillNode(number) => {
                self.nodes[usize::from(number)].kill();
                Owner::Node(number)
            }
            Blow::KillHost(number) => Owner::Host(number),
            Blow::StartNode(number) => return self.nodes[usize::from(number)].start(),
            Blow::StartHost(number) => return self.hosts[number].start(),
            Blow::PauseNode(number, millis) => {
                let until = self.core.now().plus_millis(millis).0;
                self.nodes[usize::from(number)].paused_until.store(until, Ordering::Relaxed);
                return;
            }
        };
        self.tasks.retain(|_, task| task.owner != owner);
    }
}
