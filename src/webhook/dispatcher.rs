//! Runs the jobs: up to eight at once, as far as the circuit breaker permits.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::JoinMap;
use tracing::error;

use super::breaker::CircuitBreaker;
use super::client::is_of_receiver;
use super::delivery_log::DeliveryLog;
use super::job::{Delivery, DeliveryJob, FailedDelivery, JobOutcome, JobResult, RetryState};
use super::queue::DeviceQueue;
use engage_store::{AppendedDevices, DeviceId};

/// Owns all state of the delivery; jobs hand theirs back when they end.
pub(super) struct Dispatcher {
    delivery: Delivery,
    appended: AppendedDevices,
    queue: DeviceQueue,
    breaker: CircuitBreaker,
    jobs: JoinMap<DeviceId, (u64, JobResult)>,
    /// Of the running jobs, those of devices whose events were refused before.
    retrying: Vec<DeviceId>,
    log: DeliveryLog,
}

impl Dispatcher {
    pub(super) fn new(delivery: Delivery, appended: AppendedDevices) -> Self {
        Self {
            breaker: CircuitBreaker::new(delivery.receiver.timing),
            log: DeliveryLog::new(Arc::clone(&delivery.receiver)),
            delivery,
            appended,
            queue: DeviceQueue::default(),
            jobs: JoinMap::new(),
            retrying: Vec::new(),
        }
    }

    /// Works until `shutdown` completes, and then until the cursors are committed.
    pub(super) async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let appended = self.appended.clone();
        loop {
            self.start_jobs();
            let retry_at = self.next_retry_at();
            tokio::select! {
                () = &mut shutdown => break,
                devices = appended.next() => {
                    for device in devices {
                        self.queue.add(device);
                    }
                }
                Some((device, ended)) = self.jobs.join_next() => self.on_job_ended(device, ended),
                () = wait_until(retry_at) => {}
            }
        }
        self.delivery.stop.cancel();
        while let Some((device, ended)) = self.jobs.join_next().await {
            self.on_job_ended(device, ended);
        }
    }

    fn start_jobs(&mut self) {
        let now = Instant::now();
        self.queue.end_backoff(now);
        while self.jobs.len() < self.breaker.permits(now)
            && let Some((device, state)) = self.queue.pop(self.retrying.len() < MAX_RETRYING_JOBS)
        {
            if state.is_refused() {
                self.retrying.push(device);
            }
            let generation = self.breaker.generation();
            let job = DeliveryJob {
                delivery: self.delivery.clone(),
                device,
                state,
            };
            self.jobs
                .spawn(device, async move { (generation, job.run().await) });
        }
    }

    /// When something becomes possible that is not now.
    fn next_retry_at(&self) -> Option<Instant> {
        let breaker = self.breaker.retry_at(Instant::now());
        match breaker {
            // Until then nothing starts, whatever waits.
            Some(_) => breaker,
            None => self.queue.next_retry_at(),
        }
    }

    fn on_job_ended(&mut self, device: DeviceId, ended: Result<(u64, JobResult), JoinError>) {
        self.retrying.retain(|retrying| *retrying != device);
        match ended {
            Ok((generation, result)) => self.on_result(device, generation, result),
            Err(panic) => {
                error!(%device, error = %panic, "a delivery ended by a defect; trying again");
                self.back_off(device, RetryState::default());
            }
        }
    }

    fn on_result(&mut self, device: DeviceId, generation: u64, result: JobResult) {
        if let Some(error) = &result.commit_error {
            self.log.uncommitted(device, error);
        }
        if let Some((error, trace)) = &result.set_aside {
            self.log.set_aside(device, *trace, error);
        }
        if result.is_accepted {
            self.receiver_works();
        }
        match result.outcome {
            JobOutcome::Drained if result.state.has_uncommitted() => {
                self.back_off(device, result.state);
            }
            JobOutcome::Drained => self.queue.drained(device, result.state),
            JobOutcome::More | JobOutcome::Stopped => self.queue.requeue(device, result.state),
            // What was appended meanwhile the other host may not have seen.
            JobOutcome::LeasedElsewhere => self.back_off(device, result.state),
            JobOutcome::Unreadable(error) => {
                self.log.unreadable(device, &error);
                self.back_off(device, result.state);
            }
            JobOutcome::Failed(failed) => self.on_failed(device, generation, &failed, result.state),
        }
    }

    fn on_failed(
        &mut self,
        device: DeviceId,
        generation: u64,
        failed: &FailedDelivery,
        state: RetryState,
    ) {
        self.log.failed(device, failed);
        let FailedDelivery { error, delay, .. } = failed;
        let now = Instant::now();
        if is_of_receiver(error) {
            let retry_after = error.retry_after();
            self.breaker.on_failure(now, generation, retry_after);
        } else {
            self.receiver_works();
        }
        match *delay {
            Some(delay) => self.queue.back_off(device, state, now + delay),
            // To the end: the next attempt is with another device.
            None => self.queue.requeue(device, state),
        }
    }

    fn receiver_works(&mut self) {
        if self.breaker.on_success() {
            self.log.recovered();
        }
    }

    /// After trouble with the store, or where another host delivers the device.
    fn back_off(&mut self, device: DeviceId, state: RetryState) {
        let until = Instant::now() + STORE_RETRY_INTERVAL;
        self.queue.back_off(device, state, until);
    }
}

async fn wait_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// Between attempts to get a device's events from the store.
const STORE_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// However many devices' events are refused, most jobs are for the others.
const MAX_RETRYING_JOBS: usize = 2;
