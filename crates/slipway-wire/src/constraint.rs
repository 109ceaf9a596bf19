//! Checks of strings and lists against the model.

/// What the model demands of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StringConstraint {
    /// The name of the shape.
    pub shape: &'static str,
    /// The least number of characters.
    pub min: Option<u64>,
    /// The greatest number of characters.
    pub max: Option<u64>,
    /// What the whole string must look like.
    pub pattern: Option<Pattern>,
}

/// What the model demands of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListConstraint {
    /// The name of the shape.
    pub shape: &'static str,
    /// The least number of elements.
    pub min: Option<u64>,
    /// The greatest number of elements.
    pub max: Option<u64>,
}

/// How a value breaks a constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintViolation {
    /// Fewer characters or elements than the least number.
    #[error("shorter than {min}")]
    TooShort {
        /// The least number.
        min: u64,
    },
    /// More characters or elements than the greatest number.
    #[error("longer than {max}")]
    TooLong {
        /// The greatest number.
        max: u64,
    },
    /// Characters that the pattern does not allow.
    #[error("does not match {pattern}")]
    Mismatch {
        /// The pattern as the model writes it.
        pattern: &'static str,
    },
}

impl StringConstraint {
    /// Whether `value` meets the constraint, and how it does not.
    pub fn check(&self, value: &str) -> Result<(), ConstraintViolation> {
        check_length(value.chars().count() as u64, self.min, self.max)?;
        match self.pattern {
            Some(pattern) if !pattern.matches(value) => {
                Err(ConstraintViolation::Mismatch { pattern: pattern.0 })
            }
            _ => Ok(()),
        }
    }
}

impl ListConstraint {
    /// Whether `value` meets the constraint, and how it does not.
    pub fn check<T>(&self, value: &[T]) -> Result<(), ConstraintViolation> {
        check_length(value.len() as u64, self.min, self.max)
    }
}

fn check_length(length: u64, min: Option<u64>, max: Option<u64>) -> Result<(), ConstraintViolation> {
    match (min, max) {
        (Some(min), _) if length < min => Err(ConstraintViolation::TooShort { min }),
        (_, Some(max)) if length > max => Err(ConstraintViolation::TooLong { max }),
        _ => Ok(()),
    }
}

/// A pattern of a model: characters, `.` and `[classes]`, each at most with `*` or `+`. That is all that the models
/// use; a test compiles each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern(&'static str);

/// One element of a pattern.
#[derive(Debug)]
struct Atom<'a> {
    class: Class<'a>,
    /// It may match nothing (`*`).
    optional: bool,
    /// It may match again (`*`, `+`).
    repeats: bool,
}

#[derive(Debug)]
enum Class<'a> {
    Any,
    One(char),
    Set { negated: bool, members: &'a str },
}

impl Class<'_> {
    fn contains(&self, candidate: char) -> bool {
        match self {
            // As in every dialect that the models may mean: a dot does not match the end of a line.
            Self::Any => candidate != '\n',
            Self::One(character) => *character == candidate,
            Self::Set { negated, members } => set_contains(members, candidate) != *negated,
        }
    }
}

fn set_contains(members: &str, candidate: char) -> bool {
    let members: Vec<char> = members.chars().collect();
    let mut at = 0;
    while at < members.len() {
        // A minus sign between two characters is a range; first or last it is itself.
        if at + 2 < members.len() && members[at + 1] == '-' {
            if (members[at]..=members[at + 2]).contains(&candidate) {
                return true;
            }
            at += 3;
        } else {
            if members[at] == candidate {
                return true;
            }
            at += 1;
        }
    }
    false
}

impl Pattern {
    /// The pattern that the model writes so.
    pub const fn new(text: &'static str) -> Self {
        Self(text)
    }

    /// The pattern as the model writes it.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether all of `value` matches. Takes time in proportion to the lengths of both, whatever they are.
    pub fn matches(self, value: &str) -> bool {
        let atoms = self.atoms();
        // reachable[i]: the value so far can end just before atom i.
        let mut reachable = vec![false; atoms.len() + 1];
        reachable[0] = true;
        skip_optional(&atoms, &mut reachable);
        for character in value.chars() {
            let mut next = vec![false; atoms.len() + 1];
            for (at, atom) in atoms.iter().enumerate() {
                if reachable[at] && atom.class.contains(character) {
                    next[at + 1] = true;
                    // Staying before the atom would let `x+` match nothing, which is wrong only if nothing of it
                    // matched yet; here something did.
                    next[at] |= atom.repeats;
                }
            }
            reachable = next;
            skip_optional(&atoms, &mut reachable);
        }
        reachable[atoms.len()]
    }

    fn atoms(self) -> Vec<Atom<'static>> {
        let text = self.0.strip_prefix('^').unwrap_or(self.0);
        let mut rest = text.strip_suffix('$').unwrap_or(text);
        let mut atoms = Vec::new();
        while let Some(character) = rest.chars().next() {
            let (class, length) = match character {
                '.' => (Class::Any, 1),
                '[' => {
                    let end = rest.find(']').unwrap_or(rest.len());
                    let inside = &rest[1..end];
                    let members = inside.strip_prefix('^').unwrap_or(inside);
                    (Class::Set { negated: members.len() < inside.len(), members }, (end + 1).min(rest.len()))
                }
                other => (Class::One(other), other.len_utf8()),
            };
            rest = &rest[length..];
            let (optional, repeats) = match rest.chars().next() {
                Some('*') => (true, true),
                Some('+') => (false, true),
                _ => (false, false),
            };
            if repeats {
                rest = &rest[1..];
            }
            atoms.push(Atom { class, optional, repeats });
        }
        atoms
    }
}

/// Where the value may stand before an optional atom, it may stand after it.
fn skip_optional(atoms: &[Atom<'_>], reachable: &mut [bool]) {
    for (at, atom) in atoms.iter().enumerate() {
        if reachable[at] && atom.optional {
            reachable[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codedeploy, commands};

    #[test]
    fn application_names_keep_to_length_and_characters() {
        let name = codedeploy::constraints::APPLICATION_NAME;
        assert_eq!(name.check("My_app-1.0+x=@,"), Ok(()));
        assert_eq!(name.check(""), Err(ConstraintViolation::TooShort { min: 1 }));
        assert_eq!(name.check(&"x".repeat(100)), Ok(()));
        assert_eq!(name.check(&"x".repeat(101)), Err(ConstraintViolation::TooLong { max: 100 }));
        for bad in ["a b", "a/b", "ä", "a\n", "a:b"] {
            assert!(matches!(name.check(bad), Err(ConstraintViolation::Mismatch { .. })), "{bad:?}");
        }
    }

    #[test]
    fn deployment_execution_ids_have_four_parts() {
        let id = commands::constraints::DEPLOYMENT_EXECUTION_ID;
        for good in ["a/b/c/d", "aa/bb/cc/d/e", "arn:x/b/c/ "] {
            assert_eq!(id.check(good), Ok(()), "{good:?}");
        }
        for bad in ["a/b/c", "a/b/c/", "a//c/d", "/b/c/d", "abcd"] {
            assert!(id.check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn repeated_atoms_need_one_match_where_the_pattern_says_so() {
        let pattern = Pattern::new("^a+b*c$");
        for good in ["ac", "aac", "abc", "aabbbc"] {
            assert!(pattern.matches(good), "{good:?}");
        }
        for bad in ["", "c", "bc", "a", "abcc", "abac"] {
            assert!(!pattern.matches(bad), "{bad:?}");
        }
    }

    #[test]
    fn lists_keep_to_their_length() {
        let list = codedeploy::constraints::AUTO_SCALING_GROUP_PROCESSES_TO_SUSPEND_LIST;
        assert_eq!(list.check(&[(); 4]), Ok(()));
        assert_eq!(list.check(&[(); 5]), Err(ConstraintViolation::TooLong { max: 4 }));
    }
}
