//! What a request must satisfy before s3s sees it.
//!
//! s3s verifies signatures and the 15 minutes of clock skew. It accepts more than S3 does, though, and every surplus is
//! a way around a check: headers outside the signature, the old signature version (no skew check, no body hash),
//! browser forms (held in memory), scopes of other services. These are refused here. So are headers that ask for
//! protection this store does not give, such as encryption or object lock: storing the object as if nothing had been
//! asked would be a lie.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use s3s::{S3Error, S3ErrorCode};

const TOKEN_HEADER: &str = "x-amz-security-token";
const TOKEN_QUERY: &str = "X-Amz-Security-Token";
const LONGEST_PRESIGNED: u32 = 7 * 24 * 60 * 60;

/// The session token that a request carries, if the request is one that s3s may look at.
pub(crate) fn inspect(parts: &Parts) -> Result<Option<String>, S3Error> {
    refuse_forms(parts)?;
    refuse_unkept_promises(&parts.headers)?;
    let query = QueryAuth::of(parts.uri.query().unwrap_or_default());
    let header = parts.headers.get(AUTHORIZATION).map(|v| v.to_str().unwrap_or_default());
    match (header, query.signature) {
        (Some(_), true) => Err(invalid(
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
             parameter or the Authorization header should be specified",
        )),
        (None, true) => inspect_presigned(parts, query),
        (Some(header), false) => inspect_signed(parts, header),
        (None, false) if query.old_signature => Err(old_signature()),
        (None, false) => Ok(None),
    }
}

fn inspect_signed(parts: &Parts, header: &str) -> Result<Option<String>, S3Error> {
    let Some(fields) = header.strip_prefix("AWS4-HMAC-SHA256") else { return Err(old_signature()) };
    let field = |name: &str| {
        fields.split(',').find_map(|f| f.trim().strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    check_scope(field("Credential"))?;
    check_signed_headers(&parts.headers, field("SignedHeaders"), false)?;
    let mut tokens = parts.headers.get_all(TOKEN_HEADER).iter();
    let token = tokens.next();
    if tokens.next().is_some() {
        return Err(invalid("The header x-amz-security-token is given more than once."));
    }
    token
        .map(|value| value.to_str().map(str::to_owned))
        .transpose()
        .map_err(|_| invalid("The header x-amz-security-token is not valid."))
}

fn inspect_presigned(parts: &Parts, query: QueryAuth) -> Result<Option<String>, S3Error> {
    check_scope(&query.credential)?;
    check_signed_headers(&parts.headers, &query.signed_headers, true)?;
    if query.expires.parse::<u32>().is_ok_and(|seconds| seconds > LONGEST_PRESIGNED) {
        return Err(with_custom_code(
            "AuthorizationQueryParametersError",
            "X-Amz-Expires must be less than a week (in seconds) from the given X-Amz-Date",
        ));
    }
    if query.tokens.len() > 1 {
        return Err(invalid("X-Amz-Security-Token is given more than once."));
    }
    Ok(query.tokens.into_iter().next())
}

/// The query parameters that sign a presigned URL.
#[derive(Default)]
struct QueryAuth {
    signature: bool,
    old_signature: bool,
    credential: String,
    signed_headers: String,
    expires: String,
    tokens: Vec<String>,
}

impl QueryAuth {
    fn of(query: &str) -> Self {
        let mut found = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name);
            match name.as_str() {
                "X-Amz-Signature" => found.signature = true,
                "Signature" | "AWSAccessKeyId" => found.old_signature = true,
                "X-Amz-Credential" => found.credential = decode(value),
                "X-Amz-SignedHeaders" => found.signed_headers = decode(value),
                "X-Amz-Expires" => found.expires = decode(value),
                TOKEN_QUERY => found.tokens.push(decode(value)),
                _ => {}
            }
        }
        found
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn check_scope(credential: &str) -> Result<(), S3Error> {
    let mut scope = credential.rsplit('/');
    if scope.next() == Some("aws4_request") && scope.next() == Some("s3") {
        return Ok(());
    }
    Err(with_custom_code(
        "AuthorizationHeaderMalformed",
        "The authorization header is malformed; the credential scope must end with 's3/aws4_request'.",
    ))
}

/// A header that changes what the request does must be under the signature, else whoever passes it on can change it.
fn check_signed_headers(headers: &HeaderMap, signed: &str, presigned: bool) -> Result<(), S3Error> {
    let is_signed = |name: &str| signed.split(';').any(|s| s == name);
    let all_signed = is_signed("host")
        && headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-")).all(
            |name| {
                // The body of a presigned request is unknown when it is signed.
                is_signed(name) || presigned && name == "x-amz-content-sha256"
            },
        );
    if all_signed {
        return Ok(());
    }
    Err(S3Error::with_message(
        S3ErrorCode::AccessDenied,
        "There were headers present in the request which were not signed",
    ))
}

fn refuse_forms(parts: &Parts) -> Result<(), S3Error> {
    let form = parts.headers.get(CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes();
        value.len() >= 19 && value[..19].eq_ignore_ascii_case(b"multipart/form-data")
    });
    if form && parts.method == Method::POST {
        return Err(not_implemented("Uploads by HTML forms are not implemented."));
    }
    Ok(())
}

fn refuse_unkept_promises(headers: &HeaderMap) -> Result<(), S3Error> {
    for (name, value) in headers {
        let name = name.as_str();
        let value = value.to_str().unwrap_or_default();
        let harmless = match name {
            "x-amz-acl" => matches!(value, "private" | "bucket-owner-full-control" | "bucket-owner-read"),
            "x-amz-storage-class" => value == "STANDARD",
            "x-amz-bucket-object-lock-enabled" => value.eq_ignore_ascii_case("false"),
            "x-amz-mfa" | "x-amz-website-redirect-location" | "x-amz-write-offset-bytes" => false,
            _ => {
                !(name.starts_with("x-amz-server-side-encryption")
                    || name.starts_with("x-amz-copy-source-server-side-encryption")
                    || name.starts_with("x-amz-object-lock-")
                    || name.starts_with("x-amz-grant-"))
            }
        };
        if !harmless {
            return Err(not_implemented(&format!(
                "A header you provided implies functionality that is not implemented: {name}"
            )));
        }
    }
    Ok(())
}

fn invalid(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidRequest, message)
}

fn old_signature() -> S3Error {
    invalid("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
}

fn not_implemented(message: &str) -> S3Error {
    S3Error::with_message(S3ErrorCode::NotImplemented, message.to_owned())
}

fn with_custom_code(code: &'static str, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(http::StatusCode::BAD_REQUEST);
    error
}
