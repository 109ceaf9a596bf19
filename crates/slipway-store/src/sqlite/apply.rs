//! One change set, inside the transaction of the writer.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, params};
use slipway_model::status::{DeploymentStatus, TargetStatus};
use slipway_model::{DeploymentId, Timestamp};

use super::wakeups::{self, Sequence};
use crate::change::{CommitError, Write};
use crate::rows::{
    DeploymentRow, Document, DocumentKey, EventRow, HealthRow, Kind, Partition, TargetKey, TargetRow,
};

/// Why a write was not made.
#[derive(Debug)]
pub(super) enum Failure {
    /// Its condition does not hold.
    Refused(Box<CommitError>),
    /// The database did not do it.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl From<Failure> for CommitError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => *error,
            Failure::Sql(error) => sql_error(&error),
        }
    }
}

/// What callers are told about an error of the database.
pub(super) fn sql_error(error: &rusqlite::Error) -> CommitError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => CommitError::DiskFull(error.to_string()),
        _ => CommitError::Unavailable(error.to_string()),
    }
}

type Written = Result<(), Failure>;

/// What the writer remembers beside the database, for the life of the process. That is enough: whoever has read a
/// version, or claimed a wake-up, is part of this process and dies with it.
#[derive(Debug)]
pub(super) struct Memory {
    /// Of wake-ups.
    pub(super) sequence: Sequence,
    /// The highest version of any document that was deleted. New documents begin above it, so that nobody takes one
    /// for another one that they read under the same key.
    pub(super) deleted_versions: i64,
}

impl Memory {
    fn first_version(&self) -> i64 {
        self.deleted_versions + 1
    }

    fn deleted(&mut self, version: Option<i64>) {
        self.deleted_versions = self.deleted_versions.max(version.unwrap_or_default());
    }
}

/// Makes one write.
pub(super) fn write(db: &Connection, memory: &mut Memory, write: &Write) -> Written {
    match write {
        Write::Insert(document) => insert(db, memory, document),
        Write::Replace(document) => replace(db, document),
        Write::Put(document) => put(db, memory, document),
        Write::Delete { key, version } => delete(db, memory, key, *version),
        Write::DeleteChildren { partition, kind, parent } => {
            delete_children(db, memory, partition, *kind, parent)
        }
        Write::Require { key, version } => require(db, key, *version),
        Write::RequireNone { partition, kind, parent } => require_none(db, partition, *kind, parent),
        Write::InsertDeployment(row) => insert_deployment(db, row),
        Write::UpdateDeployment { id, version, status, machine } => {
            update_deployment(db, id, *version, *status, machine)
        }
        Write::ForgetGroup { group_id } => forget_group(db, group_id),
        Write::InsertTargets(rows) => insert_targets(db, rows),
        Write::UpdateTarget(row) => update_target(db, row),
        Write::SkipPending { deployment, first, status, machine, at } => {
            skip_pending(db, deployment, *first, *status, machine, *at)
        }
        Write::MarkCounted { deployment, ordinals } => mark_counted(db, deployment, ordinals),
        Write::PutHealth(row) => put_health(db, row),
        Write::FailHealth { group_id, host } => fail_health(db, group_id, host),
        Write::ForgetInstalled { group_id, deployment, revision } => {
            forget_installed(db, group_id, deployment, revision)
        }
        Write::Wake { key, due } => Ok(wakeups::wake(db, &mut memory.sequence, key, *due)?),
        Write::SetTimer { key, due } => Ok(wakeups::set_timer(db, &mut memory.sequence, key, *due)?),
        Write::Settle { key, seq, next } => Ok(wakeups::settle(db, &mut memory.sequence, key, *seq, *next)?),
        Write::Event(row) => append_event(db, row),
    }
}

fn execute(db: &Connection, sql: &str, parameters: impl Params) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute(parameters)
}

fn describe(key: &DocumentKey) -> String {
    format!("{:?} {:?}", key.kind, key.name)
}

fn changed_by_someone(what: String) -> Failure {
    Failure::from(CommitError::Conflict { what })
}

/// An `UPDATE` or `DELETE` that must have found its row at the version that was read.
fn found(rows: usize, what: impl FnOnce() -> String) -> Written {
    if rows == 0 { Err(changed_by_someone(what())) } else { Ok(()) }
}

fn insert(db: &Connection, memory: &Memory, Document { key, body, .. }: &Document) -> Written {
    let rows = execute(
        db,
        "INSERT INTO documents (place, kind, parent, name, version, body) VALUES (?1, ?2, ?3, ?4, ?6, ?5)
         ON CONFLICT DO NOTHING",
        params![
            key.partition.to_string(),
            key.kind as u8,
            key.parent,
            key.name,
            body,
            memory.first_version()
        ],
    )?;
    if rows == 0 {
        return Err(CommitError::Exists { what: describe(key), key: Some(key.clone()) }.into());
    }
    Ok(())
}

fn replace(db: &Connection, Document { key, body, version }: &Document) -> Written {
    let rows = execute(
        db,
        "UPDATE documents SET body = ?5, version = version + 1
         WHERE place = ?1 AND kind = ?2 AND parent = ?3 AND name = ?4 AND version = ?6",
        params![key.partition.to_string(), key.kind as u8, key.parent, key.name, body, version],
    )?;
    found(rows, || describe(key))
}

fn put(db: &Connection, memory: &Memory, Document { key, body, .. }: &Document) -> Written {
    execute(
        db,
        "INSERT INTO documents (place, kind, parent, name, version, body) VALUES (?1, ?2, ?3, ?4, ?6, ?5)
         ON CONFLICT DO UPDATE SET body = excluded.body, version = version + 1",
        params![
            key.partition.to_string(),
            key.kind as u8,
            key.parent,
            key.name,
            body,
            memory.first_version()
        ],
    )?;
    Ok(())
}

fn delete(db: &Connection, memory: &mut Memory, key: &DocumentKey, version: Option<i64>) -> Written {
    let place = key.partition.to_string();
    let Some(version) = version else {
        let deleted: Option<i64> = db
            .prepare_cached(
                "DELETE FROM documents WHERE place = ?1 AND kind = ?2 AND parent = ?3 AND name = ?4
                 RETURNING version",
            )?
            .query_row(params![place, key.kind as u8, key.parent, key.name], |row| row.get(0))
            .optional()?;
        memory.deleted(deleted);
        return Ok(());
    };
    let rows = execute(
        db,
        "DELETE FROM documents WHERE place = ?1 AND kind = ?2 AND parent = ?3 AND name = ?4 AND version = ?5",
        params![place, key.kind as u8, key.parent, key.name, version],
    )?;
    found(rows, || describe(key))?;
    memory.deleted(Some(version));
    Ok(())
}

fn delete_children(
    db: &Connection,
    memory: &mut Memory,
    partition: &Partition,
    kind: Kind,
    parent: &str,
) -> Written {
    let place = partition.to_string();
    let highest: Option<i64> = db
        .prepare_cached("SELECT max(version) FROM documents WHERE place = ?1 AND kind = ?2 AND parent = ?3")?
        .query_row(params![place, kind as u8, parent], |row| row.get(0))?;
    memory.deleted(highest);
    execute(
        db,
        "DELETE FROM documents WHERE place = ?1 AND kind = ?2 AND parent = ?3",
        params![place, kind as u8, parent],
    )?;
    Ok(())
}

fn require(db: &Connection, key: &DocumentKey, version: i64) -> Written {
    let there = db
        .prepare_cached(
            "SELECT 1 FROM documents WHERE place = ?1 AND kind = ?2 AND parent = ?3 AND name = ?4 AND version = ?5",
        )?
        .exists(params![key.partition.to_string(), key.kind as u8, key.parent, key.name, version])?;
    found(usize::from(there), || describe(key))
}

fn require_none(db: &Connection, partition: &Partition, kind: Kind, parent: &str) -> Written {
    let there = db
        .prepare_cached("SELECT 1 FROM documents WHERE place = ?1 AND kind = ?2 AND parent = ?3 LIMIT 1")?
        .exists(params![partition.to_string(), kind as u8, parent])?;
    if there { Err(changed_by_someone(format!("{kind:?} of {parent:?}"))) } else { Ok(()) }
}

fn insert_deployment(db: &Connection, row: &DeploymentRow) -> Written {
    let id = row.id.as_str();
    // Before the group is looked at: the same request, made again, finds itself and not a busy group.
    if db.prepare_cached("SELECT 1 FROM deployments WHERE id = ?1")?.exists([id])? {
        return Err(CommitError::Exists { what: format!("deployment {id}"), key: None }.into());
    }
    let active = !row.status.is_terminal();
    if active {
        group_is_free(db, &row.group_id, &row.id)?;
    }
    execute(
        db,
        "INSERT INTO deployments
             (id, account, region, application_id, group_id, status, active, created, version, machine)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9)",
        params![
            id,
            row.scope.account.as_str(),
            row.scope.region.as_str(),
            row.application_id,
            row.group_id,
            row.status.as_str(),
            active,
            row.created.0,
            row.machine,
        ],
    )?;
    execute(
        db,
        "INSERT INTO deployment_records (deployment, record) VALUES (?1, ?2)",
        params![id, row.record],
    )?;
    Ok(())
}

/// CF-370: a group has one active deployment at most.
fn group_is_free(db: &Connection, group_id: &str, but_for: &DeploymentId) -> Written {
    let active: Option<String> = db
        .prepare_cached("SELECT id FROM deployments WHERE group_id = ?1 AND active = 1 AND id <> ?2")?
        .query_row([group_id, but_for.as_str()], |row| row.get(0))
        .optional()?;
    let Some(active) = active else { return Ok(()) };
    let active = DeploymentId::new(active).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e))
    })?;
    Err(CommitError::GroupBusy { active }.into())
}

fn update_deployment(
    db: &Connection,
    id: &DeploymentId,
    version: i64,
    status: DeploymentStatus,
    machine: &str,
) -> Written {
    let rows = execute(
        db,
        "UPDATE deployments SET status = ?3, active = ?4, machine = ?5, version = version + 1
         WHERE id = ?1 AND version = ?2",
        params![id.as_str(), version, status.as_str(), !status.is_terminal(), machine],
    )?;
    found(rows, || format!("deployment {id}"))
}

fn forget_group(db: &Connection, group_id: &str) -> Written {
    execute(
        db,
        "DELETE FROM wakeups WHERE deployment IN (SELECT id FROM deployments WHERE group_id = ?1)",
        [group_id],
    )?;
    // Targets and frozen copies go with their deployment (ON DELETE CASCADE).
    execute(db, "DELETE FROM deployments WHERE group_id = ?1", [group_id])?;
    execute(db, "DELETE FROM host_health WHERE group_id = ?1", [group_id])?;
    Ok(())
}

fn insert_targets(db: &Connection, rows: &[TargetRow]) -> Written {
    let mut statement = db.prepare_cached(
        "INSERT INTO targets
             (deployment, ordinal, host, name, status, offer_at, outstanding, uncounted, updated, version, machine)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?10)
         ON CONFLICT DO NOTHING",
    )?;
    rows.iter().try_for_each(|row| insert_target(&mut statement, row))
}

fn insert_target(statement: &mut CachedStatement<'_>, row: &TargetRow) -> Written {
    let inserted = statement.execute(params![
        row.key.deployment.as_str(),
        row.key.ordinal,
        row.host,
        row.name,
        row.status.as_str(),
        row.offer_at.map(|at| at.0),
        row.outstanding,
        row.uncounted,
        row.updated.0,
        row.machine,
    ]);
    match inserted {
        Ok(0) => Err(CommitError::Exists { what: format!("target {}", row.key), key: None }.into()),
        Ok(_) => Ok(()),
        Err(error) if is_foreign_key(&error) => {
            // The deployment has been forgotten since the caller read it.
            Err(changed_by_someone(format!("deployment {}", row.key.deployment)))
        }
        Err(error) => Err(error.into()),
    }
}

fn is_foreign_key(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

fn update_target(db: &Connection, row: &TargetRow) -> Written {
    let TargetKey { deployment, ordinal } = &row.key;
    let rows = execute(
        db,
        "UPDATE targets SET status = ?4, offer_at = ?5, outstanding = ?6, uncounted = ?7, updated = ?8,
                            machine = ?9, version = version + 1
         WHERE deployment = ?1 AND ordinal = ?2 AND version = ?3",
        params![
            deployment.as_str(),
            ordinal,
            row.version,
            row.status.as_str(),
            row.offer_at.map(|at| at.0),
            row.outstanding,
            row.uncounted,
            row.updated.0,
            row.machine,
        ],
    )?;
    found(rows, || format!("target {}", row.key))
}

fn skip_pending(
    db: &Connection,
    deployment: &DeploymentId,
    first: u32,
    status: TargetStatus,
    machine: &str,
    at: Timestamp,
) -> Written {
    execute(
        db,
        "UPDATE targets SET status = ?4, machine = ?5, updated = ?6, offer_at = NULL, outstanding = 0, uncounted = 0,
                            version = version + 1
         WHERE deployment = ?1 AND status = ?2 AND ordinal >= ?3",
        params![deployment.as_str(), TargetStatus::Pending.as_str(), first, status.as_str(), machine, at.0],
    )?;
    Ok(())
}

/// The version moves with the mark: whoever read the target before must not write the old mark back.
fn mark_counted(db: &Connection, deployment: &DeploymentId, ordinals: &[u32]) -> Written {
    let mut statement = db.prepare_cached(
        "UPDATE targets SET uncounted = 0, version = version + 1
         WHERE deployment = ?1 AND ordinal = ?2 AND uncounted = 1",
    )?;
    for ordinal in ordinals {
        let rows = statement.execute(params![deployment.as_str(), ordinal])?;
        found(rows, || format!("target {deployment}/{ordinal}"))?;
    }
    Ok(())
}

fn put_health(db: &Connection, row: &HealthRow) -> Written {
    execute(
        db,
        "INSERT INTO host_health (group_id, host, healthy, installed_revision) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET healthy = excluded.healthy, installed_revision = excluded.installed_revision",
        params![row.group_id, row.host, row.healthy, row.installed_revision],
    )?;
    Ok(())
}

fn fail_health(db: &Connection, group_id: &str, host: &str) -> Written {
    execute(
        db,
        "INSERT INTO host_health (group_id, host, healthy) VALUES (?1, ?2, 0)
         ON CONFLICT DO UPDATE SET healthy = 0",
        params![group_id, host],
    )?;
    Ok(())
}

fn forget_installed(db: &Connection, group_id: &str, deployment: &DeploymentId, revision: &str) -> Written {
    execute(
        db,
        "UPDATE host_health SET installed_revision = NULL
         WHERE group_id = ?1 AND installed_revision = ?3
           AND host IN (SELECT host FROM targets WHERE deployment = ?2 AND status = ?4)",
        params![group_id, deployment.as_str(), revision, TargetStatus::Failed.as_str()],
    )?;
    Ok(())
}

fn append_event(db: &Connection, row: &EventRow) -> Written {
    execute(
        db,
        "INSERT INTO events (account, region, deployment, target, at, what) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            row.scope.account.as_str(),
            row.scope.region.as_str(),
            row.deployment.as_str(),
            row.target,
            row.at.0,
            row.what,
        ],
    )?;
    Ok(())
}
