//! AWS CodeDeploy: one file per resource; this one says which operation is carried out where.
//!
//! | module | operations on |
//! |---|---|
//! | `applications`, `groups`, `configs`, `revisions` | what is deployed, where and by which rules |
//! | `instances` | on-premises instances |
//! | `deployments`, `targets` | deployments and what they do to each host |
//! | `common`, `convert` | names, page tokens, stored documents; between the wire's shapes and the model's |

mod applications;
mod common;
mod configs;
mod convert;
mod deployments;
mod groups;
mod instances;
mod revisions;
mod targets;

use slipway_wire::codedeploy::{self as wire, Service};
use slipway_wire::{ApiError, ErrorKind};

use crate::access::RequestContext;

/// The service.
#[derive(Debug, Clone, Copy, Default)]
pub struct CodeDeploy;

/// Writes the service out of two tables: what is carried out where, and what a later version will carry out.
macro_rules! operations {
    (
        carried_out { $($method:ident($input:ident) -> $output:ty = $handler:path;)+ }
        later { $($later:ident($later_input:ident) -> $later_output:ty = $name:literal;)+ }
    ) => {
        impl Service for CodeDeploy {
            type Context = RequestContext;

            $(
                async fn $method(&self, context: &RequestContext, input: wire::$input) -> Result<$output, ApiError> {
                    $handler(context, input).await
                }
            )+

            $(
                async fn $later(&self, context: &RequestContext, _: wire::$later_input) -> Result<$later_output, ApiError> {
                    not_available(context, $name).await
                }
            )+
        }
    };
}

operations! {
    carried_out {
        add_tags_to_on_premises_instances(AddTagsToOnPremisesInstancesInput) -> () = instances::add_tags;
        batch_get_deployment_targets(BatchGetDeploymentTargetsInput) -> wire::BatchGetDeploymentTargetsOutput = targets::batch_get;
        batch_get_on_premises_instances(BatchGetOnPremisesInstancesInput) -> wire::BatchGetOnPremisesInstancesOutput = instances::batch_get;
        create_application(CreateApplicationInput) -> wire::CreateApplicationOutput = applications::create;
        create_deployment(CreateDeploymentInput) -> wire::CreateDeploymentOutput = deployments::create;
        create_deployment_group(CreateDeploymentGroupInput) -> wire::CreateDeploymentGroupOutput = groups::create;
        delete_application(DeleteApplicationInput) -> () = applications::delete;
        delete_deployment_group(DeleteDeploymentGroupInput) -> wire::DeleteDeploymentGroupOutput = groups::delete;
        deregister_on_premises_instance(DeregisterOnPremisesInstanceInput) -> () = instances::deregister;
        get_application(GetApplicationInput) -> wire::GetApplicationOutput = applications::get;
        get_application_revision(GetApplicationRevisionInput) -> wire::GetApplicationRevisionOutput = revisions::get;
        get_deployment(GetDeploymentInput) -> wire::GetDeploymentOutput = deployments::get;
        get_deployment_config(GetDeploymentConfigInput) -> wire::GetDeploymentConfigOutput = configs::get;
        get_deployment_group(GetDeploymentGroupInput) -> wire::GetDeploymentGroupOutput = groups::get;
        get_deployment_instance(GetDeploymentInstanceInput) -> wire::GetDeploymentInstanceOutput = targets::get_instance;
        get_deployment_target(GetDeploymentTargetInput) -> wire::GetDeploymentTargetOutput = targets::get;
        get_on_premises_instance(GetOnPremisesInstanceInput) -> wire::GetOnPremisesInstanceOutput = instances::get;
        list_applications(ListApplicationsInput) -> wire::ListApplicationsOutput = applications::list;
        list_deployment_configs(ListDeploymentConfigsInput) -> wire::ListDeploymentConfigsOutput = configs::list;
        list_deployment_groups(ListDeploymentGroupsInput) -> wire::ListDeploymentGroupsOutput = groups::list;
        list_deployment_instances(ListDeploymentInstancesInput) -> wire::ListDeploymentInstancesOutput = targets::list_instances;
        list_deployment_targets(ListDeploymentTargetsInput) -> wire::ListDeploymentTargetsOutput = targets::list;
        list_deployments(ListDeploymentsInput) -> wire::ListDeploymentsOutput = deployments::list;
        list_on_premises_instances(ListOnPremisesInstancesInput) -> wire::ListOnPremisesInstancesOutput = instances::list;
        register_application_revision(RegisterApplicationRevisionInput) -> () = revisions::register;
        register_on_premises_instance(RegisterOnPremisesInstanceInput) -> () = instances::register;
        remove_tags_from_on_premises_instances(RemoveTagsFromOnPremisesInstancesInput) -> () = instances::remove_tags;
        stop_deployment(StopDeploymentInput) -> wire::StopDeploymentOutput = deployments::stop;
    }
    later {
        batch_get_application_revisions(BatchGetApplicationRevisionsInput) -> wire::BatchGetApplicationRevisionsOutput = "BatchGetApplicationRevisions";
        batch_get_applications(BatchGetApplicationsInput) -> wire::BatchGetApplicationsOutput = "BatchGetApplications";
        batch_get_deployment_groups(BatchGetDeploymentGroupsInput) -> wire::BatchGetDeploymentGroupsOutput = "BatchGetDeploymentGroups";
        batch_get_deployment_instances(BatchGetDeploymentInstancesInput) -> wire::BatchGetDeploymentInstancesOutput = "BatchGetDeploymentInstances";
        batch_get_deployments(BatchGetDeploymentsInput) -> wire::BatchGetDeploymentsOutput = "BatchGetDeployments";
        continue_deployment(ContinueDeploymentInput) -> () = "ContinueDeployment";
        create_deployment_config(CreateDeploymentConfigInput) -> wire::CreateDeploymentConfigOutput = "CreateDeploymentConfig";
        delete_deployment_config(DeleteDeploymentConfigInput) -> () = "DeleteDeploymentConfig";
        delete_git_hub_account_token(DeleteGitHubAccountTokenInput) -> wire::DeleteGitHubAccountTokenOutput = "DeleteGitHubAccountToken";
        delete_resources_by_external_id(DeleteResourcesByExternalIdInput) -> wire::DeleteResourcesByExternalIdOutput = "DeleteResourcesByExternalId";
        list_application_revisions(ListApplicationRevisionsInput) -> wire::ListApplicationRevisionsOutput = "ListApplicationRevisions";
        list_git_hub_account_token_names(ListGitHubAccountTokenNamesInput) -> wire::ListGitHubAccountTokenNamesOutput = "ListGitHubAccountTokenNames";
        list_tags_for_resource(ListTagsForResourceInput) -> wire::ListTagsForResourceOutput = "ListTagsForResource";
        put_lifecycle_event_hook_execution_status(PutLifecycleEventHookExecutionStatusInput) -> wire::PutLifecycleEventHookExecutionStatusOutput = "PutLifecycleEventHookExecutionStatus";
        skip_wait_time_for_instance_termination(SkipWaitTimeForInstanceTerminationInput) -> () = "SkipWaitTimeForInstanceTermination";
        tag_resource(TagResourceInput) -> wire::TagResourceOutput = "TagResource";
        untag_resource(UntagResourceInput) -> wire::UntagResourceOutput = "UntagResource";
        update_application(UpdateApplicationInput) -> () = "UpdateApplication";
        update_deployment_group(UpdateDeploymentGroupInput) -> wire::UpdateDeploymentGroupOutput = "UpdateDeploymentGroup";
    }
}

/// A typed refusal of an operation of the model that this version does not carry out; docs/compatibility.md lists them.
async fn not_available<T>(context: &RequestContext, operation: &str) -> Result<T, ApiError> {
    context.permit(context.call(operation)).await?;
    Err(ApiError::new(
        ErrorKind::OperationNotSupportedException,
        format!("{operation} is not available in this version of Slipway."),
    ))
}
