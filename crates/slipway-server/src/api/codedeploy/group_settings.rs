//! Reading the settings of a deployment group from a call, one member after the other (CF-184, CF-200..CF-306).
//!
//! A member that is absent leaves what the group has; an empty list empties it (CF-314). Rules that concern several
//! members are in `group_rules`.

use std::collections::BTreeSet;

use slipway_model::config::ComputePlatform;
use slipway_model::group::{
    AlarmConfiguration, AutoScalingProcess, BlueGreen, DeploymentOption, DeploymentStyle, DeploymentType,
    EcsService, GreenFleetAction, InstanceAction, ReadyAction, Trigger, TriggerEvent,
};
use slipway_model::quota::Quotas;
use slipway_model::resources::DeploymentGroup;
use slipway_model::tags::{TagFilter, TagSelection};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::{convert, load_balancers};
use crate::error::api;

/// Longest name of an alarm, trigger, Auto Scaling group, service or cluster, in characters (DP-408).
const LONGEST_NAME: usize = 255;

/// Longest wait for rerouting or terminating, in minutes (Q13, Q14, Q16, D-40).
const LONGEST_WAIT: u32 = 2880;

/// The members that creating and updating a group have in common.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) deployment_config_name: Option<String>,
    pub(super) service_role_arn: Option<String>,
    ec2_tag_filters: Option<Vec<wire::EC2TagFilter>>,
    ec2_tag_set: Option<wire::EC2TagSet>,
    on_premises_instance_tag_filters: Option<Vec<wire::TagFilter>>,
    on_premises_tag_set: Option<wire::OnPremisesTagSet>,
    auto_scaling_groups: Option<Vec<String>>,
    trigger_configurations: Option<Vec<wire::TriggerConfig>>,
    alarm_configuration: Option<wire::AlarmConfiguration>,
    auto_rollback_configuration: Option<wire::AutoRollbackConfiguration>,
    outdated_instances_strategy: Option<String>,
    pub(super) deployment_style: Option<wire::DeploymentStyle>,
    pub(super) blue_green_deployment_configuration: Option<wire::BlueGreenDeploymentConfiguration>,
    load_balancer_info: Option<wire::LoadBalancerInfo>,
    ecs_services: Option<Vec<wire::ECSService>>,
    ec2_deployment_options: Option<wire::EC2DeploymentOptions>,
    termination_hook_enabled: Option<bool>,
}

/// Takes the common members out of an input.
macro_rules! given_from {
    ($input:ident) => {
        impl From<wire::$input> for Given {
            fn from(input: wire::$input) -> Self {
                Self {
                    deployment_config_name: input.deployment_config_name.filter(|name| !name.is_empty()),
                    service_role_arn: input.service_role_arn,
                    ec2_tag_filters: input.ec2_tag_filters,
                    ec2_tag_set: input.ec2_tag_set,
                    on_premises_instance_tag_filters: input.on_premises_instance_tag_filters,
                    on_premises_tag_set: input.on_premises_tag_set,
                    auto_scaling_groups: input.auto_scaling_groups,
                    trigger_configurations: input.trigger_configurations,
                    alarm_configuration: input.alarm_configuration,
                    auto_rollback_configuration: input.auto_rollback_configuration,
                    outdated_instances_strategy: input.outdated_instances_strategy,
                    deployment_style: input.deployment_style,
                    blue_green_deployment_configuration: input.blue_green_deployment_configuration,
                    load_balancer_info: input.load_balancer_info,
                    ecs_services: input.ecs_services,
                    ec2_deployment_options: input.ec2_deployment_options,
                    termination_hook_enabled: input.termination_hook_enabled,
                }
            }
        }
    };
}

given_from!(CreateDeploymentGroupInput);
given_from!(UpdateDeploymentGroupInput);

impl Given {
    /// Writes what was given over what the group has.
    pub(super) fn apply(
        &self,
        quotas: &Quotas,
        platform: ComputePlatform,
        group: &mut DeploymentGroup,
    ) -> Result<(), ApiError> {
        self.apply_hosts(quotas, group)?;
        let settings = &mut group.settings;
        if let Some(names) = &self.auto_scaling_groups {
            settings.auto_scaling_groups = auto_scaling_groups(names, quotas)?;
        }
        if let Some(triggers) = &self.trigger_configurations {
            settings.triggers = read_triggers(triggers, quotas)?;
        }
        if let Some(alarms) = &self.alarm_configuration {
            settings.alarms = Some(read_alarms(alarms, quotas)?);
        }
        if let Some(rollback) = &self.auto_rollback_configuration {
            group.auto_rollback = Some(convert::auto_rollback(rollback)?);
        }
        if let Some(strategy) = &self.outdated_instances_strategy {
            group.outdated_instances_strategy = outdated_instances_strategy(strategy)?;
        }
        if let Some(info) = &self.load_balancer_info {
            settings.load_balancers = Some(load_balancers::read(info)?).filter(|named| !named.is_empty());
        }
        if let Some(style) = &self.deployment_style {
            let named = settings.load_balancers.is_some();
            settings.style = read_style(style, DeploymentStyle::default_of(platform, named))?;
        }
        if let Some(blue_green) = &self.blue_green_deployment_configuration {
            settings.blue_green = Some(read_blue_green(blue_green)?);
        } else if settings.style.kind == DeploymentType::InPlace {
            // Of a group that was blue/green until now.
            settings.blue_green = None;
        }
        if let Some(services) = &self.ecs_services {
            settings.ecs_services = read_ecs_services(services)?;
        }
        if let Some(options) = &self.ec2_deployment_options {
            settings.processes_to_suspend =
                options.auto_scaling_group_processes_to_suspend.as_deref().map(processes).transpose()?;
        }
        if let Some(enabled) = self.termination_hook_enabled {
            settings.termination_hook_enabled = enabled;
        }
        Ok(())
    }

    fn apply_hosts(&self, quotas: &Quotas, group: &mut DeploymentGroup) -> Result<(), ApiError> {
        let ec2 = Hosts {
            flat: self.ec2_tag_filters.as_ref().map(|flat| flat.iter().map(plain_filter).collect()),
            groups: self.ec2_tag_set.as_ref().map(|set| {
                let groups = set.ec2_tag_set_list.iter().flatten();
                groups.map(|group| group.iter().map(plain_filter).collect()).collect()
            }),
            names: ["ec2TagFilters", "ec2TagSet"],
            invalid: ErrorKind::InvalidEC2TagException,
            both: ErrorKind::InvalidEC2TagCombinationException,
        };
        let on_premises = Hosts {
            flat: self.on_premises_instance_tag_filters.clone(),
            groups: self
                .on_premises_tag_set
                .as_ref()
                .map(|set| set.on_premises_tag_set_list.clone().unwrap_or_default()),
            names: ["onPremisesInstanceTagFilters", "onPremisesTagSet"],
            invalid: ErrorKind::InvalidTagException,
            both: ErrorKind::InvalidOnPremisesTagCombinationException,
        };
        ec2.apply(quotas, &mut group.settings.ec2)?;
        on_premises.apply(quotas, &mut group.on_premises)
    }
}

fn plain_filter(filter: &wire::EC2TagFilter) -> wire::TagFilter {
    wire::TagFilter { key: filter.key.clone(), value: filter.value.clone(), r#type: filter.r#type.clone() }
}

/// Tag criteria for one kind of host, in their two forms (CF-205).
struct Hosts {
    flat: Option<Vec<wire::TagFilter>>,
    groups: Option<Vec<Vec<wire::TagFilter>>>,
    names: [&'static str; 2],
    invalid: ErrorKind,
    both: ErrorKind,
}

impl Hosts {
    /// A form that is given empty takes away what is stored in that form, and only that.
    fn apply(&self, quotas: &Quotas, stored: &mut Option<TagSelection>) -> Result<(), ApiError> {
        let flat = self.flat.as_deref().filter(|flat| !flat.is_empty());
        let groups = self.groups.as_deref().filter(|groups| !groups.is_empty());
        match (flat, groups) {
            (Some(_), Some(_)) => {
                let [flat, set] = self.names;
                return api(self.both, format!("Give either {flat} or {set}, not both."));
            }
            (Some(flat), None) => *stored = Some(TagSelection::Flat(self.group(quotas, flat)?)),
            (None, Some(groups)) => *stored = Some(TagSelection::Groups(self.groups(quotas, groups)?)),
            (None, None) => {
                let emptied = match stored {
                    Some(TagSelection::Flat(_)) => self.flat.is_some(),
                    Some(TagSelection::Groups(_)) => self.groups.is_some(),
                    None => false,
                };
                if emptied {
                    *stored = None;
                }
            }
        }
        Ok(())
    }

    /// CF-200, Q27.
    fn groups(
        &self,
        quotas: &Quotas,
        groups: &[Vec<wire::TagFilter>],
    ) -> Result<Vec<Vec<TagFilter>>, ApiError> {
        let limit = quotas.tag_groups;
        if groups.len() > limit as usize {
            return api(
                ErrorKind::TagSetListLimitExceededException,
                format!("The tag set has {} tag groups; the limit is {limit}.", groups.len()),
            );
        }
        if groups.iter().any(Vec::is_empty) {
            return api(self.invalid, format!("A tag group of {} has no tag.", self.names[1]));
        }
        groups.iter().map(|group| self.group(quotas, group)).collect()
    }

    fn group(&self, quotas: &Quotas, filters: &[wire::TagFilter]) -> Result<Vec<TagFilter>, ApiError> {
        let limit = quotas.tags_per_tag_group;
        if filters.len() > limit as usize {
            return api(
                self.invalid,
                format!("A tag group has {} tags; the limit is {limit}.", filters.len()),
            );
        }
        filters.iter().map(|filter| convert::tag_filter(filter, self.invalid)).collect()
    }
}

/// Whether names are there, not too long and different from each other; the first one that is not is told.
pub(super) fn check_names<'a>(
    names: impl IntoIterator<Item = &'a str>,
    invalid: ErrorKind,
    what: &str,
) -> Result<Vec<String>, ApiError> {
    let mut seen = BTreeSet::new();
    let mut checked = Vec::new();
    for name in names {
        if name.is_empty() {
            return api(invalid, format!("A name of {what} is empty."));
        }
        if name.chars().count() > LONGEST_NAME {
            return api(invalid, format!("A name of {what} is longer than {LONGEST_NAME} characters."));
        }
        if !seen.insert(name) {
            return api(invalid, format!("{what} names {name:?} twice."));
        }
        checked.push(name.to_owned());
    }
    Ok(checked)
}

/// CF-207, Q4. Whether they exist shows when a deployment looks for their instances.
fn auto_scaling_groups(names: &[String], quotas: &Quotas) -> Result<Vec<String>, ApiError> {
    let limit = quotas.auto_scaling_groups;
    if names.len() > limit as usize {
        return api(
            ErrorKind::InvalidAutoScalingGroupException,
            format!("{} Auto Scaling groups were given; the limit is {limit}.", names.len()),
        );
    }
    check_names(
        names.iter().map(String::as_str),
        ErrorKind::InvalidAutoScalingGroupException,
        "autoScalingGroups",
    )
}

/// DP-500..DP-502.
fn read_triggers(given: &[wire::TriggerConfig], quotas: &Quotas) -> Result<Vec<Trigger>, ApiError> {
    let invalid = ErrorKind::InvalidTriggerConfigException;
    let limit = quotas.triggers;
    if given.len() > limit as usize {
        return api(
            ErrorKind::TriggerTargetsLimitExceededException,
            format!("{} triggers were given; the limit is {limit}.", given.len()),
        );
    }
    let names = given.iter().map(|trigger| trigger.trigger_name.as_deref().unwrap_or_default());
    let names = check_names(names, invalid, "triggerConfigurations")?;
    names.into_iter().zip(given).map(|(name, given)| read_trigger(name, given)).collect()
}

fn read_trigger(name: String, given: &wire::TriggerConfig) -> Result<Trigger, ApiError> {
    let invalid = |message: String| api(ErrorKind::InvalidTriggerConfigException, message);
    let target_arn = given.trigger_target_arn.clone().unwrap_or_default();
    if !is_topic_arn(&target_arn) {
        return invalid(format!(
            "triggerTargetArn {target_arn:?} of trigger {name:?} is not the ARN of a topic, like arn:aws:sns:us-east-2:444455556666:NewTestTopic."
        ));
    }
    let words = given.trigger_events.as_deref().unwrap_or_default();
    let mut events = Vec::with_capacity(words.len());
    for word in words {
        let Some(event) = TriggerEvent::parse(word) else {
            return invalid(format!("triggerEvents of trigger {name:?}: {word:?} is not a trigger event."));
        };
        if events.contains(&event) {
            return invalid(format!("triggerEvents of trigger {name:?} names {word} twice."));
        }
        events.push(event);
    }
    if events.is_empty() {
        return invalid(format!("Trigger {name:?} needs at least one of triggerEvents."));
    }
    Ok(Trigger { name, target_arn, events })
}

fn is_topic_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let [prefix, partition, service, region, account, name] = parts[..] else { return false };
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    prefix == "arn"
        && partition.starts_with("aws")
        && service == "sns"
        && word(region)
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && word(name)
}

/// CF-292..CF-295, DP-402..DP-408; what is left out is off.
pub(super) fn read_alarms(
    given: &wire::AlarmConfiguration,
    quotas: &Quotas,
) -> Result<AlarmConfiguration, ApiError> {
    let invalid = ErrorKind::InvalidAlarmConfigException;
    let alarms = given.alarms.as_deref().unwrap_or_default();
    let limit = quotas.alarms;
    if alarms.len() > limit as usize {
        return api(
            ErrorKind::AlarmsLimitExceededException,
            format!("{} alarms were given; the limit is {limit}.", alarms.len()),
        );
    }
    let names = alarms.iter().map(|alarm| alarm.name.as_deref().unwrap_or_default());
    let alarms = check_names(names, invalid, "alarmConfiguration.alarms")?;
    let enabled = given.enabled.unwrap_or(false);
    if enabled && alarms.is_empty() {
        return api(invalid, "alarmConfiguration with enabled true needs at least one alarm.");
    }
    let ignore_poll_alarm_failure = given.ignore_poll_alarm_failure.unwrap_or(false);
    Ok(AlarmConfiguration { enabled, ignore_poll_alarm_failure, alarms })
}

/// CF-300.
fn outdated_instances_strategy(given: &str) -> Result<String, ApiError> {
    match given {
        "UPDATE" | "IGNORE" => Ok(given.to_owned()),
        other => api(
            ErrorKind::InvalidInputException,
            format!("outdatedInstancesStrategy {other:?} is neither UPDATE nor IGNORE."),
        ),
    }
}

/// CF-226; a half that is left out has its default.
fn read_style(given: &wire::DeploymentStyle, default: DeploymentStyle) -> Result<DeploymentStyle, ApiError> {
    let invalid = |message: String| api(ErrorKind::InvalidDeploymentStyleException, message);
    let kind = match given.deployment_type.as_deref() {
        None => default.kind,
        Some(text) => match DeploymentType::parse(text) {
            Some(kind) => kind,
            None => return invalid(format!("deploymentType {text:?} is neither IN_PLACE nor BLUE_GREEN.")),
        },
    };
    let option = match given.deployment_option.as_deref() {
        None if kind == DeploymentType::BlueGreen => DeploymentOption::WithTrafficControl,
        None => default.option,
        Some(text) => match DeploymentOption::parse(text) {
            Some(option) => option,
            None => {
                return invalid(format!(
                    "deploymentOption {text:?} is neither WITH_TRAFFIC_CONTROL nor WITHOUT_TRAFFIC_CONTROL."
                ));
            }
        },
    };
    Ok(DeploymentStyle { kind, option })
}

/// CF-230..CF-240.
fn read_blue_green(given: &wire::BlueGreenDeploymentConfiguration) -> Result<BlueGreen, ApiError> {
    let terminate = given.terminate_blue_instances_on_deployment_success.as_ref().map(|option| {
        let member = "terminateBlueInstancesOnDeploymentSuccess";
        let action =
            word(option.action.as_deref(), member, InstanceAction::parse, "TERMINATE or KEEP_ALIVE")?;
        Ok((action, minutes(option.termination_wait_time_in_minutes, member)?))
    });
    let ready = given.deployment_ready_option.as_ref().map(|option| {
        let member = "deploymentReadyOption";
        let actions = "CONTINUE_DEPLOYMENT or STOP_DEPLOYMENT";
        let action = word(option.action_on_timeout.as_deref(), member, ReadyAction::parse, actions)?;
        Ok((action, minutes(option.wait_time_in_minutes, member)?))
    });
    let green_fleet = given.green_fleet_provisioning_option.as_ref().map(|option| {
        let actions = "DISCOVER_EXISTING or COPY_AUTO_SCALING_GROUP";
        word(option.action.as_deref(), "greenFleetProvisioningOption", GreenFleetAction::parse, actions)
    });
    Ok(BlueGreen {
        terminate: terminate.transpose()?,
        ready: ready.transpose()?,
        green_fleet: green_fleet.transpose()?,
    })
}

fn word<T>(
    given: Option<&str>,
    member: &str,
    parse: fn(&str) -> Option<T>,
    words: &str,
) -> Result<T, ApiError> {
    let kind = ErrorKind::InvalidBlueGreenDeploymentConfigurationException;
    let Some(given) = given else { return api(kind, format!("{member} needs an action: {words}.")) };
    parse(given).ok_or_else(|| ApiError::new(kind, format!("{member}: {given:?} is not {words}.")))
}

fn minutes(given: Option<i32>, member: &str) -> Result<u32, ApiError> {
    match u32::try_from(given.unwrap_or(0)) {
        Ok(minutes) if minutes <= LONGEST_WAIT => Ok(minutes),
        _ => api(
            ErrorKind::InvalidBlueGreenDeploymentConfigurationException,
            format!("{member}: the wait must be from 0 to {LONGEST_WAIT} minutes."),
        ),
    }
}

/// CF-250.
fn read_ecs_services(given: &[wire::ECSService]) -> Result<Vec<EcsService>, ApiError> {
    let kind = ErrorKind::InvalidECSServiceException;
    let part = |value: &Option<String>, name: &str| match value.as_deref() {
        Some(value) if !value.is_empty() && value.chars().count() <= LONGEST_NAME => Ok(value.to_owned()),
        _ => api(kind, format!("ecsServices: {name} must have 1 to {LONGEST_NAME} characters.")),
    };
    let services = given
        .iter()
        .map(|service| {
            Ok(EcsService {
                service: part(&service.service_name, "serviceName")?,
                cluster: part(&service.cluster_name, "clusterName")?,
            })
        })
        .collect::<Result<Vec<_>, ApiError>>()?;
    if services.len() > 1 {
        return api(kind, format!("{} ECS services were given; a group has one.", services.len()));
    }
    Ok(services)
}

/// DP-015.
fn processes(given: &[String]) -> Result<Vec<AutoScalingProcess>, ApiError> {
    let invalid = |message: String| api(ErrorKind::InvalidAutoScalingGroupProcessToSuspendException, message);
    let mut processes = Vec::with_capacity(given.len());
    for text in given {
        let Some(process) = AutoScalingProcess::parse(text) else {
            return invalid(format!(
                "{text:?} is none of Terminate, AZRebalance, InstanceRefresh, ScheduledActions."
            ));
        };
        if processes.contains(&process) {
            return invalid(format!("autoScalingGroupProcessesToSuspend names {text} twice."));
        }
        processes.push(process);
    }
    Ok(processes)
}

#[cfg(test)]
mod tests {
    use super::is_topic_arn;

    #[test]
    fn a_trigger_needs_the_arn_of_a_topic_dp_501() {
        for good in
            ["arn:aws:sns:us-east-2:444455556666:NewTestTopic", "arn:aws-cn:sns:cn-north-1:444455556666:t"]
        {
            assert!(is_topic_arn(good), "{good}");
        }
        for bad in [
            "",
            "NewTestTopic",
            "arn:aws:sqs:us-east-2:444455556666:q",
            "arn:aws:sns:us-east-2:4444:t",
            "arn:aws:sns::444455556666:t",
            "arn:aws:sns:us-east-2:444455556666:",
            "arn:aws:sns:us-east-2:444455556666:t:subscription",
        ] {
            assert!(!is_topic_arn(bad), "{bad}");
        }
    }
}
