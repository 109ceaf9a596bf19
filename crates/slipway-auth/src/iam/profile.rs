//! Instance profiles: the container by which an EC2 instance gets its role (DP-632, AG-160).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::IamError;

/// Roles of one instance profile, as in AWS.
pub const ROLES_PER_PROFILE: usize = 1;

/// An instance profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProfile {
    /// Unique in the account without regard to case.
    pub name: String,
    /// The path, `/` by default.
    pub path: String,
    /// `AIPA…`.
    pub id: String,
    /// `arn:aws:iam::<account>:instance-profile<path><name>`.
    pub arn: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Names of its roles: none or one.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl InstanceProfile {
    /// A profile without a role; name and path must have been checked.
    pub fn new(account: &str, path: &str, name: &str, id: String, created_ms: i64) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            id,
            arn: instance_profile_arn(account, path, name),
            created_ms,
            roles: Vec::new(),
            tags: BTreeMap::new(),
        }
    }

    /// Puts a role into it; there is room for one.
    pub fn add_role(&mut self, role: &str) -> Result<(), IamError> {
        if self.roles.len() >= ROLES_PER_PROFILE {
            return Err(IamError::quota("InstanceSessionsPerInstanceProfile", ROLES_PER_PROFILE));
        }
        self.roles.push(role.to_owned());
        Ok(())
    }

    /// Takes a role out of it.
    pub fn remove_role(&mut self, role: &str) -> Result<(), IamError> {
        let before = self.roles.len();
        self.roles.retain(|held| !held.eq_ignore_ascii_case(role));
        if self.roles.len() == before { Err(IamError::no_such_role(role)) } else { Ok(()) }
    }

    /// Whether it holds this role.
    pub fn holds(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held.eq_ignore_ascii_case(role))
    }

    /// Whether `DeleteInstanceProfile` may go ahead.
    pub fn check_deletable(&self) -> Result<(), IamError> {
        if self.roles.is_empty() { Ok(()) } else { Err(IamError::remove_roles_first()) }
    }
}

/// `arn:aws:iam::<account>:instance-profile<path><name>`.
pub fn instance_profile_arn(account: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:instance-profile{path}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_holds_one_role_and_is_deleted_empty_only() {
        let mut profile = InstanceProfile::new("444455556666", "/", "P", "AIPA1".into(), 0);
        profile.add_role("R").unwrap();
        assert_eq!(profile.add_role("S").unwrap_err().code(), "LimitExceeded");
        assert!(profile.holds("r"));
        assert_eq!(profile.check_deletable().unwrap_err().code(), "DeleteConflict");
        assert_eq!(profile.remove_role("S").unwrap_err().code(), "NoSuchEntity");
        profile.remove_role("R").unwrap();
        assert_eq!(profile.check_deletable(), Ok(()));
    }
}
