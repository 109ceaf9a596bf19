//! Managed policies: the built-in ones, whose single version never changes, and the account's own with up to five.

use std::collections::BTreeMap;

use slipway_auth::iam::{self, CustomerPolicy, IamError, PolicyVersion};
use slipway_auth::managed::{self, ManagedPolicy};
use slipway_auth::policy::Policy;
use slipway_auth::token;
use slipway_model::AccountId;
use slipway_store::{ChangeSet, CommitError, DocumentKey, Write};
use slipway_wire::query::{Node, QueryError};

use super::call::{ATTEMPTS, Call, commit_failed, contended, encoded, seconds};
use super::entity::{self, committed};
use super::paging::{self, Page};
use super::usage::{self, Usage};
use super::{internal, refused, tags};
use crate::clock::random;
use crate::identities::records::{self, Versioned};

/// The only version of a built-in policy.
const BUILT_IN_VERSION: &str = "v1";

/// A managed policy of either sort.
pub(super) enum Managed {
    BuiltIn(&'static ManagedPolicy),
    Own(Box<Versioned<CustomerPolicy>>),
}

impl Managed {
    fn arn(&self) -> String {
        match self {
            Self::BuiltIn(policy) => policy.arn(),
            Self::Own(policy) => policy.value.arn.clone(),
        }
    }
}

/// The policy of this ARN, as far as the caller's account can see it.
pub(super) async fn find(call: &Call<'_>, arn: &str) -> Result<Option<Managed>, QueryError> {
    if let Some(policy) = managed::get(arn) {
        return Ok(Some(Managed::BuiltIn(policy)));
    }
    let own = own_name(call.account(), arn).is_some();
    let found = if own { records::customer_policy(call.store(), arn).await.map_err(internal)? } else { None };
    Ok(found.map(|policy| Managed::Own(Box::new(policy))))
}

fn own_name<'a>(account: &AccountId, arn: &'a str) -> Option<&'a str> {
    iam::parse_policy_arn(arn).filter(|(owner, _)| *owner == account.as_str()).map(|(_, name)| name)
}

/// Checks that a policy can be attached; what it gives must hold until it is.
pub(super) async fn attachable(call: &Call<'_>, arn: &str) -> Result<Option<Write>, QueryError> {
    match find(call, arn).await? {
        None => Err(refused(IamError::not_attachable(arn))),
        Some(Managed::BuiltIn(_)) => Ok(None),
        // Written without a change, so that a deletion of the policy sees that something has it.
        Some(Managed::Own(policy)) => {
            let key = records::policy_key(call.account(), &policy.value.name);
            Ok(Some(Write::Replace(records::document(key, &policy.value, policy.version))))
        }
    }
}

/// The policy that the call names, if the caller may do this to it.
async fn authorized(call: &Call<'_>) -> Result<Managed, QueryError> {
    let arn = call.required("PolicyArn")?;
    let found = find(call, arn).await?;
    let mut keys = entity::keys_of_request(call)?;
    if let Some(Managed::Own(policy)) = &found {
        keys.extend(entity::keys_of_tags(&policy.value.tags));
    }
    call.authorize_with(arn, &keys).await?;
    found.ok_or_else(|| refused(IamError::no_such_policy(arn)))
}

async fn authorized_own(call: &Call<'_>) -> Result<Versioned<CustomerPolicy>, QueryError> {
    match authorized(call).await? {
        Managed::Own(policy) => Ok(*policy),
        Managed::BuiltIn(policy) => Err(refused(IamError::AccessDenied(format!(
            "The policy {} is AWS's and cannot be changed.",
            policy.arn()
        )))),
    }
}

/// Changes the policy that the call names; decides again when someone else changed it in between.
pub(super) async fn change<T>(
    call: &Call<'_>,
    change: impl Fn(&mut CustomerPolicy) -> Result<T, IamError>,
) -> Result<T, QueryError> {
    for _ in 0..ATTEMPTS {
        let Versioned { value: mut policy, version } = authorized_own(call).await?;
        let outcome = change(&mut policy).map_err(refused)?;
        let key = records::policy_key(call.account(), &policy.name);
        let write = Write::Replace(records::document(key, &policy, version));
        if committed(call.commit(ChangeSet::new().with(write), &policy.arn).await)? {
            return Ok(outcome);
        }
    }
    Err(contended())
}

pub(super) async fn create(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("PolicyName")?;
    let path = call.form.get("Path").unwrap_or("/");
    iam::check_policy_name(name).map_err(refused)?;
    iam::check_path(path).map_err(refused)?;
    let document = document(&call, name)?;
    let description = call.form.get("Description");
    iam::check_description(description.unwrap_or_default()).map_err(refused)?;
    let (account, id) = (call.account().as_str(), token::policy_id(random()));
    let mut policy = CustomerPolicy::new(account, path, name, id, document, call.now_ms());
    policy.description = description.map(str::to_owned);
    policy.tags = tags::read(call.form)?;
    call.authorize_with(&policy.arn, &entity::keys_of_creation(&call)?).await?;
    let key = records::policy_key(call.account(), name);
    let insert = Write::Insert(records::document(key, &policy, 0));
    match call.commit(ChangeSet::new().with(insert), &policy.arn).await {
        Ok(()) => Ok(call.answer(|result| {
            result.element("Policy", |node| write_own(node, &policy, Usage::default(), true));
        })),
        Err(CommitError::Exists { .. }) => Err(refused(IamError::policy_exists(name))),
        Err(error) => Err(commit_failed(error)),
    }
}

fn document<'a>(call: &Call<'a>, name: &str) -> Result<&'a str, QueryError> {
    let document = call.required("PolicyDocument")?;
    iam::check_managed_policy_size(document).map_err(refused)?;
    Policy::parse(name, document).map_err(|error| refused(error.into()))?;
    Ok(document)
}

pub(super) async fn get(call: Call<'_>) -> Result<String, QueryError> {
    let policy = authorized(&call).await?;
    let usage = usage::of(&call, &policy.arn()).await?;
    Ok(call.answer(|result| {
        result.element("Policy", |node| match &policy {
            Managed::BuiltIn(policy) => write_built_in(node, policy, usage),
            Managed::Own(policy) => write_own(node, &policy.value, usage, true),
        });
    }))
}

pub(super) async fn list(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let scope = one_of(&call, "Scope", &["All", "AWS", "Local"])?.unwrap_or("All");
    let usage_filter = one_of(&call, "PolicyUsageFilter", &["PermissionsPolicy", "PermissionsBoundary"])?;
    let only_attached = call.form.boolean("OnlyAttached")?.unwrap_or(false);
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    call.authorize(&format!("arn:aws:iam::{}:policy/", call.account())).await?;
    let mut policies: BTreeMap<String, Managed> = BTreeMap::new();
    if scope != "Local" {
        let of_path = managed::all().iter().filter(|policy| policy.path.starts_with(prefix));
        policies.extend(of_path.map(|policy| (policy.arn(), Managed::BuiltIn(policy))));
    }
    if scope != "AWS" {
        let own = all_own(&call).await?.into_iter().filter(|policy| policy.value.path.starts_with(prefix));
        policies.extend(own.map(|policy| (policy.value.arn.clone(), Managed::Own(Box::new(policy)))));
    }
    let usages = usage::of_all(&call).await?;
    let usage = |arn: &str| usages.get(arn).copied().unwrap_or_default();
    policies.retain(|arn, _| {
        let Usage { attached, bounding } = usage(arn);
        match (usage_filter, only_attached) {
            (Some("PermissionsBoundary"), _) => bounding > 0,
            (Some(_), _) | (None, true) => attached > 0,
            (None, false) => true,
        }
    });
    let (policies, marker) = page.of_all(policies.into_iter().collect(), |(arn, _)| arn);
    Ok(call.answer(|result| {
        result.list("Policies", &policies, |member, (arn, policy)| match policy {
            Managed::BuiltIn(policy) => write_built_in(member, policy, usage(arn)),
            Managed::Own(policy) => write_own(member, &policy.value, usage(arn), false),
        });
        paging::close(result, marker.as_deref());
    }))
}

/// All policies of the account's own.
pub(super) async fn all_own(call: &Call<'_>) -> Result<Vec<Versioned<CustomerPolicy>>, QueryError> {
    const CHUNK: u32 = 256;
    let DocumentKey { partition, kind, parent, .. } = records::policy_key(call.account(), "");
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let chunk = call
            .store()
            .documents(&partition, kind, &parent, after.as_deref(), CHUNK)
            .await
            .map_err(internal)?;
        let last = chunk.len() < CHUNK as usize;
        for document in chunk {
            found.push(records::read(&document).map_err(internal)?);
            after = Some(document.key.name);
        }
        if last {
            return Ok(found);
        }
    }
}

/// A parameter that has a few values.
pub(super) fn one_of<'a>(
    call: &Call<'a>,
    name: &str,
    values: &[&str],
) -> Result<Option<&'a str>, QueryError> {
    match call.form.get(name) {
        Some(value) if !values.contains(&value) => {
            let rule = format!("Member must satisfy enum value set: [{}]", values.join(", "));
            Err(QueryError::validation(name, Some(value), &rule))
        }
        value => Ok(value),
    }
}

pub(super) async fn delete(call: Call<'_>) -> Result<String, QueryError> {
    for _ in 0..ATTEMPTS {
        let Versioned { value: policy, version } = authorized_own(&call).await?;
        // What attaches it after this changes the policy's version.
        let Usage { attached, bounding } = usage::of(&call, &policy.arn).await?;
        policy.check_deletable(attached + bounding).map_err(refused)?;
        let key = records::policy_key(call.account(), &policy.name);
        let delete = Write::Delete { key, version: Some(version) };
        if committed(call.commit(ChangeSet::new().with(delete), &policy.arn).await)? {
            return Ok(call.done());
        }
    }
    Err(contended())
}

pub(super) async fn create_version(call: Call<'_>) -> Result<String, QueryError> {
    let document = document(&call, "policy")?;
    let default = call.form.boolean("SetAsDefault")?.unwrap_or(false);
    let now_ms = call.now_ms();
    let version = change(&call, |policy| policy.add_version(document, default, now_ms)).await?;
    Ok(call.answer(|result| {
        result.element("PolicyVersion", |node| write_version(node, &version, default, false));
    }))
}

pub(super) async fn get_version(call: Call<'_>) -> Result<String, QueryError> {
    let id = call.required("VersionId")?;
    match authorized(&call).await? {
        Managed::BuiltIn(policy) if id == BUILT_IN_VERSION => Ok(call.answer(|result| {
            result.element("PolicyVersion", |node| {
                node.text("Document", &encoded(policy.document));
                write_built_in_version(node);
            });
        })),
        Managed::BuiltIn(policy) => Err(refused(IamError::no_such_policy_version(&policy.arn(), id))),
        Managed::Own(policy) => {
            let version = policy.value.version(id).map_err(refused)?;
            let default = version.number == policy.value.default_version;
            Ok(call.answer(|result| {
                result.element("PolicyVersion", |node| write_version(node, version, default, true));
            }))
        }
    }
}

pub(super) async fn list_versions(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    match authorized(&call).await? {
        Managed::BuiltIn(_) => Ok(call.answer(|result| {
            result.list("Versions", [()], |member, ()| write_built_in_version(member));
            paging::close(result, None);
        })),
        Managed::Own(policy) => {
            let policy = policy.value;
            // Ids of one length sort as their numbers do.
            let named: Vec<(String, &PolicyVersion)> =
                policy.versions.iter().map(|version| (format!("{:010}", version.number), version)).collect();
            let (versions, marker) = page.of_all(named, |(name, _)| name);
            Ok(call.answer(|result| {
                result.list("Versions", versions, |member, (_, version)| {
                    write_version(member, version, version.number == policy.default_version, false);
                });
                paging::close(result, marker.as_deref());
            }))
        }
    }
}

pub(super) async fn delete_version(call: Call<'_>) -> Result<String, QueryError> {
    let id = call.required("VersionId")?;
    change(&call, |policy| policy.delete_version(id)).await?;
    Ok(call.done())
}

pub(super) async fn set_default(call: Call<'_>) -> Result<String, QueryError> {
    let id = call.required("VersionId")?;
    let now_ms = call.now_ms();
    change(&call, |policy| policy.set_default(id, now_ms)).await?;
    Ok(call.done())
}

/// The tags of the policy that the call names.
pub(super) async fn tags(call: &Call<'_>) -> Result<BTreeMap<String, String>, QueryError> {
    match authorized(call).await? {
        Managed::BuiltIn(_) => Ok(BTreeMap::new()),
        Managed::Own(policy) => Ok(policy.value.tags),
    }
}

fn write_usage(node: &mut Node<'_>, usage: Usage) {
    node.integer("AttachmentCount", usage.attached as i64);
    node.integer("PermissionsBoundaryUsageCount", usage.bounding as i64);
    node.boolean("IsAttachable", true);
}

pub(super) fn write_built_in(node: &mut Node<'_>, policy: &ManagedPolicy, usage: Usage) {
    node.text("PolicyName", policy.name);
    node.text("Arn", &policy.arn());
    node.text("Path", policy.path);
    node.text("DefaultVersionId", BUILT_IN_VERSION);
    write_usage(node, usage);
}

pub(super) fn write_own(node: &mut Node<'_>, policy: &CustomerPolicy, usage: Usage, with_details: bool) {
    node.text("PolicyName", &policy.name);
    node.text("PolicyId", &policy.id);
    node.text("Arn", &policy.arn);
    node.text("Path", &policy.path);
    node.text("DefaultVersionId", &format!("v{}", policy.default_version));
    write_usage(node, usage);
    node.timestamp("CreateDate", seconds(policy.created_ms));
    node.timestamp("UpdateDate", seconds(policy.updated_ms));
    // Lists leave these out, as AWS does.
    if with_details {
        node.optional("Description", policy.description.as_deref());
        tags::write(node, &policy.tags, None);
    }
}

fn write_built_in_version(node: &mut Node<'_>) {
    node.text("VersionId", BUILT_IN_VERSION);
    node.boolean("IsDefaultVersion", true);
}

pub(super) fn write_version(node: &mut Node<'_>, version: &PolicyVersion, default: bool, with_text: bool) {
    if with_text {
        node.text("Document", &encoded(&version.document));
    }
    node.text("VersionId", &version.id());
    node.boolean("IsDefaultVersion", default);
    node.timestamp("CreateDate", seconds(version.created_ms));
}

/// The versions of a built-in policy as GetAccountAuthorizationDetails shows them.
pub(super) fn write_built_in_versions(node: &mut Node<'_>, policy: &ManagedPolicy) {
    node.list("PolicyVersionList", [()], |member, ()| {
        member.text("Document", &encoded(policy.document));
        write_built_in_version(member);
    });
}
