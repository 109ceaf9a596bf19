//! First start, restart, and what clients find in the data directory (D-03, D-04, D-30).

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;

use slipway_server::clock::ManualClock;
use slipway_server::start::{StartError, start};
use support::{START, Server, codedeploy, config, iam, sts};

#[tokio::test]
async fn first_start_makes_an_administrator_and_a_service_role_d_30() {
    let server = Server::start().await;
    let identity = server.admin(sts("GetCallerIdentity", &[])).await.ok();
    assert_eq!(identity.xml("Arn"), "arn:aws:iam::000000000001:user/admin");
    let role = server.admin(iam("GetRole", &[("RoleName", "CodeDeployServiceRole")])).await.ok();
    assert_eq!(role.xml("Arn"), "arn:aws:iam::000000000001:role/CodeDeployServiceRole");
    assert!(role.xml("AssumeRolePolicyDocument").contains("codedeploy.amazonaws.com"));
    let attached =
        server.admin(iam("ListAttachedRolePolicies", &[("RoleName", "CodeDeployServiceRole")])).await.ok();
    assert_eq!(attached.xml("PolicyArn"), "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRole");
}

#[tokio::test]
async fn restart_keeps_everything_and_makes_no_second_key() {
    let server = Server::start().await;
    let key = server.admin.id.clone();
    let ca = std::fs::read(server.file("ca.pem")).unwrap();
    let signer = std::fs::read(server.file("slipway-signing.pem")).unwrap();
    server.admin(codedeploy("CreateApplication", r#"{"applicationName":"shop"}"#)).await.ok();
    server.admin(iam("CreateUser", &[("UserName", "web-1")])).await.ok();

    let server = server.restart().await;

    assert_eq!(server.admin.id, key);
    assert_eq!(std::fs::read(server.file("ca.pem")).unwrap(), ca);
    assert_eq!(std::fs::read(server.file("slipway-signing.pem")).unwrap(), signer);
    let listed = server.admin(codedeploy("ListApplications", "{}")).await.ok();
    assert_eq!(listed.json()["applications"], serde_json::json!(["shop"]));
    server.admin(iam("GetUser", &[("UserName", "web-1")])).await.ok();
    let keys = server.admin(iam("ListAccessKeys", &[])).await.ok();
    assert_eq!(keys.body.matches("<AccessKeyId>").count(), 1);
}

#[tokio::test]
async fn a_replaced_administrator_key_is_not_made_again() {
    let server = Server::start().await;
    let old = server.admin.id.clone();
    let new = support::key_of(&server.admin(iam("CreateAccessKey", &[])).await.ok());
    server.call(&new, iam("DeleteAccessKey", &[("UserName", "admin"), ("AccessKeyId", &old)])).await.ok();
    let server = server.restart().await;
    assert_eq!(server.admin.id, old, "the file stays as it is");
    let keys = server.call(&new, iam("ListAccessKeys", &[])).await.ok();
    assert_eq!(keys.body.matches("<AccessKeyId>").count(), 1);
    assert_eq!(
        server.admin(codedeploy("ListApplications", "{}")).await.error_type(),
        "UnrecognizedClientException"
    );
}

#[tokio::test]
async fn secrets_lie_in_files_of_the_owner_only() {
    let server = Server::start().await;
    let mode = |name: &str| std::fs::metadata(server.file(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("private")), (0o700, 0o700));
    for secret in [
        "credentials",
        "private/master.key",
        "private/ca.key",
        "private/server.key",
        "private/signing.key",
        "slipway.db",
    ] {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
    let secret = &server.admin.secret;
    for entry in std::fs::read_dir(server.file("")).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() && entry.file_name() != "credentials" {
            let bytes = std::fs::read(entry.path()).unwrap();
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{:?}", entry.path());
        }
    }
}

#[tokio::test]
async fn env_leads_every_client_to_this_server() {
    let server = Server::start().await;
    let output = Command::new("sh")
        .args(["-euc", ". \"$0\"; printf '%s\\n' \"$AWS_ENDPOINT_URL\" \"$AWS_CA_BUNDLE\" \"$AWS_SHARED_CREDENTIALS_FILE\" \"$AWS_REGION\""])
        .arg(server.file("env"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], server.running.url());
    assert!(lines[1].ends_with("/ca.pem") && lines[2].ends_with("/credentials"), "{text}");
    assert_eq!(lines[3], "us-east-1");
}

#[tokio::test]
async fn a_second_server_on_the_same_directory_is_refused() {
    let server = Server::start().await;
    let second = start(config(server.dir.path(), &[]), Arc::new(ManualClock::new(START))).await;
    let error = second.err().unwrap();
    assert!(matches!(error, StartError::Data(_)), "{error}");
    assert!(error.to_string().contains("in use by another slipway server"), "{error}");
}

#[tokio::test]
async fn another_account_in_the_configuration_is_refused() {
    let server = Server::start().await;
    let Server { dir, running, .. } = server;
    running.stop().await;
    let other = config(dir.path(), &[("account", "000000000002")]);
    let error = start(other, Arc::new(ManualClock::new(START))).await.err().unwrap();
    assert!(error.to_string().contains("account 000000000002"), "{error}");
}

#[tokio::test]
async fn plain_http_is_for_loopback_only_d_03() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let open = config(dir.path(), &[("listen", "0.0.0.0:0"), ("plain_http", "true")]);
    let error = start(open, Arc::new(ManualClock::new(START))).await.err().unwrap();
    assert!(error.to_string().contains("in the clear"), "{error}");
    let loopback = config(dir.path(), &[("plain_http", "true")]);
    let running = start(loopback, Arc::new(ManualClock::new(START))).await.unwrap();
    assert!(running.url().starts_with("http://127.0.0.1:"));
    running.stop().await;
}

/// Whatever of the start had happened when it was cut off, the next one completes it.
#[tokio::test]
async fn a_start_that_was_cut_off_is_completed_by_the_next_one() {
    let whole = Server::start().await;
    let Server { dir, clock, running, .. } = whole;
    running.stop().await;
    let written = [
        "private/master.key",
        "private/signing.key",
        "slipway-signing.pem",
        "private/ca.key",
        "ca.pem",
        "private/server.key",
        "private/server.pem",
    ];
    for steps in 0..=written.len() {
        let cut = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(cut.path().join("data/private")).unwrap();
        for name in &written[..steps] {
            std::fs::copy(dir.path().join("data").join(name), cut.path().join("data").join(name)).unwrap();
        }
        std::fs::write(cut.path().join("data/.ca.pem.new"), "half a certifica").unwrap();
        let server = Server::start_in(cut, Arc::clone(&clock), &[]).await;
        server.admin(sts("GetCallerIdentity", &[])).await.ok();
        server.running.stop().await;
    }
    // After the database: the files for clients are made again.
    for name in ["credentials", "config", "env", "private/server.pem", "slipway-signing.pem"] {
        std::fs::remove_file(dir.path().join("data").join(name)).unwrap();
    }
    let server = Server::start_in(dir, clock, &[]).await;
    let keys = server.admin(iam("ListAccessKeys", &[])).await.ok();
    assert_eq!(keys.body.matches("<AccessKeyId>").count(), 1);
}

#[tokio::test]
async fn what_is_predefined_is_as_old_as_the_installation() {
    let server = Server::start().await;
    let created = async |server: &Server| {
        let get = r#"{"deploymentConfigName":"CodeDeployDefault.OneAtATime"}"#;
        let answer = server.admin(codedeploy("GetDeploymentConfig", get)).await.ok().json();
        answer["deploymentConfigInfo"]["createTime"].as_f64()
    };
    let made = Some(START.0 as f64 / 1000.0);
    assert_eq!(created(&server).await, made);
    server.clock.advance_millis(86_400_000);
    let server = server.restart().await;
    assert_eq!(created(&server).await, made);
}
