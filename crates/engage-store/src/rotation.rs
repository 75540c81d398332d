//! Where a change of the root stands: one row, which every host on the store follows.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use aws_lc_rs::rand;
use data_encoding::HEXLOWER;
use engage_wire::pki::Fingerprint;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// A change from one root to another that is under way.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rotation {
    /// Tells it from those before it.
    pub id: RotationId,
    /// How far it is.
    pub step: RotationStep,
    /// How devices that trust different roots are served.
    pub overlap: Overlap,
    /// Of the new server certificate: a host that has another one does not follow.
    pub leaf: Fingerprint,
    /// What each site announces, before and after.
    pub anchors: Vec<AnchorChange>,
    /// When it was prepared.
    pub began_at: Timestamp,
    /// Since when it is at its step.
    pub step_at: Timestamp,
}

impl Rotation {
    /// Whether a certificate is what some site announces after the change.
    pub fn is_new(&self, anchor: Fingerprint) -> bool {
        self.anchors.iter().any(|change| change.new == anchor)
    }

    /// Whether a certificate is what some site announced before it.
    pub fn is_old(&self, anchor: Fingerprint) -> bool {
        self.anchors.iter().any(|change| change.old == anchor)
    }

    /// What sites announce after it.
    pub fn next_anchors(&self) -> NextAnchors<'_> {
        let changes = self.anchors.iter();
        NextAnchors {
            by_site: changes.clone().map(|it| (&*it.site, it.new)).collect(),
            by_old: changes.map(|it| (it.old, it.new)).collect(),
        }
    }
}

/// The change of one site's trust anchor.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AnchorChange {
    /// The site's name.
    pub site: String,
    /// Announced before.
    pub old: Fingerprint,
    /// Announced after.
    pub new: Fingerprint,
}

/// What sites announce after a rotation.
#[derive(Clone, Debug)]
pub struct NextAnchors<'a> {
    by_site: HashMap<&'a str, Fingerprint>,
    by_old: HashMap<Fingerprint, Fingerprint>,
}

impl NextAnchors<'_> {
    /// What `site` announces. One that was added since the rotation began announces what those do that
    /// announced before it what this one announces now.
    pub fn of(
        &self,
        site: &str,
        announced_now: impl FnOnce() -> Option<Fingerprint>,
    ) -> Option<Fingerprint> {
        let by_old = || self.by_old.get(&announced_now()?);
        self.by_site.get(site).or_else(by_old).copied()
    }
}

/// How far a rotation is. Each step but the last two can be undone.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RotationStep {
    /// The new chain lies on the host that prepared it; devices see nothing of it.
    Prepared,
    /// The new anchor is announced; each device gets the chain that it can verify.
    Published,
    /// As before, and an unknown address gets the new chain.
    Activated,
    /// The old chain is not served any more; the files change places.
    Retiring,
    /// The old anchor is announced again; each device gets the chain that it can verify.
    Undoing,
}

impl fmt::Display for RotationStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prepared => "prepared",
            Self::Published => "published",
            Self::Activated => "activated",
            Self::Retiring => "retiring",
            Self::Undoing => "undoing",
        })
    }
}

/// How devices that trust different roots are served at the same time.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// One of two chains, chosen for each connection.
    #[default]
    Select,
    /// The new chain, with the new root signed by the old one at its end.
    Cross,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Select => "select",
            Self::Cross => "cross",
        })
    }
}

/// Names a rotation: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RotationId([u8; 8]);

impl RotationId {
    /// One that no other rotation has; fails where the system has no random numbers.
    pub fn random() -> std::io::Result<Self> {
        let mut id = [0; 8];
        rand::fill(&mut id).map_err(|_| std::io::Error::other("no random numbers"))?;
        Ok(Self(id))
    }
}

impl fmt::Display for RotationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for RotationId {
    type Err = InvalidRotationId;

    fn from_str(text: &str) -> Result<Self, InvalidRotationId> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(InvalidRotationId)
    }
}

impl TryFrom<String> for RotationId {
    type Error = InvalidRotationId;

    fn try_from(text: String) -> Result<Self, InvalidRotationId> {
        text.parse()
    }
}

impl From<RotationId> for String {
    fn from(id: RotationId) -> Self {
        id.to_string()
    }
}

/// Text that names no rotation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a rotation is named by 16 lower-case hexadecimal digits")]
pub struct InvalidRotationId;

/// The row as it stands.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct StoredRotation {
    /// Counts every change; 0 before the first.
    pub revision: i64,
    /// What is under way.
    pub rotation: Option<Rotation>,
}

/// What became of a change of the row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Replaced {
    /// It is so now.
    Stored(StoredRotation),
    /// Somebody else has changed it meanwhile: this is what stands there.
    Changed(StoredRotation),
}

/// What a host makes of the row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RotationReport {
    /// What it serves.
    pub revision: i64,
    /// Whether its configured files are the new ones.
    pub is_swapped: bool,
    /// Why it does not serve what stands in the row.
    pub refusal: Option<String>,
}

/// A host that lives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostRotation {
    /// Its computer and process, where it said so; its id in the table `hosts` otherwise.
    pub name: String,
    /// What it said last; `None` before it said anything, or where its version knows no rotations.
    pub report: Option<RotationReport>,
    /// When it said that, by its own clock.
    pub reported_at: Option<Timestamp>,
}

/// Where a rotation stands, for all hosts on a store.
#[async_trait]
pub trait RotationStore: Send + Sync {
    /// The row as it stands.
    async fn rotation(&self) -> Result<StoredRotation, StoreError>;

    /// Puts `next` into the row, unless somebody else has changed it since `expected_revision`.
    async fn replace_rotation(
        &self,
        expected_revision: i64,
        next: Option<Rotation>,
    ) -> Result<Replaced, StoreError>;

    /// Says what this host serves. To be called again every few seconds while a rotation is under
    /// way: a host that was counted dead for a moment is another one for the others.
    async fn report_rotation(&self, report: RotationReport) -> Result<(), StoreError>;

    /// What the hosts that live serve.
    async fn rotation_reports(&self) -> Result<Vec<HostRotation>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_that_came_later_announces_next_what_those_do_that_announced_the_same() {
        let anchor = |byte: u8| format!("{byte:02X}").repeat(32).parse().unwrap();
        let change = |site: &str, old: u8, new: u8| AnchorChange {
            site: site.to_owned(),
            old: anchor(old),
            new: anchor(new),
        };
        let rotation = Rotation {
            id: RotationId([0; 8]),
            step: RotationStep::Published,
            overlap: Overlap::Select,
            leaf: anchor(9),
            anchors: vec![change("a", 1, 3), change("b", 2, 4)],
            began_at: Timestamp::UNIX_EPOCH,
            step_at: Timestamp::UNIX_EPOCH,
        };
        let next = rotation.next_anchors();
        // By its name, whatever it announces now.
        assert_eq!(next.of("a", || Some(anchor(2))), Some(anchor(3)));
        assert_eq!(next.of("c", || Some(anchor(2))), Some(anchor(4)));
        assert_eq!(next.of("c", || Some(anchor(5))), None);
        assert_eq!(next.of("c", || None), None);
    }

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else_is() {
        let id = RotationId::random().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "00", "0123456789ABCDEF", "0123456789abcdef00"] {
            assert_eq!(text.parse::<RotationId>(), Err(InvalidRotationId));
        }
    }
}
