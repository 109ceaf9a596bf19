"""Deployment groups with every setting, on each platform (CF-180..CF-314, DP-015, DP-402..DP-408, DP-500..DP-524)."""

import pytest
from botocore.exceptions import ClientError

from harness import ROLE, Server, eventually, running

USER = "arn:aws:iam::000000000001:user/AWS/CodeDeploy/"
ELB = "arn:aws:elasticloadbalancing:us-east-1:444455556666:"
LISTENER, TEST_LISTENER = ELB + "listener/app/bluegreen-alb/0123/4567", ELB + "listener/app/bluegreen-alb/0123/89ab"
NLB_LISTENER = ELB + "listener/net/bluegreen-nlb/0123/4567"
TOPIC = "arn:aws:sns:us-east-2:444455556666:NewTestTopic"
EVENTS = ["DeploymentStart", "DeploymentSuccess", "DeploymentFailure", "DeploymentStop", "DeploymentRollback", "DeploymentReady",
          "InstanceStart", "InstanceSuccess", "InstanceFailure", "InstanceReady"]
IN_PLACE = {"deploymentType": "IN_PLACE", "deploymentOption": "WITHOUT_TRAFFIC_CONTROL"}
SHIFTING = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
S3 = {"revisionType": "S3", "s3Location": {"bucket": "b", "key": "k", "bundleType": "zip"}}


def tag(key, value):
    return {"Key": key, "Value": value, "Type": "KEY_AND_VALUE"}


def names(*given):
    return [{"name": name} for name in given]


def trigger(name="t", arn=TOPIC, events=("DeploymentFailure",)):
    return {"triggerName": name, "triggerTargetArn": arn, "triggerEvents": list(events)}


def pair(groups=("tg1", "tg2"), listeners=(LISTENER,), test=None):
    given = {"targetGroups": names(*groups), "prodTrafficRoute": {"listenerArns": list(listeners)}}
    return given | ({"testTrafficRoute": {"listenerArns": list(test)}} if test is not None else {})


def alarms(*given, **more):
    return {"enabled": True, "ignorePollAlarmFailure": False, "alarms": names(*given), **more}


SERVICE = [{"serviceName": "s", "clusterName": "c"}]
LB = {"elbInfoList": names("clb")}
ECS_LB = {"targetGroupPairInfoList": [pair()]}
BLUE_GREEN = {"deploymentStyle": SHIFTING, "loadBalancerInfo": LB}
ECS = {"ecsServices": SERVICE, "loadBalancerInfo": ECS_LB}
OPTIONS = {
    "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 2880},
    "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 5},
    "greenFleetProvisioningOption": {"action": "DISCOVER_EXISTING"},
}
KEEP = {"terminateBlueInstancesOnDeploymentSuccess": {"action": "KEEP_ALIVE", "terminationWaitTimeInMinutes": 0}}
COPY = {"greenFleetProvisioningOption": {"action": "COPY_AUTO_SCALING_GROUP"}}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """An application of each platform."""
    with running(Server(tmp_path_factory.mktemp("groups") / "data")) as server:
        client = server.client("codedeploy")
        client.server = server
        for platform in ("Server", "Lambda", "ECS"):
            client.create_application(applicationName=platform, computePlatform=platform)
            assert client.get_application(applicationName=platform)["application"]["computePlatform"] == platform
        client.create_deployment_group(applicationName="ECS", deploymentGroupName="holder", serviceRoleArn=ROLE, loadBalancerInfo=ECS_LB,
                                       ecsServices=[{"serviceName": "held", "clusterName": "c"}])
        yield client


@pytest.fixture
def group(client, request):
    """Makes a group and shows it; it goes when the test ends."""
    made = []

    def make(application="Server", name="group", **settings):
        client.create_deployment_group(applicationName=application, deploymentGroupName=name, serviceRoleArn=ROLE, **settings)
        made.append({"applicationName": application, "deploymentGroupName": name})
        return shown(application, name)

    def shown(application="Server", name="group"):
        info = client.get_deployment_group(applicationName=application, deploymentGroupName=name)["deploymentGroupInfo"]
        for member in ("applicationName", "deploymentGroupId", "deploymentGroupName", "serviceRoleArn", "computePlatform"):
            del info[member]
        return info

    make.shown = shown
    yield make
    for one in made:
        client.delete_deployment_group(**one)


def update(client, name="group", application="Server", **settings):
    return client.update_deployment_group(applicationName=application, currentDeploymentGroupName=name, **settings)


def code_of(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


PLAIN = {
    "deploymentConfigName": "CodeDeployDefault.OneAtATime", "ec2TagFilters": [], "onPremisesInstanceTagFilters": [], "autoScalingGroups": [],
    "triggerConfigurations": [], "deploymentStyle": IN_PLACE, "outdatedInstancesStrategy": "UPDATE", "terminationHookEnabled": False,
}
SHOWN = [
    ("Server", {}, {}),
    ("Server", {"ec2TagFilters": [tag("Name", "a*"), {"Key": "K", "Type": "KEY_ONLY"}, {"Value": "v", "Type": "VALUE_ONLY"}]}, {}),
    ("Server", {"ec2TagSet": {"ec2TagSetList": [[tag("a", str(n)) for n in range(10)]] * 3}}, {}),
    ("Server", {"onPremisesTagSet": {"onPremisesTagSetList": [[tag("a", "b")], [tag("c", "d")]]}}, {}),
    ("Server", {"autoScalingGroups": ["asg1", "asg2"]}, {"autoScalingGroups": names("asg1", "asg2")}),
    ("Server", {"autoScalingGroups": [f"asg{n}" for n in range(10)], "terminationHookEnabled": True,
                "ec2DeploymentOptions": {"autoScalingGroupProcessesToSuspend": ["Terminate", "AZRebalance", "InstanceRefresh", "ScheduledActions"]}},
     {"autoScalingGroups": names(*(f"asg{n}" for n in range(10)))}),
    ("Server", {"triggerConfigurations": [trigger("one", events=EVENTS), trigger("two")]}, {}),
    ("Server", {"triggerConfigurations": [trigger(str(n)) for n in range(10)]}, {}),
    ("Server", {"alarmConfiguration": alarms("x", "y" * 255, ignorePollAlarmFailure=True)}, {}),
    ("Server", {"alarmConfiguration": alarms(*"0123456789", enabled=False)}, {}),
    ("Server", {"alarmConfiguration": {}}, {"alarmConfiguration": {"enabled": False, "ignorePollAlarmFailure": False, "alarms": []}}),
    ("Server", {"autoRollbackConfiguration": {"enabled": True, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"]}}, {}),
    ("Server", {"outdatedInstancesStrategy": "IGNORE"}, {}),
    ("Server", {"loadBalancerInfo": LB}, {"deploymentStyle": {**IN_PLACE, "deploymentOption": "WITH_TRAFFIC_CONTROL"}}),
    ("Server", {"loadBalancerInfo": LB, "deploymentStyle": IN_PLACE}, {}),
    ("Server", {"loadBalancerInfo": {"elbInfoList": names(*"0123456789"), "targetGroupInfoList": names(*"0123456789")},
                "deploymentStyle": {**IN_PLACE, "deploymentOption": "WITH_TRAFFIC_CONTROL"}}, {}),
    ("Server", BLUE_GREEN, {}),
    ("Server", {**BLUE_GREEN, "deploymentStyle": {"deploymentType": "BLUE_GREEN"}}, {"deploymentStyle": SHIFTING}),
    ("Server", {**BLUE_GREEN, "blueGreenDeploymentConfiguration": OPTIONS}, {}),
    ("Server", {**BLUE_GREEN, "blueGreenDeploymentConfiguration": KEEP, "ec2TagFilters": [tag("a", "b")]}, {}),
    ("Server", {**BLUE_GREEN, "blueGreenDeploymentConfiguration": COPY, "autoScalingGroups": ["asg"]}, {"autoScalingGroups": names("asg")}),
    ("Server", {"deploymentConfigName": "CodeDeployDefault.HalfAtATime"}, {}),
    ("Lambda", {}, {}),
    ("Lambda", {"deploymentConfigName": "CodeDeployDefault.LambdaLinear10PercentEvery1Minute", "deploymentStyle": SHIFTING,
                "alarmConfiguration": alarms("x"), "triggerConfigurations": [trigger()],
                "autoRollbackConfiguration": {"enabled": True, "events": ["DEPLOYMENT_STOP_ON_ALARM"]}}, {}),
    ("ECS", ECS, {}),
    ("ECS", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [pair(test=[TEST_LISTENER])]}, "deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes",
             "blueGreenDeploymentConfiguration": {key: OPTIONS[key] for key in OPTIONS if key != "greenFleetProvisioningOption"}}, {}),
    ("ECS", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [pair(listeners=[NLB_LISTENER])]}}, {}),
]
DEFAULTS = {
    "Server": {},
    "Lambda": {"deploymentConfigName": "CodeDeployDefault.LambdaAllAtOnce", "deploymentStyle": SHIFTING},
    "ECS": {"deploymentConfigName": "CodeDeployDefault.ECSAllAtOnce", "deploymentStyle": SHIFTING},
}


@pytest.mark.parametrize(("platform", "given", "differs"), SHOWN, ids=[f"{n:02}-{row[0]}-{'-'.join(row[1])[:60]}" for n, row in enumerate(SHOWN)])
def test_a_group_is_shown_as_it_was_given_with_its_defaults(group, platform, given, differs):
    """CF-101, CF-102, CF-184, CF-205, CF-226, CF-300; and the batch call shows the same."""
    assert group(platform, **given) == PLAIN | DEFAULTS[platform] | given | differs


G = {"deploymentGroupName": "new", "serviceRoleArn": ROLE}
ENABLED = {"enabled": True}
LONG = "x" * 256
REFUSALS = [
    # CF-200, CF-206, CF-211, Q25..Q27
    ("Server", {"ec2TagFilters": [tag("a", "b")], "ec2TagSet": {"ec2TagSetList": [[tag("a", "b")]]}}, "InvalidEC2TagCombinationException", "ec2TagSet"),
    ("Server", {"ec2TagFilters": [tag("a", str(n)) for n in range(11)]}, "InvalidEC2TagException", "10"),
    ("Server", {"ec2TagSet": {"ec2TagSetList": [[tag("a", "b")]] * 4}}, "TagSetListLimitExceededException", "3"),
    ("Server", {"ec2TagSet": {"ec2TagSetList": [[tag("a", str(n)) for n in range(11)]]}}, "InvalidEC2TagException", "10"),
    ("Server", {"ec2TagSet": {"ec2TagSetList": [[]]}}, "InvalidEC2TagException", "ec2TagSet"),
    ("Server", {"ec2TagFilters": [{"Key": "a", "Type": "BOTH"}]}, "InvalidEC2TagException", "BOTH"),
    ("Server", {"ec2TagFilters": [tag("k" * 129, "v")]}, "InvalidEC2TagException", "128"),
    ("Server", {"ec2TagFilters": [tag("k", "v" * 257)]}, "InvalidEC2TagException", "256"),
    ("Server", {"onPremisesTagSet": {"onPremisesTagSetList": [[]]}}, "InvalidTagException", "onPremisesTagSet"),
    # CF-207, DP-015
    ("Server", {"autoScalingGroups": [f"asg{n}" for n in range(11)]}, "InvalidAutoScalingGroupException", "10"),
    ("Server", {"autoScalingGroups": [""]}, "InvalidAutoScalingGroupException", "empty"),
    ("Server", {"autoScalingGroups": ["a", "a"]}, "InvalidAutoScalingGroupException", "twice"),
    ("Server", {"autoScalingGroups": [LONG]}, "InvalidAutoScalingGroupException", "255"),
    ("Server", {"ec2DeploymentOptions": {"autoScalingGroupProcessesToSuspend": ["Terminate"]}}, "InvalidAutoScalingGroupProcessToSuspendException", "Auto Scaling group"),
    ("Server", {"autoScalingGroups": ["a"], "ec2DeploymentOptions": {"autoScalingGroupProcessesToSuspend": ["Launch"]}}, "InvalidAutoScalingGroupProcessToSuspendException", "Launch"),
    ("Server", {"autoScalingGroups": ["a"], "ec2DeploymentOptions": {"autoScalingGroupProcessesToSuspend": ["Terminate"] * 2}}, "InvalidAutoScalingGroupProcessToSuspendException", "twice"),
    ("Server", {**BLUE_GREEN, "autoScalingGroups": ["a"], "ec2DeploymentOptions": {"autoScalingGroupProcessesToSuspend": ["Terminate"]}}, "InvalidAutoScalingGroupProcessToSuspendException", "IN_PLACE"),
    # DP-500..DP-502, Q11
    ("Server", {"triggerConfigurations": [trigger(str(n)) for n in range(11)]}, "TriggerTargetsLimitExceededException", "10"),
    ("Server", {"triggerConfigurations": [{}]}, "InvalidTriggerConfigException", "empty"),
    ("Server", {"triggerConfigurations": [trigger(), trigger()]}, "InvalidTriggerConfigException", "twice"),
    ("Server", {"triggerConfigurations": [trigger(arn="topic")]}, "InvalidTriggerConfigException", "topic"),
    ("Server", {"triggerConfigurations": [trigger(arn="")]}, "InvalidTriggerConfigException", "triggerTargetArn"),
    ("Server", {"triggerConfigurations": [trigger(events=[])]}, "InvalidTriggerConfigException", "triggerEvents"),
    ("Server", {"triggerConfigurations": [trigger(events=["InstanceStop"])]}, "InvalidTriggerConfigException", "InstanceStop"),
    ("Server", {"triggerConfigurations": [trigger(events=["InstanceStart"] * 2)]}, "InvalidTriggerConfigException", "twice"),
    # CF-292..CF-295, DP-408, Q3
    ("Server", {"alarmConfiguration": alarms()}, "InvalidAlarmConfigException", "at least one"),
    ("Server", {"alarmConfiguration": ENABLED}, "InvalidAlarmConfigException", "at least one"),
    ("Server", {"alarmConfiguration": alarms("a", "a")}, "InvalidAlarmConfigException", "twice"),
    ("Server", {"alarmConfiguration": alarms("")}, "InvalidAlarmConfigException", "empty"),
    ("Server", {"alarmConfiguration": {"enabled": False, "alarms": [{}]}}, "InvalidAlarmConfigException", "empty"),
    ("Server", {"alarmConfiguration": alarms(LONG)}, "InvalidAlarmConfigException", "255"),
    ("Server", {"alarmConfiguration": alarms(*(str(n) for n in range(11)))}, "AlarmsLimitExceededException", "10"),
    # DP-215
    ("Server", {"autoRollbackConfiguration": ENABLED}, "InvalidAutoRollbackConfigException", "event"),
    # CF-226, CF-234, CF-241, CF-280, OV A-16
    ("Server", {"deploymentStyle": {"deploymentOption": "SOME"}}, "InvalidDeploymentStyleException", "SOME"),
    ("Server", {"deploymentStyle": {"deploymentOption": "WITH_TRAFFIC_CONTROL"}}, "InvalidLoadBalancerInfoException", "loadBalancerInfo"),
    ("Server", {"deploymentStyle": SHIFTING}, "InvalidLoadBalancerInfoException", "loadBalancerInfo"),
    ("Server", {**BLUE_GREEN, "deploymentStyle": {**SHIFTING, "deploymentOption": "WITHOUT_TRAFFIC_CONTROL"}}, "InvalidDeploymentStyleException", "WITH_TRAFFIC_CONTROL"),
    ("Server", {**BLUE_GREEN, "onPremisesInstanceTagFilters": [tag("a", "b")]}, "InvalidDeploymentStyleException", "On-premises"),
    ("Server", {"loadBalancerInfo": {"elbInfoList": names(*(str(n) for n in range(11)))}}, "InvalidLoadBalancerInfoException", "10"),
    ("Server", {"loadBalancerInfo": {"targetGroupInfoList": names(*(str(n) for n in range(11)))}}, "InvalidLoadBalancerInfoException", "10"),
    ("Server", {"loadBalancerInfo": {"elbInfoList": [{}]}}, "InvalidLoadBalancerInfoException", "empty"),
    ("Server", {"loadBalancerInfo": {"elbInfoList": names("a", "a")}}, "InvalidLoadBalancerInfoException", "twice"),
    ("Server", {"loadBalancerInfo": ECS_LB}, "InvalidLoadBalancerInfoException", "ECS"),
    ("Server", {"ecsServices": SERVICE}, "InvalidECSServiceException", "ECS"),
    # CF-230..CF-240, Q13, Q14, Q16
    ("Server", {"blueGreenDeploymentConfiguration": OPTIONS}, "InvalidBlueGreenDeploymentConfigurationException", "BLUE_GREEN"),
    *[("Server", {**BLUE_GREEN, "blueGreenDeploymentConfiguration": options}, "InvalidBlueGreenDeploymentConfigurationException", fragment) for options, fragment in (
        (COPY, "Auto Scaling group"),
        ({"greenFleetProvisioningOption": {"action": "CLONE"}}, "CLONE"),
        ({"greenFleetProvisioningOption": {}}, "action"),
        ({"terminateBlueInstancesOnDeploymentSuccess": {"action": "STOP"}}, "STOP"),
        ({"terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 2881}}, "2880"),
        ({"terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": -1}}, "2880"),
        ({"deploymentReadyOption": {"actionOnTimeout": "WAIT"}}, "WAIT"),
        ({"deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 2881}}, "2880"),
    )],
    # A-24, OV-021: Lambda
    ("Lambda", {"deploymentConfigName": "CodeDeployDefault.OneAtATime"}, "InvalidDeploymentConfigNameException", "Server"),
    ("Lambda", {"deploymentStyle": IN_PLACE}, "InvalidDeploymentStyleException", "BLUE_GREEN"),
    ("Lambda", {"ec2TagFilters": [tag("a", "b")]}, "InvalidEC2TagException", "Lambda"),
    ("Lambda", {"onPremisesInstanceTagFilters": [tag("a", "b")]}, "InvalidTagException", "Lambda"),
    ("Lambda", {"autoScalingGroups": ["a"]}, "InvalidAutoScalingGroupException", "Lambda"),
    ("Lambda", {"terminationHookEnabled": True}, "InvalidAutoScalingGroupException", "terminationHookEnabled"),
    ("Lambda", {"ec2DeploymentOptions": {"autoScalingGroupProcessesToSuspend": []}}, "InvalidAutoScalingGroupProcessToSuspendException", "Lambda"),
    ("Lambda", {"loadBalancerInfo": LB}, "InvalidLoadBalancerInfoException", "Server and ECS"),
    ("Lambda", {"ecsServices": SERVICE}, "InvalidECSServiceException", "ECS"),
    ("Lambda", {"blueGreenDeploymentConfiguration": KEEP}, "InvalidBlueGreenDeploymentConfigurationException", "Server and ECS"),
    # CF-125, CF-250, CF-251, CF-257, Q19, Q22: ECS
    ("ECS", {}, "InvalidECSServiceException", "ecsServices"),
    ("ECS", {"loadBalancerInfo": ECS_LB}, "InvalidECSServiceException", "ecsServices"),
    ("ECS", {**ECS, "ecsServices": SERVICE * 2}, "InvalidECSServiceException", "one"),
    ("ECS", {**ECS, "ecsServices": [{"serviceName": "s"}]}, "InvalidECSServiceException", "clusterName"),
    ("ECS", {**ECS, "ecsServices": [{"serviceName": "held", "clusterName": "c"}]}, "ECSServiceMappingLimitExceededException", "c:held"),
    ("ECS", {"ecsServices": SERVICE}, "InvalidLoadBalancerInfoException", "targetGroupPairInfoList"),
    ("ECS", {**ECS, "loadBalancerInfo": LB}, "InvalidLoadBalancerInfoException", "targetGroupPairInfoList"),
    ("ECS", {**ECS, "loadBalancerInfo": {**ECS_LB, **LB}}, "InvalidLoadBalancerInfoException", "nothing else"),
    ("ECS", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [pair(), pair()]}}, "InvalidLoadBalancerInfoException", "one"),
    ("ECS", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [pair(groups=["tg1"])]}}, "InvalidTargetGroupPairException", "two"),
    ("ECS", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [pair(groups=["tg1", "tg1"])]}}, "InvalidTargetGroupPairException", "twice"),
    ("ECS", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [{"targetGroups": names("tg1", "tg2")}]}}, "InvalidTargetGroupPairException", "prodTrafficRoute"),
    ("ECS", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [pair(test=[LISTENER])]}}, "InvalidTargetGroupPairException", "testTrafficRoute"),
    ("ECS", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [pair(listeners=[])]}}, "InvalidLoadBalancerInfoException", "one listener"),
    ("ECS", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [pair(listeners=[LISTENER, TEST_LISTENER])]}}, "InvalidLoadBalancerInfoException", "one listener"),
    ("ECS", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [pair(listeners=["arn:aws:x"])]}}, "InvalidLoadBalancerInfoException", "arn:aws:x"),
    ("ECS", {**ECS, "blueGreenDeploymentConfiguration": OPTIONS}, "InvalidBlueGreenDeploymentConfigurationException", "greenFleetProvisioningOption"),
    ("ECS", {**ECS, "loadBalancerInfo": {"targetGroupPairInfoList": [pair(listeners=[NLB_LISTENER])]}, "deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes"},
     "InvalidTrafficRoutingConfigurationException", "Only ALB supports gradual traffic routing, use AllAtOnce Traffic routing instead when you create/update Deployment group."),
    ("ECS", {**ECS, "tags": [{"Key": ""}]}, "InvalidTagsToAddException", "Key"),
]


@pytest.mark.parametrize(("platform", "given", "code", "fragment"), REFUSALS,
                         ids=[f"{n:02}-{row[0]}-{row[2].removesuffix('Exception')}" for n, row in enumerate(REFUSALS)])
def test_settings_that_cannot_be_are_refused_by_their_documented_name(client, platform, given, code, fragment):
    """Not provoked: LifecycleHookLimitExceededException, since no hooks are installed; ThrottlingException, which only a
    group that others change all the time answers."""
    answer = client.server.api().call("CreateDeploymentGroup", {**G, "applicationName": platform, **given})
    assert (answer.status, answer.code) == (400, code), answer.content
    assert fragment in answer.message
    assert code in {shape.name for shape in client.meta.service_model.operation_model("CreateDeploymentGroup").error_shapes}
    assert client.list_deployment_groups(applicationName=platform)["deploymentGroups"] == (["holder"] if platform == "ECS" else [])


UPDATABLE = [row for row in REFUSALS if row[0] == "Server" and row[2] != "InvalidTagsToAddException"]


@pytest.mark.parametrize(("platform", "given", "code", "fragment"), UPDATABLE, ids=[f"{n:02}-{row[2].removesuffix('Exception')}" for n, row in enumerate(UPDATABLE)])
def test_an_update_refuses_the_same_and_changes_nothing(client, group, platform, given, code, fragment):
    """CF-313."""
    before = group(autoRollbackConfiguration={"enabled": False})
    answer = client.server.api().call("UpdateDeploymentGroup", {"applicationName": platform, "currentDeploymentGroupName": "group", **given})
    assert (answer.status, answer.code) == (400, code), answer.content
    assert fragment in answer.message
    assert code in {shape.name for shape in client.meta.service_model.operation_model("UpdateDeploymentGroup").error_shapes}
    assert group.shown() == before


UPDATE_REFUSALS = [
    ({"applicationName": None}, "ApplicationNameRequiredException"),
    ({"applicationName": "a b"}, "InvalidApplicationNameException"),
    ({"applicationName": "none"}, "ApplicationDoesNotExistException"),
    ({"currentDeploymentGroupName": None}, "DeploymentGroupNameRequiredException"),
    ({"currentDeploymentGroupName": "a b"}, "InvalidDeploymentGroupNameException"),
    ({"currentDeploymentGroupName": "none"}, "DeploymentGroupDoesNotExistException"),
    ({"newDeploymentGroupName": "a b"}, "InvalidDeploymentGroupNameException"),
    ({"newDeploymentGroupName": "other"}, "DeploymentGroupAlreadyExistsException"),
    ({"serviceRoleArn": ROLE + "x"}, "InvalidRoleException"),
    ({"deploymentConfigName": "none"}, "DeploymentConfigDoesNotExistException"),
    ({"deploymentConfigName": "a b"}, "InvalidDeploymentConfigNameException"),
    ({"deploymentConfigName": "CodeDeployDefault.ECSAllAtOnce"}, "InvalidDeploymentConfigNameException"),
    ({"onPremisesInstanceTagFilters": [tag("a", "b")], "onPremisesTagSet": {"onPremisesTagSetList": [[tag("a", "b")]]}}, "InvalidOnPremisesTagCombinationException"),
    ({"outdatedInstancesStrategy": "MAYBE"}, "InvalidInputException"),
]


@pytest.mark.parametrize(("given", "code"), UPDATE_REFUSALS, ids=[f"{n:02}-{row[1].removesuffix('Exception')}" for n, row in enumerate(UPDATE_REFUSALS)])
def test_an_update_of_what_is_not_there_is_refused(client, group, given, code):
    before = group(name="group"), group(name="other")
    parameters = {"applicationName": "Server", "currentDeploymentGroupName": "group", **given}
    answer = client.server.api().call("UpdateDeploymentGroup", {name: value for name, value in parameters.items() if value is not None})
    assert (answer.status, answer.code) == (400, code), answer.content
    assert (group.shown(name="group"), group.shown(name="other")) == before


FULL = {
    "ec2TagFilters": [tag("a", "b")], "onPremisesTagSet": {"onPremisesTagSetList": [[tag("a", "b")], [tag("c", "d")]]}, "autoScalingGroups": ["asg"],
    "triggerConfigurations": [trigger()], "alarmConfiguration": alarms("x"), "loadBalancerInfo": LB, "outdatedInstancesStrategy": "IGNORE",
    "autoRollbackConfiguration": {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}, "deploymentConfigName": "CodeDeployDefault.AllAtOnce",
    "terminationHookEnabled": True, "ec2DeploymentOptions": {"autoScalingGroupProcessesToSuspend": ["Terminate"]},
}


def test_an_update_changes_what_is_given_and_keeps_the_rest(client, group):
    """CF-313, CF-314, A-14, DP-524; acceptance scenario 15."""
    expected = group(**FULL)
    changes = [
        ({}, {}),
        ({"outdatedInstancesStrategy": "UPDATE"}, {}),
        ({"deploymentConfigName": "CodeDeployDefault.HalfAtATime"}, {}),
        ({"triggerConfigurations": []}, {}),
        ({"alarmConfiguration": alarms("x", enabled=False)}, {}),
        ({"autoRollbackConfiguration": {"enabled": False, "events": []}}, {}),
        ({"ec2DeploymentOptions": {"autoScalingGroupProcessesToSuspend": []}}, {}),
        ({"autoScalingGroups": []}, {}),
        ({"terminationHookEnabled": False}, {}),
        ({"ec2TagSet": {"ec2TagSetList": [[tag("e", "f")]]}}, {"ec2TagFilters": []}),
        ({"ec2TagFilters": []}, {}),
        ({"onPremisesInstanceTagFilters": []}, {}),
        ({"onPremisesInstanceTagFilters": [tag("g", "h")]}, {"onPremisesTagSet": None}),
        ({"onPremisesTagSet": {"onPremisesTagSetList": []}}, {}),
        ({"onPremisesInstanceTagFilters": []}, {}),
        ({"deploymentStyle": SHIFTING, "blueGreenDeploymentConfiguration": KEEP}, {}),
        ({"blueGreenDeploymentConfiguration": OPTIONS}, {}),
        ({"deploymentStyle": IN_PLACE}, {"blueGreenDeploymentConfiguration": None}),
        ({"loadBalancerInfo": {}}, {"loadBalancerInfo": None}),
    ]
    for given, besides in changes:
        assert update(client, **given)["hooksNotCleanedUp"] == []
        kept = {"ec2TagFilters", "onPremisesInstanceTagFilters"} & set(given) if any(value == [] for value in given.values()) else set()
        expected = {**expected, **{name: value for name, value in given.items() if not (name in kept and expected.get(name) == [])}, **besides}
        if given.get("onPremisesTagSet") == {"onPremisesTagSetList": []}:
            expected["onPremisesTagSet"] = None  # the stored form was the flat one: nothing was emptied
        expected = {name: value for name, value in expected.items() if value is not None}
        assert group.shown() == expected, given


def test_what_get_shows_can_be_given_back(client, group):
    """DP-523: the guide's way to edit a group."""
    before = group(**{name: value for name, value in FULL.items() if name != "autoScalingGroups" and name != "ec2DeploymentOptions"})
    update(client, **before)
    assert group.shown() == before


def test_a_renamed_group_keeps_its_history(client, group):
    """CF-313: id, deployments and permissions go with it; its old name is free."""
    group()
    id = client.get_deployment_group(applicationName="Server", deploymentGroupName="group")["deploymentGroupInfo"]["deploymentGroupId"]
    deployment = client.create_deployment(applicationName="Server", deploymentGroupName="group", revision=S3)["deploymentId"]
    update(client, newDeploymentGroupName="renamed", deploymentConfigName="CodeDeployDefault.AllAtOnce")
    assert code_of(lambda: group.shown()) == "DeploymentGroupDoesNotExistException"
    info = client.get_deployment_group(applicationName="Server", deploymentGroupName="renamed")["deploymentGroupInfo"]
    assert (info["deploymentGroupId"], info["deploymentConfigName"]) == (id, "CodeDeployDefault.AllAtOnce")
    assert info["lastAttemptedDeployment"]["deploymentId"] == deployment
    eventually(lambda: client.get_deployment(deploymentId=deployment)["deploymentInfo"]["status"] == "Failed", "it fails for want of hosts")
    assert client.get_deployment(deploymentId=deployment)["deploymentInfo"]["deploymentGroupName"] == "renamed"
    assert client.list_deployments(applicationName="Server", deploymentGroupName="renamed")["deployments"] == [deployment]
    group(name="group")
    assert code_of(lambda: update(client, "renamed", newDeploymentGroupName="group")) == "DeploymentGroupAlreadyExistsException"
    client.delete_deployment_group(applicationName="Server", deploymentGroupName="renamed")
    assert code_of(lambda: client.get_deployment(deploymentId=deployment)) == "DeploymentDoesNotExistException"


def test_an_ecs_service_is_free_again_when_its_group_lets_go_of_it(client, group):
    """CF-257, Q19."""
    other = [{"serviceName": "other", "clusterName": "c"}]
    group("ECS", **ECS)
    second = lambda services: group("ECS", "second", **ECS | {"ecsServices": services})  # noqa: E731
    assert code_of(lambda: second(SERVICE)) == "ECSServiceMappingLimitExceededException"
    update(client, application="ECS", ecsServices=other)
    second(SERVICE)
    assert code_of(lambda: update(client, "second", "ECS", ecsServices=other)) == "ECSServiceMappingLimitExceededException"
    client.delete_deployment_group(applicationName="ECS", deploymentGroupName="group")
    update(client, "second", "ECS", ecsServices=other)


UNHONOURED = [
    ({**BLUE_GREEN}, {}, "InvalidInputException", "BLUE_GREEN"),
    ({"loadBalancerInfo": LB}, {}, "InvalidLoadBalancerInfoException", "WITH_TRAFFIC_CONTROL"),
    ({"autoScalingGroups": ["asg"]}, {}, "InvalidAutoScalingGroupException", "Auto Scaling"),
    ({"ec2TagFilters": [tag("a", "b")]}, {}, "InvalidInputException", "EC2"),
    ({"ec2TagSet": {"ec2TagSetList": [[tag("a", "b")]]}}, {}, "InvalidInputException", "EC2"),
    ({"triggerConfigurations": [trigger()]}, {}, "InvalidInputException", "trigger"),
    ({"alarmConfiguration": alarms("x")}, {}, "InvalidAlarmConfigException", "overrideAlarmConfiguration"),
    ({}, {"overrideAlarmConfiguration": alarms("x")}, "InvalidAlarmConfigException", "alarms"),
    ({}, {"overrideAlarmConfiguration": alarms()}, "InvalidAlarmConfigException", "at least one"),
    ({}, {"overrideAlarmConfiguration": alarms(*(str(n) for n in range(11)))}, "AlarmsLimitExceededException", "10"),
    ({}, {"ec2DeploymentOptions": {"autoScalingGroupProcessesToSuspend": ["Terminate"]}}, "InvalidAutoScalingGroupProcessToSuspendException", "ec2DeploymentOptions"),
]


@pytest.mark.parametrize(("settings", "given", "code", "fragment"), UNHONOURED, ids=[f"{n:02}-{row[2].removesuffix('Exception')}" for n, row in enumerate(UNHONOURED)])
def test_a_deployment_that_could_not_honour_its_settings_is_refused(client, group, settings, given, code, fragment):
    """Never accepted and then ignored; the error is one that SDKs know for CreateDeployment."""
    group(**settings)
    answer = client.server.api().call("CreateDeployment", {"applicationName": "Server", "deploymentGroupName": "group", "revision": S3, **given})
    assert (answer.status, answer.code) == (400, code), answer.content
    assert fragment in answer.message
    assert code in {shape.name for shape in client.meta.service_model.operation_model("CreateDeployment").error_shapes}
    assert client.list_deployments(applicationName="Server", deploymentGroupName="group")["deployments"] == []


@pytest.mark.parametrize(("settings", "given"), [
    ({"alarmConfiguration": alarms("x")}, {"overrideAlarmConfiguration": {"enabled": False, "ignorePollAlarmFailure": False, "alarms": []}}),
    ({"alarmConfiguration": alarms("x", enabled=False)}, {}),
    ({"autoRollbackConfiguration": {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}}, {"autoRollbackConfiguration": {"enabled": False, "events": []}}),
    ({"loadBalancerInfo": LB, "deploymentStyle": IN_PLACE}, {}),
    ({"outdatedInstancesStrategy": "UPDATE", "terminationHookEnabled": True}, {}),
])
def test_settings_that_are_off_or_switched_off_for_it_do_not_hinder_a_deployment(client, group, settings, given):
    """DP-003, DP-214, DP-243, CF-293."""
    group(**settings)
    id = client.create_deployment(applicationName="Server", deploymentGroupName="group", revision=S3, **given)["deploymentId"]
    info = client.get_deployment(deploymentId=id)["deploymentInfo"]
    assert {name: info[name] for name in given} == given
    assert group.shown()["deploymentConfigName"] == "CodeDeployDefault.OneAtATime"


APPSPEC = '{"version": 0.0, "Resources": []}'


def inline(kind="AppSpecContent", member="appSpecContent", **given):
    return {"revisionType": kind, member: given}


@pytest.mark.parametrize("platform", ["Lambda", "ECS"])
def test_lambda_and_ecs_applications_keep_appspec_files(client, group, platform):
    """CF-320, CF-324, CF-327, DP-023, DP-025: by content, under its hash."""
    group(platform, **(ECS if platform == "ECS" else {}))
    register = lambda revision: client.register_application_revision(applicationName=platform, revision=revision)  # noqa: E731
    get = lambda revision: client.get_application_revision(applicationName=platform, revision=revision)["revision"]  # noqa: E731
    yaml = {"revisionType": "S3", "s3Location": {"bucket": "bucket", "key": "k", "bundleType": "YAML"}}
    register(yaml)
    register(inline(content=APPSPEC))
    register(inline("String", "string", content=APPSPEC + " "))
    shown = get(inline(content=APPSPEC))
    hash = shown["appSpecContent"]["sha256"]
    assert shown == inline(content=APPSPEC, sha256=hash) and len(hash) == 64
    assert get(inline(sha256=hash)) == shown == get(inline(content=APPSPEC, sha256=hash.upper()))
    assert get(inline("String", "string", content=APPSPEC + " "))["string"]["content"] == APPSPEC + " "
    listed = client.list_application_revisions(applicationName=platform)["revisions"]
    assert len(listed) == 3 and inline(sha256=hash) in listed and yaml in listed, "DP-025: lists have the hash only"
    batch = client.batch_get_application_revisions(applicationName=platform, revisions=[inline(sha256=hash), inline(sha256="0" * 64)])
    assert [r["revisionLocation"] for r in batch["revisions"]] == [shown] and batch["errorMessage"].endswith(": 2")
    for revision in (
        S3, inline(), inline(sha256=hash), inline(content=""), inline(content=APPSPEC, sha256="0" * 64), inline(content=APPSPEC, sha256="short"),
        {"revisionType": "String"}, inline("String", content=APPSPEC),
        {"revisionType": "GitHub", "gitHubLocation": {"repository": "a/b", "commitId": "0" * 40}},
    ):
        assert code_of(lambda revision=revision: register(revision)) == "InvalidRevisionException", revision
    assert code_of(lambda: get(inline(sha256="0" * 64))) == "RevisionDoesNotExistException"


@pytest.mark.parametrize("platform", ["Lambda", "ECS"])
def test_deployments_to_lambda_and_ecs_are_refused_and_say_so(client, group, platform):
    group(platform, **(ECS if platform == "ECS" else {}))
    call = {"applicationName": platform, "deploymentGroupName": "group", "revision": inline(content=APPSPEC)}
    answer = client.server.api().call("CreateDeployment", call)
    assert answer.code == "InvalidComputePlatformException" and platform in answer.message and "not available" in answer.message
    assert client.server.api().call("CreateDeployment", {**call, "revision": S3}).code == "InvalidRevisionException"
    assert client.server.api().call("CreateDeployment", {**call, "deploymentConfigName": "CodeDeployDefault.OneAtATime"}).code == "InvalidDeploymentConfigNameException"


def test_the_limits_are_configuration(tmp_path):
    """D-40, Q3, Q4, Q11."""
    (tmp_path / "slipway.toml").write_text("[quotas]\nalarms = 1\ntriggers = 11\nauto_scaling_groups = 2\nbatch_size = 1\n")
    with running(Server(tmp_path / "data", "--config", str(tmp_path / "slipway.toml"))) as server:
        client = server.client("codedeploy")
        client.create_application(applicationName="Server")
        make = lambda **given: client.create_deployment_group(applicationName="Server", **G, **given)  # noqa: E731
        assert code_of(lambda: make(alarmConfiguration=alarms("a", "b"))) == "AlarmsLimitExceededException"
        assert code_of(lambda: make(autoScalingGroups=["a", "b", "c"])) == "InvalidAutoScalingGroupException"
        make(alarmConfiguration=alarms("a"), autoScalingGroups=["a", "b"], triggerConfigurations=[trigger(str(n)) for n in range(11)])
        assert code_of(lambda: client.batch_get_applications(applicationNames=["a", "b"])) == "BatchLimitExceededException"


def test_the_guides_commands_work_as_printed(client):
    """CF-304, TU-63, T6 step 3, T7 step 6, DP-524."""
    aws = client.server.aws
    create = ("deploy", "create-deployment-group", "--service-role-arn", ROLE, "--deployment-group-name")
    aws(*create, "github", "--application-name", "Server", "--ec2-tag-filters", "Key=K1,Type=KEY_AND_VALUE,Value=V1",
        "--on-premises-instance-tag-filters", "Key=K2,Type=KEY_AND_VALUE,Value=V2")
    aws(*create, "scaled", "--application-name", "Server", "--auto-scaling-groups", "CodeDeployDemo-AS-Group", "--deployment-config-name", "CodeDeployDefault.OneAtATime")
    aws(*create, "ecs-demo-dg", "--application-name", "ECS", "--deployment-config-name", "CodeDeployDefault.ECSAllAtOnce", "--ecs-services", "clusterName=C,serviceName=S",
        "--deployment-style", "deploymentType=BLUE_GREEN,deploymentOption=WITH_TRAFFIC_CONTROL", "--blue-green-deployment-configuration",
        "terminateBlueInstancesOnDeploymentSuccess={action=TERMINATE,terminationWaitTimeInMinutes=5},deploymentReadyOption={actionOnTimeout=CONTINUE_DEPLOYMENT}",
        "--load-balancer-info", f"targetGroupPairInfoList=[{{targetGroups=[{{name=tg1}},{{name=tg2}}],prodTrafficRoute={{listenerArns=[{LISTENER}]}}}}]")
    change = ("deploy", "update-deployment-group", "--application-name", "Server", "--current-deployment-group-name", "github")
    aws(*change, "--region", "us-east-1", "--outdated-instances-strategy", "IGNORE")
    aws(*change, "--trigger-configurations", f"triggerName=t,triggerTargetArn={TOPIC},triggerEvents=DeploymentStart,InstanceFailure")
    info = client.get_deployment_group(applicationName="Server", deploymentGroupName="github")["deploymentGroupInfo"]
    assert info["outdatedInstancesStrategy"] == "IGNORE" and info["triggerConfigurations"] == [trigger(events=["DeploymentStart", "InstanceFailure"])]
    assert info["ec2TagFilters"] == [tag("K1", "V1")] and info["onPremisesInstanceTagFilters"] == [tag("K2", "V2")]
    aws(*change, "--trigger-configurations")
    shown = client.server.aws_json("deploy", "batch-get-deployment-groups", "--application-name", "Server", "--deployment-group-names", "github")
    assert shown["deploymentGroupsInfo"][0]["triggerConfigurations"] == []
    for application, name in (("Server", "github"), ("Server", "scaled"), ("ECS", "ecs-demo-dg")):
        aws("deploy", "delete-deployment-group", "--application-name", application, "--deployment-group-name", name)


def test_zones_are_for_deployments_in_place(client, group):
    """CF-059, A-08: wherever the two would meet."""
    client.create_deployment_config(deploymentConfigName="zonal", minimumHealthyHosts={"type": "HOST_COUNT", "value": 0}, zonalConfig={"monitorDurationInSeconds": 1})
    assert code_of(lambda: group(**BLUE_GREEN, deploymentConfigName="zonal")) == "InvalidInputException"
    group(**BLUE_GREEN)
    assert code_of(lambda: update(client, deploymentConfigName="zonal")) == "InvalidInputException"
    call = {"applicationName": "Server", "deploymentGroupName": "group", "revision": S3, "deploymentConfigName": "zonal"}
    answer = client.server.api().call("CreateDeployment", call)
    assert answer.code == "InvalidInputException" and "zonalConfig" in answer.message
    update(client, deploymentStyle=IN_PLACE, deploymentConfigName="zonal")
    assert code_of(lambda: update(client, deploymentStyle=SHIFTING)) == "InvalidInputException"
    update(client, deploymentConfigName="CodeDeployDefault.OneAtATime")
    client.delete_deployment_config(deploymentConfigName="zonal")


def test_everything_of_an_application_goes_with_it_and_its_service_is_free(client):
    """CF-164, CF-257."""
    for _ in range(2):
        client.create_application(applicationName="passing", computePlatform="ECS")
        client.create_deployment_group(applicationName="passing", deploymentGroupName="group", serviceRoleArn=ROLE, **ECS)
        update(client, application="passing", newDeploymentGroupName="renamed")
        client.update_application(applicationName="passing", newApplicationName="passed")
        client.delete_application(applicationName="passed")


def test_groups_configurations_and_names_survive_kill_9(tmp_path):
    """What was acknowledged is there again, and a page token made before is good after."""
    with running(Server(tmp_path / "data")) as server:
        client = server.client("codedeploy")
        client.create_application(applicationName="before", tags=[{"Key": "a", "Value": "b"}])
        client.create_deployment_config(deploymentConfigName="mine", minimumHealthyHosts={"type": "FLEET_PERCENT", "value": 75})
        client.create_deployment_group(applicationName="before", deploymentGroupName="group", serviceRoleArn=ROLE, **FULL | {"deploymentConfigName": "mine"})
        client.create_deployment_group(applicationName="before", deploymentGroupName="plain", serviceRoleArn=ROLE)
        deployment = client.create_deployment(applicationName="before", deploymentGroupName="plain", revision=S3)["deploymentId"]
        for number in range(101):
            client.register_application_revision(applicationName="before", revision={**S3, "s3Location": {**S3["s3Location"], "key": f"k{number:03}"}})
        token = client.list_application_revisions(applicationName="before", sortBy="registerTime")["nextToken"]
        client.update_application(applicationName="before", newApplicationName="after")
        update(client, "plain", "after", newDeploymentGroupName="renamed")
        shown = client.get_deployment_group(applicationName="after", deploymentGroupName="group")["deploymentGroupInfo"]
        server.kill()
        server.start()
        client = server.client("codedeploy")
        assert client.get_deployment_group(applicationName="after", deploymentGroupName="group")["deploymentGroupInfo"] == shown
        info = client.get_deployment(deploymentId=deployment)["deploymentInfo"]
        assert (info["applicationName"], info["deploymentGroupName"]) == ("after", "renamed")
        rest = client.list_application_revisions(applicationName="after", sortBy="registerTime", nextToken=token)
        assert [r["s3Location"]["key"] for r in rest["revisions"]] == ["k099", "k100"] and "nextToken" not in rest
        assert client.list_tags_for_resource(ResourceArn="arn:aws:codedeploy:us-east-1:000000000001:application:after")["Tags"] == [{"Key": "a", "Value": "b"}]
        assert code_of(lambda: client.delete_deployment_config(deploymentConfigName="mine")) == "DeploymentConfigInUseException"
