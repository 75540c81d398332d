//! Who has which trust anchor, as far as can be seen from here.
//!
//! A host sees that a device was told an announcement, fetched a certificate, and how its handshakes
//! ended. Of each kind the newest counts, in whatever order sightings come and however often: so they
//! can be retried, and several hosts can write what they saw.

use std::net::IpAddr;

use async_trait::async_trait;
use engage_wire::ShardedLru;
use engage_wire::pki::Fingerprint;
use jiff::Timestamp;

use crate::{DeviceId, DevicePageToken, PageLimit, StoreError};

/// Something that was seen of who may be a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// By its serial number where it has said one; else by its address. Nobody has proven either.
    pub who: DeviceId,
    /// From where.
    pub peer: IpAddr,
    /// The site that its request selected, if it was one that selects.
    pub site: Option<String>,
    /// What it did.
    pub seen: Seen,
    /// When it did.
    pub at: Timestamp,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// It asked for an announcement and was told this certificate.
    Told {
        /// Which is announced.
        anchor: Fingerprint,
    },
    /// It has taken a certificate to the last byte.
    Fetched {
        /// The SHA-256 fingerprint of the file that it downloaded.
        certificate: Fingerprint,
    },
    /// It completed a handshake in which it verified a chain.
    Verified {
        /// The trust anchor of that chain.
        anchor: Fingerprint,
    },
    /// It ended a handshake in a way that says that it does not trust the chain.
    Failed {
        /// The trust anchor of that chain.
        anchor: Fingerprint,
        /// What it sent, or did.
        reason: &'static str,
    },
}

/// A certificate, and when it was seen last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// The SHA-256 fingerprint of the certificate.
    pub fingerprint: Fingerprint,
    /// When it was seen last.
    pub at: Timestamp,
}

/// The newest of each kind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Adopted {
    /// The anchor that was announced to it.
    pub told: Option<Evidence>,
    /// The certificate that it has fetched completely.
    pub fetched: Option<Evidence>,
    /// The anchor under which it completed a handshake.
    pub verified: Option<Evidence>,
    /// The anchor of the chain that it did not trust.
    pub failed: Option<Evidence>,
    /// How that handshake ended.
    pub failure: Option<String>,
}

impl Adopted {
    /// Takes over what is newer elsewhere.
    pub(crate) fn merge(&mut self, other: &Self) {
        if is_newer(other.failed, self.failed) {
            self.failed = other.failed;
            self.failure.clone_from(&other.failure);
        }
        for (own, other) in [
            (&mut self.told, other.told),
            (&mut self.fetched, other.fetched),
            (&mut self.verified, other.verified),
        ] {
            if is_newer(other, *own) {
                *own = other;
            }
        }
    }
}

fn is_newer(found: Option<Evidence>, known: Option<Evidence>) -> bool {
    found.is_some_and(|found| known.is_none_or(|known| known.at <= found.at))
}

/// What was seen of an address, by any host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressEvidence {
    /// The address that was seen, without the port.
    pub address: IpAddr,
    /// The anchor that was announced there last.
    pub told: Option<Evidence>,
    /// The certificate that was fetched completely last.
    pub fetched: Option<Evidence>,
    /// The anchor under which a handshake was completed last.
    pub verified: Option<Evidence>,
    /// The anchor that was not trusted last.
    pub failed: Option<Evidence>,
    /// Serial numbers that were seen there last, in the last 30 days: more than one share the address.
    pub devices: u32,
    /// When it was stored, by the database's clock.
    pub stored_at: Timestamp,
}

/// Which devices are asked for: those that have called in, by name.
#[derive(Clone, Debug, Default)]
pub struct AdoptionQuery {
    /// This device only.
    pub device: Option<DeviceId>,
    /// Only those that were seen at this moment or later.
    pub seen_since: Option<Timestamp>,
    /// Behind this page; the first one otherwise.
    pub after: Option<DevicePageToken>,
    /// How many on one page.
    pub limit: PageLimit,
}

/// Some devices, and where the others are.
#[derive(Clone, Debug, Default)]
pub struct AdoptionPage {
    /// By name, which sorts by its bytes.
    pub devices: Vec<Adoption>,
    /// For the next page, if there is more.
    pub next: Option<DevicePageToken>,
}

/// What is known of the trust anchor of a device that has called in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Adoption {
    /// The device, by its serial number or its address.
    pub device: DeviceId,
    /// The site that it belongs to, as far as it has shown.
    pub site: Option<String>,
    /// Where it called from last.
    pub address: Option<IpAddr>,
    /// On whatever route.
    pub last_seen: Timestamp,
    /// When it was told to call in next.
    pub next_call: Option<Timestamp>,
    /// Whether other serial numbers were seen at its address since the query's moment: what was seen of
    /// the address alone is not counted for the device then.
    pub is_shared: bool,
    /// What was seen of it.
    pub adopted: Adopted,
}

/// Who has which trust anchor, for all hosts on a store.
#[async_trait]
pub trait AdoptionLedger: Send + Sync {
    /// Records what was seen. Never waits; may be lost with the process, and the oldest are lost when
    /// there are too many.
    fn sighted(&self, sighting: Sighting);

    /// What was seen of addresses, and was stored at `since` or later by the database's clock: in the
    /// next question, the newest [`stored_at`](AddressEvidence::stored_at), less a minute for
    /// transactions that were under way.
    async fn evidence_since(&self, since: Timestamp) -> Result<Vec<AddressEvidence>, StoreError>;

    /// What is known of the devices that a query asks for.
    async fn adoption(&self, query: &AdoptionQuery) -> Result<AdoptionPage, StoreError>;
}

/// What was seen and is not in the database yet: of each kind the newest.
#[derive(Debug, Default)]
pub(crate) struct UnstoredSightings(ShardedLru<(DeviceId, SeenKind), Sighting>);

impl UnstoredSightings {
    pub(crate) fn add(&self, mut sighting: Sighting) {
        if let DeviceId::Address(address) = &mut sighting.who {
            *address = address.to_canonical();
        }
        let key = (sighting.who, sighting.seen.kind());
        let mut shard = self.0.shard(sighting.peer);
        if let Some(known) = shard.get_mut(&key) {
            if sighting.at < known.at {
                return;
            }
            sighting.site = sighting.site.or_else(|| known.site.take());
        }
        shard.insert(key, sighting);
    }

    pub(crate) fn take(&self) -> Vec<Sighting> {
        let all = self.0.take_all().into_iter();
        all.map(|(_, sighting)| sighting).collect()
    }

    /// What could not be stored.
    pub(crate) fn put_back(&self, sightings: Vec<Sighting>) {
        for sighting in sightings {
            self.add(sighting);
        }
    }
}

/// What is seen of trust anchors; of each the newest counts.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum SeenKind {
    Told,
    Fetched,
    Verified,
    Failed,
}

impl Seen {
    pub(crate) fn kind(self) -> SeenKind {
        match self {
            Self::Told { .. } => SeenKind::Told,
            Self::Fetched { .. } => SeenKind::Fetched,
            Self::Verified { .. } => SeenKind::Verified,
            Self::Failed { .. } => SeenKind::Failed,
        }
    }

    pub(crate) fn fingerprint(self) -> Fingerprint {
        match self {
            Self::Fetched { certificate } => certificate,
            Self::Told { anchor } | Self::Verified { anchor } | Self::Failed { anchor, .. } => {
                anchor
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_kind_the_newest_is_taken_once_in_whatever_order_they_come() {
        let anchor: Fingerprint = "AB".repeat(32).parse().unwrap();
        let sighting = |seen, second| Sighting {
            who: "0123456789ABCDEF".parse().unwrap(),
            peer: [10, 44, 0, 7].into(),
            site: None,
            seen,
            at: Timestamp::from_second(second).unwrap(),
        };
        let (told, verified) = (Seen::Told { anchor }, Seen::Verified { anchor });
        let sightings = UnstoredSightings::default();
        for (seen, second) in [(told, 2), (told, 3), (told, 1), (verified, 2)] {
            sightings.add(sighting(seen, second));
        }
        sightings.add(Sighting {
            site: Some("lobby".into()),
            ..sighting(verified, 1)
        });
        let mut taken = sightings.take();
        taken.sort_by_key(|it| it.at);
        assert_eq!(taken, [sighting(verified, 2), sighting(told, 3)]);
        sightings.add(sighting(told, 9));
        sightings.put_back(taken);
        let mut taken = sightings.take();
        taken.sort_by_key(|it| it.at);
        assert_eq!(taken, [sighting(verified, 2), sighting(told, 9)]);
    }
}
