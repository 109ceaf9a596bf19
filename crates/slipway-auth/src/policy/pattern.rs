//! Text patterns of policies: `*`, `?` and policy variables.

use std::borrow::Cow;

use super::context::Context;

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
    has_variables: bool,
    fold_case: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
    Variable {
        lower_key: String,
        default: Option<String>,
    },
}

/// How the text of a pattern is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    /// `*` and `?` stand for other text.
    pub(super) wildcards: bool,
    /// `${…}` stands for a value of the request; off in documents of version 2008-10-17, where it is plain text.
    pub(super) variables: bool,
    pub(super) fold_case: bool,
}

/// What came of comparing a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    No,
    /// A variable of the pattern has no value in this request: it matches nothing, and what follows from that for
    /// a negated comparison is for the caller to decide.
    Unresolved,
}

impl Pattern {
    pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Self, String> {
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if syntax.variables && rest.starts_with("${") {
                let end = rest.find('}').ok_or_else(|| format!("\"{text}\" has a \"${{\" without \"}}\""))?;
                tokens.push(
                    variable(&rest[2..end])
                        .ok_or_else(|| format!("\"{}\" is not a policy variable", &rest[..=end]))?,
                );
                rest = &rest[end + 1..];
                continue;
            }
            tokens.push(match c {
                '*' if syntax.wildcards => Token::Many,
                '?' if syntax.wildcards => Token::One,
                c if syntax.fold_case => Token::Char(c.to_ascii_lowercase()),
                c => Token::Char(c),
            });
            rest = &rest[c.len_utf8()..];
        }
        let has_variables = tokens.iter().any(|token| matches!(token, Token::Variable { .. }));
        Ok(Self { tokens, has_variables, fold_case: syntax.fold_case })
    }

    pub(super) fn matches(&self, value: &str, context: &Context) -> Match {
        let Some(tokens) = self.resolve(context) else { return Match::Unresolved };
        let value =
            if self.fold_case { Cow::Owned(value.to_ascii_lowercase()) } else { Cow::Borrowed(value) };
        Match::from(glob(&tokens, &value))
    }

    /// Compares as an ARN: each of the six parts for itself, so that a `*` in one does not reach into the next.
    pub(super) fn matches_arn(&self, value: &str, context: &Context) -> Match {
        let Some(tokens) = self.resolve(context) else { return Match::Unresolved };
        let wanted: Vec<&[Token]> = tokens.splitn(6, |token| *token == Token::Char(':')).collect();
        if wanted.len() < 6 {
            // `*` or `arn:aws:sns:*`: no ARN with its parts, so nothing to keep the wildcard inside of.
            return Match::from(glob(&tokens, value));
        }
        let parts: Vec<&str> = value.splitn(6, ':').collect();
        Match::from(parts.len() == 6 && wanted.iter().zip(parts).all(|(tokens, part)| glob(tokens, part)))
    }

    fn resolve(&self, context: &Context) -> Option<Cow<'_, [Token]>> {
        if !self.has_variables {
            return Some(Cow::Borrowed(&self.tokens));
        }
        let mut out = Vec::with_capacity(self.tokens.len());
        for token in &self.tokens {
            let Token::Variable { lower_key, default } = token else {
                out.push(token.clone());
                continue;
            };
            // Characters of the value are plain: a user named `*` must not become a wildcard.
            let value = context.variable(lower_key).or(default.as_deref())?;
            out.extend(
                value.chars().map(|c| Token::Char(if self.fold_case { c.to_ascii_lowercase() } else { c })),
            );
        }
        Some(Cow::Owned(out))
    }
}

impl From<bool> for Match {
    fn from(matched: bool) -> Self {
        if matched { Self::Yes } else { Self::No }
    }
}

/// The inside of `${…}`: a key, a key with a default in quotes, or one of the three escaped characters.
fn variable(inside: &str) -> Option<Token> {
    if let "*" | "?" | "$" = inside {
        return inside.chars().next().map(Token::Char);
    }
    let (key, default) = match inside.split_once(',') {
        Some((key, default)) => {
            let text = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (key.trim(), Some(text.to_owned()))
        }
        None => (inside.trim(), None),
    };
    let valid = key.split_once(':').is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || "+-=._:/@".contains(c));
    valid.then(|| Token::Variable { lower_key: key.to_ascii_lowercase(), default })
}

/// Wildcard matching with one point to fall back to: the last `*`. Never worse than the product of the lengths.
fn glob(tokens: &[Token], value: &str) -> bool {
    let mut at = 0;
    let mut rest = value.chars();
    let mut fallback = None;
    loop {
        match tokens.get(at) {
            Some(Token::Many) => {
                at += 1;
                fallback = Some((at, rest.clone()));
                continue;
            }
            Some(token) => {
                let mut ahead = rest.clone();
                let Some(c) = ahead.next() else { return false };
                if *token == Token::One || *token == Token::Char(c) {
                    rest = ahead;
                    at += 1;
                    continue;
                }
            }
            None if rest.as_str().is_empty() => return true,
            None => {}
        }
        let Some((after, from)) = &mut fallback else { return false };
        if from.next().is_none() {
            return false;
        }
        at = *after;
        rest = from.clone();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIKE: Syntax = Syntax { wildcards: true, variables: true, fold_case: false };

    fn like(pattern: &str, value: &str) -> bool {
        Pattern::parse(pattern, LIKE).unwrap().matches(value, &Context::new()) == Match::Yes
    }

    #[test]
    fn wildcards_match_within_and_across_segments_d_09() {
        assert!(like(
            "arn:aws:codedeploy:us-west-2:444455556666:application:Test*",
            "arn:aws:codedeploy:us-west-2:444455556666:application:TestX"
        ));
        assert!(like(
            "arn:aws:codedeploy:*",
            "arn:aws:codedeploy:us-west-2:444455556666:deploymentgroup:A/B"
        ));
        assert!(like(
            "arn:aws:codedeploy:*:444455556666:deploymentgroup:T*/W*",
            "arn:aws:codedeploy:us-west-2:444455556666:deploymentgroup:Tx/Wy"
        ));
        assert!(!like(
            "arn:aws:codedeploy:us-west-2:*",
            "arn:aws:codedeploy:us-east-1:444455556666:application:A"
        ));
        assert!(like("a?c", "abc") && !like("a?c", "ac") && like("a*", "a") && !like("A", "a"));
    }

    #[test]
    fn variables_stand_for_plain_text() {
        let star = Context::new().with("aws:username", "*");
        let own = Pattern::parse("user/${aws:UserName}", LIKE).unwrap();
        assert_eq!(own.matches("user/*", &star), Match::Yes);
        assert_eq!(own.matches("user/bob", &star), Match::No);
        assert_eq!(own.matches("user/bob", &Context::new()), Match::Unresolved);
        let default = Pattern::parse("${aws:PrincipalTag/team, 'none'}", LIKE).unwrap();
        assert_eq!(default.matches("none", &Context::new()), Match::Yes);
        assert!(like("${*}${?}${$}", "*?$") && !like("${*}", "x"));
        for bad in ["${aws:username", "${}", "${username}", "${aws:}", "${aws:a b}", "${aws:x, none}"] {
            assert!(Pattern::parse(bad, LIKE).is_err(), "{bad}");
        }
    }

    #[test]
    fn arn_parts_match_one_by_one() {
        let arn = |pattern: &str, value: &str| {
            Pattern::parse(pattern, LIKE).unwrap().matches_arn(value, &Context::new()) == Match::Yes
        };
        assert!(arn(
            "arn:aws:codedeploy:*:444455556666:deploymentgroup:App/*",
            "arn:aws:codedeploy:r:444455556666:deploymentgroup:App/G"
        ));
        assert!(!arn(
            "arn:aws:codedeploy:*:application:A",
            "arn:aws:codedeploy:r:444455556666:application:A"
        ));
        assert!(arn("*", "anything"));
        assert!(!arn("arn:aws:iam::*:user/x", "user/x"));
    }

    /// The textbook definition, exponential and obvious.
    fn naive(pattern: &[char], value: &[char]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some(('*', rest)) => (0..=value.len()).any(|skip| naive(rest, &value[skip..])),
            Some((wanted, rest)) => value
                .split_first()
                .is_some_and(|(c, tail)| (*wanted == '?' || wanted == c) && naive(rest, tail)),
        }
    }

    proptest! {
        #[test]
        fn glob_agrees_with_its_definition(pattern in "[ab?*é]{0,8}", value in "[abé]{0,10}") {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            prop_assert_eq!(like(&pattern, &value), naive(&chars(&pattern), &chars(&value)));
        }
    }
}
