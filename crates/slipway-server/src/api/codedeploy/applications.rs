//! Applications (CF-150..CF-164).

use slipway_auth::resource::Call;
use slipway_model::config::ComputePlatform;
use slipway_model::resources::Application;
use slipway_store::{ChangeSet, CommitError, Kind, Write};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{MOST_TRIES, Stored, application_name, batch, document, read_document, too_busy};
use super::{conditions, convert, groups, renames, tags};
use crate::access::RequestContext;
use crate::error::{self, api};

pub(super) async fn create(
    context: &RequestContext,
    input: wire::CreateApplicationInput,
) -> Result<wire::CreateApplicationOutput, ApiError> {
    let name = application_name(input.application_name.as_deref())?;
    let call = Call { application: Some(name), ..context.call("CreateApplication") };
    context.permit_with(call, &conditions::setting(input.tags.as_deref())).await?;
    let platform = platform(input.compute_platform.as_deref())?;
    let tags = tags::at_creation(input.tags)?;
    let key = context.key(Kind::Application, "", name);
    let exists = || {
        api(
            ErrorKind::ApplicationAlreadyExistsException,
            format!("Application already exists with the name: {name}"),
        )
    };
    if context.load::<Application>(key.clone()).await?.is_some() {
        return exists();
    }
    let limit = context.control.settings.quotas.applications;
    let store = &context.control.store;
    let count =
        store.count_documents(&context.partition(), Kind::Application, "").await.map_err(error::read)?;
    if count >= u64::from(limit) {
        return api(
            ErrorKind::ApplicationLimitExceededException,
            format!("The account has {count} applications in this region; the limit is {limit}."),
        );
    }
    let application = Application {
        id: uuid::Uuid::new_v4().to_string(),
        name: name.to_owned(),
        platform,
        created: context.now(),
        tags,
    };
    match store.commit(ChangeSet::new().with(Write::Insert(document(key, &application, 0)))).await {
        Ok(()) => Ok(wire::CreateApplicationOutput { application_id: Some(application.id) }),
        Err(CommitError::Exists { .. }) => exists(),
        Err(other) => Err(error::commit(other)),
    }
}

/// CF-150: Server unless another one is named.
pub(super) fn platform(given: Option<&str>) -> Result<ComputePlatform, ApiError> {
    let Some(given) = given else { return Ok(ComputePlatform::Server) };
    ComputePlatform::parse(given).ok_or_else(|| {
        ApiError::new(
            ErrorKind::InvalidComputePlatformException,
            format!("computePlatform {given:?} is none of Server, Lambda, ECS."),
        )
    })
}

pub(super) async fn get(
    context: &RequestContext,
    input: wire::GetApplicationInput,
) -> Result<wire::GetApplicationOutput, ApiError> {
    let name = application_name(input.application_name.as_deref())?;
    context.authorize_application("GetApplication", name).await?;
    let application = context.application(name).await?.value;
    Ok(wire::GetApplicationOutput { application: Some(to_wire(application)) })
}

fn to_wire(application: Application) -> wire::ApplicationInfo {
    wire::ApplicationInfo {
        application_id: Some(application.id),
        application_name: Some(application.name),
        create_time: Some(convert::time(application.created)),
        linked_to_git_hub: Some(false),
        git_hub_account_name: None,
        compute_platform: Some(application.platform.as_str().to_owned()),
    }
}

/// All or nothing (CF-162): the answer has no place for the name of one that is missing.
pub(super) async fn batch_get(
    context: &RequestContext,
    input: wire::BatchGetApplicationsInput,
) -> Result<wire::BatchGetApplicationsOutput, ApiError> {
    let names = batch(
        input.application_names,
        ErrorKind::ApplicationNameRequiredException,
        "applicationNames",
        context.batch_of_names(),
    )?;
    context.permit(context.call("BatchGetApplications")).await?;
    for name in &names {
        application_name(Some(name))?;
    }
    let mut found = Vec::with_capacity(names.len());
    for name in &names {
        found.push(to_wire(context.application(name).await?.value));
    }
    Ok(wire::BatchGetApplicationsOutput { applications_info: Some(found) })
}

/// Renames an application; groups, revisions and deployments stay with it (CF-163).
pub(super) async fn update(
    context: &RequestContext,
    input: wire::UpdateApplicationInput,
) -> Result<(), ApiError> {
    let name = application_name(input.application_name.as_deref())?;
    let new = input.new_application_name.as_deref().map(|new| application_name(Some(new))).transpose()?;
    context
        .permit(Call { application: Some(name), new_application: new, ..context.call("UpdateApplication") })
        .await?;
    for _ in 0..MOST_TRIES {
        let application = context.application(name).await?;
        let Some(new) = new.filter(|new| *new != name) else { return Ok(()) };
        let renamed = Application { name: new.to_owned(), ..application.value };
        let mut change = ChangeSet::new()
            .with(Write::Delete { key: application.key, version: Some(application.version) })
            .with(Write::Insert(document(context.key(Kind::Application, "", new), &renamed, 0)));
        renames::note(context, &mut change, &renamed.id, |names| names.application = Some(new.to_owned()))
            .await?;
        match context.control.store.commit(change).await {
            Ok(()) => return Ok(()),
            Err(CommitError::Exists { key: Some(key), .. }) if key.kind == Kind::Application => {
                return api(
                    ErrorKind::ApplicationAlreadyExistsException,
                    format!("Application already exists with the name: {new}"),
                );
            }
            // Somebody changed it, or a name of it, at the same moment: look again.
            Err(CommitError::Conflict { .. } | CommitError::Exists { .. }) => {}
            Err(other) => return Err(error::commit(other)),
        }
    }
    too_busy(&format!("Application {name}"))
}

pub(super) async fn list(
    context: &RequestContext,
    input: wire::ListApplicationsInput,
) -> Result<wire::ListApplicationsOutput, ApiError> {
    context.permit(context.call("ListApplications")).await?;
    let (names, next_token) =
        context.page_of_names("ListApplications", Kind::Application, "", input.next_token.as_deref()).await?;
    Ok(wire::ListApplicationsOutput { applications: Some(names), next_token })
}

/// Deletes an application with its groups, revisions and the details of its deployments (CF-164). One that is not
/// there is no error: the model lists none, and deleting twice is harmless.
pub(super) async fn delete(
    context: &RequestContext,
    input: wire::DeleteApplicationInput,
) -> Result<(), ApiError> {
    let name = application_name(input.application_name.as_deref())?;
    context.authorize_application("DeleteApplication", name).await?;
    for _ in 0..MOST_TRIES {
        let key = context.key(Kind::Application, "", name);
        let Some(application) = context.load::<Application>(key).await? else { return Ok(()) };
        let change = end_of(context, &application).await?;
        match context.control.store.commit(change).await {
            // A group of it was created, changed or deleted, or it was renamed: look again.
            Err(CommitError::Conflict { .. }) => {}
            done => return done.map_err(error::commit),
        }
    }
    too_busy(&format!("Application {name}"))
}

/// The end of an application with all that belongs to it. Each of its groups ends as it was seen, and there is no
/// other: one that is created meanwhile is not left behind, nor are its deployments and what it holds.
async fn end_of(context: &RequestContext, application: &Stored<Application>) -> Result<ChangeSet, ApiError> {
    let id = &application.value.id;
    let mut change = ChangeSet::new()
        .with(Write::Delete { key: application.key.clone(), version: Some(application.version) });
    let mut after: Option<String> = None;
    loop {
        let page = context
            .control
            .store
            .documents(&context.partition(), Kind::DeploymentGroup, id, after.as_deref(), 1000)
            .await
            .map_err(error::read)?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.name.clone());
        for group in page {
            groups::forget(context, &mut change, &read_document(group)?);
        }
    }
    change.push(Write::RequireNone {
        partition: context.partition(),
        kind: Kind::DeploymentGroup,
        parent: id.clone(),
    });
    renames::forget(context, &mut change, id);
    for kind in [Kind::GroupHistory, Kind::Revision] {
        change.push(Write::DeleteChildren { partition: context.partition(), kind, parent: id.clone() });
    }
    Ok(change)
}
