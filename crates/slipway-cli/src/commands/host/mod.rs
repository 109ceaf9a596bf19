//! `slipway host`: on-premises hosts.

mod deregister;
pub(super) mod register;

use std::time::Duration;

use slipway_agent::api::{Api, Endpoints};
use slipway_agent::config::{CredentialSource, Keys as AgentKeys};
use slipway_agent::http::{HttpClient, Trust};
use slipway_agent::registration::check_name;

use super::{Outcome, block_on};
use crate::aws::settings::Service;
use crate::aws::{Client, Connection, Settings};

const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// Register and deregister on-premises hosts
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

/// The text of each is that of its `Args`.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Register(register::Args),
    Deregister(deregister::Args),
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let client = || anyhow::Ok(Client::new(Settings::of_process(&args.connection)?)?);
    match args.command {
        Command::Register(args) => block_on(async { register::run(&client()?, args).await }),
        Command::Deregister(args) => block_on(async { deregister::run(&client()?, &args).await }),
    }
}

/// The client of the registration, which is the agent's own: `slipway-agent register` does the same on a host.
pub(super) fn api(client: &Client) -> anyhow::Result<Api> {
    let settings = client.settings();
    let trust = Trust { bundle: settings.ca_bundle.clone(), system_too: false };
    let http = HttpClient::new(&trust, None, CALL_TIMEOUT)?;
    let keys = &settings.keys;
    let credentials = CredentialSource::fixed(AgentKeys {
        access_key_id: keys.id.clone(),
        secret_access_key: keys.secret.clone(),
        session_token: keys.token.clone(),
    });
    let endpoints = Endpoints {
        codedeploy: settings.endpoint(Service::CodeDeploy).to_owned(),
        iam: settings.endpoint(Service::Iam).to_owned(),
        // No session is opened from here.
        sts: settings.endpoint(Service::Iam).to_owned(),
    };
    Ok(Api::new(http, credentials, &settings.region, endpoints))
}

fn parse_name(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}
