//! Reading certificates and keys from files, with refusals that name the file.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::limits::MAX_FILE_BYTES;
use super::{Certificate, MalformedCertificate};
use crate::report::Explain;

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

/// Why a certificate or key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A PEM section is damaged.
    #[error("{what} `{}` has a damaged PEM section: {reason}", path.display())]
    BrokenPem {
        /// The file's part.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing in it.
    #[error("{what} `{}` is empty: 0 bytes", path.display())]
    Empty {
        /// The file's part.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A certificate that does not parse.
    #[error("{what} `{}`{} is malformed", path.display(), position_text(*position))]
    Malformed {
        /// The file's part.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Which certificate of a PEM file, from 1.
        position: Option<usize>,
        /// The parser's reason.
        source: MalformedCertificate,
    },
    /// PEM, but no certificate in it.
    #[error("{what} `{}` contains no certificate", path.display())]
    NoCertificate {
        /// The file's part.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// A private key was found instead.
        has_key: bool,
    },
    /// PEM, but no usable key in it.
    #[error("private key `{}` contains no {}private key", path.display(), if *encrypted { "unencrypted " } else { "" })]
    NoKey {
        /// The file.
        path: PathBuf,
        /// It is protected by a passphrase.
        encrypted: bool,
    },
    /// PEM where DER is needed.
    #[error("{what} `{}` is PEM text; a device fetches binary DER", path.display())]
    NotDer {
        /// The file's part.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// DER or something else where PEM is needed.
    #[error("{what} `{}` is {}; PEM text is needed", path.display(), if *is_der { "binary DER" } else { "not PEM" })]
    NotPem {
        /// The file's part.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The bytes are valid DER of the right kind.
        is_der: bool,
    },
    /// Larger than any certificate or key.
    #[error("{what} `{}` is larger than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file's part.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("failed to read {what} `{}`", path.display())]
    Unreadable {
        /// The file's part.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

impl Explain for LoadError {
    fn code(&self) -> &'static str {
        match self {
            Self::BrokenPem { .. } => "broken-pem",
            Self::Empty { .. } => "empty-file",
            Self::Malformed { .. } => "malformed-certificate",
            Self::NoCertificate { .. } => "no-certificate",
            Self::NoKey { .. } => "no-private-key",
            Self::NotDer { .. } => "pem-instead-of-der",
            Self::NotPem { .. } => "not-pem",
            Self::TooLarge { .. } => "file-too-large",
            Self::Unreadable { .. } => "unreadable-file",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::BrokenPem { .. } => "copy the file again in text mode; each section runs from \
                                       `-----BEGIN ..-----` to `-----END ..-----`"
                .into(),
            Self::Empty { .. } => {
                "the file may still be being written, or the disk was full".into()
            }
            Self::Malformed {
                path,
                position: None,
                ..
            } => format!(
                "`openssl x509 -inform der -noout -text -in {}` shows what it is",
                path.display()
            ),
            Self::Malformed { path, .. } => format!(
                "`openssl storeutl -noout -text {}` shows what it contains",
                path.display()
            ),
            Self::NoCertificate { has_key: true, .. } => {
                "it holds a private key: `certificate` and `private_key` may be swapped".into()
            }
            Self::NoCertificate { .. } => {
                "put the server certificate first, then the intermediates".into()
            }
            Self::NoKey {
                path,
                encrypted: true,
            } => format!(
                "the daemon starts unattended: remove the passphrase with `openssl pkey -in {} -out FILE`",
                path.display()
            ),
            Self::NoKey { .. } => "a PKCS#8, PKCS#1 or SEC1 key is needed: \
                                   `-----BEGIN PRIVATE KEY-----` or the like"
                .into(),
            Self::NotDer { path, .. } => format!(
                "convert it: `openssl x509 -outform der -in {} -out FILE.der`",
                path.display()
            ),
            Self::NotPem {
                what,
                path,
                is_der: true,
            } if *what == PRIVATE_KEY => format!(
                "convert it: `openssl pkey -inform der -in {} -out FILE.key`",
                path.display()
            ),
            Self::NotPem {
                path, is_der: true, ..
            } => format!(
                "convert it: `openssl x509 -inform der -in {} -out FILE.pem`",
                path.display()
            ),
            Self::NotPem { .. } => {
                "PEM starts with a line such as `-----BEGIN CERTIFICATE-----`".into()
            }
            Self::TooLarge { .. } => "is this the right file?".into(),
            Self::Unreadable { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "check the path in the configuration file; \
                                            `engage-host init` creates what is missing"
                    .into(),
                io::ErrorKind::PermissionDenied => {
                    "the user that runs engage-host needs read permission".into()
                }
                _ => "name the file itself, not a folder or a pipe".into(),
            },
        }
    }
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

fn looks_like_pem(bytes: &[u8]) -> bool {
    contains(bytes, b"-----BEGIN ")
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

fn position_text(position: Option<usize>) -> String {
    position.map_or_else(String::new, |at| format!(", certificate {at},"))
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
