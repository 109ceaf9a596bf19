//! AssumeRole: the trust policy of the role and the policies of the caller decide, then a session is made.

use std::collections::BTreeMap;

use slipway_auth::iam::{self, IamError, Role, SESSION_POLICY_SIZE};
use slipway_auth::identity::PrincipalKind;
use slipway_auth::policy::{Decision, Policy, TrustCaller, TrustDecision, evaluate_trust};
use slipway_model::{AccountId, arn};
use slipway_wire::query::{self, Form, QueryError, QueryErrorKind, STS_NAMESPACE};

use super::{issue, refuse_parameter, refused, write_credentials};
use crate::access::{RequestContext, Session};
use crate::error;
use crate::identities::records;

const ACTION: &str = "sts:AssumeRole";
const TAG_SESSION: &str = "sts:TagSession";
const SET_SOURCE_IDENTITY: &str = "sts:SetSourceIdentity";
const DEFAULT_SECONDS: i64 = 3600;
/// Sessions that a session opens end within an hour, whatever the role allows.
const CHAINED_SECONDS: i64 = 3600;
const MOST_POLICY_ARNS: usize = 10;
const MOST_TAGS: usize = 50;

/// Everything that the call says.
struct Input<'a> {
    role_arn: &'a str,
    session: &'a str,
    seconds: Option<i64>,
    external_id: Option<&'a str>,
    policy: Option<&'a str>,
    policy_arns: Vec<String>,
    tags: BTreeMap<String, String>,
    transitive: Vec<String>,
    source_identity: Option<String>,
}

pub(super) async fn assume_role(context: &RequestContext, form: &Form) -> Result<String, QueryError> {
    let mut input = read(form)?;
    let given = Given { tags: !input.tags.is_empty(), identity: input.source_identity.is_some() };
    inherit(&mut input, context.caller.session.as_deref())?;
    let role = permitted(context, &input, given).await?;
    check_policy_arns(context, &role, &input.policy_arns).await?;
    let seconds = duration(context, &role, input.seconds)?;
    let mut session = issue(context, role.session_principal(input.session), seconds);
    session.session_policy = input.policy.map(str::to_owned);
    session.session_policy_arns = input.policy_arns;
    session.tags = input.tags;
    session.transitive_tags = input.transitive;
    session.source_identity = input.source_identity;
    let sealed = session.seal(&context.control.sealer);
    tracing::info!(
        target: "audit",
        caller = context.caller.principal.arn,
        action = ACTION,
        session = session.principal.arn,
        seconds,
        "session opened"
    );
    let limited = session.session_policy.as_deref().map_or(0, iam::policy_size);
    Ok(query::response("AssumeRole", STS_NAMESPACE, &context.caller.request_id, |result| {
        write_credentials(result, &session, &sealed);
        result.element("AssumedRoleUser", |node| {
            node.text("AssumedRoleId", &session.principal.user_id());
            node.text("Arn", &session.principal.arn);
        });
        result.integer("PackedPolicySize", (limited * 100 / SESSION_POLICY_SIZE) as i64);
        result.optional("SourceIdentity", session.source_identity.as_deref());
    }))
}

fn duration(context: &RequestContext, role: &Role, asked: Option<i64>) -> Result<i64, QueryError> {
    let chained = matches!(context.caller.principal.kind, PrincipalKind::AssumedRole { .. });
    let default = if chained { CHAINED_SECONDS } else { DEFAULT_SECONDS };
    let seconds = asked.unwrap_or(default);
    iam::check_session_duration(seconds, role.max_session_duration).map_err(refused)?;
    if chained && seconds > CHAINED_SECONDS {
        return Err(refused(IamError::ValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining".into(),
        )));
    }
    Ok(seconds)
}

fn read(form: &Form) -> Result<Input<'_>, QueryError> {
    for unsupported in ["SerialNumber", "TokenCode", "ProvidedContexts.member.1.ProviderArn"] {
        refuse_parameter(form, unsupported)?;
    }
    let role_arn = form.required("RoleArn")?;
    let session = form.required("RoleSessionName")?;
    iam::check_role_session_name(session).map_err(refused)?;
    let external_id = form.get("ExternalId");
    if let Some(id) = external_id {
        let length = (2..=1224).contains(&id.chars().count());
        let characters = id.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c));
        if !length || !characters {
            return Err(QueryError::validation(
                "ExternalId",
                Some(id),
                r"Member must have length between 2 and 1224 and satisfy regular expression pattern: [\w+=,.@:\/-]*",
            ));
        }
    }
    let policy = form.get("Policy");
    if let Some(document) = policy {
        if iam::policy_size(document) > SESSION_POLICY_SIZE {
            return Err(QueryError::new(
                QueryErrorKind::PackedPolicyTooLarge,
                "The session policy is too large.",
            ));
        }
        Policy::parse("session policy", document).map_err(|error| refused(IamError::from(error)))?;
    }
    let mut policy_arns = Vec::new();
    for item in form.items("PolicyArns")? {
        policy_arns.push(item.required("arn")?.to_owned());
    }
    if policy_arns.len() > MOST_POLICY_ARNS {
        let message = format!("At most {MOST_POLICY_ARNS} session policy ARNs can be given.");
        return Err(QueryError::new(QueryErrorKind::ValidationError, message));
    }
    let tags = read_tags(form)?;
    let mut transitive = Vec::new();
    for key in form.list("TransitiveTagKeys")? {
        if !tags.contains_key(key) {
            let message = format!("The transitive tag key {key} is not among the session tags.");
            return Err(QueryError::new(QueryErrorKind::ValidationError, message));
        }
        transitive.push(key.to_owned());
    }
    let source_identity = form.get("SourceIdentity");
    if let Some(identity) = source_identity {
        iam::check_role_session_name(identity).map_err(refused)?;
    }
    Ok(Input {
        role_arn,
        session,
        seconds: form.integer("DurationSeconds")?,
        external_id,
        policy,
        policy_arns,
        tags,
        transitive,
        source_identity: source_identity.map(str::to_owned),
    })
}

fn read_tags(form: &Form) -> Result<BTreeMap<String, String>, QueryError> {
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    for item in form.items("Tags")? {
        let (key, value) = (item.required("Key")?, item.required("Value")?);
        iam::check_tag_key(key).map_err(refused)?;
        iam::check_tag_value(value).map_err(refused)?;
        if tags.keys().any(|known| known.eq_ignore_ascii_case(key)) {
            return Err(refused(IamError::InvalidInput(
                "Duplicate tag keys found. Tag keys are case insensitive.".into(),
            )));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    if tags.len() > MOST_TAGS {
        let message = format!("At most {MOST_TAGS} session tags can be given.");
        return Err(QueryError::new(QueryErrorKind::ValidationError, message));
    }
    Ok(tags)
}

/// What the call itself sets, beyond what the session inherits.
#[derive(Clone, Copy)]
struct Given {
    tags: bool,
    identity: bool,
}

/// In a chain of roles transitive tags and the source identity go along and cannot be changed.
fn inherit(input: &mut Input<'_>, caller: Option<&Session>) -> Result<(), QueryError> {
    let Some(caller) = caller else { return Ok(()) };
    for key in &caller.transitive_tags {
        if input.tags.keys().any(|given| given.eq_ignore_ascii_case(key)) {
            let message = format!("The tag {key} is transitive and cannot be changed.");
            return Err(QueryError::new(QueryErrorKind::AccessDenied, message));
        }
        if let Some(value) = caller.tags.get(key) {
            input.tags.insert(key.clone(), value.clone());
            input.transitive.push(key.clone());
        }
    }
    if let Some(identity) = &caller.source_identity {
        if input.source_identity.as_ref().is_some_and(|given| given != identity) {
            return Err(QueryError::new(
                QueryErrorKind::AccessDenied,
                "The source identity of a session cannot be changed.",
            ));
        }
        input.source_identity = Some(identity.clone());
    }
    Ok(())
}

/// Managed policies that narrow a session are those of the role's account or AWS's own.
async fn check_policy_arns(context: &RequestContext, role: &Role, arns: &[String]) -> Result<(), QueryError> {
    let control = &context.control;
    for arn in arns {
        let foreign = iam::parse_policy_arn(arn).is_some_and(|(account, _)| account != role.account);
        let found = control.identities.managed_policy(control.store.as_ref(), arn).await;
        if foreign || found.map_err(error::internal)?.is_none() {
            return Err(refused(IamError::not_attachable(arn)));
        }
    }
    Ok(())
}

/// The role, if the caller may assume it. One that does not exist and one that does not trust the caller are refused
/// in the same words.
async fn permitted(context: &RequestContext, input: &Input<'_>, given: Given) -> Result<Role, QueryError> {
    let Some((account, path_and_name)) = arn::parse_iam_role(input.role_arn) else {
        let message = format!("{} is invalid", input.role_arn);
        return Err(QueryError::new(QueryErrorKind::ValidationError, message));
    };
    let name = path_and_name.rsplit('/').next().unwrap_or(path_and_name);
    let role = match AccountId::new(account) {
        Ok(_) => records::role(context.control.store.as_ref(), account, name)
            .await
            .map_err(error::internal)?
            .map(|found| found.value)
            .filter(|role| role.arn == input.role_arn),
        Err(_) => None,
    };
    let role = role.ok_or_else(|| denied(context, ACTION, input.role_arn, &"no such role"))?;
    let asked = Asked { context, role: &role, trust: &parse_trust(&role)?, keys: condition_keys(input) };
    asked.check(ACTION).await?;
    // Whoever lets callers choose tags or identities says so in the trust policy.
    if given.tags {
        asked.check(TAG_SESSION).await?;
    }
    if given.identity {
        asked.check(SET_SOURCE_IDENTITY).await?;
    }
    Ok(role)
}

fn parse_trust(role: &Role) -> Result<Policy, QueryError> {
    Ok(Policy::parse_trust(&role.arn, &role.trust_policy).map_err(error::internal)?)
}

fn condition_keys(input: &Input<'_>) -> Vec<(String, String)> {
    let mut keys = vec![("sts:RoleSessionName".to_owned(), input.session.to_owned())];
    keys.extend(input.external_id.map(|id| ("sts:ExternalId".to_owned(), id.to_owned())));
    keys.extend(input.source_identity.iter().map(|id| ("sts:SourceIdentity".to_owned(), id.clone())));
    for (key, value) in &input.tags {
        keys.push((format!("aws:RequestTag/{key}"), value.clone()));
        keys.push(("aws:TagKeys".to_owned(), key.clone()));
    }
    keys.extend(input.transitive.iter().map(|key| ("sts:TransitiveTagKeys".to_owned(), key.clone())));
    keys
}

/// One question: may the caller do this with the role?
struct Asked<'a> {
    context: &'a RequestContext,
    role: &'a Role,
    trust: &'a Policy,
    keys: Vec<(String, String)>,
}

impl Asked<'_> {
    async fn check(&self, action: &str) -> Result<(), QueryError> {
        let Self { context, role, trust, keys } = self;
        let mut keys: Vec<_> = keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let tags: Vec<_> =
            role.tags.iter().map(|(key, value)| (format!("aws:ResourceTag/{key}"), value.as_str())).collect();
        keys.extend(tags.iter().map(|(key, value)| (key.as_str(), *value)));
        let conditions = context.condition_keys(&keys).await?;
        let caller = TrustCaller::Principal(&context.caller.principal);
        let trusted: TrustDecision = evaluate_trust(trust, &role.account, caller, action, &conditions);
        if !trusted.decision.is_allowed() {
            return Err(denied(context, action, &role.arn, &trusted.decision));
        }
        let own = context.decide(action, &role.arn, &keys).await?;
        let forbidden = match own {
            Decision::Allow { .. } => false,
            Decision::ExplicitDeny { .. } => true,
            Decision::ImplicitDeny { .. } => trusted.needs_identity_policy,
        };
        if forbidden { Err(denied(context, action, &role.arn, &own)) } else { Ok(()) }
    }
}

fn denied(
    context: &RequestContext,
    action: &str,
    role_arn: &str,
    reason: &(dyn std::fmt::Display + Sync),
) -> QueryError {
    let caller = &context.caller.principal.arn;
    tracing::warn!(target: "audit", caller, action, resource = role_arn, %reason, "denied");
    let message = format!("User: {caller} is not authorized to perform: {action} on resource: {role_arn}");
    QueryError::new(QueryErrorKind::AccessDenied, message)
}
