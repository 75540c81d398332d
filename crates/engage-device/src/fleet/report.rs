//! What the visits of a fleet came to.

use std::collections::BTreeMap;
use std::time::Duration;

use miette::Diagnostic;
use serde::Serialize;

use super::{VisitError, VisitStep};
use engage_wire::diagnostic::{causes, code, hint};

/// What the visits of a phase came to.
#[derive(Debug, Default)]
pub struct FleetReport {
    /// Devices that came to ask what to install, and how that ended.
    pub commissioning: Outcomes,
    /// Call-ins, and how they ended.
    pub call_ins: Outcomes,
    /// What an attempt failed of, by its code; whether or not the next one succeeded.
    pub failed_attempts: BTreeMap<String, u32>,
    /// What a device would not stand.
    pub deviations: BTreeMap<String, Deviation>,
    latencies: BTreeMap<VisitStep, Vec<Duration>>,
}

/// How visits ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Outcomes {
    /// At the first attempt.
    pub at_once: u32,
    /// At another attempt.
    pub retried: u32,
    /// Not, after all attempts.
    pub failed: u32,
    /// In the middle, because the device lost power.
    pub power_lost: u32,
}

/// How one visit ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VisitOutcome {
    /// Well, at this attempt, from 1.
    Done(u8),
    /// Not, after all attempts.
    Failed,
    /// In the middle, because the device lost power.
    PowerLost,
}

/// One kind of what a device would not stand.
#[derive(Clone, Debug, Serialize)]
pub struct Deviation {
    /// How often.
    pub count: u32,
    /// The device that met it first.
    pub device: String,
    /// The step at which it did.
    pub step: VisitStep,
    /// What was found and what was expected.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// How long a step took, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: usize,
    /// Half took no longer.
    pub p50: f64,
    /// Nine of ten took no longer.
    pub p90: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl FleetReport {
    /// Whether a device got everything that it needs.
    pub fn is_good(&self) -> bool {
        self.deviations.is_empty()
    }

    /// How long the steps took that succeeded.
    pub fn latencies(&self) -> BTreeMap<VisitStep, Latency> {
        let latencies = self.latencies.iter();
        latencies
            .map(|(step, times)| (*step, Latency::from_times(times)))
            .collect()
    }

    /// Adds what another phase came to.
    pub fn add(&mut self, other: Self) {
        self.commissioning.add(other.commissioning);
        self.call_ins.add(other.call_ins);
        for (kind, count) in other.failed_attempts {
            *self.failed_attempts.entry(kind).or_default() += count;
        }
        for (kind, deviation) in other.deviations {
            let count = deviation.count;
            self.deviate(kind, count, || deviation);
        }
        for (step, times) in other.latencies {
            self.latencies.entry(step).or_default().extend(times);
        }
    }

    pub(super) fn took(&mut self, step: VisitStep, time: Duration) {
        self.latencies.entry(step).or_default().push(time);
    }

    /// An attempt of `device` failed.
    pub(super) fn attempt_failed(&mut self, device: &str, step: VisitStep, error: &VisitError) {
        *self.failed_attempts.entry(code(error)).or_default() += 1;
        if !error.may_be_cured() {
            self.add_deviation(device, step, error);
        }
    }

    /// All attempts of `device` failed, and this was the last.
    pub(super) fn gave_up(&mut self, device: &str, step: VisitStep, error: &VisitError) {
        if error.may_be_cured() {
            self.add_deviation(device, step, error);
        }
    }

    fn add_deviation(&mut self, device: &str, step: VisitStep, error: &dyn Diagnostic) {
        self.deviate(code(error), 1, || Deviation {
            count: 1,
            device: device.to_owned(),
            step,
            message: causes(error),
            hint: hint(error),
        });
    }

    fn deviate(&mut self, kind: String, count: u32, deviation: impl FnOnce() -> Deviation) {
        self.deviations
            .entry(kind)
            .and_modify(|known| known.count += count)
            .or_insert_with(deviation);
    }
}

impl Outcomes {
    /// All of them.
    pub fn total(self) -> u32 {
        self.at_once + self.retried + self.failed + self.power_lost
    }

    pub(super) fn count(&mut self, outcome: VisitOutcome) {
        *match outcome {
            VisitOutcome::Done(1) => &mut self.at_once,
            VisitOutcome::Done(_) => &mut self.retried,
            VisitOutcome::Failed => &mut self.failed,
            VisitOutcome::PowerLost => &mut self.power_lost,
        } += 1;
    }

    fn add(&mut self, other: Self) {
        self.at_once += other.at_once;
        self.retried += other.retried;
        self.failed += other.failed;
        self.power_lost += other.power_lost;
    }
}

impl Latency {
    fn from_times(times: &[Duration]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let index = (sorted.len().saturating_sub(1) * percent).div_ceil(100);
            sorted.get(index).map_or(0.0, |it| it.as_secs_f64() * 1e3)
        };
        Self {
            count: sorted.len(),
            p50: at(50),
            p90: at(90),
            p99: at(99),
            max: at(100),
        }
    }
}
