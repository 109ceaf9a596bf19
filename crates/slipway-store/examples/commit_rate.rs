//! How many commits per second this machine makes durable, alone and with many committers.
//!
//! `cargo run --release -p slipway-store --example commit_rate [DIRECTORY]` writes into a scratch directory under
//! `DIRECTORY`, by default the current one: the disk decides the result, and a temporary file system has none.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use slipway_model::status::{DeploymentStatus, TargetStatus};
use slipway_model::{AccountId, DeploymentId, Region, Scope, Timestamp};
use slipway_store::sqlite::SqliteStore;
use slipway_store::{ChangeSet, DeploymentRow, EventRow, Store, TargetKey, TargetRow, WakeupKey, Write};

const TIME: Duration = Duration::from_secs(3);
const FLEET: u32 = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parent = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let directory = tempfile::tempdir_in(parent)?;
    let store = Arc::new(SqliteStore::open(&directory.path().join("slipway.db"))?);
    let deployment = fleet(&store).await?;
    for committers in [1, 8, 64, 256] {
        let before = store.statistics();
        let started = Instant::now();
        let commits = steps(&store, &deployment, committers).await?;
        let seconds = started.elapsed().as_secs_f64();
        let transactions = store.statistics().transactions - before.transactions;
        println!(
            "{committers:>4} committers: {:>7.0} commits/s in {:>6.0} transactions/s, {:.2} ms each",
            commits as f64 / seconds,
            transactions as f64 / seconds,
            seconds * 1000.0 * f64::from(committers) / commits as f64,
        );
    }
    let started = Instant::now();
    let mut polls = 0_u64;
    while started.elapsed() < TIME {
        store.next_command(&host(polls as u32 % FLEET), Timestamp(2)).await?;
        polls += 1;
    }
    println!("   1 reader:     {:>7.0} questions for the next command/s", polls as f64 / TIME.as_secs_f64());
    store.close().await;
    Ok(())
}

fn scope() -> Result<Scope, Box<dyn std::error::Error>> {
    Ok(Scope { account: AccountId::new("000000000001")?, region: Region::new("factory-1")? })
}

fn host(ordinal: u32) -> String {
    format!("arn:aws:codedeploy:factory-1:000000000001:instance/host-{ordinal}_ABCDEFGHIJ")
}

/// A deployment to [`FLEET`] hosts, each machine about as large as a real one.
async fn fleet(store: &SqliteStore) -> Result<DeploymentId, Box<dyn std::error::Error>> {
    let id = DeploymentId::from_random([1; 9]);
    let row = DeploymentRow {
        id: id.clone(),
        scope: scope()?,
        application_id: "application".to_owned(),
        group_id: "group".to_owned(),
        status: DeploymentStatus::InProgress,
        created: Timestamp(0),
        record: "r".repeat(4096),
        machine: "m".repeat(512),
        version: 1,
    };
    let targets = (0..FLEET)
        .map(|ordinal| TargetRow {
            key: TargetKey { deployment: id.clone(), ordinal },
            host: host(ordinal),
            name: format!("host-{ordinal}"),
            status: TargetStatus::InProgress,
            offer_at: Some(Timestamp(1)),
            outstanding: false,
            uncounted: false,
            updated: Timestamp(0),
            machine: "m".repeat(1024),
            version: 1,
        })
        .collect();
    let started = Instant::now();
    let change =
        ChangeSet::new().with(Write::InsertDeployment(Box::new(row))).with(Write::InsertTargets(targets));
    store.commit(change).await?;
    println!("{FLEET} targets inserted in {:.0} ms", started.elapsed().as_secs_f64() * 1000.0);
    Ok(id)
}

/// What one report of a host costs: its target's row, its timer and an event.
async fn steps(
    store: &Arc<SqliteStore>,
    deployment: &DeploymentId,
    committers: u32,
) -> Result<u64, Box<dyn std::error::Error>> {
    let commits = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = Vec::new();
    for committer in 0..committers {
        let (store, commits) = (Arc::clone(store), Arc::clone(&commits));
        let (deployment, scope) = (deployment.clone(), scope()?);
        tasks.push(tokio::spawn(async move {
            let mut ordinal = committer;
            while started.elapsed() < TIME {
                let key = TargetKey { deployment: deployment.clone(), ordinal };
                let Ok(Some(row)) = store.target(&key).await else { return Err("the target cannot be read") };
                let event = EventRow {
                    seq: 0,
                    scope: scope.clone(),
                    deployment: deployment.clone(),
                    target: Some(row.name.clone()),
                    at: Timestamp(1),
                    what: "e".repeat(128),
                };
                let change = ChangeSet::new()
                    .with(Write::UpdateTarget(Box::new(TargetRow { outstanding: !row.outstanding, ..row })))
                    .with(Write::SetTimer { key: WakeupKey::Target(key), due: Some(Timestamp(3_600_000)) })
                    .with(Write::Event(event));
                store.commit(change).await.map_err(|_| "the change set was refused")?;
                commits.fetch_add(1, Ordering::Relaxed);
                ordinal = (ordinal + committers) % (FLEET / committers * committers);
            }
            Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(commits.load(Ordering::Relaxed))
}
