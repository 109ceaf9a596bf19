//! The questions, on a connection of a reader.

use std::fmt::Write as _;

use rusqlite::types::{Type, Value};
use rusqlite::{Connection, OptionalExtension, Params, Row, params, params_from_iter};
use slipway_model::status::{DeploymentStatus, TargetStatus};
use slipway_model::{AccountId, DeploymentId, Scope, Timestamp};

use crate::rows::{
    DeploymentQuery, DeploymentRow, Document, DocumentKey, EventRow, HealthRow, Kind, Partition,
    RevisionQuery, RevisionTime, TargetKey, TargetQuery, TargetRow,
};

/// A text column as an id of the model.
pub(super) fn id<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: TryFrom<String>,
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(row.get::<_, String>(column)?)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no status")]
struct UnknownStatus(String);

fn status<T>(row: &Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(UnknownStatus(text)))
    })
}

fn all<T>(
    db: &Connection,
    sql: &str,
    parameters: impl Params,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map(parameters, row)?.collect()
}

fn one<T>(
    db: &Connection,
    sql: &str,
    parameters: impl Params,
    row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    db.prepare_cached(sql)?.query_row(parameters, row).optional()
}

pub(super) fn document(db: &Connection, key: DocumentKey) -> rusqlite::Result<Option<Document>> {
    let found = one(
        db,
        "SELECT body, version FROM documents WHERE place = ?1 AND kind = ?2 AND parent = ?3 AND name = ?4",
        params![key.partition.to_string(), key.kind as u8, key.parent, key.name],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(found.map(|(body, version)| Document { key, body, version }))
}

pub(super) fn documents(
    db: &Connection,
    partition: &Partition,
    kind: Kind,
    parent: &str,
    after: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Vec<Document>> {
    let sql = match after {
        None => {
            "SELECT name, body, version FROM documents
             WHERE place = ?1 AND kind = ?2 AND parent = ?3 AND name >= ?4 ORDER BY name LIMIT ?5"
        }
        Some(_) => {
            "SELECT name, body, version FROM documents
             WHERE place = ?1 AND kind = ?2 AND parent = ?3 AND name > ?4 ORDER BY name LIMIT ?5"
        }
    };
    all(
        db,
        sql,
        params![partition.to_string(), kind as u8, parent, after.unwrap_or_default(), limit],
        |row| {
            let key = DocumentKey {
                partition: partition.clone(),
                kind,
                parent: parent.to_owned(),
                name: row.get(0)?,
            };
            Ok(Document { key, body: row.get(1)?, version: row.get(2)? })
        },
    )
}

pub(super) fn count_documents(
    db: &Connection,
    partition: &Partition,
    kind: Kind,
    parent: &str,
) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT count(*) FROM documents WHERE place = ?1 AND kind = ?2 AND parent = ?3")?
        .query_row(params![partition.to_string(), kind as u8, parent], |row| row.get(0))
}

pub(super) fn revisions(db: &Connection, query: &RevisionQuery) -> rusqlite::Result<Vec<Document>> {
    let (at, name) = query.after.clone().map_or((None, None), |(at, name)| (Some(at.0), Some(name)));
    all(
        db,
        &revisions_sql(query),
        params![query.partition.to_string(), query.application_id, at, name, query.limit],
        |row| {
            let key = DocumentKey {
                partition: query.partition.clone(),
                kind: Kind::Revision,
                parent: query.application_id.clone(),
                name: row.get(0)?,
            };
            Ok(Document { key, body: row.get(1)?, version: row.get(2)? })
        },
    )
}

/// The time is written exactly as in the index that the statement names. Its bound stands there twice: by the pair
/// alone SQLite would not seek.
pub(super) fn revisions_sql(query: &RevisionQuery) -> String {
    let (index, member) = match query.by {
        RevisionTime::Registered => ("revisions_by_registration", "registered"),
        RevisionTime::FirstUsed => ("revisions_by_first_use", "first_used"),
        RevisionTime::LastUsed => ("revisions_by_last_use", "last_used"),
    };
    let time = format!("coalesce(json_extract(body, '$.{member}'), 0)");
    let (beyond, order) = if query.descending { ("<", "DESC") } else { (">", "ASC") };
    let after = match query.after {
        None => String::new(),
        Some(_) => format!("AND {time} {beyond}= ?3 AND ({time}, name) {beyond} (?3, ?4)"),
    };
    format!(
        "SELECT name, body, version FROM documents INDEXED BY {index}
         WHERE kind = {kind} AND place = ?1 AND parent = ?2 {after} ORDER BY {time} {order}, name {order} LIMIT ?5",
        kind = Kind::Revision as u8,
    )
}

macro_rules! select_deployment {
    () => {
        "SELECT id, account, region, application_id, group_id, status, created, version, machine,
                (SELECT record FROM deployment_records WHERE deployment = id)
         FROM deployments "
    };
}

fn deployment_row(row: &Row<'_>) -> rusqlite::Result<DeploymentRow> {
    Ok(DeploymentRow {
        id: id(row, 0)?,
        scope: Scope { account: id(row, 1)?, region: id(row, 2)? },
        application_id: row.get(3)?,
        group_id: row.get(4)?,
        status: status(row, 5, DeploymentStatus::parse)?,
        created: Timestamp(row.get(6)?),
        version: row.get(7)?,
        machine: row.get(8)?,
        record: row.get(9)?,
    })
}

pub(super) fn deployment(db: &Connection, id: &DeploymentId) -> rusqlite::Result<Option<DeploymentRow>> {
    one(db, concat!(select_deployment!(), "WHERE id = ?1"), [id.as_str()], deployment_row)
}

pub(super) fn deployments(db: &Connection, query: &DeploymentQuery) -> rusqlite::Result<Vec<DeploymentRow>> {
    let (sql, parameters) = deployments_sql(query);
    all(db, &sql, params_from_iter(parameters), deployment_row)
}

/// The statement names its index, so that a page costs what it shows, whatever the planner believes about the data.
pub(super) fn deployments_sql(query: &DeploymentQuery) -> (String, Vec<Value>) {
    let active = !query.statuses.is_empty() && query.statuses.iter().all(|s| !s.is_terminal());
    let index = match (active, &query.group_id, &query.application_id) {
        (true, Some(_), _) => "deployments_active_in_group",
        (true, None, _) => "deployments_active_in_scope",
        (false, Some(_), _) => "deployments_of_group",
        (false, None, Some(_)) => "deployments_of_application",
        (false, None, None) => "deployments_in_scope",
    };
    let mut sql = format!("{}INDEXED BY {index} WHERE account = ? AND region = ?", select_deployment!());
    let text = |value: &str| Value::from(value.to_owned());
    let mut parameters = vec![text(query.scope.account.as_str()), text(query.scope.region.as_str())];
    let mut and = |condition: &str, values: &[Value]| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        parameters.extend_from_slice(values);
    };
    if active {
        and("active = 1", &[]);
    }
    if let Some(application) = &query.application_id {
        and("application_id = ?", &[text(application)]);
    }
    if let Some(group) = &query.group_id {
        and("group_id = ?", &[text(group)]);
    }
    if !query.statuses.is_empty() {
        and(&format!("status IN {}", literals(query.statuses.iter().map(|s| s.as_str()))), &[]);
    }
    if let Some(from) = query.created_from {
        and("created >= ?", &[from.0.into()]);
    }
    // Only the tighter of the two upper bounds: given both, SQLite might seek by the looser one.
    match (&query.after, query.created_to) {
        (Some((created, id)), to) if to.is_none_or(|to| *created <= to) => {
            and("(created, id) < (?, ?)", &[created.0.into(), text(id.as_str())]);
        }
        (_, Some(to)) => and("created <= ?", &[to.0.into()]),
        (_, None) => {}
    }
    sql.push_str(" ORDER BY created DESC, id DESC LIMIT ?");
    parameters.push(i64::from(query.limit).into());
    (sql, parameters)
}

/// `('A','B')`. For constants only: nothing is escaped.
fn literals(values: impl Iterator<Item = &'static str>) -> String {
    let mut list = String::from("(");
    for (place, value) in values.enumerate() {
        let comma = if place == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(list, "{comma}'{value}'");
    }
    list.push(')');
    list
}

/// Names its index too: by the other one it would read every deployment that the account ever had.
pub(super) const COUNT_ACTIVE: &str =
    "SELECT count(*) FROM deployments INDEXED BY deployments_active_in_scope
     WHERE account = ?1 AND active = 1";

pub(super) fn count_active_deployments(db: &Connection, account: &AccountId) -> rusqlite::Result<u64> {
    db.prepare_cached(COUNT_ACTIVE)?.query_row([account.as_str()], |row| row.get(0))
}

macro_rules! select_target {
    () => {
        "SELECT deployment, ordinal, host, name, status, offer_at, outstanding, uncounted, updated, version, machine
         FROM targets "
    };
}

fn target_row(row: &Row<'_>) -> rusqlite::Result<TargetRow> {
    Ok(TargetRow {
        key: TargetKey { deployment: id(row, 0)?, ordinal: row.get(1)? },
        host: row.get(2)?,
        name: row.get(3)?,
        status: status(row, 4, TargetStatus::parse)?,
        offer_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        outstanding: row.get(6)?,
        uncounted: row.get(7)?,
        updated: Timestamp(row.get(8)?),
        version: row.get(9)?,
        machine: row.get(10)?,
    })
}

pub(super) fn latest_moment(db: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let latest: Option<i64> = db
        .prepare_cached(
            "SELECT max(d.created, coalesce((SELECT max(updated) FROM targets t WHERE t.deployment = d.id), d.created)) AS at
             FROM deployments d WHERE d.active = 1 ORDER BY at DESC LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(latest.map(Timestamp))
}

pub(super) fn target(db: &Connection, key: &TargetKey) -> rusqlite::Result<Option<TargetRow>> {
    one(
        db,
        concat!(select_target!(), "WHERE deployment = ?1 AND ordinal = ?2"),
        params![key.deployment.as_str(), key.ordinal],
        target_row,
    )
}

pub(super) fn target_by_name(
    db: &Connection,
    deployment: &DeploymentId,
    name: &str,
) -> rusqlite::Result<Option<TargetRow>> {
    one(
        db,
        concat!(select_target!(), "WHERE deployment = ?1 AND name = ?2"),
        [deployment.as_str(), name],
        target_row,
    )
}

pub(super) fn target_by_host(
    db: &Connection,
    deployment: &DeploymentId,
    host: &str,
) -> rusqlite::Result<Option<TargetRow>> {
    one(
        db,
        concat!(select_target!(), "WHERE deployment = ?1 AND host = ?2"),
        [deployment.as_str(), host],
        target_row,
    )
}

pub(super) fn targets(db: &Connection, query: &TargetQuery) -> rusqlite::Result<Vec<TargetRow>> {
    let deployment = query.deployment.as_str();
    if query.statuses.is_empty() {
        return all(
            db,
            concat!(select_target!(), "WHERE deployment = ?1 AND ordinal >= ?2 ORDER BY ordinal LIMIT ?3"),
            params![deployment, query.from, query.limit],
            target_row,
        );
    }
    let mut statuses = query.statuses.clone();
    statuses.sort_unstable();
    statuses.dedup();
    // One status at a time comes in order from the index, and a page of each is enough for a page of all. Together in
    // one transaction: a target that moves from one status to another must not be seen twice.
    let transaction = db.unchecked_transaction()?;
    let mut rows = Vec::new();
    for status in statuses {
        rows.extend(all(
            db,
            concat!(
                select_target!(),
                "INDEXED BY targets_by_status
                 WHERE deployment = ?1 AND status = ?2 AND ordinal >= ?3 ORDER BY ordinal LIMIT ?4"
            ),
            params![deployment, status.as_str(), query.from, query.limit],
            target_row,
        )?);
    }
    transaction.finish()?;
    rows.sort_unstable_by_key(|row| row.key.ordinal);
    rows.truncate(query.limit as usize);
    Ok(rows)
}

pub(super) fn uncounted_targets(
    db: &Connection,
    deployment: &DeploymentId,
    limit: u32,
) -> rusqlite::Result<Vec<TargetRow>> {
    all(
        db,
        concat!(
            select_target!(),
            "INDEXED BY targets_uncounted WHERE deployment = ?1 AND uncounted = 1 ORDER BY ordinal LIMIT ?2"
        ),
        params![deployment.as_str(), limit],
        target_row,
    )
}

pub(super) fn next_command(
    db: &Connection,
    host: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<TargetRow>> {
    one(
        db,
        concat!(
            select_target!(),
            "INDEXED BY targets_offered WHERE host = ?1 AND offer_at <= ?2 AND offer_at IS NOT NULL
             ORDER BY offer_at, deployment, ordinal LIMIT 1"
        ),
        params![host, now.0],
        target_row,
    )
}

pub(super) fn outstanding_commands(db: &Connection, host: &str) -> rusqlite::Result<u32> {
    db.prepare_cached(
        "SELECT count(*) FROM targets INDEXED BY targets_outstanding WHERE host = ?1 AND outstanding = 1",
    )?
    .query_row([host], |row| row.get(0))
}

pub(super) fn host_health(db: &Connection, group_id: &str) -> rusqlite::Result<Vec<HealthRow>> {
    all(
        db,
        "SELECT host, healthy, installed_revision FROM host_health WHERE group_id = ?1 ORDER BY host",
        [group_id],
        |row| {
            Ok(HealthRow {
                group_id: group_id.to_owned(),
                host: row.get(0)?,
                healthy: row.get(1)?,
                installed_revision: row.get(2)?,
            })
        },
    )
}

pub(super) fn events(db: &Connection, after: i64, limit: u32) -> rusqlite::Result<Vec<EventRow>> {
    all(
        db,
        "SELECT seq, account, region, deployment, target, at, what FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        params![after, limit],
        |row| {
            Ok(EventRow {
                seq: row.get(0)?,
                scope: Scope { account: id(row, 1)?, region: id(row, 2)? },
                deployment: id(row, 3)?,
                target: row.get(4)?,
                at: Timestamp(row.get(5)?),
                what: row.get(6)?,
            })
        },
    )
}
