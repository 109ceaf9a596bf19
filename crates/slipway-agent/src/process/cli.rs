//! The words on the command line (AG-041).

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The exit code of a command line that makes no sense.
pub(super) const USAGE: u8 = 64;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Stop,
    Restart,
    Status,
    Run,
    /// `start` calls itself with this word.
    Daemon,
}

/// A command line that makes sense.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invocation {
    pub(super) action: Action,
    pub(super) config_file: Option<PathBuf>,
}

/// A command line, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Run(Invocation),
    Help,
    Version,
    Wrong(String),
}

/// Reads the words after the program's name; flags may stand anywhere.
pub(super) fn parse(arguments: &[OsString]) -> Parsed {
    let mut action = None;
    let mut config_file = None;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let (flag, value) = match text.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(OsString::from(value))),
            _ => (text.clone().into_owned(), None),
        };
        match flag.as_str() {
            "--config-file" | "--config_file" => match value.or_else(|| words.next().cloned()) {
                Some(path) if !path.is_empty() => config_file = Some(PathBuf::from(path)),
                _ => return Parsed::Wrong(format!("{flag} needs the path of a file")),
            },
            "help" | "--help" | "-h" => return Parsed::Help,
            "--version" => return Parsed::Version,
            _ if flag.starts_with('-') => return Parsed::Wrong(format!("Unknown option {flag}")),
            _ if action.is_some() => return Parsed::Wrong(format!("Unexpected argument '{text}'")),
            _ => match command(word) {
                Some(known) => action = Some(known),
                None => return Parsed::Wrong(format!("Unknown command '{text}'")),
            },
        }
    }
    match action {
        Some(action) => Parsed::Run(Invocation { action, config_file }),
        None => Parsed::Help,
    }
}

fn command(word: &OsStr) -> Option<Action> {
    match word.to_str()? {
        "start" => Some(Action::Start),
        "stop" => Some(Action::Stop),
        "restart" => Some(Action::Restart),
        "status" => Some(Action::Status),
        "run" => Some(Action::Run),
        "__daemon" => Some(Action::Daemon),
        _ => None,
    }
}

/// What `help` prints.
pub(super) fn help(program: &str) -> String {
    format!(
        "NAME
    {program} - the host agent of Slipway, in the place of the AWS CodeDeploy agent

SYNOPSIS
    {program} [--config-file FILE] COMMAND

COMMANDS
    start    start the agent in the background
    stop     stop it; refused while a deployment is in progress
    restart  stop it and start it again
    status   tell whether it runs: exit code 0 if it does, 3 if not
    run      run in the foreground, logging to standard error
    local    deploy to this machine without a control plane, as codedeploy-local;
             local --help tells more
    help     show this text

    register, deregister, uninstall, session; each tells more with --help

OPTIONS
    --config-file FILE  the configuration, also written --config_file=FILE
                        (default /etc/codedeploy-agent/conf/codedeployagent.yml if it
                        exists, else /opt/codedeploy-agent/conf/codedeployagent.yml)
    --version           show the program's version
"
    )
}

#[cfg(test)]
mod tests {
    use super::{Action, Invocation, Parsed, parse};
    use std::path::PathBuf;

    fn read(words: &[&str]) -> Parsed {
        parse(&words.iter().map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn the_configuration_file_may_be_named_in_all_documented_ways() {
        let expected = || {
            Parsed::Run(Invocation { action: Action::Start, config_file: Some(PathBuf::from("/a=b.yml")) })
        };
        assert_eq!(read(&["--config-file", "/a=b.yml", "start"]), expected());
        assert_eq!(read(&["--config-file=/a=b.yml", "start"]), expected());
        assert_eq!(read(&["--config_file=/a=b.yml", "start"]), expected(), "AG-041");
        assert_eq!(read(&["start", "--config_file", "/a=b.yml"]), expected());
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(read(&["fly"]), Parsed::Wrong("Unknown command 'fly'".to_owned()));
        assert_eq!(read(&["start", "stop"]), Parsed::Wrong("Unexpected argument 'stop'".to_owned()));
        assert!(matches!(read(&["start", "--config-file"]), Parsed::Wrong(_)));
        assert!(matches!(read(&["--frobnicate"]), Parsed::Wrong(_)));
        assert_eq!(read(&[]), Parsed::Help);
    }
}
