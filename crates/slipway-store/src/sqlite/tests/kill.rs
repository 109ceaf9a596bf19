//! `kill -9` between any two instructions of a process that commits as fast as it can.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

/// Tells the test, when it is run again as a child, where to write.
const CHILD_DIRECTORY: &str = "SLIPWAY_STORE_TEST_CHILD";

#[test]
fn acknowledged_commits_survive_kill_9() {
    if let Some(directory) = std::env::var_os(CHILD_DIRECTORY) {
        return commit_until_killed(&PathBuf::from(directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for (round, acknowledgements) in [1, 40, 400].into_iter().enumerate() {
        acknowledged.extend(kill_after(directory.path(), round, acknowledgements));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = open(directory.path());
            for name in &acknowledged {
                assert!(is_there(&store, &format!("{name}/1")).await, "{name} was acknowledged and is lost");
            }
            everything_is_whole(&store).await;
        });
    }
    assert!(acknowledged.len() >= 441);
}

/// Runs a child until it has acknowledged so many commits, kills it, and returns all that it had acknowledged.
fn kill_after(directory: &Path, round: usize, acknowledgements: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["sqlite::tests::kill::acknowledged_commits_survive_kill_9", "--exact", "--nocapture"])
        .env(CHILD_DIRECTORY, directory)
        .env("SLIPWAY_STORE_TEST_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    let mut killed = false;
    // After the kill the pipe is read to its end: what is in it had been acknowledged.
    while let Some(line) = lines.next().transpose().unwrap() {
        let Some((name, "end")) = line.strip_prefix("acknowledged ").and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        acknowledged.push(name.to_owned());
        if !killed && acknowledged.len() >= acknowledgements {
            child.kill().unwrap();
            killed = true;
        }
    }
    let status = child.wait().unwrap();
    assert!(killed, "the child ended by itself: {status}");
    acknowledged
}

/// What was written together is there together.
async fn everything_is_whole(store: &SqliteStore) {
    let all = store.documents(&Partition::Installation, Kind::Setting, "", None, u32::MAX).await.unwrap();
    for halves in all.chunks(2) {
        let names: Vec<_> = halves.iter().filter_map(|half| half.key.name.rsplit_once('/')).collect();
        let [(first, "1"), (second, "2")] = names[..] else { panic!("half a change set: {names:?}") };
        assert_eq!(first, second);
    }
}

fn commit_until_killed(directory: &Path) {
    let round = std::env::var("SLIPWAY_STORE_TEST_ROUND").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(directory));
        let committers: Vec<_> = (0..16)
            .map(|committer| {
                let (store, round) = (Arc::clone(&store), round.clone());
                tokio::spawn(async move {
                    for number in 0.. {
                        let name = format!("{round}-{committer}-{number}");
                        store.commit(pair(&name)).await.expect("it is committed");
                        println!("acknowledged {name} end");
                    }
                })
            })
            .collect();
        for committer in committers {
            committer.await.expect("no committer panics");
        }
    });
}
