//! Which revision an event's scripts are of, and its AppSpec file (AP-20, AG-085..AG-089, AMB-1).

use std::io::Read as _;
use std::path::{Path, PathBuf};

use slipway_appspec::{AppSpec, AppSpecError, Os, ParseOptions, Problem, RESERVED_EVENTS, decode, inspect};

use super::HOOK_EVENTS;
use crate::client::Diagnostics;
use crate::layout::{Deployment, Layout};
use crate::spec::DeploymentSpec;
use crate::unpack::macosx_note;

/// The revision of an event's scripts; `None`: there is none yet, nothing runs.
pub(super) fn for_event(layout: &Layout, spec: &DeploymentSpec, event: &str) -> Option<Deployment> {
    let current = layout.deployment(&spec.group_id, &spec.deployment_id);
    if current.archive().exists() {
        // AS-089: the old-revision rules hold only until this deployment's archive is there.
        return Some(current);
    }
    let last_successful = || layout.last_successful(&spec.group_id);
    match (spec.is_blue_green_rollback(), event) {
        (true, "BeforeBlockTraffic" | "AfterBlockTraffic") => layout.most_recent(&spec.group_id),
        (true, "ApplicationStop" | "BeforeAllowTraffic" | "AfterAllowTraffic")
        | (false, "BeforeBlockTraffic" | "AfterBlockTraffic" | "ApplicationStop") => last_successful(),
        _ => Some(current),
    }
}

/// The AppSpec file of a revision: the named one, `appspec.yaml`, `appspec.yml`, in this order (AMB-1).
pub fn find_appspec(archive: &Path, name: &str) -> Option<PathBuf> {
    let root = archive.canonicalize().ok()?;
    [name, "appspec.yaml", "appspec.yml"].iter().map(|name| archive.join(name)).find(|path| {
        // A link that leads out of the revision is not its AppSpec file (D-17).
        path.is_file() && path.canonicalize().is_ok_and(|real| real.starts_with(&root))
    })
}

/// More than the parser accepts.
const LONGEST_FILE: u64 = 16 << 20;

/// As much of a list of errors as a report holds (AS-099).
const LONGEST_LOG: usize = 2048;

/// Reads and parses it, and tells its name. The message of a failure is that of the first error; its log lists all.
pub(super) fn read_appspec(
    archive: &Path,
    name: &str,
    refuse_path_escapes: bool,
    own_events: &[String],
) -> Result<(AppSpec, String), Diagnostics> {
    let Some(path) = find_appspec(archive, name) else {
        return Err(Diagnostics::failure(not_found(archive, name)));
    };
    let bytes =
        read_some(&path).map_err(|error| Diagnostics::failure(format!("{error} - {}", path.display())))?;
    let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or(name);
    let failed = |error: &AppSpecError, problems: &[Problem]| Diagnostics {
        log: list(problems, file_name),
        ..Diagnostics::failure(error.to_string())
    };
    let text = decode(&bytes).map_err(|error| failed(&error, &[Problem::from(&error)]))?;
    let options = ParseOptions { os: Os::host(), file_name, refuse_path_escapes, own_events };
    let inspection = inspect(&text, &options);
    match inspection.spec {
        Ok(app_spec) => Ok((app_spec, file_name.to_owned())),
        Err(error) => Err(failed(&error, &inspection.problems)),
    }
}

/// A file, or so much of it that it is seen to be too long: a revision may hold one that no memory does.
fn read_some(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LONGEST_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One line `FILE:LINE:COLUMN: SEVERITY: MESSAGE` for each problem, and what would be right.
fn list(problems: &[Problem], file_name: &str) -> String {
    let mut text = String::new();
    for problem in problems {
        let entry = format!("{file_name}:{problem}\n");
        if text.len() + entry.len() >= LONGEST_LOG {
            break;
        }
        text.push_str(&entry);
    }
    text
}

/// AS-003, AS-173.
fn not_found(archive: &Path, name: &str) -> String {
    let directory = archive.display();
    let mut message = format!(
        "The CodeDeploy agent did not find an AppSpec file within the unpacked revision directory at revision-relative path \"{name}\". The revision was unpacked to directory \"{directory}\", and the AppSpec file was expected but not found at path \"{directory}/{name}\". Consult the AWS CodeDeploy Appspec documentation for more information at http://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file.html"
    );
    if let Some(note) = macosx_note(archive) {
        message.push(' ');
        message.push_str(&note);
    }
    message
}

/// AG-089, AS-080: with a list of possible events, the file may name no other, and it must name those that only the
/// list knows.
pub(super) fn check_events(app_spec: &AppSpec, file_name: &str, spec: &DeploymentSpec) -> Result<(), String> {
    let Some(possible) = &spec.all_possible_events else { return Ok(()) };
    let unknown: Vec<&str> =
        app_spec.events().filter(|event| !possible.iter().any(|name| name == event)).collect();
    if !unknown.is_empty() {
        return Err(format!("{file_name} file contains unknown lifecycle events: {unknown:?}"));
    }
    let is_default = |event: &str| HOOK_EVENTS.contains(&event) || RESERVED_EVENTS.contains(&event);
    let missing: Vec<&str> = possible
        .iter()
        .map(String::as_str)
        .filter(|event| !is_default(event) && !app_spec.events().any(|name| name == *event))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "You specified a lifecycle event which is not a default one and doesn't exist in your {file_name} file: {}",
        missing.join(",")
    ))
}

#[cfg(test)]
mod tests {
    use super::{check_events, find_appspec, for_event, read_appspec};
    use crate::layout::Layout;
    use crate::spec::DeploymentSpec;
    use serde_json::json;

    fn spec(creator: &str, kind: &str) -> DeploymentSpec {
        let json = json!({
            "DeploymentId": "d-new", "DeploymentGroupId": "g", "DeploymentGroupName": "n", "ApplicationName": "a",
            "DeploymentCreator": creator, "DeploymentType": kind,
            "Revision": {"RevisionType": "S3", "S3Revision": {"Bucket": "b", "Key": "k", "BundleType": "zip"}}
        });
        DeploymentSpec::parse(json.to_string().as_bytes()).expect("a specification")
    }

    /// Which deployment the scripts of `event` are of; `-` for none.
    fn chosen(layout: &Layout, spec: &DeploymentSpec, event: &str) -> String {
        for_event(layout, spec, event).map_or_else(
            || "-".to_owned(),
            |found| found.directory().file_name().expect("a name").to_string_lossy().into_owned(),
        )
    }

    #[test]
    fn each_event_takes_its_scripts_from_the_documented_revision() {
        let root = tempfile::tempdir().expect("scratch directory");
        let layout = Layout::new(root.path(), "t");
        let in_place = spec("user", "IN_PLACE");
        assert_eq!(chosen(&layout, &in_place, "ApplicationStop"), "-", "AG-085: a first deployment");

        std::fs::create_dir_all(layout.instructions()).expect("mkdir");
        let mark = |name: &str, id: &str| {
            let directory = layout.deployment("g", id).directory().to_owned();
            let path = layout.instructions().join(format!("g_{name}"));
            std::fs::write(path, directory.as_os_str().as_encoded_bytes()).expect("write");
        };
        mark("last_successful_install", "d-good");
        mark("most_recent_install", "d-recent");
        let rollback = spec("codeDeployRollback", "BLUE_GREEN");
        for (event, normally, rolling_back) in [
            ("BeforeBlockTraffic", "d-good", "d-recent"),
            ("AfterBlockTraffic", "d-good", "d-recent"),
            ("ApplicationStop", "d-good", "d-good"),
            ("BeforeInstall", "d-new", "d-new"),
            ("ValidateService", "d-new", "d-new"),
            ("BeforeAllowTraffic", "d-new", "d-good"),
            ("AfterAllowTraffic", "d-new", "d-good"),
        ] {
            assert_eq!(chosen(&layout, &in_place, event), normally, "AG-085 {event}");
            assert_eq!(chosen(&layout, &rollback, event), rolling_back, "AG-086 {event}");
        }

        std::fs::create_dir_all(layout.deployment("g", "d-new").archive()).expect("mkdir");
        assert_eq!(chosen(&layout, &in_place, "ApplicationStop"), "d-new", "AS-089");
        assert_eq!(chosen(&layout, &rollback, "BeforeBlockTraffic"), "d-new", "AS-089");
    }

    #[test]
    fn an_appspec_file_that_no_memory_holds_is_refused() {
        let archive = tempfile::tempdir().expect("scratch directory");
        let file = std::fs::File::create(archive.path().join("appspec.yml")).expect("create");
        // A hole: 16 TiB that take no space.
        file.set_len(16 << 40).or_else(|_| file.set_len(1 << 40)).expect("a sparse file");
        let refused = read_appspec(archive.path(), "appspec.yml", true, &[]).expect_err("too large");
        assert!(refused.message.contains("larger than"), "{}", refused.message);
    }

    #[test]
    fn the_appspec_file_is_found_under_its_three_names_and_inside_the_revision() {
        let archive = tempfile::tempdir().expect("scratch directory");
        let root = archive.path();
        let message = read_appspec(root, "appspec.yml", true, &[]).expect_err("AS-003").message;
        let directory = root.display();
        assert!(message.starts_with("The CodeDeploy agent did not find an AppSpec file within the unpacked revision directory at revision-relative path \"appspec.yml\". "));
        assert!(
            message.contains(&format!("not found at path \"{directory}/appspec.yml\". Consult")),
            "{message}"
        );

        std::os::unix::fs::symlink("/etc/passwd", root.join("appspec.yml")).expect("symlink");
        assert_eq!(find_appspec(root, "appspec.yml"), None, "D-17");
        std::fs::write(root.join("appspec.yaml"), "version: 0.0\nos: linux\n").expect("write");
        assert_eq!(find_appspec(root, "appspec.yml"), Some(root.join("appspec.yaml")), "AMB-1");
        std::fs::write(root.join("own.yml"), "").expect("write");
        assert_eq!(find_appspec(root, "own.yml"), Some(root.join("own.yml")), "AMB-1");
    }

    #[test]
    fn the_first_error_is_the_message_and_all_of_them_are_the_log() {
        let archive = tempfile::tempdir().expect("scratch directory");
        let text =
            "version: 0.0\nos: linux\nfiles:\n  - source: a\nhooks:\n  AfterInstall:\n    - timeout: 5\n";
        std::fs::write(archive.path().join("appspec.yml"), text).expect("write");
        let failed = read_appspec(archive.path(), "appspec.yml", true, &[]).expect_err("AS-025");
        assert!(
            failed.message.ends_with("to the files section of the AppSpec file, and then try again."),
            "AS-025"
        );
        assert_eq!(failed.error_code, 5);
        let lines: Vec<&str> = failed.log.lines().filter(|line| line.contains(": error: ")).collect();
        assert!(
            lines[0].starts_with("appspec.yml:4:5: error: ") && lines[1].starts_with("appspec.yml:7:7: "),
            "{lines:?}"
        );
    }

    #[test]
    fn a_list_of_possible_events_binds_both_ways() {
        let possible = |events: &[&str]| {
            let mut spec = spec("user", "IN_PLACE");
            spec.all_possible_events = Some(events.iter().map(|event| (*event).to_owned()).collect());
            spec
        };
        let app_spec = slipway_appspec::parse(
            "version: 0.0\nos: linux\nhooks:\n  AfterInstall: []\n  HealthCheck: []\n",
            slipway_appspec::Os::Linux,
        )
        .expect("a file");
        let told = |events: &[&str]| check_events(&app_spec, "appspec.yml", &possible(events));
        assert_eq!(told(&["Install", "AfterInstall", "BeforeInstall", "HealthCheck"]), Ok(()));
        assert_eq!(
            told(&["AfterInstall"]).expect_err("AS-080"),
            "appspec.yml file contains unknown lifecycle events: [\"HealthCheck\"]"
        );
        assert_eq!(
            told(&["AfterInstall", "HealthCheck", "Smoke", "Soak"]).expect_err("DP-348"),
            "You specified a lifecycle event which is not a default one and doesn't exist in your appspec.yml file: Smoke,Soak"
        );
    }
}
