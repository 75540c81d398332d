//! Which certificates an `https` receiver may be signed with.
//!
//! Those that the operating system trusts, because a receiver is one of the site's own systems:
//! its administrator installs the company's CA there, and nowhere else. A list compiled into this
//! program would age with it.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

use super::error::{CaError, WebhookError};
use engage_wire::{crypto_provider, read_regular_file};

/// Verifies the receiver's certificate, name and dates.
pub(super) fn tls_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, WebhookError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    // A system's list may hold what rustls does not take; the rest still counts.
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        for error in &system.errors {
            warn!(%error, "failed to read the system's certificate authorities");
        }
    }
    if let Some(path) = ca_file {
        let contents = read_regular_file("webhook ca_file", path, MAX_FILE_BYTES)?;
        add_pem(&mut roots, &contents).map_err(|source| WebhookError::CaMalformed {
            path: path.to_owned(),
            source,
        })?;
    }
    if roots.is_empty() {
        return Err(WebhookError::NoAuthority);
    }
    let Ok(versions) = ClientConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
    else {
        unreachable!("the provider has suites of both versions");
    };
    let config = versions.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

fn add_pem(roots: &mut RootCertStore, contents: &[u8]) -> Result<(), CaError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(contents) {
        roots.add(certificate?)?;
    }
    if roots.len() == before {
        return Err(CaError::Empty);
    }
    Ok(())
}

const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;
