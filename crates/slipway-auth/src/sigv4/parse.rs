//! From a request to the claim in it, in either of the two places a signature may stand.

use http::HeaderMap;

use super::{
    ALGORITHM, DeclaredPayload, MAX_PRESIGNED_SECONDS, RequestView, STREAMING_PREFIX, Scope, SignedRequest,
    TERMINATOR, UNSIGNED_PAYLOAD, canonical, time,
};
use crate::AuthError;

/// Headers that SDKs send beside a presigned request without being able to sign them. They carry no meaning for
/// the server.
const UNSIGNED_WHEN_PRESIGNED: [&str; 2] = ["x-amz-user-agent", "x-amz-checksum-mode"];

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The fields of a signature before their meaning is checked.
struct Fields {
    credential: String,
    signed_headers: String,
    signature: String,
    /// As written in the request, and where: the header `date` must be signed when it is the one used.
    date: String,
    date_is_http_header: bool,
    session_token: Option<String>,
    content_sha256: Option<String>,
    presigned_seconds: Option<i64>,
}

pub(super) fn parse(view: &RequestView<'_>) -> Result<SignedRequest, AuthError> {
    let pairs = canonical::decode_query(view.query);
    let in_header = view.headers.contains_key(http::header::AUTHORIZATION);
    let in_query = pairs.iter().any(|(name, _)| name == b"X-Amz-Algorithm" || name == b"X-Amz-Signature");
    let fields = match (in_header, in_query) {
        (true, true) => {
            return Err(incomplete(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization \
                 header should be specified.",
            ));
        }
        (false, false) => return Err(AuthError::MissingAuthenticationToken),
        (true, false) => from_header(view.headers)?,
        (false, true) => from_query(&pairs, view.headers)?,
    };
    let (access_key_id, scope) = credential(&fields.credential)?;
    let (signed_at, signed_at_ms) = date(&fields, &scope)?;
    let signed_headers = signed_headers(&fields, view.headers)?;
    let signed_pairs = pairs.iter().filter(|(name, _)| !in_query || name != b"X-Amz-Signature");
    let canonical_head = canonical_head(view, &scope.service, signed_pairs, &signed_headers)?;
    Ok(SignedRequest {
        access_key_id,
        scope,
        session_token: fields.session_token,
        signed_headers,
        signed_at,
        signed_at_ms,
        presigned_seconds: fields.presigned_seconds,
        payload: declared_payload(fields.content_sha256)?,
        signature: fields.signature,
        canonical_head,
    })
}

fn from_header(headers: &HeaderMap) -> Result<Fields, AuthError> {
    let text = single_header(headers, "authorization")?.unwrap_or_default();
    let rest = text
        .strip_prefix(ALGORITHM)
        .filter(|rest| rest.starts_with([' ', '\t']))
        .ok_or_else(|| incomplete(format!("Authorization header requires the algorithm '{ALGORITHM}'.")))?;
    let mut found: [Option<&str>; 3] = [None; 3];
    const NAMES: [&str; 3] = ["Credential", "SignedHeaders", "Signature"];
    for item in rest.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, value) = item.split_once('=').ok_or_else(|| {
            incomplete("Authorization header must be a list of key=value pairs separated by commas.")
        })?;
        let Some(slot) = NAMES.iter().position(|known| *known == name) else { continue };
        if found[slot].replace(value).is_some() {
            return Err(incomplete(format!("Authorization header has more than one '{name}' parameter.")));
        }
    }
    let mut missing: Vec<String> = NAMES
        .iter()
        .zip(found)
        .filter(|(_, value)| value.is_none_or(str::is_empty))
        .map(|(name, _)| format!("Authorization header requires '{name}' parameter."))
        .collect();
    let amz_date = single_header(headers, "x-amz-date")?;
    let date_is_http_header = amz_date.is_none();
    let date = if date_is_http_header { single_header(headers, "date")? } else { amz_date };
    if date.is_none() {
        missing.push(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned(),
        );
    }
    let ([Some(credential), Some(signed_headers), Some(signature)], Some(date), true) =
        (found, date, missing.is_empty())
    else {
        return Err(incomplete(missing.join(" ")));
    };
    Ok(Fields {
        credential: credential.to_owned(),
        signed_headers: signed_headers.to_owned(),
        signature: signature.to_owned(),
        date: date.to_owned(),
        date_is_http_header,
        session_token: single_header(headers, "x-amz-security-token")?.map(str::to_owned),
        content_sha256: single_header(headers, "x-amz-content-sha256")?.map(str::to_owned),
        presigned_seconds: None,
    })
}

fn from_query(pairs: &Pairs, headers: &HeaderMap) -> Result<Fields, AuthError> {
    let algorithm = required(pairs, "X-Amz-Algorithm")?;
    if algorithm != ALGORITHM {
        return Err(incomplete(format!("X-Amz-Algorithm only supports \"{ALGORITHM}\"")));
    }
    let expires = required(pairs, "X-Amz-Expires")?;
    let seconds = expires
        .parse::<i64>()
        .ok()
        .filter(|s| *s >= 0 && !expires.starts_with('+'))
        .ok_or_else(|| incomplete("X-Amz-Expires should be a number of seconds, zero or more"))?;
    if seconds > MAX_PRESIGNED_SECONDS {
        return Err(incomplete(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less \
             than 604800 seconds",
        ));
    }
    let header_hash = single_header(headers, "x-amz-content-sha256")?.map(str::to_owned);
    Ok(Fields {
        credential: required(pairs, "X-Amz-Credential")?,
        signed_headers: required(pairs, "X-Amz-SignedHeaders")?,
        signature: required(pairs, "X-Amz-Signature")?,
        date: required(pairs, "X-Amz-Date")?,
        date_is_http_header: false,
        session_token: single_param(pairs, "X-Amz-Security-Token")?,
        content_sha256: single_param(pairs, "X-Amz-Content-Sha256")?.or(header_hash),
        presigned_seconds: Some(seconds),
    })
}

/// `<key id>/<date>/<region>/<service>/aws4_request`.
fn credential(text: &str) -> Result<(String, Scope), AuthError> {
    let parts: Vec<&str> = text.split('/').collect();
    let [key, date, region, service, terminator] = parts[..] else {
        return Err(incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
        ));
    };
    if terminator != TERMINATOR {
        return Err(AuthError::InvalidSignature(format!(
            "Credential should be scoped with a valid terminator: '{TERMINATOR}'."
        )));
    }
    let name = |s: &str| {
        (1..=64).contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let key_like = (1..=128).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !key_like {
        return Err(AuthError::UnrecognizedClient);
    }
    for (what, value) in [("Region", region), ("Service", service)] {
        if !name(value) {
            return Err(AuthError::InvalidSignature(format!(
                "Credential should be scoped to a valid {what}, lower-case letters, digits and hyphens."
            )));
        }
    }
    let scope = Scope { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() };
    Ok((key.to_owned(), scope))
}

fn date(fields: &Fields, scope: &Scope) -> Result<(String, i64), AuthError> {
    let ms = time::parse_basic(&fields.date)
        .or_else(|| fields.date_is_http_header.then(|| time::parse_http(&fields.date)).flatten())
        .ok_or_else(|| {
            incomplete("Date must be in ISO-8601 'basic format', yyyyMMddTHHmmssZ. See 'Date' in RFC 7231 for the Date header.")
        })?;
    let basic = time::basic(ms);
    if basic.get(..8) != Some(scope.date.as_str()) {
        return Err(AuthError::InvalidSignature(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
             '{}' != '{}', from '{basic}'.",
            scope.date.chars().take(16).collect::<String>(),
            &basic[..8],
        )));
    }
    Ok((basic, ms))
}

/// The list of signed headers, complete enough to trust the request by: a header that steers the server and is
/// not under the signature could be put there by anyone on the way.
fn signed_headers(fields: &Fields, headers: &HeaderMap) -> Result<Vec<String>, AuthError> {
    let list: Vec<String> = fields.signed_headers.split(';').map(str::to_owned).collect();
    let ascending = list.windows(2).all(|pair| pair[0] < pair[1]);
    let lower = list.iter().all(|name| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase()));
    if !ascending || !lower {
        return Err(AuthError::InvalidSignature(
            "'SignedHeaders' must be lower-case header names in ascending order.".into(),
        ));
    }
    let unsigned = |name: &str| list.binary_search_by(|signed| signed.as_str().cmp(name)).is_err();
    let refuse = |what: &str| {
        AuthError::InvalidSignature(format!("{what} must be a 'SignedHeader' in the AWS Authorization."))
    };
    if unsigned("host") {
        return Err(refuse("'Host' or ':authority'"));
    }
    if fields.date_is_http_header && unsigned("date") {
        return Err(refuse("'Date'"));
    }
    let presigned = fields.presigned_seconds.is_some();
    for name in headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-")) {
        if unsigned(name) && !(presigned && UNSIGNED_WHEN_PRESIGNED.contains(&name)) {
            return Err(refuse(&format!("'{name}'")));
        }
    }
    Ok(list)
}

fn canonical_head<'a>(
    view: &RequestView<'_>,
    service: &str,
    pairs: impl Iterator<Item = &'a (Vec<u8>, Vec<u8>)>,
    signed_headers: &[String],
) -> Result<Vec<u8>, AuthError> {
    let path = canonical::path(view.path, service);
    let query = canonical::query(pairs);
    let mut head = format!("{}\n{path}\n{query}\n", view.method).into_bytes();
    for name in signed_headers {
        canonical::push_header(&mut head, view.headers, view.authority, name).ok_or_else(|| {
            AuthError::InvalidSignature(format!("The signed header '{name}' is not in the request."))
        })?;
    }
    head.push(b'\n');
    head.extend_from_slice(signed_headers.join(";").as_bytes());
    head.push(b'\n');
    Ok(head)
}

fn declared_payload(value: Option<String>) -> Result<DeclaredPayload, AuthError> {
    let Some(value) = value else { return Ok(DeclaredPayload::Absent) };
    if value == UNSIGNED_PAYLOAD {
        return Ok(DeclaredPayload::Unsigned);
    }
    if value.starts_with(STREAMING_PREFIX) {
        return Ok(DeclaredPayload::Streaming(value));
    }
    let hex = value.len() == 64 && value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if hex {
        return Ok(DeclaredPayload::Sha256(value));
    }
    Err(AuthError::InvalidSignature(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- form or a valid sha256 value.".into(),
    ))
}

/// The value of a header that may occur once.
fn single_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(incomplete(format!("The header '{name}' occurs more than once.")));
    }
    value
        .to_str()
        .map(|s| Some(s.trim()))
        .map_err(|_| incomplete(format!("The header '{name}' is not ASCII text.")))
}

fn required(pairs: &Pairs, name: &str) -> Result<String, AuthError> {
    single_param(pairs, name)?
        .filter(|value| !value.is_empty())
        .ok_or_else(|| incomplete(format!("AWS query-string parameters must include '{name}'.")))
}

fn single_param(pairs: &Pairs, name: &str) -> Result<Option<String>, AuthError> {
    let mut values = pairs.iter().filter(|(n, _)| n == name.as_bytes());
    let Some((_, value)) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(incomplete(format!("The query-string parameter '{name}' occurs more than once.")));
    }
    String::from_utf8(value.clone())
        .map(Some)
        .map_err(|_| incomplete(format!("The query-string parameter '{name}' is not text.")))
}

fn incomplete(message: impl Into<String>) -> AuthError {
    AuthError::IncompleteSignature(message.into())
}
