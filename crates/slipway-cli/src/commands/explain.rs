//! `slipway explain`: a paragraph about an error code.

use std::io::Write as _;

use super::Outcome;
use crate::codes;

/// Explain an error code
///
/// Knows the codes of deployments (HEALTH_CONSTRAINTS), of lifecycle events (ScriptFailed) and of the APIs
/// (InvalidRoleException): what has happened, and what to do about it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The code; without one, all codes are listed
    code: Option<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    let Some(code) = &args.code else {
        for code in codes::all() {
            writeln!(out, "{code}")?;
        }
        return Ok(Outcome::Done);
    };
    match codes::explain(code) {
        Some((code, text)) => {
            writeln!(out, "{code}\n\n{text}")?;
            Ok(Outcome::Done)
        }
        None => anyhow::bail!("there is no code {code:?}; `slipway explain` lists all of them"),
    }
}
