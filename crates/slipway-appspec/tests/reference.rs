//! Every Server example that the reference prints, with the outcome that it states. What is copied where, and
//! with which owner and mode, is tested where it happens: in the agent's Install (AS-029, AS-068).

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use slipway_appspec::{
    AppSpec, FileExistsBehavior, ObjectTypes, Os, Platform, Severity, ValidateOptions, parse, validate,
};

/// Accepted, and the validator has no more to say than these warnings.
#[track_caller]
fn accepted(text: &str, os: Os, warnings: &[&str]) -> AppSpec {
    let spec = parse(text, os).unwrap();
    let options =
        ValidateOptions { platform: Platform::Server, os: Some(os), file_name: Some("appspec.yml") };
    let told = validate(text, &options);
    assert_eq!(told.len(), warnings.len(), "{told:#?}");
    for (problem, words) in told.iter().zip(warnings) {
        assert_eq!(problem.severity, Severity::Warning, "{problem}");
        assert!(problem.message.contains(words), "{problem}");
    }
    spec
}

fn mappings(spec: &AppSpec) -> Vec<(&str, &str)> {
    spec.files.iter().map(|mapping| (mapping.source.as_str(), mapping.destination.as_str())).collect()
}

fn windows(files: &str) -> AppSpec {
    accepted(&format!("version: 0.0\nos: windows\nfiles:\n{files}"), Os::Windows, &[])
}

/// The `files` section's first example.
#[test]
fn files_for_linux() {
    let text = "version: 0.0\nos: linux\nfiles: \n  - source: Config/config.txt \n    destination: /webapps/Config \n  - source: source \n    destination: /webapps/myApp\n";
    let spec = accepted(text, Os::Linux, &[]);
    assert_eq!(mappings(&spec), [("Config/config.txt", "/webapps/Config"), ("source", "/webapps/myApp")]);
}

/// AS-029: the nine numbered examples, blanks at line ends as printed, backslashes as typed (AS-021).
#[test]
fn the_nine_files_examples() {
    for (number, text, expected) in [
        (
            1,
            "  - source: .\\my-file.txt \n    destination: c:\\temp\n",
            &[(".\\my-file.txt", "c:\\temp")][..],
        ),
        (
            2,
            "  - source: my-file-2.txt \n    destination: c:\\temp \n  - source: my-file-3.txt \n    destination: c:\\temp\n",
            &[("my-file-2.txt", "c:\\temp"), ("my-file-3.txt", "c:\\temp")],
        ),
        (3, "  - source: \\ \n    destination: c:\\temp\n", &[("\\", "c:\\temp")]),
        (4, "  - source: .\\my-folder \n    destination: c:\\temp\n", &[(".\\my-folder", "c:\\temp")]),
        (
            5,
            "  - source: .\\my-folder \n    destination: c:\\temp\\my-folder\n",
            &[(".\\my-folder", "c:\\temp\\my-folder")],
        ),
        (
            6,
            "  - source: .\\my-folder \n    destination: c:\\temp\\other-folder\n",
            &[(".\\my-folder", "c:\\temp\\other-folder")],
        ),
        (
            7,
            "  - source: .\\my-folder\\my-file-2.txt \n    destination: c:\\temp\\my-folder \n  - source: .\\my-folder\\my-file-3.txt \n    destination: c:\\temp\\my-folder\n",
            &[
                (".\\my-folder\\my-file-2.txt", "c:\\temp\\my-folder"),
                (".\\my-folder\\my-file-3.txt", "c:\\temp\\my-folder"),
            ],
        ),
        (
            8,
            "  - source: .\\my-folder\\my-file-2.txt \n    destination: c:\\temp\\other-folder \n  - source: .\\my-folder\\my-file-3.txt \n    destination: c:\\temp\\other-folder\n",
            &[
                (".\\my-folder\\my-file-2.txt", "c:\\temp\\other-folder"),
                (".\\my-folder\\my-file-3.txt", "c:\\temp\\other-folder"),
            ],
        ),
        (
            9,
            "  - source: \\ \n    destination: c:\\temp\nfile_exists_behavior: OVERWRITE\n",
            &[("\\", "c:\\temp")],
        ),
    ] {
        let spec = windows(text);
        assert_eq!(mappings(&spec), expected, "example {number}");
        let behavior = (number == 9).then_some(FileExistsBehavior::Overwrite);
        assert_eq!(spec.file_exists_behavior, behavior, "example {number}");
    }
}

/// Example 6 as it is printed: the item is indented by one blank more than its second key.
#[test]
fn misprinted_indentation_is_malformed_and_told_with_its_place() {
    let text = "version: 0.0\nos: windows\nfiles: \n   - source: .\\my-folder \n    destination: c:\\temp\\other-folder\n";
    let error = parse(text, Os::Windows).unwrap_err();
    assert_eq!(error.line(), 5, "AS-019: {error}");
}

/// AS-068: the six items of the permissions example.
#[test]
fn the_permissions_example() {
    let text = "version: 0.0\nos: linux\n# Copy over all of the folders and files with the permissions they\n#  were originally assigned.\nfiles: \n  - source: ./my-file-1.txt \n    destination: /tmp/my-app \n  - source: ./my-folder-1 \n    destination: /tmp/my-app/my-folder-1 \npermissions: \n  - object: /tmp/my-app \n    pattern: \"*-3.txt\" \n    owner: adm \n    group: wheel \n    mode: 464 \n    type: \n      - file\n  - object: /tmp/my-app \n    pattern: \"*.txt\" \n    except: [my-file-3.txt] \n    owner: ec2-user \n    mode: 444 \n    type: \n      - file\n  - object: /tmp/my-app/my-folder-1 \n    pattern: \"**\" \n    except: [my-file-4.txt, my-file-5.txt] \n    owner: operator \n    mode: 646 \n    type: \n      - file\n  - object: /tmp/my-app/my-folder-2 \n    pattern: \"**\" \n    except: [my-file-8.txt] \n    owner: ec2-user \n    mode: 777 \n    type: \n      - file\n  - object: /tmp/my-app \n    pattern: \"*my-folder*\" \n    except: [tmp/my-app/my-folder-2/my-folder-3] \n    owner: ec2-user \n    mode: 555 \n    type: \n      - directory\n  - object: /tmp/my-app/my-folder-2/my-folder-3 \n    group: wheel \n    mode: 564 \n    type: \n      - directory\n";
    let spec = accepted(text, Os::Linux, &[]);
    let read: Vec<String> = spec
        .permissions
        .iter()
        .map(|item| {
            let own = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
            let kind = match item.types {
                ObjectTypes { file: true, directory: false } => "file",
                ObjectTypes { file: false, directory: true } => "directory",
                _ => "both",
            };
            format!(
                "{} {} {:?} {} {} {} {kind}",
                item.object,
                item.pattern,
                item.except,
                own(&item.owner),
                own(&item.group),
                item.mode.unwrap()
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            "/tmp/my-app *-3.txt [] adm wheel 464 file",
            "/tmp/my-app *.txt [\"my-file-3.txt\"] ec2-user - 444 file",
            "/tmp/my-app/my-folder-1 ** [\"my-file-4.txt\", \"my-file-5.txt\"] operator - 646 file",
            "/tmp/my-app/my-folder-2 ** [\"my-file-8.txt\"] ec2-user - 777 file",
            "/tmp/my-app *my-folder* [\"tmp/my-app/my-folder-2/my-folder-3\"] ec2-user - 555 directory",
            "/tmp/my-app/my-folder-2/my-folder-3 ** [] - wheel 564 directory",
        ]
    );
}

/// The example with `acls` and `context`; `context.user` is doubtful because another agent ignores it (AS-134).
#[test]
fn the_acls_and_context_example() {
    let text = "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: /var/www/html/WordPress\npermissions: \n  - object: /var/www/html/WordPress \n    pattern: \"**\" \n    except: [/var/www/html/WordPress/ReadMe.txt] \n    owner: bob \n    group: writers \n    mode: 644 \n    acls:  \n      - u:mary:rw \n      - u:sam:rw \n      - m::rw \n    context: \n      user: unconfined_u \n      type: httpd_sys_content_t \n      range: s0 \n    type: \n      - file\n";
    let spec = accepted(text, Os::Linux, &["context.user"]);
    let [item] = &spec.permissions[..] else { panic!("one item") };
    let acls: Vec<String> = item.acls.as_ref().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(acls, ["user:mary:rw-", "user:sam:rw-", "mask::rw-"]);
    let context = item.context.as_ref().unwrap();
    assert_eq!(
        (context.user.as_deref(), context.kind.as_str(), context.range.as_deref()),
        (Some("unconfined_u"), "httpd_sys_content_t", Some("s0"))
    );
}

/// The three `mode` examples, and the spelling that the text warns of (AS-054, D-15).
#[test]
fn the_mode_examples() {
    let read = |mode: &str, warnings: &[&str]| {
        let text = format!(
            "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: /a\npermissions:\n  - object: /a\n    mode: {mode}\n"
        );
        accepted(&text, Os::Linux, warnings).permissions[0].mode.unwrap().bits()
    };
    assert_eq!(read("\"0644\"", &[]), 0o644);
    assert_eq!(read("644", &[]), 0o644);
    assert_eq!(read("4755", &[]), 0o4755);
    assert_eq!(read("0644", &["quote it"]), 0o644);
}

/// AS-226 on Windows: "change `os: linux` to `os: windows`, fully qualify the destination paths, do not include
/// the `runas` element".
#[test]
fn the_complete_example_for_windows() {
    let text = "version: 0.0\nos: windows\nfiles: \n  - source: Config/config.txt \n    destination: c:\\temp\\webapps\\Config \n  - source: source \n    destination: c:\\temp\\webapps\\myApp\nhooks: \n  BeforeInstall: \n    - location: Scripts/UnzipResourceBundle.bat \n  ValidateService: \n    - location: Scripts/MonitorService.bat \n      timeout: 3600\n";
    accepted(text, Os::Windows, &[]);
    let with_runas = format!("{text}      runas: codedeployuser\n");
    accepted(&with_runas, Os::Windows, &["runas"]);
}

/// The correctly spaced file (AS-022); several scripts of one event in their order (AS-086).
#[test]
fn the_spacing_example() {
    let text = "version: 0.0\nos: linux\nfiles: \n  - source: / \n    destination: /var/www/html/WordPress\nhooks: \n  BeforeInstall: \n    - location: scripts/install_dependencies.sh \n      timeout: 300 \n      runas: root \n  AfterInstall: \n    - location: scripts/change_permissions.sh \n      timeout: 300 \n      runas: root \n  ApplicationStart: \n    - location: scripts/start_server.sh \n    - location: scripts/create_test_db.sh \n      timeout: 300 \n      runas: root \n  ApplicationStop: \n    - location: scripts/stop_server.sh \n      timeout: 300 \n      runas: root\n";
    let spec = accepted(text, Os::Linux, &[]);
    let events: Vec<&str> = spec.events().collect();
    assert_eq!(events, ["BeforeInstall", "AfterInstall", "ApplicationStart", "ApplicationStop"]);
    let started: Vec<(&str, u64, Option<&str>)> = spec
        .scripts("ApplicationStart")
        .iter()
        .map(|script| (script.location.as_str(), script.timeout.as_secs(), script.runas.as_deref()))
        .collect();
    assert_eq!(
        started,
        [("scripts/start_server.sh", 3600, None), ("scripts/create_test_db.sh", 300, Some("root"))]
    );
}

/// The spacing template with every key filled in; each missing blank that it shows makes another file of it.
#[test]
fn the_spacing_template() {
    let template = "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: /a\npermissions:\n  - object: /a\n    pattern: b\n    except: [c]\n    owner: d\n    group: e\n    mode: 644\n    acls:\n      - u:f:r\n    context:\n      name: g\n      type: h\n      range: s0\n    type:\n      - file\nhooks:\n  AfterInstall:\n    - location: i\n      timeout: 5\n      runas: j\n";
    accepted(template, Os::Linux, &[]);
    for (right, wrong) in [
        ("version: 0.0", "version:0.0"),
        ("os: linux", "os:linux"),
        ("  - source: /", "  -source: /"),
        ("    destination: /a", "  destination: /a"),
        ("      - u:f:r", "      -u:f:r"),
        ("      timeout: 5", "    timeout: 5"),
    ] {
        let text = template.replacen(right, wrong, 1);
        let options = ValidateOptions::default();
        let told = validate(&text, &options);
        assert!(told.iter().any(slipway_appspec::Problem::is_error), "{wrong:?}: {told:#?}");
    }
    // Valid YAML with a key too much, which is ignored (AS-017): doubtful, with the way out.
    let told =
        validate(&template.replacen("  AfterInstall:\n", "AfterInstall:\n", 1), &ValidateOptions::default());
    assert!(told.iter().any(|problem| problem.help.as_deref() == Some("indent AfterInstall below hooks")));
}
