//! Objects: put, get, head, delete.

use futures::StreamExt as _;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::convert::{
    claims, etag, expires, http_date, millis, put_sums, take_meta, take_sums, timestamp, user_metadata,
    version_id, write_condition,
};
use super::{Backend, Target, caller};
use crate::auth::Caller;
use crate::blob::Segment;
use crate::error::ArtifactError;
use crate::index::objects::{self, NewObject, Outcome};
use crate::index::rows::{BucketRow, VersionRow, Versioning};
use crate::ingest;
use crate::read;

/// The largest object that one request may carry.
const LARGEST_PUT: i64 = 5 * 1024 * 1024 * 1024;
const MOST_DELETES: usize = 1000;

/// The conditions of a read.
#[derive(Default)]
pub(super) struct ReadCondition {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_match: Option<ETagCondition>,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

impl ReadCondition {
    /// Evaluates in the order of RFC 9110, 13.2.2: an ETag condition outweighs the date of its kind.
    pub(super) fn check(&self, row: &VersionRow) -> Result<(), ArtifactError> {
        let is = |condition: &ETagCondition| condition.as_etag().is_none_or(|e| e.value() == row.etag);
        // HTTP dates have whole seconds.
        let modified_after = |t: &Timestamp| row.modified / 1000 > millis(t) / 1000;
        match (&self.matches, &self.unmodified_since) {
            (Some(wanted), _) if !is(wanted) => return Err(ArtifactError::PreconditionFailed),
            (None, Some(since)) if modified_after(since) => return Err(ArtifactError::PreconditionFailed),
            _ => {}
        }
        match (&self.none_match, &self.modified_since) {
            (Some(unwanted), _) if is(unwanted) => Err(ArtifactError::NotModified),
            (None, Some(since)) if !modified_after(since) => Err(ArtifactError::NotModified),
            _ => Ok(()),
        }
    }
}

impl Backend {
    pub(super) async fn do_put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<PutObjectOutput> {
        let input = &request.input;
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        let (caller, bucket) = self.allow(&request, "s3:PutObject", target).await?;
        if input.tagging.is_some() {
            self.permit(&caller, "s3:PutObjectTagging", &target.arn(), Some(&bucket.account)).await?;
        }
        if input.content_length.is_some_and(|n| n > LARGEST_PUT) {
            return Err(s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size"));
        }
        let (length, md5) = (request.input.content_length, request.input.content_md5.take());
        let sums = take_sums!(request.input);
        let claims = claims(&request, length, md5, sums)?;
        let mut meta = take_meta!(request.input);
        let body = request.input.body.take().unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
        let received = ingest::receive(self.index.blobs(), body, claims).await?;

        let input = request.input;
        meta.sums = received.sums;
        let new = NewObject {
            condition: write_condition(input.if_match.as_ref(), input.if_none_match.as_ref()),
            bucket: input.bucket,
            key: input.key,
            size: received.size,
            etag: hex::encode(received.md5),
            modified: self.now(),
            meta,
            segments: vec![Segment { blob: received.staged.id, size: received.size }],
        };
        let mut output = PutObjectOutput { e_tag: Some(etag(&new.etag)), ..PutObjectOutput::default() };
        put_sums!(output, &new.meta.sums);
        output.checksum_type = new.meta.sums.cover_dto();
        let staged = received.staged;
        let outcome = self.index.write_staged(Some(staged), move |txn| objects::put(txn, &new)).await?;
        output.version_id = outcome.version;
        Ok(output)
    }

    /// Finds an object for reading: authorized, existing, and its conditions hold.
    pub(super) async fn open_object<T>(
        &self,
        request: &S3Request<T>,
        target: Target<'_>,
        version: Option<&str>,
        condition: &ReadCondition,
    ) -> S3Result<(Caller, BucketRow, read::Opened)> {
        let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        let (caller, bucket) = self.allow(request, action, target).await?;
        let key = target.key.unwrap_or_default();
        let opened = match read::open(&self.index, target.bucket, key, version).await {
            Ok(opened) => opened,
            Err(error) => return Err(self.hide_absence(&caller, &bucket, error).await),
        };
        condition.check(&opened.row).map_err(|error| explain_condition(error, &opened.row))?;
        Ok((caller, bucket, opened))
    }

    pub(super) async fn do_get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<GetObjectOutput> {
        let input = &request.input;
        let condition = ReadCondition {
            matches: input.if_match.clone(),
            none_match: input.if_none_match.clone(),
            modified_since: input.if_modified_since.clone(),
            unmodified_since: input.if_unmodified_since.clone(),
        };
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        let version = input.version_id.as_deref();
        let (_, bucket, opened) = self.open_object(&request, target, version, &condition).await?;
        let row = opened.row.clone();
        let span = span(input.range.as_ref(), input.part_number, &opened)?;
        let whole = span.content_range.is_none();
        let mut output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: row.meta.cache_control.clone(),
            content_disposition: row.meta.content_disposition.clone(),
            content_encoding: row.meta.content_encoding.clone(),
            content_language: row.meta.content_language.clone(),
            content_length: Some((span.range.end - span.range.start) as i64),
            content_range: span.content_range,
            content_type: Some(content_type(&row)),
            e_tag: Some(etag(&row.etag)),
            expires: expires(&row.meta),
            last_modified: Some(timestamp(row.modified)),
            metadata: user_metadata(&row.meta),
            parts_count: span.parts_count,
            tag_count: tag_count(&row),
            version_id: version_id(&row, bucket.versioning != Versioning::Never),
            ..GetObjectOutput::default()
        };
        // A checksum of the whole says nothing about a part of it.
        if whole && input.checksum_mode.as_ref().is_some_and(|m| m.as_str() == ChecksumMode::ENABLED) {
            put_sums!(output, &row.meta.sums);
            output.checksum_type = row.meta.sums.cover_dto();
        }
        output.body = Some(StreamingBlob::new(opened.stream(span.range)));
        Ok(output)
    }

    pub(super) async fn do_head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<HeadObjectOutput> {
        let input = &request.input;
        let condition = ReadCondition {
            matches: input.if_match.clone(),
            none_match: input.if_none_match.clone(),
            modified_since: input.if_modified_since.clone(),
            unmodified_since: input.if_unmodified_since.clone(),
        };
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        let version = input.version_id.as_deref();
        let (_, bucket, opened) = self.open_object(&request, target, version, &condition).await?;
        let row = &opened.row;
        let span = span(input.range.as_ref(), input.part_number, &opened)?;
        let whole = span.content_range.is_none();
        let over = |given: &Option<String>, stored: &Option<String>| given.clone().or_else(|| stored.clone());
        let mut output = HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: over(&input.response_cache_control, &row.meta.cache_control),
            content_disposition: over(&input.response_content_disposition, &row.meta.content_disposition),
            content_encoding: over(&input.response_content_encoding, &row.meta.content_encoding),
            content_language: over(&input.response_content_language, &row.meta.content_language),
            content_length: Some((span.range.end - span.range.start) as i64),
            content_range: span.content_range,
            content_type: Some(input.response_content_type.clone().unwrap_or_else(|| content_type(row))),
            e_tag: Some(etag(&row.etag)),
            expires: input.response_expires.clone().or_else(|| expires(&row.meta)),
            last_modified: Some(timestamp(row.modified)),
            metadata: user_metadata(&row.meta),
            parts_count: span.parts_count,
            version_id: version_id(row, bucket.versioning != Versioning::Never),
            ..HeadObjectOutput::default()
        };
        if whole && input.checksum_mode.as_ref().is_some_and(|m| m.as_str() == ChecksumMode::ENABLED) {
            put_sums!(output, &row.meta.sums);
            output.checksum_type = row.meta.sums.cover_dto();
        }
        Ok(output)
    }

    pub(super) async fn do_delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<DeleteObjectOutput> {
        let input = &request.input;
        if input.if_match.is_some()
            || input.if_match_size.is_some()
            || input.if_match_last_modified_time.is_some()
        {
            return Err(s3_error!(NotImplemented, "Conditional deletes are not implemented."));
        }
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        let action = delete_action(input.version_id.as_deref());
        self.allow(&request, action, target).await?;
        let input = request.input;
        let now = self.now();
        let outcome = self
            .index
            .write(move |txn| {
                objects::delete(txn, &input.bucket, &input.key, input.version_id.as_deref(), now)
            })
            .await?;
        Ok(DeleteObjectOutput {
            delete_marker: outcome.marker.then_some(true),
            request_charged: None,
            version_id: outcome.version,
        })
    }

    pub(super) async fn do_delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<DeleteObjectsOutput> {
        let input = &request.input;
        let bucket_name = input.bucket.clone();
        let caller = caller(&request)?;
        if input.delete.objects.is_empty() || input.delete.objects.len() > MOST_DELETES {
            return Err(s3_error!(
                MalformedXML,
                "Between 1 and {MOST_DELETES} keys can be deleted at a time."
            ));
        }
        let name = bucket_name.clone();
        let bucket = self.index.read(move |sql| crate::index::buckets::find(sql, &name)).await?;
        let owner = bucket.as_ref().map(|b| b.account.as_str());
        if input.expected_bucket_owner.is_some() && input.expected_bucket_owner.as_deref() != owner {
            return Err(super::denied("The bucket does not belong to the expected account."));
        }
        let quiet = input.delete.quiet.unwrap_or(false);
        let (mut allowed, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects.iter().cloned() {
            let arn = Target::object(&bucket_name, &object.key, None).arn();
            let action = delete_action(object.version_id.as_deref());
            match self.permit(&caller, action, &arn, owner).await {
                Ok(()) => allowed.push(object),
                Err(refusal) => errors.push(Error {
                    code: Some(refusal.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: refusal.message().map(str::to_owned),
                    version_id: object.version_id,
                }),
            }
        }
        let now = self.now();
        // One transaction: a thousand deletes cost one sync.
        let deleted: Vec<DeletedObject> = self
            .index
            .write(move |txn| {
                let delete = |object: ObjectIdentifier| {
                    let version = object.version_id.as_deref();
                    let outcome = objects::delete(txn, &bucket_name, &object.key, version, now)?;
                    Ok(deleted_object(object, outcome))
                };
                allowed.into_iter().map(delete).collect()
            })
            .await?;
        let deleted = if quiet { Vec::new() } else { deleted };
        Ok(DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), request_charged: None })
    }
}

fn delete_action(version: Option<&str>) -> &'static str {
    if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" }
}

fn deleted_object(asked: ObjectIdentifier, outcome: Outcome) -> DeletedObject {
    DeletedObject {
        delete_marker: outcome.marker.then_some(true),
        delete_marker_version_id: outcome.version.filter(|_| outcome.marker),
        key: Some(asked.key),
        version_id: asked.version_id,
    }
}

fn content_type(row: &VersionRow) -> String {
    row.meta.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned())
}

fn tag_count(row: &VersionRow) -> Option<i32> {
    (!row.meta.tags.is_empty()).then_some(row.meta.tags.len() as i32)
}

/// A client whose copy is current learns from the 304 which one that is.
fn explain_condition(error: ArtifactError, row: &VersionRow) -> S3Error {
    let not_modified = matches!(error, ArtifactError::NotModified);
    let mut answer = S3Error::from(error);
    if not_modified {
        let mut headers = http::HeaderMap::new();
        if let Ok(value) = etag(&row.etag).to_http_header() {
            headers.insert(http::header::ETAG, value);
        }
        if let Ok(Ok(value)) = http_date(&timestamp(row.modified)).map(|date| date.parse()) {
            headers.insert(http::header::LAST_MODIFIED, value);
        }
        answer.set_headers(headers);
    }
    answer
}

/// The bytes that a read is about.
struct Span {
    range: std::ops::Range<u64>,
    content_range: Option<String>,
    parts_count: Option<i32>,
}

fn span(range: Option<&Range>, part: Option<i32>, opened: &read::Opened) -> S3Result<Span> {
    let size = opened.row.size;
    let content_range =
        |r: &std::ops::Range<u64>| Some(format!("bytes {}-{}/{size}", r.start, r.end.saturating_sub(1)));
    match (range, part) {
        (Some(_), Some(_)) => {
            Err(s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber query parameter"))
        }
        (None, None) => Ok(Span { range: 0..size, content_range: None, parts_count: None }),
        (Some(range), None) => {
            let range = range.check(size).map_err(|_| invalid_range(size))?;
            Ok(Span { content_range: content_range(&range), range, parts_count: None })
        }
        (None, Some(part)) => {
            let count = opened.row.meta.parts.map_or(1, |_| opened.segments.len());
            let index = usize::try_from(part - 1).ok().filter(|i| *i < count).ok_or_else(|| {
                let mut error = S3Error::with_message(
                    S3ErrorCode::Custom("InvalidPartNumber".into()),
                    "The requested partnumber is not satisfiable",
                );
                error.set_status_code(http::StatusCode::RANGE_NOT_SATISFIABLE);
                error
            })?;
            let start = opened.segments.iter().take(index).map(|s| s.size).sum();
            let range = start..start + opened.segments.get(index).map_or(0, |s| s.size);
            let parts_count = opened.row.meta.parts.map(|n| n as i32);
            let content_range = (size > 0).then(|| content_range(&range)).flatten();
            Ok(Span { range, content_range, parts_count })
        }
    }
}

fn invalid_range(size: u64) -> S3Error {
    let mut error =
        S3Error::with_message(S3ErrorCode::InvalidRange, "The requested range is not satisfiable");
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/xml"));
    if let Ok(value) = format!("bytes */{size}").parse() {
        headers.insert(http::header::CONTENT_RANGE, value);
    }
    error.set_headers(headers);
    error
}

/// The content of an object as the body of another request (UploadPartCopy).
pub(super) fn as_body(
    content: read::Content,
) -> impl futures::Stream<Item = Result<bytes::Bytes, s3s::StdError>> + Send {
    content.boxed()
}
