//! Who fetched which certificate, whole.
//!
//! Certificates are fetched by anybody, in clear text. Only what calls in is known to be a device, so
//! only then does a fetch go into its record: a stranger cannot fill the disk with devices.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engage_wire::ShardedLru;
use engage_wire::pki::Fingerprint;
use jiff::Timestamp;

use crate::DeviceId;

/// A certificate was fetched: its last byte was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CertificateFetch {
    /// Who fetched, as it says, which nobody has proven: its serial number, or its address where the
    /// request names none. In a building behind one address a device's fetch is not another's. Full
    /// addresses and not networks: with IPv6 all devices of a building share one /64.
    pub fetcher: DeviceId,
    /// From where.
    pub peer: IpAddr,
    /// The SHA-256 fingerprint of the certificate that was fetched.
    pub certificate: Fingerprint,
    /// When it was asked for.
    pub at: Timestamp,
}

/// The last fetch of each that is not in the database yet.
#[derive(Debug, Default)]
pub(crate) struct UnstoredFetches(ShardedLru<DeviceId, CertificateFetch>);

impl UnstoredFetches {
    /// The newest of a fetcher stays, in whatever order they come.
    pub(crate) fn add(&self, fetch: CertificateFetch) {
        let mut shard = self.0.shard(fetch.peer);
        let known = shard.get(&fetch.fetcher);
        if known.is_none_or(|known| known.at <= fetch.at) {
            shard.insert(fetch.fetcher, fetch);
        }
    }

    /// The newest of each fetcher, by its name.
    pub(crate) fn take(&self) -> Vec<CertificateFetch> {
        let mut newest: BTreeMap<String, CertificateFetch> = BTreeMap::new();
        for (fetcher, fetch) in self.0.take_all() {
            let newest = newest.entry(fetcher.to_string()).or_insert(fetch);
            if newest.at < fetch.at {
                *newest = fetch;
            }
        }
        newest.into_values().collect()
    }

    /// What could not be stored.
    pub(crate) fn put_back(&self, fetches: Vec<CertificateFetch>) {
        for fetch in fetches {
            self.add(fetch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(fetcher: DeviceId, peer: IpAddr, second: i64) -> CertificateFetch {
        CertificateFetch {
            fetcher,
            peer,
            certificate: "AB".repeat(32).parse().unwrap(),
            at: Timestamp::from_second(second).unwrap(),
        }
    }

    fn anonymous(peer: IpAddr) -> CertificateFetch {
        fetch(DeviceId::Address(peer), peer, 0)
    }

    #[test]
    fn the_newest_of_each_is_taken_once_wherever_it_came_from() {
        let fetches = UnstoredFetches::default();
        let device: DeviceId = "0123456789ABCDEF".parse().unwrap();
        let at = |second: u8| fetch(device, [10, 0, 0, second].into(), second.into());
        fetches.add(at(2));
        fetches.add(at(3));
        fetches.add(at(1));
        let taken = fetches.take();
        assert_eq!(taken, [at(3)]);
        assert_eq!(fetches.take(), []);
        let newer = CertificateFetch {
            at: at(9).at,
            ..at(3)
        };
        fetches.add(newer);
        fetches.put_back(taken);
        assert_eq!(fetches.take(), [newer]);
    }

    #[test]
    fn a_subnet_pushes_out_few_others_and_strangers_do_not_push_out_the_newest() {
        let fetches = UnstoredFetches::default();
        let devices: Vec<_> = (0..1000_u32)
            .map(|number| anonymous(IpAddr::V4((0x0a00_0000 | number).into())))
            .collect();
        let subnet = (0..200_000_u128)
            .map(|host| anonymous(IpAddr::V6((0x2001_0db8_u128 << 96 | host).into())));
        for fetch in devices.iter().copied().chain(subnet) {
            fetches.add(fetch);
        }
        let taken = fetches.take();
        let kept = devices.iter().filter(|fetch| taken.contains(fetch)).count();
        assert!(kept > 900, "{kept}");
        for number in 0..200_000_u32 {
            fetches.add(anonymous(IpAddr::V4(number.into())));
        }
        let newest = anonymous([200, 0, 0, 1].into());
        fetches.add(newest);
        let taken = fetches.take();
        assert!(
            taken.contains(&newest) && taken.len() <= 65_536,
            "{}",
            taken.len()
        );
    }
}
