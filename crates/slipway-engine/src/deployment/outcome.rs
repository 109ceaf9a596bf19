//! How deployments begin to run, go on and end: one function per event kind.

use serde::{Deserialize, Serialize};
use slipway_model::status::{DeploymentStatus, ErrorInformation};
use slipway_model::{DeploymentId, Timestamp};

use super::pace::{Fleet, Verdict};
use super::{
    AbortReason, DeploymentEffect, DeploymentMachine, DeploymentRefusal, Effects, Stage, Successor, ZoneHosts,
};
use crate::text;

/// Why a deployment ends before all its targets were attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EndingCause {
    Stopped,
    Alarm,
    TimedOut,
    TooManyFailed,
}

impl EndingCause {
    /// What the targets in flight are told.
    pub(super) const fn abort_reason(self) -> Option<AbortReason> {
        match self {
            Self::Stopped | Self::Alarm => Some(AbortReason::Stopped),
            Self::TimedOut => Some(AbortReason::TimedOut),
            // By CF-032 nothing is in flight when CF-036 fires.
            Self::TooManyFailed => None,
        }
    }
}

impl DeploymentMachine {
    pub(super) fn fleet_resolved(
        &mut self,
        zones: &[ZoneHosts],
        now: Timestamp,
    ) -> Result<Effects, DeploymentRefusal> {
        self.check_resolving()?;
        let group = &self.settings.group_name;
        let sum = |of: fn(&ZoneHosts) -> u32| zones.iter().map(|zone| u64::from(of(zone))).sum::<u64>();
        let (unhealthy, healthy) = (sum(|zone| zone.unhealthy), sum(|zone| zone.healthy));
        let (targets, current) = (unhealthy + healthy, sum(|zone| zone.current));
        let allowed = self.settings.max_targets;
        let mut effects = Effects::new();
        if targets + current == 0 {
            let error = text::no_instances();
            self.finish(DeploymentStatus::Failed, Some(error), now, &mut effects);
            return Ok(effects);
        }
        let Some(total) = u32::try_from(targets + current).ok().filter(|_| targets <= u64::from(allowed))
        else {
            // No targets come into being: a fleet beyond the quota is not written down host by host.
            let error = text::over_max_instances(targets, allowed, group);
            self.finish(DeploymentStatus::Failed, Some(error), now, &mut effects);
            return Ok(effects);
        };
        let minimum = self.settings.minimum.for_fleet(total);
        let zones = match &self.settings.zonal {
            Some(zonal) => Fleet::zones(zones, |hosts| zonal.minimum_for_zone(hosts)),
            None => Vec::new(),
        };
        // CF-030, CF-058.
        let zone = zones.iter().find(|zone| zone.minimum >= zone.hosts);
        let zone_invalid = zone.map(|zone| text::zone_constraints_invalid(zone.minimum, zone.hosts, group));
        // What the sums are parts of fits into a u32.
        let (unhealthy, current) = (unhealthy as u32, current as u32);
        self.fleet = Fleet { total, current, unhealthy, minimum, zones, ..Fleet::NONE };
        let invalid = zone_invalid.filter(|_| minimum < total).or_else(|| {
            let none = minimum >= total || self.fleet.verdict() == Verdict::TooManyFailed;
            none.then(|| text::health_constraints_invalid(minimum, total, group))
        });
        self.stage = Stage::Running;
        if targets == 0 {
            // Everything that was asked for is there already.
            self.finish(DeploymentStatus::Succeeded, None, now, &mut effects);
        } else if let Some(error) = invalid {
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
        if ended > u64::from(in_flight) {
            return Err(DeploymentRefusal::MoreEndedThanInFlight { ended, in_flight });
        }
        let mut effects = Effects::new();
        if ended == 0 {
            return Ok(effects);
        }
        self.fleet.ended(succeeded, failed, skipped);
        match self.stage {
            Stage::Ending(cause) => self.finish_when_idle(cause, now, &mut effects),
            _ => self.proceed(now, &mut effects),
        }
        Ok(effects)
    }

    fn proceed(&mut self, now: Timestamp, effects: &mut Effects) {
        match self.fleet.verdict() {
            Verdict::GoesOn => self.start_targets(effects),
            Verdict::ZoneEnded => self.zone_ended(now, effects),
            Verdict::Succeeded => self.finish(DeploymentStatus::Succeeded, None, now, effects),
            Verdict::TooManyFailed => self.end_early(EndingCause::TooManyFailed, now, effects),
        }
    }

    /// CF-053..CF-055.
    fn zone_ended(&mut self, now: Timestamp, effects: &mut Effects) {
        let zone = usize::from(self.fleet.zone);
        let watch = self.settings.zonal.as_ref().map_or(0, |zonal| zonal.monitor_ms(zone));
        if watch > 0 {
            self.watched_until = Some(now.plus_millis(watch));
        } else {
            self.enter_next_zone(now, effects);
        }
    }

    fn enter_next_zone(&mut self, now: Timestamp, effects: &mut Effects) {
        self.watched_until = None;
        self.fleet.enter_next_zone();
        self.proceed(now, effects);
    }

    pub(super) fn stop(
        &mut self,
        requested_by: String,
        roll_back: Option<bool>,
        now: Timestamp,
    ) -> Result<Effects, DeploymentRefusal> {
        let mut effects = Effects::new();
        match self.stage {
            Stage::Ended(status) => return Err(DeploymentRefusal::AlreadyEnded(status)),
            Stage::Ending(EndingCause::Stopped) => self.roll_back_stop = roll_back.or(self.roll_back_stop),
            Stage::Ending(_) => {}
            Stage::Created | Stage::Resolving | Stage::Running => {
                self.stop_requested_by = Some(requested_by);
                self.roll_back_stop = roll_back;
                self.end_early(EndingCause::Stopped, now, &mut effects);
            }
        }
        Ok(effects)
    }

    pub(super) fn alarm(&mut self, names: Vec<String>, now: Timestamp) -> Result<Effects, DeploymentRefusal> {
        let mut effects = Effects::new();
        match self.stage {
            Stage::Ended(status) => return Err(DeploymentRefusal::AlreadyEnded(status)),
            Stage::Ending(_) => {}
            Stage::Created | Stage::Resolving | Stage::Running => {
                if !self.settings.follow_up.is_rollback {
                    self.alarms = names;
                    self.end_early(EndingCause::Alarm, now, &mut effects);
                }
            }
        }
        Ok(effects)
    }

    pub(super) fn successor_chosen(
        &mut self,
        id: Option<DeploymentId>,
    ) -> Result<Effects, DeploymentRefusal> {
        self.successor = match (&self.successor, id) {
            (Successor::RollbackWanted, Some(id)) => Successor::Rollback(id),
            (Successor::RollbackWanted, None) => Successor::NothingToRollBackTo,
            (Successor::FollowOnWanted, Some(id)) => Successor::FollowOn(id),
            (Successor::FollowOnWanted, None) => Successor::None,
            _ => return Err(DeploymentRefusal::NoSuccessorWanted),
        };
        Ok(Effects::new())
    }

    pub(super) fn tick(&mut self, now: Timestamp) -> Effects {
        let mut effects = Effects::new();
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return effects;
        }
        let limit = self.started.map(|started| started.plus_millis(self.settings.run_limit_ms));
        // CF-064: watching a zone counts against the limit.
        if limit.is_some_and(|limit| limit <= now) {
            self.end_early(EndingCause::TimedOut, now, &mut effects);
        } else {
            self.enter_next_zone(now, &mut effects);
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
            EndingCause::Alarm => (DeploymentStatus::Stopped, text::alarm_active(&self.alarms)),
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
        let ending = self.stage;
        self.stage = Stage::Ended(status);
        self.watched_until = None;
        // A clock that was set back must not make it end before it began.
        self.completed = Some(self.started.map_or(now, |started| started.max(now)));
        self.error.clone_from(&error);
        effects.push(DeploymentEffect::StatusChanged(status));
        effects.push(DeploymentEffect::Finished { status, error });
        if self.is_to_be_rolled_back(ending, status) {
            self.successor = Successor::RollbackWanted;
            effects.push(DeploymentEffect::StartRollback);
        } else if status == DeploymentStatus::Succeeded && self.settings.follow_up.update_outdated {
            self.successor = Successor::FollowOnWanted;
            effects.push(DeploymentEffect::StartFollowOn);
        }
    }

    /// DP-211, DP-124, DP-226; an alarm is no failure.
    fn is_to_be_rolled_back(&self, ending: Stage, status: DeploymentStatus) -> bool {
        let follow_up = &self.settings.follow_up;
        !follow_up.is_rollback
            && match (status, ending) {
                (DeploymentStatus::Failed, _) => follow_up.roll_back_failure,
                (DeploymentStatus::Stopped, Stage::Ending(EndingCause::Alarm)) => follow_up.roll_back_alarm,
                (DeploymentStatus::Stopped, _) => self.roll_back_stop.unwrap_or(follow_up.roll_back_stop),
                _ => false,
            }
    }
}
