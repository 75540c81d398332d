//! What the devices met with, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;

use super::Simulate;
use crate::cli::output::hint_line;
use engage_device::fleet::{Deviation, FleetReport, Latency, Outcomes, VisitStep};
use engage_wire::escape_for_terminal;

/// Serialises as `simulate --json`.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) ok: bool,
    url: String,
    devices: u32,
    profiles: Vec<String>,
    seed: u64,
    seconds: f64,
    commissioning: Outcomes,
    call_ins: Outcomes,
    /// By step.
    milliseconds: BTreeMap<VisitStep, Latency>,
    /// By kind.
    failed_attempts: BTreeMap<String, u32>,
    /// By kind.
    deviations: BTreeMap<String, Deviation>,
}

impl Summary {
    pub(super) fn new(
        simulate: &Simulate,
        profiles: Vec<String>,
        took: Duration,
        report: FleetReport,
    ) -> Self {
        Self {
            ok: report.is_good(),
            url: simulate.url.origin(),
            devices: simulate.devices,
            profiles,
            seed: simulate.seed,
            seconds: (took.as_secs_f64() * 1e3).round() / 1e3,
            commissioning: report.commissioning,
            call_ins: report.call_ins,
            milliseconds: report.latencies(),
            failed_attempts: report.failed_attempts,
            deviations: report.deviations,
        }
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profiles = escape_for_terminal(&self.profiles.join(", ")).into_owned();
        writeln!(
            f,
            "{} devices ({profiles}) at {} in {:.1} s, seed {}",
            self.devices, self.url, self.seconds, self.seed
        )?;
        self.fmt_visits(f)?;
        for (kind, count) in &self.failed_attempts {
            writeln!(f, "{count} attempts failed of `{kind}`")?;
        }
        self.fmt_deviations(f)?;
        f.write_str(if self.ok {
            "ok: every device got what it needs"
        } else {
            "failed: devices would refuse this host"
        })
    }
}

impl Summary {
    fn fmt_visits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, outcomes) in [
            ("commissioned", self.commissioning),
            ("called in", self.call_ins),
        ] {
            let Outcomes {
                at_once,
                retried,
                failed,
                power_lost,
            } = outcomes;
            writeln!(
                f,
                "{what:<13} {at_once} at once, {retried} at another attempt, {failed} not, {power_lost} lost power"
            )?;
        }
        writeln!(
            f,
            "{:<13}{:>8}{:>9}{:>9}{:>9}{:>9}",
            "milliseconds", "count", "p50", "p90", "p99", "max"
        )?;
        for (
            step,
            Latency {
                count,
                p50,
                p90,
                p99,
                max,
            },
        ) in &self.milliseconds
        {
            writeln!(
                f,
                "{step:<13}{count:>8}{p50:>9.1}{p90:>9.1}{p99:>9.1}{max:>9.1}"
            )?;
        }
        Ok(())
    }

    fn fmt_deviations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, deviation) in &self.deviations {
            let Deviation {
                count,
                device,
                step,
                message,
                hint,
            } = deviation;
            let message = escape_for_terminal(message);
            writeln!(
                f,
                "deviation [{kind}], {count} times, first at the {step} of {device}: {message}"
            )?;
            writeln!(f, "{}", hint_line(2, escape_for_terminal(hint)))?;
        }
        Ok(())
    }
}
