//! The findings of one pass over a file, and the moves that every section repeats.

use crate::error::{AppSpecError, Problem, Severity};
use crate::yaml::{Entry, Node, Value};

/// A finding, and whether it makes the agent refuse the file.
struct Finding {
    problem: Problem,
    fatal: bool,
}

/// Collects findings, so that the agent (first error) and the validator (all of them) share one reading.
#[derive(Default)]
pub(crate) struct Reader {
    findings: Vec<Finding>,
}

impl Reader {
    /// An error that fails the deployment, with the documented text.
    pub(crate) fn refuse(&mut self, at: &Node, message: impl Into<String>) {
        self.push(Severity::Error, true, (at.line, at.column), message.into());
    }

    /// An error that only the validator reports: the agent would carry on (AS-030, AS-076, AS-079).
    pub(crate) fn object_to(&mut self, place: (usize, usize), message: impl Into<String>) {
        self.push(Severity::Error, false, place, message.into());
    }

    pub(crate) fn warn(&mut self, place: (usize, usize), message: impl Into<String>) {
        self.push(Severity::Warning, false, place, message.into());
    }

    fn push(&mut self, severity: Severity, fatal: bool, (line, column): (usize, usize), message: String) {
        self.findings.push(Finding { problem: Problem { severity, line, column, message }, fatal });
    }

    /// A value of the wrong kind (AS-018).
    pub(crate) fn misshapen(&mut self, at: &Node, section: &str, needed: &str) {
        self.refuse(
            at,
            format!(
                "The deployment failed because the application specification file has an invalid structure in the {section} section at line {}: {needed} is needed, but this is {}. Update the {section} section of the AppSpec file, and then try again.",
                at.line,
                at.kind()
            ),
        );
    }

    /// The entries of a map, or a structural error.
    pub(crate) fn map<'a>(&mut self, node: &'a Node, section: &str, needed: &str) -> Option<&'a [Entry]> {
        if let Value::Map(entries) = &node.value {
            return Some(entries);
        }
        self.misshapen(node, section, needed);
        None
    }

    /// The items of a list; null is an empty one.
    pub(crate) fn list<'a>(&mut self, node: &'a Node, section: &str, needed: &str) -> Option<&'a [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            Value::Null => Some(&[]),
            _ => {
                self.misshapen(node, section, needed);
                None
            }
        }
    }

    /// The text of an optional single value; absent, null and blank are the same.
    pub(crate) fn optional_text(&mut self, entries: &[Entry], key: &str, section: &str) -> Option<String> {
        let node = &crate::yaml::get(entries, key)?.value;
        if node.is_null() {
            return None;
        }
        let Some(text) = node.text() else {
            self.misshapen(node, section, &format!("a single value for {key}"));
            return None;
        };
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Keys that nothing reads (AS-017).
    pub(crate) fn unknown_keys(&mut self, entries: &[Entry], known: &[&str], section: &str) {
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            self.warn(
                (entry.line, entry.column),
                format!("unknown key {} in the {section} is ignored", entry.key),
            );
        }
    }

    /// The first error that the agent stops at, else everything that was found.
    pub(crate) fn verdict(self) -> Result<Vec<Problem>, AppSpecError> {
        match self.findings.iter().find(|finding| finding.fatal) {
            Some(Finding { problem, .. }) => {
                Err(AppSpecError::new(problem.message.clone(), problem.line, problem.column))
            }
            None => Ok(self.findings.into_iter().map(|finding| finding.problem).collect()),
        }
    }

    /// Everything that was found.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.findings.into_iter().map(|finding| finding.problem).collect()
    }
}

/// Whether a path leads out of the revision: any `..` segment does or may, because the segment before
/// it can be a link (D-17).
pub(crate) fn escapes(path: &str) -> bool {
    path.split(['/', '\\']).any(|segment| segment == "..")
}
