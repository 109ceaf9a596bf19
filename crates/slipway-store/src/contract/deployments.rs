//! Deployments.

use slipway_model::Timestamp;
use slipway_model::status::DeploymentStatus;

use super::{
    account, all_deployments, assert_conflict, commit, deployment, given, id, other_account, other_region,
    scope, target, target_key,
};
use crate::Store;
use crate::change::{CommitError, Write};
use crate::rows::{DeploymentQuery, DeploymentRow, EventRow, HealthRow, TargetKey, TargetRow, WakeupKey};

fn insert(row: DeploymentRow) -> Write {
    Write::InsertDeployment(Box::new(row))
}

fn end(number: u32, version: i64, status: DeploymentStatus) -> Write {
    Write::UpdateDeployment { id: id(number), version, status, machine: "{\"ended\":true}".to_owned() }
}

async fn list(store: &impl Store, query: DeploymentQuery) -> Vec<u32> {
    let found = store.deployments(&query).await.unwrap();
    found.iter().map(|row| row.id.as_str()[2..].parse().expect("an id of ours")).collect()
}

/// Nothing is lost between what is written and what is read.
pub async fn a_deployment_is_read_as_it_was_written(store: &impl Store) {
    given(store, [insert(DeploymentRow { version: 77, ..deployment(1) })]).await;
    assert_eq!(store.deployment(&id(1)).await.unwrap(), Some(deployment(1)));
    assert_eq!(store.deployments(&all_deployments()).await.unwrap(), [deployment(1)]);
    assert_eq!(store.deployment(&id(2)).await.unwrap(), None);
}

/// A control plane whose clock was set back while it was away goes on from there. What has ended waits for nothing.
pub async fn the_latest_moment_is_one_of_what_is_under_way(store: &impl Store) {
    let at = |number| Timestamp(i64::from(number));
    assert_eq!(store.latest_moment().await.unwrap(), None);
    given(store, [insert(deployment(3)), insert(deployment(5))]).await;
    assert_eq!(store.latest_moment().await.unwrap(), Some(at(5)));
    let changed = |number, updated| TargetRow { updated: at(updated), ..target(number, 0) };
    let targets = |number, updated| Write::InsertTargets(vec![changed(number, updated), target(number, 1)]);
    given(store, [targets(3, 40), targets(5, 30)]).await;
    assert_eq!(store.latest_moment().await.unwrap(), Some(at(40)));
    given(store, [Write::UpdateTarget(Box::new(changed(5, 50)))]).await;
    assert_eq!(store.latest_moment().await.unwrap(), Some(at(50)));
    given(store, [end(5, 1, DeploymentStatus::Failed)]).await;
    assert_eq!(store.latest_moment().await.unwrap(), Some(at(40)));
    given(store, [end(3, 1, DeploymentStatus::Succeeded)]).await;
    assert_eq!(store.latest_moment().await.unwrap(), None);
}

/// CF-370: the next one can begin as soon as the other has ended, however it ended, and not before.
pub async fn a_group_has_one_active_deployment(store: &impl Store) {
    let of_group = |number| insert(DeploymentRow { group_id: "g".to_owned(), ..deployment(number) });
    let endings = [DeploymentStatus::Succeeded, DeploymentStatus::Failed, DeploymentStatus::Stopped];
    given(store, [of_group(0), insert(deployment(100))]).await;
    for (number, ending) in (0..).zip(endings) {
        let next = [of_group(number + 1)];
        let busy = Err(CommitError::GroupBusy { active: id(number) });
        assert_eq!(commit(store, next.clone()).await, busy);
        for (version, status) in [(1, DeploymentStatus::Queued), (2, DeploymentStatus::InProgress)] {
            let update =
                Write::UpdateDeployment { id: id(number), version, status, machine: "{}".to_owned() };
            given(store, [update]).await;
            assert_eq!(commit(store, next.clone()).await, busy, "{status}");
        }
        given(store, [end(number, 3, ending)]).await;
        given(store, next).await;
    }
    let replaced = [end(3, 1, DeploymentStatus::Stopped), of_group(4)];
    given(store, replaced).await;
    let (one, two) = tokio::join!(commit(store, [of_group(5)]), commit(store, [of_group(6)]));
    assert_eq!(
        (one, two),
        (Err(CommitError::GroupBusy { active: id(4) }), Err(CommitError::GroupBusy { active: id(4) }))
    );
    assert_eq!(store.deployment(&id(5)).await.unwrap(), None);
}

/// A request that is repeated finds out that it has been carried out.
pub async fn a_second_deployment_under_an_id_is_refused(store: &impl Store) {
    given(store, [insert(deployment(1))]).await;
    let elsewhere =
        DeploymentRow { group_id: "elsewhere".to_owned(), scope: other_account(), ..deployment(1) };
    for second in [deployment(1), elsewhere] {
        let refused = commit(store, [insert(second)]).await;
        assert!(matches!(refused, Err(CommitError::Exists { key: None, .. })), "{refused:?}");
    }
    assert_eq!(store.deployment(&id(1)).await.unwrap(), Some(deployment(1)));
}

/// Two steps that were decided from the same state cannot both be written.
pub async fn an_update_needs_the_version_that_was_read(store: &impl Store) {
    given(store, [insert(deployment(1)), insert(deployment(2))]).await;
    let update = |number, version, machine: &str| Write::UpdateDeployment {
        id: id(number),
        version,
        status: DeploymentStatus::InProgress,
        machine: machine.to_owned(),
    };
    given(store, [update(1, 1, "second")]).await;
    assert_conflict(&commit(store, [update(1, 1, "stale")]).await);
    assert_conflict(&commit(store, [update(1, 3, "early")]).await);
    assert_conflict(&commit(store, [update(3, 1, "absent")]).await);
    let expected = DeploymentRow {
        status: DeploymentStatus::InProgress,
        machine: "second".to_owned(),
        version: 2,
        ..deployment(1)
    };
    assert_eq!(store.deployment(&id(1)).await.unwrap(), Some(expected));
    assert_eq!(store.deployment(&id(2)).await.unwrap(), Some(deployment(2)));
}

/// Over all regions of the account, without those that have ended.
pub async fn active_deployments_are_counted_per_account(store: &impl Store) {
    assert_eq!(store.count_active_deployments(&account(1)).await.unwrap(), 0);
    given(
        store,
        [
            insert(deployment(1)),
            insert(DeploymentRow { scope: other_region(), ..deployment(2) }),
            insert(DeploymentRow { scope: other_account(), ..deployment(3) }),
            insert(DeploymentRow { status: DeploymentStatus::Failed, ..deployment(4) }),
            insert(DeploymentRow { status: DeploymentStatus::Ready, ..deployment(5) }),
        ],
    )
    .await;
    assert_eq!(store.count_active_deployments(&account(1)).await.unwrap(), 3);
    assert_eq!(store.count_active_deployments(&account(2)).await.unwrap(), 1);
    given(store, [end(5, 1, DeploymentStatus::Succeeded)]).await;
    assert_eq!(store.count_active_deployments(&account(1)).await.unwrap(), 2);
}

/// By creation time, then by id, both descending; a page continues behind the last one of the page before, even when
/// that one is gone.
pub async fn deployments_are_listed_newest_first_in_pages(store: &impl Store) {
    let created = [(1, 30), (2, 10), (3, 20), (4, 20), (5, 20), (6, 40)];
    given(
        store,
        created.map(|(number, at)| insert(DeploymentRow { created: Timestamp(at), ..deployment(number) })),
    )
    .await;
    let all = [6, 1, 5, 4, 3, 2];
    assert_eq!(list(store, all_deployments()).await, all);
    let page = |after: Option<(i64, u32)>, limit| DeploymentQuery {
        after: after.map(|(at, number)| (Timestamp(at), id(number))),
        limit,
        ..all_deployments()
    };
    assert_eq!(list(store, page(None, 2)).await, all[..2]);
    assert_eq!(list(store, page(Some((30, 1)), 2)).await, all[2..4]);
    assert_eq!(list(store, page(Some((20, 4)), 2)).await, all[4..]);
    assert_eq!(list(store, page(Some((10, 2)), 2)).await, []);
    assert_eq!(list(store, page(Some((25, 99)), 2)).await, all[2..4]);
    let within = DeploymentQuery {
        created_from: Some(Timestamp(20)),
        created_to: Some(Timestamp(30)),
        ..page(Some((20, 5)), 9)
    };
    assert_eq!(list(store, within.clone()).await, [4, 3]);
    let beyond = DeploymentQuery { after: Some((Timestamp(40), id(6))), ..within };
    assert_eq!(list(store, beyond).await, [1, 5, 4, 3]);
}

/// Every combination of filters means all of them.
pub async fn deployments_are_filtered_by_scope_application_and_group(store: &impl Store) {
    let row = |number, scope, application: &str, group: &str| {
        insert(DeploymentRow {
            scope,
            application_id: application.to_owned(),
            group_id: group.to_owned(),
            status: DeploymentStatus::Succeeded,
            ..deployment(number)
        })
    };
    given(
        store,
        [
            row(1, scope(), "a", "a1"),
            row(2, scope(), "a", "a2"),
            row(3, scope(), "b", "b1"),
            row(4, other_region(), "a", "a1"),
            row(5, other_account(), "a", "a1"),
            row(6, scope(), "a", "a1"),
        ],
    )
    .await;
    let query = |scope, application: Option<&str>, group: Option<&str>| DeploymentQuery {
        scope,
        application_id: application.map(str::to_owned),
        group_id: group.map(str::to_owned),
        ..all_deployments()
    };
    assert_eq!(list(store, query(scope(), None, None)).await, [6, 3, 2, 1]);
    assert_eq!(list(store, query(scope(), Some("a"), None)).await, [6, 2, 1]);
    assert_eq!(list(store, query(scope(), Some("a"), Some("a1"))).await, [6, 1]);
    assert_eq!(list(store, query(scope(), None, Some("a2"))).await, [2]);
    assert_eq!(list(store, query(scope(), Some("b"), Some("a1"))).await, []);
    assert_eq!(list(store, query(other_region(), Some("a"), None)).await, [4]);
    assert_eq!(list(store, query(other_account(), None, None)).await, [5]);
}

/// Status by set, creation time with both ends included.
pub async fn deployments_are_filtered_by_status_and_creation_time(store: &impl Store) {
    for (number, status) in (1..).zip(DeploymentStatus::ALL.iter().copied()) {
        given(store, [insert(DeploymentRow { status, ..deployment(number) })]).await;
    }
    use DeploymentStatus::{Created, Failed, InProgress, Queued, Ready, Succeeded};
    let number = |status| 1 + DeploymentStatus::ALL.iter().position(|s| *s == status).unwrap() as u32;
    let wanted = [
        vec![Failed],
        vec![Created, InProgress],
        vec![Ready],
        vec![Succeeded, Queued, Queued],
        DeploymentStatus::ALL.to_vec(),
    ];
    for statuses in wanted {
        let mut expected: Vec<u32> = statuses.iter().copied().map(number).collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        expected.dedup();
        let query = DeploymentQuery { statuses: statuses.clone(), ..all_deployments() };
        assert_eq!(list(store, query.clone()).await, expected, "{statuses:?}");
        let of_application = DeploymentQuery { application_id: Some("app".to_owned()), ..query.clone() };
        assert_eq!(list(store, of_application).await, expected, "{statuses:?}");
        let group_id = Some(format!("group-{}", expected[0]));
        assert_eq!(list(store, DeploymentQuery { group_id, ..query }).await, expected[..1], "{statuses:?}");
    }
    let created = |from: Option<i64>, to: Option<i64>| DeploymentQuery {
        created_from: from.map(Timestamp),
        created_to: to.map(Timestamp),
        ..all_deployments()
    };
    assert_eq!(list(store, created(Some(3), Some(5))).await, [5, 4, 3]);
    assert_eq!(list(store, created(Some(7), None)).await, [8, 7]);
    assert_eq!(list(store, created(None, Some(2))).await, [2, 1]);
    assert_eq!(list(store, created(Some(5), Some(4))).await, []);
}

/// The deletion of a group leaves no row that could act later; history stays.
pub async fn forgetting_a_group_takes_everything_but_the_event_log(store: &impl Store) {
    for number in [1, 2] {
        let health = HealthRow {
            group_id: deployment(number).group_id,
            host: "h".to_owned(),
            healthy: true,
            installed_revision: None,
        };
        let event = EventRow {
            seq: 0,
            scope: scope(),
            deployment: id(number),
            target: None,
            at: Timestamp(1),
            what: "{}".to_owned(),
        };
        let due = Timestamp(i64::from(number));
        given(
            store,
            [
                insert(deployment(number)),
                Write::InsertTargets(vec![target(number, 0), target(number, 1)]),
                Write::Wake { key: WakeupKey::Deployment(id(number)), due },
                Write::Wake { key: WakeupKey::Target(target_key(number, 1)), due },
                Write::PutHealth(health),
                Write::Event(event),
            ],
        )
        .await;
    }
    given(store, [Write::ForgetGroup { group_id: deployment(1).group_id }]).await;
    assert_eq!(store.deployment(&id(1)).await.unwrap(), None);
    assert_eq!(store.target(&TargetKey { deployment: id(1), ordinal: 0 }).await.unwrap(), None);
    assert_eq!(store.host_health(&deployment(1).group_id).await.unwrap(), []);
    assert_eq!(store.next_due().await.unwrap(), Some(Timestamp(2)));
    let claimed = store.claim_due(Timestamp(9), Timestamp(10), 10).await.unwrap();
    assert_eq!(claimed.len(), 2, "{claimed:?}");
    assert_eq!(store.deployment(&id(2)).await.unwrap(), Some(deployment(2)));
    assert_eq!(store.target(&target_key(2, 1)).await.unwrap(), Some(target(2, 1)));
    assert_eq!(store.host_health(&deployment(2).group_id).await.unwrap().len(), 1);
    assert_eq!(store.events(0, 10).await.unwrap().len(), 2);
    // What is decided from a row that is gone meets a conflict.
    assert_conflict(&commit(store, [Write::InsertTargets(vec![target(1, 0)])]).await);
    assert_conflict(&commit(store, [end(1, 1, DeploymentStatus::Failed)]).await);
    given(store, [insert(deployment(1))]).await;
}
