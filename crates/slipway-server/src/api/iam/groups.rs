//! Groups and who is in them.

use slipway_auth::iam::{self, Group, IamError, User};
use slipway_auth::token;
use slipway_store::{ChangeSet, CommitError, Document, DocumentKey, Kind, Write};
use slipway_wire::query::{Node, QueryError};

use super::call::{ATTEMPTS, Call, commit_failed, contended, seconds};
use super::entity::{self, authorized, existing};
use super::paging::{self, Page};
use super::{internal, refused, users};
use crate::clock::random;
use crate::identities::records::{self, Versioned};

/// Users of a group that are renamed along with it.
const MOST_MEMBERS: u32 = 10_000;

pub(super) async fn create(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("GroupName")?;
    let path = call.form.get("Path").unwrap_or("/");
    iam::check_group_name(name).map_err(refused)?;
    iam::check_path(path).map_err(refused)?;
    let account = call.account().as_str();
    let group = Group::new(account, path, name, token::group_id(random()), call.now_ms());
    call.authorize(&group.arn).await?;
    entity::insert(&call, &group, None, IamError::group_exists(name)).await?;
    Ok(call.answer(|result| result.element("Group", |node| write(node, &group))))
}

/// The group with its users, in pages.
pub(super) async fn get(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let group = authorized::<Group>(&call, call.required("GroupName")?).await?.value;
    let limit = u32::try_from(page.limit + 1).unwrap_or(u32::MAX);
    let names = members(&call, &group.name, page.after.as_deref(), limit).await?;
    let (names, marker) = page.cut(names, String::as_str);
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        found.extend(entity::find::<User>(&call, &name).await?.map(|found| found.value));
    }
    Ok(call.answer(|result| {
        result.element("Group", |node| write(node, &group));
        result.list("Users", &found, users::write);
        paging::close(result, marker.as_deref());
    }))
}

pub(super) async fn list(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    call.authorize(&iam::group_arn(call.account().as_str(), prefix, "")).await?;
    let (groups, marker) = entity::list_page::<Group>(&call, &page).await?;
    Ok(call.answer(|result| {
        result.list("Groups", &groups, write);
        paging::close(result, marker.as_deref());
    }))
}

pub(super) async fn list_for_user(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let user = authorized::<User>(&call, call.required("UserName")?).await?.value;
    let (names, marker) = page.of_all(user.groups.iter().collect(), |name| name.as_str());
    let mut groups = Vec::with_capacity(names.len());
    for name in names {
        groups.extend(entity::find::<Group>(&call, name).await?.map(|found| found.value));
    }
    Ok(call.answer(|result| {
        result.list("Groups", &groups, write);
        paging::close(result, marker.as_deref());
    }))
}

pub(super) async fn delete(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("GroupName")?;
    for _ in 0..ATTEMPTS {
        let Versioned { value: group, version } = authorized::<Group>(&call, name).await?;
        let held = members(&call, name, None, 1).await?.len();
        group.check_deletable(held).map_err(refused)?;
        if entity::remove(&call, &group, version).await? {
            return Ok(call.done());
        }
    }
    Err(contended())
}

/// Another name, another path, or both; the users stay in it.
pub(super) async fn update(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("GroupName")?;
    let new_name = call.form.get("NewGroupName");
    let new_path = call.form.get("NewPath");
    new_name.map_or(Ok(()), iam::check_group_name).map_err(refused)?;
    new_path.map_or(Ok(()), iam::check_path).map_err(refused)?;
    for _ in 0..ATTEMPTS {
        let Versioned { value: old, version } = authorized::<Group>(&call, name).await?;
        let mut group = old.clone();
        new_path.unwrap_or(&old.path).clone_into(&mut group.path);
        new_name.unwrap_or(&old.name).clone_into(&mut group.name);
        group.arn = iam::group_arn(call.account().as_str(), &group.path, &group.name);
        call.authorize(&group.arn).await?;
        let change = renaming(&call, &old, &group, version).await?;
        match call.commit(change, &old.arn).await {
            Ok(()) => return Ok(call.done()),
            Err(CommitError::Conflict { .. }) => {}
            Err(CommitError::Exists { .. }) => return Err(refused(IamError::group_exists(&group.name))),
            Err(error) => return Err(commit_failed(error)),
        }
    }
    Err(contended())
}

async fn renaming(
    call: &Call<'_>,
    old: &Group,
    group: &Group,
    version: i64,
) -> Result<ChangeSet, QueryError> {
    let account = call.account();
    let (old_key, key) = (records::group_key(account, &old.name), records::group_key(account, &group.name));
    if old_key == key {
        return Ok(ChangeSet::new().with(Write::Replace(records::document(key, group, version))));
    }
    let mut change = ChangeSet::new()
        .with(Write::Delete { key: old_key, version: Some(version) })
        .with(Write::Insert(records::document(key, group, 0)));
    for name in members(call, &old.name, None, MOST_MEMBERS).await? {
        let Versioned { value: mut user, version } = existing::<User>(call, &name).await?;
        user.groups.remove(&old.name.to_ascii_lowercase());
        user.groups.insert(group.name.to_ascii_lowercase());
        change = change
            .with(Write::Replace(records::document(records::user_key(account, &name), &user, version)))
            .with(Write::Delete { key: records::group_member_key(account, &old.name, &name), version: None })
            .with(Write::Insert(listed(call, &group.name, &name)));
    }
    Ok(change)
}

pub(super) async fn add_user(call: Call<'_>) -> Result<String, QueryError> {
    let (group_name, user_name) = (call.required("GroupName")?, call.required("UserName")?);
    for _ in 0..ATTEMPTS {
        let Versioned { value: group, version: group_version } =
            authorized::<Group>(&call, group_name).await?;
        let Versioned { value: mut user, version } = existing::<User>(&call, user_name).await?;
        user.add_to_group(group_name).map_err(refused)?;
        let more = vec![
            // Written without a change, so that a deletion of the group sees that it is not empty any more.
            Write::Replace(records::document(
                records::group_key(call.account(), group_name),
                &group,
                group_version,
            )),
            Write::Put(listed(&call, group_name, user_name)),
        ];
        if entity::replace(&call, &user, version, more).await? {
            return Ok(call.done());
        }
    }
    Err(contended())
}

pub(super) async fn remove_user(call: Call<'_>) -> Result<String, QueryError> {
    let (group_name, user_name) = (call.required("GroupName")?, call.required("UserName")?);
    for _ in 0..ATTEMPTS {
        authorized::<Group>(&call, group_name).await?;
        let Versioned { value: mut user, version } = existing::<User>(&call, user_name).await?;
        if !user.groups.remove(&group_name.to_ascii_lowercase()) {
            return Err(refused(IamError::no_such_user(user_name)));
        }
        let key = records::group_member_key(call.account(), group_name, user_name);
        if entity::replace(&call, &user, version, vec![Write::Delete { key, version: None }]).await? {
            return Ok(call.done());
        }
    }
    Err(contended())
}

/// Names of the users of a group, in lower case.
async fn members(
    call: &Call<'_>,
    group: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<String>, QueryError> {
    let DocumentKey { partition, parent, .. } = records::group_member_key(call.account(), group, "");
    let found = call
        .store()
        .documents(&partition, Kind::IamGroupMember, &parent, after, limit)
        .await
        .map_err(internal)?;
    Ok(found.into_iter().map(|document| document.key.name).collect())
}

fn listed(call: &Call<'_>, group: &str, user: &str) -> Document {
    Document { key: records::group_member_key(call.account(), group, user), body: String::new(), version: 0 }
}

pub(super) fn write(node: &mut Node<'_>, group: &Group) {
    node.text("Path", &group.path);
    node.text("GroupName", &group.name);
    node.text("GroupId", &group.id);
    node.text("Arn", &group.arn);
    node.timestamp("CreateDate", seconds(group.created_ms));
}
