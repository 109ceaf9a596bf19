//! The deployment machine: one in-place deployment to hosts. It holds counters, never the list of its targets.
//! `docs/engine.md` draws it.
//!
//! | stage | leaves it on | to |
//! |---|---|---|
//! | Created | [`Start`](DeploymentEvent::Start) | resolving; [`ResolveFleet`](DeploymentEffect::ResolveFleet) |
//! | | [`Stop`](DeploymentEvent::Stop) | Stopped |
//! | resolving | [`FleetResolved`](DeploymentEvent::FleetResolved) | running, or Failed (CF-030, CF-031, Q15) |
//! | | [`ResolveFailed`](DeploymentEvent::ResolveFailed) | Failed |
//! | | `Stop`, run limit | Stopped, Failed `TIMEOUT` |
//! | running | [`TargetsEnded`](DeploymentEvent::TargetsEnded) | running with more targets, Succeeded, or Failed |
//! | | last target of a zone | watching the zone, then running in the next one (CF-053..CF-055) |
//! | | `Stop`, [`Alarm`](DeploymentEvent::Alarm), run limit | ending: waiting targets Skipped, active ones told; the end when these have ended (A-19) |
//! | ending | `TargetsEnded` | Stopped `MANUAL_STOP` or `ALARM_ACTIVE`, or Failed `TIMEOUT` (AS-167) |
//!
//! An end may ask for another deployment: a rollback (DP-211), or one that updates the hosts that joined meanwhile
//! (CF-302). [`SuccessorChosen`](DeploymentEvent::SuccessorChosen) says what came of it.
//!
//! Targets are known by their ordinals: `0..unhealthy` are the hosts that were Unhealthy before, a phase of their own
//! (CF-034), the others follow in the order of [`crate::schedule`]. With zones this holds within each of them. The pace
//! is in [`Pacing`].
//!
//! Targets that [`SkipWaiting`](DeploymentEffect::SkipWaiting) names are counted as skipped at once, in the step that
//! emits it: they must not be told again in a `TargetsEnded`.

mod outcome;
mod pace;

use serde::{Deserialize, Serialize};
use slipway_model::config::MinimumHealthyHosts;
use slipway_model::status::{DeploymentStatus, ErrorInformation};
use slipway_model::zones::ZonalConfig;
use slipway_model::{DeploymentId, Timestamp};

use crate::format::FormatVersion;
pub use crate::target::AbortReason;
use outcome::EndingCause;
use pace::Fleet;

/// What a deployment was created with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentSettings {
    /// How many hosts must stay healthy.
    pub minimum: MinimumHealthyHosts,
    /// In which steps targets are started.
    pub pacing: Pacing,
    /// How long it may run from its start, in milliseconds (Q10).
    pub run_limit_ms: i64,
    /// How many targets it may have (Q15).
    pub max_targets: u32,
    /// Name of its group, for messages.
    pub group_name: String,
    /// One zone after the other (CF-050).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zonal: Option<ZonalConfig>,
    /// What may follow its end.
    #[serde(default)]
    pub follow_up: FollowUp,
}

/// What may follow the end of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FollowUp {
    /// It is a rollback itself: nothing rolls it back, and alarms do not stop it (D-13, DP-225, DP-226).
    pub is_rollback: bool,
    /// A failure is rolled back.
    pub roll_back_failure: bool,
    /// A stop that does not say otherwise is rolled back.
    pub roll_back_stop: bool,
    /// A stop by an alarm is rolled back.
    pub roll_back_alarm: bool,
    /// After a success the hosts that joined the group meanwhile are updated (CF-302).
    pub update_outdated: bool,
}

/// The hosts of one zone, or of a deployment that knows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ZoneHosts {
    /// Targets whose last deployment failed or that never had one; the first ones of the zone.
    pub unhealthy: u32,
    /// The other targets.
    pub healthy: u32,
    /// Hosts that run the revision already: no targets, but they count as healthy.
    pub current: u32,
}

impl ZoneHosts {
    /// How many are deployed to.
    pub const fn targets(&self) -> u32 {
        self.unhealthy.saturating_add(self.healthy)
    }
}

/// In which steps targets are started (D-10, CF-033). Neither way exceeds the capacity of CF-032, and both end the
/// same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Pacing {
    /// Whenever there is capacity and a target of the current phase waits.
    #[default]
    RollingWindow,
    /// As many as the capacity allows, and again when all of these have ended.
    Batch,
}

/// What happens to a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeploymentEvent {
    /// Its turn has come. While the fleet is not resolved a second one asks for the fleet again, so that a worker that
    /// died in between loses nothing; later it is refused.
    Start,
    /// The hosts are known and in order, zone by zone; one entry without zones.
    FleetResolved(Vec<ZoneHosts>),
    /// The hosts cannot be told, or something that the deployment needs is gone.
    ResolveFailed(ErrorInformation),
    /// So many targets that were started have ended, each told once, in any batches.
    TargetsEnded {
        /// All events ended well.
        succeeded: u32,
        /// They did not.
        failed: u32,
        /// Ended before anything ran there.
        skipped: u32,
    },
    /// Somebody wants it stopped. When it is being stopped already only the wish to roll back counts; when it is ending
    /// for another reason it is a no-op.
    Stop {
        /// Who, as the message will say.
        requested_by: String,
        /// Whether to roll back then; absent: as the settings say (DP-124).
        roll_back: Option<bool>,
    },
    /// Alarms have been activated. A no-op when it is ending already, and for a rollback (DP-225).
    Alarm {
        /// Their names.
        names: Vec<String>,
    },
    /// The answer to [`StartRollback`](DeploymentEffect::StartRollback) and
    /// [`StartFollowOn`](DeploymentEffect::StartFollowOn): the deployment that was created, if one was.
    SuccessorChosen(Option<DeploymentId>),
    /// Time has passed. A no-op before [`DeploymentMachine::deadline`] and after the end.
    Tick,
}

/// What must be done, in the same transaction as storing the machine, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeploymentEffect {
    /// Find the hosts, put them in order, and answer with [`DeploymentEvent::FleetResolved`].
    ResolveFleet,
    /// Start the targets with the ordinals `first..first + count`.
    StartTargets {
        /// Lowest ordinal.
        first: u32,
        /// How many.
        count: u32,
    },
    /// Skip all targets from this ordinal on; none of them was started. Already counted.
    SkipWaiting {
        /// Lowest ordinal.
        first: u32,
    },
    /// Abort all targets that were started and have not ended.
    AbortActive(AbortReason),
    /// The status is another one now; emitted for each change, the last one included.
    StatusChanged(DeploymentStatus),
    /// It has ended: nothing changes any more.
    Finished {
        /// Succeeded, Failed or Stopped.
        status: DeploymentStatus,
        /// Why it did not succeed.
        error: Option<ErrorInformation>,
    },
    /// Deploy the group's last successful revision again, if there is one (DP-220).
    StartRollback,
    /// Update the hosts of the group that are not among its targets and run another revision (CF-302).
    StartFollowOn,
}

/// Why an event was not applied; the machine is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeploymentRefusal {
    /// A fleet that nobody has asked for.
    #[error("the deployment has not been started")]
    NotStarted,
    /// Start, or a fleet, when the targets are at work.
    #[error("the targets of the deployment are resolved already")]
    AlreadyResolved,
    /// The deployment is over; of a stop the status says whether that was what it asked for.
    #[error("the deployment has ended: {0}")]
    AlreadyEnded(DeploymentStatus),
    /// Some target was told twice, or was never started.
    #[error("{ended} targets are said to have ended, but only {in_flight} are in flight")]
    MoreEndedThanInFlight {
        /// What was said.
        ended: u64,
        /// What is possible.
        in_flight: u32,
    },
    /// A successor that was not asked for.
    #[error("no other deployment was asked for")]
    NoSuccessorWanted,
}

/// What followed the end of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Successor {
    /// Nothing.
    #[default]
    None,
    /// A rollback is being created; never stored.
    RollbackWanted,
    /// This deployment rolls it back.
    Rollback(DeploymentId),
    /// It was to be rolled back, but there is nothing to roll back to (DP-227).
    NothingToRollBackTo,
    /// Hosts left behind are being looked for; never stored.
    FollowOnWanted,
    /// This deployment updates the hosts that joined the group meanwhile (CF-303).
    FollowOn(DeploymentId),
}

/// How many targets are in which status; the overview of the public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Wait for their turn.
    pub pending: u32,
    /// Were started and have not ended.
    pub in_progress: u32,
    /// Ended well.
    pub succeeded: u32,
    /// Ended badly.
    pub failed: u32,
    /// Not attempted.
    pub skipped: u32,
}

/// One deployment. See the [module](self) for its stages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentMachine {
    version: FormatVersion<1>,
    settings: DeploymentSettings,
    stage: Stage,
    fleet: Fleet,
    started: Option<Timestamp>,
    completed: Option<Timestamp>,
    error: Option<ErrorInformation>,
    stop_requested_by: Option<String>,
    /// Whether whoever stopped it wants a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    roll_back_stop: Option<bool>,
    /// The alarms that stopped it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    alarms: Vec<String>,
    /// Until when the zone that has ended is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    watched_until: Option<Timestamp>,
    #[serde(default)]
    successor: Successor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Created,
    Resolving,
    Running,
    Ending(EndingCause),
    Ended(DeploymentStatus),
}

type Effects = Vec<DeploymentEffect>;

impl DeploymentMachine {
    /// A deployment that was accepted.
    pub const fn new(settings: DeploymentSettings) -> Self {
        Self {
            version: FormatVersion,
            settings,
            stage: Stage::Created,
            fleet: Fleet::NONE,
            started: None,
            completed: None,
            error: None,
            stop_requested_by: None,
            roll_back_stop: None,
            alarms: Vec::new(),
            watched_until: None,
            successor: Successor::None,
        }
    }

    /// Applies an event. On a refusal nothing has changed.
    pub fn apply(&mut self, event: DeploymentEvent, now: Timestamp) -> Result<Effects, DeploymentRefusal> {
        match event {
            DeploymentEvent::Start => self.start(now),
            DeploymentEvent::FleetResolved(zones) => self.fleet_resolved(&zones, now),
            DeploymentEvent::ResolveFailed(error) => self.resolve_failed(error, now),
            DeploymentEvent::TargetsEnded { succeeded, failed, skipped } => {
                self.targets_ended(succeeded, failed, skipped, now)
            }
            DeploymentEvent::Stop { requested_by, roll_back } => self.stop(requested_by, roll_back, now),
            DeploymentEvent::Alarm { names } => self.alarm(names, now),
            DeploymentEvent::SuccessorChosen(id) => self.successor_chosen(id),
            DeploymentEvent::Tick => Ok(self.tick(now)),
        }
    }

    /// Where the deployment stands. A deployment that is being stopped is InProgress until its last target has ended.
    pub const fn status(&self) -> DeploymentStatus {
        match self.stage {
            Stage::Created => DeploymentStatus::Created,
            Stage::Resolving | Stage::Running | Stage::Ending(_) => DeploymentStatus::InProgress,
            Stage::Ended(status) => status,
        }
    }

    /// How many targets are in which status.
    pub const fn counters(&self) -> Counters {
        self.fleet.counters()
    }

    /// Why it did not succeed; absent until it has ended.
    pub const fn error(&self) -> Option<&ErrorInformation> {
        self.error.as_ref()
    }

    /// When it was started.
    pub const fn started(&self) -> Option<Timestamp> {
        self.started
    }

    /// When it ended.
    pub const fn completed(&self) -> Option<Timestamp> {
        self.completed
    }

    /// When a [`DeploymentEvent::Tick`] is due. Absent while it is ending: the limits of its targets bound that.
    pub fn deadline(&self) -> Option<Timestamp> {
        match (self.stage, self.started) {
            (Stage::Resolving | Stage::Running, Some(started)) => {
                let limit = started.plus_millis(self.settings.run_limit_ms);
                Some(self.watched_until.map_or(limit, |watched| watched.min(limit)))
            }
            _ => None,
        }
    }

    /// Whether a stop request was accepted: it is being stopped, or was.
    pub const fn stop_requested(&self) -> bool {
        self.stop_requested_by.is_some()
    }

    /// Who asked for the stop.
    pub fn stop_requested_by(&self) -> Option<&str> {
        self.stop_requested_by.as_deref()
    }

    /// What followed its end.
    pub const fn successor(&self) -> &Successor {
        &self.successor
    }

    /// Why targets that are at work must be told that the deployment has been given up; absent while it goes on and
    /// after its end. Telling one twice changes nothing, so a worker may begin again wherever it was interrupted.
    pub const fn aborting(&self) -> Option<AbortReason> {
        match self.stage {
            Stage::Ending(cause) => cause.abort_reason(),
            Stage::Created | Stage::Resolving | Stage::Running | Stage::Ended(_) => None,
        }
    }

    /// Whether [`DeploymentEffect::ResolveFleet`] was asked for and not answered yet.
    pub const fn awaits_fleet(&self) -> bool {
        matches!(self.stage, Stage::Resolving)
    }

    /// The name of its stage in the diagram.
    #[cfg(test)]
    pub(crate) const fn place(&self) -> &'static str {
        match self.stage {
            Stage::Created => "Created",
            Stage::Resolving => "Resolving",
            Stage::Running if self.watched_until.is_some() => "Watching",
            Stage::Running => "Running",
            Stage::Ending(_) => "Ending",
            Stage::Ended(status) => status.as_str(),
        }
    }

    fn start(&mut self, now: Timestamp) -> Result<Effects, DeploymentRefusal> {
        match self.stage {
            Stage::Created => {
                self.stage = Stage::Resolving;
                self.started = Some(now);
                Ok(vec![
                    DeploymentEffect::StatusChanged(DeploymentStatus::InProgress),
                    DeploymentEffect::ResolveFleet,
                ])
            }
            Stage::Resolving => Ok(vec![DeploymentEffect::ResolveFleet]),
            Stage::Running | Stage::Ending(_) => Err(DeploymentRefusal::AlreadyResolved),
            Stage::Ended(status) => Err(DeploymentRefusal::AlreadyEnded(status)),
        }
    }

    fn check_resolving(&self) -> Result<(), DeploymentRefusal> {
        match self.stage {
            Stage::Created => Err(DeploymentRefusal::NotStarted),
            Stage::Resolving => Ok(()),
            Stage::Running | Stage::Ending(_) => Err(DeploymentRefusal::AlreadyResolved),
            Stage::Ended(status) => Err(DeploymentRefusal::AlreadyEnded(status)),
        }
    }
}
