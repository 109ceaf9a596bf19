//! IAM: users, their access keys, roles, policies (AG-190, D-05): what `aws deploy register` and the guide's manual
//! steps need.
//!
//! | module | what is in it |
//! |---|---|
//! | `call` | one call: its parameters, its caller, its answer; commits |
//! | `users` | users |
//! | `access_keys` | access keys of users |
//! | `roles` | roles and their trust policies |
//! | `holder` | what users and roles share: inline and attached policies |
//! | `policies` | the built-in managed policies |
//! | `paging` | markers of long lists |

mod access_keys;
mod call;
mod holder;
mod paging;
mod policies;
mod roles;
mod users;

use slipway_auth::iam::{IamError, Role, User};
use slipway_wire::query::{Form, QueryError, QueryErrorKind};

use crate::access::RequestContext;
use call::Call;

/// Answers one call: the whole body of a success.
pub async fn dispatch(context: &RequestContext, form: &Form) -> Result<String, QueryError> {
    let call = |action| Call { context, form, action };
    match form.action()? {
        "CreateUser" => users::create(call("CreateUser")).await,
        "GetUser" => users::get(call("GetUser")).await,
        "ListUsers" => users::list(call("ListUsers")).await,
        "DeleteUser" => users::delete(call("DeleteUser")).await,
        "CreateAccessKey" => access_keys::create(call("CreateAccessKey")).await,
        "ListAccessKeys" => access_keys::list(call("ListAccessKeys")).await,
        "UpdateAccessKey" => access_keys::update(call("UpdateAccessKey")).await,
        "DeleteAccessKey" => access_keys::delete(call("DeleteAccessKey")).await,
        "PutUserPolicy" => holder::put_policy::<User>(call("PutUserPolicy")).await,
        "GetUserPolicy" => holder::get_policy::<User>(call("GetUserPolicy")).await,
        "ListUserPolicies" => holder::list_policies::<User>(call("ListUserPolicies")).await,
        "DeleteUserPolicy" => holder::delete_policy::<User>(call("DeleteUserPolicy")).await,
        "AttachUserPolicy" => holder::attach_policy::<User>(call("AttachUserPolicy")).await,
        "DetachUserPolicy" => holder::detach_policy::<User>(call("DetachUserPolicy")).await,
        "ListAttachedUserPolicies" => holder::list_attached::<User>(call("ListAttachedUserPolicies")).await,
        "CreateRole" => roles::create(call("CreateRole")).await,
        "GetRole" => roles::get(call("GetRole")).await,
        "ListRoles" => roles::list(call("ListRoles")).await,
        "DeleteRole" => roles::delete(call("DeleteRole")).await,
        "UpdateAssumeRolePolicy" => roles::update_trust(call("UpdateAssumeRolePolicy")).await,
        "PutRolePolicy" => holder::put_policy::<Role>(call("PutRolePolicy")).await,
        "GetRolePolicy" => holder::get_policy::<Role>(call("GetRolePolicy")).await,
        "ListRolePolicies" => holder::list_policies::<Role>(call("ListRolePolicies")).await,
        "DeleteRolePolicy" => holder::delete_policy::<Role>(call("DeleteRolePolicy")).await,
        "AttachRolePolicy" => holder::attach_policy::<Role>(call("AttachRolePolicy")).await,
        "DetachRolePolicy" => holder::detach_policy::<Role>(call("DetachRolePolicy")).await,
        "ListAttachedRolePolicies" => holder::list_attached::<Role>(call("ListAttachedRolePolicies")).await,
        "GetPolicy" => policies::get(&call("GetPolicy")).await,
        "GetPolicyVersion" => policies::get_version(&call("GetPolicyVersion")).await,
        "ListPolicies" => policies::list(&call("ListPolicies")).await,
        _ => Err(form.unknown_action()),
    }
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
