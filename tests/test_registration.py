"""From a machine to a host and back: `slipway-agent register`, `deregister`, `uninstall`, `session`, `slipway host` (AG-160, AG-173, AG-187..AG-200)."""

import os
import subprocess

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, BINARIES, Agent, Fleet, bundle, eventually

USER_ARN = f"arn:aws:iam::{ACCOUNT}:user/AWS/CodeDeploy/%s"
SESSION_ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/CodeDeployInstanceRole/%s"


class Machine:
    """A machine with a configuration of its own, which has never heard of a control plane."""

    def __init__(self, directory, server):
        self.directory = directory
        self.server = server
        self.config = directory / "conf" / "codedeployagent.yml"
        self.on_premises = directory / "conf" / "codedeploy.onpremises.yml"
        self.config.parent.mkdir(parents=True)
        self.config.write_text(
            f"---\n# The operator's own words.\n:root_dir: {directory}/root\n:log_dir: {directory}/log\n:pid_dir: {directory}/pid\n"
            f":on_premises_config_file: {self.on_premises}\n:verbose: true\n"
        )

    def __call__(self, command, *words, check=True):
        done = subprocess.run(
            [BINARIES / "slipway-agent", command, "--config-file", self.config, *words],
            env=self.server.environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done

    def files(self):
        return {path.name for path in self.config.parent.iterdir()}


@pytest.fixture
def machine(server, tmp_path):
    return Machine(tmp_path / "machine", server)


def info(server, name):
    return server.client("codedeploy").get_on_premises_instance(instanceName=name)["instanceInfo"]


def user_exists(server, name):
    return server.aws("iam", "get-user", "--user-name", name, check=False).returncode == 0


def deployed(fleet: Fleet, machine: Machine, name: str):
    """An agent with what registration has written, and nothing else, carries out a deployment."""
    agent = Agent(name, machine.directory, fleet.server)
    fleet.agents.append(agent.start())
    fleet.push(bundle(fleet.directory / "revision", f"version: 0.0\nos: linux\nfiles:\n  - source: hello.txt\n    destination: {machine.directory}/installed\n", {"hello.txt": "hello"}))
    assert fleet.ended(fleet.deploy())["status"] == "Succeeded"
    assert (machine.directory / "installed" / "hello.txt").read_text() == "hello"
    return agent


@pytest.mark.parametrize("session", [False, True], ids=["user", "session"])
def test_a_machine_registers_itself_and_is_deployed_to(fleet, machine, tmp_path, session):
    """AG-160, AG-174, AG-188, D-18: one command, then deployments arrive; CA and signing certificate are pinned."""
    server = fleet.set_up(agents=0).server
    (machine.directory / "codedeployagent.yml").symlink_to(machine.config)
    done = machine("register", "--name", "web-1", "--tags", "Key=Name,Value=fleet", "--no-start", *(["--session"] if session else []))
    assert "Registered web-1" in done.stdout
    assert machine.on_premises.stat().st_mode & 0o777 == 0o600
    text = machine.config.read_text()
    assert "# The operator's own words." in text and ":verbose: true" in text
    assert f":deploy_control_endpoint: '{server.url}'" in text
    assert (machine.config.parent / "slipway-ca.pem").read_text() == (server.directory / "ca.pem").read_text()
    assert (machine.config.parent / "slipway-signing.pem").read_text() == (server.directory / "slipway-signing.pem").read_text()
    known = info(server, "web-1")
    if session:
        assert known["iamSessionArn"] == SESSION_ARN % "web-1" and "iamUserArn" not in known
    else:
        assert known["iamUserArn"] == USER_ARN % "web-1"
    agent = deployed(fleet, machine, "web-1")
    if session:
        credentials = machine.config.parent / "session.credentials"
        assert credentials.stat().st_mode & 0o777 == 0o600 and "aws_session_token" in credentials.read_text()
        assert f"Opened the session {SESSION_ARN % 'web-1'}" in agent.log()
    # Once more: nothing is made twice.
    before = machine.on_premises.read_text()
    assert "already" in machine("register", "--name", "web-1", "--tags", "Key=Role,Value=web", "--no-start").stdout
    assert machine.on_premises.read_text() == before
    assert {tag["Key"] for tag in info(server, "web-1")["tags"]} == {"Name", "Role"}
    other = machine("register", "--name", "web-2", "--no-start", check=False)
    assert other.returncode == 1 and "has an identity already" in other.stderr and not user_exists(server, "web-2")

    agent.stop()
    machine("deregister")
    assert info(server, "web-1")["deregisterTime"] and not user_exists(server, "web-1")
    assert machine.files() == {"codedeployagent.yml", "slipway-ca.pem", "slipway-signing.pem"}, "AG-197: no key stays"
    machine("register", "--name", "web-1", "--no-start")
    assert user_exists(server, "web-1"), "AG-211: the same name can be registered again"


def test_the_key_that_opens_sessions_can_do_nothing_else(server, machine):
    """AG-164, AP-07: a host that is taken over cannot speak for another one."""
    machine("register", "--name", "web-1", "--session", "--no-start")
    text = (machine.config.parent / "session-source.credentials").read_text()
    keys = dict(line.split(" = ") for line in text.splitlines() if " = " in line)
    sts = server.client("sts", **keys)
    role = f"arn:aws:iam::{ACCOUNT}:role/CodeDeployInstanceRole"
    assert sts.assume_role(RoleArn=role, RoleSessionName="web-1")["AssumedRoleUser"]["Arn"] == SESSION_ARN % "web-1"
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=role, RoleSessionName="web-2")
    with pytest.raises(ClientError, match="AccessDenied"):
        server.client("s3", **keys).list_buckets()


@pytest.mark.parametrize("method", [[], ["--session"]], ids=["user", "session"])
def test_nothing_is_left_of_a_registration_that_fails(server, machine, method):
    """A second attempt finds no remains of the first, here or at the control plane."""
    codedeploy = server.client("codedeploy")
    codedeploy.register_on_premises_instance(instanceName="taken", iamUserArn=USER_ARN % "somebody")
    taken = machine("register", "--name", "taken", "--no-start", *method, check=False)
    assert taken.returncode == 1 and "InstanceNameAlreadyRegisteredException" in taken.stderr
    assert not user_exists(server, "taken")
    assert machine.files() == {"codedeployagent.yml"}
    # The files cannot be written: a directory is in the place of the last one.
    machine.on_premises.mkdir()
    failed = machine("register", "--name", "web-1", "--no-start", *method, check=False)
    assert failed.returncode == 1 and "codedeploy.onpremises.yml" in failed.stderr
    assert not user_exists(server, "web-1") and info(server, "web-1")["deregisterTime"]
    assert machine.files() == {"codedeployagent.yml", "codedeploy.onpremises.yml"}
    assert "deploy_control_endpoint" not in machine.config.read_text()
    roles = [role["RoleName"] for role in server.client("iam").list_roles()["Roles"]]
    assert "CodeDeployInstanceRole" not in roles


@pytest.mark.parametrize("words, fragment", [
    (["--name", "i-1"], "Instance name cannot start with 'i-'."),
    (["--name", "a b"], "Instance name contains invalid characters."),
    (["--name", "x" * 65], "cannot be longer than 64"),
    (["--name", "x", "--iam-user-arn", "arn:aws:iam::1:user/x"], "Invalid IAM user ARN."),
    (["--name", "x", "--tags", *(f"Key={n},Value=v" for n in range(11))], "maximum of 10 tags"),
    (["--name", "x", "--endpoint-url", "https://127.0.0.1:1"], "cannot be reached"),
], ids=["ec2", "characters", "long", "arn", "tags", "nobody"])
def test_what_cannot_be_registered_is_told_before_anything_is_made(server, machine, words, fragment):
    """AG-186, AG-191."""
    done = machine("register", "--no-start", *words, check=False)
    assert done.returncode == 1 and fragment in done.stderr, done
    assert machine.files() == {"codedeployagent.yml"}
    assert server.aws_json("deploy", "list-on-premises-instances")["instanceNames"] == []


def test_an_existing_user_is_registered_without_a_file(server, machine):
    """AG-189, A-26."""
    server.aws("iam", "create-user", "--user-name", "mine")
    arn = f"arn:aws:iam::{ACCOUNT}:user/mine"
    done = machine("register", "--name", "own", "--iam-user-arn", arn, "--no-start")
    assert info(server, "own")["iamUserArn"] == arn
    assert f"Write {machine.on_premises} yourself" in done.stdout and not machine.on_premises.exists()
    machine("deregister", "--name", "own", "--no-delete-iam-user")
    assert user_exists(server, "mine")


def test_uninstall_forgets_the_identity_and_leaves_the_registration(server, machine):
    """AG-197."""
    machine("register", "--name", "web-1", "--session", "--no-start")
    done = machine("uninstall")
    assert not machine.on_premises.exists() and not (machine.config.parent / "session-source.credentials").exists()
    assert "deregisterTime" not in info(server, "web-1") and "still registered" in done.stdout
    machine("uninstall")


def test_a_session_is_opened_once_into_a_file(server, tmp_path):
    """AG-173: what the session helper does, under its name too."""
    server.aws("iam", "create-role", "--role-name", "hosts", "--assume-role-policy-document",
               '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"sts:AssumeRole"}]}' % ACCOUNT)
    role = f"arn:aws:iam::{ACCOUNT}:role/hosts"
    helper = tmp_path / "get_sts_creds"
    helper.symlink_to(BINARIES / "slipway-agent")
    file = tmp_path / "session"
    words = ["--role-arn", role, "--file", file, "--session-name-override", "box", "--duration", "900", "--print-session-arn"]
    for command in ([helper], [BINARIES / "slipway-agent", "session"]):
        done = subprocess.run([*command, *words], env=server.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == f"arn:aws:sts::{ACCOUNT}:assumed-role/hosts/box"
        assert file.stat().st_mode & 0o777 == 0o600
        environment = {k: v for k, v in server.environment.items() if k != "AWS_PROFILE"} | {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
        environment.pop("AWS_ACCESS_KEY_ID", None), environment.pop("AWS_SECRET_ACCESS_KEY", None)
        asked = server.aws_json("sts", "get-caller-identity", environment=environment)
        assert asked["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/hosts/box"
        file.unlink()
    nowhere = subprocess.run([helper, "--role-arn", role, "--file", tmp_path / "no" / "where"], env=server.environment, capture_output=True, text=True)
    assert nowhere.returncode == 1 and str(tmp_path / "no" / "where") in nowhere.stderr


def test_a_workstation_registers_a_host_with_sessions(fleet, tmp_path):
    """AG-160, AG-174: `slipway host register --session`; the two files are all that the host needs besides its settings."""
    server = fleet.set_up(agents=0).server
    slipway = lambda *words: subprocess.run([BINARIES / "slipway", *words], cwd=tmp_path, env=server.environment, capture_output=True, text=True)
    done = slipway("host", "register", "web-1", "--session", "--tags", "Key=Name,Value=fleet")
    assert done.returncode == 0, done.stderr
    on_premises, source = tmp_path / "codedeploy.onpremises.yml", tmp_path / "session-source.credentials"
    assert on_premises.stat().st_mode & 0o777 == source.stat().st_mode & 0o777 == 0o600
    assert str(source.name) in done.stdout and info(server, "web-1")["iamSessionArn"] == SESSION_ARN % "web-1"
    assert slipway("host", "register", "web-2", "--session").returncode == 2, "keys on disk are not overwritten"
    # The host keeps its files elsewhere than this machine's.
    directory = tmp_path / "host"
    directory.mkdir()
    text = on_premises.read_text().replace("/etc/codedeploy-agent/conf", str(directory))
    (directory / "codedeploy.onpremises.yml").write_text(text)
    (directory / source.name).write_text(source.read_text())
    agent = Agent("web-1", directory, server)
    agent.write_config()
    fleet.agents.append(agent.start())
    fleet.push(bundle(tmp_path / "revision", "version: 0.0\nos: linux\n", {}))
    assert fleet.ended(fleet.deploy())["status"] == "Succeeded"
    agent.stop()
    assert slipway("host", "deregister", "web-1").returncode == 0
    assert not user_exists(server, "web-1") and info(server, "web-1")["deregisterTime"]


def test_an_expired_session_is_replaced_without_a_restart(fleet, machine):
    """AG-169, A-05, AP-34: the agent opens another session as soon as the service takes the old one for expired."""
    server = fleet.set_up(agents=0).server
    (machine.directory / "codedeployagent.yml").symlink_to(machine.config)
    machine("register", "--name", "web-1", "--tags", "Key=Name,Value=fleet", "--session", "--no-start")
    agent = deployed(fleet, machine, "web-1")
    credentials = machine.config.parent / "session.credentials"
    torn = credentials.read_text().replace("aws_session_token = ", "aws_session_token = x")
    credentials.write_text(torn)
    eventually(lambda: credentials.read_text() != torn, "another session", 120)
    assert fleet.ended(fleet.deploy(fileExistsBehavior="OVERWRITE"))["status"] == "Succeeded"
    assert agent.process.poll() is None and os.path.exists(credentials)
