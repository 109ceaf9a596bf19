//! The promises of [`Store`], as tests that every store passes.
//!
//! One function per promise, named for it. Each takes a store that is new and empty. [`contract_tests!`] makes a test
//! of each:
//!
//! ```ignore
//! // Whatever the store needs to live as long as it, and the store.
//! slipway_store::contract_tests!((tempfile::tempdir()?, open_my_store().await));
//! ```
//!
//! [`contract_tests!`]: crate::contract_tests

#![allow(clippy::unwrap_used, reason = "this is test code, in the library so that other stores can run it")]

pub mod change_sets;
pub mod deployments;
pub mod documents;
pub mod targets;
pub mod wakeups;

use slipway_model::status::{DeploymentStatus, TargetStatus};
use slipway_model::{AccountId, DeploymentId, Region, Scope, Timestamp};

use crate::change::{ChangeSet, CommitError, Write};
use crate::rows::{DeploymentRow, Document, DocumentKey, Kind, Partition, TargetKey, TargetRow};
use crate::{DeploymentQuery, Store};

/// Makes a `#[tokio::test]` of every promise. The argument is evaluated in each of them, in an async function, and
/// gives a pair: what the store needs to live as long as it (a directory, a container), and the store.
#[macro_export]
macro_rules! contract_tests {
    ($setup:expr) => {
        $crate::contract_tests! { @each $setup,
            change_sets: [
                a_failing_write_leaves_nothing_of_its_change_set_and_spares_its_neighbours,
                writes_of_a_change_set_see_the_ones_before_them,
                an_empty_change_set_is_committed,
                events_are_numbered_in_the_order_of_commits_and_read_in_pages,
                notices_come_after_the_commit_in_order,
                a_failed_change_set_tells_nobody,
                health_is_kept_per_group_and_host,
                a_failure_keeps_what_is_installed,
            ]
            deployments: [
                a_deployment_is_read_as_it_was_written,
                a_group_has_one_active_deployment,
                a_second_deployment_under_an_id_is_refused,
                an_update_needs_the_version_that_was_read,
                active_deployments_are_counted_per_account,
                the_latest_moment_is_one_of_what_is_under_way,
                deployments_are_listed_newest_first_in_pages,
                deployments_are_filtered_by_scope_application_and_group,
                deployments_are_filtered_by_status_and_creation_time,
                forgetting_a_group_takes_everything_but_the_event_log,
            ]
            documents: [
                a_document_is_read_as_it_was_written,
                an_insert_of_a_taken_key_names_the_key,
                a_replacement_needs_the_version_that_was_read,
                concurrent_replacements_of_one_version_let_one_through,
                put_inserts_and_replaces,
                a_deletion_at_a_version_needs_that_version,
                a_document_is_never_taken_for_an_earlier_one_under_its_key,
                a_parent_goes_with_the_children_that_were_seen_only,
                require_holds_only_at_that_version,
                documents_are_listed_by_name_in_pages,
                partitions_kinds_and_parents_see_nothing_of_each_other,
                children_are_deleted_together,
                require_none_holds_while_a_parent_has_no_such_child,
                revisions_are_listed_by_their_times_in_pages,
            ]
            targets: [
                a_target_is_read_as_it_was_written,
                targets_belong_to_a_deployment_and_are_unique_in_it,
                an_update_of_a_target_needs_the_version_that_was_read,
                targets_are_listed_by_ordinal_filtered_and_in_pages,
                the_command_that_waited_longest_is_next_and_only_for_its_host,
                outstanding_commands_are_counted_per_host,
                ended_targets_are_counted_once,
                counting_a_target_is_a_change_that_a_later_write_must_have_read,
                skipping_touches_pending_targets_from_the_first_only,
            ]
            wakeups: [
                a_wakeup_is_claimed_when_it_is_due_and_not_before,
                waking_keeps_the_earlier_time,
                a_timer_is_set_exactly_and_taken_away,
                a_lease_keeps_others_out_until_it_ends,
                settling_sets_the_next_time_or_removes,
                a_request_made_while_claimed_survives_the_settling,
                what_was_asked_for_before_the_claim_is_not_due_again,
                a_timer_set_while_claimed_survives_the_settling,
                settling_twice_or_late_does_no_harm,
                claimers_never_get_the_same_wakeup,
                next_due_is_the_earliest_time_or_end_of_a_lease,
                listeners_hear_of_work_that_is_due_earlier,
            ]
        }
    };
    (@each $setup:expr, $($module:ident: [$($promise:ident,)*])*) => {
        $(
            mod $module {
                #[allow(unused_imports, reason = "for the names in the set-up")]
                use super::*;

                $(
                    #[tokio::test]
                    async fn $promise() {
                        let (_keep, store) = $setup;
                        $crate::contract::$module::$promise(&store).await;
                    }
                )*
            }
        )*
    };
}

fn account(number: u64) -> AccountId {
    AccountId::new(format!("{number:012}")).expect("12 digits")
}

fn scope() -> Scope {
    Scope { account: account(1), region: Region::new("factory-1").expect("well-formed") }
}

fn other_region() -> Scope {
    Scope { account: account(1), region: Region::new("factory-2").expect("well-formed") }
}

fn other_account() -> Scope {
    Scope { account: account(2), region: Region::new("factory-1").expect("well-formed") }
}

fn key(kind: Kind, parent: &str, name: &str) -> DocumentKey {
    DocumentKey {
        partition: Partition::Regional(scope()),
        kind,
        parent: parent.to_owned(),
        name: name.to_owned(),
    }
}

fn application(name: &str, body: &str) -> Document {
    Document { key: key(Kind::Application, "", name), body: body.to_owned(), version: 0 }
}

fn id(number: u32) -> DeploymentId {
    DeploymentId::new(format!("d-{number:09}")).expect("nine digits")
}

/// A deployment of its own group, created at `number`.
fn deployment(number: u32) -> DeploymentRow {
    DeploymentRow {
        id: id(number),
        scope: scope(),
        application_id: "app".to_owned(),
        group_id: format!("group-{number}"),
        status: DeploymentStatus::Created,
        created: Timestamp(i64::from(number)),
        record: format!("{{\"record\":{number}}}"),
        machine: format!("{{\"machine\":{number}}}"),
        version: 1,
    }
}

fn target_key(deployment: u32, ordinal: u32) -> TargetKey {
    TargetKey { deployment: id(deployment), ordinal }
}

fn target(deployment: u32, ordinal: u32) -> TargetRow {
    TargetRow {
        key: target_key(deployment, ordinal),
        host: format!("arn:host-{ordinal}"),
        name: format!("host-{ordinal}"),
        status: TargetStatus::Pending,
        offer_at: None,
        outstanding: false,
        uncounted: false,
        updated: Timestamp(7),
        machine: "{}".to_owned(),
        version: 1,
    }
}

/// Everything of [`scope`].
fn all_deployments() -> DeploymentQuery {
    DeploymentQuery {
        scope: scope(),
        application_id: None,
        group_id: None,
        statuses: Vec::new(),
        created_from: None,
        created_to: None,
        after: None,
        limit: 100,
    }
}

async fn commit(store: &impl Store, writes: impl IntoIterator<Item = Write>) -> Result<(), CommitError> {
    store.commit(ChangeSet { writes: writes.into_iter().collect(), notices: Vec::new() }).await
}

/// Commits what must succeed.
async fn given(store: &impl Store, writes: impl IntoIterator<Item = Write>) {
    commit(store, writes).await.expect("the change set is committed");
}

/// A deployment with these targets.
async fn given_targets(store: &impl Store, number: u32, targets: Vec<TargetRow>) {
    given(store, [Write::InsertDeployment(Box::new(deployment(number))), Write::InsertTargets(targets)])
        .await;
}

#[track_caller]
fn assert_conflict(result: &Result<(), CommitError>) {
    assert!(matches!(result, Err(CommitError::Conflict { .. })), "a conflict is expected: {result:?}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_promise_is_in_the_list_that_stores_run() {
        let list = include_str!("mod.rs");
        let modules = [
            include_str!("change_sets.rs"),
            include_str!("deployments.rs"),
            include_str!("documents.rs"),
            include_str!("targets.rs"),
            include_str!("wakeups.rs"),
        ];
        for source in modules {
            for line in source.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                let name = line.split_once('(').expect("a function").0;
                assert!(list.contains(&format!("                {name},\n")), "{name} is not run");
            }
        }
    }
}
