//! Whatever a bundle holds under the name of an AppSpec file, reading it ends, and ends with an answer.

use proptest::prelude::*;
use slipway_appspec::{Os, Platform, ValidateOptions, decode, parse, validate};

fn read_every_way(text: &str) {
    for os in [Os::Linux, Os::Windows] {
        let parsed = parse(text, os);
        let options = ValidateOptions { platform: Platform::Server, os: Some(os), file_name: None };
        let problems = validate(text, &options);
        if let Err(error) = parsed {
            assert!(
                problems.iter().any(|problem| problem.message == error.message()),
                "{error}: {problems:?}"
            );
        }
    }
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
