//! The command line and the service's life: start, stop, restart, status, run (AG-041..AG-045, AP-29).

mod cli;
mod daemon;
mod pid;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{Config, ConfigError, DEFAULT_CONFIG_FILES};
use crate::hooks::launcher;
use crate::local;
use crate::registration;

use cli::{Action, Invocation, Parsed};

/// The program: parses `arguments` (the first is the name it was called by) and does what they say.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_default();
    let name =
        Path::new(&name).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    if let [sub_command, user, script] = arguments.as_slice()
        && sub_command == launcher::LAUNCH
    {
        return ExitCode::from(launcher::launch(&user.to_string_lossy(), script));
    }
    if name == local::PROGRAM {
        return local::main(&arguments);
    }
    if let [word, rest @ ..] = arguments.as_slice()
        && word == "local"
    {
        return local::main(rest);
    }
    if let Some(code) = registration::command::run(&name, &arguments) {
        return code;
    }
    match cli::parse(&arguments) {
        Parsed::Help => {
            print!("{}", cli::help(&name));
            ExitCode::SUCCESS
        }
        Parsed::Version => {
            println!("{name} {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Parsed::Wrong(message) => {
            eprintln!("error: {message}; `{name} --help` lists what there is");
            ExitCode::from(cli::USAGE)
        }
        Parsed::Run(invocation) => run(&invocation),
    }
}

fn run(invocation: &Invocation) -> ExitCode {
    let config = match load(invocation.config_file.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match invocation.action {
        Action::Run => daemon::run(&config),
        Action::Daemon => daemon::run_daemon(&config),
        Action::Start => daemon::start(&config),
        Action::Stop => daemon::stop(&config),
        Action::Restart => daemon::restart(&config),
        Action::Status => daemon::status(&config),
    }
}

fn load(named: Option<&Path>) -> Result<Config, ConfigError> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => default_config_file(),
    };
    Config::load(&path)
}

/// AG-041: the second default is the one that an error names.
fn default_config_file() -> PathBuf {
    let [first, second] = DEFAULT_CONFIG_FILES.map(PathBuf::from);
    if first.exists() { first } else { second }
}
