//! What is known about the targets of a deployment, and what has changed.

use std::collections::BTreeMap;

use slipway_wire::Timestamp;
use slipway_wire::codedeploy::{DeploymentTarget, Diagnostics, InstanceTarget, LifecycleEvent};

/// A lifecycle event of a host has a new status.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// When, by the control plane's clock.
    pub(crate) time: Option<Timestamp>,
    /// The host.
    pub(crate) host: String,
    /// The event; of the host as a whole when absent.
    pub(crate) event: Option<String>,
    /// The new status.
    pub(crate) status: String,
    /// What a failed event tells.
    pub(crate) diagnostics: Option<Diagnostics>,
}

/// One host.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Host {
    /// Its status.
    pub(crate) status: String,
    /// Its events with their status, in order.
    pub(crate) events: Vec<(String, String)>,
}

/// All hosts that have been seen.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    hosts: BTreeMap<String, Host>,
}

impl Tracker {
    /// Takes a target in; what is new about it. Lambda functions and ECS services have no hosts.
    pub(crate) fn absorb(&mut self, target: &DeploymentTarget) -> Vec<Change> {
        let Some(target) = &target.instance_target else { return Vec::new() };
        let name = target.target_id.clone().unwrap_or_default();
        let host = self.hosts.entry(name.clone()).or_default();
        let mut changes = Vec::new();
        // Skipped events have no time of their own; they follow the one before.
        let mut latest = None;
        for event in target.lifecycle_events.as_deref().unwrap_or_default() {
            latest = event.end_time.or(event.start_time).or(latest);
            changes.extend(host.absorb(&name, event, latest));
        }
        let status = target.status.clone().unwrap_or_default();
        if is_final(&status) && host.status != status {
            changes.push(Change {
                time: end_of(target),
                host: name,
                event: None,
                status: status.clone(),
                diagnostics: None,
            });
        }
        host.status = status;
        changes
    }

    /// Whether nothing more will happen on this host.
    pub(crate) fn has_ended(&self, name: &str) -> bool {
        self.hosts.get(name).is_some_and(|host| is_final(&host.status))
    }

    /// Hosts at work, by name.
    pub(crate) fn working(&self) -> impl Iterator<Item = (&str, &Host)> {
        self.hosts
            .iter()
            .filter(|(_, host)| !is_final(&host.status))
            .map(|(name, host)| (name.as_str(), host))
    }
}

impl Host {
    fn absorb(&mut self, name: &str, event: &LifecycleEvent, time: Option<Timestamp>) -> Option<Change> {
        let event_name = event.lifecycle_event_name.clone().unwrap_or_default();
        let status = event.status.clone().unwrap_or_default();
        let at = self.events.iter().position(|(known, _)| *known == event_name).unwrap_or_else(|| {
            self.events.push((event_name.clone(), String::new()));
            self.events.len() - 1
        });
        let known = &mut self.events[at].1;
        let is_new = *known != status && status != "Pending";
        known.clone_from(&status);
        is_new.then(|| Change {
            time,
            host: name.to_owned(),
            event: Some(event_name),
            diagnostics: (status == "Failed").then(|| event.diagnostics.clone()).flatten(),
            status,
        })
    }
}

/// When the last event of a target ended.
fn end_of(target: &InstanceTarget) -> Option<Timestamp> {
    let events = target.lifecycle_events.as_deref().unwrap_or_default();
    events.iter().filter_map(|event| event.end_time).max().or(target.last_updated_at)
}

fn is_final(status: &str) -> bool {
    matches!(status, "Succeeded" | "Failed" | "Skipped" | "Unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(status: &str, events: &[(&str, &str, i64)]) -> DeploymentTarget {
        let events = events.iter().map(|(name, status, end)| LifecycleEvent {
            lifecycle_event_name: Some((*name).into()),
            status: Some((*status).into()),
            end_time: (*end > 0).then(|| Timestamp::from_millis(*end)),
            diagnostics: Some(Diagnostics { error_code: Some("ScriptFailed".into()), ..Default::default() }),
            ..Default::default()
        });
        DeploymentTarget {
            instance_target: Some(InstanceTarget {
                target_id: Some("web-1".into()),
                status: Some(status.into()),
                lifecycle_events: Some(events.collect()),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn told(changes: &[Change]) -> Vec<String> {
        let tell = |c: &Change| format!("{} {}", c.event.as_deref().unwrap_or("-"), c.status);
        changes.iter().map(tell).collect()
    }

    #[test]
    fn each_status_is_told_once_and_pending_never() {
        let mut tracker = Tracker::default();
        let first =
            target("InProgress", &[("A", "Succeeded", 5), ("B", "InProgress", 0), ("C", "Pending", 0)]);
        assert_eq!(told(&tracker.absorb(&first)), ["A Succeeded", "B InProgress"]);
        assert_eq!(told(&tracker.absorb(&first)), [""; 0]);
        assert!(!tracker.has_ended("web-1"));
        assert_eq!(tracker.working().count(), 1);

        let last = target("Failed", &[("A", "Succeeded", 5), ("B", "Failed", 9), ("C", "Skipped", 0)]);
        let changes = tracker.absorb(&last);
        assert_eq!(told(&changes), ["B Failed", "C Skipped", "- Failed"]);
        assert!(changes[0].diagnostics.is_some() && changes[1].diagnostics.is_none());
        assert_eq!(
            changes.iter().map(|change| change.time).collect::<Vec<_>>(),
            [Some(Timestamp::from_millis(9)); 3]
        );
        assert!(tracker.has_ended("web-1"));
        assert_eq!(tracker.working().count(), 0);
    }

    #[test]
    fn a_target_without_hosts_changes_nothing() {
        assert_eq!(Tracker::default().absorb(&DeploymentTarget::default()), []);
    }
}
