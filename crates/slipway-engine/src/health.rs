//! The health of a host as its deployment group sees it (CF-010..CF-017).
//!
//! It is kept per (group, host) in two independent attributes, and it decides who is taken first by the next
//! deployment ([`crate::schedule`]).

use serde::{Deserialize, Serialize};
use slipway_model::status::TargetStatus;

/// Whether the last attempt to deploy to the host ended well (CF-011).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InstanceHealth {
    /// It did not, or there was none yet.
    Unhealthy,
    /// It did.
    Healthy,
}

/// How what is installed relates to what the group last deployed with success (CF-010).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RevisionHealth {
    /// Nothing was installed with success.
    Unknown,
    /// Another revision of the application: an older one, or a newer one of a failed deployment (CF-017).
    Old,
    /// The revision of the group's last successful deployment.
    Current,
}

impl RevisionHealth {
    /// Compares the identity of the installed revision with that of the group's last successful deployment.
    pub fn of(installed: Option<&str>, group: Option<&str>) -> Self {
        match installed {
            None => Self::Unknown,
            Some(_) if installed == group => Self::Current,
            Some(_) => Self::Old,
        }
    }
}

/// What is kept of a host between deployments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostState {
    /// Instance health.
    pub instance: InstanceHealth,
    /// Identity of the revision that was last installed with success.
    pub installed: Option<String>,
}

impl HostState {
    /// A host that was never deployed to: Unhealthy and Unknown (CF-011).
    pub const NEW: Self = Self { instance: InstanceHealth::Unhealthy, installed: None };
}

/// What a deployment did with one of its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// Nothing ran there.
    NotAttempted,
    /// All lifecycle events ended well.
    Succeeded,
    /// Something ran, and it did not end well.
    Failed,
}

impl Attempt {
    /// Reads it from the final status of the target. A target that was stopped half-way is Failed, one where nothing
    /// had run is Skipped, so the status says it all.
    pub const fn of(status: TargetStatus) -> Self {
        match status {
            TargetStatus::Succeeded => Self::Succeeded,
            TargetStatus::Failed => Self::Failed,
            TargetStatus::Pending
            | TargetStatus::InProgress
            | TargetStatus::Skipped
            | TargetStatus::Unknown
            | TargetStatus::Ready => Self::NotAttempted,
        }
    }
}

/// What must be known of a deployment that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// Whether the deployment as a whole succeeded.
    pub succeeded: bool,
    /// Identity of the revision that it deployed.
    pub revision: &'a str,
    /// Identity of the revision of the group's last successful deployment before it.
    pub group_revision_before: Option<&'a str>,
}

/// The state of a host after a deployment that it was part of (CF-014..CF-016; a host that was not attempted keeps
/// its state whatever the outcome, A-10).
///
/// The revision health that follows is [`RevisionHealth::of`] the result and the group's revision, which a
/// deployment changes only by succeeding.
#[must_use]
pub fn after_deployment(before: HostState, attempt: Attempt, outcome: &Outcome<'_>) -> HostState {
    match attempt {
        Attempt::NotAttempted => before,
        // In a failed deployment too: the host is then Healthy but not Current (CF-017).
        Attempt::Succeeded => {
            HostState { instance: InstanceHealth::Healthy, installed: Some(outcome.revision.to_owned()) }
        }
        Attempt::Failed => {
            let was = RevisionHealth::of(before.installed.as_deref(), outcome.group_revision_before);
            // CF-014: only what was Current becomes Unknown, and only when the group moves on.
            let forget = outcome.succeeded && was == RevisionHealth::Current;
            HostState {
                instance: InstanceHealth::Unhealthy,
                installed: if forget { None } else { before.installed },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InstanceHealth::{Healthy, Unhealthy};
    use RevisionHealth::{Current, Old, Unknown};

    const BEFORE: &str = "rev-2";
    const DEPLOYED: &str = "rev-3";

    fn host(instance: InstanceHealth, revision: RevisionHealth) -> HostState {
        let installed = match revision {
            Unknown => None,
            Old => Some("rev-1".to_owned()),
            Current => Some(BEFORE.to_owned()),
        };
        HostState { instance, installed }
    }

    fn after(start: (InstanceHealth, RevisionHealth), attempt: Attempt, succeeded: bool) -> HostState {
        let outcome = Outcome { succeeded, revision: DEPLOYED, group_revision_before: Some(BEFORE) };
        after_deployment(host(start.0, start.1), attempt, &outcome)
    }

    fn seen(state: &HostState, group: &str) -> (InstanceHealth, RevisionHealth) {
        (state.instance, RevisionHealth::of(state.installed.as_deref(), Some(group)))
    }

    #[test]
    fn a_new_host_is_unhealthy_and_unknown_cf_011() {
        assert_eq!(seen(&HostState::NEW, BEFORE), (Unhealthy, Unknown));
    }

    #[test]
    fn a_successful_deployment_judges_its_hosts_by_cf_014_and_cf_015() {
        for (start, attempt, end) in [
            ((Healthy, Current), Attempt::Succeeded, (Healthy, Current)),
            ((Healthy, Old), Attempt::Succeeded, (Healthy, Current)),
            ((Healthy, Unknown), Attempt::Succeeded, (Healthy, Current)),
            ((Unhealthy, Unknown), Attempt::Succeeded, (Healthy, Current)),
            ((Healthy, Current), Attempt::Failed, (Unhealthy, Unknown)),
            ((Healthy, Old), Attempt::Failed, (Unhealthy, Old)),
            ((Unhealthy, Unknown), Attempt::Failed, (Unhealthy, Unknown)),
            // What was Current is Old now, because the group has moved on.
            ((Healthy, Current), Attempt::NotAttempted, (Healthy, Old)),
        ] {
            assert_eq!(seen(&after(start, attempt, true), DEPLOYED), end, "{start:?} {attempt:?}");
        }
    }

    #[test]
    fn a_failed_deployment_judges_only_attempted_hosts_cf_016() {
        for (start, attempt, end) in [
            ((Healthy, Current), Attempt::NotAttempted, (Healthy, Current)),
            ((Unhealthy, Unknown), Attempt::NotAttempted, (Unhealthy, Unknown)),
            ((Healthy, Current), Attempt::Failed, (Unhealthy, Current)),
            ((Unhealthy, Old), Attempt::Failed, (Unhealthy, Old)),
        ] {
            assert_eq!(seen(&after(start, attempt, false), BEFORE), end, "{start:?} {attempt:?}");
        }
    }

    #[test]
    fn a_host_that_got_the_revision_of_a_failed_deployment_is_healthy_but_not_current_cf_017() {
        let state = after((Healthy, Current), Attempt::Succeeded, false);
        assert_eq!(seen(&state, BEFORE), (Healthy, Old));
    }
}
