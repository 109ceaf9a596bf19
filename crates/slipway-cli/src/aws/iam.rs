//! The calls of IAM that `host register` and `host deregister` make (AG-188, AG-198).

use http::Request;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use slipway_wire::query::IAM_VERSION;

use super::settings::Service;
use super::{CallError, Client, xml};

/// A new access key; the secret is told only once.
pub(crate) struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// Makes a user; its ARN.
pub(crate) async fn create_user(client: &Client, path: &str, name: &str) -> Result<String, CallError> {
    let answer = call(client, "CreateUser", &[("Path", path), ("UserName", name)]).await?;
    member("CreateUser", &answer, "Arn")
}

/// Makes an access key of a user.
pub(crate) async fn create_access_key(client: &Client, user: &str) -> Result<AccessKey, CallError> {
    let answer = call(client, "CreateAccessKey", &[("UserName", user)]).await?;
    Ok(AccessKey {
        id: member("CreateAccessKey", &answer, "AccessKeyId")?,
        secret: member("CreateAccessKey", &answer, "SecretAccessKey")?,
    })
}

/// Gives a user a policy.
pub(crate) async fn put_user_policy(
    client: &Client,
    user: &str,
    name: &str,
    document: &str,
) -> Result<(), CallError> {
    let parameters = [("UserName", user), ("PolicyName", name), ("PolicyDocument", document)];
    call(client, "PutUserPolicy", &parameters).await.map(drop)
}

/// Deletes a user with its inline policies and access keys; whether there was such a user.
pub(crate) async fn delete_user(client: &Client, user: &str) -> Result<bool, CallError> {
    let policies = match list(client, "ListUserPolicies", user, "member").await {
        Err(error) if error.code() == Some("NoSuchEntity") => return Ok(false),
        other => other?,
    };
    for policy in policies {
        absent_is_fine(
            call(client, "DeleteUserPolicy", &[("UserName", user), ("PolicyName", &policy)]).await,
        )?;
    }
    for key in list(client, "ListAccessKeys", user, "AccessKeyId").await? {
        absent_is_fine(call(client, "DeleteAccessKey", &[("UserName", user), ("AccessKeyId", &key)]).await)?;
    }
    absent_is_fine(call(client, "DeleteUser", &[("UserName", user)]).await)?;
    Ok(true)
}

fn absent_is_fine(result: Result<Vec<u8>, CallError>) -> Result<(), CallError> {
    match result {
        Err(error) if error.code() == Some("NoSuchEntity") => Ok(()),
        other => other.map(drop),
    }
}

/// All pages of a list of a user.
async fn list(client: &Client, action: &str, user: &str, element: &str) -> Result<Vec<String>, CallError> {
    let mut found = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let mut parameters = vec![("UserName", user)];
        if let Some(marker) = &marker {
            parameters.push(("Marker", marker));
        }
        let answer = call(client, action, &parameters).await?;
        found.extend(xml::texts(&answer, element));
        marker = match xml::text(&answer, "IsTruncated").as_deref() {
            Some("true") => xml::text(&answer, "Marker"),
            _ => None,
        };
        if marker.is_none() {
            return Ok(found);
        }
    }
}

fn member(action: &str, answer: &[u8], element: &str) -> Result<String, CallError> {
    xml::text(answer, element).ok_or_else(|| CallError::answer(action, &format_args!("it has no {element}")))
}

async fn call(client: &Client, action: &str, parameters: &[(&str, &str)]) -> Result<Vec<u8>, CallError> {
    let mut body = format!("Action={action}&Version={IAM_VERSION}");
    for (name, value) in parameters {
        body.extend(["&", name, "="]);
        body.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    let request = Request::post(format!("{}/", client.settings().endpoint(Service::Iam)))
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(())
        .map_err(|error| CallError::request(action, &error))?;
    let response = client.send(action, Service::Iam, request, body.into()).await?;
    let (status, body) = (response.status(), response.into_body());
    if status.is_success() {
        return Ok(body.to_vec());
    }
    match xml::text(&body, "Code") {
        Some(code) => Err(CallError::Refused {
            operation: action.to_owned(),
            status: status.as_u16(),
            code,
            message: xml::text(&body, "Message").unwrap_or_else(|| "(no message)".to_owned()),
        }),
        None => Err(CallError::answer(action, &format_args!("HTTP status {status} without an error's name"))),
    }
}
