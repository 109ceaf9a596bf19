//! Which events run, in which order (DP-335, DP-345..DP-348, DP-364).

/// E13: the events of a local deployment; the traffic events of the control plane do not exist.
pub(super) const DEFAULT: [&str; 11] = [
    "BeforeBlockTraffic",
    "AfterBlockTraffic",
    "ApplicationStop",
    DOWNLOAD,
    "BeforeInstall",
    INSTALL,
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
];

const DOWNLOAD: &str = "DownloadBundle";
const INSTALL: &str = "Install";

/// The order that was asked for cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "The only events that can be specified before {event} are {}. Please fix the order of your specified events: {}",
    allowed.join(","),
    given.join(",")
)]
pub(super) struct OrderError {
    event: &'static str,
    allowed: Vec<&'static str>,
    given: Vec<String>,
}

/// The events of a list as it was typed; the usual ones without a list.
pub(super) fn plan(list: Option<&str>) -> Result<Vec<String>, OrderError> {
    let Some(list) = list else { return Ok(DEFAULT.map(str::to_owned).to_vec()) };
    let given: Vec<String> =
        list.split(',').map(str::trim).filter(|event| !event.is_empty()).map(str::to_owned).collect();
    check(&given, DOWNLOAD)?;
    check(&given, INSTALL)?;
    let missing = [DOWNLOAD, INSTALL].into_iter().filter(|event| !given.iter().any(|name| name == event));
    let mut events: Vec<String> = missing.map(str::to_owned).collect();
    events.extend(given);
    let place = |wanted: &str| events.iter().position(|event| event == wanted);
    // Only DownloadBundle was named, so that Install came before it (DP-347).
    if let (Some(install), Some(download)) = (place(INSTALL), place(DOWNLOAD))
        && install < download
    {
        events.swap(install, download);
    }
    Ok(events)
}

/// Before `event` may stand only what usually precedes it.
fn check(given: &[String], event: &'static str) -> Result<(), OrderError> {
    let usual: Vec<&'static str> = DEFAULT.into_iter().take_while(|name| *name != event).collect();
    let Some(place) = given.iter().position(|name| name == event) else { return Ok(()) };
    if given[..place].iter().all(|name| usual.contains(&name.as_str())) {
        return Ok(());
    }
    Err(OrderError { event, allowed: usual, given: given.to_vec() })
}

/// Every event that the AppSpec file may name: the usual ones and those that were asked for (AS-080).
pub(super) fn possible(events: &[String]) -> Vec<String> {
    let mut possible = DEFAULT.map(str::to_owned).to_vec();
    for event in events {
        if !possible.contains(event) {
            possible.push(event.clone());
        }
    }
    possible
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, plan, possible};

    #[test]
    fn dp_335_347_missing_ones_run_first() {
        for (list, events) in [
            ("ApplicationStop", "DownloadBundle,Install,ApplicationStop"),
            ("DownloadBundle,X", "DownloadBundle,Install,X"),
            ("Install,X", "DownloadBundle,Install,X"),
            ("BeforeInstall,Install", "DownloadBundle,BeforeInstall,Install"),
            (
                "DownloadBundle,Install,ApplicationStart,HealthCheck",
                "DownloadBundle,Install,ApplicationStart,HealthCheck",
            ),
            ("ApplicationStop,DownloadBundle,Install", "ApplicationStop,DownloadBundle,Install"),
            (
                "BeforeBlockTraffic,AfterBlockTraffic,ApplicationStop,DownloadBundle,BeforeInstall,Install",
                "BeforeBlockTraffic,AfterBlockTraffic,ApplicationStop,DownloadBundle,BeforeInstall,Install",
            ),
            ("ApplicationStart, ValidateService,", "DownloadBundle,Install,ApplicationStart,ValidateService"),
        ] {
            assert_eq!(plan(Some(list)).expect("DP-335").join(","), events, "{list}");
        }
        assert_eq!(plan(None).expect("DP-345"), DEFAULT);
    }

    #[test]
    fn dp_364_what_comes_too_early_is_told_with_what_may() {
        assert_eq!(
            plan(Some("ApplicationStart,DownloadBundle")).expect_err("DP-364").to_string(),
            "The only events that can be specified before DownloadBundle are BeforeBlockTraffic,AfterBlockTraffic,ApplicationStop. Please fix the order of your specified events: ApplicationStart,DownloadBundle"
        );
        assert_eq!(
            plan(Some("DownloadBundle,HealthCheck,Install")).expect_err("DP-364").to_string(),
            "The only events that can be specified before Install are BeforeBlockTraffic,AfterBlockTraffic,ApplicationStop,DownloadBundle,BeforeInstall. Please fix the order of your specified events: DownloadBundle,HealthCheck,Install"
        );
    }

    #[test]
    fn as_080_own_events_are_possible_too() {
        let events = plan(Some("HealthCheck,ApplicationStart")).expect("DP-348");
        let possible = possible(&events);
        assert_eq!(possible[..11], DEFAULT);
        assert_eq!(possible[11..], ["HealthCheck"]);
    }
}
