//! Where a revision is (CF-320..CF-361).

use serde::{Deserialize, Serialize};

/// A revision: what is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Revision {
    /// An object in an S3 bucket.
    S3 {
        /// Bucket name.
        bucket: String,
        /// Object key.
        key: String,
        /// `zip`, `tar` or `tgz`; `YAML` or `JSON` on Lambda and ECS.
        bundle_type: String,
        /// Object version; absent: the newest at deployment time (CF-361).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// ETag that the object must have; absent: any (CF-361).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        e_tag: Option<String>,
    },
    /// A commit in a GitHub repository.
    GitHub {
        /// `owner/name`.
        repository: String,
        /// Full commit id.
        commit_id: String,
    },
    /// An AppSpec file itself, on Lambda and ECS.
    AppSpecContent {
        /// The text.
        content: String,
        /// Its SHA-256, lower-case hexadecimal.
        sha256: String,
        /// Whether it came as the deprecated `String` type.
        as_string: bool,
    },
}

impl Revision {
    /// The identity of the revision within its application: what was given at registration, version and ETag
    /// included (CF-358). Unambiguous: every part is length-prefixed.
    pub fn identity(&self) -> String {
        let parts: Vec<&str> = match self {
            Self::S3 { bucket, key, bundle_type, version, e_tag } => vec![
                "S3",
                bucket,
                key,
                bundle_type,
                version.as_deref().unwrap_or_default(),
                e_tag.as_deref().unwrap_or_default(),
            ],
            Self::GitHub { repository, commit_id } => vec!["GitHub", repository, commit_id],
            Self::AppSpecContent { sha256, .. } => vec!["AppSpecContent", sha256],
        };
        parts.iter().map(|p| format!("{}:{p}", p.len())).collect::<Vec<_>>().join("/")
    }
}

/// What to do with a file that exists at a destination and is not ours (AS-036..AS-038).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum FileExistsBehavior {
    /// Fail.
    #[default]
    Disallow,
    /// Replace it.
    Overwrite,
    /// Keep it.
    Retain,
}

impl FileExistsBehavior {
    /// The wire form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disallow => "DISALLOW",
            Self::Overwrite => "OVERWRITE",
            Self::Retain => "RETAIN",
        }
    }

    /// Reads the wire form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Disallow, Self::Overwrite, Self::Retain].into_iter().find(|b| b.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(key: &str, bundle_type: &str, e_tag: Option<&str>) -> Revision {
        Revision::S3 {
            bucket: "b".into(),
            key: key.into(),
            bundle_type: bundle_type.into(),
            version: None,
            e_tag: e_tag.map(Into::into),
        }
    }

    #[test]
    fn version_and_etag_are_part_of_the_identity_cf_358() {
        assert_ne!(s3("k", "zip", None).identity(), s3("k", "zip", Some("1")).identity());
        assert_ne!(s3("k/1:z", "zip", None).identity(), s3("k", "1:z/zip", None).identity());
        assert_eq!(s3("k", "zip", None).identity(), s3("k", "zip", None).identity());
    }
}
