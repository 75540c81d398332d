//! What this server can speak: the measure of a client's offer.

use rustls::crypto::SupportedKxGroup;
use rustls::sign::CertifiedKey;
use rustls::{
    CipherSuite, NamedGroup, ProtocolVersion, ServerConfig, SignatureAlgorithm, SignatureScheme,
    SupportedCipherSuite,
};

/// Everything that a handshake with one identity can agree on, taken from the TLS configuration
/// itself so that the two cannot disagree.
#[derive(Clone, Debug)]
pub struct TlsCapabilities {
    suites: Vec<SupportedCipherSuite>,
    groups: Vec<&'static dyn SupportedKxGroup>,
    schemes: Vec<SignatureScheme>,
    key: SignatureAlgorithm,
    alpn: Vec<String>,
    chain_bytes: usize,
}

impl TlsCapabilities {
    /// What `config` can do when it authenticates with `identity`.
    pub fn from_config(config: &ServerConfig, identity: &CertifiedKey) -> Self {
        let provider = config.crypto_provider();
        Self {
            suites: provider.cipher_suites.clone(),
            groups: provider.kx_groups.clone(),
            schemes: provider
                .signature_verification_algorithms
                .supported_schemes()
                .into_iter()
                .filter(|scheme| identity.key.choose_scheme(&[*scheme]).is_some())
                .collect(),
            key: identity.key.algorithm(),
            alpn: config
                .alpn_protocols
                .iter()
                .map(|protocol| String::from_utf8_lossy(protocol).into_owned())
                .collect(),
            chain_bytes: identity.cert.iter().map(|der| der.len()).sum(),
        }
    }

    /// The version that a client with this offer gets: the highest in common.
    pub(super) fn version(&self, offered: &[ProtocolVersion]) -> Option<ProtocolVersion> {
        VERSIONS.into_iter().find(|version| {
            offered.contains(version)
                && self
                    .suites
                    .iter()
                    .any(|suite| suite.version().version == *version)
        })
    }

    /// Whether `suite` can be agreed on in `version` with the identity's key.
    pub(super) fn supports_suite(&self, version: ProtocolVersion, suite: CipherSuite) -> bool {
        self.suites.iter().any(|ours| {
            ours.suite() == suite
                && ours.version().version == version
                && ours.usable_for_signature_algorithm(self.key)
        })
    }

    /// Whether `suite` could be agreed on in some version, were the key of another kind.
    pub(super) fn has_suite(&self, version: ProtocolVersion, suite: CipherSuite) -> bool {
        self.suites
            .iter()
            .any(|ours| ours.suite() == suite && ours.version().version == version)
    }

    /// Whether keys can be exchanged in `group` in `version`.
    pub(super) fn supports_group(&self, version: ProtocolVersion, group: NamedGroup) -> bool {
        self.groups
            .iter()
            .any(|ours| ours.name() == group && ours.usable_for_version(version))
    }

    /// Whether the identity's key can sign a handshake of `version` with `scheme`.
    pub(super) fn supports_scheme(
        &self,
        version: ProtocolVersion,
        scheme: SignatureScheme,
    ) -> bool {
        // RFC 8446 section 4.2.3: PKCS#1 v1.5 is not for TLS 1.3 handshakes.
        let pkcs1 = matches!(
            scheme,
            SignatureScheme::RSA_PKCS1_SHA256
                | SignatureScheme::RSA_PKCS1_SHA384
                | SignatureScheme::RSA_PKCS1_SHA512
        );
        self.schemes.contains(&scheme) && !(pkcs1 && version == ProtocolVersion::TLSv1_3)
    }

    /// Kind of the certificate's key, for messages: "RSA".
    pub(super) fn key_name(&self) -> &'static str {
        self.key.as_str().unwrap_or("other")
    }

    /// Application protocols; empty means any.
    pub(super) fn alpn(&self) -> &[String] {
        &self.alpn
    }

    /// DER bytes of the certificates sent: less than that has not carried them all.
    pub(super) fn chain_bytes(&self) -> usize {
        self.chain_bytes
    }
}

/// In the order of preference (RFC 8446 section 4.2.1).
const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::TLSv1_3, ProtocolVersion::TLSv1_2];
