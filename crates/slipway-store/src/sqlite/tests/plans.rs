//! No question costs more than its answer: SQLite's own plan of each statement.

use slipway_model::status::DeploymentStatus;
use slipway_model::{Region, Scope};

use super::*;
use crate::rows::RevisionTime;

fn plan(db: &Connection, sql: &str) -> String {
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    // Parameters that are not given are NULL; the plan does not depend on them.
    let mut rows = statement.raw_query();
    let mut plan = String::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push_str(&row.get::<_, String>(3).unwrap());
        plan.push('\n');
    }
    plan
}

#[test]
fn active_deployments_are_counted_without_looking_at_the_ended_ones() {
    let directory = tempfile::tempdir().unwrap();
    let db = schema::open_writer(&directory.path().join("slipway.db")).unwrap();
    let plan = plan(&db, read::COUNT_ACTIVE);
    assert!(plan.contains("deployments_active_in_scope (account=?)"), "{plan}");
}

#[test]
fn every_list_of_deployments_is_read_from_an_index_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let db = schema::open_writer(&directory.path().join("slipway.db")).unwrap();
    let scope =
        Scope { account: AccountId::new("000000000001").unwrap(), region: Region::new("factory-1").unwrap() };
    let statuses = [vec![], vec![DeploymentStatus::InProgress], vec![DeploymentStatus::Failed]];
    let yes_and_no = [false, true];
    for statuses in statuses {
        for (application, group) in [(false, false), (true, false), (true, true), (false, true)] {
            for (from, to, after) in yes_and_no
                .into_iter()
                .flat_map(|from| yes_and_no.into_iter().map(move |to| (from, to)))
                .flat_map(|(from, to)| yes_and_no.into_iter().map(move |after| (from, to, after)))
            {
                let query = DeploymentQuery {
                    scope: scope.clone(),
                    application_id: application.then(|| "a".to_owned()),
                    group_id: group.then(|| "g".to_owned()),
                    statuses: statuses.clone(),
                    created_from: from.then_some(Timestamp(1)),
                    created_to: to.then_some(Timestamp(9)),
                    after: after.then(|| (Timestamp(5), DeploymentId::from_random([0; 9]))),
                    limit: 100,
                };
                let (sql, _) = read::deployments_sql(&query);
                let plan = plan(&db, &sql);
                // The active deployments of a group are one row: sorting it is free.
                let one_row = plan.contains("deployments_active_in_group");
                assert!(one_row || !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
                assert!(!plan.contains("SCAN"), "{sql}\n{plan}");
                assert!(
                    one_row || !(to || after) || plan.contains("created<") || plan.contains("(created,id)<"),
                    "{sql}\n{plan}"
                );
            }
        }
    }
}

#[test]
fn every_list_of_revisions_is_read_from_an_index_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let db = schema::open_writer(&directory.path().join("slipway.db")).unwrap();
    for by in [RevisionTime::Registered, RevisionTime::FirstUsed, RevisionTime::LastUsed] {
        for (descending, after) in [(false, false), (false, true), (true, false), (true, true)] {
            let query = RevisionQuery {
                partition: Partition::Installation,
                application_id: "a".to_owned(),
                by,
                descending,
                after: after.then(|| (Timestamp(5), "n".to_owned())),
                limit: 100,
            };
            let sql = read::revisions_sql(&query);
            let plan = plan(&db, &sql);
            assert!(plan.contains("SEARCH documents USING INDEX revisions_by_"), "{sql}\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
            assert!(!after || plan.contains("<expr>"), "{sql}\n{plan}");
        }
    }
}
