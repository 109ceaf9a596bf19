//! Tags and permissions boundaries.

use std::collections::BTreeMap;

use slipway_auth::iam::{self, CustomerPolicy, IamError, InstanceProfile, Role, TAGS_PER_ENTITY, User};
use slipway_store::Write;
use slipway_wire::query::{Form, Node, QueryError};

use super::call::{ATTEMPTS, Call, contended};
use super::entity::{Entity, authorized, change, replace};
use super::paging::{self, Page};
use super::{policies, refused};
use crate::identities::records::Versioned;

/// What can be tagged under a name of its own.
pub(super) trait Tagged: Entity {
    fn tags_mut(&mut self) -> &mut BTreeMap<String, String>;
}

impl Tagged for User {
    fn tags_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.tags
    }
}

impl Tagged for Role {
    fn tags_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.tags
    }
}

impl Tagged for InstanceProfile {
    fn tags_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.tags
    }
}

/// What a boundary can be set on.
pub(super) trait Bounded: Entity {
    fn boundary_mut(&mut self) -> &mut Option<String>;
}

impl Bounded for User {
    fn boundary_mut(&mut self) -> &mut Option<String> {
        &mut self.permissions_boundary
    }
}

impl Bounded for Role {
    fn boundary_mut(&mut self) -> &mut Option<String> {
        &mut self.permissions_boundary
    }
}

/// The tags of a call.
pub(super) fn read(form: &Form) -> Result<BTreeMap<String, String>, QueryError> {
    let mut tags = BTreeMap::new();
    for item in form.items("Tags")? {
        let (key, value) = (item.required("Key")?, item.required("Value")?);
        iam::check_tag_key(key).map_err(refused)?;
        iam::check_tag_value(value).map_err(refused)?;
        if tags.keys().any(|known: &String| known.eq_ignore_ascii_case(key)) {
            return Err(refused(IamError::InvalidInput(
                "Duplicate tag keys found. Tag keys are case insensitive.".into(),
            )));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    if tags.len() > TAGS_PER_ENTITY {
        return Err(refused(IamError::quota("TagsPerEntity", TAGS_PER_ENTITY)));
    }
    Ok(tags)
}

/// Adds tags; keys are unique without regard to case, and keep the spelling that was given last.
fn add(tags: &mut BTreeMap<String, String>, more: &BTreeMap<String, String>) -> Result<(), IamError> {
    tags.retain(|key, _| !more.keys().any(|new| new.eq_ignore_ascii_case(key)));
    tags.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
    if tags.len() > TAGS_PER_ENTITY {
        return Err(IamError::quota("TagsPerEntity", TAGS_PER_ENTITY));
    }
    Ok(())
}

fn take(tags: &mut BTreeMap<String, String>, keys: &[&str]) {
    tags.retain(|key, _| !keys.iter().any(|gone| gone.eq_ignore_ascii_case(key)));
}

/// `TagUser` and its like.
pub(super) async fn tag<E: Tagged>(call: Call<'_>) -> Result<String, QueryError> {
    let more = read(call.form)?;
    change::<E>(&call, |entity| add(entity.tags_mut(), &more)).await
}

/// `UntagUser` and its like.
pub(super) async fn untag<E: Tagged>(call: Call<'_>) -> Result<String, QueryError> {
    let keys = call.form.list("TagKeys")?;
    let remove = |entity: &mut E| {
        take(entity.tags_mut(), &keys);
        Ok(())
    };
    change::<E>(&call, remove).await
}

/// `ListUserTags` and its like.
pub(super) async fn list<E: Tagged>(call: Call<'_>) -> Result<String, QueryError> {
    let mut entity = authorized::<E>(&call, call.required(E::NAME)?).await?.value;
    answer_list(&call, &std::mem::take(entity.tags_mut()))
}

/// `TagPolicy`.
pub(super) async fn tag_policy(call: Call<'_>) -> Result<String, QueryError> {
    let more = read(call.form)?;
    policies::change(&call, |policy: &mut CustomerPolicy| add(&mut policy.tags, &more)).await?;
    Ok(call.done())
}

/// `UntagPolicy`.
pub(super) async fn untag_policy(call: Call<'_>) -> Result<String, QueryError> {
    let keys = call.form.list("TagKeys")?;
    let remove = |policy: &mut CustomerPolicy| {
        take(&mut policy.tags, &keys);
        Ok(())
    };
    policies::change(&call, remove).await?;
    Ok(call.done())
}

/// `ListPolicyTags`.
pub(super) async fn list_policy_tags(call: Call<'_>) -> Result<String, QueryError> {
    let tags = policies::tags(&call).await?;
    answer_list(&call, &tags)
}

fn answer_list(call: &Call<'_>, tags: &BTreeMap<String, String>) -> Result<String, QueryError> {
    let page = Page::of(call)?;
    let (tags, marker) = page.of_all(tags.iter().collect(), |(key, _)| key.as_str());
    Ok(call.answer(|result| {
        write_members(result, tags);
        paging::close(result, marker.as_deref());
    }))
}

/// `PutUserPermissionsBoundary`, `PutRolePermissionsBoundary` (DP-615).
pub(super) async fn put_boundary<E: Bounded>(call: Call<'_>) -> Result<String, QueryError> {
    let arn = call.required("PermissionsBoundary")?;
    let name = call.required(E::NAME)?;
    for _ in 0..ATTEMPTS {
        let Versioned { mut value, version } = authorized::<E>(&call, name).await?;
        let guard = policies::attachable(&call, arn).await?;
        *value.boundary_mut() = Some(arn.to_owned());
        if replace(&call, &value, version, guard.into_iter().collect()).await? {
            return Ok(call.done());
        }
    }
    Err(contended())
}

/// `DeleteUserPermissionsBoundary`, `DeleteRolePermissionsBoundary`.
pub(super) async fn delete_boundary<E: Bounded>(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required(E::NAME)?;
    let remove = |entity: &mut E| match entity.boundary_mut().take() {
        Some(_) => Ok(()),
        None => Err(IamError::NoSuchEntity(format!("{name} has no permissions boundary."))),
    };
    change::<E>(&call, remove).await
}

/// The permissions boundary of a creation, and what must stay as it is until it is made.
pub(super) async fn boundary(call: &Call<'_>) -> Result<(Option<String>, Option<Write>), QueryError> {
    match call.form.get("PermissionsBoundary") {
        Some(arn) => Ok((Some(arn.to_owned()), policies::attachable(call, arn).await?)),
        None => Ok((None, None)),
    }
}

/// Tags and boundary as answers show them.
pub(super) fn write(node: &mut Node<'_>, tags: &BTreeMap<String, String>, boundary: Option<&str>) {
    if let Some(arn) = boundary {
        node.element("PermissionsBoundary", |node| {
            node.text("PermissionsBoundaryType", "Policy");
            node.text("PermissionsBoundaryArn", arn);
        });
    }
    if !tags.is_empty() {
        write_members(node, tags);
    }
}

fn write_members<'a>(node: &mut Node<'_>, tags: impl IntoIterator<Item = (&'a String, &'a String)>) {
    node.list("Tags", tags, |member, (key, value)| {
        member.text("Key", key);
        member.text("Value", value);
    });
}
