//! One error as a client sees it.

use crate::ErrorKind;

/// An error answer: its name and a message for the person at the client.
///
/// What only the log may see does not belong here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct ApiError {
    /// The error's name on the wire.
    pub kind: ErrorKind,
    /// What is wrong, in the client's terms.
    pub message: String,
}

impl ApiError {
    /// The error of that name with that message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The HTTP status of the answer.
    pub const fn http_status(&self) -> u16 {
        self.kind.http_status()
    }
}
