//! Users, and fate.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use slipway_model::config::DEFAULT_SERVER_CONFIG;
use slipway_model::deployment::{AutoRollback, Course, DeploymentRecord};
use slipway_model::resources::{GroupHistory, InstanceIdentity, OnPremisesInstance, PastDeployment};
use slipway_model::revision::{FileExistsBehavior, Revision};
use slipway_model::status::DeploymentStatus;
use slipway_model::tags::{Tag, TagFilter, TagSelection};
use slipway_model::zones::ZONE_TAG;
use slipway_model::{AccountId, DeploymentId, Region, Scope, Timestamp};
use slipway_store::{ChangeSet, Document, DocumentKey, Kind, Partition, Write};

use super::core::{Blow, Core, Wait};
use super::host::{arn, through};
use super::node::Node;
use super::scenario::{Action, DeployPlan, Limits, Scenario};
use crate::deployment::DeploymentEvent;
use crate::work::{Site as _, create, deployment};

/// Everything of a run happens in one account and region.
pub(crate) fn scope() -> Scope {
    let account = AccountId::new("000000000001").expect("12 digits");
    Scope { account, region: Region::new("factory-1").expect("well-formed") }
}

fn key(kind: Kind, parent: &str, name: &str) -> DocumentKey {
    DocumentKey {
        partition: Partition::Regional(scope()),
        kind,
        parent: parent.to_owned(),
        name: name.to_owned(),
    }
}

fn group_id(group: u8) -> String {
    format!("group-{group}")
}

fn history_key(group: u8) -> DocumentKey {
    key(Kind::GroupHistory, "app", &group_id(group))
}

pub(crate) fn revision(number: u8) -> Revision {
    Revision::S3 {
        bucket: "b".into(),
        key: format!("r{number}"),
        bundle_type: "zip".into(),
        version: None,
        e_tag: None,
    }
}

/// The number of a revision of ours.
pub(crate) fn revision_number(revision: &Revision) -> u8 {
    match revision {
        Revision::S3 { key, .. } => key.trim_start_matches('r').parse().unwrap_or(0),
        Revision::GitHub { .. } | Revision::AppSpecContent { .. } => 0,
    }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("stored values are plain data and always have a JSON form")
}

/// What stands in the store before a run begins.
pub(crate) fn furniture(scenario: &Scenario) -> ChangeSet {
    let mut change = ChangeSet::new();
    for group in 0..super::scenario::GROUPS {
        let body = json(&GroupHistory::default());
        change.push(Write::Insert(Document { key: history_key(group), body, version: 0 }));
    }
    for (number, plan) in scenario.hosts.iter().enumerate() {
        let zone = Tag { key: ZONE_TAG.to_owned(), value: format!("zone-{}", plan.zone) };
        let groups = (0..super::scenario::GROUPS).filter(|group| plan.groups & (1 << group) != 0);
        let tags = groups.map(tag).chain([zone]).collect();
        change.push(Write::Insert(instance(number, tags)));
    }
    change
}

fn tag(group: u8) -> Tag {
    Tag { key: group_id(group), value: String::new() }
}

fn instance(number: usize, tags: Vec<Tag>) -> Document {
    let name = format!("host-{number}");
    let instance = OnPremisesInstance {
        arn: arn(number),
        identity: InstanceIdentity::User(format!("arn:aws:iam::000000000001:user/{name}")),
        registered: Timestamp(0),
        deregistered: None,
        tags,
        agent_version: None,
        name: name.clone(),
    };
    Document { key: key(Kind::OnPremisesInstance, "", &name), body: json(&instance), version: 0 }
}

/// The record of a deployment that a user asks for.
pub(crate) fn record(
    plan: &DeployPlan,
    id: &DeploymentId,
    limits: Limits,
    now: Timestamp,
    previous: Option<&Revision>,
) -> DeploymentRecord {
    // As it would stand in the store: a record may gain members that a simulated user does not know.
    let record = serde_json::json!({
        "id": id,
        "scope": scope(),
        "application_id": "app",
        "application_name": "app",
        "group_id": group_id(plan.group),
        "group_name": group_id(plan.group),
        "config_name": DEFAULT_SERVER_CONFIG,
        "minimum_healthy_hosts": plan.minimum,
        "revision": revision(plan.revision),
        "previous_revision": previous,
        "description": null,
        "creator": "user",
        "created": now,
        "ignore_application_stop_failures": plan.ignore_stop_failures,
        "update_outdated_instances_only": plan.outdated_only,
        "file_exists_behavior": FileExistsBehavior::default(),
        "on_premises": TagSelection::Flat(vec![TagFilter::Key(group_id(plan.group))]),
        "auto_rollback": AutoRollback { enabled: true, events: plan.rollback.clone() },
        "course": Course {
            zonal: plan.zonal,
            update_outdated_afterwards: plan.update_outdated_afterwards,
            ..Course::default()
        },
        "service_role_arn": "",
        "max_instances": 1_000_000,
        "pick_up_limit_ms": limits.pick_up,
        "event_limit_ms": limits.event,
        "run_limit_ms": limits.run,
    });
    serde_json::from_value(record).expect("a record is made of these members")
}

/// Does what users and fate do, at its time.
pub(crate) async fn act(core: Core, nodes: Vec<Arc<Node>>, scenario: Scenario) {
    for (at, action) in &scenario.actions {
        let wait = at - core.now().0;
        if wait > 0 {
            core.wait(Wait::Millis(wait)).await;
        }
        core.tell(|| format!("{action:?}"));
        match action {
            Action::Deploy(plan) => deploy(&core, &nodes, plan, scenario.limits).await,
            Action::Stop { group, roll_back } => {
                let stop = DeploymentEvent::Stop { requested_by: "a user".into(), roll_back: *roll_back };
                tell(&core, &nodes, *group, stop).await;
            }
            Action::Alarm { group } => {
                let alarm = DeploymentEvent::Alarm { names: vec!["hot".into()] };
                tell(&core, &nodes, *group, alarm).await;
            }
            Action::Retag { host, group } => retag(&nodes, *host, *group).await,
            Action::Crash { node, back_after } => {
                core.strike(Blow::KillNode(*node));
                let (node, back_after, again) = (*node, *back_after, core.clone());
                core.start(super::core::Owner::Fate, async move {
                    again.wait(Wait::Millis(back_after)).await;
                    again.strike(Blow::StartNode(node));
                });
            }
            Action::Pause { node, millis } => core.strike(Blow::PauseNode(*node, *millis)),
            Action::Skew { node, millis } => {
                nodes[usize::from(*node)].skew.store(*millis, Ordering::Relaxed);
            }
        }
    }
    core.all_done();
}

fn any_up(nodes: &[Arc<Node>]) -> Option<Arc<Node>> {
    nodes.iter().find(|node| node.is_up()).cloned()
}

async fn deploy(core: &Core, nodes: &[Arc<Node>], plan: &DeployPlan, limits: Limits) {
    let Some(node) = any_up(nodes) else { return };
    let request = async {
        let key = history_key(plan.group);
        let document = node.store().document(&key).await.ok().flatten()?;
        let mut history: GroupHistory = serde_json::from_str(&document.body).ok()?;
        let bytes = node.random();
        let id = DeploymentId::from_random(std::array::from_fn(|i| bytes[i]));
        let record = record(plan, &id, limits, node.now(), history.target_revision.as_ref());
        history.last_attempted = Some(PastDeployment {
            id,
            status: DeploymentStatus::Created,
            created: record.created,
            ended: None,
        });
        let mut change = ChangeSet::new().with(Write::Replace(Document { body: json(&history), ..document }));
        create::deployment(&mut change, &record, node.pacing());
        Some((record.id, node.store().commit(change).await))
    };
    let answer = through(&node, request).await;
    core.tell(|| format!("the answer: {answer:?}"));
}

/// Something happens to the last deployment of a group.
async fn tell(core: &Core, nodes: &[Arc<Node>], group: u8, event: DeploymentEvent) {
    let Some(node) = any_up(nodes) else { return };
    let request = async {
        let document = node.store().document(&history_key(group)).await.ok().flatten()?;
        let history: GroupHistory = serde_json::from_str(&document.body).ok()?;
        Some(
            deployment::step(&node, &history.last_attempted?.id, &event)
                .await
                .map(|machine| machine.status()),
        )
    };
    let answer = through(&node, request).await;
    core.tell(|| format!("the answer: {answer:?}"));
}

async fn retag(nodes: &[Arc<Node>], host: usize, group: u8) {
    let Some(node) = any_up(nodes) else { return };
    let request = async {
        let key = key(Kind::OnPremisesInstance, "", &format!("host-{host}"));
        let document = node.store().document(&key).await.ok().flatten()?;
        let mut instance: OnPremisesInstance = serde_json::from_str(&document.body).ok()?;
        let before = instance.tags.len();
        instance.tags.retain(|t| *t != tag(group));
        if instance.tags.len() == before {
            instance.tags.push(tag(group));
        }
        let replace = Write::Replace(Document { body: json(&instance), ..document });
        node.store().commit(ChangeSet::new().with(replace)).await.ok()
    };
    through(&node, request).await;
}
