//! From `Ready` to `Delivered` and back: hand-outs, their leases, and the limit by which somebody must have
//! acknowledged (AP-38, AS-164).

use slipway_model::Timestamp;

use super::command::Command;
use super::{CommandRef, Refusal, State, TargetMachine, TargetStep};

const FIRST_LEASE_MS: i64 = 30_000;
/// 30 s, 1, 2 and 4 minutes.
const LEASE_DOUBLINGS: u8 = 3;

const fn lease_ms(lapses: u8) -> i64 {
    FIRST_LEASE_MS << if lapses < LEASE_DOUBLINGS { lapses } else { LEASE_DOUBLINGS }
}

impl TargetMachine {
    pub(super) fn hand_out(&mut self, nonce: u64, now: Timestamp) -> Result<TargetStep, Refusal> {
        let (event, pick_up_until, lapses) = match self.state {
            State::Ready { event, since, pick_up_until, lapses } if since <= now => {
                (event, pick_up_until, lapses)
            }
            State::Delivered { event, lease_until, pick_up_until, lapses } if lease_until <= now => {
                (event, pick_up_until, lapses.saturating_add(1))
            }
            _ => return Err(Refusal::NotOffered),
        };
        // The tick that ends it is due: handing it out now would only have the acknowledgement refused.
        if pick_up_until <= now {
            return Err(Refusal::NotOffered);
        }
        let id = self.next_hand_out(event, nonce);
        let lease_until = now.plus_millis(lease_ms(lapses));
        self.state = State::Delivered { event, lease_until, pick_up_until, lapses };
        let name = self.events[usize::from(event)].name;
        Ok(TargetStep { changed: true, handed_out: Some((id, name)), ..TargetStep::default() })
    }

    fn next_hand_out(&mut self, event: u16, nonce: u64) -> CommandRef {
        if let Some(command) = self.command_of(event) {
            command.hand_outs = command.hand_outs.saturating_add(1);
            return CommandRef { event_index: event, hand_out: command.hand_outs, nonce: command.nonce };
        }
        self.commands.push(Command { event, nonce, hand_outs: 1, owner: None, withdrawn: false });
        CommandRef { event_index: event, hand_out: 1, nonce }
    }

    pub(super) fn not_sent(&mut self, id: CommandRef, now: Timestamp) -> Result<TargetStep, Refusal> {
        let newest = self.commands[self.find(id)?].hand_outs == id.hand_out;
        match self.state {
            // A broken connection is no sign of a slow agent: the next lease is not longer.
            State::Delivered { event, pick_up_until, lapses, .. } if event == id.event_index && newest => {
                Ok(self.offer_again(event, now, pick_up_until, lapses))
            }
            _ => Ok(TargetStep::default()),
        }
    }

    pub(super) fn tick(&mut self, host_is_full: bool, now: Timestamp) -> TargetStep {
        match self.state {
            State::Ready { event, pick_up_until, .. } | State::Delivered { event, pick_up_until, .. }
                if pick_up_until <= now =>
            {
                if host_is_full {
                    self.wait_longer(event, now)
                } else {
                    self.not_picked_up(event, now)
                }
            }
            State::Delivered { event, lease_until, pick_up_until, lapses } if lease_until <= now => {
                self.offer_again(event, now, pick_up_until, lapses.saturating_add(1))
            }
            State::Running { event, until, .. } | State::Driving { event, until, .. } if until <= now => {
                self.overran(event, now)
            }
            _ => TargetStep::default(),
        }
    }

    /// The pick-up limit counts from now, for a command that could not be taken or acknowledged.
    fn wait_longer(&mut self, current: u16, now: Timestamp) -> TargetStep {
        let limit = now.plus_millis(self.pick_up_limit(current));
        match &mut self.state {
            State::Delivered { lease_until, pick_up_until, .. } if *lease_until > now => {
                *pick_up_until = limit;
                TargetStep { changed: true, ..TargetStep::default() }
            }
            State::Delivered { event, lapses, .. } => {
                let (event, lapses) = (*event, lapses.saturating_add(1));
                self.offer_again(event, now, limit, lapses)
            }
            State::Ready { pick_up_until, .. } => {
                *pick_up_until = limit;
                // It was not handed out any more once the old limit had passed.
                TargetStep { changed: true, ready: true, ..TargetStep::default() }
            }
            State::Pending | State::Running { .. } | State::Driving { .. } | State::Ended(_) => {
                TargetStep::default()
            }
        }
    }

    fn offer_again(
        &mut self,
        event: u16,
        since: Timestamp,
        pick_up_until: Timestamp,
        lapses: u8,
    ) -> TargetStep {
        self.state = State::Ready { event, since, pick_up_until, lapses };
        TargetStep { changed: true, ready: true, ..TargetStep::default() }
    }
}
