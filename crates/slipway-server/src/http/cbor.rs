//! Smithy RPC v2 CBOR (D-06) as far as its requests differ from others: how they name their operation, and what their
//! headers must say.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use slipway_wire::codec::{Codec as _, Protocol};
use slipway_wire::{ApiError, Cbor, ErrorKind, codedeploy};

use super::route::Route;

/// Names the protocol, in requests and in answers.
pub(super) const PROTOCOL_HEADER: HeaderName = HeaderName::from_static("smithy-protocol");
/// What it says.
pub(super) const PROTOCOL: HeaderValue = HeaderValue::from_static("rpc-v2-cbor");

/// What the service is called in paths, absolutely. Clients send what is behind the last dot.
const ABSOLUTE_SERVICE: &str = "com.amazonaws.codedeploy.CodeDeploy_20141006";

/// Headers that name an operation in JSON requests.
const TARGETS: [&str; 2] = ["x-amz-target", "x-amzn-target"];

/// Where a request goes that the protocol claims; `None` for all others. `is_codedeploy`: the credential scope says so,
/// or there is none.
pub(super) fn route(parts: &Parts, is_codedeploy: bool) -> Option<Route> {
    let no = |reason| Some(Route::NoOperation(Protocol::Cbor, reason));
    let has_target = TARGETS.iter().any(|name| parts.headers.contains_key(*name));
    let mut protocols = parts.headers.get_all(PROTOCOL_HEADER).iter();
    let Some(protocol) = protocols.next() else {
        // Without its header this is another protocol's request: a JSON one, or an object of the store.
        let is_ours = is_codedeploy && parts.method == Method::POST && !has_target;
        let resembles = operation_segment(parts.uri.path()).is_some() || says_cbor(&parts.headers);
        return if is_ours && resembles {
            no("The header smithy-protocol: rpc-v2-cbor is missing.")
        } else {
            None
        };
    };
    if protocol != PROTOCOL || protocols.next().is_some() {
        return no("Of the Smithy protocols, rpc-v2-cbor is served.");
    }
    if has_target {
        // Whoever stands between could take it for the other operation.
        return no("A request names its operation in its path or in X-Amz-Target, not in both.");
    }
    let operation = operation_segment(parts.uri.path()).and_then(codedeploy::Operation::from_name);
    match operation {
        Some(operation) => Some(Route::CodeDeploy(Protocol::Cbor, operation)),
        None => no("There is no such operation. Paths are /service/CodeDeploy_20141006/operation/NAME."),
    }
}

/// The last segment of `PREFIX/service/CodeDeploy_20141006/operation/NAME`.
fn operation_segment(path: &str) -> Option<&str> {
    let mut segments = path.rsplit('/');
    let operation = segments.next()?;
    let is_ours = segments.next()? == "operation"
        && is_service(segments.next()?)
        && segments.next()? == "service"
        && segments.next().is_some();
    is_ours.then_some(operation)
}

fn is_service(name: &str) -> bool {
    name == codedeploy::TARGET_PREFIX || name == ABSOLUTE_SERVICE
}

fn says_cbor(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| media_type(value.as_bytes()) == Cbor::CONTENT_TYPE.as_bytes())
}

/// A media type without its parameters, in lower case.
fn media_type(value: &[u8]) -> Vec<u8> {
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    value[..end].trim_ascii().to_ascii_lowercase()
}

/// Refuses bodies of another type, and clients that want answers of another type.
pub(super) fn check(headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    if !body.is_empty() && !says_cbor(headers) {
        return Err(ApiError::new(
            ErrorKind::UnsupportedMediaTypeException,
            "The body of a request with smithy-protocol: rpc-v2-cbor is application/cbor.",
        ));
    }
    let mut accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .peekable();
    let takes_cbor =
        |range: &[u8]| matches!(&*media_type(range), b"application/cbor" | b"application/*" | b"*/*" | b"");
    if accepted.peek().is_some() && !accepted.any(takes_cbor) {
        return Err(ApiError::new(
            ErrorKind::NotAcceptableException,
            "The answer to a request with smithy-protocol: rpc-v2-cbor is application/cbor.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn refusal(pairs: &[(&'static str, &'static str)], body: &[u8]) -> Option<ErrorKind> {
        check(&headers(pairs), body).err().map(|error| error.kind)
    }

    #[test]
    fn the_operation_is_the_last_segment_d_06() {
        for path in [
            "/service/CodeDeploy_20141006/operation/GetApplication",
            "/service/com.amazonaws.codedeploy.CodeDeploy_20141006/operation/GetApplication",
            "/v1/behind/service/CodeDeploy_20141006/operation/GetApplication",
        ] {
            assert_eq!(operation_segment(path), Some("GetApplication"), "{path}");
        }
        for path in [
            "/",
            "/service/CodeDeploy_20141006/operation/GetApplication/",
            "/service/Other/operation/GetApplication",
            "/service/codedeploy.CodeDeploy_20141006/operation/GetApplication",
            "/SERVICE/CodeDeploy_20141006/operation/GetApplication",
            "service/CodeDeploy_20141006/operation/GetApplication",
            "/CodeDeploy_20141006/operation/GetApplication",
        ] {
            assert_eq!(operation_segment(path), None, "{path}");
        }
    }

    #[test]
    fn bodies_are_cbor() {
        for good in ["application/cbor", "Application/CBOR", "application/cbor; charset=binary"] {
            assert_eq!(refusal(&[("content-type", good)], b"\xa0"), None, "{good}");
        }
        for bad in ["application/json", "application/x-amz-json-1.1", "", "application/cborx"] {
            let refused = Some(ErrorKind::UnsupportedMediaTypeException);
            assert_eq!(refusal(&[("content-type", bad)], b"\xa0"), refused, "{bad}");
        }
        assert_eq!(refusal(&[], b"\xa0"), Some(ErrorKind::UnsupportedMediaTypeException));
        assert_eq!(refusal(&[], b""), None);
    }

    #[test]
    fn answers_are_cbor() {
        for good in ["application/cbor", "*/*", "text/html, application/*;q=0.5"] {
            assert_eq!(refusal(&[("accept", good)], b""), None, "{good}");
        }
        for bad in ["application/json", "application/vnd.amazon.eventstream"] {
            assert_eq!(refusal(&[("accept", bad)], b""), Some(ErrorKind::NotAcceptableException), "{bad}");
        }
    }
}
