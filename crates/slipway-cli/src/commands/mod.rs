//! The commands.

mod admin;
mod demo;
mod deploy;
mod env;
mod explain;
mod host;
mod server;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

/// What every help page ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0  done; a deployment that was waited for has succeeded
  1  the answer is no: the deployment failed, the bundle has errors, the demo went wrong
  2  it could not be done: wrong usage, or the control plane refused or did not answer
  3  the deployment that was waited for was stopped";

/// CodeDeploy on your own machines: the control plane and the tools around it.
#[derive(Debug, Parser)]
#[command(name = "slipway", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The text of each is that of its `Args`.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Server(server::Args),
    Demo(demo::Args),
    Deploy(deploy::Args),
    Host(host::Args),
    Env(env::Args),
    Admin(admin::Args),
    Explain(explain::Args),
}

/// How a command ended that could do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done.
    Done,
    /// The answer is no.
    No,
    /// The deployment that was waited for was stopped.
    Stopped,
}

impl Outcome {
    /// The exit code, as every help page documents it.
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Stopped => 3,
        }
    }
}

/// Exit code of what could not be done; clap's for wrong usage is the same.
const COULD_NOT: u8 = 2;

/// Reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Server(args) => server::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Deploy(args) => deploy::run(args),
        Command::Host(args) => host::run(args),
        Command::Env(args) => env::run(&args),
        Command::Admin(args) => admin::run(&args),
        Command::Explain(args) => explain::run(&args),
    };
    match result {
        Ok(outcome) => outcome.code().into(),
        // Whoever reads our output has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done about a closed stderr.
            let _ = writeln!(std::io::stderr(), "error: {}", told(&error));
            COULD_NOT.into()
        }
    }
}

/// An error with its causes, but for those that it tells itself.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |mut text, cause| {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.extend([if text.is_empty() { "" } else { ": " }, &cause]);
        }
        text
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.root_cause().downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Runs the work of a client command: one thread is plenty.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_cause_is_told_twice() {
        let cause = anyhow::anyhow!("no such file");
        let told_itself = anyhow::anyhow!("no such file").context("cannot read x: no such file");
        assert_eq!(told(&told_itself), "cannot read x: no such file");
        assert_eq!(told(&cause.context("cannot read x")), "cannot read x: no such file");
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        assert_eq!([Outcome::Done, Outcome::No, Outcome::Stopped].map(Outcome::code), [0, 1, 3]);
        for code in [0, 1, 2, 3] {
            assert!(EXIT_CODES.contains(&format!("\n  {code}  ")));
        }
    }
}
