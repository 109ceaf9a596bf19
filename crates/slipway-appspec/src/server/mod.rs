//! The grammar of Server (EC2/On-Premises) files: sections 2 to 5 of the AppSpec rules.

mod acl;
mod context;
mod files;
mod hooks;
mod permissions;
pub(crate) mod reader;

use crate::error::{AppSpecError, Problem};
use crate::model::{AppSpec, FileExistsBehavior, Os};
use crate::nearest::nearest;
use crate::text::{hint, invisible};
use crate::yaml::{self, Document, Entry, Node, Value, get};
use reader::Reader;

pub use hooks::{RESERVED_EVENTS, SCRIPTABLE_EVENTS};

pub(crate) const EMPTY: &str = "The deployment failed because the application specification file was empty. Make sure your AppSpec file defines at minimum the 'version' and 'os' properties.";

const TOP_LEVEL: &[&str] = &["version", "os", "files", "file_exists_behavior", "permissions", "hooks"];

/// For whom a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseOptions<'a> {
    /// The OS family of the host; the file must name the same (AS-013).
    pub os: Os,
    /// The name shown in refusals of paths that leave the revision (D-17).
    pub file_name: &'a str,
    /// Refuse `..` in `source` and `location` (D-17); the switch is `reject_path_traversal_in_bundle`.
    pub refuse_path_escapes: bool,
    /// Events that will run whatever their names: those of a local deployment (DP-348).
    pub own_events: &'a [String],
}

impl ParseOptions<'_> {
    /// The rules by default: `appspec.yml`, path escapes refused.
    pub fn new(os: Os) -> Self {
        Self { os, file_name: "appspec.yml", refuse_path_escapes: true, own_events: &[] }
    }
}

/// Parses a file for a host of the given OS family; the error is the first one, with the documented text.
pub fn parse(text: &str, os: Os) -> Result<AppSpec, AppSpecError> {
    parse_with(text, &ParseOptions::new(os))
}

/// As [`parse`], with the host's switches.
pub fn parse_with(text: &str, options: &ParseOptions<'_>) -> Result<AppSpec, AppSpecError> {
    inspect(text, options).spec
}

/// One reading of a file: the verdict of a host, and everything that was found on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The model, or the error that a host reports: the first one, with the documented text.
    pub spec: Result<AppSpec, AppSpecError>,
    /// As much of the model as could be read whatever is wrong, so that what it names can be checked as well.
    pub partial: Option<AppSpec>,
    /// Every error and warning, by place.
    pub problems: Vec<Problem>,
}

/// Reads a file to its end, whatever is wrong with it. Hosts, the validator and the command line all come
/// through here, so that they cannot disagree (AS-132).
pub fn inspect(text: &str, options: &ParseOptions<'_>) -> Inspection {
    let mut reader = Reader::default();
    for found in invisible(text) {
        reader.warn((found.line, found.column), format!("the file contains {}", found.what));
    }
    let spec = match yaml::load(text) {
        Ok(document) => read(&document, options, &mut reader),
        Err(error) => {
            let nowhere = Node { value: Value::Null, line: error.line(), column: error.column() };
            reader.refuse(&nowhere, error.message());
            if let Some(help) = hint(text, error.line()) {
                reader.help(help);
            }
            None
        }
    };
    let mut problems = reader.into_problems();
    let refusal = problems.iter().find(|problem| problem.refused).cloned();
    problems.sort_by_key(Problem::place);
    let partial = spec.clone();
    let spec = match (spec, refusal) {
        (Some(spec), None) => Ok(AppSpec { warnings: problems.clone(), ..spec }),
        (_, Some(refusal)) => Err(AppSpecError::new(refusal.message, refusal.line, refusal.column)),
        // Nothing is read without an error only from a file that holds nothing.
        (None, None) => Err(AppSpecError::new(EMPTY, 1, 1)),
    };
    Inspection { spec, partial, problems }
}

/// Reads every section, whatever the earlier ones held. `None` only together with an error.
fn read(document: &Document, options: &ParseOptions<'_>, reader: &mut Reader) -> Option<AppSpec> {
    for duplicate in &document.duplicates {
        reader.warn(
            (duplicate.line, duplicate.column),
            format!(
                "key {} is given twice: line {} overrides line {}",
                duplicate.key, duplicate.line, duplicate.first_line
            ),
        );
    }
    let nothing = Node { value: Value::Null, line: 1, column: 1 };
    let Some(root) = &document.root else {
        reader.refuse(&nothing, EMPTY);
        reader.help("begin with the lines version: 0.0 and os: linux");
        return None;
    };
    let entries = reader.map(root, "top-level", "a map with version and os")?;
    reader.unknown_keys(entries, TOP_LEVEL, "top level of the file");
    warn_of_blank_sections(entries, reader);

    let value = |key| get(entries, key).map_or(root, |entry| &entry.value);
    version(get(entries, "version").map(|entry| &entry.value), root, reader);
    os(get(entries, "os").map(|entry| &entry.value), root, options.os, reader);
    let files = match get(entries, "files") {
        Some(entry) => files::read(&entry.value, options, reader),
        None => Vec::new(),
    };
    if files.is_empty() {
        let at = value("files");
        reader.warn((at.line, at.column), "no files: what the last revision installed is removed");
    }
    let file_exists_behavior =
        get(entries, "file_exists_behavior").and_then(|entry| file_exists_behavior(&entry.value, reader));
    let permissions = match get(entries, "permissions") {
        Some(entry) => permissions::read(&entry.value, options, reader),
        None => Vec::new(),
    };
    let hooks = match get(entries, "hooks") {
        Some(entry) => hooks::read(&entry.value, options, reader),
        None => Vec::new(),
    };
    Some(AppSpec { os: options.os, files, file_exists_behavior, permissions, hooks, warnings: Vec::new() })
}

fn warn_of_blank_sections(entries: &[Entry], reader: &mut Reader) {
    for entry in entries {
        let optional =
            matches!(entry.key.as_str(), "files" | "file_exists_behavior" | "permissions" | "hooks");
        if optional && entry.value.is_null() {
            reader.warn((entry.line, entry.column), format!("section {} is blank", entry.key));
        }
    }
}

fn version(node: Option<&Node>, root: &Node, reader: &mut Reader) {
    if let Some(Node { value: Value::Scalar { text, plain }, line, column }) = node {
        if *plain && is_zero(text) {
            return;
        }
        if text == "0.0" {
            reader.warn((*line, *column), "version is a string: some agents accept only the number 0.0");
            return;
        }
    }
    let value = node.map(Node::render).unwrap_or_default();
    reader.refuse(
        node.unwrap_or(root),
        format!(
            "The deployment failed because an invalid version value ({value}) was entered in the application specification file. Make sure your AppSpec file specifies \"0.0\" as the version, and then try again."
        ),
    );
    reader.help("write version: 0.0");
}

/// A YAML number, integer or fraction in any of its spellings, that is zero (AS-012).
fn is_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text).replace('_', "");
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0b")).unwrap_or(&digits);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.parse::<f64>() == Ok(0.0)
}

fn os(node: Option<&Node>, root: &Node, host: Os, reader: &mut Reader) {
    if node.and_then(Node::text) == Some(host.as_str()) {
        return;
    }
    let value = node.map(Node::render).unwrap_or_default();
    reader.refuse(
        node.unwrap_or(root),
        format!(
            "The deployment failed because the application specification file specifies an unsupported operating system ({value}). Specify either \"linux\" or \"windows\" in the os section of the AppSpec file, and then try again."
        ),
    );
    reader.help(match node.and_then(Node::text) {
        Some("linux" | "windows") => format!("this host needs os: {host}"),
        _ => format!("write os: {host}"),
    });
}

fn file_exists_behavior(node: &Node, reader: &mut Reader) -> Option<FileExistsBehavior> {
    if node.is_null() {
        return None;
    }
    let parsed = node.text().and_then(|text| text.parse().ok());
    if parsed.is_none() {
        reader.refuse(
            node,
            format!(
                "The deployment failed because an invalid file_exists_behavior value ({}) was entered in the application specification file. Make sure your AppSpec file specifies one of DISALLOW,OVERWRITE,RETAIN as the file_exists_behavior, and then try again.",
                node.render()
            ),
        );
        if let Some(meant) = nearest(&node.render(), ["DISALLOW", "OVERWRITE", "RETAIN"]) {
            reader.help(format!("write file_exists_behavior: {meant}"));
        }
    }
    parsed
}
