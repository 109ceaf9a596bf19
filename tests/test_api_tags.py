"""Tags of applications and groups, stored GitHub connections, external ids, and what is told to running deployments
(DP-061, DP-108, DP-109, DP-752)."""

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, ROLE, Server, eventually, running

USER = "arn:aws:iam::000000000001:user/AWS/CodeDeploy/"
UNKNOWN = "d-ZZZZZZZZZ"
ARN = f"arn:aws:codedeploy:us-east-1:{ACCOUNT}:"
S3 = {"revisionType": "S3", "s3Location": {"bucket": "b", "key": "k", "bundleType": "zip"}}


def tags(**pairs):
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One application and group, with a deployment under way and one that has ended."""
    with running(Server(tmp_path_factory.mktemp("tags") / "data")) as server:
        client = server.client("codedeploy")
        client.server = server
        client.create_application(applicationName="app", tags=tags(b="2", a="1"))
        client.register_on_premises_instance(instanceName="box", iamUserArn=USER + "box")
        client.add_tags_to_on_premises_instances(instanceNames=["box"], tags=tags(Name="box"))
        client.create_deployment_group(applicationName="app", deploymentGroupName="group", serviceRoleArn=ROLE, tags=tags(team="x"),
                                       onPremisesInstanceTagFilters=[{"Key": "Name", "Value": "box", "Type": "KEY_AND_VALUE"}])
        client.create_deployment_group(applicationName="app", deploymentGroupName="empty", serviceRoleArn=ROLE)
        client.ended = client.create_deployment(applicationName="app", deploymentGroupName="empty", revision=S3)["deploymentId"]
        client.active = client.create_deployment(applicationName="app", deploymentGroupName="group", revision=S3)["deploymentId"]
        for id, status in ((client.ended, "Failed"), (client.active, "InProgress")):
            eventually(lambda id=id, status=status: client.get_deployment(deploymentId=id)["deploymentInfo"]["status"] == status, status)
        yield client


def test_tags_are_set_changed_and_taken_away(client):
    """A key stands there once; tags of an application are not those of its group."""
    app, group = ARN + "application:app", ARN + "deploymentgroup:app/group"
    listed = lambda arn: client.list_tags_for_resource(ResourceArn=arn)["Tags"]  # noqa: E731
    assert listed(app) == tags(a="1", b="2") and listed(group) == tags(team="x"), "those of creation"
    client.tag_resource(ResourceArn=app, Tags=tags(b="3", c=""))
    assert listed(app) == tags(a="1", b="3", c="")
    client.untag_resource(ResourceArn=app, TagKeys=["a", "never"])
    assert listed(app) == tags(b="3", c="")
    client.tag_resource(ResourceArn=group, Tags=tags(more="y"))
    client.update_deployment_group(applicationName="app", currentDeploymentGroupName="group", newDeploymentGroupName="group2")
    assert listed(ARN + "deploymentgroup:app/group2") == tags(more="y", team="x"), "a new name keeps the tags"
    client.update_deployment_group(applicationName="app", currentDeploymentGroupName="group2", newDeploymentGroupName="group")
    client.untag_resource(ResourceArn=group, TagKeys=["team", "more"])
    assert listed(group) == []


def test_the_cli_tags_too(client):
    app = ARN + "application:app"
    client.server.aws("deploy", "tag-resource", "--resource-arn", app, "--tags", "Key=cli,Value=yes")
    assert {"Key": "cli", "Value": "yes"} in client.server.aws_json("deploy", "list-tags-for-resource", "--resource-arn", app)["Tags"]
    client.server.aws("deploy", "untag-resource", "--resource-arn", app, "--tag-keys", "cli")


APP, GROUP, NONE = ARN + "application:app", ARN + "deploymentgroup:app/group", ARN + "application:none"
MANY = [{"Key": f"k{number:02}", "Value": "v"} for number in range(51)]
REFUSALS = [
    ("TagResource", {"Tags": tags(a="1")}, "ResourceArnRequiredException"),
    ("TagResource", {"ResourceArn": "app", "Tags": tags(a="1")}, "InvalidArnException"),
    ("TagResource", {"ResourceArn": "arn:aws:s3:::bucket", "Tags": tags(a="1")}, "InvalidArnException"),
    ("TagResource", {"ResourceArn": APP + "/group", "Tags": tags(a="1")}, "InvalidArnException"),
    ("TagResource", {"ResourceArn": ARN + "deploymentgroup:app", "Tags": tags(a="1")}, "InvalidArnException"),
    ("TagResource", {"ResourceArn": APP.replace("us-east-1", "eu-west-1"), "Tags": tags(a="1")}, "InvalidArnException"),
    ("TagResource", {"ResourceArn": APP + "x" * 1000, "Tags": tags(a="1")}, "InvalidArnException"),
    ("TagResource", {"ResourceArn": ARN + "deploymentconfig:CodeDeployDefault.OneAtATime", "Tags": tags(a="1")}, "ArnNotSupportedException"),
    ("TagResource", {"ResourceArn": ARN + "instance:box", "Tags": tags(a="1")}, "ArnNotSupportedException"),
    ("TagResource", {"ResourceArn": NONE, "Tags": tags(a="1")}, "ApplicationDoesNotExistException"),
    ("TagResource", {"ResourceArn": ARN + "deploymentgroup:app/none", "Tags": tags(a="1")}, "DeploymentGroupDoesNotExistException"),
    ("TagResource", {"ResourceArn": APP, "Tags": []}, "TagRequiredException"),
    ("TagResource", {"ResourceArn": APP}, "TagRequiredException"),
    ("TagResource", {"ResourceArn": APP, "Tags": [{"Value": "v"}]}, "InvalidTagsToAddException"),
    ("TagResource", {"ResourceArn": APP, "Tags": [{"Key": "k" * 129}]}, "InvalidTagsToAddException"),
    ("TagResource", {"ResourceArn": APP, "Tags": [{"Key": "k", "Value": "v" * 257}]}, "InvalidTagsToAddException"),
    ("TagResource", {"ResourceArn": APP, "Tags": [{"Key": "aws:x", "Value": "v"}]}, "InvalidTagsToAddException"),
    ("TagResource", {"ResourceArn": APP, "Tags": [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]}, "InvalidTagsToAddException"),
    ("TagResource", {"ResourceArn": APP, "Tags": MANY}, "InvalidTagsToAddException"),
    ("UntagResource", {"TagKeys": ["a"]}, "ResourceArnRequiredException"),
    ("UntagResource", {"ResourceArn": "app", "TagKeys": ["a"]}, "InvalidArnException"),
    ("UntagResource", {"ResourceArn": ARN + "instance:box", "TagKeys": ["a"]}, "ArnNotSupportedException"),
    ("UntagResource", {"ResourceArn": NONE, "TagKeys": ["a"]}, "ApplicationDoesNotExistException"),
    ("UntagResource", {"ResourceArn": ARN + "deploymentgroup:app/none", "TagKeys": ["a"]}, "DeploymentGroupDoesNotExistException"),
    ("UntagResource", {"ResourceArn": APP, "TagKeys": []}, "TagRequiredException"),
    ("UntagResource", {"ResourceArn": APP, "TagKeys": [""]}, "InvalidTagsToAddException"),
    ("ListTagsForResource", {}, "ResourceArnRequiredException"),
    ("ListTagsForResource", {"ResourceArn": "app"}, "InvalidArnException"),
    ("ListTagsForResource", {"ResourceArn": NONE}, "InvalidArnException"),
    ("ListTagsForResource", {"ResourceArn": ARN + "instance:box"}, "ArnNotSupportedException"),
    ("DeleteGitHubAccountToken", {}, "GitHubAccountTokenNameRequiredException"),
    ("DeleteGitHubAccountToken", {"tokenName": "a/b"}, "InvalidGitHubAccountTokenNameException"),
    ("DeleteGitHubAccountToken", {"tokenName": "none"}, "GitHubAccountTokenDoesNotExistException"),
    ("ListGitHubAccountTokenNames", {"nextToken": "garbage"}, "InvalidNextTokenException"),
    ("ContinueDeployment", {}, "DeploymentIdRequiredException"),
    ("ContinueDeployment", {"deploymentId": "d-1"}, "InvalidDeploymentIdException"),
    ("ContinueDeployment", {"deploymentId": UNKNOWN}, "DeploymentDoesNotExistException"),
    ("ContinueDeployment", {"deploymentId": "@active", "deploymentWaitType": "TEA_BREAK"}, "InvalidDeploymentWaitTypeException"),
    ("ContinueDeployment", {"deploymentId": "@ended"}, "DeploymentAlreadyCompletedException"),
    ("ContinueDeployment", {"deploymentId": "@active"}, "UnsupportedActionForDeploymentTypeException"),
    ("ContinueDeployment", {"deploymentId": "@active", "deploymentWaitType": "TERMINATION_WAIT"}, "UnsupportedActionForDeploymentTypeException"),
    ("SkipWaitTimeForInstanceTermination", {}, "DeploymentIdRequiredException"),
    ("SkipWaitTimeForInstanceTermination", {"deploymentId": "d-1"}, "InvalidDeploymentIdException"),
    ("SkipWaitTimeForInstanceTermination", {"deploymentId": UNKNOWN}, "DeploymentDoesNotExistException"),
    ("SkipWaitTimeForInstanceTermination", {"deploymentId": "@ended"}, "DeploymentAlreadyCompletedException"),
    ("SkipWaitTimeForInstanceTermination", {"deploymentId": "@active"}, "UnsupportedActionForDeploymentTypeException"),
    ("PutLifecycleEventHookExecutionStatus", {"lifecycleEventHookExecutionId": "x", "status": "Succeeded"}, "DeploymentIdRequiredException"),
    ("PutLifecycleEventHookExecutionStatus", {"deploymentId": "d-1"}, "InvalidDeploymentIdException"),
    ("PutLifecycleEventHookExecutionStatus", {"deploymentId": "@active", "status": "Succeeded"}, "InvalidLifecycleEventHookExecutionIdException"),
    ("PutLifecycleEventHookExecutionStatus", {"deploymentId": "@active", "lifecycleEventHookExecutionId": "x"}, "InvalidLifecycleEventHookExecutionStatusException"),
    ("PutLifecycleEventHookExecutionStatus", {"deploymentId": "@active", "lifecycleEventHookExecutionId": "x", "status": "Skipped"}, "InvalidLifecycleEventHookExecutionStatusException"),
    ("PutLifecycleEventHookExecutionStatus", {"deploymentId": UNKNOWN, "lifecycleEventHookExecutionId": "x", "status": "Failed"}, "DeploymentDoesNotExistException"),
    ("PutLifecycleEventHookExecutionStatus", {"deploymentId": "@active", "lifecycleEventHookExecutionId": "x", "status": "Succeeded"}, "UnsupportedActionForDeploymentTypeException"),
]


@pytest.mark.parametrize(("operation", "parameters", "code"), REFUSALS,
                         ids=[f"{number:02}-{row[0]}-{row[2].removesuffix('Exception')}" for number, row in enumerate(REFUSALS)])
def test_a_refusal_has_its_documented_name(client, operation, parameters, code):
    """Not provoked, for want of blue/green, Lambda and ECS deployments: DeploymentIsNotInReadyStateException,
    InvalidDeploymentStatusException, LifecycleEventAlreadyCompletedException. For want of tags on them:
    DeploymentConfigDoesNotExistException. Of GitHub connections: ResourceValidationException and
    OperationNotSupportedException, which nothing of theirs leads to. DeploymentNotStartedException: a deployment has
    not started for an instant only."""
    ids = {"@active": client.active, "@ended": client.ended}
    parameters = {name: ids.get(value, value) if isinstance(value, str) else value for name, value in parameters.items()}
    answer = client.server.api().call(operation, parameters)
    assert (answer.status, answer.code) == (400, code), answer.content
    assert code in {shape.name for shape in client.meta.service_model.operation_model(operation).error_shapes}


def test_there_are_no_github_connections(client):
    """DP-061: connections are made in the console."""
    answer = client.list_git_hub_account_token_names()
    assert answer["tokenNameList"] == [] and "nextToken" not in answer
    with pytest.raises(ClientError, match="GitHubAccountTokenDoesNotExistException"):
        client.delete_git_hub_account_token(tokenName="mine")


def test_nothing_belongs_to_an_external_id(client):
    """DP-082: only CloudFormation gives such ids, and there is none."""
    client.delete_resources_by_external_id(externalId="stack")
    client.delete_resources_by_external_id()
    assert client.list_deployments(externalId="stack")["deployments"] == []
    assert client.get_application(applicationName="app")


def test_fifty_tags_fit(client):
    arn = ARN + "deploymentgroup:app/empty"
    client.tag_resource(ResourceArn=arn, Tags=MANY[:50])
    with pytest.raises(ClientError, match="InvalidTagsToAddException"):
        client.tag_resource(ResourceArn=arn, Tags=MANY[50:])
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "k00", "Value": "changed"}])
    answer = client.list_tags_for_resource(ResourceArn=arn)
    assert answer["Tags"] == [{"Key": "k00", "Value": "changed"}, *MANY[1:50]] and "NextToken" not in answer
