//! Opening, closing, and who may.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::rows::{RevisionQuery, RevisionTime};

#[tokio::test]
async fn what_was_committed_is_there_after_reopening_the_file() {
    let (directory, store) = scratch();
    let key = crate::WakeupKey::Deployment(DeploymentId::new("d-AAAAAAAAA").unwrap());
    store.commit(pair("a").with(Write::Wake { key: key.clone(), due: Timestamp(5) })).await.unwrap();
    let claimed = store.claim_due(Timestamp(5), Timestamp(50), 1).await.unwrap();
    store.close().await;

    let store = open(directory.path());
    assert!(is_there(&store, "a/1").await && is_there(&store, "a/2").await);
    let due = store.next_due().await.unwrap();
    assert_eq!(due, Some(Timestamp(5)), "the lease of a process that is gone holds nothing up");
    let again = store.claim_due(Timestamp(6), Timestamp(90), 1).await.unwrap();
    assert_eq!(again, claimed);
    store.commit(ChangeSet::new().with(Write::Wake { key, due: Timestamp(60) })).await.unwrap();
    let settle = Write::Settle { key: again[0].key.clone(), seq: again[0].seq, next: None };
    store.commit(ChangeSet::new().with(settle)).await.unwrap();
    assert_eq!(
        store.next_due().await.unwrap(),
        Some(Timestamp(60)),
        "sequence numbers go on after a restart"
    );
}

#[tokio::test]
async fn a_store_that_is_dropped_without_closing_gives_its_file_free() {
    let (directory, store) = scratch();
    store.commit(pair("a")).await.unwrap();
    drop(store);
    assert!(is_there(&open(directory.path()), "a/1").await);
}

#[tokio::test]
async fn closing_finishes_what_was_asked_for_and_refuses_the_rest() {
    let (_directory, store) = scratch();
    let store = Arc::new(store);
    let release = hold_the_writer(&store).await;
    let commits: Vec<_> = (0..300)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(pair(&number.to_string())).await })
        })
        .collect();
    while store.requests.max_capacity() - store.requests.capacity() < commits.len() {
        tokio::task::yield_now().await;
    }
    let closing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.close().await }
    });
    while store.requests.max_capacity() - store.requests.capacity() <= commits.len() {
        tokio::task::yield_now().await;
    }
    drop(release);
    closing.await.unwrap();
    for commit in commits {
        commit.await.unwrap().unwrap();
    }
    let refused = store.commit(pair("late")).await;
    assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
    let refused = store.claim_due(Timestamp(1), Timestamp(2), 1).await;
    assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
    assert!(store.document(&setting("0/1").key).await.is_err());
    assert!(store.next_due().await.is_err());
    store.close().await;
}

#[tokio::test]
async fn closing_leaves_one_file_that_can_be_copied() {
    let (directory, store) = scratch();
    store.commit(pair("a")).await.unwrap();
    store.close().await;
    assert!(!directory.path().join("slipway.db-wal").exists(), "the log was taken into the database");
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(directory.path().join("slipway.db"), copy.path().join("slipway.db")).unwrap();
    assert!(is_there(&open(copy.path()), "a/2").await);
}

#[tokio::test]
async fn only_its_owner_can_read_the_database_and_its_log() {
    let (directory, store) = scratch();
    store.commit(pair("a")).await.unwrap();
    for name in ["slipway.db", "slipway.db-wal", "slipway.db-shm", "slipway.db.lock"] {
        let mode = std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_database_in_use_is_refused_by_name_and_free_after_closing() {
    let (directory, store) = scratch();
    let path = directory.path().join("slipway.db");
    let refused = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused:?}");
    assert!(refused.to_string().contains(&path.display().to_string()), "{refused}");
    store.commit(pair("a")).await.unwrap();
    store.close().await;
    open(directory.path()).commit(pair("b")).await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused_with_both_versions_and_left_alone() {
    let (directory, store) = scratch();
    store.close().await;
    let path = directory.path().join("slipway.db");
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 4711).unwrap();
    drop(newer);
    let before = std::fs::read(&path).unwrap();
    let refused = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::NewerSchema { found: 4711, .. }), "{refused:?}");
    let text = refused.to_string();
    let known = schema::SCHEMA_VERSION;
    for part in
        [&path.display().to_string(), "version 4711", &format!("up to {known} "), "newer release", "backup"]
    {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_of_another_program_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let text = directory.path().join("notes.txt");
    std::fs::write(&text, "something that is no database at all, and long enough to be seen as none")
        .unwrap();
    let refused = SqliteStore::open(&text).unwrap_err();
    assert!(refused.to_string().contains(&text.display().to_string()), "{refused}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let refused = SqliteStore::open(&directory.path().join("missing/slipway.db")).unwrap_err();
    assert!(matches!(refused, OpenError::Io { .. }), "{refused:?}");
    assert!(refused.to_string().contains("missing/slipway.db"), "{refused}");
}

#[tokio::test]
async fn a_database_of_the_first_release_is_brought_up_to_date_with_what_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("slipway.db");
    let first = Connection::open(&path).unwrap();
    first.execute_batch(include_str!("../migrations/0001_initial.sql")).unwrap();
    first.pragma_update(None, "application_id", 0x534c_5057).unwrap();
    first.pragma_update(None, "user_version", 1).unwrap();
    let body = r#"{"registered":7,"first_used":null,"last_used":null}"#;
    first
        .execute(
            "INSERT INTO documents VALUES ('/', 4, 'app', 'old', 1, ?1), ('/', 40, '', 'no json', 1, 'x')",
            [body],
        )
        .unwrap();
    drop(first);

    let store = open(directory.path());
    let query = RevisionQuery {
        partition: Partition::Installation,
        application_id: "app".to_owned(),
        by: RevisionTime::Registered,
        descending: true,
        after: None,
        limit: 10,
    };
    let listed = store.revisions(&query).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].key.name.as_str(), listed[0].body.as_str()), ("old", body));
    store.close().await;
    let version: i64 =
        Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, schema::SCHEMA_VERSION);
}
