//! The target machine: one host of one deployment on its way through the lifecycle events.
//!
//! Its state is the list of events with their statuses and where the current one stands:
//!
//! | state | leaves it on | to |
//! |---|---|---|
//! | `Pending` | [`Start`](TargetEvent::Start) | `Ready`, or `Driving` for an event of the control plane |
//! | | [`Skip`](TargetEvent::Skip), [`Abort`](TargetEvent::Abort) | ended Skipped |
//! | `Ready` | [`HandOut`](TargetEvent::HandOut) | `Delivered` with a new command id and a lease |
//! | `Delivered` | [`NotSent`](TargetEvent::NotSent), lease passes | `Ready`; the id stays acknowledgeable |
//! | `Ready`, `Delivered` | first [`Acknowledge`](TargetEvent::Acknowledge) of any hand-out | `Running`, owned by it |
//! | | Failed [`Complete`](TargetEvent::Complete) of the newest hand-out | event Failed (AP-35) |
//! | | pick-up limit passes | event and target Failed (AS-164) |
//! | | `Abort` | rest Skipped; target Failed if an event had run, else Skipped |
//! | `Running` | `Complete` of the owner | next event, or the end |
//! | | limit passes | event and target Failed (D-22) |
//! | | `Abort` | stays; its result is awaited, the rest is then Skipped |
//! | `Driving` | [`Driven`](TargetEvent::Driven), limit, `Abort` | as `Running` |
//!
//! What an acknowledgement is answered (AP-36, AP-37, D-23):
//!
//! | the command's event | the id | answer |
//! |---|---|---|
//! | waits to be picked up | any | `InProgress`; the id owns the command from now on |
//! | runs | the owner | `InProgress`, however often it asks |
//! | runs | another one | `Succeeded`: that copy is skipped in silence |
//! | was ended by a report | any | `Succeeded`: there is nothing left to run, and nothing may run twice |
//! | was ended by a limit or a stop | any | `Failed` |
//!
//! A target that was stopped before its first event was acknowledged is Skipped: nothing ran there and its health
//! stays (CF-016). Stopped later it is Failed unless the event that was running was the last one and succeeded: the
//! host was left half-way (DP-123) and must be the first in the next deployment.

mod command;
mod ending;
mod pick_up;
mod report;
mod stored;

use serde::{Deserialize, Serialize};
use slipway_model::Timestamp;
use slipway_model::lifecycle::{Diagnostics, EventName, EventStatus, LifecycleEvent};
use slipway_model::status::TargetStatus;

use command::Command;
pub use command::CommandRef;
pub use stored::InvalidTargetDocument;

/// Time limits and options of a target; the same for all targets of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetLimits {
    /// Until a command that nobody picks up fails, in milliseconds (Q18).
    pub pick_up_ms: i64,
    /// The same for the first event (AS-165).
    pub first_pick_up_ms: i64,
    /// How long an event may run, in milliseconds (Q23).
    pub event_ms: i64,
    /// What is added to that, so that the agent's own report comes first (D-22).
    pub grace_ms: i64,
    /// Whether the target goes on after a failure of the events that stop the application (DP-009).
    pub ignore_stop_failures: bool,
}

/// The grace of D-22, in milliseconds.
pub const EVENT_GRACE_MS: i64 = 60_000;

/// What happens to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetEvent {
    /// Its turn has come. Refused once it was started or skipped.
    Start,
    /// A poll of its host takes the command. `nonce` is random and makes the ids of this command unguessable; that of
    /// the first hand-out counts, later hand-outs of the same command differ in [`CommandRef::hand_out`].
    HandOut {
        /// Random.
        nonce: u64,
    },
    /// The poll's answer with this command could not be written. A no-op unless it is the newest hand-out and not yet
    /// acknowledged (part of the answer may have arrived).
    NotSent(CommandRef),
    /// The agent asks whether it may run the command.
    Acknowledge(CommandRef),
    /// The agent reports how the command ended. Repeated, late and unowned reports are a no-op (AP-15).
    Complete {
        /// The command.
        command: CommandRef,
        /// How it ended.
        report: Report,
    },
    /// The agent says that it is at work (AP-17). Changes nothing: the limit counts from the start (AS-166).
    Heartbeat(CommandRef),
    /// The control plane has carried out an event itself. A no-op for any other than the current one, because effects
    /// are carried out at least once.
    Driven {
        /// Which event.
        event_index: u16,
        /// How it ended.
        report: Report,
    },
    /// Time has passed. A no-op before [`TargetMachine::deadline`].
    Tick {
        /// Whether the command could not have been taken because as many as allowed are outstanding at the host,
        /// not counting this one; or not have been acknowledged because the control plane itself was away. Its
        /// pick-up limit then counts from now (AP-38, AP-41).
        host_is_full: bool,
    },
    /// The deployment ends early. A no-op when the target has ended or was told before.
    Abort(AbortReason),
    /// It will not be attempted. Refused once it was started.
    Skip,
}

/// Why a deployment ends while targets are at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AbortReason {
    /// Somebody stopped it.
    Stopped,
    /// It ran too long.
    TimedOut,
}

/// How an event ended, as whoever ran it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether it ended well.
    pub succeeded: bool,
    /// What the public API shows of it.
    pub diagnostics: Diagnostics,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetStep {
    /// Whether the machine is not what it was and must be stored.
    pub changed: bool,
    /// The command that was handed out.
    pub handed_out: Option<(CommandRef, EventName)>,
    /// What an acknowledgement or a heartbeat is answered; absent on a heartbeat of a command that nobody has
    /// acknowledged.
    pub answer: Option<CommandAnswer>,
    /// Whether a command has become available: wake the host's poll.
    pub ready: bool,
    /// The event, by index and name, that the control plane must carry out now and answer with
    /// [`TargetEvent::Driven`].
    pub drive: Option<(u16, EventName)>,
    /// The final status, in the step in which the target ended.
    pub ended: Option<TargetStatus>,
    /// For the event log, in order. Skipped lifecycle events are not listed one by one.
    pub notes: Vec<TargetNote>,
}

/// What an agent is told about a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandAnswer {
    /// Go on.
    InProgress,
    /// Nothing to do: skip it in silence.
    Succeeded,
    /// Do not run it.
    Failed,
}

/// An entry for the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetNote {
    /// A lifecycle event was acknowledged, or is carried out by the control plane.
    EventStarted(EventName),
    /// A lifecycle event Succeeded or Failed.
    EventEnded(EventName, EventStatus),
    /// The target was started.
    TargetStarted,
    /// The target has ended.
    TargetEnded(TargetStatus),
}

/// Why an event was not applied; the machine is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such command was ever handed out by this target.
    #[error("the command was not handed out by this deployment to this host")]
    ForeignCommand,
    /// There is nothing that may be handed out now.
    #[error("the host has no command of this deployment to take")]
    NotOffered,
    /// Start or Skip of a target that is past that.
    #[error("the target was started or has ended already")]
    AlreadyStarted,
}

/// A command that a poll may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Place of the event in the target's list.
    pub event_index: usize,
    /// Its name.
    pub event: EventName,
    /// From when on: in the past since it became ready, or when the lease of the last hand-out passes.
    pub available_at: Timestamp,
}

/// One host of one deployment. See the [module](self) for its states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "stored::Document", into = "stored::Document")]
pub struct TargetMachine {
    limits: TargetLimits,
    events: Vec<LifecycleEvent>,
    /// Of the events that were handed out, in order; at most one per event.
    commands: Vec<Command>,
    state: State,
}

/// Where a target stands; `event` is an index into its list of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Pending,
    Ready { event: u16, since: Timestamp, pick_up_until: Timestamp, lapses: u8 },
    Delivered { event: u16, lease_until: Timestamp, pick_up_until: Timestamp, lapses: u8 },
    Running { event: u16, until: Timestamp, aborted: Option<AbortReason> },
    Driving { event: u16, until: Timestamp, aborted: Option<AbortReason> },
    Ended(TargetStatus),
}

impl TargetMachine {
    /// A target that waits for its turn.
    pub fn new(events: &[EventName], limits: TargetLimits) -> Self {
        Self {
            limits,
            events: events.iter().copied().map(LifecycleEvent::pending).collect(),
            commands: Vec::new(),
            state: State::Pending,
        }
    }

    /// Applies an event. On a refusal nothing has changed.
    pub fn apply(&mut self, event: TargetEvent, now: Timestamp) -> Result<TargetStep, Refusal> {
        match event {
            TargetEvent::Start => self.start(now),
            TargetEvent::HandOut { nonce } => self.hand_out(nonce, now),
            TargetEvent::NotSent(command) => self.not_sent(command, now),
            TargetEvent::Acknowledge(command) => self.acknowledge(command, now),
            TargetEvent::Complete { command, report } => self.complete(command, report, now),
            TargetEvent::Heartbeat(command) => self.heartbeat(command),
            TargetEvent::Driven { event_index, report } => Ok(self.driven(event_index, report, now)),
            TargetEvent::Tick { host_is_full } => Ok(self.tick(host_is_full, now)),
            TargetEvent::Abort(reason) => Ok(self.abort(reason)),
            TargetEvent::Skip => self.skip(),
        }
    }

    /// Where the target stands.
    pub const fn status(&self) -> TargetStatus {
        match self.state {
            State::Pending => TargetStatus::Pending,
            State::Ready { .. } | State::Delivered { .. } | State::Running { .. } | State::Driving { .. } => {
                TargetStatus::InProgress
            }
            State::Ended(status) => status,
        }
    }

    /// The lifecycle events, in run order.
    pub fn events(&self) -> &[LifecycleEvent] {
        &self.events
    }

    /// The command that a poll may take now or later, if there is one.
    pub fn offer(&self) -> Option<Offer> {
        let (event, available_at) = match self.state {
            State::Ready { event, since, .. } => (event, since),
            State::Delivered { event, lease_until, .. } => (event, lease_until),
            State::Pending | State::Running { .. } | State::Driving { .. } | State::Ended(_) => return None,
        };
        let event_index = usize::from(event);
        Some(Offer { event_index, event: self.events[event_index].name, available_at })
    }

    /// When a [`TargetEvent::Tick`] is due.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Pending | State::Ended(_) => None,
            State::Ready { pick_up_until, .. } => Some(pick_up_until),
            State::Delivered { lease_until, pick_up_until, .. } => Some(lease_until.min(pick_up_until)),
            State::Running { until, .. } | State::Driving { until, .. } => Some(until),
        }
    }

    /// Whether a command is out at the host: it counts among those that may be outstanding there (AP-38).
    pub const fn outstanding(&self) -> bool {
        matches!(self.state, State::Delivered { .. } | State::Running { .. })
    }

    /// The event that the control plane is carrying out, by index and name; for starting the effect again.
    pub fn driving(&self) -> Option<(u16, EventName)> {
        match self.state {
            State::Driving { event, .. } => Some((event, self.events[usize::from(event)].name)),
            _ => None,
        }
    }

    /// The name of its state in the diagram.
    #[cfg(test)]
    pub(crate) const fn place(&self) -> &'static str {
        match self.state {
            State::Pending => "Pending",
            State::Ready { .. } => "Ready",
            State::Delivered { .. } => "Delivered",
            State::Running { aborted: Some(_), .. } | State::Driving { aborted: Some(_), .. } => "Stopping",
            State::Running { .. } => "Running",
            State::Driving { .. } => "Driving",
            State::Ended(status) => status.as_str(),
        }
    }

    fn start(&mut self, now: Timestamp) -> Result<TargetStep, Refusal> {
        if self.state != State::Pending {
            return Err(Refusal::AlreadyStarted);
        }
        let mut step = TargetStep { changed: true, ..TargetStep::default() };
        step.notes.push(TargetNote::TargetStarted);
        self.begin(0, now, &mut step);
        Ok(step)
    }

    /// Offers event `index` to the host, or hands it to the control plane, or ends the target behind the last one.
    fn begin(&mut self, index: u16, now: Timestamp, step: &mut TargetStep) {
        let Some(event) = self.events.get_mut(usize::from(index)) else {
            self.end(TargetStatus::Succeeded, step);
            return;
        };
        if event.name.is_driven() {
            event.status = EventStatus::InProgress;
            event.start = Some(now);
            step.notes.push(TargetNote::EventStarted(event.name));
            step.drive = Some((index, event.name));
            let until = now.plus_millis(self.limits.event_ms);
            self.state = State::Driving { event: index, until, aborted: None };
        } else {
            let pick_up_until = now.plus_millis(self.pick_up_limit(index));
            self.state = State::Ready { event: index, since: now, pick_up_until, lapses: 0 };
            step.ready = true;
        }
    }

    fn pick_up_limit(&self, index: u16) -> i64 {
        if index == 0 { self.limits.first_pick_up_ms } else { self.limits.pick_up_ms }
    }
}
