//! `files`: what goes where (AS-025..AS-035), and the records of it (AS-042, AS-043).

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use serde_json::{Value, json};

use super::{Host, chmod};
use crate::sys::files::{is_root, set_modified, set_owner};

const ALL: &str = "files:\n  - source: /\n    destination: SRV\n";

#[test]
fn as_029_the_nine_documented_examples() {
    let flat: &[(&str, &str)] =
        &[("appspec.yml", "s"), ("my-file.txt", "1"), ("my-file-2.txt", "2"), ("my-file-3.txt", "3")];
    let folder: &[(&str, &str)] = &[
        ("appspec.yml", "s"),
        ("my-folder/my-file.txt", "1"),
        ("my-folder/my-file-2.txt", "2"),
        ("my-folder/my-file-3.txt", "3"),
    ];
    let item =
        |source: &str, destination: &str| format!("  - source: {source}\n    destination: {destination}\n");
    let two = |source: &str, destination: &str| {
        item(&format!("{source}my-file-2.txt"), destination)
            + &item(&format!("{source}my-file-3.txt"), destination)
    };
    let three = ["my-file-2.txt", "my-file-3.txt", "my-file.txt"];
    let below = |directory: &str, names: &[&str]| {
        let mut list: Vec<String> = names.iter().map(|name| format!("{directory}/{name}")).collect();
        list.insert(0, format!("{directory}/"));
        list
    };
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let whole_flat = owned(&["appspec.yml", "my-file-2.txt", "my-file-3.txt", "my-file.txt"]);
    let whole_folder = [vec!["appspec.yml".to_owned()], below("my-folder", &three)].concat();
    for (number, revision, files, result) in [
        (1, flat, item("./my-file.txt", "SRV"), owned(&["my-file.txt"])),
        (2, flat, two("", "SRV"), owned(&["my-file-2.txt", "my-file-3.txt"])),
        (3, flat, item("/", "SRV"), whole_flat),
        (4, folder, item("./my-folder", "SRV"), owned(&three)),
        (5, folder, item("./my-folder", "SRV/my-folder"), below("my-folder", &three)),
        (6, folder, item("./my-folder", "SRV/other-folder"), below("other-folder", &three)),
        (7, folder, two("./my-folder/", "SRV/my-folder"), below("my-folder", &three[..2])),
        (8, folder, two("./my-folder/", "SRV/other-folder"), below("other-folder", &three[..2])),
        (9, folder, item("/", "SRV") + "file_exists_behavior: OVERWRITE\n", whole_folder),
    ] {
        let host = Host::new();
        host.revision(revision);
        host.install(&format!("files:\n{files}")).unwrap();
        assert_eq!(host.names(), result, "example {number}");
    }
}

#[test]
fn as_027_separators_around_a_source_are_harmless() {
    for source in ["/a/b.txt", "./a/b.txt", "a/b.txt", "a//b.txt", "./a/./b.txt", "a/b.txt/", ".\\a/b.txt"] {
        let host = Host::new();
        host.revision(&[("a/b.txt", "x")]);
        host.install(&format!("files:\n  - source: {source}\n    destination: SRV/\n")).unwrap();
        assert_eq!(host.names(), ["b.txt"], "{source}");
    }
    for source in ["/", ".", "./", "\\", "//"] {
        let host = Host::new();
        host.revision(&[("a/b.txt", "x"), ("c", "y")]);
        host.install(&format!("files:\n  - source: {source}\n    destination: SRV\n")).unwrap();
        assert_eq!(host.names(), ["a/", "a/b.txt", "c"], "{source}");
    }
}

#[test]
fn as_029_hidden_files_and_empty_directories_are_copied() {
    let host = Host::new();
    host.revision(&[(".env", "x"), ("empty/", ""), ("a/.hidden/f", "y")]);
    host.install(ALL).unwrap();
    assert_eq!(host.names(), [".env", "a/", "a/.hidden/", "a/.hidden/f", "empty/"]);
}

#[test]
fn as_031_parents_are_made_file_attributes_kept_directory_modes_not() {
    let host = Host::new();
    host.revision(&[("d/run", "#!/bin/sh\n"), ("su", "x")]);
    chmod(&host.archive().join("d/run"), 0o750);
    chmod(&host.archive().join("d"), 0o700);
    set_modified(&host.archive().join("d/run"), 1_234_567, 890).unwrap();
    if is_root() {
        set_owner(&host.archive().join("su"), Some(4321), Some(8765)).unwrap();
    }
    chmod(&host.archive().join("su"), 0o4755);
    let report = host.install("files:\n  - source: /\n    destination: SRV/deep/er\n").unwrap();
    assert_eq!((report.copied, report.directories), (2, 4));
    let run = fs::metadata(host.target("deep/er/d/run")).unwrap();
    assert_eq!((run.mode() & 0o7777, run.mtime(), run.mtime_nsec()), (0o750, 1_234_567, 890));
    let su = fs::metadata(host.target("deep/er/su")).unwrap();
    assert_eq!(su.mode() & 0o7777, 0o4755);
    if is_root() {
        assert_eq!((su.uid(), su.gid()), (4321, 8765));
    }
    assert_ne!(fs::metadata(host.target("deep/er/d")).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn as_032_a_missing_source_fails_with_its_full_path_after_earlier_copies() {
    let host = Host::new();
    host.revision(&[("a", "x")]);
    let error = host
        .install("files:\n  - source: a\n    destination: SRV\n  - source: gone.txt\n    destination: SRV\n")
        .unwrap_err();
    let missing = host.archive().join("gone.txt");
    assert_eq!(error.to_string(), format!("No such file or directory - {}", missing.display()));
    assert_eq!(host.names(), ["a"]);
    assert_eq!(host.cleanup_lines().last().unwrap(), &host.target("a").to_string_lossy());
    assert!(!host.instructions("group_last_successful_install").exists());
}

#[test]
fn as_033_links_are_recreated_and_links_to_directories_followed() {
    let host = Host::new();
    host.revision(&[("real/f", "x"), ("target", "y")]);
    symlink("target", host.archive().join("to-file")).unwrap();
    symlink("nowhere", host.archive().join("dangling")).unwrap();
    symlink("real", host.archive().join("to-directory")).unwrap();
    symlink("../target", host.archive().join("real/up")).unwrap();
    host.install(ALL).unwrap();
    let tree = host.tree();
    assert_eq!(tree["to-file"], "-> target");
    assert_eq!(tree["dangling"], "-> nowhere");
    assert_eq!(tree["to-directory/f"], "x");
    assert_eq!(tree["to-directory/up"], "-> ../target");
    assert!(!host.target("to-directory").is_symlink());
    host.revision(&[]);
    host.install("files: []\n").unwrap();
    assert_eq!(host.names(), <[&str; 0]>::default(), "links are cleaned up like files");
}

#[test]
fn d_17_links_and_sources_that_lead_out_are_refused_with_file_and_line() {
    for (link, target, source) in [
        ("l", "/etc/hostname", "/"),
        ("d", "/etc", "/"),
        ("d", "/etc", "d/hostname"),
        ("a/b", "../../x", "/"),
        ("me", ".", "/"),
        ("x", "/etc/hostname", "x"),
    ] {
        let host = Host::new();
        host.revision(&[("a/f", "x")]);
        symlink(target, host.archive().join(link)).unwrap();
        let error =
            host.install(&format!("files:\n  - source: {source}\n    destination: SRV\n")).unwrap_err();
        assert!(error.to_string().contains("appspec.yml line 4"), "{link} -> {target}: {error}");
        assert_eq!(host.names(), <[&str; 0]>::default());
    }
    // The host may allow such links; even so nothing outside is read.
    let mut host = Host::new();
    host.switches.reject_path_traversal = false;
    host.revision(&[("a/f", "x")]);
    symlink("/etc", host.archive().join("d")).unwrap();
    host.install(ALL).unwrap();
    assert_eq!(host.tree()["d"], "-> /etc");
}

#[test]
fn as_042_043_instructions_record_and_marker() {
    let host = Host::new();
    host.revision(&[("a", "x")]);
    host.install(&format!(
        "{ALL}permissions:\n  - object: SRV\n    mode: 0644\n    owner: root\n    type: [file]\n"
    ))
    .unwrap();
    let text = fs::read_to_string(host.instructions("group-install.json")).unwrap();
    let (srv, a) = (host.path("srv"), host.target("a"));
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({ "instructions": [
            { "type": "mkdir", "directory": srv },
            { "type": "copy", "source": host.archive().join("a"), "destination": a },
            { "type": "chown", "owner": "root", "group": null, "file": a },
            { "type": "chmod", "mode": "644", "file": a },
        ]})
    );
    assert_eq!(host.cleanup_lines(), [srv.to_str().unwrap(), a.to_str().unwrap()]);
    let marker = fs::read_to_string(host.instructions("group_last_successful_install")).unwrap();
    assert_eq!(marker, "/root/group/d-1");
}

#[test]
fn names_that_are_not_text_are_copied_and_cleaned_up() {
    use std::os::unix::ffi::OsStrExt as _;
    let host = Host::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::write(host.archive().join(name), "x").unwrap();
    host.install(ALL).unwrap();
    assert!(host.path("srv").join(name).exists());
    host.revision(&[]);
    host.install("").unwrap();
    assert!(!host.path("srv").exists());
}

#[test]
fn a_name_with_a_line_break_cannot_be_recorded_and_is_refused() {
    let host = Host::new();
    host.revision(&[("a\nb", "x")]);
    assert!(host.install(ALL).unwrap_err().to_string().contains("line break"));
}

#[test]
fn a_pipe_in_a_local_bundle_is_refused_instead_of_waited_for() {
    let host = Host::new();
    host.revision(&[("a", "x")]);
    let made = std::process::Command::new("mkfifo").arg(host.archive().join("pipe")).status();
    assert!(made.unwrap().success());
    assert!(host.install(ALL).unwrap_err().to_string().contains("neither a file"));
}
