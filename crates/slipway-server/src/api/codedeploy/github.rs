//! Stored GitHub connections, by name (DP-061).

use slipway_store::{ChangeSet, Kind, Write};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{required, valid_name};
use crate::access::RequestContext;
use crate::error::{self, api};

pub(super) async fn list(
    context: &RequestContext,
    input: wire::ListGitHubAccountTokenNamesInput,
) -> Result<wire::ListGitHubAccountTokenNamesOutput, ApiError> {
    const LIST: &str = "ListGitHubAccountTokenNames";
    context.permit(context.call(LIST)).await?;
    let (names, next_token) =
        context.page_of_names(LIST, Kind::GitHubToken, "", input.next_token.as_deref()).await?;
    Ok(wire::ListGitHubAccountTokenNamesOutput { token_name_list: Some(names), next_token })
}

pub(super) async fn delete(
    context: &RequestContext,
    input: wire::DeleteGitHubAccountTokenInput,
) -> Result<wire::DeleteGitHubAccountTokenOutput, ApiError> {
    let name = required(
        input.token_name.as_deref(),
        ErrorKind::GitHubAccountTokenNameRequiredException,
        "tokenName",
    )?;
    context.permit(context.call("DeleteGitHubAccountToken")).await?;
    valid_name(name, ErrorKind::InvalidGitHubAccountTokenNameException, "tokenName")?;
    let key = context.key(Kind::GitHubToken, "", name);
    let store = &context.control.store;
    if store.document(&key).await.map_err(error::read)?.is_none() {
        return api(
            ErrorKind::GitHubAccountTokenDoesNotExistException,
            format!("There is no GitHub connection named {name}."),
        );
    }
    store.commit(ChangeSet::new().with(Write::Delete { key, version: None })).await.map_err(error::commit)?;
    Ok(wire::DeleteGitHubAccountTokenOutput { token_name: Some(name.to_owned()) })
}
