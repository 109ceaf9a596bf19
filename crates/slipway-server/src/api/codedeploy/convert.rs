//! Between the wire's shapes and the model's.

use slipway_model::deployment::{AutoRollback, AutoRollbackEvent};
use slipway_model::lifecycle::{Diagnostics, LifecycleEvent};
use slipway_model::tags::{Tag, TagFilter, TagSelection};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use crate::error::api;

/// A model time on the wire.
pub(super) fn time(at: slipway_model::Timestamp) -> slipway_wire::Timestamp {
    slipway_wire::Timestamp::from_millis(at.0)
}

/// A tag on the wire.
pub(super) fn tag(tag: &Tag) -> wire::Tag {
    wire::Tag { key: Some(tag.key.clone()), value: Some(tag.value.clone()) }
}

/// Reads the tags of a call: key required, at most 128 and 256 characters (AG-208).
pub(super) fn tags(tags: &[wire::Tag], error: ErrorKind) -> Result<Vec<Tag>, ApiError> {
    tags.iter()
        .map(|tag| {
            let key = tag.key.as_deref().unwrap_or_default();
            let value = tag.value.as_deref().unwrap_or_default();
            if key.is_empty() {
                return api(error, format!("A tag needs a Key; the one with Value {value:?} has none."));
            }
            if key.chars().count() > 128 {
                return api(error, format!("Tag Key {key:?} is longer than 128 characters."));
            }
            if value.chars().count() > 256 {
                return api(error, format!("The Value of tag {key:?} is longer than 256 characters."));
            }
            Ok(Tag { key: key.to_owned(), value: value.to_owned() })
        })
        .collect()
}

/// Reads a tag filter; `Type` may be left out when it follows from what is there.
pub(super) fn tag_filter(filter: &wire::TagFilter, error: ErrorKind) -> Result<TagFilter, ApiError> {
    let key = filter.key.clone().filter(|k| !k.is_empty());
    let value = filter.value.clone();
    if key.as_ref().is_some_and(|k| k.chars().count() > 128) {
        return api(error, "The Key of a tag filter is longer than 128 characters.");
    }
    if value.as_ref().is_some_and(|v| v.chars().count() > 256) {
        return api(error, "The Value of a tag filter is longer than 256 characters.");
    }
    match (filter.r#type.as_deref(), key, value) {
        (Some("KEY_AND_VALUE") | None, Some(key), Some(value)) => Ok(TagFilter::KeyAndValue(key, value)),
        (Some("KEY_AND_VALUE"), Some(key), None) => Ok(TagFilter::KeyAndValue(key, String::new())),
        (Some("KEY_AND_VALUE"), None, _) => api(error, "A tag filter of Type KEY_AND_VALUE needs a Key."),
        (Some("KEY_ONLY") | None, Some(key), _) => Ok(TagFilter::Key(key)),
        (Some("KEY_ONLY"), None, _) => api(error, "A tag filter of Type KEY_ONLY needs a Key."),
        (Some("VALUE_ONLY") | None, _, Some(value)) => Ok(TagFilter::Value(value)),
        (Some("VALUE_ONLY"), _, None) => api(error, "A tag filter of Type VALUE_ONLY needs a Value."),
        (None, None, None) => api(error, "A tag filter needs a Key, a Value or both."),
        (Some(other), _, _) => {
            api(error, format!("Tag filter Type {other:?} is none of KEY_ONLY, VALUE_ONLY, KEY_AND_VALUE."))
        }
    }
}

fn filter_to_wire(filter: &TagFilter) -> wire::TagFilter {
    let (kind, key, value) = match filter {
        TagFilter::Key(key) => ("KEY_ONLY", Some(key), None),
        TagFilter::Value(value) => ("VALUE_ONLY", None, Some(value)),
        TagFilter::KeyAndValue(key, value) => ("KEY_AND_VALUE", Some(key), Some(value)),
    };
    wire::TagFilter { key: key.cloned(), value: value.cloned(), r#type: Some(kind.to_owned()) }
}

/// A selection in the form in which it was given.
pub(super) fn selection_to_wire(
    selection: &TagSelection,
) -> (Option<Vec<wire::TagFilter>>, Option<wire::OnPremisesTagSet>) {
    match selection {
        TagSelection::Flat(filters) => (Some(filters.iter().map(filter_to_wire).collect()), None),
        TagSelection::Groups(groups) => {
            let list = groups.iter().map(|group| group.iter().map(filter_to_wire).collect()).collect();
            (None, Some(wire::OnPremisesTagSet { on_premises_tag_set_list: Some(list) }))
        }
    }
}

/// Reads rollback settings (DP-210, DP-215).
pub(super) fn auto_rollback(given: &wire::AutoRollbackConfiguration) -> Result<AutoRollback, ApiError> {
    let enabled = given.enabled.unwrap_or(false);
    let events = given
        .events
        .iter()
        .flatten()
        .map(|text| {
            AutoRollbackEvent::parse(text).ok_or_else(|| {
                ApiError::new(
                    ErrorKind::InvalidAutoRollbackConfigException,
                    format!("Rollback event {text:?} is none of DEPLOYMENT_FAILURE, DEPLOYMENT_STOP_ON_ALARM, DEPLOYMENT_STOP_ON_REQUEST."),
                )
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if enabled && events.is_empty() {
        return api(
            ErrorKind::InvalidAutoRollbackConfigException,
            "autoRollbackConfiguration with enabled true needs at least one event.",
        );
    }
    Ok(AutoRollback { enabled, events })
}

/// A selection of EC2 instances in the form in which it was given.
pub(super) fn ec2_selection_to_wire(
    selection: &TagSelection,
) -> (Option<Vec<wire::EC2TagFilter>>, Option<wire::EC2TagSet>) {
    let filter = |filter: wire::TagFilter| wire::EC2TagFilter {
        key: filter.key,
        value: filter.value,
        r#type: filter.r#type,
    };
    let filters = |filters: Vec<wire::TagFilter>| filters.into_iter().map(filter).collect::<Vec<_>>();
    let (flat, set) = selection_to_wire(selection);
    let groups = set.and_then(|set| set.on_premises_tag_set_list);
    (
        flat.map(filters),
        groups.map(|groups| wire::EC2TagSet {
            ec2_tag_set_list: Some(groups.into_iter().map(filters).collect()),
        }),
    )
}

/// Rollback settings on the wire.
pub(super) fn auto_rollback_to_wire(settings: &AutoRollback) -> wire::AutoRollbackConfiguration {
    wire::AutoRollbackConfiguration {
        enabled: Some(settings.enabled),
        events: Some(settings.events.iter().map(|e| e.as_str().to_owned()).collect()),
    }
}

/// A lifecycle event on the wire.
pub(super) fn event_to_wire(event: &LifecycleEvent) -> wire::LifecycleEvent {
    wire::LifecycleEvent {
        lifecycle_event_name: Some(event.name.as_str().to_owned()),
        diagnostics: event.diagnostics.as_ref().map(diagnostics_to_wire),
        start_time: event.start.map(time),
        end_time: event.end.map(time),
        status: Some(event.status.as_str().to_owned()),
    }
}

fn diagnostics_to_wire(diagnostics: &Diagnostics) -> wire::Diagnostics {
    wire::Diagnostics {
        error_code: Some(diagnostics.error_code.as_str().to_owned()),
        script_name: Some(diagnostics.script_name.clone()),
        message: Some(diagnostics.message.clone()),
        log_tail: Some(diagnostics.log_tail.clone()),
    }
}

/// What every Server deployment in place has as its style.
pub(super) fn in_place_style() -> wire::DeploymentStyle {
    wire::DeploymentStyle {
        deployment_type: Some("IN_PLACE".to_owned()),
        deployment_option: Some("WITHOUT_TRAFFIC_CONTROL".to_owned()),
    }
}
