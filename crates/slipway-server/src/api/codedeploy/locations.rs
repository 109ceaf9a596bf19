//! Revision locations: read and checked for the application's platform, and shown (CF-320..CF-330, DP-020..DP-028).

use aws_lc_rs::digest;
use slipway_model::config::ComputePlatform;
use slipway_model::revision::Revision;
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use crate::error::api;

/// Longest S3 key, and so longest prefix, in bytes.
pub(super) const LONGEST_KEY: usize = 1024;

fn invalid<T>(message: impl Into<String>) -> Result<T, ApiError> {
    api(ErrorKind::InvalidRevisionException, message)
}

/// What a call wants with an inline AppSpec file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inline {
    /// To keep or run it: its text is needed.
    Content,
    /// To find one that is registered: its hash is enough.
    Identity,
}

/// Reads the revision of a call to an application of this platform.
pub(super) fn read(
    platform: ComputePlatform,
    location: Option<&wire::RevisionLocation>,
    inline: Inline,
) -> Result<Revision, ApiError> {
    let Some(location) = location else {
        return api(ErrorKind::RevisionRequiredException, "revision is required.");
    };
    let given = [
        ("s3Location", location.s3_location.is_some()),
        ("gitHubLocation", location.git_hub_location.is_some()),
        ("string", location.string.is_some()),
        ("appSpecContent", location.app_spec_content.is_some()),
    ];
    let given: Vec<&str> = given.iter().filter(|(_, present)| *present).map(|(name, _)| *name).collect();
    if given.len() > 1 {
        return invalid(format!("A revision has one location; {} were given.", given.join(" and ")));
    }
    let server = platform == ComputePlatform::Server;
    match location.revision_type.as_deref() {
        Some("S3") => s3(platform, location.s3_location.as_ref()),
        Some("GitHub") if server => github(location.git_hub_location.as_ref()),
        Some("GitHub") => invalid(format!(
            "revisionType GitHub is for Server applications; one for {} takes S3, AppSpecContent or String.",
            platform.as_str()
        )),
        Some(other @ ("String" | "AppSpecContent")) if server => invalid(format!(
            "revisionType {other} is for AWS Lambda and Amazon ECS; a Server application takes S3 or GitHub."
        )),
        Some("String") => {
            let given = location.string.as_ref();
            app_spec("string", given.map(|s| (s.content.as_deref(), s.sha256.as_deref())), true, inline)
        }
        Some("AppSpecContent") => {
            let given = location.app_spec_content.as_ref();
            app_spec(
                "appSpecContent",
                given.map(|s| (s.content.as_deref(), s.sha256.as_deref())),
                false,
                inline,
            )
        }
        Some(other) => {
            invalid(format!("revisionType {other:?} is none of S3, GitHub, String, AppSpecContent."))
        }
        None if server => invalid("revisionType is required: S3 or GitHub."),
        None => invalid("revisionType is required: S3, AppSpecContent or String."),
    }
}

fn s3(platform: ComputePlatform, location: Option<&wire::S3Location>) -> Result<Revision, ApiError> {
    let Some(s3) = location else {
        return invalid("s3Location is required with revisionType S3.");
    };
    let part = |value: &Option<String>, name: &str| match value {
        Some(value) if !value.is_empty() => Ok(value.clone()),
        _ => invalid(format!("s3Location.{name} is required.")),
    };
    let bundle_type = part(&s3.bundle_type, "bundleType")?;
    let (allowed, words): (&[&str], _) = match platform {
        ComputePlatform::Server => (&["zip", "tar", "tgz"], "zip, tar or tgz"),
        ComputePlatform::Lambda | ComputePlatform::ECS => (&["YAML", "JSON"], "YAML or JSON"),
    };
    if !allowed.contains(&bundle_type.as_str()) {
        return invalid(format!(
            "s3Location.bundleType {bundle_type:?} is not for the compute platform {}: use {words}.",
            platform.as_str()
        ));
    }
    let key = part(&s3.key, "key")?;
    if key.len() > LONGEST_KEY {
        return invalid(format!("s3Location.key is longer than {LONGEST_KEY} bytes."));
    }
    Ok(Revision::S3 {
        bucket: part(&s3.bucket, "bucket")?,
        key,
        bundle_type,
        version: s3.version.clone().filter(|v| !v.is_empty()),
        e_tag: s3.e_tag.as_deref().map(|tag| tag.trim_matches('"').to_owned()).filter(|t| !t.is_empty()),
    })
}

fn github(location: Option<&wire::GitHubLocation>) -> Result<Revision, ApiError> {
    let Some(github) = location else {
        return invalid("gitHubLocation is required with revisionType GitHub.");
    };
    let repository = github.repository.as_deref().unwrap_or_default();
    let word = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if !repository.split_once('/').is_some_and(|(owner, name)| word(owner) && word(name)) {
        return invalid("gitHubLocation.repository must be owner/name.");
    }
    let commit = github.commit_id.as_deref().unwrap_or_default();
    if commit.len() != 40 || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
        return invalid("gitHubLocation.commitId must be the full commit id: 40 hexadecimal digits.");
    }
    Ok(Revision::GitHub { repository: repository.to_owned(), commit_id: commit.to_owned() })
}

/// An inline AppSpec file. Whether its text is one shows when it is deployed (DP-030).
fn app_spec(
    member: &str,
    given: Option<(Option<&str>, Option<&str>)>,
    as_string: bool,
    inline: Inline,
) -> Result<Revision, ApiError> {
    let (content, sha256) = given.unwrap_or_default();
    let content = content.filter(|content| !content.is_empty());
    let sha256 = sha256.filter(|hash| !hash.is_empty()).map(str::to_ascii_lowercase);
    if sha256.as_deref().is_some_and(|hash| hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return invalid(format!("{member}.sha256 must be 64 hexadecimal digits."));
    }
    match (content, sha256) {
        (Some(content), sha256) => {
            let real = hex::encode(digest::digest(&digest::SHA256, content.as_bytes()));
            if sha256.is_some_and(|given| given != real) {
                return invalid(format!("{member}.sha256 is not the SHA-256 of {member}.content."));
            }
            Ok(Revision::AppSpecContent { content: content.to_owned(), sha256: real, as_string })
        }
        (None, Some(sha256)) if inline == Inline::Identity => {
            Ok(Revision::AppSpecContent { content: String::new(), sha256, as_string })
        }
        (None, _) => invalid(format!("{member}.content is required.")),
    }
}

/// A revision on the wire. Inline content is identified by its hash (DP-025); [`to_wire_with_content`] has it in full.
pub(super) fn to_wire(revision: &Revision) -> wire::RevisionLocation {
    let mut location = wire::RevisionLocation::default();
    match revision {
        Revision::S3 { bucket, key, bundle_type, version, e_tag } => {
            location.revision_type = Some("S3".to_owned());
            location.s3_location = Some(wire::S3Location {
                bucket: Some(bucket.clone()),
                key: Some(key.clone()),
                bundle_type: Some(bundle_type.clone()),
                version: version.clone(),
                e_tag: e_tag.clone(),
            });
        }
        Revision::GitHub { repository, commit_id } => {
            location.revision_type = Some("GitHub".to_owned());
            location.git_hub_location = Some(wire::GitHubLocation {
                repository: Some(repository.clone()),
                commit_id: Some(commit_id.clone()),
            });
        }
        Revision::AppSpecContent { sha256, as_string: true, .. } => {
            location.revision_type = Some("String".to_owned());
            location.string = Some(wire::RawString { content: None, sha256: Some(sha256.clone()) });
        }
        Revision::AppSpecContent { sha256, as_string: false, .. } => {
            location.revision_type = Some("AppSpecContent".to_owned());
            location.app_spec_content =
                Some(wire::AppSpecContent { content: None, sha256: Some(sha256.clone()) });
        }
    }
    location
}

/// A revision on the wire, with inline content.
pub(super) fn to_wire_with_content(revision: &Revision) -> wire::RevisionLocation {
    let mut location = to_wire(revision);
    if let Revision::AppSpecContent { content, .. } = revision {
        if let Some(string) = &mut location.string {
            string.content = Some(content.clone());
        }
        if let Some(inline) = &mut location.app_spec_content {
            inline.content = Some(content.clone());
        }
    }
    location
}
