//! What users and roles share: a path, inline policies and attached managed policies.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use slipway_auth::iam::{self, IamError, Role, User};
use slipway_auth::identity;
use slipway_auth::managed;
use slipway_auth::policy::Policy;
use slipway_model::AccountId;
use slipway_store::{ChangeSet, CommitError, DocumentKey, Write};
use slipway_wire::query::{Form, Node, QueryError};

use super::call::{ATTEMPTS, Call, commit_failed, contended, encoded};
use super::paging::{self, Page};
use super::{internal, refused};
use crate::identities::records::{self, Versioned};

/// A user or a role.
pub(super) trait Holder: Serialize + DeserializeOwned + Send + Sync {
    /// Parameter and element that names it.
    const NAME: &'static str;
    fn check_name(name: &str) -> Result<(), IamError>;
    fn key(account: &AccountId, name: &str) -> DocumentKey;
    /// ARN of one whose path is not known.
    fn arn_at_root(account: &str, name: &str) -> String;
    fn absent(name: &str) -> IamError;
    fn absent_policy(name: &str) -> IamError;
    fn arn(&self) -> &str;
    fn name(&self) -> &str;
    fn inline(&self) -> &BTreeMap<String, String>;
    fn inline_mut(&mut self) -> &mut BTreeMap<String, String>;
    fn attached(&self) -> &[String];
    fn attached_mut(&mut self) -> &mut Vec<String>;
    fn put(&mut self, name: &str, document: &str) -> Result<(), IamError>;
    fn attach(&mut self, arn: &str) -> Result<(), IamError>;
    fn tags(&self) -> &BTreeMap<String, String>;
    fn boundary(&self) -> Option<&str>;
}

macro_rules! holder {
    ($type:ty, $name:literal, $check:path, $key:path, $arn:path, $absent:path, $absent_policy:path) => {
        impl Holder for $type {
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
            fn absent_policy(name: &str) -> IamError {
                $absent_policy(name)
            }
            fn arn(&self) -> &str {
                &self.arn
            }
            fn name(&self) -> &str {
                &self.name
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
            fn tags(&self) -> &BTreeMap<String, String> {
                &self.tags
            }
            fn boundary(&self) -> Option<&str> {
                self.permissions_boundary.as_deref()
            }
        }
    };
}

holder!(
    User,
    "UserName",
    iam::check_user_name,
    records::user_key,
    identity::user_arn,
    IamError::no_such_user,
    IamError::no_such_user_policy
);
holder!(
    Role,
    "RoleName",
    iam::check_role_name,
    records::role_key,
    identity::role_arn,
    IamError::no_such_role,
    IamError::no_such_role_policy
);

/// Finds a user or role, `None` when it does not exist.
pub(super) async fn find<H: Holder>(call: &Call<'_>, name: &str) -> Result<Option<Versioned<H>>, QueryError> {
    let found = call.store().document(&H::key(call.account(), name)).await.map_err(internal)?;
    found.as_ref().map(records::read).transpose().map_err(internal)
}

/// Finds a user or role that the caller may do this to. Whether it exists is told only to who may.
pub(super) async fn authorized<H: Holder>(call: &Call<'_>, name: &str) -> Result<Versioned<H>, QueryError> {
    H::check_name(name).map_err(refused)?;
    let found = find::<H>(call, name).await?;
    let at_root = H::arn_at_root(call.account().as_str(), name);
    let keys = condition_keys(call, found.as_ref().map(|found| &found.value));
    call.authorize_with(found.as_ref().map_or(at_root.as_str(), |found| found.value.arn()), &keys).await?;
    found.ok_or_else(|| refused(H::absent(name)))
}

/// What policies may ask about a change of a user or role. A denial that names one of these keys would not be met if it
/// were left out: administration is delegated by such denials.
fn condition_keys<H: Holder>(call: &Call<'_>, holder: Option<&H>) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    if let Some(arn) = call.form.get("PolicyArn") {
        keys.push(("iam:PolicyARN".to_owned(), arn.to_owned()));
    }
    let Some(holder) = holder else { return keys };
    keys.extend(holder.boundary().map(|arn| ("iam:PermissionsBoundary".to_owned(), arn.to_owned())));
    for (key, value) in holder.tags() {
        keys.push((format!("aws:ResourceTag/{key}"), value.clone()));
        keys.push((format!("iam:ResourceTag/{key}"), value.clone()));
    }
    keys
}

/// What policies may ask about a creation.
pub(super) fn keys_of_creation(
    tags: &BTreeMap<String, String>,
    boundary: Option<&str>,
) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    keys.extend(boundary.map(|arn| ("iam:PermissionsBoundary".to_owned(), arn.to_owned())));
    for (key, value) in tags {
        keys.push((format!("aws:RequestTag/{key}"), value.clone()));
        keys.push(("aws:TagKeys".to_owned(), key.clone()));
    }
    keys
}

/// Changes a user or role; decides again when someone else changed it in between.
pub(super) async fn change<H: Holder>(
    call: &Call<'_>,
    change: impl Fn(&mut H) -> Result<(), IamError>,
) -> Result<String, QueryError> {
    let name = call.required(H::NAME)?;
    for _ in 0..ATTEMPTS {
        let Versioned { mut value, version } = authorized::<H>(call, name).await?;
        change(&mut value).map_err(refused)?;
        let document = records::document(H::key(call.account(), name), &value, version);
        match call.commit(ChangeSet::new().with(Write::Replace(document)), value.arn()).await {
            Ok(()) => return Ok(call.done()),
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(commit_failed(error)),
        }
    }
    Err(contended())
}

/// `PutUserPolicy`, `PutRolePolicy`.
pub(super) async fn put_policy<H: Holder>(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("PolicyName")?;
    let document = call.required("PolicyDocument")?;
    iam::check_policy_name(name).map_err(refused)?;
    Policy::parse(name, document).map_err(|error| refused(error.into()))?;
    change::<H>(&call, |holder| holder.put(name, document)).await
}

/// `GetUserPolicy`, `GetRolePolicy`.
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

/// `ListUserPolicies`, `ListRolePolicies`.
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

/// `DeleteUserPolicy`, `DeleteRolePolicy`.
pub(super) async fn delete_policy<H: Holder>(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("PolicyName")?;
    let remove = |holder: &mut H| match holder.inline_mut().remove(name) {
        Some(_) => Ok(()),
        None => Err(H::absent_policy(name)),
    };
    change::<H>(&call, remove).await
}

/// `AttachUserPolicy`, `AttachRolePolicy`.
pub(super) async fn attach_policy<H: Holder>(call: Call<'_>) -> Result<String, QueryError> {
    let arn = call.required("PolicyArn")?;
    if managed::get(arn).is_none() {
        return Err(refused(IamError::not_attachable(arn)));
    }
    change::<H>(&call, |holder| holder.attach(arn)).await
}

/// `DetachUserPolicy`, `DetachRolePolicy`.
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

/// `ListAttachedUserPolicies`, `ListAttachedRolePolicies`.
pub(super) async fn list_attached<H: Holder>(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let holder = authorized::<H>(&call, call.required(H::NAME)?).await?.value;
    let mut arns: Vec<&str> = holder.attached().iter().map(String::as_str).collect();
    arns.sort_unstable();
    let (arns, marker) = page.of_all(arns, |arn: &&str| arn);
    Ok(call.answer(|result| {
        result.list("AttachedPolicies", arns, |member, arn| {
            member.text("PolicyName", arn.rsplit('/').next().unwrap_or(arn));
            member.text("PolicyArn", arn);
        });
        paging::close(result, marker.as_deref());
    }))
}

/// The tags of a creation.
pub(super) fn tags(form: &Form) -> Result<BTreeMap<String, String>, QueryError> {
    const MOST: usize = 50;
    let mut tags = BTreeMap::new();
    for item in form.items("Tags")? {
        let (key, value) = (item.required("Key")?, item.required("Value")?);
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(QueryError::validation("Tags", Some(key), "Member must satisfy the limits of tags"));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(refused(IamError::InvalidInput(
                "Duplicate tag keys found. Tag keys are case insensitive.".into(),
            )));
        }
    }
    if tags.len() > MOST { Err(refused(IamError::quota("TagsPerEntity", MOST))) } else { Ok(tags) }
}

/// The permissions boundary of a creation.
pub(super) fn boundary(form: &Form) -> Result<Option<String>, QueryError> {
    match form.get("PermissionsBoundary") {
        Some(arn) if managed::get(arn).is_none() => Err(refused(IamError::not_attachable(arn))),
        arn => Ok(arn.map(str::to_owned)),
    }
}

/// Tags and boundary as answers show them.
pub(super) fn write_extras(node: &mut Node<'_>, tags: &BTreeMap<String, String>, boundary: Option<&str>) {
    if let Some(arn) = boundary {
        node.element("PermissionsBoundary", |node| {
            node.text("PermissionsBoundaryType", "Policy");
            node.text("PermissionsBoundaryArn", arn);
        });
    }
    if !tags.is_empty() {
        node.list("Tags", tags, |member, (key, value)| {
            member.text("Key", key);
            member.text("Value", value);
        });
    }
}

/// Users or roles by name, those below a path only; reads on until the page is full.
pub(super) async fn list_page<H: Holder>(
    call: &Call<'_>,
    page: &Page,
    path_of: impl Fn(&H) -> &str,
) -> Result<(Vec<(String, H)>, Option<String>), QueryError> {
    const CHUNK: u32 = 256;
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    let DocumentKey { partition, kind, parent, .. } = H::key(call.account(), "");
    let mut after = page.after.clone();
    let mut found: Vec<(String, H)> = Vec::new();
    loop {
        let chunk = call
            .store()
            .documents(&partition, kind, &parent, after.as_deref(), CHUNK)
            .await
            .map_err(internal)?;
        let last = chunk.len() < CHUNK as usize;
        for document in chunk {
            let holder: H = records::read(&document).map_err(internal)?.value;
            if path_of(&holder).starts_with(prefix) {
                found.push((document.key.name.clone(), holder));
            }
            after = Some(document.key.name);
        }
        if last || found.len() > page.limit {
            return Ok(page.cut(found, |(name, _)| name));
        }
    }
}
