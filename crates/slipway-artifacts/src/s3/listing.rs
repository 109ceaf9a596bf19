//! Listings of objects and versions.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::convert::{encoded, etag, limit, owner, timestamp};
use super::{Backend, Target};
use crate::index::listing::{self, Page, Query};
use crate::index::rows::VersionRow;

impl Backend {
    pub(super) async fn do_list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<ListObjectsOutput> {
        let input = &request.input;
        let target = Target::bucket(&input.bucket, input.expected_bucket_owner.as_ref());
        let (_, bucket) = self.allow(&request, "s3:ListBucket", target).await?;
        let input = request.input;
        let encoding = input.encoding_type;
        let query = Query {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().filter(|d| !d.is_empty()),
            after: input.marker.clone().filter(|m| !m.is_empty()),
            after_id: None,
            limit: limit(input.max_keys)?,
        };
        let max_keys = query.limit as i32;
        let page = self.index.read(move |sql| listing::objects(sql, &query)).await?;
        let truncated = page.truncated;
        let next = page.last_name().filter(|_| truncated).map(|name| encoded(name, encoding.as_ref()));
        let (rows, prefixes) = page.split();
        Ok(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(encoded(&input.prefix.unwrap_or_default(), encoding.as_ref())),
            marker: Some(encoded(&input.marker.unwrap_or_default(), encoding.as_ref())),
            max_keys: Some(max_keys),
            is_truncated: Some(truncated),
            contents: Some(objects(rows, Some(&bucket.account), encoding.as_ref())),
            common_prefixes: Some(common_prefixes(prefixes, encoding.as_ref())),
            delimiter: input.delimiter.map(|d| encoded(&d, encoding.as_ref())),
            next_marker: next,
            encoding_type: encoding,
            request_charged: None,
        })
    }

    pub(super) async fn do_list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<ListObjectsV2Output> {
        let input = &request.input;
        let target = Target::bucket(&input.bucket, input.expected_bucket_owner.as_ref());
        let (_, bucket) = self.allow(&request, "s3:ListBucket", target).await?;
        let input = request.input;
        let encoding = input.encoding_type;
        let token = input.continuation_token.as_deref().map(read_token).transpose()?;
        let query = Query {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().filter(|d| !d.is_empty()),
            after: token.or_else(|| input.start_after.clone().filter(|s| !s.is_empty())),
            after_id: None,
            limit: limit(input.max_keys)?,
        };
        let max_keys = query.limit as i32;
        let page = self.index.read(move |sql| listing::objects(sql, &query)).await?;
        let truncated = page.truncated;
        let next = page.last_name().filter(|_| truncated).map(make_token);
        let (rows, prefixes) = page.split();
        let owner = input.fetch_owner.unwrap_or(false).then_some(bucket.account.as_str());
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encoded(&input.prefix.unwrap_or_default(), encoding.as_ref())),
            max_keys: Some(max_keys),
            key_count: Some((rows.len() + prefixes.len()) as i32),
            continuation_token: input.continuation_token,
            is_truncated: Some(truncated),
            next_continuation_token: next,
            contents: Some(objects(rows, owner, encoding.as_ref())),
            common_prefixes: Some(common_prefixes(prefixes, encoding.as_ref())),
            delimiter: input.delimiter.map(|d| encoded(&d, encoding.as_ref())),
            start_after: input.start_after.map(|s| encoded(&s, encoding.as_ref())),
            encoding_type: encoding,
            request_charged: None,
        })
    }

    pub(super) async fn do_list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<ListObjectVersionsOutput> {
        let input = &request.input;
        let target = Target::bucket(&input.bucket, input.expected_bucket_owner.as_ref());
        let (_, bucket) = self.allow(&request, "s3:ListBucketVersions", target).await?;
        let input = request.input;
        let encoding = input.encoding_type;
        let query = Query {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().filter(|d| !d.is_empty()),
            after: input.key_marker.clone().filter(|m| !m.is_empty()),
            after_id: input.version_id_marker.clone().filter(|m| !m.is_empty()),
            limit: limit(input.max_keys)?,
        };
        let max_keys = query.limit as i32;
        let page = self.index.read(move |sql| listing::versions(sql, &query)).await?;
        let truncated = page.truncated;
        let next_key = page.last_name().filter(|_| truncated).map(|name| encoded(name, encoding.as_ref()));
        let next_version = last_version(&page).filter(|_| truncated);
        let (rows, prefixes) = page.split();
        let (markers, versions): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.marker);
        Ok(ListObjectVersionsOutput {
            common_prefixes: Some(common_prefixes(prefixes, encoding.as_ref())),
            delete_markers: Some(
                markers.into_iter().map(|row| marker(row, &bucket.account, encoding.as_ref())).collect(),
            ),
            delimiter: input.delimiter.map(|d| encoded(&d, encoding.as_ref())),
            is_truncated: Some(truncated),
            key_marker: Some(encoded(&input.key_marker.unwrap_or_default(), encoding.as_ref())),
            max_keys: Some(max_keys),
            name: Some(input.bucket),
            next_key_marker: next_key,
            next_version_id_marker: next_version,
            prefix: Some(encoded(&input.prefix.unwrap_or_default(), encoding.as_ref())),
            request_charged: None,
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            versions: Some(
                versions.into_iter().map(|row| version(row, &bucket.account, encoding.as_ref())).collect(),
            ),
            encoding_type: encoding,
        })
    }
}

pub(super) fn common_prefixes(prefixes: Vec<String>, encoding: Option<&EncodingType>) -> Vec<CommonPrefix> {
    prefixes.into_iter().map(|p| CommonPrefix { prefix: Some(encoded(&p, encoding)) }).collect()
}

fn objects(rows: Vec<VersionRow>, account: Option<&str>, encoding: Option<&EncodingType>) -> Vec<Object> {
    let object = |row: VersionRow| Object {
        checksum_algorithm: row.meta.sums.algorithm_list_dto(),
        checksum_type: row.meta.sums.cover_dto(),
        e_tag: Some(etag(&row.etag)),
        key: Some(encoded(&row.key, encoding)),
        last_modified: Some(timestamp(row.modified)),
        owner: account.map(owner),
        restore_status: None,
        size: Some(row.size as i64),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
    };
    rows.into_iter().map(object).collect()
}

fn version(row: VersionRow, account: &str, encoding: Option<&EncodingType>) -> ObjectVersion {
    ObjectVersion {
        checksum_algorithm: row.meta.sums.algorithm_list_dto(),
        checksum_type: row.meta.sums.cover_dto(),
        e_tag: Some(etag(&row.etag)),
        is_latest: Some(row.latest),
        key: Some(encoded(&row.key, encoding)),
        last_modified: Some(timestamp(row.modified)),
        owner: Some(owner(account)),
        restore_status: None,
        size: Some(row.size as i64),
        storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
        version_id: Some(row.version),
    }
}

fn marker(row: VersionRow, account: &str, encoding: Option<&EncodingType>) -> DeleteMarkerEntry {
    DeleteMarkerEntry {
        is_latest: Some(row.latest),
        key: Some(encoded(&row.key, encoding)),
        last_modified: Some(timestamp(row.modified)),
        owner: Some(owner(account)),
        version_id: Some(row.version),
    }
}

fn last_version(page: &Page<VersionRow>) -> Option<String> {
    match page.entries.last()? {
        listing::Entry::Row(row) => Some(row.version.clone()),
        listing::Entry::Prefix(_) => None,
    }
}

/// Tokens are opaque to clients and safe in a URL and in XML whatever the key holds.
fn make_token(name: &str) -> String {
    hex::encode(name)
}

fn read_token(token: &str) -> S3Result<String> {
    let bytes = hex::decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
