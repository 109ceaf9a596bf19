//! The generic proofs: whatever a workflow is, each of its steps may be done twice, fail, or be cut off by a crash, and
//! everything may be late; it ends as if nothing had happened.

use slipway_model::config::MinimumHealthyHosts;
use slipway_model::deployment::AutoRollbackEvent;
use slipway_model::status::{DeploymentStatus, TargetStatus};
use slipway_model::zones::ZonalConfig;

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

/// Two zones; a revision that succeeds, then one that fails and is rolled back.
fn zones_and_a_rollback() -> Scenario {
    let mut scenario = three_hosts();
    scenario.hosts = vec![HostPlan { script_ms: 200, ..HostPlan::PLAIN }; 2];
    scenario.hosts[0].zone = 1;
    let plan = DeployPlan {
        minimum: MinimumHealthyHosts::HostCount(1),
        rollback: vec![AutoRollbackEvent::DeploymentFailure],
        zonal: Some(ZonalConfig { monitor_seconds: Some(20), ..ZonalConfig::default() }),
        ..DeployPlan::PLAIN
    };
    let bad = DeployPlan { revision: 2, fails: 1000, ..plan.clone() };
    scenario.actions = vec![(0, Action::Deploy(plan)), (600_000, Action::Deploy(bad))];
    scenario
}

/// By whom each deployment was created, and how it ended.
fn lineage(run: &Run) -> Vec<(String, DeploymentStatus)> {
    assert_eq!(run.violation, None);
    run.endings.iter().map(|ending| (ending.creator.clone(), ending.status)).collect()
}

#[test]
fn a_rollback_comes_once_whatever_step_is_done_twice_or_cut_off_dp_226() {
    use DeploymentStatus::{Failed, Succeeded};
    let expected = [("user", Succeeded), ("user", Failed), ("codeDeployRollback", Succeeded)]
        .map(|(creator, status)| (creator.to_owned(), status));
    let undisturbed = run(&zones_and_a_rollback(), Disturbance::None, false);
    assert_eq!(lineage(&undisturbed), expected);
    assert_eq!(lineage(&run(&zones_and_a_rollback(), Disturbance::Twice, false)), expected);
    // Every third point, for the time that it takes; the seeds crash at all kinds of points.
    for at in (1..=undisturbed.store_steps).step_by(3) {
        let crashed = run(&zones_and_a_rollback(), Disturbance::CrashAt(at), false);
        let found = lineage(&crashed);
        // The request of a user may be what is cut off: then a deployment is missing, and what would follow from it.
        let users = found.iter().filter(|(creator, _)| creator == "user").count();
        assert!(users < 2 || found == expected, "crash at {at}: {found:?}");
    }
}

#[test]
fn a_stop_reaches_every_target_whatever_is_cut_off_dp_120() {
    let mut scenario = three_hosts();
    // Seven scripts of ten seconds, stopped during the first one.
    scenario.hosts = vec![HostPlan { script_ms: 20_000, ..HostPlan::PLAIN }; 3];
    scenario.actions.push((3000, Action::Stop { group: 0, roll_back: None }));
    let undisturbed = run(&scenario, Disturbance::None, false);
    for at in 0..=undisturbed.store_steps {
        let crashed = run(&scenario, Disturbance::CrashAt(at), false);
        assert_eq!(crashed.violation, None, "crash at {at}");
        for ending in &crashed.endings {
            // The request of the user may be what is cut off; whoever was heard is obeyed.
            let stopped = ending.status == DeploymentStatus::Stopped;
            let ran_on = ending.targets.contains(&TargetStatus::Succeeded);
            assert!(!stopped || !ran_on, "crash at {at}: a target walked on to its end: {ending:?}");
        }
    }
    assert_eq!(undisturbed.endings[0].status, DeploymentStatus::Stopped);
}
