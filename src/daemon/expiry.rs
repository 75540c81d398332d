//! Warnings before a certificate expires, while the daemon runs, and its renewal where that is allowed.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::interval;
use tracing::{error, warn};

use super::auto_renewal::AutoRenewal;
use crate::publication::{CurrentPublication, Expiry, Publication};
use engage_wire::clock;
use engage_wire::limits::EXPIRY_WARNING_DAYS;
use engage_wire::pki::{Fingerprint, Validity};

/// Looks at what is published: at once, every hour, and after each reload.
pub(super) async fn run(
    published: CurrentPublication,
    reloaded: &Notify,
    mut renewal: Option<AutoRenewal>,
) {
    let mut watch = ExpiryWatch::default();
    let mut hourly = interval(INTERVAL);
    loop {
        tokio::select! {
            _ = hourly.tick() => {}
            () = reloaded.notified() => {}
        }
        let (publication, now) = (published.current_arc(), clock::now());
        watch.look(&publication, now);
        if let Some(renewal) = &mut renewal {
            renewal.look(&publication, now).await;
        }
    }
}

/// Remembers which warnings have been given, so that each is given once.
#[derive(Debug, Default)]
struct ExpiryWatch {
    /// The last threshold that was passed, by fingerprint.
    passed: HashMap<Fingerprint, i64>,
}

impl ExpiryWatch {
    /// Logs every certificate that has come nearer to its end than a threshold since the last
    /// look. Takes the clock anew each time: it may have been set.
    fn look(&mut self, publication: &Publication, now: Timestamp) {
        for expiry in publication.expiries() {
            if let Some(days) = self.due(expiry, now) {
                report(expiry, days);
            }
        }
        let current: Vec<_> = publication
            .expiries()
            .map(|expiry| expiry.fingerprint)
            .collect();
        self.passed
            .retain(|fingerprint, _| current.contains(fingerprint));
    }

    /// Days left, if a warning is due.
    fn due(&mut self, expiry: &Expiry, now: Timestamp) -> Option<i64> {
        let days = expiry.validity.days_left(now);
        let threshold = *THRESHOLD_DAYS
            .iter()
            .find(|threshold| days <= **threshold)?;
        let last = self.passed.insert(expiry.fingerprint, threshold);
        last.is_none_or(|last| threshold < last).then_some(days)
    }
}

fn report(expiry: &Expiry, days: i64) {
    let Expiry {
        role,
        subject,
        validity: Validity { not_after, .. },
        ..
    } = expiry;
    if days < 0 {
        error!(
            days,
            certificate.role = role,
            certificate.subject = subject,
            "{role} certificate `{subject}` expired at {not_after}: devices refuse it; issue a new one now",
        );
    } else {
        warn!(
            days,
            certificate.role = role,
            certificate.subject = subject,
            "{role} certificate `{subject}` expires in {days} days, at {not_after}",
        );
    }
}

/// Often enough for a warning on the day it is due.
const INTERVAL: Duration = Duration::from_hours(1);

/// Days before the end at which to warn, nearest first; -1 is expired.
const THRESHOLD_DAYS: [i64; 6] = [-1, 1, 7, 14, EXPIRY_WARNING_DAYS, 90];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_threshold_warns_once_as_the_end_comes_nearer() {
        let end = Timestamp::constant(1_800_000_000, 0);
        let expiry = Expiry {
            role: "server".into(),
            subject: "CN=a".into(),
            validity: Validity {
                not_before: Timestamp::UNIX_EPOCH,
                not_after: end,
            },
            fingerprint: "AA".repeat(32).parse().unwrap(),
            is_sent: true,
        };
        let mut watch = ExpiryWatch::default();
        let warned: Vec<_> = (-120..=3)
            .filter_map(|day| watch.due(&expiry, clock::add_days(end, day)))
            .collect();
        assert_eq!(warned, [90, 30, 14, 7, 1, -1]);
    }

    #[test]
    fn a_start_within_several_thresholds_warns_once() {
        let end = Timestamp::constant(1_800_000_000, 0);
        let expiry = Expiry {
            role: "root".into(),
            subject: "CN=a".into(),
            validity: Validity {
                not_before: Timestamp::UNIX_EPOCH,
                not_after: end,
            },
            fingerprint: "AA".repeat(32).parse().unwrap(),
            is_sent: true,
        };
        let mut watch = ExpiryWatch::default();
        assert_eq!(watch.due(&expiry, clock::add_days(end, -3)), Some(3));
        assert_eq!(watch.due(&expiry, clock::add_days(end, -2)), None);
    }
}
