//! What a user or a role's session may do, compiled from the stored documents.

use std::collections::BTreeMap;

use super::{IamError, Role, User, parse_session_policy};
use crate::managed;
use crate::policy::{Grants, Policy};
use crate::token::SessionToken;

/// All compiled policies of one caller. Cheap to clone and to share; compile it again when the documents change.
#[derive(Clone, Debug)]
pub struct Permissions {
    identity: Vec<Policy>,
    boundary: Option<Vec<Policy>>,
    session: Option<Vec<Policy>>,
}

impl Permissions {
    /// In the form that evaluation takes.
    pub fn grants(&self) -> Grants<'_, Policy> {
        Grants {
            identity: &self.identity,
            boundary: self.boundary.as_deref(),
            session: self.session.as_deref(),
        }
    }

    /// Narrows by the policies of a session (DP-615). A session that was opened without any stays as wide as its
    /// role.
    pub fn narrowed_by(mut self, session: &SessionToken) -> Result<Self, IamError> {
        let mut policies = managed_policies(&session.session_policy_arns)?;
        if let Some(document) = &session.session_policy {
            policies.push(parse_session_policy(document)?);
        }
        if !policies.is_empty() {
            self.session = Some(policies);
        }
        Ok(self)
    }

    fn compile(
        inline: &BTreeMap<String, String>,
        attached: &[String],
        boundary: Option<&String>,
    ) -> Result<Self, IamError> {
        let mut identity = managed_policies(attached)?;
        for (name, document) in inline {
            identity.push(Policy::parse(name, document)?);
        }
        let boundary = boundary.map(|arn| managed_policies(std::slice::from_ref(arn))).transpose()?;
        Ok(Self { identity, boundary, session: None })
    }
}

impl User {
    /// Compiles the user's policies. Any that cannot be compiled is an error, never left out: it may be the one
    /// that denies.
    pub fn permissions(&self) -> Result<Permissions, IamError> {
        Permissions::compile(
            &self.inline_policies,
            &self.attached_policies,
            self.permissions_boundary.as_ref(),
        )
    }
}

impl Role {
    /// Compiles the role's policies, all or none as for users; see [`Permissions::narrowed_by`] for its sessions.
    pub fn permissions(&self) -> Result<Permissions, IamError> {
        Permissions::compile(
            &self.inline_policies,
            &self.attached_policies,
            self.permissions_boundary.as_ref(),
        )
    }
}

fn managed_policies(arns: &[String]) -> Result<Vec<Policy>, IamError> {
    arns.iter()
        .map(|arn| Ok(managed::get(arn).ok_or_else(|| IamError::no_such_policy(arn))?.policy().clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Context, Request, evaluate_grants};
    use crate::token::{SessionRandom, SessionToken};

    const READ_ONLY: &str = "arn:aws:iam::aws:policy/AWSCodeDeployReadOnlyAccess";
    const DENY_ALL: &str =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

    fn allows(permissions: &Permissions, action: &str) -> bool {
        let context = Context::new();
        evaluate_grants(&permissions.grants(), &Request { action, resource: "*", context: &context })
            .is_allowed()
    }

    fn role() -> Role {
        let mut role = Role::new("444455556666", "/", "R", "AROA1".into(), "{}", 0);
        role.attach_policy(managed::ADMINISTRATOR_ACCESS).unwrap();
        role
    }

    #[test]
    fn inline_and_attached_policies_work_together() {
        let mut user = User::new("444455556666", "/", "bob", "AIDA1".into(), 0);
        assert!(!allows(&user.permissions().unwrap(), "codedeploy:GetDeployment"));
        user.attach_policy(READ_ONLY).unwrap();
        assert!(allows(&user.permissions().unwrap(), "codedeploy:GetDeployment"));
        user.put_policy("stop", DENY_ALL).unwrap();
        assert!(!allows(&user.permissions().unwrap(), "codedeploy:GetDeployment"));
    }

    #[test]
    fn a_boundary_caps_what_attached_policies_give_dp_615() {
        let mut role = role();
        role.permissions_boundary = Some(READ_ONLY.to_owned());
        let permissions = role.permissions().unwrap();
        assert!(allows(&permissions, "codedeploy:GetDeployment"));
        assert!(!allows(&permissions, "codedeploy:StopDeployment"));
    }

    #[test]
    fn a_session_is_as_wide_as_its_role_unless_narrowed() {
        let random = SessionRandom { id: [1; 10], secret: [1; 30] };
        let mut session = SessionToken::issue(role().session_principal("s1"), 0, 900, &random);
        let narrowed = |session: &SessionToken| role().permissions().unwrap().narrowed_by(session);
        assert!(allows(&narrowed(&session).unwrap(), "codedeploy:StopDeployment"));
        session.session_policy_arns.push(READ_ONLY.to_owned());
        assert!(allows(&narrowed(&session).unwrap(), "codedeploy:GetDeployment"));
        assert!(!allows(&narrowed(&session).unwrap(), "codedeploy:StopDeployment"));
        session.session_policy = Some("{".to_owned());
        assert_eq!(narrowed(&session).unwrap_err().code(), "MalformedPolicyDocument");
    }

    #[test]
    fn a_policy_that_cannot_be_compiled_is_never_left_out() {
        let mut role = role();
        role.inline_policies.insert("deny".to_owned(), "not a policy".to_owned());
        assert_eq!(role.permissions().unwrap_err().code(), "MalformedPolicyDocument");
        role.inline_policies.clear();
        role.attached_policies.push("arn:aws:iam::444455556666:policy/Gone".to_owned());
        assert_eq!(role.permissions().unwrap_err().code(), "NoSuchEntity");
    }
}
