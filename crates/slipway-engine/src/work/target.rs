//! One step of a target: load, apply, commit where the version is still what was read.

use crate::health::Attempt;
use std::sync::Arc;

use crate::target::{AbortReason, CommandRef, Refusal, TargetEvent, TargetMachine, TargetNote, TargetStep};
use slipway_model::Timestamp;
use slipway_model::deployment::DeploymentRecord;
use slipway_model::lifecycle::EventName;
use slipway_model::status::TargetStatus;
use slipway_store::{
    ChangeSet, CommitError, EventRow, HealthRow, Notice, ReadError, TargetKey, TargetRow, Wakeup, WakeupKey,
    Write,
};

use super::{Site, WorkError, settle};

/// Most commands that one host may have been given and not finished (AP-38).
pub const MOST_OUTSTANDING: u32 = 16;

/// How often a step is tried again after losing against another one. Steps on one target come from one host, one
/// timer and one user: more collisions than this mean that something is wrong.
const MOST_RETRIES: usize = 20;

/// So long after a start of the control plane no pick-up limit passes: agents that found it away come back after up to
/// 90 s (AP-05), and their hosts must not pay for our absence.
const AFTER_START_MS: i64 = 120_000;

/// Why a step on a target was not done.
#[derive(Debug, thiserror::Error)]
pub enum TargetStepError {
    /// There is no such target.
    #[error("there is no such target")]
    NoTarget,
    /// The machine refused the event.
    #[error(transparent)]
    Refused(Refusal),
    /// The store or a stored row is at fault.
    #[error(transparent)]
    Work(#[from] WorkError),
}

impl From<ReadError> for TargetStepError {
    fn from(error: ReadError) -> Self {
        Self::Work(error.into())
    }
}

/// Applies `event` to a target and makes the result durable, trying again when someone else was faster.
pub async fn step(
    site: &impl Site,
    key: &TargetKey,
    event: &TargetEvent,
) -> Result<(TargetRow, TargetStep), TargetStepError> {
    for _ in 0..MOST_RETRIES {
        let row = site.store().target(key).await?.ok_or(TargetStepError::NoTarget)?;
        match apply(site, row, event.clone(), ChangeSet::new()).await {
            Err(TargetStepError::Work(WorkError::Commit(CommitError::Conflict { .. }))) => {}
            done => return done,
        }
    }
    Err(TargetStepError::Work(CommitError::Conflict { what: key.to_string() }.into()))
}

/// Applies `event` to a row that was read before; `change` is committed with it. A conflict is the caller's to handle.
pub async fn apply(
    site: &impl Site,
    row: TargetRow,
    event: TargetEvent,
    mut change: ChangeSet,
) -> Result<(TargetRow, TargetStep), TargetStepError> {
    let now = site.now();
    let mut machine = machine_of(&row)?;
    let step = machine.apply(event, now).map_err(TargetStepError::Refused)?;
    let mut row = row;
    if step.changed {
        let record = record_of(site, &row.key).await?;
        write(&mut change, &record, &mut row, &machine, &step, now);
        change.push(Write::SetTimer { key: WakeupKey::Target(row.key.clone()), due: machine.deadline() });
    }
    if !change.writes.is_empty() {
        site.store().commit(change).await.map_err(WorkError::from)?;
    }
    Ok((row, step))
}

/// Takes the command of this host that has waited longest, if it may have one more (AP-38). The answer may leave only
/// after this has returned: then the hand-out is durable.
pub async fn take(
    site: &impl Site,
    host: &str,
) -> Result<Option<(TargetRow, CommandRef, EventName)>, TargetStepError> {
    loop {
        let Some(row) = site.store().next_command(host, site.now()).await? else { return Ok(None) };
        if !row.outstanding && site.store().outstanding_commands(host).await? >= MOST_OUTSTANDING {
            return Ok(None);
        }
        let event = TargetEvent::HandOut { nonce: u128::from_le_bytes(site.random()) as u64 };
        match apply(site, row, event, ChangeSet::new()).await {
            Ok((row, step)) => return Ok(step.handed_out.map(|(command, event)| (row, command, event))),
            // Another poll of the same host, a timer, a stop or a deletion was faster: look again.
            Err(
                TargetStepError::NoTarget
                | TargetStepError::Work(WorkError::Commit(CommitError::Conflict { .. })),
            ) => {}
            // Its limit has passed, and the tick that says so is under way.
            Err(TargetStepError::Refused(Refusal::NotOffered)) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// Adds to `change` what a step of a target means for its row, its host's health, the event log and listeners.
pub(super) fn write(
    change: &mut ChangeSet,
    record: &DeploymentRecord,
    row: &mut TargetRow,
    machine: &TargetMachine,
    step: &TargetStep,
    now: Timestamp,
) {
    refresh(row, machine, now);
    row.uncounted |= step.ended.is_some();
    change.push(Write::UpdateTarget(Box::new(row.clone())));
    notes(change, record, row, &step.notes, now);
    if let Some(status) = step.ended {
        change.writes.extend(health_after(record, row, status));
        change.push(Write::Wake { key: WakeupKey::Deployment(row.key.deployment.clone()), due: now });
    }
    if step.ready {
        change.notify(Notice::HostReady(row.host.clone()));
    }
    change.notify(Notice::DeploymentChanged(row.key.deployment.clone()));
}

/// Copies into the row what must be found without reading the machine.
pub(super) fn refresh(row: &mut TargetRow, machine: &TargetMachine, now: Timestamp) {
    row.status = machine.status();
    row.offer_at = machine.offer().map(|offer| offer.available_at);
    row.outstanding = machine.outstanding();
    row.updated = now;
    row.machine = serde_json::to_string(machine).expect("a machine is plain data and always has a JSON form");
}

/// Adds entries for the event log.
pub(super) fn notes(
    change: &mut ChangeSet,
    record: &DeploymentRecord,
    row: &TargetRow,
    notes: &[TargetNote],
    now: Timestamp,
) {
    for note in notes {
        change.push(Write::Event(EventRow {
            seq: 0,
            scope: record.scope.clone(),
            deployment: record.id.clone(),
            target: Some(row.name.clone()),
            at: now,
            what: note_json(*note).to_string(),
        }));
    }
}

fn note_json(note: TargetNote) -> serde_json::Value {
    match note {
        TargetNote::TargetStarted => serde_json::json!({"kind": "TargetStarted"}),
        TargetNote::TargetEnded(status) => serde_json::json!({"kind": "TargetEnded", "status": status}),
        TargetNote::EventStarted(name) => serde_json::json!({"kind": "EventStarted", "event": name}),
        TargetNote::EventEnded(name, status) => {
            serde_json::json!({"kind": "EventEnded", "event": name, "status": status})
        }
    }
}

/// Health of a host after an attempt: its own result decides, and a failure leaves what was last installed with success
/// (CF-014..CF-016); see [`crate::health::after_deployment`].
fn health_after(record: &DeploymentRecord, row: &TargetRow, status: TargetStatus) -> Option<Write> {
    let (group_id, host) = (record.group_id.clone(), row.host.clone());
    match Attempt::of(status) {
        Attempt::NotAttempted => None,
        Attempt::Succeeded => Some(Write::PutHealth(HealthRow {
            group_id,
            host,
            healthy: true,
            installed_revision: Some(record.revision.identity()),
        })),
        Attempt::Failed => Some(Write::FailHealth { group_id, host }),
    }
}

/// A target's time has come.
pub(super) async fn tick(site: &impl Site, key: &TargetKey, wakeup: &Wakeup) -> Result<(), WorkError> {
    for _ in 0..MOST_RETRIES {
        let Some(row) = site.store().target(key).await? else {
            site.store().commit(ChangeSet::new().with(settle(wakeup, None))).await?;
            return Ok(());
        };
        let away = site.now().millis_since(site.started()) < AFTER_START_MS;
        let host_is_full = away
            || !row.outstanding && site.store().outstanding_commands(&row.host).await? >= MOST_OUTSTANDING;
        let deadline = machine_of(&row)?.deadline();
        // The wake-up is settled in the same change; when the machine moves, its new timer replaces the settled one.
        let settled = ChangeSet::new().with(settle(wakeup, deadline));
        match apply(site, row, TargetEvent::Tick { host_is_full }, settled).await {
            Err(TargetStepError::Work(WorkError::Commit(CommitError::Conflict { .. }))) => {}
            Err(TargetStepError::Refused(refusal)) => {
                return Err(WorkError::Refused { what: key.to_string(), cause: refusal.to_string() });
            }
            Err(TargetStepError::Work(error)) => return Err(error),
            Err(TargetStepError::NoTarget) | Ok(_) => return Ok(()),
        }
    }
    Err(CommitError::Conflict { what: key.to_string() }.into())
}

/// Tells a target that its deployment has been given up. Doing it again changes nothing.
pub(super) async fn abort(site: &impl Site, key: &TargetKey, reason: AbortReason) -> Result<(), WorkError> {
    match step(site, key, &TargetEvent::Abort(reason)).await {
        Ok(_) | Err(TargetStepError::NoTarget) => Ok(()),
        Err(TargetStepError::Refused(cause)) => {
            Err(WorkError::Refused { what: key.to_string(), cause: cause.to_string() })
        }
        Err(TargetStepError::Work(error)) => Err(error),
    }
}

/// The machine in a row.
pub fn machine_of(row: &TargetRow) -> Result<TargetMachine, WorkError> {
    serde_json::from_str(&row.machine)
        .map_err(|cause| WorkError::Damaged { what: format!("target {}", row.key), cause })
}

async fn record_of(site: &impl Site, key: &TargetKey) -> Result<Arc<DeploymentRecord>, TargetStepError> {
    if let Some(record) = site.records().get(&key.deployment) {
        return Ok(record);
    }
    let deployment = site.store().deployment(&key.deployment).await?.ok_or(TargetStepError::NoTarget)?;
    let record = Arc::new(super::deployment::record_of(&deployment)?);
    site.records().put(&record);
    Ok(record)
}
