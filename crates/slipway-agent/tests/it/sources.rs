//! Where bundles come from, and what a download survives (AG-090, AG-091, AP-28, AP-34, D-35).

use serde_json::{Value, json};

use crate::support::{Fault, Host, Stub, deployment_dir, exists, spec, until, zip};

const APPSPEC: &str = "version: 0.0\nos: linux\n";

/// A bundle of some size that does not compress.
fn large() -> Vec<u8> {
    let mut state = 1_u32;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b' ' + (state >> 24) as u8 % 90)
    })
    .take(600_000)
    .collect();
    zip(&[("appspec.yml", APPSPEC), ("noise", &noise)])
}

fn message(report: &crate::support::Call) -> String {
    report.diagnostics()["message"].as_str().unwrap().to_owned()
}

fn range(call: &crate::support::Call) -> Option<&str> {
    call.headers.get("range").map(|range| range.to_str().unwrap())
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_broke() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let bundle = large();
    assert!(bundle.len() > 400_000);
    let etag = stub.put_object("/bucket/app.zip", bundle.clone());
    // More often than a download is tried again without progress.
    for _ in 0..5 {
        stub.fail_next("GET /bucket/app.zip", Fault::Cut(70_000));
    }
    stub.put_spec("a/b/c/d-1", &spec("d-1", "app.zip", Some(&etag)));
    let agent = host.start();
    let report = stub.run("1", "DownloadBundle", "a/b/c/d-1").await;
    agent.stop().await;
    assert_eq!(report.body["CommandStatus"], "Succeeded", "{}", report.body);
    let directory = host.path(&deployment_dir("d-1"));
    assert_eq!(std::fs::read(directory.join("bundle.tar")).unwrap(), bundle);
    assert!(!exists(&directory.join(".bundle.tar.part")));
    let calls = stub.calls("GET /bucket/app.zip");
    let ranges: Vec<_> = calls.iter().map(range).collect();
    assert_eq!(ranges[0], None);
    assert_eq!(ranges[1], Some("bytes=70000-"));
    assert_eq!(ranges[5], Some("bytes=350000-"));
    assert_eq!(calls[1].headers["if-match"].to_str().unwrap(), format!("\"{etag}\""));
}

#[tokio::test]
async fn a_rest_of_another_object_is_never_joined_to_what_has_come() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    stub.put_object("/bucket/app.zip", large());
    stub.fail_next("GET /bucket/app.zip", Fault::Cut(70_000));
    stub.put_spec("a/b/c/d-1", &spec("d-1", "app.zip", None));
    let agent = host.start();
    stub.hand_out("1", "DownloadBundle", "a/b/c/d-1");
    stub.nth("GET /bucket/app.zip", 1).await;
    let other = zip(&[("appspec.yml", APPSPEC), ("other", "revision")]);
    stub.put_object("/bucket/app.zip", other.clone());
    let report = stub.completion("1").await;
    agent.stop().await;
    assert_eq!(report.body["CommandStatus"], "Succeeded", "{}", report.body);
    assert_eq!(std::fs::read(host.path(&deployment_dir("d-1")).join("bundle.tar")).unwrap(), other);
}

#[tokio::test]
async fn a_download_that_never_gets_on_fails_and_leaves_nothing() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    stub.put_object("/bucket/app.zip", large());
    for _ in 0..4 {
        stub.fail_next("GET /bucket/app.zip", Fault::Cut(100));
    }
    stub.put_spec("a/b/c/d-1", &spec("d-1", "app.zip", None));
    let agent = host.start();
    let report = stub.run("1", "DownloadBundle", "a/b/c/d-1").await;
    agent.stop().await;
    assert_eq!(report.body["CommandStatus"], "Failed");
    assert!(message(&report).starts_with("The download of the bundle broke off: "), "{}", message(&report));
    assert_eq!(std::fs::read_dir(host.path(&deployment_dir("d-1"))).unwrap().count(), 0);
}

#[tokio::test]
async fn a_version_of_an_object_is_asked_for_by_its_id() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    stub.put_object("/bucket/app.zip?versionId=v1", zip(&[("appspec.yml", APPSPEC)]));
    let mut spec = spec("d-1", "app.zip", None);
    spec["Revision"]["S3Revision"]["Version"] = json!("v1");
    stub.put_spec("a/b/c/d-1", &spec);
    let agent = host.start();
    let report = stub.run("1", "DownloadBundle", "a/b/c/d-1").await;
    agent.stop().await;
    assert_eq!(report.body["CommandStatus"], "Succeeded", "AG-090: {}", report.body);
}

fn github(bundle_type: Option<&str>) -> Value {
    let mut spec = spec("d-1", "k", None);
    spec["GitHubAccessToken"] = json!("ghp_secret");
    spec["Revision"] = json!({"RevisionType": "GitHub", "GitHubRevision":
        {"Account": "octo", "Repository": "web", "CommitId": "abc123", "BundleType": bundle_type}});
    spec
}

#[tokio::test]
async fn github_gives_a_zipball_too_and_its_token_stays_with_it() {
    let stub = Stub::start().await;
    let elsewhere = Stub::start().await;
    let host = Host::with(&stub, &format!(":github_endpoint: {}/api/v3", stub.endpoint()));
    // Both certificates: the other stub stands for the host that GitHub sends to.
    let roots = format!("{}{}", stub.ca_pem, elsewhere.ca_pem);
    std::fs::write(host.path("ca.pem"), roots).unwrap();
    let path = "/api/v3/repos/octo/web/zipball/abc123";
    stub.redirect(path, &format!("{}/codeload/abc123", elsewhere.endpoint()));
    elsewhere.put_object("/codeload/abc123", zip(&[("octo-web-abc123/appspec.yml", APPSPEC)]));
    stub.put_spec("a/b/c/d-1", &github(Some("zip")));
    let agent = host.start();
    let report = stub.run("1", "DownloadBundle", "a/b/c/d-1").await;
    agent.stop().await;
    assert_eq!(report.body["CommandStatus"], "Succeeded", "AG-091: {}", report.body);
    assert_eq!(
        host.read(&format!("{}/deployment-archive/appspec.yml", deployment_dir("d-1"))),
        APPSPEC,
        "AG-099"
    );
    assert_eq!(stub.calls(&format!("GET {path}"))[0].headers["authorization"], "token ghp_secret");
    let sent_on = elsewhere.calls("GET /codeload/abc123");
    assert!(!sent_on[0].headers.contains_key("authorization"), "D-35: the token is GitHub's only");
}

#[tokio::test]
async fn a_revision_that_is_here_already_is_not_downloaded_again() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    stub.put_object("/bucket/app.zip", zip(&[("appspec.yml", APPSPEC), ("index.html", "hi")]));
    stub.put_spec("a/b/c/d-1", &spec("d-1", "app.zip", None));
    let reusing = |id: &str| {
        let mut spec = spec(id, "app.zip", None);
        spec["ReuseArchiveFromDeploymentId"] = json!("d-1");
        spec
    };
    stub.put_spec("a/b/c/d-2", &reusing("d-2"));
    stub.put_spec("a/b/c/d-3", &reusing("d-3"));
    let agent = host.start();
    stub.run("1", "DownloadBundle", "a/b/c/d-1").await;
    let report = stub.run("2", "DownloadBundle", "a/b/c/d-2").await;
    assert_eq!(report.body["CommandStatus"], "Succeeded", "AP-28: {}", report.body);
    assert_eq!(stub.calls("GET /bucket/app.zip").len(), 1, "AP-28");
    assert_eq!(host.read(&format!("{}/deployment-archive/index.html", deployment_dir("d-2"))), "hi");
    std::fs::remove_dir_all(host.path(&deployment_dir("d-1"))).unwrap();
    let report = stub.run("3", "DownloadBundle", "a/b/c/d-3").await;
    agent.stop().await;
    assert_eq!(report.body["CommandStatus"], "Succeeded", "AP-28: what is not here is downloaded");
    assert_eq!(stub.calls("GET /bucket/app.zip").len(), 2);
}

/// What the metadata service of an instance answers.
fn metadata(stub: &Stub, v2: bool) {
    let document = json!({"region": "eu-west-1", "accountId": "123456789012", "instanceId": "i-0abc"});
    let role = "/latest/meta-data/iam/security-credentials/";
    let keys = json!({"Code": "Success", "AccessKeyId": "ASIAROLE", "SecretAccessKey": "s", "Token": "role-token",
        "Expiration": "2999-01-01T00:00:00Z"});
    let (status, token) = if v2 { (200, "imds-token") } else { (403, "") };
    stub.put_answer("PUT /latest/api/token", status, token);
    for (path, body) in [
        ("/latest/dynamic/instance-identity/document", document.to_string()),
        ("/latest/meta-data/services/partition", "aws".to_owned()),
        ("/latest/meta-data/services/domain", "amazonaws.com".to_owned()),
        (role, "web-role\n".to_owned()),
        ("/latest/meta-data/iam/security-credentials/web-role", keys.to_string()),
    ] {
        stub.put_answer(&format!("GET {path}"), 200, &body);
    }
}

/// An agent without an on-premises file, as a process: its metadata service is named by the environment.
fn instance(host: &Host, metadata: &Stub) -> std::process::Child {
    std::fs::remove_file(host.path("codedeploy.onpremises.yml")).unwrap();
    let mut program = host.program("run");
    program.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{}", metadata.address));
    program.stderr(std::process::Stdio::piped()).spawn().unwrap()
}

#[tokio::test]
async fn an_instance_polls_as_itself_with_the_keys_of_its_role() {
    let (stub, imds) = (Stub::start().await, Stub::start_plain().await);
    metadata(&imds, true);
    let host = Host::new(&stub);
    let mut agent = instance(&host, &imds);
    let poll = stub.nth("PollHostCommand", 1).await;
    agent.kill().unwrap();
    let output = agent.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(poll.body["HostIdentifier"], "arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc", "AG-028");
    let authorization = poll.headers["authorization"].to_str().unwrap();
    assert!(
        authorization.contains("Credential=ASIAROLE/") && authorization.contains("/eu-west-1/"),
        "{authorization}"
    );
    assert_eq!(poll.headers["x-amz-security-token"], "role-token", "AG-032");
    let asked = imds.calls("GET /latest/dynamic/instance-identity/document");
    assert_eq!(asked[0].headers["x-aws-ec2-metadata-token"], "imds-token", "AG-038");
    assert_eq!(imds.calls("PUT /latest/api/token").len(), 1, "AG-038: the token is kept");
    assert!(log.contains("On Premises config file does not exist or not readable"), "AG-029: {log}");
    assert!(!log.contains("role-token") && !log.contains("imds-token"), "AG-015");
}

#[tokio::test]
async fn the_older_metadata_service_is_asked_only_where_it_is_allowed() {
    let (stub, imds) = (Stub::start().await, Stub::start_plain().await);
    metadata(&imds, false);
    let host = Host::new(&stub);
    let mut agent = instance(&host, &imds);
    stub.nth("PollHostCommand", 1).await;
    agent.kill().unwrap();
    let output = agent.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("IMDSv2 http request failed, falling back to IMDSv1."), "AG-011: {log}");

    let strict = Host::with(&stub, ":disable_imds_v1: true");
    let agent = instance(&strict, &imds);
    let output = tokio::task::spawn_blocking(|| agent.wait_with_output().unwrap()).await.unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && log.contains("HTTP error from metadata service to get imdsv2 token."),
        "{log}"
    );
}

#[tokio::test]
async fn bundles_may_be_fetched_with_the_credentials_of_any_aws_client() {
    let stub = Stub::start().await;
    let host =
        Host::with(&stub, &format!(":s3_credentials: aws\n:s3_endpoint_override: {}", stub.endpoint()));
    stub.put_object("/bucket/app.zip", zip(&[("appspec.yml", APPSPEC)]));
    stub.put_spec("a/b/c/d-1", &spec("d-1", "app.zip", None));
    let mut agent = host
        .program("run")
        .envs([
            ("AWS_ACCESS_KEY_ID", "AKIDOTHER"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_SESSION_TOKEN", "t"),
        ])
        .spawn()
        .unwrap();
    let report = stub.run("1", "DownloadBundle", "a/b/c/d-1").await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(report.body["CommandStatus"], "Succeeded", "{}", report.body);
    let key = |call: &crate::support::Call| call.headers["authorization"].to_str().unwrap().to_owned();
    assert!(key(&stub.calls("GET /bucket/app.zip")[0]).contains("Credential=AKIDOTHER/"));
    assert!(key(&stub.calls("PollHostCommand")[0]).contains("Credential=AKIDEXAMPLE/"), "AG-032");
}

/// What STS answers to AssumeRole.
fn assumed(key: &str) -> String {
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>token-of-{key}</SessionToken></Credentials><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/Hosts/box1</Arn></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
    )
}

#[tokio::test]
async fn a_session_is_opened_by_the_agent_and_again_before_it_ends() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let at = |name: &str| host.path(name).display().to_string();
    std::fs::write(
        host.path("source"),
        "[default]\naws_access_key_id = AKIDSOURCE\naws_secret_access_key = s\n",
    )
    .unwrap();
    std::fs::write(
        host.path("codedeploy.onpremises.yml"),
        format!(
            "region: us-east-1\niam_session_arn: arn:aws:sts::123456789012:assumed-role/Hosts/box1\naws_credentials_file: {}\nsession_source_credentials_file: {}\nsession_duration_seconds: 900\n",
            at("session"), at("source")
        ),
    )
    .unwrap();
    stub.put_answer("POST /", 200, &assumed("ASIAONE"));
    let agent = host.start();
    let poll = stub.nth("PollHostCommand", 1).await;
    assert_eq!(poll.headers["x-amz-security-token"], "token-of-ASIAONE", "AG-169: before the first poll");
    let asked = &stub.calls("POST /")[0];
    let form = asked.body.as_str().unwrap();
    assert!(form.contains("Action=AssumeRole") && form.contains("DurationSeconds=900"), "{form}");
    assert!(form.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FHosts"), "{form}");
    assert!(form.contains("RoleSessionName=box1"), "{form}");
    assert!(asked.headers["authorization"].to_str().unwrap().contains("AKIDSOURCE"));

    // The service says that the session has ended: it is not the clock alone that counts.
    stub.put_answer("POST /", 200, &assumed("ASIATWO"));
    stub.fail_next("PollHostCommand", Fault::Refused("ExpiredTokenException"));
    stub.answer_empty();
    let session = host.path("session");
    until("another session", || std::fs::read_to_string(&session).is_ok_and(|text| text.contains("ASIATWO")))
        .await;
    agent.stop().await;
}
