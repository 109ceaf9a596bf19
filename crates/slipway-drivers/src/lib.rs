//! What a deployment touches outside the control plane: load balancers, and later Auto Scaling and EC2 discovery,
//! Lambda, ECS, alarms and notifications.
//!
//! Each is a small trait with an `aws` implementation behind the feature of that name and, where one exists, a local
//! one, so that neither engine nor server ever links an SDK.
//!
//! | trait | local | AWS |
//! |---|---|---|
//! | [`LoadBalancer`] | [`haproxy`] | not yet |
//!
//! Effects are carried out at least once (an outbox row survives its worker), so every call can be repeated: it looks
//! where things stand and does what is left.

pub mod haproxy;
mod load_balancer;

pub use load_balancer::{DriverError, LoadBalancer, Patience, Progress};
