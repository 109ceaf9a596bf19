//! The log: to stderr, for people on a terminal, as JSON lines otherwise.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// A log that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter.
    #[error("log.level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The process has a log already.
    #[error("the log is set up already: {0}")]
    Taken(Box<dyn std::error::Error + Send + Sync>),
}

/// Sets the log of the process up. Once.
pub fn init(config: &Config) -> Result<(), LoggingError> {
    let terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_new(&config.log_level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let human = match config.log_format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    if human {
        builder.with_ansi(terminal).try_init().map_err(LoggingError::Taken)
    } else {
        builder.json().flatten_event(true).try_init().map_err(LoggingError::Taken)
    }
}
