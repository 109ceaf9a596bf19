//! The smallest scenario that still fails: hosts, actions and faults are taken away as long as something must-never-be
//! still happens.

use slipway_model::Timestamp;

use super::scenario::{Action, DeployPlan, FaultPlan, HostPlan, Life, Manner, Scenario};
use super::world::{Disturbance, run};

/// Most runs that one shrinking may take.
const MOST_RUNS: usize = 400;

/// Makes a failing scenario smaller.
pub fn shrink(scenario: &Scenario) -> Scenario {
    let fails = |scenario: &Scenario| run(scenario, Disturbance::None, false).violation.is_some();
    let mut best = scenario.clone();
    let mut runs = 0;
    'again: loop {
        for candidate in simpler(&best) {
            runs += 1;
            if runs > MOST_RUNS {
                return best;
            }
            if fails(&candidate) {
                best = candidate;
                continue 'again;
            }
        }
        return best;
    }
}

/// Scenarios that are one bit simpler, the boldest first.
fn simpler(scenario: &Scenario) -> Vec<Scenario> {
    let mut candidates = Vec::new();
    let mut propose = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        if candidate != *scenario {
            candidates.push(candidate);
        }
    };
    for action in 0..scenario.actions.len() {
        propose(&|s| {
            s.actions.remove(action);
        });
    }
    // Only the last host goes, so that the others keep their numbers and what they draw.
    if scenario.hosts.len() > 1 {
        propose(&|s| {
            s.hosts.pop();
        });
    }
    propose(&|s| s.faults = FaultPlan { latency_ms: s.faults.latency_ms, ..FaultPlan::default() });
    propose(&|s| s.faults.lost_answers = 0);
    propose(&|s| s.faults.lost_requests = 0);
    propose(&|s| s.faults.lost_notices = 0);
    propose(&|s| s.faults.store_fails = 0);
    propose(&|s| s.faults.store_unknown = 0);
    propose(&|s| s.faults.latency_ms = 1);
    for at in 0..scenario.actions.len() {
        let deploy = |change: &dyn Fn(&mut DeployPlan)| {
            let mut action = scenario.actions[at].1.clone();
            if let Action::Deploy(plan) = &mut action {
                change(plan);
            }
            action
        };
        propose(&|s| s.actions[at].1 = deploy(&|plan| plan.zonal = None));
        propose(&|s| s.actions[at].1 = deploy(&|plan| plan.rollback = Vec::new()));
        propose(&|s| s.actions[at].1 = deploy(&|plan| plan.outdated_only = false));
        propose(&|s| s.actions[at].1 = deploy(&|plan| plan.update_outdated_afterwards = false));
        propose(&|s| s.actions[at].1 = deploy(&|plan| plan.fails = 0));
    }
    for host in 0..scenario.hosts.len() {
        let (groups, zone) = (scenario.hosts[host].groups, scenario.hosts[host].zone);
        propose(&|s| s.hosts[host] = HostPlan { groups, zone, ..HostPlan::PLAIN });
        propose(&|s| s.hosts[host].life = Life::Steady);
        propose(&|s| s.hosts[host].manner = Manner::Ours);
        propose(&|s| s.hosts[host].two_agents = false);
        propose(&|s| s.hosts[host].repeats = 0);
        propose(&|s| s.hosts[host].fails = 0);
    }
    candidates.retain(|s| {
        s.actions.iter().all(|(_, action)| match action {
            Action::Retag { host, .. } => *host < s.hosts.len(),
            _ => true,
        })
    });
    candidates
}

/// A failing seed as a story: what was planned, in its smallest form, and what happened.
pub fn story(seed: u64) -> String {
    let scenario = shrink(&Scenario::of_seed(seed));
    let told = run(&scenario, Disturbance::None, true);
    let line = |at: Timestamp, sentence: &str| format!("{:>10.3} s  {sentence}", at.0 as f64 / 1000.0);
    let mut lines = vec![format!("seed {seed}, made as small as it still fails:\n{scenario:#?}\n")];
    lines.extend(told.story.iter().map(|(at, sentence)| line(*at, sentence)));
    lines.push(match told.violation {
        Some(violation) => line(violation.at, &format!("VIOLATION: {}", violation.what)),
        None => "nothing was violated".to_owned(),
    });
    lines.join("\n")
}
