//! Registered revisions (CF-358..CF-366).

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use slipway_model::Timestamp;
use slipway_model::resources::{Application, DeploymentGroup, GroupHistory, RegisteredRevision};
use slipway_model::revision::Revision;
use slipway_store::{ChangeSet, CommitError, DocumentKey, Kind, Write};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{BATCH, MOST_TRIES, Stored, application_name, batch, document, read_document, too_busy};
use super::convert;
use super::locations::{self, Inline};
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
    let description = description(input.description)?;
    for _ in 0..MOST_TRIES {
        let application = context.application(name).await?;
        let revision = locations::read(application.value.platform, input.revision.as_ref(), Inline::Content)?;
        let key = key_of(context, &application.value, &revision);
        // A revision never outlives its application.
        let require = Write::Require { key: application.key, version: application.version };
        let write = if let Some(mut stored) = context.load::<RegisteredRevision>(key.clone()).await? {
            if description.is_some() {
                stored.value.description.clone_from(&description);
            }
            Write::Replace(document(key, &stored.value, stored.version))
        } else {
            Write::Insert(document(key, &new_revision(revision, description.clone(), context.now()), 0))
        };
        match context.control.store.commit(ChangeSet::new().with(require).with(write)).await {
            Ok(()) => return Ok(()),
            // Someone registered the same revision, or changed the application: look again.
            Err(CommitError::Conflict { .. } | CommitError::Exists { .. }) => {}
            Err(other) => return Err(error::commit(other)),
        }
    }
    too_busy(&format!("Application {name}"))
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
    let application = context.application(name).await?.value;
    let revision = locations::read(application.platform, input.revision.as_ref(), Inline::Identity)?;
    let Some(stored) = context.load::<RegisteredRevision>(key_of(context, &application, &revision)).await?
    else {
        return api(
            ErrorKind::RevisionDoesNotExistException,
            format!(
                "No such revision is registered with application {name}. Version and eTag are part of a revision's identity."
            ),
        );
    };
    let targets = TargetRevisions::for_one(context, &application, &stored.value).await?;
    Ok(wire::GetApplicationRevisionOutput {
        application_name: Some(application.name.clone()),
        revision: Some(locations::to_wire_with_content(&stored.value.revision)),
        revision_info: Some(info(&stored.value, &targets)),
    })
}

/// Revisions that are registered; how many are not is told in the message, since they have no name to tell.
pub(super) async fn batch_get(
    context: &RequestContext,
    input: wire::BatchGetApplicationRevisionsInput,
) -> Result<wire::BatchGetApplicationRevisionsOutput, ApiError> {
    let name = application_name(input.application_name.as_deref())?;
    context.authorize_application("BatchGetApplicationRevisions", name).await?;
    let given = batch(input.revisions, ErrorKind::RevisionRequiredException, "revisions", BATCH)?;
    let application = context.application(name).await?.value;
    let wanted = given
        .iter()
        .map(|location| locations::read(application.platform, Some(location), Inline::Identity))
        .collect::<Result<Vec<_>, _>>()?;
    let targets = TargetRevisions::of(context, &application).await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (number, revision) in (1..).zip(&wanted) {
        match context.load::<RegisteredRevision>(key_of(context, &application, revision)).await? {
            Some(stored) => found.push(wire::RevisionInfo {
                revision_location: Some(locations::to_wire_with_content(&stored.value.revision)),
                generic_revision_info: Some(info(&stored.value, &targets)),
            }),
            None => missing.push(i32::to_string(&number)),
        }
    }
    Ok(wire::BatchGetApplicationRevisionsOutput {
        application_name: Some(application.name),
        error_message: (!missing.is_empty()).then(|| {
            format!(
                "Of the revisions of the call these are not registered, by their places from 1: {}",
                missing.join(", ")
            )
        }),
        revisions: Some(found),
    })
}

fn info(revision: &RegisteredRevision, targets: &TargetRevisions) -> wire::GenericRevisionInfo {
    wire::GenericRevisionInfo {
        description: revision.description.clone(),
        deployment_groups: Some(targets.groups_of(&revision.revision).to_vec()),
        first_used_time: revision.first_used.map(convert::time),
        last_used_time: revision.last_used.map(convert::time),
        register_time: Some(convert::time(revision.registered)),
    }
}

/// The target revisions of an application's groups (D-26): identity, and the names of the groups that have it.
pub(super) struct TargetRevisions(HashMap<String, Vec<String>>);

impl TargetRevisions {
    /// Of all groups.
    pub(super) async fn of(context: &RequestContext, application: &Application) -> Result<Self, ApiError> {
        let mut identities: HashMap<String, String> = HashMap::new();
        for history in all::<GroupHistory>(context, Kind::GroupHistory, &application.id).await? {
            if let Some(target) = &history.value.target_revision {
                identities.insert(history.key.name, target.identity());
            }
        }
        let mut groups: HashMap<String, Vec<String>> = HashMap::new();
        if !identities.is_empty() {
            for group in all::<DeploymentGroup>(context, Kind::DeploymentGroup, &application.id).await? {
                if let Some(identity) = identities.remove(&group.value.id) {
                    groups.entry(identity).or_default().push(group.value.name);
                }
            }
        }
        Ok(Self(groups))
    }

    /// As far as one revision needs them: one that no deployment has succeeded with is nobody's target.
    async fn for_one(
        context: &RequestContext,
        application: &Application,
        revision: &RegisteredRevision,
    ) -> Result<Self, ApiError> {
        if revision.group_ids.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        Self::of(context, application).await
    }

    /// Names of the groups whose target this revision is.
    pub(super) fn groups_of(&self, revision: &Revision) -> &[String] {
        self.0.get(&revision.identity()).map(Vec::as_slice).unwrap_or_default()
    }
}

/// All documents of a kind under a parent.
async fn all<T: DeserializeOwned>(
    context: &RequestContext,
    kind: Kind,
    parent: &str,
) -> Result<Vec<Stored<T>>, ApiError> {
    const CHUNK: u32 = 1000;
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = context
            .control
            .store
            .documents(&context.partition(), kind, parent, after.as_deref(), CHUNK)
            .await
            .map_err(error::read)?;
        let last_page = page.len() < CHUNK as usize;
        after = page.last().map(|document| document.key.name.clone());
        for document in page {
            found.push(read_document(document)?);
        }
        if last_page {
            return Ok(found);
        }
    }
}
