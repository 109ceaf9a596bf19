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

#[cfg(test)]
mod tests {
    use slipway_store::{Document, DocumentKey};

    use super::*;
    use crate::lab::Lab;

    /// DP-061: whoever stores connections, these calls list and delete them.
    #[tokio::test]
    async fn stored_connections_are_listed_in_pages_and_deleted_by_name() {
        let lab = Lab::new().await;
        let context = lab.admin();
        let names: Vec<String> = (0..102).map(|number| format!("c{number:03}")).collect();
        let mut change = ChangeSet::new();
        for name in &names {
            let key = DocumentKey { name: name.clone(), ..context.key(Kind::GitHubToken, "", "") };
            change.push(Write::Insert(Document { key, body: "{}".to_owned(), version: 0 }));
        }
        context.control.store.commit(change).await.expect("a commit");

        let first = list(&context, wire::ListGitHubAccountTokenNamesInput::default()).await.expect("a page");
        let next = wire::ListGitHubAccountTokenNamesInput { next_token: first.next_token };
        let second = list(&context, next).await.expect("a page");
        assert_eq!(second.next_token, None);
        assert_eq!(
            [first.token_name_list.expect("names"), second.token_name_list.expect("names")].concat(),
            names
        );

        let gone = || wire::DeleteGitHubAccountTokenInput { token_name: Some("c000".to_owned()) };
        assert_eq!(delete(&context, gone()).await.expect("done").token_name.as_deref(), Some("c000"));
        let again = delete(&context, gone()).await.expect_err("it is gone");
        assert_eq!(again.kind, ErrorKind::GitHubAccountTokenDoesNotExistException);
        let left = list(&context, wire::ListGitHubAccountTokenNamesInput::default()).await.expect("a page");
        assert_eq!(left.token_name_list.expect("names")[0], "c001");
    }
}
