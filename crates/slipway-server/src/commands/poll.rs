//! The long poll: take a command, or wait for one (AP-04, the hub of the engine's design).

use std::time::Duration;

use slipway_engine::target::CommandRef;
use slipway_model::arn;
use slipway_model::lifecycle::EventName;
use slipway_store::{ChangeSet, Kind, Partition, TargetRow};
use slipway_wire::ApiError;
use slipway_wire::commands::{HostCommandInstance, PollHostCommandOutput};

use super::host::Host;
use super::{id, step_error};
use crate::access::RequestContext;
use crate::clock::random;
use crate::hub::Woken;
use crate::work::target;

/// Longest agent version that is kept, in characters.
const LONGEST_VERSION: usize = 100;

/// Answers with a command as soon as there is one, or empty when the time is over.
pub(super) async fn poll(context: &RequestContext, host: &Host) -> Result<PollHostCommandOutput, ApiError> {
    remember_agent_version(context, host).await;
    let parking = context.control.hub.park(&host.key);
    let time_over = tokio::time::sleep(hold_time(context.control.settings.poll_hold_ms));
    tokio::pin!(time_over);
    loop {
        if parking.must_go_home() {
            return Ok(PollHostCommandOutput::default());
        }
        let taken = target::take(&context.control, &host.key).await.map_err(step_error)?;
        if let Some((row, command, event)) = taken {
            let command = instance(context, host, &row, &command, event);
            return Ok(PollHostCommandOutput { host_command: Some(command) });
        }
        tokio::select! {
            () = &mut time_over => return Ok(PollHostCommandOutput::default()),
            woken = parking.woken() => if woken == Woken::GoHome {
                return Ok(PollHostCommandOutput::default());
            },
        }
    }
}

/// Up to a sixth less than the limit: a fleet that was started together must not poll together for ever.
fn hold_time(limit_ms: u64) -> Duration {
    let jitter = u64::from(u16::from_le_bytes(random())) * (limit_ms / 6) / u64::from(u16::MAX);
    Duration::from_millis(limit_ms - jitter)
}

fn instance(
    context: &RequestContext,
    host: &Host,
    row: &TargetRow,
    command: &CommandRef,
    event: EventName,
) -> HostCommandInstance {
    let scope = &context.caller.scope;
    tracing::info!(host = %host.identifier, deployment = %row.key.deployment, %event, hand_out = command.hand_out, "command handed out");
    HostCommandInstance {
        host_command_identifier: Some(id::encode(&row.key, command)),
        host_identifier: Some(host.identifier.clone()),
        deployment_execution_id: Some(format!(
            "CodeDeploy/{}/Prod/{}",
            scope.region,
            arn::deployment(scope, &row.key.deployment)
        )),
        command_name: Some(event.as_str().to_owned()),
        nonce: Some(i64::from(command.hand_out)),
    }
}

/// Keeps the version that the agent names with its instance (AP-02, AG-007). Losing one such note harms nobody: the
/// next poll brings it again.
async fn remember_agent_version(context: &RequestContext, host: &Host) {
    let Some(version) = context.caller.agent_version.as_deref() else { return };
    // Cut before it is compared, or a long one would be stored again at every poll.
    let version: String = version.chars().take(LONGEST_VERSION).collect();
    let name =
        host.key.rsplit_once("instance/").and_then(|(_, rest)| rest.rsplit_once('_')).map(|(name, _)| name);
    let Some(name) = name else { return };
    let key = slipway_store::DocumentKey {
        partition: Partition::Regional(context.caller.scope.clone()),
        kind: Kind::OnPremisesInstance,
        parent: String::new(),
        name: name.to_owned(),
    };
    let Ok(Some(mut document)) = context.control.store.document(&key).await else { return };
    let Ok(mut instance) =
        serde_json::from_str::<slipway_model::resources::OnPremisesInstance>(&document.body)
    else {
        return;
    };
    if instance.arn != host.key || instance.agent_version.as_ref() == Some(&version) {
        return;
    }
    instance.agent_version = Some(version);
    if let Ok(body) = serde_json::to_string(&instance) {
        document.body = body;
        let change = ChangeSet::new().with(slipway_store::Write::Replace(document));
        if let Err(error) = context.control.store.commit(change).await {
            tracing::debug!(%error, "the agent's version was not stored");
        }
    }
}
