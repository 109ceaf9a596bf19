//! Targets and the commands that hosts are given.

use slipway_model::Timestamp;
use slipway_model::status::TargetStatus;

use super::{assert_conflict, commit, given, given_targets, id, target, target_key};
use crate::Store;
use crate::change::{CommitError, Write};
use crate::rows::{TargetQuery, TargetRow};

fn update(row: TargetRow) -> Write {
    Write::UpdateTarget(Box::new(row))
}

/// Under its key, its name and its host; without what belongs to another deployment.
pub async fn a_target_is_read_as_it_was_written(store: &impl Store) {
    let row = TargetRow {
        status: TargetStatus::InProgress,
        offer_at: Some(Timestamp(5)),
        outstanding: true,
        uncounted: true,
        ..target(1, 3)
    };
    given_targets(store, 1, vec![TargetRow { version: 55, ..row.clone() }]).await;
    given_targets(store, 2, vec![target(2, 3)]).await;
    assert_eq!(store.target(&target_key(1, 3)).await.unwrap().as_ref(), Some(&row));
    assert_eq!(store.target_by_name(&id(1), "host-3").await.unwrap().as_ref(), Some(&row));
    assert_eq!(store.target_by_host(&id(1), "arn:host-3").await.unwrap().as_ref(), Some(&row));
    assert_eq!(store.target_by_host(&id(2), "arn:host-3").await.unwrap(), Some(target(2, 3)));
    assert_eq!(store.target_by_name(&id(1), "host-4").await.unwrap(), None);
    assert_eq!(store.target_by_host(&id(3), "arn:host-3").await.unwrap(), None);
    assert_eq!(store.target(&target_key(1, 0)).await.unwrap(), None);
}

/// A deployment reaches each host once.
pub async fn targets_belong_to_a_deployment_and_are_unique_in_it(store: &impl Store) {
    assert_conflict(&commit(store, [Write::InsertTargets(vec![target(1, 0)])]).await);
    given_targets(store, 1, vec![target(1, 0), target(1, 1)]).await;
    let same_place = TargetRow { host: "x".to_owned(), name: "x".to_owned(), ..target(1, 1) };
    let same_host = TargetRow { host: "arn:host-1".to_owned(), ..target(1, 2) };
    let same_name = TargetRow { name: "host-1".to_owned(), ..target(1, 2) };
    for second in [same_place, same_host, same_name] {
        let refused = commit(store, [Write::InsertTargets(vec![target(1, 5), second])]).await;
        assert!(matches!(refused, Err(CommitError::Exists { key: None, .. })), "{refused:?}");
    }
    assert_eq!(store.target(&target_key(1, 5)).await.unwrap(), None);
    given(store, [Write::InsertTargets(Vec::new())]).await;
}

/// Everything may change but key, host and name.
pub async fn an_update_of_a_target_needs_the_version_that_was_read(store: &impl Store) {
    given_targets(store, 1, vec![target(1, 0), target(1, 1)]).await;
    let changed = TargetRow {
        status: TargetStatus::Failed,
        offer_at: Some(Timestamp(9)),
        outstanding: true,
        uncounted: true,
        updated: Timestamp(99),
        machine: "{\"m\":1}".to_owned(),
        ..target(1, 0)
    };
    given(store, [update(changed.clone())]).await;
    let expected = TargetRow { version: 2, ..changed.clone() };
    assert_eq!(store.target(&target_key(1, 0)).await.unwrap().as_ref(), Some(&expected));
    assert_conflict(&commit(store, [update(changed)]).await);
    assert_conflict(&commit(store, [update(target(1, 7))]).await);
    let back = TargetRow { version: 2, ..target(1, 0) };
    given(store, [update(back)]).await;
    assert_eq!(
        store.target(&target_key(1, 0)).await.unwrap(),
        Some(TargetRow { version: 3, ..target(1, 0) })
    );
    assert_eq!(store.target(&target_key(1, 1)).await.unwrap(), Some(target(1, 1)));
}

/// Pages by ordinal, whatever the statuses.
pub async fn targets_are_listed_by_ordinal_filtered_and_in_pages(store: &impl Store) {
    use TargetStatus::{Failed, InProgress, Pending, Succeeded};
    let statuses = [Succeeded, Failed, InProgress, Pending, Succeeded, InProgress, Pending, Failed];
    let rows = (0..8).zip(statuses).map(|(ordinal, status)| TargetRow { status, ..target(1, ordinal) });
    given_targets(store, 1, rows.rev().collect()).await;
    given_targets(store, 2, vec![target(2, 0)]).await;
    let list = async |statuses: &[TargetStatus], from, limit| {
        let query = TargetQuery { deployment: id(1), statuses: statuses.to_vec(), from, limit };
        let found = store.targets(&query).await.unwrap();
        found.iter().map(|row| row.key.ordinal).collect::<Vec<_>>()
    };
    assert_eq!(list(&[], 0, 100).await, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(list(&[], 0, 3).await, [0, 1, 2]);
    assert_eq!(list(&[], 6, 3).await, [6, 7]);
    assert_eq!(list(&[Succeeded], 0, 100).await, [0, 4]);
    assert_eq!(list(&[Pending, Failed, Pending], 0, 3).await, [1, 3, 6]);
    assert_eq!(list(&[Pending, Failed], 4, 3).await, [6, 7]);
    assert_eq!(list(TargetStatus::ALL, 2, 4).await, [2, 3, 4, 5]);
    assert_eq!(list(&[TargetStatus::Skipped], 0, 100).await, []);
}

/// Oldest offer first over all deployments of the host, none before its time, none of another host.
pub async fn the_command_that_waited_longest_is_next_and_only_for_its_host(store: &impl Store) {
    let offered = |deployment, ordinal, host: &str, offer_at: Option<i64>| TargetRow {
        host: host.to_owned(),
        offer_at: offer_at.map(Timestamp),
        ..target(deployment, ordinal)
    };
    given_targets(store, 1, vec![offered(1, 0, "a", Some(30)), offered(1, 1, "b", Some(5))]).await;
    given_targets(store, 2, vec![offered(2, 0, "a", Some(20))]).await;
    given_targets(store, 3, vec![offered(3, 0, "a", None)]).await;
    let next =
        async |host: &str, now| store.next_command(host, Timestamp(now)).await.unwrap().map(|row| row.key);
    assert_eq!(next("a", 19).await, None);
    assert_eq!(next("a", 20).await, Some(target_key(2, 0)));
    assert_eq!(next("a", 100).await, Some(target_key(2, 0)));
    assert_eq!(next("b", 100).await, Some(target_key(1, 1)));
    assert_eq!(next("c", 100).await, None);
    given(store, [update(offered(2, 0, "a", Some(50)))]).await;
    assert_eq!(next("a", 100).await, Some(target_key(1, 0)));
    given(store, [update(offered(1, 0, "a", None))]).await;
    assert_eq!(next("a", 100).await, Some(target_key(2, 0)));
    assert_eq!(next("a", 49).await, None);
}

/// AP-38: over all deployments of the host.
pub async fn outstanding_commands_are_counted_per_host(store: &impl Store) {
    let busy = |deployment, host: &str, outstanding| TargetRow {
        host: host.to_owned(),
        outstanding,
        ..target(deployment, 0)
    };
    for (number, host, outstanding) in [(1, "a", true), (2, "a", true), (3, "a", false), (4, "b", true)] {
        given_targets(store, number, vec![busy(number, host, outstanding)]).await;
    }
    assert_eq!(store.outstanding_commands("a").await.unwrap(), 2);
    assert_eq!(store.outstanding_commands("b").await.unwrap(), 1);
    assert_eq!(store.outstanding_commands("c").await.unwrap(), 0);
    given(store, [update(busy(1, "a", false)), update(busy(3, "a", true)), update(busy(2, "a", false))])
        .await;
    assert_eq!(store.outstanding_commands("a").await.unwrap(), 1);
}

/// Two steps that consume the same marks cannot both be written.
pub async fn ended_targets_are_counted_once(store: &impl Store) {
    let ended =
        |ordinal| TargetRow { uncounted: true, status: TargetStatus::Succeeded, ..target(1, ordinal) };
    given_targets(store, 1, vec![ended(0), target(1, 1), ended(2), ended(3)]).await;
    given_targets(store, 2, vec![TargetRow { uncounted: true, ..target(2, 0) }]).await;
    let uncounted = async |limit| {
        let found = store.uncounted_targets(&id(1), limit).await.unwrap();
        let mut ordinals: Vec<_> = found.iter().map(|row| row.key.ordinal).collect();
        ordinals.sort_unstable();
        ordinals
    };
    let count = |ordinals: &[u32]| Write::MarkCounted { deployment: id(1), ordinals: ordinals.to_vec() };
    assert_eq!(uncounted(9).await, [0, 2, 3]);
    assert_eq!(uncounted(2).await.len(), 2);
    given(store, [count(&[0, 2])]).await;
    assert_eq!(uncounted(9).await, [3]);
    assert_conflict(&commit(store, [count(&[3, 2])]).await);
    assert_conflict(&commit(store, [count(&[3, 1])]).await);
    assert_conflict(&commit(store, [count(&[3, 8])]).await);
    assert_eq!(uncounted(9).await, [3], "a refused count takes no mark");
    given(store, [count(&[3])]).await;
    assert_eq!(uncounted(9).await, []);
    assert_eq!(store.uncounted_targets(&id(2), 9).await.unwrap().len(), 1);
}

/// Else a late report, read before and written after, would bring the mark back and the target be counted twice.
pub async fn counting_a_target_is_a_change_that_a_later_write_must_have_read(store: &impl Store) {
    given_targets(store, 1, vec![TargetRow { uncounted: true, ..target(1, 0) }]).await;
    let read_before = store.target(&target_key(1, 0)).await.unwrap().unwrap();
    given(store, [Write::MarkCounted { deployment: id(1), ordinals: vec![0] }]).await;
    assert_conflict(&commit(store, [update(read_before)]).await);
    let now = store.target(&target_key(1, 0)).await.unwrap().unwrap();
    assert!(!now.uncounted);
    given(store, [update(now)]).await;
    assert_eq!(store.uncounted_targets(&id(1), 9).await.unwrap(), []);
}

/// Neither those that have begun nor those before the first.
pub async fn skipping_touches_pending_targets_from_the_first_only(store: &impl Store) {
    let begun = TargetRow { status: TargetStatus::InProgress, offer_at: Some(Timestamp(1)), ..target(1, 3) };
    let before = vec![target(1, 0), target(1, 1), target(1, 2), begun.clone(), target(1, 4)];
    given_targets(store, 1, before).await;
    given_targets(store, 2, vec![target(2, 4)]).await;
    given(
        store,
        [Write::SkipPending {
            deployment: id(1),
            first: 2,
            status: TargetStatus::Skipped,
            machine: "{\"skipped\":1}".to_owned(),
            at: Timestamp(88),
        }],
    )
    .await;
    let skipped = |ordinal| TargetRow {
        status: TargetStatus::Skipped,
        machine: "{\"skipped\":1}".to_owned(),
        updated: Timestamp(88),
        version: 2,
        ..target(1, ordinal)
    };
    let query = TargetQuery { deployment: id(1), statuses: Vec::new(), from: 0, limit: 10 };
    let expected = [target(1, 0), target(1, 1), skipped(2), begun, skipped(4)];
    assert_eq!(store.targets(&query).await.unwrap(), expected);
    assert_eq!(store.target(&target_key(2, 4)).await.unwrap(), Some(target(2, 4)));
    assert_eq!(store.uncounted_targets(&id(1), 9).await.unwrap(), [], "they are counted already");
    assert_conflict(&commit(store, [update(target(1, 2))]).await);
}
