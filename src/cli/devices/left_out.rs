//! Rows that somebody changed in the database: what can be read is shown all the same.

use std::collections::BTreeSet;

use super::super::output::eprint_note;
use super::error::DevicesError;

/// What is wrong with each, told once.
#[derive(Default)]
pub(super) struct LeftOut(BTreeSet<String>);

impl LeftOut {
    pub(super) fn add(&mut self, found: Vec<String>) {
        for text in found {
            if self.0.insert(text.clone()) {
                eprint_note("warning", text);
            }
        }
    }

    /// Fails where something is missing.
    pub(super) fn finish(self) -> Result<(), DevicesError> {
        match self.0.len() {
            0 => Ok(()),
            count => Err(DevicesError::LeftOut { count }),
        }
    }
}
