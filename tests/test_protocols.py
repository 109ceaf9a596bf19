"""Both wire protocols of the CodeDeploy API (D-06): the same operations, answers and errors, whatever carries them."""

import copy
import datetime
import gzip
import json
import struct
import subprocess

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import create_loader
from botocore.parsers import create_parser

from harness import BINARIES, ROLE, Server, eventually, running

PROTOCOLS = {"json": "application/x-amz-json-1.1", "smithy-rpc-v2-cbor": "application/cbor"}
USER = "arn:aws:iam::000000000001:user/AWS/CodeDeploy/"
REVISION = {"revisionType": "S3", "s3Location": {"bucket": "revisions", "key": "app.zip", "bundleType": "zip"}}
LIMIT = 1024 * 1024


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Per protocol a data path of botocore, with the service's own model as if it had that protocol alone."""
    own = create_loader().load_service_model("codedeploy", "service-2", "2014-10-06")
    assert set(own["metadata"]["protocols"]) == set(PROTOCOLS)
    paths = {}
    for protocol in PROTOCOLS:
        model = copy.deepcopy(own)
        model["metadata"].update(protocol=protocol, protocols=[protocol])
        paths[protocol] = tmp_path_factory.mktemp(protocol)
        file = paths[protocol] / "codedeploy" / "2014-10-06" / "service-2.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(model))
    return paths


def client_of(server, data_path, **config):
    session = botocore.session.Session()
    session.set_config_variable("data_path", str(data_path))
    access_key, secret_key = server.api().keys
    return boto3.session.Session(botocore_session=session).client(
        "codedeploy",
        endpoint_url=server.url,
        verify=str(server.directory / "ca.pem"),
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


@pytest.fixture(scope="module")
def clients(shared_server, models):
    return {protocol: client_of(shared_server, path) for protocol, path in models.items()}


class World:
    """What the calls below ask for; half of it made in each protocol."""

    def __init__(self, clients):
        self.json, self.cbor = clients["json"], clients["smithy-rpc-v2-cbor"]
        self.cbor.register_on_premises_instance(instanceName="protocol-host", iamUserArn=USER + "protocol-host")
        self.json.add_tags_to_on_premises_instances(instanceNames=["protocol-host"], tags=[{"Key": "Name", "Value": "protocol"}])
        self.json.create_application(applicationName="protocols")
        self.cbor.create_deployment_group(
            applicationName="protocols",
            deploymentGroupName="group",
            serviceRoleArn=ROLE,
            onPremisesInstanceTagFilters=[{"Key": "Name", "Value": "protocol", "Type": "KEY_AND_VALUE"}],
        )
        self.stopped = self.deploy(self.json, "stopped")
        self.cbor.stop_deployment(deploymentId=self.stopped)
        self.eventually(self.stopped, "Stopped")
        self.active = self.deploy(self.cbor, "Grüße, 世界 \U0001f980")
        self.eventually(self.active, "InProgress")

    def deploy(self, client, description):
        return client.create_deployment(
            applicationName="protocols",
            deploymentGroupName="group",
            description=description,
            revision=REVISION,
            ignoreApplicationStopFailures=True,
        )["deploymentId"]

    def eventually(self, deployment, status):
        def reached():
            return self.cbor.get_deployment(deploymentId=deployment)["deploymentInfo"]["status"] == status

        eventually(reached, f"{deployment} is {status}")


@pytest.fixture(scope="module")
def world(clients):
    return World(clients)


def answers(clients, operation, **parameters):
    """What each protocol's client makes of the answer, metadata apart."""
    found = {}
    for protocol, client in clients.items():
        found[protocol] = getattr(client, operation)(**parameters)
        metadata = found[protocol].pop("ResponseMetadata")
        assert metadata["HTTPStatusCode"] == 200
        assert metadata["HTTPHeaders"]["x-amzn-requestid"]
    return found


def same(clients, operation, **parameters):
    found = answers(clients, operation, **parameters)
    # Sealed anew each time.
    tokens = {answer.pop("nextToken", None) is None for answer in found.values()}
    assert len(tokens) == 1
    assert found["json"] == found["smithy-rpc-v2-cbor"]
    return found["json"]


def errors(clients, operation, **parameters):
    found = {}
    for protocol, client in clients.items():
        with pytest.raises(ClientError) as caught:
            getattr(client, operation)(**parameters)
        answer = caught.value.response
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        assert headers["content-type"] == PROTOCOLS[protocol]
        assert headers["x-amzn-errortype"] == answer["Error"]["Code"]
        assert answer["ResponseMetadata"]["RequestId"] == headers["x-amzn-requestid"]
        # The exception class is found by the name in the body.
        known = getattr(client.exceptions, answer["Error"]["Code"], ClientError)
        assert isinstance(caught.value, known)
        found[protocol] = answer["Error"], answer["ResponseMetadata"]["HTTPStatusCode"]
    return found


def test_boto3_speaks_the_protocol_that_it_is_told(clients):
    for protocol, client in clients.items():
        assert client.meta.service_model.resolved_protocol == protocol
        headers = client.list_applications()["ResponseMetadata"]["HTTPHeaders"]
        assert headers["content-type"] == PROTOCOLS[protocol]
        assert headers.get("smithy-protocol") == ("rpc-v2-cbor" if protocol != "json" else None)


def test_both_protocols_give_the_same_answers(clients, world):
    app = same(clients, "get_application", applicationName="protocols")["application"]
    assert isinstance(app["createTime"], datetime.datetime)
    group = {"applicationName": "protocols", "deploymentGroupName": "group"}
    same(clients, "list_deployment_groups", applicationName="protocols")
    same(clients, "get_deployment_group", **group)
    same(clients, "get_deployment_config", deploymentConfigName="CodeDeployDefault.HalfAtATime")
    same(clients, "get_deployment_config", deploymentConfigName="CodeDeployDefault.LambdaCanary10Percent5Minutes")
    same(clients, "list_deployment_configs")
    same(clients, "get_application_revision", applicationName="protocols", revision=REVISION)
    assert same(clients, "get_on_premises_instance", instanceName="protocol-host")["instanceInfo"]["tags"]
    same(clients, "batch_get_on_premises_instances", instanceNames=["protocol-host"])
    assert "protocol-host" in same(clients, "list_on_premises_instances", tagFilters=[{"Key": "Name"}])["instanceNames"]


def test_deployments_and_their_times_are_the_same(clients, world):
    stopped = same(clients, "get_deployment", deploymentId=world.stopped)["deploymentInfo"]
    assert stopped["createTime"] <= stopped["completeTime"]
    assert stopped["ignoreApplicationStopFailures"] is True
    assert stopped["description"] == "stopped"
    active = same(clients, "get_deployment", deploymentId=world.active)["deploymentInfo"]
    assert active["description"] == "Grüße, 世界 \U0001f980"
    assert active["createTime"].utcoffset() is not None
    targets = same(clients, "list_deployment_targets", deploymentId=world.active)["targetIds"]
    view = same(clients, "batch_get_deployment_targets", deploymentId=world.active, targetIds=targets)
    assert view["deploymentTargets"][0]["instanceTarget"]["lifecycleEvents"]
    same(clients, "get_deployment_target", deploymentId=world.active, targetId=targets[0])
    same(clients, "list_deployment_targets", deploymentId=world.active, targetFilters={"TargetStatus": ["Pending", "InProgress"]})
    same(clients, "list_deployment_instances", deploymentId=world.active)


def test_times_in_requests_mean_the_same(clients, world):
    """Whole seconds go as an integer, fractions as a double."""
    group = {"applicationName": "protocols", "deploymentGroupName": "group"}
    created = clients["json"].get_deployment(deploymentId=world.active)["deploymentInfo"]["createTime"]
    millisecond, second = datetime.timedelta(milliseconds=1), datetime.timedelta(seconds=1)
    for start, end, found in [
        (created, created + second, True),
        (created + millisecond, created + second, False),
        (created.replace(microsecond=0), created.replace(microsecond=0) + second, True),
    ]:
        listed = same(clients, "list_deployments", createTimeRange={"start": start, "end": end}, **group)["deployments"]
        assert (world.active in listed) is found, (start, end)


def test_creation_answers_alike(clients):
    """Names differ, so the answers differ in ids alone."""
    for number, (protocol, client) in enumerate(clients.items()):
        answer = client.create_application(applicationName=f"own-{number}")
        assert set(answer) == {"applicationId", "ResponseMetadata"}, protocol
        group = client.create_deployment_group(applicationName=f"own-{number}", deploymentGroupName="g", serviceRoleArn=ROLE)
        assert len(group["deploymentGroupId"]) == 36, protocol
        # An operation without output: an empty body, and in CBOR no type either.
        metadata = client.delete_application(applicationName=f"own-{number}")["ResponseMetadata"]
        assert metadata["HTTPHeaders"]["content-length"] == "0", protocol
        if protocol != "json":
            assert "content-type" not in metadata["HTTPHeaders"]
            assert metadata["HTTPHeaders"]["smithy-protocol"] == "rpc-v2-cbor"


@pytest.mark.parametrize(
    "operation, parameters, code",
    [
        ("get_application", {"applicationName": "no such"}, "InvalidApplicationNameException"),
        ("get_application", {"applicationName": "nosuch"}, "ApplicationDoesNotExistException"),
        ("create_application", {"applicationName": "protocols"}, "ApplicationAlreadyExistsException"),
        ("get_deployment", {"deploymentId": "d-NOSUCH123"}, "DeploymentDoesNotExistException"),
        ("get_deployment", {"deploymentId": "x"}, "InvalidDeploymentIdException"),
        ("list_applications", {"nextToken": "forged"}, "InvalidNextTokenException"),
        ("list_deployments", {"includeOnlyStatuses": ["Flying"]}, "InvalidDeploymentStatusException"),
        ("get_on_premises_instance", {"instanceName": "nobody"}, "InstanceNotRegisteredException"),
    ],
)
def test_both_protocols_give_the_same_errors(clients, world, operation, parameters, code):
    found = errors(clients, operation, **parameters)
    assert found["json"] == found["smithy-rpc-v2-cbor"]
    error, status = found["json"]
    assert (error["Code"], status) == (code, 400)
    assert error["Message"]


def test_refused_callers_are_told_alike(shared_server, models):
    for key in ("aws_access_key_id", "aws_secret_access_key"):
        refusals = []
        for path in models.values():
            client = client_of(shared_server, path)
            credentials = client._request_signer._credentials
            setattr(credentials, {"aws_access_key_id": "access_key", "aws_secret_access_key": "secret_key"}[key], "A" * 20)
            with pytest.raises(ClientError) as caught:
                client.list_applications()
            refusals.append(caught.value.response["Error"]["Code"])
        assert refusals[0] == refusals[1] and refusals[0] in {"UnrecognizedClientException", "InvalidSignatureException"}


def test_pages_continue_in_the_other_protocol(clients):
    for number in range(101):
        clients[list(PROTOCOLS)[number % 2]].create_application(applicationName=f"page-{number:03}")
    first = same(clients, "list_applications")
    assert len(first["applications"]) == 100
    tokens = answers(clients, "list_applications")
    rest = {
        protocol: other.list_applications(nextToken=tokens[protocol]["nextToken"])["applications"]
        for protocol, other in zip(clients, reversed(clients.values()), strict=True)
    }
    assert rest["json"] == rest["smithy-rpc-v2-cbor"] and rest["json"]
    paged = [client.get_paginator("list_applications").paginate().build_full_result() for client in clients.values()]
    assert paged[0] == paged[1]
    assert len(set(paged[0]["applications"])) == len(paged[0]["applications"]) > 100


def test_the_stock_cli_takes_cbor(shared_server, models, world):
    """With a model that has CBOR alone, as SDKs of other languages prefer it."""
    told = {}
    for protocol, path in models.items():
        environment = {"AWS_DATA_PATH": str(path)}
        told[protocol] = [
            shared_server.aws("deploy", *call, "--output", "json", check=False, environment=environment)
            for call in (
                ("get-deployment", "--deployment-id", world.stopped),
                ("get-application", "--application-name", "nosuch"),
                ("list-deployments", "--application-name", "protocols", "--deployment-group-name", "group", "--create-time-range", "start=2020-01-01T00:00:00.5"),
            )
        ]
    for json_told, cbor_told in zip(*told.values(), strict=True):
        assert (json_told.returncode, json_told.stdout, json_told.stderr) == (cbor_told.returncode, cbor_told.stdout, cbor_told.stderr)
    assert world.stopped in told["json"][0].stdout
    assert "(ApplicationDoesNotExistException)" in told["json"][1].stderr
    debug = shared_server.aws("deploy", "list-applications", "--debug", environment={"AWS_DATA_PATH": str(models["smithy-rpc-v2-cbor"])})
    assert "/service/CodeDeploy_20141006/operation/ListApplications" in debug.stderr


# ---- what no SDK sends


def cbor(value):
    """Plain CBOR of what these tests send."""

    def head(major, number):
        if number < 24:
            return bytes([major << 5 | number])
        return bytes([major << 5 | 26]) + struct.pack(">I", number)

    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(key) + cbor(inner) for key, inner in value.items())


class Wire:
    """Signed requests as bytes, in CBOR unless the headers say otherwise."""

    def __init__(self, server):
        self.api = server.api()
        self.url = server.url

    def request(self, operation, body=b"\xa0", headers=None, path=None, method="POST"):
        base = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor", "Accept": "application/cbor"}
        headers = {name: value for name, value in (base | (headers or {})).items() if value is not None}
        path = path or f"/service/CodeDeploy_20141006/operation/{operation}"
        return AWSRequest(method, self.url + path, data=body, headers=headers)

    def send(self, operation, body=b"\xa0", headers=None, service="codedeploy", **more):
        return self.api.send(self.api.sign(self.request(operation, body, headers, **more), service))

    def refused(self, answer):
        """Status, name and message of an error, which must be readable in the protocol."""
        assert answer.headers["content-type"] == "application/cbor"
        assert answer.headers["smithy-protocol"] == "rpc-v2-cbor"
        assert answer.headers["x-amzn-requestid"]
        parsed = create_parser("smithy-rpc-v2-cbor").parse({"body": answer.content, "headers": answer.headers, "status_code": answer.status}, None)
        assert parsed["Error"]["Code"] == answer.headers["x-amzn-errortype"]
        return answer.status, parsed["Error"]["Code"], parsed["Error"]["Message"]


@pytest.fixture(scope="module")
def wire(shared_server):
    return Wire(shared_server)


def test_a_request_is_claimed_by_header_and_path(wire):
    assert wire.send("ListApplications").status == 200
    assert wire.send("ListApplications", path="/prefix/service/com.amazonaws.codedeploy.CodeDeploy_20141006/operation/ListApplications").status == 200
    for more, message in [
        ({"operation": "Fly"}, "no such operation"),
        ({"path": "/"}, "no such operation"),
        ({"path": "/service/CodeDeployCommandService_v20141006/operation/PollHostCommand"}, "no such operation"),
        ({"headers": {"smithy-protocol": None}}, "smithy-protocol: rpc-v2-cbor is missing"),
        ({"headers": {"smithy-protocol": "rpc-v2-json"}}, "rpc-v2-cbor is served"),
        ({"headers": {"X-Amz-Target": "CodeDeploy_20141006.DeleteApplication"}}, "not in both"),
        ({"headers": {"X-Amzn-Target": "CodeDeploy_20141006.DeleteApplication"}}, "not in both"),
        ({"method": "PUT"}, "POST"),
        ({"method": "GET", "body": b""}, "POST"),
    ]:
        status, code, told = wire.refused(wire.send(**({"operation": "ListApplications"} | more)))
        assert (status, code) == (400, "UnknownOperationException"), more
        assert message in told, more


def test_bodies_and_answers_are_cbor(wire):
    for headers, body, expected in [
        ({"Content-Type": "application/json"}, b"{}", (415, "UnsupportedMediaTypeException")),
        ({"Content-Type": "application/x-amz-json-1.1"}, b"\xa0", (415, "UnsupportedMediaTypeException")),
        ({"Accept": "application/json"}, b"\xa0", (406, "NotAcceptableException")),
    ]:
        assert wire.refused(wire.send("ListApplications", body, headers))[:2] == expected, headers
    # Nothing to say needs no type.
    for headers in ({}, {"Content-Type": None}, {"Accept": None}, {"Accept": "*/*"}):
        assert wire.send("ListApplications", b"", headers).status == 200, headers


@pytest.mark.parametrize(
    "body, message",
    [
        (cbor({"applicationName": 5}), "applicationName: expected a string, found a number (byte 17)"),
        (cbor({"tags": [{"Key": "a"}, {"Key": []}]}), "tags[1].Key: expected a string, found a list"),
        (b"\xbf" + cbor("applicationName") + b"\x7f" + cbor("a"), "ends too early"),
        (b"\xa1" + cbor("x") + b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "ends too early"),
        (b"\xa1" + cbor("x") + b"\x81" * 500_000, "nested too deeply"),
        (b"\xa1" + cbor("tags") + b"\x9f" + b"\xa0" * 900_000 + b"\xff", "too many values"),
        (b"\xa2" + 2 * (cbor("applicationName") + cbor("a")), "`applicationName` is given twice"),
        (b'{"applicationName":"a"}', "too early"),
        (b"\xa0\xa0", "trailing bytes"),
    ],
    ids=range(9),
)
def test_unreadable_bodies_say_where(wire, body, message):
    status, code, told = wire.refused(wire.send("CreateApplication", body))
    assert (status, code) == (400, "SerializationException")
    assert message in told
    assert len(told) < 500


def test_every_form_of_a_body_is_read(wire, world):
    name = cbor("applicationName")
    for body in [
        b"\xbf" + name + cbor("protocols") + b"\xff",
        b"\xbf\x7f\x6bapplication\x64Name\xff\x7f\x65proto\x64cols\xff\xff",
        b"\xa3" + cbor("new") + b"\xbf\x61a\x9f\x01\xf9\x3c\x00\xff\xff" + name + b"\x7b\0\0\0\0\0\0\0\x09protocols" + cbor("other") + b"\xf7",
    ]:
        answer = wire.send("GetApplication", body)
        assert answer.status == 200, answer.content
        assert b"protocols" in answer.content


def test_authentication_is_the_same(wire, shared_server):
    def refused(request):
        return wire.refused(wire.api.send(request))

    unsigned = wire.request("ListApplications")
    assert refused(unsigned)[:2] == (400, "MissingAuthenticationTokenException")
    for altered in ("body", "path", "header"):
        request = wire.api.sign(wire.request("GetApplication", cbor({"applicationName": "protocols"})))
        if altered == "body":
            request.data = cbor({"applicationName": "protocolz"})
        elif altered == "path":
            request.url = request.url.replace("GetApplication", "DeleteApplication")
        else:
            request.headers.replace_header("Accept", "*/*")
        assert refused(request)[:2] == (400, "InvalidSignatureException"), altered
    for service in ("s3", "iam", "codedeploy-commands"):
        assert refused(wire.api.sign(wire.request("ListApplications"), service))[:2] == (400, "InvalidSignatureException"), service


def test_objects_of_the_store_are_not_mistaken_for_calls(shared_server):
    s3 = shared_server.client("s3")
    s3.create_bucket(Bucket="service")
    key = "CodeDeploy_20141006/operation/ListApplications"
    s3.put_object(Bucket="service", Key=key, Body=b"\xa0", ContentType="application/cbor")
    answer = s3.get_object(Bucket="service", Key=key)
    assert (answer["Body"].read(), answer["ContentType"]) == (b"\xa0", "application/cbor")


def test_the_audit_trail_says_the_same_of_both(tmp_path, models):
    """DP-430; whatever stands beside the members in CBOR."""
    data = tmp_path / "data"
    parameters = {"createTimeRange": {"start": 1767225600.5}, "includeOnlyStatuses": ["Failed"]}
    with running(Server(data)) as server:
        for path in models.values():
            client_of(server, path).list_deployments(**parameters)
        unseen = b"\xa2" + cbor("applicationName") + cbor("seen") + cbor("unknown") + b"\x83\x41a\xd9\xd9\xf7\x01\xa1\x01\x02"
        assert Wire(server).send("CreateApplication", unseen).status == 200
        assert server.terminate() == 0
    told = subprocess.run([BINARIES / "slipway", "admin", "audit", "--data-dir", data, "--json"], capture_output=True, check=True, timeout=60).stdout
    records = [json.loads(line) for line in told.splitlines()]
    listed = [record["requestParameters"] for record in records if record["eventName"] == "ListDeployments"]
    assert listed == [parameters, parameters]
    created = [record for record in records if record["eventName"] == "CreateApplication"]
    assert [record["requestParameters"]["applicationName"] for record in created] == ["seen"]
    assert created[0]["responseElements"]["applicationId"]


# ---- compressed bodies, in both


def send_as(wire, protocol, body, encoding, api=None):
    """GetApplication; the signature is over what is sent."""
    if protocol == "json":
        request = wire.api.request("GetApplication", body)
    else:
        request = wire.request("GetApplication", body)
    if encoding is not None:
        request.headers["Content-Encoding"] = encoding
    # What SDKs add to every call.
    request.headers["amz-sdk-invocation-id"] = "9f1c2f6e-2f4b-4f58-8f3a-5c1f7a0e2b11"
    request.headers["amz-sdk-request"] = "attempt=1; max=3"
    return wire.api.send(wire.api.sign(request))


def encoded(protocol, value):
    return json.dumps(value).encode() if protocol == "json" else cbor(value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_compressed_bodies_are_read(wire, world, protocol):
    body = encoded(protocol, {"applicationName": "protocols", "unknown": "x" * 500_000})
    for sent, encoding in [(body, None), (gzip.compress(body), "gzip"), (body, "identity"), (gzip.compress(body[:9]) + gzip.compress(body[9:]), "gzip")]:
        answer = send_as(wire, protocol, sent, encoding)
        assert answer.status == 200, (encoding, answer.content)
        assert answer.headers["content-type"] == PROTOCOLS[protocol]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bombs_and_unknown_encodings_are_refused(wire, world, protocol):
    body = encoded(protocol, {"applicationName": "protocols"})
    bomb = gzip.compress(encoded(protocol, {"applicationName": "protocols", "unknown": "x" * 300 * LIMIT}))
    assert len(bomb) < LIMIT
    for sent, encoding, status, code in [
        (bomb, "gzip", 413, "RequestEntityTooLarge"),
        (gzip.compress(gzip.compress(body)), "gzip", 400, "SerializationException"),
        (gzip.compress(body)[:-4], "gzip", 400, "SerializationException"),
        (body, "gzip", 400, "SerializationException"),
        (body, "br", 415, "UnsupportedMediaTypeException"),
        (gzip.compress(body), "gzip, gzip", 415, "UnsupportedMediaTypeException"),
        (body, "aws-chunked", 415, "UnsupportedMediaTypeException"),
    ]:
        answer = send_as(wire, protocol, sent, encoding)
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (status, code), encoding


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bodies_beyond_a_mebibyte_are_refused(wire, protocol):
    answer = send_as(wire, protocol, b"x" * (LIMIT + 1), None)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (413, "RequestEntityTooLarge")


def test_nothing_is_inflated_for_strangers(wire):
    request = wire.request("GetApplication", b"not gzip", {"Content-Encoding": "gzip"})
    assert wire.refused(wire.api.send(request))[1] == "MissingAuthenticationTokenException"
