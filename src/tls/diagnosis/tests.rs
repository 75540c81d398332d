mod server;

use std::io::ErrorKind;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use server::{Server, wrapped};

use super::*;
use crate::tls::hello::captured::{
    CBC, P521, RSA_KEY_EXCHANGE, RSA_KEY_EXCHANGE_GCM, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3, bytes,
};
use engage_wire::crypto_provider;

#[test]
fn what_a_client_lacks_is_said_whatever_the_tls_library_calls_it() {
    let server = Server::rsa();
    for (capture, label, sentence) in [
        (TLS_1_0, "tls-version", "offers only TLS 1.0"),
        (TLS_1_1, "tls-version", "offers only TLS 1.1 or older"),
        (
            RSA_KEY_EXCHANGE,
            "rsa-key-exchange-only",
            "offers only RSA key exchange",
        ),
        (
            RSA_KEY_EXCHANGE_GCM,
            "rsa-key-exchange-only",
            "offers only RSA key exchange",
        ),
        (CBC, "no-common-cipher", "offers only CBC cipher suites"),
        (
            P521,
            "no-common-group",
            "offers no key exchange group that we have: only secp521r1",
        ),
    ] {
        let diagnosis = server.refuses(&bytes(capture));
        assert_eq!(diagnosis.sentence, sentence);
        assert_eq!(diagnosis.reason.label(), label);
    }
}

#[test]
fn a_client_that_cannot_check_our_signature_is_told_apart() {
    let server = Server::rsa();
    // The one scheme becomes ecdsa_secp256r1_sha256.
    let ecdsa_only = replaced(TLS_1_2, "00020401", "00020403");
    let diagnosis = server.refuses(&ecdsa_only);
    assert_eq!(
        diagnosis.sentence,
        "does not offer a signature scheme for an RSA certificate"
    );
    assert_eq!(diagnosis.reason, FailureReason::NoCommonSignature);
    // The extension becomes one that nobody knows.
    let silent = replaced(TLS_1_2, "000d000400020401", "ffee000400020401");
    let diagnosis = server.refuses(&silent);
    assert_eq!(diagnosis.reason, FailureReason::NoCommonSignature);
    assert!(
        diagnosis
            .sentence
            .contains("no signature_algorithms extension")
    );
}

#[test]
fn a_client_without_groups_and_one_with_a_foreign_protocol_are_told_apart() {
    let server = Server::rsa();
    let diagnosis = server.refuses(&replaced(TLS_1_2, "000a000400020017", "ffee000400020017"));
    assert_eq!(diagnosis.reason, FailureReason::NoCommonGroup);
    let diagnosis = server.refuses(&replaced(
        TLS_1_2,
        "08687474702f312e31",
        "08687474702f312e32",
    ));
    assert_eq!(
        diagnosis.sentence,
        "offers only the application protocol http/1.2, not http/1.1 or http/1.0"
    );
}

#[test]
fn a_cipher_suite_for_another_kind_of_key_is_said_to_be_that() {
    let diagnosis = Server::ecdsa().refuses(&bytes(TLS_1_2));
    assert_eq!(diagnosis.reason, FailureReason::NoCommonCipher);
    assert_eq!(
        diagnosis.sentence,
        "offers no cipher suite for an ECDSA certificate"
    );
}

#[test]
fn a_client_that_could_connect_is_never_said_to_be_incompatible() {
    for (server, capture) in [
        (Server::rsa(), TLS_1_2),
        (Server::rsa(), TLS_1_3),
        (Server::ecdsa(), TLS_1_3),
    ] {
        let (hello, outcome, written) = server.reads(&bytes(capture));
        assert!(outcome.is_ok(), "{outcome:?}");
        let closed = io::Error::from(ErrorKind::UnexpectedEof);
        let diagnose = |written| diagnose(&server.capabilities, hello.as_ref(), &closed, written);
        assert_eq!(
            diagnose(written).sentence,
            "closed after our certificate: chain too large for it?"
        );
        assert_eq!(diagnose(0).reason, FailureReason::ClosedBeforeCertificate);
    }
}

#[test]
fn a_real_client_that_does_not_trust_the_chain_is_heard() {
    let server = Server::rsa();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = ClientConfig::builder_with_provider(crypto_provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = ServerName::try_from("lock.example").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut connection = ServerConnection::new(server.config.clone()).unwrap();
        let mut first_flight = Vec::new();
        client.write_tls(&mut first_flight).unwrap();
        connection.read_tls(&mut &first_flight[..]).unwrap();
        connection.process_new_packets().unwrap();
        let mut answer = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut answer).unwrap();
        }
        client.read_tls(&mut &answer[..]).unwrap();
        client.process_new_packets().unwrap_err();
        let mut alert = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut alert).unwrap();
        }
        connection.read_tls(&mut &alert[..]).unwrap();
        let failure = wrapped(connection.process_new_packets().unwrap_err());
        let hello = ClientHello::parse(&first_flight).unwrap();
        assert_eq!(
            diagnose(&server.capabilities, Ok(&hello), &failure, answer.len()),
            FailureReason::UnknownCa.because("does not trust the served chain: alert unknown_ca")
        );
    }
}

#[test]
fn a_tls_1_3_client_without_our_suites_is_said_to_lack_them() {
    // The suites 0x1301, 0x1302 and 0x1303 of a capture become numbers that nobody knows.
    let spoilt = replaced(TLS_1_3, "130213031301", "13f213f313f1");
    assert_eq!(
        Server::rsa().refuses(&spoilt).reason,
        FailureReason::NoCommonCipher
    );
    let supported = TLS13_AES_128_GCM_SHA256.suite();
    assert!(
        Server::rsa()
            .capabilities
            .supports_suite(rustls::ProtocolVersion::TLSv1_3, supported)
    );
}

#[test]
fn the_groups_are_those_of_the_provider() {
    let capabilities = Server::rsa().capabilities;
    let (tls12, tls13) = (
        rustls::ProtocolVersion::TLSv1_2,
        rustls::ProtocolVersion::TLSv1_3,
    );
    for group in [kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1] {
        assert!(capabilities.supports_group(tls12, group.name()));
        assert!(capabilities.supports_group(tls13, group.name()));
    }
    // A hybrid key share exists in TLS 1.3 only.
    assert!(capabilities.supports_group(tls13, kx_group::X25519MLKEM768.name()));
    assert!(!capabilities.supports_group(tls12, kx_group::X25519MLKEM768.name()));
}

#[test]
fn alerts_are_told_by_the_name_that_the_rfc_gives_them() {
    let server = Server::rsa();
    let hello = ClientHello::parse(&bytes(TLS_1_2)).unwrap();
    for (alert, label, ending) in [
        (
            AlertDescription::BadCertificate,
            "bad-certificate",
            "alert bad_certificate",
        ),
        (
            AlertDescription::CertificateUnknown,
            "bad-certificate",
            "alert certificate_unknown",
        ),
        (
            AlertDescription::CertificateExpired,
            "certificate-expired",
            "is its clock right?",
        ),
        (
            AlertDescription::DecryptError,
            "bad-certificate",
            "alert decrypt_error",
        ),
        (
            AlertDescription::Unknown(200),
            "other-alert",
            "alert number 200",
        ),
    ] {
        let failure = wrapped(rustls::Error::AlertReceived(alert));
        let diagnosis = diagnose(&server.capabilities, Ok(&hello), &failure, 4000);
        assert_eq!(diagnosis.reason.label(), label);
        assert!(
            diagnosis.sentence.ends_with(ending),
            "{}",
            diagnosis.sentence
        );
    }
}

#[test]
fn where_it_ended_is_said_if_nothing_else_is_known() {
    let server = Server::rsa();
    let hello = bytes(TLS_1_2);
    for (opening, kind, written, label) in [
        (&[][..], ErrorKind::UnexpectedEof, 0, "closed-before-hello"),
        (&[], ErrorKind::TimedOut, 0, "timed-out"),
        (
            &hello[..40],
            ErrorKind::ConnectionReset,
            0,
            "closed-before-hello",
        ),
        (&hello[..40], ErrorKind::TimedOut, 0, "timed-out"),
        (
            &hello,
            ErrorKind::ConnectionReset,
            4000,
            "closed-after-certificate",
        ),
        (
            &hello,
            ErrorKind::BrokenPipe,
            0,
            "closed-before-certificate",
        ),
        (&hello, ErrorKind::TimedOut, 4000, "timed-out"),
        (&hello, ErrorKind::TimedOut, 0, "timed-out"),
        (&hello, ErrorKind::OutOfMemory, 4000, "other"),
        (b"GET / HTTP/1.1\r\n", ErrorKind::InvalidData, 7, "not-tls"),
        (
            &[0x80, 46, 1, 3, 1],
            ErrorKind::InvalidData,
            7,
            "tls-version",
        ),
        (
            &[22, 3, 1, 0, 0],
            ErrorKind::InvalidData,
            7,
            "malformed-hello",
        ),
    ] {
        let parsed = ClientHello::parse(opening);
        let diagnosis = diagnose(&server.capabilities, parsed.as_ref(), &kind.into(), written);
        assert_eq!(diagnosis.reason.label(), label, "{}", diagnosis.sentence);
        assert!(!diagnosis.sentence.contains('\n'));
    }
}

#[test]
fn a_hello_longer_than_what_was_kept_is_not_blamed_on_the_client() {
    let kept = HelloError::Truncated { bytes: HELLO_BYTES };
    let failure = io::Error::other("tls said no");
    let diagnosis = diagnose(&Server::rsa().capabilities, Err(&kept), &failure, 7);
    assert_eq!(diagnosis.sentence, "handshake failed: tls said no");
}

#[test]
fn each_reason_has_a_label_of_its_own() {
    let labels = FailureReason::LABELS;
    assert!(
        labels
            .iter()
            .all(|(reason, label)| reason.label() == *label)
    );
    let distinct: std::collections::BTreeSet<_> = labels.map(|(_, label)| label).into();
    assert_eq!(distinct.len(), labels.len());
}

proptest! {
    /// The TLS library is the judge: what it takes we neither call incompatible nor malformed.
    #[test]
    fn no_damaged_hello_is_judged_otherwise_than_by_the_tls_library(
        capture in prop::sample::select(&[TLS_1_2, TLS_1_3, CBC, P521][..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        static SERVER: LazyLock<Server> = LazyLock::new(Server::rsa);
        let mut flight = bytes(capture);
        for (at, byte) in damage {
            let at = at.index(flight.len());
            flight[at] = byte;
        }
        let (hello, outcome, written) = SERVER.reads(&flight);
        // It answered, so it could read the hello.
        prop_assert!(hello.is_ok() || outcome.is_err() || written == 0, "{:?}", hello);
        if let Ok(hello) = hello
            && let Some(diagnosis) = incompatibility(&SERVER.capabilities, &hello)
        {
            prop_assert!(outcome.is_err(), "{}", diagnosis.sentence);
        }
    }
}

/// A capture with the one place `from` made `to`, both in hexadecimal.
fn replaced(capture: &str, from: &str, to: &str) -> Vec<u8> {
    let digits: String = capture.split_whitespace().collect();
    assert_eq!(digits.matches(from).count(), 1, "{from} is not unique");
    bytes(&digits.replace(from, to))
}
