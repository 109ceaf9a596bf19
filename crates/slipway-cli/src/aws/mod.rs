//! A small client of the AWS wire: what the commands need of CodeDeploy and S3, signed with SigV4. What registering a host
//! takes is the agent's (`slipway_agent::registration`).
//!
//! Everything that talks to a running control plane goes through here and uses nothing but the public APIs.
//!
//! * [`Connection`]: the flags that say which control plane, and as whom; [`settings`] completes them from the
//!   environment as every AWS client does.
//! * [`Client`]: [`Client::codedeploy`] (JSON 1.1), [`s3`] (REST).
//! * [`CallError`]: what went wrong, in a sentence.

mod client;
mod error;
mod profiles;
pub(crate) mod s3;
pub(crate) mod settings;
mod sign;
mod xml;

pub(crate) use client::Client;
pub(crate) use error::CallError;
pub(crate) use settings::{Connection, Settings};
