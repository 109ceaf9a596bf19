//! The boundary between a wire format and everything else.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{ApiError, Cbor, ErrorKind, Json, cbor};

/// Values of one body; a list or an object counts twice. Lists of ten thousand small objects fit, and are the
/// operations' to refuse. Empty objects are short on the wire and long in memory: without a limit a body of one megabyte
/// takes a hundred and fifty.
pub(crate) const MOST_VALUES: usize = 100_000;

/// A wire format for structures. Both formats of D-06 carry the same generated types.
pub trait Codec {
    /// The media type of bodies.
    const CONTENT_TYPE: &'static str;

    /// Reads a structure. An empty body is the structure without members.
    ///
    /// Fails with `SerializationException`, whose message says what is wrong and where.
    fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError>;

    /// Writes a structure.
    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, ApiError>;

    /// The body of an error answer.
    fn encode_error(error: &ApiError) -> Vec<u8>;
}

/// The wire format of one request, chosen by its client.
///
/// A value and not a type parameter of the dispatchers: there is one future per operation, whatever its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// AWS JSON 1.1.
    Json,
    /// Smithy RPC v2 CBOR.
    Cbor,
}

impl Protocol {
    /// The media type of bodies.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => Json::CONTENT_TYPE,
            Self::Cbor => Cbor::CONTENT_TYPE,
        }
    }

    /// [`Codec::decode`] of the format.
    pub fn decode<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, ApiError> {
        match self {
            Self::Json => Json::decode(body),
            Self::Cbor => Cbor::decode(body),
        }
    }

    /// [`Codec::encode`] of the format.
    pub fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>, ApiError> {
        match self {
            Self::Json => Json::encode(value),
            Self::Cbor => Cbor::encode(value),
        }
    }

    /// What a body says, for records of it: all members, also those that no structure has. `None` if it says nothing
    /// that [`Protocol::decode`] could read: what an operation gets to see can be shown.
    pub fn show(self, body: &[u8]) -> Option<serde_json::Value> {
        match self {
            Self::Json => Json::decode(body).ok(),
            Self::Cbor => cbor::show(body),
        }
    }

    /// [`Codec::encode_error`] of the format.
    pub fn encode_error(self, error: &ApiError) -> Vec<u8> {
        match self {
            Self::Json => Json::encode_error(error),
            Self::Cbor => Cbor::encode_error(error),
        }
    }
}

/// One call of an operation with output, from body to body.
pub(crate) async fn call<I, O, F>(
    protocol: Protocol,
    body: &[u8],
    operation: impl FnOnce(I) -> F + Send,
) -> Result<Vec<u8>, ApiError>
where
    I: DeserializeOwned,
    O: Serialize,
    F: Future<Output = Result<O, ApiError>>,
{
    let input = protocol.decode(body)?;
    protocol.encode(&operation(input).await?)
}

/// One call of an operation without output, whose answer has no body.
pub(crate) async fn call_without_output<I, F>(
    protocol: Protocol,
    body: &[u8],
    operation: impl FnOnce(I) -> F + Send,
) -> Result<Vec<u8>, ApiError>
where
    I: DeserializeOwned,
    F: Future<Output = Result<(), ApiError>>,
{
    let input = protocol.decode(body)?;
    operation(input).await?;
    Ok(Vec::new())
}

/// An answer that its codec cannot write: our fault.
pub(crate) fn unwritable(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(ErrorKind::InternalFailure, format!("the answer cannot be written: {error}"))
}
