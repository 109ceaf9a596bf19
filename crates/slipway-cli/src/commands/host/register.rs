//! `slipway host register` (AG-160, AG-187..AG-191).

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use slipway_agent::api::Api;
use slipway_agent::registration::{Identity, Method, SessionFiles, Undo, check_user_arn, enroll};
use slipway_wire::codedeploy::Tag;

use super::{Outcome, api, parse_name};
use crate::aws::Client;
use crate::location::parse_tag;

/// Where the files belong on the host.
const ON_THE_HOST: &str = "/etc/codedeploy-agent/conf";

/// Register a host and write its configuration
///
/// Does what `aws deploy register` does, but fails when it fails: makes an IAM user for the host with an access key and
/// the permission to read bundles, registers the host, tags it, and writes codedeploy.onpremises.yml (mode 0600), which
/// belongs to /etc/codedeploy-agent/conf on the host. With --session the host signs with sessions of a role that its
/// agent opens again and again; the key for that is in a second file and can do nothing else. On the host itself,
/// `slipway-agent register` does all of it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the host
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,
    /// Tags of the host, at most 10: Key=K,Value=V
    #[arg(long, value_name = "TAG", num_args = 1.., value_parser = parse_tag)]
    tags: Vec<Tag>,
    /// Register the host under this existing IAM user; no user is made and no file is written
    #[arg(long, value_name = "ARN", value_parser = parse_user_arn, conflicts_with_all = ["output", "session", "role_arn"])]
    iam_user_arn: Option<String>,
    /// Sessions of a role instead of a key that does not end
    #[arg(long)]
    session: bool,
    /// The role of the sessions [default: CodeDeployInstanceRole, made if it is not there]
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// Where the configuration of the host is written; must not exist
    #[arg(long, value_name = "FILE", default_value = "codedeploy.onpremises.yml")]
    output: PathBuf,
}

pub(super) async fn run(client: &Client, args: Args) -> anyhow::Result<Outcome> {
    let api = api(client)?;
    let method = match (args.iam_user_arn, args.session || args.role_arn.is_some()) {
        (Some(arn), _) => Method::User(arn),
        (None, true) => Method::Session(args.role_arn),
        (None, false) => Method::NewUser,
    };
    let host = Host { name: &args.name, tags: &args.tags };
    let files = match &method {
        Method::User(_) => None,
        Method::NewUser | Method::Session(_) => Some(Files::at(&args.output, &method)?),
    };
    let identity = register(&api, &host, &method, files.as_ref()).await?;
    let mut out = io::stdout().lock();
    writeln!(out, "Registered {} as {}.", args.name, identity.arn())?;
    if let Some(files) = files {
        let names: Vec<String> = files.names().map(|path| path.display().to_string()).collect();
        writeln!(
            out,
            "Wrote {}: copy {} to {ON_THE_HOST} on the host and start the agent there.",
            names.join(" and "),
            if names.len() == 1 { "it" } else { "them" }
        )?;
    }
    Ok(Outcome::Done)
}

/// A host to be.
pub(in crate::commands) struct Host<'a> {
    pub(in crate::commands) name: &'a str,
    pub(in crate::commands) tags: &'a [Tag],
}

/// The files that a registration writes here.
pub(in crate::commands) struct Files {
    on_premises: PathBuf,
    source: Option<PathBuf>,
}

impl Files {
    /// Neither may exist: it may hold the key of a host.
    pub(in crate::commands) fn at(output: &Path, method: &Method) -> anyhow::Result<Self> {
        let directory = output.parent().unwrap_or(Path::new(""));
        let source =
            matches!(method, Method::Session(_)).then(|| SessionFiles::in_directory(directory).source);
        let files = Self { on_premises: output.to_owned(), source };
        for path in files.names() {
            anyhow::ensure!(
                !path.exists(),
                "{} exists already and may hold the key of a host; name another file with --output",
                path.display()
            );
        }
        Ok(files)
    }

    fn names(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.on_premises).chain(&self.source)
    }

    fn write(&self, identity: &Identity, region: &str) -> anyhow::Result<()> {
        let on_the_host = SessionFiles::in_directory(Path::new(ON_THE_HOST));
        let texts = [
            (Some(&self.on_premises), identity.on_premises_file(region, &on_the_host)),
            (self.source.as_ref(), identity.source_file()),
        ];
        for (path, text) in texts {
            if let (Some(path), Some(text)) = (path, text) {
                write_secret(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// Makes a host's identity, registers it and writes its files. What was made is removed again when a later step fails.
pub(in crate::commands) async fn register(
    api: &Api,
    host: &Host<'_>,
    method: &Method,
    files: Option<&Files>,
) -> anyhow::Result<Identity> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let tags: Vec<_> = host.tags.iter().map(|tag| (text(&tag.key), text(&tag.value))).collect();
    let mut undo = Undo::default();
    let result = async {
        let identity = enroll(api, host.name, method, &tags, &mut undo).await?;
        if let Some(files) = files {
            files.write(&identity, api.region())?;
        }
        anyhow::Ok(identity)
    }
    .await;
    if result.is_err() {
        for path in files.into_iter().flat_map(Files::names) {
            // Neither was there before.
            let _ = fs::remove_file(path);
        }
        for left in undo.run(api).await {
            writeln!(io::stderr(), "{left}")?;
        }
    }
    result
}

/// Writes a new file that only its owner can read.
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn parse_user_arn(text: &str) -> Result<String, String> {
    check_user_arn(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// AG-188.
    #[test]
    fn the_configuration_is_written_for_its_owner_and_never_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("codedeploy.onpremises.yml");
        assert!(Files::at(&path, &Method::NewUser).is_ok());
        write_secret(&path, "secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write_secret(&path, "").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(Files::at(&path, &Method::NewUser).is_err());
    }
}
