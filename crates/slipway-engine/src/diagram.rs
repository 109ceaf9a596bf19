//! The diagrams of `docs/engine.md` show exactly the ways that the machines can go: both are walked through from the
//! beginning with every event, and the edges must be those of the diagrams.

use std::collections::{BTreeMap, BTreeSet};

use slipway_model::Timestamp;
use slipway_model::config::MinimumHealthyHosts;
use slipway_model::lifecycle::{Diagnostics, EventName};
use slipway_model::status::{ErrorCode, ErrorInformation};
use slipway_model::zones::ZonalConfig;

use crate::deployment::{
    DeploymentEvent, DeploymentMachine, DeploymentSettings, FollowUp, Pacing, ZoneHosts,
};
use crate::target::{AbortReason, CommandRef, Report, TargetEvent, TargetLimits, TargetMachine};

/// From where, on what, to where.
type Edge = (String, String, String);

const PAGE: &str = include_str!("../../../docs/engine.md");

/// The edges of the diagram under a heading.
fn drawn(heading: &str) -> BTreeSet<Edge> {
    let (_, section) = PAGE.split_once(heading).expect("the heading");
    let (_, diagram) = section.split_once("stateDiagram-v2").expect("a diagram");
    let (diagram, _) = diagram.split_once("```").expect("its end");
    let mut edges = BTreeSet::new();
    for line in diagram.lines().map(str::trim).filter(|line| line.contains("-->") && !line.contains("[*]")) {
        let (from, rest) = line.split_once(" --> ").expect("an arrow");
        let (to, events) = rest.split_once(": ").expect("its events");
        for event in events.split(", ") {
            edges.insert((from.to_owned(), event.to_owned(), to.to_owned()));
        }
    }
    edges
}

fn show(edges: &BTreeSet<Edge>) -> String {
    let mut lines: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (from, event, to) in edges {
        lines.entry((from, to)).or_default().push(event);
    }
    let line = |((from, to), events): (&(&str, &str), &Vec<&str>)| {
        format!("    {from} --> {to}: {}", events.join(", "))
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn assert_drawn(heading: &str, walked: &BTreeSet<Edge>) {
    let drawn = drawn(heading);
    assert_eq!(&drawn, walked, "docs/engine.md, {heading}: the machine goes\n{}", show(walked));
}

/// Everywhere that `step` leads from `start`, up to so many events.
fn walk<M: Clone + serde::Serialize>(
    starts: Vec<M>,
    depth: usize,
    place: impl Fn(&M) -> &'static str,
    events: impl Fn(&M, i64) -> Vec<(&'static str, M)>,
) -> BTreeSet<Edge> {
    let mut edges = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut here = starts;
    for round in 1..=depth {
        // Time goes on, less than any limit.
        let now = round as i64 * 1000;
        let mut next = Vec::new();
        for machine in here {
            for (event, after) in events(&machine, now) {
                let (from, to) = (place(&machine), place(&after));
                if from != to {
                    edges.insert((from.to_owned(), event.to_owned(), to.to_owned()));
                }
                if seen.insert(serde_json::to_string(&after).expect("plain data")) {
                    next.push(after);
                }
            }
        }
        here = next;
    }
    edges
}

#[test]
fn the_diagram_of_a_deployment_is_what_it_does() {
    let settings = |zonal, minimum| DeploymentSettings {
        minimum,
        pacing: Pacing::RollingWindow,
        run_limit_ms: 1_000_000,
        max_targets: 10,
        group_name: "g".into(),
        zonal,
        follow_up: FollowUp::default(),
    };
    let watched = ZonalConfig { monitor_seconds: Some(10), ..ZonalConfig::default() };
    let starts = [None, Some(watched), Some(ZonalConfig::default())]
        .into_iter()
        .flat_map(|zonal| {
            [MinimumHealthyHosts::HostCount(0), MinimumHealthyHosts::HostCount(1)]
                .map(|minimum| DeploymentMachine::new(settings(zonal, minimum)))
        })
        .collect();
    let zone = |healthy, current| ZoneHosts { unhealthy: 0, healthy, current };
    let edges = walk(starts, 7, DeploymentMachine::place, |machine, now| {
        let ended = |succeeded, failed| DeploymentEvent::TargetsEnded { succeeded, failed, skipped: 0 };
        let error = ErrorInformation { code: ErrorCode::InternalError, message: String::new() };
        let events = [
            ("Start", DeploymentEvent::Start, 1),
            ("FleetResolved", DeploymentEvent::FleetResolved(vec![zone(2, 0), zone(1, 0)]), 2),
            ("FleetResolved", DeploymentEvent::FleetResolved(vec![zone(0, 2)]), 2),
            ("FleetResolved", DeploymentEvent::FleetResolved(Vec::new()), 2),
            ("ResolveFailed", DeploymentEvent::ResolveFailed(error), 2),
            ("TargetsEnded", ended(1, 0), 3),
            ("TargetsEnded", ended(0, 1), 3),
            ("Stop", DeploymentEvent::Stop { requested_by: "me".into(), roll_back: None }, 3),
            ("Alarm", DeploymentEvent::Alarm { names: vec!["hot".into()] }, 3),
            ("Tick", DeploymentEvent::Tick, 20_000),
            ("Tick", DeploymentEvent::Tick, 2_000_000),
        ];
        let steps = events.into_iter().filter_map(|(name, event, at)| {
            let mut after = machine.clone();
            after.apply(event, Timestamp(now + at)).ok().map(|_| (name, after))
        });
        steps.collect()
    });
    assert_drawn("## A deployment", &edges);
}

#[test]
fn the_diagram_of_a_target_is_what_it_does() {
    let limits = TargetLimits {
        pick_up_ms: 100_000,
        first_pick_up_ms: 100_000,
        event_ms: 10,
        grace_ms: 0,
        ignore_stop_failures: false,
    };
    let plans: [&[EventName]; 3] = [
        &[EventName::ApplicationStop, EventName::Install],
        &[EventName::BlockTraffic, EventName::Install],
        &[EventName::ApplicationStop, EventName::BlockTraffic],
    ];
    let starts = plans.map(|plan| TargetMachine::new(plan, limits)).to_vec();
    let edges = walk(starts, 8, TargetMachine::place, |machine, now| {
        let report = |succeeded| Report { succeeded, diagnostics: Diagnostics::unknown_error("x") };
        let mut events = vec![
            ("Start", TargetEvent::Start, 1),
            ("Skip", TargetEvent::Skip, 1),
            ("Abort", TargetEvent::Abort(AbortReason::Stopped), 1),
            ("HandOut", TargetEvent::HandOut { nonce: 7 }, 2),
            // A lease passes; so do all limits.
            ("lease passes", TargetEvent::Tick { host_is_full: false }, 40_000),
            ("limit passes", TargetEvent::Tick { host_is_full: false }, 10_000_000),
        ];
        for event_index in 0..2 {
            let command = CommandRef { event_index, hand_out: 1, nonce: 7 };
            events.push(("NotSent", TargetEvent::NotSent(command), 3));
            events.push(("Acknowledge", TargetEvent::Acknowledge(command), 3));
            for (name, succeeded) in [("Succeeded", true), ("Failed", false)] {
                events.push((name, TargetEvent::Complete { command, report: report(succeeded) }, 4));
                events.push((name, TargetEvent::Driven { event_index, report: report(succeeded) }, 4));
            }
        }
        let steps = events.into_iter().filter_map(|(name, event, at)| {
            // Limits of an event are short here, a lease is long: each name stands for its own passing.
            let runs = matches!(machine.place(), "Running" | "Driving" | "Stopping");
            if runs && name == "lease passes" {
                return None;
            }
            let mut after = machine.clone();
            after.apply(event, Timestamp(now + at)).ok().map(|_| (name, after))
        });
        steps.collect()
    });
    assert_drawn("## A target", &edges);
}
