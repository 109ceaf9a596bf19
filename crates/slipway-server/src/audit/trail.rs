//! The queue between requests and files, and the delivery of sealed files to a bucket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use slipway_artifacts::Artifacts;
use slipway_model::AccountId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::call::{Answered, Call};
use super::files::{AuditError, Files, Rotation};
use super::record;
use crate::clock::Clock;
use crate::files;

/// Calls that wait to be written. When there are more, requests wait: the disk is slower than they are.
const QUEUE: usize = 1024;
/// Records of one write.
const BATCH: usize = 256;
/// How often what was written is made durable, and rotation and delivery are looked at.
const TICK: Duration = Duration::from_secs(1);
/// The last file that was delivered.
const DELIVERED: &str = "delivered";

/// How the trail is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether there is one.
    pub enabled: bool,
    /// When a file is sealed and the next one begun.
    pub rotation: Rotation,
    /// The bucket of the embedded store that sealed files are delivered to.
    pub bucket: Option<String>,
}

/// The entrance to the trail.
#[derive(Debug)]
pub(crate) struct Trail {
    queue: Option<mpsc::Sender<Message>>,
}

/// A call that is being carried out.
pub(crate) struct Pending(Option<(mpsc::Sender<Message>, Box<Call>)>);

impl Pending {
    /// Leaves the call with its answer to be recorded.
    pub(crate) async fn end(mut self, answered: Answered) {
        let Some((queue, call)) = &mut self.0 else { return };
        call.answered = answered.kept();
        // The call stays here until there is room for it: this future may be dropped, too.
        let Ok(place) = queue.clone().reserve_owned().await else {
            tracing::error!(target: "audit", "a call could not be recorded: the trail is closed");
            return;
        };
        if let Some((_, call)) = self.0.take() {
            place.send(Message::Call(call));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some((queue, call)) = self.0.take() else { return };
        match queue.try_send(Message::Call(call)) {
            Ok(()) => {}
            // Without a runtime everything has ended, the trail too.
            Err(mpsc::error::TrySendError::Full(message)) => match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(async move { queue.send(message).await })),
                Err(_) => {
                    tracing::error!(target: "audit", "a call could not be recorded: nothing runs any more");
                }
            },
            Err(mpsc::error::TrySendError::Closed(_)) => {
                tracing::error!(target: "audit", "a call could not be recorded: the trail is closed");
            }
        }
    }
}

enum Message {
    Call(Box<Call>),
    /// Write everything before this, seal, and say so.
    Close(oneshot::Sender<()>),
}

/// Where sealed files go.
pub(crate) struct Delivery {
    /// The embedded store.
    pub(crate) artifacts: Artifacts,
    /// The bucket.
    pub(crate) bucket: String,
    /// Its owner.
    pub(crate) account: AccountId,
}

impl Trail {
    /// Opens the trail below a data directory; the task writes until it is told to close.
    pub(crate) fn open(
        data_dir: &Path,
        settings: &Settings,
        delivery: Option<Delivery>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Option<JoinHandle<()>>), AuditError> {
        if !settings.enabled {
            return Ok((Self { queue: None }, None));
        }
        let files = Files::open(data_dir, settings.rotation)?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Writer { files: Some(files), clock, delivery, delivery_failed: false };
        let task = tokio::spawn(writer.run(receiver));
        Ok((Self { queue: Some(sender) }, Some(task)))
    }

    /// Takes note of a call that is about to be carried out. It is recorded however it ends: a client that leaves early
    /// must not get its call past the trail.
    pub(crate) fn begin(&self, call: Call) -> Pending {
        Pending(self.queue.clone().map(|queue| (queue, Box::new(call))))
    }

    /// Writes everything that was left and seals the file.
    pub(crate) async fn close(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, written) = oneshot::channel();
        if queue.send(Message::Close(done)).await.is_ok() {
            // An error means that the task is gone, and with it all there was to wait for.
            let _ = written.await;
        }
    }
}

struct Writer {
    /// Away while a blocking thread works with them.
    files: Option<Files>,
    clock: Arc<dyn Clock>,
    delivery: Option<Delivery>,
    delivery_failed: bool,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = queue.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        self.work(Vec::new(), Then::Seal).await;
                        return;
                    }
                }
                _ = tick.tick() => {
                    self.work(Vec::new(), Then::Keep).await;
                    self.deliver().await;
                    continue;
                }
            }
            let mut calls = Vec::with_capacity(batch.len());
            let mut closing = None;
            for message in batch.drain(..) {
                match message {
                    Message::Call(call) => calls.push(*call),
                    Message::Close(done) => closing = Some(done),
                }
            }
            if let Some(done) = closing {
                self.work(calls, Then::Seal).await;
                self.deliver().await;
                // Nobody waits any more when the stop was cut short.
                let _ = done.send(());
                return;
            }
            self.work(calls, Then::Nothing).await;
        }
    }

    /// Writes records on a thread that may block.
    async fn work(&mut self, calls: Vec<Call>, then: Then) {
        let Some(mut files) = self.files.take() else { return };
        let now_ms = self.clock.now().0;
        let work = tokio::task::spawn_blocking(move || {
            let outcome = write(&mut files, calls, then, now_ms);
            (files, outcome)
        });
        match work.await {
            Ok((files, outcome)) => {
                self.files = Some(files);
                if let Err((error, lost)) = outcome {
                    tracing::error!(target: "audit", %error, lost, "the trail cannot be written");
                }
            }
            Err(error) => tracing::error!(target: "audit", %error, "the trail is not written any more"),
        }
    }

    /// Copies sealed files to the bucket, each once.
    async fn deliver(&mut self) {
        let (Some(delivery), Some(files)) = (&self.delivery, &mut self.files) else { return };
        if !files.take_news() && !self.delivery_failed {
            return;
        }
        match deliver(delivery, files).await {
            Ok(()) => self.delivery_failed = false,
            // Once, and not every second.
            Err(error) if !self.delivery_failed => {
                self.delivery_failed = true;
                tracing::error!(target: "audit", error, bucket = delivery.bucket, "the trail cannot be delivered");
            }
            Err(_) => {}
        }
    }
}

/// What to do behind the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    /// Sync, and rotate when it is time.
    Keep,
    /// Sync and seal.
    Seal,
}

fn write(files: &mut Files, calls: Vec<Call>, then: Then, now_ms: i64) -> Result<(), (AuditError, usize)> {
    let lines: Vec<String> = calls
        .into_iter()
        .map(|call| {
            serde_json::to_string(&record::of(call))
                .expect("texts, numbers and maps with text keys serialise")
        })
        .collect();
    files.append(&lines, now_ms).map_err(|error| (error, lines.len()))?;
    let rest = match then {
        Then::Nothing => files.rotate(now_ms),
        Then::Keep => files.sync().and_then(|()| files.rotate(now_ms)),
        Then::Seal => files.sync().and_then(|()| files.seal()),
    };
    rest.map_err(|error| (error, 0))
}

async fn deliver(delivery: &Delivery, files: &Files) -> Result<(), String> {
    let marker: PathBuf = files.path(DELIVERED);
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let last = files::read_text(&marker).map_err(|error| text(&error))?.unwrap_or_default();
    for name in files.sealed_after(last.trim()).map_err(|error| text(&error))? {
        let content = tokio::fs::read(files.path(&name)).await.map_err(|error| text(&error))?;
        let Delivery { artifacts, bucket, account } = delivery;
        artifacts.ensure_bucket(bucket, account.as_str(), false).await.map_err(|error| text(&error))?;
        let key = key(account, &name);
        artifacts
            .put(bucket, &key, "application/json", content.into())
            .await
            .map_err(|error| text(&error))?;
        files::write_atomic(&marker, name.as_bytes(), files::SECRET).map_err(|error| text(&error))?;
    }
    Ok(())
}

/// CloudTrail's layout: `AWSLogs/<account>/CloudTrail/<year>/<month>/<day>/<file>`.
fn key(account: &AccountId, name: &str) -> String {
    let stamp = name.rsplit('-').next().unwrap_or_default();
    let day = match (stamp.get(..4), stamp.get(4..6), stamp.get(6..8)) {
        (Some(year), Some(month), Some(day)) => format!("{year}/{month}/{day}/"),
        _ => String::new(),
    };
    format!("AWSLogs/{account}/CloudTrail/{day}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivered_files_lie_where_cloudtrail_puts_them_dp_434() {
        let account = AccountId::new("000000000001").unwrap();
        assert_eq!(
            key(&account, "slipway-audit-0000000007-20261121T070501Z.json"),
            "AWSLogs/000000000001/CloudTrail/2026/11/21/slipway-audit-0000000007-20261121T070501Z.json"
        );
    }
}
