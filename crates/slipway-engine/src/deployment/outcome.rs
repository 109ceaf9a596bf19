//! How deployments begin to run, go on and end: one function per event kind.

use serde::{Deserialize, Serialize};
use slipway_model::Timestamp;
use slipway_model::status::{DeploymentStatus, ErrorInformation};

use super::pace::{Fleet, Verdict};
use super::{AbortReason, DeploymentEffect, DeploymentMachine, DeploymentRefusal, Effects, Stage};
use crate::text;

/// Why a deployment ends before all its targets were attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EndingCause {
    Stopped,
    TimedOut,
    TooManyFailed,
}

impl EndingCause {
    /// What the targets in flight are told.
    pub(super) const fn abort_reason(self) -> Option<AbortReason> {
        match self {
            Self::Stopped => Some(AbortReason::Stopped),
            Self::TimedOut => Some(AbortReason::TimedOut),
            // By CF-032 nothing is in flight when CF-036 fires.
            Self::TooManyFailed => None,
        }
    }
}

impl DeploymentMachine {
    pub(super) fn fleet_resolved(
        &mut self,
        unhealthy: u32,
        healthy: u32,
        now: Timestamp,
    ) -> Result<Effects, DeploymentRefusal> {
        self.check_resolving()?;
        let group = &self.settings.group_name;
        let (total, allowed) = (u64::from(unhealthy) + u64::from(healthy), self.settings.max_targets);
        let mut effects = Effects::new();
        if total == 0 {
            let error = text::no_instances();
            self.finish(DeploymentStatus::Failed, Some(error), now, &mut effects);
            return Ok(effects);
        }
        let Some(total) = u32::try_from(total).ok().filter(|total| *total <= allowed) else {
            // No targets come into being: a fleet beyond the quota is not written down host by host.
            let error = text::over_max_instances(total, allowed, group);
            self.finish(DeploymentStatus::Failed, Some(error), now, &mut effects);
            return Ok(effects);
        };
        let minimum = self.settings.minimum.for_fleet(total);
        let invalid = (minimum >= total).then(|| text::health_constraints_invalid(minimum, total, group));
        self.fleet = Fleet { total, unhealthy, minimum, ..Fleet::NONE };
        self.stage = Stage::Running;
        if let Some(error) = invalid {
            self.skip_waiting(&mut effects);
            self.finish(DeploymentStatus::Failed, Some(error), now, &mut effects);
        } else {
            self.start_targets(&mut effects);
        }
        Ok(effects)
    }

    pub(super) fn resolve_failed(
        &mut self,
        error: ErrorInformation,
        now: Timestamp,
    ) -> Result<Effects, DeploymentRefusal> {
        self.check_resolving()?;
        let mut effects = Effects::new();
        self.finish(DeploymentStatus::Failed, Some(error), now, &mut effects);
        Ok(effects)
    }

    pub(super) fn targets_ended(
        &mut self,
        succeeded: u32,
        failed: u32,
        skipped: u32,
        now: Timestamp,
    ) -> Result<Effects, DeploymentRefusal> {
        if let Stage::Ended(status) = self.stage {
            return Err(DeploymentRefusal::AlreadyEnded(status));
        }
        let ended = u64::from(succeeded) + u64::from(failed) + u64::from(skipped);
        let in_flight = self.fleet.in_flight;
        let Some(left) = u64::from(in_flight).checked_sub(ended) else {
            return Err(DeploymentRefusal::MoreEndedThanInFlight { ended, in_flight });
        };
        let mut effects = Effects::new();
        if ended == 0 {
            return Ok(effects);
        }
        // What is left of a u32 fits into one.
        self.fleet.in_flight = left as u32;
        self.fleet.succeeded += succeeded;
        self.fleet.failed += failed;
        self.fleet.skipped += skipped;
        match self.stage {
            Stage::Ending(cause) => self.finish_when_idle(cause, now, &mut effects),
            _ => match self.fleet.verdict() {
                Verdict::GoesOn => self.start_targets(&mut effects),
                Verdict::Succeeded => self.finish(DeploymentStatus::Succeeded, None, now, &mut effects),
                Verdict::TooManyFailed => self.end_early(EndingCause::TooManyFailed, now, &mut effects),
            },
        }
        Ok(effects)
    }

    pub(super) fn stop(
        &mut self,
        requested_by: String,
        now: Timestamp,
    ) -> Result<Effects, DeploymentRefusal> {
        let mut effects = Effects::new();
        match self.stage {
            Stage::Ended(status) => return Err(DeploymentRefusal::AlreadyEnded(status)),
            Stage::Ending(_) => {}
            Stage::Created | Stage::Resolving | Stage::Running => {
                self.stop_requested_by = Some(requested_by);
                self.end_early(EndingCause::Stopped, now, &mut effects);
            }
        }
        Ok(effects)
    }

    pub(super) fn tick(&mut self, now: Timestamp) -> Effects {
        let mut effects = Effects::new();
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.end_early(EndingCause::TimedOut, now, &mut effects);
        }
        effects
    }

    fn start_targets(&mut self, effects: &mut Effects) {
        if let Some((first, count)) = self.fleet.take(self.settings.pacing) {
            effects.push(DeploymentEffect::StartTargets { first, count });
        }
    }

    fn skip_waiting(&mut self, effects: &mut Effects) {
        if let Some(first) = self.fleet.skip_waiting() {
            effects.push(DeploymentEffect::SkipWaiting { first });
        }
    }

    /// Starts nothing any more, and ends when what is in flight has ended.
    fn end_early(&mut self, cause: EndingCause, now: Timestamp, effects: &mut Effects) {
        self.stage = Stage::Ending(cause);
        self.skip_waiting(effects);
        if let Some(reason) = cause.abort_reason().filter(|_| self.fleet.in_flight > 0) {
            effects.push(DeploymentEffect::AbortActive(reason));
        }
        self.finish_when_idle(cause, now, effects);
    }

    fn finish_when_idle(&mut self, cause: EndingCause, now: Timestamp, effects: &mut Effects) {
        if self.fleet.in_flight > 0 {
            return;
        }
        let (status, error) = match cause {
            EndingCause::Stopped => {
                let who = self.stop_requested_by.as_deref().unwrap_or_default();
                (DeploymentStatus::Stopped, text::manual_stop(who))
            }
            EndingCause::TimedOut => {
                (DeploymentStatus::Failed, text::run_limit_passed(self.settings.run_limit_ms))
            }
            EndingCause::TooManyFailed => (DeploymentStatus::Failed, text::health_constraints()),
        };
        self.finish(status, Some(error), now, effects);
    }

    fn finish(
        &mut self,
        status: DeploymentStatus,
        error: Option<ErrorInformation>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        self.stage = Stage::Ended(status);
        // A clock that was set back must not make it end before it began.
        self.completed = Some(self.started.map_or(now, |started| started.max(now)));
        self.error.clone_from(&error);
        effects.push(DeploymentEffect::StatusChanged(status));
        effects.push(DeploymentEffect::Finished { status, error });
    }
}
