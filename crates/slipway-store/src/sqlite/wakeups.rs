//! Wake-ups: asked for, claimed, settled.
//!
//! A row is *free* (`claimed` is null; it may be claimed from `due` on) or *claimed* (it may be claimed again when the
//! lease ends). A request for a claimed one is kept beside it, in `asked`, and becomes its due time when it is settled:
//! what it was claimed for is done then, what was asked for since is not.

use rusqlite::{Connection, OptionalExtension, Row, params};
use slipway_model::{DeploymentId, Timestamp};

use super::read;
use crate::rows::{TargetKey, Wakeup, WakeupKey};

/// Sequence numbers of requests, none given twice in the life of a process. That is enough: claims are held in memory
/// by this process and die with it.
#[derive(Debug)]
pub(super) struct Sequence(i64);

impl Sequence {
    /// Continues behind everything that is stored.
    pub(super) fn load(db: &Connection) -> rusqlite::Result<Self> {
        db.query_row("SELECT coalesce(max(seq), 0) FROM wakeups", [], |row| row.get(0)).map(Self)
    }

    fn next(&mut self) -> i64 {
        self.0 += 1;
        self.0
    }
}

/// Ends every lease. For the moment in which the database is opened: it has one owner at a time, so whoever held a
/// lease is gone, and what it had claimed need not wait for the lease to pass.
pub(super) fn end_leases(db: &Connection) -> rusqlite::Result<()> {
    db.execute("UPDATE wakeups SET ready_at = due WHERE claimed IS NOT NULL", []).map(drop)
}

/// Stands in the column `ordinal` for the deployment itself.
const WHOLE_DEPLOYMENT: i64 = -1;

fn columns(key: &WakeupKey) -> (&str, i64) {
    match key {
        WakeupKey::Deployment(id) => (id.as_str(), WHOLE_DEPLOYMENT),
        WakeupKey::Target(target) => (target.deployment.as_str(), i64::from(target.ordinal)),
    }
}

/// See [`crate::Write::Wake`].
pub(super) fn wake(
    db: &Connection,
    sequence: &mut Sequence,
    key: &WakeupKey,
    due: Timestamp,
) -> rusqlite::Result<()> {
    let (deployment, ordinal) = columns(key);
    db.prepare_cached(
        "INSERT INTO wakeups (deployment, ordinal, seq, due, ready_at) VALUES (?1, ?2, ?3, ?4, ?4)
         ON CONFLICT DO UPDATE SET
             seq      = excluded.seq,
             due      = iif(claimed IS NULL, excluded.due, due),
             ready_at = iif(claimed IS NULL, excluded.due, ready_at),
             asked    = iif(claimed IS NULL, NULL, min(coalesce(asked, excluded.due), excluded.due))
         WHERE claimed IS NOT NULL OR due > excluded.due",
    )?
    .execute(params![deployment, ordinal, sequence.next(), due.0])?;
    Ok(())
}

/// See [`crate::Write::SetTimer`].
pub(super) fn set_timer(
    db: &Connection,
    sequence: &mut Sequence,
    key: &WakeupKey,
    due: Option<Timestamp>,
) -> rusqlite::Result<()> {
    let Some(due) = due else { return remove(db, key) };
    let (deployment, ordinal) = columns(key);
    db.prepare_cached(
        "INSERT INTO wakeups (deployment, ordinal, seq, due, ready_at) VALUES (?1, ?2, ?3, ?4, ?4)
         ON CONFLICT DO UPDATE SET
             seq = excluded.seq, due = excluded.due, ready_at = excluded.due, claimed = NULL, asked = NULL",
    )?
    .execute(params![deployment, ordinal, sequence.next(), due.0])?;
    Ok(())
}

fn remove(db: &Connection, key: &WakeupKey) -> rusqlite::Result<()> {
    let (deployment, ordinal) = columns(key);
    db.prepare_cached("DELETE FROM wakeups WHERE deployment = ?1 AND ordinal = ?2")?
        .execute(params![deployment, ordinal])?;
    Ok(())
}

/// See [`crate::Write::Settle`].
pub(super) fn settle(
    db: &Connection,
    sequence: &mut Sequence,
    key: &WakeupKey,
    seq: i64,
    next: Option<Timestamp>,
) -> rusqlite::Result<()> {
    let (deployment, ordinal) = columns(key);
    let row: Option<(Option<i64>, Option<i64>)> = db
        .prepare_cached("SELECT claimed, asked FROM wakeups WHERE deployment = ?1 AND ordinal = ?2")?
        .query_row(params![deployment, ordinal], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match (row, next) {
        (Some((Some(claimed), asked)), _) if claimed == seq => {
            let asked = asked.map(Timestamp);
            set_timer(db, sequence, key, [asked, next].into_iter().flatten().min())
        }
        // Set anew, or claimed by someone else after the lease ended: that stays as it is.
        (Some(_), Some(next)) => wake(db, sequence, key, next),
        (Some(_), None) | (None, _) => Ok(()),
    }
}

/// See [`crate::Store::claim_due`].
pub(super) fn claim(
    db: &Connection,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<Wakeup>> {
    let mut statement = db.prepare_cached(
        "UPDATE wakeups SET claimed = seq, asked = NULL, ready_at = ?2
         WHERE (deployment, ordinal) IN
             (SELECT deployment, ordinal FROM wakeups WHERE ready_at <= ?1 ORDER BY ready_at LIMIT ?3)
         RETURNING deployment, ordinal, seq, due",
    )?;
    let mut claimed: Vec<Wakeup> = statement
        .query_map(params![now.0, lease_until.0, limit], wakeup)?
        .collect::<rusqlite::Result<_>>()?;
    claimed.sort_by_key(|wakeup| wakeup.due);
    Ok(claimed)
}

/// When the first one may be claimed.
pub(super) fn earliest(db: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    db.prepare_cached("SELECT min(ready_at) FROM wakeups")?
        .query_row([], |row| Ok(row.get::<_, Option<i64>>(0)?.map(Timestamp)))
}

fn wakeup(row: &Row<'_>) -> rusqlite::Result<Wakeup> {
    let deployment: DeploymentId = read::id(row, 0)?;
    let key = match row.get(1)? {
        WHOLE_DEPLOYMENT => WakeupKey::Deployment(deployment),
        _ => WakeupKey::Target(TargetKey { deployment, ordinal: row.get(1)? }),
    };
    Ok(Wakeup { key, seq: row.get(2)?, due: Timestamp(row.get(3)?) })
}
