//! What users, groups, roles and instance profiles share: a name, a path, an ARN, tags; finding and changing one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use slipway_auth::iam::{self, Group, IamError, InstanceProfile, Role, User};
use slipway_auth::identity;
use slipway_model::AccountId;
use slipway_store::{ChangeSet, CommitError, DocumentKey, Write};
use slipway_wire::query::QueryError;

use super::call::{ATTEMPTS, Call, commit_failed, contended};
use super::paging::Page;
use super::{internal, refused};
use crate::identities::records::{self, Versioned};

/// Documents read at a time when many are looked through.
const CHUNK: u32 = 256;

/// Something of IAM that has a name of its own in the account.
pub(super) trait Entity: Serialize + DeserializeOwned + Send + Sync {
    /// Parameter and element that names it.
    const NAME: &'static str;
    fn check_name(name: &str) -> Result<(), IamError>;
    fn key(account: &AccountId, name: &str) -> DocumentKey;
    /// ARN of one whose path is not known.
    fn arn_at_root(account: &str, name: &str) -> String;
    fn absent(name: &str) -> IamError;
    fn arn(&self) -> &str;
    fn name(&self) -> &str;
    fn path(&self) -> &str;
    fn tags(&self) -> Option<&BTreeMap<String, String>>;
    fn boundary(&self) -> Option<&str>;
}

macro_rules! entity {
    ($type:ty, $name:literal, $check:path, $key:path, $arn:path, $absent:path, $tags:expr, $boundary:expr) => {
        impl Entity for $type {
            const NAME: &'static str = $name;
            fn check_name(name: &str) -> Result<(), IamError> {
                $check(name)
            }
            fn key(account: &AccountId, name: &str) -> DocumentKey {
                $key(account, name)
            }
            fn arn_at_root(account: &str, name: &str) -> String {
                $arn(account, "/", name)
            }
            fn absent(name: &str) -> IamError {
                $absent(name)
            }
            fn arn(&self) -> &str {
                &self.arn
            }
            fn name(&self) -> &str {
                &self.name
            }
            fn path(&self) -> &str {
                &self.path
            }
            fn tags(&self) -> Option<&BTreeMap<String, String>> {
                let tags: fn(&Self) -> Option<&BTreeMap<String, String>> = $tags;
                tags(self)
            }
            fn boundary(&self) -> Option<&str> {
                let boundary: fn(&Self) -> Option<&str> = $boundary;
                boundary(self)
            }
        }
    };
}

entity!(
    User,
    "UserName",
    iam::check_user_name,
    records::user_key,
    identity::user_arn,
    IamError::no_such_user,
    |user| Some(&user.tags),
    |user| user.permissions_boundary.as_deref()
);
entity!(
    Role,
    "RoleName",
    iam::check_role_name,
    records::role_key,
    identity::role_arn,
    IamError::no_such_role,
    |role| Some(&role.tags),
    |role| role.permissions_boundary.as_deref()
);
entity!(
    Group,
    "GroupName",
    iam::check_group_name,
    records::group_key,
    iam::group_arn,
    IamError::no_such_group,
    |_| None,
    |_| None
);
entity!(
    InstanceProfile,
    "InstanceProfileName",
    iam::check_instance_profile_name,
    records::instance_profile_key,
    iam::instance_profile_arn,
    IamError::no_such_instance_profile,
    |profile| Some(&profile.tags),
    |_| None
);

/// Finds an entity, `None` when it does not exist.
pub(super) async fn find<E: Entity>(call: &Call<'_>, name: &str) -> Result<Option<Versioned<E>>, QueryError> {
    let found = call.store().document(&E::key(call.account(), name)).await.map_err(internal)?;
    found.as_ref().map(records::read).transpose().map_err(internal)
}

/// Finds an entity that the call speaks of beside the one that it is about.
pub(super) async fn existing<E: Entity>(call: &Call<'_>, name: &str) -> Result<Versioned<E>, QueryError> {
    E::check_name(name).map_err(refused)?;
    find::<E>(call, name).await?.ok_or_else(|| refused(E::absent(name)))
}

/// Finds an entity that the caller may do this to. Whether it exists is told only to who may.
pub(super) async fn authorized<E: Entity>(call: &Call<'_>, name: &str) -> Result<Versioned<E>, QueryError> {
    E::check_name(name).map_err(refused)?;
    let found = find::<E>(call, name).await?;
    let at_root = E::arn_at_root(call.account().as_str(), name);
    let keys = condition_keys(call, found.as_ref().map(|found| &found.value))?;
    call.authorize_with(found.as_ref().map_or(at_root.as_str(), |found| found.value.arn()), &keys).await?;
    found.ok_or_else(|| refused(E::absent(name)))
}

/// What policies may ask about a change of an entity. A denial that names one of these keys would not be met if it
/// were left out: administration is delegated by such denials. Nor may a parameter that the action does not know set
/// one: it would be a way around them.
fn condition_keys<E: Entity>(
    call: &Call<'_>,
    entity: Option<&E>,
) -> Result<Vec<(String, String)>, QueryError> {
    let mut keys = keys_of_request(call)?;
    let attaching = call.action.starts_with("Attach") || call.action.starts_with("Detach");
    if let Some(arn) = call.form.get("PolicyArn").filter(|_| attaching) {
        keys.push(("iam:PolicyARN".to_owned(), arn.to_owned()));
    }
    let Some(entity) = entity else { return Ok(keys) };
    // Of a call that sets a boundary the one to be set is meant.
    let bounding = call.action.starts_with("Put") && call.action.ends_with("PermissionsBoundary");
    let boundary = call.form.get("PermissionsBoundary").filter(|_| bounding).or(entity.boundary());
    keys.extend(boundary.map(|arn| ("iam:PermissionsBoundary".to_owned(), arn.to_owned())));
    if let Some(tags) = entity.tags() {
        keys.extend(keys_of_tags(tags));
    }
    Ok(keys)
}

/// The tags of what a call is about, as policies may ask for them.
pub(super) fn keys_of_tags(tags: &BTreeMap<String, String>) -> impl Iterator<Item = (String, String)> {
    tags.iter().flat_map(|(key, value)| {
        ["aws", "iam"].map(|vendor| (format!("{vendor}:ResourceTag/{key}"), value.clone()))
    })
}

/// The tags that a call sets or removes, if it is one that does.
pub(super) fn keys_of_request(call: &Call<'_>) -> Result<Vec<(String, String)>, QueryError> {
    let mut keys = Vec::new();
    if !["Create", "Tag", "Untag"].iter().any(|verb| call.action.starts_with(verb)) {
        return Ok(keys);
    }
    let tagging = call.action.starts_with("Create") || call.action.starts_with("Tag");
    let untagging = call.action.starts_with("Untag");
    for item in call.form.items("Tags")?.iter().filter(|_| tagging) {
        let (key, value) = (item.required("Key")?, item.get("Value").unwrap_or_default());
        keys.push((format!("aws:RequestTag/{key}"), value.to_owned()));
        keys.push(("aws:TagKeys".to_owned(), key.to_owned()));
    }
    for key in call.form.list("TagKeys")?.into_iter().filter(|_| untagging) {
        keys.push(("aws:TagKeys".to_owned(), key.to_owned()));
    }
    Ok(keys)
}

/// What policies may ask about a creation.
pub(super) fn keys_of_creation(call: &Call<'_>) -> Result<Vec<(String, String)>, QueryError> {
    let mut keys = keys_of_request(call)?;
    if let Some(arn) = call.form.get("PermissionsBoundary") {
        keys.push(("iam:PermissionsBoundary".to_owned(), arn.to_owned()));
    }
    Ok(keys)
}

/// Adds an entity; `taken` is the error when there is one of the name.
pub(super) async fn insert<E: Entity>(
    call: &Call<'_>,
    entity: &E,
    guard: Option<Write>,
    taken: IamError,
) -> Result<(), QueryError> {
    let document = records::document(E::key(call.account(), entity.name()), entity, 0);
    let change = guard.into_iter().fold(ChangeSet::new(), ChangeSet::with).with(Write::Insert(document));
    match call.commit(change, entity.arn()).await {
        Ok(()) => Ok(()),
        Err(CommitError::Exists { .. }) => Err(refused(taken)),
        Err(CommitError::Conflict { .. }) => Err(contended()),
        Err(error) => Err(commit_failed(error)),
    }
}

/// Changes the entity that the call names; decides again when someone else changed it in between.
pub(super) async fn change<E: Entity>(
    call: &Call<'_>,
    change: impl Fn(&mut E) -> Result<(), IamError>,
) -> Result<String, QueryError> {
    let name = call.required(E::NAME)?;
    for _ in 0..ATTEMPTS {
        let Versioned { mut value, version } = authorized::<E>(call, name).await?;
        change(&mut value).map_err(refused)?;
        if replace(call, &value, version, Vec::new()).await? {
            return Ok(call.done());
        }
    }
    Err(contended())
}

/// Writes an entity back at the version that it was read at, together with `more`. False: someone changed any of it in
/// between, read again.
pub(super) async fn replace<E: Entity>(
    call: &Call<'_>,
    entity: &E,
    version: i64,
    more: Vec<Write>,
) -> Result<bool, QueryError> {
    let document = records::document(E::key(call.account(), entity.name()), entity, version);
    let change = more.into_iter().fold(ChangeSet::new().with(Write::Replace(document)), ChangeSet::with);
    committed(call.commit(change, entity.arn()).await)
}

/// Removes an entity at the version that it was read at: what was given to it in between has changed that. False: read
/// again.
pub(super) async fn remove<E: Entity>(call: &Call<'_>, entity: &E, version: i64) -> Result<bool, QueryError> {
    let key = E::key(call.account(), entity.name());
    let change = ChangeSet::new().with(Write::Delete { key, version: Some(version) });
    committed(call.commit(change, entity.arn()).await)
}

/// Whether a change was made; false when someone else's came in between.
pub(super) fn committed(outcome: Result<(), CommitError>) -> Result<bool, QueryError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(CommitError::Conflict { .. }) => Ok(false),
        Err(error) => Err(commit_failed(error)),
    }
}

/// Entities by name, those below a path only; reads on until the page is full.
pub(super) async fn list_page<E: Entity>(
    call: &Call<'_>,
    page: &Page,
) -> Result<(Vec<E>, Option<String>), QueryError> {
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    let mut after = page.after.clone();
    let mut found: Vec<(String, E)> = Vec::new();
    loop {
        let chunk = chunk::<E>(call, after.as_deref()).await?;
        let last = chunk.len() < CHUNK as usize;
        for (key, entity) in chunk {
            after = Some(key.clone());
            if entity.path().starts_with(prefix) {
                found.push((key, entity));
            }
        }
        if last || found.len() > page.limit {
            let (found, marker) = page.cut(found, |(key, _)| key);
            return Ok((found.into_iter().map(|(_, entity)| entity).collect(), marker));
        }
    }
}

/// All entities of one sort, for questions that ask about each of them.
pub(super) async fn all<E: Entity>(call: &Call<'_>) -> Result<Vec<E>, QueryError> {
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let chunk = chunk::<E>(call, after.as_deref()).await?;
        let last = chunk.len() < CHUNK as usize;
        after = chunk.last().map(|(key, _)| key.clone());
        found.extend(chunk.into_iter().map(|(_, entity)| entity));
        if last {
            return Ok(found);
        }
    }
}

async fn chunk<E: Entity>(call: &Call<'_>, after: Option<&str>) -> Result<Vec<(String, E)>, QueryError> {
    let DocumentKey { partition, kind, parent, .. } = E::key(call.account(), "");
    let documents =
        call.store().documents(&partition, kind, &parent, after, CHUNK).await.map_err(internal)?;
    documents
        .into_iter()
        .map(|document| Ok((document.key.name.clone(), records::read(&document).map_err(internal)?.value)))
        .collect()
}
