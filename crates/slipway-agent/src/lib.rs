//! The host agent: polls, downloads, unpacks, installs, runs hooks, reports.
//!
//! One asynchronous process. [`process`] is the command line and the service; [`agent::Agent`] puts the rest
//! together from a [`config::Config`]:
//!
//! * [`poller`] asks the [`client`] for commands and gives each to a task: specification ([`spec`], its
//!   signature checked), acknowledgement, work, report. [`tracking`] makes crashes and pauses of the control
//!   plane harmless.
//! * [`executor`] does the work: [`download`] and [`unpack`] the bundle, [`install`] its files, run its
//!   scripts ([`hooks`]).
//! * [`layout`] knows where everything lies, [`logs`] what is written about it; [`sys`] is the one place of
//!   system calls.
//!
//! ```no_run
//! use slipway_agent::{agent::Agent, config::Config, logs::AgentLog};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load("/etc/codedeploy-agent/conf/codedeployagent.yml".as_ref())?;
//! config.prepare_directories()?;
//! let (_stop, stopped) = tokio::sync::watch::channel(false);
//! let agent = Agent::new(&config, std::env::current_exe()?, &AgentLog::to_stderr(false), stopped)?;
//! agent.run().await;
//! # Ok(())
//! # }
//! ```

pub mod agent;
pub mod client;
pub mod clock;
pub mod config;
pub mod download;
pub mod executor;
pub mod hooks;
pub mod http;
pub mod install;
pub mod layout;
pub mod logs;
pub mod poller;
pub mod process;
pub mod sign;
pub mod spec;
pub mod sys;
pub mod tracking;
pub mod unpack;
pub mod version;
