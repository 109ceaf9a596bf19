//! How a failure is told.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use slipway_wire::Timestamp;
use slipway_wire::codedeploy::{DeploymentInfo, Diagnostics};

/// The time of day here, `HH:MM:SS`.
pub(super) fn time_of_day(time: Option<Timestamp>) -> String {
    let zoned = time
        .and_then(|time| jiff::Timestamp::from_millisecond(time.as_millis()).ok())
        .map(|time| time.to_zoned(TimeZone::system()));
    zoned.map_or_else(|| "--:--:--".to_owned(), |time| time.strftime("%H:%M:%S").to_string())
}

/// The diagnostics of a failed event: script, message, log tail.
pub(super) fn diagnostics(diagnostics: &Diagnostics) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (code, script, message) =
        (text(&diagnostics.error_code), text(&diagnostics.script_name), text(&diagnostics.message));
    let mut lines = Vec::new();
    let subject = if script.is_empty() { code.clone() } else { format!("{script}: {code}") };
    lines.push(format!("    {subject}: {}", printable(message.trim_end())));
    let tail = text(&diagnostics.log_tail);
    lines.extend(tail.lines().map(|line| format!("    | {}", printable(line))));
    if !code.is_empty() {
        lines.push(format!("    `slipway explain {code}` says more"));
    }
    lines
}

/// What a script printed must not steer the reader's terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The last words about a deployment.
pub(super) fn end(out: &mut dyn Write, info: &DeploymentInfo) -> io::Result<()> {
    let id = info.deployment_id.as_deref().unwrap_or_default();
    let overview = info.deployment_overview.clone().unwrap_or_default();
    let counts = [
        ("succeeded", overview.succeeded),
        ("failed", overview.failed),
        ("skipped", overview.skipped),
        ("pending", overview.pending),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .filter_map(|(word, count)| Some((word, count.filter(|count| *count > 0)?)))
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let status = info.status.as_deref().unwrap_or_default();
    let hosts = if counts.is_empty() { String::new() } else { format!(" (hosts: {})", counts.join(", ")) };
    writeln!(out, "{} deployment {id} {status}{hosts}", time_of_day(info.complete_time))?;
    if let Some(error) = &info.error_information {
        let code = error.code.as_deref().unwrap_or_default();
        writeln!(out, "    {code}: {}", error.message.as_deref().unwrap_or_default())?;
        writeln!(out, "    `slipway explain {code}` says more")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_wire::codedeploy::{DeploymentOverview, ErrorInformation};

    #[test]
    fn a_failed_script_is_told_with_its_output_and_cannot_steer_the_terminal() {
        let lines = diagnostics(&Diagnostics {
            error_code: Some("ScriptFailed".into()),
            script_name: Some("scripts/go.sh".into()),
            message: Some("exit code 1\n".into()),
            log_tail: Some("[stderr]\x1b[2Jboom\n".into()),
        });
        assert_eq!(
            lines,
            [
                "    scripts/go.sh: ScriptFailed: exit code 1",
                "    | [stderr]\u{fffd}[2Jboom",
                "    `slipway explain ScriptFailed` says more",
            ]
        );
    }

    #[test]
    fn the_end_tells_counts_and_reason() {
        let mut out = Vec::new();
        let info = DeploymentInfo {
            deployment_id: Some("d-1".into()),
            status: Some("Failed".into()),
            deployment_overview: Some(DeploymentOverview {
                succeeded: Some(2),
                failed: Some(1),
                ..Default::default()
            }),
            error_information: Some(ErrorInformation {
                code: Some("HEALTH_CONSTRAINTS".into()),
                message: Some("Too many hosts failed.".into()),
            }),
            ..Default::default()
        };
        end(&mut out, &info).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "--:--:-- deployment d-1 Failed (hosts: 2 succeeded, 1 failed)\n    HEALTH_CONSTRAINTS: Too many hosts failed.\n    `slipway explain HEALTH_CONSTRAINTS` says more\n"
        );
    }
}
