//! Users and roles of hosts.

use serde_json::{Value, json};

use super::{DEFAULT_ROLE, Identity, RegistrationError, Step, Undo};
use crate::api::{Api, ApiError, Query, element, elements};
use crate::config::Keys;

const USER_PATH: &str = "/AWS/CodeDeploy/";
/// The policy of a user that a host signs with (AG-188).
const POLICY_NAME: &str = "codedeploy-agent";
/// The policy of a user that only opens its host's sessions.
const SESSION_POLICY_NAME: &str = "codedeploy-agent-session";

/// A user that may read bundles, with a key (AG-188).
pub(super) async fn new_user(api: &Api, name: &str, undo: &mut Undo) -> Result<Identity, RegistrationError> {
    let arn = create_user(api, name, undo).await?;
    let keys = create_access_key(api, name).await?;
    put_user_policy(api, name, POLICY_NAME, &bundle_policy()).await?;
    Ok(Identity::User { arn, keys: Some(keys) })
}

/// A user that may open sessions of a role in the host's name and nothing else: a host that is taken over cannot speak
/// for another one.
pub(super) async fn new_session(
    api: &Api,
    name: &str,
    role: Option<&str>,
    undo: &mut Undo,
) -> Result<Identity, RegistrationError> {
    let user = create_user(api, name, undo).await?;
    let role_arn = match role {
        Some(arn) => arn.to_owned(),
        None => shared_role(api, &user, undo).await?,
    };
    let arn = session_arn(&role_arn, name)
        .ok_or_else(|| RegistrationError::Input(format!("{role_arn} is not the ARN of a role.")))?;
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role_arn,
        "Condition": {"StringEquals": {"sts:RoleSessionName": name}},
    }]});
    put_user_policy(api, name, SESSION_POLICY_NAME, &policy).await?;
    let source = create_access_key(api, name).await?;
    Ok(Identity::Session { arn, role_arn, source })
}

/// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME` of `arn:aws:iam::ACCOUNT:role/PATH/ROLE`.
fn session_arn(role_arn: &str, name: &str) -> Option<String> {
    let parts: Vec<&str> = role_arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return None };
    let role = resource.strip_prefix("role/")?.rsplit('/').next().filter(|role| !role.is_empty())?;
    Some(format!("arn:{partition}:sts::{account}:assumed-role/{role}/{name}"))
}

/// The role that all hosts with sessions share; made by the first one (AG-171).
async fn shared_role(api: &Api, user_arn: &str, undo: &mut Undo) -> Result<String, ApiError> {
    match api.query(Query::Iam, "GetRole", &[("RoleName", DEFAULT_ROLE)]).await {
        Ok(answer) => return member("GetRole", &answer, "Arn"),
        Err(error) if error.code() == Some("NoSuchEntity") => {}
        Err(error) => return Err(error),
    }
    let account = user_arn.split(":user/").next().unwrap_or(user_arn);
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": format!("{account}:root")}, "Action": "sts:AssumeRole",
    }]});
    let trust = trust.to_string();
    let parameters = [("RoleName", DEFAULT_ROLE), ("AssumeRolePolicyDocument", trust.as_str())];
    let answer = api.query(Query::Iam, "CreateRole", &parameters).await?;
    undo.0.push(Step::Role(DEFAULT_ROLE.to_owned()));
    let policy = bundle_policy().to_string();
    let parameters =
        [("RoleName", DEFAULT_ROLE), ("PolicyName", POLICY_NAME), ("PolicyDocument", policy.as_str())];
    api.query(Query::Iam, "PutRolePolicy", &parameters).await?;
    member("CreateRole", &answer, "Arn")
}

fn bundle_policy() -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"},
    ]})
}

async fn create_user(api: &Api, name: &str, undo: &mut Undo) -> Result<String, ApiError> {
    let answer = api.query(Query::Iam, "CreateUser", &[("Path", USER_PATH), ("UserName", name)]).await?;
    undo.0.push(Step::User(name.to_owned()));
    member("CreateUser", &answer, "Arn")
}

async fn create_access_key(api: &Api, user: &str) -> Result<Keys, ApiError> {
    let answer = api.query(Query::Iam, "CreateAccessKey", &[("UserName", user)]).await?;
    Ok(Keys {
        access_key_id: member("CreateAccessKey", &answer, "AccessKeyId")?,
        secret_access_key: member("CreateAccessKey", &answer, "SecretAccessKey")?,
        session_token: None,
    })
}

async fn put_user_policy(api: &Api, user: &str, name: &str, document: &Value) -> Result<(), ApiError> {
    let document = document.to_string();
    let parameters = [("UserName", user), ("PolicyName", name), ("PolicyDocument", document.as_str())];
    api.query(Query::Iam, "PutUserPolicy", &parameters).await.map(drop)
}

/// Whether the user of this name only opens sessions of its host.
pub(super) async fn opens_sessions(api: &Api, user: &str) -> Result<bool, ApiError> {
    match list(api, "ListUserPolicies", user, "member").await {
        Err(error) if error.code() == Some("NoSuchEntity") => Ok(false),
        policies => Ok(policies?.iter().any(|policy| policy == SESSION_POLICY_NAME)),
    }
}

/// Deletes a user with its inline policies and access keys; whether there was such a user (AG-198).
pub async fn delete_user(api: &Api, user: &str) -> Result<bool, ApiError> {
    let policies = match list(api, "ListUserPolicies", user, "member").await {
        Err(error) if error.code() == Some("NoSuchEntity") => return Ok(false),
        other => other?,
    };
    for policy in policies {
        let parameters = [("UserName", user), ("PolicyName", policy.as_str())];
        absent_is_fine(api.query(Query::Iam, "DeleteUserPolicy", &parameters).await)?;
    }
    for key in list(api, "ListAccessKeys", user, "AccessKeyId").await? {
        let parameters = [("UserName", user), ("AccessKeyId", key.as_str())];
        absent_is_fine(api.query(Query::Iam, "DeleteAccessKey", &parameters).await)?;
    }
    absent_is_fine(api.query(Query::Iam, "DeleteUser", &[("UserName", user)]).await)?;
    Ok(true)
}

/// Deletes the role that was made a moment ago.
pub(super) async fn delete_role(api: &Api, role: &str) -> Result<(), ApiError> {
    let parameters = [("RoleName", role), ("PolicyName", POLICY_NAME)];
    absent_is_fine(api.query(Query::Iam, "DeleteRolePolicy", &parameters).await)?;
    absent_is_fine(api.query(Query::Iam, "DeleteRole", &parameters[..1]).await)
}

fn absent_is_fine(result: Result<String, ApiError>) -> Result<(), ApiError> {
    match result {
        Err(error) if error.code() == Some("NoSuchEntity") => Ok(()),
        other => other.map(drop),
    }
}

/// All pages of a list of a user.
async fn list(api: &Api, action: &str, user: &str, name: &str) -> Result<Vec<String>, ApiError> {
    let mut found = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let mut parameters = vec![("UserName", user)];
        parameters.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let answer = api.query(Query::Iam, action, &parameters).await?;
        found.extend(elements(&answer, name));
        marker = match element(&answer, "IsTruncated").as_deref() {
            Some("true") => element(&answer, "Marker"),
            _ => None,
        };
        if marker.is_none() {
            return Ok(found);
        }
    }
}

fn member(action: &str, answer: &str, name: &str) -> Result<String, ApiError> {
    element(answer, name).ok_or_else(|| ApiError::answer(action, format_args!("it has no {name}")))
}

#[cfg(test)]
mod tests {
    use super::session_arn;

    #[test]
    fn a_sessions_arn_follows_from_role_and_host() {
        assert_eq!(
            session_arn("arn:aws:iam::000000000001:role/hosts/Web", "web-1").as_deref(),
            Some("arn:aws:sts::000000000001:assumed-role/Web/web-1"),
            "AG-165"
        );
        for bad in ["arn:aws:iam::000000000001:user/Web", "arn:aws:iam::000000000001:role/", "Web", ""] {
            assert_eq!(session_arn(bad, "web-1"), None, "{bad}");
        }
    }
}
