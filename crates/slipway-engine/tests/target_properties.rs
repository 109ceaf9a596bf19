//! What holds for a target whatever agents, timers and users do to it, in any order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use slipway_engine::target::{
    AbortReason, CommandAnswer, CommandRef, Refusal, Report, TargetEvent, TargetLimits, TargetMachine,
    TargetNote, TargetStep,
};
use slipway_model::Timestamp;
use slipway_model::lifecycle::{
    Diagnostics, EventName, EventStatus, IN_PLACE, IN_PLACE_WITH_TRAFFIC_CONTROL, LifecycleEvent,
};

/// Something done to the target; commands are picked from those that were handed out, or made up.
#[derive(Debug, Clone)]
enum Deed {
    Start,
    HandOut(u64),
    NotSent(Pick),
    Acknowledge(Pick),
    Complete(Pick, bool),
    Heartbeat(Pick),
    Driven(u16, bool),
    Tick(bool),
    TickAtDeadline(bool),
    Abort(AbortReason),
    Skip,
}

#[derive(Debug, Clone)]
enum Pick {
    Newest,
    Any(Index),
    Foreign(u16, u32, u64),
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        6 => Just(Pick::Newest),
        4 => any::<Index>().prop_map(Pick::Any),
        1 => (0..14u16, 0..4u32, 0..4u64).prop_map(|(e, h, n)| Pick::Foreign(e, h, n)),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => Just(Deed::Start),
        12 => (0..4u64).prop_map(Deed::HandOut),
        2 => pick().prop_map(Deed::NotSent),
        12 => pick().prop_map(Deed::Acknowledge),
        10 => (pick(), prop::bool::weighted(0.9)).prop_map(|(p, s)| Deed::Complete(p, s)),
        1 => pick().prop_map(Deed::Heartbeat),
        3 => (0..13u16, prop::bool::weighted(0.9)).prop_map(|(e, s)| Deed::Driven(e, s)),
        2 => any::<bool>().prop_map(Deed::Tick),
        1 => any::<bool>().prop_map(Deed::TickAtDeadline),
        1 => prop_oneof![Just(AbortReason::Stopped), Just(AbortReason::TimedOut)].prop_map(Deed::Abort),
        1 => Just(Deed::Skip),
    ]
}

fn plan() -> impl Strategy<Value = &'static [EventName]> {
    prop_oneof![3 => Just(IN_PLACE), 2 => Just(IN_PLACE_WITH_TRAFFIC_CONTROL), 1 => Just([].as_slice())]
}

fn limits() -> impl Strategy<Value = TargetLimits> {
    (1..400_000i64, 1..4_000_000i64, 1..4_000_000i64, any::<bool>()).prop_map(
        |(pick_up_ms, first_pick_up_ms, event_ms, ignore_stop_failures)| TargetLimits {
            pick_up_ms,
            first_pick_up_ms,
            event_ms,
            grace_ms: 60_000,
            ignore_stop_failures,
        },
    )
}

fn report(succeeded: bool) -> Report {
    Report { succeeded, diagnostics: Diagnostics::unknown_error("said the agent") }
}

/// Reads the history, not the code.
struct Checker {
    machine: TargetMachine,
    now: Timestamp,
    handed_out: Vec<CommandRef>,
    started: BTreeSet<EventName>,
    /// Who was told `InProgress` at an acknowledgement, per event.
    owners: BTreeMap<u16, CommandRef>,
    ended: usize,
}

impl Checker {
    fn new(events: &[EventName], limits: TargetLimits) -> Self {
        Self {
            machine: TargetMachine::new(events, limits),
            now: Timestamp(0),
            handed_out: Vec::new(),
            started: BTreeSet::new(),
            owners: BTreeMap::new(),
            ended: 0,
        }
    }

    fn resolve(&self, pick: &Pick) -> Option<CommandRef> {
        match pick {
            Pick::Newest => self.handed_out.last().copied(),
            Pick::Any(_) if self.handed_out.is_empty() => None,
            Pick::Any(index) => Some(self.handed_out[index.index(self.handed_out.len())]),
            Pick::Foreign(event_index, hand_out, nonce) => {
                Some(CommandRef { event_index: *event_index, hand_out: *hand_out, nonce: *nonce })
            }
        }
    }

    fn event(&mut self, deed: &Deed) -> Option<TargetEvent> {
        Some(match deed {
            Deed::Start => TargetEvent::Start,
            Deed::HandOut(nonce) => TargetEvent::HandOut { nonce: *nonce },
            Deed::NotSent(pick) => TargetEvent::NotSent(self.resolve(pick)?),
            Deed::Acknowledge(pick) => TargetEvent::Acknowledge(self.resolve(pick)?),
            Deed::Complete(pick, succeeded) => {
                TargetEvent::Complete { command: self.resolve(pick)?, report: report(*succeeded) }
            }
            Deed::Heartbeat(pick) => TargetEvent::Heartbeat(self.resolve(pick)?),
            Deed::Driven(event_index, succeeded) => {
                TargetEvent::Driven { event_index: *event_index, report: report(*succeeded) }
            }
            Deed::Tick(host_is_full) => TargetEvent::Tick { host_is_full: *host_is_full },
            Deed::TickAtDeadline(host_is_full) => {
                self.now = self.now.max(self.machine.deadline()?);
                TargetEvent::Tick { host_is_full: *host_is_full }
            }
            Deed::Abort(reason) => TargetEvent::Abort(*reason),
            Deed::Skip => TargetEvent::Skip,
        })
    }

    fn apply(&mut self, event: &TargetEvent) -> Result<TargetStep, Refusal> {
        let before = self.machine.clone();
        // A crash at each step: what was stored goes on exactly as what was in memory.
        let stored = serde_json::to_string(&self.machine).expect("a machine is written");
        let mut restored: TargetMachine = serde_json::from_str(&stored).expect("and read");
        assert_eq!(restored, before);
        let result = self.machine.apply(event.clone(), self.now);
        assert_eq!(restored.apply(event.clone(), self.now), result);
        assert_eq!(restored, self.machine);

        match &result {
            Err(_) => assert_eq!(self.machine, before, "a refusal changes nothing"),
            Ok(step) => {
                assert_eq!(step.changed, self.machine != before, "{event:?}");
                self.check_step(event, step, &before);
            }
        }
        if before.status().is_terminal() {
            assert_eq!(self.machine, before, "ended means frozen");
        }
        self.check_state(&before);
        result
    }

    fn check_step(&mut self, event: &TargetEvent, step: &TargetStep, before: &TargetMachine) {
        if let Some((id, name)) = step.handed_out {
            assert!(!self.handed_out.contains(&id), "one id is put into one answer only");
            assert!(!self.owners.contains_key(&id.event_index), "a command that runs is not handed out");
            let offer = before.offer().expect("something was offered");
            assert_eq!((usize::from(id.event_index), name), (offer.event_index, offer.event));
            assert!(!name.is_driven(), "the agent is never given what it cannot do (AP-18)");
            self.handed_out.push(id);
        }
        for note in &step.notes {
            match note {
                TargetNote::EventStarted(name) => {
                    assert!(self.started.insert(*name), "{name} began twice");
                }
                TargetNote::TargetEnded(status) => {
                    self.ended += 1;
                    assert_eq!(step.ended, Some(*status));
                }
                TargetNote::EventEnded(..) | TargetNote::TargetStarted => {}
            }
        }
        assert!(self.ended <= 1);
        assert_eq!(
            step.ended.is_some(),
            self.machine.status().is_terminal() && !before.status().is_terminal()
        );
        assert!(!step.ready || self.machine.offer().is_some());
        if let TargetEvent::Acknowledge(id) = event {
            self.check_answer(*id, step.answer.expect("an acknowledgement is answered"), before);
        }
    }

    fn check_answer(&mut self, id: CommandRef, answer: CommandAnswer, before: &TargetMachine) {
        assert!(self.handed_out.contains(&id), "only ids that were handed out are answered");
        let owner = *self.owners.entry(id.event_index).or_insert(id);
        let running = self.machine.events()[usize::from(id.event_index)].status == EventStatus::InProgress;
        match answer {
            CommandAnswer::InProgress => {
                assert_eq!(owner, id, "two ids of one command were told to run");
                assert!(running);
                let was = before.events()[usize::from(id.event_index)].status;
                assert!(
                    matches!(was, EventStatus::Pending | EventStatus::InProgress),
                    "ran twice: it was {was}"
                );
            }
            CommandAnswer::Succeeded | CommandAnswer::Failed => {
                assert!(owner != id || !running, "the owner was told otherwise while it runs");
            }
        }
    }

    fn check_state(&self, before: &TargetMachine) {
        let events = self.machine.events();
        for (was, is) in before.events().iter().zip(events) {
            assert!(may_become(was, is), "{was:?} became {is:?}");
        }
        // In order: behind the first that has not ended all are Pending.
        let behind = events.iter().skip_while(|e| e.status.is_terminal()).skip(1);
        assert!(behind.into_iter().all(|e| e.status == EventStatus::Pending), "{events:?}");
        // Once skipped, all that follows is skipped.
        let skipped = events.iter().skip_while(|e| e.status != EventStatus::Skipped);
        assert!(skipped.into_iter().all(|e| e.status == EventStatus::Skipped), "{events:?}");

        let status = self.machine.status();
        if status.is_terminal() {
            assert!(events.iter().all(|e| e.status.is_terminal()));
            assert!(self.machine.deadline().is_none() && self.machine.offer().is_none());
        } else if self.machine.deadline().is_none() {
            assert_eq!(*before, self.machine, "only a target that waits for its turn has nothing due");
            assert!(events.iter().all(|e| e.status == EventStatus::Pending));
        }
    }
}

fn may_become(was: &LifecycleEvent, is: &LifecycleEvent) -> bool {
    use EventStatus::{Failed, InProgress, Pending, Skipped, Succeeded};
    was == is
        || was.name == is.name
            && matches!(
                (was.status, is.status),
                // Pending to Failed: nobody picked it up, or the agent could not begin (AP-35).
                (Pending, InProgress | Failed | Skipped) | (InProgress, Succeeded | Failed)
            )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_that_happens_breaks_the_protocol(
        events in plan(),
        limits in limits(),
        deeds in prop::collection::vec((deed(), 0..20_000i64), 1..150),
    ) {
        let mut checker = Checker::new(events, limits);
        for (deed, later) in deeds {
            checker.now = checker.now.plus_millis(later);
            if let Some(event) = checker.event(&deed) {
                let _ = checker.apply(&event);
            }
        }
    }

    /// No state needs anybody's help: with nothing but its timer every started target ends.
    #[test]
    fn a_started_target_ends_by_its_limits_alone(
        events in plan(),
        limits in limits(),
        deeds in prop::collection::vec((deed(), 0..20_000i64), 0..40),
    ) {
        let mut checker = Checker::new(events, limits);
        let _ = checker.apply(&TargetEvent::Start);
        for (deed, later) in deeds {
            checker.now = checker.now.plus_millis(later);
            if let Some(event) = checker.event(&deed) {
                let _ = checker.apply(&event);
            }
        }
        let mut ticks = 0;
        while let Some(deadline) = checker.machine.deadline() {
            checker.now = checker.now.max(deadline);
            let step = checker.apply(&TargetEvent::Tick { host_is_full: false }).expect("a tick is never refused");
            prop_assert!(step.changed, "a tick at the deadline moves the target");
            ticks += 1;
            prop_assert!(ticks <= 2, "first the lease, then the limit");
        }
        prop_assert!(checker.machine.status().is_terminal());
    }

    /// An agent may lose answers, repeat itself and die, but what it reports for what it was told to run is what counts.
    #[test]
    fn each_event_runs_at_most_once_on_a_host_that_repeats_everything(
        limits in limits(),
        repeats in prop::collection::vec(1..4usize, IN_PLACE.len()),
        copies in prop::collection::vec(1..3usize, IN_PLACE.len()),
    ) {
        let limits = TargetLimits { pick_up_ms: 300_000, first_pick_up_ms: 300_000, event_ms: 3_600_000, ..limits };
        let mut checker = Checker::new(IN_PLACE, limits);
        checker.apply(&TargetEvent::Start).expect("a new target starts");
        for (repeats, copies) in repeats.into_iter().zip(copies) {
            let mut told_to_run = 0;
            let mut ids = Vec::new();
            for _ in 0..copies {
                let step = checker.apply(&TargetEvent::HandOut { nonce: 7 }).expect("a command is there");
                ids.extend(step.handed_out.map(|(id, _)| id));
                checker.now = checker.now.plus_millis(60_000);
            }
            for id in &ids {
                let mut answer = None;
                for _ in 0..repeats {
                    answer = checker.apply(&TargetEvent::Acknowledge(*id)).expect("its own id").answer;
                }
                told_to_run += usize::from(answer == Some(CommandAnswer::InProgress));
            }
            prop_assert_eq!(told_to_run, 1);
            for id in ids {
                for _ in 0..repeats {
                    let event = TargetEvent::Complete { command: id, report: report(true) };
                    checker.apply(&event).expect("its own id");
                }
            }
        }
        prop_assert_eq!(checker.machine.status(), slipway_model::status::TargetStatus::Succeeded);
    }
}
