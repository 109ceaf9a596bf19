//! What the validator tells an author (AS-024, AS-132..AS-134).

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use slipway_appspec::{Os, Platform, Problem, Severity, ValidateOptions, decode, validate};

fn problems(text: &str) -> Vec<Problem> {
    validate(text, &ValidateOptions::default())
}

#[track_caller]
fn finds(text: &str, severity: Severity, line: usize, words: &str) {
    let found = problems(text);
    assert!(
        found.iter().any(|problem| problem.severity == severity
            && problem.line == line
            && problem.message.contains(words)),
        "{text:?}: no {severity} at line {line} about {words:?} in {found:#?}"
    );
}

const GOOD: &str = "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: /srv\n";

#[test]
fn a_good_file_has_no_problems() {
    assert_eq!(problems(GOOD), []);
}

#[test]
fn as_132_every_problem_is_reported_not_only_the_first() {
    let text = "version: 1\nos: solaris\nfiles:\n  - source: a\n  - destination: /b\nfile_exists_behavior: maybe\npermissions:\n  - mode: 999\n  - object: /x\n    mode: 888\nhooks:\n  Nonsense:\n    - location:\n    - location: a\n      timeout: 0\n";
    let errors = problems(text).into_iter().filter(Problem::is_error).count();
    assert_eq!(errors, 10, "{:#?}", problems(text));
    let lines: Vec<_> = problems(text).iter().map(|problem| problem.line).collect();
    assert!(lines.is_sorted(), "{lines:?}");
}

#[test]
fn as_133_errors_that_the_agent_lets_pass() {
    finds(
        "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: srv\n",
        Severity::Error,
        5,
        "fully qualified",
    );
    finds(
        "version: 0.0\nos: windows\nfiles:\n  - source: \\\n    destination: temp\n",
        Severity::Error,
        5,
        "fully qualified",
    );
    let hooks = |rest: &str| format!("{GOOD}hooks:\n{rest}");
    finds(&hooks("  Install:\n    - location: a\n"), Severity::Error, 7, "reserved");
    finds(&hooks("  Custom:\n    - location: a\n"), Severity::Error, 7, "unknown");
    let scripts =
        "  AfterInstall:\n    - location: a\n      timeout: 2000\n    - location: b\n      timeout: 2000\n";
    finds(&hooks(scripts), Severity::Error, 7, "4000 seconds");
    let implied = "  AfterInstall:\n    - location: a\n    - location: b\n      timeout: 3600\n";
    assert_eq!(problems(&hooks(implied)), []);
    let misnamed = ValidateOptions { file_name: Some("appspec.yaml"), ..ValidateOptions::default() };
    assert!(validate(GOOD, &misnamed).iter().any(Problem::is_error));
    let foreign = ValidateOptions { os: Some(Os::Windows), ..ValidateOptions::default() };
    assert!(validate(GOOD, &foreign).iter().any(Problem::is_error));
}

#[test]
fn as_134_warnings() {
    let with = |rest: &str| format!("{GOOD}{rest}");
    finds(&with("hooks:\n  BeforeBlockTraffic:\n    - location: a\n"), Severity::Warning, 7, "load balancer");
    finds(&with("hooks:\n  AfterInstall:\n"), Severity::Warning, 7, "blank");
    finds(&with("hooks:\n"), Severity::Warning, 6, "blank");
    finds(&with("colour: red\n"), Severity::Warning, 6, "colour");
    finds(&with("permissions:\n  - object: /srv\n    mode: 0644\n"), Severity::Warning, 8, "420");
    finds(&with("permissions:\n  - object: /srv\n    pattern: a/*.txt\n"), Severity::Warning, 8, "separator");
    finds(
        &with("permissions:\n  - object: /srv\n    context:\n      user: u\n      type: t\n"),
        Severity::Warning,
        9,
        "context.user",
    );
    finds("version: \"0.0\"\nos: linux\n", Severity::Warning, 1, "string");
    finds("version: 0.0\nos: linux\n", Severity::Warning, 1, "no files");
    finds(
        "version: 0.0\nos: windows\nhooks:\n  AfterInstall:\n    - location: a.ps1\n      runas: bob\n",
        Severity::Warning,
        6,
        "runas",
    );
    finds("version: 0.0\nos: linux\nos: linux\n", Severity::Warning, 3, "line 3 overrides line 2");
}

#[test]
fn as_024_characters_that_do_not_print_are_named() {
    finds(&format!("\u{feff}{GOOD}"), Severity::Warning, 1, "byte order mark");
    finds(&GOOD.replace('\n', "\r\n"), Severity::Warning, 1, "carriage return");
    finds(&format!("{GOOD}# bell \u{7}\n"), Severity::Warning, 6, "control character");
    assert_eq!(problems(&GOOD.replace('\n', "\r\n")).len(), 1);
}

#[test]
fn syntax_errors_carry_their_place() {
    let found = problems("version: 0.0\nos: linux\nfiles: [\n");
    assert!(found[0].is_error() && found[0].line >= 3, "{found:?}");
}

#[test]
fn other_platforms_are_refused_clearly() {
    for platform in [Platform::Ecs, Platform::Lambda] {
        let found = validate(GOOD, &ValidateOptions { platform, ..ValidateOptions::default() });
        assert!(found.iter().any(|problem| problem.is_error() && problem.message.contains("not supported")));
    }
}

#[test]
fn bytes_are_utf8_or_marked_utf16() {
    assert_eq!(decode(GOOD.as_bytes()).unwrap(), GOOD);
    let mut utf16 = vec![0xFF, 0xFE];
    utf16.extend(GOOD.encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(decode(&utf16).unwrap(), GOOD);
    let error = decode(b"version: 0.0\nos: \xff\n").unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 5));
}

/// All help at a line.
fn help(text: &str, line: usize) -> String {
    let found = problems(text);
    let at_line = found.iter().filter(|problem| problem.line == line);
    at_line.filter_map(|problem| problem.help.as_deref()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_problem_says_what_would_be_right() {
    let good = |rest: &str| format!("{GOOD}{rest}");
    for (text, line, words) in [
        ("version: 1.0\nos: linux\n".to_owned(), 1, "write version: 0.0"),
        ("version: 0.0\nos: Linux\n".to_owned(), 2, "write os: linux"),
        ("Version: 0.0\nos: linux\n".to_owned(), 1, "write version: 0.0"),
        (good("file_exists_behavior: overwrite\n"), 6, "write file_exists_behavior: OVERWRITE"),
        (good("hook:\n"), 6, "did you mean hooks?"),
        (good("AfterInstall:\n"), 6, "indent AfterInstall below hooks"),
        (
            "version: 0.0\nos: linux\nfiles:\n  - source: a\n    destination: /b\n    file_exists_behavior: RETAIN\n".to_owned(),
            6,
            "belongs to the top level",
        ),
        (good("hooks:\n  BeforInstall:\n    - location: a\n"), 7, "did you mean BeforeInstall?"),
        (good("hooks:\n  Deploy:\n    - location: a\n"), 7, "the events are ApplicationStop, "),
        (
            good("hooks:\n  Install:\n    - location: a\n"),
            7,
            "move the scripts to BeforeInstall or AfterInstall",
        ),
        (
            good("hooks:\n  AfterInstall:\n    - location: a\n      timeout: 5m\n"),
            9,
            "a whole number of seconds",
        ),
        (good("permissions:\n  - object: /srv\n    mode: u+x\n"), 8, "octal digits"),
        (good("permissions:\n  - object: /srv\n    mode: 0644\n"), 8, "write mode: \"0644\""),
        ("version: 0.0\nos: linux\nfiles:\n  - source: a\n".to_owned(), 4, "add destination:"),
        (
            "version: 0.0\nos: linux\nfiles:\n  - suorce: a\n    destination: /b\n".to_owned(),
            4,
            "did you mean source?",
        ),
        ("version: 0.0\nos: linux\nfiles:\n  - source: a\n    destination: b\n".to_owned(), 5, "write /b"),
        ("version: 0.0\nos: linux\nfiles:\n\t- source: a\n".to_owned(), 4, "indent with spaces"),
        ("version:0.0\nos: linux\n".to_owned(), 2, "put a space behind the colon"),
        (good("permissions:\n  - object: /srv\n    pattern: *.txt\n"), 8, "quote a value that begins with *"),
        (String::new(), 1, "begin with the lines version: 0.0 and os: linux"),
    ] {
        assert!(help(&text, line).contains(words), "{text:?}: {:?}", help(&text, line));
    }
}

/// The errors that hosts let pass are these and no other (AS-030, AS-076, AS-079, AS-133).
#[test]
fn only_four_errors_are_the_validators_own() {
    let text = "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: srv\nhooks:\n  Install:\n    - location: a\n  Custom:\n    - location: a\n      timeout: 3601\n";
    let own: Vec<_> =
        problems(text).into_iter().filter(|problem| problem.is_error() && !problem.refused).collect();
    let lines: Vec<_> = own.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [5, 7, 9, 9], "{own:#?}");
    assert!(slipway_appspec::parse(text, Os::Linux).is_ok());
}

#[test]
fn a_problem_is_printed_with_its_place_and_its_help() {
    let found = problems("version: 1\nos: linux\nfiles: []\n");
    assert_eq!(
        found[0].to_string(),
        "1:10: error: The deployment failed because an invalid version value (1) was entered in the application specification file. Make sure your AppSpec file specifies \"0.0\" as the version, and then try again.\n  help: write version: 0.0"
    );
}
