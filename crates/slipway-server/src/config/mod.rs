//! Configuration: defaults, overridden by a TOML file, overridden by `SLIPWAY_*` variables, overridden by flags.
//!
//! Every key is one row of [`keys`]; an unknown key is an error that names its place and the nearest valid key.
//!
//! ```
//! use slipway_server::config::{Config, Sources};
//!
//! let sources = Sources {
//!     environment: vec![("SLIPWAY_LOG_LEVEL".into(), "debug".into())],
//!     flags: vec![("listen".into(), "127.0.0.1:0".into())],
//!     ..Sources::default()
//! };
//! let config = Config::load(&sources)?;
//! assert_eq!(config.listen, "127.0.0.1:0");
//! assert!(config.print().contains("log.level = \"debug\"  # SLIPWAY_LOG_LEVEL"));
//! # Ok::<(), slipway_server::config::ConfigError>(())
//! ```

mod keys;
mod merge;
mod nearest;

use std::path::{Path, PathBuf};

use slipway_model::quota::Quotas;
use slipway_model::{AccountId, Region};

use crate::audit;
use crate::start::GivenKeys;
use crate::throttle::Limit;

pub use keys::{Key, Kind, keys};
pub use merge::{ConfigError, Source, Sources};
use merge::{Resolved, Value};

/// Whether TLS may be left off (D-03).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// TLS always.
    No,
    /// Plain HTTP, on a loopback address only.
    Loopback,
    /// Plain HTTP on any address.
    Forced,
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

/// The configuration of a control plane.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to serve on, `HOST:PORT`; port 0 picks one.
    pub listen: String,
    /// Where everything that must survive lies.
    pub data_dir: PathBuf,
    /// The account that first start creates.
    pub account: AccountId,
    /// The region that the `env` file names.
    pub region: Region,
    /// Further names and addresses in the server certificate.
    pub names: Vec<String>,
    /// The operator's certificate and key; absent: our own CA.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether TLS may be left off.
    pub plain_http: PlainHttp,
    /// Connections at a time.
    pub max_connections: u32,
    /// Longest time that an empty long poll is held.
    pub poll_hold_seconds: u32,
    /// Strict batches instead of the rolling window (D-10).
    pub batch_pacing: bool,
    /// Refuse what AWS would refuse (D-07).
    pub strict: bool,
    /// Limits (D-40).
    pub quotas: Quotas,
    /// How fast each caller may ask.
    pub throttle: Limit,
    /// Master keys given by `SLIPWAY_MASTER_KEY`; absent: they are in the data directory. No key of the configuration,
    /// so that nothing prints it.
    pub master_key: Option<GivenKeys>,
    /// The audit trail (DP-430).
    pub audit: audit::Settings,
    /// Filter of the log, `info` or `slipway_server=debug,info`.
    pub log_level: String,
    /// How lines of the log look.
    pub log_format: LogFormat,
    resolved: Resolved,
}

impl Config {
    /// Reads all sources and checks every value.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let resolved = merge::resolve(sources)?;
        let certificate = optional_path(&resolved, "tls.certificate");
        let key = optional_path(&resolved, "tls.key");
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(resolved.refuse("tls.key", "is needed with tls.certificate")),
            (None, Some(_)) => return Err(resolved.refuse("tls.certificate", "is needed with tls.key")),
        };
        let listen = resolved.text("listen").to_owned();
        if listen.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
        {
            return Err(resolved.refuse("listen", "must be HOST:PORT, for example 127.0.0.1:8443"));
        }
        Ok(Self {
            listen,
            data_dir: PathBuf::from(resolved.text("data_dir")),
            account: AccountId::new(resolved.text("account"))
                .map_err(|_| resolved.refuse("account", "must be 12 digits"))?,
            region: Region::new(resolved.text("region"))
                .map_err(|_| resolved.refuse("region", "must be a region name such as us-east-1"))?,
            names: names(&resolved)?,
            tls,
            plain_http: choice(
                &resolved,
                "plain_http",
                &[("false", PlainHttp::No), ("true", PlainHttp::Loopback), ("force", PlainHttp::Forced)],
            )?,
            max_connections: number(&resolved, "max_connections", 16, 1_000_000)?,
            // Agents give up after 80 s, connecting included (AP-04).
            poll_hold_seconds: number(&resolved, "poll_hold_seconds", 1, 60)?,
            batch_pacing: choice(&resolved, "pacing", &[("window", false), ("batch", true)])?,
            strict: choice(&resolved, "compat", &[("extended", false), ("strict", true)])?,
            quotas: quotas(&resolved)?,
            throttle: Limit {
                per_second: number(&resolved, "throttle.per_second", 0, 1_000_000)?,
                burst: number(&resolved, "throttle.burst", 1, 1_000_000)?,
            },
            master_key: sources
                .environment
                .iter()
                .find(|(name, text)| name == merge::MASTER_KEY && !text.is_empty())
                .map(|(_, text)| GivenKeys::new(text)),
            audit: audit(&resolved)?,
            log_level: resolved.text("log.level").to_owned(),
            log_format: choice(
                &resolved,
                "log.format",
                &[("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)],
            )?,
            resolved,
        })
    }

    /// The result as TOML, with the source of each value behind it.
    pub fn print(&self) -> String {
        self.resolved.print()
    }

    /// Where secrets lie.
    pub fn private_dir(&self) -> PathBuf {
        self.data_dir.join("private")
    }

    /// The data directory as an absolute path, for files that are read from elsewhere.
    pub fn absolute_data_dir(&self) -> std::io::Result<PathBuf> {
        Path::new(&self.data_dir).canonicalize()
    }
}

fn optional_path(resolved: &Resolved, key: &str) -> Option<PathBuf> {
    let text = resolved.text(key);
    (!text.is_empty()).then(|| resolved.relative_to_source(key, text))
}

fn choice<T: Copy>(resolved: &Resolved, key: &str, values: &[(&str, T)]) -> Result<T, ConfigError> {
    let text = resolved.text(key);
    values.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = values.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        resolved.refuse(key, &format!("must be one of {}", names.join(", ")))
    })
}

fn number(resolved: &Resolved, key: &str, least: u32, most: u32) -> Result<u32, ConfigError> {
    u32::try_from(resolved.integer(key))
        .ok()
        .filter(|value| (least..=most).contains(value))
        .ok_or_else(|| resolved.refuse(key, &format!("must be from {least} to {most}")))
}

fn audit(resolved: &Resolved) -> Result<audit::Settings, ConfigError> {
    let bucket = resolved.text("audit.bucket");
    let valid = |bucket: &str| {
        (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
    };
    if !bucket.is_empty() && !valid(bucket) {
        return Err(resolved.refuse("audit.bucket", "must be the name of a bucket"));
    }
    Ok(audit::Settings {
        enabled: choice(resolved, "audit.enabled", &[("true", true), ("false", false)])?,
        rotation: audit::Rotation {
            after_ms: i64::from(number(resolved, "audit.rotate_minutes", 1, 44_640)?) * 60_000,
            after_bytes: u64::from(number(resolved, "audit.rotate_mib", 1, 10_240)?) << 20,
        },
        bucket: (!bucket.is_empty()).then(|| bucket.to_owned()),
    })
}

fn names(resolved: &Resolved) -> Result<Vec<String>, ConfigError> {
    let names = resolved.list("names");
    let valid = |name: &String| {
        let domain = name.strip_prefix("*.").unwrap_or(name);
        name.parse::<std::net::IpAddr>().is_ok()
            || (!domain.is_empty()
                && domain.len() <= 253
                && domain.split('.').all(|label| {
                    (1..=63).contains(&label.len())
                        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                }))
    };
    match names.iter().find(|name| !valid(name)) {
        Some(bad) => {
            Err(resolved.refuse("names", &format!("holds {bad:?}, which is no host name or address")))
        }
        None => Ok(names.to_vec()),
    }
}

fn quotas(resolved: &Resolved) -> Result<Quotas, ConfigError> {
    let mut object = serde_json::Map::new();
    for (key, value) in resolved.with_prefix("quotas.") {
        if let Value::Integer(number) = value {
            let number = u32::try_from(*number)
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| resolved.refuse(&format!("quotas.{key}"), "must be from 1 to 4294967295"))?;
            object.insert(key.to_owned(), number.into());
        }
    }
    Ok(serde_json::from_value(object.into()).expect("the keys are those of Quotas and the values fit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        file: Option<&str>,
        environment: &[(&str, &str)],
        flags: &[(&str, &str)],
    ) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slipway.toml");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        let owned =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let sources =
            Sources { file: file.map(|_| path), environment: owned(environment), flags: owned(flags) };
        Config::load(&sources)
            .map_err(|error| error.to_string().replace(&dir.path().display().to_string(), "DIR"))
    }

    #[test]
    fn flags_beat_environment_beats_file_beats_defaults() {
        let file =
            "listen = \"127.0.0.1:1\"\npacing = \"batch\"\n[quotas]\napplications = 7\nbatch_size = 8\n";
        let config = load(
            Some(file),
            &[("SLIPWAY_LISTEN", "127.0.0.1:2"), ("SLIPWAY_QUOTAS_APPLICATIONS", "9")],
            &[("listen", "127.0.0.1:3")],
        )
        .unwrap();
        assert_eq!(config.listen, "127.0.0.1:3");
        assert!(config.batch_pacing);
        assert_eq!((config.quotas.applications, config.quotas.batch_size), (9, 8));
        assert_eq!(config.quotas.tag_groups, Quotas::default().tag_groups);
        assert_eq!(config.account.as_str(), "000000000001");
        let printed = config.print();
        for line in [
            "listen = \"127.0.0.1:3\"  # --listen",
            "quotas.applications = 9  # SLIPWAY_QUOTAS_APPLICATIONS",
            "account = \"000000000001\"  # default",
        ] {
            assert!(printed.contains(line), "{line}\n{printed}");
        }
        assert!(printed.contains("slipway.toml:2"), "{printed}");
    }

    #[test]
    fn what_is_printed_is_a_configuration_file_with_the_same_result() {
        let config = load(None, &[("SLIPWAY_NAMES", "a.example.org,10.0.0.7")], &[]).unwrap();
        let again = load(Some(&config.print()), &[], &[]).unwrap();
        assert_eq!(again.names, config.names);
        assert_eq!(again.quotas, config.quotas);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_nearest_key() {
        for (file, environment, flags, message) in [
            (
                Some("listen = \"127.0.0.1:1\"\n\n[quotas]\naplications = 7\n"),
                None,
                None,
                "DIR/slipway.toml:4: unknown key quotas.aplications; did you mean quotas.applications?",
            ),
            (
                Some("[tsl]\nkey = \"x\"\n"),
                None,
                None,
                "DIR/slipway.toml:2: unknown key tsl.key; did you mean tls.key?",
            ),
            (
                None,
                Some(("SLIPWAY_LISTNE", "x")),
                None,
                "SLIPWAY_LISTNE: unknown variable; did you mean SLIPWAY_LISTEN?",
            ),
            (None, None, Some(("lsten", "x")), "--lsten: unknown key lsten; did you mean listen?"),
        ] {
            let environment: Vec<_> = environment.into_iter().collect();
            let flags: Vec<_> = flags.into_iter().collect();
            assert_eq!(load(file, &environment, &flags).unwrap_err(), message);
        }
    }

    #[test]
    fn a_bad_value_is_refused_with_its_place() {
        for (file, message) in [
            ("account = \"12\"\n", "DIR/slipway.toml:1: account must be 12 digits"),
            ("\naccount = 12\n", "DIR/slipway.toml:2: account must be text in quotes"),
            ("max_connections = \"many\"\n", "DIR/slipway.toml:1: max_connections must be a whole number"),
            ("pacing = \"fast\"\n", "DIR/slipway.toml:1: pacing must be one of \"window\", \"batch\""),
            (
                "names = [\"a b\"]\n",
                "DIR/slipway.toml:1: names holds \"a b\", which is no host name or address",
            ),
            ("[tls]\nkey = \"k\"\n", "tls.certificate is needed with tls.key"),
            (
                "listen = \"8443\"\n",
                "DIR/slipway.toml:1: listen must be HOST:PORT, for example 127.0.0.1:8443",
            ),
            ("audit.bucket = \"A b\"\n", "DIR/slipway.toml:1: audit.bucket must be the name of a bucket"),
            ("[throttle]\nburst = 0\n", "DIR/slipway.toml:2: throttle.burst must be from 1 to 1000000"),
            ("quotas.batch_size = 0\n", "DIR/slipway.toml:1: quotas.batch_size must be from 1 to 4294967295"),
        ] {
            assert_eq!(load(Some(file), &[], &[]).unwrap_err(), message);
        }
        let syntax = load(Some("listen = \n"), &[], &[]).unwrap_err();
        assert!(syntax.starts_with("DIR/slipway.toml:1: "), "{syntax}");
    }

    #[test]
    fn variables_that_a_cluster_injects_for_a_service_of_our_name_are_no_configuration() {
        let injected = [
            ("SLIPWAY_SERVICE_HOST", "10.0.0.1"),
            ("SLIPWAY_SERVICE_PORT", "443"),
            ("SLIPWAY_PORT", "tcp://10.0.0.1:443"),
            ("SLIPWAY_PORT_443_TCP_ADDR", "10.0.0.1"),
            ("SLIPWAY_CONFIG", "/etc/slipway.toml"),
        ];
        assert!(load(None, &injected, &[]).is_ok());
    }

    #[test]
    fn paths_in_a_file_are_relative_to_the_file() {
        let config = load(Some("[tls]\ncertificate = \"a.pem\"\nkey = \"/k.pem\"\n"), &[], &[]).unwrap();
        let (certificate, key) = config.tls.unwrap();
        assert!(certificate.is_absolute() && certificate.ends_with("a.pem"));
        assert_eq!(key, Path::new("/k.pem"));
    }
}
