//! `slipway admin`: work on the data directory itself.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;
use slipway_model::AccountId;
use slipway_server::audit::search::{self, Query};
use slipway_server::clock::{Clock as _, SystemClock};
use slipway_server::config::{Config, Sources};
use slipway_server::start::{add_account, rotate_key};

use super::Outcome;
use crate::clock;

/// Look after a control plane's data directory
///
/// Works on the files of the control plane, so it runs on its machine and as its user.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Audit(Audit),
    RotateKey(RotateKey),
    AddAccount(AddAccount),
}

/// Where the data directory is, told as for `slipway server`.
#[derive(Debug, clap::Args)]
struct Place {
    /// The control plane's data directory
    #[arg(long, value_name = "DIR", env = "SLIPWAY_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The control plane's configuration file
    #[arg(long, value_name = "FILE", env = "SLIPWAY_CONFIG")]
    config: Option<PathBuf>,
}

/// Search the audit trail
///
/// Prints the calls of CodeDeploy, IAM and STS that fit, oldest first, one line each: time, operation, caller, source,
/// error, request id. The server may be running. Exit code 1: nothing was found, or --verify found something wrong.
#[derive(Debug, clap::Args)]
struct Audit {
    #[command(flatten)]
    place: Place,
    /// At or after this time: 2026-11-21, 2026-11-21T07:05:01Z, or how long ago: 30m, 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<String>,
    /// Only this operation; Create* is all that begin so
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Only this caller: a user's name, or a part of the caller's ARN
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only this request
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only calls that were refused
    #[arg(long)]
    failed: bool,
    /// Print the records as they are, one JSON object on each line
    #[arg(long)]
    json: bool,
    /// Check instead that no sealed file was changed, removed or added
    #[arg(long)]
    verify: bool,
}

/// Replace the master key
///
/// Makes a new master key and seals every secret in the database with it. The server must be stopped. Access keys stay
/// as they are; sessions of roles and users end. When it is cut off, run it again: it goes on where it ended, and until
/// then the server works with both keys. Backups of before need the key of before.
#[derive(Debug, clap::Args)]
struct RotateKey {
    #[command(flatten)]
    place: Place,
}

/// Add an account
///
/// Makes a user `admin` with an access key and all permissions, and the role CodeDeployServiceRole, in an account of its
/// own: nothing of one account shows in another. Prints the key as a profile of an AWS credentials file. The server must
/// be stopped. Who works in several accounts assumes roles across them.
#[derive(Debug, clap::Args)]
struct AddAccount {
    /// The account: 12 digits
    #[arg(value_parser = |text: &str| AccountId::new(text))]
    account: AccountId,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::Audit(audit) => search_audit(audit),
        Command::RotateKey(rotate) => rotate_master_key(rotate),
        Command::AddAccount(add) => add_new_account(add),
    }
}

impl Place {
    fn config(&self) -> anyhow::Result<Config> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let flags = match &self.data_dir {
            Some(dir) => {
                let dir = dir.to_str().context("the data directory's name is not UTF-8")?;
                vec![("data_dir".to_owned(), dir.to_owned())]
            }
            None => Vec::new(),
        };
        Ok(Config::load(&Sources { file: self.config.clone(), environment, flags })?)
    }
}

fn search_audit(args: &Audit) -> anyhow::Result<Outcome> {
    let data_dir = args.place.config()?.data_dir;
    let mut out = std::io::stdout().lock();
    if args.verify {
        let problems = search::verify(&data_dir)?;
        for problem in &problems {
            writeln!(out, "{problem}")?;
        }
        return Ok(if problems.is_empty() { Outcome::Done } else { Outcome::No });
    }
    let query = Query {
        since: args.since.clone(),
        until: args.until.clone(),
        event: args.event.clone(),
        user: args.user.clone(),
        request_id: args.request_id.clone(),
        failed: args.failed,
    };
    let mut found = false;
    let mut written = Ok(());
    search::search(&data_dir, &query, |record| {
        found = true;
        written = if args.json { writeln!(out, "{record}") } else { writeln!(out, "{}", line(&record)) };
        written.is_ok()
    })?;
    written?;
    Ok(if found { Outcome::Done } else { Outcome::No })
}

fn line(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or("-");
    format!(
        "{}  {}  {}  {}  {}  {}",
        text("eventTime"),
        text("eventName"),
        record["userIdentity"]["arn"].as_str().unwrap_or("-"),
        text("sourceIPAddress"),
        text("errorCode"),
        text("requestID"),
    )
}

fn rotate_master_key(args: &RotateKey) -> anyhow::Result<Outcome> {
    let config = args.place.config()?;
    let sealed = super::block_on(async { Ok(rotate_key(&config).await?) })?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "The master key is new; {sealed} access keys are sealed with it. Sessions of before have ended."
    )?;
    Ok(Outcome::Done)
}

fn add_new_account(args: &AddAccount) -> anyhow::Result<Outcome> {
    let config = args.place.config()?;
    let now = SystemClock.now();
    let made = super::block_on(async { Ok(add_account(&config, &args.account, now).await?) })?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "[{}]\naws_access_key_id = {}\naws_secret_access_key = {}",
        args.account,
        made.access_key_id,
        made.secret.expose()
    )?;
    Ok(Outcome::Done)
}

/// A time in the form of the records.
fn time(text: &str) -> Result<String, String> {
    const FORM: &str = "%Y-%m-%dT%H:%M:%SZ";
    let wrong = || format!("{text:?} is no time; write 2026-11-21, 2026-11-21T07:05:01Z, 30m, 12h or 7d");
    let ago = |unit: i64| {
        let number: i64 = text[..text.len() - 1].parse().ok().filter(|n| *n >= 0)?;
        let now = jiff::Timestamp::try_from(clock::now()).ok()?.as_second();
        jiff::Timestamp::from_second(now.checked_sub(number.checked_mul(unit)?)?).ok()
    };
    let at = match text.as_bytes().last() {
        Some(b'm') => ago(60),
        Some(b'h') => ago(3600),
        Some(b'd') => ago(86_400),
        _ => text.parse().ok().or_else(|| {
            let day: jiff::civil::Date = text.parse().ok()?;
            Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        }),
    };
    Ok(at.ok_or_else(wrong)?.strftime(FORM).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_days_instants_or_ages() {
        assert_eq!(time("2026-11-21").unwrap(), "2026-11-21T00:00:00Z");
        assert_eq!(time("2026-11-21T08:00:00+01:00").unwrap(), "2026-11-21T07:00:00Z");
        assert!(time("7d").unwrap() < time("12h").unwrap() && time("12h").unwrap() < time("30m").unwrap());
        for wrong in ["", "m", "yesterday", "-5m", "99999999999999999d", "ä"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_line_has_what_people_look_for() {
        let record = json!({"eventTime": "t", "eventName": "CreateUser", "requestID": "id",
            "userIdentity": {"arn": "arn:aws:iam::000000000001:user/admin"}, "sourceIPAddress": "127.0.0.1"});
        assert_eq!(line(&record), "t  CreateUser  arn:aws:iam::000000000001:user/admin  127.0.0.1  -  id");
    }
}
