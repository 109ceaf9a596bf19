//! What happens in the demo. Everything after the start of the programs goes through the public APIs.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use slipway_agent::registration::Method;
use slipway_wire::codedeploy::{
    CreateApplicationInput, CreateDeploymentGroupInput, CreateDeploymentInput, CreateDeploymentOutput,
    Operation, S3Location, Tag, TagFilter,
};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::process::{Process, Program};
use super::stage::{AGENT_PATIENCE, Stage};
use super::{Outcome, page};
use crate::aws::settings::keys_of_file;
use crate::aws::{Client, Settings, s3};
use crate::commands::deploy::push::Push;
use crate::commands::host::{api, register};
use crate::location::{S3Url, s3_revision};
use crate::{progress, sample};

const REGION: &str = "us-east-1";
const HOST: &str = "demo-host";
const APPLICATION: &str = "hello-web";
const GROUP: &str = "demo";
const BUCKET: &str = "demo-releases";
const KEY: &str = "hello-web.zip";
/// Keys are made on the first start, which takes a slow machine a while.
const START: Duration = Duration::from_mins(2);

/// Tells the story; whether the deployed application answered.
pub(super) async fn tell(stage: &mut Stage) -> anyhow::Result<Outcome> {
    let endpoint = start_server(stage).await?;
    let keys = keys_of_file(&stage.path("server/credentials"), "default")?;
    let client = Client::new(Settings::known(&endpoint, REGION, keys, stage.path("server/ca.pem")))?;
    say(&format!("1. The control plane serves at {endpoint}"))?;

    let account = start_host(stage, &client, &endpoint).await?;
    say(&format!("2. {HOST} is registered in account {account}, and its agent is running"))?;

    let port = free_port()?;
    let bundle = stage.path("bundle");
    let destination = stage.path("app");
    let destination = destination.to_str().context("the path of the directory is not UTF-8")?;
    sample::write(&bundle, destination, port)
        .with_context(|| format!("cannot write {}", bundle.display()))?;
    let location = push(&client, &bundle).await?;
    say(&format!("3. The sample application is pushed to s3://{BUCKET}/{KEY}"))?;

    create_group(&client, &account).await?;
    stage.deployed = true;
    let id = create_deployment(&client, location).await?;
    say(&format!("4. Deployment {id} of {APPLICATION} to group {GROUP}:\n"))?;
    let mut display = progress::display();
    let info = tokio::select! {
        info = progress::follow(&client, &id, &mut *display) => info?,
        error = stage.accident() => return Err(error),
    };
    if info.status.as_deref() != Some("Succeeded") {
        say("\nThe deployment did not succeed.")?;
        return Ok(Outcome::No);
    }
    ask(&format!("http://127.0.0.1:{port}/"), &id).await
}

/// Starts the control plane; its address.
async fn start_server(stage: &mut Stage) -> anyhow::Result<String> {
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let data = stage.path("server");
    let arguments = ["server", "--listen", "127.0.0.1:0", "--region", REGION, "--data-dir"].map(OsStr::new);
    let (process, stdout) = Process::spawn(Program {
        name: "the control plane",
        path: &program,
        arguments: &[&arguments[..], &[data.as_os_str()]].concat(),
        log: stage.path("server.log"),
        pipe: true,
    })?;
    stage.server = Some(process);
    let mut lines = BufReader::new(stdout.context("the control plane has no output")?).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await? {
            if let Some(endpoint) = line.strip_prefix("ready ") {
                return Ok(endpoint.to_owned());
            }
        }
        // It has closed its output; how it ended is told by `accident`.
        std::future::pending::<anyhow::Result<String>>().await
    };
    tokio::select! {
        ready = tokio::time::timeout(START, ready) => {
            ready.map_err(|_| anyhow::anyhow!("the control plane was not ready within {} s", START.as_secs()))?
        }
        error = stage.accident() => Err(error),
    }
}

/// Registers a host, writes its configuration, starts its agent; the account.
async fn start_host(stage: &mut Stage, client: &Client, endpoint: &str) -> anyhow::Result<String> {
    let directory = stage.path("agent");
    fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let on_premises = directory.join("codedeploy.onpremises.yml");
    let host = register::Host { name: HOST, tags: &[tag()] };
    let files = register::Files::at(&on_premises, &Method::NewUser)?;
    let identity = register::register(&api(client)?, &host, &Method::NewUser, Some(&files)).await?;
    let account = identity.arn().split(':').nth(4).unwrap_or_default().to_owned();

    let config = directory.join("codedeployagent.yml");
    fs::write(&config, agent_config(&directory, &stage.path("server"), endpoint)?)
        .with_context(|| format!("cannot write {}", config.display()))?;
    let (process, _) = Process::spawn(Program {
        name: "the agent",
        path: &agent_program()?,
        arguments: &[OsStr::new("--config-file"), config.as_os_str(), OsStr::new("run")],
        log: directory.join("output.log"),
        pipe: false,
    })?;
    stage.agent = Some(process);
    Ok(account)
}

/// The agent lies beside this program.
fn agent_program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let agent = own.with_file_name("slipway-agent");
    anyhow::ensure!(
        agent.is_file(),
        "there is no slipway-agent beside {}; in the repository, `make build` builds both",
        own.display()
    );
    Ok(agent)
}

/// Everything of this agent lies in `directory`, so that it disturbs no other agent of this machine.
fn agent_config(directory: &Path, server: &Path, endpoint: &str) -> anyhow::Result<String> {
    let path = |path: PathBuf| {
        let text = path.to_str().context("the path of the directory is not UTF-8")?;
        anyhow::Ok(format!("'{}'", text.replace('\'', "''")))
    };
    let settings = [
        ("root_dir", path(directory.join("deployment-root"))?),
        ("log_dir", path(directory.join("log"))?),
        ("pid_dir", path(directory.join("pid"))?),
        ("on_premises_config_file", path(directory.join("codedeploy.onpremises.yml"))?),
        ("deploy_control_endpoint", endpoint.to_owned()),
        ("s3_endpoint_override", endpoint.to_owned()),
        ("ca_bundle", path(server.join("ca.pem"))?),
        ("spec_signing_certificate", path(server.join("slipway-signing.pem"))?),
        ("wait_between_runs", "1".to_owned()),
        ("kill_agent_max_wait_time_seconds", AGENT_PATIENCE.as_secs().to_string()),
    ];
    let lines = settings.into_iter().map(|(key, value)| format!(":{key}: {value}\n"));
    Ok(std::iter::once("---\n".to_owned()).chain(lines).collect())
}

/// A port that is free now.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(listener.local_addr()?.port())
}

async fn push(client: &Client, bundle: &Path) -> anyhow::Result<S3Location> {
    let input = CreateApplicationInput { application_name: Some(APPLICATION.into()), ..Default::default() };
    let _: serde_json::Value = client.codedeploy(Operation::CreateApplication, &input).await?;
    s3::create_bucket(client, BUCKET).await?;
    let push = Push {
        application: APPLICATION,
        to: &S3Url { bucket: BUCKET.to_owned(), key: KEY.to_owned() },
        source: bundle,
        ignore_hidden: false,
        description: Some("The sample application of the demo".to_owned()),
    };
    push.run(client).await?.context("the sample application has errors")
}

async fn create_group(client: &Client, account: &str) -> anyhow::Result<()> {
    let Tag { key, value } = tag();
    let input = CreateDeploymentGroupInput {
        application_name: Some(APPLICATION.to_owned()),
        deployment_group_name: Some(GROUP.to_owned()),
        on_premises_instance_tag_filters: Some(vec![TagFilter {
            key,
            value,
            r#type: Some("KEY_AND_VALUE".to_owned()),
        }]),
        service_role_arn: Some(format!("arn:aws:iam::{account}:role/CodeDeployServiceRole")),
        ..CreateDeploymentGroupInput::default()
    };
    let _: serde_json::Value = client.codedeploy(Operation::CreateDeploymentGroup, &input).await?;
    Ok(())
}

async fn create_deployment(client: &Client, location: S3Location) -> anyhow::Result<String> {
    let input = CreateDeploymentInput {
        application_name: Some(APPLICATION.to_owned()),
        deployment_group_name: Some(GROUP.to_owned()),
        revision: Some(s3_revision(location)),
        description: Some("The first deployment of the demo".to_owned()),
        ..CreateDeploymentInput::default()
    };
    let output: CreateDeploymentOutput = client.codedeploy(Operation::CreateDeployment, &input).await?;
    output.deployment_id.context("the deployment has no id")
}

/// The proof: the application answers, and it is the one that was just deployed.
async fn ask(url: &str, deployment: &str) -> anyhow::Result<Outcome> {
    let answer = match page::get(url).await {
        Ok(answer) => answer,
        Err(error) => {
            say(&format!("\n5. The application does not answer: {error:#}"))?;
            return Ok(Outcome::No);
        }
    };
    say(&format!("\n5. The application answers at {url}:\n"))?;
    for line in page::words(&answer) {
        say(&format!("   | {line}"))?;
    }
    if answer.contains(sample::GREETING) && answer.contains(deployment) {
        return Ok(Outcome::Done);
    }
    say(&format!("\nThat is not what deployment {deployment} should say."))?;
    Ok(Outcome::No)
}

/// The tag that brings the host into the group.
fn tag() -> Tag {
    Tag { key: Some("Name".to_owned()), value: Some(HOST.to_owned()) }
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_keeps_to_its_directory_whatever_its_name() {
        let text =
            agent_config(Path::new("/tmp/it's # here"), Path::new("/s"), "https://127.0.0.1:1").unwrap();
        assert!(text.starts_with("---\n:root_dir: '/tmp/it''s # here/deployment-root'\n"), "{text}");
        assert!(text.contains(":ca_bundle: '/s/ca.pem'\n"));
        assert!(text.contains(":kill_agent_max_wait_time_seconds: 10\n"));
    }
}
