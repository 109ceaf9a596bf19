//! When each access key was last used. Kept in memory and written now and then: the answer may lag by the time between
//! two writings if the process is killed, which is less than AWS promises.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use slipway_auth::token::is_session_key_id;
use slipway_store::{ChangeSet, CommitError, Store, Write};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::records::{self, RecordError};
use crate::control::ControlPlane;

/// A key that was used again within this time is not written again.
const GRANULARITY_MS: i64 = 60 * 60 * 1000;
/// Keys that are held; beyond that those whose use has been written are forgotten.
const CAPACITY: usize = 50_000;
/// How often it is looked at what is to be written.
const EVERY: Duration = Duration::from_mins(1);
/// Keys of one commit.
const BATCH: usize = 500;

/// The last use of an access key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUse {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// The service that was asked, as its credential scope names it.
    pub service: String,
    /// Region of the credential scope.
    pub region: String,
}

#[derive(Debug)]
struct Entry {
    last: LastUse,
    written_ms: Option<i64>,
}

/// The last use of every key that this process has seen.
#[derive(Debug, Default)]
pub struct KeyUsage {
    seen: Mutex<HashMap<String, Entry>>,
}

impl KeyUsage {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A key has signed a request. The keys of sessions are nobody's to ask about, and too many.
    pub fn used(&self, access_key_id: &str, at_ms: i64, service: &str, region: &str) {
        if is_session_key_id(access_key_id) {
            return;
        }
        let mut seen = self.lock();
        if let Some(entry) = seen.get_mut(access_key_id) {
            entry.last.at_ms = at_ms;
            if entry.last.service != service {
                service.clone_into(&mut entry.last.service);
            }
            if entry.last.region != region {
                region.clone_into(&mut entry.last.region);
            }
            return;
        }
        if seen.len() >= CAPACITY {
            seen.retain(|_, entry| entry.is_due());
            if seen.len() >= CAPACITY {
                return;
            }
        }
        let last = LastUse { at_ms, service: service.to_owned(), region: region.to_owned() };
        seen.insert(access_key_id.to_owned(), Entry { last, written_ms: None });
    }

    /// A key is deleted: nothing is to be written about it any more.
    pub(crate) fn forget(&self, access_key_id: &str) {
        self.lock().remove(access_key_id);
    }

    /// When a key was last used, `None` if never.
    pub(crate) async fn last(&self, store: &dyn Store, id: &str) -> Result<Option<LastUse>, RecordError> {
        if let Some(entry) = self.lock().get(id) {
            return Ok(Some(entry.last.clone()));
        }
        let found = store.document(&records::access_key_use_key(id)).await?;
        Ok(found.as_ref().map(records::read).transpose()?.map(|read| read.value))
    }

    /// Writes what has not been written for a while; `everything`: and all the rest.
    pub(crate) async fn write(&self, store: &dyn Store, everything: bool) -> Result<(), CommitError> {
        loop {
            let due: Vec<(String, LastUse)> = self
                .lock()
                .iter()
                .filter(|(_, entry)| entry.is_due() || (everything && entry.is_new()))
                .take(BATCH)
                .map(|(id, entry)| (id.clone(), entry.last.clone()))
                .collect();
            if due.is_empty() {
                return Ok(());
            }
            let change = due.iter().fold(ChangeSet::new(), |change, (id, last)| {
                change.with(Write::Put(records::document(records::access_key_use_key(id), last, 0)))
            });
            store.commit(change).await?;
            let mut seen = self.lock();
            for (id, last) in due {
                if let Some(entry) = seen.get_mut(&id) {
                    entry.written_ms = Some(last.at_ms);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_due(&self) -> bool {
        self.written_ms.is_none_or(|written| self.last.at_ms - written >= GRANULARITY_MS)
    }

    fn is_new(&self) -> bool {
        self.written_ms != Some(self.last.at_ms)
    }
}

/// Writes now and then, and everything at the stop.
pub(crate) fn spawn(control: Arc<ControlPlane>, mut stopped: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut stopping = false;
        while !stopping {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                // Its sender gone means the same.
                _ = stopped.changed() => stopping = true,
            }
            if let Err(error) = control.key_usage.write(control.store.as_ref(), stopping).await {
                tracing::warn!(%error, "the last use of access keys cannot be written");
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_store::sqlite::SqliteStore;

    #[tokio::test]
    async fn the_last_use_survives_a_stop_and_is_written_once_an_hour() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("db")).unwrap();
        let usage = KeyUsage::new();
        usage.used("AKIA1", 1000, "codedeploy", "us-east-1");
        usage.write(&store, false).await.unwrap();
        usage.used("AKIA1", 2000, "iam", "us-east-1");
        usage.write(&store, false).await.unwrap();
        let stored = |at_ms, service: &str| {
            Some(LastUse { at_ms, service: service.to_owned(), region: "us-east-1".to_owned() })
        };
        assert_eq!(usage.last(&store, "AKIA1").await.unwrap(), stored(2000, "iam"));
        assert_eq!(KeyUsage::new().last(&store, "AKIA1").await.unwrap(), stored(1000, "codedeploy"));
        usage.write(&store, true).await.unwrap();
        assert_eq!(KeyUsage::new().last(&store, "AKIA1").await.unwrap(), stored(2000, "iam"));
        assert_eq!(usage.last(&store, "AKIA2").await.unwrap(), None);
        usage.used("ASIA1", 2000, "iam", "us-east-1");
        usage.used("AKIA3", 2000, "iam", "us-east-1");
        usage.forget("AKIA3");
        usage.write(&store, true).await.unwrap();
        for nobody in ["ASIA1", "AKIA3"] {
            assert_eq!(usage.last(&store, nobody).await.unwrap(), None, "{nobody}");
        }
    }
}
