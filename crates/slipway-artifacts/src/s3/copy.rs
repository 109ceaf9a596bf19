//! CopyObject. No content moves: the copy refers to the blobs of its source.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::convert::{etag, put_sums, take_meta, timestamp};
use super::objects::ReadCondition;
use super::{Backend, Target};
use crate::error::ArtifactError;
use crate::index::objects::{self, NewObject, WriteCondition};
use crate::index::rows::Versioning;
use crate::read;

/// The source of a copy, open for reading.
pub(super) struct Source {
    pub(super) opened: read::Opened,
    /// `x-amz-copy-source-version-id`.
    pub(super) version_id: Option<String>,
}

impl Backend {
    /// Opens the source of a copy: whoever copies must be allowed to read it.
    pub(super) async fn open_source<T>(
        &self,
        request: &S3Request<T>,
        source: &CopySource,
        expected_owner: Option<&String>,
        condition: &ReadCondition,
    ) -> S3Result<Source> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(NotImplemented, "Access points are not implemented."));
        };
        let target = Target::object(bucket, key, expected_owner);
        let opened = self.open_object(request, target, version_id.as_deref(), condition).await;
        let (_, bucket, opened) = opened.map_err(|error| {
            // To a copy, a source that has not changed is a condition that failed.
            let not_modified = *error.code() == s3s::S3ErrorCode::NotModified;
            if not_modified { ArtifactError::PreconditionFailed.into() } else { error }
        })?;
        let version_id = (bucket.versioning != Versioning::Never).then(|| opened.row.version.clone());
        Ok(Source { opened, version_id })
    }

    pub(super) async fn do_copy_object(
        &self,
        mut request: S3Request<CopyObjectInput>,
    ) -> S3Result<CopyObjectOutput> {
        let input = &request.input;
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        self.allow(&request, "s3:PutObject", target).await?;
        let condition = ReadCondition {
            matches: input.copy_source_if_match.clone(),
            none_match: input.copy_source_if_none_match.clone(),
            modified_since: input.copy_source_if_modified_since.clone(),
            unmodified_since: input.copy_source_if_unmodified_since.clone(),
        };
        let expected_owner = input.expected_source_bucket_owner.as_ref();
        let source = self.open_source(&request, &input.copy_source, expected_owner, &condition).await?;

        let mut meta = source.opened.row.meta.clone();
        let given = take_meta!(request.input);
        let replace_meta = request
            .input
            .metadata_directive
            .as_ref()
            .is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
        let replace_tags =
            request.input.tagging_directive.as_ref().is_some_and(|d| d.as_str() == TaggingDirective::REPLACE);
        let input = &request.input;
        let onto_itself = matches!(
            &input.copy_source,
            CopySource::Bucket { bucket, key, version_id: None } if **bucket == *input.bucket && **key == *input.key
        );
        if onto_itself && !replace_meta && !replace_tags {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        if replace_meta {
            let (sums, tags) = (meta.sums, meta.tags);
            meta = crate::index::rows::Meta { sums, tags, parts: meta.parts, ..given.clone() };
        }
        if replace_tags {
            meta.tags = given.tags;
        }
        let row = &source.opened.row;
        let new = NewObject {
            bucket: request.input.bucket,
            key: request.input.key,
            size: row.size,
            etag: row.etag.clone(),
            modified: self.now(),
            meta,
            segments: source.opened.segments.clone(),
            condition: WriteCondition::default(),
        };
        let mut result = CopyObjectResult {
            e_tag: Some(etag(&new.etag)),
            last_modified: Some(timestamp(new.modified)),
            ..CopyObjectResult::default()
        };
        put_sums!(result, &new.meta.sums);
        result.checksum_type = new.meta.sums.cover_dto();
        let source_row = row.id;
        let outcome = self
            .index
            .write(move |txn| {
                // A pin keeps content from being unlinked, not from being doomed: only a reference that is still there
                // can be passed on.
                if !objects::exists(&txn.sql, source_row)? {
                    return Err(ArtifactError::NoSuchKey);
                }
                objects::put(txn, &new)
            })
            .await?;
        Ok(CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: source.version_id,
            version_id: outcome.version,
            ..CopyObjectOutput::default()
        })
    }
}
