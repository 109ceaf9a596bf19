//! Tags of applications and deployment groups. Unlike those of instances, a key stands there once (DP-752, 05 A-10).

use slipway_auth::resource::Call;
use slipway_model::resources::{Application, DeploymentGroup};
use slipway_model::tags::Tag;
use slipway_store::{ChangeSet, CommitError, Write};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{MOST_TRIES, PAGE, Stored, document, required, too_busy};
use super::conditions::{self, Keys};
use super::convert;
use crate::access::RequestContext;
use crate::error::{self, api};

/// Most tags of one resource: AWS's general limit, which the guide does not repeat.
const MOST_TAGS: usize = 50;

/// Prefix of keys that users may not set.
const RESERVED: &str = "aws:";

/// Longest ARN, in characters.
const LONGEST_ARN: usize = 1011;

fn invalid<T>(message: impl Into<String>) -> Result<T, ApiError> {
    api(ErrorKind::InvalidTagsToAddException, message)
}

/// The tags of a new application or group.
pub(super) fn at_creation(given: Option<Vec<wire::Tag>>) -> Result<Vec<Tag>, ApiError> {
    let tags = read(&given.unwrap_or_default())?;
    check_count(&tags)?;
    Ok(tags)
}

/// Sorted by key, so that pages have an order.
fn read(given: &[wire::Tag]) -> Result<Vec<Tag>, ApiError> {
    let mut tags = convert::tags(given, ErrorKind::InvalidTagsToAddException)?;
    tags.sort_unstable();
    if let Some([tag, _]) = tags.array_windows().find(|[one, next]| one.key == next.key) {
        return invalid(format!("Tag Key {:?} was given twice.", tag.key));
    }
    match tags.iter().find(|tag| tag.key.starts_with(RESERVED)) {
        Some(tag) => invalid(format!("Tag Key {:?} begins with {RESERVED}, which is reserved.", tag.key)),
        None => Ok(tags),
    }
}

fn check_count(tags: &[Tag]) -> Result<(), ApiError> {
    if tags.len() > MOST_TAGS {
        return invalid(format!("The resource would have {} tags; the limit is {MOST_TAGS}.", tags.len()));
    }
    Ok(())
}

pub(super) async fn tag(
    context: &RequestContext,
    input: wire::TagResourceInput,
) -> Result<wire::TagResourceOutput, ApiError> {
    let arn = ResourceArn::read(input.resource_arn.as_deref())?;
    arn.permit(context, "TagResource", conditions::setting(input.tags.as_deref())).await?;
    let given = input.tags.unwrap_or_default();
    if given.is_empty() {
        return api(ErrorKind::TagRequiredException, "Tags needs at least one tag.");
    }
    let given = read(&given)?;
    change(context, &arn, |tags| {
        tags.retain(|tag| given.iter().all(|new| new.key != tag.key));
        tags.extend_from_slice(&given);
        tags.sort_unstable();
        check_count(tags)
    })
    .await?;
    Ok(wire::TagResourceOutput {})
}

/// A key that the resource does not have is no error.
pub(super) async fn untag(
    context: &RequestContext,
    input: wire::UntagResourceInput,
) -> Result<wire::UntagResourceOutput, ApiError> {
    let arn = ResourceArn::read(input.resource_arn.as_deref())?;
    arn.permit(context, "UntagResource", conditions::removing(input.tag_keys.as_deref())).await?;
    let keys = input.tag_keys.unwrap_or_default();
    if keys.is_empty() {
        return api(ErrorKind::TagRequiredException, "TagKeys needs at least one key.");
    }
    if let Some(bad) = keys.iter().find(|key| key.is_empty() || key.chars().count() > 128) {
        return invalid(format!("TagKeys: {bad:?} is not a key of 1 to 128 characters."));
    }
    change(context, &arn, |tags| {
        tags.retain(|tag| !keys.contains(&tag.key));
        Ok(())
    })
    .await?;
    Ok(wire::UntagResourceOutput {})
}

pub(super) async fn list(
    context: &RequestContext,
    input: wire::ListTagsForResourceInput,
) -> Result<wire::ListTagsForResourceOutput, ApiError> {
    let arn = ResourceArn::read(input.resource_arn.as_deref())?;
    arn.permit(context, "ListTagsForResource", Keys::new()).await?;
    // The model has no error for a resource that is not there.
    let missing = |error: ApiError| match error.kind {
        ErrorKind::ApplicationDoesNotExistException | ErrorKind::DeploymentGroupDoesNotExistException => {
            ApiError::new(ErrorKind::InvalidArnException, error.message)
        }
        _ => error,
    };
    let tags = match arn.find(context).await.map_err(missing)? {
        Tagged::Application(application) => application.value.tags,
        Tagged::Group(group) => group.value.tags,
    };
    let list = format!("ListTagsForResource/{}", arn.text);
    let after = context.read_page_token(&list, input.next_token.as_deref())?;
    let mut page: Vec<Tag> =
        tags.into_iter().filter(|tag| after.as_ref().is_none_or(|after| tag.key > *after)).collect();
    let more = page.len() > PAGE;
    page.truncate(PAGE);
    Ok(wire::ListTagsForResourceOutput {
        next_token: page.last().filter(|_| more).map(|last| context.page_token(&list, &last.key)),
        tags: Some(page.iter().map(convert::tag).collect()),
    })
}

/// The ARN of something that can be tagged.
struct ResourceArn<'a> {
    text: &'a str,
    region: &'a str,
    account: &'a str,
    application: &'a str,
    group: Option<&'a str>,
}

/// A resource that has tags.
enum Tagged {
    Application(Stored<Application>),
    Group(Box<Stored<DeploymentGroup>>),
}

impl<'a> ResourceArn<'a> {
    fn read(given: Option<&'a str>) -> Result<Self, ApiError> {
        let text = required(given, ErrorKind::ResourceArnRequiredException, "ResourceArn")?;
        let malformed = || {
            api(
                ErrorKind::InvalidArnException,
                format!(
                    "ResourceArn {text:?} is not an ARN of CodeDeploy, like arn:aws:codedeploy:us-east-1:444455556666:application:name."
                ),
            )
        };
        let parts: Vec<&str> = text.splitn(7, ':').collect();
        let ["arn", partition, "codedeploy", region, account, kind, name] = parts[..] else {
            return malformed();
        };
        let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        if text.chars().count() > LONGEST_ARN
            || !partition.starts_with("aws")
            || region.is_empty()
            || !digits
            || name.is_empty()
        {
            return malformed();
        }
        match (kind, name.split_once('/')) {
            ("application", None) => Ok(Self { text, region, account, application: name, group: None }),
            ("deploymentgroup", Some((application, group)))
                if !application.is_empty() && !group.is_empty() =>
            {
                Ok(Self { text, region, account, application, group: Some(group) })
            }
            ("application" | "deploymentgroup", _) => malformed(),
            _ => api(
                ErrorKind::ArnNotSupportedException,
                format!("Only applications and deployment groups have tags; {kind} resources have none."),
            ),
        }
    }

    async fn permit(&self, context: &RequestContext, operation: &str, keys: Keys) -> Result<(), ApiError> {
        let call = Call {
            application: Some(self.application),
            group: self.group,
            region: self.region,
            account: self.account,
            ..context.call(operation)
        };
        context.permit_with(call, &keys).await
    }

    async fn find(&self, context: &RequestContext) -> Result<Tagged, ApiError> {
        let scope = &context.caller.scope;
        if (self.region, self.account) != (scope.region.as_str(), scope.account.as_str()) {
            return api(
                ErrorKind::InvalidArnException,
                format!(
                    "ResourceArn {:?} is not of account {} and region {}.",
                    self.text, scope.account, scope.region
                ),
            );
        }
        let application = context.application(self.application).await?;
        match self.group {
            None => Ok(Tagged::Application(application)),
            Some(group) => Ok(Tagged::Group(Box::new(context.group(&application.value, group).await?))),
        }
    }
}

async fn change(
    context: &RequestContext,
    arn: &ResourceArn<'_>,
    edit: impl Fn(&mut Vec<Tag>) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    for _ in 0..MOST_TRIES {
        let changed = match arn.find(context).await? {
            Tagged::Application(mut application) => {
                edit(&mut application.value.tags)?;
                document(application.key, &application.value, application.version)
            }
            Tagged::Group(mut group) => {
                edit(&mut group.value.tags)?;
                document(group.key, &group.value, group.version)
            }
        };
        match context.control.store.commit(ChangeSet::new().with(Write::Replace(changed))).await {
            Err(CommitError::Conflict { .. }) => {}
            other => return other.map_err(error::commit),
        }
    }
    too_busy(arn.text)
}
