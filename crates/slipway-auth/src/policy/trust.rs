//! Policies that name principals: role trust policies, which say who may assume a role (D-30, DP-633), and those of
//! other resources.

use super::context::Context;
use super::{Decision, Effect, Layer, Policy, Request, Statement, StatementRef};
use crate::identity::{Principal, PrincipalKind};

/// The principals of a trust statement.
#[derive(Clone, Debug)]
pub(super) enum Principals {
    /// `"*"`.
    Anyone,
    These(Vec<TrustedPrincipal>),
    /// `NotPrincipal`. Naming an account leaves only the account itself out, not its users, as in IAM.
    AllBut(Vec<TrustedPrincipal>),
}

#[derive(Clone, Debug)]
pub(super) enum TrustedPrincipal {
    /// `"AWS": "*"`.
    AnyAws,
    /// `"AWS": "<account>"` or `arn:aws:iam::<account>:root`: the account decides who of its own.
    Account(String),
    /// A user, a role (any session of it) or one session.
    Arn(String),
    Service(String),
}

/// Who asks to assume a role.
#[derive(Clone, Copy, Debug)]
pub enum TrustCaller<'a> {
    /// A signed caller of `sts:AssumeRole`.
    Principal(&'a Principal),
    /// A service acting for a resource, as the control plane does with a deployment group's service role (D-30).
    Service {
        /// `codedeploy.amazonaws.com`.
        name: &'a str,
        /// Its region: a trust policy may name `codedeploy.<region>.amazonaws.com` instead, as the guide's
        /// example does.
        region: &'a str,
    },
}

/// What a trust policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDecision {
    /// Whether the role trusts the caller.
    pub decision: Decision,
    /// The trust goes to the caller's account (or the caller is of another account than the role): the caller's
    /// own policies must allow `sts:AssumeRole` as well. False when the policy names the caller itself.
    pub needs_identity_policy: bool,
}

/// How closely a statement names a caller.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    Not,
    Account,
    Itself,
}

impl TrustedPrincipal {
    pub(super) fn parse_aws(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::AnyAws);
        }
        if is_account(text) {
            return Some(Self::Account(text.to_owned()));
        }
        let mut parts = text.splitn(6, ':');
        let head = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let (account, resource) = (parts.next()?, parts.next()?);
        let kinds: &[&str] = match head {
            ["arn", "aws", "iam", ""] if resource == "root" && is_account(account) => {
                return Some(Self::Account(account.to_owned()));
            }
            ["arn", "aws", "iam", ""] => &["user/", "role/"],
            ["arn", "aws", "sts", ""] => &["assumed-role/"],
            _ => return None,
        };
        // IAM knows no wildcards in principals: half-open trust has to be written as a condition.
        let named = kinds.iter().any(|kind| resource.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()));
        (is_account(account) && named && !text.contains(['*', '?'])).then(|| Self::Arn(text.to_owned()))
    }

    pub(super) fn parse_service(text: &str) -> Option<Self> {
        let valid = text.contains('.')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
        valid.then(|| Self::Service(text.to_owned()))
    }

    fn names(&self, caller: &TrustCaller<'_>) -> Naming {
        match (self, caller) {
            (Self::AnyAws, TrustCaller::Principal(_)) => Naming::Itself,
            (Self::Account(account), TrustCaller::Principal(p)) if *account == p.account => Naming::Account,
            (Self::Arn(arn), TrustCaller::Principal(p)) if *arn == p.arn || is_role_of(arn, p) => {
                Naming::Itself
            }
            (Self::Service(trusted), TrustCaller::Service { name, region }) => {
                let regional = trusted == name
                    || name
                        .split_once('.')
                        .is_some_and(|(service, domain)| *trusted == format!("{service}.{region}.{domain}"));
                if regional { Naming::Itself } else { Naming::Not }
            }
            _ => Naming::Not,
        }
    }
}

impl Principals {
    fn names(&self, caller: &TrustCaller<'_>) -> Naming {
        let closest = |list: &[TrustedPrincipal]| {
            list.iter().map(|p| p.names(caller)).fold(Naming::Not, |best, next| match (best, next) {
                (Naming::Itself, _) | (_, Naming::Itself) => Naming::Itself,
                (Naming::Account, _) | (_, Naming::Account) => Naming::Account,
                _ => Naming::Not,
            })
        };
        match self {
            Self::These(list) => closest(list),
            Self::AllBut(list) if closest(list) == Naming::Itself => Naming::Not,
            Self::Anyone | Self::AllBut(_) => Naming::Itself,
        }
    }
}

fn is_role_of(arn: &str, principal: &Principal) -> bool {
    matches!(principal.kind, PrincipalKind::AssumedRole { .. }) && arn == principal.policy_arn()
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Asks a role's trust policy whether `caller` may do `action` (`sts:AssumeRole`). `role_account` is the account
/// that the role belongs to.
pub fn evaluate_trust(
    policy: &Policy,
    role_account: &str,
    caller: TrustCaller<'_>,
    action: &str,
    context: &Context,
) -> TrustDecision {
    let action = action.to_ascii_lowercase();
    decide(policy, role_account, caller, Layer::Trust, |statement| {
        statement.acts(&action, context) && statement.holds(context)
    })
}

/// Asks the policy of a resource of `owner` whether the caller may do what is asked. Within one account its allowance
/// is enough unless [`TrustDecision::needs_identity_policy`]; across accounts both sides must allow.
pub fn evaluate_resource(
    policy: &Policy,
    owner: &str,
    caller: &Principal,
    request: &Request<'_>,
) -> TrustDecision {
    let action = request.action.to_ascii_lowercase();
    decide(policy, owner, TrustCaller::Principal(caller), Layer::Resource, |statement| {
        statement.acts(&action, request.context)
            && statement.reaches(&[request.resource], request.context)
            && statement.holds(request.context)
    })
}

fn decide(
    policy: &Policy,
    owner: &str,
    caller: TrustCaller<'_>,
    layer: Layer,
    applies: impl Fn(&Statement) -> bool,
) -> TrustDecision {
    let mut allowed: Option<(StatementRef, Naming)> = None;
    for (index, statement) in policy.statements.iter().enumerate() {
        // An identity policy names no principals, so as a trust policy it trusts nobody.
        let naming = statement.principals.as_ref().map_or(Naming::Not, |list| list.names(&caller));
        if naming == Naming::Not || !applies(statement) {
            continue;
        }
        let found = policy.statement_ref(index);
        match statement.effect {
            Effect::Deny => {
                let decision = Decision::ExplicitDeny { statement: found, layer };
                return TrustDecision { decision, needs_identity_policy: false };
            }
            Effect::Allow if naming == Naming::Itself || allowed.is_none() => allowed = Some((found, naming)),
            Effect::Allow => {}
        }
    }
    let Some((statement, naming)) = allowed else {
        return TrustDecision { decision: Decision::ImplicitDeny { layer }, needs_identity_policy: false };
    };
    let foreign = matches!(caller, TrustCaller::Principal(p) if p.account != owner);
    TrustDecision {
        decision: Decision::Allow { statement },
        needs_identity_policy: naming == Naming::Account || foreign,
    }
}
