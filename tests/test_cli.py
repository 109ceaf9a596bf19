"""Our own commands: `slipway server|deploy|host|env|explain` and `slipway-agent`."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from harness import BINARIES, EVENTS, ROLE, Agent, Fleet, Server, bundle, eventually, running

APPSPEC = "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: hook.sh\n"


def run(*command, environment=None, cwd=None):
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def fleet(shared_server, tmp_path_factory):
    fleet = Fleet(shared_server, tmp_path_factory.mktemp("cli")).set_up(agents=1)
    yield fleet
    fleet.stop()


@pytest.fixture(scope="module")
def slipway(shared_server):
    """`slipway` with nothing but what `. DIR/env` sets."""
    return lambda *arguments, **options: run(BINARIES / "slipway", *map(str, arguments), environment=shared_server.environment, **options)


def location(key):
    return f"bucket=revisions,key={key},bundleType=zip"


def create(slipway, key, *more):
    return slipway("deploy", "create", "--application-name", "app", "--deployment-group-name", "group", "--s3-location", location(key), *more)


def push(slipway, source, key):
    done = slipway("deploy", "push", "--application-name", "app", "--s3-location", f"s3://revisions/{key}", "--source", source)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_push_create_and_watch_a_deployment_that_succeeds(fleet, slipway, tmp_path):
    source = bundle(tmp_path / "good", APPSPEC, {"hook.sh": "#!/bin/sh\necho fine\n", ".hidden": "x"})
    pushed = push(slipway, source, "good.zip")
    etag = fleet.server.client("s3").head_object(Bucket="revisions", Key="good.zip")["ETag"].strip('"')
    assert "slipway deploy create --application-name app" in pushed and f"eTag={etag}" in pushed
    registered = fleet.codedeploy.get_application_revision(applicationName="app", revision={
        "revisionType": "S3", "s3Location": {"bucket": "revisions", "key": "good.zip", "bundleType": "zip", "eTag": etag}})
    assert registered["revisionInfo"]["description"].startswith("Uploaded by slipway")

    created = create(slipway, "good.zip", "--description", "by our CLI")
    assert created.returncode == 0, created.stderr
    deployment = created.stdout.strip()
    assert re.fullmatch(r"d-[A-Z0-9]{9}", deployment)
    watched = slipway("deploy", "watch", deployment)
    assert watched.returncode == 0, watched.stdout + watched.stderr
    lines = watched.stdout.splitlines()
    ends = [line for line in lines if re.fullmatch(r"\d\d:\d\d:\d\d host1 \w+ Succeeded", line)]
    assert [line.split()[2] for line in ends] == EVENTS, watched.stdout
    assert "Succeeded" in lines[-1] and deployment in watched.stdout
    assert fleet.info(deployment)["description"] == "by our CLI"
    assert slipway("deploy", "watch", deployment).returncode == 0, "one that has ended is told, too"


def test_watching_a_failure_tells_script_message_and_log_and_exits_1(fleet, slipway, tmp_path):
    source = bundle(tmp_path / "bad", APPSPEC, {"hook.sh": "#!/bin/sh\necho the reason >&2\nexit 9\n"})
    push(slipway, source, "bad.zip")
    watched = create(slipway, "bad.zip", "--watch")
    assert watched.returncode == 1, watched.stdout + watched.stderr
    for part in ("host1 AfterInstall Failed", "ScriptFailed", "hook.sh", "failed with exit code 9", "[stderr]the reason", "HEALTH_CONSTRAINTS"):
        assert part in watched.stdout, watched.stdout


def test_a_stopped_deployment_exits_3(fleet, slipway, tmp_path):
    gate = tmp_path / "gate"
    source = bundle(tmp_path / "slow", APPSPEC, {"hook.sh": f"#!/bin/sh\ntouch {tmp_path}/entered\nwhile [ ! -e {gate} ]; do sleep 0.05; done\n"})
    push(slipway, source, "slow.zip")
    deployment = create(slipway, "slow.zip").stdout.strip()
    eventually((tmp_path / "entered").exists, "the hook runs")
    busy = create(slipway, "slow.zip")
    assert busy.returncode == 2 and "DeploymentLimitExceededException" in busy.stderr and deployment in busy.stderr
    stopped = slipway("deploy", "stop", deployment)
    assert stopped.returncode == 0, stopped.stderr
    gate.touch()
    assert slipway("deploy", "watch", deployment).returncode == 3


def test_list_shows_the_newest_first(fleet, slipway):
    api = fleet.server.api()
    ids = api.done("ListDeployments", applicationName="app", deploymentGroupName="group")["deployments"]
    listed = slipway("deploy", "list", "--application-name", "app", "--deployment-group-name", "group")
    lines = listed.stdout.splitlines()
    assert lines[0].split() == ["DEPLOYMENT", "STATUS", "APPLICATION", "GROUP", "CREATED", "REVISION"]
    assert [line.split()[0] for line in lines[1:]] == ids
    assert len(slipway("deploy", "list", "--max-items", "1").stdout.splitlines()) == 2


@pytest.mark.parametrize(("files", "fragments"), [
    ({"appspec.yml": "version: 0.0\nos: linux\nfiles:\n\t- source: /\n"}, ["appspec.yml:4"]),
    ({"appspec.yml": "version: 0.0\nos: linux\nhooks:\n  - x\n"}, ["hooks"]),
    ({"appspec.yml": APPSPEC}, ["hook.sh"]),
    ({}, ["appspec.yml"]),
], ids=["tab", "wrong type", "missing script", "no AppSpec"])
def test_a_bundle_that_cannot_be_deployed_is_refused_before_it_is_uploaded(fleet, slipway, tmp_path, files, fragments):
    source = tmp_path / "source"
    source.mkdir()
    for name, text in files.items():
        (source / name).write_text(text)
    for command in (("validate", source), ("push", "--application-name", "app", "--s3-location", "s3://revisions/refused.zip", "--source", source)):
        done = slipway("deploy", *command)
        assert done.returncode in (1, 2), done
        for fragment in fragments:
            assert fragment in done.stdout + done.stderr
    listed = fleet.server.client("s3").list_objects_v2(Bucket="revisions", Prefix="refused.zip")
    assert listed["KeyCount"] == 0


@pytest.mark.parametrize(("arguments", "fragment"), [
    (["deploy", "watch", "d-ZZZZZZZZZ"], "DeploymentDoesNotExistException"),
    (["deploy", "watch", "nonsense"], "nonsense"),
    (["deploy", "create", "--application-name", "app", "--deployment-group-name", "none", "--s3-location", "bucket=b,key=k,bundleType=zip"], "DeploymentGroupDoesNotExistException"),
    (["deploy", "create", "--application-name", "app", "--deployment-group-name", "group", "--s3-location", "bucket=b,key=k,colour=red"], "colour"),
    (["deploy", "push", "--application-name", "app", "--s3-location", "revisions/key"], "s3://"),
    (["deploy", "fly"], "fly"),
    (["host", "register", "i-1234"], "i-"),
    (["--endpoint-url", "x"], "endpoint-url"),
    (["deploy", "list", "--endpoint-url", "https://127.0.0.1:1"], "127.0.0.1:1"),
    (["deploy", "watch", "d-ZZZZZZZZZ", "--endpoint-url", "https://127.0.0.1:1"], "https://127.0.0.1:1 cannot be reached"),
], ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None)
def test_what_cannot_be_done_exits_2_and_says_why(fleet, slipway, arguments, fragment, tmp_path):
    done = slipway(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done
    assert fragment in done.stderr
    assert "panicked" not in done.stderr


def test_a_control_plane_that_cannot_be_trusted_is_told_with_what_would_be_right(shared_server, tmp_path):
    with running(Server(tmp_path / "other")) as other:
        foreign = shared_server.environment | {"AWS_CA_BUNDLE": str(other.directory / "ca.pem")}
    for arguments in (["deploy", "watch", "d-ZZZZZZZZZ"], ["deploy", "list"]):
        done = run(BINARIES / "slipway", *arguments, environment=foreign)
        assert done.returncode == 2, done
        assert shared_server.url in done.stderr and "AWS_CA_BUNDLE" in done.stderr and "ca.pem" in done.stderr


def test_a_host_is_registered_and_deregistered(fleet, slipway, tmp_path):
    """AG-187..AG-190, AG-198: as the AWS CLI does it, and the file serves an agent."""
    done = slipway("host", "register", "own-host", "--tags", "Key=Role,Value=web", "Key=Zone,Value=a", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file = tmp_path / "codedeploy.onpremises.yml"
    assert file.stat().st_mode & 0o777 == 0o600
    keys = [line.split(":")[0] for line in file.read_text().splitlines() if ": " in line]
    assert keys == ["region", "iam_user_arn", "aws_access_key_id", "aws_secret_access_key"]
    info = fleet.codedeploy.get_on_premises_instance(instanceName="own-host")["instanceInfo"]
    assert sorted((t["Key"], t["Value"]) for t in info["tags"]) == [("Role", "web"), ("Zone", "a")]
    again = slipway("host", "register", "another", cwd=tmp_path)
    assert again.returncode == 2 and "exists already" in again.stderr, "a key on disk is not overwritten"
    taken = slipway("host", "register", "own-host", "--output", tmp_path / "other.yml", cwd=tmp_path)
    assert taken.returncode == 2 and not (tmp_path / "other.yml").exists()
    gone = slipway("host", "deregister", "own-host")
    assert gone.returncode == 0, gone.stderr
    assert fleet.codedeploy.get_on_premises_instance(instanceName="own-host")["instanceInfo"]["deregisterTime"]
    assert fleet.server.aws("iam", "get-user", "--user-name", "own-host", check=False).returncode != 0


def test_env_prints_what_a_shell_needs(fleet, slipway):
    printed = slipway("env", "--data-dir", fleet.server.directory)
    assert printed.returncode == 0
    assert f"AWS_ENDPOINT_URL='{fleet.server.url}'" in printed.stdout
    missing = slipway("env", "--data-dir", fleet.server.directory / "none")
    assert missing.returncode == 2 and "none" in missing.stderr


def test_error_codes_are_explained(slipway):
    assert "exit code" in slipway("explain", "ScriptFailed").stdout
    everything = slipway("explain")
    assert everything.returncode == 0 and "HEALTH_CONSTRAINTS" in everything.stdout
    assert slipway("explain", "NoSuchCode").returncode in (1, 2)


# --- server --------------------------------------------------------------------------------------------------------


def server(*arguments, cwd=None, **variables):
    return run(BINARIES / "slipway", "server", *map(str, arguments), environment={"PATH": os.environ["PATH"], **variables}, cwd=cwd)


def test_the_configuration_is_printed_with_the_source_of_each_value(tmp_path):
    file = tmp_path / "slipway.toml"
    file.write_text('listen = "127.0.0.1:1111"\npacing = "batch"\n\n[quotas]\napplications = 7\n')
    printed = server("--config", file, "--print-config", "--listen", "127.0.0.1:3333", SLIPWAY_PACING="window")
    assert printed.returncode == 0, printed.stderr
    for line in ('listen = "127.0.0.1:3333"  # --listen', 'pacing = "window"  # SLIPWAY_PACING', f"quotas.applications = 7  # {file}:5", 'region = "us-east-1"  # default'):
        assert line in printed.stdout.splitlines(), printed.stdout
    again = tmp_path / "again.toml"
    again.write_text(printed.stdout)
    assert server("--config", again, "--print-config").returncode == 0, "what is printed is a configuration"


@pytest.mark.parametrize(("text", "fragments"), [
    ("lisen = 1\n", ["slipway.toml:1", "lisen", "listen"]),
    ("[quotas]\n\nnoSuch = 1\n", ["slipway.toml:3", "quotas.noSuch"]),
    ('pacing = "fast"\n', ["slipway.toml:1", "pacing", "window"]),
    ("quotas.applications = 0\n", ["slipway.toml:1", "quotas.applications"]),
    ("[broken\n", ["slipway.toml:1"]),
])
def test_a_configuration_with_a_mistake_is_refused_by_its_line(tmp_path, text, fragments):
    (tmp_path / "slipway.toml").write_text(text)
    done = server("--config", tmp_path / "slipway.toml", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    for fragment in fragments:
        assert fragment in done.stderr
    assert not (tmp_path / "data").exists(), "nothing was made"


def test_a_start_that_cannot_work_says_why(fleet, tmp_path):
    missing = server("--config", tmp_path / "none.toml")
    assert missing.returncode == 2 and "none.toml" in missing.stderr
    taken = server("--data-dir", tmp_path / "data", "--listen", fleet.server.url.removeprefix("https://"))
    assert taken.returncode == 2 and fleet.server.url.removeprefix("https://") in taken.stderr
    assert "another port" in taken.stderr, "what would be right"
    (tmp_path / "file").write_text("in the way")
    blocked = server("--data-dir", tmp_path / "file", "--listen", "127.0.0.1:0")
    assert blocked.returncode == 2 and str(tmp_path / "file") in blocked.stderr and "name a directory" in blocked.stderr
    open_http = server("--data-dir", tmp_path / "plain", "--listen", "0.0.0.0:0", "--plain-http", "true")
    assert open_http.returncode == 2 and "loopback" in open_http.stderr, "D-03"


# --- agent ---------------------------------------------------------------------------------------------------------


def agent(*arguments):
    return run(BINARIES / "slipway-agent", *map(str, arguments), environment={"PATH": os.environ["PATH"]})


def runs(pid):
    """Whether it does; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_agent_starts_tells_and_stops(fleet, tmp_path):
    """AG-041..AG-044: texts and exit codes of codedeploy-agent."""
    host = Agent("service", tmp_path / "service", fleet.server).register()
    at = ("--config-file", host.config)
    status = agent(*at, "status")
    assert (status.returncode, status.stderr) == (3, "error: No AWS CodeDeploy agent running\n")
    stop = agent(*at, "stop")
    assert stop.returncode == 0 and "Nothing running that could be stopped" in stop.stdout
    try:
        started = agent(*at, "start")
        assert started.returncode == 0, started.stderr
        text = re.search(r"The AWS CodeDeploy agent is running as PID (\d+)", started.stdout)
        pid = int(text.group(1))
        status = agent(*at, "status")
        assert (status.returncode, status.stdout) == (0, f"The AWS CodeDeploy agent is running as PID {pid}\n")
        assert agent(*at, "start").returncode == 0, "starting twice is no error"
        assert f"PID {pid}\n" in agent(*at, "status").stdout
        eventually(lambda: "codedeploy-agent" in "".join(p.name for p in (host.directory / "log").iterdir()), "it logs")
        restarted = agent(*at, "restart")
        assert restarted.returncode == 0, restarted.stderr
        other = int(re.search(r"PID (\d+)", agent(*at, "status").stdout).group(1))
        assert other != pid and not runs(pid)
    finally:
        stopped = agent(*at, "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert agent(*at, "status").returncode == 3
    assert not list((host.directory / "pid").glob("*.pid"))


def test_the_agent_is_not_stopped_in_mid_deployment(fleet, tmp_path):
    """AG-044: refused while a command runs."""
    host = Agent("busy", tmp_path / "busy", fleet.server, tags="Key=Name,Value=busy").register()
    fleet.codedeploy.create_deployment_group(applicationName="app", deploymentGroupName="busy", serviceRoleArn=ROLE,
                                             onPremisesInstanceTagFilters=[{"Key": "Name", "Value": "busy", "Type": "KEY_AND_VALUE"}])
    gate = tmp_path / "gate"
    fleet.push(bundle(tmp_path / "slow", APPSPEC, {"hook.sh": f"#!/bin/sh\ntouch {tmp_path}/entered\nwhile [ ! -e {gate} ]; do sleep 0.05; done\n"}), "busy.zip")
    at = ("--config-file", host.config)
    assert agent(*at, "start").returncode == 0
    try:
        deployment = fleet.codedeploy.create_deployment(applicationName="app", deploymentGroupName="busy", revision={
            "revisionType": "S3", "s3Location": {"bucket": "revisions", "key": "busy.zip", "bundleType": "zip"}})["deploymentId"]
        eventually((tmp_path / "entered").exists, "the hook runs")
        refused = agent(*at, "stop")
        assert refused.returncode == 1 and "A deployment is already in Progress" in refused.stderr
        gate.touch()
        assert fleet.ended(deployment)["status"] == "Succeeded"
    finally:
        gate.touch()
        eventually(lambda: agent(*at, "stop").returncode == 0, "it stops")


@pytest.mark.parametrize(("arguments", "code", "fragment"), [
    (["--config-file", "/nonexistent/agent.yml", "status"], 1, "/nonexistent/agent.yml"),
    (["fly"], 64, "fly"),
    (["--nonsense"], 64, "--nonsense"),
])
def test_the_agent_refuses_what_it_does_not_understand(arguments, code, fragment):
    done = agent(*arguments)
    assert done.returncode == code, done
    assert fragment in done.stderr
    assert code != 64 or "slipway-agent --help" in done.stderr, "what would be right"


def test_both_programs_tell_what_they_are():
    for asked in ((), ("help",), ("--help",)):
        help_text = agent(*asked)
        assert help_text.returncode == 0 and "start the agent in the background" in help_text.stdout
    for program in ("slipway", "slipway-agent"):
        version = run(BINARIES / program, "--version")
        assert version.returncode == 0 and re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", version.stdout)
