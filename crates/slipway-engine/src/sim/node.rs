//! Nodes of the simulated control plane: the loop of the real one over the steps of the real one.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use slipway_model::Timestamp;
use slipway_store::{CommitError, Store, WakeupKey};

use super::core::{Core, Owner, Seen, Wait};
use super::random::Random;
use super::store::ModelStore;
use crate::deployment::Pacing;
use crate::work::{LEASE_MS, Records, Site, WorkError, carry_out};

/// Wake-ups claimed at once.
const AT_ONCE: u32 = 32;
/// Looks at the store without being told to, at least so often.
const SAFETY_NET_MS: i64 = 5000;

/// One node.
pub(crate) struct Node {
    pub(crate) number: u8,
    pub(crate) core: Core,
    store: Arc<ModelStore>,
    random: Mutex<Random>,
    pacing: Pacing,
    records: Records,
    started: AtomicI64,
    /// How wrong its clock is.
    pub(crate) skew: AtomicI64,
    /// Moves when it is killed: requests of before are lost.
    pub(crate) life: AtomicU64,
    /// Whether it answers: 0, or since when it is down.
    pub(crate) down: AtomicI64,
    pub(crate) paused_until: AtomicI64,
    /// Whether each step is done twice at the same time.
    twice: bool,
}

impl Node {
    pub(crate) fn new(
        number: u8,
        core: Core,
        store: Arc<ModelStore>,
        random: Random,
        pacing: Pacing,
        twice: bool,
    ) -> Self {
        Self {
            number,
            core,
            store,
            random: Mutex::new(random),
            pacing,
            records: Records::default(),
            // Long ago: no pick-up limit is stretched because of a start that is not part of the story.
            started: AtomicI64::new(-1_000_000_000),
            skew: AtomicI64::new(0),
            life: AtomicU64::new(0),
            down: AtomicI64::new(0),
            paused_until: AtomicI64::new(0),
            twice,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.down.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn kill(&self) {
        self.life.fetch_add(1, Ordering::Relaxed);
        self.down.store(1, Ordering::Relaxed);
    }

    pub(crate) fn start(self: &Arc<Self>) {
        if self.is_up() && self.life.load(Ordering::Relaxed) > 0 {
            return;
        }
        self.down.store(0, Ordering::Relaxed);
        if self.life.load(Ordering::Relaxed) > 0 {
            self.started.store(self.now().0, Ordering::Relaxed);
        }
        self.core.start(Owner::Node(self.number), work(Arc::clone(self)));
    }
}

impl Site for Node {
    fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    fn now(&self) -> Timestamp {
        self.core.now().plus_millis(self.skew.load(Ordering::Relaxed))
    }

    fn started(&self) -> Timestamp {
        Timestamp(self.started.load(Ordering::Relaxed))
    }

    fn random(&self) -> [u8; 16] {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).bytes()
    }

    fn pacing(&self) -> Pacing {
        self.pacing
    }

    fn records(&self) -> &Records {
        &self.records
    }
}

/// The loop of the workers.
async fn work(node: Arc<Node>) {
    loop {
        let now = node.now();
        let due = node.store.claim_due(now, now.plus_millis(LEASE_MS), AT_ONCE).await.unwrap_or_default();
        if due.is_empty() {
            let next = node.store.next_due().await.ok().flatten();
            let idle = next.map_or(SAFETY_NET_MS, |next| next.millis_since(node.now()));
            node.core.wait(Wait::Work(idle.clamp(1, SAFETY_NET_MS))).await;
        }
        for wakeup in due {
            node.core.tell(|| format!("node {} works on {}", node.number, name(&wakeup.key)));
            for _ in 0..=u8::from(node.twice) {
                let (node, wakeup) = (Arc::clone(&node), wakeup.clone());
                node.core.clone().start(Owner::Node(node.number), async move {
                    if let Err(error) = carry_out(&node, &wakeup).await {
                        node.core.tell(|| format!("node {}: {}: {error}", node.number, name(&wakeup.key)));
                        if !is_expected(&error) {
                            node.core.saw(Seen::Broken(format!("{}: {error}", name(&wakeup.key))));
                        }
                    }
                });
            }
        }
    }
}

/// Only the store may fail; a machine that refuses what its row says is a bug.
fn is_expected(error: &WorkError) -> bool {
    match error {
        WorkError::Read(_) => true,
        WorkError::Commit(error) => {
            !matches!(error, CommitError::Conflict { .. } | CommitError::Exists { .. })
        }
        WorkError::Damaged { .. } | WorkError::Refused { .. } => false,
    }
}

pub(crate) fn name(key: &WakeupKey) -> String {
    match key {
        WakeupKey::Deployment(id) => id.to_string(),
        WakeupKey::Target(key) => format!("target {key}"),
    }
}
