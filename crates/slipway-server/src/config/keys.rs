//! The table of configuration keys.

use slipway_model::quota::Quotas;

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Text, or a boolean in a file.
    Choice,
    /// A whole number.
    Integer,
    /// A list of texts; separated by commas in variables and flags.
    List,
}

/// A configuration key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Name in the file, tables separated by dots.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Default in the form of a variable.
    pub default: String,
    /// One line about it.
    pub help: &'static str,
}

impl Key {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("SLIPWAY_{}", self.name.replace('.', "_").to_uppercase())
    }
}

const KEYS: &[(&str, Kind, &str, &str)] = &[
    ("listen", Kind::Text, "127.0.0.1:8443", "address to serve on, HOST:PORT; port 0 picks one"),
    ("data_dir", Kind::Text, "/var/lib/slipway", "directory of everything that must survive"),
    ("account", Kind::Text, "000000000001", "12-digit account that first start creates"),
    ("region", Kind::Text, "us-east-1", "region that the env file names; any region is served"),
    ("names", Kind::List, "", "further host names and addresses in the server certificate"),
    ("tls.certificate", Kind::Text, "", "server certificate with its chain, PEM; none: made by an own CA"),
    ("tls.key", Kind::Text, "", "key of tls.certificate, PEM"),
    (
        "plain_http",
        Kind::Choice,
        "false",
        "true: no TLS, on a loopback address only; \"force\": on any address",
    ),
    ("max_connections", Kind::Integer, "20000", "connections at a time"),
    ("poll_hold_seconds", Kind::Integer, "55", "longest time that an agent's empty poll is held"),
    (
        "pacing",
        Kind::Choice,
        "window",
        "\"window\" or \"batch\": how hosts of a deployment follow each other",
    ),
    ("compat", Kind::Choice, "extended", "\"strict\" refuses what AWS would refuse"),
    (
        "throttle.per_second",
        Kind::Integer,
        "1000",
        "requests per second of one caller and operation; 0: no limit",
    ),
    ("throttle.burst", Kind::Integer, "2000", "requests at once of one caller and operation"),
    ("audit.enabled", Kind::Choice, "true", "whether calls are recorded in DATA/audit"),
    ("audit.rotate_minutes", Kind::Integer, "60", "after so long a file of the audit trail is sealed"),
    ("audit.rotate_mib", Kind::Integer, "64", "at this size a file of the audit trail is sealed"),
    (
        "audit.bucket",
        Kind::Text,
        "",
        "bucket of the object store that sealed files of the audit trail are copied to",
    ),
    ("log.level", Kind::Text, "info", "filter of the log: a level, or target=level pairs"),
    ("log.format", Kind::Choice, "auto", "\"human\", \"json\", or \"auto\": human on a terminal"),
];

/// All keys, in the order in which they are printed.
pub fn keys() -> Vec<Key> {
    let fixed = KEYS.iter().map(|(name, kind, default, help)| Key {
        name: (*name).to_owned(),
        kind: *kind,
        default: (*default).to_owned(),
        help,
    });
    let quotas = match serde_json::to_value(Quotas::default()) {
        Ok(serde_json::Value::Object(quotas)) => quotas,
        _ => serde_json::Map::new(),
    };
    let quotas = quotas.into_iter().map(|(name, default)| Key {
        name: format!("quotas.{name}"),
        kind: Kind::Integer,
        default: default.to_string(),
        help: "limit",
    });
    fixed.chain(quotas).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quota_is_a_key_and_no_two_keys_share_a_variable() {
        let keys = keys();
        assert!(keys.iter().any(|key| key.variable() == "SLIPWAY_QUOTAS_IN_PLACE_HOURS"));
        let mut variables: Vec<_> = keys.iter().map(Key::variable).collect();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), keys.len());
    }
}
