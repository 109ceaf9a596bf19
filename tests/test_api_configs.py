"""Deployment configurations of one's own (CF-100..CF-139)."""

import json

import pytest
from botocore.exceptions import ClientError

from harness import ROLE, Server, eventually, running

USER = "arn:aws:iam::000000000001:user/AWS/CodeDeploy/"
HOSTS = {"type": "HOST_COUNT", "value": 1}


def canary(percentage=25, interval=45):
    return {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": percentage, "canaryInterval": interval}}


def linear(percentage, interval):
    return {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": percentage, "linearInterval": interval}}


@pytest.fixture(scope="module")
def client(shared_server):
    client = shared_server.client("codedeploy")
    client.server = shared_server
    return client


def code_of(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


@pytest.mark.parametrize(("name", "parameters", "platform"), [
    ("300Total50PerAZ", {"minimumHealthyHosts": {"type": "HOST_COUNT", "value": 300}}, "Server"),
    ("none", {"minimumHealthyHosts": {"type": "HOST_COUNT", "value": 0}}, "Server"),
    ("zero", {"minimumHealthyHosts": {"type": "FLEET_PERCENT", "value": 0}}, "Server"),
    ("most", {"minimumHealthyHosts": {"type": "FLEET_PERCENT", "value": 99}, "computePlatform": "Server"}, "Server"),
    ("c", {"trafficRoutingConfig": canary(), "computePlatform": "Lambda"}, "Lambda"),
    ("c2880", {"trafficRoutingConfig": canary(99, 2880), "computePlatform": "ECS"}, "ECS"),
    ("l25", {"trafficRoutingConfig": linear(25, 720), "computePlatform": "Lambda"}, "Lambda"),
    ("l30", {"trafficRoutingConfig": linear(30, 720), "computePlatform": "ECS"}, "ECS"),
    ("a" * 100, {"trafficRoutingConfig": {"type": "AllAtOnce"}, "computePlatform": "ECS"}, "ECS"),
])
def test_a_configuration_is_shown_as_it_was_given_and_goes_when_it_is_deleted(client, name, parameters, platform):
    """CF-105, CF-128, CF-130, CF-137, CF-138, A-09."""
    id = client.create_deployment_config(deploymentConfigName=name, **parameters)["deploymentConfigId"]
    info = client.get_deployment_config(deploymentConfigName=name)["deploymentConfigInfo"]
    assert info.pop("createTime").year >= 2020
    assert info == {"deploymentConfigId": id, "deploymentConfigName": name, "computePlatform": platform,
                    **{key: value for key, value in parameters.items() if key != "computePlatform"}}
    assert name in client.list_deployment_configs()["deploymentConfigsList"]
    for _ in range(2):
        client.delete_deployment_config(deploymentConfigName=name)
    assert code_of(lambda: client.get_deployment_config(deploymentConfigName=name)) == "DeploymentConfigDoesNotExistException"


LAMBDA = {"deploymentConfigName": "new", "computePlatform": "Lambda"}
SERVER = {"deploymentConfigName": "new", "minimumHealthyHosts": HOSTS}
CONFIG_REFUSALS = [
    ({"minimumHealthyHosts": HOSTS}, "DeploymentConfigNameRequiredException", "deploymentConfigName"),
    ({**SERVER, "deploymentConfigName": "a b"}, "InvalidDeploymentConfigNameException", "a b"),
    ({**SERVER, "deploymentConfigName": "x" * 101}, "InvalidDeploymentConfigNameException", "100"),
    ({**SERVER, "deploymentConfigName": "CodeDeployDefault.Mine"}, "InvalidDeploymentConfigNameException", "reserved"),
    ({**SERVER, "deploymentConfigName": "CodeDeployDefault.OneAtATime"}, "InvalidDeploymentConfigNameException", "reserved"),
    ({**SERVER, "computePlatform": "Vax"}, "InvalidComputePlatformException", "Vax"),
    ({"deploymentConfigName": "new"}, "InvalidMinimumHealthyHostValueException", "minimum healthy hosts argument is missing"),
    ({**SERVER, "minimumHealthyHosts": {"type": "HOST_COUNT"}}, "InvalidMinimumHealthyHostValueException", "value"),
    ({**SERVER, "minimumHealthyHosts": {"value": 1}}, "InvalidMinimumHealthyHostValueException", "type"),
    ({**SERVER, "minimumHealthyHosts": {"type": "HOST_COUNT", "value": -1}}, "InvalidMinimumHealthyHostValueException", "-1"),
    ({**SERVER, "minimumHealthyHosts": {"type": "FLEET_PERCENT", "value": 100}}, "InvalidMinimumHealthyHostValueException", "99"),
    ({**SERVER, "minimumHealthyHosts": {"type": "FLEET_PERCENT", "value": -1}}, "InvalidMinimumHealthyHostValueException", "99"),
    ({**SERVER, "minimumHealthyHosts": {"type": "MOST_CONCURRENCY", "value": 1}}, "InvalidMinimumHealthyHostValueException", "MOST_CONCURRENCY"),
    ({**SERVER, "trafficRoutingConfig": canary()}, "InvalidTrafficRoutingConfigurationException", "Lambda and ECS"),
    ({**SERVER, "zonalConfig": {"monitorDurationInSeconds": -1}}, "InvalidZonalDeploymentConfigurationException", "monitorDurationInSeconds"),
    ({**SERVER, "zonalConfig": {"firstZoneMonitorDurationInSeconds": -1}}, "InvalidZonalDeploymentConfigurationException", "firstZone"),
    ({**SERVER, "zonalConfig": {"minimumHealthyHostsPerZone": {"type": "FLEET_PERCENT", "value": 100}}}, "InvalidZonalDeploymentConfigurationException", "99"),
    ({**SERVER, "zonalConfig": {"minimumHealthyHostsPerZone": {"type": "HOST_COUNT", "value": -1}}}, "InvalidZonalDeploymentConfigurationException", "HOST_COUNT"),
    ({**LAMBDA, "zonalConfig": {}, "trafficRoutingConfig": canary()}, "InvalidZonalDeploymentConfigurationException", "Server"),
    ({**LAMBDA}, "InvalidTrafficRoutingConfigurationException", "trafficRoutingConfig"),
    ({**LAMBDA, "minimumHealthyHosts": HOSTS, "trafficRoutingConfig": canary()}, "InvalidMinimumHealthyHostValueException", "Server"),
    ({**LAMBDA, "trafficRoutingConfig": {}}, "InvalidTrafficRoutingConfigurationException", "type"),
    ({**LAMBDA, "trafficRoutingConfig": {"type": "Sudden"}}, "InvalidTrafficRoutingConfigurationException", "Sudden"),
    ({**LAMBDA, "trafficRoutingConfig": {"type": "TimeBasedCanary"}}, "InvalidTrafficRoutingConfigurationException", "timeBasedCanary"),
    ({**LAMBDA, "trafficRoutingConfig": {**canary(), "type": "AllAtOnce"}}, "InvalidTrafficRoutingConfigurationException", "neither"),
    ({**LAMBDA, "trafficRoutingConfig": {**canary(), **linear(10, 1)}}, "InvalidTrafficRoutingConfigurationException", "not timeBasedCanary"),
    ({**LAMBDA, "trafficRoutingConfig": canary(0)}, "InvalidTrafficRoutingConfigurationException", "1 to 99"),
    ({**LAMBDA, "trafficRoutingConfig": canary(100)}, "InvalidTrafficRoutingConfigurationException", "1 to 99"),
    ({**LAMBDA, "trafficRoutingConfig": canary(10, 0)}, "InvalidTrafficRoutingConfigurationException", "2880"),
    ({**LAMBDA, "trafficRoutingConfig": canary(10, 2881)}, "InvalidTrafficRoutingConfigurationException", "2880"),
    ({**LAMBDA, "trafficRoutingConfig": linear(25, 721)}, "InvalidTrafficRoutingConfigurationException", "720"),
    ({**LAMBDA, "trafficRoutingConfig": linear(1, 29)}, "InvalidTrafficRoutingConfigurationException", "28"),
]


@pytest.mark.parametrize(("parameters", "code", "fragment"), CONFIG_REFUSALS,
                         ids=[f"{number:02}-{row[1].removesuffix('Exception')}" for number, row in enumerate(CONFIG_REFUSALS)])
def test_a_configuration_that_cannot_be_is_refused_by_its_documented_name(client, parameters, code, fragment):
    """CF-025, CF-063, CF-105, CF-128, CF-129, A-25."""
    answer = client.server.api().call("CreateDeploymentConfig", parameters)
    assert (answer.status, answer.code) == (400, code), answer.content
    assert fragment in answer.message
    assert code in {shape.name for shape in client.meta.service_model.operation_model("CreateDeploymentConfig").error_shapes}


def test_names_are_unique_across_platforms(client):
    """CF-106, acceptance scenario 7: the guide's two examples share a name."""
    name = "Canary25Percent45Minutes"
    client.create_deployment_config(deploymentConfigName=name, trafficRoutingConfig=canary(), computePlatform="Lambda")
    again = lambda: client.create_deployment_config(deploymentConfigName=name, trafficRoutingConfig=canary(), computePlatform="ECS")  # noqa: E731
    assert code_of(again) == "DeploymentConfigAlreadyExistsException"
    client.delete_deployment_config(deploymentConfigName=name)
    again()
    client.delete_deployment_config(deploymentConfigName=name)


def test_predefined_configurations_cannot_be_deleted(client):
    """CF-103, CF-139."""
    for name in client.list_deployment_configs()["deploymentConfigsList"][:17]:
        assert code_of(lambda name=name: client.delete_deployment_config(deploymentConfigName=name)) == "InvalidOperationException"
    assert client.server.api().call("DeleteDeploymentConfig", {}).code == "DeploymentConfigNameRequiredException"
    assert client.server.api().call("DeleteDeploymentConfig", deploymentConfigName="a b").code == "InvalidDeploymentConfigNameException"


def test_a_configuration_in_use_cannot_be_deleted(client):
    """CF-139: by a group, whatever is changed about it, or by a deployment under way."""
    for name in ("mine", "other"):
        client.create_deployment_config(deploymentConfigName=name, minimumHealthyHosts=HOSTS)
    client.create_application(applicationName="configured")
    group = {"applicationName": "configured", "deploymentGroupName": "group"}
    client.create_deployment_group(**group, serviceRoleArn=ROLE, deploymentConfigName="mine")
    delete = lambda name: client.delete_deployment_config(deploymentConfigName=name)  # noqa: E731
    assert code_of(lambda: delete("mine")) == "DeploymentConfigInUseException"
    update = {"applicationName": "configured", "currentDeploymentGroupName": "group"}
    client.update_deployment_group(**update, outdatedInstancesStrategy="IGNORE")
    assert code_of(lambda: delete("mine")) == "DeploymentConfigInUseException"
    client.update_deployment_group(**update, newDeploymentGroupName="renamed")
    assert code_of(lambda: delete("mine")) == "DeploymentConfigInUseException"
    client.update_deployment_group(**update | {"currentDeploymentGroupName": "renamed"}, newDeploymentGroupName="group", deploymentConfigName="other")
    delete("mine")
    assert code_of(lambda: delete("other")) == "DeploymentConfigInUseException"
    assert code_of(lambda: client.update_deployment_group(**update, deploymentConfigName="mine")) == "DeploymentConfigDoesNotExistException"
    client.delete_deployment_group(**group)
    delete("other")

    client.create_deployment_config(deploymentConfigName="mine", minimumHealthyHosts=HOSTS)
    client.create_deployment_group(**group, serviceRoleArn=ROLE, deploymentConfigName="mine")
    client.delete_application(applicationName="configured")
    delete("mine")


def test_the_configuration_of_a_running_deployment_cannot_be_deleted(client):
    """CF-139; and the deployment takes place by it (CF-020)."""
    client.create_deployment_config(deploymentConfigName="running", minimumHealthyHosts={"type": "HOST_COUNT", "value": 0})
    client.register_on_premises_instance(instanceName="silent", iamUserArn=USER + "silent")
    client.add_tags_to_on_premises_instances(instanceNames=["silent"], tags=[{"Key": "Name", "Value": "silent"}])
    client.create_application(applicationName="runs")
    client.create_deployment_group(applicationName="runs", deploymentGroupName="group", serviceRoleArn=ROLE,
                                   onPremisesInstanceTagFilters=[{"Key": "Name", "Value": "silent", "Type": "KEY_AND_VALUE"}])
    id = client.create_deployment(applicationName="runs", deploymentGroupName="group", deploymentConfigName="running",
                                  revision={"revisionType": "S3", "s3Location": {"bucket": "b", "key": "k", "bundleType": "zip"}})["deploymentId"]
    assert client.get_deployment(deploymentId=id)["deploymentInfo"]["deploymentConfigName"] == "running"
    assert code_of(lambda: client.delete_deployment_config(deploymentConfigName="running")) == "DeploymentConfigInUseException"
    client.stop_deployment(deploymentId=id)
    eventually(lambda: client.get_deployment(deploymentId=id)["deploymentInfo"]["status"] == "Stopped", "it stops")
    client.delete_deployment_config(deploymentConfigName="running")
    client.delete_application(applicationName="runs")


def test_long_lists_of_configurations_come_in_pages_and_their_number_is_limited(tmp_path):
    """CF-104, CF-138, Q7."""
    (tmp_path / "slipway.toml").write_text("[quotas]\ndeployment_configs = 90\n")
    with running(Server(tmp_path / "data", "--config", str(tmp_path / "slipway.toml"))) as server:
        client = server.client("codedeploy")
        names = [f"n{number:02}" for number in range(90)]
        for name in names:
            client.create_deployment_config(deploymentConfigName=name, minimumHealthyHosts=HOSTS)
        more = lambda: client.create_deployment_config(deploymentConfigName="more", minimumHealthyHosts=HOSTS)  # noqa: E731
        assert code_of(more) == "DeploymentConfigLimitExceededException"
        pages = list(client.get_paginator("list_deployment_configs").paginate())
        assert [len(page["deploymentConfigsList"]) for page in pages] == [100, 7]
        assert [name for page in pages for name in page["deploymentConfigsList"]][17:] == names
        client.delete_deployment_config(deploymentConfigName="n00")
        more()
        assert server.client("codedeploy", region_name="eu-west-1").list_deployment_configs()["deploymentConfigsList"][17:] == []


def test_the_guides_commands_work_as_printed(client):
    """CF-131, CF-139."""
    aws = client.server.aws
    create = ("deploy", "create-deployment-config", "--deployment-config-name")
    aws(*create, "ThreeQuartersHealthy", "--minimum-healthy-hosts", "type=FLEET_PERCENT,value=75")
    for platform in ("Lambda", "ECS"):
        aws(*create, "Canary25", "--traffic-routing-config", 'type="TimeBasedCanary",timeBasedCanary={canaryPercentage=25,canaryInterval=45}', "--compute-platform", platform)
        aws("deploy", "delete-deployment-config", "--deployment-config-name", "Canary25")
    assert client.get_deployment_config(deploymentConfigName="ThreeQuartersHealthy")["deploymentConfigInfo"]["minimumHealthyHosts"] == {"type": "FLEET_PERCENT", "value": 75}
    zonal = {"monitorDurationInSeconds": 3600, "minimumHealthyHostsPerZone": {"type": "HOST_COUNT", "value": 50}}
    aws(*create, "300Total50PerAZ", "--minimum-healthy-hosts", "type=HOST_COUNT,value=300", "--zonal-config", json.dumps(zonal))
    assert client.get_deployment_config(deploymentConfigName="300Total50PerAZ")["deploymentConfigInfo"]["zonalConfig"] == zonal
    aws("deploy", "delete-deployment-config", "--deployment-config-name", "300Total50PerAZ")
    aws("deploy", "delete-deployment-config", "--deployment-config-name", "ThreeQuartersHealthy")
