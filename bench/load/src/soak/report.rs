//! What was seen minute by minute, and what has to hold in the end.

use std::collections::BTreeMap;
use std::fmt;

use super::fleet::{Acknowledged, Waits};
use super::footprint::Footprint;
use super::strangers::Kind;
use crate::statistics::quantile;

/// A minute: what was done to the daemon, and what it had at most, and at rest.
#[derive(Debug)]
pub(super) struct Minute {
    pub(super) number: u32,
    pub(super) kinds: Vec<Kind>,
    pub(super) peak: Footprint,
    pub(super) rest: Footprint,
    /// Of honest devices, beside the strangers.
    pub(super) waits: Waits,
}

#[derive(Debug, Default)]
pub(super) struct SoakReport {
    pub(super) minutes: Vec<Minute>,
    pub(super) acknowledged: Acknowledged,
    pub(super) stored: Acknowledged,
    pub(super) delivered: Acknowledged,
    pub(super) skipped: Vec<String>,
}

impl SoakReport {
    /// Why it was not well.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        let (from, to) = self.compared();
        for (what, growth) in [
            ("memory", growth(from.resident_kib, to.resident_kib)),
            ("descriptors", growth(from.descriptors, to.descriptors)),
            ("threads", growth(from.threads, to.threads)),
        ] {
            if growth > MAX_GROWTH {
                failures.push(format!("{what} grew by {:.0} %", growth * 100.0));
            }
        }
        for (what, found) in [("stored", &self.stored), ("delivered", &self.delivered)] {
            let wrong = difference(&self.acknowledged, found);
            if wrong > 0 {
                failures.push(format!(
                    "{wrong} acknowledged events are not {what} exactly once"
                ));
            }
        }
        failures
    }

    /// At rest after ten minutes, or half of the time if that is less, and in the end.
    fn compared(&self) -> (Footprint, Footprint) {
        let last = self.minutes.len().saturating_sub(1);
        let at = |at: usize| self.minutes.get(at).map(|minute| minute.rest);
        let from = at(last.div_ceil(2).min(9)).unwrap_or_default();
        (from, at(last).unwrap_or_default())
    }

    fn percentiles(&self, of: fn(&Waits) -> &Vec<f64>) -> (f64, f64) {
        let before = self.minutes.iter().take(1);
        let beside = self.minutes.iter().skip(1);
        let before: Vec<_> = before.flat_map(|it| of(&it.waits).clone()).collect();
        let beside: Vec<_> = beside.flat_map(|it| of(&it.waits).clone()).collect();
        (quantile(&before, 0.99), quantile(&beside, 0.99))
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            kinds,
            peak,
            rest,
            waits,
        } = self;
        write!(
            f,
            "minute {number:>4}: memory {:>6} KiB, at most {:>7}; descriptors {:>3}, {:>5}; threads {:>2}, {:>2}; \
             p99 {:.1} and {:.1} ms, {} unanswered; {kinds:?}",
            rest.resident_kib,
            peak.resident_kib,
            rest.descriptors,
            peak.descriptors,
            rest.threads,
            peak.threads,
            quantile(&waits.announcements, 0.99),
            quantile(&waits.call_ins, 0.99),
            waits.failures,
        )
    }
}

impl fmt::Display for SoakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = self.compared();
        writeln!(
            f,
            "{:<44} {:>10} {:>10} {:>8}",
            "", "before", "after", "change"
        )?;
        for (what, from, to) in [
            ("memory at rest, KiB", from.resident_kib, to.resident_kib),
            ("descriptors at rest", from.descriptors, to.descriptors),
            ("threads at rest", from.threads, to.threads),
        ] {
            let change = growth(from, to) * 100.0;
            writeln!(f, "{what:<44} {from:>10} {to:>10} {change:>+7.1}%")?;
        }
        let peak = |of: fn(&Footprint) -> u64| self.minutes.iter().map(|it| of(&it.peak)).max();
        let memory = peak(|it| it.resident_kib).unwrap_or_default();
        writeln!(f, "{:<44} {:>10} {memory:>10}", "memory at most, KiB", "")?;
        for (what, (before, beside)) in [
            (
                "announcement, p99, ms",
                self.percentiles(|it| &it.announcements),
            ),
            (
                "call-in over TLS, p99, ms",
                self.percentiles(|it| &it.call_ins),
            ),
        ] {
            let ratio = beside / before;
            writeln!(f, "{what:<44} {before:>10.1} {beside:>10.1} {ratio:>7.1}x")?;
        }
        let events = |of: &Acknowledged| of.values().map(BTreeMap::len).sum::<usize>();
        let acknowledged = events(&self.acknowledged);
        writeln!(
            f,
            "{:<44} {:>10} {acknowledged:>10}",
            "events acknowledged", ""
        )?;
        for (what, found) in [("stored", &self.stored), ("delivered", &self.delivered)] {
            let once = acknowledged - difference(&self.acknowledged, found).min(acknowledged);
            writeln!(
                f,
                "{:<44} {:>10} {once:>10}",
                format!("{what} exactly once"),
                ""
            )?;
        }
        for skipped in &self.skipped {
            writeln!(f, "SKIPPED: {skipped}")?;
        }
        Ok(())
    }
}

/// Events that are there another number of times than they should be.
fn difference(expected: &Acknowledged, found: &Acknowledged) -> usize {
    let wrong = expected.iter().map(|(device, codes)| {
        let found = found.get(device);
        let times = |code| found.and_then(|codes| codes.get(code));
        codes
            .iter()
            .filter(|(code, count)| times(*code) != Some(count))
            .count()
    });
    wrong.sum()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn growth(from: u64, to: u64) -> f64 {
    to as f64 / from.max(1) as f64 - 1.0
}

const MAX_GROWTH: f64 = 0.10;
