//! Which permissions an operation asks for: the guide's permission table for CodeDeploy (DP-701..752, DP-740,
//! DP-741), and S3's.

mod s3;

use thiserror::Error;

pub use s3::s3_permission;

use crate::identity::Principal;
use crate::policy::{self, Context, Decision, Grants, Policy, Request};

/// The part of a request that decides on which resources it must be allowed. Members that an operation has no use
/// for stay at their default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    /// `CreateDeployment`, without the `codedeploy:`.
    pub operation: &'a str,
    /// The region of the credential scope (D-04).
    pub region: &'a str,
    /// The account whose resources are meant.
    pub account: &'a str,
    /// The application.
    pub application: Option<&'a str>,
    /// The application's new name, of `UpdateApplication`.
    pub new_application: Option<&'a str>,
    /// The deployment group; of a deployment's operations, the one it belongs to (DP-741).
    pub group: Option<&'a str>,
    /// The deployment group's new name, of `UpdateDeploymentGroup`.
    pub new_group: Option<&'a str>,
    /// Application and group of each item of a batch, where they differ.
    pub groups: &'a [(&'a str, &'a str)],
    /// The deployment configuration: the one named, or the one that `CreateDeployment` will use.
    pub config: Option<&'a str>,
    /// On-premises instances.
    pub instances: &'a [&'a str],
    /// `CreateDeployment` with `overrideAlarmConfiguration` (DP-003).
    pub overrides_alarms: bool,
}

/// One thing that the caller must be allowed: any of the actions, on the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Full action names; the first one is the one to name when access is denied.
    pub any_of: Vec<String>,
    /// The ARN, or `*`.
    pub resource: String,
}

/// A call that is not allowed. The text is AWS's AccessDenied message; `decision` is for the log and the audit
/// trail only, since it names policies.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Denied {
    /// The action that is not allowed.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Why.
    pub decision: Decision,
    message: String,
}

impl Permission {
    /// One action on one resource.
    pub fn new(action: &str, resource: &str) -> Self {
        Self { any_of: vec![action.to_owned()], resource: resource.to_owned() }
    }
}

/// Checks that the caller is allowed all of `permissions`; the first that is missing is told.
pub fn authorize<P: AsRef<Policy>>(
    permissions: &[Permission],
    principal: &Principal,
    grants: &Grants<'_, P>,
    context: &Context,
) -> Result<(), Denied> {
    for Permission { any_of, resource } in permissions {
        let mut refused = None;
        let allowed = any_of.iter().any(|action| {
            let decision = policy::evaluate_grants(grants, &Request { action, resource, context });
            let message = decision.denial_message(&principal.arn, action, resource);
            // The first alternative is the one to name.
            if let (None, Some(message)) = (&refused, message.clone()) {
                refused =
                    Some(Denied { action: action.clone(), resource: resource.clone(), decision, message });
            }
            message.is_none()
        });
        if let (false, Some(denied)) = (allowed, refused) {
            return Err(denied);
        }
    }
    Ok(())
}

/// Everything that the caller must be allowed for this call; all of it is needed.
pub fn required_permissions(call: &Call<'_>) -> Vec<Permission> {
    let permission = |actions: &[&str], resource: String| Permission {
        any_of: actions.iter().map(|action| format!("codedeploy:{action}")).collect(),
        resource,
    };
    let mut needed: Vec<Permission> =
        codedeploy_resources(call).into_iter().map(|arn| permission(&[call.operation], arn)).collect();
    if call.operation == "CreateDeployment" {
        // DP-740
        if let Some(config) = call.config {
            needed.push(permission(&["GetDeploymentConfig"], call.config_arn(config)));
        }
        if let Some(application) = call.application {
            let actions = ["GetApplicationRevision", "RegisterApplicationRevision"];
            needed.push(permission(&actions, call.application_arn(application)));
        }
        if call.overrides_alarms {
            for arn in call.group_arns() {
                needed.push(permission(&["UpdateDeploymentGroup"], arn));
            }
        }
    }
    needed
}

/// The resources on which the operation itself must be allowed, each of them; at least one.
pub fn codedeploy_resources(call: &Call<'_>) -> Vec<String> {
    let arns = match call.operation {
        "BatchGetApplicationRevisions"
        | "CreateApplication"
        | "DeleteApplication"
        | "GetApplication"
        | "GetApplicationRevision"
        | "RegisterApplicationRevision"
        | "UpdateApplication" => call.application_arns(),
        "BatchGetApplications" | "ListApplications" | "ListApplicationRevisions" => {
            vec![call.arn("application:*")]
        }
        "BatchGetDeploymentGroups"
        | "BatchGetDeploymentInstances"
        | "BatchGetDeploymentTargets"
        | "BatchGetDeployments"
        | "ContinueDeployment"
        | "CreateDeployment"
        | "CreateDeploymentGroup"
        | "DeleteDeploymentGroup"
        | "GetDeployment"
        | "GetDeploymentGroup"
        | "GetDeploymentInstance"
        | "GetDeploymentTarget"
        | "ListDeploymentInstances"
        | "ListDeploymentTargets"
        | "ListDeployments"
        // The guide asks for an instance (DP-735), which the call does not name; its group is what is meant (05 A-18).
        | "SkipWaitTimeForInstanceTermination"
        | "StopDeployment"
        | "UpdateDeploymentGroup" => call.group_arns(),
        "CreateDeploymentConfig" | "DeleteDeploymentConfig" | "GetDeploymentConfig" => {
            call.config.iter().map(|name| call.config_arn(name)).collect()
        }
        "ListDeploymentConfigs" => vec![call.arn("deploymentconfig:*")],
        "ListDeploymentGroups" => {
            call.application.iter().map(|name| call.arn(&format!("deploymentgroup:{name}/*"))).collect()
        }
        "AddTagsToOnPremisesInstances"
        | "DeregisterOnPremisesInstance"
        | "GetOnPremisesInstance"
        | "RegisterOnPremisesInstance"
        | "RemoveTagsFromOnPremisesInstances" => {
            call.instances.iter().map(|name| call.arn(&format!("instance:{name}"))).collect()
        }
        "BatchGetOnPremisesInstances" | "ListGitHubAccountTokenNames" | "ListOnPremisesInstances" => {
            vec![call.arn("*")]
        }
        "ListTagsForResource" | "TagResource" | "UntagResource" => match call.group {
            Some(_) => call.group_arns(),
            None => call.application_arns(),
        },
        _ => Vec::new(),
    };
    // Nothing named: only who may do it to everything may do it.
    if arns.is_empty() { vec!["*".to_owned()] } else { arns }
}

impl Call<'_> {
    fn arn(&self, rest: &str) -> String {
        format!("arn:aws:codedeploy:{}:{}:{rest}", self.region, self.account)
    }

    fn application_arn(&self, name: &str) -> String {
        self.arn(&format!("application:{name}"))
    }

    fn config_arn(&self, name: &str) -> String {
        self.arn(&format!("deploymentconfig:{name}"))
    }

    /// Old and new name: DP-737.
    fn application_arns(&self) -> Vec<String> {
        self.application.iter().chain(&self.new_application).map(|name| self.application_arn(name)).collect()
    }

    /// The one group with old and new name (DP-738), and those of a batch, each once.
    fn group_arns(&self) -> Vec<String> {
        let named = self.application.into_iter().flat_map(|application| {
            self.group.iter().chain(&self.new_group).map(move |group| (application, *group))
        });
        let mut arns: Vec<String> = Vec::new();
        for (application, group) in named.chain(self.groups.iter().copied()) {
            let arn = self.arn(&format!("deploymentgroup:{application}/{group}"));
            if !arns.contains(&arn) {
                arns.push(arn);
            }
        }
        arns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: &str = "arn:aws:codedeploy:us-west-2:444455556666:";

    fn call(operation: &str) -> Call<'_> {
        Call { operation, region: "us-west-2", account: "444455556666", ..Call::default() }
    }

    #[test]
    fn operations_ask_on_the_resources_of_the_permission_table() {
        let full = |operation| Call {
            application: Some("A"),
            group: Some("G"),
            config: Some("C"),
            instances: &["i1", "i2"],
            ..call(operation)
        };
        for (operation, expected) in [
            ("AddTagsToOnPremisesInstances", vec!["instance:i1", "instance:i2"]),
            ("BatchGetApplicationRevisions", vec!["application:A"]),
            ("BatchGetApplications", vec!["application:*"]),
            ("BatchGetOnPremisesInstances", vec!["*"]),
            ("CreateDeployment", vec!["deploymentgroup:A/G"]),
            ("CreateDeploymentConfig", vec!["deploymentconfig:C"]),
            ("GetDeployment", vec!["deploymentgroup:A/G"]),
            ("GetDeploymentTarget", vec!["deploymentgroup:A/G"]),
            ("ListDeploymentConfigs", vec!["deploymentconfig:*"]),
            ("ListDeploymentGroups", vec!["deploymentgroup:A/*"]),
            ("SkipWaitTimeForInstanceTermination", vec!["deploymentgroup:A/G"]),
            ("TagResource", vec!["deploymentgroup:A/G"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|rest| format!("{P}{rest}")).collect();
            assert_eq!(codedeploy_resources(&full(operation)), expected, "{operation}");
        }
    }

    #[test]
    fn a_call_that_names_nothing_needs_permission_on_everything() {
        for operation in
            ["ListDeployments", "PutLifecycleEventHookExecutionStatus", "DeleteGitHubAccountToken"]
        {
            assert_eq!(codedeploy_resources(&call(operation)), ["*"], "{operation} DP-729 DP-751");
        }
    }

    #[test]
    fn renaming_needs_permission_on_both_names_dp_737_dp_738() {
        let rename = Call { application: Some("A"), new_application: Some("B"), ..call("UpdateApplication") };
        assert_eq!(codedeploy_resources(&rename), [format!("{P}application:A"), format!("{P}application:B")]);
        let rename = Call {
            application: Some("A"),
            group: Some("G"),
            new_group: Some("H"),
            ..call("UpdateDeploymentGroup")
        };
        assert_eq!(
            codedeploy_resources(&rename),
            [format!("{P}deploymentgroup:A/G"), format!("{P}deploymentgroup:A/H")]
        );
    }

    #[test]
    fn batches_ask_for_each_group_once_dp_706() {
        let batch = Call { groups: &[("A", "G"), ("A", "H"), ("A", "G")], ..call("BatchGetDeployments") };
        assert_eq!(codedeploy_resources(&batch).len(), 2);
    }

    #[test]
    fn creating_a_deployment_needs_configuration_and_revision_too_dp_740() {
        let create = Call {
            application: Some("A"),
            group: Some("G"),
            config: Some("C"),
            overrides_alarms: true,
            ..call("CreateDeployment")
        };
        let needed: Vec<(Vec<String>, String)> =
            required_permissions(&create).into_iter().map(|p| (p.any_of, p.resource)).collect();
        let one = |action: &str, rest: &str| (vec![format!("codedeploy:{action}")], format!("{P}{rest}"));
        assert_eq!(needed[0], one("CreateDeployment", "deploymentgroup:A/G"));
        assert_eq!(needed[1], one("GetDeploymentConfig", "deploymentconfig:C"));
        assert_eq!(
            needed[2].0,
            ["codedeploy:GetApplicationRevision", "codedeploy:RegisterApplicationRevision"]
        );
        assert_eq!(needed[2].1, format!("{P}application:A"));
        assert_eq!(needed[3], one("UpdateDeploymentGroup", "deploymentgroup:A/G"));
        assert_eq!(needed.len(), 4);
    }
}
