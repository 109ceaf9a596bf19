"""Many at once: whoever meets another one tries again or is told; nothing is lost, nothing dangles."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import ACCOUNT, ROLE

S3 = {"revisionType": "S3", "s3Location": {"bucket": "bucket", "key": "k", "bundleType": "zip"}}
ROUNDS = 8


@pytest.fixture
def many(shared_server):
    """Runs calls at the same moment; each has a connection of its own."""
    with ThreadPoolExecutor(16) as pool:
        def run(calls):
            apis = [shared_server.api() for _ in calls]
            return list(pool.map(lambda pair: pair[0].call(pair[1][0], pair[1][1]), zip(apis, calls)))

        yield run


def codes(answers):
    return [answer.code for answer in answers]


def test_tags_that_are_set_at_once_are_all_there(shared_server, many):
    api = shared_server.api()
    api.done("CreateApplication", applicationName="tagged")
    arn = f"arn:aws:codedeploy:us-east-1:{ACCOUNT}:application:tagged"
    keys = [f"k{number:02}" for number in range(16)]
    assert codes(many([("TagResource", {"ResourceArn": arn, "Tags": [{"Key": key, "Value": "v"}]}) for key in keys])) == [""] * 16
    assert [tag["Key"] for tag in api.done("ListTagsForResource", ResourceArn=arn)["Tags"]] == keys
    mixed = [("TagResource", {"ResourceArn": arn, "Tags": [{"Key": "more", "Value": str(n)}]}) for n in range(4)]
    mixed += [("RegisterApplicationRevision", {"applicationName": "tagged", "revision": {**S3, "s3Location": {**S3["s3Location"], "key": str(n)}}}) for n in range(4)]
    mixed += [("CreateDeploymentGroup", {"applicationName": "tagged", "deploymentGroupName": f"g{n}", "serviceRoleArn": ROLE}) for n in range(4)]
    assert codes(many(mixed)) == [""] * 12, "nobody is told that the application is gone because its tags changed"
    assert len(api.done("ListDeploymentGroups", applicationName="tagged")["deploymentGroups"]) == 4
    assert len(api.done("ListApplicationRevisions", applicationName="tagged")["revisions"]) == 4


def test_a_name_goes_to_one_of_many(shared_server, many):
    """CF-151, CF-163."""
    api = shared_server.api()
    names = [f"racer{number}" for number in range(6)]
    for name in names:
        api.done("CreateApplication", applicationName=name)
    renames = [("UpdateApplication", {"applicationName": name, "newApplicationName": "goal"}) for name in names]
    told = codes(many([*renames, ("CreateApplication", {"applicationName": "goal"})]))
    assert sorted(told) == [""] + ["ApplicationAlreadyExistsException"] * 6
    left = set(api.done("ListApplications")["applications"]) & {*names, "goal"}
    assert len(left) == (7 if told[-1] == "" else 6) and "goal" in left


def test_no_group_has_a_configuration_that_was_deleted(shared_server, many):
    """CF-139: whichever comes first."""
    api = shared_server.api()
    api.done("CreateApplication", applicationName="hold")
    for number in range(ROUNDS):
        name, group = f"round{number}", {"applicationName": "hold", "deploymentGroupName": f"g{number}"}
        api.done("CreateDeploymentConfig", deploymentConfigName=name, minimumHealthyHosts={"type": "HOST_COUNT", "value": 0})
        create = ("CreateDeploymentGroup", {**group, "serviceRoleArn": ROLE, "deploymentConfigName": name})
        delete = ("DeleteDeploymentConfig", {"deploymentConfigName": name})
        told = dict(zip(("create", "delete"), codes(many([create, delete] if number % 2 else [delete, create])[:: 1 if number % 2 else -1])))
        assert told in ({"create": "", "delete": "DeploymentConfigInUseException"}, {"create": "DeploymentConfigDoesNotExistException", "delete": ""}), told
        if told["create"] == "":
            assert api.done("GetDeploymentConfig", deploymentConfigName=name)
            api.done("DeleteDeploymentGroup", group)
            api.done("DeleteDeploymentConfig", deploymentConfigName=name)


def test_an_ecs_service_goes_to_one_of_many(shared_server, many):
    """CF-257."""
    api = shared_server.api()
    api.done("CreateApplication", applicationName="services", computePlatform="ECS")
    pair = {"targetGroups": [{"name": "a"}, {"name": "b"}], "prodTrafficRoute": {"listenerArns": [
        "arn:aws:elasticloadbalancing:us-east-1:444455556666:listener/app/alb/0123/4567"]}}
    create = [("CreateDeploymentGroup", {
        "applicationName": "services", "deploymentGroupName": f"g{n}", "serviceRoleArn": ROLE, "loadBalancerInfo": {"targetGroupPairInfoList": [pair]},
        "ecsServices": [{"serviceName": "s", "clusterName": "c"}]}) for n in range(6)]
    assert sorted(codes(many(create))) == [""] + ["ECSServiceMappingLimitExceededException"] * 5
    assert len(api.done("ListDeploymentGroups", applicationName="services")["deploymentGroups"]) == 1


def test_settings_that_are_changed_at_once_are_all_changed(shared_server, many):
    """CF-313: an update keeps what it does not name, also what another one has just changed; and the group's name."""
    api = shared_server.api()
    api.done("CreateApplication", applicationName="changes")
    api.done("CreateDeploymentGroup", applicationName="changes", deploymentGroupName="group", serviceRoleArn=ROLE)
    settings = {
        "outdatedInstancesStrategy": "IGNORE", "deploymentConfigName": "CodeDeployDefault.AllAtOnce", "autoScalingGroups": ["asg"], "terminationHookEnabled": True,
        "alarmConfiguration": {"enabled": False, "ignorePollAlarmFailure": True, "alarms": [{"name": "x"}]},
        "onPremisesInstanceTagFilters": [{"Key": "k", "Type": "KEY_ONLY"}], "ec2TagFilters": [{"Key": "k", "Type": "KEY_ONLY"}],
    }
    calls = [("UpdateDeploymentGroup", {"applicationName": "changes", "currentDeploymentGroupName": "group", name: value}) for name, value in settings.items()]
    assert codes(many(calls)) == [""] * len(calls)
    info = api.done("GetDeploymentGroup", applicationName="changes", deploymentGroupName="group")["deploymentGroupInfo"]
    assert {name: info[name] for name in settings} == settings | {"autoScalingGroups": [{"name": "asg"}]}


def test_nothing_outlives_an_application_or_group_that_is_deleted_at_the_same_moment(server):
    """CF-164, CF-315, CF-316: whichever comes first, no group, deployment or claim is left without its application."""
    api = server.api()
    api.done("CreateDeploymentConfig", deploymentConfigName="held", minimumHealthyHosts={"type": "HOST_COUNT", "value": 0})
    app, old, new = ({"applicationName": "app"}, *({"applicationName": "app", "deploymentGroupName": name} for name in ("old", "new")))
    settings = {"serviceRoleArn": ROLE, "deploymentConfigName": "held"}
    expected = {"", "ApplicationDoesNotExistException", "DeploymentGroupDoesNotExistException", "ApplicationAlreadyExistsException",
                "DeploymentGroupAlreadyExistsException", "DeploymentLimitExceededException", "DeploymentConfigDoesNotExistException"}
    with ThreadPoolExecutor(6) as pool:
        for number in range(2 * ROUNDS):
            api.done("CreateApplication", app)
            api.done("CreateDeploymentGroup", {**old, **settings})
            delete = ("DeleteApplication", app) if number % 2 else ("DeleteDeploymentGroup", old)
            calls = [
                ("CreateDeploymentGroup", {**new, **settings}),
                ("CreateDeployment", {**old, "revision": S3}),
                delete,
                ("CreateDeployment", {**new, "revision": S3}),
                ("UpdateDeploymentGroup", {"applicationName": "app", "currentDeploymentGroupName": "old", "outdatedInstancesStrategy": "IGNORE"}),
                ("CreateApplication", app),
            ]
            calls = calls[number % 3:] + calls[:number % 3]
            apis = [server.api() for _ in calls]
            told = list(pool.map(lambda pair: pair[0].call(*pair[1]), zip(apis, calls)))
            assert set(codes(told)) <= expected, [answer.content for answer in told]
            if "new" not in api.call("ListDeploymentGroups", app).body.get("deploymentGroups", []):
                for deployment in api.done("ListDeployments")["deployments"]:
                    info = api.done("GetDeployment", deploymentId=deployment)["deploymentInfo"]
                    assert info["deploymentGroupName"] != "new", "its group is not there"
            api.done("DeleteApplication", app)
            assert api.done("ListDeployments")["deployments"] == []
    api.done("DeleteDeploymentConfig", deploymentConfigName="held")


def test_a_group_can_be_deployed_to_while_it_is_changed(shared_server, many):
    """A deployment is made of its group as it is before or after a change, and never refused for the change."""
    api = shared_server.api()
    api.done("CreateApplication", applicationName="lively")
    for number in range(5):
        group = {"applicationName": "lively", "deploymentGroupName": f"g{number}"}
        api.done("CreateDeploymentGroup", group, serviceRoleArn=ROLE)
    arn = f"arn:aws:codedeploy:us-east-1:{ACCOUNT}:deploymentgroup:lively/g"
    calls = []
    for number in range(5):
        calls.append(("TagResource", {"ResourceArn": f"{arn}{number}", "Tags": [{"Key": "a", "Value": "b"}]}))
        calls.append(("CreateDeployment", {"applicationName": "lively", "deploymentGroupName": f"g{number}", "revision": S3}))
        calls.append(("UpdateDeploymentGroup", {"applicationName": "lively", "currentDeploymentGroupName": f"g{number}", "outdatedInstancesStrategy": "IGNORE"}))
    assert codes(many(calls)) == [""] * 15
    assert len(api.done("ListDeployments")["deployments"]) >= 5
    info = api.done("GetApplicationRevision", applicationName="lively", revision=S3)["revisionInfo"]
    assert info["firstUsedTime"] <= info["lastUsedTime"], "five deployments used one revision at once"
