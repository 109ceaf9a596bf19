//! What would fail on a host, found before the upload (AS-132).

use std::fmt;
use std::path::{Path, PathBuf};

use slipway_appspec::{AppSpec, Os, Platform, Problem, Severity, ValidateOptions, decode, parse, validate};

use super::Members;

/// The only name that an AppSpec file may have (AS-002).
pub(crate) const APPSPEC: &str = "appspec.yml";

/// What was found in one AppSpec file.
#[derive(Debug)]
pub(crate) struct Findings {
    path: PathBuf,
    problems: Vec<Problem>,
}

impl Findings {
    /// Whether the file cannot be deployed as written.
    pub(crate) fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// How many errors and warnings there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let errors = self.problems.iter().filter(|problem| problem.is_error()).count();
        (errors, self.problems.len() - errors)
    }
}

/// One line `FILE:LINE:COLUMN: SEVERITY: MESSAGE` for each problem.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.iter().try_for_each(|problem| writeln!(f, "{}:{problem}", self.path.display()))
    }
}

/// Checks an AppSpec file by itself.
pub(crate) fn file(path: &Path, platform: Platform) -> std::io::Result<Findings> {
    let (problems, _) = read(path, platform)?;
    Ok(Findings { path: path.to_owned(), problems })
}

/// Checks a bundle: its AppSpec file, and that everything that it names is there.
pub(crate) fn bundle(source: &Path, members: &Members) -> std::io::Result<Findings> {
    let path = source.join(APPSPEC);
    let (mut problems, text) = read(&path, Platform::Server)?;
    // The names in a Windows file have other rules; the host knows them.
    if let Some(spec) = text.and_then(|text| parse(&text, Os::Linux).ok()) {
        problems.extend(missing(&spec, members));
    }
    problems.sort_by_key(|problem| (problem.line, problem.column, problem.severity));
    Ok(Findings { path, problems })
}

fn read(path: &Path, platform: Platform) -> std::io::Result<(Vec<Problem>, Option<String>)> {
    let text = match decode(&std::fs::read(path)?) {
        Ok(text) => text,
        Err(error) => {
            return Ok((vec![Problem::from(&error)], None));
        }
    };
    let file_name = path.file_name().and_then(|name| name.to_str());
    let problems = validate(&text, &ValidateOptions { platform, os: None, file_name });
    Ok((problems, Some(text)))
}

/// Sources and scripts that the bundle lacks: the deployment would fail on every host.
fn missing(spec: &AppSpec, members: &Members) -> Vec<Problem> {
    let has = |path: &str| {
        let path = normal(path);
        path.is_empty()
            || members.files.iter().any(|member| {
                member.name == path
                    || member.name.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'))
            })
    };
    let problem = |line, message| Problem {
        severity: Severity::Error,
        refused: true,
        line,
        column: 1,
        message,
        help: None,
    };
    let sources = spec.files.iter().filter(|mapping| !has(&mapping.source)).map(|mapping| {
        problem(mapping.line, format!("the bundle has no file or directory {:?}", mapping.source))
    });
    let scripts = spec.hooks.iter().flat_map(|hook| &hook.scripts);
    let scripts = scripts
        .filter(|script| !has(&script.location))
        .map(|script| problem(script.line, format!("the bundle has no script {:?}", script.location)));
    sources.chain(scripts).collect()
}

/// `/app/./x/` and `app//x` are the same member, `app/x`.
fn normal(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::collect;

    fn findings(appspec: &str, files: &[&str]) -> String {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(APPSPEC), appspec).unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let members = collect(dir.path(), false).unwrap();
        let found = bundle(dir.path(), &members).unwrap();
        found.to_string().replace(&dir.path().display().to_string(), "DIR")
    }

    const SPEC: &str = "version: 0.0\nos: linux\nfiles:\n  - source: /app/\n    destination: /opt/x\nhooks:\n  AfterInstall:\n    - location: ./scripts/go.sh\n";

    #[test]
    fn a_bundle_with_all_that_it_names_is_good() {
        assert_eq!(findings(SPEC, &["app/deep/file", "scripts/go.sh"]), "");
        assert_eq!(findings(&SPEC.replace("/app/", "/"), &["scripts/go.sh"]), "");
    }

    #[test]
    fn what_the_bundle_lacks_is_named_with_its_line() {
        assert_eq!(
            findings(SPEC, &["application"]),
            "DIR/appspec.yml:4:1: error: the bundle has no file or directory \"/app/\"\n\
             DIR/appspec.yml:8:1: error: the bundle has no script \"./scripts/go.sh\"\n"
        );
    }

    #[test]
    fn problems_of_the_file_itself_are_told_with_file_line_and_column() {
        let found = findings("version: 0.0\nos: linux\nhooks:\n\tAfterInstall:\n", &[]);
        assert!(found.starts_with("DIR/appspec.yml:4:"), "{found}");
        assert!(found.contains(": error: "), "{found}");
    }
}
