//! The command loop: poll, work, report; up to sixteen commands at a time (AG-057, AP-09, AP-27).

mod backoff;
mod command;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use command::Worker;

use crate::client::{ClientError, HostCommand};
use crate::clock;

/// A server never has more outstanding at one host (AP-38).
pub const MOST_COMMANDS: usize = 16;

/// Failed polls that are repeated after moments.
const QUICK_TRIES: u32 = 3;
/// The longest of those moments.
const MOST_QUICK: Duration = Duration::from_millis(1200);

/// The pauses that the configuration sets.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Least time between two polls that brought nothing.
    pub wait_between_runs: Duration,
    /// After a throttling answer.
    pub wait_after_throttle_error: Duration,
    /// How long a stop waits for commands in work (AG-045).
    pub stop_wait: Duration,
}

/// Polls, and gives each command to a task of its own.
#[derive(Debug)]
pub struct Poller {
    worker: Arc<Worker>,
    timing: Timing,
    stop: watch::Receiver<bool>,
    /// Identifiers in work: the same one is not run twice (AP-37).
    in_work: Arc<Mutex<HashSet<String>>>,
}

impl Poller {
    /// A loop that ends when `stop` becomes true.
    pub fn new(worker: Arc<Worker>, timing: Timing, stop: watch::Receiver<bool>) -> Self {
        Self { worker, timing, stop, in_work: Arc::default() }
    }

    /// Runs until told to stop; then waits for the commands in work.
    pub async fn run(self) {
        let mut tasks = JoinSet::new();
        let mut stop = self.stop.clone();
        for unfinished in self.worker.tracker.unfinished(clock::now()) {
            let worker = Arc::clone(&self.worker);
            tasks.spawn(async move { worker.recover(unfinished).await });
        }
        let mut errors = 0;
        while !*stop.borrow() {
            while let Some(ended) = tasks.try_join_next() {
                self.note_panic(ended);
            }
            if tasks.len() >= MOST_COMMANDS {
                tokio::select! {
                    ended = tasks.join_next() => ended.into_iter().for_each(|ended| self.note_panic(ended)),
                    _ = stop.changed() => {}
                }
                continue;
            }
            let started = Instant::now();
            // A poll in flight is dropped at a stop: its command, if any, comes again after its lease (AP-38).
            let answer = tokio::select! {
                answer = self.poll() => answer,
                _ = stop.changed() => break,
            };
            let pause = match answer {
                Ok(Some(command)) => {
                    errors = 0;
                    if self.start(command, &mut tasks) {
                        continue;
                    }
                    backoff::after_nothing(started.elapsed(), self.timing.wait_between_runs)
                }
                Ok(None) => {
                    errors = 0;
                    backoff::after_nothing(started.elapsed(), self.timing.wait_between_runs)
                }
                Err(error) => {
                    errors += 1;
                    self.pause_after(&error, errors, started.elapsed())
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.changed() => {}
            }
        }
        self.drain(tasks).await;
    }

    async fn poll(&self) -> Result<Option<HostCommand>, ClientError> {
        let Some(command) = self.worker.client.poll(&self.worker.host).await? else { return Ok(None) };
        // AP-08, AG-059: any part of our identifier will do.
        if !self.worker.host.contains(&command.host_identifier) {
            return Err(ClientError::Answer(format!(
                "Host Identifier mismatch: {} != {}",
                self.worker.host, command.host_identifier
            )));
        }
        if command.command_name.is_empty() {
            return Err(ClientError::Answer("Command Name missing".to_owned()));
        }
        Ok(Some(command))
    }

    /// Starts a task for the command; `false` when it is in work already.
    fn start(&self, command: HostCommand, tasks: &mut JoinSet<()>) -> bool {
        let identifier = command.host_command_identifier.clone();
        let Some(place) = Place::take(&self.in_work, identifier.clone()) else {
            self.worker.log.warn(format_args!("Command {identifier} is being worked on already; skipped"));
            return false;
        };
        let worker = Arc::clone(&self.worker);
        tasks.spawn(async move {
            let work = Arc::clone(&worker).handle(command);
            if let Err(panic) = guarded(work).await {
                worker.lost(&identifier, &panic).await;
            }
            drop(place);
        });
        true
    }

    /// AG-068.
    fn pause_after(&self, error: &ClientError, errors: u32, took: Duration) -> Duration {
        let log = &self.worker.log;
        match error {
            ClientError::Credentials(error) => log.error(format_args!(
                "Missing credentials - please check if this instance was started with an IAM instance profile ({error})"
            )),
            ClientError::Refused { .. } => log
                .error(format_args!("Cannot reach InstanceService: Aws::CodeDeployCommand::Errors::{error}")),
            other => log.error(other),
        }
        // A restart of the control plane takes a moment: three quick tries, as the SDK below the official agent makes
        // (AP-34), before the back-off of AG-067 begins.
        if error.is_transient() && !error.is_throttling() && errors <= QUICK_TRIES {
            return backoff::before_repeat(errors - 1, MOST_QUICK, backoff::jitter());
        }
        let errors = if error.is_transient() { errors.saturating_sub(QUICK_TRIES).max(1) } else { errors };
        if error.is_throttling() {
            return self.timing.wait_after_throttle_error.mul_f64(1.0 + backoff::jitter() * 0.25);
        }
        backoff::after_error(errors, took, self.timing.wait_between_runs, backoff::jitter())
    }

    fn note_panic(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended {
            self.worker.log.error(format_args!("A command was lost: {error}"));
        }
    }

    /// AG-045: running commands may finish, within limits.
    async fn drain(&self, mut tasks: JoinSet<()>) {
        if tasks.is_empty() {
            return;
        }
        self.worker.log.info(format_args!("Waiting for {} commands to finish", tasks.len()));
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.timing.stop_wait, all).await.is_err() {
            self.worker.log.warn("Some commands did not finish in time; they are reported at the next start");
        }
    }
}

/// Runs work that may panic; the error is the panic's message. A command that ended so is told to the server like any
/// other: the event would wait for it until its limit.
async fn guarded<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    tokio::spawn(work).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panic".to_owned()),
        Err(error) => error.to_string(),
    })
}

/// An identifier in work, given back however its task ends.
struct Place {
    set: Arc<Mutex<HashSet<String>>>,
    identifier: String,
}

impl Place {
    fn take(set: &Arc<Mutex<HashSet<String>>>, identifier: String) -> Option<Self> {
        let fresh = set.lock().unwrap_or_else(PoisonError::into_inner).insert(identifier.clone());
        fresh.then(|| Self { set: Arc::clone(set), identifier })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.identifier);
    }
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[tokio::test]
    async fn a_panic_ends_one_command_and_tells_its_words() {
        assert_eq!(guarded(async { 1 }).await, Ok(1));
        let number = 7;
        let panic = guarded(async move { assert!(number == 0, "no {number}") }).await;
        assert_eq!(panic, Err("no 7".to_owned()));
    }
}
