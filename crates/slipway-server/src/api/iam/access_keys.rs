//! Access keys of users.

use slipway_auth::iam::{ACCESS_KEYS_PER_USER, AccessKey, IamError, User};
use slipway_auth::token;
use slipway_store::{ChangeSet, CommitError, Document, Write};
use slipway_wire::query::QueryError;

use super::call::{ATTEMPTS, Call, commit_failed, contended, seconds};
use super::entity::authorized;
use super::paging::{self, Page};
use super::users::named_or_self;
use super::{internal, refused};
use crate::clock::random;
use crate::identities::records::{self, Versioned};

pub(super) async fn create(call: Call<'_>) -> Result<String, QueryError> {
    let name = named_or_self(&call)?;
    let account = call.account();
    for _ in 0..ATTEMPTS {
        let Versioned { value: user, version } = authorized::<User>(&call, name).await?;
        let held = records::access_key_ids(call.store(), account, name).await.map_err(internal)?;
        if held.len() >= ACCESS_KEYS_PER_USER {
            return Err(refused(IamError::quota("AccessKeysPerUser", ACCESS_KEYS_PER_USER)));
        }
        let secret = token::secret_access_key(random());
        let sealer = &call.context.control.sealer;
        let key = AccessKey::new(&user, token::access_key_id(random()), &secret, sealer, call.now_ms());
        let change = ChangeSet::new()
            // Written without a change, so that of two simultaneous creations one sees the other's key, and a
            // deletion of the user sees this one.
            .with(Write::Replace(records::document(records::user_key(account, name), &user, version)))
            .with(Write::Insert(records::document(records::access_key_key(&key.id), &key, 0)))
            .with(Write::Insert(listed(&key, &call)));
        match call.commit(change, &user.arn).await {
            Ok(()) => {
                return Ok(call.answer(|result| {
                    result.element("AccessKey", |node| {
                        node.text("UserName", &user.name);
                        node.text("AccessKeyId", &key.id);
                        node.text("Status", key.status());
                        node.text("SecretAccessKey", secret.expose());
                        node.timestamp("CreateDate", seconds(key.created_ms));
                    });
                }));
            }
            // A key id that exists already is as good a reason to try again.
            Err(CommitError::Conflict { .. } | CommitError::Exists { .. }) => {}
            Err(error) => return Err(commit_failed(error)),
        }
    }
    Err(contended())
}

pub(super) async fn list(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let user = authorized::<User>(&call, named_or_self(&call)?).await?.value;
    let mut keys = Vec::new();
    for id in records::access_key_ids(call.store(), call.account(), &user.name).await.map_err(internal)? {
        keys.extend(records::access_key(call.store(), &id).await.map_err(internal)?.map(|found| found.value));
    }
    let (keys, marker) = page.of_all(keys, |key: &AccessKey| key.id.as_str());
    Ok(call.answer(|result| {
        result.list("AccessKeyMetadata", keys, |member, key| {
            member.text("UserName", &user.name);
            member.text("AccessKeyId", &key.id);
            member.text("Status", key.status());
            member.timestamp("CreateDate", seconds(key.created_ms));
        });
        paging::close(result, marker.as_deref());
    }))
}

pub(super) async fn update(call: Call<'_>) -> Result<String, QueryError> {
    let status = call.required("Status")?;
    let active = match status {
        "Active" => true,
        "Inactive" => false,
        other => {
            return Err(QueryError::validation(
                "Status",
                Some(other),
                "Member must satisfy enum value set: [Active, Inactive]",
            ));
        }
    };
    for _ in 0..ATTEMPTS {
        let (user, Versioned { value: mut key, version }) = of_user(&call).await?;
        key.active = active;
        let document = records::document(records::access_key_key(&key.id), &key, version);
        match call.commit(ChangeSet::new().with(Write::Replace(document)), &user.arn).await {
            Ok(()) => return Ok(call.done()),
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(commit_failed(error)),
        }
    }
    Err(contended())
}

pub(super) async fn delete(call: Call<'_>) -> Result<String, QueryError> {
    let (user, Versioned { value: key, .. }) = of_user(&call).await?;
    let change = ChangeSet::new()
        .with(Write::Delete { key: records::access_key_key(&key.id), version: None })
        .with(Write::Delete { key: listed(&key, &call).key, version: None })
        .with(Write::Delete { key: records::access_key_use_key(&key.id), version: None });
    call.context.control.key_usage.forget(&key.id);
    call.commit(change, &user.arn).await.map_err(commit_failed)?;
    Ok(call.done())
}

/// `GetAccessKeyLastUsed`: names the key only, so it is authorised on the key's user.
pub(super) async fn last_used(call: Call<'_>) -> Result<String, QueryError> {
    let id = call.required("AccessKeyId")?;
    let account = call.account().as_str();
    let key = records::access_key(call.store(), id)
        .await
        .map_err(internal)?
        .map(|found| found.value)
        .filter(|key| key.account == account);
    let user = match &key {
        Some(key) => records::user(call.store(), account, &key.user_name).await.map_err(internal)?,
        None => None,
    };
    call.authorize(user.as_ref().map_or("*", |user| &user.value.arn)).await?;
    let key = key.ok_or_else(|| refused(IamError::no_such_access_key(id)))?;
    let used = call.context.control.key_usage.last(call.store(), id).await.map_err(internal)?;
    Ok(call.answer(|result| {
        result.text("UserName", &key.user_name);
        result.element("AccessKeyLastUsed", |node| {
            if let Some(used) = &used {
                node.timestamp("LastUsedDate", seconds(used.at_ms));
            }
            let known = used.as_ref().map_or(("N/A", "N/A"), |used| (&used.service, &used.region));
            node.text("ServiceName", known.0);
            node.text("Region", known.1);
        });
    }))
}

/// The user and the key that the call names; the key must be the user's.
async fn of_user(call: &Call<'_>) -> Result<(User, Versioned<AccessKey>), QueryError> {
    let id = call.required("AccessKeyId")?;
    let user = authorized::<User>(call, named_or_self(call)?).await?.value;
    let key = records::access_key(call.store(), id)
        .await
        .map_err(internal)?
        .filter(|key| key.value.user_name == user.name && key.value.account == user.account)
        .ok_or_else(|| refused(IamError::no_such_access_key(id)))?;
    Ok((user, key))
}

/// The entry of a key in its user's list.
fn listed(key: &AccessKey, call: &Call<'_>) -> Document {
    Document {
        key: records::user_access_key_key(call.account(), &key.user_name, &key.id),
        body: String::new(),
        version: 0,
    }
}
