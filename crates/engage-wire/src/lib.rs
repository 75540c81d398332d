//! What an ENGAGE Wi-Fi device and its host agree on: certificates as a device sees them, the site
//! key and the announcement, and how errors are told.

pub mod diagnostic;
pub mod pki;
pub mod site;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// The one crypto provider; nothing depends on a process-wide default.
#[must_use]
pub fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
