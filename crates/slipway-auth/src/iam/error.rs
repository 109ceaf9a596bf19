//! IAM's errors: codes, HTTP statuses and wording.

use thiserror::Error;

/// A refused IAM or STS call. Clients match on the code, people read the message; both are IAM's own.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IamError {
    /// A parameter does not meet its constraint.
    #[error("{0}")]
    ValidationError(String),
    /// The name is taken.
    #[error("{0}")]
    EntityAlreadyExists(String),
    /// Nothing of that name.
    #[error("{0}")]
    NoSuchEntity(String),
    /// A quota is used up.
    #[error("{0}")]
    LimitExceeded(String),
    /// Something still hangs on what is to be deleted.
    #[error("{0}")]
    DeleteConflict(String),
    /// A policy that cannot be understood.
    #[error("{0}")]
    MalformedPolicyDocument(String),
    /// A parameter is well-formed and makes no sense.
    #[error("{0}")]
    InvalidInput(String),
    /// The caller may not.
    #[error("{0}")]
    AccessDenied(String),
}

impl IamError {
    /// The error code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ValidationError(_) => "ValidationError",
            Self::EntityAlreadyExists(_) => "EntityAlreadyExists",
            Self::NoSuchEntity(_) => "NoSuchEntity",
            Self::LimitExceeded(_) => "LimitExceeded",
            Self::DeleteConflict(_) => "DeleteConflict",
            Self::MalformedPolicyDocument(_) => "MalformedPolicyDocument",
            Self::InvalidInput(_) => "InvalidInput",
            Self::AccessDenied(_) => "AccessDenied",
        }
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::ValidationError(_) | Self::MalformedPolicyDocument(_) | Self::InvalidInput(_) => 400,
            Self::AccessDenied(_) => 403,
            Self::NoSuchEntity(_) => 404,
            Self::EntityAlreadyExists(_) | Self::LimitExceeded(_) | Self::DeleteConflict(_) => 409,
        }
    }

    /// `CreateUser` of a name in use.
    pub fn user_exists(name: &str) -> Self {
        Self::EntityAlreadyExists(format!("User with name {name} already exists."))
    }

    /// `CreateRole` of a name in use.
    pub fn role_exists(name: &str) -> Self {
        Self::EntityAlreadyExists(format!("Role with name {name} already exists."))
    }

    /// Any call that names an absent user.
    pub fn no_such_user(name: &str) -> Self {
        Self::NoSuchEntity(format!("The user with name {name} cannot be found."))
    }

    /// Any call that names an absent role.
    pub fn no_such_role(name: &str) -> Self {
        Self::NoSuchEntity(format!("The role with name {name} cannot be found."))
    }

    /// A key that the user does not have.
    pub fn no_such_access_key(id: &str) -> Self {
        Self::NoSuchEntity(format!("The Access Key with id {id} cannot be found."))
    }

    /// `CreateGroup` of a name in use.
    pub fn group_exists(name: &str) -> Self {
        Self::EntityAlreadyExists(format!("Group with name {name} already exists."))
    }

    /// `CreatePolicy` of a name in use.
    pub fn policy_exists(name: &str) -> Self {
        Self::EntityAlreadyExists(format!(
            "A policy called {name} already exists. Duplicate names are not allowed."
        ))
    }

    /// `CreateInstanceProfile` of a name in use.
    pub fn instance_profile_exists(name: &str) -> Self {
        Self::EntityAlreadyExists(format!("Instance Profile {name} already exists."))
    }

    /// Any call that names an absent group.
    pub fn no_such_group(name: &str) -> Self {
        Self::NoSuchEntity(format!("The group with name {name} cannot be found."))
    }

    /// Any call that names an absent instance profile.
    pub fn no_such_instance_profile(name: &str) -> Self {
        Self::NoSuchEntity(format!("Instance Profile {name} cannot be found."))
    }

    /// A version that the policy does not have.
    pub fn no_such_policy_version(arn: &str, version: &str) -> Self {
        Self::NoSuchEntity(format!("Policy {arn} version {version} does not exist or is not attachable."))
    }

    /// An inline policy that the group does not have.
    pub fn no_such_group_policy(name: &str) -> Self {
        Self::NoSuchEntity(format!("The group policy with name {name} cannot be found."))
    }

    /// An inline policy that the user does not have.
    pub fn no_such_user_policy(name: &str) -> Self {
        Self::NoSuchEntity(format!("The user policy with name {name} cannot be found."))
    }

    /// An inline policy that the role does not have.
    pub fn no_such_role_policy(name: &str) -> Self {
        Self::NoSuchEntity(format!("The role policy with name {name} cannot be found."))
    }

    /// Attaching a managed policy that does not exist.
    pub fn not_attachable(arn: &str) -> Self {
        Self::NoSuchEntity(format!("Policy {arn} does not exist or is not attachable."))
    }

    /// Reading a managed policy that does not exist, or detaching one that is not attached.
    pub fn no_such_policy(arn: &str) -> Self {
        Self::NoSuchEntity(format!("Policy {arn} was not found."))
    }

    /// `DeleteUser`, `DeleteRole` while inline policies are left.
    pub fn delete_policies_first() -> Self {
        Self::DeleteConflict("Cannot delete entity, must delete policies first.".into())
    }

    /// `DeleteUser`, `DeleteRole` while managed policies are attached.
    pub fn detach_policies_first() -> Self {
        Self::DeleteConflict("Cannot delete entity, must detach all policies first.".into())
    }

    /// `DeleteUser` while access keys are left.
    pub fn delete_access_keys_first() -> Self {
        Self::DeleteConflict("Cannot delete entity, must delete access keys first.".into())
    }

    /// `DeleteUser` while the user is in a group.
    pub fn remove_from_groups_first() -> Self {
        Self::DeleteConflict("Cannot delete entity, must remove user from groups first.".into())
    }

    /// `DeleteGroup` while users are in it.
    pub fn remove_users_first() -> Self {
        Self::DeleteConflict("Cannot delete entity, must remove users from group first.".into())
    }

    /// `DeleteInstanceProfile` while it holds a role, `DeleteRole` while a profile holds it.
    pub fn remove_roles_first() -> Self {
        Self::DeleteConflict("Cannot delete entity, must remove roles from instance profile first.".into())
    }

    /// `DeletePolicy` of one that something has.
    pub fn policy_in_use() -> Self {
        Self::DeleteConflict("Cannot delete a policy attached to entities.".into())
    }

    /// `DeletePolicy` of one with several versions.
    pub fn delete_versions_first() -> Self {
        Self::DeleteConflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
             The default version is deleted with the policy."
                .into(),
        )
    }

    /// `DeletePolicyVersion` of the one that counts.
    pub fn default_version_stays() -> Self {
        Self::DeleteConflict("Cannot delete the default version of a policy.".into())
    }

    /// `CreatePolicyVersion` beyond the limit.
    pub fn too_many_versions(limit: usize) -> Self {
        Self::LimitExceeded(format!(
            "A managed policy can have up to {limit} versions. Before you create a new version, you must delete an \
             existing version."
        ))
    }

    /// A countable quota, by IAM's name for it: `AccessKeysPerUser`, `PoliciesPerRole` …
    pub fn quota(name: &str, limit: usize) -> Self {
        Self::LimitExceeded(format!("Cannot exceed quota for {name}: {limit}"))
    }

    /// Inline policies of one user or role have become too long in sum.
    pub fn policy_size(limit: usize, entity: &str, name: &str) -> Self {
        Self::LimitExceeded(format!("Maximum policy size of {limit} bytes exceeded for {entity} {name}"))
    }

    /// One constraint of one parameter, in the form of AWS's model validation.
    pub fn constraint(value: &str, parameter: &str, constraint: &str) -> Self {
        Self::ValidationError(format!(
            "1 validation error detected: Value '{value}' at '{parameter}' failed to satisfy constraint: {constraint}"
        ))
    }

    /// A parameter that the call needs.
    pub fn missing(parameter: &str) -> Self {
        Self::ValidationError(format!(
            "1 validation error detected: Value null at '{parameter}' failed to satisfy constraint: Member must not be null"
        ))
    }
}
