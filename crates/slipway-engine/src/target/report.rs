//! What agents and drivers say about a command (AP-34..AP-37).

use slipway_model::Timestamp;
use slipway_model::lifecycle::EventStatus;

use super::{CommandAnswer, CommandRef, Refusal, Report, State, TargetMachine, TargetNote, TargetStep};

impl TargetMachine {
    pub(super) fn acknowledge(&mut self, id: CommandRef, now: Timestamp) -> Result<TargetStep, Refusal> {
        let position = self.find(id)?;
        match self.state {
            State::Ready { event, .. } | State::Delivered { event, .. } if event == id.event_index => {
                self.commands[position].owner = Some(id.hand_out);
                let until = now.plus_millis(self.limits.event_ms).plus_millis(self.limits.grace_ms);
                self.state = State::Running { event, until, aborted: None };
                let event = &mut self.events[usize::from(event)];
                event.status = EventStatus::InProgress;
                event.start = Some(now);
                Ok(TargetStep {
                    changed: true,
                    answer: Some(CommandAnswer::InProgress),
                    notes: vec![TargetNote::EventStarted(event.name)],
                    ..TargetStep::default()
                })
            }
            _ => {
                Ok(TargetStep { answer: Some(self.answer_once_taken(position, id)), ..TargetStep::default() })
            }
        }
    }

    pub(super) fn heartbeat(&self, id: CommandRef) -> Result<TargetStep, Refusal> {
        let position = self.find(id)?;
        let waits = matches!(self.state, State::Ready { event, .. } | State::Delivered { event, .. }
            if event == id.event_index);
        let answer = (!waits).then(|| self.answer_once_taken(position, id));
        Ok(TargetStep { answer, ..TargetStep::default() })
    }

    /// The last four rows of the table of answers. `InProgress` is only ever told to the owner, so no two copies run.
    fn answer_once_taken(&self, position: usize, id: CommandRef) -> CommandAnswer {
        let command = &self.commands[position];
        let runs = matches!(self.state, State::Running { event, .. } if event == id.event_index);
        match (runs, command.withdrawn) {
            (true, _) if command.owner == Some(id.hand_out) => CommandAnswer::InProgress,
            (true, _) | (false, false) => CommandAnswer::Succeeded,
            (false, true) => CommandAnswer::Failed,
        }
    }

    pub(super) fn complete(
        &mut self,
        id: CommandRef,
        report: Report,
        now: Timestamp,
    ) -> Result<TargetStep, Refusal> {
        let command = self.commands[self.find(id)?];
        match self.state {
            State::Running { event, aborted, .. }
                if event == id.event_index && command.owner == Some(id.hand_out) =>
            {
                Ok(self.reported(event, report, aborted, now))
            }
            // AP-35: the agent could not even begin. A Succeeded one that nobody acknowledged proves nothing.
            State::Ready { event, .. } | State::Delivered { event, .. }
                if event == id.event_index && command.hand_outs == id.hand_out && !report.succeeded =>
            {
                Ok(self.reported(event, report, None, now))
            }
            _ => Ok(TargetStep::default()),
        }
    }

    pub(super) fn driven(&mut self, event_index: u16, report: Report, now: Timestamp) -> TargetStep {
        match self.state {
            State::Driving { event, aborted, .. } if event == event_index => {
                self.reported(event, report, aborted, now)
            }
            _ => TargetStep::default(),
        }
    }
}
