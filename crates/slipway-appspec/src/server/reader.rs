//! The findings of one pass over a file, and the moves that every section repeats.

use super::files::is_absolute;
use super::{SCRIPTABLE_EVENTS, TOP_LEVEL};
use crate::error::{Problem, Severity};
use crate::model::Os;
use crate::nearest::nearest;
use crate::yaml::{Entry, Node, Value, get};

/// Collects findings, so that the agent (first error) and the validator (all of them) share one reading.
#[derive(Default)]
pub(crate) struct Reader {
    findings: Vec<Problem>,
}

impl Reader {
    /// An error that fails the deployment, with the documented text.
    pub(crate) fn refuse(&mut self, at: &Node, message: impl Into<String>) {
        let problem = Problem::new(Severity::Error, (at.line, at.column), message);
        self.findings.push(Problem { refused: true, ..problem });
    }

    /// An error that only the validator reports: the agent would carry on (AS-030, AS-076, AS-079).
    pub(crate) fn object_to(&mut self, place: (usize, usize), message: impl Into<String>) {
        self.findings.push(Problem::new(Severity::Error, place, message));
    }

    pub(crate) fn warn(&mut self, place: (usize, usize), message: impl Into<String>) {
        self.findings.push(Problem::new(Severity::Warning, place, message));
    }

    /// Says what would be right instead of the last finding.
    pub(crate) fn help(&mut self, text: impl Into<String>) {
        if let Some(last) = self.findings.last_mut() {
            last.help = Some(text.into());
        }
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
            // A key of the right name beside it says that no other was meant.
            let missing = known.iter().copied().filter(|known| get(entries, known).is_none());
            let key = entry.key.as_str();
            if SCRIPTABLE_EVENTS.contains(&key) {
                self.help(format!("indent {key} below hooks"));
            } else if TOP_LEVEL.contains(&key) {
                self.help(format!("{key} belongs to the top level of the file, not indented"));
            } else if let Some(meant) = nearest(key, missing) {
                self.help(format!("did you mean {meant}?"));
            }
        }
    }

    /// Everything that was found, in the order of reading.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.findings
    }
}

/// Whether a path leads out of the revision: any `..` segment does or may, because the segment before it can
/// be a link; on Windows so does another drive (D-17).
pub(crate) fn escapes(path: &str, os: Os) -> bool {
    let drive = os == Os::Windows && is_absolute(path.trim(), os);
    drive || path.split(['/', '\\']).any(|segment| segment == "..")
}
