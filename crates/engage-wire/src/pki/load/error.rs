//! Why a certificate or key file cannot be used.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use super::PRIVATE_KEY;
use crate::diagnostic::Explain;
use crate::limits::MAX_FILE_BYTES;
use crate::pki::MalformedCertificate;

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
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::BrokenPem { .. } => "broken-pem".into(),
            Self::Empty { .. } => "empty-file".into(),
            Self::Malformed { .. } => "malformed-certificate".into(),
            Self::NoCertificate { .. } => "no-certificate".into(),
            Self::NoKey { .. } => "no-private-key".into(),
            Self::NotDer { .. } => "pem-instead-of-der".into(),
            Self::NotPem { .. } => "not-pem".into(),
            Self::TooLarge { .. } => "file-too-large".into(),
            Self::Unreadable { .. } => "unreadable-file".into(),
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
            Self::NotDer { path, .. } => conversion("x509 -outform der", path, "der"),
            Self::NotPem {
                what,
                path,
                is_der: true,
            } if *what == PRIVATE_KEY => conversion("pkey -inform der", path, "key"),
            Self::NotPem {
                path, is_der: true, ..
            } => conversion("x509 -inform der", path, "pem"),
            Self::NotPem { .. } => {
                "is it UTF-16 (Windows PowerShell writes that), or another format? PEM is ASCII text that starts with a line such as `-----BEGIN CERTIFICATE-----`".into()
            }
            Self::TooLarge { .. } => "is this the right file?".into(),
            Self::Unreadable { source, .. } => unreadable_hint(source).into(),
        }
    }
}

fn conversion(command: &str, path: &Path, extension: &str) -> String {
    format!(
        "convert it: `openssl {command} -in {} -out FILE.{extension}`",
        path.display()
    )
}

fn unreadable_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => {
            "check the path in the configuration file; `engage-host init` creates what is missing"
        }
        io::ErrorKind::PermissionDenied => "the user that runs engage-host needs read permission",
        _ => "name the file itself, not a folder or a pipe",
    }
}

fn position_text(position: Option<usize>) -> String {
    position.map_or_else(String::new, |at| format!(", certificate {at},"))
}
