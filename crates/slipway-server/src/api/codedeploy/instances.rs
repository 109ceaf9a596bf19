//! On-premises instances (AG-162..AG-211).

use std::collections::BTreeSet;

use slipway_auth::resource::Call;
use slipway_model::names::check_instance_name;
use slipway_model::resources::{InstanceIdentity, OnPremisesInstance};
use slipway_model::tags::Tag;
use slipway_model::{arn, ids};
use slipway_store::{ChangeSet, CommitError, Kind, Write};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{PAGE, Stored, document, read_document, required};
use super::convert;
use crate::access::RequestContext;
use crate::clock::random;
use crate::commands::IdentityClaim;
use crate::error::{self, api};

fn name(given: Option<&str>) -> Result<&str, ApiError> {
    let name = required(given, ErrorKind::InstanceNameRequiredException, "instanceName")?;
    match check_instance_name(name) {
        Ok(()) => Ok(name),
        Err(problem) => {
            api(ErrorKind::InvalidInstanceNameException, format!("{problem} (instanceName {name:?})"))
        }
    }
}

async fn authorize(context: &RequestContext, operation: &str, names: &[&str]) -> Result<(), ApiError> {
    context.permit(Call { instances: names, ..context.call(operation) }).await
}

pub(super) async fn register(
    context: &RequestContext,
    input: wire::RegisterOnPremisesInstanceInput,
) -> Result<(), ApiError> {
    let name = name(input.instance_name.as_deref())?;
    authorize(context, "RegisterOnPremisesInstance", &[name]).await?;
    let identity = identity(context, &input)?;
    let earlier = context.load::<OnPremisesInstance>(context.key(Kind::OnPremisesInstance, "", name)).await?;
    let taken = || {
        api(
            ErrorKind::InstanceNameAlreadyRegisteredException,
            format!("The on-premises instance name {name} is already registered."),
        )
    };
    if earlier.as_ref().is_some_and(|e| e.value.deregistered.is_none()) {
        return taken();
    }
    let instance = OnPremisesInstance {
        name: name.to_owned(),
        arn: arn::instance(&context.caller.scope, name, &ids::instance_suffix(random())),
        identity,
        registered: context.now(),
        deregistered: None,
        tags: Vec::new(),
        agent_version: None,
    };
    let key = context.key(Kind::OnPremisesInstance, "", name);
    let claim = IdentityClaim { name: name.to_owned(), instance_arn: instance.arn.clone() };
    let claim_key = context.key(Kind::InstanceIdentity, "", instance.identity.arn());
    let change = ChangeSet::new().with(Write::Insert(document(claim_key, &claim, 0))).with(match earlier {
        // The record of an earlier registration under this name gives way (AG ).
        Some(earlier) => Write::Replace(document(key, &instance, earlier.version)),
        None => Write::Insert(document(key, &instance, 0)),
    });
    match context.control.store.commit(change).await {
        Ok(()) => Ok(()),
        Err(CommitError::Exists { key: Some(key), .. }) if key.kind == Kind::InstanceIdentity => {
            let arn = instance.identity.arn();
            let kind = match instance.identity {
                InstanceIdentity::User(_) => ErrorKind::IamUserArnAlreadyRegisteredException,
                InstanceIdentity::Session(_) => ErrorKind::IamSessionArnAlreadyRegisteredException,
            };
            api(kind, format!("{arn} is already registered with another on-premises instance."))
        }
        Err(CommitError::Exists { .. } | CommitError::Conflict { .. }) => taken(),
        Err(other) => Err(error::commit(other)),
    }
}

fn identity(
    context: &RequestContext,
    input: &wire::RegisterOnPremisesInstanceInput,
) -> Result<InstanceIdentity, ApiError> {
    let user = input.iam_user_arn.as_deref().filter(|a| !a.is_empty());
    let session = input.iam_session_arn.as_deref().filter(|a| !a.is_empty());
    let account = context.caller.scope.account.as_str();
    let foreign = |kind: ErrorKind, arn: &str| {
        api(kind, format!("{arn} belongs to another account than this instance would ({account})."))
    };
    match (user, session) {
        (None, None) => api(
            ErrorKind::IamArnRequiredException,
            "Give the ARN that the instance will sign with: iamUserArn or iamSessionArn.",
        ),
        (Some(_), Some(_)) => api(
            ErrorKind::MultipleIamArnsProvidedException,
            "Give either iamUserArn or iamSessionArn, not both.",
        ),
        (Some(user), None) => match arn::parse_iam_user(user) {
            Some((owner, _)) if owner == account => Ok(InstanceIdentity::User(user.to_owned())),
            Some(_) => foreign(ErrorKind::InvalidIamUserArnException, user),
            None => api(
                ErrorKind::InvalidIamUserArnException,
                format!(
                    "iamUserArn {user:?} is not valid: it looks like arn:aws:iam::<12 digits>:user/<name>."
                ),
            ),
        },
        (None, Some(session)) => match arn::parse_assumed_role(session) {
            Some((owner, _, _)) if owner == account => Ok(InstanceIdentity::Session(session.to_owned())),
            Some(_) => foreign(ErrorKind::InvalidIamSessionArnException, session),
            None => api(
                ErrorKind::InvalidIamSessionArnException,
                format!(
                    "iamSessionArn {session:?} is not valid: it looks like arn:aws:sts::<12 digits>:assumed-role/<role>/<session>."
                ),
            ),
        },
    }
}

/// Deregistering again, or what never was, is no error: the model lists none (AG A-02). The record is kept.
pub(super) async fn deregister(
    context: &RequestContext,
    input: wire::DeregisterOnPremisesInstanceInput,
) -> Result<(), ApiError> {
    let name = name(input.instance_name.as_deref())?;
    authorize(context, "DeregisterOnPremisesInstance", &[name]).await?;
    loop {
        let key = context.key(Kind::OnPremisesInstance, "", name);
        let Some(mut stored) = context.load::<OnPremisesInstance>(key).await? else { return Ok(()) };
        if stored.value.deregistered.is_some() {
            return Ok(());
        }
        stored.value.deregistered = Some(context.now());
        let claim = context.key(Kind::InstanceIdentity, "", stored.value.identity.arn());
        let change = ChangeSet::new()
            .with(Write::Replace(document(stored.key, &stored.value, stored.version)))
            .with(Write::Delete { key: claim, version: None });
        match context.control.store.commit(change).await {
            Err(CommitError::Conflict { .. }) => {}
            done => return done.map_err(error::commit),
        }
    }
}

pub(super) async fn get(
    context: &RequestContext,
    input: wire::GetOnPremisesInstanceInput,
) -> Result<wire::GetOnPremisesInstanceOutput, ApiError> {
    let name = name(input.instance_name.as_deref())?;
    authorize(context, "GetOnPremisesInstance", &[name]).await?;
    match context.load::<OnPremisesInstance>(context.key(Kind::OnPremisesInstance, "", name)).await? {
        Some(stored) => Ok(wire::GetOnPremisesInstanceOutput { instance_info: Some(to_wire(&stored.value)) }),
        None => not_registered(name),
    }
}

/// Names that were never registered are left out of the answer.
pub(super) async fn batch_get(
    context: &RequestContext,
    input: wire::BatchGetOnPremisesInstancesInput,
) -> Result<wire::BatchGetOnPremisesInstancesOutput, ApiError> {
    context.permit(context.call("BatchGetOnPremisesInstances")).await?;
    let names = names(context, input.instance_names.as_deref(), ErrorKind::BatchLimitExceededException)?;
    let mut infos = Vec::with_capacity(names.len());
    for name in names {
        if let Some(stored) =
            context.load::<OnPremisesInstance>(context.key(Kind::OnPremisesInstance, "", name)).await?
        {
            infos.push(to_wire(&stored.value));
        }
    }
    Ok(wire::BatchGetOnPremisesInstancesOutput { instance_infos: Some(infos) })
}

fn names<'a>(
    context: &RequestContext,
    given: Option<&'a [String]>,
    too_many: ErrorKind,
) -> Result<Vec<&'a str>, ApiError> {
    let given = given.unwrap_or_default();
    if given.is_empty() {
        return api(ErrorKind::InstanceNameRequiredException, "instanceNames needs at least one name.");
    }
    let limit = context.control.settings.quotas.batch_size as usize;
    if given.len() > limit {
        return api(too_many, format!("{} instance names were given; the limit is {limit}.", given.len()));
    }
    given.iter().map(|n| name(Some(n))).collect()
}

/// Lists names; several filters are alternatives (AG A-12).
pub(super) async fn list(
    context: &RequestContext,
    input: wire::ListOnPremisesInstancesInput,
) -> Result<wire::ListOnPremisesInstancesOutput, ApiError> {
    const LIST: &str = "ListOnPremisesInstances";
    context.permit(context.call("ListOnPremisesInstances")).await?;
    let registered = match input.registration_status.as_deref() {
        None => None,
        Some("Registered") => Some(true),
        Some("Deregistered") => Some(false),
        Some(other) => {
            return api(
                ErrorKind::InvalidRegistrationStatusException,
                format!("registrationStatus {other:?} is neither Registered nor Deregistered."),
            );
        }
    };
    let filters = input
        .tag_filters
        .iter()
        .flatten()
        .map(|f| convert::tag_filter(f, ErrorKind::InvalidTagFilterException))
        .collect::<Result<Vec<_>, _>>()?;
    let mut after = context.read_page_token(LIST, input.next_token.as_deref())?;
    let mut found: Vec<String> = Vec::new();
    loop {
        let page = context
            .control
            .store
            .documents(&context.partition(), Kind::OnPremisesInstance, "", after.as_deref(), 1000)
            .await
            .map_err(error::read)?;
        let last_page = page.len() < 1000;
        after = page.last().map(|d| d.key.name.clone());
        for entry in page {
            let instance = read_document::<OnPremisesInstance>(entry)?.value;
            let status_fits = registered.is_none_or(|wanted| instance.deregistered.is_none() == wanted);
            let tags_fit = filters.is_empty() || filters.iter().any(|f| f.matches(&instance.tags));
            if status_fits && tags_fit {
                if found.len() == PAGE {
                    let next_token = found.last().map(|last| context.page_token(LIST, last));
                    return Ok(wire::ListOnPremisesInstancesOutput {
                        instance_names: Some(found),
                        next_token,
                    });
                }
                found.push(instance.name);
            }
        }
        if last_page {
            return Ok(wire::ListOnPremisesInstancesOutput { instance_names: Some(found), next_token: None });
        }
    }
}

pub(super) async fn add_tags(
    context: &RequestContext,
    input: wire::AddTagsToOnPremisesInstancesInput,
) -> Result<(), ApiError> {
    let limit = context.control.settings.quotas.tags_per_instance as usize;
    change_tags(
        context,
        "AddTagsToOnPremisesInstances",
        input.tags.as_deref(),
        input.instance_names.as_deref(),
        |name, tags, given| {
            tags.extend(given.iter().cloned());
            if tags.len() > limit {
                return api(
                    ErrorKind::TagLimitExceededException,
                    format!("Instance {name} would have {} tags; the limit is {limit}.", tags.len()),
                );
            }
            Ok(())
        },
    )
    .await
}

pub(super) async fn remove_tags(
    context: &RequestContext,
    input: wire::RemoveTagsFromOnPremisesInstancesInput,
) -> Result<(), ApiError> {
    change_tags(
        context,
        "RemoveTagsFromOnPremisesInstances",
        input.tags.as_deref(),
        input.instance_names.as_deref(),
        |_, tags, given| {
            for tag in given {
                tags.remove(tag);
            }
            Ok(())
        },
    )
    .await
}

/// Changes the tags of several instances, all or none.
async fn change_tags(
    context: &RequestContext,
    operation: &str,
    tags: Option<&[wire::Tag]>,
    instance_names: Option<&[String]>,
    change: impl Fn(&str, &mut BTreeSet<Tag>, &[Tag]) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let names = names(context, instance_names, ErrorKind::InstanceLimitExceededException)?;
    authorize(context, operation, &names).await?;
    let given = tags.unwrap_or_default();
    if given.is_empty() {
        return api(ErrorKind::TagRequiredException, "tags needs at least one tag.");
    }
    let given = convert::tags(given, ErrorKind::InvalidTagException)?;
    loop {
        let mut changes = ChangeSet::new();
        for name in names.iter().collect::<BTreeSet<_>>() {
            let key = context.key(Kind::OnPremisesInstance, "", name);
            let Some(Stored { mut value, key, version }) = context.load::<OnPremisesInstance>(key).await?
            else {
                return not_registered(name);
            };
            if value.deregistered.is_some() {
                return not_registered(name);
            }
            let mut set: BTreeSet<Tag> = std::mem::take(&mut value.tags).into_iter().collect();
            change(name, &mut set, &given)?;
            value.tags = set.into_iter().collect();
            changes.push(Write::Replace(document(key, &value, version)));
        }
        match context.control.store.commit(changes).await {
            Err(CommitError::Conflict { .. }) => {}
            done => return done.map_err(error::commit),
        }
    }
}

fn not_registered<T>(name: &str) -> Result<T, ApiError> {
    api(
        ErrorKind::InstanceNotRegisteredException,
        format!("The on-premises instance {name} is not registered."),
    )
}

fn to_wire(instance: &OnPremisesInstance) -> wire::InstanceInfo {
    let (user, session) = match &instance.identity {
        InstanceIdentity::User(arn) => (Some(arn.clone()), None),
        InstanceIdentity::Session(arn) => (None, Some(arn.clone())),
    };
    wire::InstanceInfo {
        instance_name: Some(instance.name.clone()),
        iam_session_arn: session,
        iam_user_arn: user,
        instance_arn: Some(instance.arn.clone()),
        register_time: Some(convert::time(instance.registered)),
        deregister_time: instance.deregistered.map(convert::time),
        // Always there, even when empty: the CLI's `deregister` breaks without it (AG-199).
        tags: Some(instance.tags.iter().map(convert::tag).collect()),
    }
}
