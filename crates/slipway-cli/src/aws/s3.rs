//! The calls of S3 that `deploy push` and the demo make (AG-202). Path style: the address names no bucket.

use std::io::Read as _;

use bytes::Bytes;
use http::{Method, Request, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::settings::Service;
use super::{CallError, Client, xml};

/// Uploads below this size go in one piece, larger ones in pieces of this size (AG-202).
pub(crate) const PART: u64 = 6 * 1024 * 1024;

/// What may stand in a path as it is: unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// A stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Without quotes.
    pub(crate) e_tag: String,
    /// In a bucket with versioning.
    pub(crate) version: Option<String>,
}

/// An upload that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the bundle cannot be read back: {0}")]
    Read(#[from] std::io::Error),
}

/// Makes a bucket.
pub(crate) async fn create_bucket(client: &Client, bucket: &str) -> Result<(), CallError> {
    let path = utf8_percent_encode(bucket, SEGMENT).to_string();
    call(client, "CreateBucket", Method::PUT, &path, "", Bytes::new()).await.map(drop)
}

/// Stores a file of `size` bytes under a key.
pub(crate) async fn put(
    client: &Client,
    bucket: &str,
    key: &str,
    file: &mut std::fs::File,
    size: u64,
) -> Result<Stored, UploadError> {
    let path = object_path(bucket, key);
    if size < PART {
        let body = read_part(file, PART)?;
        let answer = call(client, "PutObject", Method::PUT, &path, "", body).await?;
        let e_tag = e_tag(&answer).ok_or_else(|| CallError::answer("PutObject", &"it has no ETag"))?;
        return Ok(Stored { e_tag, version: version(&answer) });
    }
    let answer = call(client, "CreateMultipartUpload", Method::POST, &path, "uploads=", Bytes::new()).await?;
    let id = xml::text(answer.body(), "UploadId")
        .ok_or_else(|| CallError::answer("CreateMultipartUpload", &"it has no UploadId"))?;
    let upload = format!("uploadId={}", utf8_percent_encode(&id, SEGMENT));
    match put_parts(client, &path, &upload, file).await {
        Ok(stored) => Ok(stored),
        Err(error) => {
            // What failed is the news; the store drops forgotten uploads in time.
            let _ = call(client, "AbortMultipartUpload", Method::DELETE, &path, &upload, Bytes::new()).await;
            Err(error)
        }
    }
}

async fn put_parts(
    client: &Client,
    path: &str,
    upload: &str,
    file: &mut std::fs::File,
) -> Result<Stored, UploadError> {
    let mut document =
        String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for number in 1.. {
        let body = read_part(file, PART)?;
        if body.is_empty() {
            break;
        }
        let query = format!("partNumber={number}&{upload}");
        let answer = call(client, "UploadPart", Method::PUT, path, &query, body).await?;
        let e_tag = e_tag(&answer).ok_or_else(|| CallError::answer("UploadPart", &"it has no ETag"))?;
        let number = number.to_string();
        document.extend([
            "<Part><PartNumber>",
            &number,
            "</PartNumber><ETag>&quot;",
            &e_tag,
            "&quot;</ETag></Part>",
        ]);
    }
    document.push_str("</CompleteMultipartUpload>");
    let operation = "CompleteMultipartUpload";
    let answer = call(client, operation, Method::POST, path, upload, document.into()).await?;
    // S3 may find the error after it has sent status 200.
    if let Some(code) = xml::text(answer.body(), "Code") {
        return Err(refused(operation, 500, code, answer.body()).into());
    }
    let e_tag =
        xml::text(answer.body(), "ETag").ok_or_else(|| CallError::answer(operation, &"it has no ETag"))?;
    Ok(Stored { e_tag: e_tag.trim_matches('"').to_owned(), version: version(&answer) })
}

fn read_part(file: &mut std::fs::File, most: u64) -> std::io::Result<Bytes> {
    let mut part = Vec::new();
    file.take(most).read_to_end(&mut part)?;
    Ok(part.into())
}

fn object_path(bucket: &str, key: &str) -> String {
    format!("{}/{}", utf8_percent_encode(bucket, SEGMENT), utf8_percent_encode(key, PATH))
}

fn e_tag(answer: &Response<Bytes>) -> Option<String> {
    let value = answer.headers().get("etag")?.to_str().ok()?;
    Some(value.trim_matches('"').to_owned())
}

fn version(answer: &Response<Bytes>) -> Option<String> {
    let value = answer.headers().get("x-amz-version-id")?.to_str().ok()?;
    // A bucket whose versioning is suspended says so.
    (value != "null").then(|| value.to_owned())
}

fn refused(operation: &str, status: u16, code: String, body: &[u8]) -> CallError {
    let message = xml::text(body, "Message").unwrap_or_else(|| "(no message)".to_owned());
    CallError::Refused { operation: operation.to_owned(), status, code, message }
}

async fn call(
    client: &Client,
    operation: &str,
    method: Method,
    path: &str,
    query: &str,
    body: Bytes,
) -> Result<Response<Bytes>, CallError> {
    let separator = if query.is_empty() { "" } else { "?" };
    let request = Request::builder()
        .method(method)
        .uri(format!("{}/{path}{separator}{query}", client.settings().endpoint(Service::S3)))
        .body(())
        .map_err(|error| CallError::request(operation, &error))?;
    let answer = client.send(operation, Service::S3, request, body).await?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    match xml::text(answer.body(), "Code") {
        Some(code) => Err(refused(operation, status.as_u16(), code, answer.body())),
        None => {
            Err(CallError::answer(operation, &format_args!("HTTP status {status} without an error's name")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::object_path;

    #[test]
    fn slashes_of_a_key_stay_and_everything_else_is_escaped() {
        assert_eq!(object_path("releases", "a b/ü+(1).zip"), "releases/a%20b/%C3%BC%2B%281%29.zip");
    }
}
