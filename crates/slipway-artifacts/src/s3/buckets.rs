//! Buckets: create, delete, look at, list, versioning.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::convert::{limit, owner, timestamp};
use super::{Backend, Target, caller};
use crate::artifacts::DEFAULT_REGION;
use crate::index::buckets;
use crate::index::rows::{BucketRow, Versioning};

impl Backend {
    pub(super) async fn do_create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<CreateBucketOutput> {
        let caller = caller(&request)?;
        let name = request.input.bucket;
        if request.input.object_lock_enabled_for_bucket == Some(true) {
            return Err(s3_error!(NotImplemented, "Object lock is not implemented."));
        }
        let arn = format!("arn:aws:s3:::{name}");
        // The bucket will be the caller's own; one that is someone else's is found out by `BucketAlreadyExists`.
        self.permit(&caller, "s3:CreateBucket", &arn, Some(&caller.account)).await?;
        let asked = request.input.create_bucket_configuration.and_then(|c| c.location_constraint);
        let region = match asked.as_ref().map(BucketLocationConstraint::as_str) {
            None | Some("") => DEFAULT_REGION.to_owned(),
            Some(region) => region.to_owned(),
        };
        let location = format!("/{name}");
        let row = BucketRow {
            name,
            account: caller.account,
            region,
            created: self.now(),
            versioning: Versioning::Never,
        };
        self.index.write(move |txn| buckets::create(txn, &row)).await?;
        Ok(CreateBucketOutput { location: Some(location) })
    }

    pub(super) async fn do_delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<DeleteBucketOutput> {
        let input = &request.input;
        let target = Target::bucket(&input.bucket, input.expected_bucket_owner.as_ref());
        self.allow(&request, "s3:DeleteBucket", target).await?;
        self.index.write(move |txn| buckets::delete(txn, &request.input.bucket)).await?;
        Ok(DeleteBucketOutput {})
    }

    pub(super) async fn do_head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<HeadBucketOutput> {
        let input = &request.input;
        let target = Target::bucket(&input.bucket, input.expected_bucket_owner.as_ref());
        let (_, bucket) = self.allow(&request, "s3:ListBucket", target).await?;
        Ok(HeadBucketOutput { bucket_region: Some(bucket.region), ..HeadBucketOutput::default() })
    }

    pub(super) async fn do_list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<ListBucketsOutput> {
        let caller = caller(&request)?;
        self.permit(&caller, "s3:ListAllMyBuckets", "*", None).await?;
        let input = request.input;
        let most = limit(input.max_buckets)?.max(1);
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.unwrap_or_default();
        let account = caller.account.clone();
        let mut rows =
            self.index.read(move |sql| buckets::list(sql, &account, &prefix, &after, most + 1)).await?;
        let more = rows.len() > most;
        rows.truncate(most);
        let continuation_token = rows.last().filter(|_| more).map(|row| row.name.clone());
        let buckets = rows.into_iter().map(|row| Bucket {
            bucket_region: Some(row.region),
            creation_date: Some(timestamp(row.created)),
            name: Some(row.name),
        });
        Ok(ListBucketsOutput {
            buckets: Some(buckets.collect()),
            continuation_token,
            owner: Some(owner(&caller.account)),
            prefix: input.prefix,
        })
    }

    pub(super) async fn do_get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<GetBucketLocationOutput> {
        let input = &request.input;
        let target = Target::bucket(&input.bucket, input.expected_bucket_owner.as_ref());
        let (_, bucket) = self.allow(&request, "s3:GetBucketLocation", target).await?;
        // S3's oldest region has no location constraint.
        let constraint = (bucket.region != DEFAULT_REGION).then_some(bucket.region);
        Ok(GetBucketLocationOutput { location_constraint: constraint.map(BucketLocationConstraint::from) })
    }

    pub(super) async fn do_get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<GetBucketVersioningOutput> {
        let input = &request.input;
        let target = Target::bucket(&input.bucket, input.expected_bucket_owner.as_ref());
        let (_, bucket) = self.allow(&request, "s3:GetBucketVersioning", target).await?;
        let status = match bucket.versioning {
            Versioning::Never => None,
            Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
            Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
        };
        Ok(GetBucketVersioningOutput {
            mfa_delete: None,
            status: status.map(BucketVersioningStatus::from_static),
        })
    }

    pub(super) async fn do_put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<PutBucketVersioningOutput> {
        let input = &request.input;
        let target = Target::bucket(&input.bucket, input.expected_bucket_owner.as_ref());
        self.allow(&request, "s3:PutBucketVersioning", target).await?;
        let configuration = &input.versioning_configuration;
        if configuration.mfa_delete.as_ref().is_some_and(|m| m.as_str() == MFADelete::ENABLED) {
            return Err(s3_error!(NotImplemented, "MFA delete is not implemented."));
        }
        let versioning = match configuration.status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => {
                return Err(s3_error!(
                    IllegalVersioningConfigurationException,
                    "The Versioning element must be specified"
                ));
            }
        };
        self.index.write(move |txn| buckets::set_versioning(txn, &request.input.bucket, versioning)).await?;
        Ok(PutBucketVersioningOutput::default())
    }
}
