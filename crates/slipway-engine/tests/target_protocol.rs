//! One target against an agent that does as the protocol says, and against all the ways in which it does not
//! (AP-34..AP-38, AS-164..AS-167, DP-009, D-22, D-23).

use slipway_engine::target::TargetEvent::{
    Abort, Acknowledge, Complete, Driven, HandOut, Heartbeat, NotSent, Skip, Start, Tick,
};
use slipway_engine::target::{
    AbortReason, CommandAnswer, CommandRef, EVENT_GRACE_MS, Refusal, Report, TargetEvent, TargetLimits,
    TargetMachine, TargetNote, TargetStep,
};
use slipway_engine::text;
use slipway_model::Timestamp;
use slipway_model::lifecycle::{
    Diagnostics, EventName, EventStatus, IN_PLACE, IN_PLACE_WITH_TRAFFIC_CONTROL, LifecycleErrorCode,
};
use slipway_model::status::TargetStatus;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;

const LIMITS: TargetLimits = TargetLimits {
    pick_up_ms: 5 * MINUTE,
    first_pick_up_ms: 5 * MINUTE,
    event_ms: 60 * MINUTE,
    grace_ms: EVENT_GRACE_MS,
    ignore_stop_failures: false,
};

/// A target and a clock.
struct Bench {
    machine: TargetMachine,
    now: Timestamp,
}

impl Bench {
    fn new(events: &[EventName], limits: TargetLimits) -> Self {
        Self { machine: TargetMachine::new(events, limits), now: Timestamp(1_000_000) }
    }

    /// Started, in place, default limits.
    fn started() -> Self {
        let mut bench = Self::new(IN_PLACE, LIMITS);
        bench.ok(Start);
        bench
    }

    /// Started, and the first event was handed out and acknowledged.
    fn running() -> (Self, CommandRef) {
        let mut bench = Self::started();
        let id = bench.take();
        bench.ok(Acknowledge(id));
        (bench, id)
    }

    fn apply(&mut self, event: TargetEvent) -> Result<TargetStep, Refusal> {
        self.machine.apply(event, self.now)
    }

    fn ok(&mut self, event: TargetEvent) -> TargetStep {
        self.apply(event).expect("the event is not refused")
    }

    fn after(&mut self, millis: i64) -> &mut Self {
        self.now = self.now.plus_millis(millis);
        self
    }

    /// Lets time pass until the deadline and says so.
    fn tick_at_deadline(&mut self) -> TargetStep {
        self.now = self.machine.deadline().expect("a deadline");
        self.ok(Tick { host_is_full: false })
    }

    fn take(&mut self) -> CommandRef {
        self.ok(HandOut { nonce: 0x5eed }).handed_out.expect("a command").0
    }

    fn answer(&mut self, id: CommandRef) -> Option<CommandAnswer> {
        self.ok(Acknowledge(id)).answer
    }

    /// The way of an undisturbed command.
    fn run(&mut self, report: Report) -> TargetStep {
        let id = self.take();
        assert_eq!(self.answer(id), Some(CommandAnswer::InProgress));
        self.after(SECOND).ok(Complete { command: id, report })
    }

    fn statuses(&self) -> Vec<EventStatus> {
        self.machine.events().iter().map(|e| e.status).collect()
    }

    fn frozen(&mut self) {
        let before = self.machine.clone();
        for event in [
            HandOut { nonce: 1 },
            Start,
            Skip,
            Abort(AbortReason::Stopped),
            Tick { host_is_full: false },
            Driven { event_index: 0, report: succeeded() },
        ] {
            let _ = self.after(100 * MINUTE).apply(event);
            assert_eq!(self.machine, before, "ended means frozen");
        }
        assert!(!self.machine.outstanding() && self.machine.offer().is_none());
        assert_eq!(self.machine.deadline(), None);
    }
}

fn diagnostics(error_code: LifecycleErrorCode, message: &str) -> Diagnostics {
    Diagnostics { error_code, script_name: String::new(), message: message.into(), log_tail: String::new() }
}

fn succeeded() -> Report {
    Report { succeeded: true, diagnostics: diagnostics(LifecycleErrorCode::Success, "Succeeded") }
}

fn failed(message: &str) -> Report {
    Report { succeeded: false, diagnostics: diagnostics(LifecycleErrorCode::ScriptFailed, message) }
}

const fn complete(command: CommandRef, report: Report) -> TargetEvent {
    Complete { command, report }
}

use EventStatus::{Failed, InProgress, Pending, Skipped, Succeeded};

#[test]
fn an_obedient_host_walks_through_all_events_in_order_as_225() {
    let mut bench = Bench::new(IN_PLACE, LIMITS);
    assert_eq!(bench.machine.status(), TargetStatus::Pending);
    assert_eq!((bench.machine.offer(), bench.machine.deadline()), (None, None));
    let step = bench.ok(Start);
    assert!(step.ready && step.changed);
    assert_eq!(step.notes, [TargetNote::TargetStarted]);
    for (index, name) in IN_PLACE.iter().enumerate() {
        let offer = bench.machine.offer().expect("a command");
        assert_eq!((offer.event_index, offer.event, offer.available_at), (index, *name, bench.now));
        let step = bench.run(succeeded());
        let last = index + 1 == IN_PLACE.len();
        assert_eq!((step.ready, step.ended), (!last, last.then_some(TargetStatus::Succeeded)));
        assert_eq!(step.notes[0], TargetNote::EventEnded(*name, Succeeded));
    }
    assert_eq!(bench.machine.status(), TargetStatus::Succeeded);
    let first = &bench.machine.events()[0];
    assert_eq!(first.end.expect("ended").millis_since(first.start.expect("begun")), SECOND);
    bench.frozen();
}

#[test]
fn a_failed_event_fails_the_target_and_skips_the_rest() {
    let mut bench = Bench::started();
    bench.run(succeeded());
    let step = bench.run(failed("no space left"));
    assert_eq!(step.ended, Some(TargetStatus::Failed));
    assert_eq!(bench.statuses(), [Succeeded, Failed, Skipped, Skipped, Skipped, Skipped, Skipped]);
    let shown = bench.machine.events()[1].diagnostics.as_ref().expect("diagnostics");
    assert_eq!(shown.message, "no space left");
    bench.frozen();
}

#[test]
fn ignored_stop_failures_stay_visible_and_the_target_goes_on_dp_009() {
    let mut bench = Bench::new(IN_PLACE, TargetLimits { ignore_stop_failures: true, ..LIMITS });
    bench.ok(Start);
    let step = bench.run(failed("stop failed"));
    assert!(step.ready && step.ended.is_none());
    assert_eq!(bench.statuses()[..2], [Failed, Pending]);
    for _ in 1..IN_PLACE.len() {
        bench.run(succeeded());
    }
    assert_eq!(bench.machine.status(), TargetStatus::Succeeded);
    assert_eq!(bench.statuses()[0], Failed);
}

#[test]
fn only_the_events_that_stop_the_application_may_be_ignored_as_091() {
    let mut bench = Bench::new(IN_PLACE, TargetLimits { ignore_stop_failures: true, ..LIMITS });
    bench.ok(Start);
    bench.run(succeeded());
    assert_eq!(bench.run(failed("x")).ended, Some(TargetStatus::Failed));
}

#[test]
fn a_repeated_acknowledgement_of_the_owner_is_always_in_progress_ap_36() {
    let (mut bench, id) = Bench::running();
    let before = bench.machine.clone();
    for _ in 0..5 {
        assert_eq!(bench.after(MINUTE).answer(id), Some(CommandAnswer::InProgress));
    }
    assert_eq!(bench.machine, before, "a repeat neither restarts the limit nor the event");
}

#[test]
fn of_two_copies_the_first_acknowledged_runs_and_the_other_is_skipped_ap_37() {
    for late_copy_first in [false, true] {
        let mut bench = Bench::started();
        let first = bench.take();
        let second = bench.after(30 * SECOND).take();
        assert_ne!(first, second, "every hand-out has a new id");
        let (owner, other) = if late_copy_first { (second, first) } else { (first, second) };
        assert_eq!(bench.answer(owner), Some(CommandAnswer::InProgress));
        assert_eq!(bench.answer(other), Some(CommandAnswer::Succeeded));
        assert_eq!(bench.answer(owner), Some(CommandAnswer::InProgress));
        let step = bench.ok(complete(other, failed("the copy")));
        assert!(!step.changed, "a report of another id is accepted and ignored");
        assert!(bench.ok(complete(owner, succeeded())).changed);
        assert_eq!(bench.statuses()[0], Succeeded);
    }
}

#[test]
fn late_reports_and_acknowledgements_of_an_ended_event_change_nothing_ap_15() {
    let (mut bench, id) = Bench::running();
    bench.ok(complete(id, succeeded()));
    let before = bench.machine.clone();
    assert!(!bench.ok(complete(id, failed("again"))).changed);
    // Its work is done: Succeeded makes the agent skip it in silence, so that it cannot run twice.
    assert_eq!(bench.answer(id), Some(CommandAnswer::Succeeded));
    assert_eq!(bench.machine, before);
}

#[test]
fn the_lease_doubles_from_30_seconds_to_4_minutes_ap_38() {
    let limits = TargetLimits { first_pick_up_ms: 60 * MINUTE, ..LIMITS };
    let mut bench = Bench::new(IN_PLACE, limits);
    bench.ok(Start);
    for lease in [30, 60, 120, 240, 240] {
        bench.take();
        assert!(bench.machine.outstanding());
        let available_at = bench.now.plus_seconds(lease);
        assert_eq!(bench.machine.offer().map(|o| o.available_at), Some(available_at));
        assert_eq!(bench.apply(HandOut { nonce: 1 }), Err(Refusal::NotOffered));
        assert!(!bench.after(lease * SECOND - 1).ok(Tick { host_is_full: false }).changed);
        let step = bench.tick_at_deadline();
        assert!(step.ready, "the host's poll is woken");
        assert!(!bench.machine.outstanding(), "an abandoned command blocks no other deployment of the host");
    }
}

#[test]
fn a_lapsed_lease_may_be_taken_over_before_its_tick() {
    let mut bench = Bench::started();
    bench.take();
    let second = bench.after(30 * SECOND).take();
    assert_eq!(second.hand_out, 2);
    let available_at = bench.now.plus_seconds(60);
    assert_eq!(bench.machine.offer().map(|o| o.available_at), Some(available_at));
}

#[test]
fn an_answer_that_could_not_be_written_offers_the_command_at_once_but_keeps_the_id() {
    let mut bench = Bench::started();
    let first = bench.take();
    let step = bench.ok(NotSent(first));
    assert!(step.ready);
    assert!(!bench.ok(NotSent(first)).changed);
    let second = bench.take();
    assert_eq!(bench.machine.offer().map(|o| o.available_at), Some(bench.now.plus_seconds(30)));
    assert!(!bench.ok(NotSent(first)).changed, "the first poll says nothing about the second");
    // It had arrived after all.
    assert_eq!(bench.answer(first), Some(CommandAnswer::InProgress));
    assert!(!bench.ok(NotSent(second)).changed);
    assert_eq!(bench.answer(second), Some(CommandAnswer::Succeeded));
}

#[test]
fn nobody_there_fails_the_first_event_after_5_minutes_as_164() {
    let mut bench = Bench::started();
    let start = bench.now;
    let step = bench.tick_at_deadline();
    assert_eq!(bench.now.millis_since(start), 5 * MINUTE);
    assert_eq!(step.ended, Some(TargetStatus::Failed));
    let first = &bench.machine.events()[0];
    let shown = first.diagnostics.as_ref().expect("diagnostics");
    assert_eq!((first.status, shown.message.as_str()), (Failed, text::NOT_PICKED_UP));
    assert_eq!(shown.error_code, LifecycleErrorCode::UnknownError);
    assert_eq!(first.start, None, "it never began");
    assert!(bench.statuses()[1..].iter().all(|s| *s == Skipped));
    bench.frozen();
}

#[test]
fn hand_outs_do_not_restart_the_pick_up_limit_as_164() {
    let mut bench = Bench::started();
    let start = bench.now;
    let mut ids = Vec::new();
    while bench.machine.status() == TargetStatus::InProgress {
        if let Ok(step) = bench.apply(HandOut { nonce: 1 }) {
            ids.extend(step.handed_out.map(|(id, _)| id));
        }
        bench.tick_at_deadline();
    }
    assert_eq!(bench.now.millis_since(start), 5 * MINUTE);
    assert_eq!(ids.len(), 4, "after 0, 30, 90 and 210 seconds");
    for id in ids {
        assert_eq!(bench.answer(id), Some(CommandAnswer::Failed), "what timed out must not run");
    }
    bench.frozen();
}

#[test]
fn a_launch_deployment_waits_an_hour_for_its_first_event_only_as_165() {
    let mut bench = Bench::new(IN_PLACE, TargetLimits { first_pick_up_ms: 60 * MINUTE, ..LIMITS });
    bench.ok(Start);
    assert_eq!(bench.machine.deadline(), Some(bench.now.plus_millis(60 * MINUTE)));
    bench.run(succeeded());
    assert_eq!(bench.machine.deadline(), Some(bench.now.plus_millis(5 * MINUTE)));
}

#[test]
fn a_full_host_extends_the_limit_of_waiting_commands_ap_38() {
    let mut bench = Bench::started();
    for _ in 0..3 {
        bench.now = bench.machine.deadline().expect("a deadline");
        let step = bench.ok(Tick { host_is_full: true });
        assert!(step.changed && step.ended.is_none());
        assert_eq!(bench.machine.deadline(), Some(bench.now.plus_millis(5 * MINUTE)));
    }
    let step = bench.tick_at_deadline();
    assert_eq!(step.ended, Some(TargetStatus::Failed), "a free place that nobody used");
}

#[test]
fn hosts_do_not_pay_for_the_absence_of_the_control_plane_ap_41() {
    for away_for in [25 * SECOND, 60 * MINUTE] {
        let mut bench = Bench::new(IN_PLACE, TargetLimits { first_pick_up_ms: 20 * SECOND, ..LIMITS });
        bench.ok(Start);
        let id = bench.take();
        let step = bench.after(away_for).ok(Tick { host_is_full: true });
        assert_eq!(step.ended, None);
        let lapsed = away_for >= 30 * SECOND;
        assert_eq!((step.ready, bench.machine.outstanding()), (lapsed, !lapsed));
        assert_eq!(bench.answer(id), Some(CommandAnswer::InProgress));
    }
}

#[test]
fn a_command_whose_limit_was_extended_is_offered_again() {
    let mut bench = Bench::started();
    bench.after(5 * MINUTE);
    assert_eq!(bench.apply(HandOut { nonce: 1 }), Err(Refusal::NotOffered));
    assert!(bench.ok(Tick { host_is_full: true }).ready, "a poll that was turned away is woken");
    bench.take();
}

#[test]
fn nothing_is_handed_out_past_the_pick_up_limit() {
    let mut bench = Bench::started();
    bench.after(5 * MINUTE);
    assert_eq!(bench.apply(HandOut { nonce: 1 }), Err(Refusal::NotOffered));
}

#[test]
fn an_event_may_run_its_limit_and_a_minute_of_grace_d_22() {
    let (mut bench, id) = Bench::running();
    bench.after(60 * MINUTE);
    assert!(!bench.ok(Tick { host_is_full: false }).changed, "the agent's own report comes first");
    let start = bench.machine.events()[0].start.expect("begun");
    let step = bench.tick_at_deadline();
    assert_eq!(bench.now.millis_since(start), 61 * MINUTE);
    assert_eq!(step.ended, Some(TargetStatus::Failed));
    let shown = bench.machine.events()[0].diagnostics.clone().expect("diagnostics");
    assert!(shown.message.contains("timed out") && shown.message.contains("1 hour"), "{}", shown.message);
    assert_eq!(bench.answer(id), Some(CommandAnswer::Failed));
    assert!(!bench.ok(complete(id, succeeded())).changed, "too late");
    bench.frozen();
}

#[test]
fn a_passed_limit_is_not_ignored_in_application_stop() {
    let mut bench = Bench::new(IN_PLACE, TargetLimits { ignore_stop_failures: true, ..LIMITS });
    bench.ok(Start);
    assert_eq!(bench.tick_at_deadline().ended, Some(TargetStatus::Failed));
}

#[test]
fn a_report_that_comes_before_the_tick_counts_even_past_the_limit() {
    let (mut bench, id) = Bench::running();
    bench.after(100 * MINUTE);
    assert!(bench.ok(complete(id, succeeded())).ready);
}

#[test]
fn an_unacknowledged_failure_of_the_newest_hand_out_ends_the_event_ap_35() {
    for lapsed in [false, true] {
        let mut bench = Bench::started();
        let first = bench.take();
        let second = bench.after(30 * SECOND).take();
        if lapsed {
            bench.after(60 * SECOND).ok(Tick { host_is_full: false });
        }
        assert!(!bench.ok(complete(first, failed("old"))).changed, "not the newest");
        assert!(
            !bench.ok(complete(second, succeeded())).changed,
            "a success that was never begun proves nothing"
        );
        let step = bench.ok(complete(second, failed("The AppSpec file is invalid")));
        assert_eq!(step.ended, Some(TargetStatus::Failed));
        assert_eq!(bench.statuses()[0], Failed);
        // Nothing is left to run, and the first copy must not.
        assert_eq!(bench.answer(first), Some(CommandAnswer::Succeeded));
    }
}

#[test]
fn commands_that_were_never_handed_out_are_foreign() {
    let (mut bench, id) = Bench::running();
    for foreign in [
        CommandRef { nonce: id.nonce ^ 1, ..id },
        CommandRef { hand_out: 0, ..id },
        CommandRef { hand_out: 2, ..id },
        CommandRef { event_index: 1, ..id },
        CommandRef { event_index: u16::MAX, ..id },
    ] {
        for event in
            [Acknowledge(foreign), complete(foreign, succeeded()), Heartbeat(foreign), NotSent(foreign)]
        {
            let before = bench.machine.clone();
            assert_eq!(bench.apply(event.clone()), Err(Refusal::ForeignCommand), "{event:?}");
            assert_eq!(bench.machine, before);
        }
    }
}

#[test]
fn a_heartbeat_tells_the_status_and_extends_nothing_ap_17() {
    let mut bench = Bench::started();
    let first = bench.take();
    assert_eq!(bench.ok(Heartbeat(first)).answer, None);
    let second = bench.after(30 * SECOND).take();
    bench.ok(Acknowledge(second));
    let before = bench.machine.clone();
    assert_eq!(bench.after(MINUTE).ok(Heartbeat(second)).answer, Some(CommandAnswer::InProgress));
    assert_eq!(bench.ok(Heartbeat(first)).answer, Some(CommandAnswer::Succeeded));
    assert_eq!(bench.machine, before);
}

#[test]
fn a_stop_before_anything_ran_skips_the_target_cf_016() {
    let mut waiting = Bench::new(IN_PLACE, LIMITS);
    assert_eq!(waiting.ok(Abort(AbortReason::Stopped)).ended, Some(TargetStatus::Skipped));
    waiting.frozen();
    let mut ready = Bench::started();
    assert_eq!(ready.ok(Abort(AbortReason::Stopped)).ended, Some(TargetStatus::Skipped));
    ready.frozen();
    let mut delivered = Bench::started();
    let id = delivered.take();
    assert_eq!(delivered.ok(Abort(AbortReason::TimedOut)).ended, Some(TargetStatus::Skipped));
    assert_eq!(delivered.answer(id), Some(CommandAnswer::Failed));
    assert!(delivered.statuses().iter().all(|s| *s == Skipped));
    // AP-13: after `Failed` the Ruby agent completes a no-op all the same.
    assert!(!delivered.ok(complete(id, succeeded())).changed);
    delivered.frozen();
}

#[test]
fn a_stop_between_two_events_leaves_a_failed_host_dp_123() {
    for handed_out in [false, true] {
        let mut bench = Bench::started();
        bench.run(succeeded());
        if handed_out {
            bench.take();
        }
        assert_eq!(bench.ok(Abort(AbortReason::Stopped)).ended, Some(TargetStatus::Failed));
        assert_eq!(bench.statuses(), [Succeeded, Skipped, Skipped, Skipped, Skipped, Skipped, Skipped]);
        bench.frozen();
    }
}

#[test]
fn a_stop_awaits_the_running_event_and_starts_no_other() {
    for report in [succeeded(), failed("x")] {
        let (mut bench, id) = Bench::running();
        let deadline = bench.machine.deadline();
        let step = bench.ok(Abort(AbortReason::Stopped));
        assert!(step.changed && step.ended.is_none());
        assert!(!bench.ok(Abort(AbortReason::TimedOut)).changed);
        assert_eq!(bench.machine.deadline(), deadline);
        assert_eq!(bench.answer(id), Some(CommandAnswer::InProgress), "it was told so, and it runs");
        let status = if report.succeeded { Succeeded } else { Failed };
        assert_eq!(bench.ok(complete(id, report)).ended, Some(TargetStatus::Failed));
        assert_eq!(bench.statuses()[0], status);
        assert!(bench.statuses()[1..].iter().all(|s| *s == Skipped));
        bench.frozen();
    }
}

#[test]
fn a_stop_during_the_last_event_lets_it_decide() {
    let mut bench = Bench::started();
    for _ in 1..IN_PLACE.len() {
        bench.run(succeeded());
    }
    let id = bench.take();
    bench.ok(Acknowledge(id));
    bench.ok(Abort(AbortReason::Stopped));
    assert_eq!(bench.ok(complete(id, succeeded())).ended, Some(TargetStatus::Succeeded));
}

#[test]
fn a_stopped_event_still_has_its_limit() {
    let (mut bench, _) = Bench::running();
    bench.ok(Abort(AbortReason::Stopped));
    assert_eq!(bench.tick_at_deadline().ended, Some(TargetStatus::Failed));
}

#[test]
fn skip_and_start_belong_to_a_waiting_target() {
    let mut bench = Bench::new(IN_PLACE, LIMITS);
    let step = bench.ok(Skip);
    assert_eq!(step.notes, [TargetNote::TargetEnded(TargetStatus::Skipped)], "no note per skipped event");
    assert!(bench.statuses().iter().all(|s| *s == Skipped));
    let mut started = Bench::started();
    for target in [&mut bench, &mut started] {
        assert_eq!(target.apply(Start), Err(Refusal::AlreadyStarted));
        assert_eq!(target.apply(Skip), Err(Refusal::AlreadyStarted));
    }
}

#[test]
fn the_control_plane_drives_traffic_events_itself_ap_18() {
    let mut bench = Bench::new(IN_PLACE_WITH_TRAFFIC_CONTROL, LIMITS);
    bench.ok(Start);
    let step = bench.run(succeeded());
    assert_eq!(step.drive, Some((1, EventName::BlockTraffic)));
    assert!(!step.ready && bench.machine.offer().is_none() && !bench.machine.outstanding());
    assert_eq!(bench.machine.driving(), step.drive);
    assert_eq!(bench.statuses()[1], InProgress);
    assert!(!bench.ok(Driven { event_index: 0, report: failed("late") }).changed);
    let step = bench.ok(Driven { event_index: 1, report: succeeded() });
    assert!(step.ready);
    assert!(!bench.ok(Driven { event_index: 1, report: failed("twice") }).changed);
    assert_eq!(bench.machine.offer().map(|o| o.event), Some(EventName::AfterBlockTraffic));
}

#[test]
fn a_driver_that_never_answers_fails_the_target() {
    let mut bench = Bench::new(&[EventName::BlockTraffic, EventName::ApplicationStop], LIMITS);
    assert_eq!(bench.ok(Start).drive, Some((0, EventName::BlockTraffic)));
    let step = bench.tick_at_deadline();
    assert_eq!(step.ended, Some(TargetStatus::Failed));
    bench.frozen();
}

#[test]
fn a_plan_without_events_succeeds_at_once() {
    let mut bench = Bench::new(&[], LIMITS);
    assert_eq!(bench.ok(Start).ended, Some(TargetStatus::Succeeded));
}

#[test]
fn a_clock_set_back_makes_no_event_end_before_it_began() {
    let (mut bench, id) = Bench::running();
    bench.after(-100 * MINUTE).ok(complete(id, succeeded()));
    let first = &bench.machine.events()[0];
    assert_eq!(first.end, first.start);
    bench.take();
}

#[test]
fn a_waiting_target_is_small_when_stored() {
    let stored = serde_json::to_string(&TargetMachine::new(IN_PLACE, LIMITS)).expect("written");
    assert!(stored.len() < 320, "{} bytes: {stored}", stored.len());
}

#[test]
fn documents_that_would_break_the_machine_are_refused() {
    let mut bench = Bench::started();
    bench.take();
    let good = serde_json::to_value(&bench.machine).expect("written");
    for (pointer, value) in [
        ("/version", serde_json::json!(2)),
        ("/state/Delivered/event", serde_json::json!(7)),
        ("/commands/0/event", serde_json::json!(7)),
        ("/plan", serde_json::json!([])),
        ("/state", serde_json::json!("Lost")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).expect(pointer) = value;
        assert!(serde_json::from_value::<TargetMachine>(bad).is_err(), "{pointer}");
    }
    assert_eq!(serde_json::from_value::<TargetMachine>(good).ok(), Some(bench.machine));
}
