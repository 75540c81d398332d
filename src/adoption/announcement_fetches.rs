//! Who fetched which announcement, and whether it helped.
//!
//! Announcements are fetched by anybody, in clear text. Only what calls in is known to be a device, so
//! only then does a fetch go into its record: a stranger cannot fill the disk with devices.
//!
//! A device asks again whenever a TLS connection fails certificate validation (PROTOCOL.md section
//! 1), so fetches without a TLS session are what a wrong anchor or a wrong site key looks like here.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::warn;

use crate::sharded_lru::ShardedLru;
use engage_wire::pki::Fingerprint;

/// The fetches of each address. Full addresses, not networks: in a building with IPv6 all devices share one /64, and
/// what one of them does says nothing about the others.
#[derive(Debug, Default)]
pub struct AnnouncementFetches(ShardedLru<IpAddr, Fetches>);

/// An announcement was fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fetch {
    /// Fingerprint of the announced certificate.
    pub fingerprint: Fingerprint,
    /// When.
    pub at: Timestamp,
}

#[derive(Debug, Default)]
struct Fetches {
    /// The last one that no call-in has been credited with.
    last: Option<Fetch>,
    without_tls: Option<WithoutTls>,
}

/// Fetches in clear text since the last TLS session.
#[derive(Clone, Copy, Debug)]
struct WithoutTls {
    since: Instant,
    count: u32,
    reported: Option<Instant>,
}

impl AnnouncementFetches {
    /// A device fetched an announcement in clear text. The third time without a TLS session is logged as a probable
    /// mismatch, and then once an hour.
    pub fn fetched_in_clear(&self, device: IpAddr, fetch: Fetch) {
        if let Some(count) = self.record(device, fetch, Some(Instant::now())) {
            warn!(
                peer = %device, count,
                "{device} has fetched the announcement {count} times without a TLS session: its site key or its installed certificate probably does not match",
            );
        }
    }

    /// A device fetched an announcement within TLS.
    pub fn fetched_in_tls(&self, device: IpAddr, fetch: Fetch) {
        self.record(device, fetch, None);
    }

    /// A device completed a handshake: whatever was wrong is right now.
    pub fn handshake_completed(&self, device: IpAddr) {
        if let Some(fetches) = self.0.shard(device).get_mut(&device) {
            fetches.without_tls = None;
        }
    }

    /// What a device fetched last, once.
    #[must_use]
    pub fn take(&self, device: IpAddr) -> Option<Fetch> {
        self.0.shard(device).get_mut(&device)?.last.take()
    }
}

impl AnnouncementFetches {
    fn record(&self, device: IpAddr, fetch: Fetch, in_clear: Option<Instant>) -> Option<u32> {
        let mut shard = self.0.shard(device);
        let fetches = shard.entry(device).or_insert_with(Fetches::default);
        fetches.last = Some(fetch);
        let now = in_clear?;
        fetches
            .without_tls
            .get_or_insert_with(|| WithoutTls::new(now))
            .count(now)
    }
}

impl WithoutTls {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            count: 0,
            reported: None,
        }
    }

    /// One more. Returns how many there are, if that is to be reported.
    fn count(&mut self, now: Instant) -> Option<u32> {
        if now.duration_since(self.since) >= FORGET_AFTER {
            (self.since, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(1);
        let is_due = self
            .reported
            .is_none_or(|at| now.duration_since(at) >= BETWEEN_REPORTS);
        if self.count < SUSPICIOUS || !is_due {
            return None;
        }
        self.reported = Some(now);
        Some(self.count)
    }
}

/// Commissioning may ask twice; a third time without TLS is not normal.
const SUSPICIOUS: u32 = 3;
const BETWEEN_REPORTS: Duration = Duration::from_hours(1);
/// Devices call once a night: three fetches in as many nights are still suspicious.
const FORGET_AFTER: Duration = Duration::from_hours(7 * 24);

#[cfg(test)]
mod tests {
    use super::*;
    use engage_wire::pki::Certificate;
    use engage_wire::pki::issue::{CertifiedIssuer, ServerDays, ValidityPolicy};

    fn fetch() -> Fetch {
        let validity_policy = ValidityPolicy::new(engage_wire::clock::now(), ServerDays::Default);
        let root = CertifiedIssuer::root(&validity_policy).unwrap();
        Fetch {
            fingerprint: Certificate::fingerprint(root.certificate()),
            at: Timestamp::now(),
        }
    }

    #[test]
    fn the_third_fetch_is_reported_and_then_one_an_hour() {
        let start = Instant::now();
        let mut fetches = WithoutTls::new(start);
        let mut at = |seconds| fetches.count(start + Duration::from_secs(seconds));
        assert_eq!((at(0), at(1), at(2), at(3)), (None, None, Some(3), None));
        assert_eq!(at(3603), Some(5));
    }

    #[test]
    fn a_handshake_clears_the_suspicion_but_not_the_fetch() {
        let (fetches, fetch) = (AnnouncementFetches::default(), fetch());
        let (device, now) = (IpAddr::from([10, 0, 0, 1]), Instant::now());
        fetches.record(device, fetch, Some(now));
        fetches.record(device, fetch, Some(now));
        fetches.handshake_completed(device);
        assert_eq!(fetches.record(device, fetch, Some(now)), None);
        assert_eq!(fetches.take(device), Some(fetch));
        assert_eq!(fetches.take(device), None);
    }

    #[test]
    fn devices_of_one_ipv6_subnet_are_not_taken_for_each_other() {
        let (fetches, fetch) = (AnnouncementFetches::default(), fetch());
        let now = Instant::now();
        for host in 0..20 {
            let device = IpAddr::V6((0x2001_0db8_u128 << 96 | host).into());
            assert_eq!(fetches.record(device, fetch, Some(now)), None);
        }
    }

    #[test]
    fn strangers_from_everywhere_do_not_keep_a_device_from_being_remembered() {
        let (fetches, fetch) = (AnnouncementFetches::default(), fetch());
        for number in 0..200_000_u32 {
            fetches.fetched_in_tls(IpAddr::V4(number.into()), fetch);
        }
        let device = IpAddr::from([200, 0, 0, 1]);
        fetches.fetched_in_tls(device, fetch);
        assert_eq!(fetches.take(device), Some(fetch));
    }

    #[test]
    fn an_ipv6_subnet_pushes_out_few_others() {
        let (fetches, fetch) = (AnnouncementFetches::default(), fetch());
        let devices: Vec<_> = (0..1000_u32)
            .map(|number| IpAddr::V4((0x0a00_0000 | number).into()))
            .collect();
        for device in &devices {
            fetches.fetched_in_tls(*device, fetch);
        }
        for host in 0..200_000 {
            let stranger = IpAddr::V6((0x2001_0db8_u128 << 96 | host).into());
            fetches.fetched_in_tls(stranger, fetch);
        }
        let known = devices.iter().filter(|it| fetches.take(**it).is_some());
        assert!(known.count() > 900);
    }
}
