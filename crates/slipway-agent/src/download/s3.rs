//! One object of S3, by our own signed GET (AG-040, AG-090, AS-178).

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{DownloadError, Downloader, store};
use crate::clock;
use crate::http::HttpError;
use crate::sign::{Scope, signed};

/// Everything but RFC 3986's unreserved characters, as SigV4 wants it.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &COMPONENT.remove(b'/');
/// After a failure that may pass (AP-34).
const RETRIES: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_millis(600), Duration::from_millis(1200)];

/// Where S3 is.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// A service that is addressed by path; AWS itself when absent.
    pub endpoint: Option<String>,
    /// The region to sign for.
    pub region: String,
    /// AG-034.
    pub fips: bool,
}

impl S3Settings {
    /// The override, else the control plane itself when that is not AWS (D-02), else AWS.
    pub fn resolve(
        override_: Option<&str>,
        control_endpoint: Option<&str>,
        region: &str,
        fips: bool,
    ) -> Self {
        let host = |endpoint: &str| {
            endpoint.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase))
        };
        let own = control_endpoint.filter(|endpoint| host(endpoint).is_some_and(|host| !is_aws(&host)));
        let endpoint = override_.or(own).map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        Self { endpoint, region: region.to_owned(), fips }
    }

    fn url(&self, object: &Object<'_>) -> String {
        let bucket = object.bucket;
        let key = utf8_percent_encode(object.key, PATH);
        let domain = domain(&self.region);
        let s3 = if self.fips { "s3-fips" } else { "s3" };
        let mut url = match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/{}/{key}", utf8_percent_encode(bucket, COMPONENT)),
            // A dot in the bucket's name does not match the certificate's wildcard.
            None if bucket.contains('.') => format!("https://{s3}.{}.{domain}/{bucket}/{key}", self.region),
            None => format!("https://{bucket}.{s3}.{}.{domain}/{key}", self.region),
        };
        if let Some(version) = object.version {
            url.push_str("?versionId=");
            url.extend(utf8_percent_encode(version, COMPONENT));
        }
        url
    }
}

fn is_aws(host: &str) -> bool {
    [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu"].iter().any(|domain| host.ends_with(domain))
}

/// The domain of a region's services, when nothing else tells it (AG-034).
pub(crate) fn domain(region: &str) -> &'static str {
    match region {
        "eusc-de-east-1" => "amazonaws.eu",
        _ if region.starts_with("cn-") => "amazonaws.com.cn",
        _ => "amazonaws.com",
    }
}

/// What to fetch.
pub(super) struct Object<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) version: Option<&'a str>,
    pub(super) etag: Option<&'a str>,
}

impl Downloader {
    pub(super) async fn fetch_s3(
        &self,
        object: &Object<'_>,
        destination: &Path,
    ) -> Result<(), DownloadError> {
        let mut pauses = RETRIES.into_iter();
        loop {
            let error = match self.try_s3(object, destination).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let Some(pause) = pauses.next().filter(|_| may_pass(&error)) else { return Err(error) };
            self.log.warn(format_args!(
                "Download of s3://{}/{}: {error}; trying again",
                object.bucket, object.key
            ));
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_s3(&self, object: &Object<'_>, destination: &Path) -> Result<(), DownloadError> {
        let url = self.s3.url(object);
        let request = Request::get(&url).body(()).map_err(|_| DownloadError::Address(url.clone()))?;
        let scope = Scope { region: &self.s3.region, service: "s3" };
        let request = signed(request, Bytes::new(), &self.credentials.keys()?, scope, clock::now())?;
        let answer = self.http.send(request).await.map_err(|error| match error {
            HttpError::Network(_) | HttpError::Certificate(_) => DownloadError::S3Unreachable(error),
            other => DownloadError::Http(other),
        })?;
        self.log.info(format_args!(
            "[Aws::S3::Client {} 0 retries] get_object(bucket:{:?},key:{:?})",
            answer.status().as_u16(),
            object.bucket,
            object.key
        ));
        if answer.status() != StatusCode::OK {
            return Err(refusal(object, answer).await);
        }
        let actual = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(unquoted);
        let actual = actual.unwrap_or_default().to_owned();
        let expected = object.etag.map_or(actual.as_str(), unquoted);
        let mismatch =
            |actual: &str| DownloadError::ETag { expected: expected.to_owned(), actual: actual.to_owned() };
        if expected != actual {
            return Err(mismatch(&actual));
        }
        let is_digest = etag_is_digest(answer.headers(), &actual);
        store(answer.into_body(), destination, self.http.read_timeout(), |digest| {
            if is_digest && !actual.eq_ignore_ascii_case(digest) { Err(mismatch(digest)) } else { Ok(()) }
        })
        .await
    }
}

fn unquoted(etag: &str) -> &str {
    etag.trim_matches('"')
}

/// A plain upload's ETag is the MD5 of its content, unless it was encrypted with another key than S3's own.
fn etag_is_digest(headers: &HeaderMap, etag: &str) -> bool {
    let plain = headers.get("x-amz-server-side-encryption").is_none_or(|kind| kind == "AES256")
        && !headers.contains_key("x-amz-server-side-encryption-customer-algorithm");
    plain && etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn may_pass(error: &DownloadError) -> bool {
    match error {
        DownloadError::S3 { status, .. } => *status >= 500 || *status == 429,
        DownloadError::S3Unreachable(HttpError::Network(_))
        | DownloadError::Http(HttpError::Timeout(_))
        | DownloadError::Interrupted(_) => true,
        _ => false,
    }
}

async fn refusal(object: &Object<'_>, answer: Response<Incoming>) -> DownloadError {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), 64 << 10).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    DownloadError::S3 {
        status: status.as_u16(),
        code: element(&text, "Code").unwrap_or_else(|| status.as_u16().to_string()),
        message: element(&text, "Message")
            .unwrap_or_else(|| status.canonical_reason().unwrap_or("no message").to_owned()),
        bucket: object.bucket.to_owned(),
        key: object.key.to_owned(),
    }
}

/// The text of the first element of that name: S3's error document is flat.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&amp;", "&"),
    )
}

#[cfg(test)]
mod tests {
    use super::{Object, S3Settings, element, etag_is_digest};
    use http::HeaderMap;

    fn object<'a>(bucket: &'a str, key: &'a str, version: Option<&'a str>) -> Object<'a> {
        Object { bucket, key, version, etag: None }
    }

    #[test]
    fn objects_come_from_the_override_then_the_control_plane_then_aws() {
        let url = |s3: Option<&str>, control: Option<&str>, object: &Object<'_>| {
            S3Settings::resolve(s3, control, "eu-west-1", false).url(object)
        };
        let plain = object("b", "dir/a b+c.zip", None);
        assert_eq!(url(Some("https://s3.test:9/"), None, &plain), "https://s3.test:9/b/dir/a%20b%2Bc.zip");
        assert_eq!(
            url(None, Some("https://deploy.test:8443"), &plain),
            "https://deploy.test:8443/b/dir/a%20b%2Bc.zip"
        );
        let aws = Some("https://codedeploy-commands.eu-west-1.amazonaws.com");
        assert_eq!(url(None, aws, &plain), "https://b.s3.eu-west-1.amazonaws.com/dir/a%20b%2Bc.zip");
        let versioned = object("b.c", "k", Some("v/1="));
        assert_eq!(url(None, aws, &versioned), "https://s3.eu-west-1.amazonaws.com/b.c/k?versionId=v%2F1%3D");
    }

    #[test]
    fn only_a_plain_upload_has_its_digest_as_etag() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        let mut headers = HeaderMap::new();
        assert!(etag_is_digest(&headers, md5));
        assert!(!etag_is_digest(&headers, "d41d8cd98f00b204e9800998ecf8427e-4"), "multipart");
        headers.insert("x-amz-server-side-encryption", "aws:kms".parse().expect("a header"));
        assert!(!etag_is_digest(&headers, md5), "encrypted with a customer's key");
    }

    #[test]
    fn the_error_document_is_read() {
        let xml = "<?xml?><Error><Code>NoSuchKey</Code><Message>a &lt;b&gt; &amp;lt;</Message></Error>";
        assert_eq!(element(xml, "Code").as_deref(), Some("NoSuchKey"));
        assert_eq!(element(xml, "Message").as_deref(), Some("a <b> &lt;"));
        assert_eq!(element("<Code>", "Code"), None);
    }
}
