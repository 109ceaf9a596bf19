//! What can be wrong with an AppSpec file, and where.

use std::fmt;

/// The reason why an AppSpec file cannot be used. Displays the documented text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AppSpecError {
    message: String,
    line: usize,
    column: usize,
}

impl AppSpecError {
    pub(crate) fn new(message: impl Into<String>, line: usize, column: usize) -> Self {
        Self { message: message.into(), line, column }
    }

    /// The documented text, as it is reported to the control plane.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line of the offending value, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column of the offending value, from 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file will not deploy, or not as written (AS-133).
    Error,
    /// The file deploys, but probably not as meant (AS-134).
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One finding about a file, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Whether hosts refuse the file for it; an error without this is one that hosts let pass, because the
    /// official agent does (AS-030, AS-076, AS-079).
    pub refused: bool,
    /// The line of the finding, from 1.
    pub line: usize,
    /// The column of the finding, from 1.
    pub column: usize,
    /// What was found; for errors that the agent reports too, the documented text.
    pub message: String,
    /// What would be right, where that can be told.
    pub help: Option<String>,
}

impl Problem {
    pub(crate) fn new(
        severity: Severity,
        (line, column): (usize, usize),
        message: impl Into<String>,
    ) -> Self {
        Self { severity, refused: false, line, column, message: message.into(), help: None }
    }

    /// Whether this problem makes the file unusable as written.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The order in which an author reads: by place, errors first.
    pub(crate) fn place(&self) -> (usize, usize, Severity) {
        (self.line, self.column, self.severity)
    }
}

/// `LINE:COLUMN: SEVERITY: MESSAGE`, and below it what would be right.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.line, self.column, self.severity, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl From<&AppSpecError> for Problem {
    fn from(error: &AppSpecError) -> Self {
        let place = (error.line, error.column);
        Self { refused: true, ..Self::new(Severity::Error, place, error.message.as_str()) }
    }
}
