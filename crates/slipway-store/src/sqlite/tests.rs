//! What SQLite promises beyond the contract.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::change::Write;

fn setting(name: &str) -> Document {
    let key = DocumentKey {
        partition: Partition::Installation,
        kind: Kind::Setting,
        parent: String::new(),
        name: name.to_owned(),
    };
    Document { key, body: "{}".to_owned(), version: 0 }
}

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(&directory.join("slipway.db")).expect("the store opens")
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.commit(ChangeSet::new().with(Write::Insert(setting("a")))).await.unwrap();
    store.close().await;
    let refused = store.commit(ChangeSet::new().with(Write::Insert(setting("b")))).await;
    assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
    assert!(store.document(&setting("a").key).await.is_err());

    let store = open(directory.path());
    assert_eq!(store.document(&setting("a").key).await.unwrap().map(|d| d.version), Some(1));
    assert_eq!(store.document(&setting("b").key).await.unwrap(), None);
}

#[tokio::test]
async fn only_its_owner_can_read_the_database_and_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.commit(ChangeSet::new().with(Write::Insert(setting("a")))).await.unwrap();
    for name in ["slipway.db", "slipway.db-wal", "slipway.db-shm", "slipway.db.lock"] {
        let mode = std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
