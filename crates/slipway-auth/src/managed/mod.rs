//! The AWS managed policies that exist built in, under their documented ARNs (D-05, D-30, DP-650..659, DP-661).
//!
//! The S3 pair and AdministratorAccess are here because the guide's procedures attach them (DP-302).

use std::sync::LazyLock;

use crate::policy::Policy;

/// A built-in managed policy.
#[derive(Debug)]
pub struct ManagedPolicy {
    /// `AWSCodeDeployRole`.
    pub name: &'static str,
    /// `/` or `/service-role/`; part of the ARN.
    pub path: &'static str,
    /// The document, JSON.
    pub document: &'static str,
    compiled: Policy,
}

impl ManagedPolicy {
    /// `arn:aws:iam::aws:policy<path><name>`.
    pub fn arn(&self) -> String {
        format!("{ARN_PREFIX}{}{}", self.path, self.name)
    }

    /// The document compiled.
    pub fn policy(&self) -> &Policy {
        &self.compiled
    }
}

impl AsRef<Policy> for ManagedPolicy {
    fn as_ref(&self) -> &Policy {
        &self.compiled
    }
}

const ARN_PREFIX: &str = "arn:aws:iam::aws:policy";
const PLAIN: &str = "/";
const SERVICE_ROLE: &str = "/service-role/";

/// ARN of AdministratorAccess, which the first start attaches to the administrator.
pub const ADMINISTRATOR_ACCESS: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
/// ARN of AWSCodeDeployRole, which the first start attaches to `CodeDeployServiceRole` (D-30).
pub const CODE_DEPLOY_ROLE: &str = "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRole";

macro_rules! documents {
    ($($path:ident $name:literal),* $(,)?) => {
        &[$(($path, $name, include_str!(concat!($name, ".json")))),*]
    };
}

const DOCUMENTS: &[(&str, &str, &str)] = documents![
    PLAIN "AdministratorAccess",
    PLAIN "AWSCodeDeployFullAccess",
    PLAIN "AWSCodeDeployDeployerAccess",
    PLAIN "AWSCodeDeployReadOnlyAccess",
    SERVICE_ROLE "AWSCodeDeployRole",
    SERVICE_ROLE "AWSCodeDeployRoleForLambda",
    SERVICE_ROLE "AWSCodeDeployRoleForLambdaLimited",
    PLAIN "AWSCodeDeployRoleForECS",
    PLAIN "AWSCodeDeployRoleForECSLimited",
    PLAIN "AWSCodeDeployRoleForCloudFormation",
    SERVICE_ROLE "AmazonEC2RoleforAWSCodeDeploy",
    PLAIN "AmazonEC2RoleforAWSCodeDeployLimited",
    PLAIN "AmazonS3FullAccess",
    PLAIN "AmazonS3ReadOnlyAccess",
];

static POLICIES: LazyLock<Vec<ManagedPolicy>> = LazyLock::new(|| {
    DOCUMENTS
        .iter()
        .map(|(path, name, document)| ManagedPolicy {
            name,
            path,
            document,
            compiled: Policy::parse(name, document).expect("a test parses every built-in policy"),
        })
        .collect()
});

/// All built-in policies.
pub fn all() -> &'static [ManagedPolicy] {
    &POLICIES
}

/// The built-in policy of this ARN.
pub fn get(arn: &str) -> Option<&'static ManagedPolicy> {
    let full_name = arn.strip_prefix(ARN_PREFIX)?;
    all().iter().find(|policy| full_name.strip_prefix(policy.path) == Some(policy.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Context, Request, evaluate};

    fn allows(arn: &str, action: &str, resource: &str, context: &Context) -> bool {
        evaluate(&[get(arn).unwrap()], &Request { action, resource, context }).is_allowed()
    }

    #[test]
    fn every_policy_is_found_by_its_own_arn_only() {
        for policy in all() {
            assert_eq!(get(&policy.arn()).unwrap().name, policy.name);
        }
        assert_eq!(get(CODE_DEPLOY_ROLE).unwrap().name, "AWSCodeDeployRole");
        assert!(get(ADMINISTRATOR_ACCESS).is_some());
        for wrong in
            ["arn:aws:iam::aws:policy/AWSCodeDeployRole", "arn:aws:iam::aws:policy/", "AWSCodeDeployRole"]
        {
            assert!(get(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn deployers_create_but_do_not_stop_dp_651() {
        let arn = "arn:aws:iam::aws:policy/AWSCodeDeployDeployerAccess";
        let group = "arn:aws:codedeploy:us-west-2:444455556666:deploymentgroup:A/G";
        let none = Context::new();
        for action in
            ["CreateDeployment", "RegisterApplicationRevision", "BatchGetDeployments", "ListApplications"]
        {
            assert!(allows(arn, &format!("codedeploy:{action}"), group, &none), "{action}");
        }
        for action in ["StopDeployment", "ContinueDeployment", "DeleteApplication"] {
            assert!(!allows(arn, &format!("codedeploy:{action}"), group, &none), "{action}");
        }
    }

    #[test]
    fn full_access_is_codedeploy_and_nothing_else_to_deploy_with_dp_650() {
        let arn = "arn:aws:iam::aws:policy/AWSCodeDeployFullAccess";
        let none = Context::new();
        assert!(allows(arn, "codedeploy:DeleteApplication", "*", &none));
        assert!(!allows(arn, "ec2:DescribeInstances", "*", &none));
        assert!(!allows(arn, "s3:GetObject", "arn:aws:s3:::b/k", &none));
        let rule = "codestar-notifications:CreateNotificationRule";
        assert!(!allows(arn, rule, "*", &none));
        let for_us = Context::new()
            .with("codestar-notifications:NotificationsForResource", "arn:aws:codedeploy:r:a:application:A");
        assert!(allows(arn, rule, "*", &for_us));
    }

    #[test]
    fn read_only_reads_dp_652() {
        let arn = "arn:aws:iam::aws:policy/AWSCodeDeployReadOnlyAccess";
        assert!(allows(arn, "codedeploy:GetDeployment", "*", &Context::new()));
        assert!(!allows(arn, "codedeploy:CreateApplication", "*", &Context::new()));
    }

    #[test]
    fn limited_roles_keep_to_tagged_objects_and_hook_functions_dp_657_dp_658() {
        let ecs = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited";
        let none = Context::new();
        let tagged = Context::new().with("s3:ExistingObjectTag/UseWithCodeDeploy", "true");
        assert!(!allows(ecs, "s3:GetObject", "arn:aws:s3:::b/k", &none));
        assert!(allows(ecs, "s3:GetObject", "arn:aws:s3:::b/k", &tagged));
        assert!(allows(ecs, "lambda:InvokeFunction", "arn:aws:lambda:r:1:function:CodeDeployHook_x", &none));
        assert!(!allows(ecs, "lambda:InvokeFunction", "arn:aws:lambda:r:1:function:other", &none));
        let ec2 = "arn:aws:iam::aws:policy/AmazonEC2RoleforAWSCodeDeployLimited";
        assert!(allows(ec2, "s3:GetObject", "arn:aws:s3:::b/CodeDeploy/app.zip", &none));
        assert!(!allows(ec2, "s3:GetObject", "arn:aws:s3:::b/app.zip", &none));
    }
}
