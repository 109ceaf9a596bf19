//! Versions and delete markers (CF-361, DP-021: no version given means the newest).

use http::{Method, StatusCode};

use crate::lab::Lab;

async fn versioned() -> Lab {
    let lab = Lab::with_bucket("releases").await;
    lab.versioning("releases", "Enabled").await;
    lab
}

#[tokio::test]
async fn every_put_keeps_its_predecessor() {
    let lab = versioned().await;
    let one = lab.put("/releases/app.zip", "one").await.version();
    let two = lab.put("/releases/app.zip", "two").await.version();
    let newest = lab.get("/releases/app.zip").await.expect(StatusCode::OK);
    assert_eq!((newest.body.as_ref(), newest.version()), (b"two".as_ref(), two.clone()));
    let old = lab.get(&format!("/releases/app.zip?versionId={one}")).await.expect(StatusCode::OK);
    assert_eq!((old.body.as_ref(), old.version()), (b"one".as_ref(), one.clone()));
    lab.get("/releases/app.zip?versionId=unknown").await.expect_error(StatusCode::NOT_FOUND, "NoSuchVersion");

    let newest = lab.store.head("releases", "app.zip", None).await.unwrap().unwrap();
    assert_eq!(newest.version_id, Some(two));
    let old = lab.store.head("releases", "app.zip", Some(&one)).await.unwrap().unwrap();
    assert_eq!((old.version_id, old.size), (Some(one), 3));
    assert_eq!(lab.store.head("releases", "app.zip", Some("unknown")).await.unwrap(), None);
}

#[tokio::test]
async fn delete_marker_hides_and_its_removal_brings_back() {
    let lab = versioned().await;
    let one = lab.put("/releases/app.zip", "one").await.version();
    let deleted = lab.as_alice(Method::DELETE, "/releases/app.zip").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(deleted.header("x-amz-delete-marker"), Some("true"));
    let marker = deleted.version();

    let gone = lab.get("/releases/app.zip").await.expect_error(StatusCode::NOT_FOUND, "NoSuchKey");
    assert_eq!(gone.header("x-amz-delete-marker"), Some("true"));
    assert_eq!(gone.version(), marker);
    assert_eq!(lab.store.head("releases", "app.zip", None).await.unwrap(), None);
    lab.get(&format!("/releases/app.zip?versionId={marker}"))
        .await
        .expect_error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed");
    lab.get(&format!("/releases/app.zip?versionId={one}")).await.expect(StatusCode::OK);
    assert!(lab.get("/releases").await.tags("Key").is_empty());
    lab.as_alice(Method::DELETE, "/releases").await.expect_error(StatusCode::CONFLICT, "BucketNotEmpty");

    let undo = lab.as_alice(Method::DELETE, &format!("/releases/app.zip?versionId={marker}")).await;
    assert_eq!(undo.expect(StatusCode::NO_CONTENT).header("x-amz-delete-marker"), Some("true"));
    assert_eq!(lab.get("/releases/app.zip").await.expect(StatusCode::OK).body, "one");
}

#[tokio::test]
async fn deleting_the_newest_version_uncovers_the_one_before() {
    let lab = versioned().await;
    lab.put("/releases/app.zip", "one").await.expect(StatusCode::OK);
    let two = lab.put("/releases/app.zip", "two").await.version();
    lab.as_alice(Method::DELETE, &format!("/releases/app.zip?versionId={two}"))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(lab.blobs().len(), 1);
    assert_eq!(lab.get("/releases/app.zip").await.expect(StatusCode::OK).body, "one");
}

#[tokio::test]
async fn objects_from_before_versioning_are_version_null() {
    let lab = Lab::with_bucket("releases").await;
    lab.put("/releases/app.zip", "old").await.expect(StatusCode::OK);
    lab.versioning("releases", "Enabled").await;
    let new = lab.put("/releases/app.zip", "new").await.version();
    assert_eq!(lab.get("/releases/app.zip?versionId=null").await.expect(StatusCode::OK).body, "old");

    lab.versioning("releases", "Suspended").await;
    assert_eq!(lab.put("/releases/app.zip", "newer").await.version(), "null");
    assert_eq!(lab.get("/releases/app.zip?versionId=null").await.body, "newer");
    assert_eq!(lab.get(&format!("/releases/app.zip?versionId={new}")).await.body, "new");
    assert_eq!(lab.blobs().len(), 2);
}

#[tokio::test]
async fn versions_are_listed_newest_first_and_in_pages() {
    let lab = versioned().await;
    let mut ids = Vec::new();
    for key in ["a", "b"] {
        let mut of_key = Vec::new();
        for content in ["1", "2", "3"] {
            of_key.push(lab.put(&format!("/releases/{key}"), content).await.version());
        }
        of_key.reverse();
        ids.extend(of_key);
    }
    let all = lab.get("/releases?versions").await.expect(StatusCode::OK);
    assert_eq!(all.tags("VersionId"), ids);
    assert_eq!(all.tags("IsLatest"), ["true", "false", "false", "true", "false", "false"]);

    let (mut seen, mut marker) = (Vec::new(), String::new());
    loop {
        let page = lab.get(&format!("/releases?versions&max-keys=2{marker}")).await.expect(StatusCode::OK);
        seen.extend(page.tags("VersionId"));
        if page.tag("IsTruncated") == "false" {
            break;
        }
        let (key, id) = (page.tag("NextKeyMarker"), page.tag("NextVersionIdMarker"));
        marker = format!("&key-marker={key}&version-id-marker={id}");
    }
    assert_eq!(seen, ids);
}
