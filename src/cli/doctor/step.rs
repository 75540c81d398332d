//! One step of a run, in words.

use std::fmt::Write as _;

use miette::{Diagnostic, Severity};
use serde::Serialize;

use crate::cli::output::hint_line;
use engage_wire::diagnostic::{causes, hint};
use engage_wire::escape_for_terminal;

/// A step's result; serialises as an element of `doctor --json`.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    #[serde(rename = "step")]
    pub(super) number: usize,
    pub(super) name: &'static str,
    pub(super) outcome: StepOutcome,
    pub(super) detail: String,
    pub(super) hint: Option<String>,
}

/// How a step ended; the worst comes last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StepOutcome {
    Pass,
    /// An earlier failure makes it impossible.
    Skip,
    /// A device may tolerate it.
    Warn,
    Fail,
}

impl StepOutcome {
    fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

impl Step {
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{:>2} {} {:<21} {}",
            self.number,
            self.outcome.word(),
            self.name,
            self.detail
        );
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\n{}", hint_line(8, hint));
        }
        text
    }
}

/// A step while it runs: the worst that is found is its outcome, all of it is told.
pub(super) struct StepBuilder {
    outcome: StepOutcome,
    details: Vec<String>,
    hints: Vec<String>,
}

impl StepBuilder {
    /// Nothing yet, which passes.
    pub(super) fn new() -> Self {
        Self {
            outcome: StepOutcome::Pass,
            details: Vec::new(),
            hints: Vec::new(),
        }
    }

    pub(super) fn skipped(because: &str) -> Self {
        let mut step = Self::new();
        step.outcome = StepOutcome::Skip;
        step.note(because);
        step
    }

    pub(super) fn note(&mut self, detail: impl Into<String>) {
        self.details.push(detail.into());
    }

    pub(super) fn warn(&mut self, detail: impl Into<String>, hint: impl Into<String>) {
        self.add(StepOutcome::Warn, detail.into(), hint.into());
    }

    pub(super) fn fail(&mut self, detail: impl Into<String>, hint: impl Into<String>) {
        self.add(StepOutcome::Fail, detail.into(), hint.into());
    }

    /// An error, or a violation: a warning where its severity says so.
    pub(super) fn add_error(&mut self, error: &dyn Diagnostic) {
        let outcome = match error.severity() {
            Some(Severity::Warning | Severity::Advice) => StepOutcome::Warn,
            Some(Severity::Error) | None => StepOutcome::Fail,
        };
        self.add(outcome, causes(error), hint(error));
    }

    /// The value, or nothing and the error noted.
    pub(super) fn accept<T>(&mut self, result: Result<T, impl Diagnostic>) -> Option<T> {
        result.map_err(|error| self.add_error(&error)).ok()
    }

    pub(super) fn into_step(self, number: usize, name: &'static str) -> Step {
        Step {
            number,
            name,
            outcome: self.outcome,
            detail: escape_for_terminal(&self.details.join("; ")).into_owned(),
            hint: (!self.hints.is_empty())
                .then(|| escape_for_terminal(&self.hints.join("; ")).into_owned()),
        }
    }

    fn add(&mut self, outcome: StepOutcome, detail: String, hint: String) {
        self.outcome = self.outcome.max(outcome);
        self.details.push(detail);
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
    }
}

/// The last line.
pub(super) fn summary(steps: &[Step]) -> String {
    let count = |outcome| steps.iter().filter(|step| step.outcome == outcome).count();
    let failed = count(StepOutcome::Fail);
    format!(
        "{}: {} passed, {failed} failed, {} warnings, {} skipped",
        if failed == 0 { "ok" } else { "failed" },
        count(StepOutcome::Pass),
        count(StepOutcome::Warn),
        count(StepOutcome::Skip),
    )
}
