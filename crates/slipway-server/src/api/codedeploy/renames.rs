//! What applications and groups are called since they were renamed (CF-163, CF-313).
//!
//! Ids stay, so everything that belongs to an application or group stays with it. Only deployments carry names, as
//! they were at creation; one record per application has those that were changed since.

use slipway_model::deployment::DeploymentRecord;
use slipway_model::resources::PresentNames;
use slipway_store::{ChangeSet, DocumentKey, Kind, Write};
use slipway_wire::ApiError;

use super::common::document;
use crate::access::RequestContext;

fn key(context: &RequestContext, application_id: &str) -> DocumentKey {
    context.key(Kind::PresentNames, "", application_id)
}

/// Gives the frozen copy of a deployment the names that its application and group have now. Permissions are asked by
/// these, as by every other call (DP-741).
pub(super) async fn bring_up_to_date(
    context: &RequestContext,
    record: &mut DeploymentRecord,
) -> Result<(), ApiError> {
    let Some(names) = context.load::<PresentNames>(key(context, &record.application_id)).await? else {
        return Ok(());
    };
    if let Some(application) = names.value.application {
        record.application_name = application;
    }
    if let Some(group) = names.value.groups.get(&record.group_id) {
        record.group_name.clone_from(group);
    }
    Ok(())
}

/// Adds a change of the names of an application to what is committed.
pub(super) async fn note(
    context: &RequestContext,
    change: &mut ChangeSet,
    application_id: &str,
    edit: impl FnOnce(&mut PresentNames),
) -> Result<(), ApiError> {
    let key = key(context, application_id);
    let stored = context.load::<PresentNames>(key.clone()).await?;
    let version = stored.as_ref().map(|names| names.version);
    let mut names = stored.map(|names| names.value).unwrap_or_default();
    edit(&mut names);
    change.push(match version {
        Some(version) => Write::Replace(document(key, &names, version)),
        None => Write::Insert(document(key, &names, 0)),
    });
    Ok(())
}

/// Adds the end of the record to the end of an application.
pub(super) fn forget(context: &RequestContext, change: &mut ChangeSet, application_id: &str) {
    change.push(Write::Delete { key: key(context, application_id), version: None });
}

/// Adds the end of what is remembered of one group.
pub(super) async fn forget_group(
    context: &RequestContext,
    change: &mut ChangeSet,
    application_id: &str,
    group_id: &str,
) -> Result<(), ApiError> {
    let Some(mut names) = context.load::<PresentNames>(key(context, application_id)).await? else {
        return Ok(());
    };
    if names.value.groups.remove(group_id).is_some() {
        change.push(Write::Replace(document(names.key, &names.value, names.version)));
    }
    Ok(())
}
