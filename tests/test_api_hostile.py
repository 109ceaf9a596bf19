"""Whatever is sent: the answer is a documented error or a success, never a failure of ours. Generated from the model."""

import pytest
from botocore.session import get_session

from harness import ROLE, Server, running

MODEL = get_session().get_service_model("codedeploy")
# What any operation may answer; and what the model forgets: this one takes a token and lists no error for it.
COMMON = {"SerializationException"}
FORGOTTEN = {"ListTagsForResource": {"InvalidNextTokenException"}}
USER = "arn:aws:iam::000000000001:user/AWS/CodeDeploy/"
MANY = 10_000


def least(shape):
    """A value of the right type."""
    kind = shape.type_name
    if kind == "structure":
        return {name: least(shape.members[name]) for name in shape.required_members}
    if kind == "list":
        return [least(shape.member)]
    if kind == "map":
        return {"k": least(shape.value)}
    return {"string": (getattr(shape, "enum", None) or ["x"])[0], "boolean": True, "timestamp": 0}.get(kind, 1)


def bad_values(shape, deep):
    """What nobody should send for this, and what only looks bad; deep inside, where there is most of it, less of it."""
    kind = shape.type_name
    if deep:
        yield [1] if kind == "string" else "x"
        yield {"string": "x" * MANY, "list": [], "structure": {}, "integer": 2**31, "long": 2**63}.get(kind)
        if kind == "string":
            yield from ("", "\u202e*/\x00")
        return
    wrong = {"string": "x", "number": 7, "boolean": True, "list": [1], "object": {"a": 1}}
    right = {"structure": "object", "map": "object", "integer": "number", "long": "number", "timestamp": "number"}.get(kind, kind)
    yield from (value for name, value in wrong.items() if name != right)
    yield None
    if kind == "string":
        yield from ("", " ", "x" * MANY, "\x00", "a/b:c*?", "\u202e\u00e4\U0001f600", "../../etc/passwd", "arn:aws:codedeploy:::", "NO_SUCH_VALUE", "[" * 1000)
    elif kind in {"integer", "long"}:
        yield from (-1, 0, 2**31 - 1, 2**31, 2**63, -(2**63), 1.5, 1e300)
    elif kind == "timestamp":
        yield from (-1, 2**62, 1e300, 0.0001)
    elif kind == "list":
        yield from ([], [None], [[]], [least(shape.member)] * 2, [least(shape.member)] * MANY)
    elif kind in {"structure", "map"}:
        yield from ({}, {"unknown": 1}, {"": {}})


def mutations(shape, depth=0):
    """The members of a structure one after the other, each with everything bad, down to the leaves."""
    yield from bad_values(shape, depth > 0)
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            for value in mutations(member, depth + 1):
                yield {**least(shape), name: value}
    elif shape.type_name == "list":
        for value in mutations(shape.member, depth + 1):
            yield [value]


def described(value):
    text = repr(value)
    return text if len(text) < 300 else f"{text[:200]}… ({len(text)} characters)"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hostile")
    (directory / "slipway.toml").write_text("[throttle]\nper_second = 0\n")
    with running(Server(directory / "data", "--config", str(directory / "slipway.toml"))) as server:
        api = server.api()
        api.done("CreateApplication", applicationName="app")
        api.done("CreateApplication", applicationName="ecs", computePlatform="ECS")
        api.done("RegisterOnPremisesInstance", instanceName="box", iamUserArn=USER + "box")
        api.done("AddTagsToOnPremisesInstances", instanceNames=["box"], tags=[{"Key": "Name", "Value": "box"}])
        api.done("CreateDeploymentGroup", applicationName="app", deploymentGroupName="group", serviceRoleArn=ROLE,
                 onPremisesInstanceTagFilters=[{"Key": "Name", "Value": "box", "Type": "KEY_AND_VALUE"}])
        revision = {"revisionType": "S3", "s3Location": {"bucket": "b", "key": "k", "bundleType": "zip"}}
        server.deployment = api.done("CreateDeployment", applicationName="app", deploymentGroupName="group", revision=revision)["deploymentId"]
        yield server


def good(name, operation, server):
    """A value that names something, so that a call gets past its first check."""
    known = {
        "applicationName": "app", "deploymentGroupName": "group", "currentDeploymentGroupName": "group", "deploymentId": server.deployment,
        "serviceRoleArn": ROLE, "instanceName": "box", "instanceNames": ["box"], "targetId": "box", "targetIds": ["box"], "instanceId": "box",
        "instanceIds": ["box"], "deploymentIds": [server.deployment], "applicationNames": ["app"], "deploymentGroupNames": ["group"],
        "ResourceArn": "arn:aws:codedeploy:us-east-1:000000000001:application:app", "deploymentConfigName": "CodeDeployDefault.OneAtATime",
    }
    if operation.startswith(("Delete", "Deregister", "Stop")) or operation == "UpdateApplication":
        known |= {"applicationName": "nothing", "instanceName": "nothing", "deploymentId": "d-ZZZZZZZZZ"}
    if operation == "CreateDeploymentGroup":
        known["deploymentGroupName"] = "another"
    return known.get(name)


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_nothing_that_is_sent_makes_an_operation_fail(server, operation):
    shape = MODEL.operation_model(operation).input_shape
    documented = {error.name for error in MODEL.operation_model(operation).error_shapes} | COMMON | FORGOTTEN.get(operation, set())
    base = {name: good(name, operation, server) for name in shape.members} if shape else {}
    base = {**(least(shape) if shape else {}), **{name: value for name, value in base.items() if value is not None}}
    api, found, sent = server.api(), [], 0
    for name, member in (shape.members if shape else {}).items():
        for value in mutations(member):
            sent += 1
            answer = api.call(operation, {**base, name: value})
            if answer.status == 200 or (answer.status == 400 and answer.code in documented):
                if operation == "CreateDeploymentGroup" and answer.status == 200:
                    api.done("DeleteDeploymentGroup", applicationName="app", deploymentGroupName="another")
                continue
            found.append(f"{name} = {described(value)}: {answer.status} {answer.content.decode()[:200]}")
    assert not found, f"{len(found)} of {sent}\n" + "\n".join(found[:20])


def test_and_everything_is_as_it_was(server):
    """Runs last."""
    api = server.api()
    assert api.done("GetDeploymentGroup", applicationName="app", deploymentGroupName="group")
    assert {"app", "ecs"} <= set(api.done("ListApplications")["applications"])
    assert "panicked" not in server.log() and "ERROR" not in server.log()
