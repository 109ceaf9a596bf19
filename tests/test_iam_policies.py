"""IAM and STS as stock tools use them: groups, managed policies, instance profiles, sessions with tags; the audit trail."""

import json
import subprocess

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from harness import ACCOUNT, BINARIES, Server, eventually, running

LIST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "codedeploy:List*", "Resource": "*"}]}
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]}


def refused(code, call, **parameters):
    with pytest.raises(ClientError) as error:
        call(**parameters)
    assert error.value.response["Error"]["Code"] == code, error.value
    return error.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def iam(shared_server):
    return shared_server.client("iam", config=Config(parameter_validation=False))


def keys(credentials):
    found = {"aws_access_key_id": credentials["AccessKeyId"], "aws_secret_access_key": credentials["SecretAccessKey"]}
    if "SessionToken" in credentials:
        found["aws_session_token"] = credentials["SessionToken"]
    return found


def test_a_team_from_birth_to_deletion(shared_server, iam):
    """DP-603: what a Terraform module of users, groups and policies calls."""
    user = iam.create_user(UserName="member", Path="/team/", Tags=[{"Key": "team", "Value": "web"}])["User"]
    key = iam.create_access_key(UserName="member")["AccessKey"]
    codedeploy = shared_server.client("codedeploy", **keys(key))
    group = iam.create_group(GroupName="Team", Path="/team/")["Group"]
    assert group["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/team/Team" and group["GroupId"].startswith("AGPA")
    policy = iam.create_policy(PolicyName="TeamList", Path="/team/", PolicyDocument=json.dumps(LIST), Description="d", Tags=[{"Key": "a", "Value": "b"}])["Policy"]
    assert policy["Arn"] == f"arn:aws:iam::{ACCOUNT}:policy/team/TeamList" and policy["DefaultVersionId"] == "v1"
    iam.attach_group_policy(GroupName="Team", PolicyArn=policy["Arn"])
    refused("AccessDeniedException", codedeploy.list_applications)
    iam.add_user_to_group(GroupName="Team", UserName="member")
    codedeploy.list_applications()

    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName="member")["Groups"]] == ["Team"]
    assert [u["UserName"] for u in iam.get_group(GroupName="Team")["Users"]] == ["member"]
    assert [g["GroupName"] for g in iam.list_groups(PathPrefix="/team/")["Groups"]] == ["Team"]
    assert iam.list_attached_group_policies(GroupName="Team")["AttachedPolicies"] == [{"PolicyName": "TeamList", "PolicyArn": policy["Arn"]}]
    assert iam.list_attached_group_policies(GroupName="Team", PathPrefix="/other/")["AttachedPolicies"] == []
    got = iam.get_policy(PolicyArn=policy["Arn"])["Policy"]
    assert (got["AttachmentCount"], got["Description"], got["Tags"]) == (1, "d", [{"Key": "a", "Value": "b"}])
    assert [g["GroupName"] for g in iam.list_entities_for_policy(PolicyArn=policy["Arn"])["PolicyGroups"]] == ["Team"]
    assert iam.list_entities_for_policy(PolicyArn=policy["Arn"], EntityFilter="User")["PolicyGroups"] == []
    assert policy["Arn"] in [p["Arn"] for p in iam.list_policies(Scope="Local", OnlyAttached=True)["Policies"]]

    iam.tag_user(UserName="member", Tags=[{"Key": "TEAM", "Value": "core"}, {"Key": "x", "Value": ""}])
    assert iam.list_user_tags(UserName="member")["Tags"] == [{"Key": "TEAM", "Value": "core"}, {"Key": "x", "Value": ""}]
    iam.untag_user(UserName="member", TagKeys=["x"])
    assert iam.get_user(UserName="member")["User"]["Tags"] == [{"Key": "TEAM", "Value": "core"}]
    refused("InvalidInput", iam.tag_user, UserName="member", Tags=[{"Key": "aws:x", "Value": "y"}])
    assert iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]["ServiceName"] == "codedeploy"

    refused("DeleteConflict", iam.delete_group, GroupName="Team")
    refused("DeleteConflict", iam.delete_policy, PolicyArn=policy["Arn"])
    iam.delete_access_key(UserName="member", AccessKeyId=key["AccessKeyId"])
    refused("DeleteConflict", iam.delete_user, UserName="member")
    iam.remove_user_from_group(GroupName="Team", UserName="member")
    refused("DeleteConflict", iam.delete_group, GroupName="Team")
    iam.detach_group_policy(GroupName="Team", PolicyArn=policy["Arn"])
    iam.delete_group(GroupName="Team")
    iam.delete_user(UserName="member")
    iam.delete_policy(PolicyArn=policy["Arn"])
    assert user["UserId"].startswith("AIDA")
    for call, parameters in ((iam.get_group, {"GroupName": "Team"}), (iam.get_policy, {"PolicyArn": policy["Arn"]})):
        refused("NoSuchEntity", call, **parameters)


def test_versions_of_a_policy(iam):
    arn = iam.create_policy(PolicyName="Versions", PolicyDocument=json.dumps(LIST))["Policy"]["Arn"]
    refused("EntityAlreadyExists", iam.create_policy, PolicyName="VERSIONS", PolicyDocument=json.dumps(LIST))
    for number in range(2, 6):
        made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(LIST), SetAsDefault=number == 3)["PolicyVersion"]
        assert made["VersionId"] == f"v{number}" and made["IsDefaultVersion"] == (number == 3)
    refused("LimitExceeded", iam.create_policy_version, PolicyArn=arn, PolicyDocument=json.dumps(LIST))
    versions = [v for page in iam.get_paginator("list_policy_versions").paginate(PolicyArn=arn, PaginationConfig={"PageSize": 2}) for v in page["Versions"]]
    assert [v["VersionId"] for v in versions] == ["v1", "v2", "v3", "v4", "v5"]
    assert [v["VersionId"] for v in versions if v["IsDefaultVersion"]] == ["v3"]
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == LIST
    refused("NoSuchEntity", iam.get_policy_version, PolicyArn=arn, VersionId="v9")
    refused("DeleteConflict", iam.delete_policy_version, PolicyArn=arn, VersionId="v3")
    refused("DeleteConflict", iam.delete_policy, PolicyArn=arn)
    for number in (1, 2, 4, 5):
        iam.delete_policy_version(PolicyArn=arn, VersionId=f"v{number}")
    iam.delete_policy(PolicyArn=arn)
    refused("AccessDenied", iam.create_policy_version, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess", PolicyDocument=json.dumps(LIST))


def malformed():
    """Documents that no policy may be, each wrong in one place."""
    good = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    one = lambda **change: {"Version": "2012-10-17", "Statement": [{k: v for k, v in {**good, **change}.items() if v is not None}]}
    condition = lambda operator, key, value: one(Condition={operator: {key: value}})
    documents = [
        one(Effect=None), one(Action=None), one(Resource=None), one(Effect="allow"), one(Action="ListBuckets"), one(Action=[]), one(Action=5),
        one(Resource="bucket"), one(Principal="*"), one(NotAction="s3:*"), one(NotResource="*"), one(Sid="a b"), one(Conditions={}),
        condition("StringEqual", "aws:username", "x"), condition("StringEquals", "username", "x"), condition("NumericEquals", "aws:x", "ten"),
        condition("DateLessThan", "aws:CurrentTime", "tomorrow"), condition("Bool", "aws:SecureTransport", "yes"), condition("IpAddress", "aws:SourceIp", "10.0.0.0/40"),
        condition("NullIfExists", "aws:x", "true"), condition("ForSomeValues:StringEquals", "aws:x", "y"), condition("StringLike", "aws:x", "${aws:username"),
        {"Version": "2011-10-17", "Statement": [good]}, {"Version": "2012-10-17"}, {"Statement": "x"}, [good], "x", None,
        {"Version": "2012-10-17", "Statement": [{**good, "Sid": "A"}, {**good, "Sid": "A"}]},
    ]
    texts = ["", "{", '{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}', "[" * 5000, '{"Statement":[{"Effect":"Allow","Effect":"Deny","Action":"s3:*","Resource":"*"}]}']
    return [json.dumps(document) for document in documents] + texts


@pytest.mark.parametrize("document", malformed())
def test_a_malformed_policy_is_refused_wherever_it_is_put(iam, document):
    """DP-603: and nothing is stored."""
    for call, parameters in (
        (iam.create_policy, {"PolicyName": "Malformed"}),
        (iam.put_role_policy, {"RoleName": "CodeDeployServiceRole", "PolicyName": "malformed"}),
    ):
        refused("MalformedPolicyDocument", call, PolicyDocument=document, **parameters)
    refused("NoSuchEntity", iam.get_policy, PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/Malformed")
    assert iam.list_role_policies(RoleName="CodeDeployServiceRole")["PolicyNames"] == []


def test_values_beyond_their_limits_are_refused(iam):
    role = {"RoleName": "Limits", "AssumeRolePolicyDocument": json.dumps(TRUST)}
    long_policy = json.dumps({**LIST, "Statement": [{**LIST["Statement"][0], "Resource": [f"arn:aws:s3:::{i:0100}" for i in range(60)]}]})
    for code, call, parameters in (
        ("ValidationError", iam.create_group, {"GroupName": "g" * 129}),
        ("ValidationError", iam.create_group, {"GroupName": "a b"}),
        ("ValidationError", iam.create_group, {"GroupName": "g", "Path": "no-slash"}),
        ("ValidationError", iam.create_policy, {"PolicyName": "p" * 129, "PolicyDocument": json.dumps(LIST)}),
        ("LimitExceeded", iam.create_policy, {"PolicyName": "p", "PolicyDocument": long_policy}),
        ("ValidationError", iam.create_instance_profile, {"InstanceProfileName": "a/b"}),
        ("ValidationError", iam.create_role, {**role, "MaxSessionDuration": 3599}),
        ("ValidationError", iam.create_role, {**role, "Description": "d" * 1001}),
        ("LimitExceeded", iam.create_role, {**role, "Tags": [{"Key": f"k{i}", "Value": ""} for i in range(51)]}),
        ("InvalidInput", iam.create_role, {**role, "Tags": [{"Key": "k", "Value": ""}, {"Key": "K", "Value": ""}]}),
        ("ValidationError", iam.create_role, {**role, "Tags": [{"Key": "k" * 129, "Value": ""}]}),
        ("NoSuchEntity", iam.create_role, {**role, "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/None"}),
        ("ValidationError", iam.list_policies, {"Scope": "Mine"}),
        ("ValidationError", iam.list_groups, {"MaxItems": 1001}),
        ("ValidationError", iam.list_groups, {"Marker": "%%%"}),
        ("InvalidAction", iam.create_login_profile, {"UserName": "admin", "Password": "x"}),
    ):
        refused(code, call, **parameters)
    refused("NoSuchEntity", iam.get_role, RoleName="Limits")


def test_an_instance_profile_gives_a_role_to_instances(iam):
    """DP-632: as the guide's "create an instance profile" and the waiters of the CLI use it."""
    iam.create_role(RoleName="Ec2Host", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))
    profile = iam.create_instance_profile(InstanceProfileName="Ec2Host")["InstanceProfile"]
    assert profile["Arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/Ec2Host" and profile["Roles"] == []
    iam.get_waiter("instance_profile_exists").wait(InstanceProfileName="Ec2Host")
    iam.add_role_to_instance_profile(InstanceProfileName="Ec2Host", RoleName="Ec2Host")
    assert [r["RoleName"] for r in iam.get_instance_profile(InstanceProfileName="Ec2Host")["InstanceProfile"]["Roles"]] == ["Ec2Host"]
    assert [p["InstanceProfileName"] for p in iam.list_instance_profiles_for_role(RoleName="Ec2Host")["InstanceProfiles"]] == ["Ec2Host"]
    refused("LimitExceeded", iam.add_role_to_instance_profile, InstanceProfileName="Ec2Host", RoleName="Ec2Host")
    refused("DeleteConflict", iam.delete_role, RoleName="Ec2Host")
    refused("DeleteConflict", iam.delete_instance_profile, InstanceProfileName="Ec2Host")
    iam.update_role(RoleName="Ec2Host", Description="changed", MaxSessionDuration=7200)
    role = iam.get_role(RoleName="Ec2Host")["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("changed", 7200)
    iam.remove_role_from_instance_profile(InstanceProfileName="Ec2Host", RoleName="Ec2Host")
    iam.delete_instance_profile(InstanceProfileName="Ec2Host")
    iam.delete_role(RoleName="Ec2Host")


def test_sessions_of_another_account_are_that_accounts(shared_server, iam):
    """DP-301: the account of the role decides, and the external id and tags that its trust asks for."""
    trust = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/admin"}, "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"sts:ExternalId": "x-1", "aws:RequestTag/team": "web"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}}]}
    arn = iam.create_role(RoleName="Tagged", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="Tagged", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "codedeploy:*", "Resource": "arn:aws:codedeploy:*:*:application:${aws:PrincipalTag/team}*"}]}))
    sts = shared_server.client("sts", config=Config(parameter_validation=False))
    good = {"RoleArn": arn, "RoleSessionName": "ci", "ExternalId": "x-1", "Tags": [{"Key": "team", "Value": "web"}]}
    for change in ({"ExternalId": "x-2"}, {"Tags": []}, {"Tags": [{"Key": "team", "Value": "core"}]}, {"Tags": [*good["Tags"], {"Key": "b", "Value": ""}]}):
        refused("AccessDenied", sts.assume_role, **{**good, **change})
    for change in ({"ExternalId": "x"}, {"ExternalId": "a b"}, {"RoleSessionName": "x"}, {"DurationSeconds": 899}, {"RoleArn": "role"}, {"TransitiveTagKeys": ["none"]}):
        refused("ValidationError", sts.assume_role, **{**good, **change})
    refused("MalformedPolicyDocument", sts.assume_role, **good, Policy="{")
    refused("PackedPolicyTooLarge", sts.assume_role, **good, Policy=json.dumps({**LIST, "Id": "x" * 3000}))
    session = shared_server.client("codedeploy", **keys(sts.assume_role(**good)["Credentials"]))
    session.create_application(applicationName="web-shop")
    refused("AccessDeniedException", session.create_application, applicationName="core-shop")


def test_the_cli_speaks_to_iam_and_sts(shared_server):
    """What people type by the guide (OV-120..OV-130)."""
    aws = lambda *arguments, **more: shared_server.aws(*arguments, **more)
    aws("iam", "create-group", "--group-name", "CodeDeployUsers")
    aws("iam", "attach-group-policy", "--group-name", "CodeDeployUsers", "--policy-arn", "arn:aws:iam::aws:policy/AWSCodeDeployFullAccess")
    policies = json.loads(aws("iam", "list-attached-group-policies", "--group-name", "CodeDeployUsers", "--output", "json").stdout)
    assert [p["PolicyName"] for p in policies["AttachedPolicies"]] == ["AWSCodeDeployFullAccess"]
    aws("iam", "create-policy", "--policy-name", "Cli", "--policy-document", json.dumps(LIST))
    details = json.loads(aws("iam", "get-account-authorization-details", "--filter", "LocalManagedPolicy", "Group", "--output", "json").stdout)
    assert "Cli" in [p["PolicyName"] for p in details["Policies"]]
    assert "CodeDeployUsers" in [g["GroupName"] for g in details["GroupDetailList"]]
    key = aws("configure", "get", "aws_access_key_id").stdout.strip()
    assert json.loads(aws("sts", "get-access-key-info", "--access-key-id", key, "--output", "json").stdout) == {"Account": ACCOUNT}
    aws("iam", "delete-policy", "--policy-arn", f"arn:aws:iam::{ACCOUNT}:policy/Cli")


def test_boto_reads_the_whole_account(iam):
    details = iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 3})
    pages = list(details)
    assert len(pages) > 3
    assert "admin" in [user["UserName"] for page in pages for user in page["UserDetailList"]]
    role = next(role for page in pages for role in page["RoleDetailList"] if role["RoleName"] == "CodeDeployServiceRole")
    assert role["AttachedManagedPolicies"][0]["PolicyName"] == "AWSCodeDeployRole"
    policy = next(policy for page in pages for policy in page["Policies"] if policy["PolicyName"] == "AWSCodeDeployRole")
    assert policy["PolicyVersionList"][0]["Document"]["Statement"] and policy["AttachmentCount"] == 1


def slipway(*arguments, check=True):
    done = subprocess.run([BINARIES / "slipway", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, done.stderr
    return done


def test_the_trail_answers_who_did_what(tmp_path):
    """DP-430..DP-434, through the command."""
    data = tmp_path / "data"
    with running(Server(data)) as server:
        server.client("codedeploy").create_application(applicationName="trail")
        refused("ApplicationDoesNotExistException", server.client("codedeploy").get_application, applicationName="gone")
        secret = server.client("iam").create_access_key(UserName="admin")["AccessKey"]["SecretAccessKey"]
        found = slipway("admin", "audit", "--data-dir", data, "--event", "CreateApplication", "--json", check=False).stdout
        assert not found or json.loads(found)["requestParameters"] == {"applicationName": "trail"}
        assert server.terminate() == 0
    record = json.loads(slipway("admin", "audit", "--data-dir", data, "--event", "createapplication", "--user", "admin", "--since", "1h", "--json").stdout)
    assert record["responseElements"]["applicationId"] and record["userAgent"].startswith("Boto3")
    failed = slipway("admin", "audit", "--data-dir", data, "--failed").stdout
    assert "ApplicationDoesNotExistException" in failed and failed.count("\n") == 1
    by_id = slipway("admin", "audit", "--data-dir", data, "--request-id", record["requestID"]).stdout
    assert by_id.count("\n") == 1 and "CreateApplication" in by_id
    assert slipway("admin", "audit", "--data-dir", data, "--event", "DeleteApplication", check=False).returncode == 1
    everything = slipway("admin", "audit", "--data-dir", data, "--json").stdout
    assert secret not in everything
    slipway("admin", "audit", "--data-dir", data, "--verify")
    sealed = min((data / "audit").glob("slipway-audit-*.json"))
    assert len(json.loads(sealed.read_text())["Records"]) == everything.count("\n")
    sealed.write_text(sealed.read_text().replace("trail", "other"))
    tampered = slipway("admin", "audit", "--data-dir", data, "--verify", check=False)
    assert tampered.returncode == 1 and sealed.name in tampered.stdout


def test_a_new_master_key_keeps_access_keys(tmp_path):
    data = tmp_path / "data"
    with running(Server(data)) as server:
        busy = slipway("admin", "rotate-key", "--data-dir", data, check=False)
        assert busy.returncode == 2 and "in use" in busy.stderr
        arn = server.client("sts").get_caller_identity()["Arn"]
        server.terminate()
    before = (data / "private/master.key").read_text()
    assert "1 access keys" in slipway("admin", "rotate-key", "--data-dir", data).stdout
    assert (data / "private/master.key").read_text() != before
    with running(Server(data)) as server:
        assert server.client("sts").get_caller_identity()["Arn"] == arn


def test_clients_wait_and_try_again_when_they_are_too_fast(tmp_path):
    """The retries of boto3 make a throttled burst succeed."""
    with running(Server(tmp_path / "data", "--throttle.per-second", "20", "--throttle.burst", "5")) as server:
        codedeploy = server.client("codedeploy", config=Config(retries={"mode": "standard", "max_attempts": 8}))
        attempts = [codedeploy.list_applications()["ResponseMetadata"]["RetryAttempts"] for _ in range(15)]
        assert any(attempts), "the burst was never throttled"
        impatient = server.client("iam", config=Config(retries={"total_max_attempts": 1}))
        with pytest.raises(ClientError) as error:
            for _ in range(50):
                impatient.list_groups()
        assert error.value.response["Error"]["Code"] == "Throttling"


def test_accounts_share_nothing_but_roles_that_trust_each_other(tmp_path):
    """DP-300, DP-301, D-04: the chapter about deployments across accounts."""
    other = "444455556666"
    data = tmp_path / "data"
    with running(Server(data)) as server:
        server.terminate()
    printed = slipway("admin", "add-account", other, "--data-dir", data).stdout
    again = slipway("admin", "add-account", other, "--data-dir", data, check=False)
    assert again.returncode == 2 and other in again.stderr
    assert slipway("admin", "add-account", "12", "--data-dir", data, check=False).returncode == 2
    section, *lines = printed.splitlines()
    assert section == f"[{other}]"
    theirs = dict(line.split(" = ") for line in lines)
    with running(Server(data)) as server:
        client = lambda service, **more: server.client(service, **theirs, **more)
        assert client("sts").get_caller_identity()["Account"] == other
        client("codedeploy").create_application(applicationName="theirs")
        role = f"arn:aws:iam::{other}:role/CodeDeployServiceRole"
        client("codedeploy").create_deployment_group(applicationName="theirs", deploymentGroupName="g", serviceRoleArn=role)
        assert server.client("codedeploy").list_applications()["applications"] == []
        refused("ApplicationDoesNotExistException", server.client("codedeploy").get_application, applicationName="theirs")
        server.client("codedeploy").create_application(applicationName="ours")
        refused("InvalidRoleException", server.client("codedeploy").create_deployment_group, applicationName="ours", deploymentGroupName="g", serviceRoleArn=role)
        refused("NoSuchEntity", server.client("iam").get_user, UserName="nobody")
        client("s3").create_bucket(Bucket="their-bucket")
        refused("AccessDenied", server.client("s3").list_objects_v2, Bucket="their-bucket")

        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]}
        deployer = client("iam").create_role(RoleName="Deployer", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        client("iam").attach_role_policy(RoleName="Deployer", PolicyArn="arn:aws:iam::aws:policy/AWSCodeDeployDeployerAccess")
        session = server.client("sts").assume_role(RoleArn=deployer, RoleSessionName="across")["Credentials"]
        across = server.client("codedeploy", **keys(session))
        assert across.list_applications()["applications"] == ["theirs"]
        refused("AccessDeniedException", across.delete_application, applicationName="theirs")

        own = server.client("iam")
        own.create_user(UserName="plain")
        plain = server.client("sts", **keys(own.create_access_key(UserName="plain")["AccessKey"]))
        refused("AccessDenied", plain.assume_role, RoleArn=deployer, RoleSessionName="across")
        own.put_user_policy(UserName="plain", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": deployer}]}))
        plain.assume_role(RoleArn=deployer, RoleSessionName="across")
        refused("AccessDenied", client("sts").assume_role, RoleArn=f"arn:aws:iam::{ACCOUNT}:role/CodeDeployServiceRole", RoleSessionName="back")
        assert client("sts").get_access_key_info(AccessKeyId=session["AccessKeyId"])["Account"] == other


def test_a_killed_server_leaves_a_trail_that_holds(tmp_path):
    """DP-431, DP-434: what was open is sealed at the next start."""
    data = tmp_path / "data"
    server = Server(data)
    with running(server):
        for number in range(50):
            server.client("codedeploy").create_application(applicationName=f"app{number}")
        eventually(lambda: slipway("admin", "audit", "--data-dir", data, "--event", "CreateApplication", check=False).stdout.count("\n") == 50, "every call in the trail")
        server.kill()
        server.start()
        slipway("admin", "audit", "--data-dir", data, "--verify")
        assert slipway("admin", "audit", "--data-dir", data, "--event", "CreateApplication").stdout.count("\n") == 50
