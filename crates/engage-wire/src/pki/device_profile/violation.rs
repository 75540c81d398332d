//! What can be wrong with certificates, in words.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use miette::{Diagnostic, Severity};

use crate::HostName;
use crate::limits::{MAX_CHAIN_BYTES, MAX_KEY_BITS, TIGHT_CHAIN_BYTES};
use crate::pki::{Certificate, ChainError, PublicKey, Role};

/// Which certificate: its role, its subject and, if it is known, its file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateName {
    /// Its role.
    pub role: Role,
    /// Its subject.
    pub subject: String,
    /// Its file.
    pub file: Option<PathBuf>,
}

impl CertificateName {
    pub(super) fn new(role: Role, certificate: &Certificate, file: Option<PathBuf>) -> Self {
        Self {
            role,
            subject: certificate.subject().to_owned(),
            file,
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificate `{}`", self.role, self.subject)?;
        match &self.file {
            Some(file) => write!(f, " in `{}`", file.display()),
            None => Ok(()),
        }
    }
}

/// One thing that is held against certificates.
#[derive(Clone, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
pub enum Violation {
    /// Out of order, or it does not lead to the trust anchor.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Chain(Box<ChainError>),

    /// More bytes than a device accepts.
    #[error("the chain has {found} bytes ({sum}); a device accepts at most {MAX_CHAIN_BYTES}")]
    #[diagnostic(
        code("chain-too-large"),
        help(
            "issue the chain again with shorter names and fewer extensions, or without an intermediate; \
             `engage-host init` makes one of about 2,700 bytes"
        )
    )]
    ChainTooLarge {
        /// DER total in bytes.
        found: usize,
        /// The parts of the total.
        sum: String,
    },

    /// A certificate's time is over.
    #[error("{certificate} expired at {not_after}; now is {now}")]
    #[diagnostic(code("expired"), help("{}", expired_hint(certificate.role)))]
    Expired {
        /// The certificate.
        certificate: CertificateName,
        /// Its last second.
        not_after: Timestamp,
        /// The clock that was asked.
        now: Timestamp,
    },

    /// A key that is too long for a device, or too short for this server.
    #[error("{certificate} has a key of {key} bits; allowed: RSA {MAX_KEY_BITS}")]
    #[diagnostic(
        code("key-size"),
        help(
            "make the key again with `openssl genrsa 2048`, and the certificates that depend on it"
        )
    )]
    KeySize {
        /// The certificate.
        certificate: CertificateName,
        /// The key.
        key: PublicKey,
    },

    /// A certificate's time has not begun.
    #[error("{certificate} is valid from {not_before}; now is {now}")]
    #[diagnostic(
        code("not-yet-valid"),
        help(
            "check this computer's clock (`timedatectl`), or wait; devices whose clock is behind wait longer"
        )
    )]
    NotYetValid {
        /// The certificate.
        certificate: CertificateName,
        /// Its first second.
        not_before: Timestamp,
        /// The clock that was asked.
        now: Timestamp,
    },

    /// A key of another kind than a device or this server can use.
    #[error("{certificate} has a key of {key}; allowed: RSA {MAX_KEY_BITS}")]
    #[diagnostic(
        code("unsupported-key"),
        help(
            "make the key again with `openssl genrsa 2048`, and the certificates that depend on it"
        )
    )]
    UnsupportedKey {
        /// The certificate.
        certificate: CertificateName,
        /// The key.
        key: PublicKey,
    },

    /// With its framing, the chain is larger than a device accepts without it.
    #[error(
        "the chain makes a TLS Certificate message of {bytes} bytes with its framing, more than {MAX_CHAIN_BYTES}"
    )]
    #[diagnostic(
        severity(Warning),
        code("tls-message-large"),
        help(
            "a device that counts the framing too would fail; issue the chain with shorter names"
        )
    )]
    CertificateMessageLarge {
        /// Bytes of the message.
        bytes: usize,
    },

    /// Little room is left for a renewal.
    #[error(
        "the chain has {found} bytes, close to the limit of {MAX_CHAIN_BYTES} (warned above {TIGHT_CHAIN_BYTES})"
    )]
    #[diagnostic(
        severity(Warning),
        code("chain-tight"),
        help("a renewal with a longer name may not fit; issue the chain with shorter names")
    )]
    ChainTight {
        /// DER total in bytes.
        found: usize,
    },

    /// An elliptic-curve key.
    #[error("{certificate} has a key of {key}, which is not documented for devices")]
    #[diagnostic(
        severity(Warning),
        code("ecdsa-key"),
        help("use RSA 2048 unless your devices are known to accept it")
    )]
    EcdsaKey {
        /// The certificate.
        certificate: CertificateName,
        /// The key.
        key: PublicKey,
    },

    /// A certificate's time is nearly over.
    #[error("{certificate} expires in {days} days, at {not_after}")]
    #[diagnostic(
        severity(Warning),
        code("expires-soon"),
        help("renew it now: devices fail at night, when it is too late")
    )]
    ExpiresSoon {
        /// The certificate.
        certificate: CertificateName,
        /// Whole days left.
        days: i64,
        /// Its last second.
        not_after: Timestamp,
    },

    /// An issuer that may issue no TLS servers.
    #[error(
        "{certificate} issues a server certificate, but its extKeyUsage does not have serverAuth"
    )]
    #[diagnostic(
        severity(Warning),
        code("issuer-key-use"),
        help(
            "OpenSSL and wolfSSL refuse the chain: issue it without extKeyUsage, and then what it issued"
        )
    )]
    IssuerKeyUse {
        /// The issuer.
        certificate: CertificateName,
    },

    /// An issuer that does not say that it is one.
    #[error(
        "{certificate} issues another certificate but is not marked as a certificate authority"
    )]
    #[diagnostic(
        severity(Warning),
        code("issuer-not-ca"),
        help(
            "devices have accepted this, strict TLS clients do not: issue it with `basicConstraints = critical, CA:TRUE` \
             (`openssl ca -extensions v3_ca`)"
        )
    )]
    IssuerNotCa {
        /// The issuer.
        certificate: CertificateName,
    },

    /// The issuer is another one than the certificate says.
    #[error(
        "the authorityKeyIdentifier of {certificate} names another {part} than that of {issuer}"
    )]
    #[diagnostic(
        severity(Warning),
        code("key-identifier"),
        help(
            "OpenSSL and stacks like it take it for another issue of that issuer and refuse the chain: issue the lower \
             one again from this issuer, or use the issuer's older certificate"
        )
    )]
    KeyIdentifier {
        /// The certificate that was issued.
        certificate: CertificateName,
        /// What differs.
        part: &'static str,
        /// Its issuer.
        issuer: CertificateName,
    },

    /// An extension that cannot be read, or is there twice.
    #[error("{certificate} has the extension {oid} twice or in a form that cannot be read")]
    #[diagnostic(
        severity(Warning),
        code("malformed-extension"),
        help("strict TLS clients refuse the certificate: issue it again with other tools")
    )]
    MalformedExtension {
        /// The certificate.
        certificate: CertificateName,
        /// The extension's object identifier.
        oid: String,
    },

    /// Extensions that strict clients want.
    #[error("{certificate} has no {missing}")]
    #[diagnostic(
        severity(Warning),
        code("missing-extensions"),
        help("strict TLS clients want them all; `engage-host init` sets them")
    )]
    MissingExtensions {
        /// The certificate.
        certificate: CertificateName,
        /// Their names.
        missing: String,
    },

    /// A name that an issuer does not allow.
    #[error("{certificate} does not allow the name `{name}` below it (nameConstraints)")]
    #[diagnostic(
        severity(Warning),
        code("name-constraints"),
        help(
            "TLS clients that look at it refuse the chain: issue it without the constraint, or with this name"
        )
    )]
    NameConstraints {
        /// The issuer.
        certificate: CertificateName,
        /// The name.
        name: String,
    },

    /// The server certificate does not name its host.
    #[error("{certificate} has no subjectAltName for `{host}`, {what}; it has {names}")]
    #[diagnostic(
        severity(Warning),
        code("name-missing"),
        help(
            "curl and browsers refuse it, a device may: issue it with `subjectAltName = IP:.. , DNS:..`"
        )
    )]
    NameMissing {
        /// The certificate.
        certificate: CertificateName,
        /// The host.
        host: HostName,
        /// Whose host it is.
        what: &'static str,
        /// The names that are there.
        names: String,
    },

    /// Not DER, although it can be read here.
    #[error("{certificate} is not DER: {defect}")]
    #[diagnostic(
        severity(Warning),
        code("not-der"),
        help(
            "OpenSSL and strict stacks cannot read or verify it: issue it again with other tools"
        )
    )]
    NotDer {
        /// The certificate.
        certificate: CertificateName,
        /// What breaks the rules.
        defect: &'static str,
    },

    /// No DNS name.
    #[error("{certificate} has IP addresses but no DNS name in subjectAltName")]
    #[diagnostic(
        severity(Warning),
        code("only-ip-names"),
        help("some embedded TLS clients look at DNS names only: add one")
    )]
    OnlyIpNames {
        /// The certificate.
        certificate: CertificateName,
    },

    /// More intermediates than an issuer allows.
    #[error(
        "{certificate} allows {allowed} intermediates below it (pathLenConstraint); there are {found}"
    )]
    #[diagnostic(
        severity(Warning),
        code("path-length"),
        help("TLS clients that look at it refuse the chain: issue it without the constraint")
    )]
    PathLength {
        /// The issuer.
        certificate: CertificateName,
        /// How many it allows.
        allowed: u32,
        /// How many there are.
        found: usize,
    },

    /// A device counts a root that is not known here.
    #[error(
        "the root `{root}` above the chain is not known, so its bytes are missing from the count"
    )]
    #[diagnostic(
        severity(Warning),
        code("root-not-counted"),
        help("a device counts it: name its file as `[https] root = \"..\"`")
    )]
    RootNotCounted {
        /// Its subject.
        root: String,
    },

    /// Devices are told to install what has to be renewed.
    #[error(
        "{certificate} is itself what devices are told to install, and another certificate issued it"
    )]
    #[diagnostic(
        severity(Warning),
        code("server-announced"),
        help(
            "each renewal would have to be installed in every device: announce the root or an intermediate"
        )
    )]
    ServerAnnounced {
        /// The certificate.
        certificate: CertificateName,
    },

    /// A server that may issue certificates.
    #[error("{certificate} is marked as a certificate authority")]
    #[diagnostic(
        severity(Warning),
        code("server-is-ca"),
        help("strict TLS clients refuse it: issue it with `basicConstraints = CA:FALSE`")
    )]
    ServerIsCa {
        /// The certificate.
        certificate: CertificateName,
    },

    /// A critical extension that clients may not know.
    #[error("{certificate} has the critical extension {oid}, which TLS clients may not know")]
    #[diagnostic(
        severity(Warning),
        code("unknown-critical-extension"),
        help(
            "OpenSSL and clients like it refuse the certificate: issue it without, or not critical"
        )
    )]
    UnknownCritical {
        /// The certificate.
        certificate: CertificateName,
        /// The extension's object identifier.
        oid: String,
    },

    /// A broken hash.
    #[error("{certificate} is signed with {hash}")]
    #[diagnostic(
        severity(Warning),
        code("weak-signature"),
        help("sign it again with SHA-256")
    )]
    WeakSignature {
        /// The certificate.
        certificate: CertificateName,
        /// The hash.
        hash: &'static str,
    },

    /// A server certificate that may not be used as one.
    #[error("{certificate} does not allow {use_name}")]
    #[diagnostic(
        severity(Warning),
        code("wrong-key-use"),
        help("strict TLS clients refuse it: add it, or leave the extension out")
    )]
    WrongKeyUse {
        /// The certificate.
        certificate: CertificateName,
        /// What it does not allow.
        use_name: &'static str,
    },
}

impl Violation {
    /// Whether a device refuses; otherwise it is for a person to look at.
    pub fn is_refusal(&self) -> bool {
        self.severity()
            .is_none_or(|severity| severity == Severity::Error)
    }

    /// Whether it is about the time of a certificate, which changes by itself.
    pub fn is_about_time(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::NotYetValid { .. })
    }

    /// The certificate that it is about, unless it is about the chain as a whole.
    pub fn certificate(&self) -> Option<&CertificateName> {
        match self {
            Self::Expired { certificate, .. }
            | Self::KeySize { certificate, .. }
            | Self::NotYetValid { certificate, .. }
            | Self::UnsupportedKey { certificate, .. }
            | Self::EcdsaKey { certificate, .. }
            | Self::ExpiresSoon { certificate, .. }
            | Self::IssuerKeyUse { certificate }
            | Self::IssuerNotCa { certificate }
            | Self::KeyIdentifier { certificate, .. }
            | Self::MalformedExtension { certificate, .. }
            | Self::MissingExtensions { certificate, .. }
            | Self::NameConstraints { certificate, .. }
            | Self::NameMissing { certificate, .. }
            | Self::NotDer { certificate, .. }
            | Self::OnlyIpNames { certificate }
            | Self::PathLength { certificate, .. }
            | Self::ServerAnnounced { certificate }
            | Self::ServerIsCa { certificate }
            | Self::UnknownCritical { certificate, .. }
            | Self::WeakSignature { certificate, .. }
            | Self::WrongKeyUse { certificate, .. } => Some(certificate),
            Self::Chain(_)
            | Self::ChainTooLarge { .. }
            | Self::CertificateMessageLarge { .. }
            | Self::ChainTight { .. }
            | Self::RootNotCounted { .. } => None,
        }
    }
}

fn expired_hint(role: Role) -> &'static str {
    match role {
        Role::Server => {
            "issue a new server certificate; devices need not be touched while the announced one stays"
        }
        Role::Intermediate => {
            "issue it again; only if it is the announced certificate must devices install it"
        }
        Role::Root => "issue it again; devices must then install it",
    }
}
