//! One step of a deployment: what has happened since the last one goes in, and what follows is made durable with it.

use crate::deployment::{
    DeploymentEffect, DeploymentEvent, DeploymentMachine, DeploymentSettings, FollowUp, Pacing,
};
use crate::target::{AbortReason, TargetEvent};
use slipway_model::deployment::{AutoRollbackEvent, DeploymentRecord};
use slipway_model::resources::{GroupHistory, PastDeployment, RegisteredRevision};
use slipway_model::status::{DeploymentStatus, TargetStatus};
use slipway_model::{DeploymentId, Timestamp};
use slipway_store::{
    ChangeSet, CommitError, DeploymentRow, Document, DocumentKey, EventRow, Kind, Notice, Partition,
    TargetQuery, TargetRow, Wakeup, WakeupKey, Write,
};

use super::{Site, WorkError, create, fleet, settle, successor, target};

/// Ended targets that one step counts; more wait for the next one, which is due at once.
const BATCH: u32 = 1000;
const MOST_RETRIES: usize = 50;

/// Why a step on a deployment was not done.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentStepError {
    /// There is no such deployment.
    #[error("there is no such deployment")]
    NoDeployment,
    /// The machine refused the event.
    #[error(transparent)]
    Refused(crate::deployment::DeploymentRefusal),
    /// The store or a stored row is at fault.
    #[error(transparent)]
    Work(#[from] WorkError),
}

impl From<slipway_store::ReadError> for DeploymentStepError {
    fn from(error: slipway_store::ReadError) -> Self {
        Self::Work(error.into())
    }
}

/// The machine of a new deployment.
pub fn new_machine(record: &DeploymentRecord, pacing: Pacing) -> DeploymentMachine {
    let rollback = record.auto_rollback.as_ref().filter(|settings| settings.enabled);
    let rolls_back = |event| rollback.is_some_and(|settings| settings.events.contains(&event));
    DeploymentMachine::new(DeploymentSettings {
        minimum: record.minimum_healthy_hosts,
        pacing,
        run_limit_ms: record.run_limit_ms,
        max_targets: record.max_instances,
        group_name: record.group_name.clone(),
        zonal: record.course.zonal,
        follow_up: FollowUp {
            is_rollback: record.course.rollback_of.is_some(),
            roll_back_failure: rolls_back(AutoRollbackEvent::DeploymentFailure),
            roll_back_stop: rolls_back(AutoRollbackEvent::DeploymentStopOnRequest),
            roll_back_alarm: rolls_back(AutoRollbackEvent::DeploymentStopOnAlarm),
            update_outdated: record.course.update_outdated_afterwards,
        },
    })
}

/// The frozen copy in a row.
pub fn record_of(row: &DeploymentRow) -> Result<DeploymentRecord, WorkError> {
    serde_json::from_str(&row.record)
        .map_err(|cause| WorkError::Damaged { what: format!("deployment {}", row.id), cause })
}

/// The machine in a row.
pub fn machine_of(row: &DeploymentRow) -> Result<DeploymentMachine, WorkError> {
    serde_json::from_str(&row.machine)
        .map_err(|cause| WorkError::Damaged { what: format!("deployment {}", row.id), cause })
}

/// Applies one event from outside (a stop request) and makes the result durable; returns the machine as it is then.
pub async fn step(
    site: &impl Site,
    id: &DeploymentId,
    event: &DeploymentEvent,
) -> Result<DeploymentMachine, DeploymentStepError> {
    for _ in 0..MOST_RETRIES {
        let row = site.store().deployment(id).await?.ok_or(DeploymentStepError::NoDeployment)?;
        let mut step = Step::load(row, site.now())?;
        step.feed(site, event.clone()).await?;
        // Targets that are under way are told by the worker, one commit each.
        step.change.push(Write::Wake { key: WakeupKey::Deployment(id.clone()), due: step.now });
        match step.commit(site).await {
            Err(CommitError::Conflict { .. }) => {}
            Ok(machine) => return Ok(machine),
            Err(error) => return Err(WorkError::from(error).into()),
        }
    }
    Err(WorkError::from(CommitError::Conflict { what: id.to_string() }).into())
}

/// A deployment has something to do.
pub(super) async fn work(site: &impl Site, id: &DeploymentId, wakeup: &Wakeup) -> Result<(), WorkError> {
    for _ in 0..MOST_RETRIES {
        let Some(row) = site.store().deployment(id).await? else {
            site.store().commit(ChangeSet::new().with(settle(wakeup, None))).await?;
            return Ok(());
        };
        match advance(site, row, wakeup).await {
            Err(DeploymentStepError::Work(WorkError::Commit(CommitError::Conflict { .. }))) => {}
            Err(DeploymentStepError::Work(error)) => return Err(error),
            Err(DeploymentStepError::Refused(cause)) => {
                return Err(WorkError::Refused {
                    what: format!("deployment {id}"),
                    cause: cause.to_string(),
                });
            }
            Err(DeploymentStepError::NoDeployment) | Ok(()) => return Ok(()),
        }
    }
    Err(CommitError::Conflict { what: id.to_string() }.into())
}

async fn advance(site: &impl Site, row: DeploymentRow, wakeup: &Wakeup) -> Result<(), DeploymentStepError> {
    let id = row.id.clone();
    let ended = site.store().uncounted_targets(&id, BATCH).await?;
    let mut step = Step::load(row, site.now())?;
    if step.machine.status() == DeploymentStatus::Created {
        step.feed(site, DeploymentEvent::Start).await?;
    }
    if !ended.is_empty() {
        step.count(site, &ended).await?;
    }
    if step.machine.deadline().is_some_and(|deadline| deadline <= step.now) {
        step.feed(site, DeploymentEvent::Tick).await?;
    }
    let more = ended.len() == BATCH as usize;
    let next = if more { Some(step.now) } else { step.machine.deadline() };
    // The lease is kept until the targets have been told, so that a crash in between repeats the telling.
    let abort = step.machine.aborting();
    if abort.is_none() {
        step.change.push(settle(wakeup, next));
    }
    let machine = step.commit(site).await.map_err(WorkError::from)?;
    if let Some(reason) = abort {
        abort_active(site, &id, reason).await?;
        site.store()
            .commit(ChangeSet::new().with(settle(wakeup, if more { next } else { machine.deadline() })))
            .await
            .map_err(WorkError::from)?;
    }
    Ok(())
}

/// Tells every target that is under way that the deployment has been given up.
async fn abort_active(site: &impl Site, id: &DeploymentId, reason: AbortReason) -> Result<(), WorkError> {
    let mut from = 0;
    loop {
        let page = site
            .store()
            .targets(&TargetQuery {
                deployment: id.clone(),
                statuses: vec![TargetStatus::InProgress],
                from,
                limit: BATCH,
            })
            .await?;
        let Some(last) = page.last() else { return Ok(()) };
        from = last.key.ordinal + 1;
        for row in &page {
            target::abort(site, &row.key, reason).await?;
        }
    }
}

/// A step under construction: the machine moves in memory, and the writes that follow are collected.
struct Step {
    row: DeploymentRow,
    record: DeploymentRecord,
    machine: DeploymentMachine,
    /// Targets resolved in this very step; they are inserted as the step leaves them.
    resolved: Vec<TargetRow>,
    /// What the group remembers; read when the deployment ends, written with the step.
    history: Option<(Document, GroupHistory)>,
    change: ChangeSet,
    now: Timestamp,
    changed: bool,
}

impl Step {
    fn load(row: DeploymentRow, now: Timestamp) -> Result<Self, WorkError> {
        let record = record_of(&row)?;
        let machine = machine_of(&row)?;
        Ok(Self {
            row,
            record,
            machine,
            resolved: Vec::new(),
            history: None,
            change: ChangeSet::new(),
            now,
            changed: false,
        })
    }

    /// Applies an event and everything that follows from it, until nothing more does.
    async fn feed(&mut self, site: &impl Site, event: DeploymentEvent) -> Result<(), DeploymentStepError> {
        let mut events = std::collections::VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let effects = self.machine.apply(event, self.now).map_err(DeploymentStepError::Refused)?;
            self.changed = true;
            for effect in effects {
                if let Some(follow_up) = self.carry_out(site, effect).await? {
                    events.push_back(follow_up);
                }
            }
        }
        Ok(())
    }

    async fn count(&mut self, site: &impl Site, ended: &[TargetRow]) -> Result<(), DeploymentStepError> {
        let with = |status: TargetStatus| u32::try_from(ended.iter().filter(|t| t.status == status).count());
        let event = DeploymentEvent::TargetsEnded {
            succeeded: with(TargetStatus::Succeeded).unwrap_or(u32::MAX),
            failed: with(TargetStatus::Failed).unwrap_or(u32::MAX),
            skipped: with(TargetStatus::Skipped).unwrap_or(u32::MAX),
        };
        self.feed(site, event).await?;
        self.change.push(Write::MarkCounted {
            deployment: self.record.id.clone(),
            ordinals: ended.iter().map(|t| t.key.ordinal).collect(),
        });
        Ok(())
    }

    async fn carry_out(
        &mut self,
        site: &impl Site,
        effect: DeploymentEffect,
    ) -> Result<Option<DeploymentEvent>, DeploymentStepError> {
        match effect {
            DeploymentEffect::ResolveFleet => {
                return Ok(Some(match fleet::resolve(site, &self.record, self.now).await? {
                    Err(error) => DeploymentEvent::ResolveFailed(error),
                    Ok(fleet) => {
                        let total = u32::try_from(fleet.targets.len()).unwrap_or(u32::MAX);
                        // A fleet beyond the quota fails the deployment and is not written down host by host.
                        if total <= self.record.max_instances {
                            self.resolved = fleet.targets;
                        }
                        DeploymentEvent::FleetResolved(fleet.zones)
                    }
                }));
            }
            DeploymentEffect::StartTargets { first, count } => {
                self.start_targets(site, first, count).await?;
            }
            DeploymentEffect::SkipWaiting { first } => self.skip_waiting(first)?,
            // The machine remembers it, and the worker tells the targets when this step is durable.
            DeploymentEffect::AbortActive(_) => {}
            DeploymentEffect::StatusChanged(status) => self.note_status(status),
            DeploymentEffect::Finished { status, .. } => self.finish(site, status).await?,
            DeploymentEffect::StartRollback => {
                return Ok(Some(DeploymentEvent::SuccessorChosen(self.roll_back(site).await?)));
            }
            DeploymentEffect::StartFollowOn => {
                return Ok(Some(DeploymentEvent::SuccessorChosen(self.follow_on(site).await?)));
            }
        }
        Ok(None)
    }

    async fn start_targets(
        &mut self,
        site: &impl Site,
        first: u32,
        count: u32,
    ) -> Result<(), DeploymentStepError> {
        if self.resolved.is_empty() {
            let query = TargetQuery {
                deployment: self.record.id.clone(),
                statuses: vec![TargetStatus::Pending],
                from: first,
                limit: count,
            };
            for mut row in site.store().targets(&query).await? {
                self.start_one(&mut row, true)?;
            }
        } else {
            let mut resolved = std::mem::take(&mut self.resolved);
            for row in resolved.iter_mut().skip(first as usize).take(count as usize) {
                self.start_one(row, false)?;
            }
            self.resolved = resolved;
        }
        Ok(())
    }

    /// Starts a target; one that is `stored` already is updated, another one is inserted with the step's commit.
    fn start_one(&mut self, row: &mut TargetRow, stored: bool) -> Result<(), DeploymentStepError> {
        let mut machine = target::machine_of(row)?;
        let step = machine.apply(TargetEvent::Start, self.now).map_err(|cause| WorkError::Refused {
            what: format!("target {}", row.key),
            cause: cause.to_string(),
        })?;
        if stored {
            target::write(&mut self.change, &self.record, row, &machine, &step, self.now);
        } else {
            target::refresh(row, &machine, self.now);
            target::notes(&mut self.change, &self.record, row, &step.notes, self.now);
            self.change.notify(Notice::HostReady(row.host.clone()));
        }
        self.change
            .push(Write::SetTimer { key: WakeupKey::Target(row.key.clone()), due: machine.deadline() });
        Ok(())
    }

    fn skip_waiting(&mut self, first: u32) -> Result<(), DeploymentStepError> {
        let mut machine = fleet::waiting_machine(&self.record);
        machine.apply(TargetEvent::Skip, self.now).map_err(|cause| WorkError::Refused {
            what: format!("deployment {}", self.record.id),
            cause: cause.to_string(),
        })?;
        if self.resolved.is_empty() {
            self.change.push(Write::SkipPending {
                deployment: self.record.id.clone(),
                first,
                status: machine.status(),
                machine: serde_json::to_string(&machine)
                    .expect("a machine is plain data and always has a JSON form"),
                at: self.now,
            });
        } else {
            for row in self.resolved.iter_mut().skip(first as usize) {
                target::refresh(row, &machine, self.now);
            }
        }
        Ok(())
    }

    fn note_status(&mut self, status: DeploymentStatus) {
        self.note(&serde_json::json!({"kind": "DeploymentStatus", "status": status}));
    }

    fn note(&mut self, what: &serde_json::Value) {
        self.change.push(Write::Event(EventRow {
            seq: 0,
            scope: self.record.scope.clone(),
            deployment: self.record.id.clone(),
            target: None,
            at: self.now,
            what: what.to_string(),
        }));
    }

    /// The group remembers how its deployment ended; after a success the revision becomes the group's (CF-014, D-26).
    async fn finish(
        &mut self,
        site: &impl Site,
        status: DeploymentStatus,
    ) -> Result<(), DeploymentStepError> {
        let past = PastDeployment {
            id: self.record.id.clone(),
            status,
            created: self.record.created,
            ended: Some(self.now),
        };
        let key = DocumentKey {
            partition: Partition::Regional(self.record.scope.clone()),
            kind: Kind::GroupHistory,
            parent: self.record.application_id.clone(),
            name: self.record.group_id.clone(),
        };
        // A group that was deleted meanwhile has no history any more, and gets none.
        if let Some(document) = site.store().document(&key).await? {
            let mut history: GroupHistory = parse(&document.body, "history of a deployment group")?;
            history.last_attempted = Some(past.clone());
            if status == DeploymentStatus::Succeeded {
                history.last_successful = Some(past);
                history.target_revision = Some(self.record.revision.clone());
            }
            self.history = Some((document, history));
        }
        if status == DeploymentStatus::Succeeded {
            // CF-014: of a host that failed nothing is Current any more.
            self.change.writes.extend(self.record.previous_revision.as_ref().map(|previous| {
                Write::ForgetInstalled {
                    group_id: self.record.group_id.clone(),
                    deployment: self.record.id.clone(),
                    revision: previous.identity(),
                }
            }));
            self.remember_target_revision(site).await?;
        }
        Ok(())
    }

    /// Creates the rollback, in the commit that ends this deployment: nobody's deployment comes between them (DP-223).
    async fn roll_back(&mut self, site: &impl Site) -> Result<Option<DeploymentId>, DeploymentStepError> {
        let good = self.history.as_ref().and_then(|(_, history)| history.last_successful.as_ref());
        let Some(good) = good.map(|past| past.id.clone()) else { return Ok(None) };
        let Some(good) = site.store().deployment(&good).await? else { return Ok(None) };
        let record = successor::rollback(&self.record, &record_of(&good)?, new_id(site), self.now);
        Ok(Some(self.create(site, &record, "Rollback")))
    }

    /// Creates the deployment that updates the hosts which joined the group meanwhile, if there are any (CF-302).
    async fn follow_on(&mut self, site: &impl Site) -> Result<Option<DeploymentId>, DeploymentStepError> {
        if self.history.is_none() || !fleet::someone_was_left_behind(site, &self.record).await? {
            return Ok(None);
        }
        let record = successor::follow_on(&self.record, new_id(site), self.now);
        Ok(Some(self.create(site, &record, "FollowOn")))
    }

    fn create(&mut self, site: &impl Site, record: &DeploymentRecord, kind: &str) -> DeploymentId {
        create::deployment(&mut self.change, record, site.pacing());
        if let Some((_, history)) = &mut self.history {
            history.last_attempted = Some(PastDeployment {
                id: record.id.clone(),
                status: DeploymentStatus::Created,
                created: record.created,
                ended: None,
            });
        }
        self.note(&serde_json::json!({"kind": kind, "deployment": record.id}));
        record.id.clone()
    }

    async fn remember_target_revision(&mut self, site: &impl Site) -> Result<(), DeploymentStepError> {
        let key = DocumentKey {
            partition: Partition::Regional(self.record.scope.clone()),
            kind: Kind::Revision,
            parent: self.record.application_id.clone(),
            name: self.record.revision.identity(),
        };
        if let Some(mut document) = site.store().document(&key).await? {
            let mut revision: RegisteredRevision = parse(&document.body, "revision")?;
            if !revision.group_ids.contains(&self.record.group_id) {
                revision.group_ids.push(self.record.group_id.clone());
                document.body = json(&revision);
                self.change.push(Write::Replace(document));
            }
        }
        Ok(())
    }

    async fn commit(mut self, site: &impl Site) -> Result<DeploymentMachine, CommitError> {
        if let Some((mut document, history)) = self.history.take() {
            document.body = json(&history);
            self.change.push(Write::Replace(document));
        }
        if self.changed {
            let update = Write::UpdateDeployment {
                id: self.row.id.clone(),
                version: self.row.version,
                status: self.machine.status(),
                machine: json(&self.machine),
            };
            let mut writes = vec![update];
            if !self.resolved.is_empty() {
                writes.push(Write::InsertTargets(std::mem::take(&mut self.resolved)));
            }
            writes.append(&mut self.change.writes);
            self.change.writes = writes;
            self.change.notify(Notice::DeploymentChanged(self.row.id.clone()));
        }
        site.store().commit(self.change).await?;
        Ok(self.machine)
    }
}

fn new_id(site: &impl Site) -> DeploymentId {
    let random = site.random();
    DeploymentId::from_random(std::array::from_fn(|place| random[place]))
}

fn parse<T: serde::de::DeserializeOwned>(body: &str, what: &str) -> Result<T, WorkError> {
    serde_json::from_str(body).map_err(|cause| WorkError::Damaged { what: what.to_owned(), cause })
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("stored values are plain data and always have a JSON form")
}
