//! `hooks`: the scripts of each lifecycle event (AS-073..AS-080).

use std::time::Duration;

use super::ParseOptions;
use super::reader::{Reader, escapes};
use crate::model::{DEFAULT_SCRIPT_TIMEOUT, Hook, Os, Script};
use crate::nearest::nearest;
use crate::yaml::{Entry, Node, Value, get};

/// The events whose scripts run on a host (AS-079).
pub const SCRIPTABLE_EVENTS: &[&str] = &[
    "ApplicationStop",
    "BeforeInstall",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
    "BeforeBlockTraffic",
    "AfterBlockTraffic",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
];

/// The events that belong to the agent or the control plane (AS-079).
pub const RESERVED_EVENTS: &[&str] =
    &["Start", "DownloadBundle", "Install", "BlockTraffic", "AllowTraffic", "End"];

const SECTION: &str = "hooks";
/// What one event may take on a host in total (AS-076).
const EVENT_LIMIT_SECONDS: u64 = 3600;

pub(super) fn read(node: &Node, options: &ParseOptions<'_>, reader: &mut Reader) -> Vec<Hook> {
    if node.is_null() {
        return Vec::new();
    }
    let events = reader.map(node, SECTION, "a map of event names").unwrap_or_default();
    events.iter().filter_map(|event| read_event(event, options, reader)).collect()
}

fn read_event(event: &Entry, options: &ParseOptions<'_>, reader: &mut Reader) -> Option<Hook> {
    if !options.own_events.contains(&event.key) {
        check_name(event, reader);
    }
    if event.value.is_null() {
        reader.warn((event.line, event.column), format!("event {} is blank", event.key));
    }
    let items = reader.list(&event.value, SECTION, &format!("a list of scripts for {}", event.key))?;
    let mut explicit = 0_u64;
    let mut scripts = Vec::with_capacity(items.len());
    for item in items {
        if let Some((script, named)) = read_script(item, options, reader) {
            explicit = explicit.saturating_add(if named { script.timeout.as_secs() } else { 0 });
            scripts.push(script);
        }
    }
    if explicit > EVENT_LIMIT_SECONDS {
        reader.object_to(
            (event.line, event.column),
            format!(
                "the timeouts of {} add up to {explicit} seconds; an event may take {EVENT_LIMIT_SECONDS}",
                event.key
            ),
        );
        reader.help("lower the timeouts: the control plane ends the event after an hour");
    }
    Some(Hook { event: event.key.clone(), scripts, line: event.line, column: event.column })
}

fn check_name(event: &Entry, reader: &mut Reader) {
    let (place, name) = ((event.line, event.column), event.key.as_str());
    if RESERVED_EVENTS.contains(&name) {
        reader.object_to(place, format!("event {name} is reserved and cannot run scripts"));
        if let Some(beside) = beside(name) {
            reader.help(format!("move the scripts to {beside}"));
        }
    } else if !SCRIPTABLE_EVENTS.contains(&name) {
        reader.object_to(place, format!("event {name} is unknown; its scripts never run"));
        reader.help(match nearest(name, SCRIPTABLE_EVENTS) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("the events are {}", SCRIPTABLE_EVENTS.join(", ")),
        });
    } else if name.ends_with("Traffic") {
        reader.warn(place, format!("event {name} runs only where the deployment group has a load balancer"));
    }
}

/// The events around a reserved one.
fn beside(reserved: &str) -> Option<&'static str> {
    Some(match reserved {
        "DownloadBundle" | "Install" => "BeforeInstall or AfterInstall",
        "BlockTraffic" => "BeforeBlockTraffic or AfterBlockTraffic",
        "AllowTraffic" => "BeforeAllowTraffic or AfterAllowTraffic",
        _ => return None,
    })
}

/// The script, and whether it names its timeout.
fn read_script(item: &Node, options: &ParseOptions<'_>, reader: &mut Reader) -> Option<(Script, bool)> {
    let entries = reader.map(item, SECTION, "a map with location")?;
    reader.unknown_keys(entries, &["location", "timeout", "runas", "sudo"], "hooks script");
    let location = read_location(item, entries, options, reader)?;
    let timeout = match get(entries, "timeout").map(|entry| &entry.value).filter(|node| !node.is_null()) {
        Some(node) => Some(read_timeout(node, reader)?),
        None => None,
    };
    let runas = reader.optional_text(entries, "runas", SECTION);
    if runas.is_some() && options.os == Os::Windows {
        let at = get(entries, "runas").map_or(item, |entry| &entry.value);
        reader.warn((at.line, at.column), "runas is not supported on Windows and is ignored");
        reader.help("remove runas");
    }
    let sudo = get(entries, "sudo").is_some_and(|entry| is_true(&entry.value));
    let named = timeout.is_some();
    let timeout = timeout.unwrap_or(DEFAULT_SCRIPT_TIMEOUT);
    Some((Script { location, timeout, runas, sudo, line: item.line, column: item.column }, named))
}

fn read_location(
    item: &Node,
    entries: &[Entry],
    options: &ParseOptions<'_>,
    reader: &mut Reader,
) -> Option<String> {
    let node = get(entries, "location").map(|entry| &entry.value);
    if let Some(node @ Node { value: Value::List(_) | Value::Map(_), .. }) = node {
        reader.misshapen(node, SECTION, "a single value for location");
        return None;
    }
    let Some(location) = reader.optional_text(entries, "location", SECTION) else {
        reader.refuse(
            item,
            "The deployment failed because the application specification file specifies a script with no location value. Specify the location in the hooks section of the AppSpec file, and then try again.",
        );
        reader.help("add location: and the path of the script in the bundle");
        return None;
    };
    if options.refuse_path_escapes && escapes(&location, options.os) {
        let at = node.unwrap_or(item);
        reader.refuse(
            at,
            format!(
                "The deployment failed because the application specification file specifies a script ({location}) that leads out of the revision ({} line {}). Update the hooks section of the AppSpec file, and then try again.",
                options.file_name, at.line
            ),
        );
        reader.help("name a path below the directory of the AppSpec file, without ..");
        return None;
    }
    Some(location)
}

/// Whole seconds above zero; fractions are cut (AS-075).
fn read_timeout(node: &Node, reader: &mut Reader) -> Option<Duration> {
    let seconds = node.text().and_then(seconds).filter(|seconds| *seconds > 0);
    if seconds.is_none() {
        reader.refuse(
            node,
            "The deployment failed because an invalid timeout value was provided for a script in the application specification file. Make corrections in the hooks section of the AppSpec file, and then try again.",
        );
        reader.help("write a whole number of seconds above 0, without a unit");
    }
    seconds.map(Duration::from_secs)
}

fn seconds(text: &str) -> Option<u64> {
    let digits = text.trim().replace('_', "");
    if !digits.trim_start_matches('+').starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let number = digits.parse::<f64>().ok()?;
    // A Duration holds far more than this; a century is "no limit" to any script.
    number.is_finite().then_some(number.min(3.2e9) as u64)
}

/// The YAML words for true, quoted or not (AS-078).
fn is_true(node: &Node) -> bool {
    node.text().is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "on"))
}
