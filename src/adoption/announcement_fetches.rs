//! Who fetched which announcement, and whether it helped.
//!
//! Announcements are fetched by anybody, in clear text. Only what calls in is known to be a device, so
//! only then does a fetch go into its record: a stranger cannot fill the disk with devices.
//!
//! A device asks again whenever a TLS connection fails certificate validation (PROTOCOL.md section
//! 1), so fetches without a TLS session are what a wrong anchor or a wrong site key looks like here.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use engage_store::DeviceId;
use jiff::Timestamp;
use tracing::warn;

use crate::sharded_lru::ShardedLru;
use engage_wire::pki::Fingerprint;

/// The latest fetches, by who fetched.
///
/// By serial number, or by address where the request names none: in a building behind one address
/// a device's fetch is not another's. Full addresses and not networks: with IPv6 all devices of a
/// building share one /64.
#[derive(Debug, Default)]
pub struct AnnouncementFetches(ShardedLru<DeviceId, Fetches>);

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
    /// `fetcher` fetched an announcement from `peer`, in clear text. The third time without a TLS
    /// session is logged as a probable mismatch, and then once an hour.
    pub fn fetched_in_clear(&self, fetcher: DeviceId, peer: IpAddr, fetch: Fetch) {
        self.fetched_in_tls(fetcher, peer, fetch);
        if let Some(count) = self.count_without_tls(peer, Instant::now()) {
            warn!(
                %peer, count,
                "{peer} has fetched the announcement {count} times without a TLS session: its site key or its installed certificate probably does not match",
            );
        }
    }

    /// `fetcher` fetched an announcement from `peer`, within TLS.
    pub fn fetched_in_tls(&self, fetcher: DeviceId, peer: IpAddr, fetch: Fetch) {
        let mut shard = self.0.shard(peer);
        shard.entry(fetcher).or_insert_with(Fetches::default).last = Some(fetch);
    }

    /// Somebody completed a handshake from `peer`: whatever was wrong is right now.
    pub fn handshake_completed(&self, peer: IpAddr) {
        if let Some(fetches) = self.0.shard(peer).get_mut(&address(peer)) {
            fetches.without_tls = None;
        }
    }

    /// What a device that calls in from `peer` fetched last, once. Without a fetch that names it,
    /// one from its address that names nobody.
    #[must_use]
    pub fn take(&self, device: DeviceId, peer: IpAddr) -> Option<Fetch> {
        let mut shard = self.0.shard(peer);
        let mut take = |key: &DeviceId| shard.get_mut(key)?.last.take();
        take(&device).or_else(|| take(&address(peer)))
    }

    fn count_without_tls(&self, peer: IpAddr, now: Instant) -> Option<u32> {
        self.0
            .shard(peer)
            .entry(address(peer))
            .or_insert_with(Fetches::default)
            .without_tls
            .get_or_insert_with(|| WithoutTls::new(now))
            .count(now)
    }
}

fn address(peer: IpAddr) -> DeviceId {
    DeviceId::Address(peer.to_canonical())
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
    use std::net::Ipv4Addr;

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

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    fn device(serial: &str) -> DeviceId {
        serial.parse().unwrap()
    }

    #[test]
    fn a_handshake_clears_the_suspicion_but_not_the_fetch() {
        let (fetches, fetch) = (AnnouncementFetches::default(), fetch());
        let now = Instant::now();
        fetches.fetched_in_tls(address(PEER), PEER, fetch);
        fetches.count_without_tls(PEER, now);
        fetches.count_without_tls(PEER, now);
        fetches.handshake_completed(PEER);
        assert_eq!(fetches.count_without_tls(PEER, now), None);
        assert_eq!(fetches.take(address(PEER), PEER), Some(fetch));
        assert_eq!(fetches.take(address(PEER), PEER), None);
    }

    #[test]
    fn a_fetch_is_credited_to_the_device_that_it_names() {
        let (fetches, fetch) = (AnnouncementFetches::default(), fetch());
        let (one, other) = (device("0123456789ABCDEF"), device("FEDCBA9876543210"));
        fetches.fetched_in_clear(one, PEER, fetch);
        assert_eq!(fetches.take(other, PEER), None);
        assert_eq!(fetches.take(one, PEER), Some(fetch));
        // One that names nobody is of whoever calls in from there.
        fetches.fetched_in_clear(address(PEER), PEER, fetch);
        assert_eq!(fetches.take(other, PEER), Some(fetch));
    }

    #[test]
    fn devices_of_one_ipv6_subnet_are_not_taken_for_each_other() {
        let fetches = AnnouncementFetches::default();
        let now = Instant::now();
        for host in 0..20 {
            assert_eq!(fetches.count_without_tls(ipv6(host), now), None);
        }
    }

    #[test]
    fn strangers_from_everywhere_do_not_keep_a_device_from_being_remembered() {
        let (fetches, fetch) = (AnnouncementFetches::default(), fetch());
        for number in 0..200_000_u32 {
            let stranger = IpAddr::V4(number.into());
            fetches.fetched_in_tls(address(stranger), stranger, fetch);
        }
        let device = IpAddr::from([200, 0, 0, 1]);
        fetches.fetched_in_tls(address(device), device, fetch);
        assert_eq!(fetches.take(address(device), device), Some(fetch));
    }

    #[test]
    fn an_ipv6_subnet_pushes_out_few_others() {
        let (fetches, fetch) = (AnnouncementFetches::default(), fetch());
        let devices: Vec<_> = (0..1000_u32)
            .map(|number| IpAddr::V4((0x0a00_0000 | number).into()))
            .collect();
        for device in &devices {
            fetches.fetched_in_tls(address(*device), *device, fetch);
        }
        for host in 0..200_000 {
            fetches.fetched_in_tls(address(ipv6(host)), ipv6(host), fetch);
        }
        let is_known = |device: &&IpAddr| fetches.take(address(**device), **device).is_some();
        assert!(devices.iter().filter(is_known).count() > 900);
    }

    fn ipv6(host: u128) -> IpAddr {
        IpAddr::V6((0x2001_0db8_u128 << 96 | host).into())
    }
}
