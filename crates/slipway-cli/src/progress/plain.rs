//! One line for each change: `HH:MM:SS host event status`. For pipes and logs.

use std::io::{self, Write};

use slipway_wire::codedeploy::DeploymentInfo;

use super::tracker::{Change, Tracker};
use super::{Display, report};
use crate::aws::CallError;

/// Lines on stdout.
pub(super) struct Plain<W> {
    out: W,
    status: String,
}

impl Plain<io::Stdout> {
    pub(super) fn new() -> Self {
        Self { out: io::stdout(), status: String::new() }
    }
}

impl<W: Write> Display for Plain<W> {
    fn changes(&mut self, info: &DeploymentInfo, _: &Tracker, changes: &[Change]) -> io::Result<()> {
        let status = info.status.as_deref().unwrap_or_default();
        // The first status is that of a deployment that waits; how it ends is told by `end`.
        if self.status != status && !super::is_final(status) {
            let time = info.start_time.filter(|_| status == "InProgress").or(info.create_time);
            let id = info.deployment_id.as_deref().unwrap_or_default();
            writeln!(self.out, "{} deployment {id} {status}", report::time_of_day(time))?;
            status.clone_into(&mut self.status);
        }
        for change in changes {
            let time = report::time_of_day(change.time);
            let event = change.event.as_deref().unwrap_or("-");
            writeln!(self.out, "{time} {} {event} {}", change.host, change.status)?;
            for line in change.diagnostics.iter().flat_map(report::diagnostics) {
                writeln!(self.out, "{line}")?;
            }
        }
        self.out.flush()
    }

    fn away(&mut self, error: &CallError) -> io::Result<()> {
        writeln!(io::stderr(), "{error}; asking again")
    }

    fn end(&mut self, info: &DeploymentInfo, _: &Tracker) -> io::Result<()> {
        report::end(&mut self.out, info)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_wire::codedeploy::Diagnostics;

    #[test]
    fn changes_are_lines_of_time_host_event_and_status() {
        let mut plain = Plain { out: Vec::new(), status: String::new() };
        let info = DeploymentInfo {
            deployment_id: Some("d-1".into()),
            status: Some("InProgress".into()),
            ..Default::default()
        };
        let change = |event: Option<&str>, status: &str| Change {
            time: None,
            host: "web-1".into(),
            event: event.map(str::to_owned),
            status: status.into(),
            diagnostics: None,
        };
        let mut failed = change(Some("AfterInstall"), "Failed");
        failed.diagnostics =
            Some(Diagnostics { error_code: Some("ScriptFailed".into()), ..Default::default() });
        let tracker = Tracker::default();
        plain.changes(&info, &tracker, &[change(Some("BeforeInstall"), "Succeeded"), failed]).unwrap();
        plain.changes(&info, &tracker, &[change(None, "Failed")]).unwrap();
        assert_eq!(
            String::from_utf8(plain.out).unwrap(),
            "--:--:-- deployment d-1 InProgress\n\
             --:--:-- web-1 BeforeInstall Succeeded\n\
             --:--:-- web-1 AfterInstall Failed\n    ScriptFailed: \n    `slipway explain ScriptFailed` says more\n\
             --:--:-- web-1 - Failed\n"
        );
    }
}
