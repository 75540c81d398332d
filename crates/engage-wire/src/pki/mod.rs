//! Certificates as a device sees them: parsed, measured, and verified against a trust anchor.
//!
//! Nothing here knows about configuration, HTTP or TLS sessions. A [`Certificate`] that exists is
//! exactly one well-formed X.509 certificate; a [`ServerChain`] that exists is in order, each
//! certificate signed by the next.

mod certificate;
mod chain;
pub mod issue;
mod key_use;
mod load;
mod public_key;
mod signature;
mod validity;

pub use certificate::{Certificate, Fingerprint, LinkError, MalformedCertificate, SubjectAltName};
pub use chain::{ChainError, DevicePath, Role, ServerChain};
pub use key_use::KeyUse;
pub use load::{
    LoadError, PrivateKey, certificate_der, certificate_of_any_form, certificate_pem_chain,
    holds_private_key, parse_certificate_der, parse_certificate_pem_chain,
};
pub use public_key::PublicKey;
pub use validity::{Timestamp, Validity};
