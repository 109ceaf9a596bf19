//! Why a call has failed.

use std::error::Error as StdError;
use std::time::Duration;

/// A call that brought no success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The control plane said no.
    #[error("{operation}: {code}: {message}")]
    Refused {
        /// What was called.
        operation: String,
        /// HTTP status.
        status: u16,
        /// Name of the error.
        code: String,
        /// Its message.
        message: String,
    },
    /// Nobody answered.
    #[error("{operation}: the control plane at {endpoint} cannot be reached: {cause}")]
    Unreachable {
        /// What was called.
        operation: String,
        /// Where.
        endpoint: String,
        /// The reasons, outermost first.
        cause: String,
    },
    /// An answer that makes no sense.
    #[error("{operation}: the answer cannot be understood: {problem}")]
    Answer {
        /// What was called.
        operation: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The request cannot be built: a name holds what no address can hold.
    #[error("{operation}: the request cannot be built: {problem}")]
    Request {
        /// What was to be called.
        operation: String,
        /// What is wrong.
        problem: String,
    },
}

impl CallError {
    /// The name of the error that the control plane answered, if it answered.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the same call may succeed later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, code, .. } => *status >= 500 || code.starts_with("Throttling"),
            Self::Answer { .. } | Self::Request { .. } => false,
        }
    }

    pub(super) fn unreachable(operation: &str, endpoint: &str, error: &dyn StdError) -> Self {
        let mut cause = chain(error);
        // Its words are all that is left of the error behind the connection pool.
        if cause.contains("invalid peer certificate") {
            cause.push_str(
                "; AWS_CA_BUNDLE must name the ca.pem in the data directory of this control plane (`slipway env` sets it)",
            );
        }
        Self::Unreachable { operation: operation.to_owned(), endpoint: endpoint.to_owned(), cause }
    }

    pub(super) fn timeout(operation: &str, endpoint: &str, limit: Duration) -> Self {
        Self::Unreachable {
            operation: operation.to_owned(),
            endpoint: endpoint.to_owned(),
            cause: format!("no answer within {} s", limit.as_secs()),
        }
    }

    pub(super) fn answer(operation: &str, problem: &dyn std::fmt::Display) -> Self {
        Self::Answer { operation: operation.to_owned(), problem: problem.to_string() }
    }

    pub(super) fn request(operation: &str, problem: &dyn std::fmt::Display) -> Self {
        Self::Request { operation: operation.to_owned(), problem: problem.to_string() }
    }
}

/// An error with its causes in one line, each told once.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let words = current.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = current.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::CallError;

    #[test]
    fn only_what_may_pass_is_temporary() {
        let refused = |status, code: &str| CallError::Refused {
            operation: "GetDeployment".into(),
            status,
            code: code.into(),
            message: String::new(),
        };
        assert!(refused(503, "ServiceUnavailable").is_temporary());
        assert!(refused(400, "ThrottlingException").is_temporary());
        assert!(!refused(400, "DeploymentDoesNotExistException").is_temporary());
        assert!(CallError::timeout("a", "b", std::time::Duration::from_secs(1)).is_temporary());
        assert!(!CallError::answer("a", &"b").is_temporary());
    }
}
