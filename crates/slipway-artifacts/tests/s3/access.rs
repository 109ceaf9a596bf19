//! Who gets in: nobody without a right signature, a live session and a policy.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::lab::{ALICE, BOB, Call, Key, Lab, READER, SESSION};

fn get() -> Call {
    Call::new(Method::GET, "/releases/app.zip")
}

async fn lab() -> Lab {
    let lab = Lab::with_bucket("releases").await;
    lab.put("/releases/app.zip", "content").await.expect(StatusCode::OK);
    lab
}

#[tokio::test]
async fn anonymous_requests_are_refused() {
    let lab = lab().await;
    for (method, uri) in [
        (Method::GET, "/"),
        (Method::GET, "/releases"),
        (Method::GET, "/releases/app.zip"),
        (Method::PUT, "/releases/other"),
        (Method::DELETE, "/releases/app.zip"),
    ] {
        let mut call = Call::new(method, uri);
        call.key = None;
        lab.send(call).await.expect_error(StatusCode::FORBIDDEN, "AccessDenied");
    }
    assert_eq!(lab.blobs().len(), 1);
}

#[tokio::test]
async fn unknown_keys_and_wrong_secrets_are_refused() {
    let lab = lab().await;
    let unknown = Key { id: "AKIANOBODY", secret: "x", token: None };
    lab.send(get().key(unknown)).await.expect_error(StatusCode::FORBIDDEN, "InvalidAccessKeyId");
    let wrong = Key { secret: "guess", ..ALICE };
    lab.send(get().key(wrong)).await.expect_error(StatusCode::FORBIDDEN, "SignatureDoesNotMatch");
}

/// s3s asks for the secret of an access key only; the token is our business.
#[tokio::test]
async fn session_key_needs_exactly_its_token() {
    let lab = lab().await;
    lab.send(get().key(SESSION)).await.expect(StatusCode::OK);
    for token in [None, Some("another-token"), Some("")] {
        let key = Key { token, ..SESSION };
        lab.send(get().key(key)).await.expect_error(StatusCode::BAD_REQUEST, "InvalidToken");
    }
    let permanent_with_token = Key { token: SESSION.token, ..ALICE };
    lab.send(get().key(permanent_with_token)).await.expect_error(StatusCode::BAD_REQUEST, "InvalidToken");
}

#[tokio::test]
async fn presigned_urls_work_with_the_right_token_only() {
    let lab = lab().await;
    let presigned = |key: Key| {
        let mut call = get().key(key);
        call.presigned = true;
        call
    };
    assert_eq!(lab.send(presigned(ALICE)).await.expect(StatusCode::OK).body, "content");
    lab.send(presigned(SESSION)).await.expect(StatusCode::OK);
    for token in [None, Some("another-token")] {
        let key = Key { token, ..SESSION };
        lab.send(presigned(key)).await.expect_error(StatusCode::BAD_REQUEST, "InvalidToken");
    }
    let mut expired = presigned(ALICE);
    expired.age = Duration::from_secs(301);
    lab.send(expired).await.expect_error(StatusCode::FORBIDDEN, "AccessDenied");
    // A token in a header does not count for a presigned URL: it is not under the signature.
    let mut beside = presigned(Key { token: None, ..SESSION });
    beside.unsigned_headers.push(("x-amz-security-token".into(), SESSION.token.unwrap().into()));
    lab.send(beside).await.expect_error(StatusCode::FORBIDDEN, "AccessDenied");
}

#[tokio::test]
async fn clock_skew_beyond_fifteen_minutes_is_refused() {
    let lab = lab().await;
    let mut call = get();
    call.age = Duration::from_mins(14);
    lab.send(call.clone()).await.expect(StatusCode::OK);
    call.age = Duration::from_mins(16);
    lab.send(call).await.expect_error(StatusCode::FORBIDDEN, "RequestTimeTooSkewed");
}

#[tokio::test]
async fn headers_outside_of_the_signature_are_refused() {
    let lab = lab().await;
    let mut call = Call::new(Method::PUT, "/releases/stolen");
    call.unsigned_headers.push(("x-amz-copy-source".into(), "/releases/app.zip".into()));
    lab.send(call).await.expect_error(StatusCode::FORBIDDEN, "AccessDenied");
    let mut harmless = get();
    harmless.unsigned_headers.push(("x-amzn-trace-id".into(), "Root=1".into()));
    lab.send(harmless).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn old_signatures_and_foreign_scopes_are_refused() {
    let lab = lab().await;
    let mut old = get();
    old.key = None;
    old.unsigned_headers.push(("authorization".into(), "AWS AKIAALICE:c2lnbmF0dXJl".into()));
    old.unsigned_headers.push(("date".into(), "Tue, 27 Mar 2007 19:36:42 +0000".into()));
    lab.send(old).await.expect_error(StatusCode::BAD_REQUEST, "InvalidRequest");
    let mut old_url =
        Call::new(Method::GET, "/releases/app.zip?AWSAccessKeyId=AKIAALICE&Expires=9999999999&Signature=x");
    old_url.key = None;
    lab.send(old_url).await.expect_error(StatusCode::BAD_REQUEST, "InvalidRequest");
    let mut foreign = get();
    foreign.service = "sts";
    lab.send(foreign).await.expect_error(StatusCode::BAD_REQUEST, "AuthorizationHeaderMalformed");
}

#[tokio::test]
async fn protection_that_the_store_does_not_give_is_not_promised() {
    let lab = lab().await;
    for (name, value) in [
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-acl", "public-read"),
        ("x-amz-storage-class", "GLACIER"),
    ] {
        let put = Call::new(Method::PUT, "/releases/secret").body("x").header(name, value);
        lab.send(put).await.expect_error(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
    }
    let form = Call::new(Method::POST, "/releases").header("content-type", "multipart/form-data; boundary=x");
    lab.send(form).await.expect_error(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
    lab.as_alice(Method::GET, "/releases?lifecycle").await.expect(StatusCode::NOT_IMPLEMENTED);
}

#[tokio::test]
async fn other_accounts_are_kept_out() {
    let lab = lab().await;
    for (method, uri) in [
        (Method::GET, "/releases/app.zip"),
        (Method::PUT, "/releases/app.zip"),
        (Method::DELETE, "/releases/app.zip"),
        (Method::GET, "/releases"),
        (Method::DELETE, "/releases"),
        (Method::POST, "/releases/app.zip?uploads"),
    ] {
        lab.send(Call::new(method, uri).key(BOB)).await.expect_error(StatusCode::FORBIDDEN, "AccessDenied");
    }
    let create = Call::new(Method::PUT, "/releases").key(BOB);
    lab.send(create).await.expect_error(StatusCode::CONFLICT, "BucketAlreadyExists");
    lab.send(Call::new(Method::PUT, "/bobs").key(BOB)).await.expect(StatusCode::OK);
    let smuggle =
        Call::new(Method::PUT, "/bobs/app.zip").header("x-amz-copy-source", "/releases/app.zip").key(BOB);
    lab.send(smuggle).await.expect_error(StatusCode::FORBIDDEN, "AccessDenied");
    let several = Call::new(Method::POST, "/releases?delete").key(BOB);
    let answer = lab.send(several.body("<Delete><Object><Key>app.zip</Key></Object></Delete>")).await;
    assert_eq!(answer.expect(StatusCode::OK).tags("Code"), ["AccessDenied"]);
    let own = lab.send(Call::new(Method::GET, "/").key(BOB)).await.expect(StatusCode::OK);
    assert_eq!(own.tags("Name"), ["bobs"]);
    assert_eq!(lab.get("/releases/app.zip").await.body, "content");
}

/// Whether a key exists is told only to those who may list the bucket.
#[tokio::test]
async fn reader_without_list_permission_cannot_probe_for_keys() {
    let lab = lab().await;
    lab.send(get().key(READER)).await.expect(StatusCode::OK);
    let missing = Call::new(Method::GET, "/releases/missing");
    lab.send(missing.clone().key(READER)).await.expect_error(StatusCode::FORBIDDEN, "AccessDenied");
    let answer = lab.send(missing).await.expect_error(StatusCode::NOT_FOUND, "NoSuchKey");
    // The agent shows this message as it is (AG-090).
    assert_eq!(answer.tag("Message"), "The specified key does not exist.");
    lab.send(Call::new(Method::PUT, "/releases/app.zip").key(READER))
        .await
        .expect_error(StatusCode::FORBIDDEN, "AccessDenied");
}

#[tokio::test]
async fn expected_bucket_owner_is_checked() {
    let lab = lab().await;
    let expect = |account: &str| get().header("x-amz-expected-bucket-owner", account);
    lab.send(expect("111111111111")).await.expect(StatusCode::OK);
    lab.send(expect("333333333333")).await.expect_error(StatusCode::FORBIDDEN, "AccessDenied");
}
