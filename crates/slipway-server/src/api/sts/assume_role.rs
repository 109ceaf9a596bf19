//! AssumeRole: the trust policy of the role and the policies of the caller decide, then a session is made.

use slipway_auth::iam::{self, IamError, Role};
use slipway_auth::identity::PrincipalKind;
use slipway_auth::managed;
use slipway_auth::policy::{Decision, Policy, TrustCaller, evaluate_trust};
use slipway_model::arn;
use slipway_wire::query::{self, Form, QueryError, QueryErrorKind, STS_NAMESPACE};

use super::{issue, refuse_parameter, refused, write_credentials};
use crate::access::RequestContext;
use crate::error;
use crate::identities::records;

const ACTION: &str = "sts:AssumeRole";
const DEFAULT_SECONDS: i64 = 3600;
/// Sessions that a session opens end within an hour, whatever the role allows.
const CHAINED_SECONDS: i64 = 3600;
const MOST_POLICY_ARNS: usize = 10;
const SESSION_POLICY_SIZE: usize = 2048;

/// Everything that the call says.
struct Input<'a> {
    role_arn: &'a str,
    session: &'a str,
    seconds: Option<i64>,
    external_id: Option<&'a str>,
    policy: Option<&'a str>,
    policy_arns: Vec<String>,
}

pub(super) async fn assume_role(context: &RequestContext, form: &Form) -> Result<String, QueryError> {
    let input = read(form)?;
    let role = permitted(context, &input).await?;
    let chained = matches!(context.caller.principal.kind, PrincipalKind::AssumedRole { .. });
    let default = if chained { CHAINED_SECONDS } else { DEFAULT_SECONDS };
    let seconds = input.seconds.unwrap_or(default);
    iam::check_session_duration(seconds, role.max_session_duration).map_err(refused)?;
    if chained && seconds > CHAINED_SECONDS {
        return Err(refused(IamError::ValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining".into(),
        )));
    }
    let mut session = issue(context, role.session_principal(input.session), seconds);
    session.session_policy = input.policy.map(str::to_owned);
    session.session_policy_arns = input.policy_arns;
    let sealed = session.seal(&context.control.sealer);
    tracing::info!(
        target: "audit",
        caller = context.caller.principal.arn,
        action = ACTION,
        session = session.principal.arn,
        seconds,
        "session opened"
    );
    Ok(query::response("AssumeRole", STS_NAMESPACE, &context.caller.request_id, |result| {
        write_credentials(result, &session, &sealed);
        result.element("AssumedRoleUser", |node| {
            node.text("AssumedRoleId", &session.principal.user_id());
            node.text("Arn", &session.principal.arn);
        });
    }))
}

fn read(form: &Form) -> Result<Input<'_>, QueryError> {
    for unsupported in [
        "SerialNumber",
        "TokenCode",
        "SourceIdentity",
        "Tags.member.1.Key",
        "ProvidedContexts.member.1.ProviderArn",
    ] {
        refuse_parameter(form, unsupported)?;
    }
    let role_arn = form.required("RoleArn")?;
    let session = form.required("RoleSessionName")?;
    iam::check_role_session_name(session).map_err(refused)?;
    let external_id = form.get("ExternalId");
    if let Some(id) = external_id.filter(|id| !(2..=1224).contains(&id.chars().count())) {
        return Err(QueryError::validation(
            "ExternalId",
            Some(id),
            "Member must have length between 2 and 1224",
        ));
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
        let arn = item.required("arn")?;
        if managed::get(arn).is_none() {
            return Err(refused(IamError::not_attachable(arn)));
        }
        policy_arns.push(arn.to_owned());
    }
    if policy_arns.len() > MOST_POLICY_ARNS {
        let message = format!("At most {MOST_POLICY_ARNS} session policy ARNs can be given.");
        return Err(QueryError::new(QueryErrorKind::ValidationError, message));
    }
    Ok(Input {
        role_arn,
        session,
        seconds: form.integer("DurationSeconds")?,
        external_id,
        policy,
        policy_arns,
    })
}

/// The role, if the caller may assume it. One that does not exist and one that does not trust the caller are refused
/// in the same words.
async fn permitted(context: &RequestContext, input: &Input<'_>) -> Result<Role, QueryError> {
    let Some((account, path_and_name)) = arn::parse_iam_role(input.role_arn) else {
        let message = format!("{} is invalid", input.role_arn);
        return Err(QueryError::new(QueryErrorKind::ValidationError, message));
    };
    let name = path_and_name.rsplit('/').next().unwrap_or(path_and_name);
    let denied = |reason: &dyn std::fmt::Display| {
        let caller = &context.caller.principal.arn;
        tracing::warn!(target: "audit", caller, action = ACTION, resource = input.role_arn, %reason, "denied");
        let message =
            format!("User: {caller} is not authorized to perform: {ACTION} on resource: {}", input.role_arn);
        QueryError::new(QueryErrorKind::AccessDenied, message)
    };
    let role = records::role(context.control.store.as_ref(), account, name)
        .await
        .map_err(error::internal)?
        .map(|found| found.value)
        .filter(|role| role.arn == input.role_arn)
        .ok_or_else(|| denied(&"no such role"))?;

    let mut keys = vec![("sts:RoleSessionName", input.session)];
    keys.extend(input.external_id.map(|id| ("sts:ExternalId", id)));
    let trust = Policy::parse_trust(&role.arn, &role.trust_policy).map_err(error::internal)?;
    let caller = TrustCaller::Principal(&context.caller.principal);
    let trusted = evaluate_trust(&trust, account, caller, ACTION, &context.condition_keys(&keys));
    if !trusted.decision.is_allowed() {
        return Err(denied(&trusted.decision));
    }
    let own = context.decide(ACTION, input.role_arn, &keys).await?;
    let forbidden = match own {
        Decision::Allow { .. } => false,
        Decision::ExplicitDeny { .. } => true,
        Decision::ImplicitDeny { .. } => trusted.needs_identity_policy,
    };
    if forbidden { Err(denied(&own)) } else { Ok(role) }
}
