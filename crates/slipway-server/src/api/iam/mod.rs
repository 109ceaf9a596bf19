//! IAM: users, groups, roles, access keys, instance profiles and policies (AG-190, D-05, DP-603, DP-661).
//!
//! | module | what is in it |
//! |---|---|
//! | `call` | one call: its parameters, its caller, its answer; commits |
//! | `entity` | what everything with a name shares: finding, authorising, changing, listing |
//! | `users`, `groups`, `roles`, `profiles` | one file for each sort |
//! | `access_keys` | access keys of users |
//! | `holder` | inline and attached policies of users, groups and roles |
//! | `policies` | managed policies, built-in and the account's own |
//! | `usage` | who has a managed policy |
//! | `tags` | tags and permissions boundaries |
//! | `details` | everything at once |
//! | `paging` | markers of long lists |

mod access_keys;
mod call;
mod details;
mod entity;
mod groups;
mod holder;
mod paging;
mod policies;
mod profiles;
mod roles;
mod tags;
mod usage;
mod users;

use slipway_auth::iam::{Group, IamError, InstanceProfile, Role, User};
use slipway_wire::query::{Form, QueryError, QueryErrorKind};

use crate::access::RequestContext;
use call::Call;

/// The actions, each with the function that carries it out.
macro_rules! actions {
    ($($name:literal => $handler:expr,)*) => {
        /// Answers one call: the whole body of a success.
        pub async fn dispatch(context: &RequestContext, form: &Form) -> Result<String, QueryError> {
            match form.action()? {
                $($name => Box::pin($handler(Call { context, form, action: $name })).await,)*
                _ => Err(form.unknown_action()),
            }
        }

        /// Every action that is served, for tests and documentation.
        pub const ACTIONS: &[&str] = &[$($name),*];
    };
}

actions! {
    "CreateUser" => users::create,
    "GetUser" => users::get,
    "ListUsers" => users::list,
    "UpdateUser" => users::update,
    "DeleteUser" => users::delete,
    "TagUser" => tags::tag::<User>,
    "UntagUser" => tags::untag::<User>,
    "ListUserTags" => tags::list::<User>,
    "PutUserPermissionsBoundary" => tags::put_boundary::<User>,
    "DeleteUserPermissionsBoundary" => tags::delete_boundary::<User>,
    "CreateAccessKey" => access_keys::create,
    "ListAccessKeys" => access_keys::list,
    "UpdateAccessKey" => access_keys::update,
    "DeleteAccessKey" => access_keys::delete,
    "GetAccessKeyLastUsed" => access_keys::last_used,
    "PutUserPolicy" => holder::put_policy::<User>,
    "GetUserPolicy" => holder::get_policy::<User>,
    "ListUserPolicies" => holder::list_policies::<User>,
    "DeleteUserPolicy" => holder::delete_policy::<User>,
    "AttachUserPolicy" => holder::attach_policy::<User>,
    "DetachUserPolicy" => holder::detach_policy::<User>,
    "ListAttachedUserPolicies" => holder::list_attached::<User>,
    "CreateGroup" => groups::create,
    "GetGroup" => groups::get,
    "ListGroups" => groups::list,
    "UpdateGroup" => groups::update,
    "DeleteGroup" => groups::delete,
    "AddUserToGroup" => groups::add_user,
    "RemoveUserFromGroup" => groups::remove_user,
    "ListGroupsForUser" => groups::list_for_user,
    "PutGroupPolicy" => holder::put_policy::<Group>,
    "GetGroupPolicy" => holder::get_policy::<Group>,
    "ListGroupPolicies" => holder::list_policies::<Group>,
    "DeleteGroupPolicy" => holder::delete_policy::<Group>,
    "AttachGroupPolicy" => holder::attach_policy::<Group>,
    "DetachGroupPolicy" => holder::detach_policy::<Group>,
    "ListAttachedGroupPolicies" => holder::list_attached::<Group>,
    "CreateRole" => roles::create,
    "GetRole" => roles::get,
    "ListRoles" => roles::list,
    "UpdateRole" => roles::update,
    "UpdateRoleDescription" => roles::update_description,
    "UpdateAssumeRolePolicy" => roles::update_trust,
    "DeleteRole" => roles::delete,
    "TagRole" => tags::tag::<Role>,
    "UntagRole" => tags::untag::<Role>,
    "ListRoleTags" => tags::list::<Role>,
    "PutRolePermissionsBoundary" => tags::put_boundary::<Role>,
    "DeleteRolePermissionsBoundary" => tags::delete_boundary::<Role>,
    "PutRolePolicy" => holder::put_policy::<Role>,
    "GetRolePolicy" => holder::get_policy::<Role>,
    "ListRolePolicies" => holder::list_policies::<Role>,
    "DeleteRolePolicy" => holder::delete_policy::<Role>,
    "AttachRolePolicy" => holder::attach_policy::<Role>,
    "DetachRolePolicy" => holder::detach_policy::<Role>,
    "ListAttachedRolePolicies" => holder::list_attached::<Role>,
    "CreateInstanceProfile" => profiles::create,
    "GetInstanceProfile" => profiles::get,
    "ListInstanceProfiles" => profiles::list,
    "ListInstanceProfilesForRole" => profiles::list_for_role,
    "AddRoleToInstanceProfile" => profiles::add_role,
    "RemoveRoleFromInstanceProfile" => profiles::remove_role,
    "DeleteInstanceProfile" => profiles::delete,
    "TagInstanceProfile" => tags::tag::<InstanceProfile>,
    "UntagInstanceProfile" => tags::untag::<InstanceProfile>,
    "ListInstanceProfileTags" => tags::list::<InstanceProfile>,
    "CreatePolicy" => policies::create,
    "GetPolicy" => policies::get,
    "ListPolicies" => policies::list,
    "DeletePolicy" => policies::delete,
    "CreatePolicyVersion" => policies::create_version,
    "GetPolicyVersion" => policies::get_version,
    "ListPolicyVersions" => policies::list_versions,
    "DeletePolicyVersion" => policies::delete_version,
    "SetDefaultPolicyVersion" => policies::set_default,
    "ListEntitiesForPolicy" => usage::list_entities,
    "TagPolicy" => tags::tag_policy,
    "UntagPolicy" => tags::untag_policy,
    "ListPolicyTags" => tags::list_policy_tags,
    "GetAccountAuthorizationDetails" => details::get,
}

/// IAM's rules speak of errors in their own type; the answer has the wire's.
#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
pub(super) fn refused(error: IamError) -> QueryError {
    let kind = QueryErrorKind::parse(error.code()).unwrap_or(QueryErrorKind::InvalidInput);
    QueryError::new(kind, error.to_string())
}

/// An error that is our fault.
pub(super) fn internal(cause: impl std::fmt::Display) -> QueryError {
    crate::error::internal(cause).into()
}
