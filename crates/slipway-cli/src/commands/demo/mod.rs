//! `slipway demo`: a control plane, a host and a deployment in a scratch directory.
//!
//! * [`story`]: what happens, step by step, through the public APIs only.
//! * [`stage`]: what runs meanwhile, and how all of it is stopped again, whatever has happened.
//! * [`process`]: one program that runs in the background.
//! * [`page`]: asking the deployed application.

mod page;
mod process;
mod stage;
mod story;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{EXIT_CODES, Outcome, block_on};
use stage::Stage;

/// Show it all: a control plane, a host and a deployment, in a scratch directory
///
/// Starts a control plane and a host agent, registers the host, pushes the sample application hello-web and deploys it,
/// all through the public API. Shows the deployment live, checks that the application answers, then stops everything
/// and removes the directory. Needs no privileges, no network and no ports of its own choosing; the sample needs
/// Python 3.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Args {
    /// Keep the directory: data of the control plane, files and logs of the host
    #[arg(long)]
    keep: bool,
    /// Make and use this directory instead of a scratch directory; implies --keep
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    block_on(demo(args))
}

async fn demo(args: &Args) -> anyhow::Result<Outcome> {
    let mut signals = Signals::new()?;
    let directory = Directory::create(args)?;
    writeln!(io::stdout(), "Slipway demo in {}\n", directory.path.display())?;
    let mut stage = Stage::new(&directory.path);
    let result = tokio::select! {
        result = story::tell(&mut stage) => {
            if result.is_err() {
                stage.show_logs()?;
            }
            result
        }
        name = signals.next() => Err(anyhow::anyhow!("stopped by {name}")),
    };
    // Ctrl-C once more would leave processes behind: from here on signals wait.
    let stopped = stage.strike().await;
    if result.is_ok() {
        writeln!(io::stdout(), "\nThe application, the agent and the control plane are stopped.")?;
    }
    directory.leave(args)?;
    stopped?;
    result
}

/// Where everything of the demo lies.
struct Directory {
    path: PathBuf,
    scratch: Option<tempfile::TempDir>,
}

impl Directory {
    fn create(args: &Args) -> anyhow::Result<Self> {
        if let Some(path) = &args.data_dir {
            let path = std::path::absolute(path)?;
            make_private(&path).with_context(|| format!("cannot make {}", path.display()))?;
            anyhow::ensure!(
                fs::read_dir(&path)?.next().is_none(),
                "{} is not empty; the demo needs a directory of its own",
                path.display()
            );
            return Ok(Self { path, scratch: None });
        }
        let scratch = tempfile::Builder::new()
            .prefix("slipway-demo-")
            .tempdir()
            .with_context(|| format!("cannot make a directory in {}", std::env::temp_dir().display()))?;
        Ok(Self { path: scratch.path().to_owned(), scratch: Some(scratch) })
    }

    fn leave(self, args: &Args) -> anyhow::Result<()> {
        match self.scratch {
            Some(scratch) if !args.keep => {
                scratch.close().with_context(|| format!("cannot remove {}", self.path.display()))
            }
            scratch => {
                if let Some(scratch) = scratch {
                    let _ = scratch.keep();
                }
                tell_what_is_kept(&self.path).map_err(Into::into)
            }
        }
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn tell_what_is_kept(path: &Path) -> io::Result<()> {
    let path = path.display();
    writeln!(
        io::stdout(),
        "\nKept in {path}:\n\
         \x20 server/           data of the control plane; `slipway server --data-dir {path}/server` starts it again\n\
         \x20 server.log        its log\n\
         \x20 agent/            configuration, revisions and logs of the host's agent\n\
         \x20 bundle/, app/     the pushed bundle, and what the deployment made of it"
    )
}

/// The signals that end the demo early.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
