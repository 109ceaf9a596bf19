//! Users.

use slipway_auth::iam::{self, IamError, User};
use slipway_auth::{identity, token};
use slipway_store::{ChangeSet, CommitError, Write};
use slipway_wire::query::{Node, QueryError};

use super::call::{ATTEMPTS, Call, commit_failed, contended, seconds};
use super::holder::{self, authorized};
use super::paging::{self, Page};
use super::{internal, refused};
use crate::clock::random;
use crate::identities::records;

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
    let tags = holder::tags(call.form)?;
    let boundary = holder::boundary(call.form)?;
    let account = call.account();
    let arn = identity::user_arn(account.as_str(), path, name);
    call.authorize_with(&arn, &holder::keys_of_creation(&tags, boundary.as_deref())).await?;
    let mut user = User::new(account.as_str(), path, name, token::user_id(random()), call.now_ms());
    user.tags = tags;
    user.permissions_boundary = boundary;
    let document = records::document(records::user_key(account, name), &user, 0);
    match call.commit(ChangeSet::new().with(Write::Insert(document)), &arn).await {
        Ok(()) => Ok(call.answer(|result| result.element("User", |node| write(node, &user)))),
        Err(CommitError::Exists { .. }) => Err(refused(IamError::user_exists(name))),
        Err(error) => Err(commit_failed(error)),
    }
}

pub(super) async fn get(call: Call<'_>) -> Result<String, QueryError> {
    let user = authorized::<User>(&call, named_or_self(&call)?).await?.value;
    Ok(call.answer(|result| result.element("User", |node| write(node, &user))))
}

pub(super) async fn list(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    call.authorize(&identity::user_arn(call.account().as_str(), prefix, "")).await?;
    let (users, marker) = holder::list_page::<User>(&call, &page, |user| &user.path).await?;
    Ok(call.answer(|result| {
        result.list("Users", users, |member, (_, user)| write(member, &user));
        paging::close(result, marker.as_deref());
    }))
}

pub(super) async fn delete(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("UserName")?;
    for _ in 0..ATTEMPTS {
        let found = authorized::<User>(&call, name).await?;
        let keys = records::access_key_ids(call.store(), call.account(), name).await.map_err(internal)?;
        found.value.check_deletable(keys.len()).map_err(refused)?;
        // At the version that was read: a key or policy that came in between has changed it.
        let delete =
            Write::Delete { key: records::user_key(call.account(), name), version: Some(found.version) };
        match call.commit(ChangeSet::new().with(delete), &found.value.arn).await {
            Ok(()) => return Ok(call.done()),
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(commit_failed(error)),
        }
    }
    Err(contended())
}

fn write(node: &mut Node<'_>, user: &User) {
    node.text("Path", &user.path);
    node.text("UserName", &user.name);
    node.text("UserId", &user.id);
    node.text("Arn", &user.arn);
    node.timestamp("CreateDate", seconds(user.created_ms));
    holder::write_extras(node, &user.tags, user.permissions_boundary.as_deref());
}
