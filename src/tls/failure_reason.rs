//! The kinds of failure of a handshake.

/// Why a handshake failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Diagnosis {
    /// For counting.
    pub reason: FailureReason,
    /// For reading, with the client as its subject: "offers only TLS 1.0".
    pub sentence: String,
}

/// The kinds of failure, few and stable: they label a metric.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum FailureReason {
    /// Alert `bad_certificate`, `unsupported_certificate`, `certificate_unknown`,
    /// `certificate_revoked` or `decrypt_error`.
    BadCertificate,
    /// Alert `certificate_expired`: the client's clock counts.
    CertificateExpired,
    /// Closed once the certificate was sent, without saying why.
    ClosedAfterCertificate,
    /// Closed between its hello and our certificate.
    ClosedBeforeCertificate,
    /// Closed without a complete hello.
    ClosedBeforeHello,
    /// TLS by the look of it, but unreadable.
    MalformedHello,
    /// No cipher suite in common.
    NoCommonCipher,
    /// No key exchange group in common.
    NoCommonGroup,
    /// No application protocol in common.
    NoCommonProtocol,
    /// It cannot check a signature by the certificate's kind of key.
    NoCommonSignature,
    /// Not TLS.
    NotTls,
    /// Anything else.
    Other,
    /// Any other alert.
    OtherAlert,
    /// Offers nothing but RSA key exchange.
    RsaKeyExchangeOnly,
    /// The time for a handshake ran out.
    TimedOut,
    /// No version in common.
    TlsVersion,
    /// Alert `unknown_ca`.
    UnknownCa,
    /// Its server name (SNI) is no host name.
    InvalidServerName,
}

impl FailureReason {
    /// Every reason with its label, which is stable, in the order of their declaration. A metric
    /// starts each at zero.
    pub(crate) const LABELS: [(Self, &'static str); 18] = [
        (Self::BadCertificate, "bad-certificate"),
        (Self::CertificateExpired, "certificate-expired"),
        (Self::ClosedAfterCertificate, "closed-after-certificate"),
        (Self::ClosedBeforeCertificate, "closed-before-certificate"),
        (Self::ClosedBeforeHello, "closed-before-hello"),
        (Self::MalformedHello, "malformed-hello"),
        (Self::NoCommonCipher, "no-common-cipher"),
        (Self::NoCommonGroup, "no-common-group"),
        (Self::NoCommonProtocol, "no-common-protocol"),
        (Self::NoCommonSignature, "no-common-signature"),
        (Self::NotTls, "not-tls"),
        (Self::Other, "other"),
        (Self::OtherAlert, "other-alert"),
        (Self::RsaKeyExchangeOnly, "rsa-key-exchange-only"),
        (Self::TimedOut, "timed-out"),
        (Self::TlsVersion, "tls-version"),
        (Self::UnknownCa, "unknown-ca"),
        (Self::InvalidServerName, "invalid-server-name"),
    ];

    /// Stable, kebab-case name.
    pub(crate) fn label(self) -> &'static str {
        Self::LABELS[self as usize].1
    }

    /// Whether a client that trusts another chain fails so. It may mean something else too: only some
    /// stacks say.
    pub(crate) fn is_distrust(self) -> bool {
        matches!(
            self,
            Self::BadCertificate | Self::ClosedAfterCertificate | Self::UnknownCa
        )
    }

    pub(super) fn because(self, sentence: impl Into<String>) -> Diagnosis {
        Diagnosis {
            reason: self,
            sentence: sentence.into(),
        }
    }
}
