//! What the nights came to.

use std::fmt;
use std::time::Duration;

use engage_device::fleet::{Activity, FleetReport, Outcomes, VisitStep};

use super::building::Building;

pub(super) struct Nights {
    pub(super) building: Building,
    pub(super) length: Duration,
    pub(super) finished: Vec<Night>,
}

pub(super) struct Night {
    pub(super) name: &'static str,
    pub(super) activity: Activity,
    /// Devices whose last two call-ins failed.
    pub(super) again: usize,
    pub(super) took: Duration,
    /// Of the daemon.
    pub(super) cpu: Duration,
    /// Of the daemon, in bytes.
    pub(super) memory: u64,
    pub(super) report: FleetReport,
}

impl Nights {
    pub(super) fn new(building: Building, length: Duration) -> Self {
        Self {
            building,
            length,
            finished: Vec::new(),
        }
    }
}

impl Night {
    fn outcomes(&self) -> Outcomes {
        match self.activity {
            Activity::Commission => self.report.commissioning,
            Activity::CallIn => self.report.call_ins,
        }
    }

    /// A device met something that it would not stand, or failed two call-ins in a row.
    pub(super) fn fault(&self) -> Option<String> {
        let Self { name, again, .. } = self;
        if *again > 0 {
            return Some(format!(
                "{name}: {again} devices failed two call-ins in a row"
            ));
        }
        let (kind, deviation) = self.report.deviations.first_key_value()?;
        Some(format!("{name}: {kind}: {deviation:?}"))
    }
}

impl fmt::Display for Night {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes = self.outcomes();
        let Outcomes {
            at_once,
            retried,
            failed,
            power_lost,
        } = outcomes;
        let cpu = self.cpu.as_secs_f64() * 1e6 / f64::from(outcomes.total().max(1));
        write!(
            f,
            "| {} | {at_once} | {retried} | {failed} | {power_lost} | {:.0} | {cpu:.0} | {} |",
            self.name,
            self.took.as_secs_f64(),
            self.memory >> 20
        )?;
        let latencies = self.report.latencies();
        for step in [
            VisitStep::Announcement,
            VisitStep::Handshake,
            VisitStep::Audit,
        ] {
            match latencies.get(&step) {
                Some(latency) => write!(f, " {:.1} / {:.1} |", latency.p50, latency.p99)?,
                None => f.write_str(" |")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Nights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| | at once | retried | failed | lost power | s | daemon's CPU, us a visit | MB | announcement, ms p50 / p99 | handshake | audit |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|")?;
        self.finished
            .iter()
            .try_for_each(|night| writeln!(f, "{night}"))
    }
}
