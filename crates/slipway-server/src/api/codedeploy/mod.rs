//! AWS CodeDeploy: one file per resource; this one says which operation is carried out where.
//!
//! | module | operations on |
//! |---|---|
//! | `applications`, `renames`, `tags`, `external` | applications; names that were changed, tags of applications and groups |
//! | `groups`, `group_settings`, `load_balancers`, `group_rules`, `group_wire`, `claims` | deployment groups: operations, reading each member, rules of the whole, showing it, what it holds of shared things |
//! | `configs`, `config_rules` | deployment configurations |
//! | `revisions`, `revision_list`, `locations`, `github` | registered revisions, where revisions are, connections to get them |
//! | `instances` | on-premises instances |
//! | `deployments`, `honour`, `targets`, `controls` | deployments, what they cannot honour, what they do to each host, what running ones are told |
//! | `common`, `convert`, `conditions` | names, page tokens, stored documents; between the wire's shapes and the model's; what policies may ask about tags |

mod applications;
mod claims;
mod common;
mod conditions;
mod config_rules;
mod configs;
mod controls;
mod convert;
mod deployments;
mod external;
mod github;
mod group_rules;
mod group_settings;
mod group_wire;
mod groups;
mod honour;
mod instances;
mod lineage;
mod load_balancers;
mod locations;
mod renames;
mod revision_list;
mod revisions;
mod tags;
mod targets;

use slipway_wire::ApiError;
use slipway_wire::codedeploy::{self as wire, Service};

use crate::access::RequestContext;

/// The service.
#[derive(Debug, Clone, Copy, Default)]
pub struct CodeDeploy;

/// Writes the service out of a table of what is carried out where.
macro_rules! operations {
    ($($method:ident($input:ident) -> $output:ty = $handler:path;)+) => {
        impl Service for CodeDeploy {
            type Context = RequestContext;

            $(
                async fn $method(&self, context: &RequestContext, input: wire::$input) -> Result<$output, ApiError> {
                    $handler(context, input).await
                }
            )+
        }
    };
}

operations! {
    add_tags_to_on_premises_instances(AddTagsToOnPremisesInstancesInput) -> () = instances::add_tags;
    batch_get_application_revisions(BatchGetApplicationRevisionsInput) -> wire::BatchGetApplicationRevisionsOutput = revisions::batch_get;
    batch_get_applications(BatchGetApplicationsInput) -> wire::BatchGetApplicationsOutput = applications::batch_get;
    batch_get_deployment_groups(BatchGetDeploymentGroupsInput) -> wire::BatchGetDeploymentGroupsOutput = groups::batch_get;
    batch_get_deployment_instances(BatchGetDeploymentInstancesInput) -> wire::BatchGetDeploymentInstancesOutput = targets::batch_get_instances;
    batch_get_deployment_targets(BatchGetDeploymentTargetsInput) -> wire::BatchGetDeploymentTargetsOutput = targets::batch_get;
    batch_get_deployments(BatchGetDeploymentsInput) -> wire::BatchGetDeploymentsOutput = deployments::batch_get;
    batch_get_on_premises_instances(BatchGetOnPremisesInstancesInput) -> wire::BatchGetOnPremisesInstancesOutput = instances::batch_get;
    continue_deployment(ContinueDeploymentInput) -> () = controls::continue_deployment;
    create_application(CreateApplicationInput) -> wire::CreateApplicationOutput = applications::create;
    create_deployment(CreateDeploymentInput) -> wire::CreateDeploymentOutput = deployments::create;
    create_deployment_config(CreateDeploymentConfigInput) -> wire::CreateDeploymentConfigOutput = configs::create;
    create_deployment_group(CreateDeploymentGroupInput) -> wire::CreateDeploymentGroupOutput = groups::create;
    delete_application(DeleteApplicationInput) -> () = applications::delete;
    delete_deployment_config(DeleteDeploymentConfigInput) -> () = configs::delete;
    delete_deployment_group(DeleteDeploymentGroupInput) -> wire::DeleteDeploymentGroupOutput = groups::delete;
    delete_git_hub_account_token(DeleteGitHubAccountTokenInput) -> wire::DeleteGitHubAccountTokenOutput = github::delete;
    delete_resources_by_external_id(DeleteResourcesByExternalIdInput) -> wire::DeleteResourcesByExternalIdOutput = external::delete;
    deregister_on_premises_instance(DeregisterOnPremisesInstanceInput) -> () = instances::deregister;
    get_application(GetApplicationInput) -> wire::GetApplicationOutput = applications::get;
    get_application_revision(GetApplicationRevisionInput) -> wire::GetApplicationRevisionOutput = revisions::get;
    get_deployment(GetDeploymentInput) -> wire::GetDeploymentOutput = deployments::get;
    get_deployment_config(GetDeploymentConfigInput) -> wire::GetDeploymentConfigOutput = configs::get;
    get_deployment_group(GetDeploymentGroupInput) -> wire::GetDeploymentGroupOutput = groups::get;
    get_deployment_instance(GetDeploymentInstanceInput) -> wire::GetDeploymentInstanceOutput = targets::get_instance;
    get_deployment_target(GetDeploymentTargetInput) -> wire::GetDeploymentTargetOutput = targets::get;
    get_on_premises_instance(GetOnPremisesInstanceInput) -> wire::GetOnPremisesInstanceOutput = instances::get;
    list_application_revisions(ListApplicationRevisionsInput) -> wire::ListApplicationRevisionsOutput = revision_list::list;
    list_applications(ListApplicationsInput) -> wire::ListApplicationsOutput = applications::list;
    list_deployment_configs(ListDeploymentConfigsInput) -> wire::ListDeploymentConfigsOutput = configs::list;
    list_deployment_groups(ListDeploymentGroupsInput) -> wire::ListDeploymentGroupsOutput = groups::list;
    list_deployment_instances(ListDeploymentInstancesInput) -> wire::ListDeploymentInstancesOutput = targets::list_instances;
    list_deployment_targets(ListDeploymentTargetsInput) -> wire::ListDeploymentTargetsOutput = targets::list;
    list_deployments(ListDeploymentsInput) -> wire::ListDeploymentsOutput = deployments::list;
    list_git_hub_account_token_names(ListGitHubAccountTokenNamesInput) -> wire::ListGitHubAccountTokenNamesOutput = github::list;
    list_on_premises_instances(ListOnPremisesInstancesInput) -> wire::ListOnPremisesInstancesOutput = instances::list;
    list_tags_for_resource(ListTagsForResourceInput) -> wire::ListTagsForResourceOutput = tags::list;
    put_lifecycle_event_hook_execution_status(PutLifecycleEventHookExecutionStatusInput) -> wire::PutLifecycleEventHookExecutionStatusOutput = controls::put_hook_status;
    register_application_revision(RegisterApplicationRevisionInput) -> () = revisions::register;
    register_on_premises_instance(RegisterOnPremisesInstanceInput) -> () = instances::register;
    remove_tags_from_on_premises_instances(RemoveTagsFromOnPremisesInstancesInput) -> () = instances::remove_tags;
    skip_wait_time_for_instance_termination(SkipWaitTimeForInstanceTerminationInput) -> () = controls::skip_termination_wait;
    stop_deployment(StopDeploymentInput) -> wire::StopDeploymentOutput = deployments::stop;
    tag_resource(TagResourceInput) -> wire::TagResourceOutput = tags::tag;
    untag_resource(UntagResourceInput) -> wire::UntagResourceOutput = tags::untag;
    update_application(UpdateApplicationInput) -> () = applications::update;
    update_deployment_group(UpdateDeploymentGroupInput) -> wire::UpdateDeploymentGroupOutput = groups::update;
}
