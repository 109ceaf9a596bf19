//! STS: who am I, and sessions of roles (AG-190).

mod assume_role;

use slipway_auth::iam::IamError;
use slipway_auth::token::{SessionRandom, SessionToken, is_session_key_id, session_key_account};
use slipway_wire::query::{self, Form, Node, QueryError, QueryErrorKind, STS_NAMESPACE};

use crate::access::RequestContext;
use crate::clock::random;
use crate::identities::records;

/// Seconds of a session of a user that names no duration.
const USER_SESSION_DEFAULT: i64 = 43_200;
/// Seconds of the longest session of a user.
const USER_SESSION_LONGEST: i64 = 129_600;

/// Answers one call: the whole body of a success.
pub async fn dispatch(context: &RequestContext, form: &Form) -> Result<String, QueryError> {
    match form.action()? {
        "GetCallerIdentity" => Ok(get_caller_identity(context)),
        "AssumeRole" => assume_role::assume_role(context, form).await,
        "GetSessionToken" => get_session_token(context, form),
        "GetAccessKeyInfo" => get_access_key_info(context, form).await,
        _ => Err(form.unknown_action()),
    }
}

/// Everybody may ask this; no policy can forbid it.
fn get_caller_identity(context: &RequestContext) -> String {
    let principal = &context.caller.principal;
    query::response("GetCallerIdentity", STS_NAMESPACE, &context.caller.request_id, |result| {
        result.text("Arn", &principal.arn);
        result.text("UserId", &principal.user_id());
        result.text("Account", &principal.account);
    })
}

/// The account of an access key, of any account and whether active or not.
async fn get_access_key_info(context: &RequestContext, form: &Form) -> Result<String, QueryError> {
    let id = form.required("AccessKeyId")?;
    let length = (16..=128).contains(&id.len());
    if !length || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        let rule =
            r"Member must have length between 16 and 128 and satisfy regular expression pattern: [\w]*";
        return Err(QueryError::validation("AccessKeyId", Some(id), rule));
    }
    context.authorize("sts:GetAccessKeyInfo", "*").await?;
    let account = match session_key_account(id) {
        Some(account) => Some(account),
        None => records::access_key(context.control.store.as_ref(), id)
            .await
            .map_err(crate::error::internal)?
            .map(|key| key.value.account),
    };
    let account = account.ok_or_else(|| {
        QueryError::new(QueryErrorKind::ValidationError, format!("Access key {id} is not known."))
    })?;
    Ok(query::response("GetAccessKeyInfo", STS_NAMESPACE, &context.caller.request_id, |result| {
        result.text("Account", &account);
    }))
}

/// A session of the calling user, with all its permissions. Needs no permission, as in AWS.
fn get_session_token(context: &RequestContext, form: &Form) -> Result<String, QueryError> {
    let caller = &context.caller;
    if is_session_key_id(&caller.access_key_id) {
        return Err(QueryError::new(
            QueryErrorKind::AccessDenied,
            "Cannot call GetSessionToken with session credentials",
        ));
    }
    for unsupported in ["SerialNumber", "TokenCode"] {
        refuse_parameter(form, unsupported)?;
    }
    let seconds = form.integer("DurationSeconds")?.unwrap_or(USER_SESSION_DEFAULT);
    if !(900..=USER_SESSION_LONGEST).contains(&seconds) {
        let text = seconds.to_string();
        let rule = "Member must have value between 900 and 129600";
        return Err(QueryError::validation("DurationSeconds", Some(&text), rule));
    }
    let session = issue(context, caller.principal.clone(), seconds);
    let sealed = session.seal(&context.control.sealer);
    Ok(query::response("GetSessionToken", STS_NAMESPACE, &caller.request_id, |result| {
        write_credentials(result, &session, &sealed);
    }))
}

fn issue(
    context: &RequestContext,
    principal: slipway_auth::identity::Principal,
    seconds: i64,
) -> SessionToken {
    let random = SessionRandom { id: random(), secret: random() };
    SessionToken::issue(principal, context.control.clock.now().0, seconds, &random)
}

fn write_credentials(node: &mut Node<'_>, session: &SessionToken, sealed: &str) {
    node.element("Credentials", |node| {
        node.text("AccessKeyId", &session.access_key_id);
        node.text("SecretAccessKey", session.secret.expose());
        node.text("SessionToken", sealed);
        let whole_seconds = session.expires_ms - session.expires_ms.rem_euclid(1000);
        node.timestamp("Expiration", slipway_wire::Timestamp::from_millis(whole_seconds));
    });
}

/// A parameter that would change who may do what and that nothing here obeys must not be passed over.
fn refuse_parameter(form: &Form, name: &str) -> Result<(), QueryError> {
    if form.get(name).is_none() {
        return Ok(());
    }
    let message = format!("The parameter {name} is not supported by this server.");
    Err(QueryError::new(QueryErrorKind::ValidationError, message))
}

fn refused(error: IamError) -> QueryError {
    crate::api::iam::refused(error)
}
