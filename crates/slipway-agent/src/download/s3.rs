//! One object of S3, by our own signed GET (AG-040, AG-090, AS-178).

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::part::Part;
use super::{DownloadError, Downloader};
use crate::api::element;
use crate::clock;
use crate::http::HttpError;
use crate::sign::{Scope, signed};

/// Everything but RFC 3986's unreserved characters, as SigV4 wants it.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &COMPONENT.remove(b'/');
/// So many bytes are progress.
const PROGRESS: u64 = 64 << 10;
/// By then the server has given up the command (D-22).
const LONGEST: Duration = Duration::from_hours(1);
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
    /// The domain of AWS's services there.
    pub domain: String,
    /// AG-034.
    pub fips: bool,
}

impl S3Settings {
    /// The override, else the control plane itself when that is not AWS (D-02), else AWS.
    pub fn resolve(
        override_: Option<&str>,
        control_endpoint: Option<&str>,
        region: &str,
        known_domain: Option<&str>,
        fips: bool,
    ) -> Self {
        let own = control_endpoint.filter(|endpoint| !is_aws_url(endpoint));
        let endpoint = override_.or(own).map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        let domain = known_domain.unwrap_or_else(|| domain(region)).to_owned();
        Self { endpoint, region: region.to_owned(), domain, fips }
    }

    fn url(&self, object: &Object<'_>, region: &str) -> String {
        let bucket = object.bucket;
        let key = utf8_percent_encode(object.key, PATH);
        let domain = &self.domain;
        let s3 = if self.fips { "s3-fips" } else { "s3" };
        let mut url = match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/{}/{key}", utf8_percent_encode(bucket, COMPONENT)),
            // A dot in the bucket's name does not match the certificate's wildcard.
            None if bucket.contains('.') => format!("https://{s3}.{region}.{domain}/{bucket}/{key}"),
            None => format!("https://{bucket}.{s3}.{region}.{domain}/{key}"),
        };
        if let Some(version) = object.version {
            url.push_str("?versionId=");
            url.extend(utf8_percent_encode(version, COMPONENT));
        }
        url
    }
}

/// Whether an address is AWS's own; one that names no host is nobody's.
pub(crate) fn is_aws_url(url: &str) -> bool {
    let host = url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase));
    host.is_none_or(|host| is_aws(&host))
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

/// How a download stands.
struct Progress {
    part: Part,
    /// The ETag of what has come: the rest must be of the same object.
    etag: Option<String>,
    /// Whether that is the MD5 of the object.
    etag_is_digest: bool,
    /// Where the bucket turned out to be.
    region: Option<String>,
}

/// How one attempt failed.
enum Failure {
    /// For good.
    Final(DownloadError),
    /// It may go better, or go on.
    Again(DownloadError),
    /// The object is another one now: from the beginning.
    Changed(DownloadError),
    /// The bucket is in another region; ask there.
    Elsewhere(String, DownloadError),
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        Self::Final(error)
    }
}

impl Downloader {
    pub(super) async fn fetch_s3(
        &self,
        object: &Object<'_>,
        destination: &Path,
    ) -> Result<(), DownloadError> {
        let part = Part::create(destination)?;
        let mut progress = Progress { part, etag: None, etag_is_digest: false, region: None };
        let started = Instant::now();
        let mut pauses = RETRIES.into_iter();
        loop {
            let before = progress.part.length();
            let (now, outcome) = self.try_s3(object, progress).await;
            progress = now;
            let error = match outcome {
                Ok(()) => return progress.part.finish(),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Elsewhere(region, error)) => {
                    if progress.region.is_some() {
                        return Err(error);
                    }
                    self.log.info(format_args!("Bucket {} is in {region}", object.bucket));
                    progress.region = Some(region);
                    continue;
                }
                Err(Failure::Changed(error)) => {
                    progress.etag = None;
                    progress.part.restart(false)?;
                    error
                }
                Err(Failure::Again(error)) => error,
            };
            // A line that breaks again and again, but brings something each time, gets there in the end.
            if progress.part.length() >= before + PROGRESS {
                pauses = RETRIES.into_iter();
            }
            let pause = pauses.next().filter(|_| started.elapsed() < LONGEST);
            let Some(pause) = pause else { return Err(error) };
            self.log.warn(format_args!(
                "Download of s3://{}/{}: {error}; trying again from byte {}",
                object.bucket,
                object.key,
                progress.part.length()
            ));
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_s3(&self, object: &Object<'_>, mut progress: Progress) -> (Progress, Result<(), Failure>) {
        let answer = match self.ask_s3(object, &progress).await {
            Ok(answer) => answer,
            Err(failure) => return (progress, Err(failure)),
        };
        if let Err(failure) = take_up(object, &answer, &mut progress) {
            return (progress, Err(failure));
        }
        let (part, received) = progress.part.receive(answer.into_body(), self.http.read_timeout()).await;
        progress.part = part;
        let outcome = match received {
            Err(error @ DownloadError::Interrupted(_)) => Err(Failure::Again(error)),
            Err(error) => Err(Failure::Final(error)),
            Ok(()) => check_digest(object, &progress).map_err(Failure::Final),
        };
        (progress, outcome)
    }

    /// Asks for the object, or for the rest of it; a refusal is an error.
    async fn ask_s3(&self, object: &Object<'_>, progress: &Progress) -> Result<Response<Incoming>, Failure> {
        let region = progress.region.as_deref().unwrap_or(&self.s3.region);
        let url = self.s3.url(object, region);
        let mut request = Request::get(&url);
        let from = progress.part.length();
        if from > 0
            && let Some(etag) = &progress.etag
        {
            request =
                request.header("range", format!("bytes={from}-")).header("if-match", format!("\"{etag}\""));
        }
        let request = request.body(()).map_err(|_| DownloadError::Address(url.clone()))?;
        let keys = self.credentials.keys().await.map_err(DownloadError::from)?;
        let scope = Scope { region, service: "s3" };
        let request =
            signed(request, Bytes::new(), &keys, scope, clock::now()).map_err(DownloadError::from)?;
        let answer = self.http.send(request).await.map_err(|error| match error {
            HttpError::Network(_) => Failure::Again(self.unreachable(error)),
            HttpError::Certificate(_) => Failure::Final(self.unreachable(error)),
            HttpError::Timeout(_) => Failure::Again(DownloadError::Http(error)),
            HttpError::TooLarge(_) => Failure::Final(DownloadError::Http(error)),
        })?;
        let status = answer.status();
        self.log.info(format_args!(
            "[Aws::S3::Client {} 0 retries] get_object(bucket:{:?},key:{:?})",
            status.as_u16(),
            object.bucket,
            object.key
        ));
        if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return Ok(answer);
        }
        let elsewhere =
            self.s3.endpoint.is_none().then(|| answer.headers().get("x-amz-bucket-region")).flatten();
        let elsewhere = elsewhere.and_then(|other| other.to_str().ok()).filter(|other| *other != region);
        let elsewhere = elsewhere.map(str::to_owned);
        let error = refusal(object, answer, self.http.read_timeout()).await;
        Err(match (elsewhere, &error) {
            (Some(other), _) => Failure::Elsewhere(other, error),
            (None, DownloadError::S3 { code, .. }) if is_about_keys(code) => {
                // The next attempt reads or asks for them again (AP-34).
                self.credentials.forget();
                Failure::Again(error)
            }
            (None, DownloadError::S3 { status, .. }) if *status >= 500 || *status == 429 => {
                Failure::Again(error)
            }
            (None, DownloadError::S3 { status: 412 | 416, .. }) if from > 0 => Failure::Changed(error),
            _ => Failure::Final(error),
        })
    }

    /// AG-040.
    fn unreachable(&self, error: HttpError) -> DownloadError {
        let advice = if self.s3.fips && self.s3.endpoint.is_none() {
            format!("Check that Fips exists in {}. Or, try using s3 endpoint override.", self.s3.region)
        } else {
            "Try using s3 endpoint override.".to_owned()
        };
        DownloadError::S3Unreachable { error, advice }
    }
}

/// Compares what comes with what is expected and with what has come before.
fn take_up(object: &Object<'_>, answer: &Response<Incoming>, progress: &mut Progress) -> Result<(), Failure> {
    let actual = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(unquoted);
    let actual = actual.unwrap_or_default().to_owned();
    if let Some(expected) = object.etag.map(unquoted).filter(|expected| *expected != actual) {
        return Err(DownloadError::ETag { expected: expected.to_owned(), actual }.into());
    }
    let goes_on = answer.status() == StatusCode::PARTIAL_CONTENT
        && progress.etag.as_ref() == Some(&actual)
        && starts_at(answer.headers(), progress.part.length());
    if !goes_on {
        if answer.status() == StatusCode::PARTIAL_CONTENT {
            return Err(Failure::Changed(DownloadError::Interrupted("a wrong part came".to_owned())));
        }
        progress.etag_is_digest = etag_is_digest(answer.headers(), &actual);
        progress.part.restart(progress.etag_is_digest)?;
        progress.etag = Some(actual).filter(|etag| !etag.is_empty());
    }
    Ok(())
}

/// `Content-Range: bytes 100-199/200`.
fn starts_at(headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get("content-range").and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok());
    start == Some(from)
}

fn check_digest(object: &Object<'_>, progress: &Progress) -> Result<(), DownloadError> {
    let (Some(etag), Some(digest)) = (&progress.etag, progress.part.digest()) else { return Ok(()) };
    if etag.eq_ignore_ascii_case(&digest) {
        return Ok(());
    }
    let expected = object.etag.map_or(etag.as_str(), unquoted).to_owned();
    Err(DownloadError::ETag { expected, actual: digest })
}

fn is_about_keys(code: &str) -> bool {
    matches!(code, "ExpiredToken" | "InvalidAccessKeyId" | "InvalidToken" | "TokenRefreshRequired")
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

async fn refusal(object: &Object<'_>, answer: Response<Incoming>, patience: Duration) -> DownloadError {
    let status = answer.status();
    // The status says enough where the words do not come.
    let body = tokio::time::timeout(patience, Limited::new(answer.into_body(), 64 << 10).collect()).await;
    let body = body.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::{Object, S3Settings, etag_is_digest, starts_at};
    use http::HeaderMap;

    fn object<'a>(bucket: &'a str, key: &'a str, version: Option<&'a str>) -> Object<'a> {
        Object { bucket, key, version, etag: None }
    }

    #[test]
    fn objects_come_from_the_override_then_the_control_plane_then_aws() {
        let url = |s3: Option<&str>, control: Option<&str>, object: &Object<'_>| {
            S3Settings::resolve(s3, control, "eu-west-1", None, false).url(object, "eu-west-1")
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
    fn the_rest_begins_where_the_part_ends() {
        let mut headers = HeaderMap::new();
        assert!(!starts_at(&headers, 0));
        headers.insert("content-range", "bytes 100-199/200".parse().expect("a header"));
        assert!(starts_at(&headers, 100) && !starts_at(&headers, 99));
    }
}
