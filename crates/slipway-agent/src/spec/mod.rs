//! The deployment specification: signature checked, then read (AP-11, AP-12, D-18).

mod envelope;
mod pin;

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

pub use envelope::{EnvelopeError, Verified, verify};
pub use pin::{PinError, SignerPin};

use crate::client::Envelope;
use crate::layout::{is_group_id, is_plain_name};

const LOCAL_FILE: &str = "Local File";
const LOCAL_DIRECTORY: &str = "Local Directory";

/// Why a specification is not obeyed. The text is reported to the control plane.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// AG-069: `TEXT/JSON` belongs to the local command line.
    #[error("Unsupported DeploymentSpecification format: {0}")]
    Format(String),
    /// AS-177.
    #[error("Validation of PKCS7 signed message failed: {0}")]
    Signature(#[from] EnvelopeError),
    /// AS-177, the signer is not the one that we trust.
    #[error("Validation of PKCS7 signed message failed: {0}")]
    Signer(#[from] PinError),
    /// The content is not JSON.
    #[error("Deployment Spec is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// AG-070.
    #[error("Deployment Spec has no {0}")]
    Missing(&'static str),
    /// A bundle that a control plane has no business to name.
    #[error("Revisions of type {0} belong to local deployments and are not accepted from a control plane.")]
    Local(&'static str),
    /// A value that cannot be obeyed.
    #[error("Deployment Spec has an invalid {field}: {value}")]
    Invalid {
        /// The member.
        field: &'static str,
        /// What it says.
        value: String,
    },
}

/// Where the bundle is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// An object in S3.
    S3 {
        /// Bucket.
        bucket: String,
        /// Key.
        key: String,
        /// `tar`, `tgz` or `zip`.
        bundle_type: String,
        /// Version of the object.
        version: Option<String>,
        /// What the object's ETag must be.
        etag: Option<String>,
    },
    /// A commit on GitHub.
    GitHub {
        /// Owner.
        account: String,
        /// Repository.
        repository: String,
        /// Commit.
        commit_id: String,
        /// `tar` (default) or `zip`.
        bundle_type: Option<String>,
        /// Of a private repository; never logged (AG-015).
        token: Option<Secret>,
    },
    /// Of the local command line; never taken from a control plane.
    Local {
        /// The archive or the directory on this host.
        location: PathBuf,
        /// `tar`, `tgz`, `zip` or `directory`.
        bundle_type: String,
    },
}

/// A text that does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("REDACTED")
    }
}

/// A specification, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentSpec {
    /// `d-ABCDEF123`.
    pub deployment_id: String,
    /// The group's UUID.
    pub group_id: String,
    /// The group's name.
    pub group_name: String,
    /// The application's name.
    pub application_name: String,
    /// `user`, `autoscaling`, `codeDeployRollback`.
    pub creator: String,
    /// `IN_PLACE`, `BLUE_GREEN`.
    pub deployment_type: String,
    /// The name of the AppSpec file.
    pub appspec_filename: String,
    /// `DISALLOW`, `OVERWRITE`, `RETAIN`, or a text that fails at the first conflict (AS-037).
    pub file_exists_behavior: String,
    /// AG-089.
    pub all_possible_events: Option<Vec<String>>,
    /// An earlier deployment of this group whose unpacked revision is the same (AP-28).
    pub reuse_archive_from: Option<String>,
    /// Where the bundle is.
    pub revision: Revision,
}

impl DeploymentSpec {
    /// Checks the envelope's signature against `pin` and reads the content.
    pub fn from_envelope(envelope: &Envelope, pin: &SignerPin) -> Result<Self, SpecError> {
        if envelope.format != "PKCS7/JSON" {
            return Err(SpecError::Format(envelope.format.clone()));
        }
        let verified = verify(&envelope.payload)?;
        pin.accept(&verified.signer)?;
        let spec = Self::parse(&verified.content)?;
        match &spec.revision {
            Revision::Local { bundle_type, .. } if bundle_type == "directory" => {
                Err(SpecError::Local(LOCAL_DIRECTORY))
            }
            Revision::Local { .. } => Err(SpecError::Local(LOCAL_FILE)),
            Revision::S3 { .. } | Revision::GitHub { .. } => Ok(spec),
        }
    }

    /// Reads the JSON (AP-12, AG-070).
    pub fn parse(json: &[u8]) -> Result<Self, SpecError> {
        let raw: Raw = serde_json::from_slice(json)?;
        let deployment_id = required(raw.deployment_id, "DeploymentId")?;
        let deployment_id =
            match deployment_id.strip_prefix("arn:").and_then(|arn| arn.rsplit_once("deployment/")) {
                Some((_, id)) => id.to_owned(),
                None => deployment_id,
            };
        let group_id = required(raw.deployment_group_id, "DeploymentGroupId")?;
        if !is_plain_name(&deployment_id) {
            return Err(SpecError::Invalid { field: "DeploymentId", value: deployment_id });
        }
        if !is_group_id(&group_id) {
            return Err(SpecError::Invalid { field: "DeploymentGroupId", value: group_id });
        }
        let appspec_filename = raw.app_spec_filename.unwrap_or_else(|| "appspec.yml".to_owned());
        if !is_plain_name(&appspec_filename) {
            return Err(SpecError::Invalid { field: "AppSpecFilename", value: appspec_filename });
        }
        let file_exists_behavior = raw
            .agent_action_overrides
            .as_ref()
            .and_then(|overrides| overrides.pointer("/AgentOverrides/FileExistsBehavior"))
            .and_then(Value::as_str)
            .unwrap_or("DISALLOW")
            .to_ascii_uppercase();
        Ok(Self {
            deployment_id,
            group_id,
            group_name: required(raw.deployment_group_name, "DeploymentGroupName")?,
            application_name: required(raw.application_name, "ApplicationName")?,
            creator: raw.deployment_creator.unwrap_or_else(|| "user".to_owned()),
            deployment_type: raw.deployment_type.unwrap_or_else(|| "IN_PLACE".to_owned()),
            appspec_filename,
            file_exists_behavior,
            all_possible_events: raw.all_possible_lifecycle_events,
            // A name that leads elsewhere is no archive of ours: then the bundle is downloaded.
            reuse_archive_from: raw.reuse_archive_from_deployment_id.filter(|id| is_plain_name(id)),
            revision: revision(raw.revision, raw.git_hub_access_token)?,
        })
    }

    /// AG-086: the rollback of a blue/green deployment chooses its revisions in its own way.
    pub fn is_blue_green_rollback(&self) -> bool {
        self.creator == "codeDeployRollback" && self.deployment_type == "BLUE_GREEN"
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    deployment_id: Option<String>,
    deployment_group_id: Option<String>,
    deployment_group_name: Option<String>,
    application_name: Option<String>,
    deployment_creator: Option<String>,
    deployment_type: Option<String>,
    app_spec_filename: Option<String>,
    agent_action_overrides: Option<Value>,
    all_possible_lifecycle_events: Option<Vec<String>>,
    reuse_archive_from_deployment_id: Option<String>,
    git_hub_access_token: Option<String>,
    revision: Option<RawRevision>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRevision {
    revision_type: Option<String>,
    #[serde(rename = "S3Revision")]
    s3: Option<RawS3>,
    #[serde(rename = "GitHubRevision")]
    git_hub: Option<RawGitHub>,
    #[serde(rename = "LocalRevision")]
    local: Option<RawLocal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawLocal {
    location: Option<String>,
    bundle_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawS3 {
    bucket: Option<String>,
    key: Option<String>,
    bundle_type: Option<String>,
    version: Option<String>,
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawGitHub {
    account: Option<String>,
    repository: Option<String>,
    commit_id: Option<String>,
    bundle_type: Option<String>,
}

fn required(value: Option<String>, field: &'static str) -> Result<String, SpecError> {
    value.filter(|value| !value.is_empty()).ok_or(SpecError::Missing(field))
}

fn revision(raw: Option<RawRevision>, token: Option<String>) -> Result<Revision, SpecError> {
    let raw = raw.ok_or(SpecError::Missing("Revision"))?;
    let kind = required(raw.revision_type, "RevisionType")?;
    match kind.as_str() {
        "S3" => {
            let s3 = raw.s3.ok_or(SpecError::Missing("S3Revision"))?;
            let bundle_type = required(s3.bundle_type, "BundleType")?;
            if !matches!(bundle_type.as_str(), "tar" | "tgz" | "zip") {
                return Err(SpecError::Invalid { field: "BundleType", value: bundle_type });
            }
            Ok(Revision::S3 {
                bucket: required(s3.bucket, "Bucket")?,
                key: required(s3.key, "Key")?,
                bundle_type,
                version: s3.version.filter(|version| !version.is_empty()),
                etag: s3.etag.filter(|etag| !etag.is_empty()),
            })
        }
        "GitHub" => {
            let git_hub = raw.git_hub.ok_or(SpecError::Missing("GitHubRevision"))?;
            Ok(Revision::GitHub {
                account: required(git_hub.account, "Account")?,
                repository: required(git_hub.repository, "Repository")?,
                commit_id: required(git_hub.commit_id, "CommitId")?,
                bundle_type: git_hub.bundle_type,
                token: token.filter(|token| !token.is_empty()).map(Secret),
            })
        }
        LOCAL_FILE | LOCAL_DIRECTORY => {
            let local = raw.local.ok_or(SpecError::Missing("LocalRevision"))?;
            let bundle_type = required(local.bundle_type, "BundleType")?;
            let kinds: &[&str] = if kind == LOCAL_FILE { &["tar", "tgz", "zip"] } else { &["directory"] };
            if !kinds.contains(&bundle_type.as_str()) {
                return Err(SpecError::Invalid { field: "BundleType", value: bundle_type });
            }
            let location = required(local.location, "Location")?.into();
            Ok(Revision::Local { location, bundle_type })
        }
        _ => Err(SpecError::Invalid { field: "RevisionType", value: kind }),
    }
}

#[cfg(test)]
mod tests {
    use super::{DeploymentSpec, Revision};
    use serde_json::{Value, json};

    fn valid() -> Value {
        json!({
            "DeploymentId": "arn:aws:codedeploy:us-east-1:1:deployment/d-ABCDEF123",
            "DeploymentGroupId": "g-1", "DeploymentGroupName": "prod", "ApplicationName": "web",
            "AgentActionOverrides": {"AgentOverrides": {"FileExistsBehavior": "overwrite"}},
            "Revision": {"RevisionType": "S3", "S3Revision": {"Bucket": "b", "Key": "k", "BundleType": "zip", "ETag": "e"}}
        })
    }

    fn parse(value: &Value) -> Result<DeploymentSpec, String> {
        DeploymentSpec::parse(value.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_filled_in_and_the_id_is_taken_out_of_an_arn() {
        let spec = parse(&valid()).expect("AP-12");
        assert_eq!(spec.deployment_id, "d-ABCDEF123");
        assert_eq!((spec.creator.as_str(), spec.deployment_type.as_str()), ("user", "IN_PLACE"));
        assert_eq!(spec.appspec_filename, "appspec.yml");
        assert_eq!(spec.file_exists_behavior, "OVERWRITE");
        assert!(matches!(spec.revision, Revision::S3 { version: None, etag: Some(_), .. }));
    }

    #[test]
    fn each_required_member_is_named_when_missing_or_empty() {
        for field in
            ["DeploymentId", "DeploymentGroupId", "DeploymentGroupName", "ApplicationName", "Revision"]
        {
            let mut spec = valid();
            spec[field] = Value::Null;
            assert_eq!(parse(&spec).expect_err("AG-070"), format!("Deployment Spec has no {field}"));
        }
        let mut spec = valid();
        spec["ApplicationName"] = json!("");
        assert_eq!(parse(&spec).expect_err("AG-070"), "Deployment Spec has no ApplicationName");
    }

    #[test]
    fn ids_that_would_leave_the_root_directory_are_refused() {
        for (field, value) in [
            ("DeploymentId", "../../etc"),
            ("DeploymentGroupId", ".."),
            ("DeploymentGroupId", "deployment-instructions"),
            ("AppSpecFilename", "../appspec.yml"),
        ] {
            let mut spec = valid();
            spec[field] = json!(value);
            assert!(parse(&spec).expect_err("D-17").contains(value));
        }
    }

    #[test]
    fn a_local_revision_is_read_with_the_kinds_that_go_with_it() {
        let mut spec = valid();
        spec["Revision"] = json!({"RevisionType": "Local Directory",
            "LocalRevision": {"Location": "/srv/app", "BundleType": "directory"}});
        let location = "/srv/app".into();
        let expected = Revision::Local { location, bundle_type: "directory".to_owned() };
        assert_eq!(parse(&spec).expect("AP-12").revision, expected);
        spec["Revision"]["LocalRevision"]["BundleType"] = json!("zip");
        assert!(parse(&spec).is_err());
        spec["Revision"]["RevisionType"] = json!("Local File");
        assert!(parse(&spec).is_ok());
    }

    #[test]
    fn an_archive_to_reuse_is_named_by_an_id_only() {
        let mut spec = valid();
        spec["ReuseArchiveFromDeploymentId"] = json!("d-OLD");
        assert_eq!(parse(&spec).expect("AP-28").reuse_archive_from.as_deref(), Some("d-OLD"));
        spec["ReuseArchiveFromDeploymentId"] = json!("../../etc");
        assert_eq!(parse(&spec).expect("AP-28").reuse_archive_from, None);
    }

    #[test]
    fn a_github_token_does_not_show() {
        let mut spec = valid();
        spec["GitHubAccessToken"] = json!("ghp_secret");
        spec["Revision"] = json!({"RevisionType": "GitHub",
            "GitHubRevision": {"Account": "a", "Repository": "r", "CommitId": "c"}});
        let spec = parse(&spec).expect("AP-12");
        assert!(!format!("{spec:?}").contains("ghp_secret"), "AG-015");
    }
}
