//! Registered revisions (CF-358..CF-366).

use slipway_model::Timestamp;
use slipway_model::resources::{Application, RegisteredRevision};
use slipway_model::revision::Revision;
use slipway_store::{ChangeSet, CommitError, DocumentKey, Kind, Write};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{application_name, document};
use super::convert;
use crate::access::RequestContext;
use crate::error::{self, api};

/// Longest description, in characters.
const LONGEST_DESCRIPTION: usize = 1024;

/// A description, checked.
pub(super) fn description(given: Option<String>) -> Result<Option<String>, ApiError> {
    match given {
        Some(text) if text.chars().count() > LONGEST_DESCRIPTION => api(
            ErrorKind::DescriptionTooLongException,
            format!(
                "description has {} characters; at most {LONGEST_DESCRIPTION} are allowed.",
                text.chars().count()
            ),
        ),
        other => Ok(other),
    }
}

/// Registering again changes the description and keeps the rest.
pub(super) async fn register(
    context: &RequestContext,
    input: wire::RegisterApplicationRevisionInput,
) -> Result<(), ApiError> {
    let name = application_name(input.application_name.as_deref())?;
    context.authorize_application("RegisterApplicationRevision", name).await?;
    let revision = convert::server_revision(input.revision.as_ref())?;
    let description = description(input.description)?;
    let application = context.application(name).await?;
    let key = key_of(context, &application.value, &revision);
    loop {
        let require = Write::Require { key: application.key.clone(), version: application.version };
        let write = match context.load::<RegisteredRevision>(key.clone()).await? {
            Some(mut stored) => {
                if description.is_some() {
                    stored.value.description.clone_from(&description);
                }
                Write::Replace(document(key.clone(), &stored.value, stored.version))
            }
            None => Write::Insert(document(
                key.clone(),
                &new_revision(revision.clone(), description.clone(), context.now()),
                0,
            )),
        };
        match context.control.store.commit(ChangeSet::new().with(require).with(write)).await {
            Ok(()) => return Ok(()),
            Err(CommitError::Conflict { .. } | CommitError::Exists { .. }) => {
                // Someone registered the same revision, or changed the application: the latter ends here.
                let again = context.application(name).await?;
                if again.version != application.version {
                    return api(
                        ErrorKind::ApplicationDoesNotExistException,
                        format!("Application {name} was changed meanwhile; nothing was registered."),
                    );
                }
            }
            Err(other) => return Err(error::commit(other)),
        }
    }
}

/// A revision that has not been used.
pub(super) fn new_revision(
    revision: Revision,
    description: Option<String>,
    registered: Timestamp,
) -> RegisteredRevision {
    RegisteredRevision {
        revision,
        description,
        registered,
        first_used: None,
        last_used: None,
        group_ids: Vec::new(),
    }
}

/// Where a revision of an application is stored.
pub(super) fn key_of(
    context: &RequestContext,
    application: &Application,
    revision: &Revision,
) -> DocumentKey {
    context.key(Kind::Revision, &application.id, &revision.identity())
}

pub(super) async fn get(
    context: &RequestContext,
    input: wire::GetApplicationRevisionInput,
) -> Result<wire::GetApplicationRevisionOutput, ApiError> {
    let name = application_name(input.application_name.as_deref())?;
    context.authorize_application("GetApplicationRevision", name).await?;
    let revision = convert::server_revision(input.revision.as_ref())?;
    let application = context.application(name).await?.value;
    let Some(stored) = context.load::<RegisteredRevision>(key_of(context, &application, &revision)).await?
    else {
        return api(
            ErrorKind::RevisionDoesNotExistException,
            format!(
                "No such revision is registered with application {name}. Version and eTag are part of a revision's identity."
            ),
        );
    };
    Ok(wire::GetApplicationRevisionOutput {
        application_name: Some(application.name.clone()),
        revision: Some(convert::revision_to_wire(&stored.value.revision)),
        revision_info: Some(info(context, &application, &stored.value).await?),
    })
}

async fn info(
    context: &RequestContext,
    application: &Application,
    revision: &RegisteredRevision,
) -> Result<wire::GenericRevisionInfo, ApiError> {
    let mut names = Vec::new();
    if !revision.group_ids.is_empty() {
        let groups = context
            .control
            .store
            .documents(&context.partition(), Kind::DeploymentGroup, &application.id, None, 1000)
            .await
            .map_err(error::read)?;
        for group in groups {
            let group =
                super::common::read_document::<slipway_model::resources::DeploymentGroup>(group)?.value;
            if revision.group_ids.contains(&group.id) {
                names.push(group.name);
            }
        }
    }
    Ok(wire::GenericRevisionInfo {
        description: revision.description.clone(),
        deployment_groups: Some(names),
        first_used_time: revision.first_used.map(convert::time),
        last_used_time: revision.last_used.map(convert::time),
        register_time: Some(convert::time(revision.registered)),
    })
}
