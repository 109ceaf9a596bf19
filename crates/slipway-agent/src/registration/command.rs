//! `slipway-agent register`, `deregister`, `uninstall` and `session`.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::options::{Action, Options, parse};
use super::place::{Contents, Pins, Place};
use super::{Identity, Method, RegistrationError, Undo, add_tags, check_name, check_user_arn, enroll};
use super::{registered, service, withdraw};
use crate::api::{Api, Endpoints};
use crate::config::{Config, CredentialSource, DEFAULT_CONFIG_FILES, HostIdentity, SESSION};
use crate::http::{HttpClient, Trust};
use crate::identity::variable;
use crate::session::{assume_role, write_credentials};
use crate::sys::files::is_root;

/// The exit code of a command line that makes no sense.
const USAGE: u8 = 64;
const TIMEOUT: Duration = Duration::from_mins(1);
/// New users and policies take a moment at AWS until they are known everywhere.
const SETTLING: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

const HELP: &str = "\
  register    make this machine a host of a control plane
    --name NAME                 of the host (default: the machine's name)
    --tags Key=K,Value=V ...    at most 10
    --session                   sessions of a role instead of a key that does not end
    --role-arn ARN              the role (default: CodeDeployInstanceRole, made if it is not there)
    --iam-user-arn ARN          register under this user; its keys are yours to put on the host
    --signing-certificate FILE  the control plane's slipway-signing.pem (default: beside the CA bundle)
    --override-config           replace the identity that this machine has
    --no-start                  do not start the service

  deregister  take this host out of the control plane again, with its IAM user
    --name NAME                 (default: as it is registered)
    --no-delete-iam-user        keep the user

  uninstall   stop the agent, remove its package and this host's identity file

  session     open a session of a role once, and write its keys to a file
    --role-arn ARN --file FILE [--session-name-override NAME] [--duration SECONDS] [--print-session-arn]

  All of them: --config-file FILE. Those that call the control plane, with the credentials that any AWS client would use:
    --endpoint-url URL (AWS_ENDPOINT_URL), --region NAME (AWS_REGION), --profile NAME (AWS_PROFILE),
    --ca-bundle FILE (AWS_CA_BUNDLE)
";

/// What these commands are, for the program's help.
pub fn help() -> &'static str {
    HELP
}

/// Carries out one of these commands; `None`: the command line is for somebody else.
pub fn run(program: &str, arguments: &[OsString]) -> Option<ExitCode> {
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (action, rest) = match words.first().map(String::as_str) {
        _ if program == "get_sts_creds" => (Action::Session, &words[..]),
        Some("register") => (Action::Register, &words[1..]),
        Some("deregister") => (Action::Deregister, &words[1..]),
        Some("uninstall") => (Action::Uninstall, &words[1..]),
        Some("session") => (Action::Session, &words[1..]),
        _ => return None,
    };
    let options = match parse(action, rest) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return Some(ExitCode::SUCCESS);
        }
        Err(message) => {
            eprintln!("error: {message}");
            return Some(ExitCode::from(USAGE));
        }
    };
    Some(match carry_out(action, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    })
}

fn carry_out(action: Action, options: &Options) -> Result<(), RegistrationError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RegistrationError::Refused(format!("the runtime cannot be started: {error}")))?;
    match action {
        Action::Register => runtime.block_on(register(options)),
        Action::Deregister => runtime.block_on(deregister(options)),
        Action::Uninstall => uninstall(options),
        Action::Session => runtime.block_on(session(options)),
    }
}

/// The machine, as far as these commands are concerned.
struct Machine {
    place: Place,
    /// What is configured, if the file is there.
    config: Option<Config>,
}

impl Machine {
    fn find(options: &Options) -> Result<Self, RegistrationError> {
        let [usual, other] = DEFAULT_CONFIG_FILES.map(PathBuf::from);
        let config_file = match &options.config_file {
            Some(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
            None if !usual.exists() && other.exists() => other,
            None => usual,
        };
        let config = if config_file.exists() {
            Some(Config::load(&config_file).map_err(|error| RegistrationError::Refused(error.to_string()))?)
        } else {
            None
        };
        let on_premises = match (&config, &options.config_file) {
            (Some(config), _) => config.on_premises_config_file.clone(),
            // A configuration of its own has an identity of its own.
            (None, Some(_)) => config_file.with_file_name("codedeploy.onpremises.yml"),
            (None, None) => PathBuf::from(crate::config::HostIdentity::DEFAULT_FILE),
        };
        Ok(Self { place: Place { config: config_file, on_premises }, config })
    }

    /// The identity that the machine has.
    fn identity(&self) -> Result<Option<HostIdentity>, RegistrationError> {
        HostIdentity::load(&self.place.on_premises)
            .map_err(|error| RegistrationError::Refused(error.to_string()))
    }
}

/// AG-193. A configuration of one's own may be one's own business.
fn check_rights(options: &Options) -> Result<(), RegistrationError> {
    if is_root() || options.config_file.is_some() {
        return Ok(());
    }
    Err(RegistrationError::Refused("You must run this command as root.".to_owned()))
}

/// How the control plane is reached.
struct Connection {
    api: Api,
    /// The control plane's address; `None`: AWS.
    endpoint: Option<String>,
    trust: Trust,
}

impl Connection {
    fn find(options: &Options, machine: Option<&Machine>) -> Result<Self, RegistrationError> {
        let refused = |error: &dyn std::fmt::Display| RegistrationError::Refused(error.to_string());
        let config = machine.and_then(|machine| machine.config.as_ref());
        let region = options
            .region
            .clone()
            .or_else(|| variable("AWS_REGION"))
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .ok_or_else(|| RegistrationError::Input("Region not specified.".to_owned()))?;
        let endpoint = options
            .endpoint_url
            .clone()
            .or_else(|| variable("AWS_ENDPOINT_URL"))
            .or_else(|| config.and_then(|config| config.deploy_control_endpoint.clone()))
            .filter(|endpoint| !crate::download::is_aws(endpoint))
            .map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        let configured = options.ca_bundle.clone();
        let trust = Trust::resolve(configured.as_deref().or_else(|| config?.ca_bundle.as_deref()));
        let proxy = config.and_then(|config| config.proxy_uri.clone());
        let http = HttpClient::new(&trust, proxy.as_deref(), TIMEOUT).map_err(|error| refused(&error))?;
        let profile = options.profile.clone();
        let credentials = CredentialSource::usual(
            &|name| match (&profile, name) {
                // A profile that is named on the command line beats keys in the environment.
                (Some(profile), "AWS_PROFILE") => Some(profile.clone()),
                (Some(_), "AWS_ACCESS_KEY_ID") => None,
                _ => variable(name),
            },
            None,
        );
        let endpoints = endpoint.as_deref().map_or_else(|| Endpoints::aws(&region), Endpoints::one);
        Ok(Self { api: Api::new(http, credentials, &region, endpoints), endpoint, trust })
    }

    /// The roots and the signing certificate to pin.
    fn pins(&self, options: &Options) -> Result<Pins, RegistrationError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| RegistrationError::File { path: path.to_owned(), error })
        };
        let ca = self.trust.bundle.as_deref().map(read).transpose()?;
        let beside = || {
            let path = self.trust.bundle.as_deref()?.with_file_name("slipway-signing.pem");
            path.is_file().then_some(path)
        };
        let signer = options.signing_certificate.clone().or_else(beside);
        Ok(Pins { ca, signing_certificate: signer.as_deref().map(read).transpose()? })
    }
}

async fn register(options: &Options) -> Result<(), RegistrationError> {
    let machine = Machine::find(options)?;
    check_rights(options)?;
    let connection = Connection::find(options, Some(&machine))?;
    let api = &connection.api;
    let name = match &options.name {
        Some(name) => name.clone(),
        None => host_name(),
    };
    check_name(&name)?;
    options.iam_user_arn.as_deref().map(check_user_arn).transpose()?;
    let pins = connection.pins(options)?;
    if connection.endpoint.is_some() && pins.signing_certificate.is_none() {
        say("There is no slipway-signing.pem: the agent will trust the first signer that it sees.")?;
    }
    machine.place.probe()?;

    if let Some(known) = machine.identity()?.filter(|_| !options.override_config) {
        return register_again(options, &machine, &connection, &name, &known).await;
    }
    let method = match (&options.iam_user_arn, options.session || options.role_arn.is_some()) {
        (Some(arn), _) => Method::User(arn.clone()),
        (None, true) => Method::Session(options.role_arn.clone()),
        (None, false) => Method::NewUser,
    };
    let mut undo = Undo::default();
    let made = make(options, &machine, &connection, &name, &method, &pins, &mut undo).await;
    let identity = match made {
        Ok(identity) => identity,
        Err(error) => {
            for left in undo.run(api).await {
                eprintln!("error: {left}");
            }
            return Err(error);
        }
    };
    say(&format!("Registered {name} as {}.", identity.arn()))?;
    let Place { config, on_premises } = &machine.place;
    if matches!(method, Method::User(_)) {
        // AG-189, A-26.
        say(&format!("Write {} yourself: the key of that user is not known here.", on_premises.display()))?;
    } else {
        say(&format!("Wrote {} and {}.", on_premises.display(), config.display()))?;
    }
    start(options)
}

/// The identity, then the files. `undo` knows what was made elsewhere; the files take themselves back.
async fn make(
    options: &Options,
    machine: &Machine,
    connection: &Connection,
    name: &str,
    method: &Method,
    pins: &Pins,
    undo: &mut Undo,
) -> Result<Identity, RegistrationError> {
    let identity = enroll(&connection.api, name, method, &options.tags, undo).await?;
    if let Identity::Session { role_arn, source, .. } = &identity {
        try_session(connection, role_arn, source.clone(), name).await?;
    }
    machine.place.write(&Contents {
        identity: &identity,
        region: connection.api.region(),
        endpoint: connection.endpoint.as_deref(),
        pins,
    })?;
    Ok(identity)
}

/// The host has an identity: if it is the one that is asked for, what may be missing is made up for.
async fn register_again(
    options: &Options,
    machine: &Machine,
    connection: &Connection,
    name: &str,
    known: &HostIdentity,
) -> Result<(), RegistrationError> {
    let arn = known.host_identifier.as_str();
    let found = registered(&connection.api, name).await?.filter(|found| !found.deregistered);
    let same =
        found.is_some_and(|found| [found.user_arn, found.session_arn].iter().flatten().any(|a| a == arn));
    if !same {
        return Err(RegistrationError::Refused(format!(
            "this machine has an identity already: {arn} in {}. Run `slipway-agent deregister` first, or give --override-config",
            machine.place.on_premises.display()
        )));
    }
    add_tags(&connection.api, name, &options.tags).await?;
    say(&format!("{name} is registered as {arn} already."))?;
    start(options)
}

/// Proves that the host will be able to open its sessions, before anything is written here.
async fn try_session(
    connection: &Connection,
    role_arn: &str,
    keys: crate::config::Keys,
    name: &str,
) -> Result<(), RegistrationError> {
    let api = connection.api.clone().signing_with(CredentialSource::fixed(keys));
    let mut pauses = SETTLING.into_iter();
    loop {
        let Err(error) = assume_role(&api, role_arn, name, SESSION).await else { return Ok(()) };
        // Only AWS takes its time; everybody else has said no.
        let pause = pauses.next().filter(|_| connection.endpoint.is_none());
        let Some(pause) = pause else { return Err(error.into()) };
        tokio::time::sleep(pause).await;
    }
}

fn start(options: &Options) -> Result<(), RegistrationError> {
    if options.no_start {
        return Ok(());
    }
    if !service::is_managed() {
        return say("systemd does not manage the agent here: start it with `slipway-agent start`.");
    }
    service::start().map_err(|error| {
        RegistrationError::Refused(format!("the host is registered, but its service does not start: {error}"))
    })?;
    say("The agent runs.")
}

async fn deregister(options: &Options) -> Result<(), RegistrationError> {
    let machine = Machine::find(options)?;
    check_rights(options)?;
    let known = machine.identity()?;
    let name = match (&options.name, &known) {
        (Some(name), _) => name.clone(),
        // The user or the session has the host's name.
        (None, Some(host)) => {
            host.host_identifier.rsplit('/').next().unwrap_or(&host.host_identifier).to_owned()
        }
        (None, None) => {
            return Err(RegistrationError::Refused(format!(
                "{} names no identity; say --name NAME",
                machine.place.on_premises.display()
            )));
        }
    };
    check_name(&name)?;
    let connection = Connection::find(options, Some(&machine))?;
    let withdrawn = withdraw(&connection.api, &name, !options.no_delete_iam_user).await?;
    say(&format!("Deregistered {name}."))?;
    if let Some((user, was_there)) = withdrawn.user {
        let words = if was_there { "Deleted the IAM user" } else { "There is no IAM user" };
        say(&format!("{words} {user}."))?;
    }
    let named = known.is_some_and(|host| host.host_identifier.ends_with(&format!("/{name}")));
    if named {
        if service::is_managed() {
            service::stop().map_err(|error| {
                RegistrationError::Refused(format!("the agent could not be stopped: {error}"))
            })?;
        }
        machine.place.forget()?;
        say(&format!("Removed {}.", machine.place.on_premises.display()))?;
    }
    Ok(())
}

/// AG-197: the package goes only when the agent has stopped.
fn uninstall(options: &Options) -> Result<(), RegistrationError> {
    let machine = Machine::find(options)?;
    check_rights(options)?;
    let refused = |error: String| RegistrationError::Refused(error);
    if service::is_managed() {
        service::stop().map_err(refused)?;
    }
    if options.config_file.is_none() && service::remove_package().map_err(refused)? {
        say("Removed the package codedeploy-agent.")?;
    }
    machine.place.forget()?;
    say(&format!(
        "Removed {}. The host is still registered: `slipway host deregister` takes it out.",
        machine.place.on_premises.display()
    ))
}

/// AG-173.
async fn session(options: &Options) -> Result<(), RegistrationError> {
    let (Some(role_arn), Some(file)) = (&options.role_arn, &options.file) else { return Ok(()) };
    let connection = Connection::find(options, None)?;
    let name = options.name.clone().unwrap_or_else(host_name);
    let duration = options.duration.unwrap_or(SESSION);
    let session = assume_role(&connection.api, role_arn, &name, duration).await?;
    write_credentials(file, &session.keys)
        .map_err(|error| RegistrationError::File { path: file.clone(), error })?;
    if options.print_session_arn {
        say(&session.arn)?;
    }
    Ok(())
}

/// The machine's name, without its domain.
fn host_name() -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn say(text: &str) -> Result<(), RegistrationError> {
    writeln!(io::stdout(), "{text}")
        .map_err(|error| RegistrationError::File { path: PathBuf::from("standard output"), error })
}
