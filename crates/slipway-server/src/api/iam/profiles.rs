//! Instance profiles (DP-632).

use slipway_auth::iam::{self, IamError, InstanceProfile, Role};
use slipway_auth::token;
use slipway_store::Write;
use slipway_wire::query::{Node, QueryError};

use super::call::{ATTEMPTS, Call, contended, seconds};
use super::entity::{self, authorized, existing};
use super::paging::{self, Page};
use super::{refused, roles, tags};
use crate::clock::random;
use crate::identities::records::{self, Versioned};

/// The service that instance profiles hand their role to.
const EC2: &str = "ec2.amazonaws.com";

pub(super) async fn create(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("InstanceProfileName")?;
    let path = call.form.get("Path").unwrap_or("/");
    iam::check_instance_profile_name(name).map_err(refused)?;
    iam::check_path(path).map_err(refused)?;
    let id = token::instance_profile_id(random());
    let mut profile = InstanceProfile::new(call.account().as_str(), path, name, id, call.now_ms());
    profile.tags = tags::read(call.form)?;
    call.authorize_with(&profile.arn, &entity::keys_of_creation(&call)?).await?;
    entity::insert(&call, &profile, None, IamError::instance_profile_exists(name)).await?;
    Ok(call.answer(|result| result.element("InstanceProfile", |node| write(node, &profile, &[]))))
}

pub(super) async fn get(call: Call<'_>) -> Result<String, QueryError> {
    let profile = authorized::<InstanceProfile>(&call, call.required("InstanceProfileName")?).await?.value;
    let held = held(&call, &profile).await?;
    Ok(call.answer(|result| result.element("InstanceProfile", |node| write(node, &profile, &held))))
}

pub(super) async fn list(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    call.authorize(&iam::instance_profile_arn(call.account().as_str(), prefix, "")).await?;
    let (profiles, marker) = entity::list_page::<InstanceProfile>(&call, &page).await?;
    answer_list(&call, profiles, marker.as_deref()).await
}

pub(super) async fn list_for_role(call: Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(&call)?;
    let role = authorized::<Role>(&call, call.required("RoleName")?).await?.value;
    let mut profiles = entity::all::<InstanceProfile>(&call).await?;
    profiles.retain(|profile| profile.holds(&role.name));
    profiles.sort_by(|a, b| a.name.cmp(&b.name));
    let (profiles, marker) = page.of_all(profiles, |profile| &profile.name);
    answer_list(&call, profiles, marker.as_deref()).await
}

async fn answer_list(
    call: &Call<'_>,
    profiles: Vec<InstanceProfile>,
    marker: Option<&str>,
) -> Result<String, QueryError> {
    let mut with_roles = Vec::with_capacity(profiles.len());
    for profile in profiles {
        let held = held(call, &profile).await?;
        with_roles.push((profile, held));
    }
    Ok(call.answer(|result| {
        result.list("InstanceProfiles", &with_roles, |member, (profile, held)| write(member, profile, held));
        paging::close(result, marker);
    }))
}

pub(super) async fn delete(call: Call<'_>) -> Result<String, QueryError> {
    let name = call.required("InstanceProfileName")?;
    for _ in 0..ATTEMPTS {
        let Versioned { value: profile, version } = authorized::<InstanceProfile>(&call, name).await?;
        profile.check_deletable().map_err(refused)?;
        if entity::remove(&call, &profile, version).await? {
            return Ok(call.done());
        }
    }
    Err(contended())
}

pub(super) async fn add_role(call: Call<'_>) -> Result<String, QueryError> {
    let (name, role_name) = (call.required("InstanceProfileName")?, call.required("RoleName")?);
    for _ in 0..ATTEMPTS {
        let Versioned { value: mut profile, version } = authorized::<InstanceProfile>(&call, name).await?;
        let Versioned { value: role, version: role_version } = existing::<Role>(&call, role_name).await?;
        // Instances of the profile act with the role: giving it away takes what giving it to a service takes.
        let keys = [("iam:PassedToService", EC2)];
        call.context.authorize_with("iam:PassRole", &role.arn, &keys).await?;
        profile.add_role(&role.name).map_err(refused)?;
        let key = records::role_key(call.account(), role_name);
        // Written without a change, so that a deletion of the role sees that a profile has it.
        let more = vec![Write::Replace(records::document(key, &role, role_version))];
        if entity::replace(&call, &profile, version, more).await? {
            return Ok(call.done());
        }
    }
    Err(contended())
}

pub(super) async fn remove_role(call: Call<'_>) -> Result<String, QueryError> {
    let role = call.required("RoleName")?;
    entity::change::<InstanceProfile>(&call, |profile| profile.remove_role(role)).await
}

async fn held(call: &Call<'_>, profile: &InstanceProfile) -> Result<Vec<Role>, QueryError> {
    let mut found = Vec::with_capacity(profile.roles.len());
    for name in &profile.roles {
        found.extend(entity::find::<Role>(call, name).await?.map(|found| found.value));
    }
    Ok(found)
}

pub(super) fn write(node: &mut Node<'_>, profile: &InstanceProfile, held: &[Role]) {
    node.text("Path", &profile.path);
    node.text("InstanceProfileName", &profile.name);
    node.text("InstanceProfileId", &profile.id);
    node.text("Arn", &profile.arn);
    node.timestamp("CreateDate", seconds(profile.created_ms));
    node.list("Roles", held, roles::write);
    tags::write(node, &profile.tags, None);
}
