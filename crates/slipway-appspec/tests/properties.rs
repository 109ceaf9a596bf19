//! Whatever a bundle holds under the name of an AppSpec file, reading it ends, and ends with an answer.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use std::time::Duration;

use proptest::prelude::*;
use slipway_appspec::{
    AppSpec, FileExistsBehavior, FileMapping, Hook, ObjectTypes, Os, ParseOptions, Permission, Platform,
    Script, SecurityContext, ValidateOptions, decode, inspect, parse, validate,
};

/// One reading, one verdict: a host refuses a file exactly if the validator says so, with the same words, and
/// every problem has a place in the file.
fn read_every_way(text: &str) {
    for os in [Os::Linux, Os::Windows] {
        let parsed = parse(text, os);
        let options = ValidateOptions { platform: Platform::Server, os: Some(os), file_name: None };
        let problems = validate(text, &options);
        assert_eq!(inspect(text, &ParseOptions::new(os)).problems, problems);
        match &parsed {
            Ok(spec) => {
                assert!(problems.iter().all(|problem| !problem.refused), "{problems:?}");
                assert_eq!(
                    placeless(spec.clone()),
                    placeless(parse(&spec.to_string(), os).unwrap()),
                    "{spec}"
                );
            }
            Err(error) => {
                let told = |problem: &slipway_appspec::Problem| {
                    problem.refused
                        && problem.message == error.message()
                        && (problem.line, problem.column) == (error.line(), error.column())
                };
                assert!(problems.iter().any(told), "{error}: {problems:?}");
            }
        }
        for problem in &problems {
            // A scanner's line ends: also CR alone; the end of the file counts as a line.
            let lines = 1 + text.chars().filter(|c| matches!(c, '\n' | '\r')).count();
            assert!((1..=lines + 1).contains(&problem.line), "{problem} of {lines} lines");
            let longest = text.split(['\n', '\r']).map(|line| line.chars().count()).max().unwrap_or(0);
            assert!((1..=longest + 2).contains(&problem.column), "{problem} of {longest} columns");
        }
    }
}

/// The model without what a change of the layout changes.
fn placeless(mut spec: AppSpec) -> AppSpec {
    spec.warnings.clear();
    for item in &mut spec.files {
        (item.line, item.column) = (0, 0);
    }
    for item in &mut spec.permissions {
        (item.line, item.column) = (0, 0);
    }
    for item in &mut spec.hooks {
        (item.line, item.column) = (0, 0);
        for script in &mut item.scripts {
            (script.line, script.column) = (0, 0);
        }
    }
    spec
}

/// A single value: what YAML could take for something else, and arbitrary text without blanks around it.
fn text() -> impl Strategy<Value = String> {
    let hard = [
        "0.0", "0644", "true", "null", "~", "-", "a: b", "# x", "*.txt", "&a", "no", "1_000", "[x]", "'",
        "\\",
    ];
    prop_oneof![
        prop::sample::select(hard.to_vec()).prop_map(str::to_owned),
        "[a-z/._-]{1,12}",
        "\\PC{1,12}",
        any::<String>().prop_map(|text| text.replace('\0', "")),
    ]
    .prop_filter_map("blank, or a way out of the bundle", |text| {
        let trimmed = text.trim();
        (!trimmed.is_empty() && !trimmed.contains("..")).then(|| trimmed.to_owned())
    })
}

fn permission() -> impl Strategy<Value = Permission> {
    let acl = prop_oneof!["u:[a-z]{1,5}:[0-7]", "d:g:[a-z]{0,5}:rw", "m::r", "d:o::x"];
    let context = (prop::option::of(text()), text(), prop::option::of("s0(:c[0-9])?"));
    (
        (text(), text(), prop::collection::vec(text(), 0..3)),
        (prop::option::of(text()), prop::option::of(text()), prop::option::of("[0-7]{1,4}")),
        (prop::option::of(prop::collection::vec(acl, 0..3)), prop::option::of(context)),
        (any::<bool>(), any::<bool>()),
    )
        .prop_map(|((object, pattern, except), (owner, group, mode), (acls, context), (file, directory))| {
            // Modes and lists have no other makers than the parser.
            let acls = acls.map(|acls| {
                format!(
                    "    acls: [{}]\n",
                    acls.iter().map(|acl| format!("'{acl}'")).collect::<Vec<_>>().join(", ")
                )
            });
            let mode = mode.map(|mode| format!("    mode: '{mode}'\n"));
            let text = format!(
                "version: 0.0\nos: linux\npermissions:\n  - object: x\n{}{}",
                acls.unwrap_or_default(),
                mode.unwrap_or_default()
            );
            let parsed = parse(&text, Os::Linux).unwrap().permissions.remove(0);
            let stripped = object.trim_end_matches('/');
            Permission {
                object: if stripped.is_empty() {
                    "/".to_owned()
                } else {
                    stripped.trim_end().trim_end_matches('/').to_owned()
                },
                pattern,
                except,
                owner,
                group,
                context: context.map(|(user, kind, range)| SecurityContext { user, kind, range }),
                types: ObjectTypes { file, directory },
                ..parsed
            }
        })
        .prop_filter("an object", |permission| !permission.object.trim().is_empty())
}

fn hook() -> impl Strategy<Value = Hook> {
    let script = (text(), 1_u64..4000, prop::option::of(text()), any::<bool>()).prop_map(
        |(location, seconds, runas, sudo)| {
            let timeout = Duration::from_secs(seconds);
            Script { location, timeout, runas, sudo, line: 0, column: 0 }
        },
    );
    (text(), prop::collection::vec(script, 0..3)).prop_map(|(event, scripts)| Hook {
        event,
        scripts,
        line: 0,
        column: 0,
    })
}

fn spec() -> impl Strategy<Value = AppSpec> {
    let file = (text(), text()).prop_map(|(source, destination)| FileMapping {
        source,
        destination,
        line: 0,
        column: 0,
    });
    let behaviors = vec![
        None,
        Some(FileExistsBehavior::Disallow),
        Some(FileExistsBehavior::Overwrite),
        Some(FileExistsBehavior::Retain),
    ];
    (
        prop::collection::vec(file, 0..3),
        prop::sample::select(behaviors),
        prop::collection::vec(permission(), 0..3),
        prop::collection::vec(hook(), 0..3),
    )
        .prop_map(|(files, file_exists_behavior, permissions, mut hooks)| {
            hooks.sort_by(|a, b| a.event.cmp(&b.event));
            hooks.dedup_by(|a, b| a.event == b.event);
            let (os, warnings) = (Os::Linux, Vec::new());
            AppSpec { os, files, file_exists_behavior, permissions, hooks, warnings }
        })
}

/// Pieces of real files, so that random texts get past the first character.
fn fragment() -> impl Strategy<Value = String> {
    let words = [
        "version: 0.0",
        "os: linux",
        "os",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "files:",
        "source: /",
        "destination: /srv",
        "permissions:",
        "object: /x",
        "mode: 0644",
        "acls: [u:a:rw]",
        "context: {type: t}",
        "range: s0-s1:c0.c5",
        "hooks:",
        "AfterInstall:",
        "location: a",
        "timeout: 5",
        "&a ",
        "*a",
        "<<: ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "#",
        "---\n",
        "...\n",
        "!!str ",
        "%YAML 1.2\n",
        "%TAG ! x\n",
        "\t",
        "\r",
        "\u{feff}",
        "~",
        "\u{85}",
        "\\",
        "!<x>",
        "&",
        "*",
        "@",
        "`",
    ];
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(text) = decode(&bytes) {
            read_every_way(&text);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,80}") {
        read_every_way(&text);
    }

    #[test]
    fn shuffled_fragments_never_panic(parts in prop::collection::vec(fragment(), 0..40)) {
        read_every_way(&parts.concat());
    }

    /// AS-022.
    #[test]
    fn the_canonical_form_is_read_back_as_the_same_model(spec in spec()) {
        let text = spec.to_string();
        let again = parse(&text, Os::Linux).unwrap_or_else(|error| panic!("{error}\n{text}"));
        prop_assert_eq!(placeless(again.clone()), placeless(spec), "{}", text);
        prop_assert_eq!(again.to_string(), text);
    }

    #[test]
    fn a_cut_or_damaged_file_never_panics(cut in 0usize..400, at in 0usize..400, byte in any::<u8>()) {
        let whole = "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: /srv\npermissions:\n  - object: /srv\n    pattern: \"*.txt\"\n    except: [a, 'b']\n    mode: 0644\n    acls:\n      - u:mary:rw\n    context: {user: u, type: t, range: s0-s1:c0.c5}\nhooks:\n  AfterInstall: &x\n    - location: a.sh\n      timeout: 300\n  ApplicationStart: *x\n";
        let mut bytes = whole.as_bytes()[..cut.min(whole.len())].to_vec();
        if let Some(slot) = bytes.get_mut(at) {
            *slot = byte;
        }
        if let Ok(text) = decode(&bytes) {
            read_every_way(&text);
        }
    }
}
