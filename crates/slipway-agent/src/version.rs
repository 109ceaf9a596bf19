//! What this agent calls itself on every call (AG-080, AG-081, AP-02).

use std::path::Path;

use crate::logs::AgentLog;

const INSTALLED: &str = "/opt/codedeploy-agent/.version";

/// Own prefix, and the release whose behaviour it has, so that minimum-version checks pass.
pub const OWN: &str = concat!("SLIPWAY_1.8.1+", env!("CARGO_PKG_VERSION"));

/// The installed version string: of `<root>/../.version`, of the default place, or our own.
pub fn agent_version(root: &Path, log: &AgentLog) -> String {
    let beside = root.parent().unwrap_or(root).join(".version");
    for path in [beside.as_path(), Path::new(INSTALLED)] {
        if let Some(version) = read(path) {
            log.info(format_args!("Version file found in {} with agent version {version}.", path.display()));
            return version;
        }
    }
    log.debug(format_args!(
        "Version tracking file either does not exist or cannot be read in {} or {INSTALLED}.",
        beside.display()
    ));
    OWN.to_owned()
}

/// The text after the last `: `; only what can stand in a header counts.
fn read(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let version = text.trim().rsplit(": ").next()?.trim();
    (!version.is_empty() && version.bytes().all(|byte| byte.is_ascii_graphic())).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{OWN, agent_version};
    use crate::logs::AgentLog;

    #[test]
    fn the_file_of_the_package_wins_over_our_own_string() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let root = directory.path().join("deployment-root");
        let log = AgentLog::in_memory();
        std::fs::write(directory.path().join(".version"), "agent_version: OFFICIAL_1.7.0-92_rpm\n")
            .expect("write");
        assert_eq!(agent_version(&root, &log), "OFFICIAL_1.7.0-92_rpm", "AG-080");
        assert!(log.lines()[0].contains("Version file found in "), "AG-081");
        std::fs::write(directory.path().join(".version"), "agent_version: bad\u{7}\n").expect("write");
        assert_eq!(agent_version(&root, &log), OWN);
    }
}
