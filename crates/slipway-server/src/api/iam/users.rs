//! Users.

use slipway_auth::iam::{self, AccessKey, IamError, User};
use slipway_auth::{identity, token};
use slipway_store::{ChangeSet, CommitError, Document, Write};
use slipway_wire::query::{Node, QueryError};

use super::call::{ATTEMPTS, Call, commit_failed, contended, seconds};
use super::entity::{self, authorized};
use super::paging::{self, Page};
use super::{internal, refused, tags};
use crate::clock::random;
use crate::identities::records::{self, Versioned};

/// The user that the call names, or the caller itself.
pub(super) fn named_or_self<'a>(call: &Call<'a>) -> Result<&'a str, QueryError> {
    if let Some(name) = call.form.get("UserName") {
        return Ok(name);
    }
    call.context.caller.principal.user_name().ok_or_else(|| {
        refused(IamError::ValidationError(
            "Must specify userName when calling with non-User credentials".into(),
        ))
    })
}

pub(super) async fn create(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("UserName")?;
    let path = call.form.get("Path").unwrap_or("/");
    iam::check_user_name(name).map_err(refused)?;
    iam::check_path(path).map_err(refused)?;
    let account = call.account().as_str();
    let mut user = User::new(account, path, name, token::user_id(random()), call.now_ms());
    user.tags = tags::read(call.form)?;
    call.authorize_with(&user.arn, &entity::keys_of_creation(&call)?).await?;
    let (boundary, guard) = tags::boundary(&call).await?;
    user.permissions_boundary = boundary;
    entity::insert(&call, &user, guard, IamError::user_exists(name)).await?;
    Ok(call.answer(|result| result.element("User", |node| write(node, &user))))
}

pub(super) async fn get(call: Call<'_>) -> Result<String, QueryError> {
    let user = authorized::<User>(&call, named_or_self(&call)?).await?.value;
    Ok(call.answer(|result| result.element("User", |node| write(node, &user))))
}

pub(super) async fn list(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    call.authorize(&identity::user_arn(call.account().as_str(), prefix, "")).await?;
    let (users, marker) = entity::list_page::<User>(&call, &page).await?;
    Ok(call.answer(|result| {
        result.list("Users", &users, write);
        paging::close(result, marker.as_deref());
    }))
}

pub(super) async fn delete(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("UserName")?;
    for _ in 0..ATTEMPTS {
        let Versioned { value: user, version } = authorized::<User>(&call, name).await?;
        let keys = records::access_key_ids(call.store(), call.account(), name).await.map_err(internal)?;
        user.check_deletable(keys.len()).map_err(refused)?;
        if entity::remove(&call, &user, version).await? {
            return Ok(call.done());
        }
    }
    Err(contended())
}

/// Another name, another path, or both. Keys and memberships go along; the ARN changes, so a host that is registered
/// with it has to be registered again, as in AWS.
pub(super) async fn update(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("UserName")?;
    let new_name = call.form.get("NewUserName");
    let new_path = call.form.get("NewPath");
    new_name.map_or(Ok(()), iam::check_user_name).map_err(refused)?;
    new_path.map_or(Ok(()), iam::check_path).map_err(refused)?;
    for _ in 0..ATTEMPTS {
        let Versioned { value: old, version } = authorized::<User>(&call, name).await?;
        let mut user = old.clone();
        new_path.unwrap_or(&old.path).clone_into(&mut user.path);
        new_name.unwrap_or(&old.name).clone_into(&mut user.name);
        user.arn = identity::user_arn(&user.account, &user.path, &user.name);
        // Both names must be the caller's to change.
        call.authorize(&user.arn).await?;
        let change = renaming(&call, &old, &user, version).await?;
        match call.commit(change, &old.arn).await {
            Ok(()) => return Ok(call.done()),
            Err(CommitError::Conflict { .. }) => {}
            Err(CommitError::Exists { .. }) => return Err(refused(IamError::user_exists(&user.name))),
            Err(error) => return Err(commit_failed(error)),
        }
    }
    Err(contended())
}

async fn renaming(call: &Call<'_>, old: &User, user: &User, version: i64) -> Result<ChangeSet, QueryError> {
    let account = call.account();
    let (old_key, key) = (records::user_key(account, &old.name), records::user_key(account, &user.name));
    if old_key == key {
        return Ok(ChangeSet::new().with(Write::Replace(records::document(key, user, version))));
    }
    let mut change = ChangeSet::new()
        .with(Write::Delete { key: old_key, version: Some(version) })
        .with(Write::Insert(records::document(key, user, 0)));
    let entry = |key| Document { key, body: String::new(), version: 0 };
    for id in records::access_key_ids(call.store(), account, &old.name).await.map_err(internal)? {
        let Some(Versioned { value, version }) =
            records::access_key(call.store(), &id).await.map_err(internal)?
        else {
            continue;
        };
        let held = AccessKey { user_name: user.name.clone(), ..value };
        let listed = records::user_access_key_key(account, &old.name, &id);
        change = change
            .with(Write::Replace(records::document(records::access_key_key(&id), &held, version)))
            .with(Write::Delete { key: listed, version: None })
            .with(Write::Insert(entry(records::user_access_key_key(account, &user.name, &id))));
    }
    for group in &user.groups {
        let listed = records::group_member_key(account, group, &old.name);
        change = change
            .with(Write::Delete { key: listed, version: None })
            .with(Write::Insert(entry(records::group_member_key(account, group, &user.name))));
    }
    Ok(change)
}

pub(super) fn write(node: &mut Node<'_>, user: &User) {
    node.text("Path", &user.path);
    node.text("UserName", &user.name);
    node.text("UserId", &user.id);
    node.text("Arn", &user.arn);
    node.timestamp("CreateDate", seconds(user.created_ms));
    tags::write(node, &user.tags, user.permissions_boundary.as_deref());
}
