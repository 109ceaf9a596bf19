//! Groups of users.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GROUP_POLICY_SIZE, IamError, attach, check_without_policies, put_inline};

/// An IAM group: policies that count for each of its users. Who belongs to it stands in the users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Unique in the account without regard to case.
    pub name: String,
    /// The path, `/` by default.
    pub path: String,
    /// `AGPA…`.
    pub id: String,
    /// `arn:aws:iam::<account>:group<path><name>`.
    pub arn: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Inline policies: name to document, as given.
    #[serde(default)]
    pub inline_policies: BTreeMap<String, String>,
    /// ARNs of attached managed policies, in the order attached.
    #[serde(default)]
    pub attached_policies: Vec<String>,
}

impl Group {
    /// A group without policies; name and path must have been checked.
    pub fn new(account: &str, path: &str, name: &str, id: String, created_ms: i64) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            id,
            arn: group_arn(account, path, name),
            created_ms,
            inline_policies: BTreeMap::new(),
            attached_policies: Vec::new(),
        }
    }

    /// Whether `DeleteGroup` may go ahead, given the number of users in it.
    pub fn check_deletable(&self, users: usize) -> Result<(), IamError> {
        if users > 0 {
            return Err(IamError::remove_users_first());
        }
        check_without_policies(&self.inline_policies, &self.attached_policies)
    }

    /// Adds or replaces an inline policy within the quota. The document must have been parsed.
    pub fn put_policy(&mut self, name: &str, document: &str) -> Result<(), IamError> {
        put_inline(&mut self.inline_policies, name, document, GROUP_POLICY_SIZE, ("group", &self.name))
    }

    /// Attaches a managed policy within the quota; attaching twice changes nothing.
    pub fn attach_policy(&mut self, arn: &str) -> Result<(), IamError> {
        attach(&mut self.attached_policies, arn, "PoliciesPerGroup")
    }
}

/// `arn:aws:iam::<account>:group<path><name>`.
pub fn group_arn(account: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:group{path}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_with_users_or_policies_cannot_be_deleted() {
        let mut group = Group::new("444455556666", "/team/", "Ops", "AGPA1".into(), 0);
        assert_eq!(group.arn, "arn:aws:iam::444455556666:group/team/Ops");
        assert_eq!(group.check_deletable(1), Err(IamError::remove_users_first()));
        group.put_policy("p", "{}").unwrap();
        assert_eq!(group.check_deletable(0), Err(IamError::delete_policies_first()));
        group.inline_policies.clear();
        group.attach_policy("arn:1").unwrap();
        assert_eq!(group.check_deletable(0), Err(IamError::detach_policies_first()));
        group.attached_policies.clear();
        assert_eq!(group.check_deletable(0), Ok(()));
    }
}
