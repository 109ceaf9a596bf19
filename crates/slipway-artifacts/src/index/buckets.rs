//! Buckets: unique over the installation, each owned by one account.

use rusqlite::{Connection, OptionalExtension as _};

use super::Txn;
use super::rows::{BucketRow, Versioning};
use crate::error::ArtifactError;

pub(crate) fn find(sql: &Connection, bucket: &str) -> Result<Option<BucketRow>, ArtifactError> {
    let text = format!("SELECT {} FROM buckets WHERE name = ?1", BucketRow::COLUMNS);
    Ok(sql.prepare_cached(&text)?.query_row([bucket], BucketRow::from_row).optional()?)
}

pub(crate) fn get(sql: &Connection, bucket: &str) -> Result<BucketRow, ArtifactError> {
    find(sql, bucket)?.ok_or_else(|| ArtifactError::NoSuchBucket { bucket: bucket.to_owned() })
}

pub(crate) fn create(txn: &mut Txn<'_>, bucket: &BucketRow) -> Result<(), ArtifactError> {
    match find(&txn.sql, &bucket.name)? {
        Some(other) if other.account == bucket.account => return Err(ArtifactError::BucketAlreadyOwnedByYou),
        Some(_) => return Err(ArtifactError::BucketAlreadyExists),
        None => {}
    }
    txn.sql.execute(
        "INSERT INTO buckets (name, account, region, created, versioning) VALUES (?1, ?2, ?3, ?4, ?5)",
        (&bucket.name, &bucket.account, &bucket.region, bucket.created, bucket.versioning),
    )?;
    Ok(())
}

pub(crate) fn delete(txn: &mut Txn<'_>, bucket: &str) -> Result<(), ArtifactError> {
    get(&txn.sql, bucket)?;
    let used: bool =
        txn.sql.query_row("SELECT EXISTS (SELECT 1 FROM versions WHERE bucket = ?1)", [bucket], |row| {
            row.get(0)
        })?;
    if used {
        return Err(ArtifactError::BucketNotEmpty);
    }
    // Unfinished uploads do not keep a bucket alive; they go with it.
    let uploads: Vec<String> = {
        let mut query = txn.sql.prepare("SELECT id FROM uploads WHERE bucket = ?1")?;
        query.query_map([bucket], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for upload in uploads {
        super::uploads::remove(txn, &upload)?;
    }
    txn.sql.execute("DELETE FROM buckets WHERE name = ?1", [bucket])?;
    Ok(())
}

/// The buckets of an account whose name starts with `prefix`, after `after`.
pub(crate) fn list(
    sql: &Connection,
    account: &str,
    prefix: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<BucketRow>, ArtifactError> {
    let text = format!(
        "SELECT {} FROM buckets WHERE account = ?1 AND name > ?2 AND substr(name, 1, length(?3)) = ?3 \
         ORDER BY name LIMIT ?4",
        BucketRow::COLUMNS
    );
    let mut query = sql.prepare_cached(&text)?;
    let rows = query.query_map((account, after, prefix, limit as i64), BucketRow::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn set_versioning(
    txn: &mut Txn<'_>,
    bucket: &str,
    versioning: Versioning,
) -> Result<(), ArtifactError> {
    get(&txn.sql, bucket)?;
    txn.sql.execute("UPDATE buckets SET versioning = ?2 WHERE name = ?1", (bucket, versioning))?;
    Ok(())
}
