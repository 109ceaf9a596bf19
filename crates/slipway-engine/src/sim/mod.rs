//! The simulator: the real engine over a model store, in virtual time, with seeded randomness.
//!
//! A run is a pure function of its [`Scenario`]: nodes run the loop of the real control plane over [`crate::work`],
//! hosts poll, acknowledge, run and report as the official agents do, users deploy and stop, and fate kills, delays,
//! repeats and loses. Every question to the store is a point at which a node may be stopped for good. A checker looks at
//! every commit and every answer.
//!
//! | module | what is in it |
//! |---|---|
//! | [`scenario`] | what happens in a run, made from a seed |
//! | [`store`] | the model store and its faults |
//! | `node`, `host`, `user` | the actors |
//! | `check` | what must hold |
//! | `world` | the scheduler |
//! | [`shrink`] | the smallest scenario that still fails |
//! | [`speed`] | whole deployments, for measuring what they cost |
//! | `proofs` | each step twice, failing, crashed; everything delayed |

mod check;
mod core;
mod host;
mod node;
#[cfg(test)]
mod proofs;
mod random;
pub mod scenario;
pub mod shrink;
pub mod speed;
pub mod store;
mod tables;
#[cfg(test)]
mod tests;
mod user;
mod world;

pub use check::Ending;
pub use scenario::Scenario;
pub use world::{Disturbance, Run, Violation, run};
