//! From a policy's text to its compiled form. Whatever is not understood is refused here, with its position:
//! an element that is silently passed over would grant or deny something that its author did not write.

use std::sync::Arc;

use super::condition::Condition;
use super::json::Node;
use super::pattern::{Pattern, Syntax};
use super::trust::{Principals, TrustedPrincipal};
use super::{Effect, MalformedPolicy, Members, Policy, Statement};

/// What a policy is for, which decides its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Attached to users, roles or sessions: names resources, no principals.
    Identity,
    /// A role's trust policy: names principals, no resources.
    Trust,
    /// A resource's own policy: names both.
    Resource,
}

pub(super) fn policy(name: &str, document: &str, kind: Kind) -> Result<Policy, MalformedPolicy> {
    let root: Node = serde_json::from_str(document).map_err(|error| MalformedPolicy {
        position: format!("line {} column {}", error.line(), error.column()),
        problem: "this policy contains invalid JSON".to_owned() + &reason(&error),
    })?;
    let members = object(&root, "the policy")?;
    let mut version = None;
    let mut statements = None;
    for (member, value) in members {
        match member.as_str() {
            "Version" => version = Some(string(value, "Version")?),
            "Id" => {
                string(value, "Id")?;
            }
            "Statement" => statements = Some(value),
            other => return Err(at(other, "unknown element")),
        }
    }
    let variables = match version {
        Some("2012-10-17") => true,
        None | Some("2008-10-17") => false,
        Some(other) => {
            return Err(at("Version", format!("\"{other}\" is not a policy version, use 2012-10-17")));
        }
    };
    let list = match statements {
        Some(Node::Array(list)) => list.as_slice(),
        Some(one @ Node::Object(_)) => std::slice::from_ref(one),
        Some(other) => {
            return Err(at("Statement", format!("must be an object or a list, not {}", other.kind())));
        }
        None => return Err(at("Statement", "missing")),
    };
    let mut compiled: Vec<Statement> = Vec::with_capacity(list.len());
    for (index, node) in list.iter().enumerate() {
        let position = format!("Statement[{index}]");
        let statement = statement(node, &position, kind, variables)?;
        if let Some(sid) = &statement.sid
            && compiled.iter().any(|earlier| earlier.sid.as_ref() == Some(sid))
        {
            return Err(at(
                format!("{position}.Sid"),
                format!("statement ids must be unique, \"{sid}\" is not"),
            ));
        }
        compiled.push(statement);
    }
    Ok(Policy { name: Arc::from(name), statements: compiled.into() })
}

/// serde_json's message without the line and column that it appends.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

fn statement(node: &Node, position: &str, kind: Kind, variables: bool) -> Result<Statement, MalformedPolicy> {
    let mut sid = None;
    let mut effect = None;
    let mut actions = None;
    let mut resources = None;
    let mut principals = None;
    let mut conditions = Vec::new();
    for (member, value) in object(node, position)? {
        let here = format!("{position}.{member}");
        match (member.as_str(), kind) {
            ("Sid", _) => sid = Some(read_sid(value, &here)?),
            ("Effect", _) => effect = Some(read_effect(value, &here)?),
            ("Action" | "NotAction", _) => {
                let patterns = compile(value, &here, |text| action(text, kind))?;
                set_once(
                    &mut actions,
                    members(member, patterns),
                    &here,
                    "Action and NotAction exclude each other",
                )?;
            }
            ("Resource" | "NotResource", Kind::Identity | Kind::Resource) => {
                let patterns = compile(value, &here, |text| resource(text, variables))?;
                let found = members(member, patterns);
                set_once(&mut resources, found, &here, "Resource and NotResource exclude each other")?;
            }
            ("Principal" | "NotPrincipal", Kind::Resource) | ("Principal", Kind::Trust) => {
                let found = read_principals(value, &here, member.starts_with("Not"))?;
                set_once(&mut principals, found, &here, "Principal and NotPrincipal exclude each other")?;
            }
            ("Condition", _) => conditions = read_conditions(value, &here, variables)?,
            ("Resource" | "NotResource", Kind::Trust) => {
                return Err(at(here, "a trust policy has the prohibited field Resource"));
            }
            ("Principal" | "NotPrincipal", Kind::Identity) => {
                return Err(at(here, "policy document should not specify a principal"));
            }
            ("NotPrincipal", Kind::Trust) => {
                return Err(at(here, "NotPrincipal is not supported, name the principals that are trusted"));
            }
            _ => return Err(at(here, "unknown element")),
        }
    }
    let missing = |what: &str| at(position, what);
    let effect = effect.ok_or_else(|| missing("missing required field Effect"))?;
    let actions = actions.ok_or_else(|| missing("policy statement must contain actions"))?;
    if kind != Kind::Trust && resources.is_none() {
        return Err(missing("policy statement must contain resources"));
    }
    if kind != Kind::Identity && principals.is_none() {
        return Err(missing("missing required field Principal"));
    }
    Ok(Statement { sid, effect, actions, resources, principals, conditions })
}

fn read_sid(value: &Node, here: &str) -> Result<Arc<str>, MalformedPolicy> {
    let sid = string(value, here)?;
    if sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(Arc::from(sid));
    }
    Err(at(here, "statement ids must be alpha-numeric, matching [0-9A-Za-z]*"))
}

fn read_effect(value: &Node, here: &str) -> Result<Effect, MalformedPolicy> {
    match string(value, here)? {
        "Allow" => Ok(Effect::Allow),
        "Deny" => Ok(Effect::Deny),
        other => Err(at(here, format!("\"{other}\" is neither \"Allow\" nor \"Deny\""))),
    }
}

fn members(member: &str, patterns: Vec<Pattern>) -> Members {
    if member.starts_with("Not") { Members::AllBut(patterns) } else { Members::Only(patterns) }
}

fn set_once<T>(slot: &mut Option<T>, value: T, here: &str, problem: &str) -> Result<(), MalformedPolicy> {
    if slot.replace(value).is_some() { Err(at(here, problem)) } else { Ok(()) }
}

/// A string or a list of strings, each compiled.
fn compile(
    value: &Node,
    here: &str,
    read: impl Fn(&str) -> Result<Pattern, String>,
) -> Result<Vec<Pattern>, MalformedPolicy> {
    let texts = strings(value, here)?;
    if texts.is_empty() {
        return Err(at(here, "must not be empty"));
    }
    texts.iter().map(|(text, position)| read(text).map_err(|problem| at(position, problem))).collect()
}

fn action(text: &str, kind: Kind) -> Result<Pattern, String> {
    let syntax = Syntax { wildcards: true, variables: false, fold_case: true };
    if text == "*" && kind != Kind::Trust {
        return Pattern::parse(text, syntax);
    }
    let vendor_ok = |v: &str| !v.is_empty() && v.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let name_ok =
        |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric() || b"*?".contains(&b));
    let (vendor, name) = text.split_once(':').filter(|(v, n)| vendor_ok(v) && name_ok(n)).ok_or_else(|| {
        format!("the action \"{text}\" must be prefaced by a vendor, e.g., iam, sdb, ec2, and name its operations")
    })?;
    if kind == Kind::Trust && !vendor.eq_ignore_ascii_case("sts") {
        return Err(format!(
            "a trust policy may only specify STS AssumeRole actions, not \"{vendor}:{name}\""
        ));
    }
    Pattern::parse(text, syntax)
}

fn resource(text: &str, variables: bool) -> Result<Pattern, String> {
    if text != "*" && !text.starts_with("arn:") {
        return Err(format!("the resource \"{text}\" must be in ARN format or \"*\""));
    }
    Pattern::parse(text, Syntax { wildcards: true, variables, fold_case: false })
}

fn read_principals(value: &Node, here: &str, excluding: bool) -> Result<Principals, MalformedPolicy> {
    if let Node::String(text) = value {
        return if text == "*" && excluding {
            Err(at(here, "\"*\" leaves nobody"))
        } else if text == "*" {
            Ok(Principals::Anyone)
        } else {
            Err(at(here, format!("\"{text}\" is not a principal; only \"*\" may stand without its type")))
        };
    }
    let mut trusted = Vec::new();
    for (kind, values) in object(value, here)? {
        let here = format!("{here}.{kind}");
        for (text, position) in strings(values, &here)? {
            let principal = match kind.as_str() {
                "AWS" => TrustedPrincipal::parse_aws(text),
                "Service" => TrustedPrincipal::parse_service(text),
                other => {
                    return Err(at(&here, format!("principals of the type \"{other}\" are not supported")));
                }
            };
            trusted.push(principal.ok_or_else(|| {
                at(position, format!("invalid principal in policy: \"{kind}\":\"{text}\""))
            })?);
        }
    }
    if trusted.is_empty() {
        return Err(at(here, "must not be empty"));
    }
    Ok(if excluding { Principals::AllBut(trusted) } else { Principals::These(trusted) })
}

fn read_conditions(value: &Node, here: &str, variables: bool) -> Result<Vec<Condition>, MalformedPolicy> {
    let mut conditions = Vec::new();
    for (operator, keys) in object(value, here)? {
        let here = format!("{here}.{operator}");
        for (key, values) in object(keys, &here)? {
            let here = format!("{here}.{key}");
            let scalars = scalars(values, &here)?;
            let condition = Condition::parse(operator, key, &scalars, variables).map_err(|p| at(here, p))?;
            conditions.push(condition);
        }
    }
    Ok(conditions)
}

fn object<'a>(node: &'a Node, here: &str) -> Result<&'a [(String, Node)], MalformedPolicy> {
    match node {
        Node::Object(members) => Ok(members),
        other => Err(at(here, format!("must be an object, not {}", other.kind()))),
    }
}

fn string<'a>(node: &'a Node, here: &str) -> Result<&'a str, MalformedPolicy> {
    match node {
        Node::String(text) => Ok(text),
        other => Err(at(here, format!("must be a string, not {}", other.kind()))),
    }
}

fn strings<'a>(node: &'a Node, here: &str) -> Result<Vec<(&'a str, String)>, MalformedPolicy> {
    match node {
        Node::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let position = format!("{here}[{index}]");
                Ok((string(item, &position)?, position))
            })
            .collect(),
        one => Ok(vec![(string(one, here)?, here.to_owned())]),
    }
}

fn scalars(node: &Node, here: &str) -> Result<Vec<String>, MalformedPolicy> {
    let items = match node {
        Node::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    items
        .iter()
        .map(|item| {
            item.scalar().ok_or_else(|| at(here, format!("a value must be text, not {}", item.kind())))
        })
        .collect()
}

fn at(position: impl Into<String>, problem: impl Into<String>) -> MalformedPolicy {
    MalformedPolicy { position: position.into(), problem: problem.into() }
}
