//! A deployment group on the wire (CF-311).

use slipway_model::group::{AlarmConfiguration, BlueGreen, DeploymentStyle, Trigger};
use slipway_model::resources::{Application, DeploymentGroup, GroupHistory, PastDeployment};
use slipway_wire::codedeploy as wire;

use super::{convert, load_balancers, locations};

/// Everything that is known about a group; lists are never left out, objects only if they were never given.
pub(super) fn to_wire(
    application: &Application,
    group: &DeploymentGroup,
    history: &GroupHistory,
) -> wire::DeploymentGroupInfo {
    let settings = &group.settings;
    let (filters, set) = group.on_premises.as_ref().map_or((None, None), convert::selection_to_wire);
    let (ec2_filters, ec2_set) = settings.ec2.as_ref().map_or((None, None), convert::ec2_selection_to_wire);
    wire::DeploymentGroupInfo {
        application_name: Some(application.name.clone()),
        deployment_group_id: Some(group.id.clone()),
        deployment_group_name: Some(group.name.clone()),
        deployment_config_name: Some(group.deployment_config_name.clone()),
        ec2_tag_filters: Some(ec2_filters.unwrap_or_default()),
        ec2_tag_set: ec2_set,
        on_premises_instance_tag_filters: Some(filters.unwrap_or_default()),
        on_premises_tag_set: set,
        auto_scaling_groups: Some(
            settings.auto_scaling_groups.iter().map(|name| auto_scaling_group(name)).collect(),
        ),
        service_role_arn: Some(group.service_role_arn.clone()),
        target_revision: history.target_revision.as_ref().map(locations::to_wire),
        trigger_configurations: Some(settings.triggers.iter().map(trigger).collect()),
        alarm_configuration: settings.alarms.as_ref().map(alarms),
        auto_rollback_configuration: group.auto_rollback.as_ref().map(convert::auto_rollback_to_wire),
        deployment_style: Some(style(settings.style)),
        outdated_instances_strategy: Some(group.outdated_instances_strategy.clone()),
        blue_green_deployment_configuration: settings.blue_green.map(blue_green),
        load_balancer_info: settings.load_balancers.as_ref().map(load_balancers::to_wire),
        last_successful_deployment: history.last_successful.as_ref().map(past),
        last_attempted_deployment: history.last_attempted.as_ref().map(past),
        compute_platform: Some(application.platform.as_str().to_owned()),
        ecs_services: (!settings.ecs_services.is_empty()).then(|| {
            let service = |service: &slipway_model::group::EcsService| wire::ECSService {
                service_name: Some(service.service.clone()),
                cluster_name: Some(service.cluster.clone()),
            };
            settings.ecs_services.iter().map(service).collect()
        }),
        ec2_deployment_options: settings.processes_to_suspend.as_ref().map(|processes| {
            let processes = processes.iter().map(|process| process.as_str().to_owned()).collect();
            wire::EC2DeploymentOptions { auto_scaling_group_processes_to_suspend: Some(processes) }
        }),
        termination_hook_enabled: Some(settings.termination_hook_enabled),
    }
}

/// Without hooks: Slipway installs none.
fn auto_scaling_group(name: &str) -> wire::AutoScalingGroup {
    wire::AutoScalingGroup { name: Some(name.to_owned()), hook: None, termination_hook: None }
}

fn trigger(trigger: &Trigger) -> wire::TriggerConfig {
    wire::TriggerConfig {
        trigger_name: Some(trigger.name.clone()),
        trigger_target_arn: Some(trigger.target_arn.clone()),
        trigger_events: Some(trigger.events.iter().map(|event| event.as_str().to_owned()).collect()),
    }
}

/// Alarm settings on the wire.
pub(super) fn alarms(settings: &AlarmConfiguration) -> wire::AlarmConfiguration {
    wire::AlarmConfiguration {
        enabled: Some(settings.enabled),
        ignore_poll_alarm_failure: Some(settings.ignore_poll_alarm_failure),
        alarms: Some(settings.alarms.iter().map(|name| wire::Alarm { name: Some(name.clone()) }).collect()),
    }
}

fn style(style: DeploymentStyle) -> wire::DeploymentStyle {
    wire::DeploymentStyle {
        deployment_type: Some(style.kind.as_str().to_owned()),
        deployment_option: Some(style.option.as_str().to_owned()),
    }
}

fn blue_green(settings: BlueGreen) -> wire::BlueGreenDeploymentConfiguration {
    let wait = |minutes: u32| i32::try_from(minutes).ok();
    wire::BlueGreenDeploymentConfiguration {
        terminate_blue_instances_on_deployment_success: settings.terminate.map(|(action, minutes)| {
            wire::BlueInstanceTerminationOption {
                action: Some(action.as_str().to_owned()),
                termination_wait_time_in_minutes: wait(minutes),
            }
        }),
        deployment_ready_option: settings.ready.map(|(action, minutes)| wire::DeploymentReadyOption {
            action_on_timeout: Some(action.as_str().to_owned()),
            wait_time_in_minutes: wait(minutes),
        }),
        green_fleet_provisioning_option: settings
            .green_fleet
            .map(|action| wire::GreenFleetProvisioningOption { action: Some(action.as_str().to_owned()) }),
    }
}

fn past(past: &PastDeployment) -> wire::LastDeploymentInfo {
    wire::LastDeploymentInfo {
        deployment_id: Some(past.id.to_string()),
        status: Some(past.status.as_str().to_owned()),
        end_time: past.ended.map(convert::time),
        create_time: Some(convert::time(past.created)),
    }
}
