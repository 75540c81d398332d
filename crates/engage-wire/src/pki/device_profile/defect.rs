//! What can be wrong with one certificate, in words that follow its name.

use jiff::Timestamp;
use miette::Diagnostic;

use super::CertificateName;
use crate::HostName;
use crate::limits::MAX_KEY_BITS;
use crate::pki::{PublicKey, Role};

/// One thing that is held against a certificate.
#[derive(Clone, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
pub enum Defect {
    /// Its time is over.
    #[error("expired at {not_after}; now is {now}")]
    #[diagnostic(code("expired"), help("{}", expired_hint(*role)))]
    Expired {
        /// What has to be issued again.
        role: Role,
        /// Its last second.
        not_after: Timestamp,
        /// The clock that was asked.
        now: Timestamp,
    },

    /// A key that is too long for a device, or too short for this server.
    #[error("has a key of {0} bits; allowed: RSA {MAX_KEY_BITS}")]
    #[diagnostic(code("key-size"), help("{MAKE_KEY_AGAIN}"))]
    KeySize(PublicKey),

    /// Its time has not begun.
    #[error("is valid from {not_before}; now is {now}")]
    #[diagnostic(
        code("not-yet-valid"),
        help(
            "check this computer's clock (`timedatectl`), or wait; devices whose clock is behind wait longer. A server certificate that a wrong clock has dated is replaced by `engage-host renew`"
        )
    )]
    NotYetValid {
        /// Its first second.
        not_before: Timestamp,
        /// The clock that was asked.
        now: Timestamp,
    },

    /// A key of another kind than a device or this server can use.
    #[error("has a key of {0}; allowed: RSA {MAX_KEY_BITS}")]
    #[diagnostic(code("unsupported-key"), help("{MAKE_KEY_AGAIN}"))]
    UnsupportedKey(PublicKey),

    /// An elliptic-curve key.
    #[error("has a key of {0}, which is not documented for devices")]
    #[diagnostic(
        severity(Warning),
        code("ecdsa-key"),
        help("use RSA 2048 unless your devices are known to accept it")
    )]
    EcdsaKey(PublicKey),

    /// Its time is nearly over.
    #[error("expires in {days} days, at {not_after}")]
    #[diagnostic(
        severity(Warning),
        code("expires-soon"),
        help("renew it now: devices fail at night, when it is too late")
    )]
    ExpiresSoon {
        /// Whole days left.
        days: i64,
        /// Its last second.
        not_after: Timestamp,
    },

    /// An issuer that may issue no TLS servers.
    #[error("issues a server certificate, but its extKeyUsage does not have serverAuth")]
    #[diagnostic(
        severity(Warning),
        code("issuer-key-use"),
        help(
            "OpenSSL and wolfSSL refuse the chain: issue it without extKeyUsage, and then what it issued"
        )
    )]
    IssuerKeyUse,

    /// An issuer that does not say that it is one.
    #[error("issues another certificate but is not marked as a certificate authority")]
    #[diagnostic(
        severity(Warning),
        code("issuer-not-ca"),
        help(
            "devices have accepted this, strict TLS clients do not: issue it with `basicConstraints = critical, CA:TRUE` \
             (`openssl ca -extensions v3_ca`)"
        )
    )]
    IssuerNotCa,

    /// Its issuer is another one than it says.
    #[error("names another {part} in its authorityKeyIdentifier than that of {issuer}")]
    #[diagnostic(
        severity(Warning),
        code("key-identifier"),
        help(
            "OpenSSL and stacks like it take it for another issue of that issuer and refuse the chain: issue the lower \
             one again from this issuer, or use the issuer's older certificate"
        )
    )]
    KeyIdentifier {
        /// What differs.
        part: &'static str,
        /// The certificate that issued it.
        issuer: CertificateName,
    },

    /// An extension, by its object identifier, that cannot be read or is there twice.
    #[error("has the extension {0} twice or in a form that cannot be read")]
    #[diagnostic(
        severity(Warning),
        code("malformed-extension"),
        help("strict TLS clients refuse the certificate: issue it again with other tools")
    )]
    MalformedExtension(String),

    /// Names of extensions that strict clients want.
    #[error("has no {0}")]
    #[diagnostic(
        severity(Warning),
        code("missing-extensions"),
        help("strict TLS clients want them all; `engage-host init` sets them")
    )]
    MissingExtensions(String),

    /// A name that this issuer does not allow.
    #[error("does not allow the name `{0}` below it (nameConstraints)")]
    #[diagnostic(
        severity(Warning),
        code("name-constraints"),
        help(
            "TLS clients that look at it refuse the chain: issue it without the constraint, or with this name"
        )
    )]
    NameConstraints(String),

    /// A server certificate that does not name its host.
    #[error("has no subjectAltName for `{host}`, {what}; it has {names}")]
    #[diagnostic(
        severity(Warning),
        code("name-missing"),
        help(
            "curl and browsers refuse it, a device may: issue it with `subjectAltName = IP:.. , DNS:..`"
        )
    )]
    NameMissing {
        /// The host that the certificate does not name.
        host: HostName,
        /// Whose host it is.
        what: &'static str,
        /// The names that are there.
        names: String,
    },

    /// A rule of DER that it breaks, although it can be read here.
    #[error("is not DER: {0}")]
    #[diagnostic(
        severity(Warning),
        code("not-der"),
        help(
            "OpenSSL and strict stacks cannot read or verify it: issue it again with other tools"
        )
    )]
    NotDer(&'static str),

    /// No DNS name.
    #[error("has IP addresses but no DNS name in subjectAltName")]
    #[diagnostic(
        severity(Warning),
        code("only-ip-names"),
        help("some embedded TLS clients look at DNS names only: add one")
    )]
    OnlyIpNames,

    /// More intermediates than this issuer allows.
    #[error("allows {allowed} intermediates below it (pathLenConstraint); there are {found}")]
    #[diagnostic(
        severity(Warning),
        code("path-length"),
        help("TLS clients that look at it refuse the chain: issue it without the constraint")
    )]
    PathLength {
        /// How many it allows.
        allowed: u32,
        /// How many there are.
        found: usize,
    },

    /// Devices are told to install what has to be renewed.
    #[error("is itself what devices are told to install, and another certificate issued it")]
    #[diagnostic(
        severity(Warning),
        code("server-announced"),
        help(
            "each renewal would have to be installed in every device: announce the root or an intermediate"
        )
    )]
    ServerAnnounced,

    /// A server that may issue certificates.
    #[error("is marked as a certificate authority")]
    #[diagnostic(
        severity(Warning),
        code("server-is-ca"),
        help("strict TLS clients refuse it: issue it with `basicConstraints = CA:FALSE`")
    )]
    ServerIsCa,

    /// A critical extension, by its object identifier, that clients may not know.
    #[error("has the critical extension {0}, which TLS clients may not know")]
    #[diagnostic(
        severity(Warning),
        code("unknown-critical-extension"),
        help(
            "OpenSSL and clients like it refuse the certificate: issue it without, or not critical"
        )
    )]
    UnknownCritical(String),

    /// A broken hash.
    #[error("is signed with {0}")]
    #[diagnostic(
        severity(Warning),
        code("weak-signature"),
        help("sign it again with SHA-256")
    )]
    WeakSignature(&'static str),

    /// What a server certificate must be allowed, and is not.
    #[error("does not allow {0}")]
    #[diagnostic(
        severity(Warning),
        code("wrong-key-use"),
        help("strict TLS clients refuse it: add it, or leave the extension out")
    )]
    WrongKeyUse(&'static str),
}

impl Defect {
    /// Whether it is about time, and the clock that shows `now` says otherwise.
    pub fn is_over_at(&self, now: Timestamp) -> bool {
        match self {
            Self::Expired { not_after, .. } => now <= *not_after,
            Self::NotYetValid { not_before, .. } => now >= *not_before,
            _ => false,
        }
    }
}

fn expired_hint(role: Role) -> &'static str {
    match role {
        Role::Server => {
            "issue a new server certificate (`engage-host renew`); devices need not be touched while the announced one stays"
        }
        Role::Intermediate => {
            "issue it again; only if it is the announced certificate must devices install it"
        }
        Role::Root => "issue it again; devices must then install it",
    }
}

const MAKE_KEY_AGAIN: &str =
    "make the key again with `openssl genrsa 2048`, and the certificates that depend on it";
