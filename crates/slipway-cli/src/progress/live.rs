//! A terminal: one line for the deployment, one for each host at work, which scrolls away when the host is done.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use slipway_wire::codedeploy::DeploymentInfo;

use super::tracker::{Change, Host, Tracker};
use super::{Display, report};
use crate::aws::CallError;

/// More hosts at work than this are only counted.
const SHOWN: usize = 12;
/// Of so many hosts every event is told.
const FEW: i64 = 3;
const TICK: Duration = Duration::from_millis(120);

/// The display.
pub(super) struct Live {
    screen: MultiProgress,
    head: ProgressBar,
    hosts: BTreeMap<String, ProgressBar>,
}

impl Live {
    pub(super) fn new() -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let head = screen.add(spinner("{spinner} {wide_msg}"));
        Self { screen, head, hosts: BTreeMap::new() }
    }

    fn show_hosts(&mut self, tracker: &Tracker) {
        let shown: Vec<(&str, &Host)> = tracker.working().take(SHOWN).collect();
        self.hosts.retain(|name, bar| {
            let stays = shown.iter().any(|(shown, _)| shown == name);
            if !stays {
                bar.finish_and_clear();
                self.screen.remove(bar);
            }
            stays
        });
        for (name, host) in shown {
            let bar = self.hosts.entry(name.to_owned()).or_insert_with(|| {
                let bar = self.screen.add(spinner("{spinner} {prefix}  {wide_msg}"));
                bar.set_prefix(name.to_owned());
                bar
            });
            bar.set_message(trail(host));
        }
    }
}

/// Hosts of the deployment.
fn total(info: &DeploymentInfo) -> i64 {
    let overview = info.deployment_overview.clone().unwrap_or_default();
    let counts = [
        overview.pending,
        overview.in_progress,
        overview.succeeded,
        overview.failed,
        overview.skipped,
        overview.ready,
    ];
    counts.into_iter().flatten().sum()
}

/// The deployment in one line; what there is none of is not told.
fn summary(info: &DeploymentInfo, total: i64) -> String {
    let overview = info.deployment_overview.clone().unwrap_or_default();
    let mut text = format!(
        "{} {}",
        info.deployment_id.as_deref().unwrap_or_default(),
        info.status.as_deref().unwrap_or_default()
    );
    if total > 0 {
        let _ = write!(text, ": {} of {total} done", overview.succeeded.unwrap_or_default());
    }
    for (word, count) in
        [("at work", overview.in_progress), ("failed", overview.failed), ("skipped", overview.skipped)]
    {
        if let Some(count) = count.filter(|count| *count > 0) {
            let _ = write!(text, ", {count} {word}");
        }
    }
    text
}

fn spinner(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::no_length().with_style(style);
    bar.enable_steady_tick(TICK);
    bar
}

/// `✓✓✓✗ AfterInstall (5 of 7)`: how the events before ended, and the one that goes on.
fn trail(host: &Host) -> String {
    let sign = |(_, status): &(String, String)| match status.as_str() {
        "Succeeded" => Some('✓'),
        "Failed" => Some('✗'),
        "Skipped" => Some('–'),
        "Unknown" => Some('?'),
        _ => None,
    };
    let signs: String = host.events.iter().filter_map(sign).collect();
    match host.events.iter().position(|(_, status)| status == "InProgress") {
        Some(at) => format!("{signs} {} ({} of {})", host.events[at].0, at + 1, host.events.len()),
        None => signs,
    }
}

impl Display for Live {
    fn changes(&mut self, info: &DeploymentInfo, tracker: &Tracker, changes: &[Change]) -> io::Result<()> {
        let total = total(info);
        for change in changes {
            let time = report::time_of_day(change.time);
            match &change.event {
                None => self.screen.println(format!("{time} {} {}", change.host, change.status))?,
                // Of a large fleet only what went wrong stays on the screen.
                Some(event) if total <= FEW || change.status == "Failed" => {
                    self.screen.println(format!("{time} {} {event} {}", change.host, change.status))?;
                }
                Some(_) => {}
            }
            for line in change.diagnostics.iter().flat_map(report::diagnostics) {
                self.screen.println(line)?;
            }
        }
        self.head.set_message(summary(info, total));
        self.show_hosts(tracker);
        Ok(())
    }

    fn away(&mut self, error: &CallError) -> io::Result<()> {
        self.screen.println(format!("{error}; asking again"))
    }

    fn end(&mut self, info: &DeploymentInfo, _: &Tracker) -> io::Result<()> {
        for bar in self.hosts.values() {
            bar.finish_and_clear();
        }
        self.head.finish_and_clear();
        self.screen.clear()?;
        report::end(&mut io::stdout(), info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_wire::codedeploy::DeploymentOverview;

    #[test]
    fn the_trail_shows_how_events_ended_and_which_one_goes_on() {
        let host = |events: &[(&str, &str)]| Host {
            status: "InProgress".into(),
            events: events.iter().map(|(name, status)| ((*name).into(), (*status).into())).collect(),
        };
        let events = [("A", "Succeeded"), ("B", "Succeeded"), ("C", "InProgress"), ("D", "Pending")];
        assert_eq!(trail(&host(&events)), "✓✓ C (3 of 4)");
        assert_eq!(trail(&host(&[("A", "Failed"), ("B", "Skipped")])), "✗–");
    }

    #[test]
    fn the_summary_tells_only_what_there_is() {
        let mut info = DeploymentInfo {
            deployment_id: Some("d-1".into()),
            status: Some("InProgress".into()),
            ..Default::default()
        };
        assert_eq!(summary(&info, total(&info)), "d-1 InProgress");
        info.deployment_overview = Some(DeploymentOverview {
            pending: Some(5),
            in_progress: Some(2),
            succeeded: Some(3),
            failed: Some(1),
            ..Default::default()
        });
        assert_eq!(summary(&info, total(&info)), "d-1 InProgress: 3 of 11 done, 2 at work, 1 failed");
    }

    #[test]
    fn templates_are_valid() {
        for template in ["{spinner} {wide_msg}", "{spinner} {prefix}  {wide_msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
