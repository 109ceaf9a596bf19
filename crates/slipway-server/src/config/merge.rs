//! Reading the sources and laying them over each other.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::keys::{Key, Kind, keys};
use super::nearest::nearest;

/// What the configuration is read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// TOML file.
    pub file: Option<PathBuf>,
    /// Environment; only `SLIPWAY_*` variables count.
    pub environment: Vec<(String, String)>,
    /// Flags of the command line: key and value.
    pub flags: Vec<(String, String)>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of a file.
    File {
        /// File.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(key) => write!(f, "--{}", key.replace('_', "-")),
        }
    }
}

/// The variable with the master key.
pub(super) const MASTER_KEY: &str = "SLIPWAY_MASTER_KEY";

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something that it holds; the message says where and what.
    #[error("{0}")]
    Invalid(String),
}

/// A value of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    List(Vec<String>),
}

/// Every key with its value and source.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    order: Vec<String>,
    values: BTreeMap<String, (Value, Source)>,
}

pub(super) fn resolve(sources: &Sources) -> Result<Resolved, ConfigError> {
    let keys = keys();
    let mut resolved =
        Resolved { order: keys.iter().map(|key| key.name.clone()).collect(), values: BTreeMap::new() };
    for key in &keys {
        resolved.set_text(key, &key.default, Source::Default)?;
    }
    if let Some(path) = &sources.file {
        read_file(path, &keys, &mut resolved)?;
    }
    for (variable, value) in &sources.environment {
        read_variable(variable, value, &keys, &mut resolved)?;
    }
    for (name, value) in &sources.flags {
        let source = Source::Flag(name.clone());
        let key = find(name, &source, &keys)?;
        resolved.set_text(key, value, source)?;
    }
    Ok(resolved)
}

fn read_file(path: &Path, keys: &[Key], resolved: &mut Resolved) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let place = |offset: usize| Source::File {
        path: path.to_owned(),
        line: 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count(),
    };
    let document = DeTable::parse(&text).map_err(|error| {
        let source = place(error.span().map_or(0, |span| span.start));
        ConfigError::Invalid(format!("{source}: {}", error.message()))
    })?;
    let mut tables = vec![(String::new(), document.get_ref())];
    let mut leaves = Vec::new();
    while let Some((prefix, table)) = tables.pop() {
        for (name, value) in table {
            let full = format!("{prefix}{}", name.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) => tables.push((format!("{full}."), inner)),
                leaf => leaves.push((name.span().start, full, leaf)),
            }
        }
    }
    // In the order of the file, so that the first mistake is the one that is told.
    leaves.sort_by_key(|(offset, ..)| *offset);
    for (offset, name, value) in leaves {
        let source = place(offset);
        let key = find(&name, &source, keys)?;
        resolved.set_toml(key, value, source)?;
    }
    Ok(())
}

fn read_variable(
    variable: &str,
    value: &str,
    keys: &[Key],
    resolved: &mut Resolved,
) -> Result<(), ConfigError> {
    let Some(name) = variable.strip_prefix("SLIPWAY_") else { return Ok(()) };
    // A secret, which is no setting to be printed.
    if variable == MASTER_KEY {
        return Ok(());
    }
    // SLIPWAY_CONFIG names the file; the others are what Kubernetes injects for a service named slipway.
    if name == "CONFIG" || name == "PORT" || name.starts_with("PORT_") || name.starts_with("SERVICE_") {
        return Ok(());
    }
    let variables: Vec<String> = keys.iter().map(Key::variable).collect();
    match keys.iter().find(|key| key.variable() == variable) {
        Some(key) => resolved.set_text(key, value, Source::Variable(variable.to_owned())),
        None => Err(ConfigError::Invalid(format!(
            "{variable}: unknown variable{}",
            did_you_mean(variable, variables.iter().map(String::as_str))
        ))),
    }
}

fn find<'a>(name: &str, source: &Source, keys: &'a [Key]) -> Result<&'a Key, ConfigError> {
    keys.iter().find(|key| key.name == name).ok_or_else(|| {
        let hint = did_you_mean(name, keys.iter().map(|key| key.name.as_str()));
        ConfigError::Invalid(format!("{source}: unknown key {name}{hint}"))
    })
}

fn did_you_mean<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

fn invalid(source: &Source, key: &str, problem: &str) -> ConfigError {
    match source {
        Source::Default => ConfigError::Invalid(format!("{key} {problem}")),
        place => ConfigError::Invalid(format!("{place}: {key} {problem}")),
    }
}

impl Resolved {
    fn set_text(&mut self, key: &Key, text: &str, source: Source) -> Result<(), ConfigError> {
        let value = match key.kind {
            Kind::Text | Kind::Choice => Value::Text(text.to_owned()),
            Kind::Integer => Value::Integer(
                text.trim().parse().map_err(|_| invalid(&source, &key.name, "must be a whole number"))?,
            ),
            Kind::List => Value::List(
                text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
            ),
        };
        self.values.insert(key.name.clone(), (value, source));
        Ok(())
    }

    fn set_toml(&mut self, key: &Key, value: &DeValue<'_>, source: Source) -> Result<(), ConfigError> {
        let refuse = |problem| Err(invalid(&source, &key.name, problem));
        let value = match (key.kind, value) {
            (Kind::Text | Kind::Choice, DeValue::String(text)) => Value::Text(text.to_string()),
            (Kind::Choice, DeValue::Boolean(value)) => Value::Text(value.to_string()),
            (Kind::Text | Kind::Choice, _) => return refuse("must be text in quotes"),
            (Kind::Integer, DeValue::Integer(number)) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::Integer(number),
                    Err(_) => return refuse("must be a whole number"),
                }
            }
            (Kind::Integer, _) => return refuse("must be a whole number"),
            (Kind::List, DeValue::Array(items)) => {
                let texts: Option<Vec<String>> =
                    items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
                match texts {
                    Some(texts) => Value::List(texts),
                    None => return refuse("must be a list of texts in quotes"),
                }
            }
            (Kind::List, _) => return refuse("must be a list of texts in quotes"),
        };
        self.values.insert(key.name.clone(), (value, source));
        Ok(())
    }

    pub(super) fn text(&self, key: &str) -> &str {
        match self.values.get(key) {
            Some((Value::Text(text), _)) => text,
            _ => "",
        }
    }

    pub(super) fn integer(&self, key: &str) -> i64 {
        match self.values.get(key) {
            Some((Value::Integer(number), _)) => *number,
            _ => 0,
        }
    }

    pub(super) fn list(&self, key: &str) -> &[String] {
        match self.values.get(key) {
            Some((Value::List(items), _)) => items,
            _ => &[],
        }
    }

    /// Keys that begin with `prefix`, without it, and their values.
    pub(super) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.values.iter().filter_map(move |(key, (value, _))| Some((key.strip_prefix(prefix)?, value)))
    }

    /// An error about the value of `key`, with its place.
    pub(super) fn refuse(&self, key: &str, problem: &str) -> ConfigError {
        match self.values.get(key) {
            Some((_, source)) => invalid(source, key, problem),
            None => ConfigError::Invalid(format!("{key} {problem}")),
        }
    }

    /// A path as it is meant: one in a file is relative to that file.
    pub(super) fn relative_to_source(&self, key: &str, path: &str) -> PathBuf {
        match self.values.get(key) {
            Some((_, Source::File { path: file, .. })) => {
                file.parent().map_or_else(|| PathBuf::from(path), |directory| directory.join(path))
            }
            _ => PathBuf::from(path),
        }
    }

    pub(super) fn print(&self) -> String {
        let mut out = String::new();
        for key in &self.order {
            if let Some((value, source)) = self.values.get(key) {
                let value = match value {
                    Value::Text(text) => toml::Value::String(text.clone()),
                    Value::Integer(number) => toml::Value::Integer(*number),
                    Value::List(items) => {
                        toml::Value::Array(items.iter().cloned().map(toml::Value::String).collect())
                    }
                };
                out.extend([key, " = ", &value.to_string(), "  # ", &source.to_string(), "\n"]);
            }
        }
        out
    }
}
