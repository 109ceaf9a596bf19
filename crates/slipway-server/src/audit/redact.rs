//! What of parameters and answers may be recorded.
//!
//! Parameters are recorded unless their name speaks of a secret. Of answers the opposite holds: only members that are
//! listed here are recorded, so that an answer that learns to carry a secret does not betray it.

use serde_json::{Map, Value};
use slipway_wire::query::Form;

/// CloudTrail's words in the place of a secret.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";
/// Longer texts are cut: a record is for people.
const LONGEST_TEXT: usize = 8 * 1024;

/// Parameters whose names have more parts are left out; no action has such.
const DEEPEST: usize = 16;

/// Names with any of these in them are secrets …
const SECRET: &[&str] =
    &["secret", "password", "passphrase", "token", "credential", "privatekey", "signature", "apikey"];
/// … but these are names of things.
const NO_SECRET: &[&str] = &["tokenname", "nexttoken", "credentialid"];

/// Members of answers that are recorded, in lower case. Objects and lists are recorded for what is in them.
const ANSWERED: &[&str] = &[
    "accesskeyid",
    "applicationid",
    "arn",
    "assumedroleid",
    "createdate",
    "defaultversionid",
    "deploymentconfigid",
    "deploymentgroupid",
    "deploymentid",
    "expiration",
    "groupid",
    "groupname",
    "instanceprofileid",
    "instanceprofilename",
    "isdefaultversion",
    "lifecycleeventhookexecutionid",
    "path",
    "policyid",
    "policyname",
    "roleid",
    "rolename",
    "sourceidentity",
    "status",
    "tokenname",
    "userid",
    "username",
    "versionid",
];

/// The parameters of a call as they may be recorded, under lower-camel names (DP-433).
pub(super) fn parameters(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let value = if is_secret(&name) { hidden(&value) } else { parameters(value) };
                    (lower_camel(&name), value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(parameters).collect()),
        Value::String(text) => Value::String(cut(text)),
        other => other,
    }
}

/// The answer of a call as it may be recorded; `Null` when nothing of it may.
pub(super) fn answer(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept: Map<String, Value> = members
                .into_iter()
                .filter_map(|(name, value)| {
                    let value = match value {
                        Value::Object(_) | Value::Array(_) => answer(value),
                        plain if ANSWERED.contains(&name.to_ascii_lowercase().as_str()) => plain,
                        _ => Value::Null,
                    };
                    (!value.is_null()).then(|| (lower_camel(&name), value))
                })
                .collect();
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        Value::Array(items) => {
            let kept: Vec<Value> = items.into_iter().map(answer).filter(|item| !item.is_null()).collect();
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        // Without a name nothing is known about it.
        _ => Value::Null,
    }
}

/// The parameters of a form as a value: `Tags.member.1.Key` is the member `Key` of the first item of `Tags`.
pub(super) fn of_form(form: &Form) -> Value {
    let mut root = Value::Object(Map::new());
    for (name, value) in form.parameters() {
        let own = ["Action", "Version"].contains(&name) || name.starts_with("X-Amz-");
        if !own {
            place(&mut root, name, value);
        }
    }
    root
}

/// Puts a value where its name says. Where two names contradict each other the later one is left out.
fn place(root: &mut Value, name: &str, value: &str) {
    let parts = || name.split('.').filter(|part| *part != "member");
    if parts().count() > DEEPEST {
        return;
    }
    let mut at = root;
    for part in parts() {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(members) = at else { return };
        at = members.entry(part).or_insert(Value::Null);
    }
    if at.is_null() {
        *at = Value::String(value.to_owned());
    }
}

/// Objects whose members are numbers are lists.
pub(super) fn lists(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let numbered = !members.is_empty() && members.keys().all(|name| name.parse::<u32>().is_ok());
    if !numbered {
        return Value::Object(members.into_iter().map(|(name, value)| (name, lists(value))).collect());
    }
    let mut items: Vec<(u32, Value)> =
        members.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, lists(value)))).collect();
    items.sort_by_key(|(number, _)| *number);
    Value::Array(items.into_iter().map(|(_, value)| value).collect())
}

fn is_secret(name: &str) -> bool {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    !NO_SECRET.iter().any(|known| plain.ends_with(known)) && SECRET.iter().any(|part| plain.contains(part))
}

fn hidden(value: &Value) -> Value {
    if value.is_null() { Value::Null } else { Value::String(HIDDEN.to_owned()) }
}

fn cut(text: String) -> String {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let end = text.floor_char_boundary(LONGEST_TEXT);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

pub(super) fn lower_camel(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_have_lower_camel_names_dp_433() {
        let given = json!({"ec2TagFilters": [{"Key": "k", "Value": "v", "Type": "KEY_AND_VALUE"}]});
        let recorded = json!({"ec2TagFilters": [{"key": "k", "value": "v", "type": "KEY_AND_VALUE"}]});
        assert_eq!(parameters(given), recorded);
    }

    #[test]
    fn nothing_that_is_named_a_secret_is_recorded() {
        for name in [
            "SecretAccessKey",
            "password",
            "OldPassword",
            "gitHubToken",
            "TokenCode",
            "x_api_key",
            "Private-Key",
        ] {
            let recorded = parameters(json!({ name: "hush" })).to_string();
            assert!(!recorded.contains("hush") && recorded.contains(HIDDEN), "{recorded}");
            let nested = parameters(json!({"a": [{ name: {"b": "hush"} }]})).to_string();
            assert!(!nested.contains("hush"), "{nested}");
        }
        assert_eq!(parameters(json!({"tokenName": "ci"})), json!({"tokenName": "ci"}));
    }

    #[test]
    fn of_an_answer_only_what_is_known_is_recorded() {
        let given = json!({"AccessKey": {"AccessKeyId": "AKIA1", "SecretAccessKey": "hush", "New": "x"},
            "Credentials": {"SessionToken": "hush"}, "list": ["hush"], "deploymentId": "d-1"});
        let recorded = json!({"accessKey": {"accessKeyId": "AKIA1"}, "deploymentId": "d-1"});
        assert_eq!(answer(given), recorded);
        assert_eq!(answer(json!({"unknown": 1})), Value::Null);
    }

    #[test]
    fn forms_are_read_as_what_they_mean() {
        let form = Form::parse(
            b"Action=TagUser&Version=1&UserName=bob&Tags.member.2.Key=b&Tags.member.1.Key=a&X-Amz-Signature=s",
        )
        .unwrap();
        let recorded = json!({"userName": "bob", "tags": [{"key": "a"}, {"key": "b"}]});
        assert_eq!(parameters(lists(of_form(&form))), recorded);
        let deep = format!("{}=1", "a.".repeat(10_000));
        assert_eq!(of_form(&Form::parse(deep.as_bytes()).unwrap()), json!({}));
        let contradicting = Form::parse(b"A=1&A.B=2&A.B.C=3").unwrap();
        assert_eq!(lists(of_form(&contradicting)), json!({"A": "1"}));
    }

    #[test]
    fn long_texts_are_cut() {
        let recorded = parameters(json!({"content": "ä".repeat(LONGEST_TEXT)})).to_string();
        assert!(recorded.len() < LONGEST_TEXT + 100 && recorded.contains("(16384 bytes)"));
    }
}
