//! GetAccountAuthorizationDetails: everything at once, for tools that review permissions.

use std::collections::HashMap;

use slipway_auth::iam::{Group, InstanceProfile, Role, User};
use slipway_auth::managed;
use slipway_wire::query::{Node, QueryError};

use super::call::{Call, encoded, seconds};
use super::entity;
use super::holder::{write_attached, write_inline};
use super::paging::{self, Page};
use super::policies::{self, Managed};
use super::usage::{self, Usage};
use super::{profiles, tags};
use crate::identities::records::Versioned;

const KINDS: [&str; 5] = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];

enum Detail {
    User(User),
    Role(Role),
    Group(Group),
    Policy(Managed),
}

pub(super) async fn get(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let filter = call.form.list("Filter")?;
    if let Some(unknown) = filter.iter().find(|kind| !KINDS.contains(kind)) {
        let rule = format!("Member must satisfy enum value set: [{}]", KINDS.join(", "));
        return Err(QueryError::validation("Filter", Some(unknown), &rule));
    }
    call.authorize("*").await?;
    let found = collect(&call, |kind| filter.is_empty() || filter.contains(&kind)).await?;
    let (found, marker) = page.of_all(found, |(order, _)| order);
    let usages = usage::of_all(&call).await?;
    let all_profiles = entity::all::<InstanceProfile>(&call).await?;
    Ok(call.answer(|result| {
        let details = || found.iter().map(|(_, detail)| detail);
        let users = details().filter_map(|d| if let Detail::User(user) = d { Some(user) } else { None });
        result.list("UserDetailList", users, write_user);
        let groups = details().filter_map(|d| if let Detail::Group(group) = d { Some(group) } else { None });
        result.list("GroupDetailList", groups, write_group);
        let roles = details().filter_map(|d| if let Detail::Role(role) = d { Some(role) } else { None });
        result.list("RoleDetailList", roles, |member, role| write_role(member, role, &all_profiles));
        let policies =
            details().filter_map(|d| if let Detail::Policy(policy) = d { Some(policy) } else { None });
        result.list("Policies", policies, |member, policy| write_policy(member, policy, &usages));
        paging::close(result, marker.as_deref());
    }))
}

/// Everything that is wanted, under what pages are cut by.
async fn collect(
    call: &Call<'_>,
    wanted: impl Fn(&'static str) -> bool,
) -> Result<Vec<(String, Detail)>, QueryError> {
    let mut found = Vec::new();
    if wanted("User") {
        let users = entity::all::<User>(call).await?.into_iter();
        found.extend(users.map(|user| (format!("user {}", user.name), Detail::User(user))));
    }
    if wanted("Role") {
        let roles = entity::all::<Role>(call).await?.into_iter();
        found.extend(roles.map(|role| (format!("role {}", role.name), Detail::Role(role))));
    }
    if wanted("Group") {
        let groups = entity::all::<Group>(call).await?.into_iter();
        found.extend(groups.map(|group| (format!("group {}", group.name), Detail::Group(group))));
    }
    if wanted("LocalManagedPolicy") {
        for policy in policies::all_own(call).await? {
            let order = format!("policy {}", policy.value.arn);
            found.push((order, Detail::Policy(Managed::Own(Box::new(policy)))));
        }
    }
    if wanted("AWSManagedPolicy") {
        let built_in = managed::all().iter();
        found
            .extend(built_in.map(|policy| {
                (format!("policy {}", policy.arn()), Detail::Policy(Managed::BuiltIn(policy)))
            }));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

fn write_user(node: &mut Node<'_>, user: &User) {
    super::users::write(node, user);
    write_inline(node, "UserPolicyList", &user.inline_policies);
    node.texts("GroupList", &user.groups);
    write_attached(node, "AttachedManagedPolicies", &user.attached_policies);
}

fn write_group(node: &mut Node<'_>, group: &Group) {
    super::groups::write(node, group);
    write_inline(node, "GroupPolicyList", &group.inline_policies);
    write_attached(node, "AttachedManagedPolicies", &group.attached_policies);
}

fn write_role(node: &mut Node<'_>, role: &Role, all_profiles: &[InstanceProfile]) {
    node.text("Path", &role.path);
    node.text("RoleName", &role.name);
    node.text("RoleId", &role.id);
    node.text("Arn", &role.arn);
    node.timestamp("CreateDate", seconds(role.created_ms));
    node.text("AssumeRolePolicyDocument", &encoded(&role.trust_policy));
    let held = all_profiles.iter().filter(|profile| profile.holds(&role.name));
    node.list("InstanceProfileList", held, |member, profile| {
        profiles::write(member, profile, std::slice::from_ref(role));
    });
    write_inline(node, "RolePolicyList", &role.inline_policies);
    write_attached(node, "AttachedManagedPolicies", &role.attached_policies);
    tags::write(node, &role.tags, role.permissions_boundary.as_deref());
}

fn write_policy(node: &mut Node<'_>, policy: &Managed, usages: &HashMap<String, Usage>) {
    let usage = |arn: &str| usages.get(arn).copied().unwrap_or_default();
    match policy {
        Managed::BuiltIn(policy) => {
            policies::write_built_in(node, policy, usage(&policy.arn()));
            policies::write_built_in_versions(node, policy);
        }
        Managed::Own(policy) => {
            let Versioned { value: policy, .. } = policy.as_ref();
            policies::write_own(node, policy, usage(&policy.arn), true);
            node.list("PolicyVersionList", &policy.versions, |member, version| {
                policies::write_version(member, version, version.number == policy.default_version, true);
            });
        }
    }
}
