//! What would fail on a host, found before the upload (AS-132, AS-135).

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use slipway_agent::unpack::{BundleType, Limits, UnpackError, unpack};
use slipway_appspec::bundle::{check_bundle, source_path, validate_bundle};
use slipway_appspec::{
    APPSPEC_FILE_NAME, AppSpec, Os, Platform, Problem, Severity, ValidateOptions, decode, named_os, parse,
    validate,
};

use super::Members;

/// The only name that an AppSpec file may have (AS-002).
pub(crate) const APPSPEC: &str = APPSPEC_FILE_NAME;

/// What was found in one AppSpec file.
#[derive(Debug)]
pub(crate) struct Findings {
    path: PathBuf,
    problems: Vec<Problem>,
    understood: Option<AppSpec>,
}

impl Findings {
    /// Whether the file cannot be deployed as written.
    pub(crate) fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// The file as hosts understand it, unless they refuse it.
    pub(crate) fn understood(&self) -> Option<&AppSpec> {
        self.understood.as_ref()
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
pub(crate) fn file(path: &Path, platform: Platform, os: Option<Os>) -> io::Result<Findings> {
    let (problems, text) = read(path, platform, os)?;
    Ok(Findings { path: path.to_owned(), problems, understood: text.and_then(|text| understood(&text, os)) })
}

/// Checks the directory of a bundle as hosts will find it: its AppSpec file, and everything that it names.
pub(crate) fn directory(directory: &Path, os: Option<Os>) -> io::Result<Findings> {
    let problems = validate_bundle(directory, &ValidateOptions { os, ..ValidateOptions::default() })?;
    let path = directory.join(APPSPEC);
    let text = std::fs::read(&path).ok().and_then(|bytes| decode(&bytes).ok());
    Ok(Findings { path, problems, understood: text.and_then(|text| understood(&text, os)) })
}

/// Checks an archive: unpacks it as hosts do and checks the result.
pub(crate) fn archive(path: &Path, kind: BundleType, os: Option<Os>) -> io::Result<Findings> {
    let scratch = tempfile::tempdir()?;
    let content = scratch.path().join("deployment-archive");
    // Owners are of no interest here, and nothing of this outlives the check.
    let limits = Limits { ignore_ownership: true, ..Limits::default() };
    let problems = match unpack(path, kind, &content, &limits) {
        Ok(_) => None,
        Err(refusal) => Some(vec![refused(&refusal)]),
    };
    let mut findings = match problems {
        Some(problems) => Findings { path: PathBuf::new(), problems, understood: None },
        None => directory(&content, os)?,
    };
    for problem in &mut findings.problems {
        problem.message = problem.message.replace(&content.display().to_string(), "the bundle");
    }
    findings.path = path.join(APPSPEC);
    Ok(findings)
}

fn refused(refusal: &UnpackError) -> Problem {
    Problem {
        severity: Severity::Error,
        refused: true,
        line: 1,
        column: 1,
        message: format!("hosts cannot unpack the bundle: {refusal}"),
        help: None,
    }
}

/// The kind of an archive, by its first bytes; `None` for every other file.
pub(crate) fn archive_kind(path: &Path) -> io::Result<Option<BundleType>> {
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(263).read_to_end(&mut start)?;
    Ok(if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        Some(BundleType::Zip)
    } else if start.starts_with(b"\x1f\x8b") {
        Some(BundleType::Tgz)
    } else if start.get(257..262) == Some(b"ustar") {
        Some(BundleType::Tar)
    } else {
        None
    })
}

/// Checks what will be uploaded: the AppSpec file, that the members have everything that it names, and what a
/// host would warn of.
pub(crate) fn upload(source: &Path, members: &Members) -> io::Result<Findings> {
    let path = source.join(APPSPEC);
    let (mut problems, text) = read(&path, Platform::Server, None)?;
    if let Some(spec) = text.as_deref().and_then(|text| parse(text, named_os(text)).ok()) {
        problems.extend(missing(&spec, members));
        // Links are uploaded as what they name, so only the host's doubts matter here.
        problems.extend(check_bundle(source, &spec).into_iter().filter(|problem| !problem.is_error()));
    }
    problems.sort_by_key(|problem| (problem.line, problem.column, problem.severity));
    Ok(Findings { path, problems, understood: None })
}

fn read(path: &Path, platform: Platform, os: Option<Os>) -> io::Result<(Vec<Problem>, Option<String>)> {
    let text = match decode(&std::fs::read(path)?) {
        Ok(text) => text,
        Err(error) => return Ok((vec![Problem::from(&error)], None)),
    };
    let file_name = path.file_name().and_then(|name| name.to_str());
    let problems = validate(&text, &ValidateOptions { platform, os, file_name });
    Ok((problems, Some(text)))
}

fn understood(text: &str, os: Option<Os>) -> Option<AppSpec> {
    parse(text, os.unwrap_or_else(|| named_os(text))).ok()
}

/// Sources and scripts that the bundle lacks: the deployment would fail on every host.
fn missing(spec: &AppSpec, members: &Members) -> Vec<Problem> {
    let has = |path: &str| {
        let path = source_path(path, spec.os);
        path.as_os_str().is_empty()
            || members.files.iter().any(|member| Path::new(&member.name).starts_with(&path))
    };
    let problem = |line, column, message| Problem {
        severity: Severity::Error,
        refused: true,
        line,
        column,
        message,
        help: None,
    };
    let sources = spec.files.iter().filter(|mapping| !has(&mapping.source)).map(|mapping| {
        let message = format!("the bundle has no file or directory {:?}", mapping.source);
        problem(mapping.line, mapping.column, message)
    });
    let scripts = spec.hooks.iter().flat_map(|hook| &hook.scripts);
    let scripts = scripts.filter(|script| !has(&script.location)).map(|script| {
        problem(script.line, script.column, format!("the bundle has no script {:?}", script.location))
    });
    sources.chain(scripts).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::bundle::collect;

    fn findings(appspec: &str, files: &[&str]) -> String {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(APPSPEC), appspec).unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let members = collect(dir.path(), false).unwrap();
        let found = upload(dir.path(), &members).unwrap();
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
            "DIR/appspec.yml:4:5: error: the bundle has no file or directory \"/app/\"\n\
             DIR/appspec.yml:8:7: error: the bundle has no script \"./scripts/go.sh\"\n"
        );
    }

    #[test]
    fn problems_of_the_file_itself_are_told_with_file_line_and_column() {
        let found = findings("version: 0.0\nos: linux\nhooks:\n\tAfterInstall:\n", &[]);
        assert!(found.starts_with("DIR/appspec.yml:4:"), "{found}");
        assert!(found.contains(": error: "), "{found}");
    }
}
