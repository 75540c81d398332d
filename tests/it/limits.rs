//! What a device accepts: 4096 bytes, 2048 bits (PROTOCOL.md section 2).

use crate::harness::{Certificate, Chain, Daemon, Installation, Key, shown};

/// A chain whose three certificates have exactly `total` bytes, by a comment in the server's.
pub(crate) fn chain_of(total: usize) -> Chain {
    let mut filling = 1000;
    // The comment changes the length of its own length only once or twice.
    for _ in 0..4 {
        let chain = Chain::issue(|[server, ..]| {
            let line = format!("nsComment = \"{}\"\n", "x".repeat(filling));
            server.extensions.push_str(&line);
        });
        if chain.total_bytes() == total {
            return chain;
        }
        filling = filling + total - chain.total_bytes();
    }
    panic!("no comment makes the chain {total} bytes long");
}

#[test]
fn a_chain_of_4096_bytes_is_served() {
    let installation = Installation::new(&chain_of(4096));
    let checked = installation.check_json();
    assert_eq!(checked["sites"][0]["chain_bytes"], 4096);
    Daemon::start(&installation);
    assert!(
        installation
            .warning_codes()
            .contains(&"chain-tight".to_owned())
    );
}

#[test]
fn a_chain_of_4097_bytes_is_refused() {
    let installation = Installation::new(&chain_of(4097));
    let refused = installation.serve_refused();
    assert_eq!(refused.code, Some(1));
    assert_eq!(installation.refusal_codes(), ["chain-too-large"]);
    let stderr = refused.stderr_text();
    assert!(stderr.contains(" has 4097 bytes (server "), "{stderr}");
    assert!(stderr.contains("a device accepts at most 4096"), "{stderr}");
}

#[test]
fn the_root_counts_once_whether_or_not_it_is_sent() {
    let chain = chain_of(4096);
    let installation = Installation::new(&chain);
    installation.write("pki/partner_server.pem", chain.pem() + &chain.root.pem);
    let checked = installation.check_json();
    assert_eq!(checked["sites"][0]["chain_bytes"], 4096);
    // Three certificates in the message: 4096 + 7 + 3 * 3.
    assert_eq!(checked["certificate_message_bytes"], 4112);
    assert!(
        installation
            .warning_codes()
            .contains(&"tls-message-large".to_owned())
    );
    Daemon::start(&installation);
}

#[test]
fn a_root_named_apart_counts_above_an_announced_intermediate() {
    let chain = chain_of(4097);
    let installation = Installation::new(&chain);
    announce(&installation, &chain.intermediate);
    // Without the root it fits, and the daemon says what it does not know.
    assert_eq!(installation.refusal_codes(), [""; 0]);
    assert!(
        installation
            .warning_codes()
            .contains(&"root-not-counted".to_owned())
    );
    installation.write("pki/partner_CA.pem", &chain.root.pem);
    installation.edit("[https]", "[https]\nroot = \"pki/partner_CA.pem\"");
    assert_eq!(installation.refusal_codes(), ["chain-too-large"]);
    assert!(
        !installation
            .warning_codes()
            .contains(&"root-not-counted".to_owned())
    );
}

fn announce(installation: &Installation, certificate: &Certificate) {
    installation.write(
        "static/Device_Certificates/partner_CA.der",
        &certificate.der,
    );
}

#[test]
fn keys_of_other_sizes_are_refused_at_each_position() {
    for bits in [1024, 3072, 4096] {
        for (at, role) in ["server", "intermediate", "root"].into_iter().enumerate() {
            let chain = Chain::issue(|requests| requests[at].key = Key::Rsa(bits));
            let installation = Installation::new(&chain);
            let codes = installation.refusal_codes();
            assert!(
                codes.contains(&"key-size".to_owned()),
                "{bits} {role}: {codes:?}"
            );
            let refused = installation.serve_refused();
            assert_eq!(refused.code, Some(1), "{bits} {role}");
            if bits == 3072 {
                let stderr = shown(&installation, &refused.errors());
                insta::assert_snapshot!(format!("rsa_3072_{role}"), stderr);
            }
        }
    }
}

#[test]
fn a_2047_bit_key_is_no_2048_bit_key() {
    let chain = Chain::issue(|[server, ..]| server.key = Key::Rsa(2047));
    let codes = Installation::new(&chain).refusal_codes();
    assert!(codes.contains(&"key-size".to_owned()), "{codes:?}");
}
