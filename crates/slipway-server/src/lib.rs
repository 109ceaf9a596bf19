//! The control plane: one HTTPS port that serves every API (D-02), the workers behind it, and the wiring of both.
//!
//! | module | what is in it |
//! |---|---|
//! | [`control`] | [`control::ControlPlane`]: what every request and worker needs: store, clock, hub, signer, settings |
//! | [`clock`] | time and randomness, the only place that reads either |
//! | [`config`], [`logging`], [`health`] | configuration with its sources, the log, health and metrics |
//! | [`start`] | first start, wiring, [`start::run`] |
//! | [`http`] | listener, TLS, and the entry through which every request goes |
//! | [`pki`], [`spec`] | certificates; the signature under deployment specifications |
//! | [`access`], [`identities`] | who sent a request and what they may do |
//! | [`api`] | CodeDeploy, IAM and STS |
//! | [`audit`], [`throttle`] | the audit trail; how fast each caller may ask |
//! | [`commands`], [`hub`] | the agents' command API and its parked polls |
//! | [`work`] | the workers that carry out what is due |
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use slipway_server::config::{Config, Sources};
//!
//! let config = Config::load(&Sources { environment: std::env::vars().collect(), ..Sources::default() })?;
//! slipway_server::logging::init(&config)?;
//! slipway_server::start::run(config, |url| println!("ready {url}")).await?;
//! # Ok(())
//! # }
//! ```

pub mod access;
pub mod api;
pub mod audit;
pub mod clock;
pub mod commands;
pub mod config;
pub mod control;
mod error;
mod files;
pub mod health;
pub mod http;
pub mod hub;
pub mod identities;
#[cfg(test)]
mod lab;
pub mod logging;
pub mod pki;
mod s3;
pub mod spec;
pub mod start;
pub mod throttle;
pub mod work;
