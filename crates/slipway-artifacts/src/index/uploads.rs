//! Multipart uploads and their parts.

use rusqlite::{Connection, OptionalExtension as _};
use s3s::S3ErrorCode;
use s3s::crypto::{Checksum as _, Md5};

use super::objects::{NewObject, Outcome, WriteCondition};
use super::rows::{PartRow, UploadRow, to_json};
use super::{Txn, buckets, objects};
use crate::blob::{BlobId, Segment};
use crate::checksum::{self, Checksums, Cover};
use crate::error::ArtifactError;

/// Every part but the last has at least this size.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

/// A part as the client lists it when it completes an upload.
#[derive(Debug, Clone)]
pub(crate) struct ListedPart {
    pub(crate) number: u32,
    pub(crate) etag: Option<String>,
    pub(crate) sums: Checksums,
}

/// The client's word on the whole: which parts in which order, and what must come out.
#[derive(Debug, Clone)]
pub(crate) struct Completion {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) upload: String,
    pub(crate) parts: Vec<ListedPart>,
    pub(crate) sums: Checksums,
    pub(crate) size: Option<u64>,
    pub(crate) condition: WriteCondition,
    pub(crate) now: i64,
}

/// A completed upload.
#[derive(Debug, Clone)]
pub(crate) struct Completed {
    pub(crate) etag: String,
    pub(crate) sums: Checksums,
    pub(crate) outcome: Outcome,
}

pub(crate) fn create(txn: &mut Txn<'_>, bucket: &str, upload: &UploadRow) -> Result<(), ArtifactError> {
    buckets::get(&txn.sql, bucket)?;
    txn.sql.execute(
        "INSERT INTO uploads (id, bucket, key, initiator, created, spec) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (&upload.id, bucket, &upload.key, &upload.initiator, upload.created, to_json(&upload.spec)?),
    )?;
    Ok(())
}

/// An upload that is under way for this very key.
pub(crate) fn get(
    sql: &Connection,
    bucket: &str,
    key: &str,
    upload: &str,
) -> Result<UploadRow, ArtifactError> {
    buckets::get(sql, bucket)?;
    let text =
        format!("SELECT {} FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3", UploadRow::COLUMNS);
    let row = sql.prepare_cached(&text)?.query_row((upload, bucket, key), UploadRow::from_row).optional()?;
    row.ok_or(ArtifactError::NoSuchUpload)
}

/// Adds a part, or replaces the one with its number.
pub(crate) fn put_part(
    txn: &mut Txn<'_>,
    bucket: &str,
    key: &str,
    upload: &str,
    part: &PartRow,
) -> Result<(), ArtifactError> {
    // Asked again inside the transaction: the upload may have been aborted while the body came in.
    get(&txn.sql, bucket, key, upload)?;
    let old: Option<[u8; 32]> = txn
        .sql
        .query_row("SELECT blob FROM parts WHERE upload = ?1 AND number = ?2", (upload, part.number), |row| {
            row.get(0)
        })
        .optional()?;
    if let Some(blob) = old {
        txn.release(BlobId(blob));
    }
    txn.sql.execute(
        "INSERT OR REPLACE INTO parts (upload, number, blob, size, etag, modified, sums) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (upload, part.number, &part.blob[..], part.size, &part.etag, part.modified, to_json(&part.sums)?),
    )?;
    Ok(())
}

pub(crate) fn parts(
    sql: &Connection,
    upload: &str,
    after: u32,
    limit: usize,
) -> Result<Vec<PartRow>, ArtifactError> {
    let text = format!(
        "SELECT {} FROM parts WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
        PartRow::COLUMNS
    );
    let mut query = sql.prepare_cached(&text)?;
    let rows = query.query_map((upload, after, limit as i64), PartRow::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ends an upload: its parts lose their reference. Parts that became an object have another one by then.
pub(crate) fn remove(txn: &mut Txn<'_>, upload: &str) -> Result<(), ArtifactError> {
    for part in parts(&txn.sql, upload, 0, usize::from(u16::MAX))? {
        txn.release(BlobId(part.blob));
    }
    txn.sql.execute("DELETE FROM uploads WHERE id = ?1", [upload])?;
    Ok(())
}

/// Makes an object of the parts listed. No content moves: the object refers to the blobs of the parts.
pub(crate) fn complete(txn: &mut Txn<'_>, request: &Completion) -> Result<Completed, ArtifactError> {
    let upload = get(&txn.sql, &request.bucket, &request.key, &request.upload)?;
    let parts = choose_parts(txn, request)?;
    let size = parts.iter().map(|p| p.size).sum();
    if request.size.is_some_and(|claimed| claimed != size) {
        return Err(ArtifactError::refused(
            S3ErrorCode::InvalidRequest,
            "The provided 'x-amz-mp-object-size' header value does not match what was computed.",
        ));
    }
    let mut meta = upload.spec.meta;
    meta.parts = Some(parts.len() as u32);
    if let Some(algorithm) = upload.spec.algorithm {
        let cover = upload.spec.cover.unwrap_or(Cover::Composite);
        let sums: Vec<_> = parts.iter().map(|p| (p.sums.get(algorithm), p.size)).collect();
        if let Some(value) = checksum::of_parts(algorithm, cover, &sums) {
            meta.sums.set(algorithm, value);
            meta.sums.cover = Some(cover);
        }
        meta.sums.verify_claims(&request.sums)?;
    }
    let new = NewObject {
        bucket: request.bucket.clone(),
        key: request.key.clone(),
        size,
        etag: etag_of_parts(&parts)?,
        modified: request.now,
        meta,
        segments: parts.iter().map(|p| Segment { blob: BlobId(p.blob), size: p.size }).collect(),
        condition: request.condition.clone(),
    };
    let outcome = objects::put(txn, &new)?;
    remove(txn, &request.upload)?;
    Ok(Completed { etag: new.etag, sums: new.meta.sums, outcome })
}

fn choose_parts(txn: &Txn<'_>, request: &Completion) -> Result<Vec<PartRow>, ArtifactError> {
    let stored = parts(&txn.sql, &request.upload, 0, usize::from(u16::MAX))?;
    if request.parts.is_empty() {
        return Err(ArtifactError::refused(S3ErrorCode::MalformedXML, "You must specify at least one part"));
    }
    if !request.parts.is_sorted_by(|a, b| a.number < b.number) {
        return Err(ArtifactError::refused(
            S3ErrorCode::InvalidPartOrder,
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        ));
    }
    let mut chosen = Vec::with_capacity(request.parts.len());
    for listed in &request.parts {
        let found = stored.binary_search_by_key(&listed.number, |p| p.number).ok().map(|i| &stored[i]);
        let part = found.filter(|p| listed.etag.as_ref().is_none_or(|etag| *etag == p.etag));
        let part = part.filter(|p| {
            listed.sums.algorithms().all(|a| p.sums.get(a).is_none_or(|sum| Some(sum) == listed.sums.get(a)))
        });
        let Some(part) = part else {
            return Err(ArtifactError::refused(
                S3ErrorCode::InvalidPart,
                "One or more of the specified parts could not be found. The part may not have been uploaded, \
                 or the specified entity tag may not match the part's entity tag.",
            ));
        };
        chosen.push(part.clone());
    }
    if chosen.iter().rev().skip(1).any(|p| p.size < SMALLEST_PART) {
        return Err(ArtifactError::refused(
            S3ErrorCode::EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size",
        ));
    }
    Ok(chosen)
}

/// MD5 of the parts' MD5s, with their number: what the AWS CLI reports as the revision's eTag (CF-353).
fn etag_of_parts(parts: &[PartRow]) -> Result<String, ArtifactError> {
    let mut md5 = Md5::new();
    for part in parts {
        let digest = hex::decode(&part.etag).map_err(|e| {
            ArtifactError::Index(rusqlite::Error::FromSqlConversionFailure(
                0,
                rusqlite::types::Type::Text,
                Box::new(e),
            ))
        })?;
        md5.update(&digest);
    }
    Ok(format!("{}-{}", hex::encode(md5.finalize()), parts.len()))
}
