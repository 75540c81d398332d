//! Steps 8 and 9: TLS, and the chain that it shows.

use super::step::StepBuilder;
use super::time_limit::TimeLimit;
use engage_device::{ChainRefusal, PeerChain, TlsClient, TlsConnection, TlsError, TlsVersions};
use engage_wire::clock;
use engage_wire::diagnostic::causes;
use engage_wire::limits::{MAX_CHAIN_BYTES, certificate_message_framing};
use engage_wire::pki::device_profile::{DeviceProfile, Violation};
use engage_wire::pki::{Certificate, Role};
use engage_wire::{HostName, HostPort};

/// Shakes hands as a device; what was presented is known even if it is refused.
pub(super) async fn open_session(
    address: &HostPort,
    limit: TimeLimit,
    step: &mut StepBuilder,
    client: &TlsClient,
) -> (Option<TlsConnection>, Option<PeerChain>) {
    let error = match client.connect(address, limit.deadline()).await {
        Ok(session) => {
            step.note(format!(
                "{address} {} {}, trusted through `{}` alone",
                session.version(),
                session.cipher_suite(),
                client.anchor().subject()
            ));
            let chain = session.peer_chain().clone();
            return (Some(session), Some(chain));
        }
        Err(error) => error,
    };
    let newer = TlsClient::new(client.anchor().clone(), TlsVersions::Any);
    if error.is_incompatible() && newer.connect(address, limit.deadline()).await.is_ok() {
        step.fail(
            causes(&error),
            "the server speaks TLS 1.3 only: allow TLS 1.2, which current device firmware speaks",
        );
    } else {
        step.add_error(&error);
    }
    match error {
        TlsError::Refused { chain, .. } => (None, Some(*chain)),
        _ => (None, None),
    }
}

/// Counts the chain as a device does, and tells all that is held against it.
pub(super) fn check_chain(
    step: &mut StepBuilder,
    chain: &PeerChain,
    anchor: &Certificate,
    host: &HostName,
) {
    note_size(step, chain, anchor);
    let profile = DeviceProfile::new(clock::now());
    let known = profile.check_certificate(Role::of_issuer(anchor), anchor);
    for violation in &chain.violations {
        match violation {
            Violation::Chain(_) => {
                step.warn("a device does not trust it", "see the step before");
            }
            // Told when the certificate was downloaded.
            violation if known.contains(violation) => {}
            violation => step.add_error(violation),
        }
    }
    if let Err(error @ ChainRefusal::Malformed { .. }) = &chain.path {
        step.add_error(error);
    }
    let Some(leaf) = chain.certificates.first() else {
        return;
    };
    match profile.check_host(leaf, host, "the host that was asked") {
        Some(violation) => step.add_error(&violation),
        None => step.note(format!("names: {}", leaf.alt_names_text())),
    }
}

fn note_size(step: &mut StepBuilder, chain: &PeerChain, anchor: &Certificate) {
    let certificates = &chain.certificates;
    let sent: usize = certificates.iter().map(Certificate::size).sum();
    let (sum, total) = match &chain.path {
        Ok(path) => (path.sum_text(), path.size()),
        Err(_) => unverified_sum(certificates, anchor),
    };
    step.note(format!("{sum} = {total} of {MAX_CHAIN_BYTES} bytes"));
    step.note(format!(
        "{} in the handshake with framing",
        sent + certificate_message_framing(certificates.len())
    ));
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
