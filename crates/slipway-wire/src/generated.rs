//! What `wire-gen` writes.

pub mod codedeploy;
pub mod commands;
pub(crate) mod errors;
