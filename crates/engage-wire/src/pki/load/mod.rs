//! Reading certificates and keys from files, with refusals that name the file.

mod error;
mod secrets;
mod sections;

use std::fmt;
use std::path::Path;

use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::Certificate;
use crate::limits::MAX_FILE_BYTES;
use crate::{Text, read_regular_file};
use sections::{Section, contains, labels, looks_like_pem, sections};

pub use error::{LoadError, NotPem};
pub use secrets::{private_key_kind, private_key_kind_of_file};
pub(crate) use sections::is_utf16;

/// Reads a PEM file of one or more certificates, in the order of the file.
///
/// As all PEM here, it may be in any encoding of [`Text`]. `what` names the file's part for messages: "server certificate".
pub fn load_certificate_chain(
    what: &'static str,
    path: &Path,
) -> Result<Vec<Certificate>, LoadError> {
    parse_certificate_chain(what, path, &read(what, path)?)
}

/// Parses the PEM text of one or more certificates; `path` is only named in refusals.
pub fn parse_certificate_chain(
    what: &'static str,
    path: &Path,
    text: &[u8],
) -> Result<Vec<Certificate>, LoadError> {
    let (text, sections) = pem_text(what, path, text, |text| {
        Certificate::parse(text.to_vec()).is_ok()
    })?;
    // Left out without a word, a certificate would make the next one look like the server's.
    let is_other_form = |label: &str| {
        label != CERTIFICATE && (label.ends_with(CERTIFICATE) || ["PKCS7", "CMS"].contains(&label))
    };
    let no_certificate = |found| LoadError::NoCertificate {
        what,
        path: path.to_owned(),
        found,
    };
    let mut found = labels(&sections);
    if found.iter().any(|label| is_other_form(label)) {
        found.retain(|label| is_other_form(label));
        return Err(no_certificate(found));
    }
    let certificates = CertificateDer::pem_slice_iter(&text)
        .enumerate()
        .map(|(at, der)| {
            let der = der.map_err(|error| broken_pem(what, path, pem_reason(&error)))?;
            Certificate::parse(der.to_vec()).map_err(|source| LoadError::Malformed {
                what,
                path: path.to_owned(),
                position: Some(at + 1),
                source,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let begun = sections
        .iter()
        .filter(|own| own.label == CERTIFICATE)
        .count();
    if begun > certificates.len() {
        let reason = format!(
            "{begun} certificates begin in it, but only {} start a line with `-----BEGIN CERTIFICATE-----`",
            certificates.len()
        );
        return Err(broken_pem(what, path, reason));
    }
    if certificates.is_empty() {
        return Err(no_certificate(found));
    }
    Ok(certificates)
}

/// Reads a file that is exactly one DER certificate: the form in which devices fetch it.
pub fn load_certificate_der(what: &'static str, path: &Path) -> Result<Certificate, LoadError> {
    parse_certificate_der(what, path, &read(what, path)?)
}

/// Parses exactly one DER certificate; `path` is only named in refusals.
pub fn parse_certificate_der(
    what: &'static str,
    path: &Path,
    der: &[u8],
) -> Result<Certificate, LoadError> {
    if Text::decode(der).is_ok_and(|text| looks_like_pem(&text)) {
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
pub fn load_der_or_pem(what: &'static str, path: &Path) -> Result<Certificate, LoadError> {
    match load_certificate_der(what, path) {
        Err(LoadError::NotDer { .. }) => Ok(load_certificate_chain(what, path)?.swap_remove(0)),
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

    /// The same where a file holds several keys, as it does while it is replaced: that of
    /// `certificate`, or else the first.
    pub fn load_for(path: &Path, certificate: &Certificate) -> Result<Self, LoadError> {
        let contents = read(PRIVATE_KEY, path)?;
        let first = Self::parse(path, &contents)?;
        let text = Text::of_file(PRIVATE_KEY, path, &contents)?;
        let keys = PrivateKeyDer::pem_slice_iter(&text);
        let mut others = keys.skip(1).map_while(Result::ok).peekable();
        if others.peek().is_none() || is_key_of(certificate, &first.0) {
            return Ok(first);
        }
        let own = others.find(|key| is_key_of(certificate, key));
        Ok(own.map_or(first, Self))
    }

    /// Parses PEM text as [`PrivateKey::load`] does; `path` is only named in refusals.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, LoadError> {
        let (text, sections) = pem_text(PRIVATE_KEY, path, text, |text| {
            PrivateKeyDer::try_from(text).is_ok()
        })?;
        let encrypted = |sign| LoadError::Encrypted {
            path: path.to_owned(),
            sign,
        };
        // RFC 1421 section 4.6: the old form says it in a header, before the Base64.
        if contains(&text, b"DEK-Info:") {
            return Err(encrypted("`DEK-Info:`"));
        }
        PrivateKeyDer::from_pem_slice(&text)
            .map(Self)
            .map_err(|error| match error {
                pem::Error::NoItemsFound if contains(&text, b"BEGIN ENCRYPTED") => {
                    encrypted("`ENCRYPTED PRIVATE KEY`")
                }
                pem::Error::NoItemsFound => LoadError::NoKey {
                    path: path.to_owned(),
                    found: labels(&sections),
                },
                other => broken_pem(PRIVATE_KEY, path, pem_reason(&other)),
            })
    }

    /// Hands the DER to the TLS library.
    pub fn into_der(self) -> PrivateKeyDer<'static> {
        self.0
    }
}

fn is_key_of(certificate: &Certificate, key: &PrivateKeyDer<'static>) -> bool {
    let key = KeyPair::try_from(key).map(Zeroizing::new);
    key.is_ok_and(|key| key.der_bytes() == certificate.subject_public_key())
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// PEM in UTF-8, and its sections; refuses what cannot be PEM.
fn pem_text<'a>(
    what: &'static str,
    path: &Path,
    contents: &'a [u8],
    is_der: impl Fn(&[u8]) -> bool,
) -> Result<(Text<'a>, Vec<Section>), LoadError> {
    let text = Text::of_file(what, path, contents)?;
    if !looks_like_pem(&text) {
        return Err(LoadError::NotPem {
            what,
            path: path.to_owned(),
            found: match () {
                () if is_der(&text) => NotPem::Der,
                () if is_utf16(&text) => NotPem::Utf16,
                () => NotPem::Unknown,
            },
        });
    }
    let mut sections = sections(&text);
    if let Some(at) = sections.iter().position(|section| section.is_indented) {
        let Section { label, line, .. } = sections.swap_remove(at);
        return Err(LoadError::Indented {
            what,
            path: path.to_owned(),
            label,
            line,
        });
    }
    Ok((text, sections))
}

fn read(what: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, LoadError> {
    let bytes = read_regular_file(what, path, MAX_FILE_BYTES)?;
    if bytes.is_empty() {
        return Err(LoadError::Empty {
            what,
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

fn broken_pem(what: &'static str, path: &Path, reason: String) -> LoadError {
    LoadError::BrokenPem {
        what,
        path: path.to_owned(),
        reason,
    }
}

fn pem_reason(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its END line is missing".into(),
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is damaged".into(),
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is not Base64".into(),
        // Any other variant could quote the file, and the file may be a key.
        _ => "it cannot be read".into(),
    }
}

const CERTIFICATE: &str = "CERTIFICATE";

/// How messages call the key's file.
const PRIVATE_KEY: &str = "private key";
