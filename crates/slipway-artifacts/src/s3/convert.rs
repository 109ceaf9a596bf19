//! Between S3's types and ours.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use s3s::dto::{self, ETag, ETagCondition, EncodingType, Timestamp, TimestampFormat};
use s3s::{S3Request, S3Result, s3_error};
use time::OffsetDateTime;

use crate::checksum::{Algorithm, Checksums};
use crate::index::objects::{EtagMatch, WriteCondition};
use crate::index::rows::{Meta, VersionRow};
use crate::ingest::Claims;

/// What `encoding-type=url` leaves alone.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'*');

const MOST_TAGS: usize = 10;

pub(super) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

pub(super) fn timestamp(millis: i64) -> Timestamp {
    let nanos = i128::from(millis) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH).into()
}

pub(super) fn millis(timestamp: &Timestamp) -> i64 {
    let time: OffsetDateTime = timestamp.clone().into();
    (time.unix_timestamp_nanos() / 1_000_000) as i64
}

/// Text of a listing, encoded if the client asked for it (keys may hold what XML cannot).
pub(super) fn encoded(text: &str, encoding: Option<&EncodingType>) -> String {
    if encoding.is_some_and(|e| e.as_str().eq_ignore_ascii_case("url")) {
        utf8_percent_encode(text, PLAIN).to_string()
    } else {
        text.to_owned()
    }
}

pub(super) fn owner(account: &str) -> dto::Owner {
    dto::Owner { display_name: None, id: Some(account.to_owned()) }
}

/// The number of entries a listing may return: at most 1000, whatever was asked.
pub(super) fn limit(asked: Option<i32>) -> S3Result<usize> {
    let asked = asked.unwrap_or(1000);
    usize::try_from(asked)
        .map(|n| n.min(1000))
        .map_err(|_| s3_error!(InvalidArgument, "Provided max-keys not an integer or within integer range"))
}

/// `x-amz-version-id` of a version: nothing for an object of a bucket that never kept versions.
pub(super) fn version_id(row: &VersionRow, versioned: bool) -> Option<String> {
    versioned.then(|| row.version.clone())
}

pub(super) fn write_condition(
    matches: Option<&ETagCondition>,
    none_match: Option<&ETagCondition>,
) -> WriteCondition {
    let value =
        |c: &ETagCondition| c.as_etag().map_or(EtagMatch::Any, |e| EtagMatch::Is(e.value().to_owned()));
    WriteCondition { matches: matches.map(value), none_match: none_match.map(value) }
}

/// The media type and its relatives as the client gave them. `aws-chunked` describes the transfer, not the object.
pub(super) fn content_encoding(value: Option<String>) -> Option<String> {
    let value = value?;
    let kept: Vec<&str> = value
        .split(',')
        .map(str::trim)
        .filter(|e| !e.is_empty() && !e.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// Takes the fields that PutObject, CopyObject and CreateMultipartUpload share out of their input.
macro_rules! take_meta {
    ($input:expr) => {{
        let input = &mut $input;
        $crate::index::rows::Meta {
            content_type: input.content_type.take(),
            content_encoding: $crate::s3::convert::content_encoding(input.content_encoding.take()),
            content_language: input.content_language.take(),
            content_disposition: input.content_disposition.take(),
            cache_control: input.cache_control.take(),
            expires: input.expires.as_ref().map($crate::s3::convert::millis),
            user: input.metadata.take().unwrap_or_default().into_iter().collect(),
            tags: $crate::s3::convert::tags_of_header(input.tagging.as_deref())?,
            ..$crate::index::rows::Meta::default()
        }
    }};
}
pub(super) use take_meta;

/// Takes the checksums that a client claims out of an input or part.
macro_rules! take_sums {
    ($input:expr) => {{
        let input = &mut $input;
        $crate::checksum::Checksums {
            crc32: input.checksum_crc32.take(),
            crc32c: input.checksum_crc32c.take(),
            crc64nvme: input.checksum_crc64nvme.take(),
            sha1: input.checksum_sha1.take(),
            sha256: input.checksum_sha256.take(),
            cover: None,
        }
    }};
}
pub(super) use take_sums;

/// Puts checksums into an output.
macro_rules! put_sums {
    ($output:expr, $sums:expr) => {{
        let (output, sums) = (&mut $output, $sums);
        output.checksum_crc32 = sums.crc32.clone();
        output.checksum_crc32c = sums.crc32c.clone();
        output.checksum_crc64nvme = sums.crc64nvme.clone();
        output.checksum_sha1 = sums.sha1.clone();
        output.checksum_sha256 = sums.sha256.clone();
    }};
}
pub(super) use put_sums;

/// What a request says about its body: lengths and checksums in headers, and the ones to come in the trailer.
pub(super) fn claims<T>(
    request: &S3Request<T>,
    length: Option<i64>,
    md5: Option<String>,
    sums: Checksums,
) -> S3Result<Claims> {
    let length = length
        .map(u64::try_from)
        .transpose()
        .map_err(|_| s3_error!(InvalidArgument, "The content length is negative"))?;
    let mut trailing = Vec::new();
    for value in request.headers.get_all("x-amz-trailer") {
        for name in value.to_str().unwrap_or_default().split(',').map(str::trim) {
            if let Some(algorithm) =
                Algorithm::ALL.into_iter().find(|a| a.header().eq_ignore_ascii_case(name))
            {
                trailing.push(algorithm);
            }
        }
    }
    Ok(Claims { length, md5, sums, trailing, trailer: request.trailing_headers.clone(), wanted: None })
}

/// `x-amz-tagging`: tags as a query string.
pub(super) fn tags_of_header(header: Option<&str>) -> S3Result<BTreeMap<String, String>> {
    let decode = |s: &str| percent_decode_str(&s.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    });
    checked_tags(pairs)
}

/// Tags within S3's limits.
pub(super) fn checked_tags(
    pairs: impl Iterator<Item = (String, String)>,
) -> S3Result<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for (key, value) in pairs {
        if key.is_empty() || key.chars().count() > 128 {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if tags.insert(key, value).is_some() {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    if tags.len() > MOST_TAGS {
        return Err(s3_error!(InvalidTag, "Object tags cannot be greater than {MOST_TAGS}"));
    }
    Ok(tags)
}

/// User metadata as s3s wants it; `None` if there is none.
pub(super) fn user_metadata(meta: &Meta) -> Option<dto::Metadata> {
    (!meta.user.is_empty()).then(|| meta.user.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
}

/// `Expires` of an object.
pub(super) fn expires(meta: &Meta) -> Option<Timestamp> {
    meta.expires.map(timestamp)
}

/// A date as HTTP writes it.
pub(super) fn http_date(value: &Timestamp) -> S3Result<String> {
    let mut text = Vec::new();
    value
        .format(TimestampFormat::HttpDate, &mut text)
        .map_err(|e| s3_error!(e, InvalidArgument, "The date is out of range"))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
