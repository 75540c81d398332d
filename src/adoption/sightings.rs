//! What is seen of devices' trust anchors.

use std::net::IpAddr;
use std::sync::Arc;

use engage_store::{Call, CertificateFetch, DeviceId, Seen, Sighting, Store};
use engage_wire::pki::Fingerprint;
use engage_wire::site::SiteName;
use jiff::{SignedDuration, Timestamp};

use super::addresses::{Addresses, AnchorSeen};

/// Goes into the store's ledger, and decides which chain an address is shown.
pub struct Sightings {
    addresses: Addresses,
    ledger: Arc<dyn Store>,
}

/// A chain that was verified in the handshake of a connection.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedChain {
    /// What stands for its trust anchors.
    pub anchor: Fingerprint,
    /// When.
    pub at: Timestamp,
}

impl Sightings {
    /// Writes into `ledger`.
    pub(crate) fn new(ledger: Arc<dyn Store>) -> Self {
        Self {
            addresses: Addresses::default(),
            ledger,
        }
    }

    /// What is known of addresses.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Somebody was told which certificate to install. Who has no name and asks again soon is not
    /// written down again.
    pub(crate) fn told(&self, who: DeviceId, peer: IpAddr, site: &SiteName, anchor: Fingerprint) {
        let at = Timestamp::now();
        let told = AnchorSeen::new(anchor, at);
        let is_known = who.serial().is_none()
            && self.addresses.update(peer, |record| {
                let known = std::mem::replace(&mut record.told, told);
                let is_known =
                    known.anchor == told.anchor && known.at.is_within(TOLD_AGAIN_AFTER, at);
                if is_known {
                    record.told = known;
                }
                is_known
            });
        if !is_known {
            let site = Some(site.to_string());
            self.write(who, peer, site, Seen::Told { anchor }, at);
        }
    }

    /// A certificate was taken to its last byte.
    pub(crate) fn fetched(&self, fetch: CertificateFetch) {
        let CertificateFetch {
            fetcher,
            peer,
            certificate,
            ..
        } = fetch;
        self.ledger.fetched(fetch);
        let at = Timestamp::now();
        let fetched = AnchorSeen::new(certificate, at);
        self.addresses
            .update(peer, |record| record.fetched.replace_older(fetched));
        let seen = Seen::Fetched { certificate };
        self.write(address(peer), peer, None, seen, at);
        if fetcher.serial().is_some() {
            self.write(fetcher, peer, None, seen, at);
        }
    }

    /// A handshake was completed in which the chain was verified.
    pub(crate) fn verified(&self, peer: IpAddr, anchor: Fingerprint) -> VerifiedChain {
        let at = Timestamp::now();
        let verified = AnchorSeen::new(anchor, at);
        self.addresses
            .update(peer, |record| record.note_verified(verified));
        self.write(address(peer), peer, None, Seen::Verified { anchor }, at);
        VerifiedChain { anchor, at }
    }

    /// A handshake ended as if the chain were not trusted.
    pub(crate) fn failed(&self, peer: IpAddr, anchor: Fingerprint, reason: &'static str) {
        let at = Timestamp::now();
        let failed = AnchorSeen::new(anchor, at);
        self.addresses
            .update(peer, |record| record.note_failed(failed));
        let seen = Seen::Failed { anchor, reason };
        self.write(address(peer), peer, None, seen, at);
    }

    /// A device calls in, the first time on a connection.
    pub(crate) fn called_in(
        &self,
        call: &Call,
        site: Option<&str>,
        verified: Option<VerifiedChain>,
    ) {
        let Some(serial) = call.device.serial() else {
            return;
        };
        let now = call.received_at;
        self.addresses
            .update(call.peer, |record| record.called_in(serial, now));
        if let Some(VerifiedChain { anchor, at }) = verified {
            let site = site.map(ToOwned::to_owned);
            let seen = Seen::Verified { anchor };
            self.write(call.device, call.peer, site, seen, at);
        }
    }

    fn write(&self, who: DeviceId, peer: IpAddr, site: Option<String>, seen: Seen, at: Timestamp) {
        self.ledger.sighted(Sighting {
            who,
            peer,
            site,
            seen,
            at,
        });
    }
}

fn address(peer: IpAddr) -> DeviceId {
    DeviceId::Address(peer.to_canonical())
}

const TOLD_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(1);
