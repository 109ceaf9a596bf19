//! Who a verified request comes from, and the names AWS has for them.

use serde::{Deserialize, Serialize};

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The 12-digit account that the caller belongs to (D-04).
    pub account: String,
    /// The caller's ARN, as `sts:GetCallerIdentity` returns it and as hosts are registered with (AG-165).
    pub arn: String,
    /// What sort of caller it is.
    pub kind: PrincipalKind,
}

/// The sorts of caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PrincipalKind {
    /// An IAM user with an access key of its own.
    User {
        /// The friendly name.
        name: String,
        /// `/` or `/division/`.
        path: String,
        /// `AIDA…`.
        id: String,
    },
    /// A session of a role, opened by `sts:AssumeRole`.
    AssumedRole {
        /// The role's friendly name.
        role_name: String,
        /// The role's path.
        role_path: String,
        /// `AROA…`.
        role_id: String,
        /// The name that the caller of AssumeRole chose.
        session: String,
    },
}

impl Principal {
    /// A user of the account.
    pub fn user(account: &str, path: &str, name: &str, id: &str) -> Self {
        Self {
            account: account.to_owned(),
            arn: user_arn(account, path, name),
            kind: PrincipalKind::User { name: name.to_owned(), path: path.to_owned(), id: id.to_owned() },
        }
    }

    /// A session of a role of the account.
    pub fn assumed_role(
        account: &str,
        role_path: &str,
        role_name: &str,
        role_id: &str,
        session: &str,
    ) -> Self {
        Self {
            account: account.to_owned(),
            arn: assumed_role_arn(account, role_name, session),
            kind: PrincipalKind::AssumedRole {
                role_name: role_name.to_owned(),
                role_path: role_path.to_owned(),
                role_id: role_id.to_owned(),
                session: session.to_owned(),
            },
        }
    }

    /// `UserId` as `sts:GetCallerIdentity` returns it and `aws:userid` compares it: `AIDA…` or `AROA…:session`.
    pub fn user_id(&self) -> String {
        match &self.kind {
            PrincipalKind::User { id, .. } => id.clone(),
            PrincipalKind::AssumedRole { role_id, session, .. } => format!("{role_id}:{session}"),
        }
    }

    /// `aws:PrincipalArn`: of a session, the role's ARN, not the session's.
    pub fn policy_arn(&self) -> String {
        match &self.kind {
            PrincipalKind::User { .. } => self.arn.clone(),
            PrincipalKind::AssumedRole { role_name, role_path, .. } => {
                role_arn(&self.account, role_path, role_name)
            }
        }
    }

    /// `aws:username`, which only users have.
    pub fn user_name(&self) -> Option<&str> {
        match &self.kind {
            PrincipalKind::User { name, .. } => Some(name),
            PrincipalKind::AssumedRole { .. } => None,
        }
    }

    /// `aws:PrincipalType`.
    pub fn principal_type(&self) -> &'static str {
        match &self.kind {
            PrincipalKind::User { .. } => "User",
            PrincipalKind::AssumedRole { .. } => "AssumedRole",
        }
    }
}

/// Name of the role whose sessions are EC2 hosts; the session is named after the instance (D-31). No user may
/// have a role of this name, or its sessions could pose as hosts.
pub const EC2_HOST_ROLE: &str = "SlipwayHost";

impl Principal {
    /// Whether this caller is the host that it polls as (AP-07, AG-166): a user or a session as its own ARN, an EC2
    /// host as its instance's ARN in the region of the request.
    pub fn is_host(&self, host_identifier: &str, region: &str) -> bool {
        if let PrincipalKind::AssumedRole { role_name, session, .. } = &self.kind
            && role_name == EC2_HOST_ROLE
        {
            return host_identifier == format!("arn:aws:ec2:{region}:{}:instance/{session}", self.account);
        }
        host_identifier == self.arn
    }
}

/// `arn:aws:iam::<account>:user<path><name>`.
pub fn user_arn(account: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:user{path}{name}")
}

/// `arn:aws:iam::<account>:role<path><name>`.
pub fn role_arn(account: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:role{path}{name}")
}

/// `arn:aws:sts::<account>:assumed-role/<role>/<session>`; the role's path is not part of it (AG-165).
pub fn assumed_role_arn(account: &str, role_name: &str, session: &str) -> String {
    format!("arn:aws:sts::{account}:assumed-role/{role_name}/{session}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_arns_are_those_hosts_register_with_ag_165() {
        let host =
            Principal::assumed_role("444455556666", "/fleet/", "CodeDeployInstanceRole", "AROA1", "web2");
        assert_eq!(host.arn, "arn:aws:sts::444455556666:assumed-role/CodeDeployInstanceRole/web2");
        assert_eq!(host.user_id(), "AROA1:web2");
        assert_eq!(host.policy_arn(), "arn:aws:iam::444455556666:role/fleet/CodeDeployInstanceRole");
        assert_eq!(host.user_name(), None);
    }

    #[test]
    fn user_arns_carry_the_path_ag_188() {
        let user = Principal::user("444455556666", "/AWS/CodeDeploy/", "AssetTag1", "AIDA1");
        assert_eq!(user.arn, "arn:aws:iam::444455556666:user/AWS/CodeDeploy/AssetTag1");
        assert_eq!((user.user_id(), user.policy_arn()), ("AIDA1".to_owned(), user.arn.clone()));
    }

    #[test]
    fn a_caller_polls_as_itself_only_ap_07() {
        let user = Principal::user("444455556666", "/", "box1", "AIDA1");
        assert!(user.is_host("arn:aws:iam::444455556666:user/box1", "us-east-1"));
        assert!(!user.is_host("arn:aws:iam::444455556666:user/box2", "us-east-1"));
        assert!(!user.is_host("", "us-east-1"));
        let session = Principal::assumed_role("444455556666", "/", "Fleet", "AROA1", "i-1");
        assert!(session.is_host("arn:aws:sts::444455556666:assumed-role/Fleet/i-1", "us-east-1"));
        assert!(!session.is_host("arn:aws:ec2:us-east-1:444455556666:instance/i-1", "us-east-1"));
        let ec2 = Principal::assumed_role("444455556666", "/", EC2_HOST_ROLE, "AROA2", "i-1");
        assert!(ec2.is_host("arn:aws:ec2:us-east-1:444455556666:instance/i-1", "us-east-1"));
        assert!(!ec2.is_host("arn:aws:ec2:us-east-1:444455556666:instance/i-2", "us-east-1"));
        assert!(!ec2.is_host("arn:aws:ec2:us-east-1:444455556666:instance/i-1", "eu-west-1"));
    }

    #[test]
    fn principals_survive_storage() {
        let user = Principal::user("444455556666", "/", "admin", "AIDA1");
        let text = serde_json::to_string(&user).unwrap();
        assert_eq!(serde_json::from_str::<Principal>(&text).unwrap(), user);
    }
}
