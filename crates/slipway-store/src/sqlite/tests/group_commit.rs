//! Many change sets, one sync; and when the disk or the database says no.

use std::time::Duration;

use super::*;

/// Starts commits while the writer is held up, so that they are one group.
async fn together(
    store: &Arc<SqliteStore>,
    changes: impl IntoIterator<Item = ChangeSet>,
) -> Vec<Result<(), CommitError>> {
    let release = hold_the_writer(store).await;
    let commits: Vec<_> = changes
        .into_iter()
        .map(|change| {
            let store = Arc::clone(store);
            tokio::spawn(async move { store.commit(change).await })
        })
        .collect();
    while store.requests.max_capacity() - store.requests.capacity() < commits.len() {
        tokio::task::yield_now().await;
    }
    drop(release);
    let mut results = Vec::new();
    for commit in commits {
        results.push(commit.await.expect("no panic"));
    }
    results
}

#[tokio::test]
async fn one_of_a_group_fails_alone() {
    let (_directory, store) = scratch();
    let store = Arc::new(store);
    store.commit(pair("taken")).await.unwrap();
    let before = store.statistics();
    let half = ChangeSet::new().with(Write::Insert(setting("half"))).with(Write::Insert(setting("taken/2")));
    let results = together(&store, [pair("a"), half, pair("b")]).await;
    assert!(matches!(&results[..], [Ok(()), Err(CommitError::Exists { .. }), Ok(())]), "{results:?}");
    assert_eq!(store.statistics().transactions, before.transactions + 1, "they were one group");
    assert!(
        is_there(&store, "a/2").await && is_there(&store, "b/2").await && !is_there(&store, "half").await
    );
}

#[tokio::test]
async fn more_than_a_group_holds_waits_for_the_next_one() {
    let (_directory, store) = scratch();
    let store = Arc::new(store);
    let results = together(&store, (0..600).map(|number| pair(&number.to_string()))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let statistics = store.statistics();
    assert_eq!((statistics.transactions, statistics.requests), (3, 600));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_committers_share_transactions_and_lose_nothing() {
    const EACH: usize = 40;
    let (directory, store) = scratch();
    let store = Arc::new(store);
    let committers: Vec<_> = (0..64)
        .map(|committer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0..EACH {
                    let name = format!("{committer}-{number}");
                    store.commit(pair(&name)).await.expect("it is committed");
                    assert!(is_there(&store, &format!("{name}/2")).await, "a read after the commit sees it");
                }
            })
        })
        .collect();
    for committer in committers {
        committer.await.expect("no committer panics");
    }
    let statistics = store.statistics();
    assert_eq!(statistics.requests, 64 * EACH as u64);
    assert!(statistics.transactions < statistics.requests / 2, "{statistics:?}");
    store.close().await;

    let store = open(directory.path());
    let stored = store.count_documents(&Partition::Installation, Kind::Setting, "").await.unwrap();
    assert_eq!(stored, 2 * 64 * EACH as u64);
}

#[tokio::test]
async fn a_committer_that_goes_away_does_not_disturb_the_writer() {
    let (_directory, store) = scratch();
    let release = hold_the_writer(&store).await;
    let gone = tokio::time::timeout(Duration::ZERO, store.commit(pair("gone"))).await;
    assert!(gone.is_err());
    drop(release);
    store.commit(pair("next")).await.unwrap();
    assert!(is_there(&store, "gone/2").await, "it had been accepted");
}

async fn page_count(store: &SqliteStore) -> i64 {
    let (tell, told) = oneshot::channel();
    on_the_writer(store, move |db| {
        let pages = db.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0)).expect("pages");
        let _ = tell.send(pages);
    })
    .await;
    told.await.expect("told")
}

async fn limit_pages(store: &SqliteStore, pages: i64) {
    on_the_writer(store, move |db| {
        db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).expect("a limit");
    })
    .await;
}

#[tokio::test]
async fn a_full_disk_is_told_as_such_and_leaves_nothing_half_written() {
    let (directory, store) = scratch();
    let store = Arc::new(store);
    store.commit(pair("before")).await.unwrap();
    limit_pages(&store, page_count(&store).await + 4).await;
    let big = |name: &str| {
        let body = "x".repeat(1 << 20);
        pair(name).with(Write::Put(Document { body, ..setting("big") }))
    };
    let alone = store.commit(big("alone")).await;
    assert!(matches!(alone, Err(CommitError::DiskFull(_))), "{alone:?}");
    // Whoever has room is not taken down by a neighbour that has none.
    let results = together(&store, [pair("first"), big("second"), pair("third")]).await;
    assert!(matches!(&results[..], [Ok(()), Err(CommitError::DiskFull(_)), Ok(())]), "{results:?}");
    for (name, expected) in
        [("before/1", true), ("alone/1", false), ("first/2", true), ("second/1", false), ("third/2", true)]
    {
        assert_eq!(is_there(&store, name).await, expected, "{name}");
    }
    assert!(!is_there(&store, "big").await);

    limit_pages(&store, 1 << 20).await;
    store.commit(big("alone")).await.unwrap();
    store.close().await;
    let store = open(directory.path());
    assert!(is_there(&store, "alone/2").await && is_there(&store, "big").await);
}

#[tokio::test]
async fn a_database_that_another_program_holds_is_unavailable_until_it_lets_go() {
    let (directory, store) = scratch();
    on_the_writer(&store, |db| db.busy_timeout(Duration::ZERO).expect("a timeout")).await;
    let backup = Connection::open(directory.path().join("slipway.db")).unwrap();
    backup.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.commit(pair("a")).await;
    assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
    assert!(!is_there(&store, "a/1").await, "readers go on");
    backup.execute_batch("ROLLBACK").unwrap();
    store.commit(pair("a")).await.unwrap();
    assert!(is_there(&store, "a/2").await);
}

#[tokio::test]
async fn a_damaged_row_is_an_error_and_no_panic() {
    let (_directory, store) = scratch();
    on_the_writer(&store, |db| {
        db.execute_batch(
            "INSERT INTO deployments VALUES ('d-AAAAAAAAA', '1', 'r', 'a', 'g', 'Created', 1, 0, 1, '{}')",
        )
        .expect("a row with an account id that is none");
    })
    .await;
    let damaged = DeploymentId::new("d-AAAAAAAAA").unwrap();
    let read = store.deployment(&damaged).await;
    assert!(matches!(&read, Err(ReadError::Unavailable(why)) if why.contains("account id")), "{read:?}");
    assert!(store.deployment(&DeploymentId::new("d-BBBBBBBBB").unwrap()).await.unwrap().is_none());
}
