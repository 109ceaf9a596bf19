//! Customer-managed policies and their versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{IamError, policy_size};

/// Versions of one policy at a time.
pub const VERSIONS_PER_POLICY: usize = 5;
/// Characters of one version, white space not counted.
pub const MANAGED_POLICY_SIZE: usize = 6144;

/// A policy of the account's own, attachable under its ARN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerPolicy {
    /// Unique in the account without regard to case, whatever the path.
    pub name: String,
    /// The path, `/` by default.
    pub path: String,
    /// `ANPA…`.
    pub id: String,
    /// `arn:aws:iam::<account>:policy<path><name>`.
    pub arn: String,
    /// Free text, given once.
    #[serde(default)]
    pub description: Option<String>,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// When a version was last made or made the default.
    pub updated_ms: i64,
    /// The number of the version that counts.
    pub default_version: u32,
    /// The number of the next version: no number is given twice.
    pub next_version: u32,
    /// The versions, oldest first; at least the default one.
    pub versions: Vec<PolicyVersion>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A version of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// 1 for `v1`.
    pub number: u32,
    /// The document as given.
    pub document: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

impl PolicyVersion {
    /// `v1`.
    pub fn id(&self) -> String {
        format!("v{}", self.number)
    }
}

impl CustomerPolicy {
    /// A policy with its first version. Name, path and document must have been checked.
    pub fn new(account: &str, path: &str, name: &str, id: String, document: &str, created_ms: i64) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            id,
            arn: policy_arn(account, path, name),
            description: None,
            created_ms,
            updated_ms: created_ms,
            default_version: 1,
            next_version: 2,
            versions: vec![PolicyVersion { number: 1, document: document.to_owned(), created_ms }],
            tags: BTreeMap::new(),
        }
    }

    /// The document that counts.
    pub fn document(&self) -> &str {
        let default = self.versions.iter().find(|version| version.number == self.default_version);
        // Nothing removes the default version; were it gone, an empty text would be refused as no policy.
        default.map_or("", |version| &version.document)
    }

    /// The version of this id.
    pub fn version(&self, id: &str) -> Result<&PolicyVersion, IamError> {
        self.versions
            .iter()
            .find(|version| version.id() == id)
            .ok_or_else(|| IamError::no_such_policy_version(&self.arn, id))
    }

    /// Adds a version; the document must have been parsed.
    pub fn add_version(
        &mut self,
        document: &str,
        default: bool,
        now_ms: i64,
    ) -> Result<PolicyVersion, IamError> {
        if self.versions.len() >= VERSIONS_PER_POLICY {
            return Err(IamError::too_many_versions(VERSIONS_PER_POLICY));
        }
        let version =
            PolicyVersion { number: self.next_version, document: document.to_owned(), created_ms: now_ms };
        self.next_version += 1;
        self.updated_ms = now_ms;
        if default {
            self.default_version = version.number;
        }
        self.versions.push(version.clone());
        Ok(version)
    }

    /// Makes a version the one that counts.
    pub fn set_default(&mut self, id: &str, now_ms: i64) -> Result<(), IamError> {
        self.default_version = self.version(id)?.number;
        self.updated_ms = now_ms;
        Ok(())
    }

    /// Removes a version; the default one stays.
    pub fn delete_version(&mut self, id: &str) -> Result<(), IamError> {
        let number = self.version(id)?.number;
        if number == self.default_version {
            return Err(IamError::default_version_stays());
        }
        self.versions.retain(|version| version.number != number);
        Ok(())
    }

    /// Whether `DeletePolicy` may go ahead, given how many entities it is attached to or bounds.
    pub fn check_deletable(&self, entities: usize) -> Result<(), IamError> {
        if entities > 0 {
            return Err(IamError::policy_in_use());
        }
        if self.versions.len() > 1 {
            return Err(IamError::delete_versions_first());
        }
        Ok(())
    }
}

/// Checks the length of a managed policy's document.
pub fn check_managed_policy_size(document: &str) -> Result<(), IamError> {
    if policy_size(document) <= MANAGED_POLICY_SIZE {
        return Ok(());
    }
    Err(IamError::quota("PolicySize", MANAGED_POLICY_SIZE))
}

/// `arn:aws:iam::<account>:policy<path><name>`.
pub fn policy_arn(account: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:policy{path}{name}")
}

/// Account and name of the customer-managed policy that an ARN speaks of.
pub fn parse_policy_arn(arn: &str) -> Option<(&str, &str)> {
    let (account, resource) = arn.strip_prefix("arn:aws:iam::")?.split_once(':')?;
    let path_and_name = resource.strip_prefix("policy/")?;
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let name = path_and_name.rsplit('/').next().filter(|name| !name.is_empty())?;
    is_account.then_some((account, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> CustomerPolicy {
        CustomerPolicy::new("444455556666", "/team/", "Deploy", "ANPA1".into(), "1", 5)
    }

    #[test]
    fn a_policy_has_five_versions_at_most_and_never_reuses_a_number() {
        let mut policy = policy();
        for number in 2..=5 {
            assert_eq!(policy.add_version("d", false, 6).unwrap().id(), format!("v{number}"));
        }
        let error = policy.add_version("d", false, 7).unwrap_err();
        assert_eq!((error.code(), error.status()), ("LimitExceeded", 409));
        policy.delete_version("v5").unwrap();
        assert_eq!(policy.add_version("d", false, 7).unwrap().id(), "v6");
        assert_eq!(policy.document(), "1", "the first one still counts");
    }

    #[test]
    fn the_default_version_counts_and_stays() {
        let mut policy = policy();
        policy.add_version("2", true, 6).unwrap();
        assert_eq!(policy.document(), "2");
        assert_eq!(policy.delete_version("v2").unwrap_err().code(), "DeleteConflict");
        policy.set_default("v1", 7).unwrap();
        policy.delete_version("v2").unwrap();
        assert_eq!(policy.set_default("v2", 7).unwrap_err().code(), "NoSuchEntity");
        assert_eq!((policy.document(), policy.updated_ms), ("1", 7));
    }

    #[test]
    fn a_policy_in_use_or_with_versions_is_not_deleted() {
        let mut policy = policy();
        assert_eq!(policy.check_deletable(1).unwrap_err().code(), "DeleteConflict");
        policy.add_version("2", false, 6).unwrap();
        assert_eq!(policy.check_deletable(0), Err(IamError::delete_versions_first()));
        policy.delete_version("v2").unwrap();
        assert_eq!(policy.check_deletable(0), Ok(()));
    }

    #[test]
    fn arns_of_customer_policies_name_account_and_policy() {
        assert_eq!(parse_policy_arn(&policy().arn), Some(("444455556666", "Deploy")));
        for other in [
            "arn:aws:iam::aws:policy/AdministratorAccess",
            "arn:aws:iam::444455556666:role/Deploy",
            "arn:aws:iam::444455556666:policy/",
            "Deploy",
        ] {
            assert_eq!(parse_policy_arn(other), None, "{other}");
        }
    }
}
