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
    let filter = EnvFilter::try_new(directives(&config.log_level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let human = match config.log_format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    if human {
        builder.with_ansi(terminal).try_init().map_err(LoggingError::Taken)?;
    } else {
        builder.json().flatten_event(true).with_span_list(false).try_init().map_err(LoggingError::Taken)?;
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// The filter with what the object store's protocol library says left out, unless it is asked for: it calls every
/// refused request an error, and puts answers as a whole into the log. What is our fault there we log ourselves.
fn directives(level: &str) -> String {
    if level.contains("s3s") { level.to_owned() } else { format!("{level},s3s=off") }
}

/// A panic belongs into the log like everything else, inside the span of the request that it ended.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("-");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = std::backtrace::Backtrace::capture();
    if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
        tracing::error!(cause = message, place, %backtrace, "panic");
    } else {
        tracing::error!(cause = message, place, "panic");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_s3_clients_get_wrong_are_no_errors_of_the_server() {
        for level in ["info", "slipway_server=debug,info", "", "s3s=debug,info"] {
            let filter = EnvFilter::try_new(directives(level)).unwrap().to_string();
            let expected = if level.contains("s3s") { "s3s=debug" } else { "s3s=off" };
            assert!(filter.contains(expected), "{level}: {filter}");
        }
    }
}
