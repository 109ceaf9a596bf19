//! Who has a managed policy. Asked seldom, so it is looked up in the users, groups and roles themselves, and no index
//! can disagree with them.

use std::collections::HashMap;

use slipway_auth::iam::{Group, IamError, Role, User};
use slipway_wire::query::QueryError;

use super::call::Call;
use super::entity;
use super::holder::Holder;
use super::paging::{self, Page};
use super::policies::{self, one_of};
use super::refused;

/// How many entities have a policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Attached to so many.
    pub(super) attached: usize,
    /// The permissions boundary of so many.
    pub(super) bounding: usize,
}

/// The usage of one policy.
pub(super) async fn of(call: &Call<'_>, arn: &str) -> Result<Usage, QueryError> {
    Ok(of_all(call).await?.get(arn).copied().unwrap_or_default())
}

/// The usage of each policy that is used.
pub(super) async fn of_all(call: &Call<'_>) -> Result<HashMap<String, Usage>, QueryError> {
    let mut usages = HashMap::new();
    for user in entity::all::<User>(call).await? {
        count(&mut usages, &user);
    }
    for group in entity::all::<Group>(call).await? {
        count(&mut usages, &group);
    }
    for role in entity::all::<Role>(call).await? {
        count(&mut usages, &role);
    }
    Ok(usages)
}

fn count<H: Holder>(usages: &mut HashMap<String, Usage>, holder: &H) {
    for arn in holder.attached() {
        usages.entry(arn.clone()).or_default().attached += 1;
    }
    if let Some(arn) = holder.boundary() {
        usages.entry(arn.to_owned()).or_default().bounding += 1;
    }
}

/// One line of ListEntitiesForPolicy.
struct Found {
    /// What pages are cut by: groups, roles, users, each by name.
    order: String,
    kind: &'static str,
    name: String,
    id: String,
}

/// `ListEntitiesForPolicy`.
pub(super) async fn list_entities(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let arn = call.required("PolicyArn")?;
    let kinds = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];
    let only = one_of(&call, "EntityFilter", &kinds)?;
    let usage = one_of(&call, "PolicyUsageFilter", &["PermissionsPolicy", "PermissionsBoundary"])?;
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    call.authorize(arn).await?;
    if policies::find(&call, arn).await?.is_none() {
        return Err(refused(IamError::no_such_policy(arn)));
    }
    let wanted = |kind| only.is_none_or(|only| only == kind);
    let question = Question { arn, usage, prefix };
    let mut found = Vec::new();
    if wanted("Group") {
        question.ask::<Group>(&call, "Group", |group| &group.id, &mut found).await?;
    }
    if wanted("User") {
        question.ask::<User>(&call, "User", |user| &user.id, &mut found).await?;
    }
    if wanted("Role") {
        question.ask::<Role>(&call, "Role", |role| &role.id, &mut found).await?;
    }
    let (found, marker) = page.of_all(found, |entity| &entity.order);
    let of = |kind: &'static str| found.iter().filter(move |entity| entity.kind == kind);
    Ok(call.answer(|result| {
        for (list, kind, name, id) in [
            ("PolicyGroups", "Group", "GroupName", "GroupId"),
            ("PolicyUsers", "User", "UserName", "UserId"),
            ("PolicyRoles", "Role", "RoleName", "RoleId"),
        ] {
            result.list(list, of(kind), |member, entity| {
                member.text(name, &entity.name);
                member.text(id, &entity.id);
            });
        }
        paging::close(result, marker.as_deref());
    }))
}

struct Question<'a> {
    arn: &'a str,
    usage: Option<&'a str>,
    prefix: &'a str,
}

impl Question<'_> {
    async fn ask<H: Holder>(
        &self,
        call: &Call<'_>,
        kind: &'static str,
        id: impl Fn(&H) -> &str,
        found: &mut Vec<Found>,
    ) -> Result<(), QueryError> {
        for holder in entity::all::<H>(call).await? {
            let attached = self.usage != Some("PermissionsBoundary")
                && holder.attached().iter().any(|held| held == self.arn);
            let bounded = self.usage != Some("PermissionsPolicy") && holder.boundary() == Some(self.arn);
            if (attached || bounded) && holder.path().starts_with(self.prefix) {
                found.push(Found {
                    order: format!("{kind}/{}", holder.name().to_ascii_lowercase()),
                    kind,
                    name: holder.name().to_owned(),
                    id: id(&holder).to_owned(),
                });
            }
        }
        // Pages are cut by the order of all of them.
        found.sort_by(|a, b| a.order.cmp(&b.order));
        Ok(())
    }
}
