//! The `slipway-agent` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    slipway_agent::process::main(std::env::args_os())
}
