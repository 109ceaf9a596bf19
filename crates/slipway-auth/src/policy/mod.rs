//! IAM policies: compiled when written, evaluated on every call, explaining which statement decided (D-05, DP-601,
//! DP-603).
//!
//! A document is either understood in full or refused ([`MalformedPolicy`] names the place); nothing in it is ever
//! passed over.
//!
//! ```
//! use slipway_auth::policy::{self, Context, Policy, Request};
//! let policy = Policy::parse("deployers", r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow",
//!     "Action":"codedeploy:Get*","Resource":"arn:aws:codedeploy:*:444455556666:application:Test*"}}"#)?;
//! let request = Request {
//!     action: "codedeploy:GetApplication",
//!     resource: "arn:aws:codedeploy:us-west-2:444455556666:application:TestX",
//!     context: &Context::new(),
//! };
//! assert!(policy::evaluate(&[policy], &request).is_allowed());
//! # Ok::<(), policy::MalformedPolicy>(())
//! ```

mod condition;
mod context;
mod json;
mod parse;
mod pattern;
mod trust;

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

pub use context::Context;
pub use trust::{TrustCaller, TrustDecision, evaluate_resource, evaluate_trust};

use crate::iam::IamError;
use condition::Condition;
use pattern::{Match, Pattern};
use trust::Principals;

/// A policy that is refused when written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Syntax errors in policy. {position}: {problem}.")]
pub struct MalformedPolicy {
    /// Where: `Statement[0].Condition.StringEqual`, or line and column.
    pub position: String,
    /// What is wrong there.
    pub problem: String,
}

impl From<MalformedPolicy> for IamError {
    fn from(error: MalformedPolicy) -> Self {
        Self::MalformedPolicyDocument(error.to_string())
    }
}

/// A compiled policy; clones share the compiled form.
#[derive(Clone, Debug)]
pub struct Policy {
    name: Arc<str>,
    statements: Arc<[Statement]>,
}

#[derive(Clone, Debug)]
struct Statement {
    sid: Option<Arc<str>>,
    effect: Effect,
    actions: Members,
    /// Absent in trust policies: the role itself is meant.
    resources: Option<Members>,
    /// Absent in identity policies: their holder is meant.
    principals: Option<Principals>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// `X` or `NotX`.
#[derive(Clone, Debug)]
enum Members {
    Only(Vec<Pattern>),
    AllBut(Vec<Pattern>),
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `codedeploy:CreateDeployment`; compared without regard to case.
    pub action: &'a str,
    /// The ARN of the resource, or `*` for an operation without one.
    pub resource: &'a str,
    /// Condition keys.
    pub context: &'a Context,
}

/// A statement, for people who ask why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementRef {
    /// The name that the policy was parsed under.
    pub policy: Arc<str>,
    /// Its position, from 0.
    pub index: usize,
    /// Its id, if it has one.
    pub sid: Option<Arc<str>>,
}

/// Which of a caller's sets of policies decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Inline and managed policies of the user or role.
    Identity,
    /// The permissions boundary (DP-615).
    Boundary,
    /// The session policy passed to AssumeRole.
    Session,
    /// The trust policy of a role.
    Trust,
    /// The policy of the resource.
    Resource,
}

/// The answer to a request, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allow {
        /// The first that allows.
        statement: StatementRef,
    },
    /// A statement denies it; no other can change that (DP-601).
    ExplicitDeny {
        /// The first that denies.
        statement: StatementRef,
        /// Where it stands.
        layer: Layer,
    },
    /// Nothing allows it.
    ImplicitDeny {
        /// The set of policies that does not.
        layer: Layer,
    },
}

/// The policies of a caller, by what they do to each other: all sets that are present must allow.
#[derive(Clone, Copy, Debug)]
pub struct Grants<'a, P> {
    /// Inline and managed policies of the user or role.
    pub identity: &'a [P],
    /// The permissions boundary, if there is one.
    pub boundary: Option<&'a [P]>,
    /// The session's policies, if it was narrowed by any.
    pub session: Option<&'a [P]>,
}

impl Policy {
    /// Compiles an identity or session policy. `name` is only for explanations.
    pub fn parse(name: &str, document: &str) -> Result<Self, MalformedPolicy> {
        parse::policy(name, document, parse::Kind::Identity)
    }

    /// Compiles a role's trust policy.
    pub fn parse_trust(name: &str, document: &str) -> Result<Self, MalformedPolicy> {
        parse::policy(name, document, parse::Kind::Trust)
    }

    /// Compiles the policy of a resource, a bucket for instance: it names principals and resources.
    pub fn parse_resource(name: &str, document: &str) -> Result<Self, MalformedPolicy> {
        parse::policy(name, document, parse::Kind::Resource)
    }

    /// The policy that stands in for one that is gone and may have denied anything.
    pub fn deny_all(name: &str) -> Self {
        let document =
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
        Self::parse(name, document).expect("a test parses this document")
    }

    /// The name it was parsed under.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn statement_ref(&self, index: usize) -> StatementRef {
        StatementRef { policy: self.name.clone(), index, sid: self.statements[index].sid.clone() }
    }
}

impl AsRef<Policy> for Policy {
    fn as_ref(&self) -> &Policy {
        self
    }
}

impl Statement {
    /// Whether the statement is about an action.
    fn acts(&self, lower_action: &str, context: &Context) -> bool {
        self.actions.include(&[lower_action], context, self.effect == Effect::Allow)
    }

    /// Whether all conditions are met. Last, for nothing else of a statement costs as much.
    fn holds(&self, context: &Context) -> bool {
        let granting = self.effect == Effect::Allow;
        self.conditions.iter().all(|condition| condition.holds(context, !granting))
    }

    /// Whether the statement is about a resource, given its spellings.
    fn reaches(&self, spellings: &[&str], context: &Context) -> bool {
        let granting = self.effect == Effect::Allow;
        self.resources.as_ref().is_some_and(|resources| resources.include(spellings, context, granting))
    }
}

impl Members {
    /// Whether one of the spellings of a name is a member. A variable without value matches nothing; of an
    /// excluding list that must not widen a grant, so `granting` makes it count as excluded there.
    fn include(&self, spellings: &[&str], context: &Context, granting: bool) -> bool {
        let listed = |patterns: &[Pattern], unresolved: bool| {
            patterns.iter().any(|pattern| {
                spellings.iter().any(|name| match pattern.matches(name, context) {
                    Match::Yes => true,
                    Match::No => false,
                    Match::Unresolved => unresolved,
                })
            })
        };
        match self {
            Self::Only(patterns) => listed(patterns, false),
            Self::AllBut(patterns) => !listed(patterns, granting),
        }
    }
}

/// Evaluates one set of policies: an explicit deny wins, then any allow, else the default deny (DP-601).
pub fn evaluate<P: AsRef<Policy>>(policies: &[P], request: &Request<'_>) -> Decision {
    evaluate_layer(policies, request, Layer::Identity)
}

/// Evaluates all of a caller's policies: an explicit deny in any set wins; then every set that is present must
/// allow (DP-615).
pub fn evaluate_grants<P: AsRef<Policy>>(grants: &Grants<'_, P>, request: &Request<'_>) -> Decision {
    let layers = [
        (Layer::Identity, Some(grants.identity)),
        (Layer::Boundary, grants.boundary),
        (Layer::Session, grants.session),
    ];
    let mut decisions: Vec<Decision> = layers
        .into_iter()
        .filter_map(|(layer, policies)| Some(evaluate_layer(policies?, request, layer)))
        .collect();
    let denies = |wanted: fn(&Decision) -> bool| move |d: &Decision| wanted(d);
    let explicit = denies(|d| matches!(d, Decision::ExplicitDeny { .. }));
    let implicit = denies(|d| matches!(d, Decision::ImplicitDeny { .. }));
    let deciding =
        decisions.iter().position(explicit).or_else(|| decisions.iter().position(implicit)).unwrap_or(0);
    decisions.swap_remove(deciding)
}

fn evaluate_layer<P: AsRef<Policy>>(policies: &[P], request: &Request<'_>, layer: Layer) -> Decision {
    let action = request.action.to_ascii_lowercase();
    let alternate = other_spelling(request.resource);
    let both = [request.resource, alternate.as_deref().unwrap_or_default()];
    let spellings = if alternate.is_some() { &both[..] } else { &both[..1] };
    let mut allowed = None;
    for policy in policies.iter().map(AsRef::as_ref) {
        for (index, statement) in policy.statements.iter().enumerate() {
            // Once something allows, only a deny can still matter.
            if statement.effect == Effect::Allow && allowed.is_some() {
                continue;
            }
            // Whoever names principals speaks of others than the holder of the policy.
            if statement.principals.is_some()
                || !statement.acts(&action, request.context)
                || !statement.reaches(spellings, request.context)
                || !statement.holds(request.context)
            {
                continue;
            }
            let statement_ref = policy.statement_ref(index);
            match statement.effect {
                Effect::Deny => return Decision::ExplicitDeny { statement: statement_ref, layer },
                Effect::Allow => allowed = Some(statement_ref),
            }
        }
    }
    match allowed {
        Some(statement) => Decision::Allow { statement },
        None => Decision::ImplicitDeny { layer },
    }
}

/// CodeDeploy's documents write configurations and instances with either separator after the type (A-09 of 05),
/// while `:` and `/` differ everywhere else (DP-607).
fn other_spelling(resource: &str) -> Option<String> {
    let rest = resource.strip_prefix("arn:aws:codedeploy:")?;
    let (place, name) = {
        let second = rest.match_indices(':').nth(1)?.0;
        rest.split_at(second + 1)
    };
    ["deploymentconfig", "instance"].iter().find_map(|kind| {
        let tail = name.strip_prefix(kind)?;
        let other = match tail.as_bytes().first()? {
            b':' => '/',
            b'/' => ':',
            _ => return None,
        };
        Some(format!("arn:aws:codedeploy:{place}{kind}{other}{}", &tail[1..]))
    })
}

impl Decision {
    /// Whether the request may go ahead.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }

    /// The message of AWS's AccessDenied error, or `None` if the request is allowed. It names no policy, for the
    /// caller need not be allowed to know them; the log gets the decision itself.
    pub fn denial_message(&self, principal_arn: &str, action: &str, resource: &str) -> Option<String> {
        let reason = match self {
            Self::Allow { .. } => return None,
            Self::ExplicitDeny { layer: Layer::Identity, .. } => {
                "with an explicit deny in an identity-based policy".to_owned()
            }
            Self::ExplicitDeny { layer: Layer::Boundary, .. } => {
                "with an explicit deny in a permissions boundary".to_owned()
            }
            Self::ExplicitDeny { layer: Layer::Session, .. } => {
                "with an explicit deny in a session policy".to_owned()
            }
            Self::ExplicitDeny { layer: Layer::Trust | Layer::Resource, .. } => {
                "with an explicit deny in a resource-based policy".to_owned()
            }
            Self::ImplicitDeny { layer: Layer::Identity } => {
                format!("because no identity-based policy allows the {action} action")
            }
            Self::ImplicitDeny { layer: Layer::Boundary } => {
                format!("because no permissions boundary allows the {action} action")
            }
            Self::ImplicitDeny { layer: Layer::Session } => {
                format!("because no session policy allows the {action} action")
            }
            Self::ImplicitDeny { layer: Layer::Resource } => {
                format!("because no resource-based policy allows the {action} action")
            }
            // STS gives no reason when a role does not trust the caller.
            Self::ImplicitDeny { layer: Layer::Trust } => String::new(),
        };
        let refusal = format!(
            "User: {principal_arn} is not authorized to perform: {action} on resource: {resource} {reason}"
        );
        Some(refusal.trim_end().to_owned())
    }
}

impl fmt::Display for StatementRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement {}", self.index)?;
        if let Some(sid) = &self.sid {
            write!(f, " ({sid})")?;
        }
        write!(f, " of policy {}", self.policy)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow { statement } => write!(f, "allowed by {statement}"),
            Self::ExplicitDeny { statement, .. } => write!(f, "denied by {statement}"),
            Self::ImplicitDeny { layer } => write!(f, "no {} policy allows it", layer.name()),
        }
    }
}

impl Layer {
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Boundary => "boundary",
            Self::Session => "session",
            Self::Trust => "trust",
            Self::Resource => "resource",
        }
    }
}

#[cfg(test)]
mod tests;
