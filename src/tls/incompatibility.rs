//! What keeps a client's offer and this server's capabilities from meeting.

use rustls::{CipherSuite, ProtocolVersion};

use super::TlsCapabilities;
use super::failure_reason::{Diagnosis, FailureReason};
use super::hello::{ClientHello, CodePoint};

/// The first thing that is not in common, in the order in which a person would mend them: version,
/// cipher suite, group, signature, application protocol.
pub(super) fn incompatibility(
    capabilities: &TlsCapabilities,
    hello: &ClientHello,
) -> Option<Diagnosis> {
    let Some(version) = capabilities.version(&acceptable_versions(hello)) else {
        return Some(FailureReason::TlsVersion.because(offers_only_versions(hello)));
    };
    cipher(capabilities, hello, version)
        .or_else(|| group(capabilities, hello, version))
        .or_else(|| signature(capabilities, hello, version))
        .or_else(|| protocol(capabilities, hello))
}

/// "TLS 1.2", or the number of a version that has no name.
pub(super) fn version_name(version: ProtocolVersion) -> String {
    version.name().map_or_else(
        || format!("version 0x{:04x}", u16::from(version)),
        str::to_owned,
    )
}

/// Without the extension, the version given is the highest (RFC 5246 appendix E.1) and TLS 1.3
/// cannot be meant (RFC 8446 section 4.2.1).
fn acceptable_versions(hello: &ClientHello) -> Vec<ProtocolVersion> {
    if !hello.supported_versions.is_empty() {
        return hello.versions().iter().collect();
    }
    let highest = u16::from(hello.legacy_version);
    if highest >= u16::from(ProtocolVersion::TLSv1_2) {
        vec![ProtocolVersion::TLSv1_2]
    } else {
        vec![hello.legacy_version]
    }
}

fn offers_only_versions(hello: &ClientHello) -> String {
    let names: Vec<_> = hello
        .versions()
        .iter()
        .take(MAX_VERSIONS)
        .map(version_name)
        .collect();
    // A version given without the extension is the highest of those offered.
    let or_older = if hello.supported_versions.is_empty()
        && hello.legacy_version == ProtocolVersion::TLSv1_1
    {
        " or older"
    } else {
        ""
    };
    format!("offers only {}{or_older}", names.join(" and "))
}

fn cipher(
    capabilities: &TlsCapabilities,
    hello: &ClientHello,
    version: ProtocolVersion,
) -> Option<Diagnosis> {
    let suites: Vec<_> = hello
        .cipher_suites
        .iter()
        .filter(|suite| is_cipher(*suite))
        .collect();
    if suites
        .iter()
        .any(|suite| capabilities.supports_suite(version, *suite))
    {
        return None;
    }
    let all = |has: fn(&str) -> bool| {
        !suites.is_empty() && suites.iter().all(|suite| suite.name().is_some_and(has))
    };
    let no_cipher = |sentence: String| Some(FailureReason::NoCommonCipher.because(sentence));
    if all(|name| name.starts_with("TLS_RSA_WITH_") || name.starts_with("TLS_RSA_EXPORT_")) {
        return Some(FailureReason::RsaKeyExchangeOnly.because("offers only RSA key exchange"));
    }
    if all(|name| name.contains("_CBC_")) {
        return no_cipher("offers only CBC cipher suites".into());
    }
    if suites
        .iter()
        .any(|suite| capabilities.has_suite(version, *suite))
    {
        return no_cipher(format!(
            "offers no cipher suite for an {} certificate",
            capabilities.key_name()
        ));
    }
    no_cipher(format!(
        "offers no cipher suite that we have for {}: one with ECDHE and AES-GCM or ChaCha20 is needed",
        version_name(version)
    ))
}

/// IANA's names spell out key exchange and mode, so they are what classifies a suite. These two are
/// signals in a suite's place (RFC 5746 section 3.3, RFC 7507 section 4).
fn is_cipher(suite: CipherSuite) -> bool {
    !matches!(u16::from(suite), 0x00ff | 0x5600)
}

fn group(
    capabilities: &TlsCapabilities,
    hello: &ClientHello,
    version: ProtocolVersion,
) -> Option<Diagnosis> {
    let groups = &hello.named_groups;
    if groups
        .iter()
        .any(|group| capabilities.supports_group(version, group))
    {
        return None;
    }
    Some(FailureReason::NoCommonGroup.because(if groups.is_empty() {
        "does not say which key exchange groups it has (no supported_groups extension)".to_owned()
    } else {
        format!("offers no key exchange group that we have: only {groups}")
    }))
}

fn signature(
    capabilities: &TlsCapabilities,
    hello: &ClientHello,
    version: ProtocolVersion,
) -> Option<Diagnosis> {
    let schemes = &hello.signature_schemes;
    if schemes
        .iter()
        .any(|scheme| capabilities.supports_scheme(version, scheme))
    {
        return None;
    }
    Some(
        FailureReason::NoCommonSignature.because(if schemes.is_empty() {
            "does not say which signatures it can check (no signature_algorithms extension)"
                .to_owned()
        } else {
            format!(
                "does not offer a signature scheme for an {} certificate",
                capabilities.key_name()
            )
        }),
    )
}

fn protocol(capabilities: &TlsCapabilities, hello: &ClientHello) -> Option<Diagnosis> {
    let ours = capabilities.alpn();
    if hello.alpn.is_empty() || ours.is_empty() || hello.alpn.iter().any(|own| ours.contains(own)) {
        return None;
    }
    Some(FailureReason::NoCommonProtocol.because(format!(
        "offers only the application protocol {}, not {}",
        hello.alpn.join(" and "),
        ours.join(" or ")
    )))
}

/// Versions in one sentence.
const MAX_VERSIONS: usize = 8;
