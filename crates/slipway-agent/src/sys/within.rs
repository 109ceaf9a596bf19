//! Paths that must stay inside a directory (D-17): the rule is the validator's too, so it lives there.

pub use slipway_appspec::within::{Escape, resolve};
