"""The object store as AWS CLI and boto3 use it, and as far as a host's key reaches."""

import contextlib
import hashlib
import http.client
import os
import socket
import ssl
import urllib.error
import urllib.request

import boto3.s3.transfer
import pytest
from botocore.exceptions import ClientError

from harness import Agent, bundle


@pytest.fixture(scope="module")
def s3(shared_server):
    return shared_server.client("s3")


@pytest.fixture
def bucket(s3, request):
    name = f"t-{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def code_of(error):
    return error.value.response["Error"]["Code"]


def test_the_commands_of_aws_s3(shared_server, tmp_path):
    """mb, cp, ls, sync, mv, rm, rb with nothing but the env file."""
    aws = shared_server.aws
    tree = tmp_path / "tree"
    files = {"a.txt": "one", "sub/b c+é.txt": "two", "sub/deep/ü%20.bin": "three"}
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)

    def listing(prefix=""):
        lines = aws("s3", "ls", f"s3://commands/{prefix}", "--recursive", check=False).stdout.splitlines()
        return {line[31:]: int(line[20:30]) for line in lines}

    assert "make_bucket: commands" in aws("s3", "mb", "s3://commands").stdout
    assert "commands" in aws("s3", "ls").stdout
    aws("s3", "sync", str(tree), "s3://commands/t/")
    assert listing() == {f"t/{name}": len(text) for name, text in files.items()}
    (tree / "a.txt").write_text("changed")
    assert "a.txt" in aws("s3", "sync", str(tree), "s3://commands/t/").stdout
    assert aws("s3", "sync", str(tree), "s3://commands/t/").stdout == "", "nothing is left to do"
    assert aws("s3", "cp", "s3://commands/t/a.txt", "-").stdout == "changed"
    aws("s3", "mv", "s3://commands/t/a.txt", "s3://commands/moved.txt")
    aws("s3", "cp", "s3://commands/moved.txt", "s3://commands/copy.txt")
    assert set(listing()) == {"copy.txt", "moved.txt", *(f"t/{name}" for name in files if name != "a.txt")}
    back = tmp_path / "back"
    aws("s3", "sync", "s3://commands/t/", str(back))
    assert {str(p.relative_to(back)): p.read_text() for p in back.rglob("*") if p.is_file()} == {n: t for n, t in files.items() if n != "a.txt"}
    refused = aws("s3", "rb", "s3://commands", check=False)
    assert refused.returncode != 0 and "BucketNotEmpty" in refused.stderr
    missing = aws("s3", "cp", "s3://commands/none", str(tmp_path / "none"), check=False)
    assert missing.returncode != 0 and "404" in missing.stderr
    aws("s3", "rm", "s3://commands/", "--recursive")
    assert listing() == {}
    aws("s3", "rb", "s3://commands")
    assert "NoSuchBucket" in aws("s3", "ls", "s3://commands", check=False).stderr


def test_a_large_tree_is_pushed_in_parts(shared_server, s3, bucket, tmp_path):
    """AG-202, AG-203, CF-353: multipart above 6 MiB; the registered ETag is that of the object."""
    source = bundle(tmp_path / "large", "version: 0.0\nos: linux\n", {})
    (source / "noise").write_bytes(os.urandom(20 << 20))
    shared_server.client("codedeploy").create_application(applicationName="large")
    pushed = shared_server.aws("deploy", "push", "--application-name", "large", "--s3-location", f"s3://{bucket}/large.zip", "--source", str(source)).stdout
    head = s3.head_object(Bucket=bucket, Key="large.zip")
    etag = head["ETag"].strip('"')
    assert head["ContentLength"] > 20 << 20
    assert etag.endswith("-4"), "four parts of 6 MiB"
    assert f"eTag={etag}" in pushed and "version=" not in pushed
    location = {"bucket": bucket, "key": "large.zip", "bundleType": "zip", "eTag": etag}
    registered = shared_server.client("codedeploy").get_application_revision(
        applicationName="large", revision={"revisionType": "S3", "s3Location": location})
    assert registered["revisionInfo"]["description"].startswith("Uploaded by AWS CLI")
    shared_server.client("codedeploy").delete_application(applicationName="large")


def test_what_goes_up_comes_down(s3, bucket, tmp_path):
    """Parts in any number; whole and in ranges."""
    content = os.urandom((11 << 20) + 17)
    path = tmp_path / "blob"
    path.write_bytes(content)
    s3.upload_file(str(path), bucket, "blob", Config=boto3.s3.transfer.TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20))
    s3.download_file(bucket, "blob", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content

    def ranged(text):
        answer = s3.get_object(Bucket=bucket, Key="blob", Range=text)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        return answer["Body"].read(), answer["ContentRange"]

    size = len(content)
    assert ranged("bytes=0-9") == (content[:10], f"bytes 0-9/{size}")
    assert ranged("bytes=5242870-5242889") == (content[5242870:5242890], f"bytes 5242870-5242889/{size}")
    assert ranged("bytes=-5") == (content[-5:], f"bytes {size - 5}-{size - 1}/{size}")
    assert ranged(f"bytes={size - 1}-{size + 99}")[0] == content[-1:]
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="blob", Range=f"bytes={size}-")
    assert code_of(error) == "InvalidRange"


def test_an_aborted_upload_leaves_nothing(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="never")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="never", UploadId=upload, PartNumber=1, Body=b"x" * 100)
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    s3.abort_multipart_upload(Bucket=bucket, Key="never", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with pytest.raises(ClientError) as error:
        s3.upload_part(Bucket=bucket, Key="never", UploadId=upload, PartNumber=1, Body=b"x")
    assert code_of(error) == "NoSuchUpload"


def test_versions_are_kept_and_found(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    one, two = (s3.put_object(Bucket=bucket, Key="k", Body=text)["VersionId"] for text in (b"one", b"two"))
    read = lambda **which: s3.get_object(Bucket=bucket, Key="k", **which)["Body"].read()  # noqa: E731
    assert (read(), read(VersionId=one), read(VersionId=two)) == (b"two", b"one", b"two")
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"] is True
    with pytest.raises(ClientError) as error:
        read()
    assert code_of(error) == "NoSuchKey"
    assert read(VersionId=one) == b"one"
    versions = s3.list_object_versions(Bucket=bucket)
    assert [v["VersionId"] for v in versions["Versions"]] == [two, one] and len(versions["DeleteMarkers"]) == 1
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert read() == b"two"


def test_long_listings_come_in_pages(s3, bucket):
    keys = [f"{'a' if n % 2 else 'b'}/{n:04}" for n in range(1100)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    assert [len(page["Contents"]) for page in pages] == [1000, 100]
    assert [o["Key"] for page in pages for o in page["Contents"]] == sorted(keys)
    small = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="a/00", PaginationConfig={"PageSize": 7}))
    assert [o["Key"] for page in small for o in page["Contents"]] == sorted(k for k in keys if k.startswith("a/00"))
    folders = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in folders["CommonPrefixes"]] == ["a/", "b/"] and "Contents" not in folders
    removed = [{"Key": key} for key in keys]
    for part in (removed[:1000], removed[1000:]):
        assert "Errors" not in s3.delete_objects(Bucket=bucket, Delete={"Objects": part})
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_presigned_address_opens_one_object(shared_server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="shared.txt", Body=b"for you")
    address = shared_server.aws("s3", "presign", f"s3://{bucket}/shared.txt", "--expires-in", "60").stdout.strip()
    assert "X-Amz-Signature" in address
    context = ssl.create_default_context(cafile=str(shared_server.directory / "ca.pem"))

    def get(url):
        try:
            with urllib.request.urlopen(url, context=context, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    assert get(address) == (200, b"for you")
    assert get(address.replace("shared.txt", "other.txt"))[0] == 403
    assert get(address[:-1] + ("0" if address[-1] != "0" else "1"))[0] == 403
    assert get(address.split("?")[0])[0] in (403, 404), "without a signature there is nothing"


def test_a_wrong_checksum_stores_nothing(s3, bucket):
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
    assert code_of(error) == "BadDigest"
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket=bucket, Key="k")
    assert code_of(error) == "404"


def test_errors_have_the_names_of_s3(shared_server, s3, bucket):
    for call, name in [
        (lambda: s3.get_object(Bucket=bucket, Key="none"), "NoSuchKey"),
        (lambda: s3.list_objects_v2(Bucket="no-such-bucket-here"), "NoSuchBucket"),
        (lambda: s3.create_bucket(Bucket=bucket), "BucketAlreadyOwnedByYou"),
        (lambda: shared_server.client("s3", aws_secret_access_key="x" * 40).list_buckets(), "SignatureDoesNotMatch"),
        (lambda: shared_server.client("s3", aws_access_key_id="AKIAAAAAAAAAAAAAAAAA").list_buckets(), "InvalidAccessKeyId"),
    ]:
        with pytest.raises(ClientError) as error:
            call()
        assert code_of(error) == name


def test_a_hosts_key_reads_and_no_more(shared_server, s3, bucket, tmp_path):
    """AG-188: s3:Get* and s3:List*; deregistered, it opens nothing."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    agent = Agent("reader", tmp_path / "reader", shared_server).register()
    key, secret = agent.keys()
    host = shared_server.client("s3", aws_access_key_id=key, aws_secret_access_key=secret)
    assert host.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert host.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    for call in (
        lambda: host.put_object(Bucket=bucket, Key="k", Body=b"y"),
        lambda: host.delete_object(Bucket=bucket, Key="k"),
        lambda: host.create_bucket(Bucket="mine-now"),
        lambda: host.delete_bucket(Bucket=bucket),
        lambda: host.create_multipart_upload(Bucket=bucket, Key="k"),
        lambda: host.copy_object(Bucket=bucket, Key="l", CopySource={"Bucket": bucket, "Key": "k"}),
    ):
        with pytest.raises(ClientError) as error:
            call()
        assert code_of(error) == "AccessDenied"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    shared_server.aws("deploy", "deregister", "--instance-name", "reader")
    with pytest.raises(ClientError) as error:
        host.get_object(Bucket=bucket, Key="k")
    assert code_of(error) == "InvalidAccessKeyId"


def test_a_bundle_that_is_not_the_registered_one_is_not_deployed(fleet, tmp_path):
    """CF-361, AG-090: version and ETag of the revision are held to; without them the newest object counts."""
    fleet.set_up(agents=1)
    s3 = fleet.server.client("s3")
    s3.put_bucket_versioning(Bucket="revisions", VersioningConfiguration={"Status": "Enabled"})
    appspec = "version: 0.0\nos: linux\nfiles:\n  - source: version.txt\n    destination: {}\n"
    destination = tmp_path / "installed"
    objects = []
    for text in ("one", "two"):
        fleet.push(bundle(tmp_path / text, appspec.format(destination), {"version.txt": text}))
        head = s3.head_object(Bucket="revisions", Key="app.zip")
        objects.append({"version": head["VersionId"], "eTag": head["ETag"].strip('"')})

    def deploy(**location):
        revision = {"revisionType": "S3", "s3Location": {"bucket": "revisions", "key": "app.zip", "bundleType": "zip", **location}}
        deployment = fleet.codedeploy.create_deployment(
            applicationName="app", deploymentGroupName="group", revision=revision, fileExistsBehavior="OVERWRITE")["deploymentId"]
        return deployment, fleet.ended(deployment)["status"]

    assert deploy(**objects[0])[1] == "Succeeded" and (destination / "version.txt").read_text() == "one"
    assert deploy()[1] == "Succeeded" and (destination / "version.txt").read_text() == "two"
    deployment, status = deploy(eTag=objects[0]["eTag"])
    assert status == "Failed"
    failed = fleet.events(deployment, "host1")["DownloadBundle"]
    assert failed["status"] == "Failed"
    assert objects[0]["eTag"] in failed["diagnostics"]["message"] and objects[1]["eTag"] in failed["diagnostics"]["message"]
    assert (destination / "version.txt").read_text() == "two", "nothing was touched"
    with pytest.raises(ClientError, match="RevisionDoesNotExistException"):
        deploy(version="no-such-version")
    deployment = fleet.deploy(key="none.zip")
    assert fleet.ended(deployment)["status"] == "Failed"
    message = fleet.events(deployment, "host1")["DownloadBundle"]["diagnostics"]["message"]
    assert "NoSuchKey" in message and "s3://revisions/none.zip" in message


@pytest.mark.parametrize("path", ["/t-nobody/key", "/", "/healthz"])
def test_a_request_that_is_answered_before_its_body_is_read_leaves_the_connection_in_order(shared_server, path):
    """Clients send their next request without asking."""
    host, port = shared_server.url.removeprefix("https://").split(":")
    connection = http.client.HTTPSConnection(host, int(port), context=ssl.create_default_context(cafile=shared_server.directory / "ca.pem"))
    authorization = "AWS4-HMAC-SHA256 Credential=AKIAAAAAAAAAAAAAAAAA/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
    with contextlib.closing(connection):
        connection.request("PUT", path, body=b"x" * (1 << 20), headers={"Authorization": authorization, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
        answer = connection.getresponse()
        assert answer.status >= 400 and answer.read()
        connection.auto_open = False
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200


def test_a_client_that_asks_before_it_sends_is_told_that_the_connection_ends(shared_server):
    """`Expect: 100-continue`, which boto3 and curl send with uploads: a refusal comes instead of the invitation."""
    host, port = shared_server.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=shared_server.directory / "ca.pem")
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as stream:
        stream.sendall(b"PUT /t-nobody/key HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request\r\n"
                       b"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
        received = b"".join(iter(lambda: stream.recv(65536), b"")).lower()
    assert received.startswith(b"http/1.1 4"), received
    assert b"\r\nconnection: close\r\n" in received
