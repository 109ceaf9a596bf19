"""Starts the real binaries in scratch directories and drives them as users do."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, TypeVar

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

REPOSITORY = Path(__file__).resolve().parent.parent
BINARIES = REPOSITORY / "target" / "debug"
ACCOUNT = "000000000001"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CodeDeployServiceRole"
EVENTS = [
    "ApplicationStop",
    "DownloadBundle",
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
]

T = TypeVar("T")


def eventually(question: Callable[[], T], what: str, seconds: float = 60) -> T:
    """Asks until the answer is true; the limit is there to end a broken test, not to time a good one."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"never happened within {seconds} s: {what}")
        time.sleep(0.05)


class Server:
    """A control plane in a directory of its own."""

    def __init__(self, directory: Path, *flags: str):
        self.directory = directory
        self.flags = flags
        self.process: subprocess.Popen | None = None
        self.url = ""
        self.log_path = directory.parent / f"{directory.name}.log"
        self.environment: dict[str, str] = {}
        self._listen = "127.0.0.1:0"

    def start(self) -> "Server":
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [BINARIES / "slipway", "server", "--data-dir", self.directory, "--listen", self._listen, *self.flags],
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline().decode() if ready else ""
        match = re.fullmatch(r"ready (https://\S+)\n", line)
        assert match, f"the server did not become ready: {line!r}\n{self.log()}"
        self.url = match.group(1)
        # A restart comes back under the same address.
        self._listen = self.url.removeprefix("https://")
        self.environment = self._read_environment()
        return self

    def _read_environment(self) -> dict[str, str]:
        """What `. DIR/env` gives a shell."""
        output = subprocess.run(
            ["sh", "-c", '. "$1" && env -0', "sh", str(self.directory / "env")],
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory)},
            check=True,
            capture_output=True,
        ).stdout
        pairs = (entry.split("=", 1) for entry in output.decode().split("\0") if "=" in entry)
        return {name: value for name, value in pairs if name not in {"_", "PWD", "SHLVL"}}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=60)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.kill()

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def aws(self, *arguments: str, check: bool = True, **options) -> subprocess.CompletedProcess:
        """The stock AWS CLI, with nothing but what `. DIR/env` sets."""
        result = subprocess.run(
            [sys.executable, "-m", "awscli", *arguments],
            env=self.environment | options.pop("environment", {}),
            capture_output=True,
            text=True,
            **options,
        )
        if check and result.returncode != 0:
            raise AssertionError(f"aws {' '.join(arguments)}\n{result.stdout}\n{result.stderr}\n--- server\n{self.log()[-4000:]}")
        return result

    def aws_json(self, *arguments: str, **options):
        output = self.aws(*arguments, "--output", "json", **options).stdout
        return json.loads(output) if output.strip() else None

    def client(self, service: str, **overrides):
        """A boto3 client with the administrator's key."""
        credentials = self._administrator()
        options = {
            "endpoint_url": self.url,
            "verify": str(self.directory / "ca.pem"),
            "region_name": "us-east-1",
            "aws_access_key_id": credentials["aws_access_key_id"],
            "aws_secret_access_key": credentials["aws_secret_access_key"],
            "config": Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        }
        return boto3.session.Session().client(service, **(options | overrides))

    def api(self, region: str = "us-east-1", keys: tuple[str, ...] | None = None) -> "Api":
        """Requests in the wire's own form; by default with the administrator's key."""
        administrator = self._administrator()
        return Api(self, region, keys or (administrator["aws_access_key_id"], administrator["aws_secret_access_key"]))

    def _administrator(self) -> dict[str, str]:
        text = (self.directory / "credentials").read_text()
        return dict(re.findall(r"^(aws_\w+)\s*=\s*(\S+)$", text, re.M))


@dataclass
class Answer:
    """An answer of a JSON service."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> dict:
        return json.loads(self.content or b"{}")

    @property
    def code(self) -> str:
        return self.body.get("__type", "") if self.status != 200 else ""

    @property
    def message(self) -> str:
        return self.body.get("message", "")


class Api:
    """Signed requests as bytes: for what no SDK would send."""

    def __init__(self, server: Server, region: str, keys: tuple[str, ...]):
        self.server = server
        self.region = region
        self.keys = keys
        self.http = URLLib3Session(verify=str(server.directory / "ca.pem"), timeout=60)

    def request(self, operation: str, body: bytes) -> AWSRequest:
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"CodeDeploy_20141006.{operation}"}
        return AWSRequest("POST", self.server.url + "/", data=body, headers=headers)

    def sign(self, request: AWSRequest, service: str = "codedeploy") -> AWSRequest:
        SigV4Auth(Credentials(*self.keys), service, self.region).add_auth(request)
        return request

    def send(self, request: AWSRequest) -> Answer:
        answer = self.http.send(request.prepare())
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, headers, answer.content)

    def command(self, operation: str, service: str = "codedeploy-commands", prefix: str = "CodeDeployCommandService_v20141006", **parameters) -> Answer:
        """A call of the agent command service."""
        request = self.request(operation, json.dumps(parameters).encode())
        request.headers.replace_header("X-Amz-Target", f"{prefix}.{operation}")
        request.headers["x-amz-codedeploy-agent-version"] = "TEST_1.8.1"
        return self.send(self.sign(request, service))

    def raw(self, operation: str, body: bytes) -> Answer:
        return self.send(self.sign(self.request(operation, body)))

    def call(self, operation: str, parameters: dict | None = None, **more) -> Answer:
        return self.raw(operation, json.dumps({**(parameters or {}), **more}).encode())

    def done(self, operation: str, parameters: dict | None = None, **more) -> dict:
        answer = self.call(operation, parameters, **more)
        assert answer.status == 200, f"{operation}: {answer.content.decode()}"
        return answer.body


@dataclass
class Agent:
    """A host agent with roots of its own, registered by the stock AWS CLI."""

    name: str
    directory: Path
    server: Server
    tags: str = "Key=Name,Value=fleet"
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen | None = None

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def arn(self) -> str:
        """What it signs and polls as."""
        return f"arn:aws:iam::{ACCOUNT}:user/AWS/CodeDeploy/{self.name}"

    @property
    def config(self) -> Path:
        return self.directory / "codedeployagent.yml"

    @property
    def log_path(self) -> Path:
        return self.directory / "agent.log"

    def register(self) -> "Agent":
        self.directory.mkdir(parents=True)
        self.server.aws("deploy", "register", "--instance-name", self.name, "--tags", *self.tags.split(), cwd=self.directory)
        self.write_config()
        return self

    def keys(self) -> tuple[str, str]:
        """The access key that registration wrote."""
        text = (self.directory / "codedeploy.onpremises.yml").read_text()
        values = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        return values["aws_access_key_id"].strip(), values["aws_secret_access_key"].strip()

    def api(self) -> Api:
        """The wire, signed as this host."""
        return self.server.api(keys=self.keys())

    def write_config(self) -> None:
        settings = {
            "root_dir": self.root,
            "log_dir": self.directory / "log",
            "pid_dir": self.directory / "pid",
            "on_premises_config_file": self.directory / "codedeploy.onpremises.yml",
            "deploy_control_endpoint": self.server.url,
            "ca_bundle": self.server.directory / "ca.pem",
            "spec_signing_certificate": self.server.directory / "slipway-signing.pem",
            "wait_between_runs": 1,
        } | self.settings
        for directory in ("root", "log", "pid"):
            (self.directory / directory).mkdir(exist_ok=True)
        self.config.write_text("".join(f":{key}: {value}\n" for key, value in settings.items()))

    def start(self) -> "Agent":
        self.process = subprocess.Popen(
            [BINARIES / "slipway-agent", "--config-file", self.config, "run"],
            stdout=open(self.log_path, "ab"),
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"]},
        )
        return self

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def deployment_directory(self, group_id: str, deployment: str) -> Path:
        return self.root / group_id / deployment


def bundle(directory: Path, appspec: str, files: dict[str, str]) -> Path:
    """Writes a revision; scripts become executable."""
    if directory.exists():
        shutil.rmtree(directory)
    for name, text in {"appspec.yml": appspec, **files}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text.startswith("#!"):
            path.chmod(0o755)
    return directory


class Fleet:
    """An application, a group and a bucket on a server, with agents."""

    def __init__(self, server: Server, directory: Path):
        self.server = server
        self.directory = directory
        self.agents: list[Agent] = []
        self.codedeploy = server.client("codedeploy")
        self.group_id = ""

    def set_up(self, agents: int, config: str = "CodeDeployDefault.AllAtOnce", start: bool = True) -> "Fleet":
        self.codedeploy.create_application(applicationName="app")
        self.server.client("s3").create_bucket(Bucket="revisions")
        self.group_id = self.codedeploy.create_deployment_group(
            applicationName="app",
            deploymentGroupName="group",
            deploymentConfigName=config,
            serviceRoleArn=ROLE,
            onPremisesInstanceTagFilters=[{"Key": "Name", "Value": "fleet", "Type": "KEY_AND_VALUE"}],
        )["deploymentGroupId"]
        for number in range(1, agents + 1):
            agent = Agent(f"host{number}", self.directory / f"host{number}", self.server).register()
            self.agents.append(agent)
            if start:
                agent.start()
        return self

    def push(self, source: Path, key: str = "app.zip") -> None:
        self.server.aws("deploy", "push", "--application-name", "app", "--s3-location", f"s3://revisions/{key}", "--source", str(source))

    def deploy(self, key: str = "app.zip", **options) -> str:
        return self.codedeploy.create_deployment(
            applicationName="app",
            deploymentGroupName="group",
            revision={"revisionType": "S3", "s3Location": {"bucket": "revisions", "key": key, "bundleType": "zip"}},
            **options,
        )["deploymentId"]

    def info(self, deployment: str) -> dict:
        return self.codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]

    def ended(self, deployment: str, seconds: float = 120) -> dict:
        def ask():
            info = self.info(deployment)
            return info if info["status"] in {"Succeeded", "Failed", "Stopped"} else None

        try:
            return eventually(ask, f"end of {deployment}", seconds)
        except AssertionError as error:
            logs = "\n".join(f"--- {a.name}\n{a.log()[-3000:]}" for a in self.agents)
            raise AssertionError(f"{error}\n{self.info(deployment)}\n--- server\n{self.server.log()[-3000:]}\n{logs}") from None

    def target(self, deployment: str, name: str) -> dict:
        return self.codedeploy.get_deployment_target(deploymentId=deployment, targetId=name)["deploymentTarget"]["instanceTarget"]

    def events(self, deployment: str, name: str) -> dict[str, dict]:
        return {e["lifecycleEventName"]: e for e in self.target(deployment, name)["lifecycleEvents"]}

    def stop(self) -> None:
        for agent in self.agents:
            agent.stop()


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    try:
        yield server.start()
    finally:
        server.stop()
