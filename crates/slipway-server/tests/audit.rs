//! The audit trail, throttling and the master key, at the running server (DP-430..DP-434).

mod support;

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use slipway_server::audit::search::{Query, search, verify};
use slipway_server::clock::ManualClock;
use slipway_server::start::rotate_key;
use support::{START, Server, codedeploy, config, iam, key_of, sts};

type Dir = Arc<tempfile::TempDir>;

fn directory() -> Dir {
    Arc::new(tempfile::tempdir().expect("a directory"))
}

async fn start_in(dir: &Dir, flags: &[(&str, &str)]) -> Server {
    Server::start_in(dir.clone(), Arc::new(ManualClock::new(START)), flags).await
}

fn records(data_dir: &Path, event: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let query = Query { event: Some(event.to_owned()), ..Query::default() };
    search(data_dir, &query, |record| {
        found.push(record);
        true
    })
    .expect("the trail");
    found
}

fn everything(data_dir: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(data_dir.join("audit")).expect("the trail") {
        text += &std::fs::read_to_string(entry.expect("the trail").path()).expect("the trail");
    }
    text
}

#[tokio::test]
async fn every_call_is_recorded_with_who_what_and_what_came_of_it_dp_432() {
    let dir = directory();
    let server = start_in(&dir, &[]).await;
    let data_dir = server.file("");
    server
        .admin(codedeploy(
            "CreateApplication",
            r#"{"applicationName":"shop","tags":[{"Key":"a","Value":"b"}]}"#,
        ))
        .await
        .ok();
    server
        .admin(iam(
            "CreateUser",
            &[("UserName", "bob"), ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")],
        ))
        .await
        .ok();
    let bob = key_of(&server.admin(iam("CreateAccessKey", &[("UserName", "bob")])).await.ok());
    let refused = server.call(&bob, codedeploy("ListApplications", "{}")).await;
    let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"000000000001"},"Action":"sts:AssumeRole"}}"#;
    let arn = server
        .admin(iam("CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", trust)]))
        .await
        .ok()
        .xml("Arn");
    let assumed = server.admin(sts("AssumeRole", &[("RoleArn", &arn), ("RoleSessionName", "s1")])).await.ok();
    let session = key_of(&assumed);
    server.call(&session, codedeploy("GetApplication", r#"{"applicationName":"shop"}"#)).await;
    server.call(&bob, codedeploy("CreateApplication", "not json")).await;
    server.running.stop().await;

    let created = &records(&data_dir, "CreateApplication")[0];
    assert_eq!(created["eventVersion"], "1.02");
    assert_eq!(created["eventSource"], "codedeploy.amazonaws.com");
    assert_eq!(created["requestParameters"]["tags"][0]["key"], "a", "DP-433");
    assert!(created["responseElements"]["applicationId"].is_string());
    assert_eq!(created["userIdentity"]["type"], "IAMUser");
    assert_eq!(created["userIdentity"]["userName"], "admin");
    assert_eq!(
        (&created["awsRegion"], &created["recipientAccountId"]),
        (&"us-east-1".into(), &"000000000001".into())
    );
    assert_eq!(created["sourceIPAddress"], "127.0.0.1");

    let denied = &records(&data_dir, "ListApplications")[0];
    assert_eq!(denied["errorCode"], "AccessDeniedException");
    assert_eq!(denied["requestID"], refused.header("x-amzn-requestid"));
    assert_eq!(denied["responseElements"], Value::Null);

    let by_session = &records(&data_dir, "GetApplication")[0]["userIdentity"];
    assert_eq!(by_session["type"], "AssumedRole");
    assert_eq!(by_session["sessionContext"]["sessionIssuer"]["userName"], "R");
    assert!(by_session["sessionContext"]["attributes"]["creationDate"].is_string());

    let user = &records(&data_dir, "CreateUser")[0];
    assert_eq!(user["requestParameters"]["tags"][0]["value"], "v");
    assert_eq!(user["responseElements"]["user"]["userName"], "bob");
    assert_eq!(
        records(&data_dir, "CreateAccessKey")[0]["responseElements"]["accessKey"]["accessKeyId"],
        bob.id
    );
    assert_eq!(
        records(&data_dir, "AssumeRole")[0]["responseElements"]["assumedRoleUser"]["arn"],
        assumed.xml("Arn")
    );
    assert_eq!(records(&data_dir, "CreateApplication")[1]["errorCode"], "SerializationException");

    let text = everything(&data_dir);
    for secret in [bob.secret.as_str(), session.secret.as_str(), assumed.xml("SessionToken").as_str()] {
        assert!(!secret.is_empty() && !text.contains(secret), "a secret is in the trail");
    }
    assert_eq!(verify(&data_dir).unwrap(), Vec::<String>::new());
}

/// A client that leaves before the answer must not get its call past the trail.
#[tokio::test]
async fn a_client_that_leaves_early_is_recorded_all_the_same() {
    let dir = directory();
    let server = start_in(&dir, &[]).await;
    let data_dir = server.file("");
    let mut left = 0;
    for number in 0..20 {
        let name = format!("app{number}");
        let call = codedeploy("CreateApplication", &format!(r#"{{"applicationName":"{name}"}}"#));
        let client = server.client();
        let request = server.sign(&server.admin, &call);
        let sending = client.send(request);
        if tokio::time::timeout(std::time::Duration::from_micros(500 * number), sending).await.is_err() {
            left += 1;
        }
    }
    let listed = server.admin(codedeploy("ListApplications", "{}")).await.ok().json();
    let there = listed["applications"].as_array().unwrap().len();
    server.running.stop().await;
    let recorded = records(&data_dir, "CreateApplication").len();
    assert!(recorded >= there, "{there} were made, {recorded} recorded, {left} clients left early");
}

#[tokio::test]
async fn sealed_files_are_delivered_to_the_bucket_dp_434() {
    let dir = directory();
    let flags = [("audit.bucket", "trail")];
    let server = start_in(&dir, &flags).await;
    server.admin(codedeploy("CreateApplication", r#"{"applicationName":"shop"}"#)).await.ok();
    server.running.stop().await;
    let server = start_in(&dir, &flags).await;
    let control = server.running.control();
    assert_eq!(control.artifacts.bucket_owner("trail").await.unwrap().as_deref(), Some("000000000001"));
    let names: Vec<String> = std::fs::read_dir(dir.path().join("data/audit"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("slipway-audit-"))
        .collect();
    let name = names.iter().min().unwrap();
    let day = &name.rsplit('-').next().unwrap()[..8];
    let key = format!("AWSLogs/000000000001/CloudTrail/{}/{}/{}/{name}", &day[..4], &day[4..6], &day[6..8]);
    let object = control.artifacts.head("trail", &key, None).await.unwrap().expect(&key);
    assert_eq!(object.size, std::fs::metadata(dir.path().join("data/audit").join(name)).unwrap().len());
}

#[tokio::test]
async fn no_trail_is_kept_when_it_is_switched_off() {
    let dir = directory();
    let server = start_in(&dir, &[("audit.enabled", "false")]).await;
    server.admin(codedeploy("ListApplications", "{}")).await.ok();
    server.running.stop().await;
    assert!(!dir.path().join("data/audit").exists());
}

#[tokio::test]
async fn who_asks_too_fast_is_told_so_in_the_words_of_each_service() {
    let dir = directory();
    let server = start_in(&dir, &[("throttle.per_second", "1"), ("throttle.burst", "2")]).await;
    for expected in [200, 200, 400] {
        let answer = server.admin(codedeploy("ListApplications", "{}")).await;
        assert_eq!(answer.status, expected);
        if expected == 400 {
            assert_eq!(answer.error_type(), "ThrottlingException");
        }
        let answer = server.admin(iam("ListUsers", &[])).await;
        assert_eq!(answer.status, expected);
        if expected == 400 {
            assert_eq!(answer.xml("Code"), "Throttling");
        }
    }
    server.admin(codedeploy("ListDeploymentConfigs", "{}")).await.ok();
    server.clock.advance_millis(1000);
    server.admin(codedeploy("ListApplications", "{}")).await.ok();
}

#[tokio::test]
async fn a_new_master_key_leaves_access_keys_and_ends_sessions() {
    let dir = directory();
    let server = start_in(&dir, &[]).await;
    server.admin(iam("CreateUser", &[("UserName", "bob")])).await.ok();
    let bob = key_of(&server.admin(iam("CreateAccessKey", &[("UserName", "bob")])).await.ok());
    let session = key_of(&server.call(&bob, sts("GetSessionToken", &[])).await.ok());
    let identity = || sts("GetCallerIdentity", &[]);
    assert!(rotate_key(&config(dir.path(), &[])).await.is_err(), "the server runs");
    server.running.stop().await;

    let key_file = dir.path().join("data/private/master.key");
    let before = std::fs::read_to_string(&key_file).unwrap();
    assert_eq!(rotate_key(&config(dir.path(), &[])).await.unwrap(), 2);
    let after = std::fs::read_to_string(&key_file).unwrap();
    assert!(after.lines().count() == 1 && after != before);
    let server = start_in(&dir, &[]).await;
    server.call(&bob, identity()).await.ok();
    server.admin(identity()).await.ok();
    assert_eq!(server.call(&session, identity()).await.xml("Code"), "InvalidClientTokenId");
}

/// Cut off between any two steps, the installation starts, and repeating it completes it.
#[tokio::test]
async fn a_replacement_of_the_master_key_that_was_cut_off_is_harmless() {
    let dir = directory();
    let server = start_in(&dir, &[]).await;
    let session = key_of(&server.admin(sts("GetSessionToken", &[])).await.ok());
    server.running.stop().await;
    let key_file = dir.path().join("data/private/master.key");
    let old = std::fs::read_to_string(&key_file).unwrap();
    std::fs::write(&key_file, format!("{}\n{old}", "ab".repeat(32))).unwrap();

    let server = start_in(&dir, &[]).await;
    let identity = || sts("GetCallerIdentity", &[]);
    server.admin(identity()).await.ok();
    server.call(&session, identity()).await.ok();
    // Sealed with the new key, beside one that is sealed with the old one.
    server.admin(iam("CreateUser", &[("UserName", "bob")])).await.ok();
    let bob = key_of(&server.admin(iam("CreateAccessKey", &[("UserName", "bob")])).await.ok());
    server.running.stop().await;

    assert_eq!(rotate_key(&config(dir.path(), &[])).await.unwrap(), 2);
    assert_eq!(
        std::fs::read_to_string(&key_file).unwrap().trim(),
        "ab".repeat(32),
        "the key that was begun with"
    );
    let server = start_in(&dir, &[]).await;
    server.admin(identity()).await.ok();
    server.call(&bob, identity()).await.ok();
}
