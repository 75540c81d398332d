//! Why a handshake failed, in one sentence for the person who has to mend it.

use std::io;

use rustls::{AlertDescription, PeerMisbehaved};

use super::TlsCapabilities;
use super::failure_reason::{Diagnosis, FailureReason};
use super::hello::{ClientHello, HELLO_BYTES, HelloError};
use super::incompatibility::{incompatibility, version_name};
use engage_wire::diagnostic::causes;

/// Decides why a handshake failed: from what the client offers, else from the alert that it sent,
/// else from where it left.
///
/// `hello` is what the server read, `failure` how the handshake ended, `written` how many bytes the
/// server had sent by then. The TLS library's own error comes last: it misleads (a client with
/// RSA key exchange only has "no group in common", one with TLS 1.0 only "no signature algorithms").
pub(crate) fn diagnose(
    capabilities: &TlsCapabilities,
    hello: Result<&ClientHello, &HelloError>,
    failure: &io::Error,
    written: usize,
) -> Diagnosis {
    let hello = match hello {
        Ok(hello) => hello,
        Err(error) => return without_hello(error, failure),
    };
    let certificate_sent = written >= capabilities.chain_bytes();
    // Once the certificate is out, something was in common.
    let incompatible = (!certificate_sent).then(|| incompatibility(capabilities, hello));
    if let Some(diagnosis) = incompatible.flatten() {
        return diagnosis;
    }
    if let Some(alert) = alert_received(failure) {
        return from_alert(alert);
    }
    if is_server_name_refused(failure) {
        let name = hello.server_name.as_deref().unwrap_or_default();
        return FailureReason::InvalidServerName.because(format!(
            "sent `{name}` as its server name (SNI), which is no host name: \
             give it the host without port, brackets or scheme"
        ));
    }
    match (ending(failure), certificate_sent) {
        (Ending::TimedOut, true) => FailureReason::TimedOut.because(
            "went silent after our certificate: does it wait for something, or has it lost the network?",
        ),
        (Ending::TimedOut, false) => {
            FailureReason::TimedOut.because("went silent before our certificate was sent")
        }
        (Ending::Closed, true) => FailureReason::ClosedAfterCertificate
            .because("closed after our certificate: chain too large for it?"),
        (Ending::Closed, false) => FailureReason::ClosedBeforeCertificate
            .because("closed after its hello, before our certificate was sent"),
        (Ending::Other, _) => other(failure),
    }
}

fn without_hello(error: &HelloError, failure: &io::Error) -> Diagnosis {
    if let Some(alert) = alert_received(failure) {
        return from_alert(alert);
    }
    let late = ending(failure) == Ending::TimedOut;
    match error {
        // Longer than what was kept: nothing is known of it, and the client is not at fault.
        HelloError::Truncated { bytes } if *bytes >= HELLO_BYTES => other(failure),
        HelloError::NotTls(what) => FailureReason::NotTls.because(what.to_string()),
        HelloError::Ssl2 { highest } => FailureReason::TlsVersion.because(format!(
            "sent a hello in the form of SSL 2.0, offering at most {}",
            version_name(*highest)
        )),
        HelloError::Malformed(_) => FailureReason::MalformedHello.because(error.to_string()),
        HelloError::Empty if late => {
            FailureReason::TimedOut.because("connected and sent nothing in the time allowed")
        }
        HelloError::Empty => {
            FailureReason::ClosedBeforeHello.because("closed before sending anything")
        }
        HelloError::Truncated { .. } if late => {
            FailureReason::TimedOut.because(format!("{error} in the time allowed"))
        }
        HelloError::Truncated { .. } => {
            FailureReason::ClosedBeforeHello.because(format!("{error}, then closed"))
        }
    }
}

fn from_alert(alert: AlertDescription) -> Diagnosis {
    let name = alert_name(alert);
    match alert {
        AlertDescription::UnknownCA => FailureReason::UnknownCa
            .because(format!("does not trust the served chain: alert {name}")),
        AlertDescription::CertificateExpired => FailureReason::CertificateExpired.because(format!(
            "holds the served chain for expired or not yet valid: alert {name}; is its clock right?"
        )),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        // What OpenSSL says of a chain whose root has the name, not the key, of one that it trusts.
        | AlertDescription::DecryptError
        | AlertDescription::CertificateUnknown => FailureReason::BadCertificate
            .because(format!("does not accept the served chain: alert {name}")),
        _ => FailureReason::OtherAlert.because(format!("broke off the handshake: alert {name}")),
    }
}

/// In the spelling of RFC 8446 section 6: `unknown_ca`.
fn alert_name(alert: AlertDescription) -> String {
    let Some(name) = alert.as_str() else {
        return format!("number {}", u8::from(alert));
    };
    let mut snake = String::new();
    let mut after_lower_case = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && after_lower_case {
            snake.push('_');
        }
        after_lower_case = letter.is_ascii_lowercase();
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn other(failure: &io::Error) -> Diagnosis {
    FailureReason::Other.because(format!("handshake failed: {}", causes(failure)))
}

fn alert_received(failure: &io::Error) -> Option<AlertDescription> {
    match tls_error(failure)? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// The TLS library cannot be told to ignore such a name, and it is part of what both sides sign.
fn is_server_name_refused(failure: &io::Error) -> bool {
    matches!(
        tls_error(failure),
        Some(rustls::Error::PeerMisbehaved(
            PeerMisbehaved::ServerNameMustContainOneHostName
        ))
    )
}

fn tls_error(failure: &io::Error) -> Option<&rustls::Error> {
    failure.get_ref()?.downcast_ref()
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    Closed,
    Other,
    TimedOut,
}

fn ending(failure: &io::Error) -> Ending {
    match failure.kind() {
        io::ErrorKind::TimedOut => Ending::TimedOut,
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::NotConnected => Ending::Closed,
        _ => Ending::Other,
    }
}

#[cfg(test)]
mod tests;
