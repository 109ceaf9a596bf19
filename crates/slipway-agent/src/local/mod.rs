//! `codedeploy-local`: a deployment to this machine, without a control plane (DP-320..DP-366, AG-109..AG-113).
//!
//! The same executor as the daemon's does the work; this module reads the command line ([`options`]), finds the bundle
//! ([`location`]) and the order of the events ([`events`]), and says what happened ([`deployment`]).
//!
//! What is documented goes to standard output, what explains a failure to standard error.

mod deployment;
mod events;
mod interrupt;
mod location;
mod options;
mod setup;

use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use options::{Options, Parsed, USAGE};

/// The name by which the program is called, or the word behind `slipway-agent`: `local`.
pub const PROGRAM: &str = "codedeploy-local";

/// Runs a local deployment as the words behind the program's name say.
pub fn main(arguments: &[OsString]) -> ExitCode {
    match options::parse(arguments) {
        Parsed::Help => {
            say(USAGE.trim_end());
            ExitCode::SUCCESS
        }
        Parsed::Version => {
            say(env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Parsed::Wrong(message) => {
            explain(format_args!("{PROGRAM}: {message}\n\n{}", USAGE.trim_end()));
            ExitCode::FAILURE
        }
        Parsed::Run(options) => run(&options),
    }
}

fn run(options: &Options) -> ExitCode {
    let outcome = setup::Setup::new(options).and_then(|setup| {
        let runtime = setup::runtime().map_err(|error| format!("the runtime cannot be started: {error}"))?;
        runtime.block_on(deployment::run(setup))
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            say(format_args!("ERROR: {message}"));
            ExitCode::FAILURE
        }
    }
}

/// Nothing can be done about a closed standard output, and a deployment must not end half-way for it.
fn say(text: impl fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn explain(text: impl fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
