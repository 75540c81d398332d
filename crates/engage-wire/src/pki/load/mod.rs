//! Reading certificates and keys from files, with refusals that name the file.

mod error;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::Certificate;
use crate::limits::MAX_FILE_BYTES;

pub use error::LoadError;

/// Reads a PEM file of one or more certificates, in the order of the file.
///
/// `what` names the file's part for messages: "server certificate".
pub fn certificate_pem_chain(
    what: &'static str,
    path: &Path,
) -> Result<Vec<Certificate>, LoadError> {
    parse_certificate_pem_chain(what, path, &read(what, path)?)
}

/// Parses the PEM text of one or more certificates; `path` is only named in refusals.
pub fn parse_certificate_pem_chain(
    what: &'static str,
    path: &Path,
    text: &[u8],
) -> Result<Vec<Certificate>, LoadError> {
    let text = without_mark(text);
    if !looks_like_pem(text) {
        return Err(LoadError::NotPem {
            what,
            path: path.to_owned(),
            is_der: Certificate::parse(text.to_vec()).is_ok(),
        });
    }
    let certificates = CertificateDer::pem_slice_iter(text)
        .enumerate()
        .map(|(at, der)| {
            let der = der.map_err(|error| LoadError::BrokenPem {
                what,
                path: path.to_owned(),
                reason: pem_reason(&error),
            })?;
            Certificate::parse(der.to_vec()).map_err(|source| LoadError::Malformed {
                what,
                path: path.to_owned(),
                position: Some(at + 1),
                source,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err(LoadError::NoCertificate {
            what,
            path: path.to_owned(),
            has_key: contains(text, b"PRIVATE KEY-----"),
        });
    }
    // Left out without a word, a certificate would make the next one look like the server's.
    let begun = count(text, b"CERTIFICATE-----") / 2;
    if begun > certificates.len() {
        return Err(LoadError::BrokenPem {
            what,
            path: path.to_owned(),
            reason: format!(
                "{begun} certificates begin in it, but only {} start a line with `-----BEGIN CERTIFICATE-----`",
                certificates.len()
            ),
        });
    }
    Ok(certificates)
}

/// Reads a file that is exactly one DER certificate: the form in which devices fetch it.
pub fn certificate_der(what: &'static str, path: &Path) -> Result<Certificate, LoadError> {
    parse_certificate_der(what, path, &read(what, path)?)
}

/// Parses exactly one DER certificate; `path` is only named in refusals.
pub fn parse_certificate_der(
    what: &'static str,
    path: &Path,
    der: &[u8],
) -> Result<Certificate, LoadError> {
    if looks_like_pem(der) {
        return Err(LoadError::NotDer {
            what,
            path: path.to_owned(),
        });
    }
    Certificate::parse(der.to_vec()).map_err(|source| LoadError::Malformed {
        what,
        path: path.to_owned(),
        position: None,
        source,
    })
}

/// Reads a file that is one certificate, in DER or in PEM: for certificates that are only looked
/// at and never served.
pub fn certificate_of_any_form(what: &'static str, path: &Path) -> Result<Certificate, LoadError> {
    match certificate_der(what, path) {
        Err(LoadError::NotDer { .. }) => Ok(certificate_pem_chain(what, path)?.swap_remove(0)),
        other => other,
    }
}

/// A private key as read from its file; cannot be printed.
pub struct PrivateKey(PrivateKeyDer<'static>);

impl PrivateKey {
    /// Reads the first PKCS#1, PKCS#8 or SEC1 key of a PEM file.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Self::parse(path, &read(PRIVATE_KEY, path)?)
    }

    /// Parses PEM text as [`PrivateKey::load`] does; `path` is only named in refusals.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, LoadError> {
        let text = without_mark(text);
        if !looks_like_pem(text) {
            return Err(LoadError::NotPem {
                what: PRIVATE_KEY,
                path: path.to_owned(),
                is_der: PrivateKeyDer::try_from(text).is_ok(),
            });
        }
        PrivateKeyDer::from_pem_slice(text)
            .map(Self)
            .map_err(|error| match error {
                pem::Error::NoItemsFound => LoadError::NoKey {
                    path: path.to_owned(),
                    encrypted: contains(text, b"ENCRYPTED"),
                },
                other => LoadError::BrokenPem {
                    what: PRIVATE_KEY,
                    path: path.to_owned(),
                    reason: pem_reason(&other),
                },
            })
    }

    /// Hands the DER to the TLS library.
    #[must_use]
    pub fn into_der(self) -> PrivateKeyDer<'static> {
        self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// Whether a file holds a private key: PEM, or the DER of PKCS#1, PKCS#8 or SEC1.
#[must_use]
pub fn holds_private_key(path: &Path) -> bool {
    read("file", path).is_ok_and(|bytes| {
        contains(&bytes, b"PRIVATE KEY-----") || PrivateKeyDer::try_from(bytes.as_slice()).is_ok()
    })
}

/// Reads a whole file within [`MAX_FILE_BYTES`]. The bytes are wiped when dropped, because every
/// key passes through here.
fn read(what: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, LoadError> {
    let unreadable = |source| LoadError::Unreadable {
        what,
        path: path.to_owned(),
        source,
    };
    // `fs_err` would name the path again, which our message has said.
    // Looked at before it is opened: opening a pipe would wait for its writer.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other("not a regular file")));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.is_empty() {
        return Err(LoadError::Empty {
            what,
            path: path.to_owned(),
        });
    }
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(LoadError::TooLarge {
            what,
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

/// Text without the byte order mark that some editors put in front.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack
        .windows(needle.len())
        .filter(|window| *window == needle)
        .count()
}

fn looks_like_pem(bytes: &[u8]) -> bool {
    contains(bytes, b"-----BEGIN ")
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

fn pem_reason(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "the END line is missing".into(),
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is damaged".into(),
        pem::Error::Base64Decode(_) => "its Base64 is damaged".into(),
        // Any other variant could quote the file, and the file may be a key.
        _ => "it cannot be read".into(),
    }
}

/// How messages call the key's file.
const PRIVATE_KEY: &str = "private key";
