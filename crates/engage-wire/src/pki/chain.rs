//! The chain that the server sends, and the path that a device builds from it.

use std::fmt;

use super::{Certificate, ChainError, LinkError};
use crate::limits::certificate_message_framing;

/// The certificates of the TLS handshake: the server's first, each one issued by the next.
#[derive(Clone, Debug)]
pub struct ServerChain(Vec<Certificate>);

impl ServerChain {
    /// Verifies the order (RFC 5246 section 7.4.2: each certificate certifies the one before it).
    pub fn parse(certificates: Vec<Certificate>) -> Result<Self, ChainError> {
        if certificates.is_empty() {
            return Err(ChainError::Empty);
        }
        for (at, pair) in certificates.windows(2).enumerate() {
            pair[0]
                .verify_issued_by(&pair[1])
                .map_err(|source| ChainError::broken_link(&certificates, at, source))?;
        }
        Ok(Self(certificates))
    }

    /// The server's own certificate.
    pub fn leaf(&self) -> &Certificate {
        // `parse` refuses an empty chain.
        &self.0[0]
    }

    /// All of them, in the order in which they are sent.
    pub fn certificates(&self) -> &[Certificate] {
        &self.0
    }

    /// Bytes of the TLS 1.2 Certificate message that carries this chain.
    pub fn certificate_message_bytes(&self) -> usize {
        self.0.iter().map(Certificate::size).sum::<usize>()
            + certificate_message_framing(self.0.len())
    }

    /// Checks that a device which trusts only `anchor` accepts this chain, and returns all
    /// certificates that count against its limits.
    ///
    /// `root` is the certificate above the topmost one otherwise known; it is only counted.
    pub fn device_path(
        &self,
        anchor: &Certificate,
        root: Option<&Certificate>,
    ) -> Result<DevicePath, ChainError> {
        if !self.is_anchored_in(anchor) {
            let near = self.near_link(anchor);
            return Err(ChainError::not_anchored(self.topmost(), anchor, near));
        }
        let mut certificates = self.0.clone();
        if !certificates.contains(anchor) {
            certificates.push(anchor.clone());
        }
        if let Some(root) = root
            && (!certificates.contains(root) || !root.is_self_signed())
        {
            let issued = |below: &Certificate| below.verify_issued_by(root).is_ok();
            if !root.is_self_signed() || !certificates.iter().any(issued) {
                // Never empty: it starts with the leaf.
                let topmost = &certificates[certificates.len() - 1];
                return Err(ChainError::ForeignRoot {
                    root: root.subject().to_owned(),
                    topmost: topmost.subject().to_owned(),
                    topmost_issuer: topmost.issuer().to_owned(),
                });
            }
            certificates.push(root.clone());
        }
        Ok(DevicePath(certificates))
    }

    /// The certificates that verify each other: up to the first that `anchor` is or has issued,
    /// and the anchor. OpenSSL and embedded stacks stop there, whatever follows.
    pub(super) fn path_to<'a>(&'a self, anchor: &'a Certificate) -> Vec<&'a Certificate> {
        let mut path = Vec::new();
        for own in &self.0 {
            path.push(own);
            if own == anchor {
                return path;
            }
            if own.verify_issued_by(anchor).is_ok() {
                break;
            }
        }
        path.push(anchor);
        path
    }

    fn topmost(&self) -> &Certificate {
        // `parse` refuses an empty chain.
        &self.0[self.0.len() - 1]
    }

    fn is_anchored_in(&self, anchor: &Certificate) -> bool {
        self.0
            .iter()
            .any(|own| own == anchor || own.verify_issued_by(anchor).is_ok())
    }

    /// What is wrong with the link that has the anchor's name, if one has.
    fn near_link(&self, anchor: &Certificate) -> Option<LinkError> {
        self.0
            .iter()
            .filter_map(|own| own.verify_issued_by(anchor).err())
            .find(|error| *error != LinkError::Names)
    }
}

/// Everything between the server's certificate and the topmost one known, each counted once.
#[derive(Clone, Debug)]
pub struct DevicePath(Vec<Certificate>);

impl DevicePath {
    /// The certificates with their roles, server first.
    pub fn roles(&self) -> impl Iterator<Item = (Role, &Certificate)> {
        self.0
            .iter()
            .enumerate()
            .map(|(at, certificate)| (Role::at(at, certificate), certificate))
    }

    /// Sum of the DER lengths in bytes: what a device compares with its limit.
    pub fn size(&self) -> usize {
        self.0.iter().map(Certificate::size).sum()
    }

    /// Whether a root above the topmost certificate exists but is not known, so that
    /// [`DevicePath::size`] is less than what a device may count.
    pub(crate) fn lacks_root(&self) -> bool {
        !self.0.iter().any(Certificate::is_self_signed)
    }

    /// The certificate nearest to the root.
    pub fn topmost(&self) -> &Certificate {
        // Built from a `ServerChain`, which is never empty.
        &self.0[self.0.len() - 1]
    }

    /// "server 1402 + intermediate 1250 + root 1204", in bytes.
    pub fn sum_text(&self) -> String {
        self.roles()
            .map(|(role, certificate)| format!("{role} {}", certificate.size()))
            .collect::<Vec<_>>()
            .join(" + ")
    }
}

/// What a certificate is in a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Issues others, and is issued by another.
    Intermediate,
    /// Issued by itself.
    Root,
    /// The one that the server presents as its own.
    Server,
}

impl Role {
    /// The role of the certificate at `position`, from 0, of a chain.
    pub fn at(position: usize, certificate: &Certificate) -> Self {
        match position {
            0 => Self::Server,
            _ => Self::of_issuer(certificate),
        }
    }

    /// The role of a certificate that is not the server's.
    pub fn of_issuer(certificate: &Certificate) -> Self {
        if certificate.is_self_signed() {
            Self::Root
        } else {
            Self::Intermediate
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Intermediate => "intermediate",
            Self::Root => "root",
            Self::Server => "server",
        })
    }
}
