//! The words behind `codedeploy-local` (DP-330..DP-339, A-07, A-08).

use std::ffi::OsString;
use std::path::PathBuf;

/// What may be said, with what stands for it when it is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Options {
    pub(super) bundle_location: Option<String>,
    pub(super) bundle_type: Option<String>,
    pub(super) file_exists_behavior: Option<String>,
    pub(super) deployment_group: Option<String>,
    pub(super) deployment_group_name: Option<String>,
    pub(super) application_name: Option<String>,
    pub(super) events: Option<String>,
    pub(super) config_file: Option<PathBuf>,
    pub(super) appspec_filename: Option<String>,
}

/// A command line, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Run(Box<Options>),
    Help,
    Version,
    Wrong(String),
}

/// One option with a value.
struct Flag {
    long: &'static str,
    short: &'static str,
    set: fn(&mut Options, Option<String>),
}

/// The last one is what the guide calls the deployment group in one of its examples.
const FLAGS: [Flag; 10] = [
    Flag { long: "--bundle-location", short: "-l", set: |options, value| options.bundle_location = value },
    Flag { long: "--type", short: "-t", set: |options, value| options.bundle_type = value },
    Flag {
        long: "--file-exists-behavior",
        short: "-b",
        set: |options, value| options.file_exists_behavior = value,
    },
    Flag { long: GROUP, short: "-g", set: |options, value| options.deployment_group = value },
    Flag {
        long: "--deployment-group-name",
        short: "-d",
        set: |options, value| options.deployment_group_name = value,
    },
    Flag { long: "--application-name", short: "-a", set: |options, value| options.application_name = value },
    Flag { long: "--events", short: "-e", set: |options, value| options.events = value },
    Flag {
        long: "--agent-configuration-file",
        short: "-c",
        set: |options, value| options.config_file = value.map(PathBuf::from),
    },
    Flag { long: "--appspec-filename", short: "-A", set: |options, value| options.appspec_filename = value },
    Flag {
        long: "--application-folder",
        short: "--application-folder",
        set: |options, value| options.deployment_group = value,
    },
];

const GROUP: &str = "--deployment-group";

/// Reads the words after the program's name.
pub(super) fn parse(arguments: &[OsString]) -> Parsed {
    let mut options = Options::default();
    let mut words = arguments.iter().peekable();
    while let Some(word) = words.next() {
        let Some(text) = word.to_str() else {
            return Parsed::Wrong(format!("{} is not valid UTF-8", word.display()));
        };
        match text {
            "-h" | "--help" => return Parsed::Help,
            "-v" | "--version" => return Parsed::Version,
            _ => {}
        }
        let Some((flag, attached)) = split(text) else {
            return Parsed::Wrong(if text.starts_with('-') {
                format!("unknown option {text}")
            } else {
                format!("unexpected argument {text}")
            });
        };
        let value = match attached {
            Some(value) => Some(value.to_owned()),
            // A word that looks like an option is the next one.
            None => match words.next_if(|next| !next.to_string_lossy().starts_with('-')) {
                Some(next) => match next.to_str() {
                    Some(next) => Some(next.to_owned()),
                    None => return Parsed::Wrong(format!("{} is not valid UTF-8", next.display())),
                },
                None => None,
            },
        };
        match value.filter(|value| !value.is_empty()) {
            Some(value) => (flag.set)(&mut options, Some(value)),
            // The guide's own example leaves the value out.
            None if flag.long == GROUP && words.peek().is_some() => (flag.set)(&mut options, None),
            None => return Parsed::Wrong(format!("option {text} needs a value")),
        }
    }
    Parsed::Run(Box::new(options))
}

/// An option, and the value that is attached to it.
fn split(word: &str) -> Option<(&'static Flag, Option<&str>)> {
    for flag in &FLAGS {
        // What follows a long name without `=` is another option whose name begins alike.
        match word.strip_prefix(flag.long) {
            Some("") => return Some((flag, None)),
            Some(rest) if rest.starts_with('=') => return Some((flag, Some(&rest[1..]))),
            Some(_) => continue,
            None => {}
        }
        if let Some(rest) = word.strip_prefix(flag.short) {
            let rest = rest.strip_prefix('=').unwrap_or(rest);
            return Some((flag, (!rest.is_empty()).then_some(rest)));
        }
    }
    None
}

/// What `--help` prints, and a wrong command line too.
pub(super) const USAGE: &str = "\
usage: codedeploy-local [OPTIONS]

Deploys a bundle to this machine, without any application, deployment group or
control plane. Without options: the current directory, which holds the AppSpec
file and the content.

  -l, --bundle-location LOCATION       a directory, an archive,
                                       s3://BUCKET/KEY[?versionId=V&etag=E],
                                       https://github.com/ACCOUNT/REPOSITORY or
                                       https://api.github.com/repos/ACCOUNT/REPOSITORY/
                                       zipball|tarball/BRANCH|HEAD|COMMIT
                                       [default: the current directory]
  -t, --type TYPE                      tgz, tar, zip or directory
                                       [default: directory]
  -b, --file-exists-behavior BEHAVIOR  DISALLOW, OVERWRITE or RETAIN; the AppSpec
                                       file's own setting wins
                                       [default: DISALLOW]
  -g, --deployment-group ID            whose files and revisions this deployment
                                       continues; a directory of this name is made
                                       below the deployment root
                                       [default: default-local-deployment-group]
  -d, --deployment-group-name NAME     DEPLOYMENT_GROUP_NAME of the scripts
                                       [default: LocalFleet]
  -a, --application-name NAME          APPLICATION_NAME of the scripts
                                       [default: the bundle's location]
  -e, --events EVENT,EVENT,...         these events, in this order; DownloadBundle
                                       and Install run first where they are missing
                                       [default: all, in their usual order]
  -c, --agent-configuration-file FILE  [default: the agent's, if it exists]
  -A, --appspec-filename NAME          [default: appspec.yml, else appspec.yaml]
  -h, --help                           show this text
  -v, --version                        show the version

Exit codes: 0 the deployment succeeded, 1 it did not.
";

#[cfg(test)]
mod tests {
    use super::{FLAGS, Flag, Options, Parsed, USAGE, parse};
    use std::path::PathBuf;

    fn read(words: &[&str]) -> Parsed {
        parse(&words.iter().map(Into::into).collect::<Vec<_>>())
    }

    fn options(words: &[&str]) -> Options {
        match read(words) {
            Parsed::Run(options) => *options,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn dp_330_every_option_has_a_long_and_a_short_name_and_both_ways_of_giving_a_value() {
        let expected = Options {
            bundle_location: Some("/b".to_owned()),
            bundle_type: Some("zip".to_owned()),
            file_exists_behavior: Some("RETAIN".to_owned()),
            deployment_group: Some("g".to_owned()),
            deployment_group_name: Some("n".to_owned()),
            application_name: Some("a".to_owned()),
            events: Some("A,B".to_owned()),
            config_file: Some(PathBuf::from("/c.yml")),
            appspec_filename: Some("x.yml".to_owned()),
        };
        let values = ["/b", "zip", "RETAIN", "g", "n", "a", "A,B", "/c.yml", "x.yml"];
        for form in 0..4 {
            let words: Vec<String> = FLAGS
                .iter()
                .zip(values)
                .flat_map(|(flag, value)| match form {
                    0 => vec![flag.long.to_owned(), value.to_owned()],
                    1 => vec![format!("{}={value}", flag.long)],
                    2 => vec![flag.short.to_owned(), value.to_owned()],
                    _ => vec![format!("{}{value}", flag.short)],
                })
                .collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert_eq!(options(&words), expected, "{words:?}");
        }
        assert_eq!(options(&[]), Options::default());
        for Flag { long, short, .. } in &FLAGS[..9] {
            assert!(USAGE.contains(&format!("  {short}, {long} ")), "{long} is documented");
        }
    }

    #[test]
    fn a_08_the_guides_two_malformed_examples_are_understood() {
        let folder = options(&["--application-folder", "my-deployment"]);
        assert_eq!(folder.deployment_group.as_deref(), Some("my-deployment"));
        let valueless = options(&["--deployment-group", "--events", "ApplicationStop"]);
        assert_eq!(
            (valueless.deployment_group, valueless.events.as_deref()),
            (None, Some("ApplicationStop"))
        );
    }

    #[test]
    fn dp_366_every_documented_command_line_is_accepted() {
        for line in [
            "",
            "--bundle-location /path/to/local/bundle/directory",
            "--bundle-location C:/path/to/local/bundle.zip --type zip --deployment-group my-deployment-group",
            "--bundle-location /path/to/local/directory --type directory --deployment-group my-deployment-group",
            "--bundle-location s3://mybucket/bundle.tgz --type tgz",
            "--bundle-location s3://mybucket/bundle.zip?versionId=1234&etag=47e8 --type zip --deployment-group my-deployment-group",
            "--bundle-location https://github.com/awslabs/aws-codedeploy-sample-tomcat --type zip",
            "--bundle-location https://api.github.com/repos/awslabs/aws-codedeploy-sample-tomcat/zipball/master --type zip",
            "--bundle-location https://api.github.com/repos/awslabs/aws-codedeploy-sample-tomcat/zipball/HEAD --type zip",
            "--bundle-location https://api.github.com/repos/awslabs/aws-codedeploy-sample-tomcat/zipball/1a2b3c4d --type zip",
            "--bundle-location /path/to/local/bundle.tar --type tar --application-folder my-deployment --events DownloadBundle,Install,ApplicationStart,HealthCheck",
            "--bundle-location /path/to/local/bundle.tgz --type tgz --deployment-group --events ApplicationStop",
            "--bundle-location C:/path/to/local/bundle/directory --deployment-group 1234abcd-5dd1-4774-89c6-30b107ac5dca",
            "--bundle-location C:/path/to/local/bundle.zip --type zip --deployment-group 1234abcd-5dd1-4774-89c6-30b107ac5dca",
        ] {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(matches!(read(&words), Parsed::Run(_)), "{line}: {:?}", read(&words));
        }
    }

    #[test]
    fn dp_365_what_makes_no_sense_is_named() {
        for (words, told) in [
            (&["--frobnicate"][..], "unknown option --frobnicate"),
            (&["--types", "zip"], "unknown option --types"),
            (&["-x"], "unknown option -x"),
            (&["bundle.zip"], "unexpected argument bundle.zip"),
            (&["--type"], "option --type needs a value"),
            (&["--type", "--events", "A"], "option --type needs a value"),
            (&["--type="], "option --type= needs a value"),
            (&["--deployment-group"], "option --deployment-group needs a value"),
        ] {
            assert_eq!(read(words), Parsed::Wrong(told.to_owned()), "{words:?}");
        }
        assert_eq!(read(&["-l", "x", "-h"]), Parsed::Help);
        assert_eq!(read(&["--version"]), Parsed::Version);
    }

    proptest::proptest! {
        #[test]
        fn whatever_words_there_are_have_an_answer(words in proptest::collection::vec("-{0,2}[a-zA-Z]{0,3}=?\\PC{0,8}", 0..6)) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let _ = read(&words);
        }
    }
}
