use std::io::{self, ErrorKind};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use rustls::ServerConnection;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use crate::tls::hello::{ClientHello, HelloError};
use crate::tls::{Diagnosis, TlsCapabilities, diagnose, server_config};

/// The server's side of TLS, without sockets.
pub(super) struct Server {
    pub(super) config: Arc<rustls::ServerConfig>,
    pub(super) capabilities: TlsCapabilities,
}

impl Server {
    pub(super) fn rsa() -> Self {
        Self::with(&KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap())
    }

    pub(super) fn ecdsa() -> Self {
        Self::with(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
    }

    fn with(key: &KeyPair) -> Self {
        let params = CertificateParams::new(vec!["lock.example".to_owned()]).unwrap();
        let chain = vec![params.self_signed(key).unwrap().der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let identity = CertifiedKey::new(chain, any_supported_type(&key).unwrap());
        let config = server_config(identity.clone());
        Self {
            capabilities: TlsCapabilities::from_config(&config, &identity),
            config: Arc::new(config),
        }
    }

    /// Feeds a client's first flight to the TLS library: our reading of it, the library's
    /// judgement, and how many bytes it answered.
    pub(super) fn reads(
        &self,
        flight: &[u8],
    ) -> (
        Result<ClientHello, HelloError>,
        Result<(), rustls::Error>,
        usize,
    ) {
        let mut connection = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        connection.read_tls(&mut &flight[..]).unwrap();
        let outcome = connection.process_new_packets().map(|_| ());
        let mut answer = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut answer).unwrap();
        }
        (ClientHello::parse(flight), outcome, answer.len())
    }

    /// The diagnosis of a flight that the TLS library refuses, too.
    pub(super) fn refuses(&self, flight: &[u8]) -> Diagnosis {
        let (hello, outcome, written) = self.reads(flight);
        let failure = wrapped(outcome.unwrap_err());
        diagnose(&self.capabilities, hello.as_ref(), &failure, written)
    }
}

/// As the TLS acceptor hands it on.
pub(super) fn wrapped(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
