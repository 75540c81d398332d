//! The chain that the server sends, and the path that a device builds from it.

use std::fmt;

use miette::Diagnostic;

use super::{Certificate, LinkError};
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
            return Err(ChainError::NotAnchored {
                anchor: anchor.subject().to_owned(),
                topmost: self.topmost().subject().to_owned(),
                topmost_issuer: self.topmost().issuer().to_owned(),
                near: self.near_link(anchor),
            });
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
    pub fn lacks_root(&self) -> bool {
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

/// Why certificates do not make a chain, or not one that a device accepts.
#[derive(Clone, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
pub enum ChainError {
    /// A certificate is not issued by the one that follows it.
    #[error(
        "certificate {position} `{subject}` names `{issuer}` as its issuer, but certificate {} is `{next}`",
        position + 1
    )]
    #[diagnostic(code("broken-chain"), help("{}", broken_link_hint(*source, *position, *issuer_position)))]
    BrokenLink {
        /// Position of the certificate, from 1.
        position: usize,
        /// Its subject.
        subject: String,
        /// Its issuer's name.
        issuer: String,
        /// The subject of the certificate that follows.
        next: String,
        /// Where in the chain the true issuer is, from 1, if it is there.
        issuer_position: Option<usize>,
        /// Names or signature.
        source: LinkError,
    },
    /// No certificate at all.
    #[error("no certificate")]
    #[diagnostic(code("broken-chain"), help("{CHAIN_ORDER}"))]
    Empty,
    /// `[https] root` did not issue the topmost certificate.
    #[error(
        "the root `{root}` did not issue the topmost certificate `{topmost}`, which names `{topmost_issuer}` as its issuer"
    )]
    #[diagnostic(
        code("foreign-root"),
        help("`[https] root` is the self-signed certificate at the top of the same chain")
    )]
    ForeignRoot {
        /// Subject of the configured root.
        root: String,
        /// Subject of the topmost certificate otherwise known.
        topmost: String,
        /// Its issuer's name.
        topmost_issuer: String,
    },
    /// The chain does not lead to the trust anchor.
    #[error(
        "the chain ends at `{topmost}`, issued by `{topmost_issuer}`, and not at the announced `{anchor}`{}",
        near.map_or_else(String::new, |near| format!(": {near}"))
    )]
    #[diagnostic(code("not-anchored"), help("{}", not_anchored_hint(topmost, topmost_issuer, *near)))]
    NotAnchored {
        /// Subject of the announced certificate.
        anchor: String,
        /// Subject of the chain's last certificate.
        topmost: String,
        /// Its issuer's name.
        topmost_issuer: String,
        /// Why a certificate that names the anchor as its issuer was not issued by it.
        near: Option<LinkError>,
    },
    /// The same certificate again, in the place of an issuer.
    #[error("certificate {position} `{subject}` is certificate {first} again")]
    #[diagnostic(
        code("broken-chain"),
        help(
            "remove one of the two: a file of the server certificate was put before one of the whole chain"
        )
    )]
    Repeated {
        /// Position of the second, from 1.
        position: usize,
        /// Position of the first, from 1.
        first: usize,
        /// Its subject.
        subject: String,
    },
}

impl ChainError {
    fn broken_link(certificates: &[Certificate], at: usize, source: LinkError) -> Self {
        let (own, next) = (&certificates[at], &certificates[at + 1]);
        if let Some(first) = certificates[..=at].iter().position(|other| other == next) {
            return Self::Repeated {
                position: at + 2,
                first: first + 1,
                subject: next.subject().to_owned(),
            };
        }
        Self::BrokenLink {
            position: at + 1,
            subject: own.subject().to_owned(),
            issuer: own.issuer().to_owned(),
            next: next.subject().to_owned(),
            issuer_position: certificates
                .iter()
                .position(|other| own.verify_issued_by(other).is_ok())
                .map(|at| at + 1),
            source,
        }
    }
}

fn broken_link_hint(source: LinkError, position: usize, issuer: Option<usize>) -> String {
    match (source, issuer) {
        (LinkError::Signature, _) => {
            "the issuer was made anew with another key: issue the chain again, or use the old issuer".into()
        }
        (LinkError::PssSalt { .. } | LinkError::Unsupported, _) => SIGN_AGAIN.into(),
        (LinkError::Names, Some(at)) => format!(
            "its issuer is certificate {at} of the same file: reorder them so that it follows certificate {position}"
        ),
        (LinkError::Names, None) => CHAIN_ORDER.into(),
    }
}

fn not_anchored_hint(topmost: &str, topmost_issuer: &str, near: Option<LinkError>) -> String {
    match near {
        Some(LinkError::PssSalt { .. } | LinkError::Unsupported) => SIGN_AGAIN.into(),
        Some(_) => {
            "the announced file belongs to another issue of these certificates: announce the one that signed them, or issue \
             them again"
                .into()
        }
        None if topmost != topmost_issuer => format!(
            "announce the certificate of `{topmost_issuer}`, or add the missing intermediate to the server's PEM file"
        ),
        None => {
            "announce the root or an intermediate of this chain, or issue the server certificate from the announced one".into()
        }
    }
}

const SIGN_AGAIN: &str = "sign it again with RSA (PKCS#1 v1.5) and SHA-256: `openssl x509 -req` and `openssl ca` do so by default";

const CHAIN_ORDER: &str = "the order is: server certificate, the intermediate that issued it, and so on; nothing else belongs in the file";
