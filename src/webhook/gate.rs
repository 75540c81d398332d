//! Whether the receiver is to be tried now: one back-off for all devices.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use super::Pace;
use engage_store::DeviceId;

/// Open, paused, or open for one attempt.
#[derive(Debug)]
pub(super) struct Gate {
    pace: Pace,
    /// How often in a row all attempts failed; 0 is well.
    failures: u32,
    until: Instant,
    /// Attempts that began before the last pause say nothing new.
    era: u64,
    /// Devices that were refused since the last success, while the receiver answered.
    refused: HashSet<DeviceId>,
}

impl Gate {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            failures: 0,
            until: Instant::now(),
            era: 0,
            refused: HashSet::new(),
        }
    }

    /// How many attempts may be under way now.
    pub(super) fn open_for(&self, now: Instant) -> usize {
        match self.failures {
            0 => MAX_AT_ONCE,
            _ if now < self.until => 0,
            _ => 1,
        }
    }

    /// When it opens, if it is closed.
    pub(super) fn opens_at(&self, now: Instant) -> Option<Instant> {
        (self.failures > 0 && now < self.until).then_some(self.until)
    }

    /// What an attempt that begins now has to hand in.
    pub(super) fn era(&self) -> u64 {
        self.era
    }

    /// Something was delivered. True if the receiver was ill before.
    pub(super) fn succeeded(&mut self) -> bool {
        self.refused.clear();
        std::mem::take(&mut self.failures) > 0
    }

    /// The receiver could not be reached, or said that it is overloaded.
    pub(super) fn failed(&mut self, now: Instant, era: u64, retry_after: Option<Duration>) {
        if era != self.era {
            return;
        }
        self.era += 1;
        self.failures = self.failures.saturating_add(1);
        let pause = self.pace.back_off(self.failures);
        let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        self.until = now + pause.max(asked);
    }

    /// The receiver refused this device's events. Where it does so for several devices and takes
    /// nothing from others, it is as good as down.
    pub(super) fn refused(&mut self, now: Instant, device: DeviceId, era: u64) {
        if self.refused.len() < MAX_REFUSED {
            self.refused.insert(device);
        }
        if self.refused.len() >= MAX_REFUSED || self.failures > 0 {
            self.failed(now, era, None);
        }
    }
}

impl Pace {
    /// Twice as long each time, up to the most; between half and all of it, so that several
    /// senders do not come back at the same moment.
    pub(super) fn back_off(&self, failures: u32) -> Duration {
        let doubled = 1_u32
            .checked_shl(failures.saturating_sub(1))
            .and_then(|times| self.first_back_off.checked_mul(times))
            .unwrap_or(self.most_back_off);
        let whole = doubled.min(self.most_back_off);
        // The standard library seeds each of these at random.
        let random = RandomState::new().build_hasher().finish() >> 32;
        let share = u32::try_from(random).unwrap_or(u32::MAX);
        whole.mul_f64(0.5 + 0.5 * f64::from(share) / f64::from(u32::MAX))
    }
}

/// Devices whose events are under way at the same time.
const MAX_AT_ONCE: usize = 8;

/// So many devices refused in a row are not the fault of one device's events.
const MAX_REFUSED: usize = 4;

/// A receiver may ask for more patience than our own, but not for ever.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn device(number: u64) -> DeviceId {
        format!("{number:016X}").parse().unwrap()
    }

    #[test]
    fn a_receiver_that_is_down_is_tried_once_at_a_time_and_ever_more_rarely() {
        let (mut gate, now) = (Gate::new(Pace::default()), Instant::now());
        assert_eq!(gate.open_for(now), 8);
        let era = gate.era();
        for _ in 0..8 {
            gate.failed(now, era, None);
        }
        let opens = gate.opens_at(now).unwrap() - now;
        assert!(
            opens <= Duration::from_secs(1),
            "eight at once are one failure"
        );
        assert_eq!(gate.open_for(now), 0);
        assert_eq!(gate.open_for(now + Duration::from_secs(1)), 1);
        for _ in 0..40 {
            gate.failed(now, gate.era(), None);
        }
        let opens = gate.opens_at(now).unwrap() - now;
        assert!((150..=300).contains(&opens.as_secs()), "{opens:?}");
        assert!(gate.succeeded());
        assert_eq!(gate.open_for(now), 8);
    }

    #[test]
    fn retry_after_is_honoured_up_to_an_hour() {
        let (mut gate, now) = (Gate::new(Pace::default()), Instant::now());
        gate.failed(now, 0, Some(Duration::from_secs(90)));
        assert_eq!(gate.until - now, Duration::from_secs(90));
        gate.failed(now, 1, Some(Duration::from_secs(1_000_000)));
        assert_eq!(gate.until - now, MAX_RETRY_AFTER);
    }

    #[test]
    fn one_refused_device_does_not_close_the_gate_and_four_do() {
        let (mut gate, now) = (Gate::new(Pace::default()), Instant::now());
        for _ in 0..9 {
            gate.refused(now, device(1), gate.era());
        }
        assert_eq!(gate.open_for(now), 8);
        for number in 2..=4 {
            gate.refused(now, device(number), gate.era());
        }
        assert_eq!(gate.open_for(now), 0);
    }
}
