//! Roles and their trust policies.

use slipway_auth::iam::{self, IamError, Role};
use slipway_auth::policy::Policy;
use slipway_auth::{identity, token};
use slipway_store::{ChangeSet, CommitError, Write};
use slipway_wire::query::{Node, QueryError};

use super::call::{ATTEMPTS, Call, commit_failed, contended, encoded, seconds};
use super::holder::{self, authorized};
use super::paging::{self, Page};
use super::refused;
use crate::clock::random;
use crate::identities::records;

pub(super) async fn create(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("RoleName")?;
    let path = call.form.get("Path").unwrap_or("/");
    let trust = call.required("AssumeRolePolicyDocument")?;
    iam::check_role_name(name).map_err(refused)?;
    iam::check_path(path).map_err(refused)?;
    check_trust(trust)?;
    let description = call.form.get("Description");
    iam::check_description(description.unwrap_or_default()).map_err(refused)?;
    let longest = call.form.integer("MaxSessionDuration")?;
    if let Some(seconds) = longest {
        iam::check_max_session_duration(seconds).map_err(refused)?;
    }
    let tags = holder::tags(call.form)?;
    let boundary = holder::boundary(call.form)?;
    let account = call.account();
    let arn = identity::role_arn(account.as_str(), path, name);
    call.authorize_with(&arn, &holder::keys_of_creation(&tags, boundary.as_deref())).await?;
    let mut role = Role::new(account.as_str(), path, name, token::role_id(random()), trust, call.now_ms());
    role.description = description.map(str::to_owned);
    role.max_session_duration = longest.unwrap_or(role.max_session_duration);
    role.tags = tags;
    role.permissions_boundary = boundary;
    let document = records::document(records::role_key(account, name), &role, 0);
    match call.commit(ChangeSet::new().with(Write::Insert(document)), &arn).await {
        Ok(()) => Ok(call.answer(|result| result.element("Role", |node| write(node, &role)))),
        Err(CommitError::Exists { .. }) => Err(refused(IamError::role_exists(name))),
        Err(error) => Err(commit_failed(error)),
    }
}

pub(super) async fn get(call: Call<'_>) -> Result<String, QueryError> {
    let role = authorized::<Role>(&call, call.required("RoleName")?).await?.value;
    Ok(call.answer(|result| result.element("Role", |node| write(node, &role))))
}

pub(super) async fn list(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    call.authorize(&identity::role_arn(call.account().as_str(), prefix, "")).await?;
    let (roles, marker) = holder::list_page::<Role>(&call, &page, |role| &role.path).await?;
    Ok(call.answer(|result| {
        result.list("Roles", roles, |member, (_, role)| write(member, &role));
        paging::close(result, marker.as_deref());
    }))
}

pub(super) async fn delete(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("RoleName")?;
    for _ in 0..ATTEMPTS {
        let found = authorized::<Role>(&call, name).await?;
        found.value.check_deletable().map_err(refused)?;
        let delete =
            Write::Delete { key: records::role_key(call.account(), name), version: Some(found.version) };
        match call.commit(ChangeSet::new().with(delete), &found.value.arn).await {
            Ok(()) => return Ok(call.done()),
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(commit_failed(error)),
        }
    }
    Err(contended())
}

pub(super) async fn update_trust(call: Call<'_>) -> Result<String, QueryError> {
    let trust = call.required("PolicyDocument")?;
    check_trust(trust)?;
    let replace = |role: &mut Role| {
        trust.clone_into(&mut role.trust_policy);
        Ok(())
    };
    holder::change::<Role>(&call, replace).await
}

fn check_trust(document: &str) -> Result<(), QueryError> {
    Policy::parse_trust("trust policy", document).map_err(|error| refused(IamError::from(error)))?;
    iam::check_trust_policy_size(document).map_err(refused)
}

fn write(node: &mut Node<'_>, role: &Role) {
    node.text("Path", &role.path);
    node.text("RoleName", &role.name);
    node.text("RoleId", &role.id);
    node.text("Arn", &role.arn);
    node.timestamp("CreateDate", seconds(role.created_ms));
    node.text("AssumeRolePolicyDocument", &encoded(&role.trust_policy));
    node.optional("Description", role.description.as_deref());
    node.integer("MaxSessionDuration", role.max_session_duration);
    holder::write_extras(node, &role.tags, role.permissions_boundary.as_deref());
}
