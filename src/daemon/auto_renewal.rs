//! The server certificate, renewed by the daemon itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use crate::config::ConfigSource;
use crate::publication::{Expiry, Publication};
use crate::renewal::{self, RenewError, Renewed};
use crate::routes::App;
use engage_store::RotationStep;
use engage_wire::EvenClock;
use engage_wire::clock;
use engage_wire::diagnostic::one_line;

/// Renews at two thirds of the life of the server certificate; on any doubt it stays.
pub(super) struct AutoRenewal {
    pub(super) source: ConfigSource,
    /// Where the plain listener is bound.
    pub(super) http: SocketAddr,
    pub(super) app: Arc<App>,
    pub(super) attempts: Attempts,
    pub(super) clock: SteadyClock,
}

impl AutoRenewal {
    /// Renews if it is time. The watched files bring about the reload.
    pub(super) async fn look(&mut self, publication: &Publication, now: Timestamp) {
        let is_steady = self.clock.is_steady(Instant::now(), now);
        if !is_due(publication, now) || !self.attempts.may_begin(now) {
            return;
        }
        if !is_steady {
            let minutes = self.clock.minutes;
            info!(
                "the server certificate is due for renewal, which waits until the clock has run evenly for {minutes} minutes: what a wrong clock dates would not be valid"
            );
            return;
        }
        let (source, http) = (self.source.clone(), self.http);
        let renewing = tokio::task::spawn_blocking(move || renew(&source, http, now));
        let outcome = renewing
            .await
            .unwrap_or_else(|panic| Err(panic.to_string()));
        self.app.metrics.renewed(outcome.is_ok());
        let next = self.attempts.ended(now, outcome.is_ok());
        match outcome {
            Ok(Renewed {
                not_after, kept, ..
            }) => {
                let kept = kept
                    .first()
                    .map(|it| it.display().to_string())
                    .unwrap_or_default();
                info!(
                    "renewed the server certificate, which is valid until {not_after} now; what it replaces is kept, the key as `{kept}`"
                );
            }
            Err(reason) => warn!(
                "the server certificate was not renewed, and the present one stays; tried again from {next} on: {reason}"
            ),
        }
    }
}

fn renew(source: &ConfigSource, http: SocketAddr, now: Timestamp) -> Result<Renewed, String> {
    let config = source.load().map_err(|error| one_line(&error))?;
    let told = |error: RenewError| one_line(&error);
    renewal::like_present(&config, &config.base_url_at(http), now).map_err(told)
}

/// Whether the clock can be believed: one that is set right after a start, or is ahead for a moment, has
/// jumped a moment ago.
#[derive(Debug)]
pub(super) struct SteadyClock {
    /// For how long it must have run evenly.
    minutes: u16,
    clock: EvenClock,
}

impl SteadyClock {
    pub(super) fn new(minutes: u16) -> Self {
        Self {
            minutes,
            clock: EvenClock::default(),
        }
    }

    fn is_steady(&mut self, instant: Instant, now: Timestamp) -> bool {
        let even_for = self.clock.look(instant, now).unwrap_or_default();
        even_for >= Duration::from_mins(self.minutes.into())
    }
}

/// When it was tried, and when it may be tried again.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failed: u32,
    not_before: Option<Timestamp>,
}

impl Attempts {
    fn may_begin(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|it| it <= now)
    }

    /// When the next may begin: after a success too, should a reload not take up what is new.
    fn ended(&mut self, now: Timestamp, succeeded: bool) -> Timestamp {
        self.failed = if succeeded {
            0
        } else {
            self.failed.saturating_add(1)
        };
        let hours = match self.failed {
            0 => MAX_BACKOFF_HOURS,
            failed => (1_i64 << (failed - 1).min(10)).min(MAX_BACKOFF_HOURS),
        };
        let next = clock::from_unix_seconds(now.as_second() + hours * 3600);
        self.not_before = Some(next);
        next
    }
}

/// Whether two thirds of the life of the server certificate are over, and a little that differs from
/// certificate to certificate: hosts that were made together are not to be renewed together.
///
/// While the root is being changed, the old certificate is only renewed if it would end meanwhile, and
/// where the new one is in place already, not at all: other hosts know it by its fingerprint.
fn is_due(publication: &Publication, now: Timestamp) -> bool {
    let Some(leaf) = publication.expiries().find(|it| it.role == "server") else {
        return false;
    };
    match publication.rotation() {
        Some(rotation) if rotation.is_swapped() => false,
        // Its files are about to be replaced, or have been in part.
        Some(rotation) if rotation.rotation().step == RotationStep::Retiring => false,
        Some(_) => leaf.validity.expires_soon(now),
        None => now >= due_at(leaf),
    }
}

fn due_at(leaf: &Expiry) -> Timestamp {
    let life: SignedDuration = leaf
        .validity
        .not_after
        .duration_since(leaf.validity.not_before);
    let [jitter, ..] = leaf.fingerprint.prefix().to_be_bytes();
    let share = life.as_secs() / 30 / 256 * i64::from(jitter);
    let since = leaf.validity.not_before.as_second();
    clock::from_unix_seconds(since + life.as_secs() / 3 * 2 + share)
}

const MAX_BACKOFF_HOURS: i64 = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use engage_wire::clock::days_between;
    use engage_wire::pki::Validity;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    #[test]
    fn it_is_due_between_20_and_21_thirtieths_of_the_life_as_the_fingerprint_has_it() {
        let due = |byte: &str| {
            let leaf = Expiry {
                role: "server".into(),
                subject: "CN=a".into(),
                validity: Validity {
                    not_before: NOW,
                    not_after: clock::add_days(NOW, 300),
                },
                fingerprint: byte.repeat(32).parse().unwrap(),
                is_sent: true,
            };
            days_between(NOW, due_at(&leaf))
        };
        assert_eq!(due("00"), 200);
        assert_eq!(due("80"), 205);
        assert_eq!(due("FF"), 209);
    }

    #[test]
    fn a_clock_is_believed_an_hour_after_it_has_jumped() {
        let start = Instant::now();
        let mut clock = SteadyClock::new(60);
        let mut look = |minute: u64, ahead: i64| {
            let by_clock = SignedDuration::from_mins(i64::try_from(minute).unwrap());
            let now = clock::add_days(NOW, ahead) + by_clock;
            clock.is_steady(start + Duration::from_mins(minute), now)
        };
        assert!(!look(0, 0));
        assert!(!look(59, 0));
        assert!(look(60, 0));
        assert!(!look(61, 8 * 365));
        assert!(!look(120, 8 * 365));
        assert!(look(121, 8 * 365));
        // Back again.
        assert!(!look(122, 0));
        assert!(look(200, 0));
        assert!(SteadyClock::new(0).is_steady(start, NOW));
    }

    #[test]
    fn failures_are_tried_again_ever_more_rarely_and_once_a_day_at_least() {
        let mut attempts = Attempts::default();
        assert!(attempts.may_begin(NOW));
        let hours: Vec<_> = (0..70)
            .map(|_| (attempts.ended(NOW, false).as_second() - NOW.as_second()) / 3600)
            .collect();
        assert_eq!(hours[..6], [1, 2, 4, 8, 16, 24]);
        assert!(hours[6..].iter().all(|it| *it == 24), "{hours:?}");
        assert!(!attempts.may_begin(clock::add_days(NOW, 1) - SignedDuration::from_secs(1)));
        assert!(attempts.may_begin(clock::add_days(NOW, 1)));
        attempts.ended(NOW, true);
        assert_eq!(
            attempts.ended(NOW, false).as_second() - NOW.as_second(),
            3600
        );
    }
}
