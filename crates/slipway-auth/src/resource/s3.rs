//! Which permission each S3 operation asks for: one action may stand for several operations (CF-355).

use super::Permission;

/// What an S3 operation must be allowed on. Of a copy, ask for the source as a `GetObject` as well.
///
/// `versioned` says that the request names a version of an object, for which S3 has actions of their own.
pub fn s3_permission(
    operation: &str,
    bucket: Option<&str>,
    key: Option<&str>,
    versioned: bool,
) -> Permission {
    let action = match (operation, versioned) {
        ("ListBuckets", _) => "ListAllMyBuckets",
        ("HeadBucket" | "ListObjects" | "ListObjectsV2", _) => "ListBucket",
        ("ListObjectVersions", _) => "ListBucketVersions",
        ("ListMultipartUploads", _) => "ListBucketMultipartUploads",
        ("ListParts", _) => "ListMultipartUploadParts",
        ("GetObject" | "HeadObject" | "GetObjectAttributes", false) => "GetObject",
        ("GetObject" | "HeadObject" | "GetObjectAttributes", true) => "GetObjectVersion",
        ("DeleteObject" | "DeleteObjects", false) => "DeleteObject",
        ("DeleteObject" | "DeleteObjects", true) => "DeleteObjectVersion",
        ("GetObjectTagging", true) => "GetObjectVersionTagging",
        ("PutObjectTagging", true) => "PutObjectVersionTagging",
        ("DeleteObjectTagging", true) => "DeleteObjectVersionTagging",
        (
            "PutObject"
            | "CopyObject"
            | "CreateMultipartUpload"
            | "UploadPart"
            | "UploadPartCopy"
            | "CompleteMultipartUpload",
            _,
        ) => "PutObject",
        (other, _) => other,
    };
    let resource = match (bucket, key) {
        (None, _) => "*".to_owned(),
        (Some(bucket), None) => format!("arn:aws:s3:::{bucket}"),
        (Some(bucket), Some(key)) => format!("arn:aws:s3:::{bucket}/{key}"),
    };
    Permission::new(&format!("s3:{action}"), &resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushing_needs_put_object_and_nothing_else_cf_355() {
        let put = Permission::new("s3:PutObject", "arn:aws:s3:::b/dir/app.zip");
        for operation in ["PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"] {
            assert_eq!(s3_permission(operation, Some("b"), Some("dir/app.zip"), false), put, "{operation}");
        }
    }

    #[test]
    fn reading_a_version_is_another_permission_dp_658() {
        let action = |operation, versioned| s3_permission(operation, Some("b"), Some("k"), versioned).any_of;
        assert_eq!(action("HeadObject", false), ["s3:GetObject"]);
        assert_eq!(action("GetObject", true), ["s3:GetObjectVersion"]);
        assert_eq!(action("DeleteObject", true), ["s3:DeleteObjectVersion"]);
    }

    #[test]
    fn listing_asks_on_the_bucket_and_listing_buckets_on_everything() {
        let list = s3_permission("ListObjectsV2", Some("b"), None, false);
        assert_eq!(list, Permission::new("s3:ListBucket", "arn:aws:s3:::b"));
        assert_eq!(
            s3_permission("ListBuckets", None, None, false),
            Permission::new("s3:ListAllMyBuckets", "*")
        );
        let versioning = s3_permission("PutBucketVersioning", Some("b"), None, false);
        assert_eq!(versioning.any_of, ["s3:PutBucketVersioning"]);
    }
}
