//! The rules of Server AppSpec files, row by row: what the agent accepts, what it refuses and with
//! which text (AS-012..AS-080).

use std::fmt::Write as _;

use slipway_appspec::{AppSpec, FileExistsBehavior, Os, ParseOptions, parse, parse_with};

const VERSION: &str = r#"The deployment failed because an invalid version value ({}) was entered in the application specification file. Make sure your AppSpec file specifies "0.0" as the version, and then try again."#;
const OS: &str = r#"The deployment failed because the application specification file specifies an unsupported operating system ({}). Specify either "linux" or "windows" in the os section of the AppSpec file, and then try again."#;
const EMPTY: &str = "The deployment failed because the application specification file was empty. Make sure your AppSpec file defines at minimum the 'version' and 'os' properties.";
const NO_SOURCE: &str = "The deployment failed because the application specification file specifies a destination file, but no source file. Update the files section of the AppSpec file, and then try again.";
const NO_DESTINATION: &str = "The deployment failed because the application specification file specifies only a source file ({}). Add the name of the destination file to the files section of the AppSpec file, and then try again.";
const BEHAVIOR: &str = "The deployment failed because an invalid file_exists_behavior value ({}) was entered in the application specification file. Make sure your AppSpec file specifies one of DISALLOW,OVERWRITE,RETAIN as the file_exists_behavior, and then try again.";
const WINDOWS_PERMISSIONS: &str = "The deployment failed because the application specification file specifiles file permissions, but the deployment is targeting one or more Windows Server instances. Permissions are supported only for Amazon Linux, Ubuntu Server, and Red Hat Enterprise Linux (RHEL) instances. Update the permissions section of the AppSpec file, and then try again.";
const NO_OBJECT: &str = "The deployment failed because a permission listed in the application specification file has no object value. Update the permissions section of the AppSpec file, and then try again.";
const TYPE: &str = "The deployment failed because the application specification filespecifies a permission for an object type not supported for permissions ({}). Update the permissions section of the AppSpec file, and then try again.";
const MODE_LENGTH: &str = "The deployment failed because the length of a permissions mode ({}) in the application specification file is invalid. Permissions modes must be between one and four characters long. Update the permissions section of the AppSpec file, and then try again.";
const ACL_INVALID: &str = "The deployment failed because of a problem with the acls permission settings in the application specification file. Invalid acl entry ({}).";
const ACL_BASE: &str = "The deployment failed because of a problem with the acls permission settings in the application specification file. Use mode to set the base acl entry ({}). Update the permissions section of the AppSpec file, and then try again.";
const CONTEXT_TYPE: &str = "The deployment failed because the application specification file specifies an invalid context type ({}). Update the permissions section of the AppSpec file, and then try again.";
const RANGE: &str = "The deployment failed because of a problem with the SELinux range specified ({}) for the context parameter in the permissions section of the application specification file. Make corrections in the permissions section of the AppSpec file, and then try again.";
const NO_LOCATION: &str = "The deployment failed because the application specification file specifies a script with no location value. Specify the location in the hooks section of the AppSpec file, and then try again.";
const TIMEOUT: &str = "The deployment failed because an invalid timeout value was provided for a script in the application specification file. Make corrections in the hooks section of the AppSpec file, and then try again.";

const HEAD: &str = "version: 0.0\nos: linux\n";

fn accepted(text: &str) -> AppSpec {
    parse(text, Os::Linux).unwrap_or_else(|error| panic!("{text:?} was refused: {error}"))
}

fn body(rest: &str) -> AppSpec {
    accepted(&format!("{HEAD}{rest}"))
}

fn refused(text: &str) -> String {
    match parse(text, Os::Linux) {
        Ok(spec) => panic!("{text:?} was accepted: {spec:?}"),
        Err(error) => {
            assert!(error.line() >= 1 && error.column() >= 1);
            error.to_string()
        }
    }
}

#[track_caller]
fn refuses(rest: &str, message: &str, value: &str) {
    assert_eq!(refused(&format!("{HEAD}{rest}")), message.replacen("{}", value, 1), "{rest:?}");
}

/// A refusal whose wording is free (AS-018, AS-019) but must name these.
#[track_caller]
fn refuses_naming(rest: &str, words: &[&str]) {
    let message = refused(&format!("{HEAD}{rest}"));
    for word in words {
        assert!(message.contains(word), "{rest:?}: {message:?} does not name {word:?}");
    }
}

fn permission(rest: &str) -> String {
    format!("permissions:\n  - object: /srv\n    {rest}\n")
}

#[test]
fn as_012_only_zero_is_a_version() {
    for version in ["0.0", "0", "0.00", "-0.0", "00", "0x0", ".0", "0e0", "\"0.0\"", "'0.0'", "!!str 0.0"] {
        accepted(&format!("version: {version}\nos: linux\n"));
    }
    for (version, shown) in [
        ("1.0", "1.0"),
        ("0.1", "0.1"),
        ("\"0\"", "0"),
        ("\"0.00\"", "0.00"),
        ("v0.0", "v0.0"),
        ("", ""),
        ("~", ""),
        ("[0.0]", "[0.0]"),
        ("true", "true"),
        ("inf", "inf"),
        (".nan", ".nan"),
        ("0.0.0", "0.0.0"),
    ] {
        let text = format!("version: {version}\nos: linux\n");
        assert_eq!(refused(&text), VERSION.replacen("{}", shown, 1), "{version:?}");
    }
    assert_eq!(refused("os: linux\n"), VERSION.replacen("{}", "", 1));
    assert_eq!(refused("Version: 0.0\nos: linux\n"), VERSION.replacen("{}", "", 1));
}

#[test]
fn as_013_the_os_must_be_the_hosts() {
    for (os, shown) in
        [("windows", "windows"), ("Linux", "Linux"), ("", ""), ("[linux]", "[linux]"), ("macos", "macos")]
    {
        let text = format!("version: 0.0\nos: {os}\n");
        assert_eq!(refused(&text), OS.replacen("{}", shown, 1));
    }
    assert_eq!(refused("version: 0.0\n"), OS.replacen("{}", "", 1));
    assert!(parse("version: 0.0\nos: windows\n", Os::Windows).is_ok());
    let error = parse("version: 0.0\nos: linux\n", Os::Windows).unwrap_err();
    assert_eq!(error.message(), OS.replacen("{}", "linux", 1));
    assert_eq!((error.line(), error.column()), (2, 5));
}

#[test]
fn as_014_the_last_of_two_equal_keys_holds_and_is_reported_with_both_lines() {
    let spec = accepted("version: 0.0\nos: windows\nos: linux\n");
    let warning = spec.warnings.iter().find(|warning| warning.message.contains("given twice")).unwrap();
    assert_eq!(warning.line, 3);
    assert!(warning.message.contains("line 3 overrides line 2"), "{}", warning.message);
    let spec = body("hooks:\n  AfterInstall:\n    - location: a\n      location: b\n");
    assert_eq!(spec.scripts("AfterInstall")[0].location, "b");
}

#[test]
fn as_015_an_empty_file_has_its_own_text() {
    for text in
        ["", "  \n\n", "# nothing\n", "---\n", "---\n# nothing\n...\n", "\u{feff}", "~\n", "\n# a\n\n"]
    {
        assert_eq!(refused(text), EMPTY, "{text:?}");
    }
}

#[test]
fn as_016_blank_sections_equal_absent_ones() {
    let spec = body("files:\npermissions:\nhooks:\nfile_exists_behavior:\n");
    assert!(spec.files.is_empty() && spec.permissions.is_empty() && spec.hooks.is_empty());
    assert_eq!(spec.file_exists_behavior, None);
    let spec = body("files: []\npermissions: []\nhooks: {}\n");
    assert!(spec.files.is_empty());
}

#[test]
fn as_017_unknown_keys_are_ignored_at_every_level() {
    let spec = body(
        "extra: 1\nfiles:\n  - source: /\n    destination: /srv\n    file_exists_behavior: OVERWRITE\nhooks:\n  AfterInstall:\n    - location: a\n      colour: red\n",
    );
    assert_eq!(spec.file_exists_behavior, None);
    assert_eq!(spec.files.len(), 1);
}

#[test]
fn as_018_structural_errors_name_section_and_line() {
    for text in ["- version: 0.0\n", "linux\n", "[]\n", "\"version: 0.0\"\n"] {
        assert!(refused(text).contains("top-level"), "{text:?}");
    }
    for (rest, section) in [
        ("files:\n  -\n", "files section at line 4"),
        ("files:\n  - just text\n", "files section at line 4"),
        ("files:\n  source: /\n  destination: /srv\n", "files section at line 4"),
        ("files: text\n", "files section at line 3"),
        ("files:\n  - source: [a]\n    destination: /srv\n", "files section at line 4"),
        ("permissions:\n  -\n", "permissions section at line 4"),
        ("permissions: text\n", "permissions section"),
        ("permissions:\n  object: /srv\n", "permissions section"),
        ("permissions:\n  - object: {a: b}\n", "permissions section"),
        ("hooks:\n  - AfterInstall\n", "hooks section at line 4"),
        ("hooks: text\n", "hooks section"),
        ("hooks:\n  AfterInstall: script.sh\n", "hooks section at line 4"),
        ("hooks:\n  AfterInstall:\n    location: script.sh\n", "hooks section at line 5"),
        ("hooks:\n  AfterInstall:\n    -\n", "hooks section at line 5"),
        ("hooks:\n  AfterInstall:\n    - script.sh\n", "hooks section at line 5"),
        ("hooks:\n  AfterInstall:\n    - location: [a]\n", "hooks section at line 5"),
    ] {
        refuses_naming(rest, &[section]);
    }
    refuses_naming(&permission("except: '*.txt'"), &["permissions section", "except"]);
    refuses_naming(&permission("type: file"), &["permissions section", "type"]);
    refuses_naming(&permission("acls: 'u:mary:rw'"), &["permissions section", "acls"]);
    refuses_naming(&permission("context: text"), &["permissions section", "context"]);
    refuses_naming(&permission("mode: [644]"), &["permissions section", "mode"]);
}

#[test]
fn as_019_malformed_yaml_is_refused_with_line_and_column() {
    for (text, line) in [
        ("version: 0.0\nos: linux\nfiles:\n\t- source: /\n\t  destination: /srv\n", 4),
        ("version:0.0\nos: linux\n", 2),
        ("version: 0.0\nos: linux\npermissions:\n  - object: /srv\n    pattern: *.txt\n", 5),
        ("version: 0.0\nos: \"linux\n", 2),
        ("version: 0.0\nos: linux\nfiles: [\n", 4),
        ("version: 0.0\nos: linux\n\0files:\n", 3),
        ("version: 0.0\nos: *nowhere\n", 2),
        ("version: 0.0\nos: linux\nfiles: &a [*a]\n", 3),
    ] {
        let error = parse(text, Os::Linux).unwrap_err();
        assert!(error.line().abs_diff(line) <= 1, "{text:?}: {error} (line {})", error.line());
        let place = format!("line {} column {}", error.line(), error.column());
        assert!(error.message().contains(&place), "{text:?}: {error}");
    }
}

#[test]
fn as_020_first_document_only_and_every_line_end() {
    let spec = accepted("version: 0.0\nos: linux\n---\nversion: 9\n");
    assert_eq!(spec.os, Os::Linux);
    let text = "version: 0.0\nos: linux\nfiles:\n  - source: a\n    destination: /srv\n";
    for end in ["\n", "\r\n", "\r"] {
        let spec = accepted(&text.replace('\n', end));
        assert_eq!((spec.files[0].source.as_str(), spec.files[0].destination.as_str()), ("a", "/srv"));
        assert_eq!(spec.files[0].line, 4, "{end:?}");
    }
    accepted(&format!("\u{feff}{text}"));
}

#[test]
fn as_006_json_is_yaml() {
    let spec = accepted(
        r#"{"version": 0.0, "os": "linux", "files": [{"source": "/", "destination": "/srv"}],
            "hooks": {"AfterInstall": [{"location": "a.sh", "timeout": "300", "runas": "root"}]}}"#,
    );
    assert_eq!(spec.files[0].destination, "/srv");
    assert_eq!(spec.scripts("AfterInstall")[0].timeout.as_secs(), 300);
}

#[test]
fn as_021_backslashes_stay_outside_double_quotes() {
    let text = "version: 0.0\nos: windows\nfiles:\n  - source: \\\n    destination: c:\\temp\n  - source: .\\my-folder\n    destination: \"c:\\temp\"\n";
    let spec = parse(text, Os::Windows).unwrap();
    assert_eq!(spec.files[0].source, "\\");
    assert_eq!(spec.files[0].destination, "c:\\temp");
    assert_eq!(spec.files[1].source, ".\\my-folder");
    assert_eq!(spec.files[1].destination, "c:\temp");
}

#[test]
fn as_025_source_and_destination_are_required() {
    for rest in [
        "files:\n  - destination: /srv\n",
        "files:\n  - source:\n    destination: /srv\n",
        "files:\n  - source: ''\n    destination: /srv\n",
        "files:\n  - source:\n    destination:\n",
        "files:\n  - {}\n",
    ] {
        refuses(rest, NO_SOURCE, "");
    }
    refuses("files:\n  - source: a.txt\n", NO_DESTINATION, "a.txt");
    refuses("files:\n  - source: a.txt\n    destination:\n", NO_DESTINATION, "a.txt");
}

#[test]
fn as_026_files_keep_their_order() {
    let spec = body("files:\n  - source: b\n    destination: /srv\n  - source: a\n    destination: /srv\n");
    let sources: Vec<_> = spec.files.iter().map(|file| file.source.as_str()).collect();
    assert_eq!(sources, ["b", "a"]);
}

#[test]
fn d_17_paths_out_of_the_revision_are_refused_with_file_and_line() {
    for source in ["../etc", "a/../../b", "..", "..\\x", "/../x"] {
        let rest = format!("files:\n  - source: {source}\n    destination: /srv\n");
        refuses_naming(&rest, &[source, "appspec.yml line 4"]);
    }
    refuses_naming("hooks:\n  AfterInstall:\n    - location: ../../bin/sh\n", &["appspec.yml line 5"]);
    body("files:\n  - source: ..a/b..\n    destination: /srv\n");
    let options = ParseOptions { refuse_path_escapes: false, ..ParseOptions::new(Os::Linux) };
    let text = format!("{HEAD}files:\n  - source: ../a\n    destination: /srv\n");
    assert!(parse_with(&text, &options).is_ok());
}

#[test]
fn as_030_the_agent_takes_a_relative_destination() {
    assert_eq!(body("files:\n  - source: a\n    destination: srv\n").files[0].destination, "srv");
}

#[test]
fn as_036_file_exists_behavior_is_one_of_three_words() {
    for (word, value) in [
        ("DISALLOW", FileExistsBehavior::Disallow),
        ("OVERWRITE", FileExistsBehavior::Overwrite),
        ("RETAIN", FileExistsBehavior::Retain),
    ] {
        assert_eq!(body(&format!("file_exists_behavior: {word}\n")).file_exists_behavior, Some(value));
    }
    for word in ["overwrite", "Retain", "REPLACE", "true", "[RETAIN]"] {
        refuses(&format!("file_exists_behavior: {word}\n"), BEHAVIOR, word);
    }
}

#[test]
fn as_048_permissions_are_refused_on_windows_after_the_object_check() {
    let text = "version: 0.0\nos: windows\npermissions:\n  - object: c:\\temp\n";
    assert_eq!(parse(text, Os::Windows).unwrap_err().message(), WINDOWS_PERMISSIONS);
    let text = "version: 0.0\nos: windows\npermissions:\n  - mode: 644\n";
    assert_eq!(parse(text, Os::Windows).unwrap_err().message(), NO_OBJECT);
    assert!(parse("version: 0.0\nos: windows\npermissions: []\n", Os::Windows).is_ok());
}

#[test]
fn as_049_object_is_required_and_trimmed() {
    for rest in
        ["permissions:\n  - mode: 644\n", "permissions:\n  - object:\n", "permissions:\n  - object: '  '\n"]
    {
        refuses(rest, NO_OBJECT, "");
    }
    for (typed, read) in [("\" /srv/app/ \"", "/srv/app"), ("/", "/"), ("/srv//", "/srv")] {
        assert_eq!(body(&format!("permissions:\n  - object: {typed}\n")).permissions[0].object, read);
    }
}

#[test]
fn as_050_to_052_pattern_except_and_type() {
    let plain = &body(&permission("owner: root")).permissions[0];
    assert_eq!(plain.pattern, "**");
    assert!(plain.except.is_empty() && plain.types.file && plain.types.directory);
    let full =
        &body(&permission("pattern: '*.txt'\n    except: [a.txt, 'b*']\n    type: [file]")).permissions[0];
    assert_eq!(full.pattern, "*.txt");
    assert_eq!(full.except, ["a.txt", "b*"]);
    assert!(full.types.file && !full.types.directory);
    let none = &body(&permission("type: []")).permissions[0];
    assert!(!none.types.file && !none.types.directory);
    let both = &body(&permission("type:")).permissions[0];
    assert!(both.types.file && both.types.directory);
    refuses(&permission("type: [File]"), TYPE, "File");
    refuses(&permission("type: [symlink]"), TYPE, "symlink");
    refuses(&permission("type: [file, ]\n    except:\n  - object: /x\n    type:\n      -"), TYPE, "");
}

#[test]
fn as_053_054_modes_are_the_digits_as_typed() {
    for (typed, bits, shown) in [
        ("644", 0o644, "644"),
        ("\"644\"", 0o644, "644"),
        ("\"0644\"", 0o644, "644"),
        ("0644", 0o644, "644"),
        ("4755", 0o4755, "4755"),
        ("2750", 0o2750, "2750"),
        ("1777", 0o1777, "1777"),
        ("7", 0o7, "007"),
        ("'00'", 0, "000"),
        ("0", 0, "000"),
    ] {
        let spec = body(&permission(&format!("mode: {typed}")));
        let mode = spec.permissions[0].mode.unwrap();
        assert_eq!((mode.bits(), mode.to_string().as_str()), (bits, shown), "{typed}");
        assert_eq!(
            spec.warnings.iter().any(|warning| warning.message.contains("applied as typed")),
            typed == "0644",
            "{typed}"
        );
    }
    assert_eq!(body(&permission("mode:")).permissions[0].mode, None);
    for mode in ["10644", "u=rwx", "00644", "0.6444"] {
        refuses(&permission(&format!("mode: {mode}")), MODE_LENGTH, mode);
    }
    for (mode, invalid) in [("u+x", "u"), ("648", "8"), ("6.4", "."), ("-644", "-"), ("g+w", "g")] {
        let message = format!(
            "The deployment failed because the permissions mode ({mode}) in the application specification file contains an invalid character ({invalid}). Update the permissions section of the AppSpec file, and then try again."
        );
        refuses(&permission(&format!("mode: '{mode}'")), &message, "");
    }
}

#[test]
fn as_056_acl_entries_have_a_canonical_form() {
    for (typed, canonical) in [
        ("u:mary:rw", "user:mary:rw-"),
        ("user:mary:6", "user:mary:rw-"),
        ("bob:rw", "user:bob:rw-"),
        ("g:staff:r-x", "group:staff:r-x"),
        ("group:staff:", "group:staff:---"),
        ("m::rw", "mask::rw-"),
        ("mask:xr", "mask::r-x"),
        ("d:bob:rw", "default:user:bob:rw-"),
        ("default:u:bob:7", "default:user:bob:rwx"),
        ("d:u::rw", "default:user::rw-"),
        ("d:o:r", "default:other::r--"),
        ("d:m::0", "default:mask::---"),
        ("d:g::r", "default:group::r--"),
    ] {
        let spec = body(&permission(&format!("acls: ['{typed}']")));
        assert_eq!(spec.permissions[0].acls.as_ref().unwrap()[0].to_string(), canonical, "{typed}");
    }
    assert_eq!(body(&permission("acls:")).permissions[0].acls, None);
}

#[test]
fn as_057_058_wrong_acl_entries() {
    for entry in [
        "rw",
        "d:rw",
        "d:d:bob:rw",
        "d:d:rw",
        "x:bob:rw",
        "U:bob:rw",
        "m:bob:rw",
        "o:bob:r",
        "a:b:c:d:e",
        "u:a:b:rw",
    ] {
        refuses(&permission(&format!("acls: ['{entry}']")), ACL_INVALID, entry);
    }
    refuses(&permission("acls: ['']"), ACL_INVALID, "");
    for entry in ["u::rw", "g::r", "o:r", "o::r", "user:rw", "::rw"] {
        refuses(&permission(&format!("acls: ['{entry}']")), ACL_BASE, entry);
    }
    for (entry, invalid) in [("u:bob:rwz", "z"), ("u:bob:8", "8"), ("u:bob:77", "7")] {
        let message = format!(
            "The deployment failed because the access control list (ACL) named {entry} in the application specification file contains an invalid character ({invalid}). Correct the ACL in the hooks section of the AppSpec file, and then try again."
        );
        refuses(&permission(&format!("acls: ['{entry}']")), &message, "");
    }
}

#[test]
fn as_059_context_needs_a_type_and_takes_user_before_name() {
    let read = |rest: &str| {
        body(&permission(&format!("context: {{{rest}}}"))).permissions[0].context.clone().unwrap()
    };
    let full = read("user: unconfined_u, name: other_u, type: httpd_sys_content_t, range: s0");
    assert_eq!(full.user.as_deref(), Some("unconfined_u"));
    assert_eq!(full.kind, "httpd_sys_content_t");
    assert_eq!(full.range.as_deref(), Some("s0"));
    assert_eq!(read("name: other_u, type: t").user.as_deref(), Some("other_u"));
    assert_eq!(read("type: t").range, None);
    refuses(&permission("context: {user: unconfined_u}"), CONTEXT_TYPE, "{user: unconfined_u}");
    assert_eq!(body(&permission("context:")).permissions[0].context, None);
}

#[test]
fn as_060_ranges_are_checked_and_normalised() {
    for (typed, normal) in [
        ("s0", "s0"),
        ("s0-s0", "s0"),
        ("s0-s15", "s0-s15"),
        ("s0:c3,c1,c2", "s0:c1.c3"),
        ("s0-s15:c0.c1023", "s0-s15:c0.c1023"),
        ("s0:c10,c5", "s0:c5,c10"),
        ("s0:c1.c3,c4", "s0:c1.c4"),
    ] {
        let spec = body(&permission(&format!("context: {{type: t, range: '{typed}'}}")));
        assert_eq!(spec.permissions[0].context.as_ref().unwrap().range.as_deref(), Some(normal), "{typed}");
    }
    for (typed, message) in [
        ("s0:c1:c2", "invalid range part s0:c1:c2"),
        ("s0-s1-s2", "invalid range part s0-s1-s2"),
        ("x0", "invalid sensitivity x0"),
        ("s", "invalid sensitivity s"),
        ("s0:c1024", "invalid category c1024"),
        ("s0:", "invalid category "),
        ("s0:cx", "invalid category cx"),
        ("s0:c5.c3", "invalid category range c5.c3"),
        ("s0:c1,c1", "duplicate categories"),
        ("s0:c1.c5,c3", "duplicate categories"),
    ] {
        refuses(&permission(&format!("context: {{type: t, range: '{typed}'}}")), message, "");
    }
    refuses(&permission("context: {type: t, range: s5-s2}"), RANGE, "s5-s2");
}

#[test]
fn as_073_to_075_scripts() {
    let spec = body(
        "hooks:\n  ApplicationStop:\n  BeforeInstall: []\n  AfterInstall:\n    - location: ' scripts/a.sh '\n    - location: b.sh\n      timeout: 60.9\n      runas: deploy\n      sudo: true\n",
    );
    assert!(spec.scripts("ApplicationStop").is_empty());
    assert!(spec.scripts("BeforeInstall").is_empty());
    assert!(spec.scripts("Elsewhere").is_empty());
    let [first, second] = spec.scripts("AfterInstall") else { panic!("two scripts") };
    assert_eq!((first.location.as_str(), first.timeout.as_secs()), ("scripts/a.sh", 3600));
    assert_eq!((first.runas.as_deref(), first.sudo, first.line), (None, false, 7));
    assert_eq!((second.runas.as_deref(), second.sudo), (Some("deploy"), true));
    assert_eq!(second.timeout.as_secs(), 60);
    assert_eq!(spec.events().collect::<Vec<_>>(), ["ApplicationStop", "BeforeInstall", "AfterInstall"]);

    for rest in ["timeout: 5", "location:", "location: ''", "location: '  '"] {
        refuses(&format!("hooks:\n  AfterInstall:\n    - {rest}\n"), NO_LOCATION, "");
    }
    for timeout in ["0", "-5", "abc", "0.5", "''", "5s", "[5]", "inf", "nan"] {
        let rest = format!("hooks:\n  AfterInstall:\n    - location: a\n      timeout: {timeout}\n");
        refuses(&rest, TIMEOUT, "");
    }
    for (timeout, seconds) in [("'300'", 300), ("1_000", 1000), ("1e2", 100), ("", 3600)] {
        let spec = body(&format!("hooks:\n  AfterInstall:\n    - location: a\n      timeout: {timeout}\n"));
        assert_eq!(spec.scripts("AfterInstall")[0].timeout.as_secs(), seconds, "{timeout}");
    }
}

#[test]
fn as_079_unknown_and_reserved_events_parse_but_are_the_validators_business() {
    let spec = body("hooks:\n  Install:\n    - location: a\n  MyEvent:\n    - location: b\n");
    assert_eq!(spec.scripts("MyEvent").len(), 1);
    assert_eq!(spec.warnings.iter().filter(|problem| problem.is_error()).count(), 2);
}

#[test]
fn amb_30_aliases_and_merge_keys_are_expanded_within_a_limit() {
    let spec = body(
        "hooks:\n  BeforeInstall: &scripts\n    - &one\n      location: a.sh\n      timeout: 30\n  AfterInstall: *scripts\n  ApplicationStart:\n    - <<: *one\n      location: b.sh\n",
    );
    assert_eq!(spec.scripts("AfterInstall")[0].location, "a.sh");
    let start = &spec.scripts("ApplicationStart")[0];
    assert_eq!((start.location.as_str(), start.timeout.as_secs()), ("b.sh", 30));

    let mut bomb = format!("{HEAD}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    assert!(refused(&bomb).contains("too many values"));
    let deep = format!("{HEAD}files: {}{}\n", "[".repeat(5000), "]".repeat(5000));
    assert!(refused(&deep).contains("nested too deeply") || refused(&deep).contains("line 3"));
}

#[test]
fn as_226_the_guides_complete_example_is_accepted() {
    let spec = accepted(
        "version: 0.0\nos: linux\nfiles:\n  - source: Config/config.txt\n    destination: /webapps/Config\n  - source: source\n    destination: /webapps/myApp\nhooks:\n  BeforeInstall:\n    - location: Scripts/UnzipResourceBundle.sh\n    - location: Scripts/UnzipDataBundle.sh\n  AfterInstall:\n    - location: Scripts/RunResourceTests.sh\n      timeout: 180\n  ApplicationStart:\n    - location: Scripts/RunFunctionalTests.sh\n      timeout: 3600\n  ValidateService:\n    - location: Scripts/MonitorService.sh\n      timeout: 3600\n      runas: codedeployuser\n",
    );
    let before: Vec<_> =
        spec.scripts("BeforeInstall").iter().map(|script| script.location.as_str()).collect();
    assert_eq!(before, ["Scripts/UnzipResourceBundle.sh", "Scripts/UnzipDataBundle.sh"]);
    assert_eq!(spec.scripts("AfterInstall")[0].timeout.as_secs(), 180);
    assert_eq!(spec.scripts("ValidateService")[0].runas.as_deref(), Some("codedeployuser"));
    assert!(spec.warnings.is_empty(), "{:?}", spec.warnings);
}
