//! Buckets: names, owners, life and death.

use http::{Method, StatusCode};

use crate::lab::{ALICE, Call, Lab};

#[tokio::test]
async fn bucket_names_are_validated() {
    let lab = Lab::new();
    for name in ["ab", "Upper", "under_score", "-dash", "dash-", "a..b", "192.168.0.1", "xn--x"] {
        lab.as_alice(Method::PUT, &format!("/{name}"))
            .await
            .expect_error(StatusCode::BAD_REQUEST, "InvalidBucketName");
        assert!(lab.store.ensure_bucket(name, "111111111111", false).await.is_err(), "{name}");
    }
    lab.as_alice(Method::PUT, "/my.app-2").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn bucket_is_made_once() {
    let lab = Lab::with_bucket("releases").await;
    lab.as_alice(Method::PUT, "/releases")
        .await
        .expect_error(StatusCode::CONFLICT, "BucketAlreadyOwnedByYou");
    assert!(!lab.store.ensure_bucket("releases", "111111111111", false).await.unwrap());
    assert!(lab.store.ensure_bucket("releases", "222222222222", false).await.is_err());
    assert!(lab.store.ensure_bucket("fresh", "111111111111", true).await.unwrap());
    assert_eq!(lab.store.bucket_owner("fresh").await.unwrap().as_deref(), Some("111111111111"));
    assert!(lab.get("/fresh?versioning").await.text().contains("Enabled"));
}

#[tokio::test]
async fn location_is_remembered() {
    let lab = Lab::new();
    let xml = "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    let answer = lab.put("/european", xml).await.expect(StatusCode::OK);
    assert_eq!(answer.header("location"), Some("/european"));
    assert!(lab.get("/european?location").await.expect(StatusCode::OK).text().contains("eu-west-1"));
    let head = lab.as_alice(Method::HEAD, "/european").await.expect(StatusCode::OK);
    assert_eq!(head.header("x-amz-bucket-region"), Some("eu-west-1"));
}

#[tokio::test]
async fn only_empty_buckets_can_be_deleted() {
    let lab = Lab::with_bucket("releases").await;
    lab.put("/releases/a", "x").await.expect(StatusCode::OK);
    let delete = || lab.as_alice(Method::DELETE, "/releases");
    delete().await.expect_error(StatusCode::CONFLICT, "BucketNotEmpty");
    lab.as_alice(Method::DELETE, "/releases/a").await.expect(StatusCode::NO_CONTENT);

    // An upload that nobody finishes does not count as content, and its parts go with the bucket.
    let upload = lab.as_alice(Method::POST, "/releases/b?uploads").await.tag("UploadId");
    lab.put(&format!("/releases/b?partNumber=1&uploadId={upload}"), "part").await.expect(StatusCode::OK);
    assert_eq!(lab.blobs().len(), 1);
    delete().await.expect(StatusCode::NO_CONTENT);
    assert!(lab.blobs().is_empty());
    lab.as_alice(Method::HEAD, "/releases").await.expect(StatusCode::NOT_FOUND);
    delete().await.expect_error(StatusCode::NOT_FOUND, "NoSuchBucket");
    lab.put("/releases/a", "x").await.expect_error(StatusCode::NOT_FOUND, "NoSuchBucket");
    assert!(lab.blobs().is_empty() && lab.scratch().is_empty());
}

#[tokio::test]
async fn buckets_are_listed_in_pages() {
    let lab = Lab::new();
    for name in ["app-1", "app-2", "app-3", "other"] {
        lab.as_alice(Method::PUT, &format!("/{name}")).await.expect(StatusCode::OK);
    }
    let first = lab.get("/?prefix=app-&max-buckets=2").await.expect(StatusCode::OK);
    assert_eq!(first.tags("Name"), ["app-1", "app-2"]);
    let token = first.tag("ContinuationToken");
    let second = lab.get(&format!("/?prefix=app-&max-buckets=2&continuation-token={token}")).await;
    assert_eq!(
        (second.tags("Name"), second.tag("ContinuationToken")),
        (vec!["app-3".to_owned()], String::new())
    );
}

#[tokio::test]
async fn virtual_host_style_needs_a_base_domain_and_path_style_always_works() {
    let lab = Lab::with_bucket("releases").await;
    lab.put("/releases/app.zip", "content").await.expect(StatusCode::OK);
    let lab = lab.with_base_domain("s3.example.org");
    let mut call = Call::new(Method::GET, "/app.zip").key(ALICE);
    call.host = "releases.s3.example.org:8443".to_owned();
    assert_eq!(lab.send(call).await.expect(StatusCode::OK).body, "content");
    assert_eq!(lab.get("/releases/app.zip").await.expect(StatusCode::OK).body, "content");
}
