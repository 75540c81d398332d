//! Whose turn it is.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::future::pending;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::client::Failure;
use super::cursor::Cursor;
use super::gate::Gate;
use super::turn::{Ended, Outcome, Turn};
use super::{Receiver, Wake};
use crate::telemetry::{DeliveryMetrics, LogThrottle};
use engage_store::DeviceId;

/// Gives devices their turns. A device with undelivered events is in exactly one of `ready`,
/// `waiting` and `running`.
pub(super) struct Dispatcher {
    receiver: Arc<Receiver>,
    root: PathBuf,
    wake: Arc<Wake>,
    metrics: DeliveryMetrics,
    gate: Gate,
    ready: VecDeque<DeviceId>,
    /// After a failure of their own.
    waiting: BTreeSet<(Instant, DeviceId)>,
    running: HashMap<Id, Running>,
    turns: JoinSet<Ended>,
    /// All of the three.
    known: HashSet<DeviceId>,
    /// Woken while it was their turn.
    again: HashSet<DeviceId>,
    /// Failures in a row of their own.
    failures: HashMap<DeviceId, u32>,
    /// Cursors that could not be saved.
    unsaved: HashMap<DeviceId, Cursor>,
    stop: watch::Sender<bool>,
    failed: LogThrottle,
    refused: LogThrottle,
    unreadable: LogThrottle,
    not_saved: LogThrottle,
}

#[derive(Clone, Copy)]
struct Running {
    device: DeviceId,
    era: u64,
}

impl Dispatcher {
    pub(super) fn new(
        receiver: Arc<Receiver>,
        root: PathBuf,
        wake: Arc<Wake>,
        metrics: DeliveryMetrics,
    ) -> Self {
        Self {
            gate: Gate::new(receiver.pace),
            receiver,
            root,
            wake,
            metrics,
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            running: HashMap::new(),
            turns: JoinSet::new(),
            known: HashSet::new(),
            again: HashSet::new(),
            failures: HashMap::new(),
            unsaved: HashMap::new(),
            stop: watch::Sender::new(false),
            failed: LogThrottle::default(),
            refused: LogThrottle::default(),
            unreadable: LogThrottle::default(),
            not_saved: LogThrottle::default(),
        }
    }

    /// Works until `shutdown` completes, and then until the cursors are saved.
    pub(super) async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let wake = Arc::clone(&self.wake);
        loop {
            self.start_turns();
            let next = self.next_moment();
            tokio::select! {
                () = &mut shutdown => break,
                devices = wake.woken() => devices.into_iter().for_each(|device| self.woken(device)),
                Some(ended) = self.turns.join_next_with_id() => self.joined(ended),
                () = until(next) => self.release(),
            }
        }
        self.stop.send_replace(true);
        while let Some(ended) = self.turns.join_next_with_id().await {
            self.joined(ended);
        }
    }

    fn start_turns(&mut self) {
        while self.turns.len() < self.gate.open_for(Instant::now())
            && let Some(device) = self.ready.pop_front()
        {
            let turn = Turn {
                receiver: Arc::clone(&self.receiver),
                device,
                directory: self.root.join(device.to_string()),
                unsaved: self.unsaved.remove(&device),
                metrics: self.metrics.clone(),
                stop: self.stop.subscribe(),
            };
            let era = self.gate.era();
            let id = self.turns.spawn(turn.take()).id();
            self.running.insert(id, Running { device, era });
        }
    }

    fn woken(&mut self, device: DeviceId) {
        if self.known.insert(device) {
            self.ready.push_back(device);
        } else if self.running.values().any(|it| it.device == device) {
            self.again.insert(device);
        }
    }

    /// When something becomes possible that is not now.
    fn next_moment(&self) -> Option<Instant> {
        let waiting = self.waiting.first().map(|(at, _)| *at);
        let opens = self.gate.opens_at(Instant::now());
        match (waiting, opens) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    fn release(&mut self) {
        let now = Instant::now();
        while let Some((at, device)) = self.waiting.first().copied()
            && at <= now
        {
            self.waiting.pop_first();
            self.ready.push_back(device);
        }
    }

    fn joined(&mut self, joined: Result<(Id, Ended), JoinError>) {
        match joined {
            Ok((id, ended)) => {
                if let Some(running) = self.running.remove(&id) {
                    self.ended(running, ended);
                }
            }
            Err(panic) => {
                error!(error = %panic, "a delivery ended by a defect; trying again");
                if let Some(running) = self.running.remove(&panic.id()) {
                    self.back_off(running.device);
                }
            }
        }
    }

    fn ended(&mut self, running: Running, ended: Ended) {
        let device = running.device;
        if let Some((cursor, error)) = ended.unsaved {
            if let Some(others) = self.not_saved.check() {
                warn!(%device, %error, others = others.count(), "failed to save a webhook cursor; a crash now would deliver events again");
            }
            self.unsaved.insert(device, cursor);
        }
        if ended.delivered > 0 {
            self.failures.remove(&device);
            if self.gate.succeeded() {
                info!(
                    "webhook receiver {} takes deliveries again",
                    self.receiver.url
                );
            }
        }
        let again = self.again.remove(&device);
        match ended.outcome {
            Outcome::Drained if !again => {
                self.failures.remove(&device);
                self.known.remove(&device);
            }
            Outcome::Drained | Outcome::More | Outcome::Stopped => self.ready.push_back(device),
            Outcome::Failed(failure) => self.failed(running, &failure),
            Outcome::Unreadable(error) => {
                if let Some(others) = self.unreadable.check() {
                    error!(%device, %error, others = others.count(), "failed to read events that are to be delivered");
                }
                self.back_off(device);
            }
        }
    }

    fn failed(&mut self, running: Running, failure: &Failure) {
        self.report(running.device, failure);
        let retry_after = match failure {
            Failure::Answered { retry_after, .. } => {
                self.metrics.refused();
                *retry_after
            }
            Failure::Unanswered(_) => {
                self.metrics.unanswered();
                None
            }
        };
        if failure.is_of_receiver() {
            self.gate.failed(Instant::now(), running.era, retry_after);
            // To the end: the next attempt is with another device.
            self.ready.push_back(running.device);
        } else {
            self.gate
                .refused(Instant::now(), running.device, running.era);
            self.back_off(running.device);
        }
    }

    fn report(&self, device: DeviceId, failure: &Failure) {
        let url = &self.receiver.url;
        let Failure::Answered { status, .. } = failure else {
            if let Some(others) = self.failed.check() {
                warn!(
                    others = others.count(),
                    "webhook receiver {url} cannot be reached: {failure}; trying again"
                );
            }
            return;
        };
        if failure.is_of_receiver() || status.is_server_error() {
            if let Some(others) = self.failed.check() {
                warn!(%device, others = others.count(), "webhook receiver {url} fails: {failure}; trying again");
            }
        } else if let Some(others) = self.refused.check() {
            let hint = if status.is_redirection() {
                "redirects are not followed: put the final address into `[webhook] url`"
            } else {
                "nothing is lost, but somebody must see why; does it have the same secret?"
            };
            error!(%device, others = others.count(), "webhook receiver {url} refuses events: {failure}; trying again; hint: {hint}");
        }
    }

    fn back_off(&mut self, device: DeviceId) {
        let failures = self.failures.entry(device).or_default();
        *failures = failures.saturating_add(1);
        let pause = self.receiver.pace.back_off(*failures);
        self.waiting.insert((Instant::now() + pause, device));
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
