//! Certificates as a device sees them: parsed, measured, and verified against a trust anchor.
//!
//! Nothing here knows about configuration, HTTP or TLS sessions. A [`Certificate`] that exists is
//! exactly one well-formed X.509 certificate; a [`ServerChain`] that exists is in order, each
//! certificate signed by the next.

mod alt_name;
mod certificate;
mod chain;
mod chain_error;
mod der;
pub mod device_profile;
mod extensions;
pub mod issue;
mod load;
mod name;
mod name_constraints;
mod public_key;
mod signature;
mod validity;

pub use alt_name::SubjectAltName;
pub use certificate::{
    Certificate, Fingerprint, FingerprintError, LinkError, MalformedCertificate,
};
pub use chain::{DevicePath, Role, ServerChain};
pub use chain_error::ChainError;
pub use extensions::{AuthorityKeyId, Extensions};
pub(crate) use load::is_utf16;
pub use load::{
    LoadError, NotPem, PrivateKey, load_certificate_chain, load_certificate_der, load_der_or_pem,
    parse_certificate_chain, parse_certificate_der, private_key_kind, private_key_kind_of_file,
};
pub use name::DistinguishedName;
pub use name_constraints::NameConstraints;
pub use pem::LineEnding;
pub use public_key::PublicKey;
pub use validity::Validity;
