//! The signed deployment specification (AP-11, AP-12, AP-39, AP-40).

use serde_json::{Value, json};
use slipway_model::deployment::DeploymentRecord;
use slipway_model::revision::Revision;
use slipway_model::{DeploymentId, arn};
use slipway_wire::ApiError;
use slipway_wire::commands::{DeploymentSpecification, Envelope, GetDeploymentSpecificationOutput};

use super::client;
use super::host::Host;
use crate::access::RequestContext;
use crate::error;
use crate::work::deployment::record_of;

/// Answers with the specification of a deployment that this host is a target of. It has no side effect, and goes on
/// answering after the deployment has ended (AP-13).
pub(super) async fn get(
    context: &RequestContext,
    host: &Host,
    execution_id: Option<&str>,
) -> Result<GetDeploymentSpecificationOutput, ApiError> {
    let Some(execution_id) = execution_id else {
        return Err(client("DeploymentExecutionId is required."));
    };
    let unknown = || client("There is no such deployment for this host.");
    let id = execution_id.rsplit('/').next().and_then(|id| DeploymentId::new(id).ok()).ok_or_else(unknown)?;
    let store = &context.control.store;
    if store.target_by_host(&id, &host.key).await.map_err(error::read)?.is_none() {
        tracing::warn!(target: "audit", caller = %host.identifier, deployment = %id, "a foreign deployment's specification was refused");
        return Err(unknown());
    }
    let row = store.deployment(&id).await.map_err(error::read)?.ok_or_else(unknown)?;
    let record = record_of(&row).map_err(error::internal)?;
    let specification = specification_of(&record);
    let payload =
        context.control.signer.sign(specification.to_string().as_bytes()).map_err(error::internal)?;
    Ok(GetDeploymentSpecificationOutput {
        deployment_system: Some("CodeDeploy".to_owned()),
        deployment_specification: Some(DeploymentSpecification {
            generic_envelope: Some(Envelope {
                format: Some("PKCS7/JSON".to_owned()),
                payload: Some(payload),
            }),
            ..DeploymentSpecification::default()
        }),
    })
}

/// The JSON that is signed. `AllPossibleLifecycleEvents` is left out on purpose: it breaks agents (AP-40).
fn specification_of(record: &DeploymentRecord) -> Value {
    json!({
        "DeploymentId": arn::deployment(&record.scope, &record.id),
        "DeploymentGroupId": record.group_id,
        "DeploymentGroupName": record.group_name,
        "ApplicationId": record.application_id,
        "ApplicationName": record.application_name,
        "DeploymentCreator": record.creator,
        "DeploymentType": "IN_PLACE",
        "AppSpecFilename": "appspec.yml",
        "AgentActionOverrides": {
            "AgentOverrides": { "FileExistsBehavior": record.file_exists_behavior.as_str() }
        },
        "Revision": revision_of(&record.revision),
    })
}

fn revision_of(revision: &Revision) -> Value {
    match revision {
        Revision::S3 { bucket, key, bundle_type, version, e_tag } => {
            let mut s3 = json!({"Bucket": bucket, "Key": key, "BundleType": bundle_type});
            if let Some(version) = version {
                s3["Version"] = json!(version);
            }
            if let Some(e_tag) = e_tag {
                s3["ETag"] = json!(e_tag);
            }
            json!({"RevisionType": "S3", "S3Revision": s3})
        }
        Revision::GitHub { repository, commit_id } => {
            let (account, repository) = repository.split_once('/').unwrap_or(("", repository));
            json!({
                "RevisionType": "GitHub",
                "GitHubRevision": {"Account": account, "Repository": repository, "CommitId": commit_id}
            })
        }
        Revision::AppSpecContent { content, sha256, .. } => {
            json!({"RevisionType": "AppSpecContent", "Content": content, "Sha256": sha256})
        }
    }
}
