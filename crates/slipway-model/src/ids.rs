//! Ids that we make and ids that partition what we store.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value that does not have the form of its kind of id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {value:?} is not valid: {expected}")]
pub struct InvalidId {
    kind: &'static str,
    value: String,
    expected: &'static str,
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Checks that `value` is a valid ", $kind, ".")]
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidId> {
                let value = value.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&value) { Ok(Self(value)) } else { Err(InvalidId { kind: $kind, value, expected: $expected }) }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

string_id!(
    /// A 12-digit account number (D-04).
    AccountId, "account id", "12 digits", |v| v.len() == 12 && v.bytes().all(|b| b.is_ascii_digit())
);

string_id!(
    /// A region name, as it stands in the credential scope of a request; any well-formed one is accepted (D-04).
    Region, "region", "2 to 32 lower-case letters, digits and hyphens, beginning with a letter", |v| {
        (2..=32).contains(&v.len())
            && v.starts_with(|c: char| c.is_ascii_lowercase())
            && v.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !v.ends_with('-')
    }
);

string_id!(
    /// A deployment id: `d-` and nine upper-case letters or digits (DP-001).
    DeploymentId, "deployment id", "d- and nine upper-case letters or digits", |v| {
        v.strip_prefix("d-").is_some_and(|rest| {
            rest.len() == 9 && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        })
    }
);

impl DeploymentId {
    /// Makes an id from random bytes.
    pub fn from_random(random: [u8; 9]) -> Self {
        let mut id = String::with_capacity(11);
        id.push_str("d-");
        id.extend(random.iter().map(|b| upper_alphanumeric(*b)));
        Self(id)
    }
}

/// Ten upper-case alphanumerics, as at the end of an on-premises instance ARN (AG-205).
pub fn instance_suffix(random: [u8; 10]) -> String {
    random.iter().map(|b| upper_alphanumeric(*b)).collect()
}

fn upper_alphanumeric(byte: u8) -> char {
    const ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])
}

/// The partition that every CodeDeploy resource lives in (D-04, CF-152).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// Owner.
    pub account: AccountId,
    /// Region of the credential scope that created the resource.
    pub region: Region,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployment_ids_have_the_documented_form_dp_001() {
        let id = DeploymentId::from_random([0, 35, 36, 255, 7, 8, 9, 10, 11]);
        assert!(DeploymentId::new(id.as_str()).is_ok());
        for bad in ["d-12345678", "d-1234567890", "d-abcdefghi", "D-ABCDEFGHI", "d-ABCDEFG_I", ""] {
            assert!(DeploymentId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn any_well_formed_region_is_accepted_d_04() {
        for good in ["us-east-1", "eu-central-1", "factory-7", "eusc-de-east-1"] {
            assert!(Region::new(good).is_ok(), "{good}");
        }
        for bad in ["", "x", "US-EAST-1", "-a", "a-", "us east", "us/east"] {
            assert!(Region::new(bad).is_err(), "{bad}");
        }
    }
}
