//! The S3 operations. This file routes and authorizes; one file per resource does the work. What is not here is
//! answered `NotImplemented` by s3s.

#![allow(clippy::wildcard_imports, reason = "the S3 vocabulary: an operation needs a dozen of its types")]

mod buckets;
mod convert;
mod copy;
mod listing;
mod multipart;
mod objects;
mod tagging;

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use crate::artifacts::Clock;
use crate::auth::{Authorize, Caller, Sender};
use crate::error::ArtifactError;
use crate::index::Index;
use crate::index::buckets as rows;
use crate::index::rows::BucketRow;

/// The store behind the S3 API.
pub(crate) struct Backend {
    index: Index,
    clock: Clock,
    authorize: Arc<dyn Authorize>,
}

/// What a request wants to touch.
#[derive(Clone, Copy)]
struct Target<'a> {
    bucket: &'a str,
    key: Option<&'a str>,
    /// `x-amz-expected-bucket-owner`: the client's safeguard against a bucket that changed hands.
    expected_owner: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn bucket(bucket: &'a str, expected_owner: Option<&'a String>) -> Self {
        Self { bucket, key: None, expected_owner: expected_owner.map(String::as_str) }
    }

    fn object(bucket: &'a str, key: &'a str, expected_owner: Option<&'a String>) -> Self {
        Self { bucket, key: Some(key), expected_owner: expected_owner.map(String::as_str) }
    }

    fn arn(&self) -> String {
        match self.key {
            None => format!("arn:aws:s3:::{}", self.bucket),
            Some(key) => format!("arn:aws:s3:::{}/{key}", self.bucket),
        }
    }
}

impl Backend {
    pub(crate) fn new(index: Index, clock: Clock, authorize: Arc<dyn Authorize>) -> Self {
        Self { index, clock, authorize }
    }

    fn now(&self) -> i64 {
        (self.clock)()
    }

    /// The caller, if they may do `action` to `target`; and the target's bucket, which must exist.
    async fn allow<T>(
        &self,
        request: &S3Request<T>,
        action: &str,
        target: Target<'_>,
    ) -> S3Result<(Caller, BucketRow)> {
        let caller = caller(request)?;
        let name = target.bucket.to_owned();
        let bucket = self.index.read(move |sql| rows::find(sql, &name)).await?;
        let owner = bucket.as_ref().map(|b| b.account.as_str());
        self.permit(&caller, action, &target.arn(), owner).await?;
        if target.expected_owner.is_some() && owner.is_some() && target.expected_owner != owner {
            return Err(denied("The bucket does not belong to the expected account."));
        }
        let bucket =
            bucket.ok_or_else(|| ArtifactError::NoSuchBucket { bucket: target.bucket.to_owned() })?;
        Ok((caller, bucket))
    }

    async fn permit(&self, caller: &Caller, action: &str, arn: &str, owner: Option<&str>) -> S3Result<()> {
        self.authorize.check(caller, action, arn, owner).await.map_err(|refusal| denied(refusal.message))
    }

    /// Whether a missing object may be told from a forbidden one: only to those who may list the bucket.
    async fn hide_absence(&self, caller: &Caller, bucket: &BucketRow, error: ArtifactError) -> S3Error {
        if matches!(error, ArtifactError::NoSuchKey | ArtifactError::Deleted { .. }) {
            let arn = format!("arn:aws:s3:::{}", bucket.name);
            if let Err(refusal) = self.permit(caller, "s3:ListBucket", &arn, Some(&bucket.account)).await {
                return refusal;
            }
        }
        error.into()
    }
}

/// Who signed the request. s3s calls an operation only after the signature proved right.
fn caller<T>(request: &S3Request<T>) -> S3Result<Caller> {
    let sender = request.extensions.get::<Arc<Sender>>();
    match (&request.credentials, sender.and_then(|s| s.caller.get())) {
        (Some(credentials), Some(caller)) if credentials.access_key == caller.access_key_id => {
            Ok(caller.clone())
        }
        _ => Err(denied("Anonymous access is forbidden for this operation")),
    }
}

fn denied(message: impl Into<String>) -> S3Error {
    let message: String = message.into();
    let message = if message.is_empty() { "Access Denied".to_owned() } else { message };
    S3Error::with_message(S3ErrorCode::AccessDenied, message)
}

/// Writes the `S3` implementation: every operation of the table goes to a method of [`Backend`].
macro_rules! operations {
    ($($name:ident => $handler:ident, $input:ty, $output:ty;)+) => {
        #[async_trait::async_trait]
        impl S3 for Backend {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.$handler(request).await.map(S3Response::new)
            })+
        }
    };
}

operations! {
    create_bucket => do_create_bucket, CreateBucketInput, CreateBucketOutput;
    delete_bucket => do_delete_bucket, DeleteBucketInput, DeleteBucketOutput;
    head_bucket => do_head_bucket, HeadBucketInput, HeadBucketOutput;
    list_buckets => do_list_buckets, ListBucketsInput, ListBucketsOutput;
    get_bucket_location => do_get_bucket_location, GetBucketLocationInput, GetBucketLocationOutput;
    get_bucket_versioning => do_get_bucket_versioning, GetBucketVersioningInput, GetBucketVersioningOutput;
    put_bucket_versioning => do_put_bucket_versioning, PutBucketVersioningInput, PutBucketVersioningOutput;
    put_object => do_put_object, PutObjectInput, PutObjectOutput;
    get_object => do_get_object, GetObjectInput, GetObjectOutput;
    head_object => do_head_object, HeadObjectInput, HeadObjectOutput;
    delete_object => do_delete_object, DeleteObjectInput, DeleteObjectOutput;
    delete_objects => do_delete_objects, DeleteObjectsInput, DeleteObjectsOutput;
    copy_object => do_copy_object, CopyObjectInput, CopyObjectOutput;
    list_objects => do_list_objects, ListObjectsInput, ListObjectsOutput;
    list_objects_v2 => do_list_objects_v2, ListObjectsV2Input, ListObjectsV2Output;
    list_object_versions => do_list_object_versions, ListObjectVersionsInput, ListObjectVersionsOutput;
    create_multipart_upload => do_create_upload, CreateMultipartUploadInput, CreateMultipartUploadOutput;
    upload_part => do_upload_part, UploadPartInput, UploadPartOutput;
    upload_part_copy => do_upload_part_copy, UploadPartCopyInput, UploadPartCopyOutput;
    complete_multipart_upload => do_complete_upload, CompleteMultipartUploadInput, CompleteMultipartUploadOutput;
    abort_multipart_upload => do_abort_upload, AbortMultipartUploadInput, AbortMultipartUploadOutput;
    list_parts => do_list_parts, ListPartsInput, ListPartsOutput;
    list_multipart_uploads => do_list_uploads, ListMultipartUploadsInput, ListMultipartUploadsOutput;
    get_object_tagging => do_get_object_tagging, GetObjectTaggingInput, GetObjectTaggingOutput;
    put_object_tagging => do_put_object_tagging, PutObjectTaggingInput, PutObjectTaggingOutput;
    delete_object_tagging => do_delete_object_tagging, DeleteObjectTaggingInput, DeleteObjectTaggingOutput;
}
