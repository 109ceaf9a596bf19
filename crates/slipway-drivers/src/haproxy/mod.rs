//! HAProxy through its runtime API (the `stats socket` with `level admin`), HAProxy 2.2 or later.
//!
//! A host is the server of that name in one backend, on every HAProxy that is named: pairs that share an address are
//! changed together. Taking a host out is `drain`, and `maint` once nothing is under way; letting it in again goes
//! through `drain` with its health set to down, so that it is HAProxy's own checks that find it healthy before the
//! first request gets there. (Out of `maint` straight into `ready`, a server counts as healthy until a check fails.)
//! A server without checks is taken at its word.

mod runtime;
mod server;

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;

use crate::{DriverError, LoadBalancer, Patience, Progress};
use runtime::Runtime;
use server::Server;

/// Where a HAProxy takes commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket file.
    Unix(PathBuf),
    /// `HOST:PORT`. Whoever reaches it rules the load balancer: loopback or a private network only.
    Tcp(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

impl From<&str> for Endpoint {
    /// What begins with `/` is a socket file.
    fn from(text: &str) -> Self {
        if text.starts_with('/') { Self::Unix(text.into()) } else { Self::Tcp(text.to_owned()) }
    }
}

/// A backend of one or several HAProxies.
#[derive(Debug)]
pub struct HaProxy {
    runtimes: Vec<Runtime>,
    backend: String,
}

impl HaProxy {
    /// The backend of that name on all of these. `None` if the name is none that HAProxy allows: letters, digits and
    /// `-_.:`.
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>, backend: &str) -> Option<Self> {
        is_name(backend).then(|| Self {
            runtimes: endpoints.into_iter().map(Runtime::new).collect(),
            backend: backend.to_owned(),
        })
    }

    async fn server(&self, runtime: &Runtime, host: &str) -> Result<Option<Server>, DriverError> {
        // No server has such a name, and no such name may reach the command line.
        if is_name(host) { server::find(runtime, &self.backend, host).await } else { Ok(None) }
    }

    async fn take_out_of(
        &self,
        runtime: &Runtime,
        host: &str,
        patience: Patience,
    ) -> Result<Progress, DriverError> {
        let Some(server) = self.server(runtime, host).await? else { return Ok(Progress::Done) };
        if server.in_maintenance() {
            return Ok(Progress::Done);
        }
        let name = format!("{}/{host}", self.backend);
        if !server.drains() {
            runtime.change(&format!("set server {name} state drain")).await?;
        }
        let open = server::sessions(runtime, &self.backend, host).await?;
        if open > 0 && patience == Patience::Wait {
            return Ok(Progress::Waiting(format!("{name} at {runtime} still has {open} open session(s).")));
        }
        runtime.change(&format!("set server {name} state maint")).await?;
        Ok(Progress::Done)
    }

    async fn put_in_to(&self, runtime: &Runtime, host: &str) -> Result<Progress, DriverError> {
        let server = self.server(runtime, host).await?.ok_or_else(|| DriverError::NoSuchHost {
            endpoint: runtime.to_string(),
            pool: self.backend.clone(),
            host: host.to_owned(),
        })?;
        let name = format!("{}/{host}", self.backend);
        if server.in_maintenance() && server.is_checked() {
            // One line, carried out as a whole: never in drain and believed to be healthy.
            let commands = format!("set server {name} state drain; set server {name} health down");
            runtime.change(&commands).await?;
            return Ok(self.waits_for_health(runtime, host));
        }
        if server.is_checked() && !server.is_up() {
            return Ok(self.waits_for_health(runtime, host));
        }
        if server.in_maintenance() || server.drains() {
            runtime.change(&format!("set server {name} state ready")).await?;
        }
        Ok(Progress::Done)
    }

    fn waits_for_health(&self, runtime: &Runtime, host: &str) -> Progress {
        Progress::Waiting(format!("{}/{host} at {runtime} has not passed its health checks.", self.backend))
    }
}

#[async_trait]
impl LoadBalancer for HaProxy {
    async fn serves(&self, host: &str) -> Result<bool, DriverError> {
        for runtime in &self.runtimes {
            let server = self.server(runtime, host).await?;
            if server.is_some_and(|server| !server.in_maintenance() && !server.drains()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn take_out(&self, host: &str, patience: Patience) -> Result<Progress, DriverError> {
        let mut progress = Progress::Done;
        for runtime in &self.runtimes {
            progress = progress.and(self.take_out_of(runtime, host, patience).await?);
        }
        Ok(progress)
    }

    async fn put_in(&self, host: &str) -> Result<Progress, DriverError> {
        let mut progress = Progress::Done;
        for runtime in &self.runtimes {
            progress = progress.and(self.put_in_to(runtime, host).await?);
        }
        Ok(progress)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_name_reaches_the_command_line() {
        for name in ["web-1", "a.b:c_D", "10.0.0.1:80"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "web 1", "a;b", "a\nshutdown", "a/b", "é"] {
            assert!(!is_name(name), "{name:?}");
        }
        assert!(HaProxy::new([Endpoint::from("/run/haproxy.sock")], "a; b").is_none());
    }
}
