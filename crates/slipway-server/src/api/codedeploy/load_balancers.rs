//! Load balancers of a deployment group: read from a call and shown (CF-251, CF-280, CF-281).

use slipway_model::group::{LoadBalancers, TargetGroupPair};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::group_settings::check_names;
use crate::error::api;

/// Most Classic Load Balancers, and most target groups, of one group (CF-280).
const MOST: usize = 10;

fn invalid<T>(message: impl Into<String>) -> Result<T, ApiError> {
    api(ErrorKind::InvalidLoadBalancerInfoException, message)
}

/// Reads them; which of them the platform may have is checked by `group_rules`.
pub(super) fn read(info: &wire::LoadBalancerInfo) -> Result<LoadBalancers, ApiError> {
    let kind = ErrorKind::InvalidLoadBalancerInfoException;
    let classic = info.elb_info_list.as_deref().unwrap_or_default();
    let groups = info.target_group_info_list.as_deref().unwrap_or_default();
    let pairs = info.target_group_pair_info_list.as_deref().unwrap_or_default();
    for (member, count) in [("elbInfoList", classic.len()), ("targetGroupInfoList", groups.len())] {
        if count > MOST {
            return invalid(format!("{member} has {count} entries; the limit is {MOST}."));
        }
    }
    Ok(LoadBalancers {
        classic: check_names(
            classic.iter().map(|lb| lb.name.as_deref().unwrap_or_default()),
            kind,
            "elbInfoList",
        )?,
        target_groups: check_names(
            groups.iter().map(|group| group.name.as_deref().unwrap_or_default()),
            kind,
            "targetGroupInfoList",
        )?,
        pairs: pairs.iter().map(read_pair).collect::<Result<_, _>>()?,
    })
}

/// CF-251, Q22.
fn read_pair(pair: &wire::TargetGroupPairInfo) -> Result<TargetGroupPair, ApiError> {
    let kind = ErrorKind::InvalidTargetGroupPairException;
    let groups = pair.target_groups.as_deref().unwrap_or_default();
    let names = groups.iter().map(|group| group.name.as_deref().unwrap_or_default());
    let target_groups = check_names(names, kind, "targetGroups")?;
    if target_groups.len() != 2 {
        return api(kind, format!("A target group pair has two target groups; {} were given.", groups.len()));
    }
    let Some(production_listeners) = listeners(pair.prod_traffic_route.as_ref(), "prodTrafficRoute")? else {
        return api(kind, "A target group pair needs a prodTrafficRoute.");
    };
    let test_listeners = listeners(pair.test_traffic_route.as_ref(), "testTrafficRoute")?;
    if test_listeners.as_ref() == Some(&production_listeners) {
        return api(kind, "testTrafficRoute names the listener of prodTrafficRoute.");
    }
    Ok(TargetGroupPair { target_groups, production_listeners, test_listeners })
}

fn listeners(route: Option<&wire::TrafficRoute>, member: &str) -> Result<Option<Vec<String>>, ApiError> {
    let Some(route) = route else { return Ok(None) };
    let arns = route.listener_arns.as_deref().unwrap_or_default();
    if arns.len() != 1 {
        return invalid(format!("{member} has one listener; {} were given.", arns.len()));
    }
    if let Some(bad) = arns.iter().find(|arn| !is_listener_arn(arn)) {
        return invalid(format!("{member}: {bad:?} is not the ARN of a listener."));
    }
    Ok(Some(arns.to_vec()))
}

/// `arn:aws:elasticloadbalancing:<region>:<account>:listener/<app|net>/<name>/<id>/<id>` (CF-261).
fn is_listener_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [prefix, partition, service, _, account, resource] = parts[..] else { return false };
    let segments: Vec<&str> = resource.split('/').collect();
    prefix == "arn"
        && partition.starts_with("aws")
        && service == "elasticloadbalancing"
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && matches!(segments[..], ["listener", "app" | "net", ..])
        && segments.len() == 5
        && segments.iter().all(|segment| !segment.is_empty())
}

/// Whether the pair is behind a Network Load Balancer, as the ARN of its listener tells (CF-125).
pub(super) fn is_behind_network_load_balancer(pair: &TargetGroupPair) -> bool {
    pair.production_listeners.iter().any(|arn| arn.contains(":listener/net/"))
}

/// On the wire: the lists that were given.
pub(super) fn to_wire(named: &LoadBalancers) -> wire::LoadBalancerInfo {
    let group = |name: &String| wire::TargetGroupInfo { name: Some(name.clone()) };
    let route = |arns: &Vec<String>| wire::TrafficRoute { listener_arns: Some(arns.clone()) };
    let pair = |pair: &TargetGroupPair| wire::TargetGroupPairInfo {
        target_groups: Some(pair.target_groups.iter().map(group).collect()),
        prod_traffic_route: Some(route(&pair.production_listeners)),
        test_traffic_route: pair.test_listeners.as_ref().map(route),
    };
    let list = |empty: bool| (!empty).then_some(());
    wire::LoadBalancerInfo {
        elb_info_list: list(named.classic.is_empty())
            .map(|()| named.classic.iter().map(|name| wire::ELBInfo { name: Some(name.clone()) }).collect()),
        target_group_info_list: list(named.target_groups.is_empty())
            .map(|()| named.target_groups.iter().map(group).collect()),
        target_group_pair_info_list: list(named.pairs.is_empty())
            .map(|()| named.pairs.iter().map(pair).collect()),
    }
}
