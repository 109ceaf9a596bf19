//! The one port: what is served, what is refused and how (D-02, D-05, AP-01, AP-03, AS-146, AS-147).

mod support;

use std::sync::Arc;

use slipway_server::clock::{Clock as _, ManualClock, SystemClock};
use support::{Call, Key, Server, codedeploy, iam, json, key_of, sts};

const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[tokio::test]
async fn a_signed_call_is_answered_with_its_request_id() {
    let server = Server::start().await;
    let answer = server.admin(codedeploy("ListApplications", "{}")).await.ok();
    assert_eq!(answer.json()["applications"], serde_json::json!([]));
    assert_eq!(answer.header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(answer.header("x-amzn-requestid").len(), 36);
}

#[tokio::test]
async fn requests_that_prove_nothing_are_refused_by_the_names_of_aws() {
    let server = Server::start().await;
    let good = codedeploy("ListApplications", "{}");
    let with_secret = Key { secret: "wrong".to_owned(), ..server.admin.clone() };
    let unknown = Key { id: "AKIAAAAAAAAAAAAAAAAA".to_owned(), ..server.admin.clone() };
    let with_token = Key { token: Some("token".to_owned()), ..server.admin.clone() };
    let session = Key { id: "ASIAAAAAAAAAAAAAAAAA".to_owned(), ..with_token.clone() };
    let late = Call { skew_seconds: -16 * 60, ..good.clone() };
    let early = Call { skew_seconds: 16 * 60, ..good.clone() };
    let tampered = Call { tampered: Some(b"{\"nextToken\":\"x\"}".to_vec()), ..good.clone() };
    let other_service = Call { service: "iam", ..good.clone() };
    for (key, call, kind) in [
        (&with_secret, &good, "InvalidSignatureException"),
        (&unknown, &good, "UnrecognizedClientException"),
        (&with_token, &good, "UnrecognizedClientException"),
        (&session, &good, "UnrecognizedClientException"),
        (&server.admin, &late, "InvalidSignatureException"),
        (&server.admin, &early, "InvalidSignatureException"),
        (&server.admin, &tampered, "InvalidSignatureException"),
        (&server.admin, &other_service, "InvalidSignatureException"),
    ] {
        let answer = server.call(key, call.clone()).await;
        assert_eq!((answer.status, answer.error_type().as_str()), (400, kind), "{key:?} {call:?}");
    }
    let answer = server.call(&server.admin, late).await;
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("Signature expired: ") && message.contains(" is now earlier than "),
        "{message}"
    );

    let mut unsigned = server.sign(&server.admin, &good);
    unsigned.headers_mut().remove("authorization");
    assert_eq!(server.send(unsigned).await.error_type(), "MissingAuthenticationTokenException");
}

#[tokio::test]
async fn a_clock_that_is_a_little_off_is_no_obstacle() {
    let server = Server::start().await;
    for skew_seconds in [-14 * 60, 14 * 60] {
        server.admin(Call { skew_seconds, ..codedeploy("ListApplications", "{}") }).await.ok();
    }
}

#[tokio::test]
async fn malformed_and_oversized_bodies_are_refused_and_the_server_lives_on() {
    let server = Server::start().await;
    let malformed = server.admin(codedeploy("ListApplications", "{\"nextToken\":")).await;
    assert_eq!((malformed.status, malformed.error_type().as_str()), (400, "SerializationException"));
    let large =
        server.admin(codedeploy("ListApplications", &format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20)))).await;
    assert_eq!((large.status, large.error_type().as_str()), (413, "RequestEntityTooLarge"));
    server.admin(codedeploy("ListApplications", "{}")).await.ok();
}

/// A place that is not given back would make the next large request wait until it is refused.
#[tokio::test]
async fn large_bodies_take_turns_and_all_get_their_answer() {
    let server = Server::start().await;
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(500_000));
    for _ in 0..3 {
        let calls = (0..60).map(|_| server.admin(codedeploy("ListApplications", &large)));
        for answer in futures::future::join_all(calls).await {
            answer.ok();
        }
    }
}

#[tokio::test]
async fn what_nobody_serves_is_said_in_the_dialect_of_the_client() {
    let server = Server::start().await;
    for target in ["CodeDeploy_20141006.Fly", "Other_1.ListApplications"] {
        let answer = server.admin(json("codedeploy", target, "{}")).await;
        assert_eq!((answer.status, answer.error_type().as_str()), (400, "UnknownOperationException"));
    }
    let answer = server.admin(iam("Fly", &[])).await;
    assert_eq!((answer.status, answer.xml("Code").as_str()), (400, "InvalidAction"));
    assert!(answer.xml("Message").contains("Fly"), "{answer:?}");
    assert_eq!(answer.header("content-type"), "text/xml");
    let answer = server.admin(sts("Fly", &[])).await;
    assert!(answer.body.contains("https://sts.amazonaws.com/doc/2011-06-15/"), "{answer:?}");

    let cbor = Call {
        path: "/service/CodeDeploy_20141006/operation/Fly".to_owned(),
        headers: vec![("smithy-protocol", "rpc-v2-cbor".to_owned())],
        ..codedeploy("ListApplications", "")
    };
    let request = server.sign(&server.admin, &cbor);
    let answer = server.send(request).await;
    assert_eq!((answer.status, answer.header("content-type")), (400, "application/cbor"));
    assert_eq!(answer.header("x-amzn-errortype"), "UnknownOperationException");
}

#[tokio::test]
async fn agents_scopes_and_targets_go_in_pairs_ap_01() {
    let server = Server::start().await;
    let poll = |service, prefix: &str| json(service, &format!("{prefix}.PollHostCommand"), "{}");
    for (service, prefix, kind) in [
        ("codedeploy-commands", "CodeDeployCommandService_v20141006", "ClientException"),
        ("codedeploy-commands-secure", "CodeDeployCommandService", "ClientException"),
        ("codedeploy-commands", "CodeDeployCommandService", "UnknownOperationException"),
        ("codedeploy-commands-secure", "CodeDeployCommandService_v20141006", "UnknownOperationException"),
        ("codedeploy", "CodeDeployCommandService_v20141006", "InvalidSignatureException"),
    ] {
        let answer = server.admin(poll(service, prefix)).await;
        assert_eq!((answer.status, answer.error_type().as_str()), (400, kind), "{service} {prefix}");
    }
}

#[tokio::test]
async fn health_and_metrics_need_no_signature_and_nothing_else_does_without() {
    let server = Server::start().await;
    assert_eq!(server.get("/").await.ok().body, "Slipway\n");
    assert_eq!(server.get("/healthz").await.ok().body, "ok\n");
    let metrics = server.get("/metrics").await.ok().body;
    assert!(metrics.contains("slipway_requests_total{service=\"health\",status=\"200\"} 2"), "{metrics}");
    let proxied = http::Request::get(format!("{}/metrics", server.running.url()))
        .header("x-forwarded-for", "203.0.113.9")
        .body(http_body_util::Full::default())
        .unwrap();
    assert_eq!(server.send(proxied).await.status, 404);
    let missing = server.get("/bucket/key").await;
    assert_eq!((missing.status, missing.json()["__type"].as_str()), (404, Some("NotFound")));
}

#[tokio::test]
async fn a_signature_of_before_sigv4_is_answered_with_what_to_use_instead() {
    let server = Server::start().await;
    let presigned = "/releases/app.zip?AWSAccessKeyId=AKIA1&Signature=abc%3D&Expires=1795219200";
    let in_header = http::Request::get(format!("{}/releases/app.zip", server.running.url()))
        .header("authorization", "AWS AKIA1:abc=")
        .body(http_body_util::Full::default())
        .unwrap();
    for answer in [server.get(presigned).await, server.send(in_header).await] {
        assert_eq!((answer.status, answer.xml("Code").as_str()), (400, "InvalidRequest"));
        assert!(answer.xml("Message").contains("AWS4-HMAC-SHA256"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_session_ends_when_its_time_is_over() {
    let server = Server::start().await;
    let session = key_of(&server.admin(sts("GetSessionToken", &[("DurationSeconds", "900")])).await.ok());
    server.call(&session, codedeploy("ListApplications", "{}")).await.ok();
    let other_token = Key { token: Some(format!("{}x", session.token.clone().unwrap())), ..session.clone() };
    let answer = server.call(&other_token, codedeploy("ListApplications", "{}")).await;
    assert_eq!(answer.error_type(), "UnrecognizedClientException");
    server.clock.advance_millis(900_001);
    let answer = server.call(&session, codedeploy("ListApplications", "{}")).await;
    assert_eq!((answer.status, answer.error_type().as_str()), (400, "ExpiredTokenException"));
}

#[tokio::test]
async fn a_presigned_identity_question_is_answered() {
    let server = Server::start().await;
    let call = Call {
        method: "GET",
        path: "/?Action=GetCallerIdentity&Version=2011-06-15".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        ..sts("GetCallerIdentity", &[])
    };
    let answer = server.admin(call).await.ok();
    assert_eq!(answer.xml("Arn"), format!("arn:aws:iam::{}:user/admin", support::ACCOUNT));
}

#[tokio::test]
async fn the_object_store_knows_the_same_keys_and_policies() {
    // The object store looks at the machine's clock for the skew of signatures.
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let server = Server::start_in(Arc::new(tempfile::tempdir().unwrap()), clock, &[]).await;
    let stranger = server.admin(iam("CreateUser", &[("UserName", "stranger")])).await.ok();
    assert_eq!(stranger.xml("UserName"), "stranger");
    let key = key_of(&server.admin(iam("CreateAccessKey", &[("UserName", "stranger")])).await.ok());
    let s3 = |method, path: &str| Call {
        method,
        path: path.to_owned(),
        service: "s3",
        headers: vec![("x-amz-content-sha256", SHA256_OF_NOTHING.to_owned())],
        ..codedeploy("", "")
    };
    server.admin(s3("PUT", "/releases")).await.ok();
    let denied = server.call(&key, s3("GET", "/releases")).await;
    assert_eq!((denied.status, denied.xml("Code").as_str()), (403, "AccessDenied"));
    let read =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:List*","Resource":"*"}}"#;
    let put = [("UserName", "stranger"), ("PolicyName", "read"), ("PolicyDocument", read)];
    server.admin(iam("PutUserPolicy", &put)).await.ok();
    server.call(&key, s3("GET", "/releases")).await.ok();
}

/// AP-41: an agent that waits for a command gets an empty answer, not a broken connection.
#[tokio::test]
async fn stopping_answers_waiting_polls_empty() {
    let server = Server::start().await;
    server.admin(iam("CreateUser", &[("UserName", "web-1")])).await.ok();
    let key = key_of(&server.admin(iam("CreateAccessKey", &[("UserName", "web-1")])).await.ok());
    let arn = "arn:aws:iam::000000000001:user/web-1";
    let register = format!(r#"{{"instanceName":"web-1","iamUserArn":"{arn}"}}"#);
    server.admin(codedeploy("RegisterOnPremisesInstance", &register)).await.ok();
    let poll = json(
        "codedeploy-commands",
        "CodeDeployCommandService_v20141006.PollHostCommand",
        &format!(r#"{{"HostIdentifier":"{arn}"}}"#),
    );
    let request = server.sign(&key, &poll);
    let sent = server.client();
    let Server { running, .. } = server;
    let control = Arc::clone(running.control());
    let stop = async {
        while control.hub.parked() == 0 {
            tokio::task::yield_now().await;
        }
        running.stop().await;
    };
    let (answer, ()) = tokio::join!(sent.send(request), stop);
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
}
