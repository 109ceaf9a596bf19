"""kill -9 of the server and of the agent, and callers who are not who they say."""

import json
import threading

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session

from harness import ACCOUNT, ROLE, Agent, bundle, eventually


def gated(tmp_path, hook="BeforeInstall"):
    """A revision whose hook waits for a gate and counts how often it began."""
    appspec = f"version: 0.0\nos: linux\nhooks:\n  {hook}:\n    - location: wait.sh\n"
    script = f"#!/bin/sh\necho begun >> {tmp_path}/begun\nwhile [ ! -e {tmp_path}/gate ]; do sleep 0.1; done\n"
    return bundle(tmp_path / "gated", appspec, {"wait.sh": script})


def begun(tmp_path):
    path = tmp_path / "begun"
    return path.read_text().count("begun") if path.exists() else 0


def test_a_killed_server_loses_nothing(fleet, tmp_path):
    """kill -9 in mid-deployment: after the restart the deployment ends as if nothing had happened, every hook ran once."""
    fleet.set_up(agents=3)
    fleet.push(gated(tmp_path))
    deployment = fleet.deploy()
    eventually(lambda: begun(tmp_path) == 3, "the hook runs on all three hosts")
    fleet.server.kill()
    (tmp_path / "gate").touch()
    fleet.server.start()
    info = fleet.ended(deployment)
    assert info["status"] == "Succeeded", info
    assert info["deploymentOverview"]["Succeeded"] == 3
    assert begun(tmp_path) == 3, "no command ran twice"


def test_a_server_killed_right_after_create_carries_on(fleet, tmp_path):
    """What was acknowledged is in the store, and what was due is due again."""
    fleet.set_up(agents=1, start=False)
    fleet.push(bundle(tmp_path / "v1", "version: 0.0\nos: linux\n", {}))
    deployment = fleet.deploy()
    fleet.server.kill()
    fleet.server.start()
    fleet.agents[0].start()
    assert fleet.ended(deployment)["status"] == "Succeeded"


def test_a_killed_agent_reports_the_interrupted_command(fleet, tmp_path):
    """AP-19, AG-066: after kill -9 in a hook and a restart the event fails at once, with the documented message."""
    fleet.set_up(agents=1)
    fleet.push(gated(tmp_path))
    deployment = fleet.deploy()
    eventually(lambda: begun(tmp_path) == 1, "the hook has begun")
    agent = fleet.agents[0]
    agent.kill()
    (tmp_path / "gate").touch()
    agent.start()
    assert fleet.ended(deployment)["status"] == "Failed"
    failed = fleet.events(deployment, "host1")["BeforeInstall"]
    assert failed["diagnostics"]["errorCode"] == "UnknownError"
    assert "Failing in-progress lifecycle event after an agent restart." in failed["diagnostics"]["message"]
    assert fleet.ended(fleet.deploy())["status"] == "Succeeded", "a later deployment is not blocked"


def test_a_stopped_server_leaves_with_zero_and_restarts(fleet, tmp_path):
    fleet.set_up(agents=1)
    eventually(lambda: "host1" in fleet.codedeploy.list_on_premises_instances()["instanceNames"], "registration")
    assert fleet.server.terminate() == 0
    fleet.server.start()
    fleet.push(bundle(tmp_path / "v1", "version: 0.0\nos: linux\n", {}))
    assert fleet.ended(fleet.deploy())["status"] == "Succeeded"


def test_a_second_server_on_the_same_directory_is_refused(server):
    import subprocess

    from harness import BINARIES

    second = subprocess.run([BINARIES / "slipway", "server", "--data-dir", server.directory, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert second.returncode != 0
    assert str(server.directory) in second.stderr


def test_a_foreign_host_identity_is_refused_and_logged(server, tmp_path):
    """AP-07, AG-166: an identity polls as itself only; a deregistered one not at all."""
    one, two = (Agent(f"host{n}", tmp_path / f"host{n}", server).register() for n in (1, 2))
    answer = one.api().command("PollHostCommand", HostIdentifier=two.arn)
    assert (answer.status, answer.code) == (400, "AccessDeniedException")
    assert "a foreign host identity was refused" in server.log()
    server.client("codedeploy").deregister_on_premises_instance(instanceName="host2")
    answer = two.api().command("PollHostCommand", HostIdentifier=two.arn)
    assert (answer.status, answer.code) == (400, "AccessDeniedException")


def test_a_host_may_not_use_the_rest_of_the_api(server, tmp_path):
    """Deny by default: the key on a host reads S3 and polls, nothing else."""
    agent = Agent("host1", tmp_path / "host1", server).register()
    key, secret = agent.keys()
    client = server.client("codedeploy", aws_access_key_id=key, aws_secret_access_key=secret)
    with pytest.raises(ClientError) as denied:
        client.list_applications()
    assert denied.value.response["Error"]["Code"] == "AccessDeniedException"


def test_another_hosts_command_cannot_be_reported(fleet, tmp_path):
    """A stolen or guessed identifier is worth nothing to another host (AP-07)."""
    fleet.set_up(agents=2, start=False)
    fleet.push(bundle(tmp_path / "v1", "version: 0.0\nos: linux\n", {}))
    deployment = fleet.deploy()
    one, two = fleet.agents
    command = eventually(lambda: one.api().command("PollHostCommand", HostIdentifier=one.arn).body.get("HostCommand"), "a command for host1")
    for thief, identifier in ((two, command["HostCommandIdentifier"]), (one, "hci-0")):
        for operation, more in (("PutHostCommandComplete", {"CommandStatus": "Failed"}), ("PutHostCommandAcknowledgement", {}), ("PostHostCommandUpdate", {})):
            answer = thief.api().command(operation, HostCommandIdentifier=identifier, **more)
            assert (answer.status, answer.code) == (400, "ClientException"), operation
    assert fleet.events(deployment, "host1")["ApplicationStop"]["status"] != "Failed"


def test_an_agent_with_another_pinned_certificate_runs_nothing(fleet, tmp_path):
    """D-18, AS-177: a specification that the control plane did not sign is refused."""
    fleet.set_up(agents=1, start=False)
    other = tmp_path / "other"
    from harness import Server, running

    with running(Server(other / "data")) as foreign:
        pin = (foreign.directory / "slipway-signing.pem").read_text()
    path = tmp_path / "foreign.pem"
    path.write_text(pin)
    agent = fleet.agents[0]
    agent.settings["spec_signing_certificate"] = str(path)
    agent.write_config()
    agent.start()
    fleet.push(bundle(tmp_path / "v1", "version: 0.0\nos: linux\n", {}))
    deployment = fleet.deploy()
    assert fleet.ended(deployment)["status"] == "Failed"
    assert "Validation of PKCS7 signed message failed" in fleet.events(deployment, "host1")["ApplicationStop"]["diagnostics"]["message"]


def test_session_credentials_poll_as_their_session(fleet, tmp_path):
    """Scenario 2 of file 03: a role session registers by its session ARN, and one ARN registers one instance."""
    server = fleet.server
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]}
    iam = server.client("iam")
    role = iam.create_role(RoleName="CodeDeployInstanceRole", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    iam.put_role_policy(RoleName="CodeDeployInstanceRole", PolicyName="s3", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}]}))
    session = server.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="web2")
    arn = session["AssumedRoleUser"]["Arn"]
    assert arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/CodeDeployInstanceRole/web2"

    fleet.set_up(agents=0)
    codedeploy = server.client("codedeploy")
    server.aws("deploy", "register-on-premises-instance", "--instance-name", "web2", "--iam-session-arn", arn)
    codedeploy.add_tags_to_on_premises_instances(instanceNames=["web2"], tags=[{"Key": "Name", "Value": "fleet"}])
    with pytest.raises(ClientError, match="IamSessionArnAlreadyRegisteredException"):
        codedeploy.register_on_premises_instance(instanceName="web3", iamSessionArn=arn)

    agent = Agent("web2", tmp_path / "web2", server)
    agent.directory.mkdir()
    keys = session["Credentials"]
    (agent.directory / "session").write_text(
        f"[default]\naws_access_key_id = {keys['AccessKeyId']}\naws_secret_access_key = {keys['SecretAccessKey']}\naws_session_token = {keys['SessionToken']}\n")
    (agent.directory / "codedeploy.onpremises.yml").write_text(
        f"---\niam_session_arn: {arn}\naws_credentials_file: {agent.directory}/session\nregion: us-east-1\n")
    agent.write_config()
    fleet.agents.append(agent.start())
    fleet.push(bundle(tmp_path / "v1", "version: 0.0\nos: linux\n", {}))
    assert fleet.ended(fleet.deploy())["status"] == "Succeeded"


def test_unsigned_and_badly_signed_calls_are_refused(server):
    """AS-146, AS-147, AP-07."""
    with pytest.raises(ClientError) as error:
        server.client("codedeploy", aws_secret_access_key="x" * 40).list_applications()
    assert error.value.response["Error"]["Code"] == "InvalidSignatureException"
    with pytest.raises(ClientError) as error:
        server.client("codedeploy", aws_access_key_id="AKIAAAAAAAAAAAAAAAAA").list_applications()
    assert error.value.response["Error"]["Code"] == "UnrecognizedClientException"
    request = AWSRequest("POST", server.url + "/", data="{}", headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "CodeDeploy_20141006.ListApplications"})
    answer = URLLib3Session(verify=str(server.directory / "ca.pem")).send(request.prepare())
    assert answer.status_code in (400, 403)
    assert json.loads(answer.content)["__type"] == "MissingAuthenticationTokenException"
    assert answer.headers["x-amzn-RequestId"]


def test_failed_authentication_does_not_fill_the_log(server):
    """Whoever reaches the port can fail as often as they like; the log tells the first, and how many followed."""
    stranger = server.api(keys=("AKIAAAAAAAAAAAAAAAAA", "x" * 40))
    s3 = server.client("s3", aws_access_key_id="AKIAAAAAAAAAAAAAAAAB", aws_secret_access_key="x" * 40)
    for _ in range(100):
        assert stranger.call("ListApplications").code == "UnrecognizedClientException"
        with pytest.raises(ClientError):
            s3.list_buckets()
    lines = server.log().splitlines()
    for key in ("AKIAAAAAAAAAAAAAAAAA", "AKIAAAAAAAAAAAAAAAAB"):
        assert len([line for line in lines if key in line]) == 1, "told once"
    assert len([line for line in lines if "status=4" in line or '"status":4' in line]) == 0


class Clients:
    """Threads that ask for things and remember every answer, while the server dies under them."""

    def __init__(self, server, threads):
        self.server, self.done, self.refused = server, threading.Event(), []
        self.acknowledged = {name: [] for name in ("applications", "revisions", "tags", "objects", "deployments")}
        self.unexpected = []
        self.workers = [threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(threads)]
        for worker in self.workers:
            worker.start()

    def count(self):
        return sum(len(names) for names in self.acknowledged.values())

    def work(self, worker):
        codedeploy, s3 = self.server.client("codedeploy"), self.server.client("s3")
        number = 0
        while not self.done.is_set():
            number += 1
            try:
                self.one(codedeploy, s3, f"w{worker}-{number:05}")
            except ClientError as error:
                self.unexpected.append(error)
            except BotoCoreError:
                # No answer: it may have happened or not. The address is taken until the server is back.
                self.done.wait(0.01)

    def one(self, codedeploy, s3, name):
        """Each step is written down when its answer is there, and not before."""
        s3.put_object(Bucket="revisions", Key=name, Body=name.encode() * 20)
        self.acknowledged["objects"].append(name)
        codedeploy.create_application(applicationName=name)
        self.acknowledged["applications"].append(name)
        try:
            codedeploy.create_application(applicationName=name, tags=[{"Key": "late", "Value": "yes"}])
            self.unexpected.append(f"{name} was created twice")
        except codedeploy.exceptions.ApplicationAlreadyExistsException:
            pass
        revision = {"revisionType": "S3", "s3Location": {"bucket": "revisions", "key": name, "bundleType": "zip"}}
        codedeploy.register_application_revision(applicationName=name, revision=revision)
        self.acknowledged["revisions"].append(name)
        codedeploy.register_on_premises_instance(instanceName=name, iamUserArn=f"arn:aws:iam::{ACCOUNT}:user/{name}")
        codedeploy.add_tags_to_on_premises_instances(instanceNames=[name], tags=[{"Key": "Name", "Value": name}])
        self.acknowledged["tags"].append(name)
        codedeploy.create_deployment_group(applicationName=name, deploymentGroupName="group", serviceRoleArn=ROLE,
                                           onPremisesInstanceTagFilters=[{"Key": "Name", "Value": "nobody", "Type": "KEY_AND_VALUE"}])
        try:
            codedeploy.create_deployment(applicationName=name, deploymentGroupName="no-such-group", revision=revision)
            self.unexpected.append(f"{name} has a deployment without a group")
        except codedeploy.exceptions.DeploymentGroupDoesNotExistException:
            pass
        id = codedeploy.create_deployment(applicationName=name, deploymentGroupName="group", revision=revision)["deploymentId"]
        self.acknowledged["deployments"].append((name, id))

    def end(self):
        self.done.set()
        for worker in self.workers:
            worker.join(60)
            assert not worker.is_alive()


def test_nothing_that_was_acknowledged_is_lost_however_often_the_server_is_killed(server):
    """Five rounds of kill -9 under load: whatever was answered with success is there, what was refused is not."""
    admin = server.client("codedeploy")
    server.client("s3").create_bucket(Bucket="revisions")
    clients = Clients(server, 4)
    try:
        for round in range(5):
            before = clients.count()
            # In the middle of work, at another moment of it each time.
            eventually(lambda: clients.count() >= before + 20 + 3 * round or clients.unexpected, "the clients get on", 30)
            server.kill()
            server.start()
    finally:
        clients.end()
    assert clients.unexpected == []
    acknowledged = clients.acknowledged
    assert len(acknowledged["deployments"]) > 10, {name: len(values) for name, values in acknowledged.items()}

    listed = {name for page in admin.get_paginator("list_applications").paginate() for name in page["applications"]}
    assert set(acknowledged["applications"]) <= listed
    s3 = server.client("s3")
    for name in acknowledged["objects"]:
        assert s3.get_object(Bucket="revisions", Key=name)["Body"].read() == name.encode() * 20
    for name in acknowledged["revisions"]:
        revision = {"revisionType": "S3", "s3Location": {"bucket": "revisions", "key": name, "bundleType": "zip"}}
        admin.get_application_revision(applicationName=name, revision=revision)
    for name in acknowledged["tags"]:
        assert admin.get_on_premises_instance(instanceName=name)["instanceInfo"]["tags"] == [{"Key": "Name", "Value": name}]
    for name, id in acknowledged["deployments"]:
        info = admin.get_deployment(deploymentId=id)["deploymentInfo"]
        assert (info["applicationName"], info["deploymentGroupName"]) == (name, "group")
        assert admin.list_deployments(applicationName=name, deploymentGroupName="group")["deployments"] == [id], "once"
    for name in listed:
        # What was refused left nothing: neither tags nor a group that nobody made.
        assert admin.list_tags_for_resource(ResourceArn=f"arn:aws:codedeploy:us-east-1:{ACCOUNT}:application:{name}")["Tags"] == []
        assert set(admin.list_deployment_groups(applicationName=name)["deploymentGroups"]) <= {"group"}
