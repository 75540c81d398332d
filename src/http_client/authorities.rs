//! Which certificates an `https` server may be signed with.
//!
//! Those that the operating system trusts, because the servers are the site's own systems:
//! its administrator installs the company's CA there, and nowhere else. A list compiled into this
//! program would age with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

use engage_wire::{ReadError, Text, crypto_provider};

/// Verifies the server's certificate, name and dates; with the certificates of `ca_file` too, which
/// messages call `what`.
pub(super) fn tls_config(
    what: &'static str,
    ca_file: Option<&Path>,
) -> Result<Arc<ClientConfig>, AuthoritiesError> {
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
        let contents = Text::read(what, path, MAX_FILE_BYTES)?;
        add_pem(&mut roots, &contents).map_err(|source| AuthoritiesError::Malformed {
            path: path.to_owned(),
            source,
        })?;
    }
    if roots.is_empty() {
        return Err(AuthoritiesError::None);
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

/// Why there is nothing to verify a server with. Whoever asks says it in its own words.
#[derive(Debug)]
pub(crate) enum AuthoritiesError {
    /// The file cannot be read.
    Unreadable(ReadError),
    /// The file is no PEM, or holds a certificate that cannot be an anchor.
    Malformed {
        /// The path of the file of authorities, as `ca_file` names it.
        path: PathBuf,
        /// The reason.
        source: CaError,
    },
    /// Neither the system nor the file has one.
    None,
}

impl From<ReadError> for AuthoritiesError {
    fn from(error: ReadError) -> Self {
        Self::Unreadable(error)
    }
}

/// What is wrong with a file of certificates.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaError {
    /// No certificate at all.
    #[error("it holds no PEM certificate")]
    Empty,
    /// Damaged PEM.
    #[error(transparent)]
    Pem(#[from] pem::Error),
    /// Damaged DER.
    #[error(transparent)]
    Anchor(#[from] rustls::Error),
}

const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;
