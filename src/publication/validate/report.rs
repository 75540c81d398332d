//! What a validation has found so far.

use std::collections::{HashMap, HashSet};
use std::mem::{Discriminant, discriminant};
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
    warnings: Vec<Warning>,
    /// How many of each kind.
    of_kind: HashMap<Discriminant<Warning>, usize>,
    left_out: usize,
    /// Of the site that is looked at, or what concerns all.
    pub(super) refusals: Vec<Refusal>,
    said: HashSet<String>,
}

impl Report {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            warnings: Vec::new(),
            of_kind: HashMap::new(),
            left_out: 0,
            refusals: Vec::new(),
            said: HashSet::new(),
        }
    }

    /// Of thousands of sites, as many of a kind as somebody reads.
    pub(super) fn warn(&mut self, warning: Warning) {
        let of_kind = self.of_kind.entry(discriminant(&warning)).or_default();
        if *of_kind == MAX_OF_A_KIND {
            self.left_out += 1;
        } else if self.said.insert(causes(&warning)) {
            *of_kind += 1;
            self.warnings.push(warning);
        }
    }

    pub(super) fn warn_all(&mut self, warnings: &[Warning]) {
        for warning in warnings {
            self.warn(warning.clone());
        }
    }

    /// Another one of a kind of which there are as many as somebody reads.
    pub(super) fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// All warnings, and how many are none of them.
    pub(super) fn into_warnings(mut self) -> Vec<Warning> {
        if self.left_out > 0 {
            let count = self.left_out;
            self.warnings.push(Warning::LeftOut { count });
        }
        self.warnings
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

/// Warnings of one kind; others are counted only.
pub(super) const MAX_OF_A_KIND: usize = 100;
