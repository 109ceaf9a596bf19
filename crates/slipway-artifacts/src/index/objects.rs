//! Objects and their versions.

use rusqlite::{Connection, OptionalExtension as _};

use super::rows::{Meta, NULL_VERSION, VersionRow, Versioning, to_json};
use super::{Txn, buckets};
use crate::blob::{BlobId, Segment};
use crate::error::ArtifactError;

/// Which current object a condition means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EtagMatch {
    Any,
    Is(String),
}

impl EtagMatch {
    fn covers(&self, row: &VersionRow) -> bool {
        match self {
            Self::Any => true,
            Self::Is(etag) => *etag == row.etag,
        }
    }
}

/// What must hold for a write to happen (`If-Match`, `If-None-Match`).
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteCondition {
    /// There must be such a current object.
    pub(crate) matches: Option<EtagMatch>,
    /// There must be none.
    pub(crate) none_match: Option<EtagMatch>,
}

/// A new version to be.
#[derive(Debug, Clone)]
pub(crate) struct NewObject {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: i64,
    pub(crate) meta: Meta,
    pub(crate) segments: Vec<Segment>,
    pub(crate) condition: WriteCondition,
}

/// What a write or a delete did, in the words of the S3 response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The version made or removed; `None` if the bucket never kept versions.
    pub(crate) version: Option<String>,
    /// Whether that version is a delete marker.
    pub(crate) marker: bool,
}

/// The current version of a key, or a given one. Delete markers count as versions here.
pub(crate) fn find(
    sql: &Connection,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<Option<VersionRow>, ArtifactError> {
    let filter = if version.is_some() { "version = ?3" } else { "latest = 1 AND ?3 IS NULL" };
    let text =
        format!("SELECT {} FROM versions WHERE bucket = ?1 AND key = ?2 AND {filter}", VersionRow::COLUMNS);
    Ok(sql.prepare_cached(&text)?.query_row((bucket, key, version), VersionRow::from_row).optional()?)
}

/// Like [`find`], for reading content: what cannot be read is an error in S3's terms (CF-361: no version given means
/// the newest).
pub(crate) fn get(
    sql: &Connection,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<VersionRow, ArtifactError> {
    buckets::get(sql, bucket)?;
    match (find(sql, bucket, key, version)?, version) {
        (None, None) => Err(ArtifactError::NoSuchKey),
        (None, Some(_)) => Err(ArtifactError::NoSuchVersion),
        (Some(row), None) if row.marker => Err(ArtifactError::Deleted { version_id: row.version }),
        (Some(row), Some(_)) if row.marker => Err(ArtifactError::IsDeleteMarker { version_id: row.version }),
        (Some(row), _) => Ok(row),
    }
}

/// The content of a version in order.
pub(crate) fn segments(sql: &Connection, id: i64) -> Result<Vec<Segment>, ArtifactError> {
    let mut query = sql.prepare_cached("SELECT blob, size FROM segments WHERE version = ?1 ORDER BY seq")?;
    let rows = query.query_map([id], |row| Ok(Segment { blob: BlobId(row.get(0)?), size: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a version is still there; see [`crate::read`] for why a reader asks twice.
pub(crate) fn exists(sql: &Connection, id: i64) -> Result<bool, ArtifactError> {
    let mut query = sql.prepare_cached("SELECT EXISTS (SELECT 1 FROM versions WHERE id = ?1)")?;
    Ok(query.query_row([id], |row| row.get(0))?)
}

/// Makes a new current version, replacing the old one unless the bucket keeps versions.
pub(crate) fn put(txn: &mut Txn<'_>, new: &NewObject) -> Result<Outcome, ArtifactError> {
    let versioning = buckets::get(&txn.sql, &new.bucket)?.versioning;
    check(&new.condition, find(&txn.sql, &new.bucket, &new.key, None)?.as_ref())?;
    let version = make_room(txn, versioning, &new.bucket, &new.key)?;
    txn.sql
        .prepare_cached(
            "INSERT INTO versions (bucket, key, version, latest, marker, size, etag, modified, meta) \
             VALUES (?1, ?2, ?3, 1, 0, ?4, ?5, ?6, ?7)",
        )?
        .execute((&new.bucket, &new.key, &version, new.size, &new.etag, new.modified, to_json(&new.meta)?))?;
    let id = txn.sql.last_insert_rowid();
    let mut insert =
        txn.sql.prepare_cached("INSERT INTO segments (version, seq, blob, size) VALUES (?1, ?2, ?3, ?4)")?;
    for (seq, segment) in new.segments.iter().enumerate() {
        insert.execute((id, seq as i64, &segment.blob.0[..], segment.size))?;
    }
    Ok(Outcome { version: (versioning != Versioning::Never).then_some(version), marker: false })
}

/// Deletes the version named, or the current one.
pub(crate) fn delete(
    txn: &mut Txn<'_>,
    bucket: &str,
    key: &str,
    version: Option<&str>,
    now: i64,
) -> Result<Outcome, ArtifactError> {
    match version {
        None => delete_current(txn, bucket, key, now),
        Some(version) => delete_version(txn, bucket, key, version),
    }
}

/// Deletes the current version: for good in a bucket without versions, else behind a delete marker.
fn delete_current(txn: &mut Txn<'_>, bucket: &str, key: &str, now: i64) -> Result<Outcome, ArtifactError> {
    let versioning = buckets::get(&txn.sql, bucket)?.versioning;
    if versioning == Versioning::Never {
        if let Some(row) = find(&txn.sql, bucket, key, Some(NULL_VERSION))? {
            remove(txn, row.id)?;
        }
        return Ok(Outcome { version: None, marker: false });
    }
    let version = make_room(txn, versioning, bucket, key)?;
    txn.sql.execute(
        "INSERT INTO versions (bucket, key, version, latest, marker, size, etag, modified, meta) \
         VALUES (?1, ?2, ?3, 1, 1, 0, '', ?4, '{}')",
        (bucket, key, &version, now),
    )?;
    Ok(Outcome { version: Some(version), marker: true })
}

/// Deletes one version for good. One that does not exist is deleted already.
fn delete_version(
    txn: &mut Txn<'_>,
    bucket: &str,
    key: &str,
    version: &str,
) -> Result<Outcome, ArtifactError> {
    buckets::get(&txn.sql, bucket)?;
    let Some(row) = find(&txn.sql, bucket, key, Some(version))? else {
        return Ok(Outcome { version: Some(version.to_owned()), marker: false });
    };
    remove(txn, row.id)?;
    if row.latest {
        txn.sql.execute(
            "UPDATE versions SET latest = 1 WHERE id = (SELECT max(id) FROM versions WHERE bucket = ?1 AND key = ?2)",
            (bucket, key),
        )?;
    }
    Ok(Outcome { version: Some(row.version), marker: row.marker })
}

/// Changes what is said about a version (its tags).
pub(crate) fn set_meta(txn: &mut Txn<'_>, id: i64, meta: &Meta) -> Result<(), ArtifactError> {
    txn.sql.execute("UPDATE versions SET meta = ?2 WHERE id = ?1", (id, to_json(meta)?))?;
    Ok(())
}

/// Steps the current version back and returns the id for the next one.
fn make_room(
    txn: &mut Txn<'_>,
    versioning: Versioning,
    bucket: &str,
    key: &str,
) -> Result<String, ArtifactError> {
    let version = if versioning == Versioning::Enabled {
        uuid::Uuid::new_v4().simple().to_string()
    } else {
        if let Some(old) = find(&txn.sql, bucket, key, Some(NULL_VERSION))? {
            remove(txn, old.id)?;
        }
        NULL_VERSION.to_owned()
    };
    txn.sql
        .prepare_cached("UPDATE versions SET latest = 0 WHERE bucket = ?1 AND key = ?2 AND latest = 1")?
        .execute((bucket, key))?;
    Ok(version)
}

fn remove(txn: &mut Txn<'_>, id: i64) -> Result<(), ArtifactError> {
    for segment in segments(&txn.sql, id)? {
        txn.release(segment.blob);
    }
    txn.sql.execute("DELETE FROM versions WHERE id = ?1", [id])?;
    Ok(())
}

fn check(condition: &WriteCondition, current: Option<&VersionRow>) -> Result<(), ArtifactError> {
    let current = current.filter(|row| !row.marker);
    if let Some(wanted) = &condition.matches {
        let Some(row) = current else { return Err(ArtifactError::NoSuchKey) };
        if !wanted.covers(row) {
            return Err(ArtifactError::PreconditionFailed);
        }
    }
    if let (Some(unwanted), Some(row)) = (&condition.none_match, current)
        && unwanted.covers(row)
    {
        return Err(ArtifactError::PreconditionFailed);
    }
    Ok(())
}
