//! One table, and the same as JSON.

use std::fmt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::installation::Installation;
use crate::plan::Plan;
use crate::statistics::{median, range, ratios};
use crate::trouble::{Outcome, While};

#[derive(Debug)]
pub(crate) struct Report {
    circumstances: Value,
    rows: Vec<Row>,
}

/// One measurement.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    ours: Vec<f64>,
    theirs: Vec<f64>,
    before: Vec<f64>,
    target: Option<Target>,
}

/// What a median must not exceed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Of the ratios to nginx, round by round.
    Ratio(f64),
    /// Of our own values.
    Value(f64),
}

impl Report {
    pub(crate) fn new(installation: &Installation, plan: &Plan) -> Self {
        Self {
            circumstances: json!({
                "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
                "processor": processor(),
                "kernel": fs_err::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
                "engage_host": version(Command::new(&installation.engage_host).arg("--version")),
                "nginx": version(Command::new(&installation.nginx).arg("-v")),
                "quick": plan.quick,
            }),
            rows: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, row: Row) {
        eprintln!("{row}");
        self.rows.push(row);
    }

    pub(crate) fn write_json(&self, path: &Path) -> Outcome<()> {
        let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
        let report = json!({ "circumstances": self.circumstances, "rows": rows });
        fs_err::write(path, format!("{report:#}\n")).doing("writing the results")
    }
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, ours: &[f64]) -> Self {
        Self {
            name: name.into(),
            unit,
            ours: ours.to_vec(),
            theirs: Vec::new(),
            before: Vec::new(),
            target: None,
        }
    }

    pub(crate) fn against(mut self, theirs: &[f64]) -> Self {
        self.theirs = theirs.to_vec();
        self
    }

    /// What the earlier engage-host used, if there is one.
    pub(crate) fn since(mut self, before: &[f64]) -> Self {
        self.before = before.to_vec();
        self
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    fn ratio(&self) -> Option<f64> {
        (!self.theirs.is_empty()).then(|| median(&ratios(&self.ours, &self.theirs)))
    }

    /// How much more than the earlier engage-host.
    fn change(&self) -> Option<f64> {
        (!self.before.is_empty()).then(|| median(&ratios(&self.ours, &self.before)) - 1.0)
    }

    /// Whether the target is met, if there is one.
    fn is_met(&self) -> Option<bool> {
        Some(match self.target? {
            Target::Ratio(most) => self.ratio()? <= most,
            Target::Value(most) => median(&self.ours) <= most,
        })
    }

    fn json(&self) -> Value {
        let (target, of) = match self.target {
            None => (None, None),
            Some(Target::Ratio(most)) => (Some(most), Some("ratio")),
            Some(Target::Value(most)) => (Some(most), Some("value")),
        };
        json!({
            "name": self.name,
            "unit": self.unit,
            "engage_host": summary(&self.ours),
            "nginx": summary(&self.theirs),
            "ratio": self.ratio(),
            "baseline": summary(&self.before),
            "change": self.change(),
            "target": target,
            "target_of": of,
            "met": self.is_met(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<58} {:>9} {:>24} {:>24} {:>6} {:>8}",
            "median (least to greatest)", "", "engage-host", "nginx", "ratio", "target"
        )?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self
            .ratio()
            .map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let target = match self.target {
            None => String::new(),
            Some(Target::Ratio(most)) => format!("{most:.2}"),
            Some(Target::Value(most)) => format!("{most}"),
        };
        let verdict = match self.is_met() {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        let change = self.change().map_or(String::new(), |change| {
            format!(" {:+.1} % since {}", change * 100.0, cell(&self.before))
        });
        write!(
            f,
            "{:<58} {:>9} {:>24} {:>24} {ratio:>6} {target:>8} {verdict}{change}",
            self.name,
            self.unit,
            cell(&self.ours),
            cell(&self.theirs),
        )
    }
}

fn cell(values: &[f64]) -> String {
    match values {
        [] => String::new(),
        [one] => number(*one),
        values => {
            let (least, most) = range(values);
            format!(
                "{} ({} to {})",
                number(median(values)),
                number(least),
                number(most)
            )
        }
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

fn summary(values: &[f64]) -> Value {
    if values.is_empty() {
        return Value::Null;
    }
    let (least, most) = range(values);
    json!({ "median": median(values), "least": least, "greatest": most, "values": values })
}

fn processor() -> String {
    let text = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or(String::new(), |(_, name)| name.to_owned())
}

/// nginx says it on standard error.
fn version(command: &mut Command) -> String {
    command.output().map_or(String::new(), |output| {
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim().to_owned()
    })
}
