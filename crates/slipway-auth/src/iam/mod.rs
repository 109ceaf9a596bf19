//! Users, their access keys, groups, roles, instance profiles and customer-managed policies: the documents that the
//! control plane stores, and the rules on their names and sizes (AG-188, AG-190, DP-603, DP-661, D-30).

mod customer;
mod error;
mod group;
mod names;
mod profile;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use customer::{
    CustomerPolicy, MANAGED_POLICY_SIZE, PolicyVersion, VERSIONS_PER_POLICY, check_managed_policy_size,
    parse_policy_arn, policy_arn,
};
pub use error::IamError;
pub use group::{Group, group_arn};
pub use names::{
    MAX_PATH, MAX_POLICY_NAME, MAX_ROLE_NAME, MAX_USER_NAME, check_description, check_group_name,
    check_instance_profile_name, check_max_session_duration, check_new_role_name, check_path,
    check_policy_name, check_role_name, check_role_session_name, check_session_duration, check_tag_key,
    check_tag_value, check_user_name,
};
pub use profile::{InstanceProfile, ROLES_PER_PROFILE, instance_profile_arn};

use crate::identity::{self, Principal};
use crate::sigv4::SecretKey;
use crate::token::Sealer;

/// Access keys of one user, so that a key can be replaced without a gap (AG-180).
pub const ACCESS_KEYS_PER_USER: usize = 2;
/// Groups that one user may be in.
pub const GROUPS_PER_USER: usize = 10;
/// Tags of one user, role, policy or instance profile.
pub const TAGS_PER_ENTITY: usize = 50;
/// Managed policies attached to one user, group or role.
pub const ATTACHED_POLICIES: usize = 10;
/// Characters of a user's inline policies in sum, white space not counted.
pub const USER_POLICY_SIZE: usize = 2048;
/// Characters of a group's inline policies in sum, white space not counted.
pub const GROUP_POLICY_SIZE: usize = 5120;
/// Characters of a role's inline policies in sum, white space not counted.
pub const ROLE_POLICY_SIZE: usize = 10_240;
/// Characters of the policy that AssumeRole narrows a session with.
pub const SESSION_POLICY_SIZE: usize = 2048;
/// Characters of a role's trust policy, white space not counted.
pub const TRUST_POLICY_SIZE: usize = 2048;

/// An IAM user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Unique in the account without regard to case.
    pub name: String,
    /// `/`, or `/AWS/CodeDeploy/` of the users that `aws deploy register` makes (AG-188).
    pub path: String,
    /// `AIDA…`.
    pub id: String,
    /// The account that it belongs to.
    pub account: String,
    /// `arn:aws:iam::<account>:user<path><name>`.
    pub arn: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Inline policies: name to document, as given.
    #[serde(default)]
    pub inline_policies: BTreeMap<String, String>,
    /// ARNs of attached managed policies, in the order attached.
    #[serde(default)]
    pub attached_policies: Vec<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// ARN of the managed policy that caps what the user may ever do (DP-615).
    #[serde(default)]
    pub permissions_boundary: Option<String>,
    /// Names of the groups that the user is in, in lower case.
    #[serde(default)]
    pub groups: BTreeSet<String>,
}

impl User {
    /// A user without policies; name and path must have been checked.
    pub fn new(account: &str, path: &str, name: &str, id: String, created_ms: i64) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            id,
            account: account.to_owned(),
            arn: identity::user_arn(account, path, name),
            created_ms,
            inline_policies: BTreeMap::new(),
            attached_policies: Vec::new(),
            tags: BTreeMap::new(),
            permissions_boundary: None,
            groups: BTreeSet::new(),
        }
    }

    /// The caller that this user's keys authenticate.
    pub fn principal(&self) -> Principal {
        Principal::user(&self.account, &self.path, &self.name, &self.id)
    }

    /// Whether `DeleteUser` may go ahead, given the number of keys left.
    pub fn check_deletable(&self, access_keys: usize) -> Result<(), IamError> {
        if access_keys > 0 {
            return Err(IamError::delete_access_keys_first());
        }
        if !self.groups.is_empty() {
            return Err(IamError::remove_from_groups_first());
        }
        check_without_policies(&self.inline_policies, &self.attached_policies)
    }

    /// Adds the user to a group within the quota; adding twice changes nothing.
    pub fn add_to_group(&mut self, group: &str) -> Result<(), IamError> {
        let group = group.to_ascii_lowercase();
        if !self.groups.contains(&group) && self.groups.len() >= GROUPS_PER_USER {
            return Err(IamError::quota("GroupsPerUser", GROUPS_PER_USER));
        }
        self.groups.insert(group);
        Ok(())
    }

    /// Adds or replaces an inline policy within the quota. The document must have been parsed.
    pub fn put_policy(&mut self, name: &str, document: &str) -> Result<(), IamError> {
        put_inline(&mut self.inline_policies, name, document, USER_POLICY_SIZE, ("user", &self.name))
    }

    /// Attaches a managed policy within the quota; attaching twice changes nothing.
    pub fn attach_policy(&mut self, arn: &str) -> Result<(), IamError> {
        attach(&mut self.attached_policies, arn, "PoliciesPerUser")
    }
}

/// An access key of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// `AKIA…`.
    pub id: String,
    /// The user that it authenticates.
    pub user_name: String,
    /// The user's account.
    pub account: String,
    /// The secret, sealed to the id: see [`Sealer::seal_secret`].
    pub sealed_secret: String,
    /// An inactive key authenticates nobody.
    pub active: bool,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

impl AccessKey {
    /// A new active key of `user`; the secret can be had again only by [`AccessKey::secret`].
    pub fn new(user: &User, id: String, secret: &SecretKey, sealer: &Sealer, created_ms: i64) -> Self {
        let sealed_secret = sealer.seal_secret(&id, secret);
        let (user_name, account) = (user.name.clone(), user.account.clone());
        Self { id, user_name, account, sealed_secret, active: true, created_ms }
    }

    /// The secret; `None` if it was sealed with another master key.
    pub fn secret(&self, sealer: &Sealer) -> Option<SecretKey> {
        sealer.open_secret(&self.id, &self.sealed_secret)
    }

    /// `Active` or `Inactive`, as the API says.
    pub fn status(&self) -> &'static str {
        if self.active { "Active" } else { "Inactive" }
    }
}

/// An IAM role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Unique in the account without regard to case.
    pub name: String,
    /// The path, `/` by default.
    pub path: String,
    /// `AROA…`.
    pub id: String,
    /// The account that it belongs to.
    pub account: String,
    /// `arn:aws:iam::<account>:role<path><name>`.
    pub arn: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Who may assume it: the trust policy as given.
    pub trust_policy: String,
    /// Inline policies: name to document, as given.
    #[serde(default)]
    pub inline_policies: BTreeMap<String, String>,
    /// ARNs of attached managed policies, in the order attached.
    #[serde(default)]
    pub attached_policies: Vec<String>,
    /// Seconds; the longest session that AssumeRole may ask for.
    pub max_session_duration: i64,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// ARN of the managed policy that caps what the role may ever do (DP-615).
    #[serde(default)]
    pub permissions_boundary: Option<String>,
}

impl Role {
    /// A role without permissions and with the default session length of one hour; name, path and trust policy
    /// must have been checked.
    pub fn new(
        account: &str,
        path: &str,
        name: &str,
        id: String,
        trust_policy: &str,
        created_ms: i64,
    ) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            id,
            account: account.to_owned(),
            arn: identity::role_arn(account, path, name),
            created_ms,
            trust_policy: trust_policy.to_owned(),
            inline_policies: BTreeMap::new(),
            attached_policies: Vec::new(),
            max_session_duration: 3600,
            description: None,
            tags: BTreeMap::new(),
            permissions_boundary: None,
        }
    }

    /// The caller that a session of this role is.
    pub fn session_principal(&self, session: &str) -> Principal {
        Principal::assumed_role(&self.account, &self.path, &self.name, &self.id, session)
    }

    /// Whether `DeleteRole` may go ahead.
    pub fn check_deletable(&self) -> Result<(), IamError> {
        check_without_policies(&self.inline_policies, &self.attached_policies)
    }

    /// Adds or replaces an inline policy within the quota. The document must have been parsed.
    pub fn put_policy(&mut self, name: &str, document: &str) -> Result<(), IamError> {
        put_inline(&mut self.inline_policies, name, document, ROLE_POLICY_SIZE, ("role", &self.name))
    }

    /// Attaches a managed policy within the quota; attaching twice changes nothing.
    pub fn attach_policy(&mut self, arn: &str) -> Result<(), IamError> {
        attach(&mut self.attached_policies, arn, "PoliciesPerRole")
    }
}

/// Length of a policy as quotas count it: characters that are not white space.
pub fn policy_size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// Checks the length of a trust policy.
pub fn check_trust_policy_size(document: &str) -> Result<(), IamError> {
    if policy_size(document) <= TRUST_POLICY_SIZE {
        return Ok(());
    }
    Err(IamError::quota("ACLSizePerRole", TRUST_POLICY_SIZE))
}

fn check_without_policies(inline: &BTreeMap<String, String>, attached: &[String]) -> Result<(), IamError> {
    if !inline.is_empty() {
        return Err(IamError::delete_policies_first());
    }
    if !attached.is_empty() {
        return Err(IamError::detach_policies_first());
    }
    Ok(())
}

fn put_inline(
    policies: &mut BTreeMap<String, String>,
    name: &str,
    document: &str,
    limit: usize,
    owner: (&str, &str),
) -> Result<(), IamError> {
    let others: usize = policies.iter().filter(|(n, _)| *n != name).map(|(_, d)| policy_size(d)).sum();
    if others + policy_size(document) > limit {
        return Err(IamError::policy_size(limit, owner.0, owner.1));
    }
    policies.insert(name.to_owned(), document.to_owned());
    Ok(())
}

fn attach(attached: &mut Vec<String>, arn: &str, quota: &str) -> Result<(), IamError> {
    if attached.iter().any(|a| a == arn) {
        return Ok(());
    }
    if attached.len() >= ATTACHED_POLICIES {
        return Err(IamError::quota(quota, ATTACHED_POLICIES));
    }
    attached.push(arn.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> User {
        User::new("444455556666", "/AWS/CodeDeploy/", "AssetTag1", "AIDA1".into(), 5)
    }

    #[test]
    fn users_survive_storage_and_older_documents_still_read() {
        let user = user();
        let text = serde_json::to_string(&user).unwrap();
        assert_eq!(serde_json::from_str::<User>(&text).unwrap(), user);
        let old = r#"{"name":"a","path":"/","id":"AIDA1","account":"444455556666",
            "arn":"arn:aws:iam::444455556666:user/a","created_ms":1}"#;
        assert!(serde_json::from_str::<User>(old).unwrap().attached_policies.is_empty());
    }

    #[test]
    fn a_user_with_anything_left_cannot_be_deleted_ag_198() {
        let mut user = user();
        assert_eq!(user.check_deletable(1), Err(IamError::delete_access_keys_first()));
        user.put_policy("codedeploy-agent", "{}").unwrap();
        assert_eq!(user.check_deletable(0), Err(IamError::delete_policies_first()));
        user.inline_policies.clear();
        user.attach_policy("arn:aws:iam::aws:policy/AdministratorAccess").unwrap();
        let error = user.check_deletable(0).unwrap_err();
        assert_eq!((error.code(), error.status()), ("DeleteConflict", 409));
        user.attached_policies.clear();
        assert_eq!(user.check_deletable(0), Ok(()));
    }

    #[test]
    fn a_user_is_in_ten_groups_at_most_and_in_none_when_deleted() {
        let mut user = user();
        for i in 0..GROUPS_PER_USER {
            user.add_to_group(&format!("G{i}")).unwrap();
        }
        user.add_to_group("g3").unwrap();
        assert_eq!(user.add_to_group("more").unwrap_err().code(), "LimitExceeded");
        assert_eq!(user.check_deletable(0).unwrap_err().code(), "DeleteConflict");
    }

    #[test]
    fn inline_policies_count_in_sum_and_without_white_space() {
        let mut user = user();
        user.put_policy("a", &"x".repeat(2000)).unwrap();
        user.put_policy("b", &" \n".repeat(500)).unwrap();
        let error = user.put_policy("c", &"x".repeat(49)).unwrap_err();
        assert_eq!(error.to_string(), "Maximum policy size of 2048 bytes exceeded for user AssetTag1");
        user.put_policy("a", &"y".repeat(2048)).unwrap();
    }

    #[test]
    fn attached_policies_are_a_set_with_a_quota() {
        let mut role = Role::new("444455556666", "/", "R", "AROA1".into(), "{}", 0);
        for i in 0..ATTACHED_POLICIES {
            role.attach_policy(&format!("arn:{i}")).unwrap();
        }
        role.attach_policy("arn:3").unwrap();
        let error = role.attach_policy("arn:x").unwrap_err();
        assert_eq!(error.to_string(), "Cannot exceed quota for PoliciesPerRole: 10");
        assert_eq!(role.attached_policies.len(), ATTACHED_POLICIES);
    }

    #[test]
    fn access_key_secret_comes_back_only_with_the_master_key() {
        let sealer = Sealer::new(&[4; 32]);
        let key = AccessKey::new(&user(), "AKIA1".into(), &SecretKey::new("hush"), &sealer, 0);
        assert!(!serde_json::to_string(&key).unwrap().contains("hush"));
        assert_eq!(key.secret(&sealer).unwrap().expose(), "hush");
        assert!(key.secret(&Sealer::new(&[5; 32])).is_none());
        assert_eq!(key.status(), "Active");
    }
}
