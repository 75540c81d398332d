//! Steps 8 and 9: TLS, and the chain that it shows.

use super::run::DoctorRun;
use super::step::Findings;
use engage_device::{PeerChain, Session, TlsClient, TlsError, TlsVersions};
use engage_wire::HostName;
use engage_wire::diagnostic::causes;
use engage_wire::limits::{MAX_CHAIN_BYTES, certificate_message_framing};
use engage_wire::pki::{Certificate, DevicePath, SubjectAltName};

/// Shakes hands as a device; what was presented is known even if it is refused.
pub(super) async fn open_session(
    run: &DoctorRun,
    findings: &mut Findings,
    client: &TlsClient,
) -> (Option<Session>, Option<PeerChain>) {
    let address = &run.target.https;
    let error = match client.connect(address, run.deadline()).await {
        Ok(session) => {
            findings.note(format!(
                "{address} {} {}, trusted through `{}` alone",
                session.version(),
                session.cipher_suite(),
                client.anchor().subject()
            ));
            let served = session.peer_chain().clone();
            return (Some(session), Some(served));
        }
        Err(error) => error,
    };
    let mut hint = error.hint();
    if error.is_incompatible() {
        let newer = TlsClient::new(client.anchor().clone(), TlsVersions::Any);
        if newer.connect(address, run.deadline()).await.is_ok() {
            hint = "the server speaks TLS 1.3 only: allow TLS 1.2, which current device firmware speaks".into();
        }
    }
    findings.fail(causes(&error), hint);
    match error {
        TlsError::Refused {
            certificates,
            source,
            ..
        } => {
            let verdict = Err(*source);
            (
                None,
                Some(PeerChain {
                    certificates,
                    verdict,
                }),
            )
        }
        _ => (None, None),
    }
}

/// Counts the chain as a device does, and compares its names with the host.
pub(super) fn check_chain(
    findings: &mut Findings,
    served: &PeerChain,
    anchor: &Certificate,
    host: &HostName,
) {
    let PeerChain {
        certificates,
        verdict,
    } = served;
    let sent: usize = certificates.iter().map(Certificate::size).sum();
    let (sum, total) = match verdict {
        Ok(path) => (path.sum_text(), path.size()),
        Err(_) => unverified_sum(certificates, anchor),
    };
    let figures = format!("{sum} = {total} of {MAX_CHAIN_BYTES} bytes");
    if total > MAX_CHAIN_BYTES {
        findings.fail(
            figures,
            "shorten names and extensions, or leave out an intermediate: devices log `TLS Connection Error`",
        );
    } else {
        findings.note(figures);
    }
    findings.note(format!(
        "{} in the handshake with framing",
        sent + certificate_message_framing(certificates.len())
    ));
    match verdict {
        Ok(path) => check_root(findings, path),
        Err(_) => findings.warn("a device does not trust it", "see the step before"),
    }
    if let Some(leaf) = certificates.first() {
        check_names(findings, leaf, host);
    }
}

/// Each certificate once, the announced one included: without a path there are no roles.
fn unverified_sum(certificates: &[Certificate], anchor: &Certificate) -> (String, usize) {
    let mut sizes: Vec<_> = certificates.iter().map(Certificate::size).collect();
    if !certificates.contains(anchor) {
        sizes.push(anchor.size());
    }
    let summands: Vec<_> = sizes.iter().map(ToString::to_string).collect();
    (summands.join(" + "), sizes.iter().sum())
}

fn check_root(findings: &mut Findings, path: &DevicePath) {
    if path.lacks_root() {
        findings.warn(
            format!(
                "the root above `{}` is not known, and its bytes are not in the sum",
                path.topmost().subject()
            ),
            format!(
                "a device counts it: add its size to the sum, and stay within {MAX_CHAIN_BYTES}"
            ),
        );
    }
}

/// A warning only: whether devices compare names is not documented (PROTOCOL.md section 2).
fn check_names(findings: &mut Findings, leaf: &Certificate, host: &HostName) {
    let names: Vec<_> = leaf.alt_names().iter().map(name_text).collect();
    let is_named = leaf.alt_names().iter().any(|name| match (name, host) {
        (SubjectAltName::Ip(own), HostName::Ip(host)) => own == host,
        (SubjectAltName::Dns(own), host) => *own == host.to_string(),
        _ => false,
    });
    let names = match names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    if is_named {
        findings.note(format!("names: {names}"));
    } else {
        findings.warn(
            format!("the certificate's names ({names}) do not include `{host}`"),
            format!(
                "whether devices compare names is not documented: put `{host}` into subjectAltName"
            ),
        );
    }
}

fn name_text(name: &SubjectAltName) -> String {
    match name {
        SubjectAltName::Dns(name) => name.clone(),
        SubjectAltName::Ip(address) => address.to_string(),
    }
}
