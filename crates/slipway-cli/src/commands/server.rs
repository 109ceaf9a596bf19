//! `slipway server`: flags to configuration, configuration to the control plane.
//!
//! Every key of the configuration is a flag; the table of keys in `slipway_server::config` is the one place that names
//! them.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command};
use slipway_server::config::{Config, Sources, keys};

use super::Outcome;

/// The flags.
#[derive(Debug, Default)]
pub(super) struct Args {
    config: Option<PathBuf>,
    print_config: bool,
    flags: Vec<(String, String)>,
}

const ABOUT: &str = "Run the control plane";
const LONG_ABOUT: &str = "\
Run the control plane

Runs in the foreground and logs to stderr. When it serves, it prints one line `ready https://HOST:PORT` to stdout. \
The first start writes `env`, `credentials` and `ca.pem` into the data directory: \
`. DIR/env && aws deploy list-applications` works at once. SIGTERM stops it: requests are finished, nothing \
acknowledged is lost.

Every setting can be given as a flag, as a SLIPWAY_* variable or as a key of the TOML file, in this order of precedence.";

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        let command = command
            .about(ABOUT)
            .long_about(LONG_ABOUT)
            .arg(
                Arg::new("config")
                    .long("config")
                    .value_name("FILE")
                    .value_parser(clap::value_parser!(PathBuf))
                    .env("SLIPWAY_CONFIG")
                    .help("TOML file with settings"),
            )
            .arg(
                Arg::new("print_config")
                    .long("print-config")
                    .action(ArgAction::SetTrue)
                    .help("Print every setting and where it comes from, then exit"),
            );
        keys().into_iter().fold(command, |command, key| {
            let default = if key.default.is_empty() { "none" } else { &key.default };
            let help = format!("{} [default: {default}] [env: {}]", capitalised(key.help), key.variable());
            command.arg(
                Arg::new(key.name.clone())
                    .long(key.name.replace('_', "-"))
                    .value_name("VALUE")
                    .hide_short_help(key.name.starts_with("quotas."))
                    .help(help),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.config = matches.get_one::<PathBuf>("config").cloned();
        self.print_config = matches.get_flag("print_config");
        self.flags = keys()
            .into_iter()
            .filter_map(|key| Some((key.name.clone(), matches.get_one::<String>(&key.name)?.clone())))
            .collect();
        Ok(())
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let sources = Sources {
        file: args.config.clone(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        flags: args.flags.clone(),
    };
    let config = Config::load(&sources)?;
    if args.print_config {
        std::io::stdout().write_all(config.print().as_bytes())?;
        return Ok(Outcome::Done);
    }
    slipway_server::logging::init(&config)?;
    let ready = |address: &str| {
        let mut out = std::io::stdout().lock();
        // Whoever started us may have closed the pipe already; that is no reason not to serve.
        let _ = writeln!(out, "ready {address}").and_then(|()| out.flush());
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(slipway_server::start::run(config, ready))?;
    Ok(Outcome::Done)
}
