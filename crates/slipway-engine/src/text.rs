//! The sentences that users see when something failed: the documented ones word for word, ours where none is documented.

use slipway_model::status::{ErrorCode, ErrorInformation};

/// No agent picked the event up in time (AS-164).
pub const NOT_PICKED_UP: &str = "CodeDeploy agent was not able to receive the lifecycle event. Check the CodeDeploy \
     agent logs on your host and make sure the agent is running and can connect to the CodeDeploy server.";

/// Too many hosts failed (CF-036, CF-038).
pub const HEALTH_CONSTRAINTS: &str = "The overall deployment failed because too many individual instances failed \
     deployment, too few healthy instances are available for deployment, or some instances in your deployment group \
     are experiencing problems.";

/// The minimum leaves nothing to deploy to (CF-030); the numbers are put behind it.
pub const HEALTH_CONSTRAINTS_INVALID: &str = "The deployment can't start because the minimum number of healthy \
     instances, as defined by your deployment configuration, are not available. You can reduce the required number \
     of healthy instances by updating your deployment configuration or increase the number of instances in this \
     deployment group.";

/// The group selects nothing (CF-031).
pub const NO_INSTANCES: &str = "The deployment failed because no instances were found for your deployment group. \
     Check your deployment group settings to make sure the tags for your EC2 instances or Auto Scaling groups \
     correctly identify the instances you want to deploy to, and then try again.";

/// More hosts than the quota allows (Q15); the numbers are put behind it.
pub const OVER_MAX_INSTANCES: &str = "The deployment failed because more instances are targeted for deployment than \
     are allowed for your account. To reduce the number of instances targeted for this deployment, update the tag \
     settings for this deployment group or delete some of the targeted instances.";

pub(crate) fn event_timed_out(limit_ms: i64) -> String {
    format!(
        "The lifecycle event timed out: the agent reported no result within {} of its start. Check that the host is \
         running and can connect to the CodeDeploy server.",
        duration(limit_ms)
    )
}

pub(crate) fn driver_timed_out(limit_ms: i64) -> String {
    format!("The lifecycle event timed out: the load balancer was not ready within {}.", duration(limit_ms))
}

pub(crate) fn health_constraints() -> ErrorInformation {
    ErrorInformation { code: ErrorCode::HealthConstraints, message: HEALTH_CONSTRAINTS.into() }
}

pub(crate) fn health_constraints_invalid(minimum: u32, total: u32, group: &str) -> ErrorInformation {
    ErrorInformation {
        code: ErrorCode::HealthConstraintsInvalid,
        message: format!(
            "{HEALTH_CONSTRAINTS_INVALID} (Of the {total} instances of {group}, {minimum} must stay healthy, so none \
             can be taken for the deployment.)"
        ),
    }
}

/// CF-058.
pub(crate) fn zone_constraints_invalid(minimum: u32, hosts: u32, group: &str) -> ErrorInformation {
    ErrorInformation {
        code: ErrorCode::HealthConstraintsInvalid,
        message: format!(
            "{HEALTH_CONSTRAINTS_INVALID} (A zone of {group} has {hosts} instances, of which {minimum} must stay \
             healthy, so none of them can be taken for the deployment.)"
        ),
    }
}

/// D-11, A-29.
pub(crate) fn without_zone(hosts: &[String]) -> ErrorInformation {
    const SHOWN: usize = 10;
    let more = hosts.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    ErrorInformation {
        code: ErrorCode::HealthConstraintsInvalid,
        message: format!(
            "The deployment configuration goes zone by zone, and these instances are in no zone: {}{more}. Give each of \
             them the tag slipway:zone, or use a deployment configuration without zones.",
            hosts[..hosts.len().min(SHOWN)].join(", ")
        ),
    }
}

/// DP-224.
pub(crate) fn alarm_active(names: &[String]) -> ErrorInformation {
    ErrorInformation {
        code: ErrorCode::AlarmActive,
        message: format!(
            "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the \
             affected deployments have been stopped. Activated alarms: {}",
            names.join(" ")
        ),
    }
}

/// What is told about a deployment that was rolled back (DP-203).
pub fn rolled_back(old: &str, new: &str) -> String {
    format!("Deployment {old} terminated. Automatic rollback is triggered with a DeploymentId {new}.")
}

/// What is told about a rollback (DP-203).
pub fn rolls_back(new: &str, old: &str) -> String {
    format!("Deployment {new} is triggered to roll back deployment {old}.")
}

/// What is told about a deployment that could not be rolled back (DP-227).
pub fn not_rolled_back(old: &str) -> String {
    format!(
        "Deployment {old} terminated. It could not be rolled back: no earlier deployment of the deployment group \
         succeeded."
    )
}

pub(crate) fn no_instances() -> ErrorInformation {
    ErrorInformation { code: ErrorCode::NoInstances, message: NO_INSTANCES.into() }
}

pub(crate) fn over_max_instances(total: u64, allowed: u32, group: &str) -> ErrorInformation {
    ErrorInformation {
        code: ErrorCode::OverMaxInstances,
        message: format!("{OVER_MAX_INSTANCES} ({group} selects {total} instances; {allowed} are allowed.)"),
    }
}

pub(crate) fn manual_stop(requested_by: &str) -> ErrorInformation {
    ErrorInformation {
        code: ErrorCode::ManualStop,
        message: format!("The deployment was stopped at the request of {requested_by}."),
    }
}

pub(crate) fn run_limit_passed(limit_ms: i64) -> ErrorInformation {
    ErrorInformation {
        code: ErrorCode::Timeout,
        message: format!("The deployment timed out: it did not end within {}.", duration(limit_ms)),
    }
}

/// In the largest unit that divides it, as a user would have configured it.
fn duration(millis: i64) -> String {
    let (count, unit) = match millis {
        m if m > 0 && m % 3_600_000 == 0 => (m / 3_600_000, "hour"),
        m if m > 0 && m % 60_000 == 0 => (m / 60_000, "minute"),
        m if m % 1000 == 0 => (m / 1000, "second"),
        m => (m, "millisecond"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told_in_the_unit_they_were_set_in() {
        for (millis, text) in [
            (12 * 3_600_000, "12 hours"),
            (3_600_000, "1 hour"),
            (300_000, "5 minutes"),
            (90_000, "90 seconds"),
            (1500, "1500 milliseconds"),
            (0, "0 seconds"),
        ] {
            assert_eq!(duration(millis), text);
        }
    }
}
