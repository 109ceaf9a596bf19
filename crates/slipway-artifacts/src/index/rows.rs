//! The rows of the index as Rust types.

use std::collections::BTreeMap;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::checksum::{Algorithm, Checksums, Cover};

/// Version id of an object written while its bucket keeps no versions.
pub(crate) const NULL_VERSION: &str = "null";

/// Whether a bucket keeps old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versioning {
    Never,
    Enabled,
    Suspended,
}

impl ToSql for Versioning {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number: i64 = match self {
            Self::Never => 0,
            Self::Enabled => 1,
            Self::Suspended => 2,
        };
        Ok(number.into())
    }
}

impl FromSql for Versioning {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Never),
            1 => Ok(Self::Enabled),
            2 => Ok(Self::Suspended),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct BucketRow {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) created: i64,
    pub(crate) versioning: Versioning,
}

impl BucketRow {
    pub(crate) const COLUMNS: &'static str = "name, account, region, created, versioning";

    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            account: row.get(1)?,
            region: row.get(2)?,
            created: row.get(3)?,
            versioning: row.get(4)?,
        })
    }
}

/// What a client said about an object and gets back with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Meta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    /// `Expires`, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) user: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) sums: Checksums,
    /// Number of parts, if the object was uploaded in parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parts: Option<u32>,
}

/// A version of an object, or a delete marker.
#[derive(Debug, Clone)]
pub(crate) struct VersionRow {
    pub(crate) id: i64,
    pub(crate) key: String,
    pub(crate) version: String,
    pub(crate) latest: bool,
    pub(crate) marker: bool,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: i64,
    pub(crate) meta: Meta,
}

impl VersionRow {
    pub(crate) const COLUMNS: &'static str = "id, key, version, latest, marker, size, etag, modified, meta";

    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            key: row.get(1)?,
            version: row.get(2)?,
            latest: row.get(3)?,
            marker: row.get(4)?,
            size: row.get(5)?,
            etag: row.get(6)?,
            modified: row.get(7)?,
            meta: json_column(row, 8)?,
        })
    }
}

/// What a multipart upload was started with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct UploadSpec {
    pub(crate) meta: Meta,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) cover: Option<Cover>,
}

#[derive(Debug, Clone)]
pub(crate) struct UploadRow {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) initiator: String,
    pub(crate) created: i64,
    pub(crate) spec: UploadSpec,
}

impl UploadRow {
    pub(crate) const COLUMNS: &'static str = "id, key, initiator, created, spec";

    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            key: row.get(1)?,
            initiator: row.get(2)?,
            created: row.get(3)?,
            spec: json_column(row, 4)?,
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct PartRow {
    pub(crate) number: u32,
    pub(crate) blob: [u8; 32],
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: i64,
    pub(crate) sums: Checksums,
}

impl PartRow {
    pub(crate) const COLUMNS: &'static str = "number, blob, size, etag, modified, sums";

    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            blob: row.get(1)?,
            size: row.get(2)?,
            etag: row.get(3)?,
            modified: row.get(4)?,
            sums: json_column(row, 5)?,
        })
    }
}

/// A value as a JSON column. The types stored have string keys only, so this cannot fail on our data.
pub(crate) fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn json_column<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
    })
}
