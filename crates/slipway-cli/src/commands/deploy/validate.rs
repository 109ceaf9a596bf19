//! `slipway deploy validate` (AS-132, AS-135).

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;
use slipway_appspec::{Os, Platform};

use super::Outcome;
use crate::bundle::check;

/// Check the AppSpec file of a bundle, without any control plane
///
/// Of a directory or an archive (zip, tar, tgz), checks appspec.yml and that everything that it names is there and
/// would run; of another file, the file alone. Hosts read it with the same code. Prints every problem as
/// FILE:LINE:COLUMN: SEVERITY: MESSAGE, and what would be right on a line of its own.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory of a bundle, an archive, or an AppSpec file
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// What the file is written for
    #[arg(long, value_enum, default_value_t = ComputePlatform::Server)]
    compute_platform: ComputePlatform,
    /// Operating system of the hosts [default: the one that the file names]
    #[arg(long, value_enum)]
    os: Option<HostOs>,
    /// Print the file as hosts understand it: aliases resolved, defaults filled in
    #[arg(long)]
    print: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ComputePlatform {
    Server,
    Lambda,
    Ecs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HostOs {
    Linux,
    Windows,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let findings = check(args).with_context(|| format!("cannot read {}", args.path.display()))?;
    let mut out = std::io::stdout().lock();
    if let Some(understood) = findings.understood().filter(|_| args.print) {
        write!(out, "{understood}")?;
    }
    write!(out, "{findings}")?;
    let (errors, warnings) = findings.counts();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    writeln!(out, "{errors} error{}, {warnings} warning{}", plural(errors), plural(warnings))?;
    Ok(if findings.has_errors() { Outcome::No } else { Outcome::Done })
}

fn check(args: &Args) -> anyhow::Result<check::Findings> {
    let os = args.os.map(|os| match os {
        HostOs::Linux => Os::Linux,
        HostOs::Windows => Os::Windows,
    });
    let is_directory = std::fs::metadata(&args.path)?.is_dir();
    let platform = match args.compute_platform {
        _ if is_directory && args.compute_platform != ComputePlatform::Server => {
            anyhow::bail!("it is a directory; name the AppSpec file")
        }
        ComputePlatform::Server if is_directory => return Ok(check::directory(&args.path, os)?),
        ComputePlatform::Server => match check::archive_kind(&args.path)? {
            Some(kind) => return Ok(check::archive(&args.path, kind, os)?),
            None => Platform::Server,
        },
        ComputePlatform::Lambda => Platform::Lambda,
        ComputePlatform::Ecs => Platform::Ecs,
    };
    Ok(check::file(&args.path, platform, os)?)
}
