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
//! * [`identity`] is who this host is: by its on-premises file, or, on EC2, by [`imds`]. [`session`] keeps the session
//!   of a host that has one alive; [`api`] is the client of the public APIs for it.
//! * [`registration`] makes a machine a host, and undoes it.
//! * [`local`] is `codedeploy-local`: the executor without a control plane.
//! * [`layout`] knows where everything lies, [`logs`] what is written about it; [`sys`] is the one place of
//!   system calls.
//!
//! ```no_run
//! use slipway_agent::{agent::Agent, config::Config, identity, logs::AgentLog};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load("/etc/codedeploy-agent/conf/codedeployagent.yml".as_ref())?;
//! config.prepare_directories()?;
//! let log = AgentLog::to_stderr(false);
//! let host = identity::of_this_host(&config, &log).await?;
//! let (_stop, stopped) = tokio::sync::watch::channel(false);
//! let agent = Agent::new(&config, host, std::env::current_exe()?, &log, stopped)?;
//! agent.run().await;
//! # Ok(())
//! # }
//! ```

pub mod agent;
pub mod api;
pub mod client;
pub mod clock;
pub mod config;
pub mod download;
pub mod executor;
pub mod hooks;
pub mod http;
pub mod identity;
pub mod imds;
pub mod install;
pub mod layout;
pub mod local;
pub mod logs;
pub mod poller;
pub mod process;
pub mod registration;
pub mod session;
pub mod sign;
pub mod spec;
pub mod sys;
pub mod tracking;
pub mod unpack;
pub mod version;
