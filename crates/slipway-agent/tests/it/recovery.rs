//! What an agent that died leaves behind (AG-066, AP-19).

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use slipway_agent::clock;

use crate::support::{Host, Stub, exists, script, spec, until, zip};

#[tokio::test]
async fn every_command_left_behind_is_reported_and_stale_ones_are_not() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let tracking = host.path("root/ongoing-deployment");
    std::fs::create_dir_all(&tracking).unwrap();
    std::fs::write(tracking.join("d-1"), "first").unwrap();
    std::fs::write(tracking.join("d-2"), "second\n").unwrap();
    std::fs::write(tracking.join("d-old"), "old").unwrap();
    let yesterday = clock::now() - Duration::from_hours(25);
    std::fs::File::options()
        .write(true)
        .open(tracking.join("d-old"))
        .unwrap()
        .set_modified(yesterday)
        .unwrap();

    let agent = host.start();
    for identifier in ["first", "second"] {
        let report = stub.completion(identifier).await;
        assert_eq!(report.body["CommandStatus"], "Failed", "AP-19");
        assert_eq!(
            report.body["Diagnostics"]["Payload"],
            r#"{"error_code":7,"script_name":"","message":"Failed: Failing in-progress lifecycle event after an agent restart.","log":""}"#,
            "AG-066"
        );
    }
    until("the tracking directory is empty", || {
        std::fs::read_dir(&tracking).is_ok_and(|mut entries| entries.next().is_none())
    })
    .await;
    agent.stop().await;
    assert_eq!(stub.calls("PutHostCommandComplete").len(), 2, "AG-066: the stale one is dropped");
}

#[tokio::test]
async fn an_agent_killed_in_a_script_reports_it_at_the_next_start() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let running = host.path("running");
    let bundle = zip(&[
        ("appspec.yml", "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: long.sh\n"),
        ("long.sh", &script(&format!("echo $$ > {}.new; mv {0}.new {0}; exec sleep 600", running.display()))),
    ]);
    stub.put_object("/bucket/k", bundle);
    stub.put_spec("a/b/c/d-1", &spec("d-1", "k", None));
    let mut process = host.program("run").process_group(0).stderr(Stdio::null()).spawn().unwrap();
    stub.run("download", "DownloadBundle", "a/b/c/d-1").await;
    stub.hand_out("long", "AfterInstall", "a/b/c/d-1");
    until("the script runs", || exists(&running)).await;
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(host.read("root/ongoing-deployment/d-1"), "long", "AG-066");

    let agent = host.start();
    let report = stub.completion("long").await;
    assert_eq!(report.diagnostics()["error_code"], 7, "AP-19");
    agent.stop().await;
    let script: i32 = host.read("running").trim().parse().unwrap();
    let script = rustix::process::Pid::from_raw(script).unwrap();
    rustix::process::kill_process(script, rustix::process::Signal::KILL).unwrap();
}
