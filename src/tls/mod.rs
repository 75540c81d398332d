//! TLS on the server's side: its identity, and how it speaks.

mod admin_identity;
mod capabilities;
mod diagnosis;
mod failure_reason;
mod handshake;
pub(crate) mod hello;
mod identity;
mod incompatibility;
mod preference;
mod seen_handshakes;

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, version};

pub(crate) use admin_identity::{AdminIdentity, AdminIdentityError};
pub(crate) use capabilities::TlsCapabilities;
pub(crate) use diagnosis::diagnose;
pub(crate) use failure_reason::{Diagnosis, FailureReason};
pub(crate) use handshake::accept;
pub(crate) use identity::{KeyMismatch, TlsIdentity};
pub(crate) use seen_handshakes::{SeenHandshake, SeenHandshakes};

/// How the TLS listener speaks: TLS 1.2 and 1.3, HTTP/1 only, the same identity for every name.
///
/// Devices are told bare IP addresses, so most send no SNI (PROTOCOL.md section 2).
fn server_config(identity: CertifiedKey) -> ServerConfig {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = preference::sort_by_preference(provider.cipher_suites);
    let builder = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12]);
    let Ok(builder) = builder else {
        unreachable!("the provider has cipher suites for both versions");
    };
    let mut config = builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    // HTTP/1.0 is spoken too, and a client that offers only that must not fail its handshake.
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    // One ticket, not two and not none: a TLS 1.3 client with Nagle's algorithm on holds its
    // request back until its Finished is acknowledged. A ticket carries that acknowledgement;
    // without one, it waits for the delayed ACK (measured: 44 ms instead of 0.75).
    config.send_tls13_tickets = 1;
    config.ignore_client_order = true;
    config
}
