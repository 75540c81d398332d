//! What a proof has found so far.

use std::collections::HashSet;

use crate::publication::{Refusal, Warning};
use jiff::Timestamp;

/// Refusals and warnings, each said once however many sites it concerns.
#[derive(Debug)]
pub(super) struct Report {
    /// The one "now" of the proof.
    pub(super) now: Timestamp,
    pub(super) warnings: Vec<Warning>,
    pub(super) refusals: Vec<Refusal>,
    warned: HashSet<Warning>,
}

impl Report {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            warnings: Vec::new(),
            refusals: Vec::new(),
            warned: HashSet::new(),
        }
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        if self.warned.insert(warning.clone()) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn refuse(&mut self, refusal: impl Into<Refusal>) {
        self.refusals.push(refusal.into());
    }

    /// Keeps going after a refusal: the value, or `None` and a refusal noted.
    pub(super) fn accept<T, E: Into<Refusal>>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|refusal| self.refuse(refusal)).ok()
    }
}
