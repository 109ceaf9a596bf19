"""Every error that the model lists for an operation is provoked once, or cannot occur, and why is written here."""

import pytest
from botocore.session import get_session

import test_api
import test_api_batches
import test_api_configs
import test_api_groups
import test_api_tags
from harness import ROLE

MODEL = get_session().get_service_model("codedeploy")
UNKNOWN = "d-ZZZZZZZZZ"
REVISION = {"revisionType": "S3", "s3Location": {"bucket": "bucket", "key": "k", "bundleType": "zip"}}
ECS = {"applicationName": "ecs", "currentDeploymentGroupName": "group"}
CANARY = "CodeDeployDefault.ECSCanary10Percent5Minutes"
BEHIND_NLB = {"targetGroupPairInfoList": [test_api_groups.pair(listeners=[test_api_groups.NLB_LISTENER])]}
BAD_APP, BAD_GROUP = {"applicationName": "a b"}, {"applicationName": "app", "deploymentGroupName": "a b"}

# What no other table provokes.
REFUSALS = [
    ("AddTagsToOnPremisesInstances", {"instanceNames": ["a b"], "tags": [{"Key": "k"}]}, "InvalidInstanceNameException"),
    ("BatchGetOnPremisesInstances", {"instanceNames": ["a b"]}, "InvalidInstanceNameException"),
    ("RemoveTagsFromOnPremisesInstances", {"tags": [{"Key": "k"}]}, "InstanceNameRequiredException"),
    ("RemoveTagsFromOnPremisesInstances", {"instanceNames": ["a b"], "tags": [{"Key": "k"}]}, "InvalidInstanceNameException"),
    ("RemoveTagsFromOnPremisesInstances", {"instanceNames": ["box"], "tags": [{"Value": "v"}]}, "InvalidTagException"),
    ("RemoveTagsFromOnPremisesInstances", {"instanceNames": [f"n{n}" for n in range(101)], "tags": [{"Key": "k"}]}, "InstanceLimitExceededException"),
    ("RegisterOnPremisesInstance", {"instanceName": "new", "iamSessionArn": "arn:aws:sts::000000000001:assumed-role/role/session"}, "IamSessionArnAlreadyRegisteredException"),
    ("BatchGetDeploymentTargets", {"deploymentId": "d-1", "targetIds": ["box"]}, "InvalidDeploymentIdException"),
    ("BatchGetDeploymentTargets", {"deploymentId": UNKNOWN, "targetIds": ["box"]}, "DeploymentDoesNotExistException"),
    ("BatchGetDeploymentTargets", {"deploymentId": UNKNOWN, "targetIds": ["a b"]}, "InvalidDeploymentTargetIdException"),
    ("GetDeploymentTarget", {"deploymentId": "d-1", "targetId": "box"}, "InvalidDeploymentIdException"),
    ("GetDeploymentTarget", {"deploymentId": UNKNOWN, "targetId": "a b"}, "InvalidDeploymentTargetIdException"),
    ("GetDeploymentInstance", {"deploymentId": "d-1", "instanceId": "box"}, "InvalidDeploymentIdException"),
    ("GetDeploymentInstance", {"deploymentId": UNKNOWN, "instanceId": "box"}, "DeploymentDoesNotExistException"),
    ("GetDeploymentInstance", {"deploymentId": UNKNOWN, "instanceId": "a b"}, "InvalidInstanceNameException"),
    ("ListDeploymentInstances", {"deploymentId": "d-1"}, "InvalidDeploymentIdException"),
    ("ListDeploymentInstances", {"deploymentId": UNKNOWN}, "DeploymentDoesNotExistException"),
    ("ListDeploymentTargets", {"deploymentId": "d-1"}, "InvalidDeploymentIdException"),
    ("ListDeployments", {**BAD_APP, "deploymentGroupName": "group"}, "InvalidApplicationNameException"),
    ("ListDeployments", BAD_GROUP, "InvalidDeploymentGroupNameException"),
    ("ListDeploymentGroups", BAD_APP, "InvalidApplicationNameException"),
    ("GetDeploymentGroup", {"deploymentGroupName": "group"}, "ApplicationNameRequiredException"),
    ("GetDeploymentGroup", {**BAD_APP, "deploymentGroupName": "group"}, "InvalidApplicationNameException"),
    ("DeleteDeploymentGroup", {**BAD_APP, "deploymentGroupName": "group"}, "InvalidApplicationNameException"),
    ("DeleteDeploymentGroup", BAD_GROUP, "InvalidDeploymentGroupNameException"),
    ("CreateDeploymentGroup", {**BAD_APP, "deploymentGroupName": "group", "serviceRoleArn": ROLE}, "InvalidApplicationNameException"),
    ("GetApplicationRevision", {"revision": REVISION}, "ApplicationNameRequiredException"),
    ("GetApplicationRevision", {**BAD_APP, "revision": REVISION}, "InvalidApplicationNameException"),
    ("GetApplicationRevision", {"applicationName": "app", "revision": {}}, "InvalidRevisionException"),
    ("RegisterApplicationRevision", {**BAD_APP, "revision": REVISION}, "InvalidApplicationNameException"),
    ("CreateDeployment", {**BAD_APP, "deploymentGroupName": "group", "revision": REVISION}, "InvalidApplicationNameException"),
    ("CreateDeployment", {**BAD_GROUP, "revision": REVISION}, "InvalidDeploymentGroupNameException"),
    ("CreateDeployment", {"applicationName": "app", "deploymentGroupName": "group",
                          "revision": {**REVISION, "s3Location": {**REVISION["s3Location"], "version": "0" * 32}}}, "RevisionDoesNotExistException"),
    ("CreateDeployment", {"applicationName": "ecs", "deploymentGroupName": "group", "deploymentConfigName": CANARY,
                          "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": "{}"}}}, "InvalidTrafficRoutingConfigurationException"),
    ("CreateDeployment", {"applicationName": "ecs", "deploymentGroupName": "group",
                          "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": "{}"}}}, "InvalidComputePlatformException"),
    ("CreateDeployment", {"applicationName": "app", "deploymentGroupName": "group", "revision": REVISION,
                          "autoRollbackConfiguration": {"enabled": True}}, "InvalidAutoRollbackConfigException"),
    ("UpdateDeploymentGroup", {**ECS, "deploymentConfigName": CANARY}, "InvalidTrafficRoutingConfigurationException"),
    ("UpdateDeploymentGroup", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [{}]}}, "InvalidTargetGroupPairException"),
    ("UpdateDeploymentGroup", {**ECS, "ecsServices": [{"serviceName": "held", "clusterName": "c"}]}, "ECSServiceMappingLimitExceededException"),
    ("CreateDeploymentConfig", {"deploymentConfigName": "mine", "minimumHealthyHosts": {"type": "HOST_COUNT", "value": 0}}, "DeploymentConfigAlreadyExistsException"),
    ("DeleteDeploymentConfig", {}, "DeploymentConfigNameRequiredException"),
    ("DeleteDeploymentConfig", {"deploymentConfigName": "a b"}, "InvalidDeploymentConfigNameException"),
    ("DeleteDeploymentConfig", {"deploymentConfigName": "CodeDeployDefault.AllAtOnce"}, "InvalidOperationException"),
    ("DeleteDeploymentConfig", {"deploymentConfigName": "mine"}, "DeploymentConfigInUseException"),
]

# Provoked by a test of its own.
BY_TEST = {
    ("CreateApplication", "ApplicationLimitExceededException"): test_api.test_limits_are_configuration,
    ("CreateDeploymentGroup", "DeploymentGroupLimitExceededException"): test_api.test_limits_are_configuration,
    ("CreateDeploymentConfig", "DeploymentConfigLimitExceededException"): test_api_configs.test_long_lists_of_configurations_come_in_pages_and_their_number_is_limited,
    ("StopDeployment", "DeploymentAlreadyCompletedException"): test_api.test_an_ended_deployment_cannot_be_stopped,
}

NOT_STARTED = "a deployment has not started for an instant only, which no test can hold"
PLATFORM = "there are no deployments to Lambda and ECS, so every deployment has instances"
NO_HOOKS = "no hooks are installed in Auto Scaling groups, so none has to be taken out with a role"
GONE = "deployments go with their group and application, so the deployment does not exist either"
SHIFTS = "there are no deployments that shift traffic"
CANNOT = {
    "LifecycleHookLimitExceededException": "no hooks are installed in Auto Scaling groups",
    "ThrottlingException": "belongs to the limit of calls, which is tested by itself",
    ("BatchGetDeploymentGroups", "DeploymentConfigDoesNotExistException"): "a configuration in use cannot be deleted",
    ("GetDeploymentGroup", "DeploymentConfigDoesNotExistException"): "a configuration in use cannot be deleted",
    ("BatchGetDeploymentInstances", "InvalidComputePlatformException"): PLATFORM,
    ("GetDeploymentInstance", "InvalidComputePlatformException"): PLATFORM,
    ("ListDeploymentInstances", "InvalidComputePlatformException"): PLATFORM,
    ("GetDeploymentConfig", "InvalidComputePlatformException"): "the call names no platform",
    ("BatchGetDeploymentTargets", "DeploymentNotStartedException"): NOT_STARTED,
    ("GetDeploymentTarget", "DeploymentNotStartedException"): NOT_STARTED,
    ("ListDeploymentInstances", "DeploymentNotStartedException"): NOT_STARTED,
    ("ListDeploymentTargets", "DeploymentNotStartedException"): NOT_STARTED,
    ("SkipWaitTimeForInstanceTermination", "DeploymentNotStartedException"): NOT_STARTED,
    ("BatchGetDeploymentTargets", "InstanceDoesNotExistException"): "DeploymentTargetDoesNotExistException says so",
    ("GetDeploymentTarget", "InvalidInstanceNameException"): "InvalidDeploymentTargetIdException says so",
    ("ContinueDeployment", "DeploymentIsNotInReadyStateException"): SHIFTS,
    ("ContinueDeployment", "InvalidDeploymentStatusException"): SHIFTS,
    ("PutLifecycleEventHookExecutionStatus", "LifecycleEventAlreadyCompletedException"): SHIFTS,
    ("CreateDeployment", "InvalidRoleException"): "the call names no role; that of the group is checked when it is given",
    ("CreateDeployment", "InvalidIgnoreApplicationStopFailuresValueException"): "what is neither true nor false is a SerializationException",
    ("CreateDeployment", "InvalidUpdateOutdatedInstancesOnlyValueException"): "what is neither true nor false is a SerializationException",
    ("CreateDeployment", "InvalidGitHubAccountTokenException"): "GitHub is asked without a token",
    ("CreateDeployment", "InvalidECSServiceException"): "there are no deployments to ECS",
    ("DeleteApplication", "InvalidRoleException"): NO_HOOKS,
    ("DeleteDeploymentGroup", "InvalidRoleException"): NO_HOOKS,
    ("DeleteGitHubAccountToken", "ResourceValidationException"): "there is nothing about a connection to validate",
    ("DeleteGitHubAccountToken", "OperationNotSupportedException"): "it is supported",
    ("ListGitHubAccountTokenNames", "ResourceValidationException"): "there is nothing about a connection to validate",
    ("ListGitHubAccountTokenNames", "OperationNotSupportedException"): "it is supported",
    ("ListDeploymentInstances", "InvalidDeploymentInstanceTypeException"): "InvalidInstanceTypeException says so",
    ("ListDeploymentInstances", "InvalidTargetFilterNameException"): "the call has no named filters",
    ("ListDeploymentInstances", "ApplicationDoesNotExistException"): GONE,
    ("ListDeploymentInstances", "DeploymentGroupDoesNotExistException"): GONE,
    ("ListDeploymentTargets", "InvalidInstanceTypeException"): "InvalidDeploymentInstanceTypeException says so",
    ("ListDeploymentTargets", "ApplicationDoesNotExistException"): GONE,
    ("ListDeploymentTargets", "DeploymentGroupDoesNotExistException"): GONE,
    ("ListDeployments", "InvalidInputException"): "every member has an error of its own",
    ("RegisterOnPremisesInstance", "IamUserArnRequiredException"): "IamArnRequiredException says so",
    ("RemoveTagsFromOnPremisesInstances", "TagLimitExceededException"): "removing makes fewer",
    ("StopDeployment", "DeploymentGroupDoesNotExistException"): GONE,
    ("StopDeployment", "UnsupportedActionForDeploymentTypeException"): "there are no deployments by CloudFormation (DP-083)",
    ("TagResource", "DeploymentConfigDoesNotExistException"): "configurations have no tags: ArnNotSupportedException",
    ("UntagResource", "DeploymentConfigDoesNotExistException"): "configurations have no tags: ArnNotSupportedException",
}


@pytest.fixture(scope="module")
def api(shared_server):
    """An application with a group, one whose ECS service is behind a Network Load Balancer, a host, a configuration."""
    api, client = shared_server.api(), shared_server.client("codedeploy")
    client.register_on_premises_instance(instanceName="box", iamSessionArn="arn:aws:sts::000000000001:assumed-role/role/session")
    client.create_application(applicationName="app")
    client.create_application(applicationName="ecs", computePlatform="ECS")
    client.create_deployment_config(deploymentConfigName="mine", minimumHealthyHosts={"type": "HOST_COUNT", "value": 0})
    client.create_deployment_group(applicationName="app", deploymentGroupName="group", serviceRoleArn=ROLE, deploymentConfigName="mine")
    for name, service in (("group", "s"), ("holder", "held")):
        client.create_deployment_group(applicationName="ecs", deploymentGroupName=name, serviceRoleArn=ROLE, loadBalancerInfo=BEHIND_NLB,
                                       ecsServices=[{"serviceName": service, "clusterName": "c"}])
    return api


@pytest.mark.parametrize(("operation", "parameters", "code"), REFUSALS,
                         ids=[f"{number:02}-{row[0]}-{row[2].removesuffix('Exception')}" for number, row in enumerate(REFUSALS)])
def test_a_refusal_has_its_documented_name(api, operation, parameters, code):
    answer = api.call(operation, parameters)
    assert (answer.status, answer.code) == (400, code), answer.content
    assert code in {shape.name for shape in MODEL.operation_model(operation).error_shapes}


def test_every_documented_error_is_provoked_or_cannot_occur():
    provoked = {(row[0], row[2]) for table in (REFUSALS, test_api.REFUSALS, test_api_batches.BATCH_REFUSALS, test_api_tags.REFUSALS) for row in table}
    provoked |= {("CreateDeploymentConfig", row[1]) for row in test_api_configs.CONFIG_REFUSALS}
    provoked |= {("CreateDeploymentGroup", row[2]) for row in test_api_groups.REFUSALS}
    provoked |= {("UpdateDeploymentGroup", row[2]) for row in test_api_groups.UPDATABLE}
    provoked |= {("UpdateDeploymentGroup", row[1]) for row in test_api_groups.UPDATE_REFUSALS}
    provoked |= {("CreateDeployment", row[2]) for row in test_api_groups.UNHONOURED}
    provoked |= set(BY_TEST)
    documented = {(operation, shape.name) for operation in MODEL.operation_names for shape in MODEL.operation_model(operation).error_shapes}
    excused = {pair for pair in documented if pair in CANNOT or pair[1] in CANNOT}
    assert len(MODEL.operation_names) == 47
    assert documented - provoked - excused == set(), "neither provoked nor explained"
    assert provoked & excused == set(), "explained, and yet provoked"
    assert {key for key in CANNOT if isinstance(key, tuple)} <= documented
