//! One deployment as the control plane sees it (AP-09..AP-14, AP-20..AP-24).

use serde_json::json;

use crate::support::{ARN, Host, Stub, deployment_dir, script, spec, zip};

const EVENTS: [&str; 7] = [
    "ApplicationStop",
    "DownloadBundle",
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
];

fn appspec(destination: &str) -> String {
    format!(
        "version: 0.0\nos: linux\nfiles:\n  - source: /index.html\n    destination: {destination}\nhooks:\n  \
         ApplicationStop:\n    - location: scripts/stop.sh\n  AfterInstall:\n    - location: scripts/env.sh\n      \
         timeout: 30\n  ApplicationStart:\n    - location: scripts/start.sh\n"
    )
}

/// Publishes a revision whose scripts name it, and the specification of its deployment.
fn publish(stub: &Stub, host: &Host, id: &str, revision: &str) {
    let bundle = zip(&[
        ("appspec.yml", &appspec(&host.path("www").display().to_string())),
        ("index.html", revision),
        ("scripts/stop.sh", &script(&format!("echo stop of {revision}"))),
        ("scripts/env.sh", &script("/usr/bin/env")),
        ("scripts/start.sh", &script(&format!("echo start of {revision}; echo oops >&2"))),
    ]);
    let etag = stub.put_object(&format!("/bucket/{revision}.zip"), bundle);
    stub.put_spec(&format!("a/b/c/{id}"), &spec(id, &format!("{revision}.zip"), Some(&etag)));
}

async fn deploy(stub: &Stub, id: &str) {
    for (number, event) in EVENTS.iter().enumerate() {
        let completion = stub.run(&format!("{id}-{number}"), event, &format!("a/b/c/{id}")).await;
        assert_eq!(completion.body["CommandStatus"], "Succeeded", "{event}: {}", completion.body);
        assert_eq!(
            completion.body["Diagnostics"]["Payload"],
            r#"{"error_code":0,"script_name":"","message":"Succeeded: ","log":""}"#,
            "AG-062"
        );
    }
}

#[tokio::test]
async fn two_deployments_leave_the_documented_files_and_stop_the_old_revision() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    publish(&stub, &host, "d-ONE", "one");
    deploy(&stub, "d-ONE").await;

    let noops: Vec<bool> = stub
        .calls("PutHostCommandAcknowledgement")
        .iter()
        .map(|call| call.diagnostics()["IsCommandNoop"].as_bool().unwrap())
        .collect();
    assert_eq!(noops, [true, false, true, false, false, false, true], "AP-13");
    assert_eq!(host.read("www/index.html"), "one");
    let directory = deployment_dir("d-ONE");
    let log = host.read(&format!("{directory}/logs/scripts.log"));
    let entries: Vec<&str> = log.lines().map(|line| &line[20..]).collect();
    assert_eq!(entries.last(), Some(&"[stderr]oops"));
    assert!(entries.contains(&"LifecycleEvent - ApplicationStart"), "AP-24");
    assert!(entries.contains(&"Script - scripts/start.sh") && entries.contains(&"[stdout]start of one"));
    assert!(!log.contains("stop of one"), "AG-085: nothing to stop on a first deployment");
    let marker = host.read("root/deployment-instructions/6f1e4b5a-group_last_successful_install");
    assert_eq!(marker, host.path(&directory).display().to_string(), "AG-075");
    assert!(host.path(&format!("{directory}/bundle.tar")).exists(), "AG-072");
    let shared = host.read("root/deployment-logs/codedeploy-agent-deployments.log");
    assert!(shared.contains("] [d-ONE]LifecycleEvent - AfterInstall\n"), "AG-074");

    publish(&stub, &host, "d-TWO", "two");
    deploy(&stub, "d-TWO").await;
    assert_eq!(host.read("www/index.html"), "two");
    let log = host.read(&format!("{}/logs/scripts.log", deployment_dir("d-TWO")));
    assert!(log.contains("[stdout]stop of one\n"), "AS-087: {log}");
    agent.stop().await;
    let left = std::fs::read_dir(host.path("root/ongoing-deployment")).unwrap().count();
    assert_eq!(left, 0, "AG-066");
}

#[tokio::test]
async fn scripts_see_the_documented_environment_and_no_secret() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    publish(&stub, &host, "d-ONE", "one");
    deploy(&stub, "d-ONE").await;
    agent.stop().await;
    let log = host.read(&format!("{}/logs/scripts.log", deployment_dir("d-ONE")));
    for expected in [
        "LIFECYCLE_EVENT=AfterInstall",
        "DEPLOYMENT_ID=d-ONE",
        "APPLICATION_NAME=web",
        "DEPLOYMENT_GROUP_NAME=prod",
        "DEPLOYMENT_GROUP_ID=6f1e4b5a-group",
        "BUNDLE_BUCKET=bucket",
        "BUNDLE_KEY=one.zip",
        "AWS_REGION=us-east-1",
        &format!("AWS_HOST_IDENTIFIER={ARN}"),
    ] {
        assert!(log.contains(&format!("[stdout]{expected}\n")), "AS-104: {expected}\n{log}");
    }
    assert!(log.contains("[stdout]BUNDLE_ETAG="), "AS-105");
    assert!(!log.contains("BUNDLE_VERSION"), "AS-105: unset without a version");
    assert!(!log.contains("very-secret"), "D-25");
}

#[tokio::test]
async fn calls_are_signed_for_the_command_service_and_name_the_agent() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    let poll = stub.nth("PollHostCommand", 1).await;
    agent.stop().await;
    let header = |name: &str| poll.headers[name].to_str().unwrap().to_owned();
    assert_eq!(poll.body, json!({ "HostIdentifier": ARN }));
    assert_eq!(header("x-amz-target"), "CodeDeployCommandService_v20141006.PollHostCommand", "AP-01");
    assert_eq!(header("content-type"), "application/x-amz-json-1.1");
    assert!(header("authorization").contains("/us-east-1/codedeploy-commands/aws4_request"), "AP-01");
    assert!(header("x-amz-codedeploy-agent-version").starts_with("SLIPWAY_1."), "A-19");
}

#[tokio::test]
async fn the_secure_variant_has_its_own_scope_and_prefix() {
    let stub = Stub::start().await;
    let host = Host::with(&stub, ":enable_auth_policy: true");
    let agent = host.start();
    let poll = stub.nth("PollHostCommand", 1).await;
    agent.stop().await;
    assert_eq!(poll.headers["x-amz-target"], "CodeDeployCommandService.PollHostCommand", "AG-035");
    let authorization = poll.headers["authorization"].to_str().unwrap();
    assert!(authorization.contains("/codedeploy-commands-secure/aws4_request"), "AG-035");
}

#[tokio::test]
async fn a_failing_script_is_reported_with_its_name_code_and_log() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    let bundle = zip(&[
        (
            "appspec.yml",
            "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: scripts/bad.sh\n    - location: scripts/never.sh\n",
        ),
        ("scripts/bad.sh", &script("echo to stdout; sleep 0.05; echo to stderr >&2; exit 3")),
        ("scripts/never.sh", &script("echo never")),
    ]);
    let etag = stub.put_object("/bucket/k", bundle);
    stub.put_spec("a/b/c/d-BAD", &spec("d-BAD", "k", Some(&etag)));
    stub.run("1", "DownloadBundle", "a/b/c/d-BAD").await;
    let completion = stub.run("2", "AfterInstall", "a/b/c/d-BAD").await;
    // Byte for byte what the official agent sent in the recorded trace.
    assert_eq!(completion.body["CommandStatus"], "Failed");
    assert_eq!(
        completion.body["Diagnostics"],
        json!({"Format": "JSON", "Payload": "{\"error_code\":4,\"script_name\":\"scripts/bad.sh\",\"message\":\"Script at specified location: scripts/bad.sh failed with exit code 3\",\"log\":\"LifecycleEvent - AfterInstall\\nScript - scripts/bad.sh\\n[stdout]to stdout\\n[stderr]to stderr\\n\"}"})
    );
    stub.run("3", "ValidateService", "a/b/c/d-BAD").await;
    agent.stop().await;
    let reports = stub.calls("PutHostCommandComplete");
    assert_eq!(reports.len(), 3, "AP-15: ours reports once");
}

#[tokio::test]
async fn download_errors_carry_the_words_of_s3() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    let message = |call: crate::support::Call| {
        let diagnostics = call.diagnostics();
        assert_eq!(
            (call.body["CommandStatus"].as_str(), &diagnostics["error_code"]),
            (Some("Failed"), &json!(5))
        );
        diagnostics["message"].as_str().unwrap().to_owned()
    };

    stub.put_spec("a/b/c/d-1", &spec("d-1", "absent", None));
    let text = message(stub.run("1", "DownloadBundle", "a/b/c/d-1").await);
    assert!(text.starts_with("The specified key does not exist. (S3 error NoSuchKey"), "AS-178: {text}");

    stub.put_object("/bucket/k", zip(&[("appspec.yml", "version: 0.0\nos: linux\n")]));
    stub.put_spec("a/b/c/d-2", &spec("d-2", "k", Some("\"0123\"")));
    let text = message(stub.run("2", "DownloadBundle", "a/b/c/d-2").await);
    assert!(
        text.starts_with("Expected deployment artifact bundle etag 0123 but was actually "),
        "AG-090: {text}"
    );
    assert!(!host.path(&format!("{}/bundle.tar", deployment_dir("d-2"))).exists(), "nothing half-done stays");

    let text = message(stub.run("3", "BeforeInstall", "a/b/c/d-1").await);
    assert!(text.starts_with("The CodeDeploy agent did not find an AppSpec file within"), "AS-003: {text}");
    agent.stop().await;
    let acknowledged: Vec<_> = stub.calls("PutHostCommandAcknowledgement");
    assert_eq!(acknowledged.len(), 2, "AP-35: what cannot be prepared is reported unacknowledged");
}

#[tokio::test]
async fn a_command_that_nobody_knows_is_a_noop_that_fails() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    stub.put_spec("a/b/c/d-1", &spec("d-1", "k", None));
    let completion = stub.run("1", "BlockTraffic", "a/b/c/d-1").await;
    agent.stop().await;
    assert_eq!(completion.body["CommandStatus"], "Failed");
    assert_eq!(completion.diagnostics()["message"], "Unsupported command type: BlockTraffic.", "AP-18");
    let acknowledged = stub.calls("PutHostCommandAcknowledgement");
    assert_eq!(acknowledged[0].diagnostics()["IsCommandNoop"], true, "AP-18");
}

#[tokio::test]
async fn commands_of_two_deployments_run_side_by_side() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let agent = host.start();
    let (first, second) = (host.path("first"), host.path("second"));
    // Each waits for the other's mark: only side by side can both end.
    for (id, own, other) in [("d-1", &first, &second), ("d-2", &second, &first)] {
        let body =
            format!("touch {}; while ! [ -e {} ]; do sleep 0.01; done", own.display(), other.display());
        let bundle = zip(&[
            (
                "appspec.yml",
                "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: meet.sh\n      timeout: 50\n",
            ),
            ("meet.sh", &script(&body)),
        ]);
        stub.put_object(&format!("/bucket/{id}"), bundle);
        stub.put_spec(&format!("a/b/c/{id}"), &spec(id, id, None));
        stub.run(&format!("{id}-download"), "DownloadBundle", &format!("a/b/c/{id}")).await;
    }
    stub.hand_out("first", "AfterInstall", "a/b/c/d-1");
    stub.hand_out("second", "AfterInstall", "a/b/c/d-2");
    assert_eq!(stub.completion("first").await.body["CommandStatus"], "Succeeded", "AP-09");
    assert_eq!(stub.completion("second").await.body["CommandStatus"], "Succeeded", "AP-09");
    agent.stop().await;
}
