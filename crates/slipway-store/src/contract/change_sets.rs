//! Change sets as a whole, notices, the event log, host health.

use std::time::Duration;

use slipway_model::Timestamp;
use tokio::sync::broadcast;

use super::{
    application, assert_conflict, commit, deployment, given, id, key, other_region, scope, target, target_key,
};
use crate::Store;
use crate::change::{ChangeSet, CommitError, Write};
use crate::rows::{Document, EventRow, HealthRow, Kind, Notice, Partition, TargetKey, WakeupKey};

/// How long a notice may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn hear(notices: &mut broadcast::Receiver<Notice>) -> Notice {
    tokio::time::timeout(PATIENCE, notices.recv()).await.expect("a notice comes").expect("none was missed")
}

fn event(number: u32) -> EventRow {
    EventRow {
        seq: 0,
        scope: if number.is_multiple_of(2) { scope() } else { other_region() },
        deployment: id(number),
        target: number.is_multiple_of(3).then(|| format!("host-{number}")),
        at: Timestamp(1000 - i64::from(number)),
        what: format!("{{\"n\":{number}}}"),
    }
}

/// All or nothing, for every kind of write; whoever is committed at the same time is not affected.
pub async fn a_failing_write_leaves_nothing_of_its_change_set_and_spares_its_neighbours(store: &impl Store) {
    given(store, [Write::Insert(application("old", "1"))]).await;
    given(
        store,
        [Write::InsertDeployment(Box::new(deployment(1))), Write::InsertTargets(vec![target(1, 0)])],
    )
    .await;
    let target_timer = WakeupKey::Target(target_key(1, 0));
    let failing = [
        Write::Insert(application("new", "1")),
        Write::Put(application("old", "2")),
        Write::Delete { key: key(Kind::Application, "", "old"), version: None },
        Write::InsertDeployment(Box::new(deployment(2))),
        Write::InsertTargets(vec![target(2, 0), target(2, 1)]),
        Write::UpdateTarget(Box::new(crate::rows::TargetRow { uncounted: true, ..target(1, 0) })),
        Write::MarkCounted { deployment: id(1), ordinals: vec![0] },
        Write::PutHealth(HealthRow {
            group_id: "g".to_owned(),
            host: "h".to_owned(),
            healthy: true,
            installed_revision: None,
        }),
        Write::Wake { key: target_timer.clone(), due: Timestamp(1) },
        Write::SetTimer { key: WakeupKey::Deployment(id(2)), due: Some(Timestamp(1)) },
        Write::Event(event(1)),
        Write::Require { key: key(Kind::Application, "", "old"), version: 17 },
    ];
    let (before, failed, after) = tokio::join!(
        commit(store, [Write::Insert(application("before", "1")), Write::Event(event(2))]),
        commit(store, failing),
        commit(store, [Write::Insert(application("after", "1")), Write::Event(event(4))]),
    );
    before.unwrap();
    assert_conflict(&failed);
    after.unwrap();

    let place = Partition::Regional(scope());
    let documents = store.documents(&place, Kind::Application, "", None, 10).await.unwrap();
    let names: Vec<_> = documents.iter().map(|document| document.key.name.as_str()).collect();
    assert_eq!(names, ["after", "before", "old"]);
    assert_eq!(documents[2], Document { version: 1, ..application("old", "1") });
    assert_eq!(store.deployment(&id(2)).await.unwrap(), None);
    assert_eq!(store.target(&TargetKey { deployment: id(2), ordinal: 0 }).await.unwrap(), None);
    assert_eq!(store.target(&target_key(1, 0)).await.unwrap(), Some(target(1, 0)));
    assert_eq!(store.host_health("g").await.unwrap(), []);
    assert_eq!(store.next_due().await.unwrap(), None);
    assert_eq!(store.claim_due(Timestamp(100), Timestamp(200), 10).await.unwrap(), []);
    let events = store.events(0, 10).await.unwrap();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.deployment != id(1)), "{events:?}");
}

/// The order of the writes is kept.
pub async fn writes_of_a_change_set_see_the_ones_before_them(store: &impl Store) {
    let change = [
        Write::Insert(application("a", "1")),
        Write::Require { key: key(Kind::Application, "", "a"), version: 1 },
        Write::Replace(Document { version: 1, ..application("a", "2") }),
        Write::Insert(application("b", "1")),
        Write::Delete { key: key(Kind::Application, "", "b"), version: Some(1) },
        Write::Insert(application("b", "2")),
    ];
    given(store, change).await;
    let a = store.document(&key(Kind::Application, "", "a")).await.unwrap();
    assert_eq!(a, Some(Document { version: 2, ..application("a", "2") }));
    let b = store.document(&key(Kind::Application, "", "b")).await.unwrap();
    let version = b.as_ref().map_or(0, |b| b.version);
    assert_eq!(b, Some(Document { version, ..application("b", "2") }));
    let twice =
        commit(store, [Write::Insert(application("c", "1")), Write::Insert(application("c", "1"))]).await;
    assert!(matches!(twice, Err(CommitError::Exists { .. })), "{twice:?}");
}

/// A step that changes nothing is no special case; what it says is still said.
pub async fn an_empty_change_set_is_committed(store: &impl Store) {
    let mut notices = store.notices();
    let mut change = ChangeSet::new();
    change.notify(Notice::HostReady("h".to_owned()));
    store.commit(change).await.unwrap();
    assert_eq!(hear(&mut notices).await, Notice::HostReady("h".to_owned()));
}

/// A reader that continues behind the last number it has seen misses nothing and sees nothing twice.
pub async fn events_are_numbered_in_the_order_of_commits_and_read_in_pages(store: &impl Store) {
    assert_eq!(store.events(0, 10).await.unwrap(), []);
    given(store, [Write::Event(event(1)), Write::Event(event(2)), Write::Event(event(3))]).await;
    given(store, [Write::Event(event(4))]).await;
    given(store, [Write::Event(event(5)), Write::Event(event(6))]).await;
    let all = store.events(0, 10).await.unwrap();
    assert!(all.is_sorted_by(|a, b| a.seq < b.seq), "{all:?}");
    let without_numbers: Vec<_> = all.iter().map(|e| EventRow { seq: 0, ..e.clone() }).collect();
    assert_eq!(without_numbers, (1..=6).map(event).collect::<Vec<_>>());
    assert_eq!(store.events(0, 4).await.unwrap(), all[..4]);
    assert_eq!(store.events(all[3].seq, 4).await.unwrap(), all[4..]);
    assert_eq!(store.events(all[5].seq, 4).await.unwrap(), []);
}

/// Whoever hears of a change finds it in the store.
pub async fn notices_come_after_the_commit_in_order(store: &impl Store) {
    let mut notices = store.notices();
    let mut change = ChangeSet::new().with(Write::InsertDeployment(Box::new(deployment(1))));
    change.notify(Notice::DeploymentChanged(id(1)));
    change.notify(Notice::HostReady("a".to_owned()));
    change.notify(Notice::HostReady("b".to_owned()));
    let (committed, seen) = tokio::join!(store.commit(change), async {
        assert_eq!(hear(&mut notices).await, Notice::DeploymentChanged(id(1)));
        store.deployment(&id(1)).await.unwrap()
    });
    committed.unwrap();
    assert_eq!(seen, Some(deployment(1)), "heard of before it was committed");
    assert_eq!(hear(&mut notices).await, Notice::HostReady("a".to_owned()));
    assert_eq!(hear(&mut notices).await, Notice::HostReady("b".to_owned()));
}

/// What did not happen is not told.
pub async fn a_failed_change_set_tells_nobody(store: &impl Store) {
    let mut notices = store.notices();
    let mut failing = ChangeSet::new()
        .with(Write::Wake { key: WakeupKey::Deployment(id(1)), due: Timestamp(1) })
        .with(Write::Require { key: key(Kind::Application, "", "none"), version: 1 });
    failing.notify(Notice::HostReady("never".to_owned()));
    let mut next = ChangeSet::new().with(Write::Insert(application("a", "1")));
    next.notify(Notice::HostReady("next".to_owned()));
    assert_conflict(&store.commit(failing).await);
    store.commit(next).await.unwrap();
    assert_eq!(hear(&mut notices).await, Notice::HostReady("next".to_owned()));
}

/// CF-010: health belongs to a host in a group, the last word counts.
pub async fn health_is_kept_per_group_and_host(store: &impl Store) {
    let row = |group: &str, host: &str, healthy, revision: Option<&str>| HealthRow {
        group_id: group.to_owned(),
        host: host.to_owned(),
        healthy,
        installed_revision: revision.map(str::to_owned),
    };
    let first =
        [row("g", "b", false, Some("r1")), row("g", "a", true, Some("r1")), row("other", "a", false, None)];
    given(store, first.map(Write::PutHealth)).await;
    given(
        store,
        [Write::PutHealth(row("g", "b", true, Some("r2"))), Write::PutHealth(row("g", "a", false, None))],
    )
    .await;
    let mut health = store.host_health("g").await.unwrap();
    health.sort_by(|x, y| x.host.cmp(&y.host));
    assert_eq!(health, [row("g", "a", false, None), row("g", "b", true, Some("r2"))]);
    assert_eq!(store.host_health("other").await.unwrap(), [row("other", "a", false, None)]);
    assert_eq!(store.host_health("nobody").await.unwrap(), []);
}

/// CF-016: a failure leaves what was installed before.
pub async fn a_failure_keeps_what_is_installed(store: &impl Store) {
    let row = |host: &str, healthy, revision: Option<&str>| HealthRow {
        group_id: "g".to_owned(),
        host: host.to_owned(),
        healthy,
        installed_revision: revision.map(str::to_owned),
    };
    let fail = |host: &str| Write::FailHealth { group_id: "g".to_owned(), host: host.to_owned() };
    given(store, [Write::PutHealth(row("a", true, Some("r1")))]).await;
    given(store, [fail("a"), fail("b")]).await;
    let mut health = store.host_health("g").await.unwrap();
    health.sort_by(|x, y| x.host.cmp(&y.host));
    assert_eq!(health, [row("a", false, Some("r1")), row("b", false, None)]);
}
