//! `slipway env`: the shell exports that the control plane wrote on its first start.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;

use super::Outcome;

/// Print what a shell needs to talk to a control plane on this machine
///
/// Prints the file `env` that `slipway server` keeps in its data directory: address, certificate authority, credentials
/// and region, as shell exports that every AWS client understands. Use it as `eval "$(slipway env --data-dir DIR)"`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data directory of the control plane
    #[arg(long, value_name = "DIR", env = "SLIPWAY_DATA_DIR")]
    data_dir: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let path = args.data_dir.join("env");
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "cannot read {}: has `slipway server --data-dir {}` been started?",
            path.display(),
            args.data_dir.display()
        )
    })?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Outcome::Done)
}
