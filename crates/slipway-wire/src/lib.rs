//! The AWS wire: request and response types, constraints, errors, codecs.
//!
//! * [`codedeploy`] and [`commands`]: the CodeDeploy API and the agents' command API, generated from the compact
//!   models in `api/` by the `wire-gen` binary: structures, listed values, the operation table, the [`Service`] trait
//!   that a server implements and the dispatcher that feeds it.
//! * [`target::Target`]: which operation a JSON request asks for.
//! * [`ErrorKind`], [`ApiError`]: every error that a client can see, and one with its message.
//! * [`Json`], [`Cbor`]: the codecs of AWS JSON 1.1 and Smithy RPC v2 CBOR, for the same types (D-06);
//!   [`codec::Protocol`] is the one that a request came in.
//! * [`query`]: form bodies and XML answers, the protocol of IAM and STS.
//! * [`Timestamp`], [`constraint`]: the values that need more than a Rust primitive.
//!
//! [`Service`]: codedeploy::Service
//!
//! ```
//! use slipway_wire::codec::Codec as _;
//! use slipway_wire::codedeploy::{CreateApplicationInput, Operation};
//! use slipway_wire::{ErrorKind, Json};
//!
//! let operation = Operation::from_target("CodeDeploy_20141006.CreateApplication");
//! assert_eq!(operation, Some(Operation::CreateApplication));
//!
//! let input: CreateApplicationInput = Json::decode(br#"{"applicationName": "shop"}"#)?;
//! assert_eq!(input.application_name.as_deref(), Some("shop"));
//!
//! let error = Json::decode::<CreateApplicationInput>(br#"{"applicationName": 5}"#).unwrap_err();
//! assert_eq!(error.kind, ErrorKind::SerializationException);
//! assert!(error.message.starts_with("applicationName: expected a string, found a number (line 1"));
//! # Ok::<(), slipway_wire::ApiError>(())
//! ```

mod cbor;
pub mod codec;
pub mod constraint;
mod error;
mod generated;
mod json;
mod object;
pub mod query;
pub mod target;
mod timestamp;
mod values;
mod words;

pub use cbor::Cbor;
pub use error::ApiError;
pub use generated::errors::ErrorKind;
pub use generated::{codedeploy, commands};
pub use json::Json;
pub use timestamp::{ParseTimestampError, Timestamp};
pub use values::UnknownValue;
