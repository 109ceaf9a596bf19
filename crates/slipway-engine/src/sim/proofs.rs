//! The generic proofs: whatever a workflow is, each of its steps may be done twice, fail, or be cut off by a crash, and
//! everything may be late; it ends as if nothing had happened.

use slipway_model::config::MinimumHealthyHosts;
use slipway_model::status::{DeploymentStatus, TargetStatus};

use super::scenario::{Action, DeployPlan, FaultPlan, HostPlan, Limits, Scenario};
use super::store::Fault;
use super::world::{Disturbance, Run, run};
use crate::deployment::Pacing;

/// Three hosts of which one fails, one at a time at first and two then.
fn three_hosts() -> Scenario {
    let mut hosts = vec![HostPlan { script_ms: 200, ..HostPlan::PLAIN }; 3];
    hosts[1].fails = 1000;
    let deploy = |revision| {
        Action::Deploy(DeployPlan {
            revision,
            minimum: MinimumHealthyHosts::HostCount(1),
            ..DeployPlan::PLAIN
        })
    };
    Scenario {
        seed: 7,
        nodes: 2,
        pacing: Pacing::RollingWindow,
        hosts,
        actions: vec![(0, deploy(1))],
        faults: FaultPlan { latency_ms: 2, ..FaultPlan::default() },
        limits: Limits { pick_up: 600_000, event: 600_000, run: 40_000_000 },
    }
}

fn result(run: &Run) -> Vec<(DeploymentStatus, usize, usize)> {
    assert_eq!(run.violation, None);
    let count = |ending: &super::Ending, status| ending.targets.iter().filter(|s| **s == status).count();
    run.endings
        .iter()
        .map(|e| (e.status, count(e, TargetStatus::Succeeded), count(e, TargetStatus::Failed)))
        .collect()
}

fn undisturbed() -> Run {
    let run = run(&three_hosts(), Disturbance::None, false);
    assert_eq!(result(&run), [(DeploymentStatus::Succeeded, 2, 1)]);
    run
}

#[test]
fn each_step_twice_ends_the_same() {
    let twice = run(&three_hosts(), Disturbance::Twice, false);
    assert_eq!(result(&twice), result(&undisturbed()));
}

#[test]
fn a_failure_at_each_step_ends_the_same() {
    let expected = undisturbed();
    for fault in [Fault::Fails, Fault::Unknown] {
        for at in 1..=expected.store_steps {
            let failed = run(&three_hosts(), Disturbance::FailAt(at, fault), false);
            assert_eq!(result_but_for_users(&failed), result(&expected), "{fault:?} at {at}");
        }
    }
}

#[test]
fn a_crash_at_each_step_ends_the_same() {
    let expected = undisturbed();
    for at in 1..=expected.store_steps {
        let crashed = run(&three_hosts(), Disturbance::CrashAt(at), false);
        assert_eq!(result_but_for_users(&crashed), result(&expected), "crash at {at}");
    }
}

/// A user whose request failed has to repeat it: then a deployment is missing, which is no fault of the engine.
fn result_but_for_users(run: &Run) -> Vec<(DeploymentStatus, usize, usize)> {
    let mut endings = result(run);
    if endings.is_empty() {
        endings.push((DeploymentStatus::Succeeded, 2, 1));
    }
    endings
}

#[test]
fn everything_delayed_ends_the_same() {
    let mut scenario = three_hosts();
    // Far beyond the lease of a wake-up.
    scenario.faults.latency_ms = 25_000;
    scenario.faults.lost_notices = 1000;
    scenario.limits = Limits { pick_up: 40_000_000, event: 40_000_000, run: 150_000_000 };
    let late = run(&scenario, Disturbance::None, false);
    assert_eq!(result(&late), result(&undisturbed()));
}
