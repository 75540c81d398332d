//! What is served while the root is being changed: the present chain, and beside it the next one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::site::SiteSlot;
use super::{Publication, PublishedSite, Refusal, Refusals, ServedCertificate};
use crate::tls::TlsIdentity;
use engage_store::{Rotation, RotationStep};
use engage_wire::pki::Fingerprint;
use engage_wire::site::SiteName;

/// One of the two chains of a rotation. Without one there is only the old.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChainGeneration {
    /// The one that is configured.
    Old,
    /// The one that replaces it.
    New,
}

impl ChainGeneration {
    /// "old" or "new": the name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }

    /// The one that this is not.
    pub const fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }
}

/// What decided which of the two chains a client is shown.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum SelectionReason {
    /// Chance: behind that address, some trust the one and some the other.
    Contradicted,
    /// The last handshake failed under the other chain.
    Failed,
    /// A trust anchor was fetched completely since the last handshake.
    Fetched,
    /// The step of the rotation.
    Step,
    /// The last handshake was completed under this chain.
    Verified,
}

impl SelectionReason {
    /// Every reason with its label, in the order of their declaration.
    pub(crate) const LABELS: [(Self, &'static str); 5] = [
        (Self::Contradicted, "contradicted"),
        (Self::Failed, "failed"),
        (Self::Fetched, "fetched"),
        (Self::Step, "step"),
        (Self::Verified, "verified"),
    ];

    /// Its name in metrics.
    pub(crate) fn label(self) -> &'static str {
        Self::LABELS[self as usize].1
    }
}

/// What a client is shown in a handshake.
#[derive(Clone, Debug)]
pub struct ShownIdentity {
    /// Chain and key.
    pub identity: TlsIdentity,
    /// Of which chain.
    pub generation: ChainGeneration,
    /// What stands for all trust anchors of that chain.
    pub anchor: Fingerprint,
}

/// Where a rotation stands here.
#[derive(Debug)]
pub struct PublishedRotation {
    /// As the store says.
    rotation: Rotation,
    /// [`Fingerprint::prefix`] of what sites announce after the rotation.
    new_anchors: HashSet<u64>,
    /// Of what they announced before.
    old_anchors: HashSet<u64>,
    /// What the new chain is served with, beside the old one.
    next: Option<Next>,
    /// Why the new files do not hold.
    refusals: Option<Refusals>,
    /// Whether the configured files are the new ones.
    is_swapped: bool,
}

/// The new chain, and what is announced for it.
#[derive(Debug)]
struct Next {
    publication: Arc<Publication>,
    sites: HashMap<SiteName, Arc<PublishedSite>>,
}

impl PublishedRotation {
    /// Without `next`, what is published is not the present chain beside the next, but one of them
    /// alone.
    pub(super) fn new(
        rotation: &Rotation,
        next: Option<Arc<Publication>>,
        refusals: Option<Refusals>,
    ) -> Self {
        let next = next.map(|publication| Next {
            sites: publication.sites_by_name(),
            publication,
        });
        let anchors = rotation.anchors.iter();
        Self {
            new_anchors: anchors.clone().map(|it| it.new.prefix()).collect(),
            old_anchors: anchors.map(|it| it.old.prefix()).collect(),
            rotation: rotation.clone(),
            next,
            refusals,
            is_swapped: false,
        }
    }

    /// The same on a host whose configured files are the new ones.
    pub(super) fn swapped(rotation: &Rotation) -> Self {
        Self {
            is_swapped: true,
            ..Self::new(rotation, None, None)
        }
    }

    /// As the store says.
    pub fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    /// Of which chain a trust anchor is, by its [`Fingerprint::prefix`].
    pub fn generation(&self, anchor: u64) -> Option<ChainGeneration> {
        if self.new_anchors.contains(&anchor) {
            return Some(ChainGeneration::New);
        }
        let is_old = self.old_anchors.contains(&anchor);
        is_old.then_some(ChainGeneration::Old)
    }

    /// Whether the configured files are the new ones.
    pub fn is_swapped(&self) -> bool {
        self.is_swapped
    }

    /// Why the new files do not hold, all of them or those of some site.
    pub(super) fn into_refusals(self) -> Vec<Refusal> {
        let next = self.next.and_then(|it| Arc::into_inner(it.publication));
        let bad_sites = next.into_iter().flat_map(|next| next.bad_sites);
        let of_sites = bad_sites.flat_map(|bad| bad.refusals);
        self.refusals
            .into_iter()
            .flatten()
            .chain(of_sites)
            .collect()
    }

    /// The new chain and what is announced for it, where the old one is served too.
    pub fn next(&self) -> Option<&Arc<Publication>> {
        self.next.as_ref().map(|next| &next.publication)
    }

    /// Whether the old chain is served alone, because the new files do not hold.
    pub fn is_refused(&self) -> bool {
        self.refusals.is_some() && self.next.is_none()
    }

    /// What the devices of a site are told instead.
    pub(super) fn announced(&self, name: &SiteName) -> Option<&PublishedSite> {
        let is_announced = announces_new(self.rotation.step);
        let next = self.next.as_ref().filter(|_| is_announced)?;
        next.sites.get(name).map(|site| &**site)
    }

    /// A file of the new chain. Those who were told of it may come for it after an `undo`.
    pub(super) fn served(&self, path: &str) -> Option<&ServedCertificate> {
        let is_published = self.rotation.step != RotationStep::Prepared;
        let next = self.next().filter(|_| is_published)?;
        next.certificates.get(path)
    }
}

/// Whether devices are told the new anchors.
pub(crate) fn announces_new(step: RotationStep) -> bool {
    match step {
        RotationStep::Prepared | RotationStep::Undoing => false,
        RotationStep::Published | RotationStep::Activated | RotationStep::Retiring => true,
    }
}

impl Publication {
    /// Where a rotation stands here, if one is under way.
    pub fn rotation(&self) -> Option<&PublishedRotation> {
        self.rotation.as_deref()
    }

    /// The same while a rotation is under way.
    pub(super) fn in_rotation(mut self, rotation: PublishedRotation) -> Self {
        self.rotation = Some(Box::new(rotation));
        self
    }

    /// Why the new files do not hold, all of them or those of some site. What held before may be
    /// served all the same.
    pub fn rotation_refusals(&self) -> impl Iterator<Item = &Refusal> {
        let rotation = self.rotation().into_iter();
        let next = rotation.clone().filter_map(PublishedRotation::next);
        let bad_sites = next.flat_map(|next| next.bad_sites());
        // What is wrong without the rotation is said without it.
        let bad_sites =
            bad_sites.filter(|bad| !self.bad_sites.iter().any(|known| known.name == bad.name));
        let of_sites = bad_sites.flat_map(|bad| bad.refusals.iter());
        let of_all = rotation
            .flat_map(|it| &it.refusals)
            .flat_map(Refusals::iter);
        of_all.chain(of_sites)
    }

    /// Of the server's certificate.
    pub(super) fn leaf(&self) -> Fingerprint {
        self.chain.leaf().fingerprint()
    }

    /// What is served with the server certificate `leaf`: all, or what is served beside the rest.
    pub(super) fn of_leaf(&self, leaf: Fingerprint) -> Option<&Self> {
        let next = self.rotation().and_then(PublishedRotation::next);
        let all = [Some(self), next.map(|next| &**next)];
        all.into_iter().flatten().find(|it| it.leaf() == leaf)
    }

    /// The identity of a generation; the other one where devices would refuse that now.
    pub fn shown(&self, generation: ChainGeneration) -> Option<ShownIdentity> {
        let of = |generation| {
            let publication = match generation {
                ChainGeneration::New if !self.is_new_alone() => self.rotation()?.next()?,
                ChainGeneration::Old if self.is_new_alone() => return None,
                _ => self,
            };
            Some(ShownIdentity {
                identity: publication.identity().ok()?.clone(),
                generation,
                anchor: publication.anchor,
            })
        };
        of(generation).or_else(|| of(generation.other()))
    }

    /// Whether the new chain of a rotation is all that is served.
    fn is_new_alone(&self) -> bool {
        self.rotation()
            .is_some_and(|it| it.rotation.leaf == self.leaf())
    }

    fn sites_by_name(&self) -> HashMap<SiteName, Arc<PublishedSite>> {
        let slots = self.default_site.iter().chain(self.sites.values());
        let slots = slots.chain(self.sites_by_serial.values());
        let published = slots.filter_map(|slot| match slot {
            SiteSlot::Published(site) => Some((site.name.clone(), Arc::clone(site))),
            SiteSlot::Withheld => None,
        });
        published.collect()
    }
}
