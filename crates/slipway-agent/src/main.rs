//! The `slipway-agent` command.
fn main() {}
