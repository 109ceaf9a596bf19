//! What policies may ask about tags: `aws:RequestTag/KEY` and `aws:TagKeys` of a call that sets or removes them,
//! `aws:ResourceTag/KEY` of the application or deployment group that is meant (DP-609).
//!
//! These are AWS's: instances and deployment configurations have none of these keys there, so a policy means the same
//! here.

use slipway_auth::resource::Call;
use slipway_model::resources::{Application, DeploymentGroup};
use slipway_model::tags::Tag;
use slipway_store::Kind;
use slipway_wire::ApiError;
use slipway_wire::codedeploy as wire;

use crate::access::RequestContext;

/// Condition keys and their values; a key that is there several times has all of the values.
pub(super) type Keys = Vec<(String, String)>;

/// The keys of a call that sets these tags. They are taken as they came: whether they are good tags is only said to
/// callers who may set tags at all.
pub(super) fn setting(tags: Option<&[wire::Tag]>) -> Keys {
    let mut keys = Keys::new();
    for tag in tags.unwrap_or_default() {
        let key = tag.key.as_deref().unwrap_or_default();
        keys.push((format!("aws:RequestTag/{key}"), tag.value.clone().unwrap_or_default()));
        keys.push(("aws:TagKeys".to_owned(), key.to_owned()));
    }
    keys
}

/// The keys of a call that removes the tags of these keys.
pub(super) fn removing(tag_keys: Option<&[String]>) -> Keys {
    tag_keys.unwrap_or_default().iter().map(|key| ("aws:TagKeys".to_owned(), key.clone())).collect()
}

/// The tags of one of the resources of `call`, as keys; none for what has no tags or is not there.
pub(super) async fn of_resource(
    context: &RequestContext,
    call: &Call<'_>,
    arn: &str,
) -> Result<Keys, ApiError> {
    let scope = &context.caller.scope;
    let own = format!("arn:aws:codedeploy:{}:{}:", scope.region, scope.account);
    let tags = match arn.strip_prefix(&own).and_then(|rest| rest.split_once(':')) {
        Some(("application", name)) => of_application(context, call, name).await?,
        Some(("deploymentgroup", name)) => match name.split_once('/') {
            Some((application, group)) => of_group(context, call, application, group).await?,
            None => Vec::new(),
        },
        _ => Vec::new(),
    };
    Ok(tags.into_iter().map(|tag| (format!("aws:ResourceTag/{}", tag.key), tag.value)).collect())
}

/// A new name is a name for what it will be given to: it has the same tags.
async fn of_application(context: &RequestContext, call: &Call<'_>, name: &str) -> Result<Vec<Tag>, ApiError> {
    let name = call.application.filter(|_| call.new_application == Some(name)).unwrap_or(name);
    let found = context.load::<Application>(context.key(Kind::Application, "", name)).await?;
    Ok(found.map(|application| application.value.tags).unwrap_or_default())
}

async fn of_group(
    context: &RequestContext,
    call: &Call<'_>,
    application: &str,
    name: &str,
) -> Result<Vec<Tag>, ApiError> {
    let name = call.group.filter(|_| call.new_group == Some(name)).unwrap_or(name);
    let Some(application) =
        context.load::<Application>(context.key(Kind::Application, "", application)).await?
    else {
        return Ok(Vec::new());
    };
    let key = context.key(Kind::DeploymentGroup, &application.value.id, name);
    Ok(context.load::<DeploymentGroup>(key).await?.map(|group| group.value.tags).unwrap_or_default())
}
