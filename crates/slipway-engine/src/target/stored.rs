//! The stored form of a target machine: JSON of about 300 bytes for a target that waits, because a deployment may have
//! ten thousand of them.

use serde::{Deserialize, Serialize};
use slipway_model::Timestamp;
use slipway_model::lifecycle::{Diagnostics, EventName, EventStatus, LifecycleEvent};

use super::command::Command;
use super::{State, TargetLimits, TargetMachine};
use crate::format::FormatVersion;

#[derive(Serialize, Deserialize)]
pub(super) struct Document {
    version: FormatVersion<1>,
    limits: TargetLimits,
    plan: Vec<EventName>,
    /// What became of the first events of the plan; those behind are Pending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    walked: Vec<Walked>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commands: Vec<Command>,
    state: State,
}

#[derive(Serialize, Deserialize)]
struct Walked {
    status: EventStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    diagnostics: Option<Diagnostics>,
}

/// A stored target machine contradicts itself; read from one it would not be total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored target names an event that is not in its plan")]
pub struct InvalidTargetDocument;

impl From<TargetMachine> for Document {
    fn from(machine: TargetMachine) -> Self {
        let plan = machine.events.iter().map(|e| e.name).collect();
        let begun =
            machine.events.iter().rposition(|e| e.status != EventStatus::Pending).map_or(0, |i| i + 1);
        let walked = machine
            .events
            .into_iter()
            .take(begun)
            .map(|e| Walked { status: e.status, start: e.start, end: e.end, diagnostics: e.diagnostics })
            .collect();
        Self {
            version: FormatVersion,
            limits: machine.limits,
            plan,
            walked,
            commands: machine.commands,
            state: machine.state,
        }
    }
}

impl TryFrom<Document> for TargetMachine {
    type Error = InvalidTargetDocument;

    fn try_from(document: Document) -> Result<Self, InvalidTargetDocument> {
        let Document { version: _, limits, plan, walked, commands, state } = document;
        let planned = |event: u16| usize::from(event) < plan.len();
        let current = match state {
            State::Pending | State::Ended(_) => None,
            State::Ready { event, .. }
            | State::Delivered { event, .. }
            | State::Running { event, .. }
            | State::Driving { event, .. } => Some(event),
        };
        if walked.len() > plan.len()
            || current.is_some_and(|event| !planned(event))
            || commands.iter().any(|c| !planned(c.event))
        {
            return Err(InvalidTargetDocument);
        }
        let mut events: Vec<LifecycleEvent> = plan.into_iter().map(LifecycleEvent::pending).collect();
        for (event, walked) in events.iter_mut().zip(walked) {
            event.status = walked.status;
            event.start = walked.start;
            event.end = walked.end;
            event.diagnostics = walked.diagnostics;
        }
        Ok(Self { limits, events, commands, state })
    }
}
