//! The server's identity for each handshake, and what the handshake says of the client.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use tracing::info;

use super::selection::{Selection, select};
use super::unfinished::{Unfinished, UnfinishedHandshake};
use crate::adoption::{Sightings, VerifiedChain};
use crate::publication::{
    ChainGeneration, CurrentPublication, Publication, SelectionReason, ShownIdentity,
};
use crate::telemetry::{CallerThrottle, Metrics};
use crate::tls::FailureReason;
use engage_store::Overlap;
use engage_wire::pki::Fingerprint;

/// Shows each address the chain that it can verify, as far as that is known.
pub(crate) struct Identities {
    published: CurrentPublication,
    /// Absent where nothing is stored: then there are no rotations.
    sightings: Option<Arc<Sightings>>,
    metrics: Arc<Metrics>,
    /// Addresses that were shown the other chain, as far as that has been logged.
    log: CallerThrottle,
    unfinished: Arc<Unfinished>,
}

impl Identities {
    /// Those that are published; without `sightings` there are no rotations.
    pub(crate) fn new(
        published: CurrentPublication,
        sightings: Option<Arc<Sightings>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            published,
            sightings,
            metrics,
            log: CallerThrottle::default(),
            unfinished: Arc::default(),
        }
    }

    /// Whether there is one that devices would accept now.
    pub(crate) fn has_any(&self) -> bool {
        self.published
            .current()
            .shown(ChainGeneration::Old)
            .is_some()
    }

    /// Waits a moment for earlier handshakes of `peer` where they decide what it is shown.
    pub(crate) async fn settled(&self, peer: IpAddr) {
        if self.choose(&self.published.current_arc(), peer).is_some() {
            self.unfinished.settled(peer).await;
        }
    }

    /// A handshake with `peer` begins, which decides what its next one is shown.
    pub(crate) fn begin(&self, peer: IpAddr) -> UnfinishedHandshake {
        self.unfinished.begin(peer)
    }

    /// What `peer` is shown.
    pub(crate) fn select(&self, peer: IpAddr) -> Option<ShownIdentity> {
        let publication = self.published.current();
        let generation = match self.choose(&publication, peer) {
            Some(Selection { generation, reason }) => {
                self.metrics.chain_selected(generation, reason);
                if reason == SelectionReason::Failed {
                    self.note_other(peer, generation);
                }
                generation
            }
            None => ChainGeneration::Old,
        };
        publication.shown(generation)
    }

    /// `None` where there is no choice.
    fn choose(&self, publication: &Publication, peer: IpAddr) -> Option<Selection> {
        let rotation = publication.rotation()?;
        let sightings = self.sightings.as_ref()?;
        rotation.next()?;
        let record = sightings.addresses().get(peer);
        Some(select(rotation, &record, Timestamp::now()))
    }

    /// The handshake was completed, with the chain verified.
    pub(crate) fn verified(&self, peer: IpAddr, shown: &ShownIdentity) -> Option<VerifiedChain> {
        let sightings = self.sightings.as_ref()?;
        Some(sightings.verified(peer, self.proven_anchor(sightings, peer, shown)))
    }

    /// With one chain for all, a handshake does not say which anchor the device has: that is the new one
    /// if it has been fetched from there. Of several devices behind one address that may be another's
    /// fetch; who is mistaken for it is refused once when the old anchor is retired, and fetches then.
    fn proven_anchor(
        &self,
        sightings: &Sightings,
        peer: IpAddr,
        shown: &ShownIdentity,
    ) -> Fingerprint {
        let publication = self.published.current();
        let is_unknown = publication.rotation().is_some_and(|rotation| {
            let fetched = sightings.addresses().get(peer).fetched.anchor;
            rotation.next().is_some()
                && rotation.rotation().overlap == Overlap::Cross
                && rotation.generation(fetched) != Some(ChainGeneration::New)
        });
        match publication.shown(ChainGeneration::Old) {
            Some(old) if is_unknown => old.anchor,
            _ => shown.anchor,
        }
    }

    /// The handshake failed; counts only if as of a client that does not trust the chain.
    pub(crate) fn failed(&self, peer: IpAddr, shown: &ShownIdentity, reason: FailureReason) {
        let Some(sightings) = &self.sightings else {
            return;
        };
        if reason.is_distrust() {
            sightings.failed(peer, shown.anchor, reason.label());
            if self.published.current().rotation().is_some() {
                self.metrics.chain_distrusted(shown.generation);
            }
        }
    }

    fn note_other(&self, peer: IpAddr, generation: ChainGeneration) {
        if let Some(others) = self.log.check(peer) {
            let (shown, failed) = (generation.name(), generation.other().name());
            info!(
                %peer, chain = shown, others = others.count(),
                "{peer} is shown the {shown} chain: it did not accept the {failed} one in its last handshake{others}"
            );
        }
    }
}
