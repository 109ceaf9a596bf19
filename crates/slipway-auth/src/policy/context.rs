//! What a policy's conditions and variables can ask about a request.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use crate::identity::Principal;

/// Condition keys and their values. Keys compare without regard to case, as in IAM; only global keys exist
/// (DP-609), service keys may be added by the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    values: BTreeMap<String, Vec<String>>,
}

impl Context {
    /// No keys at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// The keys that say who the caller is: `aws:username` (users only), `aws:userid`, `aws:PrincipalArn`,
    /// `aws:PrincipalAccount`, `aws:PrincipalType`.
    pub fn for_principal(principal: &Principal) -> Self {
        let mut context = Self::new()
            .with("aws:userid", principal.user_id())
            .with("aws:PrincipalArn", principal.policy_arn())
            .with("aws:PrincipalAccount", principal.account.clone())
            .with("aws:PrincipalType", principal.principal_type())
            .with("aws:PrincipalIsAWSService", "false");
        if let Some(name) = principal.user_name() {
            context = context.with("aws:username", name);
        }
        context
    }

    /// Adds the keys that say how the request came: `aws:CurrentTime`, `aws:EpochTime`, `aws:SourceIp`,
    /// `aws:SecureTransport`, `aws:RequestedRegion`.
    #[must_use]
    pub fn with_request(self, now_ms: i64, source: Option<IpAddr>, tls: bool, region: &str) -> Self {
        let mut context = self
            .with_time("aws:CurrentTime", now_ms)
            .with("aws:EpochTime", now_ms.div_euclid(1000).to_string())
            .with("aws:SecureTransport", tls.to_string())
            .with("aws:RequestedRegion", region);
        if let Some(source) = source {
            context = context.with("aws:SourceIp", source.to_canonical().to_string());
        }
        context
    }

    /// Adds the tags of the caller, `aws:PrincipalTag/KEY`.
    #[must_use]
    pub fn with_principal_tags<'a>(self, tags: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        tags.into_iter().fold(self, |context, (key, value)| {
            context.with(&format!("aws:PrincipalTag/{key}"), value.as_str())
        })
    }

    /// Sets a key to a point in time, given in milliseconds since the epoch.
    #[must_use]
    pub fn with_time(self, key: &str, ms: i64) -> Self {
        let at = Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_millis(ms)).unwrap_or_default();
        self.with(key, at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    }

    /// Sets a key to one value.
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<String>) -> Self {
        self.with_all(key, [value.into()])
    }

    /// Sets a key to several values, as `aws:TagKeys` has them.
    #[must_use]
    pub fn with_all(mut self, key: &str, values: impl IntoIterator<Item = String>) -> Self {
        self.values.insert(key.to_ascii_lowercase(), values.into_iter().collect());
        self
    }

    /// Values of a key whose name is already in lower case; an empty list counts as absent.
    pub(super) fn get(&self, lower_key: &str) -> Option<&[String]> {
        self.values.get(lower_key).map(Vec::as_slice).filter(|values| !values.is_empty())
    }

    /// The value that a policy variable stands for: only keys with exactly one value can be variables.
    pub(super) fn variable(&self, lower_key: &str) -> Option<&str> {
        match self.get(lower_key)? {
            [one] => Some(one),
            _ => None,
        }
    }
}
