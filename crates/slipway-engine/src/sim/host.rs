//! Simulated hosts: agents that poll, acknowledge, run and report, each in the measured manner of its kind, and lose,
//! repeat and delay what can be lost, repeated and delayed.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use slipway_model::lifecycle::{Diagnostics, EventName};
use slipway_store::TargetKey;

use super::core::{Core, Owner, Seen, Wait};
use super::node::Node;
use super::random::Random;
use super::scenario::{FaultPlan, HostPlan, Manner};
use crate::target::{CommandAnswer, CommandRef, Report, TargetEvent};
use crate::work::target::{TargetStepError, step, take};

/// How long a poll is held.
const HOLD_MS: i64 = 50_000;

/// Whether a script of this revision fails on this host, of how many thousand.
pub(crate) type Verdicts = Arc<dyn Fn(&TargetKey, usize, EventName) -> bool + Send + Sync>;

/// One host.
pub(crate) struct Host {
    pub(crate) number: usize,
    /// The key of its commands.
    pub(crate) arn: String,
    pub(crate) plan: HostPlan,
    pub(crate) core: Core,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) faults: FaultPlan,
    pub(crate) verdicts: Verdicts,
    random: Mutex<Random>,
    /// The tracking files: what survives a crash of the agent.
    ongoing: Mutex<Vec<(TargetKey, CommandRef)>>,
    /// Whether every request is sent twice.
    twice: bool,
}

impl Host {
    #[expect(clippy::too_many_arguments, reason = "a host has so many parts, and is made in one place")]
    pub(crate) fn new(
        number: usize,
        plan: HostPlan,
        core: Core,
        nodes: Vec<Arc<Node>>,
        faults: FaultPlan,
        verdicts: Verdicts,
        random: Random,
        twice: bool,
    ) -> Self {
        Self {
            number,
            arn: arn(number),
            plan,
            core,
            nodes,
            faults,
            verdicts,
            random: Mutex::new(random),
            ongoing: Mutex::default(),
            twice,
        }
    }

    pub(crate) fn start(self: &Arc<Self>) {
        for _ in 0..=u8::from(self.plan.two_agents) {
            self.core.start(Owner::Host(self.number), agent(Arc::clone(self)));
        }
        let lost: Vec<_> = std::mem::take(&mut *self.ongoing());
        // AP-19: the Ruby agent forgets all but the newest.
        let told = if self.plan.manner == Manner::Ruby { 1 } else { lost.len() };
        for (key, command) in lost.into_iter().rev().take(told) {
            let host = Arc::clone(self);
            self.core.start(Owner::Host(self.number), async move {
                host.core.tell(|| format!("host-{}: its agent finds a script that was cut off", host.number));
                host.complete(&key, command, false).await;
            });
        }
    }

    fn random<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ongoing(&self) -> MutexGuard<'_, Vec<(TargetKey, CommandRef)>> {
        self.ongoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Some node that answers.
    fn node(&self) -> Option<Arc<Node>> {
        let up: Vec<_> = self.nodes.iter().filter(|node| node.is_up()).collect();
        if up.is_empty() { None } else { Some(Arc::clone(self.random(|r| *r.pick(&up)))) }
    }

    /// Sends one request; `None` when it or its answer is lost.
    async fn send<T, E, F>(&self, request: impl Fn(Arc<Node>) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, E>> + Send,
        T: Send,
    {
        let node = self.node()?;
        let (way, lost_request, lost_answer) = self.random(|r| {
            (
                r.range(0, self.faults.latency_ms),
                r.chance(self.faults.lost_requests),
                r.chance(self.faults.lost_answers),
            )
        });
        self.core.wait(Wait::Millis(way)).await;
        if lost_request {
            return None;
        }
        let answer = Through::new(&node, request(Arc::clone(&node))).await?;
        if self.twice {
            Through::new(&node, request(Arc::clone(&node))).await;
        }
        // An error is a 5xx to an agent: nothing that it could act on.
        if lost_answer { None } else { answer.ok() }
    }

    /// Sends the same request as often as agents of this kind do (AP-26, AP-34).
    async fn persist<T, E, F>(&self, request: impl Fn(Arc<Node>) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, E>> + Send,
        T: Send,
    {
        let pauses: &[i64] = match self.plan.manner {
            Manner::Ruby => &[300, 600, 1200],
            Manner::Second => &[],
            Manner::Ours => &[300, 1000, 3000, 10_000, 30_000],
        };
        for pause in pauses {
            if let Some(answer) = self.send(&request).await {
                return Some(answer);
            }
            self.core.wait(Wait::Millis(*pause)).await;
        }
        self.send(&request).await
    }

    async fn complete(&self, key: &TargetKey, command: CommandRef, succeeded: bool) -> bool {
        self.core.saw(Seen::Reports { key: key.clone(), command });
        let message = if succeeded { "Succeeded: " } else { "the script failed" };
        let report = Report { succeeded, diagnostics: Diagnostics::unknown_error(message) };
        let event = TargetEvent::Complete { command, report };
        let sent = self
            .persist(|node| {
                let (key, event) = (key.clone(), event.clone());
                async move {
                    let done = step(&node, &key, &event).await;
                    if done.is_ok() {
                        node.core.saw(Seen::Reported { key, command });
                    }
                    done
                }
            })
            .await
            .is_some();
        self.core.tell(|| {
            let arrived = if sent { "reports" } else { "cannot report" };
            format!("host-{} {arrived} {key} {}: {message}", self.number, command.event_index)
        });
        sent
    }
}

pub(crate) fn arn(number: usize) -> String {
    format!("arn:aws:codedeploy:factory-1:000000000001:instance/host-{number}_ABCDEFGHIJ")
}

/// The loop of an agent.
async fn agent(host: Arc<Host>) {
    loop {
        let taken = host
            .send(|node| {
                let arn = host.arn.clone();
                async move {
                    let taken = take(&node, &arn).await;
                    if let Ok(Some((row, command, _))) = &taken {
                        node.core.saw(Seen::HandedOut { host: arn, key: row.key.clone(), command: *command });
                    }
                    taken
                }
            })
            .await;
        match taken {
            Some(Some((row, command, event))) => {
                host.core.tell(|| {
                    let at = format!("{event} of {}, hand-out {}", row.key, command.hand_out);
                    format!("host-{} takes {at}", host.number)
                });
                let worker = Arc::clone(&host);
                host.core.start(Owner::Host(host.number), async move {
                    carry_out(&worker, row.key, command, event).await;
                });
            }
            Some(None) => host.core.wait(Wait::Command(host.arn.clone(), HOLD_MS)).await,
            None => {
                let pause = host.random(|r| r.range(500, 20_000));
                host.core.wait(Wait::Millis(pause)).await;
            }
        }
    }
}

async fn carry_out(host: &Host, key: TargetKey, command: CommandRef, event: EventName) {
    // AP-38: an agent that is busy acknowledges late.
    if host.random(|r| r.chance(30)) {
        let late = host.random(|r| r.range(0, 60_000));
        host.core.wait(Wait::Millis(late)).await;
    }
    let answer = host
        .persist(|node| {
            let key = key.clone();
            async move {
                let (_, step) = step(&node, &key, &TargetEvent::Acknowledge(command)).await?;
                let answer = step.answer.unwrap_or(CommandAnswer::InProgress);
                node.core.saw(Seen::Answered { key, command, answer });
                Ok::<_, TargetStepError>(answer)
            }
        })
        .await;
    host.core.tell(|| format!("host-{} is told {answer:?} about {event} of {key}", host.number));
    match answer {
        Some(CommandAnswer::InProgress) => {}
        Some(CommandAnswer::Succeeded | CommandAnswer::Failed) => return,
        None => {
            // AP-35.
            if host.plan.manner == Manner::Ruby {
                host.complete(&key, command, false).await;
            }
            return;
        }
    }
    host.ongoing().push((key.clone(), command));
    host.core.saw(Seen::Ran { key: key.clone(), command, event });
    let takes = host.random(|r| r.range(1, host.plan.script_ms));
    host.core.wait(Wait::Millis(takes)).await;
    let succeeded = !(host.verdicts)(&key, host.number, event);
    host.complete(&key, command, succeeded).await;
    host.ongoing().retain(|other| *other != (key.clone(), command));
    if host.random(|r| r.chance(host.plan.repeats)) {
        let late = host.random(|r| r.range(0, 90_000));
        host.core.wait(Wait::Millis(late)).await;
        let changed = host.random(|r| r.chance(500));
        host.complete(&key, command, changed).await;
    }
}

/// A request on its way through a node: it stands still with it, and is lost with it.
struct Through<F> {
    node: Arc<Node>,
    life: u64,
    inner: Pin<Box<F>>,
}

impl<F: Future> Through<F> {
    fn new(node: &Arc<Node>, inner: F) -> Self {
        Self { life: node.life.load(Ordering::Relaxed), node: Arc::clone(node), inner: Box::pin(inner) }
    }
}

impl<F: Future> Future for Through<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.node.is_up() || self.node.life.load(Ordering::Relaxed) != self.life {
            return Poll::Ready(None);
        }
        let paused = self.node.paused_until.load(Ordering::Relaxed) - self.node.core.now().0;
        if paused > 0 {
            self.node.core.ask_for(Wait::Millis(paused));
            return Poll::Pending;
        }
        self.inner.as_mut().poll(context).map(Some)
    }
}

/// Sends a request of a user through a node.
pub(crate) async fn through<F: Future>(node: &Arc<Node>, request: F) -> Option<F::Output> {
    Through::new(node, request).await
}
