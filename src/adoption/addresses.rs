//! What was seen of the trust anchors of addresses, by this host and by the others.

use std::net::IpAddr;

use engage_store::{AddressEvidence, Evidence, SerialNumber};
use engage_wire::ShardedLru;
use engage_wire::pki::Fingerprint;
use jiff::{SignedDuration, Timestamp};

/// Of each address the newest of each kind.
#[derive(Debug)]
pub(crate) struct Addresses(ShardedLru<IpAddr, AddressRecord>);

/// What was seen of one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AddressRecord {
    pub(crate) told: AnchorSeen,
    /// Completely.
    pub(crate) fetched: AnchorSeen,
    /// In a handshake that was completed.
    pub(crate) verified: AnchorSeen,
    /// In a handshake that ended as if the chain were not trusted.
    pub(crate) failed: AnchorSeen,
    /// Under which anchors handshakes failed, and how often since one was completed under another.
    refused: [Refused; 2],
    /// Who called in from there last.
    caller: Option<SerialNumber>,
    shared: Moment,
}

#[derive(Clone, Copy, Debug, Default)]
struct Refused {
    /// [`Fingerprint::prefix`].
    anchor: u64,
    count: u8,
}

/// A certificate, and when it was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AnchorSeen {
    /// [`Fingerprint::prefix`].
    pub(crate) anchor: u64,
    pub(crate) at: Moment,
}

/// Microseconds since 1970; the default is never.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Moment(i64);

impl Addresses {
    /// What is known of an address, if anything is.
    pub(crate) fn get(&self, address: IpAddr) -> AddressRecord {
        let mut shard = self.0.shard(address);
        shard
            .get(&address.to_canonical())
            .copied()
            .unwrap_or_default()
    }

    /// Changes what is known of an address.
    pub(super) fn update<T>(
        &self,
        address: IpAddr,
        change: impl FnOnce(&mut AddressRecord) -> T,
    ) -> T {
        let mut shard = self.0.shard(address);
        let record = shard.entry(address.to_canonical());
        change(record.or_insert_with(AddressRecord::default))
    }

    /// Takes over what any host has stored, the newest first: it is forgotten last.
    pub(crate) fn merge(&self, stored: &[AddressEvidence]) {
        for evidence in stored.iter().rev() {
            self.update(evidence.address, |record| record.merge(evidence));
        }
    }
}

impl Default for Addresses {
    fn default() -> Self {
        Self(ShardedLru::with_capacity(MAX_ADDRESSES))
    }
}

impl AddressRecord {
    /// Whether several devices call in from there, or another one than before.
    pub(crate) fn is_shared(&self, now: Timestamp) -> bool {
        self.shared.is_within(SHARED_FOR, now)
    }

    /// How often handshakes failed under one anchor while none was completed under another: beside who
    /// trusts that one, somebody is shown the wrong chain again and again.
    pub(crate) fn refused_in_a_row(&self) -> u8 {
        let counts = self.refused.iter().map(|it| it.count);
        counts.max().unwrap_or_default()
    }

    /// A handshake was completed.
    pub(crate) fn note_verified(&mut self, verified: AnchorSeen) {
        let fetched = self.fetched;
        let is_first_since_fetch = fetched.anchor == verified.anchor
            && fetched.at > self.verified.at
            && fetched.at > self.failed.at;
        for refused in &mut self.refused {
            if refused.anchor != verified.anchor {
                refused.count = 0;
            } else if is_first_since_fetch {
                // The device that was refused has installed the new certificate since.
                refused.count = refused.count.saturating_sub(1);
            }
        }
        self.verified.replace_older(verified);
    }

    /// A handshake failed.
    pub(crate) fn note_failed(&mut self, failed: AnchorSeen) {
        let anchor = failed.anchor;
        let [one, other] = &self.refused;
        // One of an earlier rotation makes room.
        let is_other = other.anchor == anchor || one.anchor != anchor && other.count < one.count;
        let refused = &mut self.refused[usize::from(is_other)];
        if refused.anchor != anchor {
            *refused = Refused { anchor, count: 0 };
        }
        refused.count = refused.count.saturating_add(1);
        self.failed.replace_older(failed);
    }

    /// Several devices call in from there.
    pub(crate) fn set_shared(&mut self, now: Timestamp) {
        self.shared = now.into();
    }

    /// A device with this serial number calls in from there.
    pub(super) fn called_in(&mut self, serial: SerialNumber, now: Timestamp) {
        if self
            .caller
            .replace(serial)
            .is_some_and(|last| last != serial)
        {
            self.set_shared(now);
        }
    }

    fn merge(&mut self, evidence: &AddressEvidence) {
        for (own, stored) in [
            (&mut self.told, evidence.told),
            (&mut self.fetched, evidence.fetched),
            (&mut self.verified, evidence.verified),
            (&mut self.failed, evidence.failed),
        ] {
            if let Some(stored) = stored {
                own.replace_older(stored.into());
            }
        }
        if evidence.devices > 1 {
            self.shared = self.shared.max(evidence.stored_at.into());
        }
    }
}

impl AnchorSeen {
    pub(super) fn new(anchor: Fingerprint, at: Timestamp) -> Self {
        Self {
            anchor: anchor.prefix(),
            at: at.into(),
        }
    }

    /// Keeps the newer one.
    pub(super) fn replace_older(&mut self, other: Self) {
        if self.at <= other.at {
            *self = other;
        }
    }
}

impl From<Evidence> for AnchorSeen {
    fn from(Evidence { fingerprint, at }: Evidence) -> Self {
        Self::new(fingerprint, at)
    }
}

impl Moment {
    const NEVER: Self = Self(i64::MIN);

    /// Whether it is not longer ago than `age`.
    pub(crate) fn is_within(self, age: SignedDuration, now: Timestamp) -> bool {
        let ago = now.as_microsecond().saturating_sub(self.0);
        i128::from(ago) <= age.as_micros()
    }
}

impl Default for Moment {
    fn default() -> Self {
        Self::NEVER
    }
}

impl From<Timestamp> for Moment {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }
}

/// Of a whole fleet. An address takes about 200 bytes.
const MAX_ADDRESSES: usize = 131_072;
/// Addresses are leased to others, mostly after a day.
const SHARED_FOR: SignedDuration = SignedDuration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn evidence(byte: u8, second: i64) -> Evidence {
        Evidence {
            fingerprint: format!("{byte:02X}").repeat(32).parse().unwrap(),
            at: at(second),
        }
    }

    fn stored(verified: Option<Evidence>, devices: u32) -> AddressEvidence {
        AddressEvidence {
            address: [10, 0, 0, 1].into(),
            told: None,
            fetched: None,
            verified,
            failed: None,
            devices,
            stored_at: at(100),
        }
    }

    #[test]
    fn of_what_all_hosts_saw_the_newest_counts_in_whatever_order_it_comes() {
        let addresses = Addresses::default();
        let [old, new] = [evidence(1, 10), evidence(2, 20)].map(|it| stored(Some(it), 1));
        for order in [[&old, &new], [&new, &old], [&new, &new]] {
            addresses.merge(&order.map(Clone::clone));
            let verified = addresses.get(old.address).verified;
            assert_eq!(verified.anchor, 0x0202_0202_0202_0202);
            assert_eq!(verified.at, at(20).into());
        }
    }

    #[test]
    fn an_address_is_shared_for_a_day_once_another_device_calls_in_from_there() {
        let serials = ["0123456789ABCDEF", "FEDCBA9876543210"];
        let [one, other] = serials.map(|it| SerialNumber::parse(it).unwrap());
        let mut record = AddressRecord::default();
        for serial in [one, one] {
            record.called_in(serial, at(0));
        }
        assert!(!record.is_shared(at(0)));
        record.called_in(other, at(0));
        assert!(record.is_shared(at(86_400)));
        assert!(!record.is_shared(at(86_401)));
        let mut elsewhere = AddressRecord::default();
        elsewhere.merge(&stored(None, 1));
        assert!(!elsewhere.is_shared(at(100)));
        elsewhere.merge(&stored(None, 2));
        assert!(elsewhere.is_shared(at(100)));
    }

    #[test]
    fn failures_under_an_anchor_count_until_a_handshake_is_completed_under_another() {
        let seen = |anchor| AnchorSeen {
            anchor,
            at: at(1).into(),
        };
        let mut record = AddressRecord::default();
        for expected in [1, 2] {
            record.note_failed(seen(1));
            assert_eq!(record.refused_in_a_row(), expected);
        }
        // Who trusts it proves nothing for who does not; another one's failures count beside.
        record.note_verified(seen(1));
        record.note_failed(seen(2));
        record.note_failed(seen(1));
        assert_eq!(record.refused_in_a_row(), 3);
        record.note_verified(seen(2));
        assert_eq!(record.refused_in_a_row(), 1);
        record.note_verified(seen(1));
        assert_eq!(record.refused_in_a_row(), 0);
        // Of another rotation.
        for anchor in [3, 4, 3, 4, 4] {
            record.note_failed(seen(anchor));
        }
        assert_eq!(record.refused_in_a_row(), 3);
    }

    #[test]
    fn a_fleet_is_remembered_and_a_subnet_pushes_out_few_others() {
        let addresses = Addresses::default();
        let verify = |address: IpAddr| {
            addresses.update(address, |record| record.verified.at = at(1).into());
        };
        let fleet = |n: u32| IpAddr::V4((0x0A00_0000 + n).into());
        (0..100_000).map(fleet).for_each(verify);
        let subnet = |n: u32| IpAddr::V6((0x2001_0db8_u128 << 96 | u128::from(n)).into());
        (0..200_000).map(subnet).for_each(verify);
        let is_known = |address| addresses.get(address).verified.at != Moment::NEVER;
        let known = (0..100_000).map(fleet).filter(|it| is_known(*it)).count();
        assert!(known > 97_000, "{known}");
    }
}
