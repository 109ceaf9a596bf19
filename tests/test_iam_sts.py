"""Users, roles, policies and sessions: what is granted and what is refused."""

import base64
import json
from datetime import datetime

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from harness import ACCOUNT, ROLE

ALLOW_S3 = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}


def statement(effect, action, resource="*", **more):
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(principal, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}]})


def application(name):
    return f"arn:aws:codedeploy:us-east-1:{ACCOUNT}:application:{name}"


def group(app, name):
    return f"arn:aws:codedeploy:us-east-1:{ACCOUNT}:deploymentgroup:{app}/{name}"


def refused(code, call, *arguments, **parameters):
    with pytest.raises(ClientError) as error:
        call(*arguments, **parameters)
    assert error.value.response["Error"]["Code"] == code, error.value
    return error.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def iam(shared_server):
    return shared_server.client("iam")


@pytest.fixture
def user(shared_server, iam, request):
    """A user of the test's own: gives clients with its key."""

    class User:
        name = request.node.name[:64]

        def __init__(self):
            self.arn = iam.create_user(UserName=self.name)["User"]["Arn"]
            key = iam.create_access_key(UserName=self.name)["AccessKey"]
            self.keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

        def client(self, service, **more):
            return shared_server.client(service, **self.keys, **more)

        def may(self, *statements):
            iam.put_user_policy(UserName=self.name, PolicyName="test", PolicyDocument=policy(*statements))

    return User()


@pytest.fixture(scope="module", autouse=True)
def applications(shared_server):
    codedeploy = shared_server.client("codedeploy")
    for name in ("mine", "other"):
        codedeploy.create_application(applicationName=name)
        codedeploy.create_deployment_group(applicationName=name, deploymentGroupName="group", serviceRoleArn=ROLE)


def test_a_user_from_birth_to_deletion(iam):
    """AG-190: everything that `aws deploy register` and `deregister` and the manual steps call."""
    made = iam.create_user(UserName="life", Path="/AWS/CodeDeploy/", Tags=[{"Key": "a", "Value": "b"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/AWS/CodeDeploy/life"
    assert iam.get_user(UserName="life")["User"]["UserId"] == made["UserId"]
    assert "life" in [u["UserName"] for u in iam.list_users(PathPrefix="/AWS/")["Users"]]
    refused("EntityAlreadyExists", iam.create_user, UserName="life")
    refused("EntityAlreadyExists", iam.create_user, UserName="LIFE")

    keys = [iam.create_access_key(UserName="life")["AccessKey"] for _ in range(2)]
    assert all(len(key["AccessKeyId"]) == 20 and len(key["SecretAccessKey"]) == 40 for key in keys)
    assert "2" in refused("LimitExceeded", iam.create_access_key, UserName="life")
    listed = iam.list_access_keys(UserName="life")["AccessKeyMetadata"]
    assert sorted(k["AccessKeyId"] for k in listed) == sorted(k["AccessKeyId"] for k in keys)

    iam.put_user_policy(UserName="life", PolicyName="p", PolicyDocument=json.dumps(ALLOW_S3))
    assert iam.list_user_policies(UserName="life")["PolicyNames"] == ["p"]
    assert iam.get_user_policy(UserName="life", PolicyName="p")["PolicyDocument"] == ALLOW_S3
    refused("MalformedPolicyDocument", iam.put_user_policy, UserName="life", PolicyName="q", PolicyDocument="{")
    refused("NoSuchEntity", iam.get_user_policy, UserName="life", PolicyName="q")
    refused("DeleteConflict", iam.delete_user, UserName="life")
    iam.delete_user_policy(UserName="life", PolicyName="p")
    refused("DeleteConflict", iam.delete_user, UserName="life")
    for key in keys:
        iam.delete_access_key(UserName="life", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="life")
    for call in (iam.get_user, iam.delete_user, iam.create_access_key, iam.list_user_policies):
        refused("NoSuchEntity", call, UserName="life")
    refused("ValidationError", iam.create_user, UserName="a b")


def test_a_role_from_birth_to_deletion(iam):
    role = iam.create_role(RoleName="life", AssumeRolePolicyDocument=trust({"Service": "codedeploy.amazonaws.com"}), Description="d")["Role"]
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/life"
    got = iam.get_role(RoleName="life")["Role"]
    assert got["Description"] == "d" and got["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "codedeploy.amazonaws.com"}
    refused("EntityAlreadyExists", iam.create_role, RoleName="life", AssumeRolePolicyDocument=trust({"AWS": "*"}))
    refused("MalformedPolicyDocument", iam.create_role, RoleName="bad", AssumeRolePolicyDocument=policy(statement("Allow", "s3:*")))
    iam.attach_role_policy(RoleName="life", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSCodeDeployRole")
    assert [p["PolicyName"] for p in iam.list_attached_role_policies(RoleName="life")["AttachedPolicies"]] == ["AWSCodeDeployRole"]
    refused("NoSuchEntity", iam.attach_role_policy, RoleName="life", PolicyArn="arn:aws:iam::aws:policy/NoSuchPolicy")
    iam.put_role_policy(RoleName="life", PolicyName="p", PolicyDocument=json.dumps(ALLOW_S3))
    refused("DeleteConflict", iam.delete_role, RoleName="life")
    iam.delete_role_policy(RoleName="life", PolicyName="p")
    iam.detach_role_policy(RoleName="life", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSCodeDeployRole")
    iam.delete_role(RoleName="life")
    refused("NoSuchEntity", iam.get_role, RoleName="life")


def test_what_the_guide_names_is_there_from_the_first_start(iam):
    """D-05, D-30: the managed policies under their documented ARNs, and a service role."""
    arns = {p["Arn"] for page in iam.get_paginator("list_policies").paginate(Scope="AWS") for p in page["Policies"]}
    for name in ("AWSCodeDeployFullAccess", "AWSCodeDeployReadOnlyAccess", "AWSCodeDeployDeployerAccess", "service-role/AWSCodeDeployRole"):
        assert f"arn:aws:iam::aws:policy/{name}" in arns
    role = iam.get_role(RoleName="CodeDeployServiceRole")["Role"]
    assert role["Arn"] == ROLE
    assert "codedeploy.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"])
    assert [p["PolicyName"] for p in iam.list_attached_role_policies(RoleName="CodeDeployServiceRole")["AttachedPolicies"]] == ["AWSCodeDeployRole"]


def test_a_new_user_may_nothing(user):
    """D-05: deny by default, and the message names who, what and on what."""
    codedeploy = user.client("codedeploy")
    message = refused("AccessDeniedException", codedeploy.get_application, applicationName="mine")
    for part in (user.arn, "codedeploy:GetApplication", application("mine")):
        assert part in message
    refused("AccessDeniedException", codedeploy.list_applications)
    refused("AccessDeniedException", codedeploy.create_application, applicationName="new")
    refused("AccessDenied", user.client("iam").list_users)
    refused("AccessDenied", user.client("s3").list_buckets)
    assert user.client("sts").get_caller_identity()["Arn"] == user.arn, "everyone may know who they are"
    refused("AccessDeniedException", codedeploy.get_application, applicationName="no-such-application")


def test_a_permission_reaches_as_far_as_its_resource(user):
    """DP-701..DP-741: Get* on one application, and nothing on the other."""
    user.may(statement("Allow", "codedeploy:Get*", [application("mine"), group("mine", "*")]))
    codedeploy = user.client("codedeploy")
    assert codedeploy.get_application(applicationName="mine")["application"]["applicationName"] == "mine"
    assert codedeploy.get_deployment_group(applicationName="mine", deploymentGroupName="group")["deploymentGroupInfo"]
    refused("AccessDeniedException", codedeploy.get_application, applicationName="other")
    refused("AccessDeniedException", codedeploy.get_deployment_group, applicationName="other", deploymentGroupName="group")
    refused("AccessDeniedException", codedeploy.delete_application, applicationName="mine")
    refused("AccessDeniedException", codedeploy.list_applications)
    refused("AccessDeniedException", user.client("codedeploy", region_name="eu-west-1").get_application, applicationName="mine")


def test_an_explicit_deny_wins(user):
    user.may(statement("Allow", "codedeploy:*"), statement("Deny", "codedeploy:Delete*", application("mine")))
    codedeploy = user.client("codedeploy")
    assert codedeploy.list_applications()["applications"]
    assert "explicit deny" in refused("AccessDeniedException", codedeploy.delete_application, applicationName="mine")


def test_conditions_count(user):
    user.may(statement("Allow", "codedeploy:ListApplications", Condition={"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
             statement("Allow", "codedeploy:ListDeploymentConfigs", Condition={"Bool": {"aws:SecureTransport": "true"}, "StringEquals": {"aws:RequestedRegion": "us-east-1"}}))
    refused("AccessDeniedException", user.client("codedeploy").list_applications)
    assert user.client("codedeploy").list_deployment_configs()["deploymentConfigsList"]
    refused("AccessDeniedException", user.client("codedeploy", region_name="eu-west-1").list_deployment_configs)


def test_managed_policies_grant_what_they_are_named_for(iam, user):
    iam.attach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/AWSCodeDeployReadOnlyAccess")
    codedeploy = user.client("codedeploy")
    assert codedeploy.list_applications()["applications"]
    assert codedeploy.get_application(applicationName="other")
    refused("AccessDeniedException", codedeploy.create_application, applicationName="new")
    iam.detach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/AWSCodeDeployReadOnlyAccess")
    refused("AccessDeniedException", codedeploy.list_applications)


def test_a_key_that_is_switched_off_or_deleted_opens_nothing(iam, user):
    """At once, not after a cache has forgotten it."""
    user.may(statement("Allow", "codedeploy:*"))
    codedeploy, key = user.client("codedeploy"), user.keys["aws_access_key_id"]
    codedeploy.list_applications()
    iam.update_access_key(UserName=user.name, AccessKeyId=key, Status="Inactive")
    refused("UnrecognizedClientException", codedeploy.list_applications)
    iam.update_access_key(UserName=user.name, AccessKeyId=key, Status="Active")
    codedeploy.list_applications()
    iam.delete_access_key(UserName=user.name, AccessKeyId=key)
    refused("UnrecognizedClientException", codedeploy.list_applications)


def test_a_service_role_can_be_passed_only_by_who_may(iam, user):
    """D-30: iam:PassRole of the caller, and a role that trusts CodeDeploy."""
    create = user.client("codedeploy").create_deployment_group
    user.may(statement("Allow", "codedeploy:*"))
    message = refused("AccessDeniedException", create, applicationName="mine", deploymentGroupName="passed", serviceRoleArn=ROLE)
    assert "iam:PassRole" in message and ROLE in message
    user.may(statement("Allow", "codedeploy:*"), statement("Allow", "iam:PassRole", ROLE, Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}))
    refused("AccessDeniedException", create, applicationName="mine", deploymentGroupName="passed", serviceRoleArn=ROLE)
    user.may(statement("Allow", "codedeploy:*"), statement("Allow", "iam:PassRole", "*", Condition={"StringEquals": {"iam:PassedToService": "codedeploy.amazonaws.com"}}))
    assert create(applicationName="mine", deploymentGroupName="passed", serviceRoleArn=ROLE)["deploymentGroupId"]
    other = iam.create_role(RoleName="ForOthers", AssumeRolePolicyDocument=trust({"Service": "ec2.amazonaws.com"}))["Role"]["Arn"]
    assert "codedeploy.amazonaws.com" in refused("InvalidRoleException", create, applicationName="mine", deploymentGroupName="more", serviceRoleArn=other)


def test_a_role_is_assumed_by_whom_it_trusts(shared_server, iam, user):
    role = iam.create_role(RoleName="Reader", AssumeRolePolicyDocument=trust({"AWS": user.arn}))["Role"]["Arn"]
    iam.put_role_policy(RoleName="Reader", PolicyName="p", PolicyDocument=policy(statement("Allow", "codedeploy:Get*")))
    stranger_name = "stranger"
    iam.create_user(UserName=stranger_name)
    iam.put_user_policy(UserName=stranger_name, PolicyName="p", PolicyDocument=policy(statement("Allow", "codedeploy:*")))
    key = iam.create_access_key(UserName=stranger_name)["AccessKey"]
    stranger = shared_server.client("sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    message = refused("AccessDenied", stranger.assume_role, RoleArn=role, RoleSessionName="web")
    assert "sts:AssumeRole" in message and role in message

    sts = user.client("sts")
    session = sts.assume_role(RoleArn=role, RoleSessionName="web", DurationSeconds=900)
    keys = session["Credentials"]
    assert session["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/Reader/web"
    assert 890 <= (keys["Expiration"] - datetime.now(keys["Expiration"].tzinfo)).total_seconds() <= 901
    as_session = {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"], "aws_session_token": keys["SessionToken"]}
    assert shared_server.client("sts", **as_session).get_caller_identity()["Arn"] == session["AssumedRoleUser"]["Arn"]
    assert shared_server.client("codedeploy", **as_session).get_application(applicationName="mine")
    refused("AccessDeniedException", shared_server.client("codedeploy", **as_session).list_applications)

    refused("AccessDenied", sts.assume_role, RoleArn=f"arn:aws:iam::{ACCOUNT}:role/NoSuchRole", RoleSessionName="web")
    unchecked = user.client("sts", config=Config(parameter_validation=False))
    refused("ValidationError", unchecked.assume_role, RoleArn=role, RoleSessionName="web", DurationSeconds=899)
    refused("ValidationError", unchecked.assume_role, RoleArn=role, RoleSessionName="a b")
    refused("ValidationError", sts.assume_role, RoleArn=role, RoleSessionName="web", DurationSeconds=3601)
    narrowed = sts.assume_role(RoleArn=role, RoleSessionName="narrow", Policy=policy(statement("Allow", "codedeploy:Get*", application("other"))))["Credentials"]
    narrow = shared_server.client("codedeploy", aws_access_key_id=narrowed["AccessKeyId"], aws_secret_access_key=narrowed["SecretAccessKey"], aws_session_token=narrowed["SessionToken"])
    assert narrow.get_application(applicationName="other")
    refused("AccessDeniedException", narrow.get_application, applicationName="mine")
    iam.delete_role_policy(RoleName="Reader", PolicyName="p")
    iam.delete_role(RoleName="Reader")
    refused("UnrecognizedClientException", shared_server.client("codedeploy", **as_session).get_application, applicationName="mine")


def test_a_token_cannot_be_made_changed_or_swapped(shared_server, iam):
    """D-05: the session is in the token, sealed; every byte counts."""
    role = iam.create_role(RoleName="Sealed", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}))["Role"]["Arn"]
    sts = shared_server.client("sts")
    one, two = (sts.assume_role(RoleArn=role, RoleSessionName=name)["Credentials"] for name in ("one", "two"))

    def identity(token, of=one):
        client = shared_server.client("sts", aws_access_key_id=of["AccessKeyId"], aws_secret_access_key=of["SecretAccessKey"], aws_session_token=token)
        return client.get_caller_identity()["Arn"]

    assert identity(one["SessionToken"]).endswith("/one")
    token = one["SessionToken"]
    tampered = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1:] for at in range(0, len(token), max(1, len(token) // 12))]
    for wrong in [*tampered, two["SessionToken"], token[:-8], token + "AAAA", "x", base64.b64encode(b"{}").decode(), None]:
        with pytest.raises(ClientError) as error:
            identity(wrong)
        assert error.value.response["Error"]["Code"] == "InvalidClientTokenId", wrong


def test_registering_by_the_cli_leaves_nothing_behind(shared_server, iam, tmp_path):
    """AG-188, AG-191, AG-198: and a name that IAM cannot take fails before anything is registered."""
    aws = shared_server.aws
    done = aws("deploy", "register", "--instance-name", "cli-host", "--tags", "Key=a,Value=b", cwd=tmp_path)
    assert "Registering the on-premises instance... DONE" in done.stdout
    assert iam.get_user(UserName="cli-host")["User"]["Path"] == "/AWS/CodeDeploy/"
    assert iam.list_user_policies(UserName="cli-host")["PolicyNames"] == ["codedeploy-agent"]
    gone = aws("deploy", "deregister", "--instance-name", "cli-host", cwd=tmp_path)
    assert "Deregistering the on-premises instance... DONE" in gone.stdout
    refused("NoSuchEntity", iam.get_user, UserName="cli-host")
    assert shared_server.client("codedeploy").get_on_premises_instance(instanceName="cli-host")["instanceInfo"]["deregisterTime"]
    long = "x" * 65
    failed = aws("deploy", "register", "--instance-name", long, cwd=tmp_path, check=False)
    assert "ValidationError" in failed.stderr + failed.stdout
    refused("InstanceNotRegisteredException", shared_server.client("codedeploy").get_on_premises_instance, instanceName=long)
