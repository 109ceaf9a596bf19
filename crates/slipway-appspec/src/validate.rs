//! Every problem of a file, for its author (AS-132..AS-134).

use crate::error::{Problem, Severity};
use crate::model::Os;
use crate::server::reader::Reader;
use crate::server::{self, ParseOptions};
use crate::text::invisible;
use crate::yaml::{self, Value, get};

/// The compute platform that a file is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Platform {
    /// EC2 and on-premises hosts.
    #[default]
    Server,
    /// Amazon ECS services.
    Ecs,
    /// Lambda functions.
    Lambda,
}

/// How a file is validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ValidateOptions<'a> {
    /// The platform that the file is for.
    pub platform: Platform,
    /// The OS family of the hosts; the one that the file names when absent.
    pub os: Option<Os>,
    /// The name of the file (AS-002); not checked when absent.
    pub file_name: Option<&'a str>,
}

/// Finds everything that is wrong or doubtful in a file, ordered by line.
pub fn validate(text: &str, options: &ValidateOptions<'_>) -> Vec<Problem> {
    let mut reader = Reader::default();
    for found in invisible(text) {
        reader.warn((found.line, found.column), format!("the file contains {}", found.what));
    }
    match options.platform {
        Platform::Server => validate_server(text, options, &mut reader),
        Platform::Ecs => {
            reader.object_to((1, 1), "AppSpec files for Amazon ECS are not supported by this validator");
        }
        Platform::Lambda => {
            reader.object_to((1, 1), "AppSpec files for AWS Lambda are not supported by this validator");
        }
    }
    let mut problems = reader.into_problems();
    problems.sort_by_key(|problem| (problem.line, problem.column, problem.severity));
    problems
}

fn validate_server(text: &str, options: &ValidateOptions<'_>, reader: &mut Reader) {
    let file_name = options.file_name.unwrap_or("appspec.yml");
    if file_name != "appspec.yml" {
        reader.object_to((1, 1), format!("the file is named {file_name}; it must be named appspec.yml"));
    }
    let document = match yaml::load(text) {
        Ok(document) => document,
        Err(error) => {
            reader.object_to((error.line(), error.column()), error.message());
            return;
        }
    };
    let named = document.root.as_ref().and_then(|root| match &root.value {
        Value::Map(entries) => get(entries, "os").and_then(|entry| entry.value.text()),
        _ => None,
    });
    let own = if named == Some(Os::Windows.as_str()) { Os::Windows } else { Os::Linux };
    let options = ParseOptions { os: options.os.unwrap_or(own), file_name, refuse_path_escapes: true };
    server::read(&document, &options, reader);
}

impl Problem {
    /// Whether this problem makes the file unusable as written.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
