//! Files that are there already, and items that get in each other's way (AS-034..AS-039, AG-104).

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use super::super::plan::plan_at_most;
use super::{Host, chmod, write};

const ALL: &str = "files:\n  - source: /\n    destination: SRV\n";

#[test]
fn as_037_038_conflict_matrix() {
    for (api, own, result) in [
        ("DISALLOW", "", "fails"),
        ("", "", "fails"),
        ("OVERWRITE", "", "new"),
        ("overwrite", "", "new"),
        ("RETAIN", "", "old"),
        ("DISALLOW", "OVERWRITE", "new"),
        ("DISALLOW", "RETAIN", "old"),
        ("OVERWRITE", "RETAIN", "old"),
        ("OVERWRITE", "DISALLOW", "fails"),
        ("RETAIN", "OVERWRITE", "new"),
        ("RETAIN", "DISALLOW", "fails"),
        ("NONSENSE", "RETAIN", "old"),
    ] {
        let mut host = Host::new();
        host.behavior = api;
        host.revision(&[("a", "new"), ("b", "b")]);
        write(&host.target("a"), "old");
        chmod(&host.target("a"), 0o600);
        let own = if own.is_empty() { String::new() } else { format!("file_exists_behavior: {own}\n") };
        let outcome = host.install(&format!(
            "{ALL}{own}permissions:\n  - object: SRV\n    pattern: '*'\n    mode: 640\n    type: [file]\n"
        ));
        let case = format!("{api} {own}");
        match result {
            "fails" => {
                assert_eq!(
                    outcome.unwrap_err().to_string(),
                    format!(
                        "The deployment failed because a specified file already exists at this location: {}",
                        host.target("a").display()
                    ),
                    "{case}"
                );
                assert_eq!(host.names(), ["a"], "nothing was copied: {case}");
            }
            content => {
                let report = outcome.unwrap();
                assert_eq!(host.tree()["a"], content, "{case}");
                let mode = fs::metadata(host.target("a")).unwrap().mode() & 0o7777;
                assert_eq!(mode, if content == "old" { 0o600 } else { 0o640 }, "{case}");
                assert_eq!(report.retained.len(), usize::from(content == "old"), "{case}");
                assert_eq!(host.tree()["b"], "b", "{case}");
                // The next deployment removes what this one wrote and nothing else.
                host.install("").unwrap();
                let left: &[&str] = if content == "old" { &["a"] } else { &[] };
                assert_eq!(host.names(), left, "{case}");
            }
        }
    }
}

#[test]
fn as_037_an_unknown_behavior_fails_on_the_first_conflict_only() {
    let mut host = Host::new();
    host.behavior = "merge";
    host.revision(&[("a", "new")]);
    host.install(ALL).unwrap();
    host.install("").unwrap();
    write(&host.target("a"), "old");
    assert_eq!(
        host.install(ALL).unwrap_err().to_string(),
        "The deployment failed because an invalid option was specified for fileExistsBehavior: MERGE. Valid options include OVERWRITE, RETAIN, and DISALLOW."
    );
}

#[test]
fn as_039_a_failed_disallow_leaves_the_old_files_gone_and_no_records() {
    let host = Host::new();
    host.revision(&[("mine", "1")]);
    host.install(ALL).unwrap();
    write(&host.target("foreign"), "f");
    host.revision(&[("mine", "2"), ("foreign", "2")]);
    host.install(ALL).unwrap_err();
    assert_eq!(host.names(), ["foreign"]);
    assert_eq!(host.tree()["foreign"], "f");
    assert!(!host.instructions("group-cleanup").exists());
    assert!(!host.instructions("group-install.json").exists());
    assert!(host.instructions("group_last_successful_install").exists());
}

#[test]
fn amb_36_overwrite_replaces_links_and_empty_directories_but_no_foreign_content() {
    let mut host = Host::new();
    host.behavior = "OVERWRITE";
    host.revision(&[("over-link", "1"), ("over-dangling", "2"), ("over-empty", "3"), ("x/f", "4")]);
    symlink("target", host.archive().join("as-link")).unwrap();
    write(&host.target("kept"), "kept");
    symlink("kept", host.target("over-link")).unwrap();
    symlink("nowhere", host.target("over-dangling")).unwrap();
    symlink("kept", host.target("as-link")).unwrap();
    fs::create_dir(host.target("over-empty")).unwrap();
    fs::write(host.target("x"), "a file where a directory goes").unwrap();
    host.install(ALL).unwrap();
    let tree = host.tree();
    assert_eq!(tree["kept"], "kept", "never written through a link");
    assert_eq!((tree["over-link"].as_str(), tree["over-dangling"].as_str()), ("1", "2"));
    assert_eq!((tree["over-empty"].as_str(), tree["as-link"].as_str()), ("3", "-> target"));
    assert_eq!(tree["x/f"], "4");

    let mut host = Host::new();
    host.behavior = "OVERWRITE";
    host.revision(&[("full", "1")]);
    write(&host.target("full/precious"), "p");
    let error = host.install(ALL).unwrap_err().to_string();
    assert!(error.contains("not empty") && error.contains("full"), "{error}");
    assert_eq!(host.tree()["full/precious"], "p");
}

#[test]
fn as_038_directories_count_as_conflicts_for_files_but_never_for_directories() {
    let host = Host::new();
    host.revision(&[("a", "x"), ("d/f", "x")]);
    write(&host.target("d/foreign"), "f");
    host.install("files:\n  - source: d\n    destination: SRV/d\n").unwrap();
    assert_eq!(host.names(), ["d/", "d/f", "d/foreign"]);
    host.install("").unwrap();
    fs::create_dir_all(host.target("a")).unwrap();
    let error = host.install(ALL).unwrap_err().to_string();
    assert!(error.ends_with(&format!("location: {}", host.target("a").display())), "{error}");
    // Links to directories serve as directories.
    let host = Host::new();
    host.revision(&[("d/f", "x")]);
    write(&host.path("elsewhere/"), "");
    write(&host.path("srv/"), "");
    symlink(host.path("elsewhere"), host.target("d")).unwrap();
    host.install(ALL).unwrap();
    assert!(host.path("elsewhere/f").exists());
}

#[test]
fn as_034_two_sources_for_one_destination() {
    let host = Host::new();
    host.revision(&[("one/f", "1"), ("two/f", "2")]);
    let error = host
        .install("files:\n  - source: one/f\n    destination: SRV\n  - source: two\n    destination: SRV\n")
        .unwrap_err();
    let archive = host.archive();
    assert_eq!(
        error.to_string(),
        format!(
            "The deployment failed because the application specification file specifies two source files named {0}/two/f and {0}/one/f for the same destination ({1}). Remove one of the source file paths from the AppSpec file, and then try again.",
            archive.display(),
            host.target("f").display()
        )
    );
    assert_eq!(host.names(), <[&str; 0]>::default(), "found before the first copy");
    // The same directory twice is fine.
    let host = Host::new();
    host.revision(&[("one/a", "1"), ("two/b", "2")]);
    host.install(
        "files:\n  - source: one\n    destination: SRV/x\n  - source: two\n    destination: SRV/x\n",
    )
    .unwrap();
    assert_eq!(host.names(), ["x/", "x/a", "x/b"]);
}

#[test]
fn as_035_files_and_directories_in_each_others_place() {
    let host = Host::new();
    host.revision(&[("one/f/x", "1"), ("f", "2")]);
    let (archive, place) = (host.archive(), host.target("f"));
    let directory_first =
        "files:\n  - source: one\n    destination: SRV\n  - source: f\n    destination: SRV\n";
    assert_eq!(
        host.install(directory_first).unwrap_err().to_string(),
        format!(
            "The deployment failed because the application specification file calls for installing the file {}/f, but a file with that name already exists at the location ({}). Update your AppSpec file or directory structure, and then try again.",
            archive.display(),
            place.display()
        )
    );
    let file_first = "files:\n  - source: f\n    destination: SRV\n  - source: one\n    destination: SRV\n";
    assert_eq!(
        host.install(file_first).unwrap_err().to_string(),
        format!(
            "The deployment failed because the application specification file includes an mkdir command more than once for the same destination path ({}) from ({}/f). Update the files section of the AppSpec file, and then try again.",
            place.display(),
            archive.display()
        )
    );
}

#[test]
fn an_appspec_file_that_multiplies_its_revision_is_stopped() {
    let host = Host::new();
    let names: Vec<String> = (0..30).map(|number| format!("f{number}")).collect();
    host.revision(&names.iter().map(|name| (name.as_str(), "")).collect::<Vec<_>>());
    let items: Vec<String> =
        (0..30).map(|number| format!("  - source: /\n    destination: SRV/{number}\n")).collect();
    let body = format!("files:\n{}", items.concat());
    let made = |most| host.with_request("group", &body, |request| plan_at_most(most, request));
    assert_eq!(made(931).unwrap().instructions.len(), 1 + 30 + 30 * 30);
    let error = made(930).unwrap_err();
    assert!(error.to_string().contains("asks for more than 930 files and directories"), "{error}");
}

#[test]
fn as_044_files_belong_to_the_groups_id() {
    let host = Host::new();
    host.revision(&[("a", "x")]);
    host.install_as("group-a", ALL).unwrap();
    let error = host.install_as("group-b", ALL).unwrap_err().to_string();
    assert!(error.contains("already exists at this location"), "{error}");
    host.install_as("group-a", ALL).unwrap();
    // AS-045: a revision without files cleans up before the group is deleted and made anew.
    host.install_as("group-a", "").unwrap();
    host.install_as("group-b", ALL).unwrap();
    for id in ["", "..", "a/b"] {
        assert!(host.install_as(id, ALL).is_err(), "{id:?}");
    }
}
