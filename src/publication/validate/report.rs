//! What a validation has found so far.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;

use crate::publication::{Refusal, Warning};
use engage_wire::diagnostic::causes;
use engage_wire::pki::device_profile::Violation;
use engage_wire::site::SiteName;

/// Refusals and warnings, each said once.
#[derive(Debug)]
pub(super) struct Report {
    /// The one "now" of the validation.
    pub(super) now: Timestamp,
    pub(super) warnings: Vec<Warning>,
    /// Of the site that is looked at, or what concerns all.
    pub(super) refusals: Vec<Refusal>,
    said: HashSet<String>,
}

impl Report {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            warnings: Vec::new(),
            refusals: Vec::new(),
            said: HashSet::new(),
        }
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        if self.said.insert(causes(&warning)) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn refuse(&mut self, refusal: impl Into<Refusal>) {
        self.refusals.push(refusal.into());
    }

    /// What the device profile holds against the chain in `path`, as announced by `site`.
    pub(super) fn add(&mut self, violations: Vec<Violation>, path: &Path, site: Option<&SiteName>) {
        for violation in violations {
            let is_chains = !matches!(violation, Violation::Certificate(..));
            match (violation.is_refusal(), is_chains) {
                (true, false) => self.refuse(Refusal::Certificate(violation)),
                (true, true) => self.refuse(Refusal::Chain {
                    path: path.to_owned(),
                    site: site.cloned(),
                    source: violation,
                }),
                (false, false) => self.warn(Warning::Certificate(violation)),
                (false, true) => self.warn(Warning::Chain {
                    path: path.to_owned(),
                    source: violation,
                }),
            }
        }
    }

    /// Keeps going after a refusal: the value, or `None` and a refusal noted.
    pub(super) fn accept<T, E: Into<Refusal>>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|refusal| self.refuse(refusal)).ok()
    }
}
