//! What must hold in every run, after every commit and every answer. The checker reads rows and what outsiders saw; of
//! the engine it uses nothing but the readers of stored machines.

use std::collections::{BTreeMap, BTreeSet};

use slipway_model::deployment::{AutoRollbackEvent, DeploymentRecord};
use slipway_model::lifecycle::{EventName, EventStatus};
use slipway_model::status::{DeploymentStatus, ErrorCode, TargetStatus};
use slipway_model::{DeploymentId, Timestamp};
use slipway_store::{DeploymentRow, TargetKey, TargetRow, WakeupKey};

use super::core::Seen;
use super::store::{ModelStore, has_wakeup};
use super::tables::{Changed, Place};
use crate::deployment::{Counters, DeploymentMachine};
use crate::target::{CommandAnswer, CommandRef, TargetMachine};
use crate::work::target::MOST_OUTSTANDING;

/// What is known of a deployment.
struct Watched {
    record: DeploymentRecord,
    status: DeploymentStatus,
    /// The zones of its targets; all in one without zones.
    zones: Vec<WatchedZone>,
    /// Hosts that run its revision already, as its row says.
    current: u32,
    statuses: Vec<TargetStatus>,
    /// Started and then skipped: lost like failed ones.
    given_up: u32,
    /// Started by the commit that is being read.
    starting: Vec<u32>,
}

/// The targets of a zone.
struct WatchedZone {
    name: u8,
    targets: std::ops::Range<usize>,
    /// Hosts that were Unhealthy when it began; all at the front (CF-012).
    unhealthy: usize,
    /// When its last target ended.
    ended: Timestamp,
}

impl Watched {
    fn count(&self, status: TargetStatus) -> u32 {
        self.statuses.iter().filter(|s| **s == status).count() as u32
    }

    fn total(&self) -> u32 {
        self.statuses.len() as u32 + self.current
    }

    fn zone_of(&mut self, ordinal: usize) -> Option<&mut WatchedZone> {
        self.zones.iter_mut().find(|zone| zone.targets.contains(&ordinal))
    }

    fn minimum(&self) -> u32 {
        self.record.minimum_healthy_hosts.for_fleet(self.total())
    }
}

/// The checker of one run.
#[derive(Default)]
pub(crate) struct Checker {
    deployments: BTreeMap<DeploymentId, Watched>,
    touched: BTreeSet<DeploymentId>,
    touched_targets: BTreeSet<Place>,
    events: BTreeMap<Place, Vec<EventStatus>>,
    /// The hand-out that was told to go on, per command.
    owners: BTreeMap<(Place, u16), u32>,
    ran: BTreeMap<Place, u16>,
    /// Commands whose report was sent, by hand-out.
    reports: BTreeSet<(Place, u16, u32)>,
    /// The last successful deployment of each group.
    good: BTreeMap<String, DeploymentId>,
    rolled_back: BTreeSet<DeploymentId>,
    /// Which host is in which zone.
    zones: Vec<u8>,
    /// Whether all clocks agree, so that times of rows can be compared.
    clocks_agree: bool,
    now: Timestamp,
}

type Verdict = Result<(), String>;

macro_rules! must {
    ($holds:expr, $($text:tt)*) => {
        if !$holds { return Err(format!($($text)*)); }
    };
}

fn place(key: &TargetKey) -> Place {
    (key.deployment.clone(), key.ordinal)
}

fn machine(row: &TargetRow) -> Result<TargetMachine, String> {
    serde_json::from_str(&row.machine).map_err(|e| format!("target {} cannot be read: {e}", row.key))
}

impl Checker {
    pub(crate) fn new(zones: Vec<u8>, clocks_agree: bool) -> Self {
        Self { zones, clocks_agree, ..Self::default() }
    }

    /// Reads what was committed.
    pub(crate) fn committed(&mut self, store: &ModelStore, now: Timestamp, history: Vec<Changed>) -> Verdict {
        self.now = now;
        for changed in history {
            match changed {
                Changed::Deployment(old, new) => self.deployment(old.as_deref(), new.as_deref())?,
                Changed::Target(old, new) => self.target(store, old.as_deref(), new.as_deref())?,
                Changed::Document | Changed::Health => {}
                Changed::Committed => {
                    for id in std::mem::take(&mut self.touched) {
                        self.whole(store, &id)?;
                    }
                    for place in std::mem::take(&mut self.touched_targets) {
                        Self::has_a_future(store, &place)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn deployment(&mut self, old: Option<&DeploymentRow>, new: Option<&DeploymentRow>) -> Verdict {
        let Some(new) = new else { return Err("a deployment has disappeared".into()) };
        self.touched.insert(new.id.clone());
        if let Some(old) = old {
            must!(!old.status.is_terminal(), "finished means frozen: {} was changed after its end", new.id);
            must!(old.record == new.record, "the frozen copy of {} was changed", new.id);
        } else {
            let record: DeploymentRecord = serde_json::from_str(&new.record).map_err(|e| e.to_string())?;
            let busy = self
                .deployments
                .iter()
                .find(|(_, other)| other.record.group_id == record.group_id && !other.status.is_terminal());
            if let Some((other, _)) = busy {
                return Err(format!("CF-370: {} was created while {other} of its group was active", new.id));
            }
            self.is_justified(&record)?;
            let watched = Watched {
                record,
                status: new.status,
                zones: Vec::new(),
                current: 0,
                statuses: Vec::new(),
                given_up: 0,
                starting: Vec::new(),
            };
            self.deployments.insert(new.id.clone(), watched);
        }
        if let Some(watched) = self.deployments.get_mut(&new.id) {
            watched.status = new.status;
            let machine: serde_json::Value = serde_json::from_str(&new.machine).map_err(|e| e.to_string())?;
            watched.current = machine["fleet"]["current"].as_u64().unwrap_or(0) as u32;
            let outdated_only = watched.record.update_outdated_instances_only;
            must!(watched.current == 0 || outdated_only, "{} left out hosts", new.id);
            if new.status == DeploymentStatus::Succeeded {
                self.good.insert(new.group_id.clone(), new.id.clone());
            }
        }
        Ok(())
    }

    /// A deployment that nobody asked for must follow from another one (DP-220..DP-226, CF-061, CF-302).
    fn is_justified(&mut self, record: &DeploymentRecord) -> Verdict {
        let id = &record.id;
        match (record.creator.as_str(), &record.course.rollback_of, &record.course.follow_on_of) {
            ("user", None, None) => Ok(()),
            ("codeDeployRollback", Some(failed), None) => {
                must!(self.rolled_back.insert(failed.clone()), "{failed} is rolled back twice");
                let Some(watched) = self.deployments.get(failed) else {
                    return Err(format!("{id} rolls back {failed}, which is not there"));
                };
                must!(
                    matches!(watched.status, DeploymentStatus::Failed | DeploymentStatus::Stopped),
                    "{id} rolls back {failed}, which is {}",
                    watched.status
                );
                must!(watched.record.course.rollback_of.is_none(), "DP-226: {id} rolls back a rollback");
                let good = self.good.get(&record.group_id).and_then(|good| self.deployments.get(good));
                let Some(good) = good else { return Err(format!("{id} rolls back to nothing")) };
                must!(good.record.revision == record.revision, "DP-220: {id} deploys another revision");
                must!(record.course.zonal.is_none(), "CF-061: {id} goes zone by zone");
                Ok(())
            }
            ("CodeDeployAutoUpdate", None, Some(root)) => {
                let Some(watched) = self.deployments.get(root) else {
                    return Err(format!("{id} follows {root}, which is not there"));
                };
                must!(watched.status == DeploymentStatus::Succeeded, "A-22: {id} follows {}", watched.status);
                must!(
                    watched.record.revision == record.revision,
                    "{id} deploys another revision than {root}"
                );
                must!(record.update_outdated_instances_only, "CF-302: {id} goes to all hosts");
                Ok(())
            }
            other => Err(format!("nobody asked for {id}: {other:?}")),
        }
    }

    fn target(&mut self, store: &ModelStore, old: Option<&TargetRow>, new: Option<&TargetRow>) -> Verdict {
        let Some(new) = new else { return Err("a target has disappeared".into()) };
        let Some(watched) = self.deployments.get_mut(&new.key.deployment) else {
            return Err(format!("target {} belongs to no deployment", new.key));
        };
        let ordinal = new.key.ordinal;
        if let Some(old) = old {
            must!(old.host == new.host, "target {} moved to another host", new.key);
            let only_counted =
                old.uncounted && !new.uncounted && old.machine == new.machine && old.status == new.status;
            must!(!old.status.is_terminal() || only_counted, "target {} was changed after its end", new.key);
            let before = watched.statuses[ordinal as usize];
            watched.given_up +=
                u32::from(before == TargetStatus::InProgress && new.status == TargetStatus::Skipped);
            watched.statuses[ordinal as usize] = new.status;
            let now = self.now;
            if let Some(zone) = watched
                .zone_of(ordinal as usize)
                .filter(|_| new.status.is_terminal() && !before.is_terminal())
            {
                zone.ended = now;
            }
            if before == TargetStatus::Pending && new.status != TargetStatus::Skipped {
                watched.starting.push(ordinal);
            }
        } else {
            let place = ordinal as usize;
            must!(place == watched.statuses.len(), "targets of {} do not come in order", new.key.deployment);
            let zonal = watched.record.course.zonal.is_some();
            let name = if zonal { self.zones.get(host_number(&new.host)).copied().unwrap_or(0) } else { 0 };
            match watched.zones.last_mut() {
                Some(zone) if zone.name == name => zone.targets.end += 1,
                last => {
                    must!(
                        last.is_none_or(|last| last.name < name),
                        "D-11: zones of {} out of order",
                        new.key
                    );
                    let ended = Timestamp(0);
                    watched.zones.push(WatchedZone { name, targets: place..place + 1, unhealthy: 0, ended });
                }
            }
            let healthy = store.look(|t| {
                t.health_of(&watched.record.group_id).any(|row| row.host == new.host && row.healthy)
            });
            if let Some(zone) = watched.zones.last_mut().filter(|_| !healthy) {
                let place = zone.targets.start + zone.unhealthy;
                must!(place == ordinal as usize, "CF-012: an unhealthy host comes late: {}", new.key);
                zone.unhealthy += 1;
            }
            watched.statuses.push(new.status);
            if new.status == TargetStatus::InProgress {
                watched.starting.push(ordinal);
            }
        }
        self.touched.insert(new.key.deployment.clone());
        self.touched_targets.insert(place(&new.key));
        let machine = machine(new)?;
        must!(machine.status() == new.status, "row and machine of {} differ", new.key);
        must!(machine.outstanding() == new.outstanding, "row and machine of {} differ", new.key);
        self.in_order(&new.key, &machine)
    }

    /// Events of a target in order, each exactly once, and nothing taken back.
    fn in_order(&mut self, key: &TargetKey, machine: &TargetMachine) -> Verdict {
        let now: Vec<EventStatus> = machine.events().iter().map(|event| event.status).collect();
        let rank = |status: EventStatus| match status {
            EventStatus::Pending => 0,
            EventStatus::InProgress => 1,
            EventStatus::Succeeded | EventStatus::Failed | EventStatus::Skipped | EventStatus::Unknown => 2,
        };
        if let Some(before) = self.events.get(&place(key)) {
            for (event, (before, now)) in before.iter().zip(&now).enumerate() {
                let kept = rank(*before) < rank(*now) || before == now;
                must!(kept, "event {event} of {key} went from {before} back to {now}");
                if *before == EventStatus::InProgress && now.is_terminal() {
                    self.ended_by_its_owner(key, event as u16, machine)?;
                }
            }
        }
        let ranks: Vec<u8> = now.iter().map(|status| 2 - rank(*status)).collect();
        must!(ranks.is_sorted(), "events of {key} out of order: {now:?}");
        must!(now.iter().filter(|s| rank(**s) == 1).count() <= 1, "two events of {key} at once: {now:?}");
        for event in machine.events() {
            let fine = event.start.zip(event.end).is_none_or(|(start, end)| start <= end);
            must!(fine, "{} of {key} ended before it began", event.name);
        }
        self.events.insert(place(key), now);
        Ok(())
    }

    /// D-23: what runs is ended by the report of the copy that runs, or by its time limit.
    fn ended_by_its_owner(&self, key: &TargetKey, event: u16, machine: &TargetMachine) -> Verdict {
        let Some(owner) = self.owners.get(&(place(key), event)) else { return Ok(()) };
        let diagnostics = machine.events()[usize::from(event)].diagnostics.as_ref();
        let timed_out = diagnostics.is_some_and(|d| d.message.contains("timed out"));
        let reported = self.reports.contains(&(place(key), event, *owner));
        must!(reported || timed_out, "D-23: event {event} of {key} was ended by a copy that does not run");
        Ok(())
    }

    /// The deployment and its targets together, when a commit that touched them is complete.
    fn whole(&mut self, store: &ModelStore, id: &DeploymentId) -> Verdict {
        let Some(watched) = self.deployments.get_mut(id) else { return Ok(()) };
        let starting = std::mem::take(&mut watched.starting);
        let watched = &*watched;
        let now = self.clocks_agree.then_some(self.now);
        starts_are_allowed(watched, &starting, now).map_err(|e| format!("{id}: {e}"))?;
        let Some(row) = store.look(|t| t.deployments.get(id).cloned()) else { return Ok(()) };
        let machine: DeploymentMachine = serde_json::from_str(&row.machine).map_err(|e| e.to_string())?;
        let marks = store.look(|t| t.uncounted(id, usize::MAX));
        let marked = |status| marks.iter().filter(|t| t.status == status).count() as u32;
        let recount = Counters {
            pending: watched.count(TargetStatus::Pending),
            in_progress: watched.count(TargetStatus::InProgress) + marks.len() as u32,
            succeeded: watched.count(TargetStatus::Succeeded) - marked(TargetStatus::Succeeded),
            failed: watched.count(TargetStatus::Failed) - marked(TargetStatus::Failed),
            skipped: watched.count(TargetStatus::Skipped) - marked(TargetStatus::Skipped),
        };
        must!(
            machine.counters() == recount,
            "{id}: counters {:?} are not the recount {recount:?}",
            machine.counters()
        );
        must!(machine.status() == row.status, "{id}: row and machine differ");
        if row.status.is_terminal() {
            ended_as_it_must(watched, &machine).map_err(|e| format!("{id}: {e}"))?;
            let wanted = watched
                .record
                .auto_rollback
                .as_ref()
                .is_some_and(|rollback| rollback.events.contains(&AutoRollbackEvent::DeploymentFailure));
            let due = wanted
                && row.status == DeploymentStatus::Failed
                && watched.record.course.rollback_of.is_none()
                && self.good.contains_key(&row.group_id);
            must!(!due || self.rolled_back.contains(id), "DP-211: {id} has failed and is not rolled back");
        } else {
            let waits_for_targets = watched.count(TargetStatus::InProgress) > 0;
            let due = has_wakeup(store, &WakeupKey::Deployment(id.clone()));
            must!(due || waits_for_targets, "{id} is not finished, and nothing will ever wake it");
        }
        Ok(())
    }

    fn has_a_future(store: &ModelStore, place: &Place) -> Verdict {
        let key = TargetKey { deployment: place.0.clone(), ordinal: place.1 };
        let Some(row) = store.look(|t| t.target(&key).cloned()) else { return Ok(()) };
        if row.status == TargetStatus::InProgress {
            let timed = has_wakeup(store, &WakeupKey::Target(key.clone()));
            must!(timed, "target {key} is under way without a time limit");
        }
        if row.uncounted {
            let due = has_wakeup(store, &WakeupKey::Deployment(key.deployment.clone()));
            must!(due, "target {key} has ended, and nobody will count it");
        }
        let outstanding = store.look(|t| t.outstanding.get(&row.host).copied().unwrap_or(0));
        must!(outstanding <= MOST_OUTSTANDING, "AP-38: {outstanding} commands are out at {}", row.host);
        Ok(())
    }

    /// Reads what an outsider saw.
    pub(crate) fn saw(&mut self, store: &ModelStore, seen: Seen) -> Verdict {
        match seen {
            Seen::HandedOut { host, key, command } => {
                let row = store.look(|t| t.target(&key).cloned());
                let known = row.is_some_and(|row| row.host == host);
                must!(known, "{host} was handed {command:?} of {key}, which is not its own");
                Ok(())
            }
            Seen::Answered { key, command, answer } => self.answered(store, &key, command, answer),
            Seen::Ran { key, command, event } => self.ran(&key, command, event),
            Seen::Reports { key, command } => {
                self.reports.insert((place(&key), command.event_index, command.hand_out));
                Ok(())
            }
            Seen::Reported { key, command } => self.reported(store, &key, command),
            Seen::Broken(what) => Err(format!("a step cannot be done: {what}")),
        }
    }

    fn answered(
        &mut self,
        store: &ModelStore,
        key: &TargetKey,
        command: CommandRef,
        answer: CommandAnswer,
    ) -> Verdict {
        let known = (place(key), command.event_index);
        let owner = self.owners.get(&known).copied();
        match (answer, owner) {
            (CommandAnswer::InProgress, Some(owner)) => {
                must!(owner == command.hand_out, "D-23: two copies of {command:?} of {key} were told to run");
            }
            (CommandAnswer::InProgress, None) => {
                self.owners.insert(known, command.hand_out);
            }
            (_, Some(owner)) if owner == command.hand_out => {
                let runs =
                    store.look(|t| t.target(key).cloned()).map(|row| machine(&row)).transpose()?.is_some_and(
                        |m| m.events()[usize::from(command.event_index)].status == EventStatus::InProgress,
                    );
                must!(!runs, "AP-36: the owner of {command:?} of {key} runs and was told {answer:?}");
            }
            _ => {}
        }
        Ok(())
    }

    fn ran(&mut self, key: &TargetKey, command: CommandRef, event: EventName) -> Verdict {
        let last = self.ran.insert(place(key), command.event_index);
        must!(last != Some(command.event_index), "{event} of {key} ran twice");
        must!(last.is_none_or(|last| last < command.event_index), "{event} of {key} ran out of order");
        Ok(())
    }

    /// Nothing that was acknowledged disappears: after the owner's report the event has ended.
    fn reported(&mut self, store: &ModelStore, key: &TargetKey, command: CommandRef) -> Verdict {
        if self.owners.get(&(place(key), command.event_index)) != Some(&command.hand_out) {
            return Ok(());
        }
        let Some(row) = store.look(|t| t.target(key).cloned()) else {
            return Err(format!("target {key} has disappeared"));
        };
        let status = machine(&row)?.events()[usize::from(command.event_index)].status;
        must!(status.is_terminal(), "the report of {command:?} of {key} was accepted and is lost: {status}");
        Ok(())
    }

    /// When all is quiet.
    pub(crate) fn at_the_end(&self, store: &ModelStore) -> Verdict {
        for (id, watched) in &self.deployments {
            must!(watched.status.is_terminal(), "{id} has not ended");
        }
        let due = store.look(super::tables::Tables::next_due);
        must!(due.is_none(), "everything has ended, and something is still due at {due:?}");
        Ok(())
    }

    /// How each deployment ended, in the order of their creation.
    pub(crate) fn endings(&self) -> Vec<Ending> {
        let mut endings: Vec<_> = self
            .deployments
            .values()
            .map(|watched| Ending {
                created: watched.record.created,
                group: watched.record.group_id.clone(),
                creator: watched.record.creator.clone(),
                status: watched.status,
                targets: watched.statuses.clone(),
            })
            .collect();
        endings.sort_by_key(|ending| ending.created);
        endings
    }
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// When it was created.
    pub created: slipway_model::Timestamp,
    /// Of which group.
    pub group: String,
    /// Who started it.
    pub creator: String,
    /// Its status.
    pub status: DeploymentStatus,
    /// Those of its targets, by ordinal.
    pub targets: Vec<TargetStatus>,
}

/// The number of a host of ours.
fn host_number(arn: &str) -> usize {
    let number = arn.rsplit_once("host-").and_then(|(_, rest)| rest.split_once('_'));
    number.and_then(|(number, _)| number.parse().ok()).unwrap_or(usize::MAX)
}

/// CF-032, CF-034, CF-039, CF-052, CF-053: recounted from the rows, without a look at the machine's arithmetic.
fn starts_are_allowed(watched: &Watched, starting: &[u32], now: Option<Timestamp>) -> Verdict {
    let Some(first) = starting.iter().min().map(|first| *first as usize) else { return Ok(()) };
    must!(!watched.status.is_terminal(), "targets were started after the end");
    let lost = watched.count(TargetStatus::Failed) + watched.given_up;
    let cap = i64::from(watched.total()) - i64::from(lost) - i64::from(watched.minimum());
    let in_flight = i64::from(watched.count(TargetStatus::InProgress));
    must!(in_flight <= cap, "CF-032: {in_flight} in flight, the cap is {cap}");
    let Some(place) = watched.zones.iter().position(|zone| zone.targets.contains(&first)) else {
        return Err("a target is in no zone".into());
    };
    let zone = &watched.zones[place];
    let of_zone = &watched.statuses[zone.targets.clone()];
    let within = starting.iter().all(|ordinal| zone.targets.contains(&(*ordinal as usize)));
    must!(within, "CF-053: targets of two zones were started together");
    let others = watched.statuses[..zone.targets.start].iter().all(|status| status.is_terminal());
    must!(others, "CF-053: a zone began before the one before it had ended");
    if let (Some(zonal), false) =
        (&watched.record.course.zonal, watched.record.update_outdated_instances_only)
    {
        let hosts = zone.targets.len() as u32;
        let lost = of_zone.iter().filter(|s| **s == TargetStatus::Failed).count() as i64;
        let cap = i64::from(hosts) - lost - i64::from(zonal.minimum_for_zone(hosts));
        must!(in_flight <= cap, "CF-052: {in_flight} in flight, the cap of the zone is {cap}");
    }
    let began = first == zone.targets.start;
    if let (Some(zonal), Some(now), true, Some(before)) =
        (&watched.record.course.zonal, now, began, place.checked_sub(1).map(|before| &watched.zones[before]))
    {
        let waited = now.millis_since(before.ended);
        must!(waited >= zonal.monitor_ms(place - 1), "CF-054: the zone was watched for {waited} ms only");
    }
    let healthy_from = zone.targets.start + zone.unhealthy;
    if starting.iter().any(|ordinal| *ordinal as usize >= healthy_from) {
        let waiting: usize = watched
            .zones
            .iter()
            .map(|zone| {
                let healthy = &watched.statuses[zone.targets.start + zone.unhealthy..zone.targets.end];
                healthy.iter().filter(|s| **s == TargetStatus::Pending).count()
            })
            .sum();
        let healthy = waiting as u32 + watched.count(TargetStatus::Succeeded) + watched.current;
        must!(
            healthy >= watched.minimum(),
            "CF-039: {healthy} healthy hosts are left, {} must be",
            watched.minimum()
        );
        let phase = &watched.statuses[zone.targets.start..healthy_from];
        must!(
            phase.iter().all(|s| s.is_terminal()),
            "CF-034: a healthy host before all unhealthy ones ended"
        );
    }
    let first_waiting =
        watched.statuses.iter().position(|s| *s == TargetStatus::Pending).unwrap_or(usize::MAX);
    must!(
        starting.iter().all(|o| (*o as usize) < first_waiting),
        "CF-012: started out of order: {starting:?}"
    );
    Ok(())
}

/// CF-018, CF-036..CF-040.
fn ended_as_it_must(watched: &Watched, machine: &DeploymentMachine) -> Verdict {
    must!(watched.statuses.iter().all(|s| s.is_terminal()), "ended with targets under way");
    must!(machine.completed().is_some(), "ended without a time");
    let succeeded = watched.count(TargetStatus::Succeeded);
    let nothing_to_do = watched.statuses.is_empty() && watched.current > 0;
    let enough = nothing_to_do || succeeded > 0 && succeeded + watched.current >= watched.minimum();
    let unattempted = watched.count(TargetStatus::Skipped) > watched.given_up;
    let lost = watched.count(TargetStatus::Failed) + watched.given_up;
    let zonal = watched.record.course.zonal.is_some();
    let stopped_by_rule = unattempted && (zonal || watched.total() - lost <= watched.minimum());
    match (watched.status, machine.error().map(|e| e.code)) {
        (DeploymentStatus::Succeeded, None) => {
            must!(enough && !unattempted, "CF-038: succeeded with {succeeded} of {}", watched.total());
        }
        (DeploymentStatus::Failed, Some(ErrorCode::HealthConstraints)) => {
            must!(!enough || stopped_by_rule, "CF-036: failed with {succeeded} of {}", watched.total());
        }
        (DeploymentStatus::Failed, Some(ErrorCode::HealthConstraintsInvalid)) => {
            must!(zonal || watched.minimum() >= watched.total(), "CF-030: could have started");
        }
        (DeploymentStatus::Failed, Some(ErrorCode::NoInstances)) => {
            must!(watched.total() == 0, "CF-031: there are instances");
        }
        (DeploymentStatus::Failed, Some(ErrorCode::Timeout))
        | (DeploymentStatus::Stopped, Some(ErrorCode::ManualStop)) => {}
        (DeploymentStatus::Stopped, Some(ErrorCode::AlarmActive)) => {
            must!(watched.record.course.rollback_of.is_none(), "DP-225: an alarm stopped a rollback");
        }
        other => return Err(format!("ended as {other:?}")),
    }
    Ok(())
}
