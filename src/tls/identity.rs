//! What the server authenticates with: a chain and the private key of its leaf.

use std::fmt;
use std::sync::Arc;

use miette::Diagnostic;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{ServerConfig, ServerConnection};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use super::preference::{PreferSha256, client_prefers_chacha};
use super::{TlsCapabilities, server_config};
use engage_wire::pki::{PrivateKey, ServerChain};

/// A chain with the private key that belongs to its leaf, ready to shake hands.
#[derive(Clone)]
pub struct TlsIdentity {
    certificates: usize,
    capabilities: Arc<TlsCapabilities>,
    by_server_preference: Arc<ServerConfig>,
    by_client_preference: Arc<ServerConfig>,
    key: Arc<dyn SigningKey>,
}

impl TlsIdentity {
    /// Checks that `key` is the private key of the chain's leaf.
    ///
    /// The public keys are compared here and not by the TLS library, which would refuse the
    /// version 1 certificates that `openssl ca` makes without an extension section; a device
    /// does not.
    pub fn new(chain: &ServerChain, key: PrivateKey) -> Result<Self, KeyMismatch> {
        let key = any_supported_type(&key.into_der()).map_err(|_| KeyMismatch::Unusable)?;
        let key_bits = public_key_bits(key.as_ref()).ok_or(KeyMismatch::Unusable)?;
        if chain.leaf().subject_public_key() != key_bits {
            return Err(KeyMismatch::Foreign {
                leaf: chain.leaf().subject().to_owned(),
                owner: chain
                    .certificates()
                    .iter()
                    .find(|other| other.subject_public_key() == key_bits)
                    .map(|owner| owner.subject().to_owned()),
            });
        }
        let certificates: Vec<_> = chain
            .certificates()
            .iter()
            .map(|own| own.der().clone())
            .collect();
        let key = Arc::new(PreferSha256(key));
        Ok(Self::from_certified_key(&CertifiedKey::new(
            certificates,
            key,
        )))
    }

    fn from_certified_key(identity: &CertifiedKey) -> Self {
        let by_server_preference = server_config(identity.clone());
        let mut by_client_preference = by_server_preference.clone();
        by_client_preference.ignore_client_order = false;
        Self {
            certificates: identity.cert.len(),
            capabilities: Arc::new(TlsCapabilities::from_config(
                &by_server_preference,
                identity,
            )),
            by_server_preference: Arc::new(by_server_preference),
            by_client_preference: Arc::new(by_client_preference),
            key: Arc::clone(&identity.key),
        }
    }

    /// Signs once and throws it away: the crypto library gathers its entropy at first use.
    pub fn warm_up(&self) {
        let provider = self.by_server_preference.crypto_provider();
        let schemes = provider
            .signature_verification_algorithms
            .supported_schemes();
        if let Some(signer) = self.key.choose_scheme(&schemes) {
            let _ = signer.sign(b"warm-up");
        }
    }

    /// What can be agreed on with a client: for the diagnosis of a failed handshake.
    pub fn capabilities(&self) -> &TlsCapabilities {
        &self.capabilities
    }

    /// What the TLS library answers to an opening that is no hello: an alert, or nothing.
    ///
    /// It is asked again, as a whole connection: its `Acceptor`, which reads a hello before there
    /// is a configuration, sends no alert for a message that is not one.
    pub fn alert(&self, mut opening: &[u8]) -> Vec<u8> {
        let mut alert = Vec::new();
        let Ok(mut connection) = ServerConnection::new(Arc::clone(&self.by_server_preference))
        else {
            return alert;
        };
        while connection.read_tls(&mut opening).is_ok_and(|read| read > 0) {
            if connection.process_new_packets().is_err() {
                while connection.wants_write() && connection.write_tls(&mut alert).is_ok() {}
                break;
            }
        }
        alert
    }

    /// How to shake hands with the client that says `hello`.
    pub fn server_config(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let known = &self.by_server_preference.crypto_provider().cipher_suites;
        if client_prefers_chacha(hello.cipher_suites(), known) {
            Arc::clone(&self.by_client_preference)
        } else {
            Arc::clone(&self.by_server_preference)
        }
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity")
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

/// Why a private key cannot serve a chain.
#[derive(Clone, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
pub enum KeyMismatch {
    /// It is the key of another certificate.
    #[error("it does not belong to the server certificate `{leaf}`")]
    #[diagnostic(code("foreign-key"), help("{}", foreign_key_hint(owner.as_deref())))]
    Foreign {
        /// Subject of the server certificate.
        leaf: String,
        /// Subject of the certificate of the same chain that it does belong to.
        owner: Option<String>,
    },
    /// The TLS library cannot use it.
    #[error(
        "it is damaged, or of an algorithm or size that TLS does not use; allowed: RSA of 2048 bits"
    )]
    #[diagnostic(
        code("unusable-key"),
        help("make one with `openssl genrsa -out FILE.key 2048`, or with `engage-host init`")
    )]
    Unusable,
}

fn foreign_key_hint(owner: Option<&str>) -> String {
    match owner {
        Some(owner) => format!(
            "it is the key of `{owner}` in the same file: the server certificate must come first, with its own key"
        ),
        None => {
            "compare `openssl pkey -in KEY -pubout` with `openssl x509 -in CERTIFICATE -noout -pubkey`".into()
        }
    }
}

fn public_key_bits(key: &dyn SigningKey) -> Option<Vec<u8>> {
    let spki = key.public_key()?;
    let (_, spki) = SubjectPublicKeyInfo::from_der(spki.as_ref()).ok()?;
    Some(spki.subject_public_key.data.to_vec())
}
