//! What the handlers of all resources share.

use serde::Serialize;
use serde::de::DeserializeOwned;
use slipway_auth::resource::{Call, required_permissions};
use slipway_model::names::is_valid_resource_name;
use slipway_model::resources::{Application, DeploymentGroup};
use slipway_model::{DeploymentId, Timestamp};
use slipway_store::{Document, DocumentKey, Kind, Partition};
use slipway_wire::{ApiError, ErrorKind};

use super::conditions::{self, Keys};
use crate::access::RequestContext;
use crate::error::{self, api};

/// Most deployments, revisions or targets that one batch call may ask for (DP-101, CF-365, DP-107).
pub(super) const BATCH: usize = 25;

/// How often a change that met another one is done again. Of those that meet, one gets through each time.
pub(super) const MOST_TRIES: usize = 50;

/// Names on one page of a list.
pub(super) const PAGE: usize = 100;

/// A stored document, read.
pub(super) struct Stored<T> {
    pub(super) value: T,
    pub(super) key: DocumentKey,
    pub(super) version: i64,
}

impl RequestContext {
    pub(super) fn partition(&self) -> Partition {
        Partition::Regional(self.caller.scope.clone())
    }

    pub(super) fn key(&self, kind: Kind, parent: &str, name: &str) -> DocumentKey {
        DocumentKey { partition: self.partition(), kind, parent: parent.to_owned(), name: name.to_owned() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.control.work_clock.now()
    }

    pub(super) async fn load<T: DeserializeOwned>(
        &self,
        key: DocumentKey,
    ) -> Result<Option<Stored<T>>, ApiError> {
        let document = self.control.store.document(&key).await.map_err(error::read)?;
        document.map(read_document).transpose()
    }

    pub(super) async fn application(&self, name: &str) -> Result<Stored<Application>, ApiError> {
        match self.load(self.key(Kind::Application, "", name)).await? {
            Some(application) => Ok(application),
            None => api(
                ErrorKind::ApplicationDoesNotExistException,
                format!("No application found for name: {name} in {}", self.caller.scope.region),
            ),
        }
    }

    pub(super) async fn group(
        &self,
        application: &Application,
        name: &str,
    ) -> Result<Stored<DeploymentGroup>, ApiError> {
        match self.load(self.key(Kind::DeploymentGroup, &application.id, name)).await? {
            Some(group) => Ok(group),
            None => api(
                ErrorKind::DeploymentGroupDoesNotExistException,
                format!("No Deployment Group found for name: {name} in application {}", application.name),
            ),
        }
    }

    /// A call of this operation, for [`RequestContext::permit`].
    pub(super) fn call<'a>(&'a self, operation: &'a str) -> Call<'a> {
        let scope = &self.caller.scope;
        Call { operation, region: scope.region.as_str(), account: scope.account.as_str(), ..Call::default() }
    }

    /// Whether the caller has every permission that the operation asks for (DP-701..741).
    pub(super) async fn permit(&self, call: Call<'_>) -> Result<(), ApiError> {
        self.permit_with(call, &Keys::new()).await
    }

    /// [`RequestContext::permit`] with what policies may ask about the request itself.
    pub(super) async fn permit_with(&self, call: Call<'_>, of_request: &Keys) -> Result<(), ApiError> {
        for needed in required_permissions(&call) {
            let of_resource = conditions::of_resource(self, &call, &needed.resource).await?;
            let keys: Vec<(&str, &str)> = of_request
                .iter()
                .chain(&of_resource)
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect();
            let mut refusal = None;
            for action in &needed.any_of {
                match self.authorize_with(action, &needed.resource, &keys).await {
                    Ok(()) => {
                        refusal = None;
                        break;
                    }
                    Err(error) => refusal = refusal.or(Some(error)),
                }
            }
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
        }
        Ok(())
    }

    pub(super) async fn authorize_application(&self, operation: &str, name: &str) -> Result<(), ApiError> {
        self.permit(Call { application: Some(name), ..self.call(operation) }).await
    }

    pub(super) async fn authorize_group(
        &self,
        operation: &str,
        application: &str,
        group: &str,
    ) -> Result<(), ApiError> {
        self.permit(Call { application: Some(application), group: Some(group), ..self.call(operation) }).await
    }

    /// Reads a page token that [`RequestContext::page_token`] made for the same list and scope.
    pub(super) fn read_page_token(
        &self,
        list: &str,
        token: Option<&str>,
    ) -> Result<Option<String>, ApiError> {
        let Some(token) = token else { return Ok(None) };
        let last = self.control.sealer.open(token, self.token_purpose(list).as_bytes());
        match last.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()) {
            Some(last) => Ok(Some(last)),
            None => api(
                ErrorKind::InvalidNextTokenException,
                "The nextToken is not one that this operation has returned. Pass back exactly what the previous page contained.",
            ),
        }
    }

    /// A token that continues behind `last`; sealed, so that it can be neither read nor made by others, and good on
    /// every node and after a restart.
    pub(super) fn page_token(&self, list: &str, last: &str) -> String {
        self.control.sealer.seal(last.as_bytes(), self.token_purpose(list).as_bytes())
    }

    fn token_purpose(&self, list: &str) -> String {
        format!("page/{list}/{}/{}", self.caller.scope.account, self.caller.scope.region)
    }

    /// One page of the names of a kind, and the token of the next page.
    pub(super) async fn page_of_names(
        &self,
        list: &str,
        kind: Kind,
        parent: &str,
        token: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), ApiError> {
        let after = self.read_page_token(list, token)?;
        let limit = u32::try_from(PAGE + 1).unwrap_or(u32::MAX);
        let page = self
            .control
            .store
            .documents(&self.partition(), kind, parent, after.as_deref(), limit)
            .await
            .map_err(error::read)?;
        let mut names: Vec<String> = page.into_iter().map(|d| d.key.name).collect();
        Ok(if names.len() > PAGE {
            names.truncate(PAGE);
            let token = names.last().map(|last| self.page_token(list, last));
            (names, token)
        } else {
            (names, None)
        })
    }
}

/// Reads a document's body.
pub(super) fn read_document<T: DeserializeOwned>(document: Document) -> Result<Stored<T>, ApiError> {
    let value = serde_json::from_str(&document.body).map_err(error::internal)?;
    Ok(Stored { value, key: document.key, version: document.version })
}

/// A document with this body; `version` is what was read before, or anything for a new one.
pub(super) fn document<T: Serialize>(key: DocumentKey, value: &T, version: i64) -> Document {
    let body =
        serde_json::to_string(value).expect("stored values are plain data and always have a JSON form");
    Document { key, body, version }
}

/// A given application name, checked.
pub(super) fn application_name(name: Option<&str>) -> Result<&str, ApiError> {
    let name = required(name, ErrorKind::ApplicationNameRequiredException, "applicationName")?;
    valid_name(name, ErrorKind::InvalidApplicationNameException, "applicationName")
}

/// A given deployment group name, checked.
pub(super) fn group_name(name: Option<&str>) -> Result<&str, ApiError> {
    let name = required(name, ErrorKind::DeploymentGroupNameRequiredException, "deploymentGroupName")?;
    valid_name(name, ErrorKind::InvalidDeploymentGroupNameException, "deploymentGroupName")
}

/// A given deployment id, checked.
pub(super) fn deployment_id(id: Option<&str>) -> Result<DeploymentId, ApiError> {
    let id = required(id, ErrorKind::DeploymentIdRequiredException, "deploymentId")?;
    DeploymentId::new(id).map_err(|_| {
        ApiError::new(
            ErrorKind::InvalidDeploymentIdException,
            format!(
                "deploymentId {id:?} is not valid: it is d- followed by nine upper-case letters or digits."
            ),
        )
    })
}

pub(super) fn required<'a>(
    value: Option<&'a str>,
    kind: ErrorKind,
    member: &str,
) -> Result<&'a str, ApiError> {
    match value {
        Some(value) if !value.is_empty() => Ok(value),
        _ => api(kind, format!("{member} is required.")),
    }
}

pub(super) fn valid_name<'a>(name: &'a str, kind: ErrorKind, member: &str) -> Result<&'a str, ApiError> {
    if is_valid_resource_name(name) {
        Ok(name)
    } else {
        api(
            kind,
            format!(
                "{member} {name:?} is not valid: use 1 to 100 characters from letters, digits and + = , . @ _ -"
            ),
        )
    }
}

/// A deployment configuration name, checked for its form only.
pub(super) fn config_name(name: &str) -> Result<&str, ApiError> {
    valid_name(name, ErrorKind::InvalidDeploymentConfigNameException, "deploymentConfigName")
}

/// What a batch call asks for: at least one, at most `limit`.
pub(super) fn batch<T>(
    given: Option<Vec<T>>,
    missing: ErrorKind,
    member: &str,
    limit: usize,
) -> Result<Vec<T>, ApiError> {
    match given {
        Some(given) if given.len() > limit => api(
            ErrorKind::BatchLimitExceededException,
            format!("{member} has {} elements; at most {limit} are allowed in one call.", given.len()),
        ),
        Some(given) if !given.is_empty() => Ok(given),
        _ => api(missing, format!("{member} needs at least one element.")),
    }
}

impl RequestContext {
    /// Most names of applications, groups or instances that one batch call may ask for (Q20).
    pub(super) fn batch_of_names(&self) -> usize {
        self.control.settings.quotas.batch_size as usize
    }
}

/// What is told when a change was done again so often and met another one each time. SDKs try again by themselves.
pub(super) fn too_busy<T>(what: &str) -> Result<T, ApiError> {
    api(
        ErrorKind::ThrottlingException,
        format!("{what} is being changed by others all the time; nothing was changed. Try again."),
    )
}
