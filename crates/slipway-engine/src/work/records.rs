//! Frozen copies of deployments that were read lately. They never change, so one that was read is as good as the one in
//! the store; what is done with it is committed against the version of a row.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use slipway_model::DeploymentId;
use slipway_model::deployment::DeploymentRecord;

/// More than there are deployments under way, nearly always; one takes a kilobyte.
const MOST: usize = 1000;

/// The cache of one node.
#[derive(Debug, Default)]
pub struct Records(Mutex<HashMap<DeploymentId, Arc<DeploymentRecord>>>);

impl Records {
    /// The frozen copy of a deployment, if it was read lately.
    pub(super) fn get(&self, id: &DeploymentId) -> Option<Arc<DeploymentRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub(super) fn put(&self, record: &Arc<DeploymentRecord>) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // All at once: they come back as they are needed, and nobody has to keep a list of uses.
        if records.len() >= MOST {
            records.clear();
        }
        records.insert(record.id.clone(), Arc::clone(record));
    }
}
