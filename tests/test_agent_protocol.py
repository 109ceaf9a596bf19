"""The agent command service on the wire: what agents may rely on when networks and disks fail them."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import Server, bundle, eventually, running


@pytest.fixture
def server(tmp_path):
    """Polls are held for two seconds: long enough to be woken, short enough to see one end."""
    (tmp_path / "slipway.toml").write_text("poll_hold_seconds = 2\n")
    with running(Server(tmp_path / "data", "--config", str(tmp_path / "slipway.toml"))) as server:
        yield server


@pytest.fixture
def host(fleet, tmp_path):
    """A registered host without an agent, and a revision to deploy to it."""
    fleet.set_up(agents=1, start=False)
    fleet.push(bundle(tmp_path / "v1", "version: 0.0\nos: linux\n", {}))
    return fleet.agents[0]


def poll(host):
    answer = host.api().command("PollHostCommand", HostIdentifier=host.arn)
    assert answer.status == 200, answer.content
    return answer.body.get("HostCommand")


def command(host):
    return eventually(lambda: poll(host), "a command")


def acknowledge(host, identifier):
    return host.api().command("PutHostCommandAcknowledgement", HostCommandIdentifier=identifier).body["CommandStatus"]


def complete(host, identifier, status="Succeeded", payload='{"error_code":0,"script_name":"","message":"Succeeded: ","log":""}'):
    return host.api().command("PutHostCommandComplete", HostCommandIdentifier=identifier, CommandStatus=status, Diagnostics={"Format": "JSON", "Payload": payload})


def test_an_empty_poll_is_held_and_a_new_command_wakes_it(fleet, host):
    """AP-04."""
    begun = time.monotonic()
    assert host.api().command("PollHostCommand", HostIdentifier=host.arn).body == {}
    assert 1 <= time.monotonic() - begun < 10
    found = []
    waiting = threading.Thread(target=lambda: found.append(poll(host)))
    waiting.start()
    fleet.deploy()
    waiting.join(timeout=60)
    assert found[0]["CommandName"] == "ApplicationStop", "handed to the poll that was waiting, not to the next one"


def test_a_command_is_out_once_and_a_lost_answer_can_be_asked_for_again(fleet, host):
    """AP-09, AP-15, AP-36, D-23."""
    deployment = fleet.deploy()
    first = command(host)
    identifier = first["HostCommandIdentifier"]
    assert acknowledge(host, identifier) == "InProgress"
    assert acknowledge(host, identifier) == "InProgress", "the repeat of a lost answer must not make the agent skip it"
    assert poll(host) is None, "what is under way is not handed out again"
    for _ in range(2):
        assert complete(host, identifier).status == 200
    assert complete(host, identifier, "Failed").status == 200, "a late report is accepted"
    assert fleet.events(deployment, "host1")["ApplicationStop"]["status"] == "Succeeded", "and changes nothing"
    second = command(host)
    assert second["CommandName"] == "DownloadBundle" and second["HostCommandIdentifier"] != identifier
    assert acknowledge(host, identifier) in {"Succeeded", "Failed"}, "an ended command is not to be run"


@pytest.mark.parametrize(("payload", "code", "message", "log"), [
    ("not json", "UnknownError", "", ""),
    ('{"error_code":"Unknown","message":"Attempting minimal diagnostics"}', "UnknownError", "Attempting minimal diagnostics", ""),
    ('{"error_code":6,"script_name":"s","message":"m","log":"l"}', "ScriptFailed", "m", "l"),
    ('{"error_code":7,"message":"restart"}', "UnknownError", "restart", ""),
    (json.dumps({"error_code": 4, "message": "m", "log": "x" * 30_000 + "end"}), "ScriptFailed", "m", "x" * 2045 + "end"),
], ids=["no JSON", "code as text", "outputs left open", "after a restart", "longer than documented"])
def test_whatever_an_agent_reports_is_read(fleet, host, payload, code, message, log):
    """AP-14, AP-16, D-24: a report that cannot be read costs its detail, never the report."""
    deployment = fleet.deploy()
    assert complete(host, command(host)["HostCommandIdentifier"], "Failed", payload).status == 200, "AP-35: without acknowledgement"
    assert fleet.ended(deployment)["status"] == "Failed"
    told = fleet.events(deployment, "host1")["ApplicationStop"]["diagnostics"]
    assert (told["errorCode"], told["message"], told["logTail"]) == (code, message, log)


def test_what_is_wrong_with_a_call_is_told(fleet, host):
    """AP-01, AP-05, D-24."""
    fleet.deploy()
    given = command(host)
    identifier = given["HostCommandIdentifier"]
    api = host.api()
    for answer in (
        complete(host, identifier, "Maybe"),
        complete(host, identifier, "Failed", "x" * 65_537),
        api.command("PutHostCommandComplete", HostCommandIdentifier=identifier),
        api.command("PutHostCommandAcknowledgement"),
        api.command("PollHostCommand"),
        api.command("GetDeploymentSpecification", HostIdentifier=host.arn),
        api.command("GetDeploymentSpecification", HostIdentifier=host.arn, DeploymentExecutionId="a/b/c/d-ZZZZZZZZZ"),
        api.command("GetDeploymentSpecification", HostIdentifier=host.arn, DeploymentExecutionId="nonsense"),
    ):
        assert (answer.status, answer.code) == (400, "ClientException") and answer.message, answer.content
    for service, prefix in (("codedeploy-commands", "CodeDeployCommandService"), ("codedeploy-commands-secure", "CodeDeployCommandService_v20141006")):
        answer = api.command("PollHostCommand", service, prefix, HostIdentifier=host.arn)
        assert (answer.status, answer.code) == (400, "UnknownOperationException")
    denied = api.command("PollHostCommand", "codedeploy-commands-secure", "CodeDeployCommandService", HostIdentifier=host.arn)
    assert (denied.status, denied.code) == (400, "AccessDeniedException"), "D-08: the secure service needs its actions"
    assert api.command("GetDeploymentSpecification", HostIdentifier=host.arn, DeploymentExecutionId=given["DeploymentExecutionId"]).status == 200
    assert acknowledge(host, identifier) == "InProgress", "none of it touched the command"


def test_of_many_deployments_at_once_a_group_takes_one(fleet, host):
    """CF-370: whoever asks at the same moment."""
    api = fleet.server.api()
    revision = {"revisionType": "S3", "s3Location": {"bucket": "revisions", "key": "app.zip", "bundleType": "zip"}}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.call("CreateDeployment", applicationName="app", deploymentGroupName="group", revision=revision), range(16)))
    assert sorted(answer.code for answer in answers) == [""] + ["DeploymentLimitExceededException"] * 15
    made = next(answer.body["deploymentId"] for answer in answers if answer.status == 200)
    assert all(made in answer.message for answer in answers if answer.status != 200)
    assert fleet.codedeploy.list_deployments()["deployments"] == [made]
