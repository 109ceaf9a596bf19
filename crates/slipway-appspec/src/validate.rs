//! Every problem of a file, for its author (AS-132..AS-134).

use crate::error::{Problem, Severity};
use crate::model::Os;
use crate::server::{ParseOptions, inspect};
use crate::yaml::{self, Value, get};

/// The only name that the AppSpec file of a bundle may have (AS-002).
pub const APPSPEC_FILE_NAME: &str = "appspec.yml";

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

/// Finds everything that is wrong or doubtful in a file, ordered by place.
pub fn validate(text: &str, options: &ValidateOptions<'_>) -> Vec<Problem> {
    let unsupported = match options.platform {
        Platform::Server => return validate_server(text, options),
        Platform::Ecs => "AppSpec files for Amazon ECS are not supported by this validator",
        Platform::Lambda => "AppSpec files for AWS Lambda are not supported by this validator",
    };
    vec![Problem::new(Severity::Error, (1, 1), unsupported)]
}

fn validate_server(text: &str, options: &ValidateOptions<'_>) -> Vec<Problem> {
    let file_name = options.file_name.unwrap_or(APPSPEC_FILE_NAME);
    let os = options.os.unwrap_or_else(|| named_os(text));
    let mut problems = inspect(text, &ParseOptions { file_name, ..ParseOptions::new(os) }).problems;
    if file_name != APPSPEC_FILE_NAME {
        let message = format!("the file is named {file_name}; it must be named {APPSPEC_FILE_NAME}");
        problems.insert(0, Problem::new(Severity::Error, (1, 1), message));
    }
    problems
}

/// The OS family that a file names, so that an author need not say it again; Linux when it names none.
pub fn named_os(text: &str) -> Os {
    let named = yaml::load(text).ok().and_then(|document| document.root).and_then(|root| match root.value {
        Value::Map(entries) => get(&entries, "os").and_then(|entry| entry.value.text().map(str::to_owned)),
        _ => None,
    });
    if named.as_deref() == Some(Os::Windows.as_str()) { Os::Windows } else { Os::Linux }
}
