//! Objects: what is acknowledged is kept, what is refused leaves nothing behind.

use std::sync::atomic::Ordering;

use crate::lab::{Call, Lab, torn_body};
use bytes::Bytes;
use futures::future::join_all;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use s3s::Body;

/// The agent compares the ETag that `push` registered with the one it downloads (AG-090, CF-353).
#[tokio::test]
async fn object_comes_back_as_it_was_put() {
    let lab = Lab::with_bucket("releases").await;
    let put = Call::new(Method::PUT, "/releases/app/v1.zip")
        .body("revision one")
        .header("content-type", "application/zip")
        .header("x-amz-meta-commit", "d103fb4")
        .header("cache-control", "no-store")
        .header("x-amz-tagging", "stage=prod&team=a%20b");
    let answer = lab.send(put).await.expect(StatusCode::OK);
    let etag = answer.header("etag").unwrap().to_owned();

    let get = lab.get("/releases/app/v1.zip").await.expect(StatusCode::OK);
    assert_eq!(get.body, "revision one");
    for (name, value) in [
        ("content-type", "application/zip"),
        ("x-amz-meta-commit", "d103fb4"),
        ("cache-control", "no-store"),
        ("content-length", "12"),
        ("accept-ranges", "bytes"),
        ("x-amz-tagging-count", "2"),
        ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
    ] {
        assert_eq!(get.header(name), Some(value), "{name}");
    }
    assert_eq!(get.header("etag"), Some(etag.as_str()));
    assert_eq!(get.header("x-amz-version-id"), None);

    let head = lab.as_alice(Method::HEAD, "/releases/app/v1.zip").await.expect(StatusCode::OK);
    assert_eq!((head.header("etag"), head.header("content-length")), (Some(etag.as_str()), Some("12")));
    let overridden = lab.get("/releases/app/v1.zip?response-content-type=text%2Fplain").await;
    assert_eq!(overridden.header("content-type"), Some("text/plain"));

    let info = lab.store.head("releases", "app/v1.zip", None).await.unwrap().unwrap();
    assert_eq!(format!("\"{}\"", info.etag), etag);
    assert_eq!((info.size, info.version_id), (12, None));
}

#[tokio::test]
async fn etag_of_a_simple_object_is_its_md5() {
    let lab = Lab::with_bucket("releases").await;
    let answer = lab.put("/releases/hello", "hello world").await.expect(StatusCode::OK);
    assert_eq!(answer.header("etag"), Some("\"5eb63bbbe01eeed093cb22bb8f5acdc3\""));
    let empty = lab.put("/releases/empty", "").await.expect(StatusCode::OK);
    assert_eq!(empty.header("etag"), Some("\"d41d8cd98f00b204e9800998ecf8427e\""));
    let get = lab.get("/releases/empty").await.expect(StatusCode::OK);
    assert_eq!((get.header("content-length"), get.body.len()), (Some("0"), 0));
}

#[tokio::test]
async fn acknowledged_objects_survive_a_restart() {
    let lab = Lab::with_bucket("releases").await;
    lab.versioning("releases", "Enabled").await;
    let big = Bytes::from(vec![0xA5; 3_000_000]);
    let first = lab.put("/releases/app.zip", big.clone()).await.expect(StatusCode::OK).version();
    lab.put("/releases/app.zip", "newer").await.expect(StatusCode::OK);

    let lab = lab.reopen();
    assert_eq!(lab.get("/releases/app.zip").await.expect(StatusCode::OK).body, "newer");
    let old = lab.get(&format!("/releases/app.zip?versionId={first}")).await.expect(StatusCode::OK);
    assert_eq!(old.body, big);
}

#[tokio::test]
async fn leftovers_of_a_crash_are_removed_at_start() {
    let lab = Lab::with_bucket("releases").await;
    lab.put("/releases/app.zip", "kept").await.expect(StatusCode::OK);
    let kept = lab.blobs();
    // A crash while receiving, and one between placing the blob and committing the index.
    std::fs::write(lab.dir.path().join("s3/tmp/half"), "half an upl").unwrap();
    std::fs::write(lab.dir.path().join("s3/objects/ab").join("cd".repeat(31)), "nobody's").unwrap();

    let lab = lab.reopen();
    assert_eq!(lab.blobs(), kept);
    assert!(lab.scratch().is_empty());
    assert_eq!(lab.get("/releases/app.zip").await.body, "kept");
}

#[tokio::test]
async fn two_processes_cannot_share_a_directory() {
    let lab = Lab::new();
    let second = slipway_artifacts::Artifacts::open(&lab.dir.path().join("s3"), std::sync::Arc::new(|| 0));
    assert!(matches!(second, Err(slipway_artifacts::ArtifactError::InUse { .. })), "{second:?}");
}

#[tokio::test]
async fn upload_that_breaks_off_leaves_nothing() {
    let lab = Lab::with_bucket("releases").await;
    lab.put("/releases/app.zip", "before").await.expect(StatusCode::OK);
    let before = lab.blobs();
    let whole = Bytes::from(vec![1; 1_000_000]);
    let call =
        Call::new(Method::PUT, "/releases/app.zip").body(whole.clone()).header("content-length", "1000000");

    let answer = lab.send_body(&call, torn_body(vec![whole.slice(..600_000)])).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
    assert_eq!(lab.blobs(), before);
    assert!(lab.scratch().is_empty());
    assert_eq!(lab.get("/releases/app.zip").await.body, "before");
}

#[tokio::test]
async fn cancelled_upload_leaves_nothing() {
    let lab = Lab::with_bucket("releases").await;
    let call = Call::new(Method::PUT, "/releases/app.zip").body("x").header("content-length", "1000000");
    let stuck = futures::StreamExt::chain(
        futures::stream::iter([Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from(vec![
            1;
            300_000
        ])))]),
        futures::stream::pending(),
    );
    let request = call.request(Body::http_body(http_body_util::StreamBody::new(stuck)));
    let s3 = lab.s3.clone();
    {
        let upload = s3.handle(request);
        let mut upload = std::pin::pin!(upload);
        // Polled until the temporary file is there, then dropped as hyper does when the client goes.
        while lab.scratch().is_empty() {
            assert!(futures::poll!(upload.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }
    // The write under way ends on its own thread, and then the file is gone.
    while !lab.scratch().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(lab.blobs().is_empty());
}

#[tokio::test]
async fn content_that_differs_from_its_checksums_is_refused() {
    let lab = Lab::with_bucket("releases").await;
    let put = |name: &str, value: &str| {
        Call::new(Method::PUT, "/releases/app.zip").body("hello world").header(name, value)
    };
    for (name, good, bad) in [
        ("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==", "XrY7u+Ae7tCTyyK7j1rNwx=="),
        ("x-amz-checksum-crc32", "DUoRhQ==", "DUoRhA=="),
        ("x-amz-checksum-crc32c", "yZRlqg==", "yZRlqQ=="),
        ("x-amz-checksum-sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "Kq5sNclPz7QV2+lfQIuc6R7oRuw="),
        (
            "x-amz-checksum-sha256",
            "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
            "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzeg=",
        ),
    ] {
        let refused = lab.send(put(name, bad)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{name}: {}", refused.text());
        assert!(lab.blobs().is_empty() && lab.scratch().is_empty(), "{name}");
        lab.send(put(name, good)).await.expect(StatusCode::OK);
        if name.starts_with("x-amz-") {
            let get = Call::new(Method::GET, "/releases/app.zip").header("x-amz-checksum-mode", "ENABLED");
            let answer = lab.send(get).await;
            assert_eq!(
                (answer.header(name), answer.header("x-amz-checksum-type")),
                (Some(good), Some("FULL_OBJECT"))
            );
        }
        lab.as_alice(Method::DELETE, "/releases/app.zip").await.expect(StatusCode::NO_CONTENT);
    }
}

/// How current AWS CLIs and SDKs upload over TLS: an unsigned body with its checksum behind it.
#[tokio::test]
async fn trailing_checksums_are_verified() {
    let lab = Lab::with_bucket("releases").await;
    let put = |trailer: &str| {
        let body = format!("b\r\nhello world\r\n0\r\n{trailer}\r\n");
        let mut call = Call::new(Method::PUT, "/releases/app.zip")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", "11")
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .body(body);
        call.payload = Some(aws_sigv4::http_request::SignableBody::StreamingUnsignedPayloadTrailer);
        call
    };
    lab.send(put("x-amz-checksum-crc32:DUoRhA==\r\n"))
        .await
        .expect_error(StatusCode::BAD_REQUEST, "BadDigest");
    lab.send(put("")).await.expect_error(StatusCode::BAD_REQUEST, "MalformedTrailerError");
    assert!(lab.blobs().is_empty() && lab.scratch().is_empty());

    let answer = lab.send(put("x-amz-checksum-crc32:DUoRhQ==\r\n")).await.expect(StatusCode::OK);
    assert_eq!(answer.header("x-amz-checksum-crc32"), Some("DUoRhQ=="));
    let get = lab.get("/releases/app.zip").await.expect(StatusCode::OK);
    assert_eq!((get.body.as_ref(), get.header("content-encoding")), (b"hello world".as_ref(), None));
}

#[tokio::test]
async fn body_other_than_the_signed_one_is_refused() {
    let lab = Lab::with_bucket("releases").await;
    let call = Call::new(Method::PUT, "/releases/app.zip").body("the real thing");
    let forged = Body::from(Bytes::from_static(b"a forged thing"));
    lab.send_body(&call, forged).await.expect_error(StatusCode::BAD_REQUEST, "XAmzContentSHA256Mismatch");
    assert!(lab.blobs().is_empty() && lab.scratch().is_empty());
}

#[tokio::test]
async fn ranges_return_exactly_their_bytes() {
    let lab = Lab::with_bucket("releases").await;
    let content: Vec<u8> = (0..600_000_u32).map(|i| (i % 251) as u8).collect();
    lab.put("/releases/big", content.clone()).await.expect(StatusCode::OK);
    for (range, start, end) in [
        ("bytes=0-9", 0, 10),
        ("bytes=262140-262150", 262_140, 262_151),
        ("bytes=599990-", 599_990, 600_000),
        ("bytes=-5", 599_995, 600_000),
        ("bytes=599999-999999", 599_999, 600_000),
    ] {
        let call = Call::new(Method::GET, "/releases/big").header("range", range);
        let answer = lab.send(call).await.expect(StatusCode::PARTIAL_CONTENT);
        assert_eq!(answer.body, content[start..end], "{range}");
        let expected = format!("bytes {start}-{}/600000", end - 1);
        assert_eq!(answer.header("content-range"), Some(expected.as_str()));
    }
    let beyond = Call::new(Method::GET, "/releases/big").header("range", "bytes=600000-");
    lab.send(beyond).await.expect_error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
}

#[tokio::test]
async fn conditions_of_reads_and_writes_are_kept() {
    let lab = Lab::with_bucket("releases").await;
    let etag = lab.put("/releases/a", "one").await.header("etag").unwrap().to_owned();
    let get = |name: &str, value: &str| Call::new(Method::GET, "/releases/a").header(name, value);
    lab.send(get("if-match", &etag)).await.expect(StatusCode::OK);
    lab.send(get("if-match", "\"other\""))
        .await
        .expect_error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    let unchanged = lab.send(get("if-none-match", &etag)).await.expect(StatusCode::NOT_MODIFIED);
    assert_eq!(unchanged.header("etag"), Some(etag.as_str()));
    lab.send(get("if-modified-since", "Tue, 14 Nov 2023 22:13:20 GMT"))
        .await
        .expect(StatusCode::NOT_MODIFIED);
    lab.send(get("if-modified-since", "Tue, 14 Nov 2023 22:13:19 GMT")).await.expect(StatusCode::OK);
    lab.send(get("if-unmodified-since", "Tue, 14 Nov 2023 22:13:19 GMT"))
        .await
        .expect(StatusCode::PRECONDITION_FAILED);

    let create = Call::new(Method::PUT, "/releases/a").body("two").header("if-none-match", "*");
    lab.send(create).await.expect_error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    let replace = Call::new(Method::PUT, "/releases/a").body("two").header("if-match", etag);
    lab.send(replace).await.expect(StatusCode::OK);
    assert_eq!(lab.get("/releases/a").await.body, "two");
    assert_eq!(lab.blobs().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_puts_of_one_key_leave_one_whole_object() {
    let lab = Lab::with_bucket("releases").await;
    let contents: Vec<String> = (0..32).map(|i| format!("{i:02}").repeat(20_000)).collect();
    let puts = contents.iter().map(|content| lab.put("/releases/app.zip", content.clone()));
    for answer in join_all(puts).await {
        answer.expect(StatusCode::OK);
    }
    let winner = lab.get("/releases/app.zip").await.expect(StatusCode::OK).text();
    assert!(contents.contains(&winner));
    assert_eq!(lab.blobs().len(), 1);
    assert!(lab.scratch().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn puts_and_deletes_of_the_same_content_never_lose_it() {
    let lab = Lab::with_bucket("releases").await;
    for round in 0..20 {
        let (one, two) = (format!("/releases/one-{round}"), format!("/releases/two-{round}"));
        lab.put(&one, "shared").await.expect(StatusCode::OK);
        let (put, delete) = tokio::join!(lab.put(&two, "shared"), lab.as_alice(Method::DELETE, &one));
        put.expect(StatusCode::OK);
        delete.expect(StatusCode::NO_CONTENT);
        assert_eq!(lab.get(&two).await.expect(StatusCode::OK).body, "shared");
        lab.as_alice(Method::DELETE, &two).await.expect(StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn content_goes_with_its_last_reference() {
    let lab = Lab::with_bucket("releases").await;
    lab.put("/releases/a", "shared").await.expect(StatusCode::OK);
    lab.put("/releases/b", "shared").await.expect(StatusCode::OK);
    assert_eq!(lab.blobs().len(), 1);
    lab.as_alice(Method::DELETE, "/releases/a").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(lab.get("/releases/b").await.expect(StatusCode::OK).body, "shared");
    let xml = "<Delete><Object><Key>b</Key></Object><Object><Key>never-there</Key></Object></Delete>";
    let answer = lab.send(Call::new(Method::POST, "/releases?delete").body(xml)).await.expect(StatusCode::OK);
    assert_eq!(answer.tags("Key"), ["b", "never-there"]);
    lab.get("/releases/b").await.expect_error(StatusCode::NOT_FOUND, "NoSuchKey");
}

#[tokio::test]
async fn object_deleted_while_being_read_is_read_to_its_end() {
    let lab = Lab::with_bucket("releases").await;
    lab.put("/releases/big", vec![9; 1_000_000]).await.expect(StatusCode::OK);
    let response = lab.s3.handle(Call::new(Method::GET, "/releases/big").request(Body::empty())).await;
    let mut body = response.into_body();
    let mut read = body.frame().await.unwrap().unwrap().into_data().unwrap().len();

    lab.as_alice(Method::DELETE, "/releases/big").await.expect(StatusCode::NO_CONTENT);
    lab.get("/releases/big").await.expect_error(StatusCode::NOT_FOUND, "NoSuchKey");
    while read < 1_000_000 {
        read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    assert_eq!(lab.blobs().len(), 1);
    // Outside of the runtime the last reader unlinks at once.
    std::thread::spawn(move || drop(body)).join().unwrap();
    assert!(lab.blobs().is_empty());
}

#[tokio::test]
async fn copies_share_content_and_take_metadata_along() {
    let lab = Lab::with_bucket("releases").await;
    let put = Call::new(Method::PUT, "/releases/a%20b").body("content").header("x-amz-meta-commit", "1");
    lab.send(put).await.expect(StatusCode::OK);
    let copy = |to: &str| Call::new(Method::PUT, to).header("x-amz-copy-source", "/releases/a%20b");
    let answer = lab.send(copy("/releases/c")).await.expect(StatusCode::OK);
    assert_eq!(answer.tag("ETag"), "\"9a0364b9e99bb480dd25e1f0284c8555\"");
    assert_eq!(lab.blobs().len(), 1);
    assert_eq!(lab.get("/releases/c").await.header("x-amz-meta-commit"), Some("1"));

    let replaced = copy("/releases/a%20b")
        .header("x-amz-metadata-directive", "REPLACE")
        .header("x-amz-meta-commit", "2");
    lab.send(copy("/releases/a%20b")).await.expect_error(StatusCode::BAD_REQUEST, "InvalidRequest");
    lab.send(replaced).await.expect(StatusCode::OK);
    let get = lab.get("/releases/a%20b").await.expect(StatusCode::OK);
    assert_eq!((get.body.as_ref(), get.header("x-amz-meta-commit")), (b"content".as_ref(), Some("2")));
}

#[tokio::test]
async fn clock_of_the_store_dates_objects() {
    let lab = Lab::with_bucket("releases").await;
    lab.clock.store(1_800_000_000_000, Ordering::Relaxed);
    lab.put("/releases/a", "x").await.expect(StatusCode::OK);
    let info = lab.store.head("releases", "a", None).await.unwrap().unwrap();
    assert_eq!(info.last_modified, 1_800_000_000_000);
}
