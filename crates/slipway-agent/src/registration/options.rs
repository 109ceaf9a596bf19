//! The words after `register`, `deregister`, `uninstall` and `session`.

use std::path::PathBuf;
use std::time::Duration;

use super::Tag;

/// The commands of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Register,
    Deregister,
    Uninstall,
    Session,
}

/// Everything that may stand on the command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) config_file: Option<PathBuf>,
    pub(super) name: Option<String>,
    pub(super) tags: Vec<Tag>,
    pub(super) session: bool,
    pub(super) role_arn: Option<String>,
    pub(super) iam_user_arn: Option<String>,
    pub(super) signing_certificate: Option<PathBuf>,
    pub(super) override_config: bool,
    pub(super) no_start: bool,
    pub(super) no_delete_iam_user: bool,
    pub(super) file: Option<PathBuf>,
    pub(super) duration: Option<Duration>,
    pub(super) print_session_arn: bool,
    pub(super) endpoint_url: Option<String>,
    pub(super) region: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) ca_bundle: Option<PathBuf>,
}

/// Flags may be written `--flag value` and `--flag=value`. `None`: help is asked for.
pub(super) fn parse(action: Action, words: &[String]) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let (flag, attached) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let mut value = || {
            attached
                .clone()
                .or_else(|| words.next().cloned())
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("{flag} needs a value"))
        };
        let known = match (flag, action) {
            ("--help" | "-h" | "help", _) => return Ok(None),
            ("--config-file" | "--config_file", _) => {
                options.config_file = Some(value()?.into());
                true
            }
            (_, Action::Uninstall) => false,
            ("--endpoint-url", _) => {
                options.endpoint_url = Some(value()?);
                true
            }
            ("--region", _) => {
                options.region = Some(value()?);
                true
            }
            ("--profile", _) => {
                options.profile = Some(value()?);
                true
            }
            ("--ca-bundle", _) => {
                options.ca_bundle = Some(value()?.into());
                true
            }
            ("--role-arn", Action::Register | Action::Session) => {
                options.role_arn = Some(value()?);
                true
            }
            ("--name", Action::Register | Action::Deregister)
            | ("--session-name-override", Action::Session) => {
                options.name = Some(value()?);
                true
            }
            ("--file", Action::Session) => {
                options.file = Some(value()?.into());
                true
            }
            ("--duration", Action::Session) => {
                options.duration = Some(duration(&value()?)?);
                true
            }
            ("--print-session-arn", Action::Session) => {
                options.print_session_arn = true;
                true
            }
            ("--no-delete-iam-user", Action::Deregister) => {
                options.no_delete_iam_user = true;
                true
            }
            // The default, which a tutorial of the guide spells out (AG-200).
            ("--delete-iam-user", Action::Deregister) => true,
            ("--tags", Action::Register) => {
                options.tags.push(tag(&value()?)?);
                while let Some(next) = words.next_if(|next| !next.starts_with("--")) {
                    options.tags.push(tag(next)?);
                }
                true
            }
            ("--session", Action::Register) => {
                options.session = true;
                true
            }
            ("--iam-user-arn", Action::Register) => {
                options.iam_user_arn = Some(value()?);
                true
            }
            ("--signing-certificate", Action::Register) => {
                options.signing_certificate = Some(value()?.into());
                true
            }
            ("--override-config", Action::Register) => {
                options.override_config = true;
                true
            }
            ("--no-start", Action::Register) => {
                options.no_start = true;
                true
            }
            _ => false,
        };
        if !known {
            return Err(format!("Unknown option {flag}"));
        }
    }
    if options.iam_user_arn.is_some() && (options.session || options.role_arn.is_some()) {
        return Err("--iam-user-arn does not go together with --session and --role-arn".to_owned());
    }
    if action == Action::Session && (options.role_arn.is_none() || options.file.is_none()) {
        return Err("--role-arn and --file are needed".to_owned());
    }
    Ok(Some(options))
}

/// AG-173.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (900..=3600).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "--duration must be 900 to 3600 seconds".to_owned())
}

/// `Key=K,Value=V`, as the AWS CLI takes it; both must be there (AG-186).
fn tag(text: &str) -> Result<Tag, String> {
    let wrong = || format!("{text} is not a tag; write Key=K,Value=V");
    let rest = text.strip_prefix("Key=").ok_or_else(wrong)?;
    let (key, value) = rest.split_once(",Value=").ok_or_else(wrong)?;
    if key.is_empty() { Err(wrong()) } else { Ok((key.to_owned(), value.to_owned())) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Action, parse};

    fn read(action: Action, words: &[&str]) -> Result<super::Options, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parse(action, &words).map(|options| options.expect("no help is asked for"))
    }

    #[test]
    fn tags_are_taken_as_the_aws_cli_takes_them() {
        let words =
            ["--tags", "Key=Name,Value=a b", "Key=Zone,Value=", "--name=web-1", "--tags", "Key=x,Value=y"];
        let options = read(Action::Register, &words).expect("AG-187");
        let tags: Vec<_> = options.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(tags, [("Name", "a b"), ("Zone", ""), ("x", "y")]);
        assert_eq!(options.name.as_deref(), Some("web-1"));
        for bad in ["Name=a", "Key=a", "Key=,Value=b"] {
            assert!(read(Action::Register, &["--tags", bad]).is_err(), "AG-186: {bad}");
        }
    }

    #[test]
    fn each_command_takes_its_own_options_only() {
        assert!(read(Action::Uninstall, &["--name", "x"]).is_err());
        assert!(read(Action::Deregister, &["--tags", "Key=a,Value=b"]).is_err());
        assert!(read(Action::Deregister, &["--delete-iam-user"]).is_ok(), "AG-200");
        assert!(read(Action::Register, &["--iam-user-arn", "a", "--session"]).is_err());
        assert!(read(Action::Register, &["--name"]).is_err());
        assert!(read(Action::Session, &["--role-arn", "a"]).is_err(), "AG-173");
        let session = ["--role-arn", "a", "--file", "f", "--duration", "900"];
        assert_eq!(read(Action::Session, &session).expect("AG-173").duration, Some(Duration::from_mins(15)));
        assert!(read(Action::Session, &["--role-arn", "a", "--file", "f", "--duration", "60"]).is_err());
    }
}
