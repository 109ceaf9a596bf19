//! Tags of an object version.

use std::collections::BTreeMap;

use s3s::dto::*;
use s3s::{S3Request, S3Result};

use super::convert::{checked_tags, version_id};
use super::{Backend, Target};
use crate::index::objects;
use crate::index::rows::Versioning;

impl Backend {
    pub(super) async fn do_get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<GetObjectTaggingOutput> {
        let input = &request.input;
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        let action = versioned_action("Get", input.version_id.as_deref());
        let (caller, bucket) = self.allow(&request, &action, target).await?;
        let input = request.input;
        let found = self
            .index
            .read(move |sql| objects::get(sql, &input.bucket, &input.key, input.version_id.as_deref()))
            .await;
        let row = match found {
            Ok(row) => row,
            Err(error) => return Err(self.hide_absence(&caller, &bucket, error).await),
        };
        let version_id = version_id(&row, bucket.versioning != Versioning::Never);
        let tag_set = row.meta.tags.into_iter().map(|(k, v)| Tag { key: Some(k), value: Some(v) }).collect();
        Ok(GetObjectTaggingOutput { tag_set, version_id })
    }

    pub(super) async fn do_put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<PutObjectTaggingOutput> {
        let input = &request.input;
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        let (_, bucket) =
            self.allow(&request, &versioned_action("Put", input.version_id.as_deref()), target).await?;
        let input = request.input;
        let pairs = input.tagging.tag_set.into_iter();
        let tags = checked_tags(pairs.map(|t| (t.key.unwrap_or_default(), t.value.unwrap_or_default())))?;
        let version = self.replace_tags(input.bucket, input.key, input.version_id, tags).await?;
        Ok(PutObjectTaggingOutput { version_id: version.filter(|_| bucket.versioning != Versioning::Never) })
    }

    pub(super) async fn do_delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<DeleteObjectTaggingOutput> {
        let input = &request.input;
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        let (_, bucket) =
            self.allow(&request, &versioned_action("Delete", input.version_id.as_deref()), target).await?;
        let input = request.input;
        let version = self.replace_tags(input.bucket, input.key, input.version_id, BTreeMap::new()).await?;
        Ok(DeleteObjectTaggingOutput {
            version_id: version.filter(|_| bucket.versioning != Versioning::Never),
        })
    }

    async fn replace_tags(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
        tags: BTreeMap<String, String>,
    ) -> S3Result<Option<String>> {
        let version = self
            .index
            .write(move |txn| {
                let mut row = objects::get(&txn.sql, &bucket, &key, version.as_deref())?;
                row.meta.tags = tags;
                objects::set_meta(txn, row.id, &row.meta)?;
                Ok(row.version)
            })
            .await?;
        Ok(Some(version))
    }
}

fn versioned_action(verb: &str, version: Option<&str>) -> String {
    let object = if version.is_some() { "ObjectVersion" } else { "Object" };
    format!("s3:{verb}{object}Tagging")
}
