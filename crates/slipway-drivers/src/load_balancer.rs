//! Traffic to a host, taken away and given back (CF-223, OV-190).

use std::fmt;
use std::io;

use async_trait::async_trait;

/// One pool of hosts behind a load balancer: a HAProxy backend, a Classic Load Balancer, a target group.
///
/// The worker calls [`take_out`](Self::take_out) and [`put_in`](Self::put_in) again until they answer
/// [`Progress::Done`], within the time limit of the lifecycle event. Each call may be the first after a crash.
#[async_trait]
pub trait LoadBalancer: fmt::Debug + Send + Sync {
    /// Whether the pool sends traffic to the host, or would if it were healthy. A host that is in no pool before a
    /// deployment comes into all of them after it (D-29).
    async fn serves(&self, host: &str) -> Result<bool, DriverError>;

    /// Ends new traffic to the host, and waits for what is under way (A-19 of part 1: `BlockTraffic` waits until the
    /// host is out). A host that the pool does not know is out.
    async fn take_out(&self, host: &str, patience: Patience) -> Result<Progress, DriverError>;

    /// Lets traffic to the host again as soon as the load balancer itself finds it healthy.
    async fn put_in(&self, host: &str) -> Result<Progress, DriverError>;
}

/// What to do about connections that do not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Wait for them.
    Wait,
    /// The time is over: take the host out all the same.
    Cut,
}

/// How far an effect is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is as it should be.
    Done,
    /// Not yet; one sentence about what is waited for.
    Waiting(String),
}

impl Progress {
    /// The state of several pools together: done when all are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Done, other) => other,
            (waiting, Self::Done) => waiting,
            (Self::Waiting(one), Self::Waiting(other)) => Self::Waiting(format!("{one} {other}")),
        }
    }
}

/// Why a driver could not do its work. All of it may be better a moment later, except where it says so.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The other side cannot be reached.
    #[error("{endpoint} cannot be reached: {source}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// Why.
        source: io::Error,
    },
    /// The other side did not answer in time.
    #[error("{endpoint} did not answer within {seconds} s")]
    TimedOut {
        /// Where.
        endpoint: String,
        /// How long we waited.
        seconds: u64,
    },
    /// The pool does not exist: a mistake in the configuration, which repeating does not mend.
    #[error("{endpoint} has no pool {pool}")]
    NoSuchPool {
        /// Where.
        endpoint: String,
        /// The pool's name.
        pool: String,
    },
    /// The pool does not know the host that it should send traffic to.
    #[error(
        "{pool} at {endpoint} has no server {host}: add it, or take the load balancer out of the deployment group"
    )]
    NoSuchHost {
        /// Where.
        endpoint: String,
        /// The pool's name.
        pool: String,
        /// The host's name.
        host: String,
    },
    /// The other side refused a command.
    #[error("{endpoint} refused \"{command}\": {answer}")]
    Refused {
        /// Where.
        endpoint: String,
        /// What we said.
        command: String,
        /// What it said.
        answer: String,
    },
    /// The other side's answer is not what its documentation says.
    #[error("{endpoint} answered \"{command}\" with something that is not understood: {answer}")]
    NotUnderstood {
        /// Where.
        endpoint: String,
        /// What we said.
        command: String,
        /// The beginning of what it said.
        answer: String,
    },
}

impl DriverError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_pools_are_done_when_all_are() {
        let waiting = |text: &str| Progress::Waiting(text.to_owned());
        assert_eq!(Progress::Done.and(Progress::Done), Progress::Done);
        assert_eq!(waiting("A waits.").and(Progress::Done), waiting("A waits."));
        assert_eq!(Progress::Done.and(waiting("B waits.")), waiting("B waits."));
        assert_eq!(waiting("A waits.").and(waiting("B waits.")), waiting("A waits. B waits."));
    }
}
