//! Signature version 4, for the command service and for S3 (AP-01, AG-040).

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::Full;

use crate::config::Keys;
use crate::http::host_of;

/// The request cannot be signed: a header or the URI is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be signed: {0}")]
pub struct SignError(String);

/// The credential scope.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Region of the host.
    pub region: &'a str,
    /// Service; `s3` brings S3's own rules with it.
    pub service: &'a str,
}

/// Builds the signed form of a request with this body.
pub fn signed(
    mut request: Request<()>,
    body: Bytes,
    keys: &Keys,
    scope: Scope<'_>,
    now: SystemTime,
) -> Result<Request<Full<Bytes>>, SignError> {
    let wrong = |error: &dyn std::fmt::Display| SignError(error.to_string());
    let host = host_of(request.uri()).ok_or_else(|| SignError("the address names no host".to_owned()))?;
    let host = HeaderValue::try_from(host).map_err(|error| wrong(&error))?;
    request.headers_mut().insert(header::HOST, host);

    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    if scope.service == "s3" {
        // S3 keys are signed exactly as they are sent.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let identity = Credentials::new(
        &keys.access_key_id,
        &keys.secret_access_key,
        keys.session_token.clone(),
        None,
        "slipway-agent",
    )
    .into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| wrong(&error))?
        .into();

    let mut headers = Vec::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        headers.push((name.as_str(), value.to_str().map_err(|error| wrong(&error))?));
    }
    let uri = request.uri().to_string();
    let signable = SignableRequest::new(
        request.method().as_str(),
        &uri,
        headers.into_iter(),
        SignableBody::Bytes(&body),
    )
    .map_err(|error| wrong(&error))?;
    let (instructions, _) = sign(signable, &params).map_err(|error| wrong(&error))?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.map(|()| Full::new(body)))
}

#[cfg(test)]
mod tests {
    use super::{Scope, signed};
    use crate::config::Keys;
    use bytes::Bytes;
    use http::Request;
    use std::time::{Duration, SystemTime};

    fn keys(token: Option<&str>) -> Keys {
        Keys {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: token.map(str::to_owned),
        }
    }

    #[test]
    fn the_scope_names_service_and_region_and_the_host_is_signed() {
        let request = Request::post("https://slipway.test:8443/")
            .header("content-type", "application/x-amz-json-1.1")
            .body(())
            .expect("a request");
        let now = SystemTime::UNIX_EPOCH + Duration::from_mins(24_015_636);
        let scope = Scope { region: "us-east-1", service: "codedeploy-commands" };
        let request =
            signed(request, Bytes::from_static(b"{}"), &keys(Some("token")), scope, now).expect("AP-01");
        let header = |name: &str| request.headers()[name].to_str().expect("text").to_owned();
        let authorization = header("authorization");
        assert!(authorization.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/codedeploy-commands/aws4_request, "
        ));
        assert!(authorization.contains("SignedHeaders=content-type;host;x-amz-"), "{authorization}");
        assert_eq!(header("x-amz-security-token"), "token");
        assert_eq!(header("host"), "slipway.test:8443");
    }
}
