//! The `slipway` command: the control plane and the tools around it.
//!
//! * [`commands`]: one file for each command; it reads the flags, does the work through the modules below, prints.
//! * [`aws`]: the signed client of the public APIs, the only way to a running control plane.
//! * [`bundle`]: from a directory to a revision: checks and the archive.
//! * [`progress`]: following a deployment, on a terminal and in a pipe.
//! * [`location`]: how locations and tags are written on a command line.
//! * [`codes`]: what `slipway explain` knows.
//! * [`sample`]: the sample application, built into the command for `slipway demo`.

mod aws;
mod bundle;
mod clock;
mod codes;
mod commands;
mod location;
mod progress;
mod sample;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main()
}
