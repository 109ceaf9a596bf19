//! Resources that belong to something outside, by its id: a CloudFormation stack (DP-082).

use slipway_wire::ApiError;
use slipway_wire::codedeploy as wire;

use crate::access::RequestContext;

/// Deletes what belongs to the id. Nothing here is made by CloudFormation (DP-080 is not ours), so nothing ever does;
/// the model lists no error, and deleting nothing is none.
pub(super) async fn delete(
    context: &RequestContext,
    _: wire::DeleteResourcesByExternalIdInput,
) -> Result<wire::DeleteResourcesByExternalIdOutput, ApiError> {
    context.permit(context.call("DeleteResourcesByExternalId")).await?;
    Ok(wire::DeleteResourcesByExternalIdOutput {})
}
