//! Repeats, lost answers and pauses of the control plane (AP-13, AP-15, AP-34..AP-38, AP-41).

use std::path::Path;

use crate::support::{Fault, Host, Stub, deployment_dir, exists, script, spec, until, zip};

/// Publishes deployment d-1, downloaded, whose AfterInstall appends a line to `ran` and then does `body`.
async fn prepared(stub: &Stub, ran: &Path, body: &str) {
    let bundle = zip(&[
        ("appspec.yml", "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: run.sh\n"),
        ("run.sh", &script(&format!("echo ran >> {}; {body}", ran.display()))),
    ]);
    stub.put_object("/bucket/k", bundle);
    stub.put_spec("a/b/c/d-1", &spec("d-1", "k", None));
    stub.run("download", "DownloadBundle", "a/b/c/d-1").await;
}

fn runs(ran: &Path) -> usize {
    std::fs::read_to_string(ran).map_or(0, |text| text.lines().count())
}

#[tokio::test]
async fn an_acknowledgement_answered_succeeded_is_skipped_in_silence() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    let ran = host.path("ran");
    prepared(&stub, &ran, "true").await;
    stub.answer_acknowledgement("copy", "Succeeded");
    stub.answer_acknowledgement("stopped", "Failed");
    stub.answer_acknowledgement("stopped-noop", "Failed");
    stub.hand_out("copy", "AfterInstall", "a/b/c/d-1");
    stub.hand_out("stopped", "AfterInstall", "a/b/c/d-1");
    let noop = stub.run("stopped-noop", "BeforeInstall", "a/b/c/d-1").await;
    assert_eq!(noop.diagnostics()["message"], "Succeeded: CompletedNoopCommand", "AP-13");
    stub.run("last", "AfterInstall", "a/b/c/d-1").await;
    agent.stop().await;
    assert_eq!(runs(&ran), 1, "AP-37: only the last one ran");
    let reported: Vec<_> = stub
        .calls("PutHostCommandComplete")
        .iter()
        .map(|call| call.body["HostCommandIdentifier"].clone())
        .collect();
    assert_eq!(reported, ["download", "stopped-noop", "last"], "AP-13: no report for the skipped ones");
}

#[tokio::test]
async fn the_same_identifier_given_twice_runs_once() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    let (ran, go) = (host.path("ran"), host.path("go"));
    prepared(&stub, &ran, &format!("while ! [ -e {} ]; do sleep 0.01; done", go.display())).await;
    stub.hand_out("same", "AfterInstall", "a/b/c/d-1");
    until("the script runs", || exists(&ran)).await;
    let polls = stub.calls("PollHostCommand").len();
    stub.hand_out("same", "AfterInstall", "a/b/c/d-1");
    stub.nth("PollHostCommand", polls + 1).await;
    std::fs::write(&go, "").unwrap();
    stub.completion("same").await;
    agent.stop().await;
    assert_eq!(runs(&ran), 1, "AP-37");
    assert_eq!(stub.calls("PutHostCommandAcknowledgement").len(), 2, "download and same");
}

#[tokio::test]
async fn lost_answers_are_asked_for_again_and_the_script_runs_once() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    let ran = host.path("ran");
    prepared(&stub, &ran, "true").await;
    stub.fail_next("GetDeploymentSpecification", Fault::Lost);
    stub.fail_next("PutHostCommandAcknowledgement", Fault::Lost);
    stub.fail_next("PutHostCommandAcknowledgement", Fault::Unavailable);
    stub.fail_next("PutHostCommandComplete", Fault::Unavailable);
    stub.fail_next("PutHostCommandComplete", Fault::Lost);
    stub.hand_out("1", "AfterInstall", "a/b/c/d-1");
    let third = stub.nth("PutHostCommandComplete", 4).await;
    assert_eq!(third.body["CommandStatus"], "Succeeded", "AP-41: a success stays one");
    agent.stop().await;
    assert_eq!(runs(&ran), 1);
    let identifiers: Vec<_> = stub
        .calls("PutHostCommandAcknowledgement")
        .iter()
        .map(|call| call.body["HostCommandIdentifier"].clone())
        .collect();
    assert_eq!(identifiers, ["download", "1", "1", "1"], "AP-36: repeated with the same identifier");
    assert!(!exists(&host.path("root/agent-state/reports/d-1")), "the kept report is gone");
}

#[tokio::test]
async fn a_success_that_could_not_be_reported_before_a_stop_is_reported_as_success_after_it() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    let ran = host.path("ran");
    prepared(&stub, &ran, "true").await;
    for _ in 0..20 {
        stub.fail_next("PutHostCommandComplete", Fault::Unavailable);
    }
    stub.hand_out("1", "AfterInstall", "a/b/c/d-1");
    until("the outcome is on the disk", || exists(&host.path("root/agent-state/reports/d-1"))).await;
    agent.stop().await;

    let second = Stub::start().await;
    let config = host.read("codedeployagent.yml").replace(&stub.endpoint(), &second.endpoint());
    std::fs::write(&host.config, config).unwrap();
    std::fs::write(host.path("ca.pem"), &second.ca_pem).unwrap();
    let agent = host.start();
    let report = second.completion("1").await;
    assert_eq!(report.body["CommandStatus"], "Succeeded", "AP-41");
    agent.stop().await;
    assert!(!exists(&host.path("root/ongoing-deployment/d-1")));
    assert_eq!(runs(&ran), 1);
}

#[tokio::test]
async fn a_stop_drops_the_poll_and_lets_the_running_script_finish() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    let (ran, go) = (host.path("ran"), host.path("go"));
    prepared(&stub, &ran, &format!("while ! [ -e {} ]; do sleep 0.01; done", go.display())).await;
    stub.hand_out("1", "AfterInstall", "a/b/c/d-1");
    until("the script runs", || exists(&ran)).await;
    agent.tell_to_stop();
    std::fs::write(&go, "").unwrap();
    let report = stub.completion("1").await;
    assert_eq!(report.body["CommandStatus"], "Succeeded", "AG-045");
    agent.ended().await;
}

#[tokio::test]
async fn a_refused_specification_ends_the_command_unacknowledged() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    let report = stub.run("1", "ApplicationStop", "a/b/c/d-unknown").await;
    assert_eq!(report.body["CommandStatus"], "Failed");
    assert_eq!(report.diagnostics()["message"], "ClientException - unknown deployment", "AP-35");
    agent.stop().await;
    assert!(stub.calls("PutHostCommandAcknowledgement").is_empty(), "AP-35");
}

#[tokio::test]
async fn a_report_that_the_server_refuses_for_good_is_not_repeated() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    let ran = host.path("ran");
    prepared(&stub, &ran, "true").await;
    stub.fail_next("PutHostCommandComplete", Fault::Refused("ClientException"));
    stub.hand_out("1", "AfterInstall", "a/b/c/d-1");
    stub.completion("1").await;
    stub.run("2", "BeforeInstall", "a/b/c/d-1").await;
    agent.stop().await;
    assert_eq!(stub.calls("PutHostCommandComplete").len(), 3, "download, 1 once, 2");
    assert!(!exists(&host.path("root/ongoing-deployment/d-1")));
}

#[tokio::test]
async fn a_server_that_answers_at_once_is_not_asked_in_a_loop() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    stub.answer_empty();
    let started = std::time::Instant::now();
    let agent = host.start();
    stub.nth("PollHostCommand", 3).await;
    assert!(started.elapsed().as_millis() >= 1900, "AP-33: wait_between_runs is one second");
    agent.stop().await;
    assert!(exists(&host.path("root")) && !exists(&host.path(&deployment_dir("d-1"))));
}
