//! A user of the host who owns a directory on the way, and changes it while the agent works.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;
use std::slice;

use super::super::execute::Work;
use super::super::plan::{Instruction, plan};
use super::{Host, InstallError, Switches, write};
use crate::sys::files::is_root;

const ALL: &str = "files:\n  - source: /\n    destination: SRV/app\n";
/// Whoever owns the directory that is deployed into.
const OWNER: u32 = 4321;

/// Makes all objects of a deployment, lets the other user act, and gives the attributes then.
fn make_then_attribute(host: &Host, body: &str, meanwhile: impl FnOnce()) -> Result<(), InstallError> {
    host.with_request("group", body, |request| {
        let plan = plan(request)?;
        let mut work = Work::new(request, &plan)?;
        let makes =
            |i: &&Instruction| matches!(i, Instruction::Copy { .. } | Instruction::MakeDirectory { .. });
        fs::create_dir_all(request.instructions_dir).unwrap();
        for instruction in plan.instructions.iter().filter(makes) {
            work.make(slice::from_ref(instruction), Path::new("/record"), &mut Vec::new())?;
        }
        meanwhile();
        let mut record = super::super::record::CleanupRecord::create(request.instructions_dir, "group")?;
        plan.instructions.iter().filter(|i| !makes(i)).try_for_each(|i| work.attribute(i, &mut record))
    })
}

/// Plans a deployment, lets the other user act, and makes the objects then.
fn plan_then_make(host: &Host, body: &str, meanwhile: impl FnOnce()) -> Result<(), InstallError> {
    host.with_request("group", body, |request| {
        let plan = plan(request)?;
        meanwhile();
        let mut work = Work::new(request, &plan)?;
        plan.instructions.iter().try_for_each(|instruction| {
            work.make(slice::from_ref(instruction), Path::new("/record"), &mut Vec::new())
        })
    })
}

fn give_away(path: &Path) {
    lchown(path, Some(OWNER), None).unwrap();
}

#[test]
fn a_directory_that_became_a_link_is_neither_emptied_nor_filled() {
    if !is_root() {
        // Nobody's directories can be given away; without root's rights there is nothing to gain either.
        return;
    }
    let host = Host::new();
    write(&host.path("srv/"), "");
    give_away(&host.path("srv"));
    host.revision(&[("passwd", "1"), ("sub/f", "1")]);
    host.install(ALL).unwrap();
    write(&host.path("etc/passwd"), "of the system");
    write(&host.path("etc/sub/f"), "of the system");
    fs::rename(host.target("app"), host.target("hidden")).unwrap();
    symlink("../etc", host.target("app")).unwrap();
    give_away(&host.target("app"));

    // The link lies where the deployment made a directory: it goes, and what it leads to stays.
    let report = host.install(ALL).unwrap();
    assert!(report.cleaned.notes[0].contains("srv/app is a symbolic link of user 4321"), "{report:?}");
    assert_eq!(fs::read_to_string(host.path("etc/passwd")).unwrap(), "of the system", "D-14");
    assert_eq!(fs::read_to_string(host.path("etc/sub/f")).unwrap(), "of the system", "D-14");
    assert_eq!(fs::read_dir(host.path("etc")).unwrap().count(), 2, "nothing was put there");

    symlink("../etc", host.target("above")).unwrap();
    give_away(&host.target("above"));
    for body in ["SRV/above", "SRV/above/sub", "SRV/above/new"] {
        let body =
            format!("files:\n  - source: /\n    destination: {body}\nfile_exists_behavior: OVERWRITE\n");
        let error = host.install(&body).unwrap_err().to_string();
        assert!(error.contains("srv/above is a symbolic link of user 4321"), "{error}");
    }
    assert_eq!(fs::read_to_string(host.path("etc/passwd")).unwrap(), "of the system", "D-14");
    assert_eq!(fs::read_dir(host.path("etc")).unwrap().count(), 2, "nothing was put there");

    let switches = Switches { reject_untrusted_links: false, ..Switches::default() };
    let host = Host { switches, ..host };
    host.install("files:\n  - source: /\n    destination: SRV/above/new\n").unwrap();
    assert!(host.path("etc/new/passwd").exists(), "the administrator has allowed it");
}

#[test]
fn links_of_the_administrator_on_the_way_are_followed() {
    let host = Host::new();
    write(&host.path("data/"), "");
    write(&host.path("srv/"), "");
    symlink("../data", host.target("app")).unwrap();
    host.revision(&[("f", "1"), ("sub/g", "1")]);
    host.install(&format!("{ALL}permissions:\n  - object: SRV/app\n    mode: 640\n    type: [file]\n"))
        .unwrap();
    assert_eq!(fs::metadata(host.path("data/sub/g")).unwrap().mode() & 0o7777, 0o640);
    host.revision(&[("h", "2")]);
    host.install(ALL).unwrap();
    assert_eq!(fs::read_dir(host.path("data")).unwrap().count(), 1, "AS-040: the old files are gone");
}

#[test]
fn attributes_go_to_the_objects_that_were_made_and_to_no_others() {
    let body = format!("{ALL}permissions:\n  - object: SRV/app\n    mode: 777\n");
    for kind in ["file", "directory"] {
        for trick in ["another", "link", "hard link"] {
            let host = Host::new();
            host.revision(&[("f", "new"), ("d/", "")]);
            write(&host.path("secret/file"), "secret");
            write(&host.path("secret/directory/"), "");
            let secret = host.path("secret").join(kind);
            fs::set_permissions(&secret, fs::Permissions::from_mode(0o700)).unwrap();
            let place = host.target(if kind == "file" { "app/f" } else { "app/d" });
            if trick == "hard link" && kind == "directory" {
                continue;
            }
            let result = make_then_attribute(&host, &body, || {
                fs::rename(&place, host.path("away")).unwrap();
                match trick {
                    "another" => fs::rename(&secret, &place).unwrap(),
                    "link" => symlink(&secret, &place).unwrap(),
                    _ => fs::hard_link(&secret, &place).unwrap(),
                }
            });
            let error = result.expect_err(trick);
            assert!(
                matches!(&error, InstallError::Replaced(path) if *path == place),
                "{kind} {trick}: {error}"
            );
            let now = if trick == "another" { &place } else { &secret };
            assert_eq!(fs::metadata(now).unwrap().mode() & 0o7777, 0o700, "{kind} {trick}");
        }
    }
}

#[test]
fn a_file_that_appears_after_the_plan_is_not_replaced() {
    let host = Host::new();
    host.revision(&[("f", "new")]);
    write(&host.target("app/"), "");
    let result = plan_then_make(&host, ALL, || write(&host.target("app/f"), "foreign"));
    assert!(matches!(result, Err(InstallError::Exists(_))), "AS-038: {result:?}");
    assert_eq!(host.tree()["app/f"], "foreign", "D-14");
    assert_eq!(host.names(), ["app/", "app/f"], "no unfinished file stays");
}

#[test]
fn a_revision_that_was_changed_meanwhile_gives_no_files_from_outside() {
    let host = Host::new();
    host.revision(&[("sub/shadow", "harmless"), ("sub/link", "harmless")]);
    write(&host.path("outside/shadow"), "secret");
    write(&host.path("outside/link"), "secret");
    let result = plan_then_make(&host, ALL, || {
        fs::rename(host.archive().join("sub"), host.archive().join("away")).unwrap();
        symlink("../outside", host.archive().join("sub")).unwrap();
    });
    assert!(result.is_err(), "D-17");
    assert!(!host.tree().values().any(|content| content == "secret"), "{:?}", host.tree());
}
