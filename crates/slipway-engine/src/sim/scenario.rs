//! What happens in a simulated run; made from a seed, made smaller by [`shrink`](super::shrink).

use slipway_model::config::MinimumHealthyHosts;
use slipway_model::deployment::AutoRollbackEvent;
use slipway_model::zones::ZonalConfig;

use super::random::Random;
use crate::deployment::Pacing;

/// Everything that is decided before a run begins. What is left to chance during it comes from `seed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Of the random streams.
    pub seed: u64,
    /// Control plane nodes.
    pub nodes: u8,
    /// In which steps targets are started.
    pub pacing: Pacing,
    /// Hosts.
    pub hosts: Vec<HostPlan>,
    /// What users and fate do, in milliseconds from the start.
    pub actions: Vec<(i64, Action)>,
    /// What goes wrong at random.
    pub faults: FaultPlan,
    /// Time limits of all deployments.
    pub limits: Limits,
}

/// How a host behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPlan {
    /// Which agent runs there.
    pub manner: Manner,
    /// Which groups select it at first, a bit each.
    pub groups: u8,
    /// How long a script takes at most.
    pub script_ms: i64,
    /// Of a thousand scripts, so many fail.
    pub fails: u32,
    /// Whether it is there.
    pub life: Life,
    /// Which zone it is in.
    pub zone: u8,
    /// Whether a second agent was started by mistake.
    pub two_agents: bool,
    /// Of a thousand reports, so many are sent again, late, and changed.
    pub repeats: u32,
}

/// How an agent behaves when something goes wrong (AP-34..AP-41).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// The Ruby agent: sends each request up to four times; reports a failed acknowledgement as a failure (AP-35); after
    /// a crash it reports the script that ran (AP-19).
    Ruby,
    /// The 2.0 agent: sends everything once, and says nothing when it cannot begin.
    Second,
    /// Ours: persistent.
    Ours,
}

/// Whether a host is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Always.
    Steady,
    /// Never (CF-041).
    PoweredOff,
    /// It dies at this time, and is back after so many milliseconds, if at all.
    Dies {
        /// When.
        at: i64,
        /// How long until it is back; absent: for good.
        back_after: Option<i64>,
    },
    /// It dies again and again, each time after so many milliseconds.
    Flaps {
        /// How long it lives, and how long it is away.
        every: i64,
    },
}

/// What users and fate do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A user creates a deployment.
    Deploy(DeployPlan),
    /// A user stops the deployment of a group.
    Stop {
        /// Of which group.
        group: u8,
        /// Whether it is to be rolled back.
        roll_back: Option<bool>,
    },
    /// An alarm of a group is activated.
    Alarm {
        /// Of which group.
        group: u8,
    },
    /// A user tags a host so that a group selects it, or no longer does.
    Retag {
        /// Which host.
        host: usize,
        /// Which group.
        group: u8,
    },
    /// A node is killed, and comes back.
    Crash {
        /// Which.
        node: u8,
        /// After how many milliseconds.
        back_after: i64,
    },
    /// A node stands still; its leases pass.
    Pause {
        /// Which.
        node: u8,
        /// For how many milliseconds.
        millis: i64,
    },
    /// The clock of a node jumps.
    Skew {
        /// Which.
        node: u8,
        /// By how many milliseconds.
        millis: i64,
    },
}

/// A deployment to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployPlan {
    /// Of which group.
    pub group: u8,
    /// Which revision.
    pub revision: u8,
    /// Of a thousand scripts of this revision, so many fail.
    pub fails: u32,
    /// How many hosts must stay healthy.
    pub minimum: MinimumHealthyHosts,
    /// DP-009.
    pub ignore_stop_failures: bool,
    /// DP-012.
    pub outdated_only: bool,
    /// CF-302.
    pub update_outdated_afterwards: bool,
    /// What is rolled back.
    pub rollback: Vec<AutoRollbackEvent>,
    /// CF-050.
    pub zonal: Option<ZonalConfig>,
}

/// What goes wrong at random; of a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultPlan {
    /// Answers that do not arrive.
    pub lost_answers: u32,
    /// Requests that do not arrive.
    pub lost_requests: u32,
    /// Notices that are not told.
    pub lost_notices: u32,
    /// Questions and commits that fail.
    pub store_fails: u32,
    /// Commits that happen although the store says that it is unavailable.
    pub store_unknown: u32,
    /// How long a question, a commit or a request takes at most, in milliseconds.
    pub latency_ms: i64,
}

/// Time limits, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Q18.
    pub pick_up: i64,
    /// Q23.
    pub event: i64,
    /// Q10.
    pub run: i64,
}

/// Names of the groups, by number.
pub const GROUPS: u8 = 2;

impl Scenario {
    /// The scenario of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::stream(seed, u64::MAX);
        let rough = random.chance(500);
        let nodes = 1 + random.below(3) as u8;
        let hosts = (0..=random.below(7)).map(|_| HostPlan::random(&mut random, rough)).collect::<Vec<_>>();
        let mut scenario = Self {
            seed,
            nodes,
            pacing: *random.pick(&[Pacing::RollingWindow, Pacing::RollingWindow, Pacing::Batch]),
            faults: if rough {
                FaultPlan::random(&mut random)
            } else {
                FaultPlan { latency_ms: 5, ..FaultPlan::default() }
            },
            limits: Limits {
                pick_up: random.range(20, 120) * 1000,
                event: random.range(20, 300) * 1000,
                run: *random.pick(&[300, 3600, 3600, 3600]) * 1000,
            },
            actions: Vec::new(),
            hosts,
        };
        let count = scenario.hosts.len();
        let mut at = 0;
        for revision in 1..=1 + random.below(3) as u8 {
            let plan = DeployPlan::random(&mut random, revision, count as u32);
            if random.chance(250) {
                let later = at + random.range(0, 60_000);
                let roll_back = *random.pick(&[None, None, Some(true), Some(false)]);
                scenario.actions.push((later, Action::Stop { group: plan.group, roll_back }));
            }
            if random.chance(80) {
                let later = at + random.range(0, 60_000);
                scenario.actions.push((later, Action::Alarm { group: plan.group }));
            }
            scenario.actions.push((at, Action::Deploy(plan)));
            at += random.range(0, 200_000);
        }
        if rough {
            for _ in 0..random.below(4) {
                let at = random.range(0, 200_000);
                scenario.actions.push((at, Action::random(&mut random, nodes, count)));
            }
        }
        scenario.actions.sort_by_key(|(at, _)| *at);
        scenario
    }
}

impl HostPlan {
    /// A host that does everything right, in both groups.
    pub const PLAIN: Self = Self {
        manner: Manner::Ours,
        groups: 0xff,
        script_ms: 1000,
        fails: 0,
        life: Life::Steady,
        zone: 0,
        two_agents: false,
        repeats: 0,
    };

    fn random(random: &mut Random, rough: bool) -> Self {
        let life = match random.below(if rough { 16 } else { 80 }) {
            0 => Life::PoweredOff,
            1 => Life::Dies { at: random.range(0, 120_000), back_after: None },
            2 => Life::Dies { at: random.range(0, 120_000), back_after: Some(random.range(1000, 200_000)) },
            3 => Life::Flaps { every: random.range(2000, 60_000) },
            _ => Life::Steady,
        };
        Self {
            manner: *random.pick(&[Manner::Ruby, Manner::Second, Manner::Ours]),
            groups: *random.pick(&[1, 2, 3, 3, 3]),
            script_ms: *random.pick(&[10, 500, 5000, 15_000]),
            fails: *random.pick(&[0, 0, 0, 0, 0, 20, 500]),
            life,
            zone: random.below(3) as u8,
            two_agents: rough && random.chance(150),
            repeats: if rough { *random.pick(&[0, 0, 300]) } else { 0 },
        }
    }
}

impl DeployPlan {
    /// Everything at once, nothing special.
    pub const PLAIN: Self = Self {
        group: 0,
        revision: 1,
        fails: 0,
        minimum: MinimumHealthyHosts::FleetPercent(0),
        ignore_stop_failures: false,
        outdated_only: false,
        update_outdated_afterwards: false,
        rollback: Vec::new(),
        zonal: None,
    };

    fn random(random: &mut Random, revision: u8, hosts: u32) -> Self {
        let minimum = match random.below(5) {
            0 => MinimumHealthyHosts::MostConcurrency(1),
            1 => MinimumHealthyHosts::FleetPercent(0),
            2 => MinimumHealthyHosts::FleetPercent(random.below(70) as u32),
            _ => MinimumHealthyHosts::HostCount(random.below(u64::from(hosts / 2 + 1)) as u32),
        };
        Self {
            group: random.below(u64::from(GROUPS)) as u8,
            revision,
            fails: *random.pick(&[0, 0, 0, 0, 60, 1000]),
            minimum,
            ignore_stop_failures: random.chance(300),
            outdated_only: random.chance(150),
            update_outdated_afterwards: random.chance(500),
            rollback: [
                AutoRollbackEvent::DeploymentFailure,
                AutoRollbackEvent::DeploymentStopOnRequest,
                AutoRollbackEvent::DeploymentStopOnAlarm,
            ]
            .into_iter()
            .filter(|_| random.chance(400))
            .collect(),
            zonal: random.chance(250).then(|| ZonalConfig {
                monitor_seconds: *random.pick(&[None, Some(1), Some(40)]),
                first_zone_monitor_seconds: *random.pick(&[None, Some(0), Some(90)]),
                minimum_per_zone: *random.pick(&[
                    None,
                    Some(MinimumHealthyHosts::HostCount(1)),
                    Some(MinimumHealthyHosts::FleetPercent(50)),
                ]),
            }),
        }
    }
}

impl Action {
    fn random(random: &mut Random, nodes: u8, hosts: usize) -> Self {
        let node = random.below(u64::from(nodes)) as u8;
        match random.below(7) {
            0 | 1 => Self::Crash { node, back_after: random.range(100, 30_000) },
            2 | 3 => Self::Pause { node, millis: random.range(100, 40_000) },
            4 => Self::Skew { node, millis: random.range(-3_600_000, 3_600_000) },
            _ => Self::Retag {
                host: random.below(hosts as u64) as usize,
                group: random.below(u64::from(GROUPS)) as u8,
            },
        }
    }
}

impl FaultPlan {
    fn random(random: &mut Random) -> Self {
        let rate = |random: &mut Random| *random.pick(&[0, 0, 5, 30, 120]);
        Self {
            lost_answers: rate(random),
            lost_requests: rate(random),
            lost_notices: *random.pick(&[0, 0, 100, 1000]),
            store_fails: *random.pick(&[0, 0, 5, 30]),
            store_unknown: *random.pick(&[0, 0, 5, 30]),
            latency_ms: *random.pick(&[1, 5, 50, 1000, 8000]),
        }
    }
}
