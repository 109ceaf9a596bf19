//! A terminal: one line for the deployment, one for each host at work, which scrolls away when the host is done.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use slipway_wire::codedeploy::DeploymentInfo;

use super::tracker::{Change, Host, Tracker};
use super::{Display, report};
use crate::aws::CallError;

/// More hosts at work than this are only counted.
const SHOWN: usize = 12;
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

fn spinner(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::no_length().with_style(style);
    bar.enable_steady_tick(TICK);
    bar
}

/// `✓ BeforeInstall ✓ Install › AfterInstall`: what has happened and what goes on.
fn trail(host: &Host) -> String {
    let event = |(name, status): &(String, String)| {
        let sign = match status.as_str() {
            "Succeeded" => '✓',
            "Failed" => '✗',
            "Skipped" => '–',
            "Unknown" => '?',
            "InProgress" => '›',
            _ => return None,
        };
        Some(format!("{sign} {name}"))
    };
    host.events.iter().filter_map(event).collect::<Vec<_>>().join("  ")
}

impl Display for Live {
    fn changes(&mut self, info: &DeploymentInfo, tracker: &Tracker, changes: &[Change]) -> io::Result<()> {
        for change in changes {
            for line in change.diagnostics.iter().flat_map(report::diagnostics) {
                self.screen.println(line)?;
            }
            if change.event.is_none()
                && let Some(host) = tracker.host(&change.host)
            {
                let time = report::time_of_day(change.time);
                self.screen.println(format!("{time} {} {}  {}", change.host, change.status, trail(host)))?;
            }
        }
        let overview = info.deployment_overview.clone().unwrap_or_default();
        let counts =
            [overview.pending, overview.in_progress, overview.succeeded, overview.failed, overview.skipped]
                .map(Option::unwrap_or_default);
        let [pending, working, succeeded, failed, skipped] = counts;
        self.head.set_message(format!(
            "deployment {} {}: {succeeded} of {} hosts succeeded, {working} at work, {failed} failed, {skipped} skipped, {pending} pending",
            info.deployment_id.as_deref().unwrap_or_default(),
            info.status.as_deref().unwrap_or_default(),
            counts.iter().sum::<i64>(),
        ));
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

    #[test]
    fn the_trail_shows_what_has_begun_in_order() {
        let events = [("A", "Succeeded"), ("B", "InProgress"), ("C", "Pending"), ("D", "Skipped")];
        let events = events.map(|(name, status)| (name.to_owned(), status.to_owned())).to_vec();
        assert_eq!(trail(&Host { status: "InProgress".into(), events }), "✓ A  › B  – D");
    }

    #[test]
    fn templates_are_valid() {
        for template in ["{spinner} {wide_msg}", "{spinner} {prefix}  {wide_msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
