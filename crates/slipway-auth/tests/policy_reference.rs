//! A second evaluator, naive and straight from the documentation, decides random policies the same way: every condition
//! operator with its quantifiers and `IfExists`, variables with and without defaults, `Not…` elements, several policies,
//! boundaries and session policies (D-05, DP-601..DP-605, DP-615).

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use slipway_auth::policy::{Context, Decision, Grants, Policy, Request, evaluate_grants};

type Keys = BTreeMap<&'static str, Vec<&'static str>>;

/// The reference.
mod naive {
    use super::{BTreeMap, Keys, Value};

    #[derive(Debug, PartialEq, Eq, Clone, Copy)]
    pub(crate) enum Verdict {
        Allow,
        Deny,
        Nothing,
    }

    pub(crate) fn decide(layers: &[Vec<Value>], action: &str, resource: &str, keys: &Keys) -> Verdict {
        let verdicts: Vec<Verdict> =
            layers.iter().map(|policies| layer(policies, action, resource, keys)).collect();
        if verdicts.contains(&Verdict::Deny) {
            Verdict::Deny
        } else if verdicts.contains(&Verdict::Nothing) {
            Verdict::Nothing
        } else {
            Verdict::Allow
        }
    }

    fn layer(policies: &[Value], action: &str, resource: &str, keys: &Keys) -> Verdict {
        let mut verdict = Verdict::Nothing;
        for statement in
            policies.iter().flat_map(|policy| policy["Statement"].as_array().expect("as generated"))
        {
            let granting = statement["Effect"] == "Allow";
            let in_action = member(statement, "Action", action, keys, granting, true);
            let in_resource = member(statement, "Resource", resource, keys, granting, false);
            if in_action && in_resource && conditions(statement, keys, granting) {
                if !granting {
                    return Verdict::Deny;
                }
                verdict = Verdict::Allow;
            }
        }
        verdict
    }

    fn member(
        statement: &Value,
        element: &str,
        name: &str,
        keys: &Keys,
        granting: bool,
        is_action: bool,
    ) -> bool {
        let fold = |text: &str| if is_action { text.to_ascii_lowercase() } else { text.to_owned() };
        let any = |list: &Value, unresolved: bool| {
            list.as_array().expect("as generated").iter().any(|pattern| {
                let pattern = pattern.as_str().expect("as generated");
                let resolved = if is_action { Some(plain(pattern)) } else { resolve(pattern, keys) };
                resolved.map_or(unresolved, |pattern| {
                    let pattern: Vec<(char, bool)> = pattern
                        .into_iter()
                        .map(|(c, wild)| (fold(&c.to_string()).chars().next().expect("as generated"), wild))
                        .collect();
                    glob(&pattern, &fold(name).chars().collect::<Vec<_>>())
                })
            })
        };
        match statement.get(element) {
            Some(list) => any(list, false),
            None => !any(&statement[format!("Not{element}")], granting),
        }
    }

    /// Characters, each with whether it may be a wildcard.
    fn plain(text: &str) -> Vec<(char, bool)> {
        text.chars().map(|c| (c, true)).collect()
    }

    fn resolve(text: &str, keys: &Keys) -> Option<Vec<(char, bool)>> {
        let Some(start) = text.find("${") else { return Some(plain(text)) };
        let end = start + text[start..].find('}').expect("as generated");
        let inside = &text[start + 2..end];
        let (key, default) = match inside.split_once(',') {
            Some((key, default)) => (key, Some(default.trim().trim_matches('\''))),
            None => (inside, None),
        };
        let value = match keys.get(key).map(Vec::as_slice) {
            Some([one]) => Some(*one),
            _ => default,
        }?;
        let mut out = plain(&text[..start]);
        out.extend(value.chars().map(|c| (c, false)));
        out.extend(resolve(&text[end + 1..], keys)?);
        Some(out)
    }

    fn glob(pattern: &[(char, bool)], value: &[char]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some((('*', true), rest)) => (0..=value.len()).any(|skip| glob(rest, &value[skip..])),
            Some(((wanted, wild), rest)) => value
                .split_first()
                .is_some_and(|(c, tail)| ((*wanted == '?' && *wild) || wanted == c) && glob(rest, tail)),
        }
    }

    fn conditions(statement: &Value, keys: &Keys, granting: bool) -> bool {
        let Some(operators) = statement.get("Condition").and_then(Value::as_object) else { return true };
        operators.iter().all(|(operator, tests)| {
            tests.as_object().expect("as generated").iter().all(|(key, values)| {
                let values: Vec<&str> = values
                    .as_array()
                    .expect("as generated")
                    .iter()
                    .map(|v| v.as_str().expect("as generated"))
                    .collect();
                condition(operator, keys.get(key.as_str()), &values, keys, granting)
            })
        })
    }

    fn condition(
        operator: &str,
        actual: Option<&Vec<&'static str>>,
        wanted: &[&str],
        keys: &Keys,
        granting: bool,
    ) -> bool {
        if operator == "Null" {
            return (wanted[0] == "true") == actual.is_none();
        }
        let (quantifier, name) = operator.split_once(':').unwrap_or(("", operator));
        let (name, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
        let negated = name.contains("Not");
        let positive = name.replacen("Not", "", 1);
        let Some(actual) = actual else {
            return if_exists || quantifier == "ForAllValues" || (quantifier.is_empty() && negated);
        };
        // Of one value of the request: does any value of the policy fit, or is that not known?
        let fits = |value: &str| -> Option<bool> {
            let each: Vec<Option<bool>> = wanted.iter().map(|w| compare(&positive, w, value, keys)).collect();
            if each.contains(&Some(true)) {
                Some(true)
            } else if each.contains(&None) {
                None
            } else {
                Some(false)
            }
        };
        let holds = |value: &&str| match fits(value) {
            Some(fits) => fits != negated,
            None => negated && !granting,
        };
        match (quantifier, negated) {
            ("ForAllValues", _) | ("", true) => actual.iter().all(holds),
            _ => actual.iter().any(holds),
        }
    }

    fn compare(operator: &str, wanted: &str, value: &str, keys: &Keys) -> Option<bool> {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let literal = |text: &str| -> Option<String> {
            Some(resolve(text, keys)?.into_iter().map(|(c, _)| c).collect())
        };
        Some(match operator {
            "StringEquals" => literal(wanted)? == value,
            "StringEqualsIgnoreCase" => literal(wanted)?.eq_ignore_ascii_case(value),
            "StringLike" => glob(&resolve(wanted, keys)?, &chars(value)),
            "ArnLike" | "ArnEquals" => {
                let pattern = resolve(wanted, keys)?;
                let parts: Vec<&[(char, bool)]> = pattern.splitn(6, |(c, _)| *c == ':').collect();
                let values: Vec<&str> = value.splitn(6, ':').collect();
                if parts.len() < 6 {
                    return Some(glob(&pattern, &chars(value)));
                }
                values.len() == 6 && parts.iter().zip(&values).all(|(part, value)| glob(part, &chars(value)))
            }
            "Bool" => wanted == value,
            "IpAddress" => {
                let number = |ip: &str| -> u32 {
                    ip.split('.').fold(0, |sum, part| sum << 8 | part.parse::<u32>().expect("as generated"))
                };
                let (network, length) = wanted.split_once('/').unwrap_or((wanted, "32"));
                let shift = 32 - length.parse::<u32>().expect("as generated");
                value.contains('.')
                    && number(network).checked_shr(shift).unwrap_or(0)
                        == number(value).checked_shr(shift).unwrap_or(0)
            }
            numeric if numeric.starts_with("Numeric") => {
                let (Ok(value), Ok(wanted)) = (value.parse::<f64>(), wanted.parse::<f64>()) else {
                    return Some(false);
                };
                order(numeric.trim_start_matches("Numeric"), value.partial_cmp(&wanted))
            }
            dated => {
                // The generator's days, in their order.
                let days: BTreeMap<&str, i32> = BTreeMap::from([
                    ("2026-01-01", 1),
                    ("2026-01-01T00:00:00Z", 1),
                    ("1767225600", 1),
                    ("2026-06-01T12:00:00Z", 2),
                ]);
                let (Some(value), Some(wanted)) = (days.get(value), days.get(wanted)) else {
                    return Some(false);
                };
                order(dated.trim_start_matches("Date"), value.partial_cmp(wanted))
            }
        })
    }

    fn order(name: &str, found: Option<std::cmp::Ordering>) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match name {
            "Equals" => found == Some(Equal),
            "LessThan" => found == Some(Less),
            "LessThanEquals" => matches!(found, Some(Less | Equal)),
            "GreaterThan" => found == Some(Greater),
            _ => matches!(found, Some(Greater | Equal)),
        }
    }
}

const TEXT_KEYS: &[&str] = &["aws:username", "aws:PrincipalTag/team", "aws:TagKeys", "aws:absent"];

fn one_of(items: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(items)
}

fn some_of(items: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(one_of(items), 1..3)
}

fn condition() -> impl Strategy<Value = (String, &'static str, Vec<&'static str>)> {
    const STRINGS: &[&str] = &[
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
    ];
    const NUMBERS: &[&str] = &[
        "NumericEquals",
        "NumericNotEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
    ];
    const DATES: &[&str] = &[
        "DateEquals",
        "DateNotEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
    ];
    let texts = [
        "bob",
        "BOB",
        "b*",
        "?ob",
        "web",
        "${aws:username}",
        "${aws:absent}",
        "${aws:PrincipalTag/team,'none'}",
        "none",
    ];
    let texts: &'static [&'static str] = Box::leak(Box::new(texts));
    let arns: &'static [&'static str] = &[
        "arn:aws:iam::*:user/*",
        "arn:aws:iam::1*:user/bob",
        "arn:*",
        "arn:aws:iam::*:role/${aws:username}",
    ];
    let base = prop_oneof![
        4 => (one_of(STRINGS), one_of(TEXT_KEYS), some_of(texts)),
        2 => (one_of(NUMBERS), one_of(&["aws:Number", "aws:username", "aws:absent"]), some_of(&["4", "5", "5.0", "6"])),
        2 => (one_of(DATES), one_of(&["aws:CurrentTime", "aws:absent"]), some_of(&["2026-01-01", "1767225600", "2026-06-01T12:00:00Z"])),
        1 => (one_of(&["IpAddress", "NotIpAddress"]), one_of(&["aws:SourceIp", "aws:absent"]), some_of(&["10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "192.0.2.0/24"])),
        1 => (one_of(&["ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals"]), one_of(&["aws:PrincipalArn", "aws:absent"]), some_of(arns)),
        1 => (one_of(&["Bool"]), one_of(&["aws:SecureTransport", "aws:absent"]), some_of(&["true", "false"])),
    ];
    let decorated = (base, one_of(&["", "", "ForAllValues:", "ForAnyValue:"]), prop::bool::weighted(0.25))
        .prop_map(|((operator, key, values), quantifier, if_exists)| {
            (format!("{quantifier}{operator}{}", if if_exists { "IfExists" } else { "" }), key, values)
        });
    prop_oneof![
        9 => decorated,
        1 => (one_of(TEXT_KEYS), one_of(&["true", "false"])).prop_map(|(key, value)| ("Null".to_owned(), key, vec![value])),
    ]
}

fn statement() -> impl Strategy<Value = Value> {
    const ACTIONS: &[&str] = &[
        "*",
        "codedeploy:*",
        "codedeploy:Get*",
        "CodeDeploy:getdeployment",
        "codedeploy:?etDeployment",
        "s3:*",
    ];
    const RESOURCES: &[&str] = &[
        "*",
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::${aws:username}/*",
        "arn:aws:s3:::${aws:absent}/k",
        "arn:aws:s3:::${aws:PrincipalTag/team,'b'}/k",
        "arn:aws:s3:::?/k",
    ];
    (
        prop::bool::weighted(0.7),
        prop::bool::weighted(0.2),
        some_of(ACTIONS),
        prop::bool::weighted(0.25),
        some_of(RESOURCES),
        prop::collection::vec(condition(), 0..3),
    )
        .prop_map(|(allow, not_action, actions, not_resource, resources, conditions)| {
            let mut statement = json!({ "Effect": if allow { "Allow" } else { "Deny" } });
            statement[if not_action { "NotAction" } else { "Action" }] = json!(actions);
            statement[if not_resource { "NotResource" } else { "Resource" }] = json!(resources);
            for (operator, key, values) in conditions {
                statement["Condition"][&operator][key] = json!(values);
            }
            statement
        })
}

fn layer() -> impl Strategy<Value = Vec<Value>> {
    let policy = prop::collection::vec(statement(), 1..4)
        .prop_map(|statements| json!({ "Version": "2012-10-17", "Statement": statements }));
    prop::collection::vec(policy, 1..3)
}

fn keys() -> impl Strategy<Value = Keys> {
    (
        prop::option::of(one_of(&["bob", "BOB", "b*"])),
        prop::option::of(one_of(&["web", "none", "b"])),
        prop::collection::vec(one_of(&["web", "bob"]), 0..3),
        prop::option::of(one_of(&["4", "5", "ten"])),
        one_of(&["2026-01-01T00:00:00Z", "2026-06-01T12:00:00Z"]),
        one_of(&["10.1.2.3", "192.0.2.7"]),
        one_of(&["arn:aws:iam::1:user/bob", "arn:aws:iam::1:role/bob"]),
        one_of(&["true", "false"]),
    )
        .prop_map(|(user, team, tag_keys, number, time, ip, arn, tls)| {
            let mut keys = Keys::from([
                ("aws:CurrentTime", vec![time]),
                ("aws:SourceIp", vec![ip]),
                ("aws:PrincipalArn", vec![arn]),
                ("aws:SecureTransport", vec![tls]),
            ]);
            for (key, value) in
                [("aws:username", user), ("aws:PrincipalTag/team", team), ("aws:Number", number)]
            {
                keys.extend(value.map(|value| (key, vec![value])));
            }
            if !tag_keys.is_empty() {
                keys.insert("aws:TagKeys", tag_keys);
            }
            keys
        })
}

fn compile(policies: &[Value]) -> Vec<Policy> {
    policies.iter().map(|policy| Policy::parse("p", &policy.to_string()).expect("a good policy")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn the_evaluator_decides_as_its_definition_does(
        identity in layer(),
        boundary in prop::option::weighted(0.3, layer()),
        session in prop::option::weighted(0.3, layer()),
        keys in keys(),
        action in one_of(&["codedeploy:GetDeployment", "codedeploy:StopDeployment", "s3:GetObject"]),
        resource in one_of(&["arn:aws:s3:::b/k", "arn:aws:s3:::bob/k", "arn:aws:s3:::b*/k", "*"]),
    ) {
        let context = keys.iter().fold(Context::new(), |context, (key, values)| {
            context.with_all(key, values.iter().map(ToString::to_string))
        });
        let compiled = (compile(&identity), boundary.as_deref().map(compile), session.as_deref().map(compile));
        let grants =
            Grants { identity: &compiled.0, boundary: compiled.1.as_deref(), session: compiled.2.as_deref() };
        let ours = match evaluate_grants(&grants, &Request { action, resource, context: &context }) {
            Decision::Allow { .. } => naive::Verdict::Allow,
            Decision::ExplicitDeny { .. } => naive::Verdict::Deny,
            Decision::ImplicitDeny { .. } => naive::Verdict::Nothing,
        };
        let layers: Vec<Vec<Value>> = [Some(identity), boundary, session].into_iter().flatten().collect();
        let theirs = naive::decide(&layers, action, resource, &keys);
        prop_assert_eq!(ours, theirs, "{:#?} {:?}", layers, keys);
    }
}
