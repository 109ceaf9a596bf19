//! `slipway deploy`: push, deploy, watch.

mod create;
mod list;
pub(super) mod push;
mod stop;
mod validate;
mod watch;

use super::{EXIT_CODES, Outcome, block_on};
use crate::aws::{Client, Connection, Settings};

/// Push, deploy, watch
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

/// The text of each is that of its `Args`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXIT_CODES)]
enum Command {
    Push(push::Args),
    #[command(after_help = EXIT_CODES)]
    Create(create::Args),
    #[command(after_help = EXIT_CODES)]
    Watch(watch::Args),
    List(list::Args),
    Stop(stop::Args),
    #[command(after_help = EXIT_CODES)]
    Validate(validate::Args),
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let client = || anyhow::Ok(Client::new(Settings::of_process(&args.connection)?)?);
    match args.command {
        Command::Push(args) => block_on(async { push::run(&client()?, &args).await }),
        Command::Create(args) => block_on(async { create::run(&client()?, args).await }),
        Command::Watch(args) => block_on(async { watch::begin(&client()?, &args.deployment_id).await }),
        Command::List(args) => block_on(async { list::run(&client()?, &args).await }),
        Command::Stop(args) => block_on(async { stop::run(&client()?, args).await }),
        Command::Validate(args) => validate::run(&args),
    }
}
