//! What the actors of a run share: the time, what they ask of the scheduler, what they have seen and done.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slipway_model::Timestamp;
use slipway_model::lifecycle::EventName;
use slipway_store::TargetKey;

use super::store::Interrupt;
use crate::target::{CommandAnswer, CommandRef};

/// A part of an actor that the scheduler runs.
pub(crate) type Actor = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who a task belongs to; it ends with its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Node(u8),
    Host(usize),
    Fate,
}

/// What a task waits for, when it is not just the time that something takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wait {
    Millis(i64),
    /// A command for this host, or so many milliseconds.
    Command(String, i64),
    /// Work that is due, or so many milliseconds.
    Work(i64),
}

/// What fate does to a node or a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    KillNode(u8),
    StartNode(u8),
    PauseNode(u8, i64),
    KillHost(usize),
    StartHost(usize),
}

/// What an outsider saw; the checker knows nothing else but what was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    HandedOut {
        host: String,
        key: TargetKey,
        command: CommandRef,
    },
    Answered {
        key: TargetKey,
        command: CommandRef,
        answer: CommandAnswer,
    },
    Ran {
        key: TargetKey,
        command: CommandRef,
        event: EventName,
    },
    /// A report is on its way.
    Reports {
        key: TargetKey,
        command: CommandRef,
    },
    Reported {
        key: TargetKey,
        command: CommandRef,
    },
    /// A worker's step failed in a way that no fault explains.
    Broken(String),
}

#[derive(Default)]
struct Inside {
    now: Timestamp,
    wait: Option<Wait>,
    started: Vec<(Owner, Actor)>,
    blows: Vec<Blow>,
    seen: Vec<Seen>,
    story: Option<Vec<(Timestamp, String)>>,
    done: bool,
}

/// Shared by all actors of a run.
#[derive(Clone, Default)]
pub(crate) struct Core(Arc<Mutex<Inside>>);

impl Core {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.lock().now
    }

    pub(crate) fn set_now(&self, now: Timestamp) {
        self.lock().now = now;
    }

    /// Lets time pass.
    pub(crate) async fn wait(&self, wait: Wait) {
        self.ask_for(wait);
        Interrupt(false).await;
    }

    /// What the running task will wait for when it returns.
    pub(crate) fn ask_for(&self, wait: Wait) {
        self.lock().wait = Some(wait);
    }

    pub(crate) fn take_wait(&self) -> Option<Wait> {
        self.lock().wait.take()
    }

    pub(crate) fn start(&self, owner: Owner, actor: impl Future<Output = ()> + Send + 'static) {
        self.lock().started.push((owner, Box::pin(actor)));
    }

    pub(crate) fn take_started(&self) -> Vec<(Owner, Actor)> {
        std::mem::take(&mut self.lock().started)
    }

    pub(crate) fn strike(&self, blow: Blow) {
        self.lock().blows.push(blow);
    }

    pub(crate) fn take_blows(&self) -> Vec<Blow> {
        std::mem::take(&mut self.lock().blows)
    }

    pub(crate) fn saw(&self, seen: Seen) {
        self.lock().seen.push(seen);
    }

    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.lock().seen)
    }

    /// Users and fate have done everything.
    pub(crate) fn all_done(&self) {
        self.lock().done = true;
    }

    pub(crate) fn is_all_done(&self) -> bool {
        self.lock().done
    }

    pub(crate) fn keep_story(&self) {
        self.lock().story = Some(Vec::new());
    }

    /// A sentence of the story; made only when someone will read it.
    pub(crate) fn tell(&self, sentence: impl FnOnce() -> String) {
        let mut inside = self.lock();
        let now = inside.now;
        if let Some(story) = &mut inside.story {
            story.push((now, sentence()));
        }
    }

    pub(crate) fn story(&self) -> Vec<(Timestamp, String)> {
        self.lock().story.clone().unwrap_or_default()
    }
}
