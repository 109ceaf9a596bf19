//! Wake-ups and leases.

use std::collections::BTreeSet;

use slipway_model::Timestamp;

use super::change_sets::hear;
use super::{given, id, target_key};
use crate::Store;
use crate::change::Write;
use crate::rows::{Notice, Wakeup, WakeupKey};

fn key() -> WakeupKey {
    WakeupKey::Deployment(id(1))
}

fn wake(due: i64) -> Write {
    Write::Wake { key: key(), due: Timestamp(due) }
}

fn settle(claimed: &Wakeup, next: Option<i64>) -> Write {
    Write::Settle { key: claimed.key.clone(), seq: claimed.seq, next: next.map(Timestamp) }
}

async fn claim(store: &impl Store, now: i64, lease_until: i64) -> Vec<Wakeup> {
    store.claim_due(Timestamp(now), Timestamp(lease_until), 100).await.unwrap()
}

async fn claim_one(store: &impl Store, now: i64, lease_until: i64) -> Wakeup {
    let mut claimed = claim(store, now, lease_until).await;
    assert_eq!(claimed.len(), 1, "one wake-up is due at {now}: {claimed:?}");
    claimed.remove(0)
}

async fn next_due(store: &impl Store) -> Option<i64> {
    store.next_due().await.unwrap().map(|at| at.0)
}

/// Deployments and targets are told apart; nothing is claimed beyond the limit.
pub async fn a_wakeup_is_claimed_when_it_is_due_and_not_before(store: &impl Store) {
    let target = |ordinal| WakeupKey::Target(target_key(1, ordinal));
    given(
        store,
        [
            Write::Wake { key: key(), due: Timestamp(10) },
            Write::Wake { key: target(0), due: Timestamp(20) },
            Write::SetTimer { key: target(7), due: Some(Timestamp(30)) },
        ],
    )
    .await;
    assert_eq!(claim(store, 9, 100).await, []);
    let first = claim_one(store, 10, 100).await;
    assert_eq!((first.key, first.due), (key(), Timestamp(10)));
    assert_eq!(store.claim_due(Timestamp(30), Timestamp(100), 0).await.unwrap(), []);
    let second = store.claim_due(Timestamp(30), Timestamp(100), 1).await.unwrap();
    assert_eq!(second.iter().map(|w| (w.key.clone(), w.due.0)).collect::<Vec<_>>(), [(target(0), 20)]);
    let third = claim_one(store, 30, 100).await;
    assert_eq!((third.key, third.due), (target(7), Timestamp(30)));
}

/// Asking again may hurry a wake-up, never delay it.
pub async fn waking_keeps_the_earlier_time(store: &impl Store) {
    given(store, [wake(20)]).await;
    given(store, [wake(30)]).await;
    assert_eq!(next_due(store).await, Some(20));
    given(store, [wake(10)]).await;
    assert_eq!(next_due(store).await, Some(10));
    assert_eq!(claim_one(store, 10, 100).await.due, Timestamp(10));
}

/// A timer can be hurried, delayed and switched off.
pub async fn a_timer_is_set_exactly_and_taken_away(store: &impl Store) {
    let timer = |due: Option<i64>| Write::SetTimer { key: key(), due: due.map(Timestamp) };
    given(store, [timer(None)]).await;
    for due in [20, 30, 10] {
        given(store, [timer(Some(due))]).await;
        assert_eq!(next_due(store).await, Some(due));
    }
    given(store, [timer(None)]).await;
    assert_eq!(next_due(store).await, None);
    assert_eq!(claim(store, 1000, 2000).await, []);
}

/// A worker that died loses its work to the next one.
pub async fn a_lease_keeps_others_out_until_it_ends(store: &impl Store) {
    given(store, [wake(10)]).await;
    let dead = claim_one(store, 10, 50).await;
    assert_eq!(claim(store, 49, 100).await, []);
    let next = claim_one(store, 50, 100).await;
    assert_eq!((next.key, next.due), (dead.key, dead.due));
    assert_eq!(claim(store, 99, 200).await, []);
    assert_eq!(claim(store, 100, 200).await.len(), 1);
}

/// The end of a lease.
pub async fn settling_sets_the_next_time_or_removes(store: &impl Store) {
    given(store, [wake(10)]).await;
    let first = claim_one(store, 10, 1000).await;
    given(store, [settle(&first, Some(40))]).await;
    assert_eq!(next_due(store).await, Some(40));
    assert_eq!(claim(store, 39, 1000).await, []);
    let second = claim_one(store, 40, 1000).await;
    assert_eq!(second.due, Timestamp(40));
    given(store, [settle(&second, None)]).await;
    assert_eq!(next_due(store).await, None);
    assert_eq!(claim(store, 5000, 6000).await, []);
}

/// What comes in while a step is under way is not lost with it, and does not wait for the end of the lease.
pub async fn a_request_made_while_claimed_survives_the_settling(store: &impl Store) {
    for (next, expected) in [(None, 25), (Some(30), 25), (Some(22), 22)] {
        given(store, [wake(20)]).await;
        let claimed = claim_one(store, 20, 1000).await;
        given(store, [wake(25)]).await;
        assert_eq!(claim(store, 500, 2000).await, [], "it is leased");
        given(store, [settle(&claimed, next)]).await;
        assert_eq!(next_due(store).await, Some(expected), "{next:?}");
        let again = claim_one(store, expected, 1000).await;
        assert_ne!(again.seq, claimed.seq);
        given(store, [settle(&again, None)]).await;
        assert_eq!(next_due(store).await, None);
    }
}

/// Else a step that asks for a later wake-up of its own would run again at once, and again.
pub async fn what_was_asked_for_before_the_claim_is_not_due_again(store: &impl Store) {
    given(store, [wake(10)]).await;
    let claimed = claim_one(store, 15, 1000).await;
    given(store, [wake(500), settle(&claimed, None)]).await;
    assert_eq!(next_due(store).await, Some(500));
    assert_eq!(claim(store, 499, 1000).await, []);
}

/// A timer that was set while its predecessor was being looked at goes off at its own time.
pub async fn a_timer_set_while_claimed_survives_the_settling(store: &impl Store) {
    given(store, [wake(10)]).await;
    let claimed = claim_one(store, 10, 1000).await;
    given(store, [Write::SetTimer { key: key(), due: Some(Timestamp(80)) }]).await;
    given(store, [settle(&claimed, None)]).await;
    assert_eq!(next_due(store).await, Some(80));
    let claimed = claim_one(store, 80, 1000).await;
    given(store, [Write::SetTimer { key: key(), due: None }, settle(&claimed, Some(90))]).await;
    assert_eq!(next_due(store).await, None, "a timer that was taken away stays away");
}

/// A change set whose outcome was unknown may be repeated, and a worker may come back after its lease.
pub async fn settling_twice_or_late_does_no_harm(store: &impl Store) {
    given(store, [wake(10)]).await;
    let first = claim_one(store, 10, 50).await;
    given(store, [settle(&first, None)]).await;
    given(store, [settle(&first, None)]).await;
    given(store, [wake(20)]).await;
    given(store, [settle(&first, None)]).await;
    assert_eq!(next_due(store).await, Some(20), "a new request is not the one that was settled");

    let late = claim_one(store, 20, 50).await;
    given(store, [wake(30)]).await;
    let other = claim_one(store, 60, 100).await;
    assert_ne!(other.seq, late.seq);
    given(store, [settle(&late, None)]).await;
    assert_eq!(claim(store, 99, 200).await, [], "the lease of the other stays");
    given(store, [settle(&late, Some(70))]).await;
    given(store, [settle(&other, None)]).await;
    assert_eq!(next_due(store).await, Some(70), "what the late one asked for is not lost");
}

/// Work is done by one worker at a time.
pub async fn claimers_never_get_the_same_wakeup(store: &impl Store) {
    let keys = (0..100).map(|ordinal| WakeupKey::Target(target_key(1, ordinal)));
    given(store, keys.map(|key| Write::Wake { key, due: Timestamp(1) })).await;
    let mut seen = BTreeSet::new();
    let mut claimed = 0;
    loop {
        let some = || store.claim_due(Timestamp(5), Timestamp(50), 7);
        let (a, b, c, d) = tokio::join!(some(), some(), some(), some());
        let round: Vec<Wakeup> = [a, b, c, d].into_iter().flat_map(|claim| claim.unwrap()).collect();
        if round.is_empty() {
            break;
        }
        claimed += round.len();
        seen.extend(round.into_iter().map(|wakeup| wakeup.seq));
    }
    assert_eq!((claimed, seen.len()), (100, 100));
}

/// So that a worker knows how long it may sleep.
pub async fn next_due_is_the_earliest_time_or_end_of_a_lease(store: &impl Store) {
    assert_eq!(next_due(store).await, None);
    given(store, [Write::Wake { key: WakeupKey::Deployment(id(2)), due: Timestamp(70) }, wake(10)]).await;
    assert_eq!(next_due(store).await, Some(10));
    let claimed = claim_one(store, 10, 50).await;
    assert_eq!(next_due(store).await, Some(50));
    given(store, [settle(&claimed, Some(90))]).await;
    assert_eq!(next_due(store).await, Some(70));
}

/// Whoever sleeps until [`Store::next_due`] is told when that has become too late.
pub async fn listeners_hear_of_work_that_is_due_earlier(store: &impl Store) {
    let mut notices = store.notices();
    given(store, [wake(50)]).await;
    assert_eq!(hear(&mut notices).await, Notice::WorkDue);
    given(store, [wake(40)]).await;
    assert_eq!(hear(&mut notices).await, Notice::WorkDue);
    given(store, [Write::SetTimer { key: WakeupKey::Target(target_key(1, 0)), due: Some(Timestamp(30)) }])
        .await;
    assert_eq!(hear(&mut notices).await, Notice::WorkDue);
    let claimed = claim(store, 40, 100).await;
    assert_eq!(claimed.len(), 2);
    given(store, [settle(&claimed[0], Some(60))]).await;
    assert_eq!(hear(&mut notices).await, Notice::WorkDue);
}
