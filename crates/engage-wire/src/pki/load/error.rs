//! Why a certificate or key file cannot be used.

use std::path::{Path, PathBuf};

use super::PRIVATE_KEY;
use crate::ReadError;
use crate::pki::MalformedCertificate;

/// Why a certificate or key file cannot be used.
#[derive(Debug, miette::Diagnostic, thiserror::Error)]
pub enum LoadError {
    /// A PEM section is damaged.
    #[error("{what} `{}` has a damaged PEM section: {reason}", path.display())]
    #[diagnostic(
        code("broken-pem"),
        help(
            "copy the file again from where it was made; each section runs from a line `-----BEGIN ..-----` \
             to a line `-----END ..-----`"
        )
    )]
    BrokenPem {
        /// What the file is for, as messages say it: `server certificate`.
        what: &'static str,
        /// The path of the PEM file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing in it.
    #[error("{what} `{}` is empty: 0 bytes", path.display())]
    #[diagnostic(
        code("empty-file"),
        help("the file may still be being written, or the disk was full")
    )]
    Empty {
        /// What the file is for, as messages say it: `server certificate`.
        what: &'static str,
        /// The path of the empty file.
        path: PathBuf,
    },
    /// The key is protected by a passphrase.
    #[error("private key `{}` is encrypted ({sign}); allowed: a key without a passphrase", path.display())]
    #[diagnostic(
        code("no-private-key"),
        help(
            "the daemon starts unattended: remove the passphrase with `openssl pkey -in {} -out FILE`",
            path.display()
        )
    )]
    Encrypted {
        /// The path of the private key.
        path: PathBuf,
        /// What says so in the file.
        sign: &'static str,
    },
    /// PEM whose lines do not start at the margin.
    #[error("{what} `{}` has an indented PEM section: `-----BEGIN {label}-----` does not start line {line}", path.display())]
    #[diagnostic(
        code("broken-pem"),
        help("remove the spaces before its lines: `sed 's/^[[:space:]]*//' {} > FILE`", path.display())
    )]
    Indented {
        /// What the file is for, as messages say it: `server certificate`.
        what: &'static str,
        /// The path of the PEM file.
        path: PathBuf,
        /// The label of the section: `CERTIFICATE`.
        label: String,
        /// Its line, from 1.
        line: usize,
    },
    /// A certificate that does not parse.
    #[error("{what} `{}`{} is malformed", path.display(), position_text(*position))]
    #[diagnostic(code("malformed-certificate"), help("{}", malformed_hint(path, *position)))]
    Malformed {
        /// What the file is for, as messages say it: `server certificate`.
        what: &'static str,
        /// The path of the certificate file, PEM or DER.
        path: PathBuf,
        /// Which certificate of a PEM file, from 1.
        position: Option<usize>,
        /// The parser's reason.
        source: MalformedCertificate,
    },
    /// PEM, but no certificate of the usual form in it.
    #[error("{what} `{}` has {}; allowed: `CERTIFICATE`", path.display(), sections_text(found))]
    #[diagnostic(code("no-certificate"), help("{}", label_hint(path, found)))]
    NoCertificate {
        /// What the file is for, as messages say it: `server certificate`.
        what: &'static str,
        /// The path of the PEM file.
        path: PathBuf,
        /// The labels of the sections that do not belong there.
        found: Vec<String>,
    },
    /// PEM, but no key in it.
    #[error("private key `{}` has {}; allowed: `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`", path.display(), sections_text(found))]
    #[diagnostic(code("no-private-key"), help("{}", key_label_hint(path, found)))]
    NoKey {
        /// The path of the PEM file.
        path: PathBuf,
        /// The labels of its sections.
        found: Vec<String>,
    },
    /// PEM where DER is needed.
    #[error("{what} `{}` is PEM text; a device fetches binary DER", path.display())]
    #[diagnostic(
        code("pem-instead-of-der"),
        help("{}", conversion("x509 -outform der", path, "der"))
    )]
    NotDer {
        /// What the file is for, as messages say it: `server certificate`.
        what: &'static str,
        /// The path of the certificate file.
        path: PathBuf,
    },
    /// DER or something else where PEM is needed.
    #[error("{what} `{}` is {}; PEM text is needed", path.display(), found.name())]
    #[diagnostic(code("not-pem"), help("{}", not_pem_hint(what, path, *found)))]
    NotPem {
        /// What the file is for, as messages say it: `server certificate`.
        what: &'static str,
        /// The path of the file that is no PEM.
        path: PathBuf,
        /// What it is instead.
        found: NotPem,
    },
    /// The file cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Read(#[from] ReadError),
}

/// What a file is that is not PEM.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotPem {
    /// DER of the right kind.
    Der,
    /// Neither text of ours nor DER.
    Unknown,
    /// Text in two bytes a character, without the mark that says in which order.
    Utf16,
}

impl NotPem {
    fn name(self) -> &'static str {
        match self {
            Self::Der => "binary DER",
            Self::Unknown => "not PEM",
            Self::Utf16 => "text in UTF-16 without a byte order mark",
        }
    }
}

fn conversion(command: &str, path: &Path, extension: &str) -> String {
    format!(
        "convert it: `openssl {command} -in {} -out FILE.{extension}`",
        path.display()
    )
}

fn malformed_hint(path: &Path, position: Option<usize>) -> String {
    match position {
        None => format!(
            "`openssl x509 -inform der -noout -text -in {}` shows what it is",
            path.display()
        ),
        Some(_) => format!(
            "`openssl storeutl -noout -text {}` shows what it contains",
            path.display()
        ),
    }
}

fn not_pem_hint(what: &str, path: &Path, found: NotPem) -> String {
    match found {
        NotPem::Der if what == PRIVATE_KEY => conversion("pkey -inform der", path, "key"),
        NotPem::Der => conversion("x509 -inform der", path, "pem"),
        NotPem::Utf16 => format!(
            "convert it: `iconv -f UTF-16LE -t ASCII {} > FILE`, or write it in PowerShell with `Out-File -Encoding ascii`",
            path.display()
        ),
        NotPem::Unknown => {
            "PEM is ASCII text with a line such as `-----BEGIN CERTIFICATE-----`; a `.pfx` or `.p12` file is \
             converted with `openssl pkcs12 -in FILE -nodes`"
                .into()
        }
    }
}

fn label_hint(path: &Path, found: &[String]) -> String {
    let is = |label: &str| found.iter().any(|own| own == label);
    if is("PKCS7") || is("CMS") {
        format!(
            "take the certificates out of it: `openssl pkcs7 -print_certs -in {} -out FILE.pem`",
            path.display()
        )
    } else if is("TRUSTED CERTIFICATE") || is("X509 CERTIFICATE") {
        conversion("x509", path, "pem")
    } else if is("CERTIFICATE REQUEST") || is("NEW CERTIFICATE REQUEST") {
        "this is the request: put the certificate there that the authority answered with".into()
    } else if found.iter().any(|label| label.ends_with("PRIVATE KEY")) {
        "it holds a private key: `certificate` and `private_key` may be swapped".into()
    } else {
        "put the server certificate first, then the intermediates".into()
    }
}

fn key_label_hint(path: &Path, found: &[String]) -> String {
    let is = |label: &str| found.iter().any(|own| own == label);
    if is("OPENSSH PRIVATE KEY") {
        format!(
            "convert a copy of it: `ssh-keygen -p -N '' -m PEM -f {}`",
            path.display()
        )
    } else if is("CERTIFICATE") {
        "it holds a certificate: `certificate` and `private_key` may be swapped".into()
    } else if is("PUBLIC KEY") || is("RSA PUBLIC KEY") {
        "this is the public half: name the file of the private key that it was made from".into()
    } else {
        conversion("pkey", path, "key")
    }
}

/// "the PEM section `X`", or that there is none.
fn sections_text(found: &[String]) -> String {
    let labels: Vec<_> = found.iter().map(|label| format!("`{label}`")).collect();
    match labels.as_slice() {
        [] => "no whole PEM section".into(),
        [one] => format!("the PEM section {one}"),
        many => format!("the PEM sections {}", many.join(", ")),
    }
}

fn position_text(position: Option<usize>) -> String {
    position.map_or_else(String::new, |at| format!(", certificate {at},"))
}
