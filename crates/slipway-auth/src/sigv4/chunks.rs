//! S3's streamed payloads: the body comes in chunks, each signed in a chain that starts at the request's own
//! signature (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD` and its `-TRAILER` form).

use aws_lc_rs::{constant_time, hmac};

use super::{
    DeclaredPayload, DerivedKeyCache, SecretKey, SignedRequest, TERMINATOR, sha256_hex, signature_mismatch,
};
use crate::AuthError;

const SIGNED_CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Checks the signatures of the chunks of one body, in order.
#[derive(Debug)]
pub struct ChunkChain {
    key: hmac::Key,
    /// `<time>\n<scope>`, the same in every chunk.
    prefix: String,
    previous: String,
}

impl SignedRequest {
    /// The chain for the chunks of this body, or `None` if its chunks are not signed.
    ///
    /// Call it after [`SignedRequest::verify`] has passed: the chain starts at the verified signature.
    pub fn chunk_chain(&self, secret: &SecretKey, cache: &DerivedKeyCache) -> Option<ChunkChain> {
        let DeclaredPayload::Streaming(form) = &self.payload else { return None };
        if !form.starts_with(SIGNED_CHUNKS) {
            return None;
        }
        let scope = &self.scope;
        Some(ChunkChain {
            key: cache.signing_key(&self.access_key_id, scope, secret),
            prefix: format!(
                "{}\n{}/{}/{}/{TERMINATOR}",
                self.signed_at, scope.date, scope.region, scope.service
            ),
            previous: self.signature.clone(),
        })
    }
}

impl ChunkChain {
    /// Checks the next chunk; the last one has no data.
    pub fn verify_chunk(&mut self, signature: &str, data: &[u8]) -> Result<(), AuthError> {
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{EMPTY_SHA256}\n{}",
            self.prefix,
            self.previous,
            sha256_hex(data)
        );
        self.step(signature, &text)
    }

    /// Checks the trailing headers, given as `name:value\n` lines in the order sent.
    pub fn verify_trailer(&mut self, signature: &str, canonical_trailer: &[u8]) -> Result<(), AuthError> {
        let text = format!(
            "AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}",
            self.prefix,
            self.previous,
            sha256_hex(canonical_trailer)
        );
        self.step(signature, &text)
    }

    fn step(&mut self, signature: &str, text: &str) -> Result<(), AuthError> {
        let expected = hex::encode(hmac::sign(&self.key, text.as_bytes()));
        constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes())
            .map_err(|_| signature_mismatch())?;
        self.previous = expected;
        Ok(())
    }
}
