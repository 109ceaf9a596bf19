"""Rollbacks, hosts that were left behind, zones: what follows from a deployment, with real agents."""

import pytest

from harness import Agent, bundle, eventually


def revision(directory, destination, text: str, script: str = "exit 0", hook: str = "AfterInstall"):
    """One file, and one script."""
    appspec = f"""version: 0.0
os: linux
files:
  - source: index.txt
    destination: {destination}
hooks:
  {hook}:
    - location: script.sh
"""
    return bundle(directory, appspec, {"index.txt": text, "script.sh": f"#!/bin/sh\n{script}\n"})


def deployments(fleet) -> list[dict]:
    """All of the group, in the order of their creation."""
    ids = fleet.codedeploy.list_deployments(applicationName="app", deploymentGroupName="group")["deployments"]
    return [fleet.info(deployment) for deployment in reversed(ids)]


def successor(fleet, deployment: str, creator: str) -> dict:
    """The deployment that the control plane started after this one, when it has ended."""
    def ask():
        all_of_them = deployments(fleet)
        after = all_of_them[[info["deploymentId"] for info in all_of_them].index(deployment) + 1:]
        return next((info for info in after if info["creator"] == creator), None)

    return fleet.ended(eventually(ask, f"what follows {deployment}")["deploymentId"])


ON = {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}


def test_a_failure_is_rolled_back_to_the_last_good_revision(fleet, tmp_path):
    """DP-202, DP-203, DP-220..DP-223, D-13: the worked case of the guide, with a new deployment of its own."""
    fleet.set_up(agents=1)
    destination = tmp_path / "installed"
    fleet.push(revision(tmp_path / "v1", destination, "one"), "one.zip")
    fleet.push(revision(tmp_path / "v2", destination, "two", "exit 3"), "two.zip")
    first = fleet.deploy("one.zip", fileExistsBehavior="RETAIN")
    assert fleet.ended(first)["status"] == "Succeeded"
    second = fleet.deploy("two.zip", fileExistsBehavior="OVERWRITE", autoRollbackConfiguration=ON)
    failed = fleet.ended(second)
    assert failed["status"] == "Failed"

    rollback = successor(fleet, second, "codeDeployRollback")
    third = rollback["deploymentId"]
    assert rollback["status"] == "Succeeded"
    assert rollback["revision"]["s3Location"]["key"] == "one.zip"
    assert rollback["fileExistsBehavior"] == "RETAIN", "that of the last good deployment (DP-221)"
    assert rollback["createTime"] >= failed["completeTime"]
    assert rollback["rollbackInfo"] == {
        "rollbackTriggeringDeploymentId": second,
        "rollbackMessage": f"Deployment {third} is triggered to roll back deployment {second}.",
    }
    assert fleet.info(second)["rollbackInfo"] == {
        "rollbackDeploymentId": third,
        "rollbackMessage": f"Deployment {second} terminated. Automatic rollback is triggered with a DeploymentId {third}.",
    }
    assert (destination / "index.txt").read_text() == "one"
    group = fleet.codedeploy.get_deployment_group(applicationName="app", deploymentGroupName="group")["deploymentGroupInfo"]
    assert group["lastSuccessfulDeployment"]["deploymentId"] == group["lastAttemptedDeployment"]["deploymentId"] == third
    assert [info["deploymentId"] for info in deployments(fleet)] == [first, second, third]


def test_a_rollback_is_not_rolled_back(fleet, tmp_path):
    """DP-226, A-03; DP-211: the group's setting, as everybody uses it."""
    fleet.set_up(agents=1)
    fleet.codedeploy.update_deployment_group(applicationName="app", currentDeploymentGroupName="group", autoRollbackConfiguration=ON)
    marker = tmp_path / "was-here"
    # The first revision installs once.
    fleet.push(revision(tmp_path / "v1", tmp_path / "installed", "one", f"test ! -e {marker} && touch {marker}"), "one.zip")
    fleet.push(revision(tmp_path / "v2", tmp_path / "installed", "two", "exit 3"), "two.zip")
    assert fleet.ended(fleet.deploy("one.zip"))["status"] == "Succeeded"
    second = fleet.deploy("two.zip")
    assert fleet.ended(second)["status"] == "Failed"
    rollback = successor(fleet, second, "codeDeployRollback")
    assert rollback["status"] == "Failed"
    # What ends a deployment creates what follows it, so nothing can come later.
    assert len(deployments(fleet)) == 3
    assert "rollbackDeploymentId" not in rollback["rollbackInfo"]


def test_without_a_good_revision_there_is_nothing_to_roll_back_to(fleet, tmp_path):
    """DP-227, A-04: the deployment says so. DP-213: the call's setting replaces the group's."""
    fleet.set_up(agents=1)
    fleet.codedeploy.update_deployment_group(applicationName="app", currentDeploymentGroupName="group", autoRollbackConfiguration=ON)
    fleet.push(revision(tmp_path / "v1", tmp_path / "installed", "one", "exit 3"))
    first = fleet.ended(fleet.deploy())
    assert first["status"] == "Failed"
    assert "could not be rolled back" in first["rollbackInfo"]["rollbackMessage"]
    second = fleet.ended(fleet.deploy(autoRollbackConfiguration={"enabled": False, "events": []}))
    assert second["status"] == "Failed" and "rollbackInfo" not in second
    assert len(deployments(fleet)) == 2


@pytest.mark.parametrize(
    ("events", "asked", "rolled_back"),
    [
        (["DEPLOYMENT_STOP_ON_REQUEST"], None, True),
        (["DEPLOYMENT_FAILURE"], None, False),
        (["DEPLOYMENT_FAILURE"], True, True),
        (["DEPLOYMENT_STOP_ON_REQUEST"], False, False),
    ],
)
def test_a_stop_is_rolled_back_when_somebody_wants_it(fleet, tmp_path, events, asked, rolled_back):
    """DP-124, S-04: the word of whoever stops it counts, else the settings."""
    fleet.set_up(agents=1)
    destination, gate, begun = tmp_path / "installed", tmp_path / "gate", tmp_path / "begun"
    fleet.push(revision(tmp_path / "v1", destination, "one"), "one.zip")
    fleet.push(revision(tmp_path / "v2", destination, "two", f"touch {begun}; while [ ! -e {gate} ]; do sleep 0.1; done"), "two.zip")
    assert fleet.ended(fleet.deploy("one.zip"))["status"] == "Succeeded"
    second = fleet.deploy("two.zip", autoRollbackConfiguration={"enabled": True, "events": events})
    eventually(begun.exists, "the script")
    how = {None: [], True: ["--auto-rollback-enabled"], False: ["--no-auto-rollback-enabled"]}[asked]
    answer = fleet.server.aws_json("deploy", "stop-deployment", "--deployment-id", second, *how)
    assert answer["status"] == "Pending"
    gate.touch()
    assert fleet.ended(second)["status"] == "Stopped"
    if rolled_back:
        assert successor(fleet, second, "codeDeployRollback")["status"] == "Succeeded"
        assert (destination / "index.txt").read_text() == "one"
    else:
        assert len(deployments(fleet)) == 2
        assert (destination / "index.txt").read_text() == "two", "nothing is undone (DP-123)"
    assert fleet.server.aws_json("deploy", "stop-deployment", "--deployment-id", second)["status"] == "Succeeded", "A-21"


def test_only_outdated_hosts_are_deployed_to(fleet, tmp_path):
    """DP-012, CF-306, CF A-05: the ones that run the revision already are no targets."""
    fleet.set_up(agents=1)
    fleet.push(revision(tmp_path / "v1", tmp_path / "installed", "one"))
    assert fleet.ended(fleet.deploy())["status"] == "Succeeded"
    fleet.agents.append(Agent("late", tmp_path / "late", fleet.server).register().start())
    second = fleet.deploy(updateOutdatedInstancesOnly=True, fileExistsBehavior="OVERWRITE")
    info = fleet.ended(second)
    assert info["status"] == "Succeeded" and info["updateOutdatedInstancesOnly"] is True
    assert fleet.codedeploy.list_deployment_targets(deploymentId=second)["targetIds"] == ["late"]
    third = fleet.ended(fleet.deploy(updateOutdatedInstancesOnly=True))
    assert third["status"] == "Succeeded" and third["deploymentOverview"]["Succeeded"] == 0, "nothing was outdated"


@pytest.mark.parametrize("strategy", ["UPDATE", "IGNORE"])
def test_hosts_that_join_during_a_deployment_are_updated_after_it(fleet, tmp_path, strategy):
    """CF-300..CF-303, OV-163, OV-164."""
    fleet.set_up(agents=1)
    fleet.codedeploy.update_deployment_group(applicationName="app", currentDeploymentGroupName="group", outdatedInstancesStrategy=strategy)
    gate, begun = tmp_path / "gate", tmp_path / "begun"
    fleet.push(revision(tmp_path / "v1", tmp_path / "installed", "one", f"touch {begun}; while [ ! -e {gate} ]; do sleep 0.1; done"))
    root = fleet.deploy(fileExistsBehavior="OVERWRITE")
    eventually(begun.exists, "the script")
    fleet.agents.append(Agent("late", tmp_path / "late", fleet.server).register().start())
    gate.touch()
    assert fleet.ended(root)["status"] == "Succeeded"
    if strategy == "IGNORE":
        assert len(deployments(fleet)) == 1
        return
    follow_on = successor(fleet, root, "CodeDeployAutoUpdate")
    assert follow_on["status"] == "Succeeded"
    assert follow_on["relatedDeployments"] == {"autoUpdateOutdatedInstancesRootDeploymentId": root}
    assert fleet.info(root)["relatedDeployments"] == {"autoUpdateOutdatedInstancesDeploymentIds": [follow_on["deploymentId"]]}
    assert fleet.codedeploy.list_deployment_targets(deploymentId=follow_on["deploymentId"])["targetIds"] == ["late"]
    assert len(deployments(fleet)) == 2


def test_zones_follow_one_another_and_are_watched_between(fleet, tmp_path):
    """CF-053, CF-054, D-11: ascending by name, whatever the order of registration; CF-051 is shown as it was given."""
    fleet.set_up(agents=0)
    for name, zone in [("host1", "b"), ("host2", "a"), ("host3", "b")]:
        tags = f"Key=Name,Value=fleet Key=slipway:zone,Value={zone}"
        fleet.agents.append(Agent(name, tmp_path / name, fleet.server, tags=tags).register().start())
    zonal = {"monitorDurationInSeconds": 3, "minimumHealthyHostsPerZone": {"type": "HOST_COUNT", "value": 0}}
    fleet.codedeploy.create_deployment_config(deploymentConfigName="Zonal", minimumHealthyHosts={"type": "HOST_COUNT", "value": 0}, zonalConfig=zonal)
    shown = fleet.codedeploy.get_deployment_config(deploymentConfigName="Zonal")["deploymentConfigInfo"]
    assert shown["zonalConfig"] == zonal

    appspec = "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: script.sh\n"
    fleet.push(bundle(tmp_path / "v1", appspec, {"script.sh": "#!/bin/sh\nexit 0\n"}))
    deployment = fleet.deploy(deploymentConfigName="Zonal")
    assert fleet.ended(deployment)["status"] == "Succeeded"
    assert fleet.codedeploy.list_deployment_targets(deploymentId=deployment)["targetIds"][0] == "host2"
    first_zone_ended = fleet.events(deployment, "host2")["ValidateService"]["endTime"]
    for name in ["host1", "host3"]:
        began = fleet.events(deployment, name)["ApplicationStop"]["startTime"]
        assert (began - first_zone_ended).total_seconds() >= 3

    fleet.agents.append(Agent("nowhere", tmp_path / "nowhere", fleet.server).register())
    refused = fleet.ended(fleet.deploy(deploymentConfigName="Zonal"))
    assert refused["status"] == "Failed"
    assert "nowhere" in refused["errorInformation"]["message"], "A-29"
