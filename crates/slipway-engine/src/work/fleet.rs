//! Which hosts a deployment goes to, and in which order.

use std::collections::{BTreeMap, HashMap};

use crate::deployment::ZoneHosts;
use crate::health::{InstanceHealth, RevisionHealth};
use crate::schedule::{HostHealth, order_hosts};
use crate::target::{EVENT_GRACE_MS, TargetLimits, TargetMachine};
use crate::text;
use slipway_model::Timestamp;
use slipway_model::deployment::DeploymentRecord;
use slipway_model::resources::OnPremisesInstance;
use slipway_model::status::ErrorInformation;
use slipway_model::zones::zone_of;
use slipway_store::{HealthRow, Kind, Partition, TargetKey, TargetRow};

use super::{Site, WorkError};

const PAGE: u32 = 1000;

/// The hosts of a deployment in the order in which they are started.
pub(super) struct Fleet {
    pub(super) targets: Vec<TargetRow>,
    /// How many of them are where, in the same order; one entry without zones.
    pub(super) zones: Vec<ZoneHosts>,
}

/// The hosts of one zone.
#[derive(Default)]
struct Zone {
    hosts: Vec<HostHealth>,
    current: u32,
}

/// Resolves the deployment's group to hosts, by the tags that they have now (CF-210, AG-147); or says why it cannot.
pub(super) async fn resolve(
    site: &impl Site,
    record: &DeploymentRecord,
    now: Timestamp,
) -> Result<Result<Fleet, ErrorInformation>, WorkError> {
    let instances = selected_instances(site, record).await?;
    let health = health_of_group(site, record).await?;
    let current = record.previous_revision.as_ref().map(slipway_model::revision::Revision::identity);
    let deployed = record.revision.identity();
    let mut by_id: HashMap<String, OnPremisesInstance> = HashMap::with_capacity(instances.len());
    // By name, in ascending order (D-11).
    let mut zones: BTreeMap<String, Zone> = BTreeMap::new();
    let mut without_zone = Vec::new();
    for instance in instances {
        let name = match (&record.course.zonal, zone_of(&instance.tags)) {
            (None, _) => String::new(),
            (Some(_), Some(zone)) => zone.to_owned(),
            (Some(_), None) => {
                without_zone.push(instance.name);
                continue;
            }
        };
        let zone = zones.entry(name).or_default();
        let row = health.get(&instance.arn);
        if record.update_outdated_instances_only && runs(row, &deployed) {
            zone.current += 1;
            continue;
        }
        zone.hosts.push(health_of(&instance.arn, row, current.as_deref()));
        by_id.insert(instance.arn.clone(), instance);
    }
    if !without_zone.is_empty() {
        return Ok(Err(text::without_zone(&without_zone)));
    }
    let machine = waiting_machine(record);
    let machine_json =
        serde_json::to_string(&machine).expect("a machine is plain data and always has a JSON form");
    let mut fleet =
        Fleet { targets: Vec::with_capacity(by_id.len()), zones: Vec::with_capacity(zones.len()) };
    for mut zone in zones.into_values() {
        let unhealthy = order_hosts(&mut zone.hosts, seed_of(record));
        let targets = u32::try_from(zone.hosts.len()).unwrap_or(u32::MAX);
        let healthy = targets.saturating_sub(unhealthy);
        fleet.zones.push(ZoneHosts { unhealthy, healthy, current: zone.current });
        for host in zone.hosts {
            let Some(instance) = by_id.remove(&host.id) else { continue };
            fleet.targets.push(TargetRow {
                key: TargetKey {
                    deployment: record.id.clone(),
                    ordinal: u32::try_from(fleet.targets.len()).unwrap_or(u32::MAX),
                },
                host: instance.arn,
                name: instance.name,
                status: machine.status(),
                offer_at: None,
                outstanding: false,
                uncounted: false,
                updated: now,
                machine: machine_json.clone(),
                version: 0,
            });
        }
    }
    Ok(Ok(fleet))
}

/// Whether the group has a host now that does not run what this deployment has deployed and was none of its targets
/// (CF-301). Its own targets were given their chance.
pub(super) async fn someone_was_left_behind(
    site: &impl Site,
    record: &DeploymentRecord,
) -> Result<bool, WorkError> {
    let health = health_of_group(site, record).await?;
    let deployed = record.revision.identity();
    for instance in selected_instances(site, record).await? {
        if !runs(health.get(&instance.arn), &deployed)
            && site.store().target_by_host(&record.id, &instance.arn).await?.is_none()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn health_of_group(
    site: &impl Site,
    record: &DeploymentRecord,
) -> Result<HashMap<String, HealthRow>, WorkError> {
    let rows = site.store().host_health(&record.group_id).await?;
    Ok(rows.into_iter().map(|row| (row.host.clone(), row)).collect())
}

/// Whether this revision was the last thing that was installed there, with success.
fn runs(row: Option<&HealthRow>, revision: &str) -> bool {
    row.is_some_and(|row| row.healthy && row.installed_revision.as_deref() == Some(revision))
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
