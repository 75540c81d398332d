//! What is chosen where a client leaves the choice: AES-128 and SHA-256, in the suite and in the
//! signature.
//!
//! A device's microcontroller computes SHA-384 and SHA-512, which need 64-bit arithmetic, several
//! times slower than SHA-256, and so does this server, whose processor has instructions for
//! SHA-256 alone. Clients list the longer ones first all the same. What a client does not offer is
//! never chosen, and one that puts `ChaCha20` first keeps its order: it has no AES in hardware.

use std::sync::Arc;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{CipherSuite, SignatureAlgorithm, SignatureScheme, SupportedCipherSuite};

/// Suites in the order in which the server would choose.
pub(super) fn sort_by_preference(
    mut suites: Vec<SupportedCipherSuite>,
) -> Vec<SupportedCipherSuite> {
    suites.sort_by_key(|suite| match suite.suite() {
        suite if is_chacha(suite) => 2,
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        _ => 1,
    });
    suites
}

/// Whether a client's own order counts; `offered` is what it offers, best first.
pub(super) fn client_prefers_chacha(
    offered: &[CipherSuite],
    known: &[SupportedCipherSuite],
) -> bool {
    offered
        .iter()
        .find(|offered| known.iter().any(|known| known.suite() == **offered))
        .is_some_and(|first| is_chacha(*first))
}

fn is_chacha(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}

/// A private key that signs with SHA-256 where it may.
#[derive(Debug)]
pub(super) struct PreferSha256(pub(super) Arc<dyn SigningKey>);

impl SigningKey for PreferSha256 {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        SHA256
            .iter()
            .filter(|scheme| offered.contains(scheme))
            .find_map(|scheme| self.0.choose_scheme(&[*scheme]))
            .or_else(|| self.0.choose_scheme(offered))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

/// PSS first, as RFC 8446 section 4.2.3 wants it in TLS 1.3 and allows it in TLS 1.2.
const SHA256: [SignatureScheme; 3] = [
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::ECDSA_NISTP256_SHA256,
];

#[cfg(test)]
mod tests {
    use super::*;
    use engage_wire::crypto_provider;

    #[test]
    fn only_a_client_that_puts_chacha20_first_keeps_its_order() {
        let known = &crypto_provider().cipher_suites;
        let chacha = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
        let aes = CipherSuite::TLS13_AES_256_GCM_SHA384;
        let unknown = CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA;
        assert!(client_prefers_chacha(&[chacha, aes], known));
        assert!(client_prefers_chacha(&[unknown, chacha, aes], known));
        assert!(!client_prefers_chacha(&[aes, chacha], known));
        assert!(!client_prefers_chacha(&[], known));
    }
}
