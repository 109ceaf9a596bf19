"""Who may: each operation asks on exactly the resources of the permission table (DP-702..DP-752, 05 A-18)."""

import json

import pytest

from harness import ACCOUNT, ROLE, Api, Server, eventually, running

ARN = f"arn:aws:codedeploy:us-east-1:{ACCOUNT}:"
USER = "arn:aws:iam::000000000001:user/AWS/CodeDeploy/"
S3 = {"revisionType": "S3", "s3Location": {"bucket": "bucket", "key": "k", "bundleType": "zip"}}


class World:
    """An application with two groups and a deployment in each, and a user who may what a test gives."""

    def __init__(self, server):
        self.server, self.admin = server, server.api()
        iam = self.iam = server.client("iam")
        iam.create_user(UserName="someone")
        key = iam.create_access_key(UserName="someone")["AccessKey"]
        self.user = Api(server, "us-east-1", (key["AccessKeyId"], key["SecretAccessKey"]))
        self.admin.done("RegisterOnPremisesInstance", instanceName="box", iamUserArn=USER + "box")
        self.admin.done("AddTagsToOnPremisesInstances", instanceNames=["box"], tags=[{"Key": "Name", "Value": "box"}])
        self.admin.done("CreateApplication", applicationName="app")
        self.deployments = {}
        for group in ("one", "two"):
            self.admin.done("CreateDeploymentGroup", applicationName="app", deploymentGroupName=group, serviceRoleArn=ROLE,
                            onPremisesInstanceTagFilters=[{"Key": "Name", "Value": "box", "Type": "KEY_AND_VALUE"}])
            id = self.admin.done("CreateDeployment", applicationName="app", deploymentGroupName=group, revision=S3)["deploymentId"]
            eventually(lambda id=id: self.admin.done("GetDeployment", deploymentId=id)["deploymentInfo"]["status"] == "InProgress", "it starts")
            self.deployments[group] = id

    def allow(self, action, resources):
        statement = {"Effect": "Allow", "Action": f"codedeploy:{action}", "Resource": resources or "arn:aws:codedeploy:us-east-1:000000000001:nothing"}
        self.iam.put_user_policy(UserName="someone", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(Server(tmp_path_factory.mktemp("permissions") / "data")) as server:
        yield World(server)


ONE, TWO = ARN + "deploymentgroup:app/one", ARN + "deploymentgroup:app/two"
NEEDS = [
    ("BatchGetApplications", {"applicationNames": ["app"]}, [ARN + "application:*"]),
    ("BatchGetApplicationRevisions", {"applicationName": "app", "revisions": [S3]}, [ARN + "application:app"]),
    ("BatchGetDeploymentGroups", {"applicationName": "app", "deploymentGroupNames": ["one", "two"]}, [ONE, TWO]),
    ("BatchGetDeployments", {"deploymentIds": ["@one", "@two"]}, [ONE, TWO]),
    ("BatchGetDeploymentInstances", {"deploymentId": "@one", "instanceIds": ["box"]}, [ONE]),
    ("ListApplicationRevisions", {"applicationName": "app"}, [ARN + "application:*"]),
    ("UpdateApplication", {"applicationName": "none", "newApplicationName": "other"}, [ARN + "application:none", ARN + "application:other"]),
    ("UpdateDeploymentGroup", {"applicationName": "app", "currentDeploymentGroupName": "one"}, [ONE]),
    ("UpdateDeploymentGroup", {"applicationName": "app", "currentDeploymentGroupName": "one", "newDeploymentGroupName": "two"}, [ONE, TWO]),
    ("CreateDeploymentConfig", {"deploymentConfigName": "mine"}, [ARN + "deploymentconfig:mine"]),
    ("DeleteDeploymentConfig", {"deploymentConfigName": "mine"}, [ARN + "deploymentconfig:mine"]),
    ("ContinueDeployment", {"deploymentId": "@one"}, [ONE]),
    ("SkipWaitTimeForInstanceTermination", {"deploymentId": "@one"}, [ONE]),
    ("PutLifecycleEventHookExecutionStatus", {"deploymentId": "@one", "lifecycleEventHookExecutionId": "x", "status": "Succeeded"}, ["*"]),
    ("TagResource", {"ResourceArn": ARN + "application:app", "Tags": [{"Key": "a"}]}, [ARN + "application:app"]),
    ("UntagResource", {"ResourceArn": ONE, "TagKeys": ["a"]}, [ONE]),
    ("ListTagsForResource", {"ResourceArn": ONE}, [ONE]),
    ("ListGitHubAccountTokenNames", {}, [ARN + "*"]),
    ("DeleteGitHubAccountToken", {"tokenName": "none"}, ["*"]),
    ("DeleteResourcesByExternalId", {"externalId": "x"}, ["*"]),
]


@pytest.mark.parametrize(("operation", "parameters", "resources"), NEEDS, ids=[f"{n:02}-{row[0]}" for n, row in enumerate(NEEDS)])
def test_an_operation_needs_each_of_its_resources_and_no_more(world, operation, parameters, resources):
    def known(value):
        if isinstance(value, list):
            return [known(one) for one in value]
        return world.deployments.get(value[1:], value) if isinstance(value, str) and value.startswith("@") else value

    parameters = {name: known(value) for name, value in parameters.items()}
    world.allow(operation, resources)
    answer = world.user.call(operation, parameters)
    assert answer.code != "AccessDeniedException", answer.content
    for left_out in resources:
        world.allow(operation, [resource for resource in resources if resource != left_out])
        answer = world.user.call(operation, parameters)
        assert answer.code == "AccessDeniedException", (left_out, answer.content)
        assert operation in answer.message
    world.allow("Nothing", ["*"])
    assert world.user.call(operation, parameters).code == "AccessDeniedException"


def test_whoever_may_see_no_deployment_learns_nothing_about_one(world):
    """DP-741: neither that one is there nor that none is."""
    world.allow("BatchGetDeployments", [ONE])
    told = {id: world.user.call("BatchGetDeployments", deploymentIds=[id]) for id in (world.deployments["two"], "d-ZZZZZZZZZ")}
    assert {answer.code for answer in told.values()} == {"AccessDeniedException"}
    seen = world.user.done("BatchGetDeployments", deploymentIds=[world.deployments["one"], "d-ZZZZZZZZZ"])["deploymentsInfo"]
    assert [info["deploymentId"] for info in seen] == [world.deployments["one"]]


def test_permissions_follow_a_new_name(world):
    """CF-163, CF-313, DP-741: deployments are asked for under the names that their group has now."""
    id = world.deployments["two"]
    world.allow("GetDeployment", [TWO])
    assert world.user.done("GetDeployment", deploymentId=id)
    world.admin.done("UpdateDeploymentGroup", applicationName="app", currentDeploymentGroupName="two", newDeploymentGroupName="three")
    assert world.user.call("GetDeployment", deploymentId=id).code == "AccessDeniedException"
    world.admin.done("UpdateApplication", applicationName="app", newApplicationName="renamed")
    world.allow("GetDeployment", [ARN + "deploymentgroup:renamed/three"])
    info = world.user.done("GetDeployment", deploymentId=id)["deploymentInfo"]
    assert (info["applicationName"], info["deploymentGroupName"]) == ("renamed", "three")
    world.admin.done("UpdateApplication", applicationName="renamed", newApplicationName="app")
    world.admin.done("UpdateDeploymentGroup", applicationName="app", currentDeploymentGroupName="three", newDeploymentGroupName="two")


def test_overriding_alarms_needs_the_right_to_change_the_group(world):
    """DP-003, DP-740."""
    call = {"applicationName": "app", "deploymentGroupName": "one", "revision": S3, "overrideAlarmConfiguration": {"enabled": False}}
    actions = ["CreateDeployment", "GetDeploymentConfig", "GetApplicationRevision"]
    allow = lambda names: world.iam.put_user_policy(UserName="someone", PolicyName="p", PolicyDocument=json.dumps(  # noqa: E731
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [f"codedeploy:{name}" for name in names], "Resource": "*"}]}))
    allow(actions)
    answer = world.user.call("CreateDeployment", call)
    assert answer.code == "AccessDeniedException" and "UpdateDeploymentGroup" in answer.message
    allow([*actions, "UpdateDeploymentGroup"])
    assert world.user.call("CreateDeployment", call).code == "DeploymentLimitExceededException", "the group is busy: past all permissions"


def tags(**pairs):
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def test_statements_about_tags_hold_for_applications_and_groups(world):
    """DP-609, DP-752: a Deny on tags must not be one that never applies; tags of a request and of what it is about."""
    admin, user = world.admin, world.user
    admin.done("CreateApplication", applicationName="prod-app", tags=tags(env="prod"))
    admin.done("CreateApplication", applicationName="test-app", tags=tags(env="test"))
    admin.done("CreateDeploymentGroup", applicationName="test-app", deploymentGroupName="prod-group", serviceRoleArn=ROLE, tags=tags(env="prod"))

    def deny(operator, key, value):
        statements = [
            {"Effect": "Allow", "Action": ["codedeploy:*", "iam:PassRole"], "Resource": "*"},
            {"Effect": "Deny", "Action": "codedeploy:*", "Resource": "*", "Condition": {operator: {key: value}}},
        ]
        world.iam.put_user_policy(UserName="someone", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))

    def denied(operation, **parameters):
        answer = user.call(operation, parameters)
        assert answer.code in ("", "AccessDeniedException"), answer.content
        return answer.code != ""

    group = {"applicationName": "test-app", "serviceRoleArn": ROLE}
    deny("StringEquals", "aws:RequestTag/env", "prod")
    assert denied("CreateApplication", applicationName="a", tags=tags(env="prod"))
    assert denied("CreateApplication", applicationName="a", tags=tags(env="prod", Env="test")), "no other tag hides it"
    assert not denied("CreateApplication", applicationName="a", tags=tags(env="test"))
    assert denied("CreateDeploymentGroup", **group, deploymentGroupName="g", tags=tags(env="prod"))
    assert not denied("CreateDeploymentGroup", **group, deploymentGroupName="g", tags=tags(env="test"))
    assert denied("TagResource", ResourceArn=ARN + "application:a", Tags=tags(env="prod"))
    assert not denied("TagResource", ResourceArn=ARN + "application:a", Tags=tags(other="prod"))

    deny("ForAnyValue:StringEquals", "aws:TagKeys", ["cost"])
    assert denied("CreateApplication", applicationName="b", tags=tags(env="test", cost="1"))
    assert denied("TagResource", ResourceArn=ARN + "application:a", Tags=tags(cost="1"))
    assert denied("UntagResource", ResourceArn=ARN + "application:a", TagKeys=["env", "cost"])
    assert not denied("UntagResource", ResourceArn=ARN + "application:a", TagKeys=["other"])

    deny("StringEquals", "aws:ResourceTag/env", "prod")
    assert denied("GetApplication", applicationName="prod-app")
    assert not denied("GetApplication", applicationName="test-app")
    assert denied("UntagResource", ResourceArn=ARN + "application:prod-app", TagKeys=["env"])
    assert denied("DeleteDeploymentGroup", applicationName="test-app", deploymentGroupName="prod-group")
    assert denied("BatchGetDeploymentGroups", applicationName="test-app", deploymentGroupNames=["g", "prod-group"])
    assert not denied("BatchGetDeploymentGroups", applicationName="test-app", deploymentGroupNames=["g"])

    deny("StringNotEquals", "aws:ResourceTag/env", "prod")
    assert not denied("UpdateApplication", applicationName="prod-app", newApplicationName="moved"), "a new name has the tags of what gets it"
    assert denied("UpdateApplication", applicationName="test-app", newApplicationName="moved-too")
    assert not denied("UpdateDeploymentGroup", applicationName="test-app", currentDeploymentGroupName="prod-group", newDeploymentGroupName="moved")
    assert denied("GetDeploymentGroup", applicationName="test-app", deploymentGroupName="g")
