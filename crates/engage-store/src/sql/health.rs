//! Whether the database takes what is written to it.

use engage_wire::diagnostic::causes;
use parking_lot::Mutex;
use tracing::{error, info};

use crate::{Health, StoreError};

/// Set by the last writes.
#[derive(Default)]
pub(super) struct HealthMonitor(Mutex<Option<Outage>>);

/// Since the first write that failed.
#[derive(Default)]
struct Outage {
    reason: String,
    logged: Vec<String>,
}

impl HealthMonitor {
    pub(super) fn get(&self) -> Health {
        let outage = self.0.lock();
        let reason = outage.as_ref().map(|outage| outage.reason.clone());
        reason.map_or(Health::Writable, |reason| Health::Failing { reason })
    }

    /// Each reason is logged once, not for each call.
    pub(super) fn failed(&self, failure: &StoreError) {
        let reason = causes(failure);
        let mut outage = self.0.lock();
        let outage = outage.get_or_insert_default();
        if outage.is_to_be_logged(&reason) {
            error!(
                reason,
                "the device store cannot be written; nothing is acknowledged"
            );
        }
        outage.reason = reason;
    }

    pub(super) fn recovered(&self) {
        if self.0.lock().take().is_some() {
            info!("the device store can be written again");
        }
    }
}

impl Outage {
    /// Whether it is another reason, and there are not too many yet. What comes first is often how it
    /// began, and what lasts comes after it: a session that was ended, then a password that is refused.
    fn is_to_be_logged(&mut self, reason: &str) -> bool {
        let is_new = self.logged.len() < MAX_REASONS && !self.logged.iter().any(|it| it == reason);
        if is_new {
            self.logged.push(reason.to_owned());
        }
        is_new
    }
}

/// Texts with an address or a number in them could be new each time.
const MAX_REASONS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_of_an_outage_is_logged_once_and_not_without_end() {
        let mut outage = Outage::default();
        let reasons: Vec<_> = (0..=MAX_REASONS).map(|it| it.to_string()).collect();
        let (last, logged) = reasons.split_last().unwrap();
        for reason in logged {
            assert!(outage.is_to_be_logged(reason), "{reason}");
            assert!(!outage.is_to_be_logged(reason), "{reason}");
        }
        assert!(!outage.is_to_be_logged(last));
    }
}
