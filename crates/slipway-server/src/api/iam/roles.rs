//! Roles and their trust policies.

use slipway_auth::iam::{self, IamError, InstanceProfile, Role};
use slipway_auth::policy::Policy;
use slipway_auth::{identity, token};
use slipway_wire::query::{Node, QueryError};

use super::call::{ATTEMPTS, Call, contended, encoded, seconds};
use super::entity::{self, authorized};
use super::paging::{self, Page};
use super::{refused, tags};
use crate::clock::random;
use crate::identities::records::Versioned;

pub(super) async fn create(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("RoleName")?;
    let path = call.form.get("Path").unwrap_or("/");
    let trust = call.required("AssumeRolePolicyDocument")?;
    iam::check_new_role_name(name).map_err(refused)?;
    iam::check_path(path).map_err(refused)?;
    check_trust(trust)?;
    let account = call.account().as_str();
    let mut role = Role::new(account, path, name, token::role_id(random()), trust, call.now_ms());
    settings(&call)?(&mut role);
    role.tags = tags::read(call.form)?;
    call.authorize_with(&role.arn, &entity::keys_of_creation(&call)?).await?;
    let (boundary, guard) = tags::boundary(&call).await?;
    role.permissions_boundary = boundary;
    entity::insert(&call, &role, guard, IamError::role_exists(name)).await?;
    Ok(call.answer(|result| result.element("Role", |node| write(node, &role))))
}

/// Description and longest session, as far as the call gives them.
fn settings<'a>(call: &Call<'a>) -> Result<impl Fn(&mut Role) + use<'a>, QueryError> {
    let description = call.form.get("Description");
    iam::check_description(description.unwrap_or_default()).map_err(refused)?;
    let longest = call.form.integer("MaxSessionDuration")?;
    if let Some(seconds) = longest {
        iam::check_max_session_duration(seconds).map_err(refused)?;
    }
    Ok(move |role: &mut Role| {
        if let Some(text) = description {
            role.description = Some(text.to_owned());
        }
        role.max_session_duration = longest.unwrap_or(role.max_session_duration);
    })
}

pub(super) async fn get(call: Call<'_>) -> Result<String, QueryError> {
    let role = authorized::<Role>(&call, call.required("RoleName")?).await?.value;
    Ok(call.answer(|result| result.element("Role", |node| write(node, &role))))
}

pub(super) async fn list(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    call.authorize(&identity::role_arn(call.account().as_str(), prefix, "")).await?;
    let (roles, marker) = entity::list_page::<Role>(&call, &page).await?;
    Ok(call.answer(|result| {
        result.list("Roles", &roles, write);
        paging::close(result, marker.as_deref());
    }))
}

pub(super) async fn delete(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("RoleName")?;
    for _ in 0..ATTEMPTS {
        let Versioned { value: role, version } = authorized::<Role>(&call, name).await?;
        // A profile that takes the role after this changes the role's version.
        if entity::all::<InstanceProfile>(&call).await?.iter().any(|profile| profile.holds(name)) {
            return Err(refused(IamError::remove_roles_first()));
        }
        role.check_deletable().map_err(refused)?;
        if entity::remove(&call, &role, version).await? {
            return Ok(call.done());
        }
    }
    Err(contended())
}

pub(super) async fn update(call: Call<'_>) -> Result<String, QueryError> {
    let apply = settings(&call)?;
    let set = |role: &mut Role| {
        apply(role);
        Ok(())
    };
    entity::change::<Role>(&call, set).await?;
    Ok(call.answer(|_| {}))
}

/// The older form of UpdateRole, which answers with the role.
pub(super) async fn update_description(call: Call<'_>) -> Result<String, QueryError> {
    call.required("Description")?;
    let apply = settings(&call)?;
    let set = |role: &mut Role| {
        apply(role);
        Ok(())
    };
    entity::change::<Role>(&call, set).await?;
    let role = entity::existing::<Role>(&call, call.required("RoleName")?).await?.value;
    Ok(call.answer(|result| result.element("Role", |node| write(node, &role))))
}

pub(super) async fn update_trust(call: Call<'_>) -> Result<String, QueryError> {
    let trust = call.required("PolicyDocument")?;
    check_trust(trust)?;
    let replace = |role: &mut Role| {
        trust.clone_into(&mut role.trust_policy);
        Ok(())
    };
    entity::change::<Role>(&call, replace).await
}

fn check_trust(document: &str) -> Result<(), QueryError> {
    Policy::parse_trust("trust policy", document).map_err(|error| refused(IamError::from(error)))?;
    iam::check_trust_policy_size(document).map_err(refused)
}

pub(super) fn write(node: &mut Node<'_>, role: &Role) {
    node.text("Path", &role.path);
    node.text("RoleName", &role.name);
    node.text("RoleId", &role.id);
    node.text("Arn", &role.arn);
    node.timestamp("CreateDate", seconds(role.created_ms));
    node.text("AssumeRolePolicyDocument", &encoded(&role.trust_policy));
    node.optional("Description", role.description.as_deref());
    node.integer("MaxSessionDuration", role.max_session_duration);
    tags::write(node, &role.tags, role.permissions_boundary.as_deref());
}
