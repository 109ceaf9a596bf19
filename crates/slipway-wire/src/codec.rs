//! The boundary between a wire format and everything else.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ApiError;

/// A wire format for structures. Protocols that carry the same structures in another format (Smithy RPC v2 CBOR, D-06)
/// implement this and reuse every generated type and dispatcher.
pub trait Codec {
    /// The media type of bodies.
    const CONTENT_TYPE: &'static str;

    /// Reads a structure. An empty body is the structure without members.
    ///
    /// Fails with `SerializationException`, whose message says what is wrong and where.
    fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError>;

    /// Writes a structure.
    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, ApiError>;

    /// The body of a success of an operation without output.
    fn encode_no_output() -> Vec<u8> {
        Vec::new()
    }

    /// The body of an error answer.
    fn encode_error(error: &ApiError) -> Vec<u8>;
}

/// One call of an operation with output, from body to body.
pub(crate) async fn call<C, I, O, F>(
    body: &[u8],
    operation: impl FnOnce(I) -> F + Send,
) -> Result<Vec<u8>, ApiError>
where
    C: Codec,
    I: DeserializeOwned,
    O: Serialize,
    F: Future<Output = Result<O, ApiError>>,
{
    let input = C::decode(body)?;
    C::encode(&operation(input).await?)
}

/// One call of an operation without output.
pub(crate) async fn call_without_output<C, I, F>(
    body: &[u8],
    operation: impl FnOnce(I) -> F + Send,
) -> Result<Vec<u8>, ApiError>
where
    C: Codec,
    I: DeserializeOwned,
    F: Future<Output = Result<(), ApiError>>,
{
    let input = C::decode(body)?;
    operation(input).await?;
    Ok(C::encode_no_output())
}
