//! Start, failures before the first target, stop and the run limit of a deployment.

mod fleet;

use std::collections::BTreeSet;

use fleet::{Fleet, Host, RUN_LIMIT_MS, resolved, settings};
use slipway_engine::deployment::DeploymentEffect::{
    AbortActive, Finished, ResolveFleet, SkipWaiting, StartTargets, StatusChanged,
};
use slipway_engine::deployment::DeploymentEvent::{ResolveFailed, Start, Stop, TargetsEnded, Tick};
use slipway_engine::deployment::{
    AbortReason, Counters, DeploymentEffect, DeploymentEvent, DeploymentMachine, DeploymentRefusal, Pacing,
};
use slipway_engine::text;
use slipway_model::Timestamp;
use slipway_model::config::MinimumHealthyHosts::{FleetPercent, HostCount};
use slipway_model::status::{DeploymentStatus, ErrorCode, ErrorInformation};

fn machine() -> DeploymentMachine {
    DeploymentMachine::new(settings(HostCount(1), Pacing::RollingWindow))
}

fn stop() -> DeploymentEvent {
    Stop { requested_by: "arn:aws:iam::444455556666:user/mary".into(), roll_back: None }
}

const fn ended(succeeded: u32, failed: u32, skipped: u32) -> DeploymentEvent {
    TargetsEnded { succeeded, failed, skipped }
}

fn finished(effects: &[DeploymentEffect]) -> Option<(DeploymentStatus, Option<ErrorCode>)> {
    effects.iter().find_map(|e| match e {
        Finished { status, error } => Some((*status, error.as_ref().map(|e| e.code))),
        _ => None,
    })
}

#[test]
fn a_start_asks_for_the_fleet_and_once_more_after_a_crash() {
    let mut machine = machine();
    assert_eq!(machine.status(), DeploymentStatus::Created);
    assert_eq!(machine.apply(resolved(0, 3), Timestamp(1)), Err(DeploymentRefusal::NotStarted));
    let effects = machine.apply(Start, Timestamp(10)).unwrap();
    assert_eq!(effects, [StatusChanged(DeploymentStatus::InProgress), ResolveFleet]);
    assert!(machine.awaits_fleet());
    assert_eq!(machine.apply(Start, Timestamp(20)).unwrap(), [ResolveFleet]);
    assert_eq!(machine.started(), Some(Timestamp(10)), "the run limit counts from the first start");
    assert_eq!(machine.deadline(), Some(Timestamp(10 + RUN_LIMIT_MS)));
    let effects = machine.apply(resolved(0, 3), Timestamp(30)).unwrap();
    assert_eq!(effects, [StartTargets { first: 0, count: 2 }]);
    for repeated in [Start, resolved(0, 3)] {
        assert_eq!(machine.apply(repeated, Timestamp(40)), Err(DeploymentRefusal::AlreadyResolved));
    }
}

#[test]
fn an_empty_group_fails_with_the_documented_text_cf_031() {
    let mut machine = machine();
    machine.apply(Start, Timestamp(0)).unwrap();
    let effects = machine.apply(resolved(0, 0), Timestamp(1)).unwrap();
    assert_eq!(finished(&effects), Some((DeploymentStatus::Failed, Some(ErrorCode::NoInstances))));
    assert_eq!(machine.error().unwrap().message, text::NO_INSTANCES);
}

#[test]
fn a_minimum_that_leaves_nothing_skips_every_host_and_tells_the_numbers_cf_030() {
    let mut machine = DeploymentMachine::new(settings(FleetPercent(50), Pacing::RollingWindow));
    machine.apply(Start, Timestamp(0)).unwrap();
    let effects = machine.apply(resolved(1, 0), Timestamp(1)).unwrap();
    assert_eq!(effects[0], SkipWaiting { first: 0 });
    assert_eq!(
        finished(&effects),
        Some((DeploymentStatus::Failed, Some(ErrorCode::HealthConstraintsInvalid)))
    );
    let message = &machine.error().unwrap().message;
    assert!(message.starts_with(text::HEALTH_CONSTRAINTS_INVALID), "{message}");
    assert!(message.contains("Of the 1 instances of the-group, 1 must stay healthy"), "{message}");
    assert_eq!(machine.counters(), Counters { skipped: 1, ..Counters::default() });
}

#[test]
fn a_fleet_beyond_the_quota_leaves_no_targets_q15() {
    for (unhealthy, healthy) in [(60_000, 40_001), (u32::MAX, u32::MAX)] {
        let mut machine = machine();
        machine.apply(Start, Timestamp(0)).unwrap();
        let effects = machine.apply(resolved(unhealthy, healthy), Timestamp(1)).unwrap();
        assert_eq!(finished(&effects), Some((DeploymentStatus::Failed, Some(ErrorCode::OverMaxInstances))));
        assert_eq!(effects.len(), 2, "no target is started or skipped: {effects:?}");
        assert_eq!(machine.counters(), Counters::default());
    }
    let mut machine = machine();
    machine.apply(Start, Timestamp(0)).unwrap();
    let effects = machine.apply(resolved(60_000, 40_000), Timestamp(1)).unwrap();
    assert_eq!(effects, [StartTargets { first: 0, count: 60_000 }]);
}

#[test]
fn a_fleet_that_cannot_be_told_fails_the_deployment() {
    let mut machine = machine();
    machine.apply(Start, Timestamp(0)).unwrap();
    let error = ErrorInformation { code: ErrorCode::DeploymentGroupMissing, message: "gone".into() };
    let effects = machine.apply(ResolveFailed(error.clone()), Timestamp(1)).unwrap();
    assert_eq!(finished(&effects), Some((DeploymentStatus::Failed, Some(ErrorCode::DeploymentGroupMissing))));
    assert_eq!(machine.error(), Some(&error));
}

#[test]
fn failing_at_the_stop_rule_uses_the_documented_text_cf_036() {
    let mut fleet = Fleet::begin(0, 10, HostCount(9), Pacing::RollingWindow);
    fleet.end(&[0], &BTreeSet::from([0]));
    assert_eq!(fleet.machine.error().unwrap().message, text::HEALTH_CONSTRAINTS);
}

#[test]
fn a_stop_skips_what_waits_and_awaits_what_runs_dp_120() {
    let mut fleet = Fleet::begin(0, 10, HostCount(8), Pacing::RollingWindow);
    let effects = fleet.step(stop());
    assert_eq!(effects, [SkipWaiting { first: 2 }, AbortActive(AbortReason::Stopped)]);
    assert!(fleet.machine.stop_requested());
    assert_eq!(fleet.machine.status(), DeploymentStatus::InProgress);
    assert_eq!(fleet.machine.deadline(), None, "the limits of its targets bound the rest");
    assert_eq!(fleet.step(stop()), [], "a second request changes nothing");
    assert_eq!(fleet.step(Tick), []);
    fleet.end(&[0], &BTreeSet::new());
    assert_eq!(fleet.ending, None);
    assert_eq!(fleet.machine.aborting(), Some(AbortReason::Stopped), "a worker that died can tell the rest");
    fleet.end(&[1], &BTreeSet::from([1]));
    assert_eq!(fleet.ending, Some((DeploymentStatus::Stopped, Some(ErrorCode::ManualStop))));
    assert_eq!(
        (fleet.count(Host::Succeeded), fleet.count(Host::Failed), fleet.count(Host::Skipped)),
        (1, 1, 8)
    );
    assert_eq!(fleet.machine.aborting(), None);
    let message = &fleet.machine.error().unwrap().message;
    assert!(message.contains("arn:aws:iam::444455556666:user/mary"), "{message}");
    let again = fleet.machine.apply(stop(), Timestamp(99));
    assert_eq!(
        again,
        Err(DeploymentRefusal::AlreadyEnded(DeploymentStatus::Stopped)),
        "A-21 needs the status"
    );
}

#[test]
fn targets_that_were_started_and_never_acknowledged_may_end_skipped() {
    let mut machine = machine();
    machine.apply(Start, Timestamp(0)).unwrap();
    machine.apply(resolved(0, 4), Timestamp(1)).unwrap();
    machine.apply(stop(), Timestamp(2)).unwrap();
    let effects = machine.apply(ended(1, 0, 2), Timestamp(3)).unwrap();
    assert_eq!(finished(&effects), Some((DeploymentStatus::Stopped, Some(ErrorCode::ManualStop))));
    assert_eq!(machine.counters(), Counters { succeeded: 1, skipped: 3, ..Counters::default() });
}

#[test]
fn a_stop_before_the_first_target_ends_at_once() {
    for started in [false, true] {
        let mut machine = machine();
        if started {
            machine.apply(Start, Timestamp(0)).unwrap();
        }
        let effects = machine.apply(stop(), Timestamp(1)).unwrap();
        assert_eq!(finished(&effects), Some((DeploymentStatus::Stopped, Some(ErrorCode::ManualStop))));
        let late = machine.apply(resolved(0, 3), Timestamp(2));
        assert_eq!(late, Err(DeploymentRefusal::AlreadyEnded(DeploymentStatus::Stopped)));
    }
}

#[test]
fn stopping_when_all_targets_are_at_work_ends_stopped_even_if_all_succeed() {
    let mut fleet = Fleet::begin(0, 3, HostCount(0), Pacing::RollingWindow);
    assert_eq!(fleet.step(stop()), [AbortActive(AbortReason::Stopped)]);
    let fleet = fleet.finish_in_batches(&BTreeSet::new());
    assert_eq!(fleet.ending, Some((DeploymentStatus::Stopped, Some(ErrorCode::ManualStop))));
}

#[test]
fn the_run_limit_ends_the_deployment_as_a_stop_does_but_failed_as_167() {
    let mut machine = machine();
    machine.apply(Start, Timestamp(0)).unwrap();
    machine.apply(resolved(0, 5), Timestamp(1)).unwrap();
    let limit = machine.deadline().unwrap();
    assert_eq!(machine.apply(Tick, Timestamp(limit.0 - 1)).unwrap(), []);
    let effects = machine.apply(Tick, limit).unwrap();
    assert_eq!(effects, [SkipWaiting { first: 4 }, AbortActive(AbortReason::TimedOut)]);
    assert_eq!(machine.apply(stop(), limit).unwrap(), []);
    assert!(!machine.stop_requested(), "the limit came first and decides the status");
    let effects = machine.apply(ended(4, 0, 0), limit.plus_seconds(60)).unwrap();
    assert_eq!(finished(&effects), Some((DeploymentStatus::Failed, Some(ErrorCode::Timeout))));
    assert_eq!(machine.error().unwrap().message, "The deployment timed out: it did not end within 12 hours.");
}

#[test]
fn the_run_limit_covers_the_time_before_the_fleet_is_known() {
    let mut machine = machine();
    machine.apply(Start, Timestamp(0)).unwrap();
    let effects = machine.apply(Tick, Timestamp(RUN_LIMIT_MS)).unwrap();
    assert_eq!(finished(&effects), Some((DeploymentStatus::Failed, Some(ErrorCode::Timeout))));
}

#[test]
fn more_ends_than_targets_in_flight_are_refused() {
    let mut machine = machine();
    let refused = machine.apply(ended(1, 0, 0), Timestamp(0));
    assert_eq!(refused, Err(DeploymentRefusal::MoreEndedThanInFlight { ended: 1, in_flight: 0 }));
    machine.apply(Start, Timestamp(0)).unwrap();
    machine.apply(resolved(0, 3), Timestamp(1)).unwrap();
    let refused = machine.apply(ended(u32::MAX, u32::MAX, u32::MAX), Timestamp(2));
    assert_eq!(
        refused,
        Err(DeploymentRefusal::MoreEndedThanInFlight { ended: 3 * u64::from(u32::MAX), in_flight: 2 })
    );
    assert_eq!(machine.apply(ended(0, 0, 0), Timestamp(3)).unwrap(), []);
}

#[test]
fn a_document_of_another_version_is_refused() {
    let mut document = serde_json::to_value(machine()).unwrap();
    assert_eq!(document["version"], 1);
    document["version"] = 2.into();
    let error = serde_json::from_value::<DeploymentMachine>(document).unwrap_err();
    assert!(error.to_string().contains("format version 2"), "{error}");
}
