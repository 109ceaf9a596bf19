//! `slipway deploy validate` (AS-132).

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;
use slipway_appspec::Platform;

use super::Outcome;
use crate::bundle::{self, check};

/// Check the AppSpec file of a bundle, without any control plane
///
/// Prints every problem as FILE:LINE:COLUMN: SEVERITY: MESSAGE. Of a directory, checks appspec.yml and that everything
/// that it names is there; of a file, the file alone.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory of a bundle, or an AppSpec file
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// What the file is written for
    #[arg(long, value_enum, default_value_t = ComputePlatform::Server)]
    compute_platform: ComputePlatform,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ComputePlatform {
    Server,
    Lambda,
    Ecs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let unreadable = || format!("cannot read {}", args.path.display());
    let is_directory = std::fs::metadata(&args.path).with_context(unreadable)?.is_dir();
    let findings = match args.compute_platform {
        ComputePlatform::Server if is_directory => {
            check::bundle(&args.path, &bundle::collect(&args.path, false)?)
        }
        _ if is_directory => anyhow::bail!("{} is a directory; name the AppSpec file", args.path.display()),
        ComputePlatform::Server => check::file(&args.path, Platform::Server),
        ComputePlatform::Lambda => check::file(&args.path, Platform::Lambda),
        ComputePlatform::Ecs => check::file(&args.path, Platform::Ecs),
    }
    .with_context(unreadable)?;
    let mut out = std::io::stdout().lock();
    write!(out, "{findings}")?;
    let (errors, warnings) = findings.counts();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    writeln!(out, "{errors} error{}, {warnings} warning{}", plural(errors), plural(warnings))?;
    Ok(if findings.has_errors() { Outcome::No } else { Outcome::Done })
}
