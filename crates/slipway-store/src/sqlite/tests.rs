//! What SQLite promises beyond the contract.

mod files;
mod group_commit;
mod kill;
mod plans;

use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::change::Write;

/// Two documents that are written together.
fn pair(name: &str) -> ChangeSet {
    ChangeSet::new()
        .with(Write::Insert(setting(&format!("{name}/1"))))
        .with(Write::Insert(setting(&format!("{name}/2"))))
}

fn setting(name: &str) -> Document {
    let key = DocumentKey {
        partition: Partition::Installation,
        kind: Kind::Setting,
        parent: String::new(),
        name: name.to_owned(),
    };
    Document { key, body: "{}".to_owned(), version: 0 }
}

async fn is_there(store: &SqliteStore, name: &str) -> bool {
    store.document(&setting(name).key).await.expect("the store answers").is_some()
}

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(&directory.join("slipway.db")).expect("the store opens")
}

fn scratch() -> (TempDir, SqliteStore) {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let store = open(directory.path());
    (directory, store)
}

/// Runs on the writer's connection, between two transactions.
async fn on_the_writer(store: &SqliteStore, hook: impl FnOnce(&Connection) + Send + 'static) {
    let (done, wait) = oneshot::channel();
    let hook = Box::new(move |db: &Connection| {
        hook(db);
        let _ = done.send(());
    });
    assert!(store.requests.send(Request::Run(hook)).await.is_ok(), "the writer is alive");
    wait.await.expect("the hook ran");
}

/// Holds the writer up until the returned sender is used or dropped: everything that is asked for meanwhile waits.
async fn hold_the_writer(store: &SqliteStore) -> oneshot::Sender<()> {
    let (held, holding) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    let hook = Box::new(move |_: &Connection| {
        let _ = held.send(());
        let _ = released.blocking_recv();
    });
    assert!(store.requests.send(Request::Run(hook)).await.is_ok(), "the writer is alive");
    holding.await.expect("the hook ran");
    release
}

mod contract {
    use super::*;

    crate::contract_tests!(scratch());
}
