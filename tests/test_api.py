"""The operations of the CodeDeploy API: what each refuses, and by which name."""

import itertools

import pytest
from botocore.session import get_session

from harness import ROLE, Server, eventually, running

USER = "arn:aws:iam::000000000001:user/AWS/CodeDeploy/"
SESSION = "arn:aws:sts::000000000001:assumed-role/Web/"


def s3(key="app.zip", bundle="zip", **more):
    return {"revisionType": "S3", "s3Location": {"bucket": "revisions", "key": key, "bundleType": bundle, **more}}


def tag(key=None, value=None, kind=None):
    given = {"Key": key, "Value": value, "Type": kind}
    return {name: text for name, text in given.items() if text is not None}


class World:
    """One of everything: an application with a group, a registered and a deregistered host, deployments."""

    def __init__(self, api):
        self.api = api
        for name in ("box", "gone"):
            api.done("RegisterOnPremisesInstance", instanceName=name, iamUserArn=USER + name)
        api.done("AddTagsToOnPremisesInstances", instanceNames=["box"], tags=[tag("Name", "box")])
        api.done("DeregisterOnPremisesInstance", instanceName="gone")
        api.done("CreateApplication", applicationName="app")
        for group in ("group", "busy"):
            api.done("CreateDeploymentGroup", applicationName="app", deploymentGroupName=group, serviceRoleArn=ROLE,
                     onPremisesInstanceTagFilters=[tag("Name", "box", "KEY_AND_VALUE")])
        self.stopped = self.deploy("group")
        assert api.done("StopDeployment", deploymentId=self.stopped)["status"] in {"Succeeded", "Pending"}
        eventually(lambda: self.info(self.stopped)["status"] == "Stopped", "a stopped deployment stops")
        self.active = self.deploy("busy")
        eventually(lambda: self.info(self.active)["status"] == "InProgress", "a deployment starts")

    def deploy(self, group, **more):
        return self.api.done("CreateDeployment", applicationName="app", deploymentGroupName=group, revision=s3(), **more)["deploymentId"]

    def info(self, deployment):
        return self.api.done("GetDeployment", deploymentId=deployment)["deploymentInfo"]


@pytest.fixture(scope="module")
def world(shared_server):
    return World(shared_server.api())


APP = {"applicationName": "app"}
GROUP = {**APP, "deploymentGroupName": "group"}
NEW_GROUP = {**APP, "deploymentGroupName": "new", "serviceRoleArn": ROLE}
DEPLOY = {**GROUP, "revision": s3()}
UNKNOWN = "d-ZZZZZZZZZ"

# Operation, parameters, expected name, and what the message must tell.
REFUSALS = [
    # CF-151, CF-153
    ("CreateApplication", {}, "ApplicationNameRequiredException", "applicationName"),
    ("CreateApplication", {"applicationName": ""}, "ApplicationNameRequiredException", "applicationName"),
    ("CreateApplication", {"applicationName": "a b"}, "InvalidApplicationNameException", "a b"),
    ("CreateApplication", {"applicationName": "a:b"}, "InvalidApplicationNameException", "a:b"),
    ("CreateApplication", {"applicationName": "x" * 101}, "InvalidApplicationNameException", "100"),
    ("CreateApplication", APP, "ApplicationAlreadyExistsException", "app"),
    ("CreateApplication", {"applicationName": "v", "computePlatform": "Vax"}, "InvalidComputePlatformException", "Vax"),
    ("CreateApplication", {"applicationName": "v", "tags": [{"Value": "x"}]}, "InvalidTagsToAddException", "Key"),
    # CF-162
    ("GetApplication", {}, "ApplicationNameRequiredException", "applicationName"),
    ("GetApplication", {"applicationName": "a/b"}, "InvalidApplicationNameException", "a/b"),
    ("GetApplication", {"applicationName": "none"}, "ApplicationDoesNotExistException", "none"),
    ("ListApplications", {"nextToken": "garbage"}, "InvalidNextTokenException", "nextToken"),
    ("DeleteApplication", {}, "ApplicationNameRequiredException", "applicationName"),
    ("DeleteApplication", {"applicationName": "a b"}, "InvalidApplicationNameException", "a b"),
    # CF-180..CF-206
    ("CreateDeploymentGroup", {}, "ApplicationNameRequiredException", "applicationName"),
    ("CreateDeploymentGroup", APP, "DeploymentGroupNameRequiredException", "deploymentGroupName"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "deploymentGroupName": "a b"}, "InvalidDeploymentGroupNameException", "a b"),
    ("CreateDeploymentGroup", {**APP, "deploymentGroupName": "new"}, "RoleRequiredException", "serviceRoleArn"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "serviceRoleArn": ROLE + "x"}, "InvalidRoleException", "CodeDeployServiceRolex"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "serviceRoleArn": "not-an-arn"}, "InvalidRoleException", "not-an-arn"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "applicationName": "none"}, "ApplicationDoesNotExistException", "none"),
    ("CreateDeploymentGroup", {**GROUP, "serviceRoleArn": ROLE}, "DeploymentGroupAlreadyExistsException", "group"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "deploymentConfigName": "none"}, "DeploymentConfigDoesNotExistException", "none"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "deploymentConfigName": "a b"}, "InvalidDeploymentConfigNameException", "a b"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "deploymentConfigName": "CodeDeployDefault.LambdaAllAtOnce"}, "InvalidDeploymentConfigNameException", "Lambda"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "onPremisesInstanceTagFilters": [tag("a", kind="KEY_ONLY")],
                               "onPremisesTagSet": {"onPremisesTagSetList": [[tag("a", kind="KEY_ONLY")]]}}, "InvalidOnPremisesTagCombinationException", "onPremisesTagSet"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "onPremisesTagSet": {"onPremisesTagSetList": [[tag("a", kind="KEY_ONLY")]] * 4}}, "TagSetListLimitExceededException", "3"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "onPremisesInstanceTagFilters": [tag("a", str(n)) for n in range(11)]}, "InvalidTagException", "10"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "onPremisesInstanceTagFilters": [tag("a", "b", "BOTH")]}, "InvalidTagException", "BOTH"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "onPremisesInstanceTagFilters": [tag(value="b", kind="KEY_ONLY")]}, "InvalidTagException", "Key"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "onPremisesInstanceTagFilters": [tag("a", kind="VALUE_ONLY")]}, "InvalidTagException", "Value"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "deploymentStyle": {"deploymentType": "SIDEWAYS"}}, "InvalidDeploymentStyleException", "SIDEWAYS"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "outdatedInstancesStrategy": "MAYBE"}, "InvalidInputException", "MAYBE"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "autoRollbackConfiguration": {"enabled": True, "events": ["RAIN"]}}, "InvalidAutoRollbackConfigException", "RAIN"),
    ("CreateDeploymentGroup", {**NEW_GROUP, "autoRollbackConfiguration": {"enabled": True}}, "InvalidAutoRollbackConfigException", "event"),
    # CF-311, CF-315
    ("GetDeploymentGroup", APP, "DeploymentGroupNameRequiredException", "deploymentGroupName"),
    ("GetDeploymentGroup", {**GROUP, "applicationName": "none"}, "ApplicationDoesNotExistException", "none"),
    ("GetDeploymentGroup", {**APP, "deploymentGroupName": "none"}, "DeploymentGroupDoesNotExistException", "none"),
    ("GetDeploymentGroup", {**APP, "deploymentGroupName": "a b"}, "InvalidDeploymentGroupNameException", "a b"),
    ("ListDeploymentGroups", {}, "ApplicationNameRequiredException", "applicationName"),
    ("ListDeploymentGroups", {"applicationName": "none"}, "ApplicationDoesNotExistException", "none"),
    ("ListDeploymentGroups", {**APP, "nextToken": "garbage"}, "InvalidNextTokenException", "nextToken"),
    ("DeleteDeploymentGroup", APP, "DeploymentGroupNameRequiredException", "deploymentGroupName"),
    ("DeleteDeploymentGroup", {"deploymentGroupName": "group"}, "ApplicationNameRequiredException", "applicationName"),
    # CF-137, CF-138
    ("GetDeploymentConfig", {}, "DeploymentConfigNameRequiredException", "deploymentConfigName"),
    ("GetDeploymentConfig", {"deploymentConfigName": "a b"}, "InvalidDeploymentConfigNameException", "a b"),
    ("GetDeploymentConfig", {"deploymentConfigName": "none"}, "DeploymentConfigDoesNotExistException", "none"),
    ("ListDeploymentConfigs", {"nextToken": "garbage"}, "InvalidNextTokenException", "nextToken"),
    # CF-320..CF-363, DP-020..DP-028
    ("RegisterApplicationRevision", {"revision": s3()}, "ApplicationNameRequiredException", "applicationName"),
    ("RegisterApplicationRevision", APP, "RevisionRequiredException", "revision"),
    ("RegisterApplicationRevision", {"applicationName": "none", "revision": s3()}, "ApplicationDoesNotExistException", "none"),
    ("RegisterApplicationRevision", {**APP, "revision": s3(), "description": "x" * 1025}, "DescriptionTooLongException", "1024"),
    ("RegisterApplicationRevision", {**APP, "revision": {}}, "InvalidRevisionException", "revisionType"),
    ("RegisterApplicationRevision", {**APP, "revision": {"revisionType": "Tape"}}, "InvalidRevisionException", "Tape"),
    ("RegisterApplicationRevision", {**APP, "revision": {"revisionType": "S3"}}, "InvalidRevisionException", "s3Location"),
    ("RegisterApplicationRevision", {**APP, "revision": {"revisionType": "S3", "s3Location": {"key": "k", "bundleType": "zip"}}}, "InvalidRevisionException", "bucket"),
    ("RegisterApplicationRevision", {**APP, "revision": s3(bundle="rar")}, "InvalidRevisionException", "rar"),
    ("RegisterApplicationRevision", {**APP, "revision": s3(bundle="YAML")}, "InvalidRevisionException", "YAML"),
    ("RegisterApplicationRevision", {**APP, "revision": {"revisionType": "GitHub", "gitHubLocation": {"repository": "one", "commitId": "0" * 40}}}, "InvalidRevisionException", "repository"),
    ("RegisterApplicationRevision", {**APP, "revision": {"revisionType": "GitHub", "gitHubLocation": {"repository": "a/b", "commitId": "main"}}}, "InvalidRevisionException", "commitId"),
    ("RegisterApplicationRevision", {**APP, "revision": {**s3(), "gitHubLocation": {"repository": "a/b", "commitId": "0" * 40}}}, "InvalidRevisionException", "gitHubLocation"),
    ("GetApplicationRevision", APP, "RevisionRequiredException", "revision"),
    ("GetApplicationRevision", {**APP, "revision": s3("none")}, "RevisionDoesNotExistException", "app"),
    ("GetApplicationRevision", {"applicationName": "none", "revision": s3()}, "ApplicationDoesNotExistException", "none"),
    # AG-162..AG-165, AG-191
    ("RegisterOnPremisesInstance", {"iamUserArn": USER + "a"}, "InstanceNameRequiredException", "instanceName"),
    ("RegisterOnPremisesInstance", {"instanceName": "i-1", "iamUserArn": USER + "a"}, "InvalidInstanceNameException", "i-"),
    ("RegisterOnPremisesInstance", {"instanceName": "00:1B:44:11:3A:B7", "iamUserArn": USER + "a"}, "InvalidInstanceNameException", "00:1B"),
    ("RegisterOnPremisesInstance", {"instanceName": "x" * 101, "iamUserArn": USER + "a"}, "InvalidInstanceNameException", "100"),
    ("RegisterOnPremisesInstance", {"instanceName": "new"}, "IamArnRequiredException", "iamUserArn"),
    ("RegisterOnPremisesInstance", {"instanceName": "new", "iamUserArn": USER + "a", "iamSessionArn": SESSION + "a"}, "MultipleIamArnsProvidedException", "iamSessionArn"),
    ("RegisterOnPremisesInstance", {"instanceName": "new", "iamUserArn": "arn:aws:iam::1:user/x"}, "InvalidIamUserArnException", "arn:aws:iam::1:user/x"),
    ("RegisterOnPremisesInstance", {"instanceName": "new", "iamUserArn": SESSION + "a"}, "InvalidIamUserArnException", "assumed-role"),
    ("RegisterOnPremisesInstance", {"instanceName": "new", "iamSessionArn": "arn:sts:iam::000000000001:assumed-role/r/s"}, "InvalidIamSessionArnException", "arn:sts"),
    ("RegisterOnPremisesInstance", {"instanceName": "new", "iamUserArn": USER + "box"}, "IamUserArnAlreadyRegisteredException", "box"),
    ("RegisterOnPremisesInstance", {"instanceName": "box", "iamUserArn": USER + "other"}, "InstanceNameAlreadyRegisteredException", "box"),
    ("DeregisterOnPremisesInstance", {}, "InstanceNameRequiredException", "instanceName"),
    ("DeregisterOnPremisesInstance", {"instanceName": "a b"}, "InvalidInstanceNameException", "a b"),
    # AG-205..AG-210
    ("GetOnPremisesInstance", {}, "InstanceNameRequiredException", "instanceName"),
    ("GetOnPremisesInstance", {"instanceName": "none"}, "InstanceNotRegisteredException", "none"),
    ("GetOnPremisesInstance", {"instanceName": "a b"}, "InvalidInstanceNameException", "a b"),
    ("BatchGetOnPremisesInstances", {}, "InstanceNameRequiredException", "instanceNames"),
    ("BatchGetOnPremisesInstances", {"instanceNames": [f"n{i}" for i in range(101)]}, "BatchLimitExceededException", "100"),
    ("ListOnPremisesInstances", {"registrationStatus": "Lost"}, "InvalidRegistrationStatusException", "Lost"),
    ("ListOnPremisesInstances", {"tagFilters": [tag(kind="KEY_ONLY")]}, "InvalidTagFilterException", "Key"),
    ("ListOnPremisesInstances", {"tagFilters": [tag("a", "b", "BOTH")]}, "InvalidTagFilterException", "BOTH"),
    ("ListOnPremisesInstances", {"nextToken": "garbage"}, "InvalidNextTokenException", "nextToken"),
    ("AddTagsToOnPremisesInstances", {"tags": [tag("a")]}, "InstanceNameRequiredException", "instanceNames"),
    ("AddTagsToOnPremisesInstances", {"instanceNames": ["box"]}, "TagRequiredException", "tags"),
    ("AddTagsToOnPremisesInstances", {"instanceNames": ["box"], "tags": [tag(value="only")]}, "InvalidTagException", "only"),
    ("AddTagsToOnPremisesInstances", {"instanceNames": ["box"], "tags": [tag("k" * 129)]}, "InvalidTagException", "128"),
    ("AddTagsToOnPremisesInstances", {"instanceNames": ["box"], "tags": [tag("k", "v" * 257)]}, "InvalidTagException", "256"),
    ("AddTagsToOnPremisesInstances", {"instanceNames": ["box"], "tags": [tag("k", str(n)) for n in range(10)]}, "TagLimitExceededException", "10"),
    ("AddTagsToOnPremisesInstances", {"instanceNames": ["box", "none"], "tags": [tag("k")]}, "InstanceNotRegisteredException", "none"),
    ("AddTagsToOnPremisesInstances", {"instanceNames": ["gone"], "tags": [tag("k")]}, "InstanceNotRegisteredException", "gone"),
    ("AddTagsToOnPremisesInstances", {"instanceNames": [f"n{i}" for i in range(101)], "tags": [tag("k")]}, "InstanceLimitExceededException", "100"),
    ("RemoveTagsFromOnPremisesInstances", {"instanceNames": ["box"]}, "TagRequiredException", "tags"),
    ("RemoveTagsFromOnPremisesInstances", {"instanceNames": ["none"], "tags": [tag("k")]}, "InstanceNotRegisteredException", "none"),
    # DP-004..DP-014, CF-370
    ("CreateDeployment", {}, "ApplicationNameRequiredException", "applicationName"),
    ("CreateDeployment", APP, "DeploymentGroupNameRequiredException", "deploymentGroupName"),
    ("CreateDeployment", GROUP, "RevisionRequiredException", "revision"),
    ("CreateDeployment", {**DEPLOY, "applicationName": "none"}, "ApplicationDoesNotExistException", "none"),
    ("CreateDeployment", {**DEPLOY, "deploymentGroupName": "none"}, "DeploymentGroupDoesNotExistException", "none"),
    ("CreateDeployment", {**DEPLOY, "deploymentConfigName": "none"}, "DeploymentConfigDoesNotExistException", "none"),
    ("CreateDeployment", {**DEPLOY, "deploymentConfigName": "CodeDeployDefault.ECSAllAtOnce"}, "InvalidDeploymentConfigNameException", "ECS"),
    ("CreateDeployment", {**DEPLOY, "description": "x" * 1025}, "DescriptionTooLongException", "1024"),
    ("CreateDeployment", {**DEPLOY, "fileExistsBehavior": "ASK"}, "InvalidFileExistsBehaviorException", "ASK"),
    ("CreateDeployment", {**DEPLOY, "targetInstances": {"autoScalingGroups": ["a"]}}, "InvalidTargetInstancesException", "blue/green"),
    ("CreateDeployment", {**DEPLOY, "deploymentMode": "TURBO"}, "InvalidInputException", "TURBO"),
    ("CreateDeployment", {**DEPLOY, "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": "{}"}}}, "InvalidRevisionException", "AppSpecContent"),
    ("CreateDeployment", {**DEPLOY, "deploymentGroupName": "busy"}, "DeploymentLimitExceededException", "busy"),
    # DP-100..DP-102, DP-107, DP-121, CF-005, CF-006
    ("GetDeployment", {}, "DeploymentIdRequiredException", "deploymentId"),
    ("GetDeployment", {"deploymentId": "d-1"}, "InvalidDeploymentIdException", "d-1"),
    ("GetDeployment", {"deploymentId": UNKNOWN}, "DeploymentDoesNotExistException", UNKNOWN),
    ("ListDeployments", {"applicationName": "app"}, "DeploymentGroupNameRequiredException", "deploymentGroupName"),
    ("ListDeployments", {"deploymentGroupName": "group"}, "ApplicationNameRequiredException", "applicationName"),
    ("ListDeployments", {**GROUP, "applicationName": "none"}, "ApplicationDoesNotExistException", "none"),
    ("ListDeployments", {**GROUP, "deploymentGroupName": "none"}, "DeploymentGroupDoesNotExistException", "none"),
    ("ListDeployments", {"includeOnlyStatuses": ["Done"]}, "InvalidDeploymentStatusException", "Done"),
    ("ListDeployments", {"createTimeRange": {"start": 2, "end": 1}}, "InvalidTimeRangeException", "start"),
    ("ListDeployments", {"nextToken": "garbage"}, "InvalidNextTokenException", "nextToken"),
    ("ListDeployments", {"externalId": ""}, "InvalidExternalIdException", "externalId"),
    ("StopDeployment", {}, "DeploymentIdRequiredException", "deploymentId"),
    ("StopDeployment", {"deploymentId": "x"}, "InvalidDeploymentIdException", "x"),
    ("StopDeployment", {"deploymentId": UNKNOWN}, "DeploymentDoesNotExistException", UNKNOWN),
    ("ListDeploymentTargets", {}, "DeploymentIdRequiredException", "deploymentId"),
    ("ListDeploymentTargets", {"deploymentId": UNKNOWN}, "DeploymentDoesNotExistException", UNKNOWN),
    ("ListDeploymentTargets", {"deploymentId": "@active", "targetFilters": {"Colour": ["Red"]}}, "InvalidTargetFilterNameException", "Colour"),
    ("ListDeploymentTargets", {"deploymentId": "@active", "targetFilters": {"TargetStatus": ["Lost"]}}, "InvalidInstanceStatusException", "Lost"),
    ("ListDeploymentTargets", {"deploymentId": "@active", "targetFilters": {"ServerInstanceLabel": ["Red"]}}, "InvalidDeploymentInstanceTypeException", "Red"),
    ("ListDeploymentTargets", {"deploymentId": "@active", "nextToken": "garbage"}, "InvalidNextTokenException", "nextToken"),
    ("GetDeploymentTarget", {"targetId": "box"}, "DeploymentIdRequiredException", "deploymentId"),
    ("GetDeploymentTarget", {"deploymentId": "@active"}, "DeploymentTargetIdRequiredException", "targetId"),
    ("GetDeploymentTarget", {"deploymentId": "@active", "targetId": "none"}, "DeploymentTargetDoesNotExistException", "none"),
    ("GetDeploymentTarget", {"deploymentId": UNKNOWN, "targetId": "box"}, "DeploymentDoesNotExistException", UNKNOWN),
    ("BatchGetDeploymentTargets", {"targetIds": ["box"]}, "DeploymentIdRequiredException", "deploymentId"),
    ("BatchGetDeploymentTargets", {"deploymentId": "@active"}, "DeploymentTargetIdRequiredException", "targetIds"),
    ("BatchGetDeploymentTargets", {"deploymentId": "@active", "targetIds": ["n"] * 26}, "DeploymentTargetListSizeExceededException", "25"),
    ("BatchGetDeploymentTargets", {"deploymentId": "@active", "targetIds": ["box", "none"]}, "DeploymentTargetDoesNotExistException", "none"),
    ("ListDeploymentInstances", {}, "DeploymentIdRequiredException", "deploymentId"),
    ("ListDeploymentInstances", {"deploymentId": "@active", "instanceStatusFilter": ["Lost"]}, "InvalidInstanceStatusException", "Lost"),
    ("ListDeploymentInstances", {"deploymentId": "@active", "instanceTypeFilter": ["Red"]}, "InvalidInstanceTypeException", "Red"),
    ("ListDeploymentInstances", {"deploymentId": "@active", "nextToken": "garbage"}, "InvalidNextTokenException", "nextToken"),
    ("GetDeploymentInstance", {"instanceId": "box"}, "DeploymentIdRequiredException", "deploymentId"),
    ("GetDeploymentInstance", {"deploymentId": "@active"}, "InstanceIdRequiredException", "instanceId"),
    ("GetDeploymentInstance", {"deploymentId": "@active", "instanceId": "none"}, "InstanceDoesNotExistException", "none"),
]


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "fragment"), REFUSALS,
    ids=[f"{number:03}-{row[0]}-{row[2].removesuffix('Exception')}" for number, row in enumerate(REFUSALS)],
)
def test_a_refusal_has_its_documented_name_and_says_what_is_wrong(world, operation, parameters, code, fragment):
    if parameters.get("deploymentId") == "@active":
        parameters = {**parameters, "deploymentId": world.active}
    answer = world.api.call(operation, parameters)
    assert (answer.status, answer.code) == (400, code), answer.content
    assert fragment in answer.message
    model = get_session().get_service_model("codedeploy").operation_model(operation)
    documented = {shape.name for shape in model.error_shapes}
    assert code in documented, f"{code} is not an error that SDKs know for {operation}"
    assert answer.headers["x-amzn-requestid"]


def test_every_refusal_of_the_table_left_everything_as_it_was(world):
    """Runs after the table: no refused call made, changed or removed anything."""
    assert world.api.done("ListApplications")["applications"] == ["app"]
    assert sorted(world.api.done("ListDeploymentGroups", APP)["deploymentGroups"]) == ["busy", "group"]
    assert sorted(world.api.done("ListOnPremisesInstances")["instanceNames"]) == ["box", "gone"]
    info = world.api.done("GetOnPremisesInstance", instanceName="box")["instanceInfo"]
    assert info["tags"] == [tag("Name", "box")]
    assert len(world.api.done("ListDeployments")["deployments"]) == 2


def test_limits_are_configuration(tmp_path):
    """D-40: quotas come from the configuration file and hold."""
    (tmp_path / "slipway.toml").write_text(
        "[quotas]\napplications = 2\ndeployment_groups_per_application = 1\ntags_per_instance = 2\nbatch_size = 3\n"
        "concurrent_deployments = 1\ntags_per_tag_group = 1\ntag_groups = 1\n")
    with running(Server(tmp_path / "data", "--config", str(tmp_path / "slipway.toml"))) as server:
        api = server.api()

        def refused(code, operation, **parameters):
            answer = api.call(operation, parameters)
            assert answer.code == code, answer.content

        for name in ("one", "two"):
            api.done("CreateApplication", applicationName=name)
            api.done("CreateDeploymentGroup", applicationName=name, deploymentGroupName="group", serviceRoleArn=ROLE,
                     onPremisesInstanceTagFilters=[tag("Name", kind="KEY_ONLY")])
        refused("ApplicationLimitExceededException", "CreateApplication", applicationName="three")
        refused("ApplicationAlreadyExistsException", "CreateApplication", applicationName="one")
        assert server.api("eu-west-1").done("CreateApplication", applicationName="three"), "a limit counts within a region"
        refused("DeploymentGroupLimitExceededException", "CreateDeploymentGroup", applicationName="one", deploymentGroupName="more", serviceRoleArn=ROLE)
        api.done("DeleteDeploymentGroup", applicationName="two", deploymentGroupName="group")
        refused("InvalidTagException", "CreateDeploymentGroup", applicationName="two", deploymentGroupName="group", serviceRoleArn=ROLE,
                onPremisesInstanceTagFilters=[tag("a", "1"), tag("a", "2")])
        refused("TagSetListLimitExceededException", "CreateDeploymentGroup", applicationName="two", deploymentGroupName="group", serviceRoleArn=ROLE,
                onPremisesTagSet={"onPremisesTagSetList": [[tag("a", "1")], [tag("a", "2")]]})
        api.done("CreateDeploymentGroup", applicationName="two", deploymentGroupName="group", serviceRoleArn=ROLE,
                 onPremisesInstanceTagFilters=[tag("Name", kind="KEY_ONLY")])
        api.done("RegisterOnPremisesInstance", instanceName="box", iamUserArn=USER + "box")
        api.done("AddTagsToOnPremisesInstances", instanceNames=["box"], tags=[tag("Name", "1"), tag("Name", "2")])
        refused("TagLimitExceededException", "AddTagsToOnPremisesInstances", instanceNames=["box"], tags=[tag("Name", "3")])
        refused("BatchLimitExceededException", "BatchGetOnPremisesInstances", instanceNames=list("abcd"))
        refused("InstanceLimitExceededException", "RemoveTagsFromOnPremisesInstances", instanceNames=list("abcd"), tags=[tag("a")])
        first = api.done("CreateDeployment", applicationName="one", deploymentGroupName="group", revision=s3())["deploymentId"]
        refused("DeploymentLimitExceededException", "CreateDeployment", applicationName="two", deploymentGroupName="group", revision=s3())
        api.done("StopDeployment", deploymentId=first)
        eventually(lambda: api.call("CreateDeployment", applicationName="two", deploymentGroupName="group", revision=s3()).status == 200,
                   "an ended deployment does not count")


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """105 of each thing that is listed in pages."""
    with running(Server(tmp_path_factory.mktemp("crowd") / "data")) as server:
        api = server.api()
        api.names = [f"n{number:03}" for number in range(105)]
        for name in api.names:
            api.done("CreateApplication", applicationName=name)
            api.done("CreateDeploymentGroup", applicationName="n000", deploymentGroupName=name, serviceRoleArn=ROLE)
            api.done("RegisterOnPremisesInstance", instanceName=name, iamUserArn=USER + name)
        for names in (api.names[:100], api.names[100:]):
            api.done("AddTagsToOnPremisesInstances", instanceNames=names, tags=[tag("Name", "all")])
        api.deployments = [
            api.done("CreateDeployment", applicationName="n000", deploymentGroupName=name, revision=s3())["deploymentId"] for name in api.names
        ]
        api.done("CreateApplication", applicationName="wide")
        api.done("CreateDeploymentGroup", applicationName="wide", deploymentGroupName="all", serviceRoleArn=ROLE,
                 onPremisesInstanceTagFilters=[tag("Name", "all", "KEY_AND_VALUE")])
        api.wide = api.done("CreateDeployment", applicationName="wide", deploymentGroupName="all", revision=s3())["deploymentId"]
        eventually(lambda: api.done("GetDeployment", deploymentId=api.wide)["deploymentInfo"]["status"] == "InProgress", "targets are known")
        yield api


LISTS = [
    ("ListApplications", {}, "applications", lambda api: api.names + ["wide"]),
    ("ListDeploymentGroups", {"applicationName": "n000"}, "deploymentGroups", lambda api: api.names),
    ("ListOnPremisesInstances", {}, "instanceNames", lambda api: api.names),
    ("ListOnPremisesInstances", {"tagFilters": [tag("Name", "all", "KEY_AND_VALUE")]}, "instanceNames", lambda api: api.names),
    ("ListDeployments", {}, "deployments", lambda api: api.deployments + [api.wide]),
    ("ListDeploymentTargets", {"deploymentId": "@wide"}, "targetIds", lambda api: api.names),
    ("ListDeploymentInstances", {"deploymentId": "@wide"}, "instancesList", lambda api: api.names),
]


def listed(api, operation, parameters, member, token=None):
    parameters = {name: api.wide if value == "@wide" else value for name, value in parameters.items()}
    answer = api.done(operation, parameters, **({"nextToken": token} if token else {}))
    return answer[member], answer.get("nextToken")


@pytest.mark.parametrize(("operation", "parameters", "member", "expected"), LISTS, ids=[f"{row[0]}{'-filtered' if 'tagFilters' in row[1] else ''}" for row in LISTS])
def test_long_lists_come_in_pages_without_gap_or_repetition(crowd, operation, parameters, member, expected):
    first, token = listed(crowd, operation, parameters, member)
    assert len(first) == 100 and token
    second, end = listed(crowd, operation, parameters, member, token)
    assert end is None
    assert sorted(first + second) == sorted(expected(crowd))
    assert listed(crowd, operation, parameters, member, token) == (second, None), "a token can be used again"


def test_deployments_are_listed_newest_first_and_by_status(crowd):
    """TU-05, DP-102."""
    first, token = listed(crowd, "ListDeployments", {}, "deployments")
    second, _ = listed(crowd, "ListDeployments", {}, "deployments", token)
    created = [crowd.done("GetDeployment", deploymentId=d)["deploymentInfo"]["createTime"] for d in (first[0], first[50], first[99], second[-1])]
    assert created == sorted(created, reverse=True)
    assert first[0] == crowd.wide
    assert listed(crowd, "ListDeployments", {"includeOnlyStatuses": ["InProgress"], "applicationName": "wide", "deploymentGroupName": "all"}, "deployments")[0] == [crowd.wide]
    assert listed(crowd, "ListDeployments", {"includeOnlyStatuses": ["Succeeded"]}, "deployments")[0] == []
    stamp = crowd.done("GetDeployment", deploymentId=crowd.wide)["deploymentInfo"]["createTime"]
    assert crowd.wide in listed(crowd, "ListDeployments", {"createTimeRange": {"start": stamp}}, "deployments")[0]
    assert crowd.wide not in listed(crowd, "ListDeployments", {"createTimeRange": {"end": stamp - 0.001}}, "deployments")[0]


def test_a_token_is_good_for_its_own_list_only(crowd):
    tokens = {}
    for operation, parameters, member, _ in LISTS:
        tokens.setdefault(operation, (listed(crowd, operation, parameters, member)[1], parameters))

    def attempt(operation, token, region=crowd):
        parameters = {name: crowd.wide if value == "@wide" else value for name, value in tokens[operation][1].items()}
        return region.call(operation, parameters, nextToken=token).code

    for operation, other in itertools.permutations(tokens, 2):
        assert attempt(operation, tokens[other][0]) == "InvalidNextTokenException", f"{operation} took a token of {other}"
    for operation in ("ListApplications", "ListOnPremisesInstances", "ListDeployments"):
        assert attempt(operation, tokens[operation][0], crowd.server.api("eu-west-1")) == "InvalidNextTokenException"
    token = tokens["ListApplications"][0]
    for position in range(0, len(token), 7):
        tampered = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1:]
        assert attempt("ListApplications", tampered) == "InvalidNextTokenException", position
    assert attempt("ListApplications", token[:-4]) == "InvalidNextTokenException"
    assert attempt("ListApplications", token + "AAAA") == "InvalidNextTokenException"


def test_regions_keep_their_resources_apart(world):
    """CF-151, CF-152, D-04: the region is the one in the credential scope."""
    here, there = world.api, world.api.server.api("eu-central-1")
    assert there.done("ListApplications")["applications"] == []
    created = there.done("CreateApplication", applicationName="app")["applicationId"]
    assert here.done("GetApplication", APP)["application"]["applicationId"] != created
    assert there.call("GetDeploymentGroup", GROUP).code == "DeploymentGroupDoesNotExistException"
    for operation in ("GetDeployment", "StopDeployment", "ListDeploymentTargets"):
        assert there.call(operation, deploymentId=world.active).code == "DeploymentDoesNotExistException"
    assert there.call("GetOnPremisesInstance", instanceName="box").code == "InstanceNotRegisteredException"
    there.done("RegisterOnPremisesInstance", instanceName="box", iamUserArn=USER + "box")
    arns = [api.done("GetOnPremisesInstance", instanceName="box")["instanceInfo"]["instanceArn"].split(":")[3] for api in (here, there)]
    assert arns == ["us-east-1", "eu-central-1"]
    there.done("DeleteApplication", APP)
    assert here.done("GetApplication", APP)["application"]["applicationName"] == "app"
    there.done("DeregisterOnPremisesInstance", instanceName="box")
    assert "deregisterTime" not in here.done("GetOnPremisesInstance", instanceName="box")["instanceInfo"]


LAMBDA = [f"Canary10Percent{minutes}Minutes" for minutes in (5, 10, 15, 30)] + [
    "Linear10PercentEvery1Minute", "Linear10PercentEvery2Minutes", "Linear10PercentEvery3Minutes", "Linear10PercentEvery10Minutes", "AllAtOnce"]
ECS = ["Linear10PercentEvery1Minutes", "Linear10PercentEvery3Minutes", "Canary10Percent5Minutes", "Canary10Percent15Minutes", "AllAtOnce"]


def test_the_predefined_configurations_are_there(world):
    """CF-103, CF-116, CF-120, CF-121."""
    names = ["OneAtATime", "HalfAtATime", "AllAtOnce"] + [f"Lambda{n}" for n in LAMBDA] + [f"ECS{n}" for n in ECS]
    answer = world.api.done("ListDeploymentConfigs")
    assert sorted(answer["deploymentConfigsList"]) == sorted(f"CodeDeployDefault.{n}" for n in names)
    assert len(names) == 17 and "nextToken" not in answer


@pytest.mark.parametrize(("name", "platform", "members"), [
    ("OneAtATime", "Server", {"minimumHealthyHosts": {"type": "MOST_CONCURRENCY", "value": 1}}),
    ("HalfAtATime", "Server", {"minimumHealthyHosts": {"type": "FLEET_PERCENT", "value": 50}}),
    ("AllAtOnce", "Server", {"minimumHealthyHosts": {"type": "FLEET_PERCENT", "value": 0}}),
    ("LambdaCanary10Percent30Minutes", "Lambda", {"trafficRoutingConfig": {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 10, "canaryInterval": 30}}}),
    ("ECSLinear10PercentEvery3Minutes", "ECS", {"trafficRoutingConfig": {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 10, "linearInterval": 3}}}),
    ("ECSAllAtOnce", "ECS", {"trafficRoutingConfig": {"type": "AllAtOnce"}}),
])
def test_a_configuration_has_its_wire_form(world, name, platform, members):
    """CF-043, CF-110..CF-124, CF-137."""
    info = world.api.done("GetDeploymentConfig", deploymentConfigName=f"CodeDeployDefault.{name}")["deploymentConfigInfo"]
    assert info.pop("deploymentConfigId") and isinstance(info.pop("createTime"), (int, float))
    assert info == {"deploymentConfigName": f"CodeDeployDefault.{name}", "computePlatform": platform, **members}


@pytest.fixture
def api(shared_server):
    return shared_server.api()


@pytest.fixture
def scratch(api, request):
    """An application of the test's own."""
    name = request.node.name[:80].replace("[", "-").replace("]", "")
    api.done("CreateApplication", applicationName=name)
    yield name
    api.done("DeleteApplication", applicationName=name)


def test_version_and_etag_belong_to_a_revision(api, scratch):
    """CF-358, CF-360, CF-366: what was given at registration identifies it."""
    revisions = [s3(), s3(eTag="aa"), s3(version="v1"), s3(version="v1", eTag="aa"), s3(bundle="tar"), s3("other.zip"),
                 {"revisionType": "GitHub", "gitHubLocation": {"repository": "a/b", "commitId": "0" * 40}}]
    for number, revision in enumerate(revisions):
        api.done("RegisterApplicationRevision", applicationName=scratch, revision=revision, description=f"number {number}")
    for number, revision in enumerate(revisions):
        answer = api.done("GetApplicationRevision", applicationName=scratch, revision=revision)
        assert answer["revisionInfo"]["description"] == f"number {number}"
        assert answer["revision"] == revision
        assert answer["revisionInfo"]["deploymentGroups"] == []
        assert "firstUsedTime" not in answer["revisionInfo"] and answer["revisionInfo"]["registerTime"]
    for unknown in (s3(eTag="bb"), s3(version="v2"), s3(version="v1", eTag="bb"), s3(bundle="tgz")):
        assert api.call("GetApplicationRevision", applicationName=scratch, revision=unknown).code == "RevisionDoesNotExistException"
    quoted = api.done("GetApplicationRevision", applicationName=scratch, revision=s3(eTag='"aa"'))
    assert quoted["revisionInfo"]["description"] == "number 1", "an ETag is the same with its quotes"
    registered = api.done("GetApplicationRevision", applicationName=scratch, revision=s3())["revisionInfo"]["registerTime"]
    api.done("RegisterApplicationRevision", applicationName=scratch, revision=s3(), description="again")
    again = api.done("GetApplicationRevision", applicationName=scratch, revision=s3())["revisionInfo"]
    assert (again["description"], again["registerTime"]) == ("again", registered)


def test_deploying_registers_a_revision_and_marks_it_used(api, scratch):
    """CF-364, CF-366."""
    api.done("CreateDeploymentGroup", applicationName=scratch, deploymentGroupName="group", serviceRoleArn=ROLE)
    deployment = api.done("CreateDeployment", applicationName=scratch, deploymentGroupName="group", revision=s3("first-use.zip"))["deploymentId"]
    info = api.done("GetApplicationRevision", applicationName=scratch, revision=s3("first-use.zip"))["revisionInfo"]
    created = api.done("GetDeployment", deploymentId=deployment)["deploymentInfo"]["createTime"]
    assert info["firstUsedTime"] == info["lastUsedTime"] == created


def test_a_deployment_to_no_host_fails_and_says_so(api, scratch):
    api.done("CreateDeploymentGroup", applicationName=scratch, deploymentGroupName="group", serviceRoleArn=ROLE,
             onPremisesInstanceTagFilters=[tag("Name", "nobody", "KEY_AND_VALUE")])
    deployment = api.done("CreateDeployment", applicationName=scratch, deploymentGroupName="group", revision=s3())["deploymentId"]

    def ended():
        info = api.done("GetDeployment", deploymentId=deployment)["deploymentInfo"]
        return info if info["status"] == "Failed" else None

    assert eventually(ended, "it fails")["errorInformation"]["code"] == "NO_INSTANCES"


def test_deleting_an_application_takes_its_groups_and_deployments_along(api):
    """CF-164, CF-315: and not the hosts; the names are free at once."""
    api.done("RegisterOnPremisesInstance", instanceName="survivor", iamUserArn=USER + "survivor")
    api.done("AddTagsToOnPremisesInstances", instanceNames=["survivor"], tags=[tag("Name", "survivor")])
    deployments = {}
    for name in ("doomed", "spared"):
        api.done("CreateApplication", applicationName=name)
        api.done("RegisterApplicationRevision", applicationName=name, revision=s3())
        for group in ("one", "two"):
            api.done("CreateDeploymentGroup", applicationName=name, deploymentGroupName=group, serviceRoleArn=ROLE,
                     onPremisesInstanceTagFilters=[tag("Name", "survivor", "KEY_AND_VALUE")])
            deployments[name, group] = api.done("CreateDeployment", applicationName=name, deploymentGroupName=group, revision=s3())["deploymentId"]
    assert api.done("DeleteDeploymentGroup", applicationName="doomed", deploymentGroupName="one") == {"hooksNotCleanedUp": []}
    assert api.call("GetDeployment", deploymentId=deployments["doomed", "one"]).code == "DeploymentDoesNotExistException"
    assert api.done("GetDeployment", deploymentId=deployments["doomed", "two"])
    api.done("DeleteApplication", applicationName="doomed")
    assert api.call("GetDeployment", deploymentId=deployments["doomed", "two"]).code == "DeploymentDoesNotExistException"
    for group in ("one", "two"):
        assert api.done("GetDeployment", deploymentId=deployments["spared", group])["deploymentInfo"]["applicationName"] == "spared"
    assert "deregisterTime" not in api.done("GetOnPremisesInstance", instanceName="survivor")["instanceInfo"]
    api.done("CreateApplication", applicationName="doomed")
    assert api.done("ListDeploymentGroups", applicationName="doomed")["deploymentGroups"] == []
    assert api.call("GetApplicationRevision", applicationName="doomed", revision=s3()).code == "RevisionDoesNotExistException"
    for name in ("doomed", "spared", "doomed"):
        assert api.done("DeleteApplication", applicationName=name) == {}, "deleting what is not there is no error"
    assert api.done("DeleteDeploymentGroup", applicationName="doomed", deploymentGroupName="one") == {"hooksNotCleanedUp": []}
    api.done("DeregisterOnPremisesInstance", instanceName="survivor")


def test_a_group_shows_what_it_was_made_of(api, scratch):
    """CF-205, CF-311, CF-183: filters come back in the form in which they were given; defaults are filled in."""
    filters = [tag("Name", "a", "KEY_AND_VALUE"), tag("Zone", kind="KEY_ONLY"), tag(value="x*", kind="VALUE_ONLY")]
    made = api.done("CreateDeploymentGroup", applicationName=scratch, deploymentGroupName="flat", serviceRoleArn=ROLE, onPremisesInstanceTagFilters=filters,
                    autoRollbackConfiguration={"enabled": False, "events": ["DEPLOYMENT_FAILURE"]}, outdatedInstancesStrategy="IGNORE")
    info = api.done("GetDeploymentGroup", applicationName=scratch, deploymentGroupName="flat")["deploymentGroupInfo"]
    assert info["deploymentGroupId"] == made["deploymentGroupId"]
    assert info["onPremisesInstanceTagFilters"] == filters and "onPremisesTagSet" not in info
    assert info["deploymentConfigName"] == "CodeDeployDefault.OneAtATime", "CF-101"
    assert (info["serviceRoleArn"], info["computePlatform"], info["outdatedInstancesStrategy"]) == (ROLE, "Server", "IGNORE")
    assert info["deploymentStyle"] == {"deploymentType": "IN_PLACE", "deploymentOption": "WITHOUT_TRAFFIC_CONTROL"}
    assert info["autoRollbackConfiguration"] == {"enabled": False, "events": ["DEPLOYMENT_FAILURE"]}
    assert "lastAttemptedDeployment" not in info and "targetRevision" not in info
    groups = {"onPremisesTagSetList": [filters, [tag("Stage", "beta", "KEY_AND_VALUE")]]}
    api.done("CreateDeploymentGroup", applicationName=scratch, deploymentGroupName="set", serviceRoleArn=ROLE, onPremisesTagSet=groups,
             deploymentConfigName="CodeDeployDefault.AllAtOnce")
    info = api.done("GetDeploymentGroup", applicationName=scratch, deploymentGroupName="set")["deploymentGroupInfo"]
    assert info["onPremisesTagSet"] == groups and info["onPremisesInstanceTagFilters"] == []
    assert info["deploymentConfigName"] == "CodeDeployDefault.AllAtOnce"


def test_tag_groups_choose_the_hosts_of_a_deployment(api, scratch):
    """CF-201..CF-203 through the API: OR inside a group, AND between groups, * in values, case counts."""
    hosts = {
        "in1": [("Environment", "Beta"), ("Region", "North")], "in2": [("Environment", "Staging"), ("Region", "North-2"), ("Extra", "x")],
        "out1": [("Environment", "Beta"), ("Region", "West")], "out2": [("Environment", "Production"), ("Region", "North")],
        "out3": [("Environment", "beta"), ("Region", "North")], "out4": [],
    }
    for name, tags in hosts.items():
        api.done("RegisterOnPremisesInstance", instanceName=name, iamUserArn=USER + name)
        if tags:
            api.done("AddTagsToOnPremisesInstances", instanceNames=[name], tags=[tag(k, v) for k, v in tags])
    api.done("RegisterOnPremisesInstance", instanceName="left", iamUserArn=USER + "left")
    api.done("AddTagsToOnPremisesInstances", instanceNames=["left"], tags=[tag("Environment", "Beta"), tag("Region", "North")])
    api.done("DeregisterOnPremisesInstance", instanceName="left")
    chosen = [[tag("Environment", "Beta", "KEY_AND_VALUE"), tag("Environment", "Staging", "KEY_AND_VALUE")], [tag("Region", "North*", "KEY_AND_VALUE")]]
    api.done("CreateDeploymentGroup", applicationName=scratch, deploymentGroupName="set", serviceRoleArn=ROLE, onPremisesTagSet={"onPremisesTagSetList": chosen})
    deployment = api.done("CreateDeployment", applicationName=scratch, deploymentGroupName="set", revision=s3())["deploymentId"]
    targets = eventually(lambda: api.call("ListDeploymentTargets", deploymentId=deployment).body.get("targetIds"), "targets are resolved")
    assert sorted(targets) == ["in1", "in2"], "AG-211: a deregistered host is never included"
    for name in hosts:
        api.done("DeregisterOnPremisesInstance", instanceName=name)


def test_an_instance_lives_from_registration_to_deregistration(api):
    """AG-205..AG-211."""
    api.done("RegisterOnPremisesInstance", instanceName="lived", iamUserArn=USER + "lived")
    info = api.done("GetOnPremisesInstance", instanceName="lived")["instanceInfo"]
    assert info["iamUserArn"] == USER + "lived" and "iamSessionArn" not in info and "deregisterTime" not in info
    assert info["tags"] == [], "AG-199: never left out"
    prefix = "arn:aws:codedeploy:us-east-1:000000000001:instance/lived_"
    assert info["instanceArn"].startswith(prefix) and len(info["instanceArn"]) == len(prefix) + 10 and info["instanceArn"][-10:].isalnum()
    assert isinstance(info["registerTime"], (int, float))

    two = [tag("Name", "Beta"), tag("Name", "WestRegion"), tag("Empty", "")]
    for _ in range(2):
        api.done("AddTagsToOnPremisesInstances", instanceNames=["lived"], tags=two)
    stored = api.done("GetOnPremisesInstance", instanceName="lived")["instanceInfo"]["tags"]
    assert sorted((t["Key"], t["Value"]) for t in stored) == [("Empty", ""), ("Name", "Beta"), ("Name", "WestRegion")], "AG-209: pairs, not a map"
    api.done("RemoveTagsFromOnPremisesInstances", instanceNames=["lived"], tags=[tag("Name", "Beta"), tag("Never", "there")])
    stored = api.done("GetOnPremisesInstance", instanceName="lived")["instanceInfo"]["tags"]
    assert sorted(t["Value"] for t in stored) == ["", "WestRegion"]

    names = lambda **filters: api.done("ListOnPremisesInstances", filters)["instanceNames"]  # noqa: E731
    assert "lived" in names(registrationStatus="Registered") and "lived" not in names(registrationStatus="Deregistered")
    assert names(tagFilters=[tag("Name", "WestRegion", "KEY_AND_VALUE")]) == ["lived"]
    assert names(tagFilters=[tag("Name", "Beta", "KEY_AND_VALUE"), tag("Empty", kind="KEY_ONLY")]) == ["lived"], "A-12: alternatives"
    for _ in range(2):
        api.done("DeregisterOnPremisesInstance", instanceName="lived")
    info = api.done("GetOnPremisesInstance", instanceName="lived")["instanceInfo"]
    assert info["deregisterTime"] >= info["registerTime"] and info["tags"], "A-01, A-02: the record stays, with its tags"
    assert "lived" in names(registrationStatus="Deregistered") and "lived" not in names(registrationStatus="Registered") and "lived" in names()
    batch = api.done("BatchGetOnPremisesInstances", instanceNames=["lived", "never"])["instanceInfos"]
    assert [i["instanceName"] for i in batch] == ["lived"]

    earlier = info["instanceArn"]
    api.done("RegisterOnPremisesInstance", instanceName="lived", iamUserArn=USER + "lived")
    info = api.done("GetOnPremisesInstance", instanceName="lived")["instanceInfo"]
    assert info["instanceArn"] != earlier and info["tags"] == [] and "deregisterTime" not in info
    api.done("DeregisterOnPremisesInstance", instanceName="lived")
    api.done("DeregisterOnPremisesInstance", instanceName="never")


def test_tagging_several_instances_is_all_or_nothing(api):
    """AG-208: one unknown name, one full instance: nobody is changed."""
    for name in ("t1", "t2"):
        api.done("RegisterOnPremisesInstance", instanceName=name, iamUserArn=USER + name)
    api.done("AddTagsToOnPremisesInstances", instanceNames=["t2"], tags=[tag("k", str(n)) for n in range(10)])
    for names, code in ((["t1", "nobody"], "InstanceNotRegisteredException"), (["t1", "t2"], "TagLimitExceededException")):
        assert api.call("AddTagsToOnPremisesInstances", instanceNames=names, tags=[tag("new", "x")]).code == code
        assert api.done("GetOnPremisesInstance", instanceName="t1")["instanceInfo"]["tags"] == []
    for name in ("t1", "t2"):
        api.done("DeregisterOnPremisesInstance", instanceName=name)


def test_a_stopped_deployment_stays_stopped(world):
    """DP-120..DP-123: stopping again answers Succeeded, and a stopped deployment's hosts are Skipped."""
    assert world.api.done("StopDeployment", deploymentId=world.stopped)["status"] == "Succeeded"
    info = world.info(world.stopped)
    assert info["status"] == "Stopped" and info["completeTime"] >= info["createTime"]


def test_an_ended_deployment_cannot_be_stopped(api, scratch):
    """DP-121."""
    api.done("CreateDeploymentGroup", applicationName=scratch, deploymentGroupName="group", serviceRoleArn=ROLE)
    deployment = api.done("CreateDeployment", applicationName=scratch, deploymentGroupName="group", revision=s3())["deploymentId"]
    eventually(lambda: api.done("GetDeployment", deploymentId=deployment)["deploymentInfo"]["status"] == "Failed", "it fails for want of hosts")
    assert api.call("StopDeployment", deploymentId=deployment).code == "DeploymentAlreadyCompletedException"


def test_what_was_said_at_creation_is_shown(world):
    """DP-007, DP-009, DP-013: and frozen, whatever happens to the group later."""
    api = world.api
    api.done("CreateDeploymentGroup", applicationName="app", deploymentGroupName="shown", serviceRoleArn=ROLE)
    deployment = world.deploy("shown", description="what and why", ignoreApplicationStopFailures=True, fileExistsBehavior="RETAIN",
                              deploymentConfigName="CodeDeployDefault.HalfAtATime")
    info = world.info(deployment)
    assert info["description"] == "what and why"
    assert info["ignoreApplicationStopFailures"] is True
    assert info["fileExistsBehavior"] == "RETAIN"
    assert info["deploymentConfigName"] == "CodeDeployDefault.HalfAtATime"
    assert (info["creator"], info["computePlatform"], info["applicationName"], info["deploymentGroupName"]) == ("user", "Server", "app", "shown")
    assert info["revision"] == s3()
    api.done("DeleteDeploymentGroup", applicationName="app", deploymentGroupName="shown")
