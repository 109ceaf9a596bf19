//! Inline and attached policies of users, groups and roles.

use std::collections::BTreeMap;

use slipway_auth::iam::{self, Group, IamError, Role, User};
use slipway_auth::policy::Policy;
use slipway_wire::query::{Node, QueryError};

use super::call::{ATTEMPTS, Call, contended, encoded};
use super::entity::{Entity, authorized, change, replace};
use super::paging::{self, Page};
use super::{policies, refused};
use crate::identities::records::Versioned;

/// Whoever can be given policies.
pub(super) trait Holder: Entity {
    fn absent_policy(name: &str) -> IamError;
    fn inline(&self) -> &BTreeMap<String, String>;
    fn inline_mut(&mut self) -> &mut BTreeMap<String, String>;
    fn attached(&self) -> &[String];
    fn attached_mut(&mut self) -> &mut Vec<String>;
    fn put(&mut self, name: &str, document: &str) -> Result<(), IamError>;
    fn attach(&mut self, arn: &str) -> Result<(), IamError>;
}

macro_rules! holder {
    ($type:ty, $absent_policy:path) => {
        impl Holder for $type {
            fn absent_policy(name: &str) -> IamError {
                $absent_policy(name)
            }
            fn inline(&self) -> &BTreeMap<String, String> {
                &self.inline_policies
            }
            fn inline_mut(&mut self) -> &mut BTreeMap<String, String> {
                &mut self.inline_policies
            }
            fn attached(&self) -> &[String] {
                &self.attached_policies
            }
            fn attached_mut(&mut self) -> &mut Vec<String> {
                &mut self.attached_policies
            }
            fn put(&mut self, name: &str, document: &str) -> Result<(), IamError> {
                self.put_policy(name, document)
            }
            fn attach(&mut self, arn: &str) -> Result<(), IamError> {
                self.attach_policy(arn)
            }
        }
    };
}

holder!(User, IamError::no_such_user_policy);
holder!(Group, IamError::no_such_group_policy);
holder!(Role, IamError::no_such_role_policy);

/// `PutUserPolicy` and its like.
pub(super) async fn put_policy<H: Holder>(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("PolicyName")?;
    let document = call.required("PolicyDocument")?;
    iam::check_policy_name(name).map_err(refused)?;
    Policy::parse(name, document).map_err(|error| refused(error.into()))?;
    change::<H>(&call, |holder| holder.put(name, document)).await
}

/// `GetUserPolicy` and its like.
pub(super) async fn get_policy<H: Holder>(call: Call<'_>) -> Result<String, QueryError> {
    let holder = authorized::<H>(&call, call.required(H::NAME)?).await?.value;
    let name = call.required("PolicyName")?;
    let document = holder.inline().get(name).ok_or_else(|| refused(H::absent_policy(name)))?;
    Ok(call.answer(|result| {
        result.text(H::NAME, holder.name());
        result.text("PolicyName", name);
        result.text("PolicyDocument", &encoded(document));
    }))
}

/// `ListUserPolicies` and its like.
pub(super) async fn list_policies<H: Holder>(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let holder = authorized::<H>(&call, call.required(H::NAME)?).await?.value;
    let names = holder.inline().keys().map(String::as_str).collect();
    let (names, marker) = page.of_all(names, |name: &&str| name);
    Ok(call.answer(|result| {
        result.texts("PolicyNames", names);
        paging::close(result, marker.as_deref());
    }))
}

/// `DeleteUserPolicy` and its like.
pub(super) async fn delete_policy<H: Holder>(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("PolicyName")?;
    let remove = |holder: &mut H| match holder.inline_mut().remove(name) {
        Some(_) => Ok(()),
        None => Err(H::absent_policy(name)),
    };
    change::<H>(&call, remove).await
}

/// `AttachUserPolicy` and its like.
pub(super) async fn attach_policy<H: Holder>(call: Call<'_>) -> Result<String, QueryError> {
    let arn = call.required("PolicyArn")?;
    let name = call.required(H::NAME)?;
    for _ in 0..ATTEMPTS {
        let Versioned { mut value, version } = authorized::<H>(&call, name).await?;
        let guard = policies::attachable(&call, arn).await?;
        value.attach(arn).map_err(refused)?;
        if replace(&call, &value, version, guard.into_iter().collect()).await? {
            return Ok(call.done());
        }
    }
    Err(contended())
}

/// `DetachUserPolicy` and its like.
pub(super) async fn detach_policy<H: Holder>(call: Call<'_>) -> Result<String, QueryError> {
    let arn = call.required("PolicyArn")?;
    let detach = |holder: &mut H| {
        let attached = holder.attached_mut();
        let before = attached.len();
        attached.retain(|other| other != arn);
        if attached.len() == before { Err(IamError::no_such_policy(arn)) } else { Ok(()) }
    };
    change::<H>(&call, detach).await
}

/// `ListAttachedUserPolicies` and its like.
pub(super) async fn list_attached<H: Holder>(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    let holder = authorized::<H>(&call, call.required(H::NAME)?).await?.value;
    let mut arns: Vec<&str> = holder
        .attached()
        .iter()
        .map(String::as_str)
        .filter(|arn| arn.split_once(":policy").is_some_and(|(_, path)| path.starts_with(prefix)))
        .collect();
    arns.sort_unstable();
    let (arns, marker) = page.of_all(arns, |arn: &&str| arn);
    Ok(call.answer(|result| {
        write_attached(result, "AttachedPolicies", &arns);
        paging::close(result, marker.as_deref());
    }))
}

/// Attached policies as answers show them.
pub(super) fn write_attached<T: AsRef<str>>(node: &mut Node<'_>, name: &'static str, arns: &[T]) {
    node.list(name, arns, |member, arn| {
        let arn = arn.as_ref();
        member.text("PolicyName", arn.rsplit('/').next().unwrap_or(arn));
        member.text("PolicyArn", arn);
    });
}

/// Inline policies as GetAccountAuthorizationDetails shows them.
pub(super) fn write_inline(node: &mut Node<'_>, name: &'static str, policies: &BTreeMap<String, String>) {
    node.list(name, policies, |member, (name, document)| {
        member.text("PolicyName", name);
        member.text("PolicyDocument", &encoded(document));
    });
}
