//! The writer: one thread, one connection, one transaction for everybody who waits.
//!
//! Making a transaction durable costs one sync of the disk, whatever is in it. So the writer takes all requests that
//! have come in while it was busy, gives each its own savepoint, commits them together, and answers. Under load the
//! groups grow by themselves; without load nobody waits for anybody.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rusqlite::Connection;
use slipway_model::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::apply::{self, Failure, Memory, sql_error};
use super::wakeups;
use crate::change::{ChangeSet, CommitError, Write};
use crate::rows::{Notice, Wakeup};

/// Requests that are committed together at most.
const GROUP: usize = 256;

/// The value of [`Earliest`] when nothing is asked for.
const NEVER: i64 = i64::MAX;

/// When the first wake-up may be claimed, as of the last commit. Known without asking the database, because only the
/// writer changes it; always set before anybody hears of the commit.
#[derive(Debug, Clone)]
pub(super) struct Earliest(Arc<AtomicI64>);

impl Earliest {
    pub(super) fn load(db: &Connection) -> rusqlite::Result<Self> {
        let first = wakeups::earliest(db)?;
        Ok(Self(Arc::new(AtomicI64::new(first.map_or(NEVER, |at| at.0)))))
    }

    pub(super) fn get(&self) -> Option<Timestamp> {
        Some(self.0.load(Ordering::Acquire)).filter(|at| *at != NEVER).map(Timestamp)
    }

    /// Sets it; whether it is earlier than before.
    fn set(&self, first: Option<Timestamp>) -> bool {
        let first = first.map_or(NEVER, |at| at.0);
        first < self.0.swap(first, Ordering::AcqRel)
    }
}

/// What the writer has done since it was started.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) transactions: AtomicU64,
    pub(super) requests: AtomicU64,
}

/// What the writer is asked for.
pub(super) enum Request {
    Commit {
        change: ChangeSet,
        reply: oneshot::Sender<Result<(), CommitError>>,
    },
    Claim {
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
        reply: oneshot::Sender<Result<Vec<Wakeup>, CommitError>>,
    },
    /// Finish what is queued and end.
    Close,
    /// Lets a test hold the writer up, or change its connection.
    #[cfg(test)]
    Run(Box<dyn FnOnce(&Connection) + Send>),
}

/// The result of a request inside a transaction that is not committed yet.
enum Outcome {
    Written,
    Claimed(Vec<Wakeup>),
}

/// What has become of each request of a group.
type Outcomes = Vec<Result<Outcome, CommitError>>;

/// Why a whole group was not committed.
struct GroupFailure {
    error: Box<CommitError>,
    /// The database gave up the transaction because of one request, and nothing of any is stored: the others may
    /// succeed without it.
    one_is_to_blame: bool,
}

impl GroupFailure {
    /// The transaction has been lost, or the disk has no room for all of it.
    fn before_commit(error: CommitError) -> Self {
        Self { error: Box::new(error), one_is_to_blame: true }
    }

    /// The transaction could not be begun or ended.
    fn of_transaction(error: &rusqlite::Error) -> Self {
        let error = sql_error(error);
        let one_is_to_blame = matches!(error, CommitError::DiskFull(_));
        Self { error: Box::new(error), one_is_to_blame }
    }
}

pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) memory: Memory,
    pub(super) earliest: Earliest,
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) counters: Arc<Counters>,
    /// Released when the writer has closed the database.
    pub(super) lock: File,
}

impl Writer {
    /// Serves until it is told to close or nobody can ask any more.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(request) = queue.try_recv()
            {
                group.push(request);
            }
            if group.iter().any(|request| matches!(request, Request::Close)) {
                // From here on senders are refused; what was accepted before is still received by the loop.
                queue.close();
            }
            self.serve(group);
        }
        self.shut();
    }

    fn shut(self) {
        let Self { db, lock, .. } = self;
        // Closing the last connection copies the log into the database and removes it.
        if let Err((_, error)) = db.close() {
            tracing::warn!(%error, "the database was not closed cleanly; its log will be read at the next start");
        }
        drop(lock);
    }

    fn serve(&mut self, group: Vec<Request>) {
        #[cfg(test)]
        let group = self.run_hooks(group);
        let group: Vec<Request> =
            group.into_iter().filter(|request| !matches!(request, Request::Close)).collect();
        if group.is_empty() {
            return;
        }
        match self.transaction(&group) {
            Ok(outcomes) => self.committed(group, outcomes),
            Err(failure) if failure.one_is_to_blame && group.len() > 1 => {
                for request in group {
                    self.serve(vec![request]);
                }
            }
            Err(failure) => {
                tracing::error!(error = %failure.error, requests = group.len(), "commit failed");
                for request in group {
                    answer(request, Err((*failure.error).clone()));
                }
            }
        }
    }

    #[cfg(test)]
    fn run_hooks(&self, group: Vec<Request>) -> Vec<Request> {
        let mut rest = Vec::new();
        for request in group {
            match request {
                Request::Run(hook) => hook(&self.db),
                other => rest.push(other),
            }
        }
        rest
    }

    /// Runs all requests in one transaction and makes it durable.
    fn transaction(&mut self, group: &[Request]) -> Result<Outcomes, GroupFailure> {
        // Does nothing, unless the last roll-back has failed too.
        self.roll_back();
        self.execute("BEGIN IMMEDIATE").map_err(|error| GroupFailure::of_transaction(&error))?;
        let outcomes = self.each(group);
        if outcomes.is_err() {
            self.roll_back();
            return outcomes;
        }
        if let Err(error) = self.execute("COMMIT") {
            self.roll_back();
            return Err(GroupFailure::of_transaction(&error));
        }
        outcomes
    }

    fn each(&mut self, group: &[Request]) -> Result<Outcomes, GroupFailure> {
        let lost = |error| GroupFailure::before_commit(sql_error(&error));
        let mut outcomes = Vec::with_capacity(group.len());
        for request in group {
            self.execute("SAVEPOINT request").map_err(lost)?;
            let outcome = self.one(request).map_err(CommitError::from);
            if let Err(error) = &outcome {
                // A full disk and I/O errors can end the transaction behind our back, with all that was in it.
                if self.db.is_autocommit() {
                    return Err(GroupFailure::before_commit(error.clone()));
                }
                self.execute("ROLLBACK TO request").map_err(lost)?;
            }
            self.execute("RELEASE request").map_err(lost)?;
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn one(&mut self, request: &Request) -> Result<Outcome, Failure> {
        match request {
            Request::Commit { change, .. } => {
                for write in &change.writes {
                    apply::write(&self.db, &mut self.memory, write)?;
                }
                Ok(Outcome::Written)
            }
            Request::Claim { now, lease_until, limit, .. } => {
                Ok(Outcome::Claimed(wakeups::claim(&self.db, *now, *lease_until, *limit)?))
            }
            Request::Close => Ok(Outcome::Written),
            #[cfg(test)]
            Request::Run(_) => Ok(Outcome::Written),
        }
    }

    /// After the commit: answers everybody, then tells the listeners.
    fn committed(&self, group: Vec<Request>, outcomes: Vec<Result<Outcome, CommitError>>) {
        self.counters.transactions.fetch_add(1, Ordering::Relaxed);
        self.counters.requests.fetch_add(group.len() as u64, Ordering::Relaxed);
        let work_due = group.iter().any(touches_wakeups) && self.look_what_is_due();
        let mut notices = Vec::new();
        for (mut request, outcome) in group.into_iter().zip(outcomes) {
            if let Request::Commit { change, .. } = &mut request
                && outcome.is_ok()
            {
                notices.append(&mut change.notices);
            }
            answer(request, outcome);
        }
        if work_due {
            notices.push(Notice::WorkDue);
        }
        for notice in notices {
            // Fails when nobody listens.
            let _ = self.notices.send(notice);
        }
    }

    /// Brings [`Earliest`] up to date; whether something is due earlier than anything before.
    fn look_what_is_due(&self) -> bool {
        match wakeups::earliest(&self.db) {
            Ok(first) => self.earliest.set(first),
            Err(error) => {
                // Claim and see: better once in vain than never.
                tracing::warn!(%error, "cannot see which wake-up is due next");
                self.earliest.set(Some(Timestamp(i64::MIN)));
                true
            }
        }
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn roll_back(&self) {
        if self.db.is_autocommit() {
            return;
        }
        if let Err(error) = self.execute("ROLLBACK") {
            tracing::error!(%error, "a failed transaction cannot be rolled back");
        }
    }
}

fn touches_wakeups(request: &Request) -> bool {
    match request {
        Request::Commit { change, .. } => change.writes.iter().any(|write| {
            matches!(
                write,
                Write::Wake { .. }
                    | Write::SetTimer { .. }
                    | Write::Settle { .. }
                    | Write::ForgetGroup { .. }
            )
        }),
        Request::Claim { .. } => true,
        Request::Close => false,
        #[cfg(test)]
        Request::Run(_) => false,
    }
}

/// Tells the one who asked; it may have gone away.
fn answer(request: Request, outcome: Result<Outcome, CommitError>) {
    match request {
        Request::Commit { reply, .. } => {
            let _ = reply.send(outcome.map(|_| ()));
        }
        Request::Claim { reply, .. } => {
            let _ = reply.send(outcome.map(|outcome| match outcome {
                Outcome::Claimed(wakeups) => wakeups,
                Outcome::Written => Vec::new(),
            }));
        }
        Request::Close => {}
        #[cfg(test)]
        Request::Run(_) => {}
    }
}
