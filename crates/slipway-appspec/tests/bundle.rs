//! What is wrong with the content of a bundle, told before a host finds it (AS-024, AS-135, D-17).

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use slipway_appspec::bundle::{source_path, validate_bundle};
use slipway_appspec::{Os, ValidateOptions};

/// A bundle with these files; names that end in `.sh` are executable, those that end in `/` directories.
fn bundle(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(&path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let script = path.extension().is_some_and(|extension| extension == "sh");
        let mode = if script { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    directory
}

fn told(directory: &Path) -> String {
    let problems = validate_bundle(directory, &ValidateOptions::default()).unwrap();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n").replace(&directory.display().to_string(), "DIR")
}

const HEAD: &str = "version: 0.0\nos: linux\n";

fn appspec(files: &str) -> String {
    format!("{HEAD}files:\n{files}")
}

fn one(source: &str) -> String {
    appspec(&format!("  - source: {source}\n    destination: /srv/app\n"))
}

fn hook(location: &str) -> String {
    format!("{}hooks:\n  AfterInstall:\n    - location: {location}\n", one("/"))
}

#[test]
fn a_good_bundle_has_no_problems() {
    let dir = bundle(&[("appspec.yml", &hook("./scripts/go.sh")), ("scripts/go.sh", "#!/bin/sh\n")]);
    assert_eq!(told(dir.path()), "");
    let dir = bundle(&[("appspec.yml", &one("/app/./deep/")), ("app/deep/x", "")]);
    assert_eq!(told(dir.path()), "", "AS-027");
}

#[test]
fn as_002_a_missing_or_misplaced_appspec_file_is_told_with_where_it_probably_is() {
    let dir = bundle(&[("readme", "")]);
    assert_eq!(told(dir.path()), "1:1: error: appspec.yml was not found in DIR");
    let dir = bundle(&[("AppSpec.yaml", HEAD)]);
    assert!(
        told(dir.path()).ends_with("\n  help: rename AppSpec.yaml to appspec.yml"),
        "{}",
        told(dir.path())
    );
    let dir = bundle(&[("app/appspec.yml", HEAD), ("readme", "")]);
    assert!(told(dir.path()).contains("appspec.yml lies in app/"), "{}", told(dir.path()));
}

#[test]
fn as_135_every_source_and_script_exists() {
    let text = format!(
        "{}  - source: gone\n    destination: /x\nhooks:\n  AfterInstall:\n    - location: scripts/go.sh\n    - location: scripts\n",
        one("/App/")
    );
    let dir = bundle(&[("appspec.yml", &text), ("app/x", ""), ("scripts/Go.sh", "")]);
    assert_eq!(
        told(dir.path()),
        "4:5: error: the bundle has no file or directory \"/App/\"\n  help: did you mean app? Upper and lower case differ\n\
         6:5: error: the bundle has no file or directory \"gone\"\n\
         10:7: error: the bundle has no script \"scripts/go.sh\"\n  help: did you mean scripts/Go.sh? Upper and lower case differ\n\
         11:7: error: the script scripts is not a file"
    );
}

/// AS-028, AS-029: the reference knows files, directories and `/`.
#[test]
fn a_source_with_wildcards_is_a_name_like_any_other() {
    let dir = bundle(&[("appspec.yml", &one("\"*.txt\"")), ("a.txt", "")]);
    assert!(
        told(dir.path()).ends_with("\n  help: names are taken as they are; name the directory, or each file")
    );
    fs::write(dir.path().join("*.txt"), "").unwrap();
    assert_eq!(told(dir.path()), "");
}

#[test]
fn as_034_035_two_sources_for_one_place() {
    let two = |first: &str, second: &str| {
        let text = appspec(&format!(
            "  - source: {first}\n    destination: /srv\n  - source: {second}\n    destination: /srv\n"
        ));
        let dir = bundle(&[
            ("appspec.yml", text.as_str()),
            ("a/x", ""),
            ("b/x", ""),
            ("c/x/y", ""),
            ("d/sub/1", ""),
            ("e/sub/2", ""),
        ]);
        told(dir.path())
    };
    assert!(two("a/x", "b/x").starts_with("6:5: error: b/x and a/x go to the same place, /srv/x\n  help: "));
    assert!(two("a", "b").contains("b/x and a/x"), "AS-034");
    assert!(two("a", "c").contains("c/x and a/x"), "AS-035: a directory in the place of a file");
    assert!(two("c", "a").contains("a/x and c/x"), "AS-035: a file in the place of a directory");
    assert_eq!(two("d", "e"), "", "AS-034: the same directory twice is fine");
}

#[test]
fn d_17_what_leads_out_of_the_bundle_is_refused_wherever_it_lies() {
    let dir = bundle(&[("appspec.yml", &one("tree")), ("tree/deep/", ""), ("elsewhere", "")]);
    let link = |target: &str| {
        let path = dir.path().join("tree/deep/link");
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
        told(dir.path())
    };
    assert_eq!(
        link("/etc/passwd"),
        "4:5: error: the source tree/deep/link is refused: it leads out of the bundle"
    );
    assert!(link("../../../x").contains("it leads out of the bundle"));
    assert!(link("link").contains("lead in a circle"));
    assert!(link("..").contains("lead in a circle"), "a directory that contains itself");
    assert_eq!(link("../../elsewhere"), "", "a link inside is fine");
    assert_eq!(link("dangling"), "", "AS-033");

    symlink("/etc/passwd", dir.path().join("beside")).unwrap();
    assert!(
        told(dir.path())
            .starts_with("1:1: error: the link beside is refused: it leads out of the bundle\n  help: ")
    );

    let dir = bundle(&[("appspec.yml", &hook("go.sh"))]);
    symlink("/bin/sh", dir.path().join("go.sh")).unwrap();
    assert!(told(dir.path()).contains("the script go.sh is refused: it leads out of the bundle"));
    let dir = bundle(&[]);
    symlink("/etc/passwd", dir.path().join("appspec.yml")).unwrap();
    assert!(told(dir.path()).contains("appspec.yml is a link that leads out of the bundle"));
}

#[test]
fn as_024_093_094_what_keeps_a_script_from_starting() {
    let with = |name: &str, content: &str| {
        let dir = bundle(&[("appspec.yml", &hook(name)), (name, content)]);
        told(dir.path())
    };
    assert_eq!(
        with("go", "#!/bin/sh\n"),
        "8:7: warning: the script go is not executable; hosts will make it so\n  help: chmod +x go"
    );
    assert!(
        with("go.sh", "#!/bin/sh\r\nexit\r\n")
            .starts_with("8:7: warning: the script go.sh has Windows line ends")
    );
    assert!(with("go.sh", "\u{feff}#!/bin/sh\n").contains("byte order mark"));
    assert!(with("go.sh", "#!/bin/sh\u{7}\n").contains("control character"));
    assert_eq!(with("go.sh", "echo no shebang\r\n"), "", "the shell's business");
    assert_eq!(with("go.sh", "#!/usr/bin/env\tsh"), "");
}

#[test]
fn as_135_finder_leftovers_and_permissions_on_nothing_are_doubtful() {
    let dir = bundle(&[("appspec.yml", &one("app")), ("app/x", ""), ("__MACOSX/x", "")]);
    assert!(told(dir.path()).starts_with("1:1: warning: the bundle holds a __MACOSX directory"));
    let with = |object: &str| {
        let text = format!("{}permissions:\n  - object: {object}\n    mode: 644\n", one("app"));
        told(bundle(&[("appspec.yml", &text), ("app/x", "")]).path())
    };
    assert!(with("/srv/application").starts_with("7:5: warning: no file goes to /srv/application;"));
    for fine in ["/srv", "/srv/app", "/srv/app/x", "/"] {
        assert_eq!(with(fine), "", "{fine}");
    }
}

#[test]
fn a_pipe_is_no_content() {
    let dir = bundle(&[("appspec.yml", &one("app")), ("app/", "")]);
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("app/pipe"), rustix::fs::Mode::RWXU).unwrap();
    assert!(told(dir.path()).contains("app/pipe is neither a file nor a directory nor a symbolic link"));
}

#[test]
fn as_021_windows_files_are_checked_by_their_own_rules() {
    let text = "version: 0.0\nos: windows\nfiles:\n  - source: \\\n    destination: c:\\temp\n  - source: .\\my-folder\\a.txt\n    destination: c:\\other\nhooks:\n  AfterInstall:\n    - location: .\\scripts\\go.ps1\n    - location: gone.bat\n";
    let dir = bundle(&[("appspec.yml", text), ("my-folder/a.txt", ""), ("scripts/go.ps1", "")]);
    assert_eq!(told(dir.path()), "11:7: error: the bundle has no script \"gone.bat\"");
    let linux = ValidateOptions { os: Some(Os::Linux), ..ValidateOptions::default() };
    let problems = validate_bundle(dir.path(), &linux).unwrap();
    assert!(problems.iter().any(|problem| problem.refused && problem.message.contains("operating system")));
}

#[test]
fn as_027_separators_around_a_source_are_harmless() {
    for (typed, path) in
        [("/", ""), ("\\", ""), ("./a", "a"), ("/./a//b/", "a/b"), (".\\a", "a"), (" a ", "a")]
    {
        assert_eq!(source_path(typed, Os::Linux), Path::new(path), "{typed}");
    }
    assert_eq!(source_path("a\\b", Os::Linux), Path::new("a\\b"), "a name on Linux");
    assert_eq!(source_path(".\\a\\b", Os::Windows), Path::new("a/b"));
}

/// AS-132: every problem, not only the first.
#[test]
fn what_can_be_read_of_a_refused_file_is_checked_as_well() {
    let text = "version: 1\nos: linux\nfiles:\n  - source: gone\n    destination: /srv\n  - source: /\npermissions:\n  - object: /other\nhooks:\n  AfterInstall:\n    - location: gone.sh\n";
    let told = told(bundle(&[("appspec.yml", text)]).path());
    let places: Vec<&str> = told
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(|line| &line[..line.find(" e").unwrap()])
        .collect();
    assert_eq!(places, ["1:10:", "4:5:", "6:5:", "11:7:"], "{told}");
}
