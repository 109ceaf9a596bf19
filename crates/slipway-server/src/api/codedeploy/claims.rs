//! What a deployment group holds of things that are shared: its configuration, so that it is not deleted (CF-139),
//! and its ECS service, which no other group may have (CF-257, Q19).

use slipway_model::config::PREDEFINED_PREFIX;
use slipway_model::group::EcsService;
use slipway_model::resources::DeploymentGroup;
use slipway_store::{ChangeSet, Document, DocumentKey, Kind, Write};

use super::configs::Found;
use crate::access::RequestContext;

/// Predefined configurations are never deleted: nobody needs to hold them.
fn use_of_config(context: &RequestContext, group: &DeploymentGroup) -> Option<DocumentKey> {
    let name = group.deployment_config_name.as_str();
    (!name.starts_with(PREDEFINED_PREFIX)).then(|| context.key(Kind::ConfigUse, name, &group.id))
}

fn service_key(context: &RequestContext, service: &EcsService) -> DocumentKey {
    context.key(Kind::EcsServiceClaim, "", &service.target_id())
}

/// Adds what moves from the group as it was (`None`: new) to the group as it will be, with this configuration.
pub(super) fn make(
    context: &RequestContext,
    change: &mut ChangeSet,
    before: Option<&DeploymentGroup>,
    after: &DeploymentGroup,
    config: &Found,
) {
    let (old, new) = (before.and_then(|group| use_of_config(context, group)), use_of_config(context, after));
    if old != new {
        if let Some(key) = old {
            change.push(Write::Delete { key, version: None });
        }
        if let Some(key) = new {
            change.push(Write::Put(Document { key, body: "{}".to_owned(), version: 0 }));
        }
    }
    // Nobody deletes the configuration between our looking at it and our holding it.
    if let Some((key, version)) = &config.stored {
        change.push(Write::Require { key: key.clone(), version: *version });
    }
    let old = before.map(|group| group.settings.ecs_services.as_slice()).unwrap_or_default();
    let new = after.settings.ecs_services.as_slice();
    for service in old.iter().filter(|service| !new.contains(service)) {
        change.push(Write::Delete { key: service_key(context, service), version: None });
    }
    for service in new.iter().filter(|service| !old.contains(service)) {
        let body = serde_json::Value::String(after.id.clone()).to_string();
        change.push(Write::Insert(Document { key: service_key(context, service), body, version: 0 }));
    }
}

/// Adds the end of everything that the group holds.
pub(super) fn release(context: &RequestContext, change: &mut ChangeSet, group: &DeploymentGroup) {
    let keys = use_of_config(context, group)
        .into_iter()
        .chain(group.settings.ecs_services.iter().map(|service| service_key(context, service)));
    for key in keys {
        change.push(Write::Delete { key, version: None });
    }
}
