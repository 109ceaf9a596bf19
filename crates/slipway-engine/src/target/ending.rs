//! How events and targets end.

use slipway_model::Timestamp;
use slipway_model::lifecycle::{Diagnostics, EventStatus};
use slipway_model::status::TargetStatus;

use super::{AbortReason, Refusal, Report, State, TargetMachine, TargetNote, TargetStep};
use crate::text;

impl TargetMachine {
    /// Ends the current event as whoever ran it says, and goes on.
    pub(super) fn reported(
        &mut self,
        event: u16,
        report: Report,
        aborted: Option<AbortReason>,
        now: Timestamp,
    ) -> TargetStep {
        let mut step = TargetStep { changed: true, ..TargetStep::default() };
        let status = if report.succeeded { EventStatus::Succeeded } else { EventStatus::Failed };
        self.end_event(event, status, report.diagnostics, now, &mut step);
        // DP-009: the failure stays visible, the target goes on.
        let ignored =
            self.limits.ignore_stop_failures && self.events[usize::from(event)].name.failure_may_be_ignored();
        let is_last = usize::from(event) + 1 == self.events.len();
        match (report.succeeded || ignored, is_last, aborted) {
            (true, true, _) => self.end(TargetStatus::Succeeded, &mut step),
            (true, false, None) => self.begin(event + 1, now, &mut step),
            (true, false, Some(_)) | (false, _, _) => self.end(TargetStatus::Failed, &mut step),
        }
        step
    }

    /// AS-164.
    pub(super) fn not_picked_up(&mut self, event: u16, now: Timestamp) -> TargetStep {
        self.limit_passed(event, text::NOT_PICKED_UP.into(), now)
    }

    /// D-22: neither the agent nor a driver has reported in time.
    pub(super) fn overran(&mut self, event: u16, now: Timestamp) -> TargetStep {
        let limit = self.limits.event_ms;
        let message = match self.state {
            State::Driving { .. } => text::driver_timed_out(limit),
            _ => text::event_timed_out(limit),
        };
        self.limit_passed(event, message, now)
    }

    /// A passed limit fails the target even in an event whose failure may be ignored: the agent is not there to
    /// carry out the next one.
    fn limit_passed(&mut self, event: u16, message: String, now: Timestamp) -> TargetStep {
        let mut step = TargetStep { changed: true, ..TargetStep::default() };
        self.withdraw(event);
        self.end_event(event, EventStatus::Failed, Diagnostics::unknown_error(message), now, &mut step);
        self.end(TargetStatus::Failed, &mut step);
        step
    }

    pub(super) fn abort(&mut self, reason: AbortReason) -> TargetStep {
        let mut step = TargetStep { changed: true, ..TargetStep::default() };
        match &mut self.state {
            State::Ended(_) => return TargetStep::default(),
            State::Pending => self.end(TargetStatus::Skipped, &mut step),
            State::Ready { event, .. } | State::Delivered { event, .. } => {
                let event = *event;
                self.withdraw(event);
                let status = if event == 0 { TargetStatus::Skipped } else { TargetStatus::Failed };
                self.end(status, &mut step);
            }
            State::Running { aborted, .. } | State::Driving { aborted, .. } => {
                if aborted.is_some() {
                    return TargetStep::default();
                }
                *aborted = Some(reason);
            }
        }
        step
    }

    pub(super) fn skip(&mut self) -> Result<TargetStep, Refusal> {
        if self.state != State::Pending {
            return Err(Refusal::AlreadyStarted);
        }
        let mut step = TargetStep { changed: true, ..TargetStep::default() };
        self.end(TargetStatus::Skipped, &mut step);
        Ok(step)
    }

    /// Whoever acknowledges the command from now on must not run it.
    fn withdraw(&mut self, event: u16) {
        if let Some(command) = self.command_of(event) {
            command.withdrawn = true;
        }
    }

    fn end_event(
        &mut self,
        event: u16,
        status: EventStatus,
        diagnostics: Diagnostics,
        now: Timestamp,
        step: &mut TargetStep,
    ) {
        let event = &mut self.events[usize::from(event)];
        event.status = status;
        // A clock that was set back must not make an event end before it began.
        event.end = Some(event.start.map_or(now, |start| start.max(now)));
        event.diagnostics = Some(diagnostics);
        step.notes.push(TargetNote::EventEnded(event.name, status));
    }

    /// Ends the target; what has not begun is Skipped (CF-040).
    pub(super) fn end(&mut self, status: TargetStatus, step: &mut TargetStep) {
        for event in self.events.iter_mut().filter(|e| e.status == EventStatus::Pending) {
            event.status = EventStatus::Skipped;
        }
        self.state = State::Ended(status);
        step.ended = Some(status);
        step.notes.push(TargetNote::TargetEnded(status));
    }
}
