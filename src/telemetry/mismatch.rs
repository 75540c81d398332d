//! Devices that fetch the announcement again and again but never complete a handshake.
//!
//! A device asks again whenever a TLS connection fails certificate validation (PROTOCOL.md
//! section 1), so this is what a wrong anchor or a wrong site key looks like from here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

/// Remembers who fetched announcements since their last TLS session.
#[derive(Debug, Default)]
pub struct MismatchWatch(Mutex<HashMap<IpAddr, Fetches>>);

#[derive(Debug)]
struct Fetches {
    since: Instant,
    count: u32,
    reported: Option<Instant>,
}

impl MismatchWatch {
    /// A device fetched the announcement in clear text. Logs it as a probable mismatch at the
    /// third time, and then once an hour.
    pub fn fetched(&self, device: IpAddr) {
        if let Some(count) = self.note_fetch(device, Instant::now()) {
            warn!(
                peer = %device, count,
                "{device} has fetched the announcement {count} times without a TLS session: its site key or its installed certificate probably does not match",
            );
        }
    }

    /// A device completed a handshake: whatever was wrong is right now.
    pub fn shook_hands(&self, device: IpAddr) {
        self.devices().remove(&device);
    }

    fn note_fetch(&self, device: IpAddr, now: Instant) -> Option<u32> {
        let mut devices = self.devices();
        if devices.len() >= MOST_DEVICES && !devices.contains_key(&device) {
            devices.retain(|_, fetches| now.duration_since(fetches.since) < FORGET_AFTER);
            if devices.len() >= MOST_DEVICES {
                return None;
            }
        }
        let fetches = devices.entry(device).or_insert(Fetches {
            since: now,
            count: 0,
            reported: None,
        });
        if now.duration_since(fetches.since) >= FORGET_AFTER {
            *fetches = Fetches {
                since: now,
                count: 0,
                reported: fetches.reported,
            };
        }
        fetches.count = fetches.count.saturating_add(1);
        let is_due = fetches
            .reported
            .is_none_or(|at| now.duration_since(at) >= BETWEEN_REPORTS);
        if fetches.count < SUSPICIOUS || !is_due {
            return None;
        }
        fetches.reported = Some(now);
        Some(fetches.count)
    }

    fn devices(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Fetches>> {
        // An entry is whole at every moment, so a poisoned map is still right.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commissioning may ask twice; a third time without TLS is not normal.
const SUSPICIOUS: u32 = 3;
const BETWEEN_REPORTS: Duration = Duration::from_hours(1);
/// Devices call once a night: three fetches in as many nights are still suspicious.
const FORGET_AFTER: Duration = Duration::from_hours(7 * 24);
/// About 5 MB at the most.
const MOST_DEVICES: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_fetch_is_reported_and_then_one_an_hour() {
        let watch = MismatchWatch::default();
        let device = IpAddr::from([10, 0, 0, 1]);
        let start = Instant::now();
        let at = |seconds| watch.note_fetch(device, start + Duration::from_secs(seconds));
        assert_eq!((at(0), at(1), at(2), at(3)), (None, None, Some(3), None));
        assert_eq!(at(3603), Some(5));
    }

    #[test]
    fn a_handshake_clears_the_suspicion() {
        let watch = MismatchWatch::default();
        let device = IpAddr::from([10, 0, 0, 1]);
        let now = Instant::now();
        watch.note_fetch(device, now);
        watch.note_fetch(device, now);
        watch.shook_hands(device);
        assert_eq!(watch.note_fetch(device, now), None);
    }
}
