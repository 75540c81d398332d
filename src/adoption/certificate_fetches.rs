//! Who fetched which certificate, whole.
//!
//! Certificates are fetched by anybody, in clear text. Only what calls in is known to be a device, so
//! only then does a fetch go into its record: a stranger cannot fill the disk with devices.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use engage_store::DeviceId;
use engage_wire::pki::Fingerprint;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sharded_lru::ShardedLru;

/// The last fetch of each that no call-in has been credited with.
///
/// By serial number, or by address where the request names none: in a building behind one address
/// a device's fetch is not another's. Full addresses and not networks: with IPv6 all devices of a
/// building share one /64.
#[derive(Debug, Default)]
pub struct CertificateFetches {
    last: ShardedLru<DeviceId, CertificateFetch>,
    /// Since they were last looked at to be saved.
    is_changed: AtomicBool,
}

/// A certificate was fetched: its last byte was taken.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CertificateFetch {
    /// From where it was asked for.
    pub peer: IpAddr,
    /// Which certificate.
    pub certificate: Fingerprint,
    /// When it was asked for.
    pub at: Timestamp,
}

impl CertificateFetches {
    /// `fetcher` has fetched a certificate.
    pub fn fetched(&self, fetcher: DeviceId, fetch: CertificateFetch) {
        self.last.shard(fetch.peer).insert(fetcher, fetch);
        self.is_changed.store(true, Ordering::Relaxed);
    }

    /// What a device that calls in from `peer` fetched last, once. Without a fetch that names it,
    /// one from its address that names nobody.
    pub fn take(&self, device: DeviceId, peer: IpAddr) -> Option<CertificateFetch> {
        let mut shard = self.last.shard(peer);
        let fetch = shard
            .remove(&device)
            .or_else(|| shard.remove(&DeviceId::Address(peer.to_canonical())))?;
        self.is_changed.store(true, Ordering::Relaxed);
        Some(fetch)
    }

    /// Takes over what was saved. What is known by now is newer.
    pub(super) fn restore(&self, saved: impl IntoIterator<Item = (DeviceId, CertificateFetch)>) {
        for (fetcher, fetch) in saved {
            self.last
                .shard(fetch.peer)
                .entry(fetcher)
                .or_insert_with(|| fetch);
        }
    }

    /// All of them, the oldest first, if they have changed since this was last asked.
    pub(super) fn changed(&self) -> Option<Vec<(DeviceId, CertificateFetch)>> {
        if !self.is_changed.swap(false, Ordering::Relaxed) {
            return None;
        }
        let mut all = Vec::new();
        self.last
            .for_each(|fetcher, fetch| all.push((*fetcher, *fetch)));
        all.sort_by_key(|(_, fetch)| fetch.at);
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    fn fetch_from(peer: IpAddr) -> CertificateFetch {
        CertificateFetch {
            peer,
            certificate: [["AB"; 16].join(":"), ["CD"; 16].join(":")]
                .join(":")
                .try_into()
                .unwrap(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn device(serial: &str) -> DeviceId {
        serial.parse().unwrap()
    }

    #[test]
    fn a_fetch_is_credited_once_and_to_the_device_that_it_names() {
        let (fetches, fetch) = (CertificateFetches::default(), fetch_from(PEER));
        let (one, other) = (device("0123456789ABCDEF"), device("FEDCBA9876543210"));
        fetches.fetched(one, fetch);
        assert_eq!(fetches.take(other, PEER), None);
        assert_eq!(fetches.take(one, PEER), Some(fetch));
        assert_eq!(fetches.take(one, PEER), None);
        // One that names nobody is of whoever calls in from there.
        fetches.fetched(DeviceId::Address(PEER), fetch);
        assert_eq!(fetches.take(other, PEER), Some(fetch));
    }

    #[test]
    fn strangers_from_everywhere_do_not_keep_a_device_from_being_remembered() {
        let fetches = CertificateFetches::default();
        for number in 0..200_000_u32 {
            let stranger = IpAddr::V4(number.into());
            fetches.fetched(DeviceId::Address(stranger), fetch_from(stranger));
        }
        let peer = IpAddr::from([200, 0, 0, 1]);
        fetches.fetched(DeviceId::Address(peer), fetch_from(peer));
        assert!(fetches.take(DeviceId::Address(peer), peer).is_some());
    }

    #[test]
    fn an_ipv6_subnet_pushes_out_few_others() {
        let fetches = CertificateFetches::default();
        let devices = (0..1000_u32).map(|number| IpAddr::V4((0x0a00_0000 | number).into()));
        let subnet =
            (0..200_000_u128).map(|host| IpAddr::V6((0x2001_0db8_u128 << 96 | host).into()));
        for peer in devices.clone().chain(subnet) {
            fetches.fetched(DeviceId::Address(peer), fetch_from(peer));
        }
        let is_known = |peer: &IpAddr| fetches.take(DeviceId::Address(*peer), *peer).is_some();
        assert!(devices.filter(is_known).count() > 900);
    }
}
