//! Multipart uploads, as `aws deploy push` and `aws s3 cp` do them from 6 and 8 MiB on (AG-202, CF-353).

use std::fmt::Write as _;

use http::{Method, StatusCode};

use crate::lab::{Answer, Call, Lab};

const PART: usize = 5 * 1024 * 1024;

async fn start(lab: &Lab, key: &str) -> String {
    let answer = lab.as_alice(Method::POST, &format!("/releases/{key}?uploads")).await.expect(StatusCode::OK);
    answer.tag("UploadId")
}

async fn part(lab: &Lab, key: &str, upload: &str, number: u32, body: Vec<u8>) -> String {
    let uri = format!("/releases/{key}?partNumber={number}&uploadId={upload}");
    lab.put(&uri, body).await.expect(StatusCode::OK).header("etag").unwrap().to_owned()
}

async fn complete(lab: &Lab, key: &str, upload: &str, parts: &[(u32, &str)]) -> Answer {
    let mut xml = String::from("<CompleteMultipartUpload>");
    for (number, etag) in parts {
        write!(xml, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>").unwrap();
    }
    xml.push_str("</CompleteMultipartUpload>");
    lab.send(Call::new(Method::POST, &format!("/releases/{key}?uploadId={upload}")).body(xml)).await
}

#[tokio::test]
async fn parts_become_one_object() {
    let lab = Lab::with_bucket("releases").await;
    let call = Call::new(Method::POST, "/releases/app.zip?uploads")
        .header("content-type", "application/zip")
        .header("x-amz-meta-commit", "1");
    let upload = lab.send(call).await.expect(StatusCode::OK).tag("UploadId");
    let second = part(&lab, "app.zip", &upload, 7, b"the end".to_vec()).await;
    let first = part(&lab, "app.zip", &upload, 2, vec![b'a'; PART]).await;
    let listed = lab.get(&format!("/releases/app.zip?uploadId={upload}")).await.expect(StatusCode::OK);
    assert_eq!(listed.tags("PartNumber"), ["2", "7"]);
    lab.get("/releases/app.zip").await.expect_error(StatusCode::NOT_FOUND, "NoSuchKey");

    let done = complete(&lab, "app.zip", &upload, &[(2, &first), (7, &second)]).await.expect(StatusCode::OK);
    let etag = expected_etag();
    assert_eq!(done.tag("ETag"), etag);

    let lab = lab.reopen();
    let get = lab.get("/releases/app.zip").await.expect(StatusCode::OK);
    assert_eq!(get.body.len(), PART + 7);
    assert!(get.body.ends_with(b"aathe end"));
    assert_eq!((get.header("etag"), get.header("x-amz-meta-commit")), (Some(etag.as_str()), Some("1")));
    let across = Call::new(Method::GET, "/releases/app.zip")
        .header("range", format!("bytes={}-{}", PART - 2, PART + 2));
    assert_eq!(lab.send(across).await.expect(StatusCode::PARTIAL_CONTENT).body, "aathe");
    let one = lab.get("/releases/app.zip?partNumber=2").await.expect(StatusCode::PARTIAL_CONTENT);
    assert_eq!((one.body.as_ref(), one.header("x-amz-mp-parts-count")), (b"the end".as_ref(), Some("2")));
    lab.get(&format!("/releases/app.zip?uploadId={upload}"))
        .await
        .expect_error(StatusCode::NOT_FOUND, "NoSuchUpload");
    assert_eq!(lab.blobs().len(), 2);
    lab.as_alice(Method::DELETE, "/releases/app.zip").await.expect(StatusCode::NO_CONTENT);
}

fn expected_etag() -> String {
    use s3s::crypto::{Checksum as _, Md5};
    let parts = [Md5::checksum(&vec![b'a'; PART]), Md5::checksum(b"the end")].concat();
    format!("\"{}-2\"", hex::encode(Md5::checksum(&parts)))
}

#[tokio::test]
async fn wrong_lists_of_parts_are_refused_and_change_nothing() {
    let lab = Lab::with_bucket("releases").await;
    let upload = start(&lab, "app.zip").await;
    let small = part(&lab, "app.zip", &upload, 1, b"too small to be first".to_vec()).await;
    let last = part(&lab, "app.zip", &upload, 2, b"last".to_vec()).await;
    for (parts, code) in [
        (vec![(1, small.as_str()), (2, last.as_str())], "EntityTooSmall"),
        (vec![(2, last.as_str()), (1, small.as_str())], "InvalidPartOrder"),
        (vec![(1, small.as_str()), (1, small.as_str())], "InvalidPartOrder"),
        (vec![(1, last.as_str())], "InvalidPart"),
        (vec![(3, last.as_str())], "InvalidPart"),
        (vec![], "MalformedXML"),
    ] {
        complete(&lab, "app.zip", &upload, &parts).await.expect_error(StatusCode::BAD_REQUEST, code);
    }
    complete(&lab, "other.zip", &upload, &[(1, &small)])
        .await
        .expect_error(StatusCode::NOT_FOUND, "NoSuchUpload");
    lab.get("/releases/app.zip").await.expect_error(StatusCode::NOT_FOUND, "NoSuchKey");
    // What was not listed goes when the upload ends.
    complete(&lab, "app.zip", &upload, &[(2, &last)]).await.expect(StatusCode::OK);
    assert_eq!(lab.get("/releases/app.zip").await.body, "last");
    assert_eq!(lab.blobs().len(), 1);
}

#[tokio::test]
async fn replaced_and_aborted_parts_leave_nothing() {
    let lab = Lab::with_bucket("releases").await;
    let upload = start(&lab, "app.zip").await;
    part(&lab, "app.zip", &upload, 1, b"first try".to_vec()).await;
    part(&lab, "app.zip", &upload, 1, b"second try".to_vec()).await;
    assert_eq!(lab.blobs().len(), 1);
    let uri = format!("/releases/app.zip?uploadId={upload}");
    let abort = || lab.as_alice(Method::DELETE, &uri);
    abort().await.expect(StatusCode::NO_CONTENT);
    assert!(lab.blobs().is_empty());
    abort().await.expect_error(StatusCode::NOT_FOUND, "NoSuchUpload");
    let late = lab.put(&format!("/releases/app.zip?partNumber=1&uploadId={upload}"), "late").await;
    late.expect_error(StatusCode::NOT_FOUND, "NoSuchUpload");
    assert!(lab.blobs().is_empty() && lab.scratch().is_empty());
}

#[tokio::test]
async fn unfinished_uploads_are_listed() {
    let lab = Lab::with_bucket("releases").await;
    let mut ids = Vec::new();
    for key in ["a", "a", "b/1", "c"] {
        ids.push((key, start(&lab, key).await));
    }
    ids[..2].sort();
    let all = lab.get("/releases?uploads").await.expect(StatusCode::OK);
    assert_eq!(all.tags("Key"), ["a", "a", "b/1", "c"]);
    let first = lab.get("/releases?uploads&max-uploads=1").await;
    let (key, id) = (first.tag("NextKeyMarker"), first.tag("NextUploadIdMarker"));
    assert_eq!((key.as_str(), &id), (ids[0].0, &ids[0].1));
    let next =
        lab.get(&format!("/releases?uploads&key-marker={key}&upload-id-marker={id}&delimiter=/")).await;
    assert_eq!(next.tags("UploadId"), [ids[1].1.clone(), ids[3].1.clone()]);
    assert_eq!(next.tags("CommonPrefixes"), ["<Prefix>b/</Prefix>"]);
}

#[tokio::test]
async fn checksum_of_checksums_is_kept() {
    let lab = Lab::with_bucket("releases").await;
    let call =
        Call::new(Method::POST, "/releases/app.zip?uploads").header("x-amz-checksum-algorithm", "CRC32");
    let started = lab.send(call).await.expect(StatusCode::OK);
    assert_eq!(started.header("x-amz-checksum-type"), Some("COMPOSITE"));
    let upload = started.tag("UploadId");
    let etag = part(&lab, "app.zip", &upload, 1, b"hello world".to_vec()).await;
    let done = complete(&lab, "app.zip", &upload, &[(1, &etag)]).await.expect(StatusCode::OK);
    assert!(done.tag("ChecksumCRC32").ends_with("-1"), "{}", done.text());
    let get = Call::new(Method::GET, "/releases/app.zip").header("x-amz-checksum-mode", "ENABLED");
    assert_eq!(lab.send(get).await.header("x-amz-checksum-crc32"), Some(done.tag("ChecksumCRC32").as_str()));
}

#[tokio::test]
async fn part_can_be_copied_from_an_object() {
    let lab = Lab::with_bucket("releases").await;
    lab.put("/releases/source", "0123456789").await.expect(StatusCode::OK);
    let upload = start(&lab, "copy").await;
    let call = Call::new(Method::PUT, &format!("/releases/copy?partNumber=1&uploadId={upload}"))
        .header("x-amz-copy-source", "/releases/source")
        .header("x-amz-copy-source-range", "bytes=2-5");
    let etag = lab.send(call).await.expect(StatusCode::OK).tag("ETag");
    complete(&lab, "copy", &upload, &[(1, &etag)]).await.expect(StatusCode::OK);
    assert_eq!(lab.get("/releases/copy").await.body, "2345");
}
