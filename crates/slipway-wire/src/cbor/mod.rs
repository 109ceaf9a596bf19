//! Smithy RPC v2 CBOR (D-06).
//!
//! serde drives it, so that the generated types serve both protocols; the format underneath (RFC 8949) is ours. The
//! crates that do it were weighed: `ciborium` has no place for errors and hands out tags as enums, `minicbor-serde` has
//! no tags, no `undefined` and no limits, so what is below would have to be written around either. Both sides are
//! tested against `ciborium`.
//!
//! | module | what is in it |
//! |---|---|
//! | `head` | the first bytes of a data item |
//! | `decode` | from bytes to structures, within limits |
//! | `encode` | from structures to bytes: definite lengths, the shortest form of each number |

mod decode;
mod encode;
mod head;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Serialize};

use crate::codec::{self, Codec};
use crate::{ApiError, ErrorKind};
use decode::Decoder;

/// The codec of Smithy RPC v2 CBOR.
#[derive(Debug, Clone, Copy)]
pub struct Cbor;

/// What the names of the API's shapes stand in. Errors carry their absolute name; some clients compare all of it.
const NAMESPACE: &str = "com.amazonaws.codedeploy";

/// A body without a member.
const NO_MEMBERS: &[u8] = &[0xa0];

impl Codec for Cbor {
    const CONTENT_TYPE: &'static str = "application/cbor";

    fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
        let mut decoder = Decoder::new(if body.is_empty() { NO_MEMBERS } else { body });
        T::deserialize(&mut decoder)
            .and_then(|value| decoder.end().map(|()| value))
            .map_err(|error| ApiError::new(ErrorKind::SerializationException, decoder.in_words(&error)))
    }

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, ApiError> {
        encode::to_vec(value).map_err(|error| codec::unwritable(&error))
    }

    fn encode_error(error: &ApiError) -> Vec<u8> {
        let name = format!("{NAMESPACE}#{}", error.kind.as_str());
        encode::texts(&[("__type", &name), ("message", &error.message)])
    }
}

/// What a body says, as a tree; `None` only for bodies that no structure is read from either.
pub(crate) fn show(body: &[u8]) -> Option<serde_json::Value> {
    let mut decoder = Decoder::showing(if body.is_empty() { NO_MEMBERS } else { body });
    let value = serde_json::Value::deserialize(&mut decoder).ok()?;
    decoder.end().ok().map(|()| value)
}

/// Why a body is not read, or an answer not written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Error {
    /// A value is not what its member takes, in serde's words.
    Data(String),
    /// The bytes are no CBOR, or more than the limits allow.
    Invalid(&'static str),
    /// The bytes end inside a data item.
    Ends,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(text) => formatter.write_str(text),
            Self::Invalid(problem) => write!(formatter, "not valid CBOR: {problem}"),
            Self::Ends => formatter.write_str("the CBOR ends too early"),
        }
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Data(message.to_string())
    }
}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Data(message.to_string())
    }
}
