//! Who polls: the signing identity and the host that it may speak for (AP-06, AP-07, AG-166).

use serde::{Deserialize, Serialize};
use slipway_store::{DocumentKey, Kind, Partition};
use slipway_wire::{ApiError, ErrorKind};

use crate::access::RequestContext;
use crate::error;

/// Claim of a registered instance on the ARN that its agent signs with; body of [`Kind::InstanceIdentity`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdentityClaim {
    /// Name of the instance.
    pub(crate) name: String,
    /// ARN of the registration: the key under which its commands are found.
    pub(crate) instance_arn: String,
}

/// A host that has proved who it is.
#[derive(Debug, Clone)]
pub(super) struct Host {
    /// Key of its commands.
    pub(super) key: String,
    /// The identifier that it polls with, echoed in commands (AP-08).
    pub(super) identifier: String,
}

/// The host that `identifier` names, if the caller is that host.
pub(super) async fn of_request(
    context: &RequestContext,
    identifier: Option<&str>,
    operation: &str,
) -> Result<Host, ApiError> {
    let Some(identifier) = identifier.filter(|i| !i.is_empty()) else {
        return Err(super::client(
            "HostIdentifier is required: the ARN that the agent signs its requests with.",
        ));
    };
    let caller = context.caller.principal.arn.as_str();
    if identifier != caller {
        tracing::warn!(target: "audit", caller, claimed = identifier, operation, "a foreign host identity was refused");
        return Err(denied(&format!("User: {caller} is not authorized to act as host {identifier}.")));
    }
    of_caller(context, operation).await
}

/// The host that the caller is registered as.
pub(super) async fn of_caller(context: &RequestContext, operation: &str) -> Result<Host, ApiError> {
    let arn = context.caller.principal.arn.as_str();
    if context.caller.signing_service == "codedeploy-commands-secure" {
        context.authorize(&format!("codedeploy-commands-secure:{operation}"), "*").await?;
    }
    let key = DocumentKey {
        partition: Partition::Regional(context.caller.scope.clone()),
        kind: Kind::InstanceIdentity,
        parent: String::new(),
        name: arn.to_owned(),
    };
    let Some(document) = context.control.store.document(&key).await.map_err(error::read)? else {
        tracing::warn!(target: "audit", caller = arn, operation, "an identity without a registered instance was refused");
        return Err(denied(&format!(
            "{arn} is not registered as an on-premises instance in {}.",
            context.caller.scope.region
        )));
    };
    let claim: IdentityClaim = serde_json::from_str(&document.body).map_err(error::internal)?;
    Ok(Host { key: claim.instance_arn, identifier: arn.to_owned() })
}

fn denied(message: &str) -> ApiError {
    ApiError::new(ErrorKind::AccessDeniedException, message)
}
