"""register -> push -> create-deployment -> wait: the stock AWS CLI, three agents, real files."""

import re
import shutil

import pytest
from botocore.exceptions import ClientError

from harness import EVENTS, ROLE, bundle, eventually

HOOKS = ["ApplicationStop", "BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"]


def revision(directory, destination, text, extra_files=None):
    """A bundle whose hooks each leave a line in a trace file beside the destination."""
    appspec = f"version: 0.0\nos: linux\nfiles:\n  - source: content\n    destination: {destination}\nhooks:\n"
    files = {"content/index.txt": text, **{f"content/{name}": body for name, body in (extra_files or {}).items()}}
    for hook in HOOKS:
        appspec += f"  {hook}:\n    - location: scripts/{hook}.sh\n      timeout: 60\n"
        files[f"scripts/{hook}.sh"] = (
            f"#!/bin/sh\nset -e\necho \"{text} $LIFECYCLE_EVENT $DEPLOYMENT_GROUP_NAME $APPLICATION_NAME\" >> {destination}.trace\n"
            f"echo from {hook}\n"
        )
    return bundle(directory, appspec, files)



def test_three_hosts_from_registration_to_files_logs_and_views(fleet, tmp_path):
    """Scenario 12 of file 04 and 1 of file 03 with our agent: AG-187..AG-190, CF-353, DP-106, AG-071..AG-076."""
    # One machine, three agents, one destination: one after another, and over the files of the one before.
    fleet.set_up(agents=3, config="CodeDeployDefault.OneAtATime")
    destination = tmp_path / "installed"
    fleet.push(revision(tmp_path / "v1", destination, "one"))
    deployment = fleet.deploy(fileExistsBehavior="OVERWRITE")
    fleet.server.aws("deploy", "wait", "deployment-successful", "--deployment-id", deployment)

    info = fleet.ended(deployment)
    assert info["status"] == "Succeeded"
    assert info["deploymentOverview"] == {"Pending": 0, "InProgress": 0, "Succeeded": 3, "Failed": 0, "Skipped": 0, "Ready": 0}
    assert info["creator"] == "user"
    assert info["completeTime"] >= info["startTime"] >= info["createTime"]
    assert (destination / "index.txt").read_text() == "one"

    names = {agent.name for agent in fleet.agents}
    assert set(fleet.server.aws_json("deploy", "list-deployment-instances", "--deployment-id", deployment)["instancesList"]) == names
    assert set(fleet.codedeploy.list_deployment_targets(deploymentId=deployment)["targetIds"]) == names
    batch = fleet.codedeploy.batch_get_deployment_targets(deploymentId=deployment, targetIds=sorted(names))
    assert [t["instanceTarget"]["status"] for t in batch["deploymentTargets"]] == ["Succeeded"] * 3

    for agent in fleet.agents:
        target = fleet.target(deployment, agent.name)
        assert [e["lifecycleEventName"] for e in target["lifecycleEvents"]] == EVENTS
        assert {e["status"] for e in target["lifecycleEvents"]} == {"Succeeded"}
        summary = fleet.codedeploy.get_deployment_instance(deploymentId=deployment, instanceId=agent.name)["instanceSummary"]
        assert [e["status"] for e in summary["lifecycleEvents"]] == ["Succeeded"] * 7

        home = agent.deployment_directory(fleet.group_id, deployment)
        assert (home / "bundle.tar").exists()
        assert (home / "deployment-archive" / "appspec.yml").exists()
        log = (home / "logs" / "scripts.log").read_text()
        assert "[stdout]from AfterInstall" in log
        assert "from ApplicationStop" not in log, "the first deployment has no earlier revision to stop (AP-20)"
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in log.splitlines())
        instructions = agent.root / "deployment-instructions"
        assert (instructions / f"{fleet.group_id}_last_successful_install").read_text() == str(home)
        assert (instructions / f"{fleet.group_id}_most_recent_install").read_text() == str(home)
        deployments_log = (agent.root / "deployment-logs" / "codedeploy-agent-deployments.log").read_text()
        assert f"[{deployment}]LifecycleEvent - BeforeInstall" in deployments_log


def test_the_second_deployment_replaces_the_first(fleet, tmp_path):
    """AC-AS-2: the old revision's ApplicationStop runs, files that only it had are gone."""
    fleet.set_up(agents=1)
    destination = tmp_path / "installed"
    fleet.push(revision(tmp_path / "v1", destination, "one", {"only-in-one.txt": "x"}))
    assert fleet.ended(fleet.deploy())["status"] == "Succeeded"
    fleet.push(revision(tmp_path / "v2", destination, "two"))
    second = fleet.deploy()
    assert fleet.ended(second)["status"] == "Succeeded"

    assert (destination / "index.txt").read_text() == "two"
    assert not (destination / "only-in-one.txt").exists()
    trace = (tmp_path / "installed.trace").read_text().splitlines()
    assert trace == [f"one {hook} group app" for hook in HOOKS[1:]] + ["one ApplicationStop group app"] + [f"two {hook} group app" for hook in HOOKS[1:]]

    group = fleet.codedeploy.get_deployment_group(applicationName="app", deploymentGroupName="group")["deploymentGroupInfo"]
    assert group["lastSuccessfulDeployment"]["deploymentId"] == second
    assert group["targetRevision"]["s3Location"]["key"] == "app.zip"
    listed = fleet.server.aws_json("deploy", "list-deployments", "--application-name", "app", "--deployment-group-name", "group")
    assert listed["deployments"][0] == second and len(listed["deployments"]) == 2


def test_a_failing_hook_fails_the_deployment_and_says_why(fleet, tmp_path):
    """AG-107, AP-14, CF-036: script name, exit code and log tail in the API's answer."""
    fleet.set_up(agents=1)
    appspec = "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: scripts/bad.sh\n"
    fleet.push(bundle(tmp_path / "bad", appspec, {"scripts/bad.sh": "#!/bin/sh\necho to stdout\necho to stderr >&2\nexit 3\n"}))
    deployment = fleet.deploy()
    info = fleet.ended(deployment)
    assert info["status"] == "Failed"
    assert info["errorInformation"]["code"] == "HEALTH_CONSTRAINTS"
    assert "too many individual instances failed deployment" in info["errorInformation"]["message"]

    events = fleet.events(deployment, "host1")
    failed = events["AfterInstall"]
    assert failed["status"] == "Failed"
    assert failed["diagnostics"]["errorCode"] == "ScriptFailed"
    assert failed["diagnostics"]["scriptName"] == "scripts/bad.sh"
    assert failed["diagnostics"]["message"] == "Script at specified location: scripts/bad.sh failed with exit code 3"
    assert "[stdout]to stdout" in failed["diagnostics"]["logTail"]
    assert "[stderr]to stderr" in failed["diagnostics"]["logTail"]
    assert events["Install"]["status"] == "Succeeded"
    assert events["ApplicationStart"]["status"] == events["ValidateService"]["status"] == "Skipped"
    with pytest.raises(AssertionError, match="Waiter DeploymentSuccessful failed"):
        fleet.server.aws("deploy", "wait", "deployment-successful", "--deployment-id", deployment)


def test_one_at_a_time_stops_at_the_first_failure(fleet, tmp_path):
    """V-27 on real hosts: CF-036, CF-040, CF-114. Hosts that were never started are Skipped with all their events."""
    fleet.set_up(agents=3, config="CodeDeployDefault.OneAtATime")
    appspec = "version: 0.0\nos: linux\nhooks:\n  BeforeInstall:\n    - location: bad.sh\n"
    fleet.push(bundle(tmp_path / "bad", appspec, {"bad.sh": "#!/bin/sh\nexit 1\n"}))
    deployment = fleet.deploy()
    info = fleet.ended(deployment)
    assert info["status"] == "Failed"
    assert {k: v for k, v in info["deploymentOverview"].items() if v} == {"Failed": 1, "Skipped": 2}
    skipped = [a.name for a in fleet.agents if fleet.target(deployment, a.name)["status"] == "Skipped"]
    assert len(skipped) == 2
    for name in skipped:
        assert {e["status"] for e in fleet.events(deployment, name).values()} == {"Skipped"}
    listed = fleet.codedeploy.list_deployment_targets(deploymentId=deployment, targetFilters={"TargetStatus": ["Skipped"]})
    assert sorted(listed["targetIds"]) == sorted(skipped)


def test_a_group_has_one_deployment_at_a_time_and_stop_frees_it(fleet, tmp_path):
    """CF-370, AS-168, DP-120: the second one is refused by name, the running one can be stopped."""
    fleet.set_up(agents=1)
    gate = tmp_path / "gate"
    appspec = "version: 0.0\nos: linux\nhooks:\n  BeforeInstall:\n    - location: wait.sh\n"
    script = f"#!/bin/sh\ntouch {tmp_path}/entered\nwhile [ ! -e {gate} ]; do sleep 0.1; done\n"
    fleet.push(bundle(tmp_path / "slow", appspec, {"wait.sh": script}))
    first = fleet.deploy()
    eventually((tmp_path / "entered").exists, "the hook has begun")
    with pytest.raises(ClientError) as refused:
        fleet.deploy()
    assert refused.value.response["Error"]["Code"] == "DeploymentLimitExceededException"
    assert first in refused.value.response["Error"]["Message"]

    answer = fleet.codedeploy.stop_deployment(deploymentId=first)
    assert answer["status"] == "Pending"
    gate.touch()
    info = fleet.ended(first)
    assert info["status"] == "Stopped"
    assert info["errorInformation"]["code"] == "MANUAL_STOP"
    assert fleet.codedeploy.stop_deployment(deploymentId=first)["status"] == "Succeeded"
    assert fleet.ended(fleet.deploy())["status"] == "Succeeded"


def test_ignored_application_stop_failures_stay_visible(fleet, tmp_path):
    """AC-AS-3, DP-009: a broken script of the old revision blocks the host, unless its failures are ignored."""
    fleet.set_up(agents=1)
    appspec = "version: 0.0\nos: linux\nhooks:\n  ApplicationStop:\n    - location: stop.sh\n"
    fleet.push(bundle(tmp_path / "v1", appspec, {"stop.sh": "#!/bin/sh\nexit 1\n"}))
    assert fleet.ended(fleet.deploy())["status"] == "Succeeded"
    fleet.push(bundle(tmp_path / "v2", "version: 0.0\nos: linux\n", {}))
    plain = fleet.deploy()
    assert fleet.ended(plain)["status"] == "Failed"
    assert fleet.events(plain, "host1")["ApplicationStop"]["diagnostics"]["errorCode"] == "ScriptFailed"
    ignoring = fleet.deploy(ignoreApplicationStopFailures=True)
    assert fleet.ended(ignoring)["status"] == "Succeeded"
    assert fleet.events(ignoring, "host1")["ApplicationStop"]["status"] == "Failed"


def test_file_conflicts_follow_file_exists_behavior(fleet, tmp_path):
    """AC-AS-4, AS-037, AS-038."""
    fleet.set_up(agents=1)
    destination = tmp_path / "installed"
    destination.mkdir()
    (destination / "index.txt").write_text("foreign")
    appspec = f"version: 0.0\nos: linux\nfiles:\n  - source: index.txt\n    destination: {destination}\n"
    fleet.push(bundle(tmp_path / "v1", appspec, {"index.txt": "ours"}))

    refused = fleet.deploy()
    assert fleet.ended(refused)["status"] == "Failed"
    message = fleet.events(refused, "host1")["Install"]["diagnostics"]["message"]
    assert message == f"The deployment failed because a specified file already exists at this location: {destination}/index.txt"
    assert fleet.ended(fleet.deploy(fileExistsBehavior="RETAIN"))["status"] == "Succeeded"
    assert (destination / "index.txt").read_text() == "foreign"
    assert fleet.ended(fleet.deploy(fileExistsBehavior="OVERWRITE"))["status"] == "Succeeded"
    assert (destination / "index.txt").read_text() == "ours"


def test_the_tutorial_as_printed(fleet, tmp_path):
    """T3 of file 02, steps 1 to 11, by the AWS CLI alone: TU-54..TU-56, TU-61, AG-198, AG-199."""
    server = fleet.server
    home = tmp_path / "T3"
    home.mkdir()
    registered = server.aws("deploy", "register", "--instance-name", "AssetTag1", "--tags", "Key=Name,Value=CodeDeployDemo-OnPrem", "--region", "us-east-1", cwd=home)
    assert registered.stderr == ""
    assert registered.stdout.count("DONE") == 6
    assert (home / "codedeploy.onpremises.yml").stat().st_mode & 0o777 == 0o600

    info = server.aws_json("deploy", "get-on-premises-instance", "--instance-name", "AssetTag1")["instanceInfo"]
    assert info["tags"] == [{"Key": "Name", "Value": "CodeDeployDemo-OnPrem"}]
    assert info["iamUserArn"] == "arn:aws:iam::000000000001:user/AWS/CodeDeploy/AssetTag1"

    from harness import Agent

    agent = Agent("AssetTag1", home, server)
    agent.write_config()
    fleet.agents.append(agent.start())
    destination = tmp_path / "CodeDeployExample"
    scripts = {
        "install.txt": "The Install deployment lifecycle event successfully completed.\n",
        "scripts/before-install.sh": f"#!/bin/bash\nrm -rf {destination}\nmkdir {destination}\n",
    }
    appspec = f"version: 0.0\nos: linux\nfiles:\n  - source: ./install.txt\n    destination: {destination}\nhooks:\n  BeforeInstall:\n    - location: ./scripts/before-install.sh\n      timeout: 900\n"
    for event, name in [("AfterInstall", "after-install"), ("ApplicationStart", "application-start"), ("ValidateService", "validate-service")]:
        scripts[f"scripts/{name}.sh"] = f"#!/bin/bash\necho 'The {event} deployment lifecycle event successfully completed.' > {destination}/{name}.txt\n"
        appspec += f"  {event}:\n    - location: ./scripts/{name}.sh\n      timeout: 900\n"
    source = bundle(tmp_path / "CodeDeployDemo-OnPrem", appspec, scripts)

    server.aws("deploy", "create-application", "--application-name", "CodeDeploy-OnPrem-App")
    server.aws("s3", "mb", "s3://amzn-demo-bucket")
    pushed = server.aws("deploy", "push", "--application-name", "CodeDeploy-OnPrem-App", "--s3-location", "s3://amzn-demo-bucket/app.zip", "--ignore-hidden-files", cwd=source)
    assert "aws deploy create-deployment" in pushed.stdout
    server.aws("deploy", "create-deployment-group", "--application-name", "CodeDeploy-OnPrem-App", "--deployment-group-name", "CodeDeploy-OnPrem-DG",
               "--deployment-config-name", "CodeDeployDefault.OneAtATime", "--on-premises-instance-tag-filters", "Key=Name,Value=CodeDeployDemo-OnPrem,Type=KEY_AND_VALUE",
               "--service-role-arn", ROLE)
    create = ["deploy", "create-deployment", "--application-name", "CodeDeploy-OnPrem-App", "--deployment-config-name", "CodeDeployDefault.OneAtATime",
              "--deployment-group-name", "CodeDeploy-OnPrem-DG", "--s3-location", "bucket=amzn-demo-bucket,key=app.zip,bundleType=zip"]
    for _ in range(2):
        deployment = server.aws_json(*create)["deploymentId"]
        server.aws("deploy", "wait", "deployment-successful", "--deployment-id", deployment)
        assert server.aws("deploy", "get-deployment", "--deployment-id", deployment, "--query", "deploymentInfo.status", "--output", "text").stdout == "Succeeded\n"
        assert sorted(p.name for p in destination.iterdir()) == ["after-install.txt", "application-start.txt", "install.txt", "validate-service.txt"]
    assert server.aws_json("deploy", "list-deployment-instances", "--deployment-id", deployment)["instancesList"] == ["AssetTag1"]

    server.aws("deploy", "delete-application", "--application-name", "CodeDeploy-OnPrem-App")
    deregistered = server.aws("deploy", "deregister", "--instance-name", "AssetTag1", "--region", "us-east-1")
    assert deregistered.stderr == ""
    assert "aws deploy uninstall" in deregistered.stdout
    gone = server.aws("iam", "get-user", "--user-name", "AssetTag1", check=False)
    assert gone.returncode != 0 and "NoSuchEntity" in gone.stderr
    assert (destination / "install.txt").exists(), "hosts keep what is on them (CF-164)"
    # The name is free at once (TU-61).
    shutil.move(home / "codedeploy.onpremises.yml", home / "old.yml")
    assert server.aws("deploy", "register", "--instance-name", "AssetTag1", cwd=home).stderr == ""
