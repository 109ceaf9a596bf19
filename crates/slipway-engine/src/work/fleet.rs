//! Which hosts a deployment goes to, and in which order.

use std::collections::HashMap;

use crate::health::{InstanceHealth, RevisionHealth};
use crate::schedule::{HostHealth, order_hosts};
use crate::target::{EVENT_GRACE_MS, TargetLimits, TargetMachine};
use slipway_model::Timestamp;
use slipway_model::deployment::DeploymentRecord;
use slipway_model::resources::OnPremisesInstance;
use slipway_store::{HealthRow, Kind, Partition, TargetKey, TargetRow};

use super::{Site, WorkError};

const PAGE: u32 = 1000;

/// The hosts of a deployment in the order in which they are started.
pub(super) struct Fleet {
    pub(super) targets: Vec<TargetRow>,
    pub(super) unhealthy: u32,
}

/// Resolves the deployment's group to hosts, by the tags that they have now (CF-210, AG-147).
pub(super) async fn resolve(
    site: &impl Site,
    record: &DeploymentRecord,
    now: Timestamp,
) -> Result<Fleet, WorkError> {
    let instances = selected_instances(site, record).await?;
    let health: HashMap<String, HealthRow> = site
        .store()
        .host_health(&record.group_id)
        .await?
        .into_iter()
        .map(|row| (row.host.clone(), row))
        .collect();
    let current = record.previous_revision.as_ref().map(slipway_model::revision::Revision::identity);
    let mut by_id: HashMap<String, OnPremisesInstance> = HashMap::with_capacity(instances.len());
    let mut hosts = Vec::with_capacity(instances.len());
    for instance in instances {
        hosts.push(health_of(&instance.arn, health.get(&instance.arn), current.as_deref()));
        by_id.insert(instance.arn.clone(), instance);
    }
    let unhealthy = order_hosts(&mut hosts, seed_of(record));
    let machine = waiting_machine(record);
    let machine_json =
        serde_json::to_string(&machine).expect("a machine is plain data and always has a JSON form");
    let targets = hosts
        .into_iter()
        .zip(0..)
        .filter_map(|(host, ordinal)| {
            let instance = by_id.remove(&host.id)?;
            Some(TargetRow {
                key: TargetKey { deployment: record.id.clone(), ordinal },
                host: instance.arn,
                name: instance.name,
                status: machine.status(),
                offer_at: None,
                outstanding: false,
                uncounted: false,
                updated: now,
                machine: machine_json.clone(),
                version: 0,
            })
        })
        .collect();
    Ok(Fleet { targets, unhealthy })
}

/// A target machine of this deployment that has not begun.
pub(super) fn waiting_machine(record: &DeploymentRecord) -> TargetMachine {
    TargetMachine::new(
        record.events(),
        TargetLimits {
            pick_up_ms: record.pick_up_limit_ms,
            first_pick_up_ms: record.pick_up_limit_ms,
            event_ms: record.event_limit_ms,
            grace_ms: EVENT_GRACE_MS,
            ignore_stop_failures: record.ignore_application_stop_failures,
        },
    )
}

async fn selected_instances(
    site: &impl Site,
    record: &DeploymentRecord,
) -> Result<Vec<OnPremisesInstance>, WorkError> {
    let Some(selection) = &record.on_premises else { return Ok(Vec::new()) };
    let partition = Partition::Regional(record.scope.clone());
    let mut selected = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page =
            site.store().documents(&partition, Kind::OnPremisesInstance, "", after.as_deref(), PAGE).await?;
        for document in &page {
            let instance: OnPremisesInstance = serde_json::from_str(&document.body).map_err(|cause| {
                WorkError::Damaged { what: format!("on-premises instance {}", document.key.name), cause }
            })?;
            if instance.deregistered.is_none() && selection.matches(&instance.tags) {
                selected.push(instance);
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = Some(last.key.name.clone()),
            _ => return Ok(selected),
        }
    }
}

/// Health of a host as the group sees it (CF-010, CF-011): one that was never deployed to is Unhealthy and Unknown.
fn health_of(id: &str, row: Option<&HealthRow>, current: Option<&str>) -> HostHealth {
    let instance =
        if row.is_some_and(|r| r.healthy) { InstanceHealth::Healthy } else { InstanceHealth::Unhealthy };
    let revision = RevisionHealth::of(row.and_then(|r| r.installed_revision.as_deref()), current);
    HostHealth { id: id.to_owned(), instance, revision }
}

/// The random order of CF-013 must be the same when the step is repeated: it comes from the deployment's id.
fn seed_of(record: &DeploymentRecord) -> u64 {
    // FNV-1a: any fixed mixing will do; the ids are random already.
    record
        .id
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
