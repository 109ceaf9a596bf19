//! `slipway host register` (AG-187..AG-191).

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use slipway_wire::codedeploy::{
    AddTagsToOnPremisesInstancesInput, Operation, RegisterOnPremisesInstanceInput, Tag,
};

use super::{Outcome, parse_name};
use crate::aws::{Client, iam};
use crate::location::parse_tag;

/// IAM names are shorter than names of hosts (AG-191).
const LONGEST_USER: usize = 64;
const USER_PATH: &str = "/AWS/CodeDeploy/";
const POLICY_NAME: &str = "codedeploy-agent";
const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}]}"#;

/// Register a host and write its configuration
///
/// Does what `aws deploy register` does, but fails when it fails: makes an IAM user for the host with an access key and
/// the permission to read bundles, registers the host, tags it, and writes codedeploy.onpremises.yml (mode 0600), which
/// belongs to /etc/codedeploy-agent/conf on the host.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the host
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,
    /// Tags of the host, at most 10: Key=K,Value=V
    #[arg(long, value_name = "TAG", num_args = 1.., value_parser = parse_tag)]
    tags: Vec<Tag>,
    /// Register the host under this existing IAM user; no user is made and no file is written
    #[arg(long, value_name = "ARN", value_parser = parse_user_arn, conflicts_with = "output")]
    iam_user_arn: Option<String>,
    /// Where the configuration of the host is written; must not exist
    #[arg(long, value_name = "FILE", default_value = "codedeploy.onpremises.yml")]
    output: PathBuf,
}

/// A registered host's identity, as it stands in its configuration file.
pub(in crate::commands) struct Identity {
    pub(in crate::commands) user_arn: String,
    key: iam::AccessKey,
}

pub(super) async fn run(client: &Client, args: Args) -> anyhow::Result<Outcome> {
    anyhow::ensure!(args.tags.len() <= 10, "Instances can only have a maximum of 10 tags.");
    let name = &args.name;
    if let Some(arn) = &args.iam_user_arn {
        register(client, name, arn).await?;
        add_tags(client, name, &args.tags).await?;
        writeln!(io::stdout(), "Registered {name} as {arn}.")?;
        return Ok(Outcome::Done);
    }
    anyhow::ensure!(
        !args.output.exists(),
        "{} exists already and may hold the key of a host; name another file with --output",
        args.output.display()
    );
    let identity = register_with_user(client, name, &args.output).await?;
    add_tags(client, name, &args.tags).await?;
    let mut out = io::stdout().lock();
    writeln!(out, "Registered {name} as {}.", identity.user_arn)?;
    writeln!(
        out,
        "Wrote {}: copy it to /etc/codedeploy-agent/conf on the host and start the agent there.",
        args.output.display()
    )?;
    Ok(Outcome::Done)
}

/// Makes a user for a host, writes the host's configuration to `output` and registers it. What was made is removed
/// again when a later step fails: a second attempt must not find the remains of the first.
pub(in crate::commands) async fn register_with_user(
    client: &Client,
    name: &str,
    output: &Path,
) -> anyhow::Result<Identity> {
    anyhow::ensure!(
        name.len() <= LONGEST_USER,
        "the IAM user of a host has the host's name, which therefore cannot be longer than {LONGEST_USER} characters; \
         with --iam-user-arn it can"
    );
    let user_arn = iam::create_user(client, USER_PATH, name).await?;
    let result = async {
        let key = iam::create_access_key(client, name).await?;
        iam::put_user_policy(client, name, POLICY_NAME, POLICY).await?;
        let identity = Identity { user_arn, key };
        write_secret(output, &identity.configuration(&client.settings().region))
            .with_context(|| format!("cannot write {}", output.display()))?;
        if let Err(error) = register(client, name, &identity.user_arn).await {
            // The key in it is about to be deleted.
            let _ = fs::remove_file(output);
            return Err(error);
        }
        Ok(identity)
    }
    .await;
    if result.is_err()
        && let Err(error) = iam::delete_user(client, name).await
    {
        writeln!(io::stderr(), "the IAM user {name} could not be deleted again: {error}")?;
    }
    result
}

async fn register(client: &Client, name: &str, user_arn: &str) -> anyhow::Result<()> {
    let input = RegisterOnPremisesInstanceInput {
        instance_name: Some(name.to_owned()),
        iam_user_arn: Some(user_arn.to_owned()),
        iam_session_arn: None,
    };
    let _: serde_json::Value = client.codedeploy(Operation::RegisterOnPremisesInstance, &input).await?;
    Ok(())
}

/// Tags a registered host.
pub(in crate::commands) async fn add_tags(client: &Client, name: &str, tags: &[Tag]) -> anyhow::Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let input = AddTagsToOnPremisesInstancesInput {
        tags: Some(tags.to_vec()),
        instance_names: Some(vec![name.to_owned()]),
    };
    let _: serde_json::Value = client
        .codedeploy(Operation::AddTagsToOnPremisesInstances, &input)
        .await
        .with_context(|| format!("{name} is registered, but without its tags"))?;
    Ok(())
}

impl Identity {
    /// `codedeploy.onpremises.yml`, keys in the order of the AWS CLI (AG-188).
    fn configuration(&self, region: &str) -> String {
        let Self { user_arn, key } = self;
        format!(
            "---\nregion: {region}\niam_user_arn: {user_arn}\naws_access_key_id: {}\naws_secret_access_key: {}\n",
            key.id, key.secret
        )
    }
}

/// Writes a new file that only its owner can read.
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// AG-186: `arn:aws:iam::<12 digits>:user/…`.
fn parse_user_arn(text: &str) -> Result<String, String> {
    let valid = text.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(":user/")).is_some_and(
        |(account, user)| {
            account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && !user.is_empty()
        },
    );
    if valid { Ok(text.to_owned()) } else { Err("Invalid IAM user ARN.".to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_arns_of_users_are_taken() {
        assert!(parse_user_arn("arn:aws:iam::000000000001:user/AWS/CodeDeploy/web-1").is_ok());
        for bad in [
            "arn:aws:iam::1:user/x",
            "arn:aws:iam::000000000001:user/",
            "arn:aws:sts::000000000001:assumed-role/a/b",
            "",
        ] {
            assert_eq!(parse_user_arn(bad).unwrap_err(), "Invalid IAM user ARN.", "{bad}");
        }
    }

    /// AG-188.
    #[test]
    fn the_configuration_is_written_for_its_owner_and_never_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("codedeploy.onpremises.yml");
        let key = iam::AccessKey { id: "AKIA".into(), secret: "s/+=".into() };
        let identity = Identity { user_arn: "arn:x".into(), key };
        write_secret(&path, &identity.configuration("us-east-1")).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "---\nregion: us-east-1\niam_user_arn: arn:x\naws_access_key_id: AKIA\naws_secret_access_key: s/+=\n"
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write_secret(&path, "").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn the_policy_is_json() {
        assert!(serde_json::from_str::<serde_json::Value>(POLICY).is_ok());
    }
}
