"""Batch operations, renaming, and lists of revisions (CF-162, CF-163, CF-317, CF-359, CF-365, DP-101)."""

import time

import pytest
from botocore.exceptions import ClientError

from harness import ROLE, Server, eventually, running

USER = "arn:aws:iam::000000000001:user/AWS/CodeDeploy/"
UNKNOWN = "d-ZZZZZZZZZ"


def s3(key="app.zip", bucket="revisions", bundle="zip", **more):
    return {"revisionType": "S3", "s3Location": {"bucket": bucket, "key": key, "bundleType": bundle, **more}}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two applications; one with two groups on a host that never answers, and a deployment each."""
    with running(Server(tmp_path_factory.mktemp("batches") / "data")) as server:
        client = server.client("codedeploy")
        client.register_on_premises_instance(instanceName="box", iamUserArn=USER + "box")
        client.add_tags_to_on_premises_instances(instanceNames=["box"], tags=[{"Key": "Name", "Value": "box"}])
        for name in ("one", "two"):
            client.create_application(applicationName=name)
        client.deployments = {}
        for name in ("left", "right"):
            client.create_deployment_group(applicationName="one", deploymentGroupName=name, serviceRoleArn=ROLE,
                                           onPremisesInstanceTagFilters=[{"Key": "Name", "Value": "box", "Type": "KEY_AND_VALUE"}])
            client.deployments[name] = client.create_deployment(applicationName="one", deploymentGroupName=name, revision=s3(f"{name}.zip"))["deploymentId"]
        for id in client.deployments.values():
            eventually(lambda id=id: client.get_deployment(deploymentId=id)["deploymentInfo"]["status"] == "InProgress", "it starts")
        client.server = server
        yield client


def refused(call, code):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code, caught.value
    return caught.value.response["Error"]["Message"]


def test_applications_come_in_the_order_of_the_call_as_the_single_call_shows_them(world):
    infos = world.batch_get_applications(applicationNames=["two", "one"])["applicationsInfo"]
    assert infos == [world.get_application(applicationName=name)["application"] for name in ("two", "one")]
    assert "none" in refused(lambda: world.batch_get_applications(applicationNames=["one", "none"]), "ApplicationDoesNotExistException")


def test_groups_that_are_missing_are_named_and_the_others_shown(world):
    """CF-317."""
    answer = world.batch_get_deployment_groups(applicationName="one", deploymentGroupNames=["right", "none", "left"])
    single = [world.get_deployment_group(applicationName="one", deploymentGroupName=name)["deploymentGroupInfo"] for name in ("right", "left")]
    assert answer["deploymentGroupsInfo"] == single
    assert "none" in answer["errorMessage"]
    assert "errorMessage" not in world.batch_get_deployment_groups(applicationName="one", deploymentGroupNames=["left"])


def test_deployments_that_are_missing_are_left_out(world):
    """DP-101."""
    ids = list(world.deployments.values())
    infos = world.batch_get_deployments(deploymentIds=[ids[1], UNKNOWN, ids[0]])["deploymentsInfo"]
    assert [info["deploymentId"] for info in infos] == [ids[1], ids[0]]
    assert infos[0]["applicationName"] == "one" and infos[0]["deploymentGroupName"] == "right"
    assert world.batch_get_deployments(deploymentIds=[UNKNOWN])["deploymentsInfo"] == []


def test_instances_that_are_missing_are_named_and_the_others_shown(world):
    id = world.deployments["left"]
    answer = world.batch_get_deployment_instances(deploymentId=id, instanceIds=["box", "none"])
    assert answer["instancesSummary"] == [world.get_deployment_instance(deploymentId=id, instanceId="box")["instanceSummary"]]
    assert "none" in answer["errorMessage"]
    assert len(answer["instancesSummary"][0]["lifecycleEvents"]) == 7


def test_revisions_that_are_missing_are_told_by_their_places(world):
    """CF-365, CF-366."""
    answer = world.batch_get_application_revisions(applicationName="one", revisions=[s3("left.zip"), s3("none.zip"), s3("right.zip"), s3("left.zip", eTag="x")])
    assert [r["revisionLocation"]["s3Location"]["key"] for r in answer["revisions"]] == ["left.zip", "right.zip"]
    info = answer["revisions"][0]["genericRevisionInfo"]
    assert info["firstUsedTime"] == info["lastUsedTime"] and info["deploymentGroups"] == []
    assert answer["errorMessage"].endswith(": 2, 4")
    assert answer["applicationName"] == "one"


APP = {"applicationName": "one"}
BATCH_REFUSALS = [
    ("BatchGetApplications", {"applicationNames": []}, "ApplicationNameRequiredException"),
    ("BatchGetApplications", {}, "ApplicationNameRequiredException"),
    ("BatchGetApplications", {"applicationNames": ["a b"]}, "InvalidApplicationNameException"),
    ("BatchGetApplications", {"applicationNames": ["none"]}, "ApplicationDoesNotExistException"),
    ("BatchGetApplications", {"applicationNames": ["one"] * 101}, "BatchLimitExceededException"),
    ("BatchGetDeploymentGroups", {"deploymentGroupNames": ["left"]}, "ApplicationNameRequiredException"),
    ("BatchGetDeploymentGroups", {"applicationName": "a b", "deploymentGroupNames": ["left"]}, "InvalidApplicationNameException"),
    ("BatchGetDeploymentGroups", {"applicationName": "none", "deploymentGroupNames": ["left"]}, "ApplicationDoesNotExistException"),
    ("BatchGetDeploymentGroups", {**APP, "deploymentGroupNames": []}, "DeploymentGroupNameRequiredException"),
    ("BatchGetDeploymentGroups", {**APP, "deploymentGroupNames": ["a b"]}, "InvalidDeploymentGroupNameException"),
    ("BatchGetDeploymentGroups", {**APP, "deploymentGroupNames": ["g"] * 101}, "BatchLimitExceededException"),
    ("BatchGetDeployments", {"deploymentIds": []}, "DeploymentIdRequiredException"),
    ("BatchGetDeployments", {"deploymentIds": ["d-1"]}, "InvalidDeploymentIdException"),
    ("BatchGetDeployments", {"deploymentIds": [UNKNOWN] * 26}, "BatchLimitExceededException"),
    ("BatchGetApplicationRevisions", {"revisions": [s3()]}, "ApplicationNameRequiredException"),
    ("BatchGetApplicationRevisions", {"applicationName": "a b", "revisions": [s3()]}, "InvalidApplicationNameException"),
    ("BatchGetApplicationRevisions", {"applicationName": "none", "revisions": [s3()]}, "ApplicationDoesNotExistException"),
    ("BatchGetApplicationRevisions", {**APP, "revisions": []}, "RevisionRequiredException"),
    ("BatchGetApplicationRevisions", {**APP, "revisions": [s3(), {}]}, "InvalidRevisionException"),
    ("BatchGetApplicationRevisions", {**APP, "revisions": [s3()] * 26}, "BatchLimitExceededException"),
    ("BatchGetDeploymentInstances", {"instanceIds": ["box"]}, "DeploymentIdRequiredException"),
    ("BatchGetDeploymentInstances", {"deploymentId": "d-1", "instanceIds": ["box"]}, "InvalidDeploymentIdException"),
    ("BatchGetDeploymentInstances", {"deploymentId": UNKNOWN, "instanceIds": ["box"]}, "DeploymentDoesNotExistException"),
    ("BatchGetDeploymentInstances", {"deploymentId": UNKNOWN, "instanceIds": []}, "InstanceIdRequiredException"),
    ("BatchGetDeploymentInstances", {"deploymentId": UNKNOWN, "instanceIds": ["a b"]}, "InvalidInstanceNameException"),
    ("BatchGetDeploymentInstances", {"deploymentId": UNKNOWN, "instanceIds": ["box"] * 26}, "BatchLimitExceededException"),
    ("UpdateApplication", {}, "ApplicationNameRequiredException"),
    ("UpdateApplication", {"applicationName": "a b"}, "InvalidApplicationNameException"),
    ("UpdateApplication", {**APP, "newApplicationName": "a b"}, "InvalidApplicationNameException"),
    ("UpdateApplication", {"applicationName": "none", "newApplicationName": "new"}, "ApplicationDoesNotExistException"),
    ("UpdateApplication", {**APP, "newApplicationName": "two"}, "ApplicationAlreadyExistsException"),
    ("ListApplicationRevisions", {}, "ApplicationNameRequiredException"),
    ("ListApplicationRevisions", {"applicationName": "a b"}, "InvalidApplicationNameException"),
    ("ListApplicationRevisions", {"applicationName": "none"}, "ApplicationDoesNotExistException"),
    ("ListApplicationRevisions", {**APP, "sortBy": "size"}, "InvalidSortByException"),
    ("ListApplicationRevisions", {**APP, "sortOrder": "upwards"}, "InvalidSortOrderException"),
    ("ListApplicationRevisions", {**APP, "deployed": "perhaps"}, "InvalidDeployedStateFilterException"),
    ("ListApplicationRevisions", {**APP, "s3Bucket": "a/b"}, "InvalidBucketNameFilterException"),
    ("ListApplicationRevisions", {**APP, "s3KeyPrefix": "x"}, "BucketNameFilterRequiredException"),
    ("ListApplicationRevisions", {**APP, "s3Bucket": "bucket", "s3KeyPrefix": "x" * 1025}, "InvalidKeyPrefixFilterException"),
    ("ListApplicationRevisions", {**APP, "nextToken": "garbage"}, "InvalidNextTokenException"),
]


@pytest.mark.parametrize(("operation", "parameters", "code"), BATCH_REFUSALS,
                         ids=[f"{number:02}-{row[0]}-{row[2].removesuffix('Exception')}" for number, row in enumerate(BATCH_REFUSALS)])
def test_a_refusal_has_its_documented_name(world, operation, parameters, code):
    """Not provoked: DeploymentConfigDoesNotExistException of BatchGetDeploymentGroups, since a configuration in use
    cannot be deleted; InvalidComputePlatformException of BatchGetDeploymentInstances, since there are no deployments to
    Lambda and ECS."""
    answer = world.server.api().call(operation, parameters)
    assert (answer.status, answer.code) == (400, code), answer.content
    assert code in {shape.name for shape in world.meta.service_model.operation_model(operation).error_shapes}


def test_an_application_keeps_everything_when_it_is_renamed(world):
    """CF-163: groups, revisions and history stay; the old name is free; permissions follow the new one."""
    id = world.create_application(applicationName="before")["applicationId"]
    world.register_application_revision(applicationName="before", revision=s3())
    world.create_deployment_group(applicationName="before", deploymentGroupName="group", serviceRoleArn=ROLE)
    deployment = world.create_deployment(applicationName="before", deploymentGroupName="group", revision=s3())["deploymentId"]
    world.update_application(applicationName="before", newApplicationName="before")
    world.update_application(applicationName="before")
    world.update_application(applicationName="before", newApplicationName="after")
    refused(lambda: world.get_application(applicationName="before"), "ApplicationDoesNotExistException")
    assert world.get_application(applicationName="after")["application"]["applicationId"] == id
    assert world.list_deployment_groups(applicationName="after")["deploymentGroups"] == ["group"]
    assert world.get_deployment(deploymentId=deployment)["deploymentInfo"]["applicationName"] == "after"
    assert world.list_deployments(applicationName="after", deploymentGroupName="group")["deployments"] == [deployment]
    assert world.list_application_revisions(applicationName="after")["revisions"] == [s3()]
    other = world.create_application(applicationName="before")["applicationId"]
    assert other != id and world.list_deployment_groups(applicationName="before")["deploymentGroups"] == []
    world.update_application(applicationName="after", newApplicationName="again")
    assert world.get_deployment(deploymentId=deployment)["deploymentInfo"]["applicationName"] == "again"
    for name in ("again", "before"):
        world.delete_application(applicationName=name)
    refused(lambda: world.get_deployment(deploymentId=deployment), "DeploymentDoesNotExistException")


def keys(answer):
    return [r["s3Location"]["key"] if r["revisionType"] == "S3" else r["gitHubLocation"]["repository"] for r in answer["revisions"]]


@pytest.fixture(scope="module")
def revisions(world):
    """Five revisions, registered in one order and used in another."""
    world.create_application(applicationName="revs")
    world.create_deployment_group(applicationName="revs", deploymentGroupName="group", serviceRoleArn=ROLE)
    github = {"revisionType": "GitHub", "gitHubLocation": {"repository": "a/b", "commitId": "0" * 40}}
    for revision in (s3("x/1"), s3("y/2"), github, s3("x/3"), s3("x/4", bucket="elsewhere")):
        world.register_application_revision(applicationName="revs", revision=revision)
        time.sleep(0.002)  # times have milliseconds
    for key in ("x/3", "x/1", "x/3"):
        id = world.create_deployment(applicationName="revs", deploymentGroupName="group", revision=s3(key))["deploymentId"]
        eventually(lambda id=id: world.get_deployment(deploymentId=id)["deploymentInfo"]["status"] == "Failed", "it fails for want of hosts")

    def listed(**parameters):
        pages = world.get_paginator("list_application_revisions").paginate(applicationName="revs", **parameters)
        return [key for page in pages for key in keys(page)]

    return listed


@pytest.mark.parametrize(("sort", "ascending"), [
    ("registerTime", ["x/1", "y/2", "a/b", "x/3", "x/4"]),
    ("firstUsedTime", ["x/3", "x/1"]),
    ("lastUsedTime", ["x/1", "x/3"]),
])
def test_revisions_are_sorted_by_each_time_in_both_directions(revisions, sort, ascending):
    """CF-359: those that were never used come before all that were."""
    for order, expected in (("ascending", ascending), ("descending", ascending[::-1])):
        listed = revisions(sortBy=sort, sortOrder=order)
        assert sorted(listed) == ["a/b", "x/1", "x/3", "x/4", "y/2"]
        used = listed if sort == "registerTime" else (listed[-2:] if order == "ascending" else listed[:2])
        assert used == expected
    assert revisions(sortBy=sort) == revisions(sortBy=sort, sortOrder="ascending")


def test_revisions_are_filtered_by_bucket_and_prefix(revisions):
    assert sorted(revisions()) == ["a/b", "x/1", "x/3", "x/4", "y/2"]
    assert sorted(revisions(s3Bucket="revisions")) == ["x/1", "x/3", "y/2"], "there is no filter for GitHub"
    assert revisions(s3Bucket="revisions", s3KeyPrefix="x/", sortBy="registerTime") == ["x/1", "x/3"]
    assert revisions(s3Bucket="elsewhere", s3KeyPrefix="x/") == ["x/4"]
    assert revisions(s3Bucket="nowhere") == []
    assert revisions(deployed="include") == [] and len(revisions(deployed="exclude")) == 5, "no deployment has succeeded"
    assert len(revisions(deployed="ignore")) == 5


def test_long_lists_of_revisions_come_in_pages(world):
    world.create_application(applicationName="many")
    expected = [f"k{number:03}" for number in range(205)]
    for key in expected:
        world.register_application_revision(applicationName="many", revision=s3(key))
    for parameters in ({}, {"sortBy": "registerTime"}, {"sortBy": "registerTime", "sortOrder": "descending"}, {"s3Bucket": "revisions", "sortBy": "firstUsedTime"}):
        pages = list(world.get_paginator("list_application_revisions").paginate(applicationName="many", **parameters))
        assert [len(page["revisions"]) for page in pages] == [100, 100, 5]
        listed = [key for page in pages for key in keys(page)]
        assert sorted(listed) == expected
        token = pages[0]["nextToken"]
        for other in ({"sortBy": "lastUsedTime"}, {"sortOrder": "descending", "sortBy": "firstUsedTime"}, {"s3Bucket": "revisions"}):
            if other != parameters:
                refused(lambda other=other: world.list_application_revisions(applicationName="many", nextToken=token, **other), "InvalidNextTokenException")
    assert [key for page in world.get_paginator("list_application_revisions").paginate(applicationName="many", sortBy="registerTime", sortOrder="descending")
            for key in keys(page)] == expected[::-1]


def test_the_cli_does_the_same(world):
    """CF-131, CF-162, CF-359 as typed."""
    server = world.server
    assert [a["applicationName"] for a in server.aws_json("deploy", "batch-get-applications", "--application-names", "one", "two")["applicationsInfo"]] == ["one", "two"]
    ids = list(world.deployments.values())
    assert len(server.aws_json("deploy", "batch-get-deployments", "--deployment-ids", *ids)["deploymentsInfo"]) == 2
    listed = server.aws_json("deploy", "list-application-revisions", "--application-name", "one", "--s3-bucket", "revisions", "--s3-key-prefix", "l",
                             "--deployed", "exclude", "--sort-by", "registerTime", "--sort-order", "descending")
    assert keys(listed) == ["left.zip"]
    server.aws("deploy", "update-application", "--application-name", "two", "--new-application-name", "three")
    assert "three" in server.aws_json("deploy", "list-applications")["applications"]
    server.aws("deploy", "update-application", "--application-name", "three", "--new-application-name", "two")
