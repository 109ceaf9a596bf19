//! Clean-up, and what a crash or a full disk leaves for the next deployment (AS-040, AS-041).

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::super::cleanup;
use super::super::record::unfinished;
use super::{Host, write};
use crate::sys::directory::Follow;

const ALL: &str = "files:\n  - source: /\n    destination: SRV\n";

#[test]
fn ac_as_2_the_second_install_removes_what_only_the_first_had() {
    let host = Host::new();
    host.revision(&[("only-1", "1"), ("both", "1"), ("gone/f", "1"), ("kept/f", "1")]);
    host.install(ALL).unwrap();
    write(&host.target("kept/foreign"), "f");
    host.revision(&[("both", "2"), ("only-2", "2")]);
    let report = host.install(ALL).unwrap();
    assert_eq!(host.names(), ["both", "kept/", "kept/foreign", "only-2"]);
    assert_eq!(host.tree()["both"], "2");
    assert_eq!((report.cleaned.files, report.cleaned.directories), (4, 1));
    // A directory that stayed is no longer tracked (AS-041).
    fs::remove_file(host.target("kept/foreign")).unwrap();
    host.install("").unwrap();
    assert_eq!(host.names(), ["kept/"]);
}

#[test]
fn d_14_retained_files_survive_unless_the_guides_way_is_chosen() {
    for guide in [false, true] {
        let mut host = Host::new();
        host.behavior = "RETAIN";
        host.guide = guide;
        host.revision(&[("a", "new"), ("b", "new")]);
        write(&host.target("a"), "old");
        host.install(ALL).unwrap();
        assert_eq!(host.tree()["a"], "old");
        host.install("").unwrap();
        let left: &[&str] = if guide { &[] } else { &["a"] };
        assert_eq!(host.names(), left, "guide: {guide}");
    }
}

#[test]
fn as_040_replay_goes_backwards_skips_what_is_gone_and_ignores_half_a_line() {
    let host = Host::new();
    write(&host.target("d/f"), "x");
    write(&host.target("half"), "must stay");
    symlink("d", host.target("link")).unwrap();
    write(&host.path("outside"), "must stay");
    let srv = host.path("srv");
    let lines = [
        srv.as_os_str().as_bytes(),
        b"\n",
        host.target("d").as_os_str().as_bytes(),
        b"\n",
        host.target("d/f").as_os_str().as_bytes(),
        b"\n\n",
        host.target("never-made").as_os_str().as_bytes(),
        b"\n",
        host.target("d/f/below-a-file").as_os_str().as_bytes(),
        b"\nrelative/path\n",
        host.target("link").as_os_str().as_bytes(),
        b"\n",
        host.target("half").as_os_str().as_bytes(),
    ]
    .concat();
    fs::create_dir_all(host.instructions("")).unwrap();
    fs::write(host.instructions("group-cleanup"), lines).unwrap();
    let cleaned = cleanup(&host.path("deployment-instructions"), "group", Follow::Trusted).unwrap();
    assert_eq!((cleaned.files, cleaned.directories), (2, 1));
    assert_eq!(cleaned.notes.len(), 1, "{:?}", cleaned.notes);
    assert_eq!(host.names(), ["half"]);
    assert!(host.path("outside").exists());
    assert!(!host.instructions("group-cleanup").exists());
}

#[test]
fn as_040_selinux_rules_are_undone_and_a_failure_does_not_block_the_host() {
    let host = Host::new();
    fs::create_dir_all(host.instructions("")).unwrap();
    fs::write(host.instructions("group-cleanup"), b"semanage\0/srv/x\n").unwrap();
    let cleaned = cleanup(&host.path("deployment-instructions"), "group", Follow::Trusted).unwrap();
    // Hosts without SELinux have no such tool; the note then names the command.
    assert!(
        cleaned.notes.iter().all(|note| note.contains("semanage fcontext -d /srv/x")),
        "{:?}",
        cleaned.notes
    );
}

#[test]
fn as_041_the_next_install_clears_what_a_crash_left() {
    let host = Host::new();
    host.revision(&[("a", "1"), ("b", "1")]);
    host.install(ALL).unwrap();
    // As a kill between the record and the rename leaves it: recorded, absent, an unfinished file beside.
    let place = host.target("c");
    fs::write(unfinished(&host.instructions("group-cleanup"), &place), "half").unwrap();
    let mut record = fs::read(host.instructions("group-cleanup")).unwrap();
    record.extend(place.as_os_str().as_bytes());
    record.extend(b"\n/cut/in/the/mid");
    fs::write(host.instructions("group-cleanup"), record).unwrap();
    host.revision(&[("c", "2")]);
    host.install(ALL).unwrap();
    assert_eq!(host.names(), ["c"]);
}

#[test]
fn two_groups_that_install_into_one_place_complete_their_files_apart() {
    let place = Path::new("/srv/www/index.html");
    let (one, other) = (Path::new("/state/one-cleanup"), Path::new("/state/other-cleanup"));
    assert_ne!(unfinished(one, place), unfinished(other, place));
    assert_ne!(unfinished(one, place), unfinished(one, Path::new("/srv/www/other.html")));
    assert_eq!(unfinished(one, place), unfinished(one, place));
}

#[test]
fn a_failed_copy_leaves_no_unfinished_file_and_condemns_nobody_elses() {
    let mut host = Host::new();
    host.behavior = "OVERWRITE";
    host.revision(&[("a", "1")]);
    write(&host.target("gone.txt"), "foreign");
    let body = "files:\n  - source: a\n    destination: SRV\n  - source: gone.txt\n    destination: SRV\n  - source: a\n    destination: SRV/later\n";
    host.install(body).unwrap_err();
    assert_eq!(host.names(), ["a", "gone.txt"]);
    // What somebody puts where the failed deployment never got to is not the next one's to delete.
    write(&host.target("later/a"), "foreign too");
    host.install("").unwrap();
    assert_eq!(host.names(), ["gone.txt", "later/", "later/a"]);
}

#[test]
fn a_full_disk_is_told_with_the_path_and_cleared_by_the_next_install() {
    let host = Host::new();
    fs::create_dir(host.path("srv")).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(host.path("srv")).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this test may not mount a file system here");
        return;
    }
    let big = "x".repeat(700 << 10);
    host.revision(&[("a", &big), ("b", &big)]);
    let error = host.install(ALL).map(|report| report.copied);
    let names = host.names();
    host.revision(&[("c", &big)]);
    let next = host.install(ALL).map(|report| report.copied);
    let after = host.names();
    assert!(Command::new("umount").arg(host.path("srv")).status().unwrap().success());
    let expected = format!("No space left on device - {}", host.target("b").display());
    assert_eq!(error.unwrap_err().to_string(), expected);
    assert_eq!(names, ["a"]);
    assert_eq!((next.unwrap(), after), (1, vec!["c".to_owned()]));
}

#[test]
fn many_files_are_recorded_before_they_exist_and_all_removed_again() {
    let host = Host::new();
    let names: Vec<String> = (0..400).map(|number| format!("d{}/f{number}", number % 7)).collect();
    host.revision(&names.iter().map(|name| (name.as_str(), "x")).collect::<Vec<_>>());
    let report = host.install(ALL).unwrap();
    assert_eq!((report.copied, report.directories), (400, 8));
    assert_eq!(host.cleanup_lines().len(), 408);
    host.install("").unwrap();
    assert!(!host.path("srv").exists());
}

/// A crash leaves some paths on record and the first of them on the disk; whichever they are, the next
/// Install must end as if there had been no crash.
#[test]
fn as_041_a_crash_at_any_step_is_cleared_by_the_next_install() {
    let first = [("a", "1"), ("d/b", "1"), ("d/e/c", "1")];
    let steps = 6;
    for recorded in 0..=steps {
        for made in 0..=recorded {
            for torn in [false, true] {
                let host = Host::new();
                host.revision(&first);
                host.install(ALL).unwrap();
                let lines = host.cleanup_lines();
                assert_eq!(lines.len(), steps);
                for line in lines[made..].iter().rev() {
                    let path = std::path::Path::new(line);
                    if path.is_dir() { fs::remove_dir(path).unwrap() } else { fs::remove_file(path).unwrap() }
                }
                let mut record: String = lines[..recorded].iter().flat_map(|line| [line, "\n"]).collect();
                if torn {
                    record.push_str(lines.get(recorded).map_or("/", |line| &line[..line.len() - 1]));
                }
                fs::write(host.instructions("group-cleanup"), record).unwrap();
                host.revision(&[("d/b", "2"), ("f", "2")]);
                host.install(ALL).unwrap();
                assert_eq!(host.names(), ["d/", "d/b", "f"], "recorded {recorded}, made {made}, torn {torn}");
            }
        }
    }
}
