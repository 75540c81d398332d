//! Why certificates do not make a chain.

use miette::Diagnostic;

use super::{Certificate, LinkError};

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
    /// A chain that ends at `topmost` does not lead to `anchor`; `near` says why a certificate that names it as its
    /// issuer was not issued by it.
    pub fn not_anchored(
        topmost: &Certificate,
        anchor: &Certificate,
        near: Option<LinkError>,
    ) -> Self {
        Self::NotAnchored {
            anchor: anchor.subject().to_owned(),
            topmost: topmost.subject().to_owned(),
            topmost_issuer: topmost.issuer().to_owned(),
            near,
        }
    }

    pub(super) fn broken_link(certificates: &[Certificate], at: usize, source: LinkError) -> Self {
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
