//! AWS Signature Version 4, the verifying side (D-05, AS-146, AS-147).
//!
//! Verification has two steps, because between them the caller looks the secret up: [`SignedRequest::parse`] says
//! which access key, scope and session token a request *claims*, [`SignedRequest::verify`] proves the claim.
//! Nothing that `parse` returns may be trusted before `verify` has passed.
//!
//! This is our own rather than the `scratchstack-aws-signature` crate because that one wants region and service
//! known up front and looks keys up asynchronously inside, while one port of ours serves every region and service
//! and takes both from the credential scope (D-02); and because it cannot do S3's forms: paths that must not be
//! normalised, unsigned payloads and streamed ones, whose chunks are signed one by one ([`chunks`]).
//! The `aws-sigv4` crate, the SDK's signer, is the oracle in the tests.

mod canonical;
pub mod chunks;
mod keys;
mod parse;
mod time;

use aws_lc_rs::{constant_time, digest, hmac};
use http::HeaderMap;

pub use keys::{DerivedKeyCache, SecretKey};

use crate::AuthError;

pub(crate) const TERMINATOR: &str = "aws4_request";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const STREAMING_PREFIX: &str = "STREAMING-";

/// How far the clocks of caller and server may be apart (D-05).
pub const MAX_SKEW_MS: i64 = 15 * 60 * 1000;
/// The longest life of a presigned request.
pub const MAX_PRESIGNED_SECONDS: i64 = 7 * 24 * 3600;

/// The parts of an HTTP request that a signature covers, exactly as they came over the wire.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// `GET`, `POST` …
    pub method: &'a str,
    /// The path of the request target, still percent-encoded.
    pub path: &'a str,
    /// The query without its `?`, still percent-encoded; empty if there is none.
    pub query: &'a str,
    /// All header fields.
    pub headers: &'a HeaderMap,
    /// The authority of the request target (HTTP/2's `:authority`), which stands in for an absent `Host` header.
    pub authority: Option<&'a str>,
}

/// What a credential is good for: one day, one region, one service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// `yyyyMMdd`.
    pub date: String,
    /// The region, any well-formed name (D-04).
    pub region: String,
    /// The signing name of the service: `codedeploy`, `iam`, `s3` … (D-02).
    pub service: String,
}

/// The payload as the signer declared it in `x-amz-content-sha256`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeclaredPayload {
    /// Not declared: the signature covers the hash of the body (S3: of a presigned request, nothing).
    Absent,
    /// Lower-case hex of the body's SHA-256.
    Sha256(String),
    /// `UNSIGNED-PAYLOAD`; S3 only.
    Unsigned,
    /// `STREAMING-…`; S3 only. The signature covers the headers; see [`chunks`] for the chunks.
    Streaming(String),
}

/// The body, as far as the caller has it.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// The whole body.
    Bytes(&'a [u8]),
    /// Hex of the SHA-256 that the caller computed over the whole body.
    Hashed(&'a str),
    /// Not read yet. The declared hash is taken at its word, and **the caller must compare** the body with
    /// [`SignedRequest::payload`] when it has been read.
    Unread,
}

/// A request's claim to have been signed by a certain key.
#[derive(Clone)]
pub struct SignedRequest {
    access_key_id: String,
    scope: Scope,
    session_token: Option<String>,
    signed_headers: Vec<String>,
    /// `yyyyMMddTHHmmssZ`.
    signed_at: String,
    signed_at_ms: i64,
    presigned_seconds: Option<i64>,
    payload: DeclaredPayload,
    signature: String,
    /// The canonical request but for its last line, the payload's hash.
    canonical_head: Vec<u8>,
}

impl std::fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedRequest")
            .field("access_key_id", &self.access_key_id)
            .field("scope", &self.scope)
            .field("signed_headers", &self.signed_headers)
            .field("signed_at", &self.signed_at)
            .finish_non_exhaustive()
    }
}

impl SignedRequest {
    /// Reads the claim from the `Authorization` header or the `X-Amz-*` query parameters, and checks everything
    /// that needs no secret and no clock.
    pub fn parse(view: &RequestView<'_>) -> Result<Self, AuthError> {
        parse::parse(view)
    }

    /// The access key that the request claims to be signed with.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Day, region and service of the credential.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The session token that came along; mandatory for keys `ASIA…`, see [`crate::token`].
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// Lower-case names of the headers under the signature, sorted.
    pub fn signed_headers(&self) -> &[String] {
        &self.signed_headers
    }

    /// Seconds that a presigned request is good for; `None` for a request signed in its headers.
    pub fn presigned_seconds(&self) -> Option<i64> {
        self.presigned_seconds
    }

    /// The payload as declared by the signer.
    pub fn payload(&self) -> &DeclaredPayload {
        &self.payload
    }

    /// When the request says that it was signed, milliseconds since the epoch.
    pub fn signed_at_ms(&self) -> i64 {
        self.signed_at_ms
    }

    /// Proves the claim: time, signature and body.
    pub fn verify(
        &self,
        secret: &SecretKey,
        body: Body<'_>,
        now_ms: i64,
        cache: &DerivedKeyCache,
    ) -> Result<(), AuthError> {
        self.check_time(now_ms)?;
        let actual = match body {
            Body::Bytes(bytes) => Some(sha256_hex(bytes)),
            Body::Hashed(hex) => Some(hex.to_ascii_lowercase()),
            Body::Unread => None,
        };
        let payload_line = self.payload_line(actual.as_deref())?;
        let key = cache.signing_key(&self.access_key_id, &self.scope, secret);
        let expected = hex::encode(hmac::sign(&key, self.string_to_sign(payload_line).as_bytes()));
        constant_time::verify_slices_are_equal(expected.as_bytes(), self.signature.as_bytes())
            .map_err(|_| signature_mismatch())?;
        // After the signature: only the holder of the secret learns that it was the body that differed.
        match (&self.payload, actual) {
            (DeclaredPayload::Sha256(declared), Some(actual)) if *declared != actual => {
                Err(AuthError::PayloadMismatch)
            }
            _ => Ok(()),
        }
    }

    fn is_s3(&self) -> bool {
        self.scope.service == "s3"
    }

    /// The last line of the canonical request.
    fn payload_line<'a>(&'a self, actual: Option<&'a str>) -> Result<&'a str, AuthError> {
        match &self.payload {
            DeclaredPayload::Sha256(hex) => Ok(hex),
            DeclaredPayload::Unsigned if self.is_s3() => Ok(UNSIGNED_PAYLOAD),
            DeclaredPayload::Streaming(form) if self.is_s3() => Ok(form),
            DeclaredPayload::Unsigned | DeclaredPayload::Streaming(_) => Err(AuthError::InvalidSignature(
                "The value of 'x-amz-content-sha256' must be the SHA-256 of the payload.".into(),
            )),
            DeclaredPayload::Absent if self.is_s3() && self.presigned_seconds.is_some() => {
                Ok(UNSIGNED_PAYLOAD)
            }
            DeclaredPayload::Absent if self.is_s3() => Err(AuthError::IncompleteSignature(
                "Missing required header for this request: x-amz-content-sha256".into(),
            )),
            DeclaredPayload::Absent => actual.ok_or(AuthError::PayloadMismatch),
        }
    }

    fn string_to_sign(&self, payload_line: &str) -> String {
        let mut canonical = digest::Context::new(&digest::SHA256);
        canonical.update(&self.canonical_head);
        canonical.update(payload_line.as_bytes());
        let Scope { date, region, service } = &self.scope;
        format!(
            "{ALGORITHM}\n{}\n{date}/{region}/{service}/{TERMINATOR}\n{}",
            self.signed_at,
            hex::encode(canonical.finish())
        )
    }

    /// AS-147, with AWS's wording, which agents log and people search for.
    fn check_time(&self, now_ms: i64) -> Result<(), AuthError> {
        let (at, now) = (&self.signed_at, time::basic(now_ms));
        if self.signed_at_ms > now_ms.saturating_add(MAX_SKEW_MS) {
            let latest = time::basic(now_ms.saturating_add(MAX_SKEW_MS));
            return Err(AuthError::SignatureExpired(format!(
                "Signature not yet current: {at} is still later than {latest} ({now} + 15 min.)"
            )));
        }
        let (life_ms, life) = match self.presigned_seconds {
            Some(seconds) => (seconds * 1000, format!("{seconds} sec.")),
            None => (MAX_SKEW_MS, "15 min.".to_owned()),
        };
        let earliest = now_ms.saturating_sub(life_ms);
        if self.signed_at_ms >= earliest {
            return Ok(());
        }
        if self.is_s3() && self.presigned_seconds.is_some() {
            return Err(AuthError::PresignedExpired);
        }
        Err(AuthError::SignatureExpired(format!(
            "Signature expired: {at} is now earlier than {} ({now} - {life})",
            time::basic(earliest)
        )))
    }
}

fn signature_mismatch() -> AuthError {
    AuthError::InvalidSignature(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
         Access Key and signing method. Consult the service documentation for details."
            .into(),
    )
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
