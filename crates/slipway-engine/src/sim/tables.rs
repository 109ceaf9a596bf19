//! The tables of the model store: rows, the indexes that its questions need, and an undo log for change sets that fail.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem;

use slipway_model::status::TargetStatus;
use slipway_model::{DeploymentId, Timestamp};
use slipway_store::{
    CommitError, DeploymentQuery, DeploymentRow, Document, DocumentKey, EventRow, HealthRow, Kind, Partition,
    RevisionQuery, RevisionTime, TargetKey, TargetRow, Wakeup, WakeupKey, Write,
};

/// A target's place: deployment and ordinal.
pub(crate) type Place = (DeploymentId, u32);
/// A wake-up's place: deployment, and the ordinal of a target, if it is one's.
type Due = (DeploymentId, Option<u32>);

/// What a commit did to one row.
#[derive(Debug, Clone)]
pub(crate) enum Changed {
    Deployment(Option<Box<DeploymentRow>>, Option<Box<DeploymentRow>>),
    Target(Option<Box<TargetRow>>, Option<Box<TargetRow>>),
    Document,
    Health,
    /// A commit is complete.
    Committed,
}

/// How to take a write back.
enum Undo {
    Deployment(DeploymentId, Option<Box<DeploymentRow>>),
    Target(Place, Option<Box<TargetRow>>),
    Document(DocumentKey, Option<Document>),
    Health((String, String), Option<HealthRow>),
    Wakeup(Due, Option<Waking>),
    Event,
}

/// A wake-up; the life of one is told in the embedded store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waking {
    seq: i64,
    due: Timestamp,
    ready_at: Timestamp,
    claimed: Option<i64>,
    asked: Option<Timestamp>,
}

/// All rows.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) documents: BTreeMap<DocumentKey, Document>,
    pub(crate) deployments: BTreeMap<DeploymentId, DeploymentRow>,
    /// Hashed where nothing is walked through: a run must not depend on the order of a hash map.
    targets: HashMap<DeploymentId, BTreeMap<u32, TargetRow>>,
    pub(crate) events: Vec<EventRow>,
    /// Of commands, by host.
    pub(crate) outstanding: HashMap<String, u32>,
    /// The active deployment of each group.
    active: BTreeMap<String, DeploymentId>,
    offered: HashMap<String, BTreeSet<(Timestamp, DeploymentId, u32)>>,
    marks: BTreeSet<Place>,
    names: HashSet<(DeploymentId, bool, String)>,
    health: BTreeMap<(String, String), HealthRow>,
    wakeups: BTreeMap<Due, Waking>,
    ready: BTreeSet<(Timestamp, Due)>,
    seq: i64,
    /// New documents have versions above those of all that were deleted.
    deleted_versions: i64,
    undo: Vec<Undo>,
    history: Option<Vec<Changed>>,
}

fn due_of(key: &WakeupKey) -> Due {
    match key {
        WakeupKey::Deployment(id) => (id.clone(), None),
        WakeupKey::Target(target) => (target.deployment.clone(), Some(target.ordinal)),
    }
}

fn place_of(key: &TargetKey) -> Place {
    (key.deployment.clone(), key.ordinal)
}

fn conflict(what: &impl ToString) -> CommitError {
    CommitError::Conflict { what: what.to_string() }
}

impl Tables {
    pub(crate) fn keep_history(&mut self) {
        self.history = Some(Vec::new());
    }

    pub(crate) fn take_history(&mut self) -> Vec<Changed> {
        self.history.as_mut().map(mem::take).unwrap_or_default()
    }

    pub(crate) fn children(
        &self,
        partition: &Partition,
        kind: Kind,
        parent: &str,
    ) -> impl Iterator<Item = &Document> {
        let first = DocumentKey {
            partition: partition.clone(),
            kind,
            parent: parent.to_owned(),
            name: String::new(),
        };
        let (partition, parent) = (partition.clone(), parent.to_owned());
        self.documents
            .range(first..)
            .map(|(_, document)| document)
            .take_while(move |d| d.key.partition == partition && d.key.kind == kind && d.key.parent == parent)
    }

    pub(crate) fn target(&self, key: &TargetKey) -> Option<&TargetRow> {
        self.at(&key.deployment, key.ordinal)
    }

    pub(crate) fn of_deployment(&self, id: &DeploymentId, from: u32) -> impl Iterator<Item = &TargetRow> {
        self.targets.get(id).into_iter().flat_map(move |targets| targets.range(from..)).map(|(_, row)| row)
    }

    pub(crate) fn uncounted(&self, id: &DeploymentId, limit: usize) -> Vec<TargetRow> {
        self.marks
            .range((id.clone(), 0)..=(id.clone(), u32::MAX))
            .take(limit)
            .filter_map(|(id, ordinal)| self.at(id, *ordinal).cloned())
            .collect()
    }

    fn at(&self, id: &DeploymentId, ordinal: u32) -> Option<&TargetRow> {
        self.targets.get(id)?.get(&ordinal)
    }

    pub(crate) fn next_command(&self, host: &str, now: Timestamp) -> Option<TargetRow> {
        let (at, deployment, ordinal) = self.offered.get(host)?.first()?;
        if *at <= now { self.at(deployment, *ordinal).cloned() } else { None }
    }

    pub(crate) fn health_of(&self, group_id: &str) -> impl Iterator<Item = &HealthRow> {
        let group = group_id.to_owned();
        self.health
            .range((group_id.to_owned(), String::new())..)
            .take_while(move |((of, _), _)| *of == group)
            .map(|(_, row)| row)
    }

    pub(crate) fn list_deployments(&self, query: &DeploymentQuery) -> Vec<DeploymentRow> {
        let wanted = |row: &&DeploymentRow| {
            row.scope == query.scope
                && query.application_id.as_ref().is_none_or(|id| row.application_id == *id)
                && query.group_id.as_ref().is_none_or(|id| row.group_id == *id)
                && (query.statuses.is_empty() || query.statuses.contains(&row.status))
                && query.created_from.is_none_or(|from| row.created >= from)
                && query.created_to.is_none_or(|to| row.created <= to)
                && query.after.as_ref().is_none_or(|(at, id)| (row.created, &row.id) < (*at, id))
        };
        let mut rows: Vec<_> = self.deployments.values().filter(wanted).cloned().collect();
        rows.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        rows.truncate(query.limit as usize);
        rows
    }

    pub(crate) fn list_revisions(&self, query: &RevisionQuery) -> Vec<Document> {
        let at = |document: &Document| {
            let revision: serde_json::Value = serde_json::from_str(&document.body).ok()?;
            let time = match query.by {
                RevisionTime::Registered => "registered",
                RevisionTime::FirstUsed => "first_used",
                RevisionTime::LastUsed => "last_used",
            };
            Some((Timestamp(revision[time].as_i64().unwrap_or(0)), document.key.name.clone()))
        };
        let mut found: Vec<((Timestamp, String), Document)> = self
            .children(&query.partition, Kind::Revision, &query.application_id)
            .filter_map(|document| Some((at(document)?, document.clone())))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        if query.descending {
            found.reverse();
        }
        let behind = |place: &(Timestamp, String)| match &query.after {
            None => true,
            Some(after) if query.descending => place < after,
            Some(after) => place > after,
        };
        found
            .into_iter()
            .filter(|(place, _)| behind(place))
            .map(|(_, document)| document)
            .take(query.limit as usize)
            .collect()
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.ready.first().map(|(at, _)| *at)
    }

    pub(crate) fn latest_moment(&self) -> Option<Timestamp> {
        let moments = self.active.values().filter_map(|id| {
            let created = self.deployments.get(id)?.created;
            Some(self.of_deployment(id, 0).map(|target| target.updated).fold(created, Ord::max))
        });
        moments.max()
    }

    pub(crate) fn any_active(&self) -> bool {
        !self.active.is_empty()
    }

    pub(crate) fn has_wakeup(&self, key: &WakeupKey) -> bool {
        self.wakeups.contains_key(&due_of(key))
    }

    pub(crate) fn claim(&mut self, now: Timestamp, lease_until: Timestamp, limit: usize) -> Vec<Wakeup> {
        let due: Vec<Due> = self
            .ready
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(limit)
            .map(|(_, due)| due.clone())
            .collect();
        let mut claimed: Vec<Wakeup> = due
            .into_iter()
            .map(|place| {
                let waking = self.wakeups[&place];
                let seq = waking.seq;
                let leased = Waking { claimed: Some(seq), asked: None, ready_at: lease_until, ..waking };
                self.set_waking(place.clone(), Some(leased));
                let key = match place.1 {
                    None => WakeupKey::Deployment(place.0),
                    Some(ordinal) => WakeupKey::Target(TargetKey { deployment: place.0, ordinal }),
                };
                Wakeup { key, seq, due: waking.due }
            })
            .collect();
        claimed.sort_by_key(|wakeup| wakeup.due);
        self.undo.clear();
        claimed
    }

    /// All writes, or none.
    pub(crate) fn commit(&mut self, writes: &[Write]) -> Result<(), CommitError> {
        let seen = self.history.as_ref().map_or(0, Vec::len);
        let done = writes.iter().try_for_each(|write| self.write(write));
        let undo = mem::take(&mut self.undo);
        if done.is_err() {
            for step in undo.into_iter().rev() {
                self.take_back(step);
            }
            self.undo.clear();
            if let Some(history) = &mut self.history {
                history.truncate(seen);
            }
        } else if let Some(history) = &mut self.history {
            history.push(Changed::Committed);
        }
        done
    }

    fn take_back(&mut self, step: Undo) {
        match step {
            Undo::Deployment(id, row) => self.set_deployment(id, row.map(|row| *row)),
            Undo::Target(place, row) => self.set_target(place, row.map(|row| *row)),
            Undo::Document(key, document) => self.set_document(key, document),
            Undo::Health(key, row) => self.set_health(key, row),
            Undo::Wakeup(place, waking) => self.set_waking(place, waking),
            Undo::Event => drop(self.events.pop()),
        }
    }

    fn write(&mut self, write: &Write) -> Result<(), CommitError> {
        match write {
            Write::Insert(document) if self.documents.contains_key(&document.key) => {
                let key = document.key.clone();
                Err(CommitError::Exists { what: key.name.clone(), key: Some(key) })
            }
            Write::Insert(document) => {
                self.put(document, self.deleted_versions + 1);
                Ok(())
            }
            Write::Replace(document) => {
                self.require(&document.key, document.version)?;
                self.put(document, document.version + 1);
                Ok(())
            }
            Write::Put(document) => {
                let version = self.documents.get(&document.key).map_or(self.deleted_versions, |d| d.version);
                self.put(document, version + 1);
                Ok(())
            }
            Write::Delete { key, version } => {
                if let Some(version) = version {
                    self.require(key, *version)?;
                }
                self.set_document(key.clone(), None);
                Ok(())
            }
            Write::DeleteChildren { partition, kind, parent } => {
                let keys: Vec<_> = self.children(partition, *kind, parent).map(|d| d.key.clone()).collect();
                for key in keys {
                    self.set_document(key, None);
                }
                Ok(())
            }
            Write::Require { key, version } => self.require(key, *version),
            Write::RequireNone { partition, kind, parent } => {
                let none = self.children(partition, *kind, parent).next().is_none();
                if none { Ok(()) } else { Err(conflict(parent)) }
            }
            Write::InsertDeployment(row) => self.insert_deployment(row),
            Write::UpdateDeployment { id, version, status, machine } => {
                let row = self.deployments.get(id).filter(|row| row.version == *version);
                let Some(row) = row else { return Err(conflict(id)) };
                let (status, machine, version) = (*status, machine.clone(), version + 1);
                let row = DeploymentRow { status, machine, version, ..row.clone() };
                self.set_deployment(id.clone(), Some(row));
                Ok(())
            }
            Write::ForgetGroup { group_id } => {
                self.forget_group(group_id);
                Ok(())
            }
            Write::InsertTargets(rows) => rows.iter().try_for_each(|row| self.insert_target(row)),
            Write::UpdateTarget(row) => self.update_target(row),
            Write::SkipPending { deployment, first, status, machine, at } => {
                let pending: Vec<TargetRow> = self
                    .of_deployment(deployment, *first)
                    .filter(|row| row.status == TargetStatus::Pending)
                    .cloned()
                    .collect();
                for row in pending {
                    let row = TargetRow {
                        status: *status,
                        machine: machine.clone(),
                        updated: *at,
                        offer_at: None,
                        outstanding: false,
                        uncounted: false,
                        version: row.version + 1,
                        ..row
                    };
                    self.set_target(place_of(&row.key.clone()), Some(row));
                }
                Ok(())
            }
            Write::MarkCounted { deployment, ordinals } => {
                ordinals.iter().try_for_each(|ordinal| self.mark_counted(deployment, *ordinal))
            }
            Write::PutHealth(row) => {
                self.set_health((row.group_id.clone(), row.host.clone()), Some(row.clone()));
                Ok(())
            }
            Write::FailHealth { group_id, host } => {
                let place = (group_id.clone(), host.clone());
                let before = self.health.get(&place);
                let row = HealthRow {
                    group_id: group_id.clone(),
                    host: host.clone(),
                    healthy: false,
                    installed_revision: before.and_then(|row| row.installed_revision.clone()),
                };
                self.set_health(place, Some(row));
                Ok(())
            }
            Write::ForgetInstalled { group_id, deployment, revision } => {
                let failed = |row: &&HealthRow| {
                    row.group_id == *group_id
                        && row.installed_revision.as_ref() == Some(revision)
                        && self
                            .of_deployment(deployment, 0)
                            .any(|target| target.host == row.host && target.status == TargetStatus::Failed)
                };
                let rows: Vec<HealthRow> = self.health.values().filter(failed).cloned().collect();
                for row in rows {
                    let place = (row.group_id.clone(), row.host.clone());
                    self.set_health(place, Some(HealthRow { installed_revision: None, ..row }));
                }
                Ok(())
            }
            Write::Wake { key, due } => {
                self.wake(due_of(key), *due);
                Ok(())
            }
            Write::SetTimer { key, due } => {
                self.set_timer(due_of(key), *due);
                Ok(())
            }
            Write::Settle { key, seq, next } => {
                self.settle(due_of(key), *seq, *next);
                Ok(())
            }
            Write::Event(row) => {
                let seq = self.events.last().map_or(0, |e| e.seq) + 1;
                self.events.push(EventRow { seq, ..row.clone() });
                self.undo.push(Undo::Event);
                Ok(())
            }
        }
    }

    fn require(&self, key: &DocumentKey, version: i64) -> Result<(), CommitError> {
        match self.documents.get(key) {
            Some(document) if document.version == version => Ok(()),
            _ => Err(conflict(&key.name)),
        }
    }

    fn put(&mut self, document: &Document, version: i64) {
        self.set_document(document.key.clone(), Some(Document { version, ..document.clone() }));
    }

    fn insert_deployment(&mut self, row: &DeploymentRow) -> Result<(), CommitError> {
        if self.deployments.contains_key(&row.id) {
            return Err(CommitError::Exists { what: row.id.to_string(), key: None });
        }
        match self.active.get(&row.group_id) {
            Some(active) if !row.status.is_terminal() => {
                Err(CommitError::GroupBusy { active: active.clone() })
            }
            _ => {
                self.set_deployment(row.id.clone(), Some(DeploymentRow { version: 1, ..row.clone() }));
                Ok(())
            }
        }
    }

    fn forget_group(&mut self, group_id: &str) {
        let ids: Vec<DeploymentId> = self
            .deployments
            .values()
            .filter(|row| row.group_id == group_id)
            .map(|row| row.id.clone())
            .collect();
        for id in ids {
            let places: Vec<Place> =
                self.of_deployment(&id, 0).map(|row| (id.clone(), row.key.ordinal)).collect();
            for place in places {
                self.set_target(place, None);
            }
            let wakeups: Vec<Due> = self
                .wakeups
                .range((id.clone(), None)..)
                .map(|(due, _)| due.clone())
                .take_while(|d| d.0 == id)
                .collect();
            for due in wakeups {
                self.set_waking(due, None);
            }
            self.set_deployment(id, None);
        }
        let health: Vec<_> =
            self.health_of(group_id).map(|row| (row.group_id.clone(), row.host.clone())).collect();
        for key in health {
            self.set_health(key, None);
        }
    }

    fn insert_target(&mut self, row: &TargetRow) -> Result<(), CommitError> {
        if !self.deployments.contains_key(&row.key.deployment) {
            return Err(conflict(&row.key.deployment));
        }
        let id = &row.key.deployment;
        if self.target(&row.key).is_some()
            || self.names.contains(&(id.clone(), false, row.name.clone()))
            || self.names.contains(&(id.clone(), true, row.host.clone()))
        {
            return Err(CommitError::Exists { what: format!("target {}", row.key), key: None });
        }
        self.set_target(place_of(&row.key), Some(TargetRow { version: 1, ..row.clone() }));
        Ok(())
    }

    fn update_target(&mut self, row: &TargetRow) -> Result<(), CommitError> {
        match self.target(&row.key) {
            Some(stored) if stored.version == row.version => {
                // Key, host and name never change.
                let (host, name) = (stored.host.clone(), stored.name.clone());
                let row = TargetRow { version: row.version + 1, host, name, ..row.clone() };
                self.set_target(place_of(&row.key.clone()), Some(row));
                Ok(())
            }
            _ => Err(conflict(&row.key)),
        }
    }

    fn mark_counted(&mut self, deployment: &DeploymentId, ordinal: u32) -> Result<(), CommitError> {
        let place = (deployment.clone(), ordinal);
        match self.at(deployment, ordinal) {
            Some(row) if row.uncounted => {
                let row = TargetRow { uncounted: false, version: row.version + 1, ..row.clone() };
                self.set_target(place, Some(row));
                Ok(())
            }
            _ => Err(conflict(&format!("target {deployment}/{ordinal}"))),
        }
    }

    fn wake(&mut self, place: Due, due: Timestamp) {
        self.seq += 1;
        let seq = self.seq;
        let waking = match self.wakeups.get(&place) {
            None => Waking { seq, due, ready_at: due, claimed: None, asked: None },
            Some(there) if there.claimed.is_some() => {
                Waking { seq, asked: Some(there.asked.map_or(due, |asked| asked.min(due))), ..*there }
            }
            Some(there) if there.due > due => Waking { seq, due, ready_at: due, claimed: None, asked: None },
            Some(_) => return,
        };
        self.set_waking(place, Some(waking));
    }

    fn set_timer(&mut self, place: Due, due: Option<Timestamp>) {
        self.seq += 1;
        let seq = self.seq;
        self.set_waking(place, due.map(|due| Waking { seq, due, ready_at: due, claimed: None, asked: None }));
    }

    fn settle(&mut self, place: Due, seq: i64, next: Option<Timestamp>) {
        match (self.wakeups.get(&place).copied(), next) {
            (Some(there), _) if there.claimed == Some(seq) => {
                self.set_timer(place, [there.asked, next].into_iter().flatten().min());
            }
            (Some(_), Some(next)) => self.wake(place, next),
            (Some(_), None) | (None, _) => {}
        }
    }

    fn note(&mut self, changed: impl FnOnce() -> Changed) {
        if let Some(history) = &mut self.history {
            history.push(changed());
        }
    }

    fn set_deployment(&mut self, id: DeploymentId, row: Option<DeploymentRow>) {
        let old = match row.clone() {
            Some(row) => self.deployments.insert(id.clone(), row),
            None => self.deployments.remove(&id),
        };
        if let Some(old) = old.as_ref().filter(|old| self.active.get(&old.group_id) == Some(&old.id)) {
            self.active.remove(&old.group_id);
        }
        if let Some(row) = row.as_ref().filter(|row| !row.status.is_terminal()) {
            self.active.insert(row.group_id.clone(), row.id.clone());
        }
        let old = old.map(Box::new);
        self.note(|| Changed::Deployment(old.clone(), row.map(Box::new)));
        self.undo.push(Undo::Deployment(id, old));
    }

    fn set_target(&mut self, place: Place, row: Option<TargetRow>) {
        let kept = if self.history.is_some() { row.clone() } else { None };
        if let Some(row) = &row {
            self.index(row);
        }
        let old = match row {
            Some(row) => self.targets.entry(place.0.clone()).or_default().insert(place.1, row),
            None => self.targets.get_mut(&place.0).and_then(|targets| targets.remove(&place.1)),
        };
        if let Some(old) = &old {
            self.unindex(old, &place);
        }
        let old = old.map(Box::new);
        self.note(|| Changed::Target(old.clone(), kept.map(Box::new)));
        self.undo.push(Undo::Target(place, old));
    }

    /// Adds what the questions look for; counts of outstanding commands are taken back by `unindex`.
    fn index(&mut self, row: &TargetRow) {
        let TargetKey { deployment, ordinal } = &row.key;
        let old = self.at(deployment, *ordinal);
        if old.is_none() {
            self.names.insert((deployment.clone(), false, row.name.clone()));
            self.names.insert((deployment.clone(), true, row.host.clone()));
        }
        if let Some(at) = row.offer_at {
            let offered = self.offered.entry(row.host.clone()).or_default();
            offered.insert((at, deployment.clone(), *ordinal));
        }
        if row.uncounted {
            self.marks.insert((deployment.clone(), *ordinal));
        }
        if row.outstanding {
            *self.outstanding.entry(row.host.clone()).or_default() += 1;
        }
    }

    fn unindex(&mut self, old: &TargetRow, place: &Place) {
        let new = self.at(&place.0, place.1).cloned();
        let new = new.as_ref();
        if new.is_none() {
            self.names.remove(&(place.0.clone(), false, old.name.clone()));
            self.names.remove(&(place.0.clone(), true, old.host.clone()));
        }
        if let Some(at) = old.offer_at.filter(|at| new.is_none_or(|new| new.offer_at != Some(*at)))
            && let Some(offered) = self.offered.get_mut(&old.host)
        {
            offered.remove(&(at, place.0.clone(), place.1));
        }
        if old.uncounted && new.is_none_or(|new| !new.uncounted) {
            self.marks.remove(place);
        }
        if old.outstanding
            && let Some(count) = self.outstanding.get_mut(&old.host)
        {
            *count -= 1;
        }
    }

    fn set_document(&mut self, key: DocumentKey, document: Option<Document>) {
        let old = match document {
            Some(document) => self.documents.insert(key.clone(), document),
            None => self.documents.remove(&key).inspect(|old| {
                self.deleted_versions = self.deleted_versions.max(old.version);
            }),
        };
        self.note(|| Changed::Document);
        self.undo.push(Undo::Document(key, old));
    }

    fn set_health(&mut self, key: (String, String), row: Option<HealthRow>) {
        let old = match row {
            Some(row) => self.health.insert(key.clone(), row),
            None => self.health.remove(&key),
        };
        self.note(|| Changed::Health);
        self.undo.push(Undo::Health(key, old));
    }

    fn set_waking(&mut self, place: Due, waking: Option<Waking>) {
        let old = match waking {
            Some(waking) => self.wakeups.insert(place.clone(), waking),
            None => self.wakeups.remove(&place),
        };
        if let Some(old) = old {
            self.ready.remove(&(old.ready_at, place.clone()));
        }
        if let Some(waking) = waking {
            self.ready.insert((waking.ready_at, place.clone()));
        }
        self.undo.push(Undo::Wakeup(place, old));
    }
}
