//! Condition operators.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use super::context::Context;
use super::pattern::{Match, Pattern, Syntax};

/// One operator applied to one key.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    quantifier: Quantifier,
    if_exists: bool,
    negated: bool,
    lower_key: String,
    test: Test,
}

/// `ForAllValues:` and `ForAnyValue:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    None,
    All,
    Any,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The right side of a comparison, read when the policy is written.
#[derive(Clone, Debug)]
enum Test {
    Text(Vec<Pattern>),
    Arn(Vec<Pattern>),
    Number(Order, Vec<f64>),
    Date(Order, Vec<i64>),
    Bool(Vec<bool>),
    Ip(Vec<Network>),
    Null(bool),
}

/// How an operator reads its values.
#[derive(Clone, Copy)]
enum Family {
    Text { wildcards: bool, fold_case: bool },
    Arn,
    Number(Order),
    Date(Order),
    Bool,
    Ip,
    Null,
}

#[derive(Clone, Copy, Debug)]
struct Network {
    address: u128,
    mask: u128,
    is_v4: bool,
}

impl Condition {
    /// Compiles one `"Operator": {"key": values}` entry. The error says what is wrong, the caller says where.
    pub(super) fn parse(
        operator: &str,
        key: &str,
        values: &[String],
        variables: bool,
    ) -> Result<Self, String> {
        let (quantifier, name) = match operator.split_once(':') {
            Some(("ForAllValues", name)) => (Quantifier::All, name),
            Some(("ForAnyValue", name)) => (Quantifier::Any, name),
            _ => (Quantifier::None, operator),
        };
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            Some(base) => (base, true),
            None => (name, false),
        };
        let (family, negated) =
            family(name).ok_or_else(|| format!("the condition operator \"{operator}\" is not supported"))?;
        if matches!(family, Family::Null) && (if_exists || quantifier != Quantifier::None) {
            return Err(format!("the condition operator \"{operator}\" is not valid"));
        }
        if !key.split_once(':').is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty()) {
            return Err(format!("the condition key \"{key}\" must be prefaced by a vendor, e.g. aws:"));
        }
        let test = compile(family, values, variables)?;
        Ok(Self { quantifier, if_exists, negated, lower_key: key.to_ascii_lowercase(), test })
    }

    /// Whether the request meets the condition. `when_unresolved` is the answer of a negated comparison with a
    /// variable that has no value: the caller passes what keeps a statement from granting by accident.
    pub(super) fn holds(&self, context: &Context, when_unresolved: bool) -> bool {
        let values = context.get(&self.lower_key);
        if let Test::Null(absent) = self.test {
            return values.is_none() == absent;
        }
        let Some(values) = values else {
            return self.if_exists
                || match self.quantifier {
                    Quantifier::All => true,
                    Quantifier::Any => false,
                    Quantifier::None => self.negated,
                };
        };
        let mut each = values.iter().map(|value| match self.test.matches(value, context) {
            Match::Yes => !self.negated,
            Match::No => self.negated,
            Match::Unresolved => self.negated && when_unresolved,
        });
        match self.quantifier {
            Quantifier::All => each.all(|holds| holds),
            Quantifier::Any => each.any(|holds| holds),
            // Of a key with several values a plain operator asks for any one that fits; a negated one for none
            // that does.
            Quantifier::None if self.negated => each.all(|holds| holds),
            Quantifier::None => each.any(|holds| holds),
        }
    }
}

/// Operator names without `IfExists`, and whether they negate.
fn family(name: &str) -> Option<(Family, bool)> {
    let text = |wildcards, fold_case| Family::Text { wildcards, fold_case };
    Some(match name {
        "StringEquals" | "BinaryEquals" => (text(false, false), false),
        "StringNotEquals" => (text(false, false), true),
        "StringEqualsIgnoreCase" => (text(false, true), false),
        "StringNotEqualsIgnoreCase" => (text(false, true), true),
        "StringLike" => (text(true, false), false),
        "StringNotLike" => (text(true, false), true),
        // IAM treats the two spellings alike: ArnEquals takes wildcards too.
        "ArnEquals" | "ArnLike" => (Family::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Family::Arn, true),
        "NumericEquals" => (Family::Number(Order::Equal), false),
        "NumericNotEquals" => (Family::Number(Order::Equal), true),
        "NumericLessThan" => (Family::Number(Order::Less), false),
        "NumericLessThanEquals" => (Family::Number(Order::LessOrEqual), false),
        "NumericGreaterThan" => (Family::Number(Order::Greater), false),
        "NumericGreaterThanEquals" => (Family::Number(Order::GreaterOrEqual), false),
        "DateEquals" => (Family::Date(Order::Equal), false),
        "DateNotEquals" => (Family::Date(Order::Equal), true),
        "DateLessThan" => (Family::Date(Order::Less), false),
        "DateLessThanEquals" => (Family::Date(Order::LessOrEqual), false),
        "DateGreaterThan" => (Family::Date(Order::Greater), false),
        "DateGreaterThanEquals" => (Family::Date(Order::GreaterOrEqual), false),
        "Bool" => (Family::Bool, false),
        "IpAddress" => (Family::Ip, false),
        "NotIpAddress" => (Family::Ip, true),
        "Null" => (Family::Null, false),
        _ => return None,
    })
}

fn compile(family: Family, values: &[String], variables: bool) -> Result<Test, String> {
    fn all<T>(values: &[String], what: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
        values.iter().map(|v| read(v).ok_or_else(|| format!("\"{v}\" is not {what}"))).collect()
    }
    let patterns = |wildcards, fold_case| -> Result<Vec<Pattern>, String> {
        let syntax = Syntax { wildcards, variables, fold_case };
        values.iter().map(|v| Pattern::parse(v, syntax)).collect()
    };
    Ok(match family {
        Family::Text { wildcards, fold_case } => Test::Text(patterns(wildcards, fold_case)?),
        Family::Arn => Test::Arn(patterns(true, false)?),
        Family::Number(order) => Test::Number(order, all(values, "a number", number)?),
        Family::Date(order) => Test::Date(order, all(values, "a date", date)?),
        Family::Bool => Test::Bool(all(values, "true or false", boolean)?),
        Family::Ip => Test::Ip(all(values, "an IP address or network in CIDR form", network)?),
        Family::Null => match all(values, "true or false", boolean)?[..] {
            [absent] => Test::Null(absent),
            _ => return Err("\"Null\" takes exactly one value".to_owned()),
        },
    })
}

impl Test {
    /// Whether any of the policy's values fits this one of the request's.
    fn matches(&self, value: &str, context: &Context) -> Match {
        match self {
            Self::Text(patterns) => any(patterns.iter().map(|p| p.matches(value, context))),
            Self::Arn(patterns) => any(patterns.iter().map(|p| p.matches_arn(value, context))),
            Self::Number(order, wanted) => {
                Match::from(number(value).is_some_and(|v| wanted.iter().any(|w| order.holds(&v, w))))
            }
            Self::Date(order, wanted) => {
                Match::from(date(value).is_some_and(|v| wanted.iter().any(|w| order.holds(&v, w))))
            }
            Self::Bool(wanted) => Match::from(boolean(value).is_some_and(|v| wanted.contains(&v))),
            Self::Ip(wanted) => Match::from(
                value.parse::<IpAddr>().is_ok_and(|address| wanted.iter().any(|w| w.contains(address))),
            ),
            Self::Null(_) => Match::No,
        }
    }
}

fn any(matches: impl Iterator<Item = Match>) -> Match {
    matches.fold(Match::No, |so_far, next| match (so_far, next) {
        (Match::Yes, _) | (_, Match::Yes) => Match::Yes,
        (Match::Unresolved, _) | (_, Match::Unresolved) => Match::Unresolved,
        (Match::No, Match::No) => Match::No,
    })
}

impl Order {
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let (bits, is_v4) = bits(address);
        is_v4 == self.is_v4 && bits & self.mask == self.address
    }
}

fn bits(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), true),
        IpAddr::V6(v6) => (u128::from(v6), false),
    }
}

fn network(text: &str) -> Option<Network> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let (address, is_v4) = bits(address.parse().ok()?);
    let width: u32 = if is_v4 { 32 } else { 128 };
    let prefix = prefix.unwrap_or(width);
    if prefix > width {
        return None;
    }
    let all = if is_v4 { u128::from(u32::MAX) } else { u128::MAX };
    let mask = if prefix == 0 { 0 } else { all & (u128::MAX << (width - prefix)) };
    Some(Network { address: address & mask, mask, is_v4 })
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Milliseconds of an ISO 8601 date or time, or of seconds since the epoch.
fn date(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1000);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    let day: Date = text.parse().ok()?;
    Some(Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, values: &[&str], actual: &[&str]) -> bool {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        let context = Context::new().with_all("aws:Key", actual.iter().map(ToString::to_string));
        Condition::parse(operator, "AWS:key", &values, true).unwrap().holds(&context, false)
    }

    #[test]
    fn each_operator_compares_as_documented() {
        let cases: &[(&str, &[&str], &[&str], bool)] = &[
            ("StringEquals", &["a", "b"], &["b"], true),
            ("StringEquals", &["a*"], &["ab"], false),
            ("StringEquals", &["a"], &["A"], false),
            ("StringNotEquals", &["a", "b"], &["b"], false),
            ("StringNotEquals", &["a", "b"], &["c"], true),
            ("StringEqualsIgnoreCase", &["Ab"], &["aB"], true),
            ("StringNotEqualsIgnoreCase", &["Ab"], &["aB"], false),
            ("StringLike", &["arn:aws:codedeploy:*"], &["arn:aws:codedeploy:r:a:x"], true),
            ("StringNotLike", &["a*"], &["ab"], false),
            ("ArnLike", &["arn:aws:s3:::b*"], &["arn:aws:s3:::bucket"], true),
            ("ArnEquals", &["arn:aws:s3:::b*"], &["arn:aws:s3:::bucket"], true),
            ("ArnNotLike", &["arn:aws:s3:::b*"], &["arn:aws:s3:::bucket"], false),
            ("NumericLessThanEquals", &["10"], &["10"], true),
            ("NumericLessThan", &["10"], &["10"], false),
            ("NumericGreaterThan", &["9.5"], &["10"], true),
            ("NumericEquals", &["10"], &["ten"], false),
            ("NumericNotEquals", &["10"], &["11"], true),
            ("DateLessThan", &["2013-06-30T00:00:00Z"], &["2013-06-29T23:59:59Z"], true),
            ("DateGreaterThanEquals", &["2013-06-30"], &["1372550400"], true),
            ("Bool", &["true"], &["true"], true),
            ("Bool", &["false"], &["true"], false),
            ("IpAddress", &["203.0.113.0/24", "2001:db8::/32"], &["203.0.113.9"], true),
            ("IpAddress", &["203.0.113.0/24", "2001:db8::/32"], &["2001:db8:1::1"], true),
            ("IpAddress", &["203.0.113.0/24"], &["::ffff:203.0.113.9"], true),
            ("IpAddress", &["0.0.0.0/0"], &["2001:db8::1"], false),
            ("NotIpAddress", &["203.0.113.0/24"], &["203.0.114.1"], true),
            ("Null", &["false"], &["x"], true),
            ("Null", &["true"], &["x"], false),
        ];
        for (operator, values, actual, expected) in cases {
            assert_eq!(holds(operator, values, actual), *expected, "{operator} {values:?} {actual:?}");
        }
    }

    #[test]
    fn an_absent_key_fails_positive_and_meets_negated_operators() {
        for (operator, expected) in [
            ("StringEquals", false),
            ("StringNotEquals", true),
            ("StringEqualsIfExists", true),
            ("NotIpAddressIfExists", true),
            ("ForAllValues:StringEquals", true),
            ("ForAnyValue:StringEquals", false),
            ("ForAnyValue:StringNotEquals", false),
        ] {
            let value = if operator.contains("Ip") { "10.0.0.0/8" } else { "a" };
            assert_eq!(holds(operator, &[value], &[]), expected, "{operator}");
        }
        assert!(holds("Null", &["true"], &[]) && !holds("Null", &["false"], &[]));
    }

    #[test]
    fn quantifiers_decide_over_several_values() {
        assert!(holds("ForAllValues:StringEquals", &["a", "b"], &["a", "b"]));
        assert!(!holds("ForAllValues:StringEquals", &["a", "b"], &["a", "c"]));
        assert!(holds("ForAnyValue:StringLike", &["a*"], &["x", "ab"]));
        assert!(holds("ForAnyValue:StringNotEquals", &["a"], &["a", "b"]));
        assert!(!holds("StringNotEquals", &["a"], &["a", "b"]));
    }

    #[test]
    fn unknown_operators_and_unreadable_values_are_refused() {
        for (operator, value) in [
            ("StringEqual", "a"),
            ("stringequals", "a"),
            ("ForSomeValues:StringEquals", "a"),
            ("NullIfExists", "true"),
            ("NumericEquals", "ten"),
            ("DateEquals", "tomorrow"),
            ("Bool", "yes"),
            ("IpAddress", "10.0.0.0/33"),
            ("IpAddress", "${aws:SourceIp}"),
            ("StringLike", "${aws:username"),
        ] {
            let parsed = Condition::parse(operator, "aws:x", &[value.to_owned()], true);
            assert!(parsed.is_err(), "{operator} {value}");
        }
        assert!(Condition::parse("StringEquals", "username", &["a".into()], true).is_err());
    }

    #[test]
    fn a_variable_without_value_never_meets_a_positive_and_a_negated_one_as_told() {
        let context = Context::new().with("aws:x", "bob");
        let parse =
            |operator| Condition::parse(operator, "aws:x", &["${aws:username}".to_owned()], true).unwrap();
        assert!(!parse("StringEquals").holds(&context, true));
        assert!(parse("StringNotEquals").holds(&context, true));
        assert!(!parse("StringNotEquals").holds(&context, false));
    }
}
