//! The circuit breaker: one for the receiver, whatever device is to be delivered.

use std::time::Duration;

use backon::ExponentialBackoff;
use tokio::time::Instant;

use super::DeliveryTiming;

/// Closed, open until a moment, or half-open: then one attempt at a time.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    timing: DeliveryTiming,
    open: Option<Open>,
    generation: u64,
}

#[derive(Debug)]
struct Open {
    delays: ExponentialBackoff,
    retry_at: Instant,
}

impl CircuitBreaker {
    /// Closed.
    pub(super) fn new(timing: DeliveryTiming) -> Self {
        Self {
            timing,
            open: None,
            generation: 0,
        }
    }

    /// How many jobs may run now.
    pub(super) fn permits(&self, now: Instant) -> usize {
        match &self.open {
            None => MAX_JOBS,
            Some(open) if now < open.retry_at => 0,
            Some(_) => 1,
        }
    }

    /// When it becomes half-open, if it is open.
    pub(super) fn retry_at(&self, now: Instant) -> Option<Instant> {
        let retry_at = self.open.as_ref()?.retry_at;
        (now < retry_at).then_some(retry_at)
    }

    /// What a job that starts now returns with its outcome.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The receiver answered, and not that it is overloaded or broken. True if the breaker was open.
    pub(super) fn on_success(&mut self) -> bool {
        self.open.take().is_some()
    }

    /// The receiver could not be reached, or said that it is overloaded or broken. Of jobs that
    /// ran side by side only the first counts.
    pub(super) fn on_failure(
        &mut self,
        now: Instant,
        generation: u64,
        retry_after: Option<Duration>,
    ) {
        if generation != self.generation {
            return;
        }
        self.generation += 1;
        let open = self.open.get_or_insert_with(|| Open {
            delays: self.timing.delays(),
            retry_at: now,
        });
        let delay = open.delays.next().unwrap_or_default();
        let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        open.retry_at = now + delay.max(asked);
    }
}

/// Devices that are delivered at the same time.
pub(super) const MAX_JOBS: usize = 8;

/// A receiver may ask for a longer pause than ours, but not for any.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_is_down_is_tried_once_at_a_time_and_ever_more_rarely() {
        let now = Instant::now();
        let mut breaker = CircuitBreaker::new(DeliveryTiming::default());
        assert_eq!(breaker.permits(now), 8);
        let generation = breaker.generation();
        for _ in 0..8 {
            breaker.on_failure(now, generation, None);
        }
        let delay = breaker.retry_at(now).unwrap() - now;
        assert!(
            (1..2).contains(&delay.as_secs()),
            "eight at once are one failure: {delay:?}"
        );
        assert_eq!(breaker.permits(now), 0);
        assert_eq!(breaker.permits(now + Duration::from_secs(2)), 1);
        for _ in 0..40 {
            breaker.on_failure(now, breaker.generation(), None);
        }
        let delay = breaker.retry_at(now).unwrap() - now;
        assert!((150..=300).contains(&delay.as_secs()), "{delay:?}");
        assert!(breaker.on_success());
        assert!(!breaker.on_success());
        assert_eq!(breaker.permits(now), 8);
    }

    #[test]
    fn retry_after_is_honoured_up_to_an_hour() {
        let now = Instant::now();
        let mut breaker = CircuitBreaker::new(DeliveryTiming::default());
        for (asked, expected) in [(90, 90), (1_000_000, 3600)] {
            let asked = Duration::from_secs(asked);
            breaker.on_failure(now, breaker.generation(), Some(asked));
            assert_eq!(
                breaker.retry_at(now),
                Some(now + Duration::from_secs(expected))
            );
        }
    }
}
