//! Tags, and how deployment groups select hosts by them (CF-200..CF-205, AG-142..AG-146).

use serde::{Deserialize, Serialize};

/// A tag of an on-premises instance. Tags are a set of pairs: one key may stand there with several values (AG-209).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// Key, not empty.
    pub key: String,
    /// Value; empty for a tag that has none.
    pub value: String,
}

/// One condition on a host's tags; keys exact, case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TagFilter {
    /// Has a tag with this key.
    Key(String),
    /// Has a tag with this value; `*` stands for any run of characters.
    Value(String),
    /// Has this key with this value; `*` in the value stands for any run of characters (CF-203).
    KeyAndValue(String, String),
}

impl TagFilter {
    /// Whether one of `tags` meets the condition.
    pub fn matches(&self, tags: &[Tag]) -> bool {
        tags.iter().any(|tag| match self {
            Self::Key(key) => tag.key == *key,
            Self::Value(value) => wildcard(value, &tag.value),
            Self::KeyAndValue(key, value) => tag.key == *key && wildcard(value, &tag.value),
        })
    }
}

/// How the filters were given, so that they can be shown again in the same form (CF-205, CF-206).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TagSelection {
    /// The older flat list: one group.
    Flat(Vec<TagFilter>),
    /// Groups: a host must match one filter of every group (CF-201).
    Groups(Vec<Vec<TagFilter>>),
}

impl TagSelection {
    /// Whether a host with these tags is selected. An empty selection selects nothing.
    pub fn matches(&self, tags: &[Tag]) -> bool {
        match self {
            Self::Flat(filters) => filters.iter().any(|f| f.matches(tags)),
            Self::Groups(groups) => {
                !groups.is_empty() && groups.iter().all(|group| group.iter().any(|f| f.matches(tags)))
            }
        }
    }

    /// Whether there is no filter at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Flat(filters) => filters.is_empty(),
            Self::Groups(groups) => groups.iter().all(Vec::is_empty),
        }
    }
}

/// Whether `text` matches `pattern`, in which `*` is any run of characters and everything else is literal.
/// Linear in the product of the lengths: a hostile pattern costs no more.
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            retry = Some((p + 1, t));
            p += 1;
        } else if p < pattern.len() && pattern[p] == text[t] {
            (p, t) = (p + 1, t + 1);
        } else if let Some((after_star, from)) = retry {
            retry = Some((after_star, from + 1));
            (p, t) = (after_star, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Vec<Tag> {
        pairs.iter().map(|(k, v)| Tag { key: (*k).into(), value: (*v).into() }).collect()
    }

    #[test]
    fn tag_groups_are_or_inside_and_and_between_cf_202() {
        let any = |key: &str, values: &[&str]| {
            values.iter().map(|v| TagFilter::KeyAndValue(key.into(), (*v).into())).collect::<Vec<_>>()
        };
        let selection = TagSelection::Groups(vec![
            any("Environment", &["Beta", "Staging"]),
            any("Region", &["North", "South", "East"]),
            any("Type", &["t2.medium", "t2.large"]),
        ]);
        for (environment, region, kind, inside) in [
            ("Beta", "North", "t2.medium", true),
            ("Staging", "East", "t2.large", true),
            ("Staging", "South", "t2.large", true),
            ("Beta", "West", "t2.medium", false),
            ("Staging", "East", "t2.micro", false),
            ("Production", "South", "t2.large", false),
        ] {
            let host =
                tags(&[("Environment", environment), ("Region", region), ("Type", kind), ("Extra", "x")]);
            assert_eq!(selection.matches(&host), inside, "{environment}/{region}/{kind}");
        }
    }

    #[test]
    fn wildcards_in_values_follow_cf_203() {
        for (text, hit) in [("GRP-1a", true), ("GRP-XYZ-a", true), ("grp-1a", false), ("GRP-1b", false)] {
            assert_eq!(wildcard("GRP-*a", text), hit, "{text}");
        }
        assert!(wildcard("*", ""));
        assert!(!wildcard("?", "a"), "only * is special");
        assert!(!wildcard("", "a"));
        assert!(wildcard("a*b*c", "aXbXbXc"));
    }

    #[test]
    fn an_empty_selection_selects_nothing() {
        assert!(!TagSelection::Groups(vec![]).matches(&tags(&[("a", "b")])));
        assert!(!TagSelection::Flat(vec![]).matches(&tags(&[("a", "b")])));
    }
}
