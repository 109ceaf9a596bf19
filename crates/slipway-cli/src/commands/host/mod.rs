//! `slipway host`: on-premises hosts.

mod deregister;
pub(super) mod register;

use super::{Outcome, block_on};
use crate::aws::{Client, Connection, Settings};

/// Register and deregister on-premises hosts
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

/// The text of each is that of its `Args`.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Register(register::Args),
    Deregister(deregister::Args),
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let client = || anyhow::Ok(Client::new(Settings::of_process(&args.connection)?)?);
    match args.command {
        Command::Register(args) => block_on(async { register::run(&client()?, args).await }),
        Command::Deregister(args) => block_on(async { deregister::run(&client()?, &args).await }),
    }
}

/// The name of an on-premises host, checked as the AWS CLI does (AG-186).
fn parse_name(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c)) {
        return Err("Instance name contains invalid characters.".to_owned());
    }
    if text.starts_with("i-") {
        return Err("Instance name cannot start with 'i-'.".to_owned());
    }
    if text.len() > 100 {
        return Err("Instance name cannot be longer than 100 characters.".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_name;

    /// AG-186.
    #[test]
    fn names_are_checked_before_any_call() {
        assert_eq!(parse_name("web-1.example_A@x").unwrap(), "web-1.example_A@x");
        assert!(parse_name("i-123").unwrap_err().contains("cannot start"));
        assert!(parse_name("a b").unwrap_err().contains("invalid characters"));
        assert!(parse_name("").is_err());
        assert!(parse_name(&"x".repeat(101)).unwrap_err().contains("100"));
    }
}
