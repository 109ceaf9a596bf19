"""What is malformed, oversized, hostile or does not fit on the disk: a clear typed error, and nothing else happens."""

import contextlib
import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from datetime import datetime, timedelta, timezone
from unittest import mock

import pytest
from botocore import auth
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from harness import Agent, Fleet, Server, bundle, eventually, running


@pytest.fixture(scope="module")
def api(shared_server):
    return shared_server.api()


@pytest.mark.parametrize(("body", "fragment"), [
    (b"{", "ends too early"), (b'{"a":[1,2', "ends too early"), (b"not json", "not valid JSON"), (b'{"a":1}}', "not valid JSON"), (b"\x00\x01\xff", "not valid JSON"),
    (b"[]", "object"), (b"7", "object"), (b'"text"', "object"), (b"[" * 100_000, ""), (b'{"applicationName":' * 50_000, ""),
    (gzip.compress(b'{"applicationName":"x"}'), "not valid JSON"),
    (b'{"applicationName":"\xff\xfe"}', ""),
    (b'{"applicationName":"a","applicationName":"b"}', "twice"),
], ids=lambda value: repr(value)[:24] if isinstance(value, bytes) else None)
def test_a_body_that_is_no_json_object_is_refused(api, body, fragment):
    answer = api.raw("GetApplication", body)
    assert (answer.status, answer.code) == (400, "SerializationException"), answer.content
    assert fragment in answer.message


@pytest.mark.parametrize(("operation", "parameters", "member"), [
    ("GetApplication", {"applicationName": 7}, "applicationName"),
    ("GetApplication", {"applicationName": ["a"]}, "applicationName"),
    ("CreateApplication", {"applicationName": "a", "tags": "x"}, "tags"),
    ("CreateApplication", {"applicationName": "a", "tags": [{"Key": 1}]}, "tags[0].Key"),
    ("CreateApplication", {"applicationName": "a", "tags": [{"Key": "k"}, 7]}, "tags[1]"),
    ("RegisterApplicationRevision", {"applicationName": "a", "revision": {"s3Location": {"bucket": {}}}}, "revision.s3Location.bucket"),
    ("CreateDeployment", {"applicationName": "a", "ignoreApplicationStopFailures": "yes"}, "ignoreApplicationStopFailures"),
    ("ListDeployments", {"createTimeRange": {"start": "yesterday"}}, "createTimeRange.start"),
    ("ListDeployments", {"includeOnlyStatuses": {"a": 1}}, "includeOnlyStatuses"),
    ("CreateDeploymentGroup", {"applicationName": "a", "onPremisesTagSet": {"onPremisesTagSetList": [{}]}}, "onPremisesTagSet.onPremisesTagSetList[0]"),
])
def test_a_value_of_the_wrong_type_is_refused_by_its_place(api, operation, parameters, member):
    answer = api.call(operation, parameters)
    assert (answer.status, answer.code) == (400, "SerializationException"), answer.content
    assert answer.message.startswith(f"{member}:"), answer.message
    assert "line 1" in answer.message


def test_unknown_members_and_nulls_are_no_error(api):
    """Newer SDKs send what this version does not know."""
    assert api.call("ListApplications", {"fromTheFuture": {"a": [1]}, "nextToken": None}).status == 200
    assert api.raw("ListApplications", b"").status == 200


def test_a_body_may_be_one_mebibyte_long_and_not_a_byte_more(api):
    frame = len(json.dumps({"padding": ""}))
    limit = 1 << 20
    assert api.call("ListApplications", padding="x" * (limit - frame)).status == 200
    for length in (limit + 1, 5 * limit):
        answer = api.call("ListApplications", padding="x" * (length - frame))
        assert answer.status == 413 and "1048576" in answer.message, answer.content[:200]
        assert answer.code == "RequestEntityTooLarge"


@pytest.mark.parametrize("target", ["CodeDeploy_20141006.Fly", "CodeDeploy_20141006.", "CodeDeploy_2038.ListApplications", "Nonsense", "X.Y.Z", "CodeDeploy_20141006.listApplications"])
def test_an_unknown_target_is_an_unknown_operation(api, target):
    request = api.request("", b"{}")
    request.headers.replace_header("X-Amz-Target", target)
    answer = api.send(api.sign(request))
    assert (answer.status, answer.code) == (400, "UnknownOperationException")


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/", 200), ("GET", "/healthz", 200), ("GET", "/metrics", 200), ("GET", "/nothing", 404), ("POST", "/healthz", 404),
    ("PUT", "/", 404), ("DELETE", "/", 404), ("OPTIONS", "*", 404), ("GET", "/../../etc/passwd", 404), ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
])
def test_unsigned_requests_find_little(shared_server, method, path, status):
    import http.client
    import ssl

    host, port = shared_server.url.removeprefix("https://").split(":")
    connection = http.client.HTTPSConnection(host, int(port), context=ssl.create_default_context(cafile=str(shared_server.directory / "ca.pem")), timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        assert answer.status == status
        assert b"root:" not in answer.read()


def test_what_is_no_http_at_all_is_cut_off_and_does_no_harm(shared_server, api):
    import socket
    import ssl

    host, port = shared_server.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=str(shared_server.directory / "ca.pem"))
    for garbage in (b"\x00" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000, b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"):
        for wrapped in (True, False):
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=30) as plain:
                with context.wrap_socket(plain, server_hostname=host) if wrapped else contextlib.nullcontext(plain) as connection:
                    connection.sendall(garbage)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(4096)
    assert api.call("ListApplications").status == 200
    assert "panicked" not in shared_server.log()


def shifted(minutes):
    """The signer's clock, wrong by so much."""
    moment = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    return mock.patch.multiple(auth, get_current_datetime=lambda *_, **__: moment.replace(tzinfo=None), create=True)


@pytest.mark.parametrize(("minutes", "accepted"), [(-14, True), (14, True), (-16, False), (16, False), (-60 * 24, False)])
def test_a_clock_may_be_wrong_by_a_quarter_of_an_hour(api, minutes, accepted):
    """AS-147."""
    request = api.request("ListApplications", b"{}")
    with shifted(minutes):
        api.sign(request)
    sent = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    assert abs((sent - datetime.now(timezone.utc)).total_seconds() - minutes * 60) < 30, "the signer's clock is shifted"
    answer = api.send(request)
    if accepted:
        assert answer.status == 200
    else:
        assert (answer.status, answer.code) == (400, "InvalidSignatureException"), answer.content
        assert "Signature" in answer.message and "20" in answer.message


def test_what_was_changed_after_signing_is_refused(api):
    def changed(change):
        request = api.sign(api.request("ListApplications", b'{"nextToken":null}'))
        change(request)
        return api.send(request).code

    assert changed(lambda r: None) == ""
    assert changed(lambda r: setattr(r, "data", b'{"nextToken":"x" }')) == "InvalidSignatureException"
    assert changed(lambda r: r.headers.replace_header("X-Amz-Target", "CodeDeploy_20141006.ListDeployments")) == "InvalidSignatureException"
    assert changed(lambda r: r.headers.replace_header("Content-Type", "application/json")) == "InvalidSignatureException"
    assert changed(lambda r: setattr(r, "url", r.url + "?a=b")) == "InvalidSignatureException"
    authorization = lambda old, new: lambda r: r.headers.replace_header("Authorization", r.headers["Authorization"].replace(old, new))  # noqa: E731
    assert changed(authorization("us-east-1", "eu-west-1")) == "InvalidSignatureException"
    assert changed(authorization("/codedeploy/", "/s3/")) == "InvalidSignatureException"
    assert changed(authorization("x-amz-target", "x-amz-other")) in {"InvalidSignatureException", "IncompleteSignatureException"}
    assert changed(authorization("Signature=", "Signature=0")) in {"InvalidSignatureException", "IncompleteSignatureException"}
    assert changed(authorization("SignedHeaders=", "Signed=")) == "IncompleteSignatureException"
    assert changed(authorization("AWS4-HMAC-SHA256", "AWS4-HMAC-MD5")) in {"InvalidSignatureException", "IncompleteSignatureException", "MissingAuthenticationTokenException"}


def test_the_presigned_form_works_for_the_api_too(api):
    request = api.request("ListApplications", b"{}")
    SigV4QueryAuth(Credentials(*api.keys), "codedeploy", "us-east-1", expires=60).add_auth(request)
    assert "X-Amz-Signature" in request.url and "Authorization" not in request.headers
    assert api.send(request).status == 200
    request.url = request.url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")
    assert api.send(request).code == "InvalidSignatureException"


def test_a_credential_for_one_service_does_not_open_another(api):
    for service in ("s3", "iam", "sts", "codedeploy-commands", "ec2"):
        request = api.request("ListApplications", b"{}")
        SigV4Auth(Credentials(*api.keys), service, "us-east-1").add_auth(request)
        answer = api.send(request)
        assert (answer.status, answer.code) == (400, "InvalidSignatureException"), service
    request = AWSRequest("POST", api.server.url + "/", data=b"{}", headers={"Content-Type": "application/x-amz-json-1.1"})
    SigV4Auth(Credentials(*api.keys), "lambda", "us-east-1").add_auth(request)
    assert api.send(request).code == "UnknownOperationException"


# --- bundles -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def host(shared_server, tmp_path_factory):
    """A fleet of one for bundles that fail one after another."""
    fleet = Fleet(shared_server, tmp_path_factory.mktemp("bad-bundles")).set_up(agents=1)
    yield fleet
    fleet.stop()


def zipped(*members):
    """A zip from (name or ZipInfo, content) pairs, whatever the names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content.encode() if isinstance(content, str) else content))
    return buffer.getvalue()


def link(name, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


APPSPEC = "version: 0.0\nos: linux\n"
HOOK = APPSPEC + "hooks:\n  AfterInstall:\n    - location: hook.sh\n"

# What is deployed, the event that must fail, and what its diagnostics must tell.
BUNDLES = {
    "a tab": (zipped(("appspec.yml", "version: 0.0\nos: linux\nfiles:\n\t- source: /\n")), "BeforeInstall", ["line 4"]),
    "a wrong type": (zipped(("appspec.yml", APPSPEC + "hooks:\n  - BeforeInstall\n")), "BeforeInstall", ["hooks"]),
    "a wrong type below": (zipped(("appspec.yml", APPSPEC + "files:\n  - source\n")), "BeforeInstall", ["files"]),
    "a wrong version": (zipped(("appspec.yml", "version: 1.0\nos: linux\n")), "BeforeInstall", ["invalid version value (1.0)"]),
    "another system": (zipped(("appspec.yml", "version: 0.0\nos: windows\n")), "BeforeInstall", ["unsupported operating system (windows)"]),
    "an empty file": (zipped(("appspec.yml", "# nothing\n")), "BeforeInstall", ["specification file was empty"]),
    "no AppSpec": (zipped(("readme.txt", "hello")), "BeforeInstall", ["did not find an AppSpec file", '"appspec.yml"']),
    "no source": (zipped(("appspec.yml", APPSPEC + "files:\n  - source: none.txt\n    destination: /tmp/none\n")), "Install", ["none.txt"]),
    "an escaping source": (zipped(("appspec.yml", APPSPEC + "files:\n  - source: ../../secret\n    destination: /tmp/none\n")), "BeforeInstall", ["../../secret", "line 4"]),
    "a missing script": (zipped(("appspec.yml", HOOK)), "AfterInstall", ["Script does not exist at specified location", "hook.sh"]),
    "an escaping script": (zipped(("appspec.yml", APPSPEC + "hooks:\n  AfterInstall:\n    - location: ../../../bin/true\n")), "BeforeInstall", ["../../../bin/true", "line 5"]),
    "zip slip": (zipped(("appspec.yml", APPSPEC), ("../../../../escaped.txt", "out")), "DownloadBundle", ["../../../../escaped.txt"]),
    "an absolute member": (zipped(("appspec.yml", APPSPEC), ("/tmp/slipway-escaped.txt", "out")), "DownloadBundle", ["/tmp/slipway-escaped.txt"]),
    "a truncated zip": (zipped(("appspec.yml", APPSPEC), ("big", os.urandom(50_000)))[:20_000], "DownloadBundle", ["zip"]),
    "no zip at all": (b"this is not an archive", "DownloadBundle", ["zip"]),
    "an empty object": (b"", "DownloadBundle", ["zip"]),
    "tar slip": (tarred(("appspec.yml", APPSPEC), ("../../../../escaped.txt", "out")), "DownloadBundle", ["../../../../escaped.txt"]),
    "tar through a link": (tarred(("appspec.yml", APPSPEC), (link("away", "/tmp"), ""), ("away/slipway-escaped.txt", "out")), "DownloadBundle", ["away"]),
    "a truncated tgz": (gzip.compress(tarred(("appspec.yml", APPSPEC), ("big", os.urandom(50_000))))[:20_000], "DownloadBundle", ["tar"]),
}


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bad_bundle_fails_its_event_and_says_what_is_wrong_where(host, name):
    """AS-003, AS-012..AS-020, AG-107, D-17: and the host is ready for the next deployment."""
    content, event, fragments = BUNDLES[name]
    kind = "tgz" if "tgz" in name else "tar" if name.startswith("tar") else "zip"
    key = f"{name.replace(' ', '-')}.{kind}"
    host.server.client("s3").put_object(Bucket="revisions", Key=key, Body=content)
    deployment = host.codedeploy.create_deployment(applicationName="app", deploymentGroupName="group", revision={
        "revisionType": "S3", "s3Location": {"bucket": "revisions", "key": key, "bundleType": kind}})["deploymentId"]
    assert host.ended(deployment)["status"] == "Failed"
    events = host.events(deployment, "host1")
    failed = [n for n, e in events.items() if e["status"] == "Failed"]
    assert failed == [event], {n: (e["status"], e.get("diagnostics", {}).get("message")) for n, e in events.items()}
    message = events[event]["diagnostics"]["message"]
    for fragment in fragments:
        assert fragment in message
    if name == "a wrong version":
        # All that is wrong with a file is told with line and column (AS-132).
        assert "appspec.yml:1:10: error: " in events[event]["diagnostics"]["logTail"]
    assert not os.path.exists("/tmp/slipway-escaped.txt")
    assert not list(host.directory.rglob("escaped.txt")), "nothing leaves the directory of the deployment"
    assert host.agents[0].process.poll() is None


def test_the_host_of_the_bad_bundles_still_works(host, tmp_path):
    host.push(bundle(tmp_path / "good", APPSPEC, {}), "good.zip")
    assert host.ended(host.deploy("good.zip"))["status"] == "Succeeded"


def test_the_later_of_two_equal_keys_holds_and_the_validator_names_both(host, tmp_path):
    """AS-014."""
    from harness import BINARIES

    destination = tmp_path / "chosen"
    appspec = f"version: 0.0\nos: windows\nos: linux\nfiles:\n  - source: f\n    destination: {tmp_path}/lost\n    destination: {destination}\n"
    source = bundle(tmp_path / "twice", appspec, {"f": "x"})
    host.push(source, "twice.zip")
    assert host.ended(host.deploy("twice.zip"))["status"] == "Succeeded"
    assert (destination / "f").read_text() == "x" and not (tmp_path / "lost").exists()
    told = subprocess.run([BINARIES / "slipway", "deploy", "validate", str(source)], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0
    output = told.stdout + told.stderr
    assert "appspec.yml:3" in output and "os" in output and "appspec.yml:7" in output and "destination" in output, output


# --- full disks ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(path, size):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    path.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_on_the_host_fails_the_event_and_leaves_nothing_behind(fleet, tmp_path):
    """AG-017, AG-098."""
    with small_disk(tmp_path / "small", "4m") as small:
        fleet.set_up(agents=0)
        agent = Agent("host1", tmp_path / "host1", fleet.server, settings={"root_dir": str(small)}).register()
        fleet.agents.append(agent.start())
        source = bundle(tmp_path / "large", APPSPEC, {})
        (source / "zeros").write_bytes(bytes(20 << 20))
        fleet.push(source, "unpacks-to-20-MiB.zip")
        deployment = fleet.deploy("unpacks-to-20-MiB.zip")
        assert fleet.ended(deployment)["status"] == "Failed"
        failed = fleet.events(deployment, "host1")["DownloadBundle"]
        assert failed["diagnostics"]["message"] == "The disk is (or was) full during extraction."
        assert not (small / fleet.group_id / deployment / "deployment-archive").exists()
        assert shutil.disk_usage(small).free > 3 << 20

        (source / "zeros").write_bytes(os.urandom(6 << 20))
        fleet.push(source, "is-6-MiB.zip")
        deployment = fleet.deploy("is-6-MiB.zip")
        assert fleet.ended(deployment)["status"] == "Failed"
        message = fleet.events(deployment, "host1")["DownloadBundle"]["diagnostics"]["message"]
        assert "full" in message, message
        assert shutil.disk_usage(small).free > 3 << 20

        fleet.push(bundle(tmp_path / "good", APPSPEC, {}), "good.zip")
        assert fleet.ended(fleet.deploy("good.zip"))["status"] == "Succeeded"


def test_a_full_disk_of_the_server_refuses_writes_and_nothing_else(tmp_path):
    """Typed errors, reads go on, what was acknowledged is there, and it works again once there is room."""
    with small_disk(tmp_path / "small", "24m") as small, running(Server(small / "data")) as server:
        api, s3 = server.api(), server.client("s3")
        api.done("CreateApplication", applicationName="before")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="before", Body=b"kept")
        filler = small / "filler"
        with open(filler, "wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        acknowledged, refused = [], None
        for number in range(2000):
            answer = api.call("CreateApplication", applicationName=f"n{number}", tags=[{"Key": "k", "Value": "v" * 200}])
            if answer.status != 200:
                refused = answer
                break
            acknowledged.append(f"n{number}")
        assert refused is not None and refused.status == 500 and refused.code == "InternalFailure", refused
        assert "disk is full" in refused.message and "nothing was changed" in refused.message
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket="bucket", Key="large", Body=bytes(1 << 20))
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 500

        assert api.done("GetApplication", applicationName="before")["application"]["applicationName"] == "before"
        assert s3.get_object(Bucket="bucket", Key="before")["Body"].read() == b"kept"
        assert server.process.poll() is None
        filler.unlink()
        eventually(lambda: api.call("CreateApplication", applicationName="after").status == 200, "there is room again")
        s3.put_object(Bucket="bucket", Key="large", Body=bytes(1 << 20))
        assert [o["Key"] for o in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["before", "large"]
        for name in ["before", "after", *acknowledged]:
            assert api.call("GetApplication", applicationName=name).status == 200, name
        assert api.call("GetApplication", applicationName=f"n{len(acknowledged)}").code == "ApplicationDoesNotExistException"
        server.kill()
        server.start()
        assert server.api().done("GetApplication", applicationName="after")
        assert "panicked" not in server.log()
