//! New deployments: a user's, and those that the control plane starts itself.

use slipway_model::deployment::DeploymentRecord;
use slipway_store::{ChangeSet, DeploymentRow, Notice, WakeupKey, Write};

use super::deployment::new_machine;
use crate::deployment::Pacing;

/// Adds what makes a deployment: its row and its first wake-up. The caller adds what must hold for it, and what its
/// group remembers of it.
pub fn deployment(change: &mut ChangeSet, record: &DeploymentRecord, pacing: Pacing) {
    let machine = new_machine(record, pacing);
    let json = |machine: serde_json::Result<String>| {
        machine.expect("stored values are plain data and always have a JSON form")
    };
    change.push(Write::InsertDeployment(Box::new(DeploymentRow {
        id: record.id.clone(),
        scope: record.scope.clone(),
        application_id: record.application_id.clone(),
        group_id: record.group_id.clone(),
        status: machine.status(),
        created: record.created,
        record: json(serde_json::to_string(record)),
        machine: json(serde_json::to_string(&machine)),
        version: 0,
    })));
    change.push(Write::Wake { key: WakeupKey::Deployment(record.id.clone()), due: record.created });
    change.notify(Notice::DeploymentChanged(record.id.clone()));
}
