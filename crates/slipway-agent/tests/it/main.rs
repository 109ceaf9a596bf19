//! The agent against an in-process control plane over real TLS, with real scripts.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod deployment;
mod hooks;
mod hostile;
mod isolation;
mod network;
mod pauses;
mod recovery;
mod service;
mod signature;
mod sources;
mod support;
