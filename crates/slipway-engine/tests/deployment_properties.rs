//! What holds for every fleet, minimum, pacing, order of completions and sequence of events. The checks after each
//! step are in [`fleet`].

mod fleet;

use std::collections::BTreeSet;

use fleet::{Fleet, PACINGS, resolved, settings};
use proptest::prelude::*;
use proptest::sample::Index;
use slipway_engine::deployment::{DeploymentEvent, DeploymentMachine, Pacing};
use slipway_model::Timestamp;
use slipway_model::config::MinimumHealthyHosts;
use slipway_model::status::{ErrorCode, ErrorInformation};

fn minimum() -> impl Strategy<Value = MinimumHealthyHosts> {
    prop_oneof![
        (0..40u32).prop_map(MinimumHealthyHosts::HostCount),
        (0..=100u32).prop_map(MinimumHealthyHosts::FleetPercent),
        Just(MinimumHealthyHosts::MostConcurrency(1)),
    ]
}

fn pacing() -> impl Strategy<Value = Pacing> {
    prop_oneof![Just(Pacing::RollingWindow), Just(Pacing::Batch)]
}

/// Lets random handfuls of the hosts in flight end together until there are none.
fn play(mut fleet: Fleet, fails: &BTreeSet<usize>, order: &[(Index, bool)]) -> Fleet {
    let mut order = order.iter().cycle();
    loop {
        let mut in_flight = fleet.in_flight();
        if in_flight.is_empty() {
            return fleet;
        }
        let mut together = Vec::new();
        for (pick, more) in order.by_ref() {
            together.push(in_flight.swap_remove(pick.index(in_flight.len())));
            if !more || in_flight.is_empty() {
                break;
            }
        }
        fleet.end(&together, fails);
    }
}

fn event() -> impl Strategy<Value = DeploymentEvent> {
    prop_oneof![
        2 => Just(DeploymentEvent::Start),
        2 => (0..6u32, 0..6u32)
            .prop_map(|(unhealthy, healthy)| resolved(unhealthy, healthy)),
        1 => (any::<u32>(), any::<u32>())
            .prop_map(|(unhealthy, healthy)| resolved(unhealthy, healthy)),
        1 => Just(DeploymentEvent::ResolveFailed(ErrorInformation {
            code: ErrorCode::InternalError,
            message: String::new()
        })),
        8 => (0..3u32, 0..3u32, 0..2u32)
            .prop_map(|(succeeded, failed, skipped)| DeploymentEvent::TargetsEnded { succeeded, failed, skipped }),
        1 => (any::<u32>(), any::<u32>(), any::<u32>())
            .prop_map(|(succeeded, failed, skipped)| DeploymentEvent::TargetsEnded { succeeded, failed, skipped }),
        1 => Just(DeploymentEvent::Stop { requested_by: "someone".into(), roll_back: None }),
        2 => Just(DeploymentEvent::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// CF 3.4, *Rolling window*: same hosts, same status, in both pacings, whatever the order.
    #[test]
    fn the_ending_depends_on_neither_pacing_nor_order(
        unhealthy in 0..15u32,
        healthy in 0..25u32,
        minimum in minimum(),
        fails in prop::collection::btree_set(0..40usize, 0..12),
        order in prop::collection::vec((any::<Index>(), any::<bool>()), 1..60),
    ) {
        let plain = Fleet::begin(unhealthy, healthy, minimum, Pacing::Batch).finish_in_batches(&fails);
        for pacing in PACINGS {
            let shuffled = play(Fleet::begin(unhealthy, healthy, minimum, pacing), &fails, &order);
            prop_assert_eq!(shuffled.ending(), plain.ending());
            prop_assert!(shuffled.peak <= (unhealthy + healthy) as usize);
        }
    }

    #[test]
    fn a_stop_at_any_moment_ends_stopped_when_the_last_host_has_ended(
        unhealthy in 0..6u32,
        healthy in 1..12u32,
        pacing in pacing(),
        fails in prop::collection::btree_set(0..18usize, 0..4),
        completions in 0..12usize,
    ) {
        let mut fleet = Fleet::begin(unhealthy, healthy, MinimumHealthyHosts::FleetPercent(40), pacing);
        for _ in 0..completions {
            if let Some(host) = fleet.in_flight().first().copied() {
                fleet.end(&[host], &fails);
            }
        }
        prop_assume!(fleet.ending.is_none());
        let before = fleet.starts.len();
        fleet.step(DeploymentEvent::Stop { requested_by: "someone".into(), roll_back: None });
        let fleet = fleet.finish_in_order(&fails);
        prop_assert_eq!(fleet.ending().code, Some(ErrorCode::ManualStop));
        prop_assert_eq!(fleet.starts.len(), before, "nothing starts after a stop");
    }

    #[test]
    fn apply_is_total_and_a_refusal_changes_nothing(
        minimum in minimum(),
        pacing in pacing(),
        events in prop::collection::vec((event(), 0..20_000_000i64), 0..60),
    ) {
        let mut machine = DeploymentMachine::new(settings(minimum, pacing));
        let mut now = Timestamp(0);
        for (event, later) in events {
            now = now.plus_millis(later);
            let before = machine.clone();
            let mut restored: DeploymentMachine =
                serde_json::from_str(&serde_json::to_string(&machine).unwrap()).unwrap();
            let result = machine.apply(event.clone(), now);
            prop_assert_eq!(restored.apply(event, now), result.clone());
            prop_assert_eq!(&restored, &machine);
            if before.status().is_terminal() || result.is_err() {
                prop_assert_eq!(&machine, &before, "finished means frozen");
            }
            let c = machine.counters();
            let all = [c.pending, c.in_progress, c.succeeded, c.failed, c.skipped];
            prop_assert!(all.iter().map(|n| u64::from(*n)).sum::<u64>() <= 100_000);
            prop_assert_eq!(machine.completed().is_some(), machine.status().is_terminal());
        }
    }
}
